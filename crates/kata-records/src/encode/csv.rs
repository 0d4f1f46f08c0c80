//! Comma-separated values (RFC 4180) for spreadsheets. A line of names precedes the records; each record is a line with
//! the same columns and CRLF at its end. The last column holds all fields without a column, as a JSON object.
//!
//! Spreadsheets run text that begins with `=`, `+`, `-` or `@`, also in their wide forms, as a formula, and guests write
//! such text. Where lists are separated by `;`, spreadsheets split rows there, and do not know the quotes of a cell. So
//! text begins at the start of a cell, and behind each `;`, tab and line break. If only blanks and quotes are before one
//! of these characters, an apostrophe goes before them. A tab or line break at the start of a cell gets one too. So
//! removing one apostrophe at each of these places restores the text. In the last column, JSON escapes the character
//! instead.

use super::ndjson;
use crate::origin::Origin;
use crate::record::{Field, Record, Value};
use crate::scan;
use crate::visible;

/// The line with the names of the columns.
pub(crate) const HEADER: &[u8] =
    b"kata_time,kata_level,kata_component,host,identifier,kata_sandbox,kata_container,kata_msg,kata_source,\
      kata_subsystem,kata_pid,kata_origin,kata_guest,kata_format,kata_flaws,fields\r\n";

/// The columns that come from the payload.
const PAYLOAD: [&[u8]; 6] =
    [b"kata_sandbox", b"kata_container", b"kata_msg", b"kata_source", b"kata_subsystem", b"kata_pid"];

/// An encoder for CSV. It keeps only buffers.
#[derive(Debug, Default)]
pub(crate) struct Csv {
    /// The text of one value.
    text: Vec<u8>,
    /// The content of the last column.
    rest: Vec<u8>,
    /// The content of a cell without its quotes.
    cell: Vec<u8>,
}

impl Csv {
    /// Appends one record as a line.
    pub(crate) fn encode(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let mut columns = [None; PAYLOAD.len()];
        self.rest.clear();
        self.rest.push(b'{');
        for field in &record.payload {
            match PAYLOAD.iter().position(|name| *name == field.key.name()).and_then(|at| columns.get_mut(at)) {
                Some(column) => *column = Some(field.value),
                None => ndjson::fields(std::slice::from_ref(field), &mut self.rest),
            }
        }
        let facts = record.facts.as_ref();
        if facts.is_none() {
            // Entries of other programs have only these fields.
            let own = [record.host, record.identifier].map(|field| field.map(|field| field.key));
            for field in record.envelope.iter().filter(|field| !own.contains(&Some(field.key))) {
                ndjson::fields(std::slice::from_ref(field), &mut self.rest);
            }
        }
        ndjson::names("kata_escaped", &record.escaped, &mut self.rest);
        ndjson::names("kata_redacted", &record.redacted, &mut self.rest);
        if self.rest.len() > 1 {
            self.rest.pop();
        }
        self.rest.push(b'}');

        out.extend_from_slice(facts.and_then(|facts| facts.time.as_ref()).map_or(b"", |time| time.as_bytes()));
        out.push(b',');
        out.extend_from_slice(facts.and_then(|facts| facts.level).map_or("", |level| level.name()).as_bytes());
        out.push(b',');
        out.extend_from_slice(facts.map_or("", |facts| facts.component.name()).as_bytes());
        out.push(b',');
        let envelope = [record.host, record.identifier].map(|field| field.map(|Field { value, .. }| value));
        for value in envelope.into_iter().chain(columns) {
            self.value(value, out);
            out.push(b',');
        }
        out.extend_from_slice(facts.map_or("", |facts| facts.origin.name()).as_bytes());
        out.push(b',');
        out.extend_from_slice(if facts.is_some_and(|facts| facts.origin == Origin::Guest) { b"true" } else { b"" });
        out.push(b',');
        out.extend_from_slice(facts.map_or("", |facts| facts.format.name()).as_bytes());
        out.push(b',');
        for (index, flaw) in facts.iter().flat_map(|facts| facts.flaws.iter()).enumerate() {
            out.extend_from_slice(if index > 0 { b" " } else { b"" });
            out.extend_from_slice(flaw.name().as_bytes());
        }
        out.push(b',');
        self.cell.clear();
        // Outside of strings, JSON may have blanks and negative numbers, but no semicolons.
        guard_formulas(&self.rest, |byte| byte == b';', |_, at, out| escape_last(at, out), &mut self.cell);
        quoted(&self.cell, out);
        out.extend_from_slice(b"\r\n");
    }

