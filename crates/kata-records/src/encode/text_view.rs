//! Lines for people who debug a sandbox: time, delta, component, level, sandbox, message.
//!
//! ```text
//! 2024-03-05 05:01:54.163          runtime        INFO   5fbd3e1bd231 Stopping VM  pid=4242
//! 2024-03-05 05:01:54.175  +0.012  agent          WARN   5fbd3e1bd231 guest| slow mount  error="no such device"
//! ```
//!
//! Each line has its date, so a line in a ticket still shows its time. No byte of a record reaches the terminal as a
//! control character, because a hostile guest controls its log. Further lines of a message are indented, so they cannot
//! pass for records.

use std::io::Write as _;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use unicode_width::UnicodeWidthStr as _;

use crate::component::Component;
use crate::origin::Origin;
use crate::record::{Facts, Field, Level, Record, Value};
use crate::time::UtcTimestamp;
use crate::visible;

/// The number of characters of a sandbox id that container tools show.
const SHORT_ID: usize = 12;

/// The beginning of further lines of a message.
const MARK: &[u8] = b"    | ";

/// The capacity that the buffer of a row keeps. Only giant records exceed it.
const MAX_KEPT: usize = 64 << 10;

const DIM: &str = "\x1b[2m";
const CYAN: &str = "\x1b[36m";
const YELLOW: &str = "\x1b[33m";
const MAGENTA: &str = "\x1b[35m";
const RESET: &[u8] = b"\x1b[0m";

/// The number of blanks before the continuation of a line that is wider than the terminal. It ends below the mark.
const HANGING_INDENT: usize = MARK.len();

/// An encoder for lines. It remembers the time of the previous record, so all records of a run go through one encoder.
#[derive(Debug)]
pub(crate) struct TextView {
    zone: TimeZone,
    color: bool,
    /// The width of the terminal. Without it, no line is folded.
    columns: Option<usize>,
    previous: Option<Timestamp>,
    /// The unfolded lines of a record.
    row: Vec<u8>,
    /// The decoded text of a value.
    decoded: Vec<u8>,
}

impl TextView {
    /// Returns an encoder that shows times in `zone`, with or without colors, and folds lines at a number of columns.
    #[must_use]
    pub(crate) fn new(zone: TimeZone, color: bool, columns: Option<usize>) -> TextView {
        TextView { zone, color, columns, previous: None, row: Vec::new(), decoded: Vec::new() }
    }

    /// Appends a record: one line, and one more for each further line of its message. Lines that are wider than the
    /// terminal are folded, because the terminal would begin the next row with any text of a guest.
    pub(crate) fn encode(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let Some(columns) = self.columns else { return self.unfolded(record, out) };
        let mut row = std::mem::take(&mut self.row);
        row.clear();
        self.unfolded(record, &mut row);
        for line in String::from_utf8_lossy(&row).lines() {
            visible::fold(line, columns, HANGING_INDENT, out);
            out.push(b'\n');
        }
        row.shrink_to(MAX_KEPT);
        self.row = row;
    }

    fn unfolded(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        match &record.facts {
            Some(facts) => self.kata(record, facts, out),
            None => self.other(record, out),
        }
    }

