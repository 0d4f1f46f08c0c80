//! What a source hands on: batches of framed input, before anything in it is understood.
//!
//! A [`Batch`] owns the bytes it was filled with, so it can go to any thread and outlive the file it came from.
//! It is filled, worked on, and filled again; its buffers are kept.

use journal_file::{Entry as JournalEntry, EntryBatch};

/// Where one entry ends and the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One line, without its line end.
    Line,
    /// One entry of the Journal Export Format, without the blank line that ends it.
    Export,
}

/// What an entry consists of.
#[derive(Clone, Copy, Debug)]
pub enum Body<'b> {
    /// Bytes, without the terminator, and how they were framed.
    Bytes(&'b [u8], Framing),
    /// Fields of a journal file.
    Journal(JournalEntry<'b>),
}

/// One framed entry of a batch, as the input has it.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'b> {
    /// What it consists of.
    pub body: Body<'b>,
    /// Offset of the entry's first byte in the input after decompression.
    pub offset: u64,
    /// The entry went on beyond the size limit and the rest was skipped.
    pub truncated: bool,
    /// The input ended before the entry did: an export entry without its blank line, or a container log line whose
    /// last part never came.
    pub unfinished: bool,
    /// It stands among files of a host that nobody named, so without an identifier it is Kata's only if it says so.
    pub unclaimed: bool,
}

impl Raw<'_> {
    /// How many bytes it has in the input; for an entry of a journal, how many its fields have.
    #[must_use]
    pub fn length(&self) -> usize {
        match self.body {
            Body::Bytes(bytes, Framing::Line | Framing::Export) => bytes.len(),
            Body::Journal(entry) => entry.length(),
        }
    }
}

/// Where a frame's bytes are kept.
#[derive(Clone, Copy, Debug)]
pub enum Home {
    /// As they were read.
    Arena,
    /// Joined from several lines.
    Side,
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
    /// The buffer that holds it.
    pub home: Home,
    /// How it is delimited.
    pub framing: Framing,
    /// The entry was longer than the limit and the rest was skipped.
    pub truncated: bool,
    /// The input ended before the entry did.
    pub unfinished: bool,
}

const _: () = assert!(size_of::<Frame>() <= 24, "frames are pushed once per line");

/// Framed entries together with the bytes they consist of.
///
/// The buffers are filled by a source and by nobody else; everyone else reads [`Batch::entries`]. Buffers are kept from
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
    /// What tells offsets of this input from the same ones of another; zeros where nothing does.
    #[must_use]
    pub fn origin(&self) -> &[u8; 16] {
        &self.origin
    }

    /// Forgets all entries and keeps the buffers.
    pub fn clear(&mut self) {
        self.origin = [0; 16];
        self.unclaimed = false;
        self.filled = 0;
        self.side.clear();
        self.frames.clear();
        self.journal.clear();
    }

    /// The entries in the order in which the input has them.
    pub fn entries(&self) -> impl Iterator<Item = Raw<'_>> {
        let lines = self.frames.iter().map(|frame| {
            let home = match frame.home {
                Home::Arena => &self.arena,
                Home::Side => &self.side,
            };
            Raw {
                body: Body::Bytes(&home[frame.start as usize..frame.end as usize], frame.framing),
                offset: frame.offset,
                truncated: frame.truncated,
                unfinished: frame.unfinished,
                unclaimed: self.unclaimed,
            }
        });
        let stored = self.journal.entries().map(|entry| Raw {
            offset: entry.offset(),
            body: Body::Journal(entry),
            truncated: false,
            unfinished: false,
            unclaimed: false,
        });
        lines.chain(stored)
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
