//! The bytes of an archive: anywhere in a file, or in the order in which they come out of a pipe or a decoder.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use journal_file::Extent;

use crate::source::codec::{Bytes, Fault, retried};

/// How much is passed over at once.
const STEP: usize = 32 << 10;

enum From {
    Extent(Extent),
    /// What comes first, and what comes then.
    Stream(Vec<u8>, Bytes),
}

struct State {
    from: From,
    /// How many bytes a stream has given.
    at: u64,
    /// Why it ended before it should have.
    broken: Option<Broken>,
}

/// Why an archive cannot be read on.
pub(super) enum Broken {
    /// Reading or decoding failed.
    Fault(Fault),
    /// It ends inside of a member.
    Cut,
}

/// An archive's bytes. Clones are of the same archive.
#[derive(Clone)]
pub(in crate::source) struct Tape(Arc<Mutex<State>>);

impl Tape {
    /// An archive in a file.
    pub(in crate::source) fn of_extent(extent: Extent) -> Tape {
        Tape::new(From::Extent(extent))
    }

    /// An archive that can only be read once, in order. It begins with `head`.
    pub(in crate::source) fn of_stream(head: Vec<u8>, bytes: Bytes) -> Tape {
        Tape::new(From::Stream(head, bytes))
    }

    fn new(from: From) -> Tape {
        Tape(Arc::new(Mutex::new(State { from, at: 0, broken: None })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // One that panicked in the middle has left nothing half done that matters.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is at an offset. In a stream, what comes before is passed over, and what was passed is gone.
    pub(super) fn read(&self, offset: u64, room: &mut [u8]) -> io::Result<usize> {
        self.state().read(offset, room)
    }

    /// Fills the room as far as there are bytes at the offset.
    pub(super) fn fill(&self, mut offset: u64, room: &mut [u8]) -> io::Result<usize> {
        let mut held = 0;
        while held < room.len() {
            match self.read(offset, &mut room[held..])? {
                0 => break,
                len => (held, offset) = (held + len, offset.saturating_add(len as u64)),
            }
        }
        Ok(held)
    }

    /// A range of it as a reader, which fails where the archive ends before.
    pub(super) fn member(&self, at: u64, size: u64) -> Member {
        Member { tape: self.clone(), at, left: size }
    }

    /// The range as one of a file; none where there is no file. It may end with the file before it should.
    pub(super) fn extent(&self, at: u64, size: u64) -> Option<Extent> {
        let state = &mut *self.state();
        let From::Extent(extent) = &state.from else { return None };
        if extent.length().is_ok_and(|length| at.saturating_add(size) > length) {
            state.broken.get_or_insert(Broken::Cut);
        }
        Some(extent.part(at, size))
    }

    /// Has what was read at an offset come once more.
    pub(super) fn put_back(&self, offset: u64, mut bytes: Vec<u8>) {
        let state = &mut *self.state();
        if let From::Stream(head, _) = &mut state.from {
            bytes.append(head);
            *head = bytes;
            state.at = offset;
        }
    }

    /// How many bytes were read of what it is stored in.
    pub(super) fn taken(&self) -> u64 {
        match &self.state().from {
            From::Extent(extent) => extent.length().unwrap_or_default(),
            From::Stream(_, bytes) => bytes.taken(),
        }
    }

    /// How many bytes were read of it, as far as that is known.
    pub(super) fn given(&self) -> u64 {
        let state = self.state();
        match &state.from {
            From::Extent(extent) => extent.length().unwrap_or_default(),
            From::Stream(..) => state.at,
        }
    }

    /// Why it ended before it should have, if that was not asked yet.
    pub(super) fn broken(&self) -> Option<Broken> {
        self.state().broken.take()
    }
}

impl State {
    fn read(&mut self, offset: u64, room: &mut [u8]) -> io::Result<usize> {
        let read = match &self.from {
            From::Extent(extent) => retried(|| extent.read_at(room, offset)).map_err(Fault::Io),
            From::Stream(..) => self.pass(offset).and_then(|()| self.next(room)),
        };
        read.map_err(|fault| {
            self.broken = Some(Broken::Fault(fault));
            io::Error::new(io::ErrorKind::InvalidData, "the archive cannot be read on")
        })
    }

    /// Goes on in a stream to an offset, or to the end if that comes before.
    fn pass(&mut self, offset: u64) -> Result<(), Fault> {
        let mut room = [0; STEP];
        while let Some(left) = offset.checked_sub(self.at).filter(|left| *left > 0) {
            let len = usize::try_from(left).map_or(STEP, |left| left.min(STEP));
            if self.next(&mut room[..len])? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Reads what comes next in a stream.
    fn next(&mut self, room: &mut [u8]) -> Result<usize, Fault> {
        let From::Stream(head, bytes) = &mut self.from else { return Ok(0) };
        let len = if head.is_empty() {
            bytes.read(room)?
        } else {
            let len = room.len().min(head.len());
            room[..len].copy_from_slice(&head[..len]);
            head.drain(..len);
            len
        };
        self.at += len as u64;
        Ok(len)
    }
}

/// A range of an archive, read in order.
pub(super) struct Member {
    tape: Tape,
    at: u64,
    left: u64,
}

impl Member {
    /// The offset in the archive that is read next.
    pub(super) fn at(&self) -> u64 {
        self.at
    }
}

impl Read for Member {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = room.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if len == 0 {
            return Ok(0);
        }
        let len = self.tape.read(self.at, &mut room[..len])?;
        if len == 0 {
            self.tape.state().broken.get_or_insert(Broken::Cut);
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += len as u64;
        self.left -= len as u64;
        Ok(len)
    }
}
