//! Decodes gzip with any number of members. Detection happens in the parent module.

use std::io::{self, BufRead, Read, Write};

use flate2::write::MultiGzDecoder;

use super::fill_buffer;

/// A reader of decompressed bytes. It drives flate2's write decoder, which still returns the bytes before damage.
pub(super) struct Decoder<R> {
    input: R,
    decoder: MultiGzDecoder<Vec<u8>>,
    /// The number of decoder bytes already returned.
    taken: usize,
    /// The outcome, set at the end of the input or at damage.
    outcome: Option<io::Result<()>>,
}

impl<R: BufRead> Decoder<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, decoder: MultiGzDecoder::new(Vec::new()), taken: 0, outcome: None }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let output = self.decoder.get_mut();
            let ready = &output[self.taken..];
            if !ready.is_empty() {
                let len = ready.len().min(buffer.len());
                buffer[..len].copy_from_slice(&ready[..len]);
                self.taken += len;
                return Ok(len);
            }
            output.clear();
            self.taken = 0;
            if let Some(outcome) = &mut self.outcome {
                return std::mem::replace(outcome, Ok(())).map(|()| 0);
            }
            let compressed = fill_buffer(&mut self.input)?;
            if compressed.is_empty() {
                self.outcome = Some(self.decoder.try_finish());
                continue;
            }
            #[expect(clippy::disallowed_methods, reason = "what it did not take is offered again")]
            match self.decoder.write(compressed) {
                Ok(len) => self.input.consume(len),
                Err(cause) => {
                    // Finishing fails for the same reason, but flushes the bytes decoded before.
                    let _ = self.decoder.try_finish();
                    self.outcome = Some(Err(cause));
                }
            }
        }
    }
}
