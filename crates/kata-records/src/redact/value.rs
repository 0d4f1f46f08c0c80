//! Single values behind keys: `password=x`, `"token": "x"`, `Authorization: Basic x`.

use super::MARKER;
use super::container::Mode;
use super::finder::Finder;
use super::input::{Input, is_key_byte, is_path_byte, is_space};
use super::quotes::{Closed, Levels, Quote, closing, quote_at, string_end};
use super::table::{self, Kind};

/// The longest key, with its path.
const MAX_KEY: usize = 128;

/// Values that tell nothing.
const EMPTY: [&[u8]; 7] = [b"None", b"null", b"nil", b"<nil>", b"true", b"false", b"undefined"];

/// The first words of the values of `Authorization`.
const SCHEMES: [&[u8]; 7] = [b"basic", b"bearer", b"negotiate", b"ntlm", b"token", b"apikey", b"hoba"];

/// Schemes with several parameters.
const LONG_SCHEMES: [&[u8]; 2] = [b"digest", b"aws4-hmac-sha256"];

/// A key with secret values before `=` or `:`.
pub(super) struct Key {
    pub(super) kind: Kind,
    /// The level of the quotes around the key.
    pub(super) quoted: Option<usize>,
    /// The key begins the string that it stands in, and the string is an element of a list.
    begins_string: bool,
    /// The key is a flag, so commas belong to its value.
    flag: bool,
    /// Spaces stand between the key and `=`, as in TOML.
    spaced: bool,
}

impl Key {
    /// Returns whether the key begins an element of a list.
    pub(super) fn begins_string(&self) -> bool {
        self.begins_string
    }
}

/// Returns the key before the separator at `at`, if its values are secret.
pub(super) fn key_before(input: &Input<'_>, at: usize) -> Option<Key> {
    if input.get(at) == Some(b':') && input.get(at + 1) == Some(b':') {
        return None;
    }
    let mut end = input.back(at, 4, |byte| byte == b' ');
    let spaced = end < at;
    let mut quoted = None;
    match input.before(end)? {
        b'"' => {
            let start = input.back(end - 1, MAX_KEY, |byte| byte == b'\\');
            quoted = Some(end - 1 - start);
            end = start;
        }
        b'\'' => end -= 1,
        _ => {}
    }
    let mut start = input.back(end, MAX_KEY, is_path_byte);
    if input.get(start) == Some(b'/') {
        return None;
    }
    // The first letter may belong to an escape, as in `\npassword:`.
    let escaped = input.before(start) == Some(b'\\') && matches!(input.get(start), Some(b'n' | b't' | b'r'));
    start += usize::from(escaped && start < end);
    let name = input.slice(start, end);
    let flag = name.starts_with(b"-");
    let segment =
        name.iter().rposition(|byte| *byte == b'/').map_or(name, |slash| name.get(slash + 1..).unwrap_or_default());
    Some(Key {
        kind: table::kind(segment)?,
        quoted,
        begins_string: quoted.is_none() && input.before(start) == Some(b'"') && (flag || is_element(input, start - 1)),
        flag,
        spaced,
    })
}

/// Returns whether the string whose opening quote is at `mark` is an element of a list, not the value of a key.
fn is_element(input: &Input<'_>, mark: usize) -> bool {
    let quote = input.back(mark, MAX_KEY, |byte| byte == b'\\');
    let end = input.back(quote, 1, |byte| byte == b' ');
    !matches!(input.before(end), Some(b'=' | b':'))
}

/// Returns the end of a bare word, which may hold quotes of a deeper level and escapes.
pub(super) fn word_end(input: &Input<'_>, start: usize, around: &Levels, comma_ends: bool) -> usize {
    let mut at = start;
    while let Some(byte) = input.get(at) {
        match byte {
            0..=b' ' => break,
            b',' if comma_ends => break,
            b'[' if input.starts(at, MARKER.as_bytes()) => at += MARKER.len(),
            b')' | b']' | b'}' | b'>' | b',' if ends_word(input, at + 1) => break,
            b'"' | b'\\' => match closing(input, at, around) {
                Some(end) => return end.max(start),
                None => at = behind_escape(input, at),
            },
            _ => at += 1,
        }
    }
    at
}

