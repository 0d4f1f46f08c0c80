//! Makes the record: `kata_` names, one type for each, the host's word kept apart from the guest's.
//!
//! No clock, no environment, no input or output: the same entry gives the same record, always.

pub mod carrier;
pub mod coerce;
pub mod level;
pub mod name;
pub mod prune;

use bumpalo::Bump;
use clap::ValueEnum;
use memchr::memmem;
use serde::Deserialize;

use crate::carrier::Entry;
use crate::component::Component;
use crate::dictionary::{self, DICTIONARY, KeyId, Kind};
use crate::flaw::{Flaw, Flaws};
use crate::names::Names;
use crate::parse::Payload;
use crate::record::{Facts, Field, Form, Key, Level, Pair, PayloadFormat, Record, Text, Value};
use crate::text::escape_bytes;
use crate::time::Stamp;
use prune::{Fate, Prune};

/// What becomes of a nested value that is not pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Nested {
    /// One string of JSON, so that the field keeps its type
    #[default]
    String,
    /// The object or array as it is; the field then has several types
    Keep,
    /// Left out
    Drop,
}

/// What a user may say about the fields of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Carrier fields to keep, with `*`; all where empty.
    pub keep: Vec<String>,
    /// Carrier fields to leave out, with `*`; `!NAME` takes one back.
    pub drop: Vec<String>,
    /// Carrier fields to rename, old and new name.
    pub rename: Vec<(String, String)>,
    /// Carrier field names in lower case.
    pub lowercase: bool,
    /// Carrier field names without their leading underscores.
    pub strip_underscores: bool,
    /// Payload values to leave out, see [`prune`].
    pub prune: Vec<String>,
    /// What becomes of the other nested values.
    pub nested: Nested,
}

/// A part of the settings that could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A pattern of `prune`.
    #[error("prune: {0:?} has an empty segment; write segments between dots, such as \"endpoint.*.Statistics\"")]
    Prune(String),
    /// A pattern of `keep` or `drop`.
    #[error("keep, drop: {0}")]
    Name(#[from] regex::Error),
}

/// The settings, compiled.
#[derive(Debug)]
pub struct Normalize {
    carrier: carrier::Carrier,
    prune: Prune,
    nested: Nested,
    /// For each key of the dictionary its name as a field, and the hash of the name.
    names: Vec<(Box<[u8]>, u64)>,
}

impl Normalize {
    /// Compiles the settings.
    ///
    /// # Errors
    /// Names the setting and what is wrong with it.
    pub fn new(settings: &Settings) -> Result<Normalize, SettingsError> {
        let name = |known: &dictionary::Known| {
            (format!("\"kata_{}\":", known.name).into_bytes().into(), dictionary::hash(known.name.as_bytes()))
        };
        Ok(Normalize {
            carrier: carrier::Carrier::new(settings)?,
            prune: Prune::new(&settings.prune).map_err(SettingsError::Prune)?,
            nested: settings.nested,
            names: DICTIONARY.iter().map(name).collect(),
        })
    }

    /// Fills `record`, which is empty but for its tag, with the carrier's fields.
    pub fn carrier<'b>(&self, entry: &Entry<'b>, bump: &'b Bump, record: &mut Record<'b>) {
        self.carrier.fields(&entry.fields, bump, &mut record.carrier, &mut record.escaped);
    }

    /// Fills `record` with what is known of an entry of Kata's and what its payload says.
    pub fn payload<'b>(
        &'b self,
        entry: &Entry<'b>,
        payload: &Payload<'b>,
        component: Component,
        bump: &'b Bump,
        record: &mut Record<'b>,
    ) {
        let mut flaws = entry.flaws;
        flaws.merge(payload.flaws);
        let mut builder = Builder {
            rules: self,
            bump,
            record,
            names: Names::default(),
            may_repeat: (payload.guest || payload.format == PayloadFormat::Slog).then_some(KeyId::MSG),
            sandbox_is_source: payload.is_runtime_rs(bump),
            displaced: false,
            time: None,
            level: None,
            flaws,
        };
        let guest = if payload.guest { Side::Guest } else { Side::Host };
        builder.pairs(&payload.inner, guest, payload);
        if let Some(uptime) = payload.uptime {
            builder.place(b"guest_uptime_ns", Value::Int(uptime));
        }
        builder.displaced = payload.writer.is_some();
        builder.pairs(&payload.pairs, Side::Host, payload);
        builder.sandbox_of_shim(entry);
        let level = builder.level.or_else(|| level::of_priority(entry, payload.format));
        let time = builder.time.or(entry.time);
        flaws = builder.flaws;
        flaws.add_if(time.is_none(), Flaw::NoTime);
        flaws.add_if(!record.escaped.is_empty(), Flaw::NotUtf8);
        record.facts = Some(Facts { time, level, component, format: payload.format, guest: payload.guest, flaws });
    }
}

