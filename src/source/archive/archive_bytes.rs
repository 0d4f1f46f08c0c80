//! Access to the bytes of an archive: random access in a file, or in order from a pipe or decoder.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::source::codec::{Bytes, Fault, MemoryBudget, retry_interrupted};
use journal_file::FileRange;

/// The bytes skipped in one read.
const SKIP_CHUNK: usize = 32 << 10;

enum Backing {
    Extent(FileRange),
    /// The bytes already read, then the rest.
    Stream(Vec<u8>, Bytes),
}

struct Inner {
    backing: Backing,
    /// The offset of the next byte that a stream returns.
    position: u64,
    /// The reason for an early end, until [`ArchiveBytes::take_failure`] returns it.
    failure: Option<ReadFailure>,
}

/// The reason why reading an archive stopped early.
pub(super) enum ReadFailure {
    /// Reading or decoding failed.
    Fault(Fault),
    /// The archive ends inside a member.
    Truncated,
}

/// A handle to the bytes of an archive. Clones share the archive and its position.
#[derive(Clone)]
pub(in crate::source) struct ArchiveBytes(Arc<Mutex<Inner>>);

impl ArchiveBytes {
    /// Creates a handle to an archive in a file.
    pub(in crate::source) fn of_extent(extent: FileRange) -> ArchiveBytes {
        ArchiveBytes::new(Backing::Extent(extent))
    }

    /// Creates a handle to an archive that can be read only once, in order. `head` holds its first bytes.
    pub(in crate::source) fn of_stream(head: Vec<u8>, bytes: Bytes) -> ArchiveBytes {
        ArchiveBytes::new(Backing::Stream(head, bytes))
    }

    fn new(backing: Backing) -> ArchiveBytes {
        ArchiveBytes(Arc::new(Mutex::new(Inner { backing, position: 0, failure: None })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic between two statements leaves no state that later reads depend on.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads at an offset. A stream first skips to the offset and cannot go back.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.lock().read(offset, buffer)
    }

    /// Fills the buffer from an offset. Returns fewer bytes at the end of the archive.
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

    /// Returns a reader of a member. The reader fails if the archive ends inside the member.
    pub(super) fn member_reader(&self, at: u64, size: u64) -> MemberReader {
        MemberReader { archive: self.clone(), at, left: size }
    }

    /// Returns a member as an extent, or `None` for a stream. The extent ends early if the file does.
    pub(super) fn extent(&self, at: u64, size: u64) -> Option<FileRange> {
        let state = &mut *self.lock();
        let Backing::Extent(extent) = &state.backing else { return None };
        if extent.length().is_ok_and(|length| at.saturating_add(size) > length) {
            state.failure.get_or_insert(ReadFailure::Truncated);
        }
        Some(extent.part(at, size))
    }

    /// Returns bytes to the stream, so that the next read at this offset yields them again.
    pub(super) fn put_back(&self, offset: u64, mut bytes: Vec<u8>) {
        let state = &mut *self.lock();
        if let Backing::Stream(head, _) = &mut state.backing {
            bytes.append(head);
            *head = bytes;
            state.position = offset;
        }
    }

    /// Returns the number of bytes read from the underlying storage, before decompression.
    pub(super) fn consumed(&self) -> u64 {
        match &self.lock().backing {
            Backing::Extent(extent) => extent.length().unwrap_or_default(),
            Backing::Stream(_, bytes) => bytes.consumed(),
        }
    }

    /// Returns the memory left for the decoders of members. A file in which the archive lies as it is needs none.
    pub(super) fn memory(&self) -> MemoryBudget {
        match &self.lock().backing {
            Backing::Extent(_) => MemoryBudget::default(),
            Backing::Stream(_, bytes) => bytes.memory().clone(),
        }
    }

    /// Returns the number of archive bytes read so far; for a file, its length.
    pub(super) fn position(&self) -> u64 {
        let state = self.lock();
        match &state.backing {
            Backing::Extent(extent) => extent.length().unwrap_or_default(),
            Backing::Stream(..) => state.position,
        }
    }

    /// Returns the reason for an early end, once.
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

    /// Skips to an offset of a stream, or to its end if that comes first.
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

    /// Reads the next bytes of a stream.
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

/// A sequential reader of one archive member.
pub(super) struct MemberReader {
    archive: ArchiveBytes,
    at: u64,
    left: u64,
}

impl MemberReader {
    /// Returns the archive offset of the next read.
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
