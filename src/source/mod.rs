//! Opens inputs, decompresses them and cuts them into entries.
//!
//! A source finds where entries begin and end, by which route they came, and whether they continue others. It drops only
//! journal entries that [`EntryFilter`] refuses and members of archives that are no logs. Its [`Settings`] bound its
//! memory, whatever the input.

mod archive;
mod awaited;
mod codec;
mod continuation;
mod directory;
mod error;
mod export_entry;
mod files;
mod framer;
mod group;
mod input;
mod journal;
mod journal_text;
mod line_number;
mod object_lines;
mod open;
mod part_joiner;
pub mod position;
mod refuse;
mod route;
mod stream;
mod temp_file;
mod trust;

use std::path::PathBuf;
use std::sync::Arc;

use journal_file::FileRange;
use kata_records::{Batch, InputFormat};

use crate::source::position::Position;

pub use awaited::Awaited;
pub use codec::{Codec, ForeignFormat};
pub use continuation::Judge;
pub use error::SourceError;
pub use files::{FileObserver, HeldFile, HeldLimits, LossReason};
pub use group::{FileIdentity, Group, distinct_names, group_by_file, group_by_machine, group_inputs};
pub(crate) use input::standard_input;
pub use input::{Input, stdin_has_content};
pub use journal::{
    Backend, Boot, EntryFilter, FileSlice, FileSlices, JournalSettings, Merge, MergeStep, Namespace, Opened, Range,
    RunBound,
};
pub use line_number::line_numbers;
pub use open::{
    from_reader, open, open_archive, open_directory_file, open_files, open_journals, open_members, open_slices,
    size_on_disk,
};
pub use refuse::{check_followable, refuse_archives, refuse_logs, refuse_urls};
pub use trust::{PodPattern, PodPatternError, Trust};

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

/// Something that fills batches with entries. It acts once a batch.
pub trait Source {
    /// Clears the batch, fills it with the next entries, and returns everything else that happened meanwhile.
    fn fill(&mut self, batch: &mut Batch) -> Filled;

    /// Returns the position before the first entry, to be saved before anything is read. `None` if another run cannot resume
    /// here, as for pipes.
    fn start(&mut self) -> Option<Position> {
        None
    }

    /// Returns the inputs that did not exist when the source was opened.
    fn awaited(&self) -> Vec<Awaited> {
        Vec::new()
    }

    /// Returns whether the source can be opened again and resumes at its position without a gap.
    fn restarts(&self) -> bool {
        false
    }

    /// Returns the deleted files that are open. They end with the source, unless another one gets them.
    fn held_files(&self) -> Vec<HeldFile> {
        Vec::new()
    }

    /// Returns the log files of which nothing was read, because an earlier run has read them to their present ends.
    fn unchanged(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Returns roughly how many bytes of the input are read, for progress. `None` if the input has no end or unknown size.
    fn done(&self) -> Option<u64> {
        None
    }
}

/// The result of [`Source::fill`].
#[derive(Debug)]
pub struct Filled {
    /// The reason why filling stopped.
    pub fill: Fill,
    /// Why the input cannot be read on. The batch holds what was read before; `fill` is [`Fill::End`].
    pub failure: Option<SourceError>,
    /// The position of the input after this batch. `None` if it did not change, or if another run cannot resume there.
    pub position: Option<Position>,
    /// Events of parts of the input, in order.
    pub events: Vec<Event>,
}

impl Filled {
    /// Returns the result of a source without positions.
    fn new(filled: Result<Fill, SourceError>, events: Vec<Event>) -> Filled {
        let (fill, failure) = match filled {
            Ok(fill) => (fill, None),
            Err(error) => (Fill::End, Some(error)),
        };
        Filled { fill, failure, position: None, events }
    }

    /// Returns whether there is more, for callers that ignore positions and events.
    ///
    /// # Errors
    /// Returns the failure of the input.
    pub fn into_result(self) -> Result<Fill, SourceError> {
        self.failure.map_or(Ok(self.fill), Err)
    }
}

/// Something that happened to a part of an input. The other parts are still read.
#[derive(Debug)]
pub enum Event {
    /// Entries were skipped without being read.
    Skipped(Skipped),
    /// A part is damaged.
    Damaged(Damaged),
    /// A member of an archive cannot be read, or reading the archive stopped.
    Failed(SourceError),
    /// A member of an archive is neither a journal nor, by its name, a log. Or a directory or a pattern named a pipe, a
    /// socket, a device or a link.
    PassedOver(Input),
    /// A log looks binary.
    Binary(Input),
    /// A journal was found, in an archive or in a pipe. It can be read once the source ended.
    Journal(Member),
}

/// A journal that is not read under its own path: its name and the location of its bytes.
#[derive(Clone, Debug)]
pub struct Member {
    path: PathBuf,
    extent: FileRange,
}

/// The number of entries skipped without being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Entries that an index excludes.
    pub others: u64,
    /// Entries outside the range, or before the last ones.
    pub outside: u64,
    /// Entries that another file holds too.
    pub repeated: u64,
}

impl Skipped {
    /// Returns the event of skipping them; `None` if none were skipped.
    fn into_event(self) -> Option<Event> {
        (self != Skipped::default()).then_some(Event::Skipped(self))
    }
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
#[derive(Clone, Debug)]
pub struct Settings {
    /// The format of the input.
    pub input_format: InputFormat,
    /// The length limit of lines and export fields, in bytes. The excess is skipped and the entry marked as truncated.
    /// A whole export entry may be four times as long.
    pub max_line: usize,
    /// The target size of a batch, in bytes.
    pub block: usize,
    /// The inputs that count as the host's.
    pub trust: Arc<Trust>,
    /// The rules for entries that continue others.
    pub judge: Judge,
    /// Patterns follow every link, not only those to logs of containers.
    pub follow_links: bool,
    /// The limits of deleted files that stay open until they are read.
    pub held: HeldLimits,
}

/// The treatment of logs among the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logs {
    /// Logs are read.
    Read,
    /// Only journals are read, because the output format shows only their entries.
    JournalsOnly,
    /// Only journals are read, because this flag holds for them alone. A log is an error.
    RefusedBy(&'static str),
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            input_format: InputFormat::Auto,
            max_line: 1 << 20,
            block: 256 << 10,
            trust: Arc::default(),
            judge: Judge::default(),
            follow_links: false,
            held: HeldLimits::default(),
        }
    }
}

#[cfg(test)]
mod tests;
