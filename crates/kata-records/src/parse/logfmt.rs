//! A parser for logfmt exactly as logrus writes it (`sirupsen/logrus: text_formatter.go`), and for its damaged copies.
//!
//! Parsing never fails: damage becomes a flaw, and every byte of the line goes to a key or a value.

use bumpalo::Bump;

use crate::dictionary::{self, KeyId, PresentKeys};
use crate::escapes::{Escape, go_escape, go_format_error, unescape};
use crate::flaw::{Flaw, Flaws};
use crate::likely_key::LikelyKey;
use crate::record::{Escaping, Pair, Text, Value};
use crate::redact;
use crate::scan;

/// The maximum number of pairs. The rest of a longer line becomes one text, so the cost of hostile lines is linear.
pub(crate) const MAX_PAIRS: usize = 512;

/// The notes of a scan about a line and its pairs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scanned {
    /// The flaws of the line.
    pub flaws: Flaws,
    /// The tracked keys of the pairs.
    pub keys: PresentKeys,
    /// The value of a pair may hold a secret, whatever its key is.
    pub is_marked: bool,
}

/// Appends the pairs of a line. Words without a value belong to the next key (`StratoVirt Pid=42`); at the end of the
/// line they become the value of `words`.
pub(crate) fn scan<'b>(line: &'b [u8], bump: &'b Bump, pairs: &mut Vec<Pair<'b>>) -> Scanned {
    let (mut flaws, mut keys, mut is_marked) = (Flaws::default(), PresentKeys::default(), false);
    let limit = pairs.len() + MAX_PAIRS;
    let mut next = &LIKELY_FIRST;
    let mut rest = line;
    loop {
        let mut is_plain = true;
        let (key, id, value) = match next.split(rest) {
            Some(value) if pairs.len() < limit => {
                keys.merge(next.keys);
                (next.key, Some(next.id), value)
            }
            _ => {
                while let [b' ', behind @ ..] = rest {
                    rest = behind;
                }
                if rest.is_empty() {
                    return Scanned { flaws, keys, is_marked };
                }
                if pairs.len() >= limit {
                    flaws.add(Flaw::TooManyPairs);
                    pairs.push(Pair::text(b"rest", Text::plain(rest)));
                    return Scanned { flaws, keys, is_marked: true };
                }
                let Some((key, value)) = split_key(rest, &mut flaws, &mut is_plain) else {
                    flaws.add(Flaw::BareWords);
                    pairs.push(Pair::text(b"words", Text::plain(rest)));
                    return Scanned { flaws, keys, is_marked: true };
                };
                let id = dictionary::find(key);
                keys.add(id);
                (key, id, value)
            }
        };
        let (bytes, escaping, behind) = match value {
            [b'"', inside @ ..] => quoted(inside, id, bump, &mut flaws, &mut is_plain),
            _ => bare(value, &mut flaws, &mut is_plain),
        };
        is_marked |= !is_plain;
        pairs.push(Pair { key, id, number: 0, is_plain, value: Value::Text(Text { bytes, escaping }) });
        next = &LIKELY_AFTER[usize::from(KeyId::number(id))];
        rest = behind;
    }
}

/// Splits off a key, with the words before it and its `=`. Returns `None` if there is no `=`.
#[inline]
fn split_key<'b>(rest: &'b [u8], flaws: &mut Flaws, is_plain: &mut bool) -> Option<(&'b [u8], &'b [u8])> {
    let end = scan::token_end(rest, 0);
    match rest.split_at_checked(end) {
        Some((key @ [_, ..], [b'=', behind @ ..])) => Some((key, behind)),
        _ => {
            *is_plain = false;
            split_words(rest, end, flaws)
        }
    }
}

/// Splits off a key if another byte than its `=` ends the first word.
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

/// The first key of logrus.
static LIKELY_FIRST: LikelyKey = LikelyKey::new("", KeyId::TIME, "=");

