//! Finds the fields of a journal entry that `journalctl` printed: in JSON, or in the Journal Export Format. Lines are
//! looked at only as far as a source needs; workers parse them.

use memchr::{memchr, memchr2};

/// The value of a member of a JSON object, or of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldValue<'l> {
    /// The text of a string, still escaped. It may be cut, at the end of a truncated line.
    Escaped(&'l [u8]),
    /// The elements of an array, or another value.
    Other(&'l [u8]),
    /// The bytes of a field in the export format.
    Bytes(&'l [u8]),
}

impl<'l> FieldValue<'l> {
    /// Returns the bytes as they are in the input.
    pub(super) fn raw(self) -> &'l [u8] {
        let (FieldValue::Escaped(raw) | FieldValue::Other(raw) | FieldValue::Bytes(raw)) = self;
        raw
    }

    /// Returns the length in the input, in bytes.
    pub(super) fn length(self) -> usize {
        self.raw().len()
    }

    /// Appends the text. Returns false if the value is none.
    pub(super) fn decode(self, into: &mut Vec<u8>) -> bool {
        match self {
            FieldValue::Escaped(text) => unescape(text, into),
            FieldValue::Bytes(text) => into.extend_from_slice(text),
            FieldValue::Other(array) if array.starts_with(b"[") => append_bytes(array, into),
            FieldValue::Other(_) => return false,
        }
        true
    }
}

/// Returns the object in a line of `journalctl -o json`, `json-seq` or `json-sse`. Returns `None` for any other line.
pub(super) fn object(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let line = line.strip_prefix(b"\x1e").or_else(|| line.strip_prefix(b"data: ")).unwrap_or(line);
    line.strip_prefix(b"{")
}

/// Returns whether a line is an entry of the journal in JSON. The first members may be fields of the writer, so the
/// names are searched for one that only an entry has.
pub(super) fn is_json_entry(line: &[u8]) -> bool {
    let Some(object) = object(line) else { return false };
    // Most objects are of a writer, whose first key shows it.
    if matches!(object, [b'"', b'a'..=b'z', ..]) {
        return false;
    }
    members(object).map_while(|(name, _)| is_field_name(name).then_some(name)).any(is_of_journal)
}

/// Returns whether a name identifies an entry: its text, its writer, or a field that journald or `journalctl` adds.
fn is_of_journal(name: &[u8]) -> bool {
    matches!(name, b"MESSAGE" | b"SYSLOG_IDENTIFIER") || name.starts_with(b"_")
}

/// Returns whether journald accepts a name (systemd: `journal_field_valid`).
fn is_field_name(name: &[u8]) -> bool {
    let valid = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    !name.is_empty() && name.iter().all(valid)
}

/// Returns the members of a JSON object after its brace, as far as they are well-formed.
pub(super) fn members(object: &[u8]) -> impl Iterator<Item = (&[u8], FieldValue<'_>)> {
    let mut rest = object;
    std::iter::from_fn(move || {
        let key = skip_spaces(rest);
        let key = key.strip_prefix(b",").map_or(key, skip_spaces).strip_prefix(b"\"")?;
        let end = string_end(key).filter(|end| *end < key.len())?;
        let name = key.get(..end)?;
        let value = skip_spaces(skip_spaces(key.get(end + 1..)?).strip_prefix(b":")?);
        let (value, next) = member_value(value)?;
        rest = next;
        Some((name, value))
    })
}

/// Splits off the value at the beginning of `text`.
fn member_value(text: &[u8]) -> Option<(FieldValue<'_>, &[u8])> {
    if let Some(string) = text.strip_prefix(b"\"") {
        let end = string_end(string)?;
        return Some((FieldValue::Escaped(string.get(..end)?), string.get(end + 1..).unwrap_or_default()));
    }
    let (mut at, mut depth) = (0, 0_u32);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at += 1 + string_end(text.get(at + 1..)?)?,
            b'[' | b'{' => depth += 1,
            b']' | b'}' | b',' if depth == 0 => break,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    let end = at.min(text.len());
    Some((FieldValue::Other(text.get(..end)?), text.get(end..)?))
}

/// Returns the position of the quote that ends a string, or the length if the string is cut.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(hit) = memchr2(b'"', b'\\', text.get(at..)?) {
        at += hit;
        if text.get(at) == Some(&b'"') {
            return Some(at);
        }
        at = text.len().min(at + 2);
    }
    Some(text.len())
}

fn skip_spaces(text: &[u8]) -> &[u8] {
    text.trim_ascii_start()
}

