//! Decodes Zstandard with any number of frames. Detection happens in the parent module.

use std::io::{self, BufRead, Read};

use zstd::stream::raw::{DParameter, Decoder as Raw, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::get_error_name;

use super::{MEMORY_LIMIT, fill_buffer};

/// The error code of a window that is too large (zstd: `ZSTD_error_frameParameter_windowTooLarge`).
const WINDOW_TOO_LARGE: isize = -16;

/// A reader of decompressed bytes.
pub(super) struct Decoder<R> {
    input: R,
    raw: Raw<'static>,
    /// The most bytes that the decoder uses before it produces output: one block and the next header. Zero between
    /// frames.
    wanted: usize,
    /// The last output filled the buffer, so more is pending.
    flushing: bool,
}

impl<R: BufRead> Decoder<R> {
    pub(super) fn new(input: R) -> io::Result<Self> {
        let mut raw = Raw::new()?;
        raw.set_parameter(DParameter::WindowLogMax(MEMORY_LIMIT.ilog2()))?;
        Ok(Self { input, raw, wanted: 0, flushing: false })
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        /// The magic number and the byte that gives the length of the remaining header.
        const FRAME_START: usize = 5;
        const BLOCK_HEADER: usize = 3;
        loop {
            let compressed = fill_buffer(&mut self.input)?;
            let over = compressed.is_empty();
            if over && self.wanted == 0 {
                return Ok(0);
            }
            // A block and the header behind it are never passed in one step, because a damaged header would lose the
            // block. Pending output is flushed before new input.
            let step = match self.wanted {
                _ if self.flushing => 0,
                0 => FRAME_START,
                wanted @ 1..=BLOCK_HEADER => wanted,
                wanted => wanted - BLOCK_HEADER,
            };
            let mut source = InBuffer::around(&compressed[..step.min(compressed.len())]);
            let mut target = OutBuffer::around(&mut *buffer);
            let wanted = self.raw.run(&mut source, &mut target).map_err(out_of_memory)?;
            let (consumed, produced) = (source.pos(), target.pos());
            self.input.consume(consumed);
            self.wanted = wanted;
            let flushed = std::mem::replace(&mut self.flushing, produced == buffer.len());
            if produced > 0 {
                return Ok(produced);
            }
            if flushed {
                continue;
            }
            if over && wanted > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Returns an error of its own kind for a window that is too large. The library returns only the text of the error.
fn out_of_memory(cause: io::Error) -> io::Error {
    let is_window = cause.to_string() == get_error_name(WINDOW_TOO_LARGE.cast_unsigned());
    if is_window { io::ErrorKind::OutOfMemory.into() } else { cause }
}
