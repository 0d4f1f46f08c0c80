//! Places of entries in the journal, and cursors, which `journalctl` prints and accepts.
//!
//! A [`Place`] is read from an entry and has every part. A [`Cursor`] is parsed from text and has the parts in the
//! text. A position needs a sequence number with its source, a monotonic time with its boot, or the wall-clock time
//! (systemd: `src/libsystemd/sd-journal/sd-journal.c`, `sd_journal_get_cursor` and `sd_journal_seek_cursor`).

use std::fmt;
use std::str::FromStr;

/// The place of an entry: all values that order it among the entries of other files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The source of the sequence number, from the file's header.
    pub seqnum_id: [u8; 16],
    /// The position among the entries of the source. Grows within a file.
    pub seqnum: u64,
    /// The boot in which the entry was written.
    pub boot_id: [u8; 16],
    /// Microseconds since that boot.
    pub monotonic: u64,
    /// Microseconds since 1970.
    pub realtime: u64,
    /// A hash of the entry's fields.
    pub xor_hash: u64,
}

impl Place {
    /// Appends the cursor of this entry, byte for byte as `journalctl` writes it: at most [`Cursor::MAX_LENGTH`] bytes.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        Cursor::from(*self).write_to(out);
    }

    /// Returns a place that orders backwards: mirrored places compare in the reverse order of their places.
    // Cold, because it costs the usual order otherwise.
    #[cold]
    #[inline(never)]
    pub(crate) fn mirrored(&self) -> Place {
        Place {
            seqnum_id: self.seqnum_id,
            seqnum: !self.seqnum,
            boot_id: self.boot_id.map(|byte| !byte),
            monotonic: !self.monotonic,
            realtime: !self.realtime,
            xor_hash: !self.xor_hash,
        }
    }
}

/// Appends the present parts of a cursor in the order and notation of `journalctl`: the ids `s` and `b`, and the
/// numbers `i`, `m`, `t` and `x`.
#[inline]
fn put([s, b]: [Option<&[u8; 32]>; 2], [i, m, t, x]: [Option<u64>; 4], out: &mut Vec<u8>) {
    let start = out.len();
    let head = |head: &[u8; 3], out: &mut Vec<u8>| {
        out.extend_from_slice(if out.len() > start { head } else { &head[1..] });
    };
    let id = |part, id: Option<&[u8; 32]>, out: &mut Vec<u8>| {
        if let Some(id) = id {
            head(part, out);
            out.extend_from_slice(id);
        }
    };
    let number = |part, number: Option<u64>, out: &mut Vec<u8>| {
        if let Some(number) = number {
            head(part, out);
            put_number(number, out);
        }
    };
    id(b";s=", s, out);
    number(b";i=", i, out);
    id(b";b=", b, out);
    number(b";m=", m, out);
    number(b";t=", t, out);
    number(b";x=", x, out);
}

/// Appends a number in hexadecimal digits.
fn put_number(value: u64, out: &mut Vec<u8>) {
    let digits = 16 - (value | 1).leading_zeros() / 4;
    out.extend((0..digits).rev().map(|digit| hexadecimal(value >> (4 * digit))));
}

/// Returns the lowest hexadecimal digit of a number.
fn hexadecimal(number: u64) -> u8 {
    let digit = (number & 15) as u8;
    digit + if digit < 10 { b'0' } else { b'a' - 10 }
}

/// Returns an id as 32 hexadecimal digits.
fn of_id(id: &[u8; 16]) -> [u8; 32] {
    let mut text = [0; 32];
    for ([upper, lower], byte) in text.as_chunks_mut().0.iter_mut().zip(id) {
        (*upper, *lower) = (hexadecimal(u64::from(byte >> 4)), hexadecimal(u64::from(*byte)));
    }
    text
}

/// Parses a 128-bit id from 32 hexadecimal digits of either case.
pub(crate) fn parse_id(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 32 {
        return None;
    }
    let mut id = [0; 16];
    for (byte, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::try_from(parse_number(pair)?).ok()?;
    }
    Some(id)
}

/// Parses a number from 1 to 16 hexadecimal digits of either case.
pub(crate) fn parse_number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 16 {
        return None;
    }
    text.iter().try_fold(0, |value, &digit| Some(value << 4 | u64::from(char::from(digit).to_digit(16)?)))
}

/// A position in the journal as given by a user or a state file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// `s`: the source of the sequence number.
    pub seqnum_id: Option<[u8; 16]>,
    /// `i`: the sequence number.
    pub seqnum: Option<u64>,
    /// `b`: the boot of the monotonic time.
    pub boot_id: Option<[u8; 16]>,
    /// `m`: microseconds since that boot.
    pub monotonic: Option<u64>,
    /// `t`: microseconds since 1970.
    pub realtime: Option<u64>,
    /// `x`: a hash of the entry's fields.
    pub xor_hash: Option<u64>,
}

/// An error in the text of a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorError {
    /// A part is not of the form `k=value`.
    Part {
        /// The whole text.
        cursor: String,
        /// The part.
        part: String,
    },
    /// A part has a value of the wrong form.
    Value {
        /// The whole text.
        cursor: String,
        /// The letter of the part.
        key: char,
        /// The meaning of the part.
        what: &'static str,
        /// The value as given.
        value: String,
        /// The expected form.
        expected: &'static str,
    },
    /// A part occurs twice, as in two cursors run together.
    Twice {
        /// The whole text.
        cursor: String,
        /// The letter of the part.
        key: char,
    },
    /// The parts do not suffice to find a position.
    Incomplete {
        /// The whole text.
        cursor: String,
    },
}

