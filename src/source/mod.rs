//! Where bytes come from: opens an input, takes off its compression and cuts it into entries.
//!
//! A source decides where an entry begins and ends and nothing more: it neither looks at what an entry says nor drops
//! one. Its memory is bounded by its [`Settings`], whatever the input holds.

mod archive;
mod codec;
mod directory;
mod error;
mod export_entry;
mod files;
mod framer;
mod group;
mod journal;
mod open;
mod part_joiner;
pub mod position;
mod stream;
mod temp_file;

use std::path::PathBuf;

use journal_file::Extent;
use kata_records::entry::Batch;
use kata_records::input_format::InputFormat;

use crate::source::position::Position;

pub use codec::Codec;
pub use error::SourceError;
pub use group::{FileIdentity, Group, distinct_names, group_by_machine, group_inputs};
pub use journal::{
    Backend, Boot, Interest, JournalSettings, Limit, Merge, Namespace, Opened, Piece, Pieces, Range, Turn,
};
pub(crate) use open::standard_input;
pub use open::{
    Input, check_followable, from_reader, open, open_archive, open_files, open_journals, open_members, open_pieces,
    refuse_archives, size_on_disk,
};

/// Why a [`Source`] stopped filling a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The batch is full, and there is more. While an oversized entry is being skipped the batch may be empty.
    More,
    /// There may be nothing more right now: deliver what is in hand before asking again, because asking may wait. The
    /// batch is empty where only an earlier answer of [`Fill::More`] left something in hand.
    Idle,
    /// The input is over. The batch may hold its last entries.
    End,
}

/// Something that fills batches with entries.
pub trait Source {
    /// Clears the batch and fills it with the entries that come next.
    ///
    /// # Errors
    ///
    /// Fails when the input cannot be read on. Everything read before was delivered by earlier calls, so the batch is
    /// empty then, and the next call answers [`Fill::End`].
    fn fill(&mut self, batch: &mut Batch) -> Result<Fill, SourceError>;

    /// How far the input is read with what the last [`Source::fill`] gave; none where nothing changed since this was asked
    /// last, or where another run cannot go on from here, as for pipes.
    fn position(&mut self) -> Option<Position> {
        None
    }

    /// Whether there is no file to read, so that it waits for one.
    fn is_empty(&self) -> bool {
        false
    }

    /// Whether it can be opened again and goes on from its position, so that nothing is lost between.
    fn restarts(&self) -> bool {
        false
    }

    /// How many bytes of the input on the disk are read, as nearly as can be told, for those who wait; none where it has
    /// no end or does not know.
    fn done(&self) -> Option<u64> {
        None
    }

    /// How many entries were passed over since this was asked last.
    fn skipped(&mut self) -> Skipped {
        Skipped::default()
    }

    /// What of the input could not be read, since this was asked last.
    fn damages(&mut self) -> Vec<Damaged> {
        Vec::new()
    }

    /// What became of the members of an archive, since this was asked last.
    fn notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }

    /// The journal files that an archive holds, or the one that a pipe held, once it was read to its end.
    fn journals(&mut self) -> Vec<Member> {
        Vec::new()
    }
}

/// What became of a member of an archive, while the others are read on.
#[derive(Debug)]
pub enum Notice {
    /// It cannot be read, or the archive cannot be read on.
    Failed(SourceError),
    /// It is neither a journal nor, by its name, a log.
    PassedOver(Input),
}

/// A journal file that is not read under its own name: where its bytes are, and what it is called.
#[derive(Clone, Debug)]
pub struct Member {
    path: PathBuf,
    extent: Extent,
}

/// Entries that were passed over without reading them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// An index said that they are not wanted.
    pub others: u64,
    /// Another file has them too.
    pub repeated: u64,
}

/// A kind of damage in an input, which cost the smallest thing that it was in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The input.
    pub input: Input,
    /// The kind.
    pub reason: &'static str,
    /// How often it was met.
    pub count: u64,
    /// Where it was met first, in bytes from the beginning.
    pub offset: u64,
}

/// How an input is cut into entries and batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What the input looks like.
    pub input_format: InputFormat,
    /// The longest line, and the longest field of an export entry, in bytes. What goes beyond is skipped and the entry
    /// marked as truncated. A whole export entry may have four times as much.
    pub max_line: usize,
    /// How many bytes a batch aims at.
    pub block: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { input_format: InputFormat::Auto, max_line: 1 << 20, block: 256 << 10 }
    }
}

#[cfg(test)]
mod tests;
