//! Makes a record of one that katalog wrote before. The stages before have done their work, so none of them looks at it
//! again: only the selection of components, the fields of the envelope and the redaction apply.
//!
//! A record comes out as it came in. Its origin alone changes: nothing but the operator's word proves that katalog wrote
//! it, so `host` becomes `vouched`.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use crate::component::Component;
use crate::dictionary::{self, ValueKind};
use crate::envelope::{self, Entry};
use crate::flaw::{Flaw, Flaws};
use crate::name_hash;
use crate::name_map::NameMap;
use crate::normalize::{NamedFieldCache, field_name};
use crate::origin::Origin;
use crate::own_fields;
use crate::own_record::{PREFIX, RecordAuthor, by_name, value};
use crate::record::{EnvelopeHead, Facts, Field, Key, Level, Pair, PayloadFormat, Record, Text, Value};
use crate::redact_record;
use crate::rules::Rules;
use crate::select::Others;
use crate::stats::DropReason;
use crate::template;
use crate::time::{UnixTime, UtcTimestamp};

/// Fills `record` from the members in `entry`; both must hold nothing else. Returns the reason if no record is wanted.
/// `id` is the id of a record without one.
pub(crate) fn reread<'b>(
    rules: &'b Rules,
    author: RecordAuthor,
    id: &'b [u8],
    bump: &'b Bump,
    cache: &mut NamedFieldCache<'b>,
    entry: &mut Entry<'b>,
    record: &mut Record<'b>,
) -> Option<DropReason> {
    match author {
        RecordAuthor::Kata(component, _) if !rules.select.wants(component) => return Some(DropReason::Component),
        RecordAuthor::Other if rules.others == Others::Drop => return Some(DropReason::Others),
        RecordAuthor::Kata(..) | RecordAuthor::Other => {}
    }
    let members = std::mem::take(&mut entry.members);
    let is_of_envelope = |member: &&Pair<'_>| !member.key.starts_with(PREFIX) && !matches!(member.value, Value::Null);
    entry.fields.extend(members.iter().filter(is_of_envelope));
    envelope::extract(bump, entry);
    if rules.heads {
        let program = Some(template::identifier_part(entry.identifier, bump));
        record.head = EnvelopeHead { program, ..entry.head(bump) };
    }
    match author {
        RecordAuthor::Kata(component, format) => {
            let mut payload =
                PayloadReader { members: &members, bump, flaws: Flaws::default(), fields: &mut record.payload };
            record.facts = Some(payload.read(component, format));
        }
        RecordAuthor::Other => other(&members, entry, bump, record),
    }
    add_own_fields(rules, author, id, bump, entry, record);
    rules.normalize.envelope(entry, bump, cache, record);
    list_fields(rules, &members, bump, record);
    entry.members = members;
    None
}

/// Reads the fields with names of katalog's.
struct PayloadReader<'r, 'b> {
    members: &'r [Pair<'b>],
    bump: &'b Bump,
    flaws: Flaws,
    fields: &'r mut Vec<Field<'b>>,
}

impl<'b> PayloadReader<'_, 'b> {
    /// Returns the facts, and adds the other fields.
    fn read(&mut self, component: Component, format: PayloadFormat) -> Facts {
        let (mut time, mut level) = (None, None);
        for member in self.members {
            let Some(name) = member.key.strip_prefix(PREFIX) else { continue };
            match name {
                b"component" | b"format" | b"origin" | b"guest" | b"escaped" | b"redacted" => {}
                // The record before may be missing now.
                b"delta_ns" => {}
                b"time" => {
                    time = stamp(member.value);
                    if time.is_none() {
                        self.unreadable(Flaw::BadTime, b"time_text", member.value);
                    }
                }
                b"level" => {
                    level = by_name(Level::ALL, Level::name, member.value);
                    if level.is_none() {
                        self.unreadable(Flaw::BadLevel, b"level_text", member.value);
                    }
                }
                b"flaws" => self.flaws(member.value),
                _ => self.field(name, member.value),
            }
        }
        let origin = origin(self.members);
        self.flaws.add_if(origin == Origin::Unproven, Flaw::UnprovenOrigin);
        Facts { time, level, component, format, origin, flaws: self.flaws }
    }

    /// Adds the flaws of a list. A word of another version stays, in a field of its own.
    fn flaws(&mut self, value: Value<'b>) {
        let texts = if let Value::List(texts) = value { texts } else { &[] };
        let flaws = texts.iter().map(|text| by_name(Flaw::ALL, Flaw::name, Value::Text(*text)));
        let mut are_known = !texts.is_empty();
        for flaw in flaws {
            are_known &= flaw.is_some();
            flaw.into_iter().for_each(|flaw| self.flaws.add(flaw));
        }
        if !are_known {
            self.put_text(b"flaws_text", value);
        }
    }

    fn unreadable(&mut self, flaw: Flaw, name: &'b [u8], value: Value<'b>) {
        self.flaws.add(flaw);
        self.put_text(name, value);
    }

    /// Adds a field. Somebody may have edited the record, and a name has one type.
    fn field(&mut self, name: &'b [u8], value: Value<'b>) {
        let kind = kind(name);
        let value = match (kind, value) {
            (_, Value::Null) => return,
            (ValueKind::Count | ValueKind::Int, Value::Int(_)) | (ValueKind::Bool, Value::Bool(_)) => value,
            (ValueKind::Count | ValueKind::Int | ValueKind::Bool, _) => {
                self.flaws.add_if(kind != ValueKind::Bool, Flaw::NotANumber);
                return self.put_text(with_text(name, self.bump), value);
            }
            (ValueKind::Time, _) => match stamp(value) {
                Some(stamp) => Value::Time(self.bump.alloc(stamp)),
                None => return self.unreadable(Flaw::BadTime, with_text(name, self.bump), value),
            },
            (_, Value::Nested(raw)) if matches!(raw.first(), Some(b'{' | b'[')) => compact(raw, self.bump),
            (_, Value::Text(_) | Value::List(_)) => value,
            (_, _) => Value::Text(as_text(value, self.bump)),
        };
        self.fields.push(Field::new(field_name::key("kata_", name, 1, self.bump), value));
    }

    /// Adds a value as text under another name than its own, or under a copy of this name if the record has it.
    fn put_text(&mut self, name: &'b [u8], value: Value<'b>) {
        let is_taken = |key: &Key<'_>| self.members.iter().any(|member| member.key == key.name());
        let key = (1..).map(|number| field_name::key("kata_", name, number, self.bump)).find(|key| !is_taken(key));
        let Some(key) = key else { return };
        self.fields.push(Field::new(key, Value::Text(as_text(value, self.bump))));
    }
}

