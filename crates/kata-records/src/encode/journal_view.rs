//! Entries of journal files as `journalctl` prints them (systemd: `src/shared/logs-show.c`,
//! `docs/JOURNAL_EXPORT_FORMATS.md`).
//!
//! Entries share most of their fields, so each shared field is encoded once for a batch and then copied.

mod entry_head;
mod large_output;
mod name_numbers;

use std::collections::HashMap;
use std::ops::Range;

use entry_head::HeadWriter;
use journal_file::text::{is_printable, is_text};
use journal_file::{Entry as JournalEntry, EntryPrefix, FieldId};
use name_numbers::NameNumbers;

pub(crate) use large_output::LargeOutput;

use super::Encoded;
use super::shared_fields::{PendingCopy, SharedFields};
use crate::name_hash::ByteSet;
use crate::scan;

/// An output format of journalctl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JournalFormat {
    /// `-o export`, byte for byte.
    Export,
    /// `-o json --all`, equal as JSON. Keys have the order of the file; journalctl's order is random.
    Json,
}

/// The encoded form of a prefix.
#[derive(Clone, Debug, Default)]
struct WrittenPrefix {
    /// The span in the output; empty until the prefix is written.
    text: Range<usize>,
    /// The names of the prefix's fields.
    names: ByteSet,
}

/// An encoder for journal entries. It keeps the encoded fields of the current batch.
#[derive(Debug)]
pub(crate) struct JournalView {
    format: JournalFormat,
    heads: Box<HeadWriter>,
    shared: SharedFields,
    numbers: NameNumbers,
    /// The number of the name, by the number of a field in `shared`.
    names: Vec<u8>,
    /// The encoded prefixes, by their numbers.
    prefixes: Vec<WrittenPrefix>,
}

impl JournalView {
    /// Returns an encoder for this format.
    #[must_use]
    pub(crate) fn new(format: JournalFormat) -> JournalView {
        JournalView {
            format,
            heads: Box::new(HeadWriter::new(format)),
            shared: SharedFields::default(),
            numbers: NameNumbers::default(),
            names: Vec::new(),
            prefixes: Vec::new(),
        }
    }

    /// Drops the fields of the previous batch.
    pub(crate) fn begin(&mut self) {
        self.shared.begin();
        self.prefixes.clear();
    }

    /// Appends an entry of the batch. `out` must still hold all entries of the batch before it.
    pub(crate) fn encode(&mut self, entry: &JournalEntry<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        self.heads.write(entry.place(), out);
        self.names.resize(entry.shared_by_batch(), 0);
        let (prefix, rest) = entry.ids().split_at(entry.prefix().len as usize);
        let begin = out.len();
        let mut names = ByteSet::default();
        let is_known = self.copy(entry.prefix(), &mut names, out);
        let prefix_is_sound = is_known || self.fields(entry, prefix, &mut names, out);
        let written = WrittenPrefix { text: begin..out.len(), names };
        if !prefix_is_sound || !self.fields(entry, rest, &mut names, out) {
            out.truncate(start);
            self.heads.write(entry.place(), out);
            grouped(entry, &mut self.numbers, out, &mut Vec::new());
        } else if !is_known {
            self.keep(entry.prefix(), written);
        }
        out.extend_from_slice(match self.format {
            JournalFormat::Export => b"\n",
            JournalFormat::Json => b"}\n",
        });
    }

    /// Appends an entry of a batch that has large fields. `out` refers to those that the entry has.
    pub(crate) fn encode_large(&mut self, entry: &JournalEntry<'_>, out: &mut Encoded) {
        let Encoded { bytes, large, .. } = out;
        self.heads.write(entry.place(), bytes);
        match self.format {
            JournalFormat::Export => {
                entry.ids().iter().for_each(|id| any_export_field(entry, *id, bytes, large));
                bytes.push(b'\n');
            }
            JournalFormat::Json => {
                grouped(entry, &mut self.numbers, bytes, large);
                bytes.extend_from_slice(b"}\n");
            }
        }
    }