/// Returns the fields of an entry of the Journal Export Format, as far as they are well-formed.
pub(super) fn export_fields(entry: &[u8]) -> impl Iterator<Item = (&[u8], FieldValue<'_>)> {
    let mut rest = entry;
    std::iter::from_fn(move || {
        let at = memchr2(b'=', b'\n', rest)?;
        let (name, behind) = (rest.get(..at)?, rest.get(at + 1..)?);
        let (value, next) = if rest.get(at) == Some(&b'=') {
            let end = memchr(b'\n', behind).unwrap_or(behind.len());
            (behind.get(..end)?, behind.get(end + 1..).unwrap_or_default())
        } else {
            let (length, data) = behind.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX).min(data.len());
            (data.get(..length)?, data.get(length + 1..).unwrap_or_default())
        };
        rest = next;
        Some((name, FieldValue::Bytes(value)))
    })
}

/// Appends the text of a string without its escapes.
fn unescape(text: &[u8], into: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest) {
        into.extend_from_slice(rest.get(..at).unwrap_or_default());
        let escape = rest.get(at + 1).copied();
        let mut length = 2;
        match escape {
            Some(b'n') => into.push(b'\n'),
            Some(b't') => into.push(b'\t'),
            Some(b'r') => into.push(b'\r'),
            Some(b'b') => into.push(8),
            Some(b'f') => into.push(12),
            Some(b'u') => {
                let digits = rest.get(at + 2..at + 6).and_then(|digits| std::str::from_utf8(digits).ok());
                let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                // Half of a surrogate pair is no character, and no rule depends on one.
                let character = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                into.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                length = 6;
            }
            Some(byte) => into.push(byte),
            None => {}
        }
        rest = rest.get(at + length..).unwrap_or_default();
    }
    into.extend_from_slice(rest);
}

/// Appends the bytes of an array of numbers, as `journalctl` prints text that is not UTF-8.
fn append_bytes(array: &[u8], into: &mut Vec<u8>) {
    let numbers = array.split(|byte| !byte.is_ascii_digit()).filter(|digits| !digits.is_empty());
    into.extend(numbers.filter_map(|digits| std::str::from_utf8(digits).ok()?.parse::<u8>().ok()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_journal_are_told_from_other_objects() {
        for (line, expected) in [
            (r#"{"__CURSOR":"s=1","MESSAGE":"x"}"#, true),
            (r#"{ "__CURSOR" : "s=1", "MESSAGE" : "x" }"#, true),
            ("\u{1e}{\"MESSAGE\":\"x\"}", true),
            (r#"data: {"_BOOT_ID":"1"}"#, true),
            ("\u{feff}{\"PRIORITY\":\"6\",\"SYSLOG_IDENTIFIER\":\"kata\"}", true),
            (r#"{"UNIT":"a.service","JOB_ID":["1","2"],"N":null,"_PID":"1"}"#, true),
            (r#"{"MESSAGE":"cut"#, true),
            (r#"{"msg":"x","_PID":"1"}"#, false),
            (r#"{"LEVEL":"x","msg":"y","MESSAGE":"z"}"#, false),
            (r#"{"LEVEL":"\"MESSAGE\":\"x\""}"#, false),
            (r#"{"log":"x","stream":"stdout"}"#, false),
            (r#"{"_CU"#, false),
            (r#""MESSAGE":"x""#, false),
            ("{}", false),
            ("", false),
        ] {
            assert_eq!(is_json_entry(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn fields_are_found_in_both_formats() {
        fn value<'l>(object: &'l [u8], name: &[u8]) -> Option<FieldValue<'l>> {
            members(object).find(|(key, _)| *key == name).map(|(_, value)| value)
        }
        let object = br#""A":"\"B\":1","M":[116,105],"C":{"B":["}"]},"B":"x\\"}"#;
        assert_eq!(value(object, b"B"), Some(FieldValue::Escaped(br"x\\")));
        assert_eq!(value(object, b"C"), Some(FieldValue::Other(br#"{"B":["}"]}"#)));
        let Some(FieldValue::Other(array)) = value(object, b"M") else { panic!("no array") };
        let mut bytes = Vec::new();
        append_bytes(array, &mut bytes);
        assert_eq!(bytes, b"ti");
        let export = b"A=1\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\nC=2\n";
        let found: Vec<_> = export_fields(export).collect();
        let bytes = FieldValue::Bytes;
        assert_eq!(found, [(&b"A"[..], bytes(b"1")), (b"MESSAGE", bytes(b"a\nb")), (b"C", bytes(b"2"))]);
    }

    #[test]
    fn escapes_are_removed() {
        let mut text = Vec::new();
        unescape(br#"a\"b\\c\n\u00e9\ud800\"#, &mut text);
        assert_eq!(String::from_utf8(text).unwrap(), "a\"b\\c\n\u{e9}\u{fffd}");
    }
}
