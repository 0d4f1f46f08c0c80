//! Reads one log file, from an offset, up to its end and on when it grows, and notices that it was truncated. It does
//! not know the file's names, nor what becomes of it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::source::Settings;
use crate::source::codec::{Bytes, Fault, is_unclear, retry_interrupted};
use crate::source::framer::{Framer, block_within_limits};
use crate::source::position::HEAD;
use kata_records::entry::Batch;

/// How much memory the beginning of an entry may keep when it is over.
const MAX_CARRY: usize = 4096;

/// What came of an attempt to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadStep {
    /// There is nothing new.
    Quiet,
    /// Something was read. Whether it completed an entry shows in the batch.
    Read,
    /// The file does not hold any more what was read of it.
    Truncated,
    /// It is read to its end, and cannot grow.
    Over,
    /// It cannot be read, for now: see [`Tail::fault`].
    Stuck,
}

/// The size of a file, and when it was written to last: as long as they stay, so does what it holds.
pub(super) type FileStamp = (u64, Option<SystemTime>);

pub(super) fn stamp(file: &File) -> io::Result<FileStamp> {
    let metadata = file.metadata()?;
    Ok((metadata.len(), metadata.modified().ok()))
}

/// What a file begins with, after decompression.
#[derive(Debug, Default)]
pub(super) struct Peek {
    /// As many bytes as are there, at most [`HEAD`]; none as long as more decide what it is.
    pub(super) head: Vec<u8>,
    pub(super) compressed: bool,
}

/// Looks what a file begins with.
pub(super) fn peek(file: &Arc<File>) -> Result<Peek, Fault> {
    let mut bytes = Bytes::new(Box::new(FileReader { file: Arc::clone(file), at: 0 }), true);
    let mut head = vec![0; HEAD + 64];
    let mut held = 0;
    while held < HEAD {
        match bytes.read(&mut head[held..])? {
            0 => break,
            more => held += more,
        }
    }
    head.truncate(held.min(HEAD));
    if bytes.live() && is_unclear(&head) {
        head.clear();
    }
    Ok(Peek { head, compressed: !bytes.live() })
}

/// How many bytes there are in a compressed file. Fails if it does not end as it should.
pub(super) fn length(file: &Arc<File>) -> Result<u64, Fault> {
    let mut bytes = Bytes::new(Box::new(FileReader { file: Arc::clone(file), at: 0 }), false);
    let mut room = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        match bytes.read(&mut room)? {
            0 => return Ok(length),
            more => length += more as u64,
        }
    }
}

/// Reads a file from a place of its own.
struct FileReader {
    file: Arc<File>,
    at: u64,
}

impl Read for FileReader {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read_at(room, self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}

enum Form {
    /// It was empty when it was looked at.
    Unknown,
    Plain,
    /// The bytes that were decoded already, and those to come.
    Compressed(Vec<u8>, Bytes),
    /// The rest of a file that is gone.
    Gone,
}

/// A log file that is being read.
pub(super) struct Tail {
    file: Arc<File>,
    form: Form,
    framer: Framer,
    settings: Settings,
    /// What it begins with, as far as it is known.
    head: Vec<u8>,
    /// The beginning of an entry whose end is still to come.
    carry: Vec<u8>,
    /// How much of it was read.
    read: u64,
    /// Up to where it is read if it is plain.
    end: u64,
    /// What it was when it was read to its end, or could not be read on.
    stamp: Option<FileStamp>,
    fault: Option<Fault>,
}

impl Tail {
    /// Reads a file from an offset on, `peek` being what it begins with.
    pub(super) fn open(file: Arc<File>, peek: Peek, offset: u64, settings: &Settings, end: u64) -> Tail {
        let Peek { head, compressed } = peek;
        let form = match (compressed, head.is_empty()) {
            (true, _) => decoder(&file),
            (false, true) => Form::Unknown,
            (false, false) => Form::Plain,
        };
        let framer = Framer::new(settings, offset);
        let settings = *settings;
        let (carry, stamp, fault) = (Vec::new(), None, None);
        let mut tail = Tail { file, form, framer, settings, head, carry, read: offset, end, stamp, fault };
        tail.skip();
        tail
    }

