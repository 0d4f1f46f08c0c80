//! A parser for the members of a JSON object that builds no tree: nested values stay slices.
//!
//! Objects may be cut or damaged, and the members before the damage are kept. Nested values are only measured, so they
//! need not be valid.

use bumpalo::Bump;

use crate::dictionary;
use crate::escapes::{go_format_error, json_escape, unescape};
use crate::flaw::{Flaw, Flaws};
use crate::record::{Escaping, Pair, Text, Value};
use crate::redact;
use crate::scan;

/// The maximum number of members: journald's limit for the fields of an entry.
pub(crate) const MAX_MEMBERS: usize = 1024;

/// Appends the members of the object at the start of `text`, duplicates included. If the object is damaged or text
/// follows it, the rest becomes the member `rest`, with [`Flaw::BadJson`]. Without any valid member nothing is
/// appended.
pub(crate) fn members<'b>(text: &'b [u8], bump: &'b Bump, pairs: &mut Vec<Pair<'b>>) -> Flaws {
    let mut scanner = Scanner { text, at: 0, bump, flaws: Flaws::default() };
    let limit = pairs.len() + MAX_MEMBERS;
    let mut kept = 0;
    if scanner.object(pairs, limit, &mut kept).is_none() {
        scanner.flaws.add(Flaw::BadJson);
        let rest = text.get(kept..).unwrap_or_default().trim_ascii();
        if kept > 0 && !rest.is_empty() {
            pairs.push(Pair::text(b"rest", Text::plain(rest)));
        }
    }
    scanner.flaws
}

/// Passes the elements of an array to `put`. Returns `None` if the array is malformed.
pub(crate) fn elements<'b>(text: &'b [u8], bump: &'b Bump, mut put: impl FnMut(Value<'b>)) -> Option<()> {
    let mut scanner = Scanner { text, at: 0, bump, flaws: Flaws::default() };
    scanner.take(b'[')?;
    if scanner.peek()? == b']' {
        return Some(());
    }
    loop {
        put(scanner.value()?);
        match scanner.peek()? {
            b',' => scanner.at += 1,
            b']' => return Some(()),
            _ => return None,
        }
    }
}

struct Scanner<'b> {
    text: &'b [u8],
    at: usize,
    bump: &'b Bump,
    flaws: Flaws,
}

impl<'b> Scanner<'b> {
    /// Returns the next byte that is not white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Parses an object. `kept` is the end of the part that `pairs` holds.
    fn object(&mut self, pairs: &mut Vec<Pair<'b>>, limit: usize, kept: &mut usize) -> Option<()> {
        self.take(b'{')?;
        let mut separator = (self.peek()? != b'}').then_some(b',');
        while separator == Some(b',') {
            if pairs.len() >= limit {
                self.flaws.add(Flaw::TooManyPairs);
                return None;
            }
            self.peek()?;
            let key = self.key()?;
            self.pair(key, pairs)?;
            *kept = self.at;
            separator = Some(self.peek()?);
            if matches!(separator, Some(b',' | b'}')) {
                self.at += 1;
                *kept = self.at;
            } else {
                return None;
            }
        }
        if separator.is_none() {
            self.at += 1;
        }
        self.peek().is_none().then_some(())
    }