/// Returns whether a bracket or comma before `at` ends a word.
fn ends_word(input: &Input<'_>, at: usize) -> bool {
    input
        .get(at)
        .is_none_or(|byte| byte <= b' ' || matches!(byte, b',' | b')' | b']' | b'}' | b'>' | b'"' | b'\\' | b';'))
}

/// Returns the position behind backslashes and the quote or the escape `u{…}` that they begin.
fn behind_escape(input: &Input<'_>, at: usize) -> usize {
    let mark = input.skip(at, |byte| byte == b'\\');
    match input.get(mark) {
        Some(b'"') => mark + 1,
        Some(b'u') if input.get(mark + 1) == Some(b'{') => {
            let digits = (mark + 2..mark + 8).find(|at| !input.get(*at).is_some_and(|byte| byte.is_ascii_hexdigit()));
            let end = digits.unwrap_or(mark + 8);
            end + usize::from(input.get(end) == Some(b'}'))
        }
        _ => mark,
    }
}

/// Returns the start of the value proper behind references, `Some(`, and constructors such as `Secret(`.
pub(super) fn unwrapped(input: &Input<'_>, mut at: usize) -> usize {
    for _ in 0..4 {
        at = input.skip(at, |byte| matches!(byte, b'&' | b'*'));
        if input.starts(at, b"map[string]string{") {
            return at + b"map[string]string".len();
        }
        if input.starts(at, b"[]") && input.get(at + 2).is_some_and(|byte| byte == b'*' || byte.is_ascii_alphabetic()) {
            at += 2;
            continue;
        }
        let mut end = at;
        while end - at < 48 && input.get(end).is_some_and(is_key_byte) {
            end += 1;
        }
        let open = if input.get(end) == Some(b' ') { end + 1 } else { end };
        match input.get(open) {
            Some(b'(') if end > at && open == end => at = end + 1,
            Some(b'[') if input.slice(at, end) == b"map" => return end,
            Some(b'{') if end > at => return open,
            _ => break,
        }
    }
    at
}

/// Returns whether a text is cut inside the name of Go's type before a container: `map[string]`, `[]*KeyValue`.
fn ends_in_type(input: &Input<'_>, start: usize) -> bool {
    let rest = input.slice(start, input.len());
    let Some(name) = rest.strip_prefix(b"[]") else {
        return rest.len() > 2 && b"map[string]string{".starts_with(rest);
    };
    name.len() < 64 && name.iter().all(|byte| is_key_byte(*byte) || matches!(byte, b'*' | b'&'))
}

/// Returns the treatment of the container that a brace at `at` opens right behind its name, as protobuf text does:
/// `annotations {`.
pub(super) fn container_before(input: &Input<'_>, at: usize) -> Option<Kind> {
    let end = input.back(at, 1, |byte| byte == b' ');
    let start = input.back(end, MAX_KEY, is_key_byte);
    table::kind(input.slice(start, end)).filter(|kind| matches!(kind, Kind::Entries | Kind::Map))
}

impl Finder<'_, '_> {
    /// Hides the value behind a key, and moves behind it. `self.at` is at the separator.
    pub(super) fn value_of(&mut self, key: &Key) {
        let colon = self.input.get(self.at) == Some(b':');
        if let Some(level) = key.quoted {
            self.levels.leave(level);
        }
        let mut start = self.at + 1;
        if !colon && matches!(self.input.get(start), Some(b'=' | b'>')) {
            start += 1;
        }
        if colon || key.spaced {
            start = self.input.skip(start, |byte| matches!(byte, b' ' | b'\t'));
        }
        let empty = self.input.get(start).is_none_or(is_space);
        if !colon && key.begins_string && !key.spaced && !empty && !matches!(key.kind, Kind::Quoted | Kind::Entries) {
            // The whole string is an argument or an entry.
            return self.hide_rest(start);
        }
        let prose = colon && key.quoted.is_none() && start > self.at + 1;
        if ends_in_type(self.input, start) {
            self.open = true;
            self.at = self.input.len();
            return;
        }
        let start = unwrapped(self.input, start);
        self.at = start;
        if start >= self.input.len() {
            self.open = true;
            return;
        }
        match key.kind {
            Kind::Entries => self.entries(start, key),
            Kind::Rest => self.hide_rest(start),
            Kind::Value | Kind::Quoted | Kind::Header | Kind::Map => self.value(start, key, prose),
        }
    }

