//! Breaks lines before the terminal does.

use unicode_width::UnicodeWidthChar as _;

/// Appends a line without its end, broken into lines of at most `columns` columns. The second and further ones begin
/// with `indent` blanks, so that none can pass for a line of its own. The line is escaped, except for colors.
pub fn fold(line: &str, columns: usize, indent: usize, out: &mut Vec<u8>) {
    // A wide character needs two columns.
    let columns = columns.max(2);
    let indent = indent.min(columns - 2);
    let mut used = 0;
    // The last blank on the line: its place in `out`, and the columns up to its end.
    let mut blank = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        push_char(c, out);
        if c == '\x1b' {
            for c in chars.by_ref() {
                push_char(c, out);
                if c == 'm' {
                    break;
                }
            }
            continue;
        }
        let width = c.width().unwrap_or(0);
        used += width;
        if used > columns {
            let last = out.len() - c.len_utf8();
            // The line break replaces the blank.
            let (place, before) = blank.take().map_or((last..last, used - width), |(at, used)| (at..at + 1, used));
            out.splice(place, std::iter::once(b'\n').chain(std::iter::repeat_n(b' ', indent)));
            used = indent + used - before;
        }
        // Behind an earlier blank, a wide character might not fit into the new line either.
        if c == ' ' && used > indent + 1 {
            blank = Some((out.len() - 1, used));
        }
    }
}

fn push_char(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(line: &str, columns: usize, indent: usize) -> String {
        let mut out = Vec::new();
        fold(line, columns, indent, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_broken_at_blanks_if_there_are_any() {
        for (line, columns, expected) in [
            ("", 10, ""),
            ("short", 10, "short"),
            ("exactly 10", 10, "exactly 10"),
            ("one two three", 10, "one two\n  three"),
            ("abcdefghijklmnopqrs", 10, "abcdefghij\n  klmnopqr\n  s"),
            ("a bcdefghijklmnop", 10, "a bcdefghi\n  jklmnop"),
            ("日本語日本語", 7, "日本語\n  日本\n  語"),
            ("\x1b[32mgreen\x1b[0m and \x1b[2mdim\x1b[0m", 10, "\x1b[32mgreen\x1b[0m and\n  \x1b[2mdim\x1b[0m"),
            ("e\u{301}e\u{301}", 2, "e\u{301}e\u{301}"),
            ("日本", 0, "日\n本"),
            ("a   b", 3, "a \n  b"),
        ] {
            assert_eq!(folded(line, columns, 2), expected, "{line:?} in {columns}");
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let words = "a bb \u{65e5}\u{672c} cccccccc d\u{301} \x1b[2m eeeeeeeeeeeeeee\x1b[0m  f ".repeat(30);
        for columns in 2..60 {
            let folded = folded(&words, columns, 6);
            let mut colors = false;
            for (number, line) in folded.lines().enumerate() {
                let shown = |c: &char| {
                    colors = colors || *c == '\x1b';
                    let shown = !colors;
                    colors = colors && *c != 'm';
                    shown
                };
                let width: usize = line.chars().filter(shown).filter_map(|c| c.width()).sum();
                assert!(width <= columns, "{columns}: {line:?}");
                assert!(number == 0 || line.starts_with(&" ".repeat(6.min(columns - 2))), "{columns}: {line:?}");
            }
            let all = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            assert_eq!(all(&folded), all(&words));
        }
    }
}
