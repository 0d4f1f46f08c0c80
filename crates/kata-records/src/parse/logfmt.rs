//! logfmt exactly as logrus writes it (`sirupsen/logrus: text_formatter.go`), and what becomes of it on the way.
//!
//! The scanner never fails: damage is a flaw, and every byte of the line ends up in some key or value.

use bumpalo::Bump;

use crate::dictionary::{self, KeyId};
use crate::escapes::{Escape, go_escape, go_format_error, unescape};
use crate::flaw::{Flaw, Flaws};
use crate::record::{Escaping, Pair, Text, Value};
use crate::scan;

/// More pairs than any writer logs; the rest of such a line is kept as one text, so that hostile lines cost no more than
/// their length.
pub(crate) const MAX_PAIRS: usize = 512;

/// Appends the pairs of a line. Words without a value belong to the key behind them (`StratoVirt Pid=42`); at the end of
/// the line they become the value of `words`.
pub(crate) fn scan<'b>(line: &'b [u8], bump: &'b Bump, pairs: &mut Vec<Pair<'b>>) -> Flaws {
    let mut flaws = Flaws::default();
    let limit = pairs.len() + MAX_PAIRS;
    let mut next = &LIKELY_FIRST;
    let mut rest = line;
    loop {
        while let [b' ', behind @ ..] = rest {
            rest = behind;
        }
        if rest.is_empty() {
            return flaws;
        }
        if pairs.len() >= limit {
            flaws.add(Flaw::TooManyPairs);
            pairs.push(Pair::text(b"rest", Text::plain(rest)));
            return flaws;
        }
        let (key, id, value) = match next.split(rest) {
            Some(value) => (next.key, Some(next.id), value),
            None => {
                let Some((key, value)) = split_key(rest, &mut flaws) else {
                    flaws.add(Flaw::BareWords);
                    pairs.push(Pair::text(b"words", Text::plain(rest)));
                    return flaws;
                };
                (key, dictionary::find(key), value)
            }
        };
        let (bytes, escaping, behind) = match value {
            [b'"', inside @ ..] => quoted(inside, bump, &mut flaws),
            _ => bare(value, &mut flaws),
        };
        pairs.push(Pair { key, id, number: 0, value: Value::Text(Text { bytes, escaping }) });
        next = &LIKELY_AFTER[usize::from(KeyId::number(id))];
        rest = behind;
    }
}

/// The key, with the words before it, and what is behind its `=`; none where there is no `=`.
#[inline]
fn split_key<'b>(rest: &'b [u8], flaws: &mut Flaws) -> Option<(&'b [u8], &'b [u8])> {
    let end = scan::token_end(rest, 0);
    match rest.split_at_checked(end) {
        Some((key @ [_, ..], [b'=', behind @ ..])) => Some((key, behind)),
        _ => split_words(rest, end, flaws),
    }
}

/// The same where something else than the `=` of a key ends the first word.
#[cold]
fn split_words<'b>(rest: &'b [u8], mut end: usize, flaws: &mut Flaws) -> Option<(&'b [u8], &'b [u8])> {
    flaws.add_if(end == 0, Flaw::BadKey);
    loop {
        match rest.split_at_checked(end)? {
            (key, [b'=', behind @ ..]) => return Some((key, behind)),
            (_, [byte, ..]) => flaws.add_if(*byte != b' ', Flaw::BadKey),
            (_, []) => return None,
        }
        end = scan::token_end(rest, end + 1);
    }
}

/// A key that is likely to come next: it is looked for before any other, and need not be looked up.
// As long as a line of the cache, so that its place needs no multiplication.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct LikelyKey {
    /// The key and its `=`, as numbers of which only these bits count.
    text: [u64; 2],
    mask: [u64; 2],
    key: &'static [u8],
    id: KeyId,
}

impl LikelyKey {
    /// None: where no bits count, what is left is zero.
    const NONE: LikelyKey = LikelyKey { text: [1, 0], mask: [0, 0], key: b"", id: KeyId::TIME };

    const fn new(id: KeyId) -> LikelyKey {
        let key = id.known().key.as_bytes();
        assert!(key.len() < 16, "a key and its `=` have to fit");
        let mut next = LikelyKey { key, id, ..LikelyKey::NONE };
        next.text = [0; 2];
        let mut at = 0;
        while at <= key.len() {
            let byte = if at < key.len() { key[at] } else { b'=' };
            next.text[at / 8] |= (byte as u64) << (at % 8 * 8);
            next.mask[at / 8] |= 0xff << (at % 8 * 8);
            at += 1;
        }
        next
    }

    /// What is behind the key and its `=`, if they stand here.
    #[inline]
    fn split<'b>(&self, rest: &'b [u8]) -> Option<&'b [u8]> {
        let chunk = u128::from_le_bytes(*rest.first_chunk()?);
        let [head, tail] = [chunk as u64, (chunk >> 64) as u64];
        if (head & self.mask[0] ^ self.text[0]) | (tail & self.mask[1] ^ self.text[1]) != 0 {
            return None;
        }
        rest.get(self.key.len() + 1..)
    }
}

/// What a line of logrus begins with.
static LIKELY_FIRST: LikelyKey = LikelyKey::new(KeyId::TIME);

