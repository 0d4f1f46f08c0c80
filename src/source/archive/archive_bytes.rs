//! The bytes of an archive: anywhere in a file, or in the order in which they come out of a pipe or a decoder.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::source::codec::{Bytes, Fault, retry_interrupted};
use journal_file::Extent;

/// How much is passed over at once.
const SKIP_CHUNK: usize = 32 << 10;

enum Backing {
    Extent(Extent),
    /// What comes first, and what comes then.
    Stream(Vec<u8>, Bytes),
}

struct Inner {
    backing: Backing,
    /// How many bytes a stream has given.
    position: u64,
    /// Why it ended before it should have.
    failure: Option<ReadFailure>,
}

/// Why an archive cannot be read on.
pub(super) enum ReadFailure {
    /// Reading or decoding failed.
    Fault(Fault),
    /// It ends inside of a member.
    Truncated,
}

/// An archive's bytes. Clones are of the same archive.
#[derive(Clone)]
pub(in crate::source) struct ArchiveBytes(Arc<Mutex<Inner>>);

impl ArchiveBytes {
    /// An archive in a file.
    pub(in crate::source) fn of_extent(extent: Extent) -> ArchiveBytes {
        ArchiveBytes::new(Backing::Extent(extent))
    }

    /// An archive that can only be read once, in order. It begins with `head`.
    pub(in crate::source) fn of_stream(head: Vec<u8>, bytes: Bytes) -> ArchiveBytes {
        ArchiveBytes::new(Backing::Stream(head, bytes))
    }

    fn new(backing: Backing) -> ArchiveBytes {
        ArchiveBytes(Arc::new(Mutex::new(Inner { backing, position: 0, failure: None })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // One that panicked in the middle has left nothing half done that matters.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is at an offset. In a stream, what comes before is passed over, and what was passed is gone.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.lock().read(offset, buffer)
    }

    /// Fills the buffer as far as there are bytes at the offset.
    pub(super) fn fill(&self, mut offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut held = 0;
        while held < buffer.len() {
            match self.read(offset, &mut buffer[held..])? {
                0 => break,
                len => (held, offset) = (held + len, offset.saturating_add(len as u64)),
            }
        }
        Ok(held)
    }

    /// A range of it as a reader, which fails where the archive ends before.
    pub(super) fn member_reader(&self, at: u64, size: u64) -> MemberReader {
        MemberReader { archive: self.clone(), at, left: size }
    }

    /// The range as one of a file; none where there is no file. It may end with the file before it should.
    pub(super) fn extent(&self, at: u64, size: u64) -> Option<Extent> {
        let state = &mut *self.lock();
        let Backing::Extent(extent) = &state.backing else { return None };
        if extent.length().is_ok_and(|length| at.saturating_add(size) > length) {
            state.failure.get_or_insert(ReadFailure::Truncated);
        }
        Some(extent.part(at, size))
    }

    /// Has what was read at an offset come once more.
    pub(super) fn put_back(&self, offset: u64, mut bytes: Vec<u8>) {
        let state = &mut *self.lock();
        if let Backing::Stream(head, _) = &mut state.backing {
            bytes.append(head);
            *head = bytes;
            state.position = offset;
        }
    }

    /// How many bytes were read of what it is stored in.
    pub(super) fn consumed(&self) -> u64 {
        match &self.lock().backing {
            Backing::Extent(extent) => extent.length().unwrap_or_default(),
            Backing::Stream(_, bytes) => bytes.consumed(),
        }
    }

    /// How many bytes were read of it, as far as that is known.
    pub(super) fn position(&self) -> u64 {
        let state = self.lock();
        match &state.backing {
            Backing::Extent(extent) => extent.length().unwrap_or_default(),
            Backing::Stream(..) => state.position,
        }
    }

    /// Why it ended before it should have, if that was not asked yet.
    pub(super) fn take_failure(&self) -> Option<ReadFailure> {
        self.lock().failure.take()
    }
}

impl Inner {
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &self.backing {
            Backing::Extent(extent) => retry_interrupted(|| extent.read_at(buffer, offset)).map_err(Fault::Io),
            Backing::Stream(..) => self.skip_to(offset).and_then(|()| self.read_next(buffer)),
        };
        read.map_err(|fault| {
            self.failure = Some(ReadFailure::Fault(fault));
            io::Error::new(io::ErrorKind::InvalidData, "the archive cannot be read on")
        })
    }

    /// Goes on in a stream to an offset, or to the end if that comes before.
    fn skip_to(&mut self, offset: u64) -> Result<(), Fault> {
        let mut buffer = [0; SKIP_CHUNK];
        while let Some(left) = offset.checked_sub(self.position).filter(|left| *left > 0) {
            let len = usize::try_from(left).map_or(SKIP_CHUNK, |left| left.min(SKIP_CHUNK));
            if self.read_next(&mut buffer[..len])? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Reads what comes next in a stream.
    fn read_next(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let Backing::Stream(head, bytes) = &mut self.backing else { return Ok(0) };
        let len = if head.is_empty() {
            bytes.read(buffer)?
        } else {
            let len = buffer.len().min(head.len());
            buffer[..len].copy_from_slice(&head[..len]);
            head.drain(..len);
            len
        };
        self.position += len as u64;
        Ok(len)
    }
}

/// A range of an archive, read in order.
pub(super) struct MemberReader {
    archive: ArchiveBytes,
    at: u64,
    left: u64,
}

impl MemberReader {
    /// The offset in the archive that is read next.
    pub(super) fn at(&self) -> u64 {
        self.at
    }
}

impl Read for MemberReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if len == 0 {
            return Ok(0);
        }
        let len = self.archive.read(self.at, &mut buffer[..len])?;
        if len == 0 {
            self.archive.lock().failure.get_or_insert(ReadFailure::Truncated);
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += len as u64;
        self.left -= len as u64;
        Ok(len)
    }
}
