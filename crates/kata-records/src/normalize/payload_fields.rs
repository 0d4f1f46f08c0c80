//! The payload's fields: each pair under its `kata_` name, with its type; the guest's word apart from the host's.

use bumpalo::Bump;
use memchr::memmem;

use super::{Nested, Normalize, Rule, coerce, field_name, level};
use crate::dictionary::{self, KeyId, KeySet, TrackedKey, ValueKind};
use crate::envelope::Entry;
use crate::escapes::escape_bytes;
use crate::flaw::Flaw;
use crate::name_hash::{self, BloomFilter};
use crate::normalize::prune::PruneAction;
use crate::parse::Payload;
use crate::record::{Escaping, Facts, Field, Key, Pair, PayloadFormat, Text, Value};
use crate::time::UtcTimestamp;

/// Whose word a pair is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    Host,
    Guest,
}

/// Gives bytes that are not UTF-8 their defined form, and notes the field.
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
    payload: &'r Payload<'b>,
    bump: &'b Bump,
    facts: &'r mut Facts,
    fields: &'r mut Vec<Field<'b>>,
    /// BloomFilter of the fields whose bytes were not UTF-8.
    escaped: &'r mut Vec<Key<'b>>,
    /// BloomFilter taken: those of the dictionary, and the others.
    known: KeySet,
    names: BloomFilter,
    /// Some loggers of the agent write `msg` twice on every entry; the first is the one meant.
    may_repeat: Option<KeyId>,
    /// The pairs at hand are the host's, and another writer's have their names.
    displaced: bool,
}

impl<'r, 'b> FieldBuilder<'r, 'b> {
    pub(super) fn new(
        normalize: &'b Normalize,
        payload: &'r Payload<'b>,
        bump: &'b Bump,
        facts: &'r mut Facts,
        fields: &'r mut Vec<Field<'b>>,
        escaped: &'r mut Vec<Key<'b>>,
    ) -> FieldBuilder<'r, 'b> {
        FieldBuilder {
            normalize,
            payload,
            bump,
            facts,
            fields,
            escaped,
            known: KeySet::default(),
            names: BloomFilter::default(),
            may_repeat: (payload.guest || payload.format == PayloadFormat::Slog).then_some(KeyId::MSG),
            displaced: false,
        }
    }

    /// From here on the pairs are those of the host's entry, whose names may be taken by what was found inside it.
    pub(super) fn host_follows(&mut self, inside: bool) {
        self.displaced = inside;
    }

    pub(super) fn uptime(&mut self, nanos: Option<i64>) {
        if let Some(nanos) = nanos {
            self.put_free(b"guest_uptime_ns", Value::Int(nanos));
        }
    }

