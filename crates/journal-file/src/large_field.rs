//! Fields that are too large for a batch. They stay in their file, and are read in pieces.

use std::io::{self, Read};

use crate::damage::Damage;
use crate::file_range::FileRange;
use crate::payload::Codec;
use crate::payload_reader;
use crate::text;

/// The size of a piece, in bytes.
const PIECE: usize = 256 << 10;

/// The value of a field that stays in its file, which it keeps open.
#[derive(Clone, Debug)]
pub struct LargeField {
    /// The payload as the file has it.
    stored: FileRange,
    codec: Option<Codec>,
    /// The number of bytes of the payload before the value.
    before: usize,
    length: u64,
    is_printable: bool,
    is_line: bool,
}

/// The pieces of a value in their order.
pub struct Pieces {
    payload: Box<dyn Read>,
    /// The last piece, and the bytes after it.
    buffer: Vec<u8>,
    /// The length of the last piece.
    given: usize,
}

impl LargeField {
    /// Returns a field whose properties are not known yet. `before` bytes of the payload precede its value.
    pub(crate) fn new(stored: FileRange, codec: Option<Codec>, before: usize) -> LargeField {
        LargeField { stored, codec, before, length: 0, is_printable: true, is_line: true }
    }

    /// Reads the value once to find its properties.
    ///
    /// # Errors
    ///
    /// Fails if the value has more than `most` bytes, or cannot be read or decompressed to its end.
    pub(crate) fn read(&mut self, most: u64) -> Result<(), Damage> {
        let mut pieces = self.pieces()?;
        while let Some(piece) = pieces.next_piece()? {
            self.length += piece.len() as u64;
            if self.length > most {
                return Err(Damage::Oversized);
            }
            self.is_printable = self.is_printable && text::is_printable(piece);
            self.is_line = self.is_line && !piece.contains(&b'\n');
        }
        Ok(())
    }

    /// Returns the length of the value in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Returns whether journalctl treats the value as text.
    #[must_use]
    pub fn is_printable(&self) -> bool {
        self.is_printable
    }

    /// Returns whether the value has no line feed.
    #[must_use]
    pub fn is_line(&self) -> bool {
        self.is_line
    }

    /// Begins to read the value.
    ///
    /// # Errors
    ///
    /// Fails if the beginning cannot be read or decompressed.
    pub fn pieces(&self) -> Result<Pieces, Damage> {
        let mut payload = payload_reader::open(self.codec, &self.stored).map_err(damage)?;
        let skipped = io::copy(&mut payload.by_ref().take(self.before as u64), &mut io::sink()).map_err(damage)?;
        if skipped < self.before as u64 {
            return Err(Damage::Unreadable);
        }
        Ok(Pieces { payload, buffer: Vec::new(), given: 0 })
    }
}

impl Pieces {
    /// Reads the next piece. A piece of a text consists of whole characters.
    ///
    /// # Errors
    ///
    /// Fails if the piece cannot be read or decompressed.
    pub fn next_piece(&mut self) -> Result<Option<&[u8]>, Damage> {
        self.buffer.drain(..self.given);
        self.buffer.reserve_exact(PIECE - self.buffer.len());
        let room = PIECE - self.buffer.len();
        let read = self.payload.by_ref().take(room as u64).read_to_end(&mut self.buffer).map_err(damage)?;
        self.given = if read < room { self.buffer.len() } else { text::whole_characters(&self.buffer) };
        Ok(self.buffer.get(..self.given).filter(|piece| !piece.is_empty()))
    }
}

/// Returns the damage that an error of a reader shows.
fn damage(cause: io::Error) -> Damage {
    if cause.raw_os_error().is_some() { Damage::Unreadable } else { Damage::Undecodable }
}

#[cfg(test)]
mod tests;