/// The most likely key after each key. logrus writes time, level and message first, and sorts the others. Nearly every
/// line of Kata has a name, which therefore follows whatever a call adds before it.
static LIKELY_AFTER: [LikelyKey; 256] = {
    let pairs = [
        (KeyId::TIME, KeyId::LEVEL),
        (KeyId::LEVEL, KeyId::MSG),
        (KeyId::MSG, KeyId::CONTAINER),
        (KeyId::ARCH, KeyId::COMMAND),
        (KeyId::COMMAND, KeyId::CONTAINER),
        (KeyId::CONSOLE_PROTOCOL, KeyId::CONSOLE_URL),
        (KeyId::NAME, KeyId::PID),
        (KeyId::PID, KeyId::SANDBOX),
        (KeyId::SANDBOX, KeyId::SOURCE),
        (KeyId::SOURCE, KeyId::SUBSYSTEM),
        (KeyId::SUBSYSTEM, KeyId::VMCONSOLE),
    ];
    let mut following = [LikelyKey::new("", KeyId::NAME, "="); 256];
    let mut at = 0;
    while at < pairs.len() {
        following[pairs[at].0.row() + 1] = LikelyKey::new("", pairs[at].1, "=");
        at += 1;
    }
    following
};

/// Parses a bare value up to the next space.
// Returns parts instead of a [`Text`]: a text that a call writes to memory stalls the read of it.
#[inline]
fn bare<'b>(rest: &'b [u8], flaws: &mut Flaws, is_plain: &mut bool) -> (&'b [u8], Escaping, &'b [u8]) {
    let end = scan::bare_end(rest, 0);
    match rest.split_at_checked(end) {
        Some((value, [b' ', behind @ ..])) => (value, Escaping::Clean, behind),
        None | Some((_, [])) => (rest, Escaping::Clean, b""),
        _ => {
            *is_plain = false;
            let (Text { bytes, escaping }, behind) = bare_irregular(rest, end, flaws);
            (bytes, escaping, behind)
        }
    }
}

/// Parses a bare value with a byte that logrus would have quoted.
#[cold]
fn bare_irregular<'b>(rest: &'b [u8], mut end: usize, flaws: &mut Flaws) -> (Text<'b>, &'b [u8]) {
    loop {
        match rest.split_at_checked(end) {
            Some((value, [b' ', behind @ ..])) => return (Text::plain(value), behind),
            None | Some((_, [])) => return (Text::plain(rest), b""),
            Some((_, [byte, ..])) => flaws.add_if(matches!(byte, b'=' | b'"'), Flaw::BareValue),
        }
        end = scan::token_end(rest, scan::ascii(rest, end).max(end + 1));
    }
}

/// The properties of a quoted value, which determine its escaping.
#[derive(Default)]
struct QuotedTraits {
    escapes: bool,
    /// It has escapes that logrus does not write, or bytes that logrus escapes.
    irregular: bool,
    /// It has an escaped byte from 0x80, so its content may not be UTF-8.
    high: bool,
    beyond_ascii: bool,
}

/// Parses a quoted value after its opening quote.
#[inline]
fn quoted<'b>(
    rest: &'b [u8],
    id: Option<KeyId>,
    bump: &'b Bump,
    flaws: &mut Flaws,
    is_plain: &mut bool,
) -> (&'b [u8], Escaping, &'b [u8]) {
    // Every line has a time, which holds no secret.
    let (at, is_marked) = match id {
        Some(id) if id.is_harmless() => (scan::quoted_stop(rest, 0), false),
        _ => scan::quoted_stop_and_marks(rest),
    };
    match rest.split_at_checked(at) {
        Some((inside, [b'"', behind @ ..])) if matches!(behind, [] | [b' ', ..]) => {
            *is_plain &= !(is_marked && redact::is_suspect(inside));
            (inside, Escaping::Clean, behind)
        }
        _ => {
            let (Text { bytes, escaping }, behind) = quoted_escapes(rest, at, bump, flaws);
            *is_plain = false;
            (bytes, escaping, behind)
        }
    }
}

/// Parses a quoted value whose first special byte, at `at`, is not the closing quote.
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
                scan::ascii(rest, at) - at
            }
            _ => {
                traits.irregular = true;
                1
            }
        };
        // Escapes often come in runs.
        if rest.get(at) != Some(&b'\\') {
            at = scan::quoted_stop(rest, at);
        }
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

/// Returns whether a key and its `=` follow, so that the quote before them closes a value.
fn starts_pair(rest: &[u8]) -> bool {
    rest.first().is_some_and(u8::is_ascii_alphabetic) && rest.get(scan::token_end(rest, 0)) == Some(&b'=')
}

#[cfg(test)]
mod tests;
