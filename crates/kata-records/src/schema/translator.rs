//! A translator of records into another schema. Values and order stay, except that identifying fields come first.

use std::mem;

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use super::{DERIVED, ECS_VERSION, ENVELOPE, FieldType, PAYLOAD, Schema, SchemaRow};
use crate::dictionary::{self, DICTIONARY, KeyId, KnownKey};
use crate::name_hash;
use crate::name_map::{CopyNumbers, NameMap, NameSet};
use crate::normalize::{coerce, field_name};
use crate::origin::Origin;
use crate::record::{Field, Key, Level, OwnedKey, Record, Text, Value};
use crate::time::UtcTimestamp;

/// The only program of the guest whose name is used, because no program of the host has it.
const AGENT: &[u8] = b"kata-agent";

/// The limit above which memory is freed after a record. Only giant entries exceed it.
const KEPT: usize = 1 << 20;

/// A translator of records. It keeps buffers, so each worker has its own.
#[derive(Debug)]
pub(crate) struct Translator {
    tables: Tables,
    bump: Bump,
    spare: Record<'static>,
}

/// The names for a key of the dictionary.
#[derive(Debug)]
struct Target {
    /// The name in the schema.
    name: OwnedKey,
    /// The name if the schema's name does not apply.
    own: OwnedKey,
    /// The type that the schema's name requires.
    kind: FieldType,
    is_host: bool,
}

/// A compiled schema.
#[derive(Debug)]
struct Tables {
    schema: Schema,
    /// The names by rows of the dictionary.
    payload: Vec<Target>,
    envelope: Vec<Target>,
    /// The names of own fields, which come first in records.
    users: Vec<OwnedKey>,
    body: OwnedKey,
    time: OwnedKey,
    /// The name of a time that the schema's form cannot hold.
    time_text: OwnedKey,
    level: OwnedKey,
    /// The names of [`DERIVED`] fields, in their order.
    made: [Option<OwnedKey>; DERIVED.len()],
    component: OwnedKey,
    format: OwnedKey,
    origin: OwnedKey,
    guest: OwnedKey,
    flaws: OwnedKey,
    escaped: OwnedKey,
    redacted: OwnedKey,
}

impl Translator {
    /// Returns a translator into a schema other than katalog's. `users` are the names of own fields. In events of the
    /// forward protocol the message is `message`, which OpenTelemetry's receiver takes as the body
    /// (opentelemetry-collector-contrib: `receiver/fluentforwardreceiver`).
    #[must_use]
    pub(crate) fn new(schema: Schema, users: &[String], for_events: bool) -> Translator {
        let (kata, _) = schema.prefixes();
        let own = |name: &str| OwnedKey::new(&format!("{kata}{name}"));
        let find = |from: &str| PAYLOAD.iter().find(|row| row.from == from).and_then(|row| schema.field_name(row));
        let named = |from: &str| find(from).map_or_else(|| own(from), OwnedKey::new);
        let tables = Tables {
            schema,
            payload: targets(schema, kata, PAYLOAD),
            envelope: targets(schema, schema.prefixes().1, ENVELOPE),
            users: users.iter().map(|name| OwnedKey::new(name)).collect(),
            body: if for_events { OwnedKey::new("message") } else { named("msg") },
            time: named("time"),
            time_text: own("time"),
            level: named("level"),
            made: DERIVED.each_ref().map(|row| schema.field_name(row).map(OwnedKey::new)),
            component: own("component"),
            format: own("format"),
            origin: own("origin"),
            guest: own("guest"),
            flaws: own("flaws"),
            escaped: own("escaped"),
            redacted: own("redacted"),
        };
        Translator { tables, bump: Bump::new(), spare: Record::default() }
    }

