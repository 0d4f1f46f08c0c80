//! The files of a journal in slices, each of which can be read by itself and on any thread.

use std::path::PathBuf;

use journal_file::Place;
use kata_records::Batch;
use kata_records::origin::Route;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::compressed::CompressedFiles;
use super::{EntryFilter, JournalSettings};
use crate::source::{Damaged, Member, Skipped, SourceError};

/// A file of a journal that yields slice after slice.
pub struct FileSlices<'r>(journal_file::FileSlices<'r>);

/// A run of consecutive entries of a file.
pub struct FileSlice<'r>(journal_file::FileSlice<'r>);

/// The opened files of a journal.
pub struct Opened<'r> {
    /// The files that have entries. Of copies of an entry, that of the first file is preferred.
    pub files: Vec<FileSlices<'r>>,
    /// The entries skipped so far.
    pub skipped: Skipped,
    /// The damage found so far.
    pub damages: Vec<Damaged>,
    /// The errors of files that cannot be read.
    pub errors: Vec<SourceError>,
}

/// The most files that several threads read. The output of each file waits for that of the others.
const MAX_FILES: usize = 512;

/// Opens the files that the inputs name, and members of an archive, and lists their entries. On a thread of a pool, its
/// threads share the work. Returns `None` if there are too many files for several threads.
pub(in crate::source) fn open<'r>(
    inputs: &[PathBuf],
    members: &[Member],
    settings: &JournalSettings,
    block: usize,
    filter: &'r dyn EntryFilter,
) -> Option<Opened<'r>> {
    let settings = settings.for_reader(block);
    let (paths, mut errors) = settings.files(inputs, &CompressedFiles);
    let count = paths.len() + members.len();
    if count > MAX_FILES {
        return None;
    }
    let open = |path| journal_file::FileSlices::open(path, count, &settings, filter, &CompressedFiles);
    let open_member = |Member { path, extent }: Member| {
        let opened = journal_file::FileSlices::open_member(path, extent, count, &settings, filter);
        opened.map(|file| (file, None))
    };
    let members = members.to_vec().into_par_iter().map(open_member);
    let opened: Vec<_> = paths.into_par_iter().map(open).chain(members).collect();
    let mut files = Vec::new();
    for outcome in opened {
        match outcome {
            Ok((file, failure)) => {
                files.push(file);
                errors.extend(failure);
            }
            Err(error) => errors.push(error),
        }
    }
    let range = journal_file::FileSlices::resolve(settings.range, &mut files);
    let started: Vec<_> = files
        .into_par_iter()
        .map(|mut file| {
            let has_entries = file.start(range);
            (file, has_entries)
        })
        .collect();
    let errors = errors.into_iter().map(SourceError::from).collect();
    let mut all = Opened { files: Vec::new(), skipped: Skipped::default(), damages: Vec::new(), errors };
    for (mut file, has_entries) in started {
        let skipped = file.skipped();
        all.skipped.others += skipped.others;
        all.skipped.outside += skipped.outside;
        all.damages.extend(converted(file.damages()));
        if has_entries {
            all.files.push(FileSlices(file));
        }
    }
    Some(all)
}

fn converted(damages: Vec<journal_file::Damaged>) -> Vec<Damaged> {
    damages.into_iter().map(Damaged::from).collect()
}

impl<'r> FileSlices<'r> {
    /// Returns the first wanted entry.
    #[must_use]
    pub fn first(&self) -> Place {
        self.0.first()
    }

    /// Returns the time of the first entry of the next slice, in microseconds since 1970, or `None` if there is no
    /// slice left. The time is a hint at the slice that is likely to be needed next.
    #[must_use]
    pub fn time(&mut self) -> Option<u64> {
        self.0.time()
    }

    /// Estimates the number of bytes of the file in the slices that were taken.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.0.done()
    }

    /// Takes the next slice, of up to `length` bytes if its entries have the usual size. A slice of the file that was
    /// read to its end lends its buffers and its knowledge of the file's fields.
    ///
    /// # Errors
    ///
    /// Fails if the file can no longer be read.
    pub fn take(&mut self, length: usize, known: Option<FileSlice<'r>>) -> Option<Result<FileSlice<'r>, SourceError>> {
        let known = known.map(|slice| slice.0);
        Some(self.0.take(length, known)?.map(FileSlice).map_err(SourceError::from))
    }

    /// Returns the limit on the bytes of all entries together.
    #[must_use]
    pub fn max_output(&self) -> u64 {
        self.0.max_output()
    }

    /// Leaves out the rest of the file, because an entry exceeded [`FileSlices::max_output`]. Returns the damage.
    #[must_use]
    pub fn leave(&mut self) -> Vec<Damaged> {
        converted(self.0.leave())
    }
}

impl FileSlice<'_> {
    /// Clears a batch and fills it with the next entries: with about `size` bytes, and no more than usual. Returns
    /// `false` at the end of the slice.
    pub fn fill(&mut self, batch: &mut Batch, size: usize) -> bool {
        batch.clear();
        batch.route = Route::Journal;
        self.0.fill(&mut batch.journal, size)
    }

    /// Frees the memory of buffers. They are filled again when they are needed.
    pub fn release(&mut self) {
        self.0.release();
    }

    /// Returns the numbers of entries that were skipped since the last call.
    pub fn skipped(&mut self) -> Skipped {
        self.0.skipped().into()
    }

    /// Returns the damage found since the last call.
    pub fn damages(&mut self) -> Vec<Damaged> {
        converted(self.0.damages())
    }
}
