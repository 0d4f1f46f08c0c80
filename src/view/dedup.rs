//! Equal records in a row, which the view shows as one.
//!
//! The first record is held back until another one comes. Records are equal if nothing but their times and what the view
//! leaves out differs.

use super::fields::is_shown;
use super::record::{FlatRecord, Value};

/// The longest record that is held back, in bytes. Longer ones are shown one by one.
const MAX_HELD: usize = 64 << 10;

/// The fields of Kata that decide beside those behind the message.
const DECIDING: [&str; 7] =
    ["kata_component", "kata_level", "kata_sandbox", "kata_origin", "kata_msg", "kata_error", "kata_flaws"];

/// The journal fields that decide: the host in the heading, and the identifier and the message of other programs.
const OF_JOURNAL: [&str; 3] = ["HOSTNAME", "SYSLOG_IDENTIFIER", "MESSAGE"];

/// A record that is held back.
#[derive(Debug, Default)]
pub(super) struct Dedup {
    /// The record as JSON.
    line: Vec<u8>,
    /// The values that equal records have in common.
    key: Vec<u8>,
    /// The number of records; 0 if none is held.
    count: u64,
    /// The buffer for the key of the next record.
    next: Vec<u8>,
}

impl Dedup {
    /// Returns whether a record equals the one that is held, and counts it.
    pub(super) fn absorbs(&mut self, record: &FlatRecord<'_>, all_fields: bool) -> bool {
        self.next.clear();
        push_key(record, all_fields, &mut self.next);
        let is_equal = self.count > 0 && self.next == self.key;
        self.count += u64::from(is_equal);
        is_equal
    }

    /// Holds a record back, for which [`Dedup::absorbs`] was asked last. Returns false if the record is too long.
    pub(super) fn hold(&mut self, line: &[u8]) -> bool {
        if line.len() > MAX_HELD {
            self.next = Vec::new();
            return false;
        }
        self.line.clear();
        self.line.extend_from_slice(line);
        std::mem::swap(&mut self.key, &mut self.next);
        self.count = 1;
        true
    }

    /// Returns the record that is held, and the number of its equals with it. Nothing is held after it.
    pub(super) fn take(&mut self) -> Option<(&[u8], u64)> {
        let count = std::mem::take(&mut self.count);
        (count > 0).then_some((self.line.as_slice(), count))
    }
}

/// Appends the values that decide. Lengths keep them apart.
fn push_key(record: &FlatRecord<'_>, all_fields: bool, key: &mut Vec<u8>) {
    let is_kata = record.get("kata_component").is_some();
    let journal = if is_kata { OF_JOURNAL.get(..1) } else { OF_JOURNAL.get(..) };
    for name in journal.unwrap_or_default() {
        push(record.journal_text(name), key);
    }
    for field in record.fields() {
        let name = &*field.name;
        if DECIDING.contains(&name) || is_shown(name, all_fields, record) {
            push(name.as_bytes(), key);
            key.push(u8::from(matches!(field.value, Value::List(_))));
            field.value.texts().for_each(|text| push(text, key));
        }
    }
}

fn push(text: &[u8], key: &mut Vec<u8>) {
    key.extend_from_slice(&text.len().to_le_bytes());
    key.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the numbers of equal records, one for each record that is shown.
    fn counts(records: &[String], all_fields: bool) -> Vec<u64> {
        let (mut dedup, mut counts) = (Dedup::default(), Vec::new());
        for line in records {
            if !dedup.absorbs(&FlatRecord::parse(line.as_bytes()).unwrap(), all_fields) {
                counts.extend(dedup.take().map(|(_, count)| count));
                if !dedup.hold(line.as_bytes()) {
                    counts.push(1);
                }
            }
        }
        counts.extend(dedup.take().map(|(_, count)| count));
        counts
    }

    fn record(more: &str) -> String {
        format!(r#"{{"kata_component":"agent","kata_msg":"m","kata_a":["b","c"]{more}}}"#)
    }

    #[test]
    fn times_and_routine_fields_do_not_decide() {
        for more in [r#","kata_time":"2024-03-05T04:01:54Z""#, r#","kata_pid":7"#, r#","__CURSOR":"c""#] {
            assert_eq!(counts(&[record(""), record(more)], false), [2], "{more}");
        }
        assert_eq!(counts(&[record(r#","kata_pid":6"#), record(r#","kata_pid":7"#)], true), [1, 1]);
    }

    #[test]
    fn whatever_is_shown_decides() {
        for more in [
            r#","kata_level":"error""#,
            r#","kata_sandbox":"s""#,
            r#","kata_origin":"guest""#,
            r#","kata_error":"e""#,
            r#","kata_flaws":["truncated"]"#,
            r#","kata_x":"""#,
            r#","_HOSTNAME":"h""#,
        ] {
            assert_eq!(counts(&[record(""), record(more), record(more)], false), [1, 2], "{more}");
        }
        let lists = [r#","kata_x":["ab","c"]"#, r#","kata_x":["a","bc"]"#, r#","kata_x":"abc""#].map(record);
        assert_eq!(counts(&lists, false), [1, 1, 1]);
        let other = |text: &str| format!(r#"{{"SYSLOG_IDENTIFIER":"i","MESSAGE":"{text}"}}"#);
        assert_eq!(counts(&[other("a"), other("a"), other("b")], false), [2, 1]);
    }

    #[test]
    fn memory_is_bounded() {
        let long = record(&format!(r#","kata_x":"{}""#, "x".repeat(MAX_HELD)));
        assert_eq!(counts(&[long.clone(), long, record(""), record("")], false), [1, 1, 2]);
    }
}
