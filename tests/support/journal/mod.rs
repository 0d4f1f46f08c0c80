//! Journal files for the tests: entries, a writer for every feature of the format, systemd's own programs as peers, and
//! comparisons that show the first differing entry.

pub(crate) mod compare;
pub(crate) mod damage;
pub(crate) mod hash;
pub(crate) mod remote;
pub(crate) mod samples;
pub(crate) mod write;

use std::collections::{BTreeSet, HashMap};

pub(crate) use write::{Codec, Shape, State, Writer};

/// An entry as its writer submits it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Microseconds since 1970.
    pub(crate) realtime: u64,
    /// Microseconds since the boot.
    pub(crate) monotonic: u64,
    /// The boot; its bytes are stored from the high one to the low one.
    pub(crate) boot: u128,
    /// Names and values in the order of submission.
    pub(crate) fields: Vec<(String, Vec<u8>)>,
}

impl Entry {
    /// Creates an entry with the field `_BOOT_ID`, which every entry of a journal daemon has.
    pub(crate) fn new(realtime: u64, monotonic: u64, boot: u128) -> Entry {
        let entry = Entry { realtime, monotonic, boot, fields: Vec::new() };
        entry.with("_BOOT_ID", format!("{boot:032x}"))
    }

    /// Adds a field.
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Entry {
        self.fields.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Iterates over `NAME=value` of each field.
    pub(crate) fn payloads(&self) -> impl Iterator<Item = Vec<u8>> {
        self.fields.iter().map(|(name, value)| [name.as_bytes(), b"=", value].concat())
    }
}

/// Returns a journal file of this shape with these entries.
pub(crate) fn file(shape: &Shape, entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::new(shape.clone());
    for entry in entries {
        writer.entry(entry);
    }
    writer.finish()
}

/// Returns the entries as a stream for `systemd-journal-remote`.
pub(crate) fn stream(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        stamps(entry, &mut out);
        // The boot comes from the field, which would otherwise be there twice.
        for (name, value) in &entry.fields {
            field(name.as_bytes(), value, &mut out);
        }
        out.push(b'\n');
    }
    out
}

/// Returns the output of `journalctl -o export` for a file of this shape with these entries. By the rules of the format
/// a value is stored once. The fields of an entry are in the order in which the file first saw their values.
pub(crate) fn exported(shape: &Shape, entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
    for (seqnum, entry) in (shape.first_seqnum..).zip(entries) {
        let mut places = BTreeSet::new();
        let mut xor = 0;
        for payload in entry.payloads() {
            xor ^= hash::jenkins(&payload);
            let next = known.len();
            let place = *known.entry(payload.clone()).or_insert(next);
            places.insert((place, payload));
        }
        let Entry { realtime, monotonic, boot, .. } = entry;
        let id = shape.seqnum_id;
        let cursor = format!("s={id:032x};i={seqnum:x};b={boot:032x};m={monotonic:x};t={realtime:x};x={xor:x}");
        field(b"__CURSOR", cursor.as_bytes(), &mut out);
        stamps(entry, &mut out);
        field(b"_BOOT_ID", format!("{boot:032x}").as_bytes(), &mut out);
        for (_, payload) in &places {
            let end = payload.iter().position(|byte| *byte == b'=').unwrap();
            if &payload[..end] != b"_BOOT_ID" {
                field(&payload[..end], &payload[end + 1..], &mut out);
            }
        }
        out.push(b'\n');
    }
    out
}

/// Appends the timestamps of an entry, as lines.
fn stamps(entry: &Entry, out: &mut Vec<u8>) {
    field(b"__REALTIME_TIMESTAMP", entry.realtime.to_string().as_bytes(), out);
    field(b"__MONOTONIC_TIMESTAMP", entry.monotonic.to_string().as_bytes(), out);
}

/// Appends one field of an export stream: a line, or a length and bytes if a line cannot hold the value.
fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    if printable(value) && !value.contains(&b'\n') {
        out.push(b'=');
    } else {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Returns true for text as systemd defines it: UTF-8 without noncharacters, and without controls but tab and newline.
fn printable(value: &[u8]) -> bool {
    let control = |c: char| c.is_control() && c != '\t' && c != '\n';
    let no_character = |c: char| ('\u{fdd0}'..='\u{fdef}').contains(&c) || c as u32 & 0xfffe == 0xfffe;
    str::from_utf8(value).is_ok_and(|text| !text.chars().any(|c| control(c) || no_character(c)))
}
