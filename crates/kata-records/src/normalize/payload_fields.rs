//! The payload's fields in a record: `kata_` names and types, with the guest's words apart from the host's.

mod levels;

use std::cell::OnceCell;
use std::mem;

use bumpalo::Bump;
use memchr::memmem;

use super::unknown_keys::UnknownKeys;
use super::{Author, Nested, Normalize, Rule, coerce, field_name};
use crate::dictionary::{self, KeyId, KeySet, TrackedKey, ValueKind};
use crate::envelope::Entry;
use crate::escapes::escape_bytes;
use crate::flaw::Flaw;
use crate::name_hash;
use crate::name_map::{CopyNumbers, NameMap, NameSet};
use crate::normalize::prune::PruneAction;
use crate::parse::Payload;
use crate::record::{Escaping, Facts, Field, Key, Pair, PayloadFormat, Text, Value};
use crate::time::UtcTimestamp;

/// The author of a pair.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    Host,
    Guest,
}

/// Escapes bytes that are not UTF-8, and adds the field to `escaped`.
pub(super) fn escape_invalid<'b>(text: Text<'b>, key: Key<'b>, bump: &'b Bump, escaped: &mut Vec<Key<'b>>) -> Text<'b> {
    if text.escaping != Escaping::Bytes {
        return text;
    }
    if escaped.last() != Some(&key) {
        escaped.push(key);
    }
    escape_bytes(text.bytes, bump)
}

pub(super) struct FieldBuilder<'r, 'b> {
    normalize: &'b Normalize,
    unknown_keys: &'r mut UnknownKeys<'b>,
    payload: &'r Payload<'b>,
    author: Author<'b>,
    bump: &'b Bump,
    facts: &'r mut Facts,
    fields: &'r mut Vec<Field<'b>>,
    /// The names of fields that were not UTF-8.
    escaped: &'r mut Vec<Key<'b>>,
    /// The names in use: those of the dictionary, and others.
    known: KeySet,
    names: NameSet<'b>,
    copies: CopyNumbers<'b>,
    /// The first values of the names that aliases came for, decoded once. Aliases may come hundreds of times.
    first_values: Option<NameMap<'b, Option<Value<'b>>>>,
    host_sandbox: OnceCell<Option<&'b [u8]>>,
    /// A key that may come twice. Some loggers of the agent write `msg` twice on every entry, and the first counts.
    may_repeat: Option<KeyId>,
    /// A time was claimed.
    pub(super) claims_time: bool,
    /// The current pairs are the host's, and a writer inside the entry took their names.
    displaced: bool,
}

