//! Quotes and the backslashes before them.
//!
//! A string inside `d` others has quotes with `2^d - 1` backslashes, its *level*. A backslash of its content needs twice as
//! many as the quote and its own backslashes together, so a quote after `run` backslashes closes a string of level `n` if
//! `run mod 2(n+1) = n`. More backslashes belong to a string inside, fewer to one outside.

use super::input::Input;

/// Returns whether a quote after `run` backslashes closes a string of a level.
#[inline]
pub(super) fn closes(run: usize, level: usize) -> bool {
    run % (2 * (level + 1)) == level
}

/// A quote and the backslashes before it.
#[derive(Clone, Copy)]
pub(super) struct Quote {
    /// The number of backslashes.
    pub(super) run: usize,
    /// The position behind the quote.
    pub(super) end: usize,
}

/// Returns the quote that begins at a position, with a backslash or by itself.
#[inline]
pub(super) fn quote_at(input: &Input<'_>, at: usize) -> Option<Quote> {
    let mark = input.skip(at, |byte| byte == b'\\');
    (input.get(mark) == Some(b'"')).then_some(Quote { run: mark - at, end: mark + 1 })
}

/// The levels of the strings around a position, the outermost first.
#[derive(Clone, Copy, Default)]
pub(super) struct Levels {
    levels: [usize; Levels::MAX],
    count: usize,
}

impl Levels {
    /// Deeper strings are not tracked. Nine levels need 511 backslashes.
    const MAX: usize = 9;

    fn open(&self) -> &[usize] {
        self.levels.get(..self.count).unwrap_or_default()
    }

    /// Returns whether the position is inside no string.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Enters a string.
    pub(super) fn push(&mut self, level: usize) {
        if let Some(place) = self.levels.get_mut(self.count) {
            *place = level;
            self.count += 1;
        }
    }

    /// Returns the level of the string that a quote closes.
    pub(super) fn closed_by(&self, run: usize) -> Option<usize> {
        self.open().iter().rev().copied().find(|level| closes(run, *level))
    }

    /// Leaves the strings that cannot stand around a string of a level. A quote in prose may have seemed to open one.
    pub(super) fn leave(&mut self, level: usize) {
        self.count = self.open().iter().position(|open| *open >= level).unwrap_or(self.count);
    }

    /// Returns whether a quote at a place for a value closes a string around. A quote before further text opens a string: the
    /// quote that seemed to open the string around stood in prose.
    pub(super) fn end_at(&self, input: &Input<'_>, quote: Quote) -> bool {
        self.closed_by(quote.run).is_some()
            && input.get(quote.end).is_none_or(|byte| byte <= b' ' || b",}])>:;\"\\".contains(&byte))
    }

    /// Passes a quote in running text, which closes a string or opens one.
    pub(super) fn pass(&mut self, run: usize) {
        if let Some(index) = self.open().iter().rposition(|level| closes(run, *level)) {
            self.count = index;
        } else if self.open().last().is_some_and(|level| run < *level) {
            // The string outside began before the text.
            self.count = self.open().iter().position(|level| run < *level).unwrap_or_default();
        } else {
            self.push(run);
        }
    }
}

/// The reason why a string ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// Its own quote.
    Own,
    /// The quote of a string around it.
    Outer,
    /// The end of the text.
    Cut,
}

/// The end of a string.
#[derive(Clone, Copy)]
pub(super) struct StringEnd {
    /// The end of the content, where the quote begins with its backslashes.
    pub(super) end: usize,
    /// The position behind the quote if it is the string's own, or else the end of the content.
    pub(super) after: usize,
    pub(super) closed: Closed,
}

/// Returns the end of the string of a level whose content begins at `at`. `around` are the strings around it.
pub(super) fn string_end(input: &Input<'_>, mut at: usize, level: usize, around: &Levels) -> StringEnd {
    loop {
        at = input.skip(at, |byte| byte != b'"' && byte != b'\\');
        let mark = input.skip(at, |byte| byte == b'\\');
        let run = mark - at;
        match input.get(mark) {
            None => return StringEnd { end: mark, after: mark, closed: Closed::Cut },
            Some(b'"') if closes(run, level) => {
                return StringEnd { end: mark - level, after: mark + 1, closed: Closed::Own };
            }
            Some(b'"') => {
                let outer = around.closed_by(run).or((run < level).then_some(run));
                if let Some(outer) = outer {
                    return StringEnd { end: mark - outer, after: mark - outer, closed: Closed::Outer };
                }
                at = mark + 1;
            }
            Some(_) => at = mark,
        }
    }
}

/// Returns the end of the text that the strings around `at` leave, and whether a quote closes them.
pub(super) fn enclosing_end(input: &Input<'_>, mut at: usize, around: &Levels) -> (usize, bool) {
    if around.is_empty() {
        return (input.len(), false);
    }
    loop {
        at = input.skip(at, |byte| byte != b'"' && byte != b'\\');
        match closing(input, at, around) {
            Some(end) => return (end, true),
            None if at >= input.len() => return (at, false),
            None => at = behind(input, at),
        }
    }
}

/// Returns the position of the quote that closes a string around, if the quote at `at` does. Its backslashes belong to it.
pub(super) fn closing(input: &Input<'_>, at: usize, around: &Levels) -> Option<usize> {
    let quote = quote_at(input, at)?;
    around.closed_by(quote.run).map(|level| quote.end - 1 - level)
}

/// Returns the position behind the quote or the backslashes at `at`.
pub(super) fn behind(input: &Input<'_>, at: usize) -> usize {
    let mark = input.skip(at, |byte| byte == b'\\');
    if input.get(mark) == Some(b'"') { mark + 1 } else { mark.max(at + 1).min(input.len()) }
}
