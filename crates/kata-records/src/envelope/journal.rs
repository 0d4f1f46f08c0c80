//! Journal entries: `journalctl -o json`, `-o export` (systemd: `docs/JOURNAL_EXPORT_FORMATS.md`), and entries of
//! journal files.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use journal_file::{Entry as JournalEntry, FieldId};
use memchr::memchr2;

use super::{Entry, FieldCache, SyntheticFields, Transport, as_text};
use crate::dictionary::{self, KeyId, KeySet};
use crate::digits;
use crate::flaw::{Flaw, Flaws};
use crate::json::{self, MAX_MEMBERS};
use crate::name_hash;
use crate::name_map::{NameMap, NameSet};
use crate::record::{Pair, Text, Value};
use crate::redact;

/// Reads the fields of an entry in the export format.
pub(super) fn export<'b>(mut rest: &'b [u8], bump: &'b Bump, entry: &mut Entry<'b>) {
    while !rest.is_empty() {
        let Some(at) = memchr2(b'=', b'\n', rest) else {
            // The entry ends inside a name.
            entry.flaws.add(Flaw::BadEnvelope);
            entry.fields.push(Pair::text(b"rest", Text::plain(rest)));
            break;
        };
        let name = rest.get(..at).unwrap_or_default();
        let behind = rest.get(at + 1..).unwrap_or_default();
        let (value, next) = if rest.get(at) == Some(&b'=') {
            let end = memchr::memchr(b'\n', behind).unwrap_or(behind.len());
            (behind.get(..end), behind.get(end + 1..))
        } else if let Some((length, data)) = behind.split_first_chunk::<8>() {
            let stated = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
            entry.flaws.add_if(stated > data.len(), Flaw::BadEnvelope);
            let length = stated.min(data.len());
            (data.get(..length), data.get(length + 1..))
        } else {
            entry.flaws.add(Flaw::BadEnvelope);
            (Some(behind), None)
        };
        if entry.fields.len() >= MAX_MEMBERS {
            entry.flaws.add(Flaw::TooManyPairs);
            entry.fields.push(Pair::text(b"rest", Text::plain(rest)));
            break;
        }
        entry.fields.push(Pair::text(name, Text::plain(value.unwrap_or_default())));
        rest = next.unwrap_or_default();
    }
    fields(bump, entry);
}

/// Reads only the identifier and the message of an entry of a journal file.
pub(super) fn look<'b>(stored: &JournalEntry<'b>, cache: &mut FieldCache<'b>, entry: &mut Entry<'b>) {
    entry.from_journal = true;
    cache.irrelevant.resize(stored.shared_by_batch(), false);
    for id in stored.ids() {
        let irrelevant = id.number().and_then(|number| cache.irrelevant.get_mut(number as usize));
        if irrelevant.as_deref() == Some(&true) {
            continue;
        }
        let (name, value) = stored.field_of(*id);
        let place = match name {
            b"MESSAGE" => &mut entry.message,
            b"SYSLOG_IDENTIFIER" => &mut entry.identifier,
            _ => {
                irrelevant.into_iter().for_each(|irrelevant| *irrelevant = true);
                continue;
            }
        };
        place.get_or_insert(value);
    }
    if entry.identifier.is_none() {
        entry.transport = transport(stored.field("_TRANSPORT").unwrap_or_default());
        entry.command_name = stored.field("_COMM");
    }
}

fn transport(text: &[u8]) -> Transport {
    match text {
        b"syslog" => Transport::Syslog,
        b"journal" => Transport::Journal,
        b"stdout" => Transport::Stdout,
        b"kernel" => Transport::Kernel,
        _ => Transport::Other,
    }
}

/// Returns a field of an entry. A shared field is read once for the batch.
#[inline]
fn pair<'b>(stored: &JournalEntry<'b>, id: FieldId, pairs: &mut Vec<Option<Pair<'b>>>) -> Pair<'b> {
    let read = || {
        let (name, value) = stored.field_of(id);
        Pair::text(name, Text::plain(value))
    };
    let Some(number) = id.number() else { return read() };
    if let Some(Some(pair)) = pairs.get(number as usize) {
        return *pair;
    }
    let mut pair = Pair { number: number + 1, ..read() };
    if let (Some(KeyId::COMMAND_LINE), Value::Text(line)) = (pair.id, pair.value) {
        pair.is_plain = !redact::is_suspect(line.bytes);
    }
    pairs.resize(stored.shared_by_batch(), None);
    if let Some(place) = pairs.get_mut(number as usize) {
        *place = Some(pair);
    }
    pair
}

