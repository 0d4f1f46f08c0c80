//! Requests of the forward protocol as bytes: their ends and their parts. No record is decoded here, so a receiver that
//! only counts stays fast.

use std::fmt;

/// An error in the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WireError(pub(crate) String);

impl WireError {
    pub(crate) fn new(reason: impl Into<String>) -> WireError {
        WireError(reason.into())
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WireError {}

/// The header of a value, with its own bytes but without the values inside.
struct Head {
    /// Offset of its bytes, after marker and length.
    start: usize,
    /// End offset of its bytes.
    end: usize,
    /// Number of contained values that follow.
    inside: u64,
}

/// Parses the header at the beginning of the bytes, if it is complete; its own bytes may be missing.
fn head(bytes: &[u8]) -> Result<Option<Head>, WireError> {
    let Some(&marker) = bytes.first() else { return Ok(None) };
    let length = |size: usize| -> Option<usize> {
        let digits = bytes.get(1..=size)?;
        Some(digits.iter().fold(0, |number, digit| number << 8 | usize::from(*digit)))
    };
    let own = |start: usize, size: usize| Some(Head { start, end: start + size, inside: 0 });
    let holds = |start: usize, inside: usize| Some(Head { start, end: start, inside: inside as u64 });
    let low = usize::from(marker & 0x0f);
    Ok(match marker {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => own(1, 0),
        0x80..=0x8f => holds(1, 2 * low),
        0x90..=0x9f => holds(1, low),
        0xa0..=0xbf => own(1, usize::from(marker & 0x1f)),
        0xc1 => return Err(WireError::new("the byte c1")),
        0xc4 | 0xd9 => length(1).and_then(|size| own(2, size)),
        0xc5 | 0xda => length(2).and_then(|size| own(3, size)),
        0xc6 | 0xdb => length(4).and_then(|size| own(5, size)),
        // The type of an extension is the first of its own bytes.
        0xc7 => length(1).and_then(|size| own(2, size + 1)),
        0xc8 => length(2).and_then(|size| own(3, size + 1)),
        0xc9 => length(4).and_then(|size| own(5, size + 1)),
        0xcc | 0xd0 => own(1, 1),
        0xcd | 0xd1 => own(1, 2),
        0xca | 0xce | 0xd2 => own(1, 4),
        0xcb | 0xcf | 0xd3 => own(1, 8),
        0xd4..=0xd8 => own(1, 1 + (1 << (marker - 0xd4))),
        0xdc => length(2).and_then(|count| holds(3, count)),
        0xdd => length(4).and_then(|count| holds(5, count)),
        0xde => length(2).and_then(|count| holds(3, 2 * count)),
        0xdf => length(4).and_then(|count| holds(5, 2 * count)),
    })
}

/// Finds the end of a value that arrives in parts, and reads no byte twice.
#[derive(Debug)]
pub(crate) struct Scanner {
    at: usize,
    /// Number of values still to come.
    open: u64,
}

impl Scanner {
    pub(crate) fn new() -> Scanner {
        Scanner { at: 0, open: 1 }
    }

    /// Returns the end of the first value, once it is complete. The next call must pass equal bytes with more appended.
    pub(crate) fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, WireError> {
        while self.open > 0 {
            let Some(head) = head(bytes.get(self.at..).unwrap_or_default())? else { return Ok(None) };
            self.open += head.inside;
            self.open -= 1;
            self.at += head.end;
        }
        Ok((self.at <= bytes.len()).then_some(self.at))
    }
}

/// Splits the first value from the rest.
pub(crate) fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let end = Scanner::new().end(bytes)?.ok_or_else(|| WireError::new("a value that is cut"))?;
    Ok(bytes.split_at(end))
}

/// A value, as far as a receiver has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    /// Number of elements, and their bytes.
    Array(u64, &'a [u8]),
    /// Number of pairs, and their bytes.
    Map(u64, &'a [u8]),
    /// Type and data.
    Extension(u8, &'a [u8]),
    Unsigned(u64),
    Nil,
    Other,
}

/// Parses a complete value.
pub(crate) fn kind(value: &[u8]) -> Result<Kind<'_>, WireError> {
    let cut = || WireError::new("a value that is cut");
    let head = head(value)?.ok_or_else(cut)?;
    let own = value.get(head.start..head.end).ok_or_else(cut)?;
    let inside = &value[head.end..];
    Ok(match value[0] {
        number @ 0x00..=0x7f => Kind::Unsigned(number.into()),
        0xcc..=0xcf => Kind::Unsigned(own.iter().fold(0, |number, digit| number << 8 | u64::from(*digit))),
        0xa0..=0xbf | 0xd9..=0xdb => Kind::Text(own),
        0xc4..=0xc6 => Kind::Bytes(own),
        0x90..=0x9f | 0xdc | 0xdd => Kind::Array(head.inside, inside),
        0x80..=0x8f | 0xde | 0xdf => Kind::Map(head.inside / 2, inside),
        0xc7..=0xc9 | 0xd4..=0xd8 => Kind::Extension(own[0], &own[1..]),
        0xc0 => Kind::Nil,
        _ => Kind::Other,
    })
}

/// Returns the bytes of a string of either kind.
pub(crate) fn string(value: &[u8]) -> Result<&[u8], WireError> {
    match kind(value)? {
        Kind::Text(bytes) | Kind::Bytes(bytes) => Ok(bytes),
        other => Err(WireError::new(format!("{other:?} where a string is expected"))),
    }
}

/// Returns the value under a key of a map.
pub(crate) fn member<'a>(map: &'a [u8], key: &[u8]) -> Result<Option<&'a [u8]>, WireError> {
    let Kind::Map(pairs, mut rest) = kind(map)? else { return Err(WireError::new("no map")) };
    for _ in 0..pairs {
        let (name, behind) = split(rest)?;
        let (value, behind) = split(behind)?;
        if matches!(kind(name)?, Kind::Text(name) | Kind::Bytes(name) if name == key) {
            return Ok(Some(value));
        }
        rest = behind;
    }
    Ok(None)
}

