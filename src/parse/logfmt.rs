//! logfmt exactly as logrus writes it (`sirupsen/logrus: text_formatter.go`), and what becomes of it on the way.
//!
//! The scanner never fails: damage is a flaw, and every byte of the line ends up in some key or value.

use bumpalo::Bump;

use crate::dictionary::{self, KeyId};
use crate::flaw::{Flaw, Flaws};
use crate::record::{Form, Pair, Text, Value};
use crate::scan;
use crate::text::{Escape, go_escape, go_format_error, unescape};

/// More pairs than any writer logs; the rest of such a line is kept as one text, so that hostile lines cost no more than
/// their length.
pub const MAX_PAIRS: usize = 512;

/// Appends the pairs of a line. Words without a value belong to the key behind them (`StratoVirt Pid=42`); at the end of
/// the line they become the value of `words`.
pub fn scan<'b>(line: &'b [u8], bump: &'b Bump, pairs: &mut Vec<Pair<'b>>) -> Flaws {
    let mut flaws = Flaws::default();
    let limit = pairs.len() + MAX_PAIRS;
    let mut at = 0;
    let mut next = &FIRST;
    loop {
        while line.get(at) == Some(&b' ') {
            at += 1;
        }
        let start = at;
        if at >= line.len() {
            return flaws;
        }
        if pairs.len() >= limit {
            flaws.add(Flaw::TooManyPairs);
            pairs.push(Pair::text(b"rest", Text::plain(tail(line, start))));
            return flaws;
        }
        let id = if next.is_at(tail(line, at)) {
            at += next.length;
            Some(next.id)
        } else {
            // The key, with the words before it.
            loop {
                at = scan::token_end(line, at);
                match line.get(at) {
                    Some(b'=') => break,
                    Some(b' ') => at += 1,
                    Some(_) => {
                        flaws.add(Flaw::BadKey);
                        at += 1;
                    }
                    None => {
                        flaws.add(Flaw::BareWords);
                        pairs.push(Pair::text(b"words", Text::plain(tail(line, start))));
                        return flaws;
                    }
                }
            }
            flaws.add_if(at == start, Flaw::BadKey);
            dictionary::find(line.get(start..at).unwrap_or_default())
        };
        let key = line.get(start..at).unwrap_or_default();
        at += 1;
        let text = match line.get(at) {
            Some(b'"') => {
                let (text, end) = quoted(line, at + 1, bump, &mut flaws);
                at = end;
                text
            }
            _ => {
                let start = at;
                let (text, end) = bare(line, start, &mut flaws);
                at = end;
                text
            }
        };
        pairs.push(Pair { key, id, number: 0, value: Value::Text(text) });
        next = id.map_or(&Next::NONE, |id| &FOLLOWING[usize::from(id.0)]);
    }
}

/// A key that is likely to come next: it is looked for before any other, and need not be looked up.
#[derive(Clone, Copy)]
struct Next {
    /// The key and its `=`, as a number of which only these bits count.
    text: u128,
    mask: u128,
    /// The length of the key.
    length: usize,
    id: KeyId,
}

impl Next {
    /// None: where no bits count, what is left is zero.
    const NONE: Next = Next { text: 1, mask: 0, length: 0, id: KeyId::TIME };

    const fn new(id: KeyId) -> Next {
        let key = id.known().key.as_bytes();
        assert!(key.len() < 16, "a key and its `=` have to fit");
        let mut text = [0; 16];
        let mut at = 0;
        while at < key.len() {
            text[at] = key[at];
            at += 1;
        }
        text[at] = b'=';
        Next { text: u128::from_le_bytes(text), mask: !0 >> (8 * (15 - key.len())), length: key.len(), id }
    }

    #[inline]
    fn is_at(&self, rest: &[u8]) -> bool {
        rest.first_chunk().is_some_and(|chunk| u128::from_le_bytes(*chunk) & self.mask == self.text)
    }
}

/// What a line of logrus begins with.
static FIRST: Next = Next::new(KeyId::TIME);

