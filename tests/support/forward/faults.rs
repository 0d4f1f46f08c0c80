//! Violations of the protocol by a sender, even those that some servers tolerate. Every test ends with none.

use rmpv::Value;

use super::decompress::decompressed;
use super::event::Event;
use super::wire::{Entries, Frame, Kind, kind, member};

/// The maximum size of entries that every server accepts, with room for the rest of the request.
const CAP: usize = 5 << 20;

/// Returns the faults of a request, each with the rule of the protocol's checklist.
pub(crate) fn faults(frame: &Frame<'_>, events: &[Event]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |holds: bool, fault: &str| {
        if !holds {
            faults.push(fault.to_owned());
        }
    };
    check(!frame.tag.is_empty(), "an empty tag");
    check(!matches!(frame.entries, Entries::Packed(_, false)), "entries as text");
    check(decompressed(frame).is_ok_and(|bytes| bytes.len() <= CAP), "more than 5 MiB of entries");
    check(
        frame.size.is_none_or(|size| size == events.len() as u64),
        "section 4: the size is not the number of entries",
    );
    if let Some(option) = frame.option {
        check(kind(option) != Ok(Kind::Nil), "nil for options");
        if let Ok(Some(chunk)) = member(option, b"chunk") {
            check(matches!(kind(chunk), Ok(Kind::Text(id)) if is_id(id)), "the id is not 16 bytes in base64");
        }
    }
    for event in events {
        check(event.metadata.is_nil(), "metadata");
        check(event.seconds != 0, "no time");
        check(event.nanos < 1_000_000_000, "a second or more of nanoseconds");
        check(event.nanos != 0 || event.seconds < u32::MAX - 1, "Fluent Bit's mark of a group");
        record(&event.record, &mut check);
    }
    faults
}

/// Returns true for the base64 of 16 bytes, with padding and without a line end.
fn is_id(id: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    id.len() == 24 && id.ends_with(b"==") && id[..22].iter().all(digit)
}

fn record(value: &Value, check: &mut impl FnMut(bool, &str)) {
    match value {
        Value::Map(pairs) => {
            for (place, (key, value)) in pairs.iter().enumerate() {
                check(key.as_str().is_some(), "a key that is no text");
                check(pairs[..place].iter().all(|(other, _)| other != key), "a key that comes twice");
                record(value, check);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| record(value, check)),
        Value::String(text) => check(text.is_str(), "text that is not UTF-8"),
        Value::Binary(_) => check(false, "bytes in a record"),
        Value::Ext(..) => check(false, "an extension in a record"),
        Value::Integer(number) => {
            check(number.is_i64(), "a number beyond 63 bits");
        }
        Value::Nil | Value::Boolean(_) | Value::F32(_) | Value::F64(_) => {}
    }
}
