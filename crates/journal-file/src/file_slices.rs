//! Files of a journal in slices, each of which can be read by itself and on any thread.
//!
//! A slice is a run of consecutive entries of a file. The slices of a file yield what one reader of the whole file
//! yields. Only damage that several slices meet is counted for each of them.

use std::path::PathBuf;

use crate::batch::EntryBatch;
use crate::cursor::Place;
use crate::damage::{Damage, Damaged};
use crate::earlier_files::FileOrder;
use crate::entry_range::Range;
use crate::error::Error;
use crate::file_range::FileRange;
use crate::file_reader::{FileReader, boots};
use crate::journal_reader::{Fill, JournalReader};
use crate::offset::Units;
use crate::open_file::OpenFile;
use crate::selection::{EntryFilter, Selection};
use crate::seqnum_progress::SeqnumProgress;
use crate::settings::Settings;
use crate::skipped::Skipped;
use crate::window::windows;

/// The assumed size of an entry. A batch of 256 KiB leads to slices of 512 entries: long enough to make the start of a
/// slice cheap, and short enough to keep its output in the processor cache until the merge.
const ENTRY: usize = 512;

/// A file of a journal that yields slice after slice.
///
/// Files are opened and started one by one, on any thread: [`FileSlices::open`] lists the entries of a file,
/// [`FileSlices::resolve`] looks up boots in all of them and orders them, and [`FileSlices::start`] finds the first entry.
pub struct FileSlices<'r> {
    reader: Box<FileReader>,
    entries: Vec<Units>,
    next: usize,
    selection: Selection<'r>,
    block: usize,
    first: Place,
}

/// A run of consecutive entries of a file.
pub struct FileSlice<'r>(Box<JournalReader<'r>>);

impl<'r> FileSlices<'r> {
    /// Opens one of `files` files and lists its entries. Returns an error as well if only a part of the file can be
    /// read.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read as a journal.
    pub fn open(
        path: PathBuf,
        files: usize,
        settings: &Settings,
        filter: &'r dyn EntryFilter,
        opener: &dyn OpenFile,
    ) -> Result<(FileSlices<'r>, Option<Error>), Error> {
        let (reader, failure) = FileReader::open(path, opener, windows(files))?;
        Ok((FileSlices::of(reader, settings, filter), failure))
    }

    /// Opens one of `files` members of an archive by its name, and lists its entries.
    ///
    /// # Errors
    ///
    /// Fails if the member cannot be read as a journal.
    pub fn open_member(
        path: PathBuf,
        range: FileRange,
        files: usize,
        settings: &Settings,
        filter: &'r dyn EntryFilter,
    ) -> Result<FileSlices<'r>, Error> {
        Ok(FileSlices::of(FileReader::new(path, range, windows(files))?, settings, filter))
    }

    fn of(mut reader: Box<FileReader>, settings: &Settings, filter: &'r dyn EntryFilter) -> FileSlices<'r> {
        let selection = Selection::new(filter, settings);
        reader.choose(&selection, &SeqnumProgress::default());
        reader.release();
        FileSlices { reader, entries: Vec::new(), next: 0, selection, block: settings.block, first: Place::default() }
    }

    /// Returns the range with the boot's id in place of its number among the boots of all files. Lets the streams of
    /// each file continue those of the files before it.
    #[must_use]
    pub fn resolve(range: Range, files: &mut [FileSlices<'r>]) -> Range {
        let order = FileOrder::new(files.iter().map(|file| file.reader.as_earlier()));
        files.iter_mut().for_each(|file| file.reader.continue_from(&order));
        range.resolved(|| boots(files.iter_mut().map(|file| &mut file.reader)))
    }

    /// Finds the first entry in a range. Returns `false` if there is none.
    pub fn start(&mut self, range: Range) -> bool {
        self.selection.range = range;
        self.reader.seek(&range);
        let Some(first) = self.reader.advance(&self.selection) else { return false };
        self.first = first;
        self.reader.streams.prepare(&mut self.reader.file);
        self.entries = self.reader.take_unread();
        self.reader.release();
        true
    }

    /// Returns the first wanted entry, once the file was started.
    #[must_use]
    pub fn first(&self) -> Place {
        self.first
    }

    /// Returns the time of the first entry of the next slice, in microseconds since 1970, or `None` if there is no
    /// slice left. The time is a hint at the slice that is likely to be needed next.
    #[must_use]
    pub fn time(&mut self) -> Option<u64> {
        let at = *self.entries.get(self.next)?;
        Some(self.reader.file.distant_head(at).map_or(0, |head| head.realtime))
    }

    /// Estimates the number of bytes of the file in the slices that were returned.
    #[must_use]
    pub fn done(&self) -> u64 {
        let (taken, all) = (self.next as u128, self.entries.len().max(1) as u128);
        (u128::from(self.reader.file.end()) * taken / all) as u64
    }

    /// Takes the next slice, of up to `length` bytes if its entries have the usual size. A slice of the file that was
    /// read to its end lends its buffers and its knowledge of the file's fields.
    ///
    /// # Errors
    ///
    /// Fails if the file can no longer be read.
    pub fn take(&mut self, length: usize, known: Option<FileSlice<'r>>) -> Option<Result<FileSlice<'r>, Error>> {
        let end = self.entries.len().min(self.next + (length.min(self.block) / ENTRY).max(1));
        let entries = self.entries.get(self.next..end).filter(|entries| !entries.is_empty())?.to_vec();
        self.next = end;
        let new = || FileSlice(Box::new(JournalReader::of_slices(self.selection.clone(), self.block)));
        let mut slice = known.unwrap_or_else(new);
        let reader = match slice.0.take_closed() {
            Some(mut reader) => {
                reader.continue_with(entries);
                reader
            }
            None => match self.reader.slice(entries) {
                Ok(reader) => reader,
                Err(error) => return Some(Err(error)),
            },
        };
        slice.0.restart(reader);
        Some(Ok(slice))
    }

    /// Returns the limit on the bytes of all entries together.
    #[must_use]
    pub fn max_output(&self) -> u64 {
        self.reader.max_output()
    }

    /// Leaves out the rest of the file, because an entry exceeded [`FileSlices::max_output`]. Returns the damage.
    #[must_use]
    pub fn leave(&mut self) -> Vec<Damaged> {
        self.next = self.entries.len();
        self.reader.file.damages.note(Damage::Oversized, self.reader.current.at);
        self.damages()
    }

    /// Returns the number of entries that were skipped since the last call.
    pub fn skipped(&mut self) -> Skipped {
        self.reader.take_skipped()
    }

    /// Returns the damage found since the last call.
    pub fn damages(&mut self) -> Vec<Damaged> {
        let mut damages = Vec::new();
        self.reader.damages(&mut damages);
        damages
    }
}

impl FileSlice<'_> {
    /// Clears a batch and fills it with the next entries: with about `size` bytes, and no more than usual. Returns
    /// `false` at the end of the slice.
    pub fn fill(&mut self, batch: &mut EntryBatch, size: usize) -> bool {
        self.0.fill_up_to(batch, size) == Fill::More
    }

    /// Frees the memory of buffers. They are filled again when they are needed.
    pub fn release(&mut self) {
        self.0.release();
    }

    /// Returns the numbers of entries that were skipped since the last call.
    pub fn skipped(&mut self) -> Skipped {
        self.0.skipped()
    }

    /// Returns the damage found since the last call.
    pub fn damages(&mut self) -> Vec<Damaged> {
        self.0.damages()
    }
}

#[cfg(test)]
mod tests;
