//! The values that journalctl treats as text (systemd: `src/basic/utf8.c`).

/// Returns whether journalctl treats a value as text: UTF-8 without noncharacters and without control characters except
/// tab and line feed.
// The encoder of raw views asks for each field.
#[inline(always)]
pub fn is_printable(value: &[u8]) -> bool {
    let (mut plain, mut ascii) = (true, true);
    for byte in value {
        plain &= matches!(byte, b' '..=b'~' | b'\t' | b'\n' | 0x80..);
        ascii &= byte.is_ascii();
    }
    plain && (ascii || is_text(value))
}

/// Returns whether a value without ASCII control characters is text.
pub fn is_text(value: &[u8]) -> bool {
    let is_no_character = |c: char| {
        matches!(c, '\u{80}'..='\u{9f}' | '\u{fdd0}'..='\u{fdef}') || matches!(c as u32 & 0xffff, 0xfffe | 0xffff)
    };
    std::str::from_utf8(value).is_ok_and(|text| !text.contains(is_no_character))
}

/// Returns the length of the beginning of a text that ends with a whole character. At most three bytes follow it.
pub(crate) fn whole_characters(text: &[u8]) -> usize {
    let tail = text.iter().rev().take(3).position(|byte| *byte >= 0xc0);
    let Some(back) = tail else { return text.len() };
    let lead = text.len() - 1 - back;
    let width = match text.get(lead) {
        Some(0xf0..) => 4,
        Some(0xe0..) => 3,
        _ => 2,
    };
    if back + 1 < width { lead } else { text.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_with_a_whole_character() {
        for text in ["", "a", "ü", "añ", "€", "a€b", "😀", "aaaa", "é😀"] {
            for end in 0..=text.len() {
                let whole = whole_characters(&text.as_bytes()[..end]);
                let expected = (0..=end).rev().find(|at| text.is_char_boundary(*at));
                assert_eq!(Some(whole), expected, "{text:?} up to {end}");
            }
        }
        for bytes in [&b"\x80\x80\x80\x80"[..], b"a\xff", b"\xc3\xa4\x80\x80\x80"] {
            assert!(bytes.len() - whole_characters(bytes) <= 3);
        }
    }
}
