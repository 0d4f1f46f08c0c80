//! What a source hands on: batches of framed input, before anything in it is understood.
//!
//! A [`Batch`] owns the bytes it was filled with, so it can go to any thread and outlive the file it came from.
//! It is filled, worked on, and filled again; its buffers are kept.

use journal_file::{Entry as JournalEntry, EntryBatch};

/// The form of a framed entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A line of the arena, without its line end.
    Line,
    /// A line that was joined from several, in [`Batch::side`].
    JoinedLine,
    /// An entry of the Journal Export Format in the arena, without the blank line that ends it.
    Export,
}

/// The content of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body<'b> {
    /// A line.
    Line(&'b [u8]),
    /// An entry of the Journal Export Format.
    Export(&'b [u8]),
    /// The fields of an entry of a journal file.
    Journal(JournalEntry<'b>),
}

/// An entry of a batch, before anything in it is understood.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawEntry<'b> {
    /// The content.
    pub(crate) body: Body<'b>,
    /// The offset of the entry's first byte in the input, after decompression.
    pub(crate) offset: u64,
    /// The entry was longer than the limit, and the rest was skipped.
    pub(crate) truncated: bool,
    /// The input ended before the entry did: an export entry without its blank line, or a container log line whose
    /// last part never came.
    pub(crate) unfinished: bool,
    /// It stands among files of a host that nobody named, so without an identifier it is Kata's only if it says so.
    pub(crate) unclaimed: bool,
}

impl RawEntry<'_> {
    /// How many bytes it has in the input; for an entry of a journal, how many its fields have.
    #[must_use]
    pub(crate) fn length(&self) -> usize {
        match self.body {
            Body::Line(bytes) | Body::Export(bytes) => bytes.len(),
            Body::Journal(entry) => entry.length(),
        }
    }
}

/// One entry as a span of its batch. A file of short lines has millions of these, so it stays within 24 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Offset of the entry's first byte in the input, after decompression.
    pub offset: u64,
    /// Where it begins in its buffer.
    pub start: u32,
    /// Where it ends there.
    pub end: u32,
    /// The form of the entry, which says where its bytes are.
    pub framing: Framing,
    /// The entry was longer than the limit and the rest was skipped.
    pub truncated: bool,
    /// The input ended before the entry did.
    pub unfinished: bool,
}

const _: () = assert!(size_of::<Frame>() <= 24, "frames are pushed once per line");

/// Framed entries together with the bytes they consist of.
///
/// The buffers are filled by a source and by nobody else; everyone else reads the entries. Buffers are kept from
/// one filling to the next, so the steady state allocates nothing; what a giant entry made of them is given back.
#[derive(Debug, Default)]
pub struct Batch {
    /// Bytes as they were read. Its length is what has been zeroed once, so that no read has to zero it again.
    pub arena: Vec<u8>,
    /// How much of the arena holds input.
    pub filled: usize,
    /// Bytes of joined entries, which stand nowhere in the input in one piece.
    pub side: Vec<u8>,
    /// The entries in order, unless they are of a journal.
    pub frames: Vec<Frame>,
    /// The entries of a journal in order.
    pub journal: EntryBatch,
    /// What tells offsets of this input from the same ones of another; zeros where nothing does.
    pub origin: [u8; 16],
    /// The entries are of a file that need not be Kata's.
    pub unclaimed: bool,
}

impl Batch {
    /// Forgets all entries and keeps the buffers.
    pub fn clear(&mut self) {
        self.origin = [0; 16];
        self.unclaimed = false;
        self.filled = 0;
        self.side.clear();
        self.frames.clear();
        self.journal.clear();
    }

    /// Appends a line that is in memory, without its line end. Returns false, and appends nothing, if the batch would have
    /// more bytes than a frame can point at.
    pub fn push_line(&mut self, line: &[u8]) -> bool {
        let (Ok(start), Ok(end)) = (u32::try_from(self.filled), u32::try_from(self.filled + line.len())) else {
            return false;
        };
        self.room(line.len()).copy_from_slice(line);
        // The offset that it has in a file of these lines.
        let offset = (self.filled + self.frames.len()) as u64;
        self.filled += line.len();
        let framing = Framing::Line;
        self.frames.push(Frame { offset, start, end, framing, truncated: false, unfinished: false });
        true
    }

    /// Returns the bytes of one of the frames.
    #[must_use]
    pub fn bytes_of(&self, frame: &Frame) -> &[u8] {
        let buffer = match frame.framing {
            Framing::Line | Framing::Export => &self.arena,
            Framing::JoinedLine => &self.side,
        };
        &buffer[frame.start as usize..frame.end as usize]
    }

    /// The entries in the order in which the input has them.
    pub(crate) fn entries(&self) -> impl Iterator<Item = RawEntry<'_>> {
        let framed = self.frames.iter().map(|frame| {
            let bytes = self.bytes_of(frame);
            RawEntry {
                body: if frame.framing == Framing::Export { Body::Export(bytes) } else { Body::Line(bytes) },
                offset: frame.offset,
                truncated: frame.truncated,
                unfinished: frame.unfinished,
                unclaimed: self.unclaimed,
            }
        });
        let stored = self.journal.entries().map(|entry| RawEntry {
            offset: entry.offset(),
            body: Body::Journal(entry),
            truncated: false,
            unfinished: false,
            unclaimed: false,
        });
        framed.chain(stored)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len() + self.journal.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.journal.is_empty()
    }

    /// The length of all entries together, without what stood between them. Costs a walk over the entries.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let lines: u64 = self.frames.iter().map(|frame| u64::from(frame.end - frame.start)).sum();
        lines + self.journal.bytes()
    }

    /// The next `wanted` bytes of the arena, to be read into. What was read counts once [`Batch::filled`] says so.
    pub fn room(&mut self, wanted: usize) -> &mut [u8] {
        let end = self.filled + wanted;
        if self.arena.len() < end {
            self.arena.resize(end, 0);
        }
        &mut self.arena[self.filled..end]
    }

    /// Gives back what the buffers hold beyond `limit` bytes. Only an empty batch can be trimmed.
    pub fn trim(&mut self, limit: usize) {
        debug_assert!(self.is_empty(), "the entries would lose their bytes");
        if self.arena.len() > limit {
            self.arena.truncate(limit);
            self.arena.shrink_to_fit();
        }
        if self.side.capacity() > limit {
            self.side.shrink_to(limit);
        }
    }
}