    /// Copies a prefix from an earlier entry. Returns false if none has it.
    fn copy(&mut self, prefix: EntryPrefix, seen: &mut ByteSet, out: &mut Vec<u8>) -> bool {
        let Some(WrittenPrefix { text, names }) = self.prefixes.get(prefix.number as usize) else { return false };
        *seen = *names;
        out.extend_from_within(text.clone());
        !text.is_empty()
    }

    /// Stores the encoded form of a prefix.
    fn keep(&mut self, prefix: EntryPrefix, written: WrittenPrefix) {
        let number = prefix.number as usize;
        if number == 0 {
            return;
        }
        if number >= self.prefixes.len() {
            self.prefixes.resize(number + 1, WrittenPrefix::default());
        }
        self.prefixes[number] = written;
    }

    /// Appends fields of an entry. Returns false if a name repeats, so that its values have to be merged.
    fn fields(&mut self, entry: &JournalEntry<'_>, ids: &[FieldId], seen: &mut ByteSet, out: &mut Vec<u8>) -> bool {
        let JournalView { format, shared, numbers, names, .. } = self;
        let mut run = PendingCopy::default();
        for id in ids {
            let name = if let Some(number) = id.number()
                && let Some(known) = names.get_mut(number as usize)
            {
                shared.copy(number, &mut run, out, |text| *known = field(*format, numbers, entry.field_of(*id), text));
                *known
            } else {
                shared.end(&mut run, out);
                field(*format, numbers, entry.field_of(*id), out)
            };
            if *format == JournalFormat::Json && seen.insert(name) {
                return false;
            }
        }
        shared.end(&mut run, out);
        true
    }
}

/// Appends a field and returns the number of its name.
fn field(format: JournalFormat, numbers: &mut NameNumbers, (name, value): (&[u8], &[u8]), out: &mut Vec<u8>) -> u8 {
    match format {
        _ if is_in_head(name) => {}
        JournalFormat::Export => export_field(name, value, out),
        JournalFormat::Json => {
            json_key(name, out);
            json_value(value, out);
        }
    }
    numbers.of(name)
}

/// Returns whether the head of an entry contains this field. Writers store only the boot id as a field too.
fn is_in_head(name: &[u8]) -> bool {
    matches!(name, b"_BOOT_ID" | b"__CURSOR" | b"__REALTIME_TIMESTAMP" | b"__MONOTONIC_TIMESTAMP")
}

// One of the callers is hot.
#[inline(always)]
fn export_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    export_name(name, is_printable(value) && !value.contains(&b'\n'), value.len() as u64, out);
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Appends a name, and the length of a value that is not a line of text.
#[inline(always)]
fn export_name(name: &[u8], is_line: bool, length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    if is_line {
        out.push(b'=');
    } else {
        out.push(b'\n');
        out.extend_from_slice(&length.to_le_bytes());
    }
}

/// Appends a field of any size.
fn any_export_field(entry: &JournalEntry<'_>, id: FieldId, out: &mut Vec<u8>, large: &mut Vec<LargeOutput>) {
    let (name, value) = entry.field_of(id);
    match entry.large(id) {
        _ if is_in_head(name) => {}
        None => export_field(name, value, out),
        Some(field) => {
            export_name(name, field.is_printable() && field.is_line(), field.length(), out);
            large.push(LargeOutput::raw(field, out.len()));
            out.push(b'\n');
        }
    }
}

fn json_key(name: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name);
    out.extend_from_slice(b"\":");
}

/// Appends text as a string, and any other value as an array of its bytes.
fn json_value(value: &[u8], out: &mut Vec<u8>) {
    let before = out.len();
    out.push(b'"');
    if json_text(value, out) {
        out.push(b'"');
    } else {
        out.truncate(before);
        out.push(b'[');
        json_bytes(value, true, out);
        out.push(b']');
    }
}

/// Appends text as the inside of a string. Returns false if the value is not text.
#[inline(always)]
fn json_text(value: &[u8], out: &mut Vec<u8>) -> bool {
    let mut at = 0;
    loop {
        at = scan::copy_escaped(value, at, out);
        match value.get(at) {
            None => return true,
            Some(b'\n') => out.extend_from_slice(b"\\n"),
            Some(b'\t') => out.extend_from_slice(b"\\t"),
            Some(_) => {
                let rest = value.get(at..).unwrap_or_default();
                let run = rest.get(..rest.iter().position(u8::is_ascii).unwrap_or(rest.len())).unwrap_or_default();
                // A control character begins an empty run.
                if run.is_empty() || !is_text(run) {
                    return false;
                }
                out.extend_from_slice(run);
                at += run.len();
                continue;
            }
        }
        at += 1;
    }
}