    /// What is in hand of a file whose content is gone.
    pub(super) fn into_rest(mut self) -> Tail {
        self.form = Form::Gone;
        self
    }

    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// What it begins with, as far as it is known.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// How much of it was read.
    pub(super) fn read_bytes(&self) -> u64 {
        self.read
    }

    /// How much of it belongs to entries that were given out whole.
    pub(super) fn resume_offset(&self) -> u64 {
        self.framer.resume_offset()
    }

    /// Why it could not be read when that was tried last.
    pub(super) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// How much memory the beginning of an entry takes.
    #[cfg(test)]
    pub(super) fn carried(&self) -> usize {
        self.carry.capacity()
    }

    /// Whether it is what was in hand of a file whose content is gone.
    pub(super) fn is_rest(&self) -> bool {
        matches!(self.form, Form::Gone)
    }

    /// Whether the file is still the one that was read, as far as its beginning says.
    pub(super) fn is_same(&self) -> io::Result<bool> {
        let mut buffer = [0; HEAD];
        let mut held = 0;
        while held < self.head.len() {
            match self.file.read_at(&mut buffer[held..self.head.len()], held as u64) {
                Ok(0) => break,
                Ok(len) => held += len,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(buffer[..held] == *self.head)
    }

    /// Whether the file does not hold any more what was read of it.
    pub(super) fn is_truncated(&self) -> bool {
        let short = || stamp(&self.file).is_ok_and(|now| now.0 < self.read);
        matches!(self.form, Form::Plain) && (short() || self.is_same().is_ok_and(|same| !same))
    }

    /// Reads at most a batch. The batch must be empty.
    pub(super) fn step(&mut self, batch: &mut Batch) -> ReadStep {
        let now = match stamp(&self.file) {
            Ok(now) => now,
            Err(cause) => return self.fail(Fault::Io(cause)),
        };
        match self.form {
            Form::Gone => return ReadStep::Over,
            Form::Unknown if now.0 == 0 => return ReadStep::Quiet,
            Form::Plain if self.stamp == Some(now) => return ReadStep::Quiet,
            _ if self.stamp == Some(now) => return ReadStep::Stuck,
            Form::Unknown => match peek(&self.file) {
                Ok(found) => {
                    let file = Arc::clone(&self.file);
                    *self = Tail::open(file, found, 0, &self.settings, self.end);
                    if let Form::Unknown = self.form {
                        return ReadStep::Quiet;
                    }
                }
                Err(fault) => return self.fail(fault),
            },
            Form::Plain if now.0 < self.read => return ReadStep::Truncated,
            Form::Plain if now.0 == self.read => match self.is_same() {
                Ok(true) => {
                    self.stamp = Some(now);
                    return ReadStep::Quiet;
                }
                Ok(false) => return ReadStep::Truncated,
                Err(cause) => return self.fail(Fault::Io(cause)),
            },
            Form::Plain => {}
            // It was still being written when it could not be read on.
            Form::Compressed(..) if self.stamp.is_some() => {
                self.form = decoder(&self.file);
                self.skip();
            }
            Form::Compressed(..) => {}
        }
        self.stamp = None;
        self.framer.attach(batch, &self.carry);
        let step = self.read(batch, now);
        self.framer.detach(batch, &mut self.carry);
        if self.carry.capacity() > MAX_CARRY.max(4 * self.carry.len()) {
            self.carry.shrink_to_fit();
        }
        step
    }

    /// Reads end the batch is full or nothing comes.
    fn read(&mut self, batch: &mut Batch, now: FileStamp) -> ReadStep {
        let block = block_within_limits(&self.settings);
        let max_unfinished = block + 8 * self.framer.max_line();
        let mut read = 0;
        loop {
            match self.read_once(batch, block.saturating_sub(read).max(64)) {
                Ok(Some(0)) => {
                    if let (Form::Compressed(..), 0) = (&self.form, read) {
                        return ReadStep::Over;
                    }
                    if let Form::Plain = self.form {
                        self.stamp = (self.read == now.0).then_some(now);
                    }
                    return if read == 0 { ReadStep::Quiet } else { ReadStep::Read };
                }
                Ok(Some(len)) => {
                    read += len;
                    self.framer.scan(batch);
                    if read < block {
                        continue;
                    }
                    // As for a stream: one entry that is larger than a block is read on here.
                    if !batch.is_empty() || !self.framer.holds_part(batch) || read >= max_unfinished {
                        return ReadStep::Read;
                    }
                    self.framer.compact(batch);
                }
                Ok(None) => return if batch.is_empty() { ReadStep::Truncated } else { ReadStep::Read },
                Err(fault) => {
                    let step = self.fail(fault);
                    return if batch.is_empty() { step } else { ReadStep::Read };
                }
            }
        }
    }

    /// One read; none where the file turns out to be truncated, so that what was read may be of something else.
    fn read_once(&mut self, batch: &mut Batch, ask: usize) -> Result<Option<usize>, Fault> {
        let filled = batch.filled;
        let len = match &mut self.form {
            Form::Compressed(ahead, _) if !ahead.is_empty() => {
                let len = ahead.len().min(ask);
                batch.room(ask)[..len].copy_from_slice(&ahead[..len]);
                ahead.drain(..len);
                len
            }
            Form::Compressed(_, bytes) => bytes.read(batch.room(ask))?,
            Form::Plain => {
                let left = usize::try_from(self.end.saturating_sub(self.read)).unwrap_or(usize::MAX);
                let room = batch.room(ask.min(left));
                let len = retry_interrupted(|| self.file.read_at(room, self.read)).map_err(Fault::Io)?;
                if len > 0 && !self.is_same().map_err(Fault::Io)? {
                    return Ok(None);
                }
                len
            }
            Form::Unknown | Form::Gone => 0,
        };
        if self.head.len() < HEAD {
            // Some of it may be known already, but nothing is left out between.
            let known = usize::try_from(self.read).map_or(len, |read| self.head.len().saturating_sub(read)).min(len);
            let wanted = (len - known).min(HEAD - self.head.len());
            self.head.extend_from_slice(&batch.arena[filled + known..filled + known + wanted]);
        }
        batch.filled += len;
        self.read += len as u64;
        Ok(Some(len))
    }

    /// Gives what is in hand as entries: nothing more comes. `damaged` says that the file did not end there by itself.
    pub(super) fn finish(&mut self, batch: &mut Batch, damaged: bool) {
        self.framer.attach(batch, &self.carry);
        self.framer.finish(batch, damaged);
        self.framer.detach(batch, &mut self.carry);
    }

    /// Passes over what was read before, in a decoder that starts anew.
    fn skip(&mut self) {
        let Form::Compressed(ahead, bytes) = &mut self.form else { return };
        let mut room = vec![0; 64 << 10];
        let mut left = self.read;
        while left > 0 {
            match bytes.read(&mut room) {
                Ok(0) => return,
                Ok(len) => {
                    let passed = usize::try_from(left).unwrap_or(usize::MAX).min(len);
                    ahead.extend_from_slice(&room[passed..len]);
                    left -= passed as u64;
                }
                Err(fault) => {
                    self.fail(fault);
                    return;
                }
            }
        }
    }

    fn fail(&mut self, fault: Fault) -> ReadStep {
        // What the system refuses is tried again each time, anything else when the file has changed.
        self.stamp = if let Fault::Io(_) = fault { None } else { stamp(&self.file).ok() };
        self.fault = Some(fault);
        ReadStep::Stuck
    }
}

fn decoder(file: &Arc<File>) -> Form {
    Form::Compressed(Vec::new(), Bytes::new(Box::new(FileReader { file: Arc::clone(file), at: 0 }), false))
}
