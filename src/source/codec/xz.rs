//! Decodes xz with any number of streams. Detection happens in the parent module.

use std::io::{self, BufRead, Read};

use liblzma::stream::{Action, CONCATENATED, Error, Status, Stream};

use super::fill_buffer;
use super::memory::{MemoryBudget, Reservation, UNIT};

/// A reader of decompressed bytes.
pub(super) struct Decoder<R> {
    input: R,
    stream: Stream,
    memory: Reservation,
    /// The outcome, set at the end of the input or at damage.
    outcome: Option<io::Result<()>>,
}

impl<R: BufRead> Decoder<R> {
    pub(super) fn new(input: R, budget: &MemoryBudget) -> io::Result<Self> {
        let stream = Stream::new_stream_decoder(UNIT as u64, CONCATENATED)?;
        Ok(Self { input, stream, memory: Reservation::of(budget), outcome: None })
    }

    /// Raises the memory limit to the memory that the decoder needs. The library does not tell how much that is.
    fn grow(&mut self) -> io::Result<()> {
        let mut limit = self.stream.memlimit();
        loop {
            limit += UNIT as u64;
            self.memory.resize(limit as usize)?;
            match self.stream.set_memlimit(limit) {
                Err(Error::MemLimit) => {}
                outcome => return Ok(outcome?),
            }
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(outcome) = &mut self.outcome {
                return std::mem::replace(outcome, Ok(())).map(|()| 0);
            }
            let compressed = fill_buffer(&mut self.input)?;
            let action = if compressed.is_empty() { Action::Finish } else { Action::Run };
            let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
            let status = self.stream.process(compressed, buffer, action);
            let consumed = (self.stream.total_in() - before_in) as usize;
            let produced = (self.stream.total_out() - before_out) as usize;
            self.input.consume(consumed);
            match status {
                Ok(Status::StreamEnd) => self.outcome = Some(Ok(())),
                Err(Error::MemLimit) => self.outcome = self.grow().err().map(Err),
                Err(cause) => self.outcome = Some(Err(cause.into())),
                Ok(_) if consumed == 0 && produced == 0 => {
                    self.outcome = Some(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(_) => {}
            }
            if produced > 0 {
                return Ok(produced);
            }
        }
    }
}