    /// Appends an entry of Kata's. The envelope is not shown, because the facts hold its relevant parts.
    fn kata(&mut self, record: &Record<'_>, facts: &Facts, out: &mut Vec<u8>) {
        let find = |name: &[u8]| record.payload.iter().find(|field| field.key.name() == name);
        self.time(facts.time, out);
        self.column(facts.component.name().as_bytes(), widest_component(), CYAN, out);
        let (level, style) = facts.level.map_or(("-", ""), level_style);
        self.column(level.as_bytes(), 5, style, out);
        let sandbox = find(b"kata_sandbox");
        self.decode(sandbox.map(|field| field.value));
        let decoded = std::mem::take(&mut self.decoded);
        let id: String = String::from_utf8_lossy(&decoded).chars().take(SHORT_ID).collect();
        self.column(if id.is_empty() { b"-" } else { id.as_bytes() }, SHORT_ID, DIM, out);
        self.decoded = decoded;
        // One space separates the last column from the message.
        out.truncate(out.len() - 1);
        let mark = match facts.origin {
            Origin::Host | Origin::Vouched => "",
            Origin::Guest => "guest|",
            Origin::Tenant => "tenant|",
            Origin::Unproven => "unproven|",
        };
        if !mark.is_empty() {
            self.styled(mark, MAGENTA, out);
            out.push(b' ');
        }
        self.decode(find(b"kata_msg").map(|field| field.value));
        let message = std::mem::take(&mut self.decoded);
        let (first, more) = split_line(trim_line_ends(&message));
        plain(first, out);
        let mut gap: &[u8] = if first.is_empty() { b"" } else { b"  " };
        for field in &record.payload {
            if matches!(field.key.name(), b"kata_msg" | b"kata_sandbox") {
                continue;
            }
            out.extend_from_slice(gap);
            gap = b" ";
            self.pair(field, out);
        }
        for flaw in facts.flaws.iter() {
            out.extend_from_slice(gap);
            gap = b" ";
            self.begin(YELLOW, out);
            out.push(b'!');
            out.extend_from_slice(flaw.name().as_bytes());
            self.end(YELLOW, out);
        }
        end_line(out);
        further_lines(more, out);
        self.decoded = message;
    }

    /// Appends an entry of another program. Settings may have changed the case and underscores of its field names.
    fn other(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let find = |name: &str| {
            record.envelope.iter().find(|field| {
                let found = field.key.name();
                let underscores = found.iter().take_while(|byte| **byte == b'_').count();
                found[underscores..].eq_ignore_ascii_case(name.as_bytes())
            })
        };
        self.decode(find("REALTIME_TIMESTAMP").map(|field| field.value));
        let micros = std::str::from_utf8(&self.decoded).ok().and_then(|text| text.parse().ok());
        self.time(micros.and_then(UtcTimestamp::from_micros), out);
        self.decode(find("SYSLOG_IDENTIFIER").map(|field| field.value));
        let identifier = std::mem::take(&mut self.decoded);
        self.column(if identifier.is_empty() { b"-" } else { &identifier }, widest_component(), DIM, out);
        self.decoded = identifier;
        self.column(b"-", 5, "", out);
        self.column(b"-", SHORT_ID, DIM, out);
        out.truncate(out.len() - 1);
        self.decode(find("MESSAGE").map(|field| field.value));
        let (first, more) = split_line(trim_line_ends(&self.decoded));
        plain(first, out);
        end_line(out);
        further_lines(more, out);
    }

    /// Appends the local time and the time since the previous record.
    fn time(&mut self, stamp: Option<UtcTimestamp>, out: &mut Vec<u8>) {
        let now = stamp.and_then(|stamp| stamp.timestamp());
        let local = now.map_or_else(
            || format!("{:<23}", "-"),
            |now| {
                let local = self.zone.to_datetime(now);
                format!("{} {:.3}", local.date(), local.time())
            },
        );
        out.extend_from_slice(local.as_bytes());
        let delta = match (self.previous, now) {
            (Some(previous), Some(now)) => distance(now.duration_since(previous)),
            _ => String::new(),
        };
        self.begin(DIM, out);
        // Writes to memory cannot fail.
        let _ = write!(out, " {delta:>7}");
        self.end(DIM, out);
        out.extend_from_slice(b"  ");
        self.previous = now.or(self.previous);
    }

    /// Appends a padded column and two spaces. Longer content shifts the rest to the right.
    fn column(&self, bytes: &[u8], width: usize, style: &str, out: &mut Vec<u8>) {
        self.begin(style, out);
        let start = out.len();
        plain(bytes, out);
        let shown = String::from_utf8_lossy(&out[start..]).width();
        self.end(style, out);
        out.resize(out.len() + width.saturating_sub(shown) + 2, b' ');
    }

