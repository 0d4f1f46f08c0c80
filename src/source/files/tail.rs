//! Reads one log file from an offset, follows its growth, and detects truncation. File names and rotation are handled
//! elsewhere.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::source::Settings;
use crate::source::codec::{Bytes, Fault, is_unclear, retry_interrupted};
use crate::source::continuation::Continuations;
use crate::source::framer::{Framer, block_within_limits};
use crate::source::position::{HEAD, OpenStream};
use kata_records::Batch;

/// The memory that the buffer for unfinished entries keeps.
const MAX_CARRY: usize = 4096;

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadStep {
    /// There is no new data.
    Quiet,
    /// Data was read. The batch may still hold no complete entry.
    Read,
    /// The file no longer holds the data read before.
    Truncated,
    /// The file was read to its end and cannot grow.
    Over,
    /// The file cannot be read for now; see [`Tail::fault`].
    Stuck,
}

/// The size and modification time of a file. While they are equal, so is the content.
pub(super) type FileStamp = (u64, Option<SystemTime>);

pub(super) fn stamp(file: &File) -> io::Result<FileStamp> {
    let metadata = file.metadata()?;
    Ok((metadata.len(), metadata.modified().ok()))
}

/// The beginning of a file, after decompression.
#[derive(Debug, Default)]
pub(super) struct Peek {
    /// The first bytes, at most [`HEAD`]. Empty while more bytes are needed to detect compression.
    pub(super) head: Vec<u8>,
    pub(super) compressed: bool,
}

/// Reads the beginning of a file.
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

/// Returns the decompressed length of a file. Fails if the compressed data is incomplete.
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

/// A reader with its own file offset.
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

/// The place from which a file is read.
#[derive(Default)]
pub(super) struct ReadFrom {
    pub(super) offset: u64,
    /// The streams whose next entry may continue one before the offset.
    pub(super) open_streams: Vec<OpenStream>,
}

enum Form {
    /// The file was empty.
    Unknown,
    Plain,
    /// Bytes already decoded, and the decoder for the rest.
    Compressed(Vec<u8>, Bytes),
}

/// An open log file.
pub(super) struct Tail {
    /// `None` if only the unfinished entry of a vanished file is left.
    file: Option<Arc<File>>,
    form: Form,
    framer: Framer,
    settings: Settings,
    continuations: Continuations,
    /// The known first bytes.
    head: Vec<u8>,
    /// The beginning of an unfinished entry.
    carry: Vec<u8>,
    /// The number of bytes read.
    read: u64,
    /// The offset at which reading an uncompressed file ends.
    end: u64,
    /// The file's stamp when its end was reached or reading failed.
    stamp: Option<FileStamp>,
    fault: Option<Fault>,
}

impl Tail {
    /// Opens a file at a place; `peek` holds its beginning.
    pub(super) fn open(file: Arc<File>, peek: Peek, from: ReadFrom, settings: &Settings, end: u64) -> Tail {
        let ReadFrom { offset, open_streams } = from;
        let Peek { head, compressed } = peek;
        let form = match (compressed, head.is_empty()) {
            (true, _) => decoder(&file),
            (false, true) => Form::Unknown,
            (false, false) => Form::Plain,
        };
        let framer = Framer::resumed(settings, offset, &head);
        let continuations = Continuations::new(settings.judge, open_streams, offset == 0);
        let settings = settings.clone();
        let (file, carry, stamp, fault) = (Some(file), Vec::new(), None, None);
        let mut tail =
            Tail { file, form, framer, settings, continuations, head, carry, read: offset, end, stamp, fault };
        tail.skip();
        tail
    }

    /// Closes the file and keeps the unfinished entry, after the content is gone. Returns `None` if there is none.
    pub(super) fn into_rest(self) -> Option<Tail> {
        // A decoder has the file too.
        (!self.carry.is_empty()).then_some(Tail { file: None, form: Form::Unknown, ..self })
    }

    /// Returns the file.
    ///
    /// # Errors
    /// If only an unfinished entry is left.
    pub(super) fn file(&self) -> io::Result<&Arc<File>> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Returns the size and the modification time of the file.
    pub(super) fn stamp(&self) -> io::Result<FileStamp> {
        stamp(self.file()?)
    }

    /// Returns the length of the file. For a compressed file with content, returns at least the compressed length.
    pub(super) fn length(&self) -> u64 {
        let is_empty = self.head.is_empty() && matches!(self.form, Form::Compressed(..));
        let length = if is_empty { 0 } else { self.stamp().map_or(0, |now| now.0) };
        length.max(self.read)
    }

    /// Returns whether all data of the file belongs to entries already returned.
    pub(super) fn is_settled(&self) -> bool {
        self.carry.is_empty() && self.length() == self.read
    }

    /// Returns the known first bytes.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Returns whether the known first bytes are no text.
    pub(super) fn looks_binary(&self) -> bool {
        self.framer.looks_binary(&self.head)
    }

