//! The files of a journal in pieces, each of which can be read by itself and on any thread.
//!
//! A piece is some of a file's entries, one behind the other. What is read of it, and what is left out, is as if the file
//! were read in one go; only damage that several pieces meet is counted for each of them.

use std::path::PathBuf;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::damage::Damage;
use super::entry_range::Range;
use super::file_reader::FileReader;
use super::seqnum_progress::SeqnumProgress;
use crate::batch::EntryBatch;
use crate::cursor::Place;
use crate::error::Error;
use crate::file_range::FileRange;
use crate::journal::{Damaged, EntryFilter, Fill, JournalReader, Settings, Skipped, boots, find, windows};
use crate::open::OpenFile;

/// A piece has an entry for so many bytes of a batch: 512 of them in a batch of 256 KiB, which is enough that its
/// beginning costs nothing, and so few that what they give is still in a cache of the processor when it is put in order.
const ENTRY: usize = 512;

/// A file of a journal, of which piece after piece is taken.
pub struct FileSlices<'r> {
    reader: FileReader,
    list: Vec<u32>,
    next: usize,
    range: Range,
    filter: &'r dyn EntryFilter,
    block: usize,
    first: Place,
    /// Those that were read to their ends, with what they know of the file's fields.
    spare: Vec<FileSlice<'r>>,
}

/// Some entries of a file.
pub struct FileSlice<'r>(Box<JournalReader<'r>>);

/// The files of a journal.
pub struct Opened<'r> {
    /// Those that have entries, in the order in which copies of an entry are preferred.
    pub files: Vec<FileSlices<'r>>,
    /// What was passed over so far.
    pub skipped: Skipped,
    /// What could not be read so far.
    pub damages: Vec<Damaged>,
    /// Files that could not be read.
    pub errors: Vec<Error>,
}

/// Opens the files that inputs name, and members of an archive, and lists their entries, in parallel where the caller runs on a pool.
pub fn open_slices<'r>(
    inputs: &[PathBuf],
    members: Vec<(PathBuf, FileRange)>,
    settings: &Settings,
    filter: &'r dyn EntryFilter,
    opener: &dyn OpenFile,
) -> Opened<'r> {
    let block = settings.block;
    let (found, mut errors) = find(inputs, settings, opener);
    let windows = windows(found.files.len() + members.len());
    let files = found
        .files
        .into_par_iter()
        .map(|candidate| (candidate.path.clone(), FileReader::open(candidate.path, opener, windows)));
    let members = members
        .into_par_iter()
        .map(|(path, bytes)| (path.clone(), FileReader::new(path, bytes, windows).map(|reader| (reader, None))));
    let opened: Vec<_> = files
        .chain(members)
        .map(|(path, opened)| {
            let (mut reader, failure) = opened.map_err(|cause| Error::Refused { path, cause })?;
            reader.choose(filter, &SeqnumProgress::default());
            Ok((reader, failure))
        })
        .collect();
    let mut readers = Vec::new();
    for reader in opened {
        match reader {
            Ok((reader, failure)) => {
                readers.push(reader);
                errors.extend(failure);
            }
            Err(error) => errors.push(error),
        }
    }
    let range = settings.range.resolved(|| boots(&mut readers));
    let files: Vec<_> = readers
        .into_par_iter()
        .map(|mut reader| {
            let first = reader.advance(&range, filter);
            (reader, first)
        })
        .collect();
    let (mut skipped, mut damages) = (Skipped::default(), Vec::new());
    let mut with_entries = Vec::new();
    for (mut reader, first) in files {
        skipped.others += std::mem::take(&mut reader.skipped);
        reader.damages(&mut damages);
        let Some(first) = first else { continue };
        let list = reader.unread();
        with_entries.push(FileSlices { reader, list, next: 0, range, filter, block, first, spare: Vec::new() });
    }
    Opened { files: with_entries, skipped, damages, errors }
}

impl<'r> FileSlices<'r> {
    /// The first entry that is wanted.
    #[must_use]
    pub fn first(&self) -> Place {
        self.first
    }

    /// When the first entry of the next piece was written, in microseconds since 1970; none where there is no further
    /// piece. It says which piece is likely to be needed next, and nothing depends on it.
    #[must_use]
    pub fn time(&mut self) -> Option<u64> {
        let at = *self.list.get(self.next)?;
        Some(self.reader.file.head(at).map_or(0, |head| head.realtime))
    }

    /// How far it was taken, in bytes of the file, about.
    #[must_use]
    pub fn done(&self) -> u64 {
        let (taken, all) = (self.next as u128, self.list.len().max(1) as u128);
        (u128::from(self.reader.file.end()) * taken / all) as u64
    }

    /// The next piece.
    ///
    /// # Errors
    /// If the file can no longer be read.
    pub fn take(&mut self) -> Option<Result<FileSlice<'r>, Error>> {
        let end = self.list.len().min(self.next + (self.block / ENTRY).max(1));
        let list = self.list.get(self.next..end).filter(|list| !list.is_empty())?.to_vec();
        self.next = end;
        let reader = match self.reader.part(list) {
            Ok(reader) => reader,
            Err(cause) => return Some(Err(Error::Refused { path: self.reader.path.clone(), cause })),
        };
        let new = || FileSlice(Box::new(JournalReader::new(self.range, self.block, self.filter)));
        let mut piece = self.spare.pop().unwrap_or_else(new);
        let source = &mut piece.0;
        source.readers.clear();
        source.places.clear();
        source.add(reader);
        Some(Ok(piece))
    }

    /// Gives a piece back that was read to its end, for what it knows.
    pub fn put_back(&mut self, piece: FileSlice<'r>) {
        self.spare.push(piece);
    }

    /// The most bytes that its entries may have together.
    #[must_use]
    pub fn max_output(&self) -> u64 {
        self.reader.max_output()
    }

    /// Says that the rest of the file is left out, because an entry made it worth too much.
    #[must_use]
    pub fn leave(&mut self) -> Vec<Damaged> {
        self.next = self.list.len();
        self.reader.file.damages.note(Damage::Oversized, self.reader.at);
        let mut damages = Vec::new();
        self.reader.damages(&mut damages);
        damages
    }
}

impl FileSlice<'_> {
    /// Clears the batch and fills it with the entries that come next. False at the end of the piece.
    pub fn fill(&mut self, batch: &mut EntryBatch) -> bool {
        self.0.fill(batch) == Fill::More
    }

    /// What was passed over since this was asked last.
    pub fn skipped(&mut self) -> Skipped {
        self.0.skipped()
    }

    /// What could not be read since this was asked last.
    pub fn damages(&mut self) -> Vec<Damaged> {
        self.0.damages()
    }
}