    /// Passes the translated record to `encode`. All of its fields have final names.
    pub(crate) fn translate<R>(&mut self, record: &Record<'_>, encode: impl FnOnce(&mut Record<'_>) -> R) -> R {
        let Translator { tables, bump, spare } = self;
        let mut translation = Translation {
            tables,
            bump,
            out: mem::take(spare).recycle(),
            names: NameSet::default(),
            copies: CopyNumbers::default(),
            has_lists: !record.escaped.is_empty() || !record.redacted.is_empty(),
            escaped: NameList::new(&record.escaped),
            redacted: NameList::new(&record.redacted),
        };
        translation.fill(record);
        let mut out = translation.out;
        let result = encode(&mut out);
        *spare = out.recycle();
        if bump.allocated_bytes() > KEPT {
            *bump = Bump::new();
        }
        bump.reset();
        result
    }
}

fn targets(schema: Schema, prefix: &str, rows: &[SchemaRow]) -> Vec<Target> {
    let target = |known: &KnownKey| {
        let bump = Bump::new();
        let own = format!("{prefix}{}", String::from_utf8_lossy(field_name::mapped(known.key.as_bytes(), &bump)));
        let row = rows.iter().find(|row| row.from == known.key);
        Target {
            name: OwnedKey::new(row.and_then(|row| schema.field_name(row)).unwrap_or(&own)),
            own: OwnedKey::new(&own),
            kind: row.map_or(FieldType::Text, |row| row.kind),
            is_host: row.is_some_and(|row| row.is_host),
        }
    };
    DICTIONARY.iter().map(target).collect()
}

/// The translation of one record.
struct Translation<'b, 'r> {
    tables: &'b Tables,
    bump: &'b Bump,
    out: Record<'b>,
    /// The names that envelope fields use.
    names: NameSet<'b>,
    copies: CopyNumbers<'b>,
    /// A list below names a field.
    has_lists: bool,
    /// The original names of fields that were not UTF-8.
    escaped: NameList<'b, 'r>,
    /// The original names of fields in which a secret was replaced.
    redacted: NameList<'b, 'r>,
}

/// A list of names that is searched for each field.
struct NameList<'b, 'r> {
    keys: &'r [Key<'b>],
    /// The names, if there are too many for a comparison with each.
    many: Option<NameMap<'b, ()>>,
}

impl<'b, 'r> NameList<'b, 'r> {
    /// The number of names up to which each is compared. Few records have more.
    const FEW: usize = 8;

    fn new(keys: &'r [Key<'b>]) -> NameList<'b, 'r> {
        let map = || {
            let mut map = NameMap::with_capacity(keys.len());
            keys.iter().for_each(|key| *map.entry(name_hash::hash(key.name()), key.name(), ()) = ());
            map
        };
        NameList { keys, many: (keys.len() > NameList::FEW).then(map) }
    }

    fn contains(&self, key: Key<'b>) -> bool {
        match &self.many {
            Some(many) => many.get(name_hash::hash(key.name()), key.name()).is_some(),
            None => self.keys.contains(&key),
        }
    }
}

