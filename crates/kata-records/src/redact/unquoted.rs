//! Lists and maps that Go prints with `%v`: `Env:[A=b C=d]`, `Annotations:map[k:v k2:v2]`. Values may hold spaces, and no
//! quote marks their end, so only names of a strict form stay readable.

use super::MARKER;
use super::finder::Finder;
use super::input::{is_path_byte, is_space};
use super::quotes::{behind, closing};

/// The names that stay readable in a list without quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// `NAME=`.
    Entries,
    /// `io.kubernetes.name:`.
    Keys,
    /// None: the list holds values only.
    None,
}

/// The bytes that neither end an item of a list nor open or close anything.
static WORD: [bool; 256] = {
    let (mut table, others) = ([true; 256], *b"\"\\[]{} ,");
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = false;
        at += 1;
    }
    table
};

impl Finder<'_, '_> {
    /// Hides the values of a list without quotes from `start` to its bracket, and moves to the bracket. Returns whether the
    /// list is cut.
    pub(super) fn unquoted(&mut self, names: Names, start: usize, braces: bool) -> bool {
        let (open, close) = if braces { (b'{', b'}') } else { (b'[', b']') };
        let mut depth = 0_usize;
        let mut from = start;
        let mut at = start;
        loop {
            if let Some(value) = self.name_end(names, at, at == start) {
                self.hide(from, self.input.back(at, 1, |byte| matches!(byte, b' ' | b',')).max(from));
                from = value;
                at = value;
            }
            // One item: up to the next space or comma.
            loop {
                at = self.input.skip(at, |byte| WORD[usize::from(byte)]);
                let mut next = self.input.get(at);
                if next == Some(b'[') && self.input.starts(at, MARKER.as_bytes()) {
                    at += MARKER.len();
                    next = self.input.get(at);
                }
                let Some(byte) = next else {
                    self.hide(from, at);
                    self.open = true;
                    self.at = at;
                    return true;
                };
                match byte {
                    b'"' | b'\\' => {
                        if let Some(end) = closing(self.input, at, &self.levels) {
                            self.hide(from, end.max(from));
                            self.open = true;
                            self.at = end.max(from);
                            return true;
                        }
                        at = behind(self.input, at);
                        continue;
                    }
                    byte if byte == close && depth == 0 && self.closes(names, at + 1) => {
                        self.hide(from, at);
                        self.at = at;
                        return false;
                    }
                    byte if byte == close => depth = depth.saturating_sub(1),
                    byte if byte == open => depth += 1,
                    _ => {}
                }
                at += 1;
                if matches!(byte, b' ' | b',') {
                    break;
                }
            }
        }
    }

    /// Returns the end of the name at `at` with its separator. Names after the first must look like names, because the words
    /// of values stand at the same places.
    fn name_end(&self, names: Names, at: usize, first: bool) -> Option<usize> {
        let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        match names {
            Names::None => None,
            Names::Entries => {
                let end = self.input.skip(at, |byte| if first { is_path_byte(byte) } else { is_name(byte) });
                (end > at && self.input.get(end) == Some(b'=')).then_some(end + 1)
            }
            Names::Keys => {
                let end = self.input.skip(at, is_path_byte);
                let dotted = || self.input.find(at, end, b'.').is_some();
                let value = if self.input.get(end + 1) == Some(b' ') { end + 2 } else { end + 1 };
                (end > at && self.input.get(end) == Some(b':') && (first || dotted())).then_some(value)
            }
        }
    }

    /// Returns whether the bracket before `at` closes its list: a separator follows, and not a further entry.
    fn closes(&self, names: Names, at: usize) -> bool {
        match self.input.get(at) {
            None => true,
            Some(byte) if is_space(byte) => names != Names::Entries || self.name_end(names, at + 1, false).is_none(),
            Some(byte) => b",}])>;\"\\".contains(&byte),
        }
    }
}