/// By a key, what follows it in most lines: logrus writes time, level and message and then all others in their order, and
/// these are in nearly every line of Kata.
static LIKELY_AFTER: [LikelyKey; 256] = {
    let pairs = [
        (KeyId::TIME, KeyId::LEVEL),
        (KeyId::LEVEL, KeyId::MSG),
        (KeyId::NAME, KeyId::PID),
        (KeyId::PID, KeyId::SANDBOX),
        (KeyId::SANDBOX, KeyId::SOURCE),
        (KeyId::SOURCE, KeyId::SUBSYSTEM),
    ];
    let mut following = [LikelyKey::NONE; 256];
    let mut at = 0;
    while at < pairs.len() {
        following[pairs[at].0.row() + 1] = LikelyKey::new(pairs[at].1);
        at += 1;
    }
    following
};

/// A value without quotes, up to the next space, its form, and what is behind that.
// In parts: a text that a call writes to memory is waited for when it is read again as a whole.
#[inline]
fn bare<'b>(rest: &'b [u8], flaws: &mut Flaws) -> (&'b [u8], Escaping, &'b [u8]) {
    let end = scan::token_end(rest, 0);
    match rest.split_at_checked(end) {
        Some((value, [b' ', behind @ ..])) => (value, Escaping::Clean, behind),
        None | Some((_, [])) => (rest, Escaping::Clean, b""),
        _ => {
            let (Text { bytes, escaping }, behind) = bare_irregular(rest, end, flaws);
            (bytes, escaping, behind)
        }
    }
}

/// The same where something stands in it that logrus would have put in quotes.
#[cold]
fn bare_irregular<'b>(rest: &'b [u8], mut end: usize, flaws: &mut Flaws) -> (Text<'b>, &'b [u8]) {
    loop {
        match rest.split_at_checked(end) {
            Some((value, [b' ', behind @ ..])) => return (Text::plain(value), behind),
            None | Some((_, [])) => return (Text::plain(rest), b""),
            Some((_, [byte, ..])) => flaws.add_if(matches!(byte, b'=' | b'"'), Flaw::BareValue),
        }
        end = scan::token_end(rest, end + 1);
    }
}

/// What was met inside a quoted value, and so which form it has.
#[derive(Default)]
struct QuotedTraits {
    escapes: bool,
    /// An escape that logrus does not write, or bytes that it would have escaped.
    irregular: bool,
    /// An escaped byte from 0x80: the content need not be UTF-8.
    high: bool,
    beyond_ascii: bool,
}

/// A value in quotes, of which the opening one is taken away. Gives what is inside, its form, and what is behind the
/// closing quote.
#[inline]
fn quoted<'b>(rest: &'b [u8], bump: &'b Bump, flaws: &mut Flaws) -> (&'b [u8], Escaping, &'b [u8]) {
    let at = scan::quoted_stop(rest, 0);
    match rest.split_at_checked(at) {
        Some((inside, [b'"', behind @ ..])) if matches!(behind, [] | [b' ', ..]) => (inside, Escaping::Clean, behind),
        _ => {
            let (Text { bytes, escaping }, behind) = quoted_escapes(rest, at, bump, flaws);
            (bytes, escaping, behind)
        }
    }
}

/// The same where something else than the closing quote needs a look, first what is at `at`.
#[inline(never)]
fn quoted_escapes<'b>(rest: &'b [u8], mut at: usize, bump: &'b Bump, flaws: &mut Flaws) -> (Text<'b>, &'b [u8]) {
    let mut traits = QuotedTraits::default();
    let (inside, behind) = loop {
        let Some((inside, [byte, behind @ ..])) = rest.split_at_checked(at) else {
            flaws.add(Flaw::UnterminatedQuote);
            break (rest, &b""[..]);
        };
        at += match byte {
            b'"' => match behind {
                [] | [b' ', ..] => break (inside, behind),
                _ if starts_pair(behind) => {
                    flaws.add(Flaw::MissingSpace);
                    break (inside, behind);
                }
                _ => {
                    flaws.add(Flaw::StrayQuote);
                    traits.irregular = true;
                    1
                }
            },
            b'\\' => {
                traits.escapes = true;
                match behind {
                    [b'"' | b'\\' | b'n', ..] => 2,
                    _ => match go_escape(tail(rest, at)) {
                        Some((length, Escape::Byte(byte))) => {
                            traits.high |= byte >= 0x80;
                            length
                        }
                        Some((length, Escape::Char(_))) => length,
                        None => {
                            flaws.add(Flaw::BadEscape);
                            traits.irregular = true;
                            1
                        }
                    },
                }
            }
            b'%' => {
                flaws.add_if(go_format_error(tail(rest, at)), Flaw::GoFormatError);
                1
            }
            0x80.. => {
                traits.beyond_ascii = true;
                1
            }
            _ => {
                traits.irregular = true;
                1
            }
        };
        at = scan::quoted_stop(rest, at);
    };
    (classify(inside, &traits, bump), behind)
}

fn tail(bytes: &[u8], from: usize) -> &[u8] {
    bytes.get(from..).unwrap_or_default()
}

fn classify<'b>(bytes: &'b [u8], traits: &QuotedTraits, bump: &'b Bump) -> Text<'b> {
    if !traits.escapes {
        return if traits.irregular || traits.beyond_ascii { Text::plain(bytes) } else { Text::clean(bytes) };
    }
    if traits.irregular || traits.high || (traits.beyond_ascii && std::str::from_utf8(bytes).is_err()) {
        return Text::plain(unescape(bytes, bump, go_escape).0);
    }
    Text { bytes, escaping: Escaping::Go }
}

/// Whether a key and its `=` stand here, so that a quote before them was a closing one.
fn starts_pair(rest: &[u8]) -> bool {
    rest.first().is_some_and(u8::is_ascii_alphabetic) && rest.get(scan::token_end(rest, 0)) == Some(&b'=')
}

#[cfg(test)]
mod tests;
