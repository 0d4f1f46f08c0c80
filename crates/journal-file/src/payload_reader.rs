//! Readers of stored payloads of any size, which need little more memory than a decompressor's window.

use std::io::{self, BufReader, Read};

use crate::file_range::FileRange;
use crate::payload::Codec;

/// The number of stored bytes that are read at once.
const STORED: usize = 64 << 10;

/// Returns a reader of a payload, given the range of its stored bytes.
///
/// # Errors
///
/// Fails if this build lacks the codec, or there is no memory for its decoder.
pub(crate) fn open(codec: Option<Codec>, stored: &FileRange) -> io::Result<Box<dyn Read>> {
    let stored = BufReader::with_capacity(STORED, stored.reader());
    match codec {
        None => Ok(Box::new(stored)),
        #[cfg(feature = "xz")]
        Some(Codec::Xz) => {
            let stream = liblzma::stream::Stream::new_stream_decoder(crate::payload::XZ_MEMORY, 0)?;
            Ok(Box::new(liblzma::bufread::XzDecoder::new_stream(stored, stream)))
        }
        #[cfg(feature = "lz4")]
        Some(Codec::Lz4) => Ok(Box::new(lz4::Lz4Reader::open(stored)?)),
        #[cfg(feature = "zstd")]
        Some(Codec::Zstd) => Ok(Box::new(zstd::stream::read::Decoder::with_buffer(stored)?.single_frame())),
        #[cfg(not(all(feature = "xz", feature = "lz4", feature = "zstd")))]
        Some(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

#[cfg(feature = "lz4")]
mod lz4 {
    use std::io::{self, BufRead, Read};

    /// The largest distance to which a match refers back.
    const WINDOW: usize = 64 << 10;
    /// The most bytes of literals or of a match that are decompressed in one step.
    const STEP: usize = 64 << 10;
    /// The number of bytes that are decompressed at once, in several steps.
    const READ: usize = 16 << 10;
    /// The length of the shortest match.
    const MIN_MATCH: usize = 4;

    /// A decoder of one LZ4 block after its length in eight bytes (LZ4: `doc/lz4_Block_format.md`). The library only
    /// decompresses whole blocks.
    pub(super) struct Lz4Reader<R> {
        stored: R,
        /// The last decompressed bytes: those that matches may refer to, and those that are not read yet.
        window: Vec<u8>,
        /// The number of bytes in `window` that were read.
        given: usize,
        /// The number of bytes that are left to decompress.
        left: u64,
        sequence: Sequence,
    }

    /// The part of a sequence that is left to decompress.
    #[derive(Default)]
    struct Sequence {
        literals: usize,
        /// The bits of the token for the length of the match, until the match is known.
        token: u8,
        distance: usize,
        matched: usize,
        /// The sequence has literals and a match, or is before the first one.
        is_complete: bool,
    }

    impl Sequence {
        /// Returns whether all bytes of the present part are decompressed.
        fn has_ended(&self) -> bool {
            self.literals == 0 && self.matched == 0
        }
    }

    impl<R: BufRead> Lz4Reader<R> {
        pub(super) fn open(mut stored: R) -> io::Result<Lz4Reader<R>> {
            let mut left = [0; 8];
            stored.read_exact(&mut left)?;
            let sequence = Sequence { is_complete: true, ..Sequence::default() };
            Ok(Lz4Reader { stored, window: Vec::new(), given: 0, left: u64::from_le_bytes(left), sequence })
        }

        /// Decompresses some bytes, or none at the end of a part of a sequence.
        fn step(&mut self) -> io::Result<()> {
            let before = self.window.len();
            let sequence = &mut self.sequence;
            if sequence.literals > 0 {
                let stored = self.stored.fill_buf()?;
                let step = stored.len().min(sequence.literals).min(STEP);
                if step == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.window.extend_from_slice(stored.get(..step).unwrap_or_default());
                self.stored.consume(step);
                sequence.literals -= step;
            } else if sequence.matched > 0 {
                // A match may repeat bytes that it makes itself.
                let (from, mut left) = (before - sequence.distance, sequence.matched.min(STEP));
                sequence.matched -= left;
                while left > 0 {
                    let step = left.min(self.window.len() - from);
                    self.window.extend_from_within(from..from + step);
                    left -= step;
                }
            } else if sequence.is_complete {
                let token = self.byte()?;
                let literals = self.length(token >> 4)?;
                self.sequence = Sequence { literals, token: token & 15, ..Sequence::default() };
            } else {
                let distance = usize::from(u16::from_le_bytes([self.byte()?, self.byte()?]));
                if distance == 0 || distance > self.window.len() {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                let matched = self.length(self.sequence.token)?.saturating_add(MIN_MATCH);
                self.sequence = Sequence { distance, matched, is_complete: true, ..Sequence::default() };
            }
            let made = (self.window.len() - before) as u64;
            self.left = self.left.checked_sub(made).ok_or(io::ErrorKind::InvalidData)?;
            Ok(())
        }

        fn byte(&mut self) -> io::Result<u8> {
            let mut byte = [0];
            self.stored.read_exact(&mut byte)?;
            Ok(byte[0])
        }

        /// Reads the rest of a length that begins with four bits of a token.
        fn length(&mut self, bits: u8) -> io::Result<usize> {
            let mut length = usize::from(bits);
            let mut more = if bits == 15 { u8::MAX } else { 0 };
            while more == u8::MAX {
                more = self.byte()?;
                length = length.saturating_add(usize::from(more));
            }
            Ok(length)
        }
    }

    impl<R: BufRead> Read for Lz4Reader<R> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            if self.given == self.window.len() {
                self.window.drain(..self.given.saturating_sub(WINDOW));
                self.given = self.window.len();
                while self.left > 0 && self.window.len() - self.given < READ {
                    self.step()?;
                }
            }
            let made = self.window.get(self.given..).unwrap_or_default();
            let step = made.len().min(room.len());
            if let (Some(room), Some(made)) = (room.get_mut(..step), made.get(..step)) {
                room.copy_from_slice(made);
            }
            self.given += step;
            // Nothing may follow the last byte.
            while step == 0 && !(self.sequence.has_ended() && self.stored.fill_buf()?.is_empty()) {
                self.step()?;
            }
            Ok(step)
        }
    }
}

#[cfg(test)]
mod tests;
