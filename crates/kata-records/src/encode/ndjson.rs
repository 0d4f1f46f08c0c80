//! One JSON object a line (RFC 8259). Clean text and JSON strings are copied without a look at them.

use memchr::memchr;

use super::shared_fields::{PendingCopy, SharedFields};
use crate::component::Component;
use crate::digits::Digits8;
use crate::escapes::{Escape, go_escape};
use crate::flaw::Flaws;
use crate::origin::Origin;
use crate::record::{Escaping, Facts, Field, Key, Level, PayloadFormat, Record, Text, Value};
use crate::scan;

/// The bound below which integers are written eight digits at once.
const DECIMAL: i64 = Digits8::DECIMAL as i64;

/// An encoder for JSON. It keeps the encoded shared fields of the current batch.
#[derive(Debug, Default)]
pub(crate) struct Ndjson(SharedFields);

impl Ndjson {
    /// Starts a new batch.
    pub(crate) fn begin(&mut self) {
        self.0.begin();
    }

    /// Appends a record and a line end.
    pub(crate) fn encode(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        out.push(b'{');
        self.envelope(&record.envelope, out);
        if let Some(facts) = &record.facts {
            self::facts(facts, out);
        }
        fields(&record.payload, out);
        if let Some(facts) = &record.facts {
            flaws(facts.flaws, out);
        }
        names("kata_escaped", &record.escaped, out);
        names("kata_redacted", &record.redacted, out);
        // Every field ends with a comma, so the last comma is removed.
        if out.last() == Some(&b',') {
            out.pop();
        }
        out.extend_from_slice(b"}\n");
    }
}

/// Appends an encoded record with its delta as the last field.
pub(crate) fn with_delta(record: &[u8], delta: Option<i64>, out: &mut Vec<u8>) {
    let (Some(delta), Some(open)) = (delta, record.strip_suffix(b"}\n")) else { return out.extend_from_slice(record) };
    out.extend_from_slice(open);
    if open != b"{" {
        out.push(b',');
    }
    out.extend_from_slice(b"\"kata_delta_ns\":");
    out.extend_from_slice(itoa::Buffer::new().format(delta).as_bytes());
    out.extend_from_slice(b"}\n");
}

impl Ndjson {
    /// Appends the fields of the envelope, most of which an earlier entry had.
    fn envelope(&mut self, envelope: &[Field<'_>], out: &mut Vec<u8>) {
        let mut run = PendingCopy::default();
        for field in envelope {
            let write = |out: &mut Vec<u8>| fields(std::slice::from_ref(field), out);
            if field.number == 0 {
                self.0.end(&mut run, out);
                write(out);
            } else {
                self.0.copy(field.number, &mut run, out, write);
            }
        }
        self.0.end(&mut run, out);
    }
}

fn facts(facts: &Facts, out: &mut Vec<u8>) {
    if let Some(time) = &facts.time {
        out.extend_from_slice(b"\"kata_time\":\"");
        out.extend_from_slice(time.as_bytes());
        out.extend_from_slice(b"\",");
    }
    if let Some(level) = facts.level {
        LEVELS[level as usize].put(out);
    }
    COMPONENTS[facts.component as usize].put(out);
    ORIGINS[facts.format as usize][facts.origin as usize].put(out);
}

/// A field with its value and a comma, copied at a fixed size.
#[derive(Clone, Copy)]
struct StaticField {
    text: [u8; 64],
    length: usize,
}

impl StaticField {
    const fn new(name: &str, value: &str) -> StaticField {
        StaticField::of(&["\"", name, "\":\"", value, "\","])
    }

    const fn of(parts: &[&str]) -> StaticField {
        let mut field = StaticField { text: [0; 64], length: 0 };
        let mut part = 0;
        while part < parts.len() {
            let mut at = 0;
            while at < parts[part].len() {
                field.text[field.length] = parts[part].as_bytes()[at];
                field.length += 1;
                at += 1;
            }
            part += 1;
        }
        field
    }

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.text);
        out.truncate(out.len() - self.text.len() + self.length);
    }
}

/// Makes one field for each value of an enum.
macro_rules! static_fields {
    ($name:literal, $values:expr) => {{
        let mut static_fields = [StaticField { text: [0; 64], length: 0 }; $values.len()];
        let mut index = 0;
        while index < static_fields.len() {
            static_fields[$values[index] as usize] = StaticField::new($name, $values[index].name());
            index += 1;
        }
        static_fields
    }};
}

static LEVELS: [StaticField; Level::ALL.len()] = static_fields!("kata_level", Level::ALL);
static COMPONENTS: [StaticField; Component::ALL.len()] = static_fields!("kata_component", Component::ALL);

/// Format and origin together, because every record has both. A guest's origin has `kata_guest` behind it.
static ORIGINS: [[StaticField; Origin::ALL.len()]; PayloadFormat::ALL.len()] = {
    let mut all = [[StaticField { text: [0; 64], length: 0 }; Origin::ALL.len()]; PayloadFormat::ALL.len()];
    let mut format = 0;
    while format < PayloadFormat::ALL.len() {
        let mut origin = 0;
        while origin < Origin::ALL.len() {
            let is_guest = matches!(Origin::ALL[origin], Origin::Guest);
            let parts = [
                "\"kata_format\":\"",
                PayloadFormat::ALL[format].name(),
                "\",\"kata_origin\":\"",
                Origin::ALL[origin].name(),
                if is_guest { "\",\"kata_guest\":true," } else { "\"," },
            ];
            all[PayloadFormat::ALL[format] as usize][Origin::ALL[origin] as usize] = StaticField::of(&parts);
            origin += 1;
        }
        format += 1;
    }
    all
};