    fn value(&mut self, start: usize, key: &Key, prose: bool) {
        match self.input.get(start) {
            Some(b'"' | b'\\') => match quote_at(self.input, start) {
                Some(quote) if self.levels.end_at(self.input, quote) => {}
                Some(quote) if key.kind == Kind::Map => self.quoted_container(quote, Mode::Map),
                Some(quote) => self.hide_string(quote),
                None => self.bare(start, key, prose),
            },
            Some(b'\'') => self.hide_apostrophes(start),
            Some(b'{' | b'[' | b'<') if !self.input.starts(start, MARKER.as_bytes()) => {
                self.bracketed(start, key, prose)
            }
            _ => self.bare(start, key, prose),
        }
    }

    fn bracketed(&mut self, start: usize, key: &Key, prose: bool) {
        if self.input.starts(start, b"<nil>") {
            return self.bare(start, key, prose);
        }
        self.container(Mode::Map, start, key.quoted);
    }

    /// Hides the content of a string, and moves behind it.
    pub(super) fn hide_string(&mut self, quote: Quote) {
        let string = string_end(self.input, quote.end, quote.run, &self.levels);
        self.hide(quote.end, string.end);
        self.open |= string.closed != Closed::Own;
        self.at = string.after;
    }

    /// Hides text between apostrophes.
    fn hide_apostrophes(&mut self, start: usize) {
        let mut at = start + 1;
        while let Some(byte) = self.input.get(at) {
            match byte {
                b'\'' => break,
                b'"' | b'\\' => match closing(self.input, at, &self.levels) {
                    Some(end) => {
                        at = end;
                        break;
                    }
                    None => at = behind_escape(self.input, at),
                },
                _ => at += 1,
            }
        }
        let at = at.min(self.input.len());
        self.hide(start + 1, at);
        self.open |= at == self.input.len();
        self.at = at + usize::from(self.input.get(at) == Some(b'\''));
    }

    fn bare(&mut self, start: usize, key: &Key, prose: bool) {
        if key.kind == Kind::Quoted && self.input.starts(start, b"package ") {
            return self.hide_rest(start);
        }
        if key.kind == Kind::Quoted && prose {
            return;
        }
        if key.begins_string && key.kind == Kind::Header {
            return self.hide_rest(start);
        }
        let mut end = word_end(self.input, start, &self.levels, !key.flag);
        let word = self.input.slice(start, end);
        self.at = end;
        if end < self.input.len() && EMPTY.contains(&word) {
            return;
        }
        if key.kind == Kind::Header {
            if LONG_SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme)) {
                return self.hide_rest(start);
            }
            if SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme)) {
                let next = self.input.skip(end, |byte| byte == b' ');
                end = word_end(self.input, next, &self.levels, true);
            }
        }
        let whole = end > self.at;
        if prose && !whole && self.is_prose(start, end) {
            return;
        }
        self.hide_wrapped(start, end, key.quoted);
        self.open |= end == self.input.len();
        self.at = end;
    }

    /// Returns whether a word continues a sentence, as in `cannot read token: no such file`.
    fn is_prose(&self, start: usize, end: usize) -> bool {
        let word = self.input.slice(start, end);
        let mut letters = word.iter().skip(1);
        word.first().is_some_and(u8::is_ascii_alphabetic)
            && letters.all(u8::is_ascii_lowercase)
            && self.input.get(end) == Some(b' ')
            && self.input.get(end + 1).is_some_and(|byte| byte.is_ascii_alphabetic())
    }
}
