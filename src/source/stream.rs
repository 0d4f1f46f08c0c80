//! A source of bytes in a row: files, pipes, standard input. It decides how much to read and when to hand a batch on;
//! where entries begin and end is for the framer.

use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::codec::{Bytes, Fault, LONGEST_MAGIC};
use super::framer::{Framer, block_within_limits};
use super::{Fill, Input, Settings, Source, SourceError};
use crate::entry::Batch;

/// How long a batch waits for input before the caller is asked whether to go on.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

enum State {
    Open,
    /// Reading failed, and what was read before is still to be worked on.
    Failed(SourceError),
    Ended,
}

/// One input, read from its beginning to its end.
pub(super) struct Stream {
    bytes: Bytes,
    /// What can be waited for; none where reads do not wait.
    wait: Option<OwnedFd>,
    input: Input,
    framer: Framer,
    /// The beginning of an entry whose end comes with the next batch.
    carry: Vec<u8>,
    block: usize,
    /// How much may be read into one batch that has no complete entry.
    longest_stay: usize,
    /// How much memory a batch may keep from one filling to the next.
    keep: usize,
    /// The caller was told to go on, and may hold entries back until it is told that nothing more comes.
    owing: bool,
    state: State,
}

impl Stream {
    pub(super) fn new(
        reader: Box<dyn Read + Send>,
        wait: Option<OwnedFd>,
        input: Input,
        live: bool,
        settings: &Settings,
    ) -> Self {
        let framer = Framer::new(settings, 0);
        let block = block_within_limits(settings);
        const { assert!(LONGEST_MAGIC <= 64, "a block has room for every magic") };
        Self {
            bytes: Bytes::new(reader, live),
            wait,
            input,
            longest_stay: block + 8 * framer.max_line(),
            keep: 2 * block + framer.max_line(),
            framer,
            carry: Vec::new(),
            block,
            owing: false,
            state: State::Open,
        }
    }

    /// Moves the unfinished rest to the next batch and answers.
    fn hand_on(&mut self, batch: &Batch, fill: Fill) -> Fill {
        self.framer.detach(batch, &mut self.carry);
        self.owing = fill == Fill::More;
        fill
    }

    /// Whether a read would wait for long. A signal ends the waiting.
    fn would_wait(&self) -> bool {
        let Some(input) = self.wait.as_ref().filter(|_| self.bytes.is_direct()) else { return false };
        match poll(&mut [PollFd::new(input, PollFlags::IN)], Some(&PATIENCE)) {
            Ok(ready) => ready == 0,
            Err(error) => error == rustix::io::Errno::INTR,
        }
    }

    fn failure(&self, fault: Fault, offset: u64) -> SourceError {
        let input = self.input.clone();
        match fault {
            Fault::Io(cause) if cause.kind() == io::ErrorKind::IsADirectory => SourceError::Directory { input },
            Fault::Io(cause) => SourceError::Read { input, offset, cause },
            Fault::Damaged(codec, cause) => SourceError::Damaged { input, codec, offset, cause },
            #[cfg(not(all(feature = "gzip", feature = "xz", feature = "zstd")))]
            Fault::MissingCodec(codec) => SourceError::MissingCodec { input, codec },
            Fault::Journal => SourceError::Journal { input },
        }
    }
}

impl Source for Stream {
    fn fill(&mut self, batch: &mut Batch) -> Result<Fill, SourceError> {
        batch.clear();
        batch.trim(self.keep);
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Open => self.state = State::Open,
            State::Failed(error) => return Err(error),
            State::Ended => return Ok(Fill::End),
        }
        self.framer.attach(batch, &self.carry);
        if self.carry.capacity() > self.keep {
            self.carry = Vec::new();
        }
        let mut read = 0;
        loop {
            if self.would_wait() {
                return Ok(self.hand_on(batch, Fill::Idle));
            }
            // A live input is always asked for a whole block, so that a short read says something. Any other is asked
            // for what the block still lacks.
            let ask = if self.bytes.live() { self.block } else { self.block.saturating_sub(read).max(64) };
            match self.bytes.read(batch.room(ask)) {
                Ok(0) => {
                    self.framer.finish(batch, false);
                    self.state = State::Ended;
                    return Ok(Fill::End);
                }
                Ok(len) => {
                    batch.filled += len;
                    read += len;
                    self.framer.scan(batch);
                    if self.bytes.live() && len < ask && (self.owing || !batch.is_empty()) {
                        return Ok(self.hand_on(batch, Fill::Idle));
                    }
                    if read < self.block {
                        continue;
                    }
                    // One entry that is larger than a block is read on here, because moving it to another batch for
                    // each block would cost more. Beyond what an entry may hold it is only skipped, perhaps for ever.
                    let growing = self.framer.holds_part(batch) && read < self.longest_stay;
                    if !batch.is_empty() || !growing {
                        return Ok(self.hand_on(batch, Fill::More));
                    }
                    self.framer.compact(batch);
                }
                Err(fault) => {
                    let offset = self.framer.seen(batch);
                    self.framer.finish(batch, true);
                    let error = self.failure(fault, offset);
                    if batch.is_empty() {
                        self.state = State::Ended;
                        return Err(error);
                    }
                    self.state = State::Failed(error);
                    return Ok(Fill::More);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