    /// Appends `key=value`, the key without `kata_`.
    fn pair(&mut self, field: &Field<'_>, out: &mut Vec<u8>) {
        self.begin(DIM, out);
        let name = field.key.name();
        plain(name.strip_prefix(b"kata_").unwrap_or(name), out);
        out.push(b'=');
        if let Value::List(texts) = field.value {
            out.push(b'[');
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                self.decode(Some(Value::Text(*text)));
                value(&self.decoded, out);
            }
            out.push(b']');
        } else {
            self.decode(Some(field.value));
            if matches!(field.value, Value::Nested(_)) {
                // Quotes around JSON would escape all of its quotes.
                plain(&self.decoded, out);
            } else {
                value(&self.decoded, out);
            }
        }
        self.end(DIM, out);
    }

    /// Decodes the text of a value into `self.decoded`; no value leaves it empty.
    fn decode(&mut self, value: Option<Value<'_>>) {
        self.decoded.clear();
        match value {
            None | Some(Value::Null) => {}
            Some(Value::Text(text)) => text.decode_into(&mut self.decoded),
            Some(Value::List(texts)) => {
                if let Some(text) = texts.first() {
                    text.decode_into(&mut self.decoded);
                }
            }
            Some(Value::Int(number)) => self.decoded.extend_from_slice(number.to_string().as_bytes()),
            Some(Value::Bool(value)) => self.decoded.extend_from_slice(value.to_string().as_bytes()),
            Some(Value::Time(stamp)) => self.decoded.extend_from_slice(stamp.as_bytes()),
            Some(Value::Nested(json)) => self.decoded.extend_from_slice(json),
        }
    }

    fn styled(&self, text: &str, style: &str, out: &mut Vec<u8>) {
        self.begin(style, out);
        out.extend_from_slice(text.as_bytes());
        self.end(style, out);
    }

    fn begin(&self, style: &str, out: &mut Vec<u8>) {
        if self.color {
            out.extend_from_slice(style.as_bytes());
        }
    }

    fn end(&self, style: &str, out: &mut Vec<u8>) {
        if self.color && !style.is_empty() {
            out.extend_from_slice(RESET);
        }
    }
}

fn widest_component() -> usize {
    Component::ALL.iter().map(|component| component.name().len()).max().unwrap_or_default()
}

fn level_style(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::Trace => ("TRACE", DIM),
        Level::Debug => ("DEBUG", "\x1b[34m"),
        Level::Info => ("INFO", "\x1b[32m"),
        Level::Warning => ("WARN", YELLOW),
        Level::Error => ("ERROR", "\x1b[31m"),
        Level::Critical => ("CRIT", "\x1b[1;31m"),
    }
}

/// Formats a duration in at most seven characters.
fn distance(span: SignedDuration) -> String {
    let sign = if span.is_negative() { '-' } else { '+' };
    let span = span.unsigned_abs();
    let (seconds, millis) = (span.as_secs(), span.subsec_millis());
    match seconds {
        0..10 => format!("{sign}{seconds}.{millis:03}"),
        10..60 => format!("{sign}{seconds}.{}s", millis / 100),
        60..3_600 => format!("{sign}{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{sign}{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{sign}{}d", seconds / 86_400),
    }
}

/// Ends a line without trailing spaces.
fn end_line(out: &mut Vec<u8>) {
    while out.last() == Some(&b' ') {
        out.pop();
    }
    out.push(b'\n');
}

fn trim_line_ends(mut text: &[u8]) -> &[u8] {
    while let [head @ .., b'\n' | b'\r'] = text {
        text = head;
    }
    text
}

fn split_line(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'\n', text).and_then(|at| text.split_at_checked(at)) {
        Some((first, more)) => (trim_line_ends(first), more.get(1..)),
        None => (text, None),
    }
}

