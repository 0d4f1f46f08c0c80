//! Finds the end of an object that a tool printed on several lines, as `jq .` does: a line `{`, lines that begin with a
//! space or a tab, and a line `}`.
//!
//! The lines stay in the arena until the object ends. So the result depends on the lines alone, never on how reads cut
//! them.

use memchr::memchr;

/// An object whose end was not found yet. The numbers count bytes from the start of its first line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OpenObject {
    /// The whole lines.
    pub(super) lines: usize,
    /// The bytes after them without a line end.
    searched: usize,
}

/// The result of a look at the next lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectEnd {
    /// More bytes are needed.
    Unknown,
    /// The last line ends here, without and with its line end.
    Found(usize, usize),
    /// The lines up to here are no object.
    None(usize),
}

/// Returns whether a line, without its line end, begins an object on several lines.
pub(super) fn opens(line: &[u8]) -> bool {
    matches!(line, b"{" | b"{\r")
}

impl OpenObject {
    /// Looks for the end in `text`, which begins with the first line. `max` limits the length of the object.
    pub(super) fn advance(&mut self, text: &[u8], max: usize) -> ObjectEnd {
        loop {
            let rest = text.get(self.lines..).unwrap_or_default();
            let Some(hit) = memchr(b'\n', rest.get(self.searched..).unwrap_or_default()) else {
                self.searched = rest.len();
                // One byte beyond the limit may still be a carriage return before the line end.
                return if self.lines + rest.len() > max + 1 {
                    ObjectEnd::None(self.lines)
                } else {
                    ObjectEnd::Unknown
                };
            };
            let end = self.searched + hit;
            let line = trimmed(rest.get(..end).unwrap_or_default());
            if self.lines + line.len() > max {
                return ObjectEnd::None(self.lines);
            }
            match line {
                b"{" if self.lines == 0 => {}
                b"}" => return ObjectEnd::Found(self.lines + 1, self.lines + end + 1),
                [b' ' | b'\t', ..] => {}
                _ => return ObjectEnd::None(self.lines),
            }
            self.lines += end + 1;
            self.searched = 0;
        }
    }

    /// Returns the end of the object in `text`, after which no byte follows.
    pub(super) fn last_line(&self, text: &[u8], max: usize) -> Option<usize> {
        let line = trimmed(text.get(self.lines..)?);
        (line == b"}" && self.lines < max).then_some(self.lines + 1)
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_ends_at_its_brace_or_at_a_line_that_is_not_indented() {
        for (text, max, end) in [
            ("{\n  \"a\": 1\n}\nx", 99, ObjectEnd::Found(12, 13)),
            ("{\r\n\t\"a\": {\r\n\t}\r\n}\r\nx", 99, ObjectEnd::Found(17, 19)),
            ("{\n}\n", 99, ObjectEnd::Found(3, 4)),
            ("{\n}\n", 3, ObjectEnd::Found(3, 4)),
            ("{\n}\n", 2, ObjectEnd::None(2)),
            ("{\n  \"a\": 1\n}", 99, ObjectEnd::Unknown),
            ("{\n  \"a\": 1", 99, ObjectEnd::Unknown),
            ("{\n  \"a\": 1", 9, ObjectEnd::Unknown),
            ("{\n  \"a\": 1", 8, ObjectEnd::None(2)),
            ("{\nmsg\n}\n", 99, ObjectEnd::None(2)),
            ("{\n\n}\n", 99, ObjectEnd::None(2)),
            ("{\n{\n}\n", 99, ObjectEnd::None(2)),
            ("{\n } x\n}x\n", 99, ObjectEnd::None(7)),
        ] {
            for cut in 2..=text.len() {
                let mut object = OpenObject::default();
                let mut found = object.advance(&text.as_bytes()[..cut], max);
                if found == ObjectEnd::Unknown {
                    found = object.advance(text.as_bytes(), max);
                }
                assert_eq!(found, end, "{text:?} {cut}");
            }
        }
    }

    #[test]
    fn the_last_line_needs_no_line_end() {
        for (text, max, end) in [
            ("{\n  \"a\": 1\n}", 99, Some(12)),
            ("{\n  \"a\": 1\n}\r", 12, Some(12)),
            ("{\n  \"a\": 1\n}", 11, None),
            ("{\n  \"a\": 1", 99, None),
            ("{\n  \"a\": 1\n", 99, None),
        ] {
            let mut object = OpenObject::default();
            _ = object.advance(text.as_bytes(), 99);
            assert_eq!(object.last_line(text.as_bytes(), max), end, "{text:?}");
        }
    }
}
