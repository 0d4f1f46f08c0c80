//! The fields that katalog adds by settings: the id of the record, its tag and its time. They come first in a record.

use std::hash::{Hash as _, Hasher as _};

use bumpalo::Bump;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::batch::{Body, RawEntry};
use crate::digits;
use crate::normalize::field_name;
use crate::record::{Field, Record, Text, Value};
use crate::time::{TimeFormat, UnixTime, UtcTimestamp};

/// Returns the id of a record. The id is stable across runs, and unique to the entry.
pub(crate) fn record_id(input: &[u8; 16], raw: RawEntry<'_>, from_journal: bool) -> [u8; 32] {
    let mut hash = SipHasher13::new();
    match raw.body {
        Body::Journal(entry) => entry.place().hash(&mut hash),
        // Journal entries in a stream have ids of their own, so their offset does not matter.
        Body::Line(bytes) | Body::Export(bytes) if from_journal => hash.write(bytes),
        Body::Line(bytes) | Body::Export(bytes) => {
            hash.write(input);
            hash.write_u64(raw.offset);
            hash.write(bytes);
        }
    }
    digits::hex_id(&hash.finish128().as_bytes())
}

/// Adds an own field to a record, which must hold no other fields yet.
pub(crate) fn add<'b>(name: &str, value: &'b [u8], bump: &'b Bump, record: &mut Record<'b>) {
    let key = field_name::key("", field_name::mapped(name.as_bytes(), bump), 1, bump);
    record.envelope.push(Field::new(key, Value::Text(Text::plain(value))));
}

/// Adds the field for the time. [`fill_time`] sets its value when the payload is known.
pub(crate) fn add_time<'b>(name: &str, bump: &'b Bump, record: &mut Record<'b>) {
    record.time_field = Some(record.envelope.len());
    add(name, b"", bump, record);
}

/// Sets the value of the time field.
pub(crate) fn fill_time<'b>(format: TimeFormat, received: UnixTime, bump: &'b Bump, record: &mut Record<'b>) {
    let time = record.facts.as_ref().and_then(|facts| facts.time).or(record.time);
    // Fluent Bit reserves the last two seconds for marks of its own.
    let fits = |time: &UnixTime| (1..i64::from(u32::MAX) - 1).contains(&time.seconds);
    let own = time.and_then(|time| time.unix()).filter(fits);
    let UnixTime { seconds, nanos } = own.unwrap_or(received);
    let total = || UnixTime { seconds, nanos }.total_nanos().unwrap_or(i64::MAX);
    let Some(field) = record.time_field.and_then(|at| record.envelope.get_mut(at)) else { return };
    field.value = match format {
        TimeFormat::Rfc3339 => {
            let received = || UtcTimestamp::from_unix(UnixTime { nanos: received.nanos / 1000 * 1000, ..received });
            match time.filter(|_| own.is_some()).or_else(received) {
                Some(stamp) => Value::Time(bump.alloc(stamp)),
                None => return,
            }
        }
        TimeFormat::Unix => {
            let mut text = bumpalo::collections::String::with_capacity_in(24, bump);
            // Writes to memory cannot fail.
            _ = std::fmt::Write::write_fmt(&mut text, format_args!("{seconds}.{nanos:09}"));
            Value::Text(Text::plain(text.into_bump_str().as_bytes()))
        }
        TimeFormat::UnixSeconds => Value::Int(seconds),
        TimeFormat::UnixNanoseconds => Value::Int(total()),
    };
}