fn further_lines(more: Option<&[u8]>, out: &mut Vec<u8>) {
    for line in more.into_iter().flat_map(|more| more.split(|byte| *byte == b'\n')) {
        out.extend_from_slice(MARK);
        plain(trim_line_ends(line), out);
        end_line(out);
    }
}

/// Appends a value, in quotes if its end would be ambiguous.
fn value(text: &[u8], out: &mut Vec<u8>) {
    let is_bare = |c: char| !c.is_whitespace() && !matches!(c, '"' | '=') && !visible::is_hidden(c);
    if !text.is_empty() && std::str::from_utf8(text).is_ok_and(|text| text.chars().all(is_bare)) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    visible::escape_into(text, |c| matches!(c, '"' | '\\'), out);
    out.push(b'"');
}

/// Appends text without quotes.
fn plain(text: &[u8], out: &mut Vec<u8>) {
    visible::escape_into(text, |_| false, out);
}

#[cfg(test)]
mod tests {
    use super::super::samples::{facts, field};
    use super::*;
    use crate::flaw::Flaw;

    fn record<'b>(facts: Facts, payload: Vec<Field<'b>>) -> Record<'b> {
        Record { facts: Some(facts), payload, ..Record::default() }
    }

    fn check(records: &[Record<'_>], color: bool, expected: &str) {
        let mut view = TextView::new(TimeZone::fixed(jiff::tz::offset(1)), color, None);
        let mut out = Vec::new();
        for record in records {
            view.encode(record, &mut out);
        }
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    const ID: &str = "5fbd3e1bd2314a8c9e0f5fbd3e1bd2314a8c9e0f5fbd3e1bd2314a8c9e0f1234";

    #[test]
    fn columns_line_up() {
        let mut second = facts("2024-03-05T04:01:54.175Z");
        second.component = Component::Agent;
        second.level = Some(Level::Warning);
        second.origin = Origin::Guest;
        second.flaws.add(Flaw::Truncated);
        check(
            &[
                record(
                    facts("2024-03-05T04:01:54.163Z"),
                    vec![
                        field("kata_msg", "sandbox started"),
                        field("kata_pid", Value::Int(4242)),
                        field("kata_sandbox", ID),
                    ],
                ),
                record(
                    second,
                    vec![
                        field("kata_sandbox", "short"),
                        field("kata_msg", "slow mount"),
                        field("kata_error", "no \"such\" device"),
                        field("kata_empty", ""),
                    ],
                ),
            ],
            false,
            "2024-03-05 05:01:54.163          runtime        INFO   5fbd3e1bd231 sandbox started  pid=4242\n\
             2024-03-05 05:01:54.175  +0.012  agent          WARN   short        guest| slow mount  \
             error=\"no \\\"such\\\" device\" empty=\"\" !truncated\n",
        );
    }

    #[test]
    fn what_is_missing_is_a_dash() {
        let mut nothing = facts("");
        nothing.level = None;
        check(
            &[record(nothing, vec![field("kata_msg", "hello")])],
            false,
            "-                                runtime        -      -            hello\n",
        );
    }

    #[test]
    fn nothing_that_a_guest_wrote_drives_the_terminal() {
        let evil = "\x1b[2J\x07\u{9b}31m\u{202e}x\r\n2024-03-05 host line\tend\n";
        let mut out = Vec::new();
        let mut view = TextView::new(TimeZone::UTC, false, None);
        let mut hostile = facts("2024-03-05T04:01:54Z");
        hostile.origin = Origin::Guest;
        view.encode(
            &record(
                hostile,
                vec![
                    field("kata_msg", evil),
                    field("kata_error", evil),
                    field("kata_sandbox", evil),
                    field("kata_n", Value::Nested(b"[\"\x7f\"]")),
                ],
            ),
            &mut out,
        );
        let text = String::from_utf8(out).unwrap();
        assert!(text.chars().all(|c| c == '\n' || !visible::is_hidden(c)), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains("guest| \\x1b[2J\\x07\\u{9b}31m\\u{202e}x  error=\"\\x1b[2J"), "{text}");
        assert_eq!(lines[1], "    | 2024-03-05 host line\\tend");
    }

    #[test]
    fn nothing_is_hidden_from_people() {
        let hidden = "\u{ad}\u{3164}\u{115f}\u{2800}\u{fe0f}\u{34f}\u{e0100}\u{200b}\u{2066}";
        let shown = r"\u{ad}\u{3164}\u{115f}\u{2800}\u{fe0f}\u{34f}\u{e0100}\u{200b}\u{2066}";
        let payload = vec![
            field("kata_msg", format!("a{hidden}").leak() as &str),
            field("kata_error", hidden),
            field("kata_sandbox", "日本日本日本日本日本日本日本"),
        ];
        check(
            &[record(facts("2024-03-05T04:01:54.163Z"), payload)],
            false,
            &format!(
                "2024-03-05 05:01:54.163          runtime        INFO   日本日本日本日本日本日本 a{shown}  error=\"{shown}\"\n"
            ),
        );
    }

    #[test]
    fn no_guest_begins_a_row_of_the_terminal() {
        let forged = "2024-03-05 05:01:54.163          runtime        INFO   5fbd3e1bd231 all is well";
        for (columns, color) in [(2, false), (20, false), (40, true), (80, false), (100, true)] {
            for padding in 0..columns {
                let text = format!("{}{forged}\n{}{forged}", "x".repeat(padding), "\u{65e5}".repeat(padding));
                let mut out = Vec::new();
                let record = record(
                    facts("2024-03-05T04:01:54Z"),
                    vec![field("kata_msg", text.as_str()), field("kata_error", text.as_str())],
                );
                TextView::new(TimeZone::UTC, color, Some(columns)).encode(&record, &mut out);
                let text = String::from_utf8(out).unwrap();
                let indent = HANGING_INDENT.min(columns - 2);
                for (number, line) in text.lines().enumerate() {
                    let begins = line.starts_with(&" ".repeat(indent)) || line.starts_with("    | ");
                    assert!(number == 0 || begins || columns < 8, "{columns}: {text}");
                    assert!(color || line.width() <= columns, "{columns}: {text}");
                }
            }
        }
    }

    #[test]
    fn colors_only_where_asked_for() {
        let entry = || record(facts("2024-03-05T04:01:54Z"), vec![field("kata_msg", "m"), field("kata_a", "b")]);
        let mut out = Vec::new();
        TextView::new(TimeZone::UTC, true, None).encode(&entry(), &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\x1b[32mINFO\x1b[0m") && text.contains("\x1b[2ma=b\x1b[0m"), "{text:?}");
        let mut out = Vec::new();
        TextView::new(TimeZone::UTC, false, None).encode(&entry(), &mut out);
        assert!(!out.contains(&0x1b));
    }

    #[test]
    fn entries_of_others_show_identifier_and_message() {
        for (identifier, message) in [("SYSLOG_IDENTIFIER", "MESSAGE"), ("syslog_identifier", "message")] {
            let record = Record {
                envelope: vec![
                    field("__REALTIME_TIMESTAMP", "1709614914163000"),
                    field(identifier, "containerd\n"),
                    field(message, "two\nlines"),
                ],
                ..Record::default()
            };
            check(
                &[record],
                false,
                "2024-03-05 06:01:54.163          containerd\\n   -      -            two\n    | lines\n",
            );
        }
    }

    #[test]
    fn distances_are_short() {
        for (millis, expected) in [
            (12, "+0.012"),
            (-12, "-0.012"),
            (9_999, "+9.999"),
            (12_345, "+12.3s"),
            (192_000, "+3m12s"),
            (18_180_000, "+5h03m"),
            (86_400_000 * 3, "+3d"),
        ] {
            assert_eq!(distance(SignedDuration::from_millis(millis)), expected);
        }
    }
}