fn flaws(flaws: Flaws, out: &mut Vec<u8>) {
    if flaws.is_empty() {
        return;
    }
    out.extend_from_slice(b"\"kata_flaws\":[");
    for flaw in flaws.iter() {
        out.push(b'"');
        out.extend_from_slice(flaw.name().as_bytes());
        out.extend_from_slice(b"\",");
    }
    out.pop();
    out.extend_from_slice(b"],");
}

/// Appends a field with a list of the names of other fields, unless the list is empty.
pub(super) fn names(name: &str, keys: &[Key<'_>], out: &mut Vec<u8>) {
    if keys.is_empty() {
        return;
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":[");
    for key in keys {
        out.push(b'"');
        out.extend_from_slice(key.name());
        out.extend_from_slice(b"\",");
    }
    out.pop();
    out.extend_from_slice(b"],");
}

/// Appends fields, each followed by a comma.
#[inline]
pub(super) fn fields(fields: &[Field<'_>], out: &mut Vec<u8>) {
    for field in fields {
        let (form, length) = field.key.padded();
        if let Value::Text(text) = field.value {
            copy(form, length, out);
            content(text, out);
            out.extend_from_slice(b"\",");
            continue;
        }
        // The padded key ends with the quote that opens a string.
        let quoted = matches!(field.value, Value::Time(_));
        copy(form, if quoted { length } else { length - 1 }, out);
        match field.value {
            Value::Text(text) => content(text, out),
            Value::Int(value @ 0..DECIMAL) => {
                let (digits, length) = Digits8::decimal(value as u64).significant();
                out.extend_from_slice(&digits);
                out.truncate(out.len() - digits.len() + length);
            }
            Value::Int(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            Value::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Value::Null => out.extend_from_slice(b"null"),
            Value::Time(stamp) => {
                out.extend_from_slice(stamp.as_bytes());
                out.push(b'"');
            }
            Value::List(texts) => list(texts, out),
            Value::Nested(raw) => out.extend_from_slice(raw),
        }
        out.push(b',');
    }
}

/// Appends the texts of a repeated field as an array.
pub(super) fn list(texts: &[Text<'_>], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.push(b'"');
        content(*text, out);
        out.push(b'"');
    }
    out.push(b']');
}

/// Appends the first `length` bytes of a padded key. A copy of a fixed size costs less than an exact one.
#[inline]
fn copy(form: &[u8], length: usize, out: &mut Vec<u8>) {
    if let (Some(form), true) = (form.first_chunk::<{ Key::PADDED }>(), length <= Key::PADDED) {
        out.extend_from_slice(form);
        out.truncate(out.len() - Key::PADDED + length);
    } else {
        out.extend_from_slice(form.get(..length).unwrap_or_default());
    }
}

/// Appends the content of a text. Most content needs no change.
#[inline(always)]
fn content(text: Text<'_>, out: &mut Vec<u8>) {
    if matches!(text.escaping, Escaping::Clean | Escaping::Json) {
        out.extend_from_slice(text.bytes);
    } else {
        escaped_content(text, out);
    }
}

#[inline(never)]
fn escaped_content(text: Text<'_>, out: &mut Vec<u8>) {
    if text.escaping == Escaping::Go {
        go(text.bytes, out);
    } else {
        plain(text.bytes, out);
    }
}

/// Appends valid UTF-8 without escapes.
fn plain(bytes: &[u8], out: &mut Vec<u8>) {
    let mut start = 0;
    loop {
        let stop = scan::json_special(bytes, start);
        out.extend_from_slice(bytes.get(start..stop).unwrap_or_default());
        let Some(byte) = bytes.get(stop) else { return };
        ascii(*byte, out);
        start = stop + 1;
    }
}

/// Appends an ASCII character, escaped if JSON requires it.
fn ascii(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        0..=0x1f => {
            out.extend_from_slice(b"\\u00");
            out.extend([byte >> 4, byte & 0xf].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
            return;
        }
        _ => return out.push(byte),
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends the inside of a Go string. Most of Go's escapes equal those of JSON.
fn go(bytes: &[u8], out: &mut Vec<u8>) {
    // Escapes that stay are copied with the text around them.
    let (mut copied, mut at) = (0, 0);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        // Escapes often come in runs.
        if rest.first() != Some(&b'\\') {
            match memchr(b'\\', rest) {
                Some(next) => at += next,
                None => break,
            }
        }
        let escape = bytes.get(at..).unwrap_or_default();
        if let Some(b'"' | b'\\' | b'n' | b't' | b'r' | b'b' | b'f') = escape.get(1) {
            at += 2;
            continue;
        }
        out.extend_from_slice(bytes.get(copied..at).unwrap_or_default());
        let Some((length, escape)) = go_escape(escape) else { return };
        match escape {
            Escape::Char(char) if char.is_ascii() => ascii(char as u8, out),
            Escape::Char(char) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            Escape::Byte(byte) => ascii(byte, out),
        }
        at += length;
        copied = at;
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
}
