//! Values of flags: `--password x`, `["--token", "x"]`, `-e NAME=value`, and QEMU's `-append`.

use super::finder::{Finder, flag_kind};
use super::input::{Input, is_key_byte};
use super::quotes::{Closed, Quote, behind, closing, quote_at, string_end};
use super::value::word_end;

/// The treatment of the value of a flag.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FlagKind {
    /// The value is a secret.
    Value,
    /// The value is `NAME=value`.
    Entry,
    /// The value is a kernel command line, which may hold spaces.
    Append,
}

/// A flag with a secret value as its next argument.
#[derive(Clone, Copy)]
pub(super) struct Flag {
    kind: FlagKind,
    /// The end of its name.
    end: usize,
}

/// Words behind a flag in prose: `--token is required`.
const PROSE: [&[u8]; 8] = [b"is", b"was", b"must", b"flag", b"option", b"requires", b"or", b"and"];

/// Returns the flag whose first dash is at `at`. A flag with `=` is none, because the separator finds its value.
pub(super) fn flag_at(input: &Input<'_>, at: usize) -> Option<Flag> {
    let begins = |byte: u8| (byte < b'0' && !matches!(byte, b'-' | b'/' | b'.')) || byte == b'[';
    if !input.before(at).is_none_or(begins) {
        return None;
    }
    let start = at + 1 + usize::from(input.get(at + 1) == Some(b'-'));
    let mut end = start;
    while end - start < 64 && input.get(end).is_some_and(is_key_byte) {
        end += 1;
    }
    if matches!(input.get(end), Some(b'=' | b':')) {
        return None;
    }
    Some(Flag { kind: flag_kind(input.slice(start, end))?, end })
}

impl Finder<'_, '_> {
    /// Hides the argument behind a flag, and moves behind it.
    pub(super) fn value_of_flag(&mut self, flag: Flag) {
        self.at = flag.end;
        let closing = quote_at(self.input, self.at);
        if let Some(quote) = closing {
            self.levels.pass(quote.run);
            self.at = quote.end;
        }
        let start = self.input.skip(self.at, |byte| matches!(byte, b' ' | b',' | b'\t'));
        if start >= self.input.len() {
            self.open = true;
            self.at = start;
        } else if start > self.at {
            match quote_at(self.input, start) {
                Some(quote) if self.levels.end_at(self.input, quote) => self.at = start,
                Some(quote) => self.quoted_argument(start, quote, flag.kind),
                // In a list of strings the argument is a string too.
                None if closing.is_some() => self.at = start,
                None => self.argument(start, flag.kind),
            }
        }
    }

    fn quoted_argument(&mut self, start: usize, quote: Quote, kind: FlagKind) {
        let string = string_end(self.input, quote.end, quote.run, &self.levels);
        if string.closed == Closed::Own && self.input.get(string.after) == Some(b':') {
            // The flag was the value of a member, and this is the key of the next.
            self.at = start;
            return;
        }
        match kind {
            FlagKind::Entry => self.hide_entry(quote.end, string.end),
            FlagKind::Value | FlagKind::Append => self.hide(quote.end, string.end),
        }
        self.open |= string.closed != Closed::Own;
        self.at = string.after;
    }

    fn argument(&mut self, start: usize, kind: FlagKind) {
        if kind == FlagKind::Append {
            let end = append_end(self.input, start, self);
            self.hide(start, end);
            self.open |= end == self.input.len();
            self.at = end;
            return;
        }
        let end = word_end(self.input, start, &self.levels, false);
        let word = self.input.slice(start, end);
        self.at = start;
        if kind == FlagKind::Entry {
            if is_entry(word) {
                self.hide_entry(start, end);
                self.at = end;
            }
            self.open |= end == self.input.len();
        } else if !word.starts_with(b"--") && !PROSE.contains(&word) {
            self.hide_word(start);
        }
    }
}

/// Returns whether a word is `NAME=…`.
pub(super) fn is_entry(word: &[u8]) -> bool {
    let name = word.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    name.is_some_and(|end| end > 0 && word.get(end) == Some(&b'='))
}

/// Returns the end of a kernel command line that Go prints without quotes: the next flag, the end of the list, or the end of
/// the string around.
fn append_end(input: &Input<'_>, mut at: usize, finder: &Finder<'_, '_>) -> usize {
    while let Some(byte) = input.get(at) {
        match byte {
            b' ' if input.get(at + 1) == Some(b'-')
                && input.get(at + 2).is_some_and(|byte| byte.is_ascii_lowercase()) =>
            {
                return at;
            }
            b']' if input.get(at + 1).is_none() || quote_at(input, at + 1).is_some() => return at,
            b'"' | b'\\' => match closing(input, at, &finder.levels) {
                Some(end) => return end,
                None => at = behind(input, at),
            },
            _ => at += 1,
        }
    }
    at
}