    /// Parses a key and its colon.
    #[inline]
    fn key(&mut self) -> Option<&'b [u8]> {
        let start = self.at + 1;
        let stop = scan::quoted_stop(self.text, start);
        if let [b'"', b':', ..] = self.text.get(stop..)?
            && self.text.get(self.at) == Some(&b'"')
        {
            self.at = stop + 2;
            return self.text.get(start..stop);
        }
        let key = self.string()?.decode(self.bump);
        self.take(b':')?;
        Some(key)
    }

    /// Parses the value of a key. A clean string becomes a pair directly in its place: a value that passes through
    /// memory in parts stalls the processor.
    #[inline]
    fn pair(&mut self, key: &'b [u8], pairs: &mut Vec<Pair<'b>>) -> Option<()> {
        let first = self.peek()?;
        if first != b'"' {
            return self.other_pair(key, first, pairs);
        }
        let start = self.at + 1;
        let id = dictionary::find(key);
        let (stop, is_marked) = match id {
            Some(id) if id.is_harmless() => (scan::quoted_stop(self.text, start), false),
            _ => {
                let (length, is_marked) = scan::quoted_stop_and_marks(self.text.get(start..)?);
                (start + length, is_marked)
            }
        };
        if self.text.get(stop) != Some(&b'"') {
            return self.unclean_pair(key, start, stop, pairs);
        }
        self.at = stop + 1;
        let bytes = self.text.get(start..stop)?;
        let is_plain = !(is_marked && redact::is_suspect(bytes));
        pairs.push(Pair { key, id, number: 0, is_plain, value: Value::Text(Text::clean(bytes)) });
        Some(())
    }

    #[inline(never)]
    fn other_pair(&mut self, key: &'b [u8], first: u8, pairs: &mut Vec<Pair<'b>>) -> Option<()> {
        let value = self.other_value(first)?;
        pairs.push(Pair::new(key, value));
        Some(())
    }

    #[cold]
    fn unclean_pair(&mut self, key: &'b [u8], start: usize, stop: usize, pairs: &mut Vec<Pair<'b>>) -> Option<()> {
        let text = self.unclean_string(start, stop)?;
        pairs.push(Pair::text(key, text));
        Some(())
    }

    #[inline]
    fn value(&mut self) -> Option<Value<'b>> {
        match self.peek()? {
            b'"' => Some(Value::Text(self.string()?)),
            byte => self.other_value(byte),
        }
    }

    #[inline(never)]
    fn other_value(&mut self, first: u8) -> Option<Value<'b>> {
        match first {
            b'{' | b'[' => {
                let start = self.at;
                let Some(end) = scan::nested_end(self.text, start) else {
                    // A value that is cut stays as text, because it is no JSON.
                    self.flaws.add(Flaw::BadJson);
                    self.at = self.text.len();
                    return Some(Value::Text(Text::plain(self.text.get(start..)?)));
                };
                self.at = end;
                Some(Value::Nested(self.text.get(start..end)?))
            }
            _ => self.literal(),
        }
    }

    /// Parses a number, `true`, `false` or `null`.
    fn literal(&mut self) -> Option<Value<'b>> {
        let rest = self.text.get(self.at..)?;
        let length = rest.iter().take_while(|byte| !matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'));
        let word = rest.get(..length.count())?;
        let value = match word {
            b"true" => Value::Bool(true),
            b"false" => Value::Bool(false),
            b"null" => Value::Null,
            _ if is_number(word) => Value::Text(Text::clean(word)),
            _ => return None,
        };
        self.at += word.len();
        Some(value)
    }

    /// Parses a string from its opening quote. A string that is cut is kept, with the flaw.
    #[inline]
    fn string(&mut self) -> Option<Text<'b>> {
        if *self.text.get(self.at)? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let stop = scan::quoted_stop(self.text, start);
        if self.text.get(stop) == Some(&b'"') {
            self.at = stop + 1;
            return Some(Text::clean(self.text.get(start..stop)?));
        }
        self.unclean_string(start, stop)
    }

    /// Parses the rest of a string from its first special byte.
    #[cold]
    fn unclean_string(&mut self, start: usize, stop: usize) -> Option<Text<'b>> {
        self.at = stop;
        let (mut escapes, mut irregular, mut beyond_ascii) = (false, false, false);
        loop {
            let Some(&byte) = self.text.get(self.at) else {
                self.flaws.add(Flaw::BadJson);
                break;
            };
            match byte {
                b'"' => break,
                b'\\' => {
                    escapes = true;
                    let rest = self.text.get(self.at..)?;
                    self.at += match rest.get(1) {
                        Some(b'"' | b'\\' | b'n') => 2,
                        _ => json_escape(rest).map_or_else(
                            || {
                                irregular = true;
                                self.flaws.add(Flaw::BadEscape);
                                1
                            },
                            |(length, _)| length,
                        ),
                    };
                }
                b'%' => {
                    self.flaws.add_if(go_format_error(self.text.get(self.at..)?), Flaw::GoFormatError);
                    self.at += 1;
                }
                0x80.. => {
                    beyond_ascii = true;
                    self.at += 1;
                }
                _ => {
                    irregular = true;
                    self.at += 1;
                }
            }
            self.at = scan::quoted_stop(self.text, self.at);
        }
        let bytes = self.text.get(start..self.at)?;
        self.at += 1;
        Some(if !escapes {
            if irregular || beyond_ascii { Text::plain(bytes) } else { Text::clean(bytes) }
        } else if irregular || (beyond_ascii && std::str::from_utf8(bytes).is_err()) {
            Text::plain(unescape(bytes, self.bump, json_escape).0)
        } else {
            Text { bytes, escaping: Escaping::Json }
        })
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