/// Whose word a pair is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Host,
    Guest,
}

/// Gives bytes that are not UTF-8 their defined form, and notes the field.
pub(crate) fn settled<'b>(text: Text<'b>, key: Key<'b>, bump: &'b Bump, escaped: &mut Vec<Key<'b>>) -> Text<'b> {
    if text.form != Form::Bytes {
        return text;
    }
    if escaped.last() != Some(&key) {
        escaped.push(key);
    }
    escape_bytes(text.bytes, bump)
}

struct Builder<'r, 'b> {
    rules: &'b Normalize,
    bump: &'b Bump,
    record: &'r mut Record<'b>,
    names: Names,
    /// Some loggers of the agent write `msg` twice on every entry; the first is the one meant.
    may_repeat: Option<KeyId>,
    sandbox_is_source: bool,
    /// The pairs at hand are the host's, and another writer's have their names.
    displaced: bool,
    time: Option<Stamp>,
    level: Option<Level>,
    flaws: Flaws,
}

impl<'b> Builder<'_, 'b> {
    /// All pairs of a side: first those under their own names, then aliases, which give way.
    fn pairs(&mut self, pairs: &[Pair<'b>], side: Side, payload: &Payload<'b>) {
        let mut aliases = false;
        for pair in pairs {
            match self.id(pair, side) {
                Some(id) if id.is_alias() => aliases = true,
                id => self.pair(pair, id, side, payload),
            }
        }
        if aliases {
            for pair in pairs {
                match self.id(pair, side) {
                    Some(id) if id.is_alias() => self.pair(pair, Some(id), side, payload),
                    _ => {}
                }
            }
        }
    }

    /// The key that the pair counts as: runtime-rs writes the sandbox as its `source`.
    #[inline]
    fn id(&self, pair: &Pair<'b>, side: Side) -> Option<KeyId> {
        if pair.id == Some(KeyId::SOURCE) && side == Side::Host && self.sandbox_is_source {
            return Some(KeyId::SANDBOX);
        }
        pair.id
    }

    #[inline]
    fn pair(&mut self, pair: &Pair<'b>, id: Option<KeyId>, side: Side, payload: &Payload<'b>) {
        let fate = self.rules.prune.fate(id, pair.key, pair.hash);
        if fate == Fate::Go {
            return;
        }
        let Some(id) = id else {
            return self.unknown(pair, fate);
        };
        let known = id.known();
        if side == Side::Guest && (known.kind == Kind::Time || known.name == "pid" || known.name == "sandbox") {
            return self.guest_identity(pair, known.name, payload);
        }
        match known.kind {
            Kind::Text => {
                if let Some(value) = self.plain(pair, fate) {
                    self.known(id, pair, value);
                }
            }
            Kind::Time => self.time(pair),
            Kind::Level => self.level(pair),
            Kind::Count | Kind::Int => {
                let Some(text) = self.typed(pair) else { return };
                let least = if known.kind == Kind::Count { 0 } else { i64::MIN };
                match coerce::int(text).filter(|value| *value >= least) {
                    Some(value) => self.known(id, pair, Value::Int(value)),
                    None => {
                        self.flaws.add(Flaw::NotANumber);
                        self.beside(name::joined(known.name, b"_text", self.bump), pair);
                    }
                }
            }
            Kind::Bool => {
                let Some(text) = self.typed(pair) else { return };
                match coerce::bool(text) {
                    Some(value) => self.known(id, pair, Value::Bool(value)),
                    None => self.beside(name::joined(known.name, b"_text", self.bump), pair),
                }
            }
            Kind::Duration => {
                let nanos = self.typed(pair).and_then(coerce::duration);
                if let Some(value) = self.plain(pair, fate) {
                    self.known(id, pair, value);
                }
                if let Some(nanos) = nanos {
                    let name = name::joined(known.name, b"_ns", self.bump);
                    let key = name::key("kata_", name, 1, self.bump);
                    if self.is_free(key, dictionary::hash(name)) {
                        self.push(key, Value::Int(nanos));
                    }
                }
            }
        }
    }

    /// The content of a value that is to have a type; none where it is empty, which says nothing.
    fn typed(&self, pair: &Pair<'b>) -> Option<&'b [u8]> {
        let text = match pair.value {
            Value::Text(text) => text.decode(self.bump),
            Value::Bool(true) => b"true",
            Value::Bool(false) => b"false",
            _ => return matches!(pair.value, Value::Nested(_)).then_some(b"{".as_slice()),
        };
        (!text.is_empty()).then_some(text)
    }

    /// The value as a string, whatever the writer's format made of it; none where it is left out.
    #[inline]
    fn plain(&mut self, pair: &Pair<'b>, fate: Fate) -> Option<Value<'b>> {
        Some(match pair.value {
            Value::Text(text) if fate == Fate::GoIfNested && coerce::is_go_blob(text.decode(self.bump)) => return None,
            Value::Bool(bool) => Value::Text(Text::clean(if bool { b"true" } else { b"false" })),
            // What Go prints for it in logfmt.
            Value::Null => Value::Text(Text::clean(b"<nil>")),
            Value::Nested(raw) => return self.nested(pair.key, raw, fate),
            value => value,
        })
    }

    fn nested(&mut self, key: &[u8], raw: &'b [u8], fate: Fate) -> Option<Value<'b>> {
        let raw = match fate {
            Fate::Go | Fate::GoIfNested => return None,
            Fate::Stay => raw,
            Fate::Walk => match self.rules.prune.walk(key, raw) {
                Ok(left) => self.bump.alloc_slice_copy(&left?),
                Err(_) => {
                    self.flaws.add(Flaw::BadJson);
                    raw
                }
            },
        };
        match self.rules.nested {
            Nested::Drop => None,
            Nested::String => Some(Value::Text(Text::plain(raw))),
            // Written anew, so that it is valid and on one line.
            Nested::Keep => {
                match serde_json::from_slice(raw).and_then(|value: serde_json::Value| serde_json::to_vec(&value)) {
                    Ok(compact) => Some(Value::Nested(self.bump.alloc_slice_copy(&compact))),
                    Err(_) => {
                        self.flaws.add(Flaw::BadJson);
                        Some(Value::Text(Text::plain(raw)))
                    }
                }
            }
        }
    }

    fn time(&mut self, pair: &Pair<'b>) {
        match self.typed(pair) {
            None => {}
            Some(text) => match Stamp::parse(text) {
                Some(stamp) if self.time.is_none() => self.time = Some(stamp),
                Some(_) => {
                    self.flaws.add_if(pair.id == Some(KeyId::TIME), Flaw::DuplicateKey);
                    self.beside(b"time_text", pair);
                }
                None => {
                    self.flaws.add(Flaw::BadTime);
                    self.beside(b"time_text", pair);
                }
            },
        }
    }

    fn level(&mut self, pair: &Pair<'b>) {
        match self.typed(pair) {
            None => {}
            Some(text) => match level::parse(text) {
                Some(level) if self.level.is_none() => self.level = Some(level),
                Some(level) => {
                    self.flaws.add_if(!self.displaced, Flaw::DuplicateKey);
                    let name: &[u8] = if self.displaced { b"host_level" } else { b"level_2" };
                    self.place(name, Value::Text(Text::clean(level.name().as_bytes())));
                }
                None => {
                    self.flaws.add(Flaw::BadLevel);
                    self.beside(b"level_text", pair);
                }
            },
        }
    }

    /// The guest's claim of what only the host can say: kept, under a name that says so.
    fn guest_identity(&mut self, pair: &Pair<'b>, name: &str, payload: &Payload<'b>) {
        let Some(text) = self.typed(pair) else { return };
        match name {
            "time" => match Stamp::parse(text) {
                Some(stamp) => self.place(b"guest_time", Value::Time(stamp)),
                None => {
                    self.flaws.add(Flaw::BadTime);
                    self.beside(b"guest_time_text", pair);
                }
            },
            "pid" => match coerce::int(text).filter(|pid| *pid >= 0) {
                Some(pid) => self.place(b"guest_pid", Value::Int(pid)),
                None => {
                    self.flaws.add(Flaw::NotANumber);
                    self.beside(b"guest_pid_text", pair);
                }
            },
            _ if payload.host(KeyId::SANDBOX, self.bump) == Some(text) => {}
            _ => self.beside(b"guest_sandbox", pair),
        }
    }

    /// A field under a name of the dictionary.
    #[inline]
    fn known(&mut self, id: KeyId, pair: &Pair<'b>, value: Value<'b>) {
        let (token, hash) = &self.rules.names[usize::from(id.0)];
        let key = Key(token);
        if self.is_free(key, *hash) {
            return self.push(key, value);
        }
        if !id.is_alias() {
            return self.met(id.known().name.as_bytes(), pair);
        }
        let taken = self.record.payload.iter().find(|field| field.key == key);
        if !taken.is_some_and(|field| self.says_the_same(field.value, value)) {
            // The type belongs to the name that was taken, so this is a string. A key that katalog took the name of
            // does not get it back by coming twice.
            let known = id.known().name;
            let own = known.starts_with("fields_");
            self.beside(if own { known.as_bytes() } else { name::mapped(pair.key, self.bump) }, pair);
        }
    }

    fn says_the_same(&self, taken: Value<'b>, value: Value<'b>) -> bool {
        match (taken, value) {
            (Value::Text(a), Value::Text(b)) => a.decode(self.bump) == b.decode(self.bump),
            (Value::Int(a), Value::Int(b)) => a == b,
            _ => false,
        }
    }

    /// A field under a key that is not in the dictionary.
    fn unknown(&mut self, pair: &Pair<'b>, fate: Fate) {
        let Some(value) = self.plain(pair, fate) else { return };
        let mapped = name::mapped(pair.key, self.bump);
        // Names that a rule gives must not be had by writing them.
        let reserved = mapped.starts_with(b"host_") || mapped.starts_with(b"guest_");
        if mapped == pair.key && !reserved {
            let key = name::key("kata_", mapped, 1, self.bump);
            return if self.is_free(key, pair.hash) { self.push(key, value) } else { self.met(mapped, pair) };
        }
        self.flaws.add_if(pair.key.iter().any(u8::is_ascii_control), Flaw::BadKey);
        self.flaws.add_if(memmem::find(pair.key, b"%!").is_some(), Flaw::GoFormatError);
        if pair.key.len() > name::LONGEST {
            self.flaws.add(Flaw::BadKey);
            self.place(b"words", Value::Text(Text::plain(pair.key)));
        }
        if reserved {
            return self.place(name::joined("fields_", mapped, self.bump), value);
        }
        self.place(mapped, value);
    }

    /// The same key for the second time; both are kept.
    fn met(&mut self, name: &[u8], pair: &Pair<'b>) {
        let expected = self.displaced || (pair.id.is_some() && pair.id == self.may_repeat);
        self.flaws.add_if(!expected, Flaw::DuplicateKey);
        // The type belongs to the first, so the second is a string.
        if let Some(value) = self.plain(pair, Fate::Stay) {
            self.place(name, value);
        }
    }

    /// The text of a value that has not the type of its key.
    fn beside(&mut self, name: &[u8], pair: &Pair<'b>) {
        if let Some(value) = self.plain(pair, Fate::Stay) {
            self.place(name, value);
        }
    }

    /// A field under this name; where it is taken, under the name of the host's, or under the first free number.
    fn place(&mut self, name: &[u8], value: Value<'b>) {
        let key = name::key("kata_", name, 1, self.bump);
        if self.is_free(key, dictionary::hash(name)) {
            return self.push(key, value);
        }
        let prefix = if self.displaced { "kata_host_" } else { "kata_" };
        let first = name::key(prefix, name, 1, self.bump);
        let stem = first.name();
        let like = self.record.payload.iter().filter(|field| field.key.name().starts_with(stem)).count();
        for number in like + 1.. {
            let key = name::key(prefix, name, number, self.bump);
            let hash = dictionary::hash(key.name().get("kata_".len()..).unwrap_or_default());
            if self.is_free(key, hash) {
                return self.push(key, value);
            }
        }
    }

    /// Whether no field has the name yet; it counts as taken from now on.
    #[inline]
    fn is_free(&mut self, key: Key<'b>, hash: u64) -> bool {
        !self.names.insert(hash) || !self.record.payload.iter().any(|field| field.key == key)
    }

    #[inline]
    fn push(&mut self, key: Key<'b>, value: Value<'b>) {
        let value = match value {
            Value::Text(text) => Value::Text(settled(text, key, self.bump, &mut self.record.escaped)),
            value => value,
        };
        self.record.payload.push(Field { key, value });
    }

    /// The sandbox of an entry that names none: a shim is started with it.
    fn sandbox_of_shim(&mut self, entry: &Entry<'b>) {
        let (token, hash) = &self.rules.names[usize::from(KeyId::SANDBOX.0)];
        let Some(line) = entry.command_line else { return };
        if self.names.has(*hash) && self.record.payload.iter().any(|field| field.key == Key(token)) {
            return;
        }
        let mut words = line.decode(self.bump).split(|byte| *byte == b' ');
        if words.any(|word| word == b"-id")
            && let Some(id) = words.next().filter(|id| !id.is_empty())
        {
            self.names.insert(*hash);
            self.push(Key(token), Value::Text(Text::plain(id)));
        }
    }
}
