//! Lists and maps whose values are secret: environments and annotations, as JSON, Rust's `{:?}`, Go's `%v` and protobuf text
//! print them.

use super::MARKER;
use super::finder::Finder;
use super::flag::is_entry;
use super::input::{is_path_byte, is_space};
use super::quotes::{Closed, Quote, quote_at, string_end};
use super::unquoted::Names;
use super::value::{Key, unwrapped, word_end};

/// The content of a container.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Strings are `NAME=value`.
    Entries,
    /// Strings are keys and values.
    Map,
}

/// The brackets around a position.
struct Brackets {
    /// A bit for each bracket, the innermost lowest: set for braces.
    braces: u64,
    depth: usize,
}

impl Brackets {
    fn push(&mut self, bracket: u8) {
        self.braces = self.braces << 1 | u64::from(bracket == b'{');
        self.depth += 1;
    }

    /// Leaves a bracket. Returns whether it was the outermost.
    fn pop(&mut self) -> bool {
        self.braces >>= 1;
        self.depth = self.depth.saturating_sub(1);
        self.depth == 0
    }

    fn in_braces(&self) -> bool {
        self.braces & 1 == 1
    }
}

/// The state of a pass over a container.
struct Container {
    mode: Mode,
    brackets: Brackets,
    /// The last token is a colon behind a key, so its value follows.
    value: bool,
    /// The last key was `key`, `name` or `len`, so the value is no secret.
    names: bool,
    /// The level of the quotes of the last key.
    quoted: Option<usize>,
}

/// Names of fields of protobuf messages that hold entries.
const FIELDS: [&[u8]; 6] = [b"key", b"name", b"len", b"value", b"vec", b"values"];

/// Returns whether the value of a key is no secret: it names an entry, or counts them.
fn is_name(key: &[u8]) -> bool {
    [&b"key"[..], b"name", b"len"].iter().any(|name| key.eq_ignore_ascii_case(name))
}

/// Returns whether a word is a constant of JSON or Rust, which tells nothing.
fn is_literal(word: &[u8]) -> bool {
    matches!(word, b"null" | b"true" | b"false" | b"None")
}

impl Finder<'_, '_> {
    /// Hides the values of an environment, and moves behind it.
    pub(super) fn entries(&mut self, start: usize, key: &Key) {
        match self.input.get(start) {
            Some(b'[' | b'{' | b'<') => self.container(Mode::Entries, start, key.quoted),
            _ => match quote_at(self.input, start) {
                Some(quote) if self.levels.end_at(self.input, quote) => {}
                Some(quote) => self.quoted_container(quote, Mode::Entries),
                None if key.begins_string() => self.hide_rest_entry(start),
                None => {
                    let end = word_end(self.input, start, &self.levels, false);
                    if is_entry(self.input.slice(start, end)) {
                        self.hide_entry(start, end);
                    }
                    self.open |= end == self.input.len();
                    self.at = end;
                }
            },
        }
    }

    /// Hides the values in a string: a whole print, or one entry or value.
    pub(super) fn quoted_container(&mut self, quote: Quote, mode: Mode) {
        let start = unwrapped(self.input, quote.end);
        if matches!(self.input.get(start), Some(b'[' | b'{' | b'<')) && !self.input.starts(start, MARKER.as_bytes()) {
            self.levels.push(quote.run);
            return self.container(mode, start, None);
        }
        if mode == Mode::Map {
            return self.hide_string(quote);
        }
        let string = string_end(self.input, quote.end, quote.run, &self.levels);
        self.hide_entry(quote.end, string.end);
        self.open |= string.closed != Closed::Own;
        self.at = string.after;
    }

    fn hide_rest_entry(&mut self, start: usize) {
        let (end, closed) = super::quotes::enclosing_end(self.input, start, &self.levels);
        self.open |= !closed;
        if is_entry(self.input.slice(start, end)) {
            self.hide_entry(start, end);
            self.at = end;
        } else {
            // The quote before the key closed a string, so further keys may follow.
            self.at = start;
        }
    }