/// Returns the name for a value that has not the type of its field.
fn with_text<'b>(name: &[u8], bump: &'b Bump) -> &'b [u8] {
    BumpVec::from_iter_in(name.iter().chain(b"_text").copied(), bump).into_bump_slice()
}

/// Returns the type of the fields with a name, which follows `kata_`.
fn kind(name: &[u8]) -> ValueKind {
    let is_claim = |base: &[u8]| {
        let number = name.strip_prefix(base).map(|rest| rest.strip_prefix(b"_").unwrap_or(rest));
        number.is_some_and(|number| number.iter().all(u8::is_ascii_digit))
    };
    if name == b"guest_uptime_ns" || is_claim(b"guest_pid") {
        return ValueKind::Int;
    }
    if is_claim(b"guest_time") {
        return ValueKind::Time;
    }
    let known = |name| dictionary::find(name).filter(|id| !id.is_alias()).map(|id| id.known().kind);
    let is_duration = |name| known(name) == Some(ValueKind::Duration);
    match known(name) {
        Some(kind @ (ValueKind::Count | ValueKind::Int | ValueKind::Bool)) => kind,
        None if name.strip_suffix(b"_ns").is_some_and(is_duration) => ValueKind::Int,
        _ => ValueKind::Text,
    }
}

/// Returns the origin of a record. Nothing proves that the host wrote its text, apart from the operator's word.
fn origin(members: &[Pair<'_>]) -> Origin {
    if matches!(value(members, b"kata_guest"), Some(Value::Bool(true))) {
        return Origin::Guest;
    }
    match value(members, b"kata_origin").and_then(|value| by_name(Origin::ALL, Origin::name, value)) {
        Some(Origin::Host) => Origin::Vouched,
        Some(origin) => origin,
        None => Origin::Unproven,
    }
}

fn stamp(value: Value<'_>) -> Option<UtcTimestamp> {
    let Value::Text(text) = value else { return None };
    UtcTimestamp::parse(text.bytes)
}

/// Returns nested JSON on one line.
fn compact<'b>(raw: &'b [u8], bump: &'b Bump) -> Value<'b> {
    match serde_json::from_slice::<serde_json::Value>(raw).and_then(|value| serde_json::to_vec(&value)) {
        Ok(compact) => Value::Nested(bump.alloc_slice_copy(&compact)),
        Err(_) => Value::Text(Text::plain(raw)),
    }
}

fn as_text<'b>(value: Value<'b>, bump: &'b Bump) -> Text<'b> {
    match value {
        Value::Text(text) => text,
        Value::Int(int) => Text::plain(bump.alloc_str(itoa::Buffer::new().format(int)).as_bytes()),
        Value::Bool(bool) => Text::clean(if bool { b"true" } else { b"false" }),
        Value::Null => Text::clean(b"null"),
        Value::Time(stamp) => Text::clean(stamp.as_bytes()),
        Value::Nested(raw) => Text::plain(raw),
        Value::List(texts) => {
            let mut joined = BumpVec::new_in(bump);
            for text in texts {
                joined.extend_from_slice_copy(if joined.is_empty() { b"" } else { b" " });
                joined.extend_from_slice_copy(text.decode(bump));
            }
            Text::plain(joined.into_bump_slice())
        }
    }
}

/// Adds the time and the fields of another program's record.
fn other<'b>(members: &[Pair<'b>], entry: &Entry<'b>, bump: &'b Bump, record: &mut Record<'b>) {
    let of_runtime = || stamp(entry.fields.iter().find(|field| field.key == b"time")?.value);
    record.time = entry.stamp().or_else(of_runtime);
    for member in members {
        let Some(name) = member.key.strip_prefix(PREFIX) else { continue };
        let value = match (name, member.value) {
            (b"escaped" | b"redacted" | b"delta_ns", _) | (_, Value::Null) => continue,
            (b"origin", _) => Value::Text(Text::clean(origin(members).name().as_bytes())),
            (_, Value::Nested(raw)) => compact(raw, bump),
            (_, value) => value,
        };
        record.payload.push(Field::new(field_name::key("kata_", name, 1, bump), value));
    }
}