impl fmt::Display for CursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part { cursor, part } => write!(
                f,
                "invalid part {part:?} in the cursor {cursor:?}: expected a letter, `=` and a value; a cursor looks like \
                 {EXAMPLE}"
            ),
            Self::Value { cursor, key, what, value, expected } => {
                write!(f, "invalid {what} {value:?} in the part `{key}` of the cursor {cursor:?}: expected {expected}")
            }
            Self::Twice { cursor, key } => {
                write!(f, "the part `{key}` is there twice in the cursor {cursor:?}: expected one cursor")
            }
            Self::Incomplete { cursor } => write!(
                f,
                "the cursor {cursor:?} names no position: expected at least the parts `s` and `i`, or `b` and `m`, or `t`; \
                 a cursor looks like {EXAMPLE}"
            ),
        }
    }
}

impl std::error::Error for CursorError {}

const EXAMPLE: &str = "`s=9ef187f32a794a6ba5d5a7e2f1ca1f7d;i=1cd;b=4737ffc504774b3ba67020bc947f1bc0;m=42f2dd;\
                       t=4d905e4cd5a92;x=25b3f86ff2774ac4`";

impl Cursor {
    /// The length of a cursor with all digits: two ids, four numbers, six names, five separators.
    pub const MAX_LENGTH: usize = 2 * 32 + 4 * 16 + 6 * 2 + 5;

    /// Parses a 128-bit id, such as that of a boot, from 32 hexadecimal digits of either case.
    #[must_use]
    pub fn parse_id(text: &[u8]) -> Option<[u8; 16]> {
        parse_id(text)
    }

    /// Returns the place of the entry, if the cursor has every part.
    pub fn place(&self) -> Option<Place> {
        Some(Place {
            seqnum_id: self.seqnum_id?,
            seqnum: self.seqnum?,
            boot_id: self.boot_id?,
            monotonic: self.monotonic?,
            realtime: self.realtime?,
            xor_hash: self.xor_hash?,
        })
    }

    /// Appends the present parts in the order and notation of `journalctl`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let ids = [self.seqnum_id, self.boot_id].map(|id| id.map(|id| of_id(&id)));
        let numbers = [self.seqnum, self.monotonic, self.realtime, self.xor_hash];
        put(ids.each_ref().map(Option::as_ref), numbers, out);
    }
}

impl From<Place> for Cursor {
    fn from(place: Place) -> Self {
        Cursor {
            seqnum_id: Some(place.seqnum_id),
            seqnum: Some(place.seqnum),
            boot_id: Some(place.boot_id),
            monotonic: Some(place.monotonic),
            realtime: Some(place.realtime),
            xor_hash: Some(place.xor_hash),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(Cursor::MAX_LENGTH);
        self.write_to(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    /// Parses a cursor with its parts in any order. White space around the cursor is ignored, and so are unknown parts:
    /// old versions wrote more parts than today's.
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let text = text.trim();
        let mut cursor = Cursor::default();
        for part in text.split(';') {
            let mut chars = part.chars();
            let (Some(key), Some('=')) = (chars.next(), chars.next()) else {
                return Err(CursorError::Part { cursor: text.to_owned(), part: part.to_owned() });
            };
            let value = chars.as_str();
            let again = match key {
                's' => id(&mut cursor.seqnum_id, value, "sequence number id"),
                'i' => number(&mut cursor.seqnum, value, "sequence number"),
                'b' => id(&mut cursor.boot_id, value, "boot id"),
                'm' => number(&mut cursor.monotonic, value, "monotonic time"),
                't' => number(&mut cursor.realtime, value, "wall-clock time"),
                'x' => number(&mut cursor.xor_hash, value, "hash"),
                _ => Ok(false),
            };
            let again = again.map_err(|(what, expected)| CursorError::Value {
                cursor: text.to_owned(),
                key,
                what,
                value: value.to_owned(),
                expected,
            })?;
            if again {
                return Err(CursorError::Twice { cursor: text.to_owned(), key });
            }
        }
        let sequence = cursor.seqnum_id.is_some() && cursor.seqnum.is_some();
        let uptime = cursor.boot_id.is_some() && cursor.monotonic.is_some();
        if sequence || uptime || cursor.realtime.is_some() {
            Ok(cursor)
        } else {
            Err(CursorError::Incomplete { cursor: text.to_owned() })
        }
    }
}

/// Returns whether the part was set before. On error, returns its meaning and the expected form.
type Set = Result<bool, (&'static str, &'static str)>;

fn id(part: &mut Option<[u8; 16]>, value: &str, what: &'static str) -> Set {
    let value = parse_id(value.as_bytes()).ok_or((what, "32 hexadecimal digits"))?;
    Ok(part.replace(value).is_some())
}

fn number(part: &mut Option<u64>, value: &str, what: &'static str) -> Set {
    let value = parse_number(value.as_bytes()).ok_or((what, "1 to 16 hexadecimal digits"))?;
    Ok(part.replace(value).is_some())
}

#[cfg(test)]
mod tests;