    /// Hides the values of the container whose bracket is at `start`, and moves behind it. `quoted` is the level of
    /// the quotes of its key.
    pub(super) fn container(&mut self, mode: Mode, start: usize, quoted: Option<usize>) {
        let brackets = Brackets { braces: 0, depth: 0 };
        let mut state = Container { mode, brackets, value: false, names: false, quoted };
        self.at = start;
        while let Some(byte) = self.input.get(self.at) {
            match byte {
                b',' | b';' => state.value = false,
                b':' | b'=' => state.value = true,
                b'[' | b'{' | b'(' | b'<' if !self.input.starts(self.at, MARKER.as_bytes()) => {
                    // An object or list is no name.
                    state.names = false;
                    state.brackets.push(byte);
                    state.value &= byte == b'(';
                }
                b']' | b'}' | b')' | b'>' => {
                    if state.brackets.pop() {
                        self.at += 1;
                        return;
                    }
                    state.value = false;
                }
                b'"' | b'\\' => {
                    if self.quoted_item(&mut state) {
                        return;
                    }
                    continue;
                }
                b'&' | b'*' => {}
                byte if is_space(byte) => {}
                _ => {
                    if self.bare_item(&mut state) {
                        return;
                    }
                    continue;
                }
            }
            self.at += 1;
        }
        self.open = true;
    }

    /// Passes a string of a container. Returns whether the container is cut.
    fn quoted_item(&mut self, state: &mut Container) -> bool {
        let Some(quote) = quote_at(self.input, self.at) else {
            let mark = self.input.skip(self.at, |byte| byte == b'\\');
            // Indented JSON in a string has escapes between its tokens.
            if self.input.get(mark).is_none_or(|byte| matches!(byte, b'n' | b't' | b'r')) {
                self.at = mark + 1;
                return false;
            }
            return self.bare_item(state);
        };
        if self.levels.end_at(self.input, quote) {
            self.open = true;
            return true;
        }
        let string = string_end(self.input, quote.end, quote.run, &self.levels);
        let next = self.input.skip(string.after, |byte| byte == b' ');
        // A string that is cut counts as a value, because the separator behind it is missing.
        let is_key = string.closed == Closed::Own && self.input.get(next) == Some(b':');
        self.at = string.after;
        if is_key {
            state.names = is_name(self.input.slice(quote.end, string.end));
            state.quoted = Some(quote.run);
        } else if state.names && self.is_plain(quote.end, string.end) {
            state.names = false;
        } else if state.mode == Mode::Entries && !state.value {
            self.hide_entry(quote.end, string.end);
        } else {
            self.hide(quote.end, string.end);
        }
        state.value = false;
        if string.closed != Closed::Own {
            self.open = true;
        }
        string.closed != Closed::Own
    }

    /// Passes a word of a container that has no quotes. Returns whether the container is cut.
    fn bare_item(&mut self, state: &mut Container) -> bool {
        let start = self.at;
        let end = self.input.skip(start, is_path_byte);
        let word = self.input.slice(start, end);
        let next = self.input.get(end);
        let opens = match next {
            Some(b' ') => self.input.get(end + 1) == Some(b'{'),
            _ => matches!(next, Some(b'{' | b'(' | b'[')),
        };
        if end > start && next == Some(b':') && FIELDS.iter().any(|field| word.eq_ignore_ascii_case(field)) {
            state.names = is_name(word);
            state.quoted = None;
            self.at = end;
            return false;
        }
        if end > start && opens {
            self.at = end;
            return false;
        }
        let number = word.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-');
        let json = state.quoted.is_some() && !state.brackets.in_braces() && (number || is_literal(word));
        if state.value || json {
            return self.scalar(state, start);
        }
        let names = if state.mode == Mode::Entries && next == Some(b'=') {
            Names::Entries
        } else if next == Some(b':') {
            Names::Keys
        } else {
            Names::None
        };
        if end == self.input.len() && (state.mode == Mode::Entries || state.brackets.in_braces()) {
            // The text ends in a name or a key.
            self.at = end;
            self.open = true;
            return true;
        }
        self.unquoted(names, start, state.brackets.in_braces())
    }

    /// Returns whether a text can be a name: it holds no separator.
    fn is_plain(&self, start: usize, end: usize) -> bool {
        self.input.slice(start, end).iter().copied().all(is_path_byte)
    }

    /// Hides a value without quotes behind a key. Returns whether the container is cut.
    fn scalar(&mut self, state: &mut Container, start: usize) -> bool {
        if state.quoted.is_none() && !state.names {
            return self.unquoted(Names::None, start, state.brackets.in_braces());
        }
        // A word of at least one byte, so the pass goes on.
        let end = word_end(self.input, start, &self.levels, true).max(start + 1).min(self.input.len());
        let shown = is_literal(self.input.slice(start, end)) || (state.names && self.is_plain(start, end));
        if !shown {
            self.hide_wrapped(start, end, state.quoted);
        }
        state.names = false;
        state.value = false;
        self.at = end;
        false
    }
}