    /// Returns the number of bytes read.
    pub(super) fn read_bytes(&self) -> u64 {
        self.read
    }

    /// Returns the offset up to which all bytes belong to entries already returned.
    pub(super) fn resume_offset(&self) -> u64 {
        self.framer.resume_offset()
    }

    /// Returns the streams whose next entry may continue another one.
    pub(super) fn open_streams(&self) -> &[OpenStream] {
        self.continuations.open_streams()
    }

    /// Marks the entries of a batch, whose route is known.
    pub(super) fn mark(&mut self, batch: &mut Batch) {
        self.continuations.mark(batch);
    }

    /// Returns the reason why the last read failed.
    pub(super) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Returns the memory used for the unfinished entry.
    #[cfg(test)]
    pub(super) fn carried(&self) -> usize {
        self.carry.capacity()
    }

    /// Returns whether only the unfinished entry of a vanished file is left.
    pub(super) fn is_rest(&self) -> bool {
        self.file.is_none()
    }

    /// Returns whether the file still begins with the known bytes.
    pub(super) fn is_same(&self) -> io::Result<bool> {
        let file = self.file()?;
        let mut buffer = [0; HEAD];
        let mut held = 0;
        while held < self.head.len() {
            match file.read_at(&mut buffer[held..self.head.len()], held as u64) {
                Ok(0) => break,
                Ok(len) => held += len,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(buffer[..held] == *self.head)
    }

    /// Returns whether the file no longer holds the data read before.
    pub(super) fn is_truncated(&self) -> bool {
        let short = || self.stamp().is_ok_and(|now| now.0 < self.read);
        matches!(self.form, Form::Plain) && (short() || self.is_same().is_ok_and(|same| !same))
    }

    /// Reads the first bytes, if the file was empty before.
    pub(super) fn identify(&mut self) -> Result<(), Fault> {
        if let (Some(file), Form::Unknown) = (&self.file, &self.form) {
            let found = peek(file)?;
            *self = Tail::open(Arc::clone(file), found, ReadFrom::default(), &self.settings, self.end);
        }
        Ok(())
    }

    /// Reads at most one batch into an empty one.
    pub(super) fn step(&mut self, batch: &mut Batch) -> ReadStep {
        let Some(file) = self.file.clone() else { return ReadStep::Over };
        let now = match stamp(&file) {
            Ok(now) => now,
            Err(cause) => return self.fail(Fault::Io(cause)),
        };
        match self.form {
            Form::Unknown if now.0 == 0 => return ReadStep::Quiet,
            Form::Plain if self.stamp == Some(now) => return ReadStep::Quiet,
            _ if self.stamp == Some(now) => return ReadStep::Stuck,
            Form::Unknown => {
                if let Err(fault) = self.identify() {
                    return self.fail(fault);
                }
                if let Form::Unknown = self.form {
                    return ReadStep::Quiet;
                }
            }
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
            // The file was still being written when reading failed.
            Form::Compressed(..) if self.stamp.is_some() => {
                self.form = decoder(&file);
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

    /// Reads until the batch is full or no data comes.
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
                    // As in a stream, an entry larger than a block stays in this batch.
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

    /// Reads once. Returns `None` if the file was truncated, so that the data may be from another log.
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
                let file = self.file().map_err(Fault::Io)?;
                let room = batch.room(ask.min(left));
                let len = retry_interrupted(|| file.read_at(room, self.read)).map_err(Fault::Io)?;
                if len > 0 && !self.is_same().map_err(Fault::Io)? {
                    return Ok(None);
                }
                len
            }
            Form::Unknown => 0,
        };
        if self.head.len() < HEAD {
            // Some of the bytes may be known already, but there is no gap.
            let known = usize::try_from(self.read).map_or(len, |read| self.head.len().saturating_sub(read)).min(len);
            let wanted = (len - known).min(HEAD - self.head.len());
            self.head.extend_from_slice(&batch.arena[filled + known..filled + known + wanted]);
        }
        batch.filled += len;
        self.read += len as u64;
        Ok(Some(len))
    }

    /// Returns the rest as entries, because no more data comes. `damaged` says that the file did not end there by
    /// itself.
    pub(super) fn finish(&mut self, batch: &mut Batch, damaged: bool) {
        self.framer.attach(batch, &self.carry);
        self.framer.finish(batch, damaged);
        self.framer.detach(batch, &mut self.carry);
    }

    /// Skips the data read before, in a restarted decoder.
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
        // System errors are retried at each read, other faults after the file changed.
        self.stamp = if let Fault::Io(_) = fault { None } else { self.stamp().ok() };
        self.fault = Some(fault);
        ReadStep::Stuck
    }
}

fn decoder(file: &Arc<File>) -> Form {
    Form::Compressed(Vec::new(), Bytes::new(Box::new(FileReader { file: Arc::clone(file), at: 0 }), false))
}
