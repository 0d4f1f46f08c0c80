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

use kata_records::visible::{escape, is_hidden};
use kata_records::{Component, UtcTimestamp};

use super::record::{Field, FlatRecord, Value};
use crate::diagnostics::fold;

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
pub(super) struct TextView {
    zone: TimeZone,
    color: bool,
    /// The width of the terminal. Without it, no line is folded.
    columns: Option<usize>,
    previous: Option<Timestamp>,
    /// The unfolded lines of a record.
    row: Vec<u8>,
}

impl TextView {
    /// Returns an encoder that shows times in `zone`, with or without colors, and folds lines at a number of columns.
    #[must_use]
    pub(super) fn new(zone: TimeZone, color: bool, columns: Option<usize>) -> TextView {
        TextView { zone, color, columns, previous: None, row: Vec::new() }
    }

    /// Appends a record: one line, and one more for each further line of its message. Lines that are wider than the
    /// terminal are folded, because the terminal would begin the next row with any text of a guest.
    pub(super) fn encode(&mut self, record: &FlatRecord<'_>, out: &mut Vec<u8>) {
        let Some(columns) = self.columns else { return self.unfolded(record, out) };
        let mut row = std::mem::take(&mut self.row);
        row.clear();
        self.unfolded(record, &mut row);
        for line in String::from_utf8_lossy(&row).lines() {
            fold(line, columns, HANGING_INDENT, out);
            out.push(b'\n');
        }
        row.shrink_to(MAX_KEPT);
        self.row = row;
    }

    fn unfolded(&mut self, record: &FlatRecord<'_>, out: &mut Vec<u8>) {
        if record.get("kata_component").is_some() {
            self.kata(record, out);
        } else {
            self.other(record, out);
        }
    }

    /// Appends an entry of Kata's. The envelope is not shown, because other fields hold its relevant parts.
    fn kata(&mut self, record: &FlatRecord<'_>, out: &mut Vec<u8>) {
        self.time(UtcTimestamp::parse(record.text("kata_time")), out);
        self.column(record.text("kata_component"), widest_component(), CYAN, out);
        let (level, style) = level_style(record.text("kata_level"));
        self.column(level.as_bytes(), 5, style, out);
        let id: String = String::from_utf8_lossy(record.text("kata_sandbox")).chars().take(SHORT_ID).collect();
        self.column(if id.is_empty() { b"-" } else { id.as_bytes() }, SHORT_ID, DIM, out);
        // One space separates the last column from the message.
        out.truncate(out.len() - 1);
        let mark = match record.text("kata_origin") {
            b"host" | b"vouched" => "",
            b"guest" => "guest|",
            b"tenant" => "tenant|",
            _ => "unproven|",
        };
        if !mark.is_empty() {
            self.styled(mark, MAGENTA, out);
            out.push(b' ');
        }
        let (first, more) = split_line(trim_line_ends(record.text("kata_msg")));
        plain(first, out);
        let mut gap: &[u8] = if first.is_empty() { b"" } else { b"  " };
        for field in record.fields().iter().filter(|field| is_shown(&field.name)) {
            out.extend_from_slice(gap);
            gap = b" ";
            self.pair(field, out);
        }
        for flaw in record.get("kata_flaws").iter().flat_map(|flaws| flaws.texts()) {
            out.extend_from_slice(gap);
            gap = b" ";
            self.begin(YELLOW, out);
            out.push(b'!');
            plain(flaw, out);
            self.end(YELLOW, out);
        }
        end_line(out);
        further_lines(more, out);
    }

    /// Appends an entry of another program.
    fn other(&mut self, record: &FlatRecord<'_>, out: &mut Vec<u8>) {
        let micros = std::str::from_utf8(record.journal_text("REALTIME_TIMESTAMP")).ok();
        self.time(micros.and_then(|text| text.parse().ok()).and_then(UtcTimestamp::from_micros), out);
        let identifier = record.journal_text("SYSLOG_IDENTIFIER");
        self.column(if identifier.is_empty() { b"-" } else { identifier }, widest_component(), DIM, out);
        self.column(b"-", 5, "", out);
        self.column(b"-", SHORT_ID, DIM, out);
        out.truncate(out.len() - 1);
        let (first, more) = split_line(trim_line_ends(record.journal_text("MESSAGE")));
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
    fn pair(&self, field: &Field<'_>, out: &mut Vec<u8>) {
        self.begin(DIM, out);
        plain(field.name.strip_prefix("kata_").unwrap_or(&field.name).as_bytes(), out);
        out.push(b'=');
        match &field.value {
            Value::List(texts) => {
                out.push(b'[');
                for (index, text) in texts.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    value(text, out);
                }
                out.push(b']');
            }
            // Quotes around JSON would escape all of its quotes.
            Value::Nested(json) => plain(json.as_bytes(), out),
            other => value(other.first_text(), out),
        }
        self.end(DIM, out);
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

fn level_style(level: &[u8]) -> (&'static str, &'static str) {
    match level {
        b"trace" => ("TRACE", DIM),
        b"debug" => ("DEBUG", "\x1b[34m"),
        b"info" => ("INFO", "\x1b[32m"),
        b"warning" => ("WARN", YELLOW),
        b"error" => ("ERROR", "\x1b[31m"),
        b"critical" => ("CRIT", "\x1b[1;31m"),
        _ => ("-", ""),
    }
}

/// Returns whether a field has no column of its own, and is no field of the journal or of katalog.
fn is_shown(name: &str) -> bool {
    let own = [
        "kata_time",
        "kata_level",
        "kata_component",
        "kata_format",
        "kata_origin",
        "kata_guest",
        "kata_msg",
        "kata_sandbox",
        "kata_flaws",
        "kata_escaped",
        "kata_redacted",
    ];
    name.starts_with("kata_") && !own.contains(&name)
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
    let is_bare = |c: char| !c.is_whitespace() && !matches!(c, '"' | '=') && !is_hidden(c);
    if !text.is_empty() && std::str::from_utf8(text).is_ok_and(|text| text.chars().all(is_bare)) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for part in text.split_inclusive(|byte| matches!(byte, b'"' | b'\\')) {
        let (quote, head) = part.split_last().map_or((b' ', part), |(last, head)| (*last, head));
        if matches!(quote, b'"' | b'\\') {
            plain(head, out);
            out.extend_from_slice(&[b'\\', quote]);
        } else {
            plain(part, out);
        }
    }
    out.push(b'"');
}

/// Appends text without quotes.
fn plain(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(escape(text).as_bytes());
}

#[cfg(test)]
mod tests;