/// The events of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entries<'a> {
    /// A time and a record, in the request itself.
    Message(&'a [u8]),
    /// A number of entries, concatenated.
    Forward(u64, &'a [u8]),
    /// Concatenated entries in a string; true if it is a binary string, as it should be.
    Packed(&'a [u8], bool),
}

/// A request, borrowed from its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) tag: &'a [u8],
    pub(crate) entries: Entries<'a>,
    /// The raw map of options, if there is one.
    pub(crate) option: Option<&'a [u8]>,
    pub(crate) size: Option<u64>,
    /// The id that the sender wants acknowledged.
    pub(crate) chunk: Option<&'a [u8]>,
    pub(crate) compressed: Option<&'a [u8]>,
}

impl<'a> Frame<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Frame<'a>, WireError> {
        let Kind::Array(elements, rest) = kind(bytes)? else { return Err(WireError::new("the request is no array")) };
        if !(2..=4).contains(&elements) {
            return Err(WireError::new(format!("an array of {elements}")));
        }
        let (tag, body) = split(rest)?;
        let Kind::Text(tag) = kind(tag)? else { return Err(WireError::new("the tag is no text")) };
        let (second, behind) = split(body)?;
        let (entries, inside) = match kind(second)? {
            Kind::Array(count, entries) => (Entries::Forward(count, entries), 2),
            Kind::Text(entries) => (Entries::Packed(entries, false), 2),
            Kind::Bytes(entries) => (Entries::Packed(entries, true), 2),
            Kind::Unsigned(_) | Kind::Extension(..) if elements > 2 => {
                let record = split(behind)?.0;
                (Entries::Message(&body[..second.len() + record.len()]), 3)
            }
            other => return Err(WireError::new(format!("{other:?} as the second element"))),
        };
        if elements > inside + 1 {
            return Err(WireError::new(format!("an array of {elements}")));
        }
        let mut frame = Frame { tag, entries, option: None, size: None, chunk: None, compressed: None };
        if elements == inside + 1 {
            let behind = if let Entries::Message(entry) = entries { &body[entry.len()..] } else { behind };
            frame.options(split(behind)?.0)?;
        }
        Ok(frame)
    }

    fn options(&mut self, option: &'a [u8]) -> Result<(), WireError> {
        self.option = Some(option);
        // Old clients sent nil for no options.
        if kind(option)? == Kind::Nil {
            return Ok(());
        }
        self.size = match member(option, b"size")?.map(kind).transpose()? {
            None => None,
            Some(Kind::Unsigned(size)) => Some(size),
            Some(other) => return Err(WireError::new(format!("{other:?} as the size"))),
        };
        self.chunk = member(option, b"chunk")?.map(string).transpose()?;
        self.compressed = member(option, b"compressed")?.map(string).transpose()?;
        Ok(())
    }

    /// Returns the mode's common name.
    pub(crate) fn mode(&self) -> Mode {
        match (self.entries, self.compressed) {
            (Entries::Message(_), _) => Mode::Message,
            (Entries::Forward(..), _) => Mode::Forward,
            (Entries::Packed(..), Some(b"gzip")) => Mode::Gzip,
            (Entries::Packed(..), Some(b"zstd")) => Mode::Zstd,
            (Entries::Packed(..), _) => Mode::Packed,
        }
    }

    /// Returns the number of events by the request's own count, without parsing them.
    pub(crate) fn count(&self) -> Option<u64> {
        match self.entries {
            Entries::Message(_) => Some(1),
            Entries::Forward(count, _) => Some(count),
            Entries::Packed(..) => self.size,
        }
    }
}

