//! A parser for the members of a JSON object that builds no tree: nested values stay slices.
//!
//! Objects may be cut or damaged, and the members before the damage are kept. Nested values are only measured, so they
//! need not be valid.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use crate::dictionary::{self, DICTIONARY, KeyId};
use crate::escapes::{go_format_error, json_escape, unescape};
use crate::flaw::{Flaw, Flaws};
use crate::likely_key::LikelyKey;
use crate::record::{Escaping, Pair, Text, Value};
use crate::redact;
use crate::scan;

/// The maximum number of members: journald's limit for the fields of an entry.
pub(crate) const MAX_MEMBERS: usize = 1024;

/// The key that followed each key last time. Writers repeat the order of their keys, so most need no lookup.
#[derive(Debug)]
pub(crate) struct KeyOrder([Option<KeyId>; 256]);

impl Default for KeyOrder {
    fn default() -> Self {
        KeyOrder([None; 256])
    }
}

impl KeyOrder {
    /// The place of the first key, which no key has as its number.
    const FIRST: usize = 255;
}

/// The known keys as objects have them, by their rows.
static LIKELY: [LikelyKey; DICTIONARY.len()] = {
    assert!(DICTIONARY.len() < KeyOrder::FIRST);
    let mut keys = [LikelyKey::new("\"", KeyId::MSG, "\":"); DICTIONARY.len()];
    let mut row = 0;
    while row < DICTIONARY.len() {
        keys[row] = LikelyKey::new("\"", KeyId::of_row(row), "\":");
        row += 1;
    }
    keys
};

/// Appends the members of the object at the start of `text`, duplicates included. If the object is damaged or text
/// follows it, the rest becomes the member `rest`, with [`Flaw::BadJson`]. Without any valid member nothing is
/// appended.
pub(crate) fn members<'b>(text: &'b [u8], order: &mut KeyOrder, bump: &'b Bump, pairs: &mut Vec<Pair<'b>>) -> Flaws {
    let mut scanner = Scanner { rest: text, bump, flaws: Flaws::default() };
    let limit = pairs.len() + MAX_MEMBERS;
    let mut behind = text;
    if scanner.object(order, pairs, limit, &mut behind).is_none() {
        scanner.flaws.add(Flaw::BadJson);
        let rest = behind.trim_ascii();
        if behind.len() < text.len() && !rest.is_empty() {
            pairs.push(Pair::text(b"rest", Text::plain(rest)));
        }
    }
    scanner.flaws
}

/// Passes the elements of an array to `put`. Returns `None` if the array is malformed.
pub(crate) fn elements<'b>(text: &'b [u8], bump: &'b Bump, mut put: impl FnMut(Value<'b>)) -> Option<()> {
    let mut scanner = Scanner { rest: text, bump, flaws: Flaws::default() };
    scanner.take(b'[')?;
    if scanner.peek()? == b']' {
        return Some(());
    }
    loop {
        put(scanner.value()?);
        match scanner.next()? {
            b',' => {}
            b']' => return Some(()),
            _ => return None,
        }
    }
}

/// Appends the members of an object that is all of `text`, duplicates included. Integers are numbers, and arrays of strings
/// are lists. Returns `None` if the text is not valid JSON in UTF-8, or has no members.
pub(crate) fn strict_members<'b>(text: &'b [u8], bump: &'b Bump, pairs: &mut Vec<Pair<'b>>) -> Option<()> {
    std::str::from_utf8(text).ok()?;
    let mut scanner = Scanner { rest: text, bump, flaws: Flaws::default() };
    scanner.take(b'{')?;
    loop {
        let key = scanner.key()?;
        let value = scanner.typed_value()?;
        pairs.push(Pair::new(key, value));
        match scanner.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    (scanner.peek().is_none() && scanner.is_valid()).then_some(())
}

struct Scanner<'b> {
    /// The text that is left.
    rest: &'b [u8],
    bump: &'b Bump,
    flaws: Flaws,
}