/// By a key, what follows it in most lines: logrus writes time, level and message and then all others in their order, and
/// these are in nearly every line of Kata.
static FOLLOWING: [Next; 256] = {
    let pairs = [
        (KeyId::TIME, KeyId::LEVEL),
        (KeyId::LEVEL, KeyId::MSG),
        (KeyId::NAME, KeyId::PID),
        (KeyId::PID, KeyId::SANDBOX),
        (KeyId::SANDBOX, KeyId::SOURCE),
        (KeyId::SOURCE, KeyId::SUBSYSTEM),
    ];
    let mut following = [Next::NONE; 256];
    let mut at = 0;
    while at < pairs.len() {
        following[pairs[at].0.0 as usize] = Next::new(pairs[at].1);
        at += 1;
    }
    following
};

fn tail(line: &[u8], from: usize) -> &[u8] {
    line.get(from..).unwrap_or_default()
}

/// A value without quotes: up to the next space.
#[inline]
fn bare<'b>(line: &'b [u8], start: usize, flaws: &mut Flaws) -> (Text<'b>, usize) {
    let mut at = scan::token_end(line, start);
    if matches!(line.get(at), None | Some(b' ')) {
        return (Text::clean(line.get(start..at).unwrap_or_default()), at);
    }
    loop {
        match line.get(at) {
            None | Some(b' ') => return (Text::plain(line.get(start..at).unwrap_or_default()), at),
            Some(b'=' | b'"') => flaws.add(Flaw::BareValue),
            Some(_) => {}
        }
        at = scan::token_end(line, at + 1);
    }
}

/// What was met inside a quoted value, and so which form it has.
#[derive(Default)]
struct Seen {
    escapes: bool,
    /// An escape that logrus does not write, or bytes that it would have escaped.
    irregular: bool,
    /// An escaped byte from 0x80: the content need not be UTF-8.
    high: bool,
    beyond_ascii: bool,
}

/// A value in quotes; `start` is behind the opening one. Gives the text and the position behind the closing quote.
#[inline]
fn quoted<'b>(line: &'b [u8], start: usize, bump: &'b Bump, flaws: &mut Flaws) -> (Text<'b>, usize) {
    let mut seen = Seen::default();
    let mut at = start;
    let end = loop {
        at = scan::quoted_stop(line, at);
        let Some(&byte) = line.get(at) else {
            flaws.add(Flaw::UnterminatedQuote);
            break at;
        };
        match byte {
            b'"' => match line.get(at + 1) {
                None | Some(b' ') => break at,
                Some(_) if starts_pair(line, at + 1) => {
                    flaws.add(Flaw::MissingSpace);
                    break at;
                }
                Some(_) => {
                    flaws.add(Flaw::StrayQuote);
                    seen.irregular = true;
                    at += 1;
                }
            },
            b'\\' => {
                seen.escapes = true;
                if matches!(line.get(at + 1), Some(b'"' | b'\\' | b'n')) {
                    at += 2;
                    continue;
                }
                at += match go_escape(tail(line, at)) {
                    Some((length, Escape::Byte(byte))) => {
                        seen.high |= byte >= 0x80;
                        length
                    }
                    Some((length, Escape::Char(_))) => length,
                    None => {
                        flaws.add(Flaw::BadEscape);
                        seen.irregular = true;
                        1
                    }
                };
            }
            b'%' => {
                flaws.add_if(go_format_error(tail(line, at)), Flaw::GoFormatError);
                at += 1;
            }
            0x80.. => {
                seen.beyond_ascii = true;
                at += 1;
            }
            _ => {
                seen.irregular = true;
                at += 1;
            }
        }
    };
    let bytes = line.get(start..end).unwrap_or_default();
    (classify(bytes, &seen, bump), (end + 1).min(line.len()))
}

fn classify<'b>(bytes: &'b [u8], seen: &Seen, bump: &'b Bump) -> Text<'b> {
    if !seen.escapes {
        return if seen.irregular || seen.beyond_ascii { Text::plain(bytes) } else { Text::clean(bytes) };
    }
    if seen.irregular || seen.high || (seen.beyond_ascii && std::str::from_utf8(bytes).is_err()) {
        return Text::plain(unescape(bytes, bump, go_escape).0);
    }
    Text { bytes, form: Form::Go }
}

/// Whether a key and its `=` stand here, so that a quote before them was a closing one.
fn starts_pair(line: &[u8], at: usize) -> bool {
    let end = scan::token_end(line, at);
    line.get(at).is_some_and(u8::is_ascii_alphabetic) && line.get(end) == Some(&b'=')
}

#[cfg(test)]
mod tests;
