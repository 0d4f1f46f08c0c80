//! What a source hands on: batches of framed input, before anything in it is understood.
//!
//! A [`Batch`] owns the bytes it was filled with, so it can go to any thread and outlive the file it came from.
//! It is filled, worked on, and filled again; its buffers are kept.

/// Where one entry ends and the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One line, without its line end.
    Line,
    /// One entry of the Journal Export Format, without the blank line that ends it.
    Export,
}

/// One framed entry of a batch, as the input has it.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'b> {
    /// The entry's bytes, without the terminator.
    pub bytes: &'b [u8],
    /// How it was framed.
    pub framing: Framing,
    /// Offset of the entry's first byte in the input after decompression.
    pub offset: u64,
    /// The entry went on beyond the size limit and the rest was skipped.
    pub truncated: bool,
    /// The input ended before the entry did: an export entry without its blank line, or a container log line whose
    /// last part never came.
    pub unfinished: bool,
}

/// Where a frame's bytes are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// As they were read.
    Arena,
    /// Joined from several lines.
    Side,
}

/// One entry as a span of its batch. A file of short lines has millions of these, so it stays within 24 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) offset: u64,
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) place: Place,
    pub(crate) framing: Framing,
    pub(crate) truncated: bool,
    pub(crate) unfinished: bool,
}

const _: () = assert!(size_of::<Frame>() <= 24, "frames are pushed once per line");

/// Framed entries together with the bytes they consist of.
///
/// The buffers are filled by a source and by nobody else; everyone else reads [`Batch::entries`]. Buffers are kept from
/// one filling to the next, so the steady state allocates nothing; what a giant entry made of them is given back.
#[derive(Debug, Default)]
pub struct Batch {
    /// Bytes as they were read. Its length is what has been zeroed once, so that no read has to zero it again.
    pub(crate) arena: Vec<u8>,
    /// How much of the arena holds input.
    pub(crate) filled: usize,
    /// Bytes of joined entries, which stand nowhere in the input in one piece.
    pub(crate) side: Vec<u8>,
    /// The entries in order.
    pub(crate) frames: Vec<Frame>,
}

impl Batch {
    /// Forgets all entries and keeps the buffers.
    pub fn clear(&mut self) {
        self.filled = 0;
        self.side.clear();
        self.frames.clear();
    }

    /// The entries in the order in which the input has them.
    pub fn entries(&self) -> impl Iterator<Item = Raw<'_>> {
        self.frames.iter().map(|frame| {
            let home = match frame.place {
                Place::Arena => &self.arena,
                Place::Side => &self.side,
            };
            Raw {
                bytes: &home[frame.start as usize..frame.end as usize],
                framing: frame.framing,
                offset: frame.offset,
                truncated: frame.truncated,
                unfinished: frame.unfinished,
            }
        })
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The length of all entries together, without what stood between them. Costs a walk over the entries.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.frames.iter().map(|frame| u64::from(frame.end - frame.start)).sum()
    }

    /// The next `wanted` bytes of the arena, to be read into. What was read counts once [`Batch::filled`] says so.
    pub(crate) fn room(&mut self, wanted: usize) -> &mut [u8] {
        let end = self.filled + wanted;
        if self.arena.len() < end {
            self.arena.resize(end, 0);
        }
        &mut self.arena[self.filled..end]
    }

    /// Gives back what the buffers hold beyond `limit` bytes. Only an empty batch can be trimmed.
    pub(crate) fn trim(&mut self, limit: usize) {
        debug_assert!(self.frames.is_empty(), "the entries would lose their bytes");
        if self.arena.len() > limit {
            self.arena.truncate(limit);
            self.arena.shrink_to_fit();
        }
        if self.side.capacity() > limit {
            self.side.shrink_to(limit);
        }
    }
}
