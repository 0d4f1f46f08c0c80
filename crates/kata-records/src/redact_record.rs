//! Redacts records: a cheap test of each entry, and the replacement of secrets in every field that repeats them.
//!
//! The test looks at the pairs of the message and at the few fields of the envelope that hold text of programs. Only if
//! one of them may hold a secret, all fields are searched, because the journal's MESSAGE, the fields of the payload and
//! the message for syslog repeat one text.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use crate::envelope::Entry;
use crate::parse::Payload;
use crate::record::{Escaping, Field, Pair, PayloadFormat, Record, Text, Value};
use crate::redact::{self, MARKER, Redactor};
use crate::rules::Rules;

/// The results for command lines of the current batch, which most entries repeat.
#[derive(Debug, Default)]
pub(crate) struct CleanLines<'b> {
    /// The last command lines without a secret.
    lines: [&'b [u8]; 8],
    /// The number of command lines that were kept.
    kept: usize,
}

/// Returns whether an entry may hold a secret. `payload` is empty for an entry of another program.
#[inline]
pub(crate) fn is_suspect<'b>(
    rules: &Rules,
    redactor: &Redactor,
    entry: &Entry<'b>,
    payload: &Payload<'b>,
    lines: &mut CleanLines<'b>,
) -> bool {
    // Most lines of a log file need no look at their pairs again.
    let is_clean = !payload.is_marked
        && payload.inner.is_empty()
        && !payload.pairs.is_empty()
        && entry.fields.is_empty()
        && !redactor.has_patterns();
    !is_clean && is_suspect_inside(rules, redactor, entry, payload, lines)
}

fn is_suspect_inside<'b>(
    rules: &Rules,
    redactor: &Redactor,
    entry: &Entry<'b>,
    payload: &Payload<'b>,
    lines: &mut CleanLines<'b>,
) -> bool {
    // A value that is left out matters only if the whole message is a field too.
    let is_repeated = rules.heads || !entry.fields.is_empty();
    let is_left_out = |pair: &Pair<'_>| {
        !is_repeated && matches!(pair.value, Value::Nested(_)) && rules.normalize.removes_nested(pair)
    };
    let any = |pairs: &[Pair<'b>]| pairs.iter().any(|pair| !is_left_out(pair) && is_suspect_pair(redactor, pair));
    let is_parsed = !payload.pairs.is_empty() || !payload.inner.is_empty();
    // The fields of runtime-rs are pairs too.
    let has_own_fields = payload.format != PayloadFormat::Native;
    redactor.has_patterns()
        || payload.is_marked && any(&payload.pairs)
        || any(&payload.inner)
        || !is_parsed && entry.message.is_some_and(|message| redactor.may_hold_secret(message))
        || !entry.is_plain_line && entry.command_line.is_some_and(|line| is_suspect_line(redactor, line.bytes, lines))
        || has_own_fields && entry.fields.iter().any(|field| field.id.is_none() && is_suspect_pair(redactor, field))
}

fn is_suspect_line<'b>(redactor: &Redactor, line: &'b [u8], lines: &mut CleanLines<'b>) -> bool {
    if lines.lines.contains(&line) {
        return false;
    }
    let is_suspect = redactor.may_hold_secret(line);
    if !is_suspect {
        lines.lines[lines.kept % lines.lines.len()] = line;
        lines.kept += 1;
    }
    is_suspect
}

#[inline(always)]
fn is_suspect_pair(redactor: &Redactor, pair: &Pair<'_>) -> bool {
    match pair.id {
        Some(id) => !pair.is_plain && !id.is_harmless() && is_suspect_value(redactor, &pair.value),
        None => is_suspect_unknown(redactor, pair),
    }
}

/// Returns whether a pair with an unknown key may hold a secret. Words before a `=` belong to a key.
fn is_suspect_unknown(redactor: &Redactor, pair: &Pair<'_>) -> bool {
    redactor.is_secret_key(pair.key)
        || match pair.value {
            Value::Text(text) if pair.is_plain => redact::may_be_secret(b"", text.bytes),
            value => redactor.may_hold_secret(pair.key) || is_suspect_value(redactor, &value),
        }
}