impl<'b> Scanner<'b> {
    /// Passes white space, and returns the next byte.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.rest {
                [b' ' | b'\t' | b'\n' | b'\r', behind @ ..] => self.rest = behind,
                rest => return rest.first().copied(),
            }
        }
    }

    /// Passes white space and the next byte, and returns that.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.rest = self.rest.get(1..)?;
        Some(byte)
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// Parses an object. `behind` becomes the text behind the part that `pairs` holds.
    fn object(
        &mut self,
        order: &mut KeyOrder,
        pairs: &mut Vec<Pair<'b>>,
        limit: usize,
        behind: &mut &'b [u8],
    ) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.next()?;
            return self.peek().is_none().then_some(());
        }
        let mut place = KeyOrder::FIRST;
        loop {
            if pairs.len() >= limit {
                self.flaws.add(Flaw::TooManyPairs);
                return None;
            }
            let likely = order.0[place].map(|id| &LIKELY[id.row()]);
            let (key, id) = match likely.and_then(|likely| Some((likely, likely.split(self.rest)?))) {
                Some((likely, rest)) => {
                    self.rest = rest;
                    (likely.key, Some(likely.id))
                }
                None => {
                    let key = self.key()?;
                    let id = dictionary::find(key);
                    order.0[place] = id;
                    (key, id)
                }
            };
            place = usize::from(KeyId::number(id));
            self.pair(key, id, pairs)?;
            *behind = self.rest;
            match self.peek()? {
                b',' => self.rest = self.rest.get(1..)?,
                b'}' => break,
                _ => return None,
            }
            *behind = self.rest;
        }
        self.rest = self.rest.get(1..)?;
        *behind = self.rest;
        self.peek().is_none().then_some(())
    }

    /// Parses a key and its colon.
    #[inline]
    fn key(&mut self) -> Option<&'b [u8]> {
        if let [b'"', inside @ ..] = self.rest
            && let Some((key, [b'"', b':', behind @ ..])) = inside.split_at_checked(scan::quoted_stop(inside, 0))
        {
            self.rest = behind;
            return Some(key);
        }
        self.odd_key()
    }

    /// Parses a key with escapes, or with white space around.
    #[cold]
    fn odd_key(&mut self) -> Option<&'b [u8]> {
        self.peek()?;
        let key = self.string()?.decode(self.bump);
        self.take(b':')?;
        Some(key)
    }

    /// Parses the value of a key. A clean string becomes a pair directly in its place: a value that passes through
    /// memory in parts stalls the processor.
    #[inline]
    fn pair(&mut self, key: &'b [u8], id: Option<KeyId>, pairs: &mut Vec<Pair<'b>>) -> Option<()> {
        let first = self.peek()?;
        let [b'"', inside @ ..] = self.rest else { return self.other_pair(key, id, first, pairs) };
        let (stop, is_marked) = quoted_stop(inside, id);
        let Some((bytes, [b'"', behind @ ..])) = inside.split_at_checked(stop) else {
            return self.unclean_pair(key, id, inside, stop, pairs);
        };
        self.rest = behind;
        let is_plain = !(is_marked && redact::is_suspect(bytes));
        pairs.push(Pair { key, id, number: 0, is_plain, value: Value::Text(Text::clean(bytes)) });
        Some(())
    }

    #[inline(never)]
    fn other_pair(&mut self, key: &'b [u8], id: Option<KeyId>, first: u8, pairs: &mut Vec<Pair<'b>>) -> Option<()> {
        let value = self.other_value(first)?;
        // A literal is no secret by its form.
        pairs.push(Pair { key, id, number: 0, is_plain: !matches!(first, b'{' | b'['), value });
        Some(())
    }

    #[cold]
    fn unclean_pair(
        &mut self,
        key: &'b [u8],
        id: Option<KeyId>,
        inside: &'b [u8],
        stop: usize,
        pairs: &mut Vec<Pair<'b>>,
    ) -> Option<()> {
        let text = self.unclean_string(inside, stop)?;
        pairs.push(Pair { key, id, number: 0, is_plain: false, value: Value::Text(text) });
        Some(())
    }

    #[inline]
    fn value(&mut self) -> Option<Value<'b>> {
        match self.peek()? {
            b'"' => Some(Value::Text(self.string()?)),
            byte => self.other_value(byte),
        }
    }

    /// Parses a value with its type. A number that is no integer is nested JSON.
    fn typed_value(&mut self) -> Option<Value<'b>> {
        let first = self.peek()?;
        Some(match self.value()? {
            Value::Text(number) if first != b'"' => {
                let int = std::str::from_utf8(number.bytes).ok().and_then(|digits| digits.parse().ok());
                int.map_or(Value::Nested(number.bytes), Value::Int)
            }
            Value::Nested(raw) => {
                // A nested value was only measured.
                serde_json::from_slice::<serde::de::IgnoredAny>(raw).ok()?;
                self.strings(raw).unwrap_or(Value::Nested(raw))
            }
            value => value,
        })
    }

    /// Parses an array of strings.
    fn strings(&mut self, raw: &'b [u8]) -> Option<Value<'b>> {
        let mut scanner = Scanner { rest: raw, bump: self.bump, flaws: Flaws::default() };
        let mut texts = BumpVec::new_in(self.bump);
        scanner.take(b'[')?;
        loop {
            scanner.peek()?;
            texts.push(scanner.string()?);
            match scanner.next()? {
                b',' => {}
                _ => break,
            }
        }
        self.flaws.merge(scanner.flaws);
        Some(Value::List(texts.into_bump_slice()))
    }

    /// Returns whether the text was valid JSON so far.
    fn is_valid(&self) -> bool {
        !self.flaws.has(Flaw::BadJson) && !self.flaws.has(Flaw::BadEscape)
    }

    #[inline(never)]
    fn other_value(&mut self, first: u8) -> Option<Value<'b>> {
        match first {
            b'{' | b'[' => {
                let (nested, behind) = match scan::nested_end(self.rest, 0) {
                    Some(end) => self.rest.split_at_checked(end)?,
                    None => {
                        // A value that is cut stays as text, because it is no JSON.
                        self.flaws.add(Flaw::BadJson);
                        return Some(Value::Text(Text::plain(std::mem::take(&mut self.rest))));
                    }
                };
                self.rest = behind;
                Some(Value::Nested(nested))
            }
            _ => self.literal(),
        }
    }

    /// Parses a number, `true`, `false` or `null`.
    fn literal(&mut self) -> Option<Value<'b>> {
        // Nearly all are numbers without a sign or fraction.
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if let Some((number @ [b'1'..=b'9', ..], behind @ [b',' | b'}', ..])) = self.rest.split_at_checked(digits) {
            self.rest = behind;
            return Some(Value::Text(Text::clean(number)));
        }
        let is_inside = |byte: &&u8| !matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
        let (word, behind) = self.rest.split_at_checked(self.rest.iter().take_while(is_inside).count())?;
        let value = match word {
            b"true" => Value::Bool(true),
            b"false" => Value::Bool(false),
            b"null" => Value::Null,
            _ if is_number(word) => Value::Text(Text::clean(word)),
            _ => return None,
        };
        self.rest = behind;
        Some(value)
    }

    /// Parses a string from its opening quote. A string that is cut is kept, with the flaw.
    #[inline]
    fn string(&mut self) -> Option<Text<'b>> {
        let [b'"', inside @ ..] = self.rest else { return None };
        let stop = scan::quoted_stop(inside, 0);
        if let Some((bytes, [b'"', behind @ ..])) = inside.split_at_checked(stop) {
            self.rest = behind;
            return Some(Text::clean(bytes));
        }
        self.unclean_string(inside, stop)
    }

    /// Parses the rest of a string from its first special byte, which is at `at`.
    #[cold]
    fn unclean_string(&mut self, inside: &'b [u8], mut at: usize) -> Option<Text<'b>> {
        let (mut escapes, mut irregular, mut beyond_ascii) = (false, false, false);
        loop {
            let rest = inside.get(at..).unwrap_or_default();
            at += match rest {
                [] => {
                    self.flaws.add(Flaw::BadJson);
                    break;
                }
                [b'"', ..] => break,
                [b'\\', next @ ..] => {
                    escapes = true;
                    match next {
                        [b'"' | b'\\' | b'n', ..] => 2,
                        _ => json_escape(rest).map_or_else(
                            || {
                                irregular = true;
                                self.flaws.add(Flaw::BadEscape);
                                1
                            },
                            |(length, _)| length,
                        ),
                    }
                }
                [b'%', ..] => {
                    self.flaws.add_if(go_format_error(rest), Flaw::GoFormatError);
                    1
                }
                [byte, ..] if !byte.is_ascii() => {
                    beyond_ascii = true;
                    scan::ascii(rest, 0)
                }
                _ => {
                    irregular = true;
                    1
                }
            };
            // Escapes often come in runs.
            if inside.get(at) != Some(&b'\\') {
                at = scan::quoted_stop(inside, at);
            }
        }
        let bytes = inside.get(..at)?;
        self.rest = inside.get(at + 1..).unwrap_or_default();
        Some(if !escapes {
            if irregular || beyond_ascii { Text::plain(bytes) } else { Text::clean(bytes) }
        } else if irregular || (beyond_ascii && std::str::from_utf8(bytes).is_err()) {
            Text::plain(unescape(bytes, self.bump, json_escape).0)
        } else {
            Text { bytes, escaping: Escaping::Json }
        })
    }
}

/// Returns the first special byte of a string, and whether it may hold a secret under its key.
#[inline(always)]
fn quoted_stop(inside: &[u8], id: Option<KeyId>) -> (usize, bool) {
    match id {
        Some(id) if id.is_harmless() => (scan::quoted_stop(inside, 0), false),
        _ => scan::quoted_stop_and_marks(inside),
    }
}

/// Returns whether a word is a JSON number (RFC 8259 section 6).
fn is_number(word: &[u8]) -> bool {
    fn digits(word: &[u8]) -> usize {
        word.iter().take_while(|byte| byte.is_ascii_digit()).count()
    }
    let mut rest = word.strip_prefix(b"-").unwrap_or(word);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.first() == Some(&b'0')) {
        return false;
    }
    rest = rest.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = fraction.get(count..).unwrap_or_default();
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let count = digits(exponent);
        return count > 0 && count == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests;
