//! The fields behind a message: a choice of them, and their form.

use kata_records::filter::Pattern;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::ids::Ids;
use super::paragraph::Paragraph;
use super::record::{FlatRecord, Value};
use super::safe::{Place, push_safe};
use super::style::Style;

/// Fields that have a place of their own in the view.
const PLACED: [&str; 5] = ["kata_time", "kata_level", "kata_msg", "kata_error", "kata_sandbox"];

/// Fields that tell a reader little, because most records have them or a column shows their content.
const ROUTINE: [&str; 23] = [
    "kata_component",
    "kata_format",
    "kata_origin",
    "kata_guest",
    "kata_flaws",
    "kata_escaped",
    "kata_redacted",
    "kata_name",
    "kata_source",
    "kata_subsystem",
    "kata_pid",
    "kata_fields_component",
    "kata_fields_pid",
    "kata_fields_format",
    "kata_arch",
    "kata_version",
    "kata_console-url",
    "kata_console-protocol",
    "kata_vmconsole",
    "kata_guest_time",
    "kata_guest_pid",
    "kata_guest_uptime_ns",
    "kata_delta_ns",
];

/// The form of fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldForm<'p> {
    /// Show all fields of Kata.
    pub(super) all: bool,
    /// The cells of a row; `None` without a limit.
    pub(super) room: Option<usize>,
    /// The style of values.
    pub(super) value: Style,
    /// The pattern that the user searches.
    pub(super) highlight: Option<&'p Pattern>,
}

/// Appends the fields of a record, and the names of its flaws.
pub(super) fn push_fields(record: &FlatRecord<'_>, form: FieldForm<'_>, ids: &mut Ids, out: &mut Paragraph) {
    let sandbox = record.text("kata_sandbox");
    let mut pair = String::new();
    for field in record.fields() {
        let is_copy = || field.name == "kata_container" && field.value.first_text() == sandbox;
        if !is_shown(&field.name, form.all, record) || (!form.all && is_copy()) {
            continue;
        }
        separate(out);
        pair.clear();
        push_safe(field.name.strip_prefix("kata_").unwrap_or(&field.name).as_bytes(), Place::Value, &mut pair);
        pair.push('=');
        out.push(&pair, Style::Dim);
        let used = pair.width();
        pair.clear();
        push_value(&field.value, &mut pair);
        let value = if form.all { pair.as_str().into() } else { ids.shorten(&pair) };
        match form.room.and_then(|room| path_end(&value, room.saturating_sub(used))) {
            Some(end) => {
                out.push("…", form.value);
                out.push_found(end, form.value, form.highlight);
            }
            None => out.push_found(&value, form.value, form.highlight),
        }
    }
    let flaws = record.get("kata_flaws").into_iter().flat_map(Value::texts);
    // The mark of the row says that the origin is unproven, and its time column that there is no time.
    for flaw in flaws.filter(|flaw| form.all || !matches!(*flaw, b"unproven-origin" | b"no-time")) {
        separate(out);
        pair.clear();
        pair.push('!');
        push_safe(flaw, Place::Value, &mut pair);
        out.push(&pair, Style::Dim);
    }
}

fn separate(out: &mut Paragraph) {
    if !out.is_empty() {
        out.blanks(2);
    }
}

/// Returns whether a field is shown behind the message.
pub(super) fn is_shown(name: &str, all: bool, record: &FlatRecord<'_>) -> bool {
    if !name.starts_with("kata_") {
        return false;
    }
    if all {
        return name == "kata_sandbox" || !PLACED.contains(&name);
    }
    let has_twin = || name.strip_suffix("_ns").is_some_and(|twin| record.get(twin).is_some());
    !PLACED.contains(&name) && !ROUTINE.contains(&name) && !name.starts_with("kata_host_") && !has_twin()
}

/// Appends a value, in quotes if it holds a blank or nothing.
fn push_value(value: &Value<'_>, out: &mut String) {
    match value {
        Value::List(texts) => {
            out.push('[');
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_text(text, out);
            }
            out.push(']');
        }
        // Quotes around JSON would escape all of its quotes.
        Value::Nested(json) => push_safe(json.as_bytes(), Place::Value, out),
        other => push_text(other.first_text(), out),
    }
}

fn push_text(text: &[u8], out: &mut String) {
    if !text.is_empty() && !text.iter().any(u8::is_ascii_whitespace) {
        return push_safe(text, Place::Value, out);
    }
    out.push('"');
    for part in text.split_inclusive(|byte| *byte == b'"') {
        match part.strip_suffix(b"\"") {
            Some(head) => {
                push_safe(head, Place::Value, out);
                out.push_str("\\\"");
            }
            None => push_safe(part, Place::Value, out),
        }
    }
    out.push('"');
}

/// Returns the end of a path that is too long for its row, beginning at a slash.
fn path_end(value: &str, room: usize) -> Option<&str> {
    if !value.starts_with('/') || value.contains(' ') || value.width() <= room {
        return None;
    }
    let (mut used, mut end) = (0, None);
    for (at, c) in value.char_indices().rev() {
        used += c.width().unwrap_or(0);
        // The ellipsis needs a cell.
        if used >= room {
            break;
        }
        if c == '/' {
            end = value.get(at..);
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_if_they_hold_a_blank() {
        for (json, expected) in [
            (r#""a""#, "a"),
            (r#""a=b,\"c\"""#, "a=b,\"c\""),
            (r#""a b \"c\"\n""#, r#""a b \"c\"\n""#),
            (r#""""#, "\"\""),
            (r#"["a","b c"]"#, r#"[a,"b c"]"#),
            (r#"{"a":"b c"}"#, r#"{"a":"b c"}"#),
            ("5", "5"),
        ] {
            let line = format!("{{\"kata_x\":{json}}}");
            let mut out = String::new();
            push_value(FlatRecord::parse(line.as_bytes()).unwrap().get("kata_x").unwrap(), &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn a_long_path_keeps_its_end() {
        let path = "/usr/share/defaults/kata-containers/configuration.toml";
        assert_eq!(path_end(path, 54), None);
        assert_eq!(path_end(path, 53), Some("/share/defaults/kata-containers/configuration.toml"));
        assert_eq!(path_end(path, 25), Some("/configuration.toml"));
        assert_eq!(path_end(path, 10), None);
        assert_eq!(path_end("vsock://a/b", 5), None);
    }
}