/// Appends bytes as the inside of an array, or of the rest of one.
fn json_bytes(value: &[u8], is_first: bool, out: &mut Vec<u8>) {
    for (index, byte) in value.iter().enumerate() {
        if !is_first || index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(itoa::Buffer::new().format(*byte).as_bytes());
    }
}

/// Appends the fields of an entry with repeated names. An array at the first occurrence holds all values of a name.
fn grouped(entry: &JournalEntry<'_>, numbers: &mut NameNumbers, out: &mut Vec<u8>, large: &mut Vec<LargeOutput>) {
    let fields = || {
        let named = entry.ids().iter().map(|id| (entry.field_of(*id).0, *id));
        named.filter(|(name, _)| !is_in_head(name))
    };
    let (mut once, mut again) = (ByteSet::default(), ByteSet::default());
    for number in fields().map(|(name, _)| numbers.of(name)) {
        if once.insert(number) {
            again.insert(number);
        }
    }
    let mut values: HashMap<&[u8], Vec<FieldId>> = HashMap::new();
    for (name, id) in fields().filter(|(name, _)| again.has(numbers.of(name))) {
        values.entry(name).or_default().push(id);
    }
    for (name, id) in fields() {
        if !again.has(numbers.of(name)) {
            json_key(name, out);
            any_json_value(entry, id, out, large);
        } else if let Some(ids) = values.remove(name) {
            json_key(name, out);
            json_values(entry, &ids, out, large);
        }
    }
}

/// Appends one value as it is, and several as an array.
fn json_values(entry: &JournalEntry<'_>, ids: &[FieldId], out: &mut Vec<u8>, large: &mut Vec<LargeOutput>) {
    if let [id] = ids {
        return any_json_value(entry, *id, out, large);
    }
    for (index, id) in ids.iter().enumerate() {
        out.push(if index == 0 { b'[' } else { b',' });
        any_json_value(entry, *id, out, large);
    }
    out.push(b']');
}

/// Appends a value of any size.
fn any_json_value(entry: &JournalEntry<'_>, id: FieldId, out: &mut Vec<u8>, large: &mut Vec<LargeOutput>) {
    let Some(field) = entry.large(id) else { return json_value(entry.field_of(id).1, out) };
    let [open, close] = if field.is_printable() { [b'"'; 2] } else { [b'[', b']'] };
    out.push(open);
    large.push(LargeOutput::json(field, out.len()));
    out.push(close);
}

#[cfg(test)]
mod tests {
    use journal_file::{EntryBatch, Place};

    use super::*;
    use crate::name_hash;

    /// Returns a batch of entries with these fields. A field listed twice occurs twice, and every other field is
    /// shared.
    fn batch(entries: &[&[(&str, &str)]]) -> EntryBatch {
        let mut batch = EntryBatch::default();
        let mut shared = false;
        for fields in entries {
            let mut ids = Vec::new();
            for (name, value) in *fields {
                shared = !shared;
                ids.push(batch.add_field(format!("{name}={value}").as_bytes(), name.len(), shared));
            }
            batch.push(Place::default(), EntryPrefix::default(), &ids);
        }
        batch
    }

    /// Returns the output for a batch, one entry a line, without heads.
    fn json(view: &mut JournalView, batch: &EntryBatch) -> Vec<String> {
        let mut out = Vec::new();
        view.begin();
        for entry in batch.entries() {
            view.encode(&entry, &mut out);
        }
        let head = format!("\"_BOOT_ID\":\"{}\",", "0".repeat(32));
        let text = String::from_utf8(out).unwrap();
        text.lines().map(|line| line.split_once(&head).unwrap().1.to_owned()).collect()
    }