    /// All pairs of a speaker: first those under their own names, then aliases, which give way.
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
            // Most pairs are text that stays as it is.
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
                    self.pair(pair, normalize.rule(id), speaker);
                }
            }
        }
    }

    fn pair(&mut self, pair: &Pair<'b>, rule: &'b Rule, speaker: Speaker) {
        let action = rule.action;
        if action == PruneAction::Remove {
            return;
        }
        let name = || rule.name.known().name;
        if speaker == Speaker::Guest && rule.is_identity {
            return self.guest_identity(pair, name());
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
                    if self.is_free(name, key) {
                        self.push(key, Value::Int(nanos));
                    }
                }
            }
        }
    }

    /// The content of a value that is to have a type; none where it is empty, which says nothing.
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

    /// The value as a string, whatever the writer's format made of it; none where it is left out.
    fn plain(&mut self, pair: &Pair<'b>, action: PruneAction) -> Option<Value<'b>> {
        Some(match pair.value {
            Value::Text(text)
                if action == PruneAction::RemoveIfNested && coerce::is_go_blob(text.decode(self.bump)) =>
            {
                return None;
            }
            Value::Bool(bool) => Value::Text(Text::clean(if bool { b"true" } else { b"false" })),
            // What Go prints for it in logfmt.
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
            // Written anew, so that it is valid and on one line.
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
        let Some(text) = self.typed(pair) else { return };
        if self.facts.time.is_none() {
            // Most are copied to where they are to be and nowhere else: another copy would wait for the first.
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

    fn level(&mut self, pair: &Pair<'b>) {
        let Some(text) = self.typed(pair) else { return };
        match level::parse(text) {
            Some(level) if self.facts.level.is_none() => self.facts.level = Some(level),
            Some(level) => {
                self.facts.flaws.add_if(!self.displaced, Flaw::DuplicateKey);
                let name: &[u8] = if self.displaced { b"host_level" } else { b"level_2" };
                self.put_free(name, Value::Text(Text::clean(level.name().as_bytes())));
            }
            None => {
                self.facts.flaws.add(Flaw::BadLevel);
                self.put_as_text(b"level_text", pair);
            }
        }
    }

    /// The guest's claim of what only the host can say: kept, under a name that says so.
    fn guest_identity(&mut self, pair: &Pair<'b>, name: &str) {
        let Some(text) = self.typed(pair) else { return };
        let has_ts = || self.payload.inner.iter().any(|pair| pair.id == Some(KeyId::TS));
        match name {
            // slog's own stamp is `ts`; a `time` beside it is a key of the call.
            "time" if pair.id == Some(KeyId::TIME) && has_ts() => self.put_as_text(b"guest_time_text", pair),
            "time" => match UtcTimestamp::parse(text) {
                Some(stamp) => self.put_free(b"guest_time", Value::Time(self.bump.alloc(stamp))),
                None => {
                    self.facts.flaws.add(Flaw::BadTime);
                    self.put_as_text(b"guest_time_text", pair);
                }
            },
            "pid" => match coerce::int(text).filter(|pid| *pid >= 0) {
                Some(pid) => self.put_free(b"guest_pid", Value::Int(pid)),
                None => {
                    self.facts.flaws.add(Flaw::NotANumber);
                    self.put_as_text(b"guest_pid_text", pair);
                }
            },
            _ if self.payload.host(TrackedKey::SANDBOX, self.bump) == Some(text) => {}
            _ => self.put_as_text(b"guest_sandbox", pair),
        }
    }

    /// A field under a name of the dictionary.
    // A number comes as it is, in a register, and not as a value in memory, which would be waited for.
    #[inline]
    fn put<V: Into<Value<'b>>>(&mut self, rule: &'b Rule, pair: &Pair<'b>, value: V) {
        if self.known.insert(rule.name) {
            self.put_taken(rule, pair, value.into());
        } else {
            self.push(rule.field.key(), value.into());
        }
    }

    /// The same where the name is taken.
    #[cold]
    fn put_taken(&mut self, rule: &'b Rule, pair: &Pair<'b>, value: Value<'b>) {
        if !rule.is_alias {
            return self.put_repeated(rule.name.known().name.as_bytes(), pair);
        }
        let key = rule.field.key();
        let taken = self.fields.iter().find(|field| field.key == key);
        if !taken.is_some_and(|field| self.is_equal(field.value, value)) {
            // The type belongs to the name that was taken, so this is a string. A key that katalog took the name of
            // does not get it back by coming twice.
            let known = rule.name.known().name;
            let own = known.starts_with("fields_");
            self.put_as_text(if own { known.as_bytes() } else { field_name::mapped(pair.key, self.bump) }, pair);
        }
    }

    fn is_equal(&self, taken: Value<'b>, value: Value<'b>) -> bool {
        match (taken, value) {
            (Value::Text(a), Value::Text(b)) => a.decode(self.bump) == b.decode(self.bump),
            (Value::Int(a), Value::Int(b)) => a == b,
            _ => false,
        }
    }

    /// A field under a key that is not in the dictionary.
    fn unknown(&mut self, pair: &Pair<'b>) {
        let action = self.normalize.prune.action(pair.key);
        if action == PruneAction::Remove {
            return;
        }
        let Some(value) = self.plain(pair, action) else { return };
        let mapped = field_name::mapped(pair.key, self.bump);
        // BloomFilter that a rule gives must not be had by writing them.
        let reserved = mapped.starts_with(b"host_") || mapped.starts_with(b"guest_") || is_typed(mapped);
        if !reserved && mapped == pair.key {
            let key = field_name::key("kata_", mapped, 1, self.bump);
            return if self.is_free(mapped, key) { self.push(key, value) } else { self.put_repeated(mapped, pair) };
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

    /// The same key for the second time; both are kept.
    fn put_repeated(&mut self, name: &[u8], pair: &Pair<'b>) {
        let expected = self.displaced || (pair.id.is_some() && pair.id == self.may_repeat);
        self.facts.flaws.add_if(!expected, Flaw::DuplicateKey);
        // The type belongs to the first, so the second is a string.
        self.put_as_text(name, pair);
    }

    /// The value as a string, under another name than its key's.
    fn put_as_text(&mut self, name: &[u8], pair: &Pair<'b>) {
        if let Some(value) = self.plain(pair, PruneAction::Keep) {
            self.put_free(name, value);
        }
    }

    /// A field under this name; where it is taken, under the name of the host's, or under the first free number.
    fn put_free(&mut self, name: &[u8], value: Value<'b>) {
        let key = field_name::key("kata_", name, 1, self.bump);
        if self.is_free(name, key) {
            return self.push(key, value);
        }
        let prefix = if self.displaced { "kata_host_" } else { "kata_" };
        let stem = field_name::key(prefix, name, 1, self.bump).name();
        let like = self.fields.iter().filter(|field| field.key.name().starts_with(stem)).count();
        for number in like + 1.. {
            let key = field_name::key(prefix, name, number, self.bump);
            let name = key.name().get("kata_".len()..).unwrap_or_default();
            if self.is_free(name, key) {
                return self.push(key, value);
            }
        }
    }

    /// Whether no field has the name yet, which is the key's without `kata_`; it counts as taken from now on.
    fn is_free(&mut self, name: &[u8], key: Key<'b>) -> bool {
        match dictionary::find(name) {
            Some(id) if !id.is_alias() => !self.known.insert(id),
            _ => !self.names.insert(name_hash::hash(name)) || !self.fields.iter().any(|field| field.key == key),
        }
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

    /// The sandbox of an entry that names none: a shim is started with it.
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

/// Whether records have another type than text under the name of a key that is not in the dictionary: `stream.id` is
/// mapped to such a name, and the nanoseconds of a duration have one.
fn is_typed(mapped: &[u8]) -> bool {
    let kind = |name: &[u8]| dictionary::find(name).map(|id| (id.known().kind, id.is_alias()));
    matches!(kind(mapped), Some((kind, alias)) if kind != ValueKind::Text || alias)
        || mapped.strip_suffix(b"_ns").and_then(kind).is_some_and(|(kind, _)| kind == ValueKind::Duration)
}