/// Reads the fields of an entry of a journal file, after those that `journalctl` adds.
pub(super) fn stored<'b>(
    stored: &JournalEntry<'b>,
    synthetic: SyntheticFields,
    bump: &'b Bump,
    cache: &mut FieldCache<'b>,
    entry: &mut Entry<'b>,
) {
    let place = stored.place();
    let mut add = |key: &'static [u8], value: &'b [u8]| entry.fields.push(Pair::text(key, Text::clean(value)));
    let decimal = |number: u64| &*bump.alloc_slice_copy(itoa::Buffer::new().format(number).as_bytes());
    if synthetic.cursor {
        let mut text = Vec::with_capacity(journal_file::Cursor::MAX_LENGTH);
        place.write_to(&mut text);
        add(b"__CURSOR", bump.alloc_slice_copy(&text));
    }
    add(b"__REALTIME_TIMESTAMP", decimal(place.realtime));
    if synthetic.monotonic {
        add(b"__MONOTONIC_TIMESTAMP", decimal(place.monotonic));
    }
    if synthetic.seqnum {
        add(b"__SEQNUM", decimal(place.seqnum));
        add(b"__SEQNUM_ID", bump.alloc(digits::hex_id(&place.seqnum_id)));
    }
    add(b"_BOOT_ID", bump.alloc(digits::hex_id(&place.boot_id)));
    for id in stored.ids() {
        let pair = pair(stored, *id, &mut cache.pairs);
        if pair.id != Some(KeyId::BOOT_ID) {
            entry.fields.push(pair);
        }
    }
    fields(bump, entry);
}

/// Returns whether [`fields`] uses a stored field of this name. It also uses the realtime, which no file stores as a
/// field.
pub(super) fn needs(name: &[u8]) -> bool {
    matches!(
        dictionary::find(name),
        Some(
            KeyId::MESSAGE
                | KeyId::SYSLOG_IDENTIFIER
                | KeyId::COMMAND_LINE
                | KeyId::PRIORITY
                | KeyId::TRANSPORT
                | KeyId::USER_ID
                | KeyId::PROCESS_ID
                | KeyId::COMMAND_NAME
                | KeyId::LINE_BREAK
                | KeyId::CONTAINER_ID_FULL
                | KeyId::SOURCE_REALTIME
        )
    )
}

/// Merges repeated names and extracts the fields that later stages use.
pub(super) fn fields<'b>(bump: &'b Bump, entry: &mut Entry<'b>) {
    entry.from_journal = true;
    let (mut keys, mut names) = (KeySet::default(), NameSet::default());
    let mut fields = std::mem::take(&mut entry.fields);
    let mut is_known = |place: usize, field: &Pair<'b>| match field.id {
        Some(id) => keys.insert(id),
        None => {
            let before = fields.iter().take(place).map(|field| field.key);
            !names.insert(name_hash::hash(field.key), || field.key, before)
        }
    };
    let is_odd = fields.iter().enumerate().any(|(place, field)| {
        let is_odd = !matches!(field.value, Value::Text(_)) || is_known(place, field);
        extract(field, bump, entry);
        is_odd
    });
    if is_odd {
        arrays(&mut fields, &mut entry.flaws, bump);
        repeated(bump, &mut fields);
        fields.iter().for_each(|field| extract(field, bump, entry));
    }
    entry.fields = fields;
}

/// Extracts what later stages use from fields whose names are unique.
pub(super) fn extract_all<'b>(bump: &'b Bump, entry: &mut Entry<'b>) {
    let fields = std::mem::take(&mut entry.fields);
    fields.iter().for_each(|field| extract(field, bump, entry));
    entry.fields = fields;
}

