//! Escapes of text: Go's `%q`, JSON strings and Rust's `{:?}`.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use memchr::memchr;

use crate::record::{Escaping, Text};
use crate::scan;

impl<'b> Text<'b> {
    /// Returns a text without escapes.
    #[must_use]
    pub(crate) fn plain(bytes: &'b [u8]) -> Text<'b> {
        let escaping = if scan::unclean(bytes, 0) == bytes.len() {
            Escaping::Clean
        } else if std::str::from_utf8(bytes).is_ok() {
            Escaping::Utf8
        } else {
            Escaping::Bytes
        };
        Text { bytes, escaping }
    }

    /// Returns a text that is known to be clean, such as a constant.
    #[must_use]
    pub(crate) const fn clean(bytes: &'b [u8]) -> Text<'b> {
        Text { bytes, escaping: Escaping::Clean }
    }

    /// Returns the content. Only text with escapes is copied.
    #[must_use]
    pub(crate) fn decode(self, bump: &'b Bump) -> &'b [u8] {
        match self.escaping {
            Escaping::Clean | Escaping::Utf8 | Escaping::Bytes => self.bytes,
            Escaping::Go => unescape(self.bytes, bump, go_escape).0,
            Escaping::Json => unescape(self.bytes, bump, json_escape).0,
        }
    }

    /// Appends the content.
    pub(crate) fn decode_into(self, out: &mut Vec<u8>) {
        match self.escaping {
            Escaping::Clean | Escaping::Utf8 | Escaping::Bytes => out.extend_from_slice(self.bytes),
            Escaping::Go => unescape_into(self.bytes, go_escape, out),
            Escaping::Json => unescape_into(self.bytes, json_escape, out),
        }
    }
}

/// The meaning of an escape sequence.
#[derive(Clone, Copy)]
pub(crate) enum Escape {
    /// A character.
    Char(char),
    /// A byte that need not be a character (`\xff` in Go).
    Byte(u8),
}

/// A parser of escapes. It takes text that begins with a backslash, and returns the length and meaning of the escape,
/// or `None` if the escape is malformed.
pub(crate) type ReadEscape = fn(rest: &[u8]) -> Option<(usize, Escape)>;

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

/// Parses an escape of Go's `%q` (`strconv.Quote`): `\a \b \f \n \r \t \v \\ \"`, `\xNN` for a byte, `\uNNNN`,
/// `\UNNNNNNNN`.
pub(crate) fn go_escape(rest: &[u8]) -> Option<(usize, Escape)> {
    let simple = |byte: u8| Some((2, Escape::Char(char::from(byte))));
    match *rest.get(1)? {
        byte @ (b'"' | b'\\') => simple(byte),
        b'n' => simple(b'\n'),
        b't' => simple(b'\t'),
        b'r' => simple(b'\r'),
        b'a' => simple(0x07),
        b'b' => simple(0x08),
        b'f' => simple(0x0c),
        b'v' => simple(0x0b),
        b'x' => Some((4, Escape::Byte(hex(rest.get(2..4)?)? as u8))),
        b'u' => Some((6, Escape::Char(char::from_u32(hex(rest.get(2..6)?)?)?))),
        b'U' => Some((10, Escape::Char(char::from_u32(hex(rest.get(2..10)?)?)?))),
        _ => None,
    }
}

/// Parses an escape of a JSON string (RFC 8259 section 7). A lone surrogate is malformed, because UTF-8 cannot encode
/// it.
pub(crate) fn json_escape(rest: &[u8]) -> Option<(usize, Escape)> {
    let simple = |byte: u8| Some((2, Escape::Char(char::from(byte))));
    match *rest.get(1)? {
        byte @ (b'"' | b'\\' | b'/') => simple(byte),
        b'n' => simple(b'\n'),
        b't' => simple(b'\t'),
        b'r' => simple(b'\r'),
        b'b' => simple(0x08),
        b'f' => simple(0x0c),
        b'u' => {
            let unit = hex(rest.get(2..6)?)?;
            if !(0xd800..0xdc00).contains(&unit) {
                return Some((6, Escape::Char(char::from_u32(unit)?)));
            }
            let low = rest.get(6..12)?.strip_prefix(b"\\u").and_then(hex)?;
            let pair = 0x10000 + ((unit - 0xd800) << 10) + low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            Some((12, Escape::Char(char::from_u32(pair)?)))
        }
        _ => None,
    }
}

/// Parses an escape of Rust's `{:?}` for strings: `\" \' \\ \n \r \t \0` and `\u{1b}`.
pub(crate) fn rust_escape(rest: &[u8]) -> Option<(usize, Escape)> {
    let simple = |byte: u8| Some((2, Escape::Char(char::from(byte))));
    match *rest.get(1)? {
        byte @ (b'"' | b'\'' | b'\\') => simple(byte),
        b'n' => simple(b'\n'),
        b't' => simple(b'\t'),
        b'r' => simple(b'\r'),
        b'0' => simple(0),
        b'u' => {
            let digits = rest.get(2..)?.strip_prefix(b"{")?;
            let length = memchr(b'}', digits.get(..7).unwrap_or(digits))?;
            Some((length + 4, Escape::Char(char::from_u32(hex(digits.get(..length)?)?)?)))
        }
        _ => None,
    }
}

/// Writes the content to the start of `out`, malformed escapes unchanged. Returns its length, and whether all escapes are
/// well-formed. `out` needs [`scan::WIDTH`] bytes more than `bytes` has.
fn write(bytes: &[u8], read: ReadEscape, out: &mut [u8]) -> (usize, bool) {
    let (mut at, mut length, mut well_formed) = (0, 0, true);
    loop {
        let clean = scan::copy_to_backslash(bytes, at, &mut out[length..]);
        (at, length) = (at + clean, length + clean);
        let Some(escape) = bytes.get(at..).filter(|escape| !escape.is_empty()) else { return (length, well_formed) };
        // All writers agree on these, which are nearly all.
        let simple = match escape {
            [_, byte @ (b'"' | b'\\'), ..] => Some(*byte),
            [_, b'n', ..] => Some(b'\n'),
            [_, b't', ..] => Some(b'\t'),
            _ => None,
        };
        let (taken, written) = match simple.map(|byte| (2, Escape::Byte(byte))).or_else(|| read(escape)) {
            Some((taken, Escape::Byte(byte))) => {
                out[length] = byte;
                (taken, 1)
            }
            Some((taken, Escape::Char(char))) => (taken, char.encode_utf8(&mut out[length..]).len()),
            None => {
                out[length] = b'\\';
                well_formed = false;
                (1, 1)
            }
        };
        (at, length) = (at + taken, length + written);
    }
}

/// Returns the content, and whether all escapes are well-formed. No escape is shorter than its content.
pub(crate) fn unescape<'b>(bytes: &[u8], bump: &'b Bump, read: ReadEscape) -> (&'b [u8], bool) {
    let out = bump.alloc_slice_fill_copy(bytes.len() + scan::WIDTH, 0);
    let (length, well_formed) = write(bytes, read, out);
    (&out[..length], well_formed)
}

/// Appends the content to a buffer.
fn unescape_into(bytes: &[u8], read: ReadEscape, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len() + scan::WIDTH, 0);
    let (length, _) = write(bytes, read, &mut out[start..]);
    out.truncate(start + length);
}

/// Escapes bytes that are not UTF-8 as `\xHH`, and each backslash as `\\`. The result can be decoded without loss.
pub(crate) fn escape_bytes<'b>(bytes: &[u8], bump: &'b Bump) -> Text<'b> {
    let mut out = BumpVec::with_capacity_in(bytes.len() + bytes.len() / 2, bump);
    for chunk in bytes.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            if byte == b'\\' {
                out.push(b'\\');
            }
            out.push(byte);
        }
        for byte in chunk.invalid() {
            out.extend_from_slice_copy(b"\\x");
            out.extend([byte >> 4, byte & 0xf].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    Text::plain(out.into_bump_slice())
}

/// Returns whether an error of Go's `fmt` begins here: `%!s(MISSING)`, `%!(EXTRA string=foo)`. `rest` begins with `%`.
#[must_use]
pub(crate) fn go_format_error(rest: &[u8]) -> bool {
    matches!(rest, [b'%', b'!', b'(', ..] | [b'%', b'!', _, b'(', ..])
}

#[cfg(test)]
mod tests;