/// Adds katalog's own fields. A record keeps its id, and its time if it has no other. A field of this name with another
/// value is one of the envelope.
fn add_own_fields<'b>(
    rules: &'b Rules,
    author: RecordAuthor,
    id: &'b [u8],
    bump: &'b Bump,
    entry: &mut Entry<'b>,
    record: &mut Record<'b>,
) {
    let (component, template) = match author {
        RecordAuthor::Kata(component, _) => (component, &rules.tag),
        RecordAuthor::Other => (Component::Unknown, &rules.others_tag),
    };
    if let Some(name) = &rules.own.record_id {
        let known = take(entry, name, bump, |_| true).map_or(id, |value| as_text(value, bump).decode(bump));
        own_fields::add(name, known, bump, record);
    }
    if rules.tags || author == RecordAuthor::Other {
        record.tag = template.render(component, entry.identifier, bump);
    }
    if let Some(name) = &rules.own.tag {
        take(entry, name, bump, |value| value == record.tag);
        own_fields::add(name, record.tag, bump, record);
    }
    if let Some(name) = &rules.own.time {
        let time = record.facts.as_ref().and_then(|facts| facts.time).or(record.time);
        own_fields::add_time(name, bump, record);
        own_fields::fill_time(rules.time_format, UnixTime::default(), bump, record);
        let Some(field) = record.envelope.last_mut() else { return };
        let own = as_text(field.value, bump).decode(bump);
        let known = take(entry, name, bump, |value| time.is_none() || value == own);
        if let (None, Some(value)) = (time, known) {
            field.value = value;
            record.time_field = None;
        }
    }
}

/// Removes an own field of an earlier run if its text is expected, and returns its value.
fn take<'b>(entry: &mut Entry<'b>, name: &str, bump: &'b Bump, is_own: impl Fn(&[u8]) -> bool) -> Option<Value<'b>> {
    let name = field_name::mapped(bump.alloc_str(name).as_bytes(), bump);
    let is_own = |field: &Pair<'b>| field.key == name && is_own(as_text(field.value, bump).decode(bump));
    let place = entry.fields.iter().position(is_own)?;
    Some(entry.fields.remove(place).value)
}

/// Redacts the record, and lists the fields that were escaped or redacted, before and now.
fn list_fields<'b>(rules: &'b Rules, members: &[Pair<'b>], bump: &'b Bump, record: &mut Record<'b>) {
    if let Some(redactor) = &rules.redactor {
        redact_record::redact(redactor, record, bump);
    }
    if let Some(Value::List(names)) = value(members, b"kata_escaped") {
        record.escaped = listed(rules, names, &[], record, bump);
    }
    if let Some(Value::List(names)) = value(members, b"kata_redacted") {
        let now = std::mem::take(&mut record.redacted);
        record.redacted = listed(rules, names, &now, record, bump);
    }
}

/// Returns the keys of the fields that a list names and the record has, and `now` after them, each key once.
fn listed<'b>(
    rules: &'b Rules,
    names: &'b [Text<'b>],
    now: &[Key<'b>],
    record: &Record<'b>,
    bump: &'b Bump,
) -> Vec<Key<'b>> {
    let mut keys = NameMap::with_capacity(record.envelope.len() + record.payload.len());
    for field in record.envelope.iter().chain(&record.payload) {
        let name = field.key.name();
        keys.entry(name_hash::hash(name), name, Some(field.key));
    }
    let names = names.iter().filter_map(|text| {
        let name = text.decode(bump);
        if name.starts_with(PREFIX) { Some(name) } else { Some(rules.normalize.envelope_key(name, bump)?.name()) }
    });
    let names = names.chain(now.iter().map(|key| key.name()));
    names.filter_map(|name| keys.entry(name_hash::hash(name), name, None).take()).collect()
}