/// Extracts what later stages use from a field.
#[inline(always)]
fn extract<'b>(field: &Pair<'b>, bump: &'b Bump, entry: &mut Entry<'b>) {
    let (Some(id), Some(text)) = (field.id, as_text(&field.value)) else { return };
    match id {
        KeyId::MESSAGE => entry.message = Some(text.decode(bump)),
        KeyId::SYSLOG_IDENTIFIER => entry.identifier = Some(text.decode(bump)),
        KeyId::COMMAND_LINE => {
            entry.command_line = Some(text);
            entry.is_plain_line = field.is_plain && field.number > 0;
        }
        KeyId::PRIORITY => {
            entry.priority = match text.bytes {
                [digit @ b'0'..=b'7'] => Some(digit - b'0'),
                _ => None,
            }
        }
        KeyId::TRANSPORT => entry.transport = transport(text.bytes),
        KeyId::USER_ID => entry.user = Some(text.bytes),
        KeyId::PROCESS_ID => entry.process = Some(text.bytes),
        KeyId::COMMAND_NAME => entry.command_name = Some(text.bytes),
        KeyId::LINE_BREAK => {
            entry.is_cut = true;
            entry.flaws.add_if(text.bytes == b"line-max", Flaw::SplitByJournald);
        }
        KeyId::SOURCE_REALTIME => entry.micros[0] = Some(text.bytes),
        KeyId::REALTIME => entry.micros[1] = Some(text.bytes),
        KeyId::CONTAINER_ID_FULL => entry.has_driver = true,
        _ => {}
    }
}

/// Converts the types of `journalctl -o json`. An array of numbers is one value of bytes, any other array is several
/// values, and null is a value too long to print.
fn arrays<'b>(fields: &mut Vec<Pair<'b>>, flaws: &mut Flaws, bump: &'b Bump) {
    fields.retain_mut(|field| {
        match field.value {
            Value::Null => {
                flaws.add(Flaw::NotDelivered);
                return false;
            }
            Value::Bool(bool) => field.value = Value::Text(Text::clean(if bool { b"true" } else { b"false" })),
            Value::Nested(raw) if raw.starts_with(b"[") => {
                if let Some(bytes) = byte_array(raw, bump) {
                    field.value = Value::Text(bytes);
                } else if let Some(list) = list(raw, bump) {
                    field.value = list;
                } else {
                    field.value = Value::Text(Text::plain(raw));
                }
            }
            Value::Nested(raw) => field.value = Value::Text(Text::plain(raw)),
            _ => {}
        }
        true
    });
}

fn byte_array<'b>(raw: &'b [u8], bump: &'b Bump) -> Option<Text<'b>> {
    let inside = raw.strip_prefix(b"[")?.strip_suffix(b"]")?;
    let mut bytes = BumpVec::with_capacity_in(inside.len() / 2 + 1, bump);
    for number in inside.split(|byte| *byte == b',') {
        bytes.push(std::str::from_utf8(number.trim_ascii()).ok()?.parse().ok()?);
    }
    Some(Text::plain(bytes.into_bump_slice()))
}

fn list<'b>(raw: &'b [u8], bump: &'b Bump) -> Option<Value<'b>> {
    let mut texts = BumpVec::new_in(bump);
    let mut strange = false;
    json::elements(raw, bump, |value| match value {
        Value::Text(text) => texts.push(text),
        Value::Nested(raw) => match byte_array(raw, bump) {
            Some(bytes) => texts.push(bytes),
            None => strange = true,
        },
        _ => strange = true,
    })?;
    (!strange && !texts.is_empty()).then(|| Value::List(texts.into_bump_slice()))
}

/// Merges the values of a repeated name into a list at its first occurrence.
fn repeated<'b>(bump: &'b Bump, fields: &mut Vec<Pair<'b>>) {
    let mut places = NameMap::with_capacity(fields.len());
    let mut lists: Vec<Option<BumpVec<'b, Text<'b>>>> = vec![None; fields.len()];
    let mut is_merged = vec![false; fields.len()];
    let add = |list: &mut BumpVec<'b, Text<'b>>, value| match value {
        Value::List(texts) => list.extend_from_slice_copy(texts),
        Value::Text(text) => list.push(text),
        _ => {}
    };
    for (place, field) in fields.iter().enumerate() {
        let first = *places.entry(name_hash::hash(field.key), field.key, place);
        if first == place {
            continue;
        }
        is_merged[place] = true;
        let list = lists[first].get_or_insert_with(|| {
            let mut list = BumpVec::new_in(bump);
            add(&mut list, fields[first].value);
            list
        });
        add(list, field.value);
    }
    for (field, list) in fields.iter_mut().zip(lists) {
        if let Some(list) = list {
            field.value = Value::List(list.into_bump_slice());
            field.number = 0;
        }
    }
    let mut merged = is_merged.into_iter();
    fields.retain(|_| merged.next() != Some(true));
}