impl<'r, 'b> FieldBuilder<'r, 'b> {
    pub(super) fn new(
        (normalize, unknown_keys): (&'b Normalize, &'r mut UnknownKeys<'b>),
        payload: &'r Payload<'b>,
        author: Author<'b>,
        bump: &'b Bump,
        facts: &'r mut Facts,
        fields: &'r mut Vec<Field<'b>>,
        escaped: &'r mut Vec<Key<'b>>,
    ) -> FieldBuilder<'r, 'b> {
        FieldBuilder {
            normalize,
            unknown_keys,
            payload,
            author,
            bump,
            facts,
            fields,
            escaped,
            known: KeySet::default(),
            names: NameSet::default(),
            copies: CopyNumbers::default(),
            first_values: None,
            host_sandbox: OnceCell::new(),
            may_repeat: (payload.guest || payload.format == PayloadFormat::Slog).then_some(KeyId::MSG),
            claims_time: false,
            displaced: false,
        }
    }

    /// Starts the pairs of the host. `inside` tells whether a writer inside the entry may have taken their names.
    pub(super) fn host_follows(&mut self, inside: bool) {
        self.displaced = inside;
    }

    pub(super) fn uptime(&mut self, nanos: Option<i64>) {
        if let Some(nanos) = nanos {
            self.put_free(b"guest_uptime_ns", Value::Int(nanos));
        }
    }

    /// Adds the pairs of a speaker. Aliases come last, so that keys with their own names take precedence.
    #[inline]
    pub(super) fn pairs(&mut self, pairs: &[Pair<'b>], speaker: Speaker) {
        let normalize = self.normalize;
        let mut aliases = false;
        for pair in pairs {
            let Some(id) = pair.id else {
                self.unknown(pair);
                continue;
            };
            let rule = normalize.rule(id);
            // Most pairs are text that needs no change.
            if rule.is_simple
                && let Value::Text(text) = pair.value
                && text.escaping != Escaping::Bytes
                && !(speaker == Speaker::Guest && rule.is_identity)
                && !self.known.insert(id)
            {
                self.fields.push(Field::new(rule.field.key(), pair.value));
                continue;
            }
            if rule.is_alias {
                aliases = true;
                continue;
            }
            self.pair(pair, rule, speaker);
        }
        if aliases {
            for pair in pairs {
                if let Some(id) = pair.id
                    && normalize.rule(id).is_alias
                {
                    self.alias(pair, normalize.rule(id), speaker);
                }
            }
        }
    }

    // Few pairs come late, so this copy of `pair` stays out of the loop.
    #[inline(never)]
    fn alias(&mut self, pair: &Pair<'b>, rule: &'b Rule, speaker: Speaker) {
        self.pair(pair, rule, speaker);
    }

    // A call costs as much as most pairs.
    #[inline(always)]
    fn pair(&mut self, pair: &Pair<'b>, rule: &'b Rule, speaker: Speaker) {
        let action = rule.action;
        if action == PruneAction::Remove {
            return;
        }
        let name = || rule.name.known().name;
        if speaker == Speaker::Guest && rule.is_identity {
            return self.guest_identity(pair, name());
        }
        if rule.is_identity && rule.kind == ValueKind::Count && self.author.process.is_some() {
            return self.process(pair, rule);
        }
        match rule.kind {
            ValueKind::Text => {
                if let Some(value) = self.plain(pair, action) {
                    self.put(rule, pair, value);
                }
            }
            ValueKind::Time => self.time(pair),
            ValueKind::Level => self.level(pair),
            ValueKind::Count | ValueKind::Int => {
                let Some(text) = self.typed(pair) else { return };
                let least = if rule.kind == ValueKind::Count { 0 } else { i64::MIN };
                match coerce::int(text).filter(|value| *value >= least) {
                    Some(value) => self.put(rule, pair, value),
                    None => {
                        self.facts.flaws.add(Flaw::NotANumber);
                        self.put_as_text(field_name::joined(name(), b"_text", self.bump), pair);
                    }
                }
            }
            ValueKind::Bool => {
                let Some(text) = self.typed(pair) else { return };
                match coerce::bool(text) {
                    Some(value) => self.put(rule, pair, value),
                    None => self.put_as_text(field_name::joined(name(), b"_text", self.bump), pair),
                }
            }
            ValueKind::Duration => {
                let nanos = self.typed(pair).and_then(coerce::duration);
                if let Some(value) = self.plain(pair, action) {
                    self.put(rule, pair, value);
                }
                if let Some(nanos) = nanos {
                    let name = field_name::joined(name(), b"_ns", self.bump);
                    let key = field_name::key("kata_", name, 1, self.bump);
                    if self.is_free(key) {
                        self.push(key, Value::Int(nanos));
                    }
                }
            }
        }
    }

    /// Returns the content of a typed value, or `None` if it is empty.
    #[inline]
    fn typed(&self, pair: &Pair<'b>) -> Option<&'b [u8]> {
        let text = match pair.value {
            Value::Text(Text { bytes, escaping: Escaping::Clean }) => bytes,
            Value::Text(text) => text.decode(self.bump),
            Value::Bool(true) => b"true",
            Value::Bool(false) => b"false",
            Value::Nested(raw) => raw,
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// Returns the value as a string, or `None` if it is left out.
    fn plain(&mut self, pair: &Pair<'b>, action: PruneAction) -> Option<Value<'b>> {
        Some(match pair.value {
            Value::Text(text)
                if action == PruneAction::RemoveIfNested && coerce::is_go_blob(text.decode(self.bump)) =>
            {
                return None;
            }
            Value::Bool(bool) => Value::Text(Text::clean(if bool { b"true" } else { b"false" })),
            // Go prints this text in logfmt.
            Value::Null => Value::Text(Text::clean(b"<nil>")),
            Value::Nested(raw) => return self.nested(pair.key, raw, action),
            value => value,
        })
    }

    fn nested(&mut self, key: &[u8], raw: &'b [u8], action: PruneAction) -> Option<Value<'b>> {
        let raw = match action {
            PruneAction::Remove | PruneAction::RemoveIfNested => return None,
            PruneAction::Keep => raw,
            PruneAction::Descend => match self.normalize.prune.descend(key, raw) {
                Ok(left) => self.bump.alloc_slice_copy(&left?),
                Err(_) => {
                    self.facts.flaws.add(Flaw::BadJson);
                    raw
                }
            },
        };
        match self.normalize.nested {
            Nested::Drop => None,
            Nested::String => Some(Value::Text(Text::plain(raw))),
            // Serialized again, so that it is valid and on one line.
            Nested::Keep => {
                match serde_json::from_slice::<serde_json::Value>(raw).and_then(|value| serde_json::to_vec(&value)) {
                    Ok(compact) => Some(Value::Nested(self.bump.alloc_slice_copy(&compact))),
                    Err(_) => {
                        self.facts.flaws.add(Flaw::BadJson);
                        Some(Value::Text(Text::plain(raw)))
                    }
                }
            }
        }
    }

    fn time(&mut self, pair: &Pair<'b>) {
        if self.author.timed_by_runtime {
            return self.guest_identity(pair, "time");
        }
        let Some(text) = self.typed(pair) else { return };
        if self.facts.time.is_none() {
            // Most timestamps are copied once, directly to their place. A second copy would wait for the first.
            if let Some(stamp) = UtcTimestamp::of(text) {
                self.facts.time = Some(stamp);
                return;
            }
            self.facts.time = UtcTimestamp::parse(text);
            if self.facts.time.is_some() {
                return;
            }
            self.facts.flaws.add(Flaw::BadTime);
        } else if UtcTimestamp::parse(text).is_some() {
            self.facts.flaws.add_if(pair.id == Some(KeyId::TIME), Flaw::DuplicateKey);
        } else {
            self.facts.flaws.add(Flaw::BadTime);
        }
        self.put_as_text(b"time_text", pair);
    }

    /// Adds the process that journald took from the socket as `kata_pid`. A `pid` of the message that differs is that of
    /// another process: a call has replaced the `pid` of its logger.
    #[inline(never)]
    fn process(&mut self, pair: &Pair<'b>, rule: &'b Rule) {
        let Some(process) = self.author.process else { return };
        match coerce::int(process).filter(|process| *process >= 0) {
            Some(own) if !self.known.insert(rule.name) => self.push(rule.field.key(), Value::Int(own)),
            _ => {}
        }
        if self.typed(pair) != Some(process) {
            self.put_as_text(b"fields_pid", pair);
        }
    }

    /// Adds the guest's claim of a host fact under a name of its own.
    fn guest_identity(&mut self, pair: &Pair<'b>, name: &str) {
        let Some(text) = self.typed(pair) else { return };
        let has_ts = || self.payload.inner.iter().any(|pair| pair.id == Some(KeyId::TS));
        match name {
            // `ts` is slog's own timestamp; a `time` beside it is a key of the log call.
            "time" if pair.id == Some(KeyId::TIME) && has_ts() => self.put_as_text(b"guest_time_text", pair),
            "time" => match UtcTimestamp::parse(text) {
                Some(stamp) => {
                    self.claims_time = true;
                    self.put_claim(KeyId::TIME, Value::Time(self.bump.alloc(stamp)));
                }
                None => {
                    self.facts.flaws.add(Flaw::BadTime);
                    self.put_as_text(b"guest_time_text", pair);
                }
            },
            "pid" => match coerce::int(text).filter(|pid| *pid >= 0) {
                Some(pid) => self.put_claim(KeyId::PID, Value::Int(pid)),
                None => {
                    self.facts.flaws.add(Flaw::NotANumber);
                    self.put_as_text(b"guest_pid_text", pair);
                }
            },
            _ if self.author.wrapped_by_host && self.host_sandbox() == Some(text) => {}
            _ => {
                if let Some(value) = self.plain(pair, PruneAction::Keep) {
                    self.put_claim(KeyId::SANDBOX, value);
                }
            }
        }
    }

    /// Returns the sandbox that the host states, decoded once. The guest may claim a sandbox hundreds of times.
    fn host_sandbox(&self) -> Option<&'b [u8]> {
        *self.host_sandbox.get_or_init(|| self.payload.host(TrackedKey::SANDBOX, self.bump))
    }

    /// Adds the guest's claim under the name `guest_` and that of a host fact.
    fn put_claim(&mut self, id: KeyId, value: Value<'b>) {
        self.put_unique(self.normalize.rule(id).guest.key(), None, value);
    }

    /// Adds a field under a name of the dictionary.
    // Passes numbers in registers: a value in memory would stall the next read.
    #[inline(always)]
    fn put<V: Into<Value<'b>>>(&mut self, rule: &'b Rule, pair: &Pair<'b>, value: V) {
        if self.known.insert(rule.name) {
            self.put_taken(rule, pair, value.into());
        } else {
            self.push(rule.field.key(), value.into());
        }
    }

    /// Adds a field whose name is taken.
    #[cold]
    fn put_taken(&mut self, rule: &'b Rule, pair: &Pair<'b>, value: Value<'b>) {
        if !rule.is_alias {
            return self.put_repeated(rule.name.known().name.as_bytes(), pair);
        }
        if !self.is_equal(rule.field.key(), value) {
            // The name's type belongs to its first field, so this one is a string. A repeated key does not regain a
            // name of katalog's own.
            let known = rule.name.known().name;
            let own = known.starts_with("fields_");
            self.put_as_text(if own { known.as_bytes() } else { field_name::mapped(pair.key, self.bump) }, pair);
        }
    }

    /// Returns whether the first field of this key has the value.
    fn is_equal(&mut self, key: Key<'b>, value: Value<'b>) -> bool {
        let FieldBuilder { fields, first_values, bump, .. } = self;
        let first_values = first_values.get_or_insert_with(|| NameMap::with_capacity(1));
        let first = first_values.entry(name_hash::hash(key.name()), key.name(), None);
        let first = first.get_or_insert_with(|| match fields.iter().find(|field| field.key == key) {
            Some(Field { value: Value::Text(text), .. }) => Value::Text(Text::plain(text.decode(bump))),
            Some(field) => field.value,
            None => Value::Null,
        });
        match (first, value) {
            (Value::Text(first), Value::Text(text)) => first.bytes == text.decode(bump),
            (Value::Int(first), Value::Int(int)) => *first == int,
            _ => false,
        }
    }

    /// Adds a field under a key that the dictionary lacks.
    fn unknown(&mut self, pair: &Pair<'b>) {
        let hash = name_hash::hash(pair.key);
        if let Some((known, key)) = *self.unknown_keys.place(hash)
            && known == pair.key
        {
            let is_new = self.is_new(hash, key);
            return match self.plain(pair, PruneAction::Keep) {
                Some(value) if is_new => self.push(key, value),
                Some(value) => self.put_second(key, value),
                None => {}
            };
        }
        let is_plain = field_name::is_plain(pair.key);
        let prune = &self.normalize.prune;
        let action = if is_plain { prune.action_of_segment(hash, pair.key) } else { prune.action(pair.key) };
        if action == PruneAction::Remove {
            return;
        }
        let Some(value) = self.plain(pair, action) else { return };
        let mapped = if is_plain { pair.key } else { field_name::mapped(pair.key, self.bump) };
        // Writers must not obtain names that rules reserve.
        let is_typed = is_typed_duration(mapped) || !is_plain && is_typed(mapped);
        let reserved = is_typed || mapped.starts_with(b"host_") || mapped.starts_with(b"guest_");
        if is_plain && !reserved {
            let key = field_name::key("kata_", mapped, 1, self.bump);
            if action == PruneAction::Keep {
                *self.unknown_keys.place(hash) = Some((pair.key, key));
            }
            if self.is_new(hash, key) {
                self.push(key, value);
            } else if let Some(value) = self.plain(pair, PruneAction::Keep) {
                self.put_second(key, value);
            }
            return;
        }
        self.facts.flaws.add_if(pair.key.iter().any(u8::is_ascii_control), Flaw::BadKey);
        self.facts.flaws.add_if(memmem::find(pair.key, b"%!").is_some(), Flaw::GoFormatError);
        if pair.key.len() > field_name::LONGEST {
            self.facts.flaws.add(Flaw::BadKey);
            self.put_free(b"words", Value::Text(Text::plain(pair.key)));
        }
        if reserved {
            return self.put_free(field_name::joined("fields_", mapped, self.bump), value);
        }
        self.put_free(mapped, value);
    }

    /// Adds a repeated key that the dictionary lacks.
    fn put_second(&mut self, key: Key<'b>, value: Value<'b>) {
        self.facts.flaws.add_if(!self.displaced, Flaw::DuplicateKey);
        self.put_copy(key, None, value);
    }

    /// Adds a repeated key, and a flaw unless repetition is expected.
    fn put_repeated(&mut self, name: &[u8], pair: &Pair<'b>) {
        let expected = self.displaced || (pair.id.is_some() && pair.id == self.may_repeat);
        self.facts.flaws.add_if(!expected, Flaw::DuplicateKey);
        // The first field determines the type, so the second is a string.
        self.put_as_text(name, pair);
    }

    /// Adds the value as a string, under another name than that of its key.
    fn put_as_text(&mut self, name: &[u8], pair: &Pair<'b>) {
        if let Some(value) = self.plain(pair, PruneAction::Keep) {
            self.put_free(name, value);
        }
    }

    /// Adds a field under this name. If the name is taken, the name for host values or a number makes it unique.
    fn put_free(&mut self, name: &[u8], value: Value<'b>) {
        let rule = dictionary::find(name).filter(|id| !id.is_alias()).map(|id| self.normalize.rule(id));
        let key = rule.map_or_else(|| field_name::key("kata_", name, 1, self.bump), |rule| rule.field.key());
        self.put_unique(key, rule, value);
    }

    /// Adds a field under a key, or under another one if it is taken. `rule` is that of the key's name.
    fn put_unique(&mut self, key: Key<'b>, rule: Option<&'b Rule>, value: Value<'b>) {
        let is_free = match rule {
            Some(rule) => !self.known.insert(rule.name),
            None => self.is_free(key),
        };
        if is_free { self.push(key, value) } else { self.put_copy(key, rule, value) }
    }

    /// Adds a field whose key is taken under another one.
    fn put_copy(&mut self, key: Key<'b>, rule: Option<&'b Rule>, value: Value<'b>) {
        let name = unprefixed(key);
        let key = match (self.displaced, self.author.wrapped_by_host) {
            (true, true) => {
                rule.map_or_else(|| field_name::key("kata_host_", name, 1, self.bump), |rule| rule.host.key())
            }
            // A claim of the text around, which may be a guest's too.
            (true, false) if !name.starts_with(b"guest_") => field_name::key("kata_guest_", name, 1, self.bump),
            _ => key,
        };
        if self.displaced && self.is_free(key) {
            return self.push(key, value);
        }
        let name = unprefixed(key);
        let mut copies = mem::take(&mut self.copies);
        let last = copies.last(name);
        let copy = loop {
            *last += 1;
            let copy = field_name::key("kata_", name, *last, self.bump);
            // No key of the dictionary ends in a number as copies do.
            if self.is_new(name_hash::hash(unprefixed(copy)), copy) {
                break copy;
            }
        };
        self.copies = copies;
        self.push(copy, value);
    }

    /// Returns whether the name of a key is free, and marks it as taken.
    fn is_free(&mut self, key: Key<'b>) -> bool {
        let name = unprefixed(key);
        match dictionary::find(name) {
            Some(id) if !id.is_alias() => !self.known.insert(id),
            _ => self.is_new(name_hash::hash(name), key),
        }
    }

    /// Returns whether a name that the dictionary lacks is free, and marks it as taken. `hash` is that of the name without
    /// `kata_`.
    #[inline]
    fn is_new(&mut self, hash: u64, key: Key<'b>) -> bool {
        self.names.insert(hash, || unprefixed(key), self.fields.iter().map(|field| unprefixed(field.key)))
    }

    #[inline]
    fn push(&mut self, key: Key<'b>, value: Value<'b>) {
        match value {
            Value::Text(Text { escaping: Escaping::Bytes, .. }) | Value::List(_) => self.push_escaped(key, value),
            _ => self.fields.push(Field::new(key, value)),
        }
    }

    #[cold]
    fn push_escaped(&mut self, key: Key<'b>, value: Value<'b>) {
        let mut escape = |text: &Text<'b>| escape_invalid(*text, key, self.bump, self.escaped);
        let value = match value {
            Value::Text(text) => Value::Text(escape(&text)),
            Value::List(list) => Value::List(self.bump.alloc_slice_fill_iter(list.iter().map(escape))),
            value => value,
        };
        self.fields.push(Field::new(key, value));
    }

    /// Adds the sandbox from the command line of the shim if no pair states one.
    pub(super) fn sandbox_of_shim(&mut self, entry: &Entry<'b>) {
        let Some(line) = entry.command_line else { return };
        let mut words = line.decode(self.bump).split(|byte| *byte == b' ');
        if words.any(|word| word == b"-id")
            && let Some(id) = words.next().filter(|id| !id.is_empty())
            && !self.known.insert(KeyId::SANDBOX)
        {
            let key = self.normalize.rule(KeyId::SANDBOX).field.key();
            self.push(key, Value::Text(Text::plain(id)));
        }
    }
}

/// Returns the name of a key without `kata_`.
#[inline]
fn unprefixed(key: Key<'_>) -> &[u8] {
    key.name().get("kata_".len()..).unwrap_or_default()
}

/// Returns whether a typed field of records may have this name although the dictionary lacks the key: `stream.id` maps
/// to such a name.
fn is_typed(mapped: &[u8]) -> bool {
    dictionary::find(mapped).is_some_and(|id| id.known().kind != ValueKind::Text || id.is_alias())
}

/// Returns whether a duration may have this name for its field in nanoseconds.
#[inline]
fn is_typed_duration(mapped: &[u8]) -> bool {
    let key = mapped.strip_suffix(b"_ns").and_then(dictionary::find);
    key.is_some_and(|id| id.known().kind == ValueKind::Duration)
}