impl<'b> Translation<'b, '_> {
    fn fill(&mut self, record: &Record<'b>) {
        let Translation { tables, bump, .. } = *self;
        let (users, envelope) = record.envelope.split_at(tables.users.len().min(record.envelope.len()));
        for (field, name) in users.iter().zip(&tables.users) {
            self.is_taken(name.key());
            self.head(name, field.value);
        }
        let facts = record.facts.as_ref();
        if let Some(stamp) = facts.and_then(|facts| facts.time).or(record.time) {
            match self.moment(stamp) {
                Some(value) => self.head(&tables.time, value),
                None => self.head(&tables.time_text, Value::Time(bump.alloc(stamp))),
            }
        }
        let [number, logger, priority, hostname, version] = &tables.made;
        if let Some(level) = facts.and_then(|facts| facts.level) {
            self.head(&tables.level, word(level.name()));
            if let Some(number) = number {
                self.head(number, Value::Int(severity(level)));
            }
        }
        if let Some(facts) = facts {
            self.tail(&tables.component, word(facts.component.name()));
            self.tail(&tables.format, word(facts.format.name()));
            self.tail(&tables.origin, word(facts.origin.name()));
            if facts.origin == Origin::Guest {
                self.tail(&tables.guest, Value::Bool(true));
            }
        }
        self.payload(&record.payload, facts.is_some_and(|facts| facts.origin == Origin::Guest));
        if let Some(version) = version {
            self.head(version, word(ECS_VERSION));
        }
        if let Some(logger) = logger {
            self.logger(logger, &record.payload);
        }
        for field in envelope {
            self.envelope(field, facts.is_some());
            if field.key.name() == b"_HOSTNAME"
                && let Some(hostname) = hostname
            {
                self.note(field.key, hostname.key());
                self.head(hostname, field.value);
            }
        }
        if let Some(name) = priority {
            self.priority(name, envelope);
        }
        if let Some(facts) = facts.filter(|facts| !facts.flaws.is_empty()) {
            let names = facts.flaws.iter().map(|flaw| Text::clean(flaw.name().as_bytes()));
            self.tail(&tables.flaws, Value::List(BumpVec::from_iter_in(names, bump).into_bump_slice()));
        }
        for (name, keys) in [(&tables.escaped, &mut self.out.escaped), (&tables.redacted, &mut self.out.redacted)] {
            if !keys.is_empty() {
                let names = BumpVec::from_iter_in(keys.drain(..).map(|key| Text::clean(key.name())), bump);
                self.out.payload.push(Field::new(name.key(), Value::List(names.into_bump_slice())));
            }
        }
    }

    fn head(&mut self, name: &'b OwnedKey, value: Value<'b>) {
        self.out.envelope.push(Field::new(name.key(), value));
    }

    fn tail(&mut self, name: &'b OwnedKey, value: Value<'b>) {
        self.out.payload.push(Field::new(name.key(), value));
    }

    /// Adds the new name of a field to the lists that name the field. Few records have any.
    #[inline]
    fn note(&mut self, old: Key<'b>, new: Key<'b>) {
        if self.has_lists {
            self.note_listed(old, new);
        }
    }

    #[cold]
    fn note_listed(&mut self, old: Key<'b>, new: Key<'b>) {
        if self.escaped.contains(old) {
            self.out.escaped.push(new);
        }
        if self.redacted.contains(old) {
            self.out.redacted.push(new);
        }
    }

    fn payload(&mut self, fields: &[Field<'b>], guest: bool) {
        let tables = self.tables;
        for field in fields {
            let name = field.key.name().strip_prefix(b"kata_").unwrap_or(field.key.name());
            let id = dictionary::find(name).filter(|id| !id.is_alias());
            if id == Some(KeyId::MSG) {
                self.note(field.key, tables.body.key());
                self.head(&tables.body, field.value);
                continue;
            }
            let key = match id.and_then(|id| tables.payload.get(id.row())) {
                Some(target) if guest && target.is_host && !(id == Some(KeyId::NAME) && self.is_agent(field.value)) => {
                    target.own.key()
                }
                Some(target) => target.name.key(),
                None => field_name::key(tables.schema.prefixes().0, name, 1, self.bump),
            };
            self.note(field.key, key);
            self.out.payload.push(Field::new(key, field.value));
        }
    }

    fn is_agent(&self, value: Value<'b>) -> bool {
        matches!(value, Value::Text(text) if text.decode(self.bump) == AGENT)
    }

    /// Adds the name of the program's part that wrote the entry.
    fn logger(&mut self, name: &'b OwnedKey, fields: &[Field<'b>]) {
        let mut out = BumpVec::new_in(self.bump);
        for part in [&b"kata_source"[..], b"kata_subsystem"] {
            let Some(field) = fields.iter().find(|field| field.key.name() == part) else { continue };
            let Value::Text(text) = field.value else { continue };
            if !out.is_empty() {
                out.push(b'.');
            }
            out.extend_from_slice_copy(text.decode(self.bump));
            if self.escaped.contains(field.key) && self.out.escaped.last() != Some(&name.key()) {
                self.out.escaped.push(name.key());
            }
            if self.redacted.contains(field.key) && self.out.redacted.last() != Some(&name.key()) {
                self.out.redacted.push(name.key());
            }
        }
        if !out.is_empty() {
            self.head(name, Value::Text(Text::plain(out.into_bump_slice())));
        }
    }

    /// Adds a field of the envelope. The message of another program becomes the body.
    fn envelope(&mut self, field: &Field<'b>, is_kata: bool) {
        let Tables { schema, envelope, body, .. } = self.tables;
        let name = field.key.name();
        let prefix = schema.prefixes().1;
        let id = dictionary::find(name);
        let target = id.and_then(|id| envelope.get(id.row()));
        let converted = target.and_then(|target| Some((target, self.converted(target.kind, field.value)?)));
        let (mut key, value) = match (converted, target) {
            (Some(_), _) if id == Some(KeyId::MESSAGE) && !is_kata => (body.key(), field.value),
            (Some((target, value)), _) => (target.name.key(), value),
            (None, Some(target)) => (target.own.key(), field.value),
            (None, None) => (field_name::key(prefix, field_name::mapped(name, self.bump), 1, self.bump), field.value),
        };
        // Shared fields are equal in all records, except for the message.
        let mut number = if id == Some(KeyId::MESSAGE) { 0 } else { field.number };
        if self.is_taken(key) {
            number = 0;
            let own = field_name::mapped(name, self.bump);
            key = field_name::key(prefix, own, 1, self.bump);
            while self.is_taken(key) {
                let last = self.copies.last(own);
                *last += 1;
                key = field_name::key(prefix, own, *last, self.bump);
            }
            // The value is unchanged, because the name implies no type.
            self.note(field.key, key);
            return self.out.envelope.push(Field { key, number, value: field.value });
        }
        self.note(field.key, key);
        self.out.envelope.push(Field { key, number, value });
    }

    /// Returns whether a name is taken, and marks it as taken.
    fn is_taken(&mut self, key: Key<'b>) -> bool {
        let names = self.out.envelope.iter().map(|field| field.key.name());
        !self.names.insert(name_hash::hash(key.name()), || key.name(), names)
    }

    /// Converts a value of the envelope to its type. Returns `None` if the value has another type.
    fn converted(&self, kind: FieldType, value: Value<'b>) -> Option<Value<'b>> {
        match kind {
            FieldType::Count => self.count(value).map(Value::Int),
            FieldType::Moment => {
                let Value::Text(text) = value else { return None };
                let text = text.decode(self.bump);
                let micros = || std::str::from_utf8(text).ok()?.parse().ok().and_then(UtcTimestamp::from_micros);
                self.moment(UtcTimestamp::parse(text).or_else(micros)?)
            }
            _ => Some(value),
        }
    }

    fn count(&self, value: Value<'b>) -> Option<i64> {
        let Value::Text(text) = value else { return None };
        coerce::int(text.decode(self.bump)).filter(|count| *count >= 0)
    }

    /// Returns a time in the form of the schema, or `None` if the form cannot hold it.
    fn moment(&self, stamp: UtcTimestamp) -> Option<Value<'b>> {
        if self.tables.schema.resolve(FieldType::Moment) == FieldType::Time {
            return Some(Value::Time(self.bump.alloc(stamp)));
        }
        stamp.unix()?.total_nanos().map(Value::Int)
    }

    /// Adds the priority of a syslog line (RFC 5424, section 6.2.1).
    fn priority(&mut self, name: &'b OwnedKey, envelope: &[Field<'b>]) {
        let count = |name: &[u8]| {
            let field = envelope.iter().find(|field| field.key.name() == name)?;
            self.count(field.value)
        };
        if let Some(severity @ 0..8) = count(b"PRIORITY")
            && let Some(facility @ 0..24) = count(b"SYSLOG_FACILITY")
        {
            self.head(name, Value::Int(facility * 8 + severity));
        }
    }
}

fn word<'b>(text: &'static str) -> Value<'b> {
    Value::Text(Text::clean(text.as_bytes()))
}

/// Returns the severity number of a level (OpenTelemetry: logs data model, `SeverityNumber`).
const fn severity(level: Level) -> i64 {
    match level {
        Level::Trace => 1,
        Level::Debug => 5,
        Level::Info => 9,
        Level::Warning => 13,
        Level::Error => 17,
        Level::Critical => 18,
    }
}
