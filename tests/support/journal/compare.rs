//! Parses export and JSON streams, and reports the first difference of two in a few lines instead of megabytes.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::support::Json;

/// Returns the entries of an export stream, each with the blank line at its end.
///
/// # Panics
/// If the stream is invalid, or ends inside an entry.
pub(crate) fn entries(stream: &[u8]) -> Vec<&[u8]> {
    split(stream).unwrap_or_else(|problem| panic!("{problem}"))
}

/// Returns the entries of an export stream, or the reason that it is invalid.
pub(crate) fn split(stream: &[u8]) -> Result<Vec<&[u8]>, String> {
    let mut entries = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let mut after = rest;
        while !matches!(after, [] | [b'\n', ..]) {
            after = field(after).ok_or_else(|| format!("a field that is none: {}", excerpt(after)))?.2;
        }
        let after = after.strip_prefix(b"\n").ok_or_else(|| format!("an entry without an end: {}", excerpt(rest)))?;
        let (entry, next) = rest.split_at(rest.len() - after.len());
        entries.push(entry);
        rest = next;
    }
    Ok(entries)
}

/// Iterates over names and values of an entry of an export stream.
pub(crate) fn fields(entry: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    let mut rest = entry;
    std::iter::from_fn(move || {
        let (name, value, after) = field(rest)?;
        rest = after;
        Some((name, value))
    })
}

/// Splits the first field off a stream. Returns name, value and rest.
fn field(stream: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let (line, rest) = stream.split_at(memchr::memchr(b'\n', stream)?);
    let rest = &rest[1..];
    let (name, value, rest) = match memchr::memchr(b'=', line) {
        Some(at) => (&line[..at], &line[at + 1..], rest),
        None => {
            let (size, rest) = rest.split_first_chunk()?;
            let (value, rest) = rest.split_at_checked(u64::from_le_bytes(*size) as usize)?;
            (line, value, rest.strip_prefix(b"\n")?)
        }
    };
    let name = str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
    Some((name, value, rest))
}

/// Returns the first value of a field.
pub(crate) fn value<'a>(entry: &'a [u8], name: &str) -> Option<&'a str> {
    let (_, value) = fields(entry).find(|(known, _)| *known == name)?;
    Some(str::from_utf8(value).unwrap())
}

/// Returns the cursor of an entry.
pub(crate) fn cursor(entry: &[u8]) -> &str {
    value(entry, "__CURSOR").unwrap_or_else(|| panic!("no cursor: {}", excerpt(entry)))
}

/// Returns the cursors of a stream.
pub(crate) fn cursors(stream: &[u8]) -> HashSet<&str> {
    entries(stream).into_iter().map(cursor).collect()
}

/// Removes the sequence numbers that `journalctl` prints since systemd 254.
pub(crate) fn without_numbers(stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(stream.len());
    for entry in entries(stream) {
        let mut rest = entry;
        while let Some(name) = rest.strip_prefix(b"__") {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            if !name.starts_with(b"SEQNUM") {
                out.extend_from_slice(&rest[..end]);
            }
            rest = &rest[end..];
        }
        out.extend_from_slice(rest);
    }
    out
}

/// Compares two export streams. The error shows the first difference.
pub(crate) fn export(expected: &[u8], actual: &[u8]) -> Result<(), String> {
    if expected == actual {
        return Ok(());
    }
    differ(&entries(expected), &entries(actual), |entry| excerpt(entry))
}

/// Checks that an export stream contains all entries of another. It may have more, which the other reader lost.
pub(crate) fn contains(expected: &[u8], actual: &[u8]) -> Result<(), String> {
    let mut found = entries(actual).into_iter();
    for (number, entry) in entries(expected).into_iter().enumerate() {
        if !found.any(|known| known == entry) {
            let same = entries(actual).into_iter().find(|known| cursor(known) == cursor(entry));
            let says =
                same.map_or("is not there".to_owned(), |same| format!("stands elsewhere or is\n{}", excerpt(same)));
            return Err(format!("entry {} is\n{}\nand here {says}", number + 1, excerpt(entry)));
        }
    }
    Ok(())
}

/// Compares two streams of JSON objects. The order of keys does not matter; duplicate keys are an error.
pub(crate) fn json(expected: &[u8], actual: &[u8]) -> Result<(), String> {
    let lines = |stream: &[u8]| -> Result<Vec<Value>, String> {
        let mut objects = Vec::new();
        for line in stream.split_inclusive(|byte| *byte == b'\n') {
            let Json(strict) = serde_json::from_slice(line).map_err(|error| format!("{error}: {}", excerpt(line)))?;
            if !strict.is_map() || !line.ends_with(b"\n") {
                return Err(format!("not an object on a line: {}", excerpt(line)));
            }
            let mut object: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
            for number in ["__SEQNUM", "__SEQNUM_ID"] {
                object.as_object_mut().unwrap().remove(number);
            }
            objects.push(object);
        }
        Ok(objects)
    };
    differ(&lines(expected)?, &lines(actual)?, |object| {
        let mut fields: Vec<_> = object.as_object().unwrap().iter().collect();
        fields.sort_by_key(|(name, _)| *name);
        let mut text = String::new();
        for (name, value) in fields {
            _ = writeln!(text, "{name}: {}", excerpt(value.to_string().as_bytes()));
        }
        text
    })
}

fn differ<T: PartialEq>(expected: &[T], actual: &[T], show: impl Fn(&T) -> String) -> Result<(), String> {
    if expected == actual {
        return Ok(());
    }
    let same = expected.iter().zip(actual).take_while(|(one, other)| one == other).count();
    let side = |entries: &[T]| entries.get(same).map_or("nothing".to_owned(), &show);
    let (wanted, found) = (side(expected), side(actual));
    let (all, here) = (expected.len(), actual.len());
    Err(format!("{here} entries instead of {all}; entry {} should be\n{wanted}\nand is\n{found}", same + 1))
}

/// Returns bytes as text that is safe for a terminal, at most a screenful.
fn excerpt(bytes: &[u8]) -> String {
    const MOST: usize = 1500;
    let text = bytes[..bytes.len().min(MOST)].escape_ascii().to_string().replace("\\n", "\n").replace("\\\"", "\"");
    if bytes.len() > MOST { format!("{text}… ({} bytes)", bytes.len()) } else { text }
}
