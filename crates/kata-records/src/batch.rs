//! Batches of framed input, as a source passes them to workers.
//!
//! A [`Batch`] owns the bytes of its entries, so any thread can take it, and it can outlive its file. A source fills a
//! batch again and again and keeps its buffers.

use std::path::PathBuf;

use journal_file::{Entry as JournalEntry, EntryBatch};

use crate::origin::{Continuation, Route};

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

/// An entry of a batch before any parsing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawEntry<'b> {
    /// The content.
    pub(crate) body: Body<'b>,
    /// The offset of the entry's first byte in the input, after decompression.
    pub(crate) offset: u64,
    /// The entry was longer than the limit, and the rest was skipped.
    pub(crate) truncated: bool,
    /// The input ended before the entry did: in an export entry, or before the last part of a container log line.
    pub(crate) unfinished: bool,
    /// The entry comes from an unnamed file of a host. Without an identifier it is Kata's only if its text says so.
    pub(crate) unclaimed: bool,
    /// The line may be a record that katalog wrote.
    pub(crate) may_be_record: bool,
    /// The way to katalog.
    pub(crate) route: Route,
    /// The relation to the entry before it.
    pub(crate) continuation: Continuation,
}

impl RawEntry<'_> {
    /// Returns the length in the input, in bytes. For an entry of a journal file, this is the length of its fields.
    #[must_use]
    pub(crate) fn length(&self) -> usize {
        match self.body {
            Body::Line(bytes) | Body::Export(bytes) => bytes.len(),
            Body::Journal(entry) => entry.length(),
        }
    }
}

/// An entry as a span of its batch. A file of short lines has millions of frames, so a frame has at most 24 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// The offset of the entry's first byte in the input, after decompression.
    pub offset: u64,
    /// The start of the entry in its buffer.
    pub start: u32,
    /// The end of the entry in its buffer.
    pub end: u32,
    /// The form of the entry, which decides its buffer.
    pub framing: Framing,
    /// The entry was longer than the limit, and the rest was skipped.
    pub truncated: bool,
    /// The input ended before the entry did.
    pub unfinished: bool,
    /// The relation to the entry before it.
    pub continuation: Continuation,
}

const _: () = assert!(size_of::<Frame>() <= 24, "frames are pushed once per line");

/// Framed entries and the bytes that they consist of.
///
/// Only a source fills the buffers; workers read the entries. Buffers are kept from one filling to the next, so the
/// steady state allocates nothing. [`Batch::trim`] returns the memory of giant entries.
#[derive(Debug, Default)]
pub struct Batch {
    /// The bytes of the input. The length counts all bytes that were zeroed once, so no read has to zero them again.
    pub arena: Vec<u8>,
    /// The number of bytes of the arena that hold input.
    pub filled: usize,
    /// The bytes of joined entries, which no input has in one piece.
    pub side: Vec<u8>,
    /// The entries in their order, except those of journal files.
    pub frames: Vec<Frame>,
    /// The entries of journal files in their order.
    pub journal: EntryBatch,
    /// A value that tells offsets of this input from equal offsets of another. Zeros mean that there is none.
    pub origin: [u8; 16],
    /// The path of the file that has the entries, for messages. Empty if there are several or none.
    pub file: PathBuf,
    /// The entries come from a file that may hold logs of other programs.
    pub unclaimed: bool,
    /// Whole lines may be records that katalog wrote: the operator names the input, and nobody else writes its lines.
    pub has_records: bool,
    /// The way of the entries to katalog.
    pub route: Route,
}

impl Batch {
    /// Removes all entries and keeps the buffers.
    pub fn clear(&mut self) {
        self.origin = [0; 16];
        self.file.as_mut_os_string().clear();
        self.unclaimed = false;
        self.has_records = false;
        self.route = Route::default();
        self.filled = 0;
        self.side.clear();
        self.frames.clear();
        self.journal.clear();
    }

    /// Appends a line that is in memory, without its line end. Returns false and appends nothing if the batch would
    /// exceed the 4 GiB that a frame can address.
    pub fn push_line(&mut self, line: &[u8]) -> bool {
        let (Ok(start), Ok(end)) = (u32::try_from(self.filled), u32::try_from(self.filled + line.len())) else {
            return false;
        };
        self.room(line.len()).copy_from_slice(line);
        // The offset in a file of these lines, each with a line end.
        let offset = (self.filled + self.frames.len()) as u64;
        self.filled += line.len();
        let framing = Framing::Line;
        self.frames.push(Frame {
            offset,
            start,
            end,
            framing,
            truncated: false,
            unfinished: false,
            continuation: Continuation::Whole,
        });
        true
    }

    /// Returns the bytes of a frame of this batch.
    #[must_use]
    pub fn bytes_of(&self, frame: &Frame) -> &[u8] {
        let buffer = match frame.framing {
            Framing::Line | Framing::Export => &self.arena,
            Framing::JoinedLine => &self.side,
        };
        &buffer[frame.start as usize..frame.end as usize]
    }

    /// Returns the entries in the order of the input.
    pub(crate) fn entries(&self) -> impl Iterator<Item = RawEntry<'_>> {
        let framed = self.frames.iter().map(|frame| {
            let bytes = self.bytes_of(frame);
            RawEntry {
                body: if frame.framing == Framing::Export { Body::Export(bytes) } else { Body::Line(bytes) },
                offset: frame.offset,
                truncated: frame.truncated,
                unfinished: frame.unfinished,
                unclaimed: self.unclaimed,
                // Most lines begin in another way. A mark of the byte order may come first.
                may_be_record: self.has_records
                    && frame.framing == Framing::Line
                    && matches!(bytes.first(), Some(b'{' | 0xef)),
                route: self.route,
                continuation: frame.continuation,
            }
        });
        let stored = self.journal.entries().map(|entry| RawEntry {
            offset: entry.offset(),
            body: Body::Journal(entry),
            truncated: entry.is_truncated(),
            unfinished: false,
            unclaimed: false,
            may_be_record: false,
            route: self.route,
            continuation: entry.continuation(),
        });
        framed.chain(stored)
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len() + self.journal.len()
    }

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.journal.is_empty()
    }

    /// Returns the length of all entries together, without the bytes between them. The call visits every entry.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let lines: u64 = self.frames.iter().map(|frame| u64::from(frame.end - frame.start)).sum();
        lines + self.journal.bytes()
    }

    /// Returns the next `wanted` bytes of the arena for a read. They become input when [`Batch::filled`] covers them.
    pub fn room(&mut self, wanted: usize) -> &mut [u8] {
        let end = self.filled + wanted;
        if self.arena.len() < end {
            self.arena.resize(end, 0);
        }
        &mut self.arena[self.filled..end]
    }

    /// Shrinks the buffers to `limit` bytes. The batch must be empty.
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