fn is_suspect_value(redactor: &Redactor, value: &Value<'_>) -> bool {
    match value {
        Value::Text(text) => redactor.may_hold_secret(text.bytes),
        Value::Nested(raw) => redactor.may_hold_secret(raw),
        Value::List(texts) => texts.iter().any(|text| redactor.may_hold_secret(text.bytes)),
        Value::Int(_) | Value::Bool(_) | Value::Null | Value::Time(_) => false,
    }
}

/// Replaces the secrets in all fields of a record, and lists the fields.
pub(crate) fn redact<'b>(redactor: &Redactor, record: &mut Record<'b>, bump: &'b Bump) {
    let Record { envelope, payload, redacted, head, .. } = record;
    for field in envelope.iter_mut().chain(payload) {
        if let Some(value) = redacted_value(redactor, field, bump) {
            field.value = value;
            // Other records of the batch that share the field have to list it too.
            field.number = 0;
            redacted.push(field.key);
        }
    }
    if let Some(message) = &mut head.message
        && let Some(bytes) = redactor.redacted(message.bytes, bump)
    {
        message.bytes = bytes;
    }
}

fn redacted_value<'b>(redactor: &Redactor, field: &Field<'b>, bump: &'b Bump) -> Option<Value<'b>> {
    let is_secret = redactor.is_secret_key(own_name(field.key.name()));
    match field.value {
        Value::Text(text) => redacted_text(redactor, is_secret, text, bump).map(Value::Text),
        Value::Nested(_) if is_secret => Some(Value::Text(marker())),
        Value::Nested(raw) => redactor.redacted(raw, bump).map(Value::Nested),
        Value::List(texts) => {
            let mut any = false;
            let new = texts.iter().map(|text| {
                let new = redacted_text(redactor, is_secret, *text, bump);
                any |= new.is_some();
                new.unwrap_or(*text)
            });
            let new = BumpVec::from_iter_in(new, bump).into_bump_slice();
            any.then_some(Value::List(new))
        }
        Value::Int(_) | Value::Bool(_) | Value::Null | Value::Time(_) => None,
    }
}

fn redacted_text<'b>(redactor: &Redactor, is_secret: bool, text: Text<'b>, bump: &'b Bump) -> Option<Text<'b>> {
    if is_secret {
        return (!text.bytes.is_empty() && text.bytes != MARKER.as_bytes()).then(marker);
    }
    Some(Text { bytes: redactor.redacted(text.bytes, bump)?, escaping: text.escaping })
}

/// Returns the name of the key that a field has its name from.
fn own_name(name: &[u8]) -> &[u8] {
    let Some(name) = name.strip_prefix(b"kata_") else { return name };
    let prefixes = [&b"guest_"[..], b"host_", b"fields_"];
    prefixes.iter().find_map(|prefix| name.strip_prefix(*prefix)).unwrap_or(name)
}

fn marker() -> Text<'static> {
    Text { bytes: MARKER.as_bytes(), escaping: Escaping::Clean }
}

/// Replaces the whole text of an entry, in its message and in the fields that repeat the message.
pub(crate) fn withhold<'b>(entry: &mut Entry<'b>, payload: &mut Payload<'b>) {
    payload.clear();
    if entry.message.is_some() {
        entry.message = Some(MARKER.as_bytes());
        payload.pairs.push(Pair::text(b"msg", marker()));
    }
    entry.fields.retain(|field| field.key != b"SYSLOG_RAW");
    for field in entry.fields.iter_mut().filter(|field| matches!(field.key, b"MESSAGE" | b"log")) {
        field.value = Value::Text(marker());
        field.number = 0;
    }
}

/// Lists the fields of a record whose text is withheld.
pub(crate) fn list_withheld(record: &mut Record<'_>) {
    let Record { envelope, payload, redacted, .. } = record;
    let is_marker = |field: &&Field<'_>| matches!(field.value, Value::Text(text) if text.bytes == MARKER.as_bytes());
    redacted.extend(envelope.iter().chain(&*payload).filter(is_marker).map(|field| field.key));
}
