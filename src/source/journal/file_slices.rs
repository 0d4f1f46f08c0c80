//! The files of a journal in pieces, each of which can be read by itself and on any thread.

use std::path::PathBuf;

use journal_file::Place;
use kata_records::entry::Batch;

use super::compressed::CompressedFiles;
use super::{EntryFilter, JournalSettings};
use crate::source::{Damaged, Member, Skipped, SourceError};

/// A file of a journal, of which piece after piece is taken.
pub struct FileSlices<'r>(journal_file::FileSlices<'r>);

/// Some entries of a file.
pub struct FileSlice<'r>(journal_file::FileSlice<'r>);

/// The files of a journal.
pub struct Opened<'r> {
    /// Those that have entries, in the order in which copies of an entry are preferred.
    pub files: Vec<FileSlices<'r>>,
    /// What was passed over so far.
    pub skipped: Skipped,
    /// What could not be read so far.
    pub damages: Vec<Damaged>,
    /// Files that could not be read.
    pub errors: Vec<SourceError>,
}

/// Opens the files that inputs name, and members of an archive, and lists their entries, in parallel where the caller runs on a pool.
pub(in crate::source) fn open<'r>(
    inputs: &[PathBuf],
    members: &[Member],
    settings: &JournalSettings,
    block: usize,
    filter: &'r dyn EntryFilter,
) -> Opened<'r> {
    let members = members.iter().cloned().map(|Member { path, extent }| (path, extent)).collect();
    let journal_file::Opened { files, skipped, damages, errors } =
        journal_file::open_slices(inputs, members, &settings.for_reader(block), filter, &CompressedFiles);
    Opened {
        files: files.into_iter().map(FileSlices).collect(),
        skipped: skipped.into(),
        damages: converted(damages),
        errors: errors.into_iter().map(SourceError::from).collect(),
    }
}

fn converted(damages: Vec<journal_file::Damaged>) -> Vec<Damaged> {
    damages.into_iter().map(Damaged::from).collect()
}

impl<'r> FileSlices<'r> {
    /// The first entry that is wanted.
    #[must_use]
    pub fn first(&self) -> Place {
        self.0.first()
    }

    /// When the first entry of the next piece was written, in microseconds since 1970; none where there is no further
    /// piece. It says which piece is likely to be needed next, and nothing depends on it.
    #[must_use]
    pub fn time(&mut self) -> Option<u64> {
        self.0.time()
    }

    /// How far it was taken, in bytes of the file, about.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.0.done()
    }

    /// The next piece.
    ///
    /// # Errors
    /// If the file can no longer be read.
    pub fn take(&mut self) -> Option<Result<FileSlice<'r>, SourceError>> {
        Some(self.0.take()?.map(FileSlice).map_err(SourceError::from))
    }

    /// Gives a piece back that was read to its end, for what it knows.
    pub fn put_back(&mut self, piece: FileSlice<'r>) {
        self.0.put_back(piece.0);
    }

    /// The most bytes that its entries may have together.
    #[must_use]
    pub fn max_output(&self) -> u64 {
        self.0.max_output()
    }

    /// Says that the rest of the file is left out, because an entry made it worth too much.
    #[must_use]
    pub fn leave(&mut self) -> Vec<Damaged> {
        converted(self.0.leave())
    }
}

impl FileSlice<'_> {
    /// Clears the batch and fills it with the entries that come next. False at the end of the piece.
    pub fn fill(&mut self, batch: &mut Batch) -> bool {
        batch.clear();
        self.0.fill(&mut batch.journal)
    }

    /// What was passed over since this was asked last.
    pub fn skipped(&mut self) -> Skipped {
        self.0.skipped().into()
    }

    /// What could not be read since this was asked last.
    pub fn damages(&mut self) -> Vec<Damaged> {
        converted(self.0.damages())
    }
}
