//! The settings of a reader, and the files that they name.

use std::path::{Path, PathBuf};

use crate::directory::{self, FoundFiles, Namespace};
use crate::entry_range::Range;
use crate::error::Error;
use crate::open_file::OpenFile;
use crate::payload::MAX_FIELD;
use crate::seqnum_progress::Position;

/// The journals to read, and the entries to read of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Read the journal of this machine as well as the inputs.
    pub of_this_machine: bool,
    /// The namespaces of this machine.
    pub namespace: Namespace,
    /// Read journals of other machines that are stored on this machine.
    pub merge: bool,
    /// The range of entries.
    pub range: Range,
    /// Read only the last entries, as many as this.
    pub lines: Option<usize>,
    /// Read more entries than `lines` if some of these might make no record. See
    /// [`EntryFilter::makes_record`](crate::EntryFilter::makes_record).
    pub lines_are_records: bool,
    /// Wait for new entries after the last one.
    pub follow: bool,
    /// The position at which an earlier run ended. Entries before it are left out, and `lines` is ignored.
    pub resume: Option<Position>,
    /// The number of bytes at which a batch is full.
    pub block: usize,
    /// The number of bytes to which a value is cut. The fields of an entry may have four times as many together; further
    /// ones are left out. The entry is then [truncated](crate::Entry::is_truncated). At 64 MiB or more nothing is cut:
    /// a larger field is left out as damage.
    pub max_value: usize,
    /// Larger values are neither cut nor left out. They stay in their files, and batches refer to them: see
    /// [`Entry::large`](crate::Entry::large). So do the last fields of an entry whose fields together are larger than
    /// four such values.
    pub keeps_large: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            of_this_machine: false,
            namespace: Namespace::Default,
            merge: false,
            range: Range::default(),
            lines: None,
            lines_are_records: false,
            follow: false,
            resume: None,
            block: 256 << 10,
            max_value: MAX_FIELD,
            keeps_large: false,
        }
    }
}

impl Settings {
    /// Returns the files that the inputs and these settings name, and the errors of those that are not accessible.
    pub fn files(&self, inputs: &[PathBuf], opener: &dyn OpenFile) -> (Vec<PathBuf>, Vec<Error>) {
        let (found, errors) = self.find(inputs, opener);
        (found.files.into_iter().map(|file| file.path).collect(), errors)
    }

    /// Returns the files that the inputs and these settings name, and the errors of those that are not accessible.
    pub(crate) fn find(&self, inputs: &[PathBuf], opener: &dyn OpenFile) -> (FoundFiles, Vec<Error>) {
        let mut all = FoundFiles::default();
        let mut empty = Vec::new();
        if self.of_this_machine {
            let found = directory::of_this_machine(Path::new("/"), opener, &self.namespace, self.merge);
            if found.files.is_empty() && found.errors.is_empty() && !self.follow {
                empty.push(Error::NoMachineJournal);
            }
            all.add(found);
        }
        for input in inputs {
            let found = directory::at(input, opener, !self.follow);
            if found.files.is_empty() && found.errors.is_empty() && !self.follow {
                empty.push(Error::Empty { path: input.clone() });
            }
            all.add(found);
        }
        let errors = all.errors.drain(..).map(Error::from).chain(empty).collect();
        (all, errors)
    }
}
