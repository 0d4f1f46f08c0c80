//! The pass over a text that finds its secrets.

use super::MARKER;
use super::container::Mode;
use super::input::Input;
use super::quotes::{Levels, enclosing_end, quote_at};
use super::{flag, table, token, value};

/// A part of a text to replace by the marker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The marker needs quotes of this level, because it replaces a number or a literal of JSON.
    pub(super) wrap: Option<usize>,
}

/// The bytes at which no secret begins.
static PROSE: [bool; 256] = {
    let (mut table, others) = ([true; 256], *b"\"\\=:{-BJK");
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = false;
        at += 1;
    }
    table
};

/// The state of a pass. Each shape of a secret moves `at` behind itself, so each byte is looked at a constant number of
/// times.
pub(super) struct Finder<'t, 'f> {
    pub(super) input: &'t Input<'t>,
    pub(super) at: usize,
    /// The strings around `at`.
    pub(super) levels: Levels,
    /// The text ends inside a secret.
    pub(super) open: bool,
    hidden: usize,
    put: &'f mut dyn FnMut(Span),
}

impl<'t, 'f> Finder<'t, 'f> {
    pub(super) fn new(input: &'t Input<'t>, put: &'f mut dyn FnMut(Span)) -> Finder<'t, 'f> {
        Finder { input, at: 0, levels: Levels::default(), open: false, hidden: 0, put }
    }

    /// Finds all secrets. Returns whether the text ends inside one.
    pub(super) fn run(mut self) -> bool {
        while let Some(byte) = self.input.get(self.at) {
            match byte {
                b'"' | b'\\' => self.quote(),
                b':' if self.input.starts(self.at, b"://") => self.url(),
                b'=' | b':' => self.separator(),
                b'{' => self.brace(),
                b'-' => self.dash(),
                b'B' => self.bearer(),
                b'J' | b'K' => self.token(),
                _ => self.at = self.input.skip(self.at + 1, |byte| PROSE[usize::from(byte)]),
            }
        }
        self.open
    }

    fn quote(&mut self) {
        match quote_at(self.input, self.at) {
            Some(quote) => {
                self.levels.pass(quote.run);
                self.at = quote.end;
            }
            None => self.at = self.input.skip(self.at, |byte| byte == b'\\'),
        }
    }

    fn separator(&mut self) {
        match value::key_before(self.input, self.at) {
            Some(key) => self.value_of(&key),
            None => self.at += 1,
        }
    }

    fn brace(&mut self) {
        match value::container_before(self.input, self.at) {
            Some(table::Kind::Entries) => self.container(Mode::Entries, self.at, None),
            Some(_) => self.container(Mode::Map, self.at, None),
            None => self.at += 1,
        }
    }

    fn dash(&mut self) {
        if self.input.starts(self.at, token::PEM_HEAD) {
            return self.private_key();
        }
        match flag::flag_at(self.input, self.at) {
            Some(flag) => self.value_of_flag(flag),
            None => self.at += 1,
        }
    }

    fn url(&mut self) {
        let url = token::url(self.input, self.at);
        if let Some((start, end)) = url.secret {
            self.hide(start, end);
        }
        self.open |= url.open;
        self.at = url.end;
    }

    fn bearer(&mut self) {
        let Some(start) = token::bearer(self.input, self.at) else {
            self.at += 1;
            return;
        };
        self.hide_word(start);
    }

    fn token(&mut self) {
        let found = token::token_start(self.input, self.at);
        self.at += 1;
        if let Some((start, end)) = found {
            self.hide(start, end);
            self.at = end;
            self.open |= end == self.input.len();
        }
    }

    fn private_key(&mut self) {
        let header = token::pem_header(self.input, self.at);
        self.at = header.end;
        self.open |= header.open;
        if header.private {
            let end = token::pem_end(self.input, header.end, &self.levels);
            self.hide(header.end, end);
            self.open |= end == self.input.len();
            self.at = end;
        }
    }

    /// Hides a part of the text, unless it is empty or the marker already.
    pub(super) fn hide(&mut self, start: usize, end: usize) {
        self.hide_wrapped(start, end, None);
    }

    /// Hides a part of the text. The marker gets quotes of a level.
    pub(super) fn hide_wrapped(&mut self, start: usize, end: usize, wrap: Option<usize>) {
        let start = start.max(self.hidden);
        if start < end && self.input.slice(start, end) != MARKER.as_bytes() {
            (self.put)(Span { start, end, wrap });
            self.hidden = end;
        }
    }

    /// Hides the word that begins at `start`, and moves behind it.
    pub(super) fn hide_word(&mut self, start: usize) {
        let end = value::word_end(self.input, start, &self.levels, false);
        self.hide(start, end);
        self.open |= end == self.input.len();
        self.at = end;
    }

    /// Hides everything up to the end of the string around, and moves there.
    pub(super) fn hide_rest(&mut self, start: usize) {
        let (end, closed) = enclosing_end(self.input, start, &self.levels);
        self.hide(start, end);
        self.open |= !closed;
        self.at = end;
    }

    /// Hides the value of `NAME=value`, if the content is one.
    pub(super) fn hide_entry(&mut self, start: usize, end: usize) {
        if let Some(equals) = self.input.find(start, end, b'=') {
            self.hide(equals + 1, end);
        }
    }
}

/// Returns the treatment of the value of a flag, by its name without dashes.
pub(super) fn flag_kind(name: &[u8]) -> Option<flag::FlagKind> {
    match name {
        b"e" | b"env" => Some(flag::FlagKind::Entry),
        b"append" => Some(flag::FlagKind::Append),
        _ => table::kind(name).map(|_| flag::FlagKind::Value),
    }
}
