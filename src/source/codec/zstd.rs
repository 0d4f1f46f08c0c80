//! Decodes Zstandard with any number of frames. Detection happens in the parent module.

use std::io::{self, BufRead, Read};

use zstd::zstd_safe::{DCtx, DParameter, ErrorCode, InBuffer, OutBuffer, get_error_name};

use super::fill_buffer;
use super::memory::{MemoryBudget, Reservation, UNIT};

/// The error code of a window that is too large (zstd: `ZSTD_error_frameParameter_windowTooLarge`).
const WINDOW_TOO_LARGE: isize = -16;

/// A reader of decompressed bytes.
pub(super) struct Decoder<R> {
    input: R,
    context: DCtx<'static>,
    memory: Reservation,
    /// The most bytes that the decoder uses before it produces output: one block and the next header. Zero between
    /// frames.
    wanted: usize,
    /// The last output filled the buffer, so more is pending.
    flushing: bool,
}

impl<R: BufRead> Decoder<R> {
    pub(super) fn new(input: R, budget: &MemoryBudget) -> io::Result<Self> {
        let context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { input, context, memory: Reservation::of(budget), wanted: 0, flushing: false })
    }

    /// Sets the largest window of the next frame.
    fn limit_window(&mut self) -> io::Result<()> {
        let most = self.memory.most().max(UNIT);
        self.context.set_parameter(DParameter::WindowLogMax(most.ilog2())).map(drop).map_err(error)
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        /// The magic number and the byte that gives the length of the remaining header.
        const FRAME_START: usize = 5;
        const BLOCK_HEADER: usize = 3;
        loop {
            if self.wanted == 0 && !self.flushing {
                self.limit_window()?;
            }
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
            let wanted = self.context.decompress_stream(&mut target, &mut source).map_err(error)?;
            self.memory.resize(self.context.sizeof())?;
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

/// Converts an error of the library. A window that is too large has a kind of its own.
fn error(code: ErrorCode) -> io::Error {
    if code.cast_signed() == WINDOW_TOO_LARGE {
        return io::ErrorKind::OutOfMemory.into();
    }
    io::Error::other(get_error_name(code))
}