    fn value(&mut self, value: Option<Value<'_>>, out: &mut Vec<u8>) {
        self.text.clear();
        match value {
            None | Some(Value::Null) => return,
            Some(Value::Int(value)) => return out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            Some(Value::Bool(value)) => return out.extend_from_slice(if value { b"true" } else { b"false" }),
            Some(Value::Time(stamp)) => return out.extend_from_slice(stamp.as_bytes()),
            Some(Value::Text(text)) => text.decode_into(&mut self.text),
            Some(Value::Nested(json)) => self.text.extend_from_slice(json),
            Some(Value::List(texts)) => ndjson::list(texts, &mut self.text),
        }
        self.cell.clear();
        let guard = |begin, _, out: &mut Vec<u8>| out.insert(begin, b'\'');
        let has_separators = guard_formulas(&self.text, is_separator, guard, &mut self.cell);
        if has_separators || memchr::memchr2(b',', b'"', &self.text).is_some() {
            quoted(&self.cell, out);
        } else {
            out.extend_from_slice(&self.cell);
        }
    }
}

/// Returns whether a spreadsheet may begin a cell behind this character, whatever the quotes.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b';' | b'\t' | b'\n' | b'\r')
}

/// Returns whether a spreadsheet takes a text that begins with this character for a formula. Some read the wide and the
/// small forms like those of ASCII.
fn begins_formula(c: char) -> bool {
    matches!(
        c,
        '=' | '+'
            | '-'
            | '@'
            | '\u{ff1d}'
            | '\u{ff0b}'
            | '\u{ff0d}'
            | '\u{ff20}'
            | '\u{fe66}'
            | '\u{fe62}'
            | '\u{fe63}'
            | '\u{fe6b}'
            | '\u{2212}'
    )
}

