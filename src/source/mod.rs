//! Opens inputs, decompresses them and cuts them into entries.
//!
//! A source only finds where entries begin and end: it does not inspect them, and drops none. Its [`Settings`] bound
//! its memory, whatever the input.

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

/// The reason why a [`Source`] stopped filling a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The batch is full, and there is more. The batch may be empty while an oversized entry is skipped.
    More,
    /// There may be no more entries for now. Deliver pending entries before asking again, because the next call may
    /// block. The batch is empty only if an earlier [`Fill::More`] left entries pending.
    Idle,
    /// The input ended. The batch may hold the last entries.
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

/// The fate of an archive member; the other members are still read.
#[derive(Debug)]
pub enum Notice {
    /// The member cannot be read, or reading the archive stopped.
    Failed(SourceError),
    /// The member is neither a journal nor, by its name, a log.
    PassedOver(Input),
}

/// A journal that is not read under its own path: its name and the location of its bytes.
#[derive(Clone, Debug)]
pub struct Member {
    path: PathBuf,
    extent: Extent,
}

/// The number of entries skipped without being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Entries that an index excludes.
    pub others: u64,
    /// Entries that another file holds too.
    pub repeated: u64,
}

/// Damage of one kind in an input. It loses only the smallest affected unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The input.
    pub input: Input,
    /// The kind of damage.
    pub reason: &'static str,
    /// The number of occurrences.
    pub count: u64,
    /// The offset of the first occurrence, in bytes.
    pub offset: u64,
}

/// Settings for cutting an input into entries and batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The format of the input.
    pub input_format: InputFormat,
    /// The length limit of lines and export fields, in bytes. The excess is skipped and the entry marked as truncated.
    /// A whole export entry may be four times as long.
    pub max_line: usize,
    /// The target size of a batch, in bytes.
    pub block: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { input_format: InputFormat::Auto, max_line: 1 << 20, block: 256 << 10 }
    }
}

#[cfg(test)]
mod tests;