    #[test]
    fn values_of_one_name_come_together() {
        let mut view = JournalView::new(JournalFormat::Json);
        let twice: &[(&str, &str)] = &[("A", "1"), ("B", "2"), ("_BOOT_ID", "x"), ("A", "3")];
        let once: &[(&str, &str)] = &[("A", "1"), ("B", "2")];
        for _ in 0..2 {
            let lines = json(&mut view, &batch(&[once, twice, once]));
            assert_eq!(
                lines,
                ["\"A\":\"1\",\"B\":\"2\"}", "\"A\":[\"1\",\"3\"],\"B\":\"2\"}", "\"A\":\"1\",\"B\":\"2\"}"]
            );
        }
    }

    #[test]
    fn a_prefix_changes_nothing() {
        // Prefix 1 first comes with a name of its own, prefix 2 repeats a name, and several entries have no prefix.
        let entries =
            [(1, "0123"), (1, "01"), (1, "014"), (0, "01"), (1, "014"), (2, "034"), (2, "03"), (1, "013"), (0, "")];
        let fields =
            [("A", "1", true), ("B", "2", false), ("C", "3", true), ("A", "4", false), ("_BOOT_ID", "5", true)];
        let batch = |with_prefixes: bool| {
            let mut batch = EntryBatch::default();
            let ids = fields
                .map(|(name, value, shared)| batch.add_field(format!("{name}={value}").as_bytes(), name.len(), shared));
            for (number, indices) in entries {
                let ids: Vec<FieldId> = indices.bytes().map(|index| ids[usize::from(index - b'0')]).collect();
                let prefix =
                    if with_prefixes && number > 0 { EntryPrefix { number, len: 2 } } else { EntryPrefix::default() };
                batch.push(Place::default(), prefix, &ids);
            }
            batch
        };
        for format in [JournalFormat::Json, JournalFormat::Export] {
            let mut view = JournalView::new(format);
            let written = [false, true, true].map(|with_prefixes| {
                let mut out = b"of another batch".to_vec();
                view.begin();
                for entry in batch(with_prefixes).entries() {
                    view.encode(&entry, &mut out);
                }
                String::from_utf8(out).unwrap()
            });
            assert!(written[0].contains("B"), "{}", written[0]);
            assert_eq!(written[0], written[1]);
            assert_eq!(written[0], written[2]);
        }
    }

    #[test]
    fn names_with_one_number_stay_apart() {
        let mut known = HashMap::new();
        let [one, two] = (0..)
            .find_map(|number| {
                let name = format!("FIELD_{number}");
                known.insert(name_hash::hash(name.as_bytes()) as u16, name.clone()).map(|before| [before, name])
            })
            .unwrap();
        let entries: [&[(&str, &str)]; 2] =
            [&[(&one, "1"), (&two, "2"), ("A", "3")], &[(&one, "1"), ("A", "2"), (&two, "3"), (&one, "4")]];
        let lines = json(&mut JournalView::new(JournalFormat::Json), &batch(&entries));
        assert_eq!(
            lines,
            [
                format!("\"{one}\":\"1\",\"{two}\":\"2\",\"A\":\"3\"}}"),
                format!("\"{one}\":[\"1\",\"4\"],\"A\":\"2\",\"{two}\":\"3\"}}")
            ]
        );
    }

    #[test]
    fn text_is_what_journalctl_takes_for_it() {
        for text in ["", "plain", "tab\tand\nline", "ünïcödé", "\u{1f600}", "\u{a0}"] {
            assert!(is_printable(text.as_bytes()), "{text:?}");
            let mut out = Vec::new();
            json_value(text.as_bytes(), &mut out);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
        for bytes in [
            &b"\x1b[31m"[..],
            b"\0",
            b"\x7f",
            b"\r",
            b"\xff",
            "\u{85}".as_bytes(),
            "\u{fdd0}".as_bytes(),
            "\u{1fffe}".as_bytes(),
            "\u{ffff}".as_bytes(),
        ] {
            assert!(!is_printable(bytes), "{bytes:?}");
            let mut out = Vec::new();
            json_value(bytes, &mut out);
            assert_eq!(serde_json::from_slice::<Vec<u8>>(&out).unwrap(), bytes);
        }
    }
}