/// Appends text, and calls `guard` for each beginning of a formula: with the place in `out` where its cell would begin,
/// and with the place of the character that makes it a formula, which is the last one. Returns whether the text has a
/// separator.
fn guard_formulas(
    text: &[u8],
    separates: impl Fn(u8) -> bool,
    guard: impl Fn(usize, usize, &mut Vec<u8>),
    out: &mut Vec<u8>,
) -> bool {
    let is_blank = |c: char| {
        let may_be_skipped = matches!(c, '\'' | '"') || c.is_whitespace() || visible::is_hidden(c);
        may_be_skipped && !(c.is_ascii() && separates(c as u8))
    };
    let end_of_part = |from: usize| {
        let mut at = scan::semicolon_or_control(text, from);
        while text.get(at).is_some_and(|byte| !separates(*byte)) {
            at = scan::semicolon_or_control(text, at + 1);
        }
        text.len().min(at + 1)
    };
    let mut end = 0;
    for index in 0.. {
        let start = end;
        end = end_of_part(start);
        let part = text.get(start..end).unwrap_or_default();
        if part.is_empty() {
            break;
        }
        // Nearly all parts begin like this, which neither is a formula nor can stand before one.
        if matches!(part, [b'{' | b'/' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z', ..]) {
            out.extend_from_slice(part);
            continue;
        }
        let part = String::from_utf8_lossy(part);
        let rest = part.trim_start_matches(is_blank);
        let is_guarded = |c: &char| begins_formula(*c) || index == 0 && matches!(c, '\t' | '\n' | '\r');
        let Some(c) = rest.chars().next().filter(is_guarded) else {
            out.extend_from_slice(part.as_bytes());
            continue;
        };
        let begin = out.len();
        let (head, tail) = part.split_at(part.len() - rest.len() + c.len_utf8());
        out.extend_from_slice(head.as_bytes());
        guard(begin, out.len() - c.len_utf8(), out);
        out.extend_from_slice(tail.as_bytes());
    }
    text.iter().rev().take(1).any(|byte| separates(*byte)) || end_of_part(0) < text.len()
}

/// Writes the last character, which is in a string of JSON, as an escape.
fn escape_last(at: usize, out: &mut Vec<u8>) {
    let c = out.get(at..).and_then(|bytes| std::str::from_utf8(bytes).ok()).and_then(|text| text.chars().next());
    out.truncate(at);
    out.extend(c.into_iter().flat_map(|c| format!("\\u{:04x}", u32::from(c)).into_bytes()));
}

/// Appends text in quotes, with doubled quotes inside.
fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'"', rest) {
        let (head, tail) = rest.split_at(at + 1);
        out.extend_from_slice(head);
        out.push(b'"');
        rest = tail;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends whole rows with a line each. Line breaks in cells and characters that a terminal acts on or hides are written
/// as in JSON, so the last column keeps its values.
pub(crate) fn escape_for_terminal(rows: &[u8], out: &mut Vec<u8>) {
    let mut is_quoted = false;
    for chunk in rows.utf8_chunks() {
        for c in chunk.valid().chars() {
            // Doubled quotes inside a cell change this twice.
            is_quoted ^= c == '"';
            if matches!(c, '\r' | '\n') && !is_quoted {
                out.push(c as u8);
            } else {
                visible::push_json_char(c, out);
            }
        }
        // Records are UTF-8.
        chunk.invalid().iter().for_each(|_| visible::push_json_char('\u{fffd}', out));
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, field};
    use super::*;
    use crate::component::Component;
    use crate::flaw::{Flaw, Flaws};
    use crate::record::{Facts, Level, OwnedKey, PayloadFormat};

    fn line(record: &Record<'_>) -> String {
        let mut out = Vec::new();
        Csv::default().encode(record, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn facts() -> Facts {
        let mut flaws = Flaws::default();
        flaws.add(Flaw::Truncated);
        flaws.add(Flaw::NotUtf8);
        Facts {
            level: Some(Level::Warning),
            component: Component::Agent,
            format: PayloadFormat::Slog,
            origin: Origin::Guest,
            flaws,
            ..samples::facts("2024-03-05T04:01:54.175Z")
        }
    }

    #[test]
    fn a_record_is_a_line() {
        let record = Record {
            host: Some(field("_HOSTNAME", "node")),
            identifier: Some(field("SYSLOG_IDENTIFIER", "kata")),
            envelope: vec![field("_HOSTNAME", "node"), field("_PID", "1")],
            facts: Some(facts()),
            payload: vec![
                field("kata_msg", "two\nlines, \"quoted\""),
                field("kata_pid", Value::Int(7)),
                field("kata_a", "=\"b\""),
            ],
            escaped: vec![OwnedKey::new("kata_a").leaked()],
            ..Record::default()
        };
        assert_eq!(
            line(&record),
            "2024-03-05T04:01:54.175000000Z,warning,agent,node,kata,,,\"two\nlines, \"\"quoted\"\"\",,,7,guest,true,slog,\
             not-utf8 truncated,\"{\"\"kata_a\"\":\"\"=\\\"\"b\\\"\"\"\",\"\"kata_escaped\"\":[\"\"kata_a\"\"]}\"\r\n"
                .replace("not-utf8 truncated", &facts().flaws.iter().map(Flaw::name).collect::<Vec<_>>().join(" "))
        );
        assert_eq!(HEADER.split(|byte| *byte == b',').count(), 16);
    }

    #[test]
    fn an_entry_of_others_is_in_the_last_column() {
        let record = Record {
            identifier: Some(field("ident", "sshd")),
            envelope: vec![field("ident", "sshd"), field("MESSAGE", "hello")],
            ..Record::default()
        };
        assert_eq!(line(&record), ",,,,sshd,,,,,,,,,,,\"{\"\"MESSAGE\"\":\"\"hello\"\"}\"\r\n");
        assert_eq!(line(&Record::default()), ",,,,,,,,,,,,,,,\"{}\"\r\n");
    }

    #[test]
    fn no_text_of_the_last_column_is_a_formula() {
        let nested = b"[\t-1,{\"c;\" : -1}]";
        let record = Record {
            facts: Some(facts()),
            payload: vec![
                field("kata_a", "a;=1+1;\u{ff1d}2; -3"),
                Field { value: Value::Nested(nested), ..field("kata_b", "") },
            ],
            ..Record::default()
        };
        let line = line(&record);
        let row = ::csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes()).into_records().next();
        let fields: serde_json::Value = serde_json::from_str(&row.unwrap().unwrap()[15]).unwrap();
        assert_eq!(fields["kata_a"], "a;=1+1;\u{ff1d}2; -3");
        assert_eq!(fields["kata_b"][1]["c;"], -1);
        assert!(!line.contains(";=") && !line.contains("; -") && !line.contains('\u{ff1d}'), "{line}");
    }

    #[test]
    fn no_text_is_a_formula() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@a", "'@a"),
            ("\tb", "\"'\tb\""),
            ("\rb", "\"'\rb\""),
            ("\n=1", "\"'\n'=1\""),
            ("'\n", "\"''\n\""),
            ("a\n\tb\n- c", "\"a\n\tb\n'- c\""),
            ("\r\n\t=1", "\"'\r\n\t'=1\""),
            (" =1", "' =1"),
            ("\u{a0}\u{200b}@a", "'\u{a0}\u{200b}@a"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("\u{ff0b}1\u{ff0d}1", "'\u{ff0b}1\u{ff0d}1"),
            ("\u{ff20}\u{2212}", "'\u{ff20}\u{2212}"),
            ("a;=1", "\"a;'=1\""),
            ("a; \"=1\";-2;b", "\"a;' \"\"=1\"\";'-2;b\""),
            ("'=1", "''=1"),
            ("'quoted'", "'quoted'"),
            ("a=1-2", "a=1-2"),
            ("a;b", "\"a;b\""),
            ("", ""),
        ] {
            let mut out = Vec::new();
            Csv::default().value(Some(field("kata_msg", text).value), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