/// The encoding of the events of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Message,
    Forward,
    Packed,
    Gzip,
    Zstd,
}

/// An event, borrowed from its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) time: &'a [u8],
    pub(crate) record: &'a [u8],
}

/// An iterator over concatenated entries. It ends after an error.
pub(crate) struct EntryIter<'a> {
    rest: &'a [u8],
}

impl<'a> EntryIter<'a> {
    /// Iterates over these bytes: entries as in the request, or decompressed.
    pub(crate) fn new(bytes: &'a [u8]) -> EntryIter<'a> {
        EntryIter { rest: bytes }
    }

    fn step(&mut self) -> Result<Entry<'a>, WireError> {
        let (entry, behind) = split(self.rest)?;
        let Kind::Array(2, inside) = kind(entry)? else { return Err(WireError::new("an entry is no pair")) };
        let (time, record) = split(inside)?;
        self.rest = behind;
        Ok(Entry { time, record })
    }
}

impl<'a> Iterator for EntryIter<'a> {
    type Item = Result<Entry<'a>, WireError>;

    fn next(&mut self) -> Option<Result<Entry<'a>, WireError>> {
        if self.rest.is_empty() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.rest = &[];
        }
        Some(step)
    }
}

/// Returns the map that acknowledges a chunk.
pub(crate) fn ack(chunk: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x81, 0xa3];
    bytes.extend_from_slice(b"ack");
    text(chunk, &mut bytes);
    bytes
}

/// Returns the map that acknowledges a chunk, with the id as bytes.
pub(crate) fn ack_of_bytes(chunk: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x81, 0xa3];
    bytes.extend_from_slice(b"ack");
    binary(chunk, &mut bytes);
    bytes
}

/// Appends a string, which need not be UTF-8: Fluent Bit sends such, and ids are echoed unchanged.
pub(crate) fn text(value: &[u8], out: &mut Vec<u8>) {
    match value.len() {
        size @ 0..32 => out.push(0xa0 | size as u8),
        size @ 32..0x100 => out.extend([0xd9, size as u8]),
        size @ 0x100..0x1_0000 => {
            out.push(0xda);
            out.extend((size as u16).to_be_bytes());
        }
        size => {
            out.push(0xdb);
            out.extend((size as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(value);
}

/// Appends bytes.
pub(crate) fn binary(value: &[u8], out: &mut Vec<u8>) {
    match value.len() {
        size @ 0..0x100 => out.extend([0xc4, size as u8]),
        size @ 0x100..0x1_0000 => {
            out.push(0xc5);
            out.extend((size as u16).to_be_bytes());
        }
        size => {
            out.push(0xc6);
            out.extend((size as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(value);
}
