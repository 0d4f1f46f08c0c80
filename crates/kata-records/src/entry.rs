//! What a source hands on: batches of framed input, before anything in it is understood.
//!
//! A [`Batch`] owns the bytes it was filled with, so it can go to any thread and outlive the file it came from.
//! It is filled, worked on, and filled again; its buffers are kept.
//!
//! Entries of a journal have most of their fields in common with others. A batch holds each such field once, and an
//! entry is a list of items that name its fields.

use crate::cursor::Place;

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

/// A field of an entry of a journal: one that other entries of the batch may have too, or one that it alone has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item(u32);

impl Item {
    /// The shared field of this number.
    #[inline]
    #[must_use]
    pub fn shared(number: u32) -> Item {
        Item(number << 1)
    }

    /// The number of a shared field in its batch; none where the entry alone has the field.
    #[inline]
    #[must_use]
    pub fn number(self) -> Option<u32> {
        (self.0 & 1 == 0).then_some(self.0 >> 1)
    }
}

/// The first items of an entry, which others of the batch have in the same way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stem {
    /// Which one it is in the batch, from 1; 0 where there is none.
    pub number: u32,
    /// How many items.
    pub items: u32,
}

/// An entry of a journal file.
#[derive(Clone, Copy, Debug)]
pub struct JournalEntry<'b> {
    /// Where it stands in the journal; that has the times too.
    pub place: &'b Place,
    /// Its fields in the order of the file. A field may be there twice.
    pub items: &'b [Item],
    /// What it has in common with others, all at once.
    pub stem: Stem,
    /// The length of its fields together.
    length: usize,
    batch: &'b Batch,
}

impl<'b> JournalEntry<'b> {
    /// The name and the value of a field of this entry.
    #[inline]
    #[must_use]
    pub fn field(&self, item: Item) -> (&'b [u8], &'b [u8]) {
        self.batch.field(item)
    }

    /// How many shared fields the batch has; numbers are below.
    #[inline]
    #[must_use]
    pub fn shared_by_batch(&self) -> usize {
        self.batch.shared.len()
    }
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
            Body::Journal(entry) => entry.length,
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

/// A field of a journal, `NAME=value`, as a span of the arena.
#[derive(Clone, Copy, Debug)]
pub struct Datum {
    pub start: u32,
    pub end: u32,
    /// The length of the name.
    pub name: u32,
}

/// An entry of a journal, its fields as a span of the batch's items.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    pub place: Place,
    pub offset: u64,
    pub start: u32,
    pub end: u32,
    pub stem: Stem,
    /// The length of its fields together, in bytes.
    pub length: usize,
}

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
    /// The fields that a journal's entries may have in common, by their numbers.
    pub shared: Vec<Datum>,
    /// The fields that one of them alone has.
    own: Vec<Datum>,
    /// For each entry of a journal its fields.
    pub items: Vec<Item>,
    /// The entries of a journal in order.
    pub stored: Vec<Stored>,
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
        self.shared.clear();
        self.own.clear();
        self.items.clear();
        self.stored.clear();
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
        let stored = self.stored.iter().map(|stored| {
            let items = &self.items[stored.start as usize..stored.end as usize];
            let Stored { place, stem, length, .. } = stored;
            Raw {
                body: Body::Journal(JournalEntry { place, items, stem: *stem, length: *length, batch: self }),
                offset: stored.offset,
                truncated: false,
                unfinished: false,
                unclaimed: false,
            }
        });
        lines.chain(stored)
    }

    /// The name and the value of a field.
    #[inline]
    fn field(&self, item: Item) -> (&[u8], &[u8]) {
        let index = (item.0 >> 1) as usize;
        let datum = if item.0 & 1 == 0 { &self.shared[index] } else { &self.own[index] };
        let (name, value) = self.arena[datum.start as usize..datum.end as usize].split_at(datum.name as usize);
        (name, value.get(1..).unwrap_or_default())
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len() + self.stored.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.stored.is_empty()
    }

    /// The length of all entries together, without what stood between them. Costs a walk over the entries.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let lines: u64 = self.frames.iter().map(|frame| u64::from(frame.end - frame.start)).sum();
        let fields = self.shared.iter().chain(&self.own);
        lines + fields.map(|datum| u64::from(datum.end - datum.start)).sum::<u64>()
    }

    /// Adds what stands in the arena from `start` on as a field, with a name of that length.
    #[inline]
    pub fn add_field(&mut self, start: usize, name: usize, shared: bool) -> Item {
        let fields = if shared { &mut self.shared } else { &mut self.own };
        let item = Item((fields.len() as u32) << 1 | u32::from(!shared));
        fields.push(Datum { start: start as u32, end: self.arena.len() as u32, name: name as u32 });
        item
    }

    /// Adds a shared field.
    pub fn add_shared(&mut self, field: &[u8], name: usize) -> Item {
        let start = self.arena.len();
        self.arena.extend_from_slice(field);
        self.add_field(start, name, true)
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
