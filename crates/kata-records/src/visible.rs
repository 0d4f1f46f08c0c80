//! Text from outside in a form that people see as it is. It moves no cursor, changes no direction, and hides nothing.
//!
//! [`escape`] is for messages and tables, [`escape_json`] for JSON.

use std::borrow::Cow;

use crate::scan;

/// Returns whether a terminal acts on a character, or shows nothing or only a blank for it.
///
/// These are the control characters, U+2028 and U+2029, the noncharacters, the format characters of Egyptian, what
/// Unicode 16 lists as `Default_Ignorable_Code_Point` (such as marks of direction and variation selectors), and three
/// symbols without ink. Spaces are not among them, because they look like what they are.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{13430}'..='\u{1343f}' | '\u{16fe4}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// Returns text with `\n`, `\x1b`, `\u{202e}` and so on for hidden characters, and with `\xff` for each byte that is not
/// UTF-8.
#[must_use]
pub fn escape(text: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(text) {
        Ok(text) if !text.contains(is_hidden) => Cow::Borrowed(text),
        _ => {
            let mut out = Vec::with_capacity(text.len() + 16);
            escape_into(text, |_| false, &mut out);
            Cow::Owned(String::from_utf8_lossy(&out).into_owned())
        }
    }
}

/// Appends escaped text, as [`escape`] does, with a backslash before the characters that `guard` selects: quotes,
/// backslashes, or none.
pub(crate) fn escape_into(text: &[u8], guard: impl Fn(char) -> bool, out: &mut Vec<u8>) {
    let mut at = 0;
    loop {
        let end = scan::unprinted(text, at);
        out.extend_from_slice(text.get(at..end).unwrap_or_default());
        if end >= text.len() {
            return;
        }
        at = scan::ascii(text, end).max(end + 1);
        escape_chars(text.get(end..at).unwrap_or_default(), &guard, out);
    }
}

/// Appends text that may need escapes at each character.
fn escape_chars(text: &[u8], guard: impl Fn(char) -> bool, out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                _ if is_hidden(c) && c.is_ascii() => push_byte(c as u8, out),
                _ if is_hidden(c) => out.extend_from_slice(format!("\\u{{{:x}}}", u32::from(c)).as_bytes()),
                _ => {
                    if guard(c) {
                        out.push(b'\\');
                    }
                    push_char(c, out);
                }
            }
        }
        chunk.invalid().iter().for_each(|byte| push_byte(*byte, out));
    }
}

/// Appends JSON texts of one line each, with `\u202e` and so on for hidden characters. Programs read equal values.
pub fn escape_json(json: &[u8], out: &mut Vec<u8>) {
    for chunk in json.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                // Strings have no control characters of ASCII below DEL, so these are blanks between values.
                '\n' => out.push(b'\n'),
                '\0'..=' ' => out.push(b' '),
                _ => push_json_char(c, out),
            }
        }
        // No encoder writes such bytes.
        chunk.invalid().iter().for_each(|_| push_unit(0xfffd, out));
    }
}

/// Appends a character, and a hidden one as an escape of JSON.
pub(crate) fn push_json_char(c: char, out: &mut Vec<u8>) {
    match c {
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        _ if is_hidden(c) => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| push_unit(*unit, out)),
        _ => push_char(c, out),
    }
}

fn push_char(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Appends `\xff`.
fn push_byte(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
}

/// Appends `\u202e`, the escape of JSON for a unit of UTF-16.
fn push_unit(unit: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_or_hides_is_escaped() {
        for (text, expected) in [
            ("", ""),
            ("plain, ünïcödé, 日本語, e\u{301}, \u{a0}\u{3000}", "plain, ünïcödé, 日本語, e\u{301}, \u{a0}\u{3000}"),
            ("a\n\r\t\0\x1b[2J\x07\x7f", "a\\n\\r\\t\\x00\\x1b[2J\\x07\\x7f"),
            ("\u{80}\u{9b}31m\u{85}", "\\u{80}\\u{9b}31m\\u{85}"),
            (
                "\u{202a}\u{202e}\u{2066}\u{2069}\u{200e}\u{61c}",
                "\\u{202a}\\u{202e}\\u{2066}\\u{2069}\\u{200e}\\u{61c}",
            ),
            ("\u{200b}\u{200d}\u{2060}\u{feff}\u{34f}", "\\u{200b}\\u{200d}\\u{2060}\\u{feff}\\u{34f}"),
            ("\u{ad}\u{3164}\u{115f}\u{1160}\u{2800}\u{ffa0}", "\\u{ad}\\u{3164}\\u{115f}\\u{1160}\\u{2800}\\u{ffa0}"),
            ("\u{fe00}\u{fe0f}\u{180b}\u{e0100}\u{e0041}", "\\u{fe00}\\u{fe0f}\\u{180b}\\u{e0100}\\u{e0041}"),
            ("\u{2028}\u{2029}\u{fff9}\u{1d173}\u{1ffff}", "\\u{2028}\\u{2029}\\u{fff9}\\u{1d173}\\u{1ffff}"),
        ] {
            assert_eq!(escape(text.as_bytes()), expected);
        }
        assert_eq!(escape(b"a\xff\xe2\x80b"), "a\\xff\\xe2\\x80b");
    }

    #[test]
    fn json_keeps_its_values() {
        let texts = ["plain ü", "\u{7f}\u{9b}\u{202e}\u{ad}", "\u{e0041}\u{1d173}\u{3164}", "\n\r\t\u{1b}\"\\"];
        let json = serde_json::to_vec(&texts).unwrap();
        let mut out = Vec::new();
        escape_json(&[&json[..], b"\n{\t\"a\":\r1}\n"].concat(), &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.chars().all(|c| c == '\n' || !is_hidden(c)), "{text:?}");
        let (first, second) = text.split_once('\n').unwrap();
        assert_eq!(serde_json::from_str::<Vec<String>>(first).unwrap(), texts);
        assert_eq!(second, "{ \"a\": 1}\n");
        assert!(first.contains(r"\u202e") && first.contains(r"\udb40\udc41") && first.contains('ü'), "{first}");
    }
}
