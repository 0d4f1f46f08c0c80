//! Text from outside in a form that a terminal only shows: it moves no cursor, changes no direction and hides nothing.
//!
//! Control characters appear as in `less`: `^[` for escape, `<U+202E>` for other hidden characters, `<FF>` for a byte
//! that is not UTF-8.

use std::fmt::Write as _;

use kata_records::visible::is_hidden;

/// The number of blanks for a tab in a message.
const TAB: &str = "    ";

/// The treatment of line breaks and tabs, which some places can show as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A line of a message, without line ends. Tabs become blanks.
    Line,
    /// A value. Line breaks and tabs become `\n`, `\r` and `\t`.
    Value,
}

/// Appends text without its SGR sequences, and with everything visible.
pub(super) fn push_safe(text: &[u8], place: Place, out: &mut String) {
    for chunk in text.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(c) = rest.chars().next() {
            if let Some(behind) = rest.strip_prefix('\x1b').and_then(behind_sgr) {
                rest = behind;
                continue;
            }
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            push_char(c, place, out);
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "<{byte:02X}>");
        }
    }
}

fn push_char(c: char, place: Place, out: &mut String) {
    match c {
        '\t' if place == Place::Line => out.push_str(TAB),
        '\n' if place == Place::Value => out.push_str("\\n"),
        '\r' if place == Place::Value => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x7f' => out.push_str("^?"),
        '\0'..='\x1f' => {
            out.push('^');
            out.push(char::from(c as u8 + 0x40));
        }
        _ if is_hidden(c) => {
            let _ = write!(out, "<U+{:04X}>", u32::from(c));
        }
        _ => out.push(c),
    }
}

/// Returns the text behind an SGR sequence, whose escape character is gone already.
fn behind_sgr(text: &str) -> Option<&str> {
    // Any other search for the end would make many unfinished sequences cost their square.
    text.strip_prefix('[')?.trim_start_matches(|c: char| matches!(c, '0'..='9' | ';' | ':')).strip_prefix('m')
}

/// Returns the lines of a message: without line ends at the end of the message, and without carriage returns at the end
/// of a line.
pub(super) fn lines(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    trim_line_ends(message).split(|byte| *byte == b'\n').map(trim_line_ends)
}

fn trim_line_ends(mut text: &[u8]) -> &[u8] {
    while let [head @ .., b'\n' | b'\r'] = text {
        text = head;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn safe(text: &[u8], place: Place) -> String {
        let mut out = String::new();
        push_safe(text, place, &mut out);
        out
    }

    #[test]
    fn everything_becomes_visible_and_colors_go() {
        for (text, line, value) in [
            (&b"plain \xc3\xbc \xe6\x97\xa5"[..], "plain ü 日", "plain ü 日"),
            (b"\x1b[1;31mred\x1b[0m \x1b[38:5:1mx\x1b[m", "red x", "red x"),
            (b"\x1b[2J\x1b[31", "^[[2J^[[31", "^[[2J^[[31"),
            (b"\x1b[31;\x1b[1mm", "^[[31;m", "^[[31;m"),
            (b"\x07\x7f\0a\tb\rc", "^G^?^@a    b^Mc", "^G^?^@a\\tb\\rc"),
            ("\u{9b}31m\u{202e}\u{200b}".as_bytes(), "<U+009B>31m<U+202E><U+200B>", "<U+009B>31m<U+202E><U+200B>"),
            (b"\xff\xe2\x80", "<FF><E2><80>", "<FF><E2><80>"),
            (b"a\nb", "a^Jb", "a\\nb"),
        ] {
            assert_eq!(safe(text, Place::Line), line);
            assert_eq!(safe(text, Place::Value), value);
        }
    }

    #[test]
    fn a_message_has_lines() {
        assert_eq!(lines(b"a\r\nb\n\nc\r\n\n").collect::<Vec<_>>(), [&b"a"[..], b"b", b"", b"c"]);
        assert_eq!(lines(b"").count(), 1);
    }
}
