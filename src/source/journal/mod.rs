//! Journals of systemd as a source: what the program says of them to [`journal_file`], which reads them, and what that says
//! of them in the program's words.

#[cfg(feature = "libsystemd")]
pub(super) mod libsystemd;
#[cfg(not(feature = "libsystemd"))]
#[path = "libsystemd/missing.rs"]
pub(super) mod libsystemd;
mod compressed;
mod file_slices;

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};

use journal_file::{Error, FoundFile, JournalReader, Refusal};
use kata_records::digits;
use kata_records::entry::Batch;

use super::{Damaged, Event, Fill, Filled, Input, Member, Skipped, Source, SourceError};
use crate::source::position::{JournalPosition, Position};

use compressed::CompressedFiles;
pub(super) use file_slices::open as open_slices;
pub use file_slices::{FileSlice, FileSlices, Opened};
pub use journal_file::{Boot, EntryFilter, Merge, MergeStep, Namespace, Range, RunBound};

/// What reads journals. Its values are also the words of the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The reader of crate journal-file.
    #[default]
    Native,
    /// systemd's library, if the build has the feature `libsystemd`.
    Libsystemd,
}

/// Which journals are read, and from where to where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalSettings {
    /// The journal of this machine is one of the inputs.
    pub of_this_machine: bool,
    /// Which namespaces of it.
    pub namespace: Namespace,
    /// Journals of other machines that are stored on this one too.
    pub merge: bool,
    /// What reads them.
    pub backend: Backend,
    /// From where to where.
    pub range: Range,
    /// Only so many entries, the last ones.
    pub lines: Option<usize>,
    /// After the last entry wait for further ones.
    pub follow: bool,
    /// Where an earlier run ended. What it passed is not given again, and where to begin is not asked then.
    pub resume: Option<JournalPosition>,
}

impl JournalSettings {
    /// The same for the journals of an archive, with which what is said of other inputs has nothing to do.
    #[must_use]
    pub fn of_archive(&self) -> JournalSettings {
        JournalSettings { of_this_machine: false, follow: false, resume: None, ..self.clone() }
    }

    /// Whether they are about the journal of this machine where no input is named.
    #[must_use]
    pub fn is_meant(&self) -> bool {
        self.of_this_machine || self.follow || self.merge || self.namespace != Namespace::Default
    }

    /// Returns these settings for the reader of journal files, whose batches aim at so many bytes.
    fn for_reader(&self, block: usize) -> journal_file::Settings {
        journal_file::Settings {
            of_this_machine: self.of_this_machine,
            namespace: self.namespace.clone(),
            merge: self.merge,
            range: self.range,
            lines: self.lines,
            follow: self.follow,
            resume: self.resume.as_ref().map(journal_file::Position::from),
            block,
        }
    }
}

/// A journal of one or many files.
pub(super) struct JournalSource<'r>(JournalReader<'r>);

/// Opens the files that inputs name, and members of an archive, and says what could not be read of them.
pub(super) fn open<'r>(
    inputs: &[PathBuf],
    members: Vec<Member>,
    settings: &JournalSettings,
    block: usize,
    filter: &'r dyn EntryFilter,
) -> (JournalSource<'r>, Vec<SourceError>) {
    let members = members.into_iter().map(|Member { path, extent }| (path, extent)).collect();
    let (reader, errors) = JournalReader::open(inputs, members, &settings.for_reader(block), filter, &CompressedFiles);
    (JournalSource(reader), errors.into_iter().map(SourceError::from).collect())
}

/// Whether a directory has journals of its own, or may have some that cannot be read.
pub(super) fn is_at(directory: &Path) -> bool {
    journal_file::is_at(directory, &CompressedFiles)
}

/// How many bytes the files have that inputs and settings name.
pub(super) fn size(inputs: &[PathBuf], settings: &JournalSettings) -> u64 {
    let (found, _) = find(inputs, settings);
    found.iter().filter_map(|file| file.path.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// The files that the inputs and the settings name, and what could not be looked at.
fn find(inputs: &[PathBuf], settings: &JournalSettings) -> (Vec<FoundFile>, Vec<SourceError>) {
    let settings = settings.for_reader(0);
    let (found, errors) = journal_file::files(inputs, &settings, &CompressedFiles);
    (found, errors.into_iter().map(SourceError::from).collect())
}

/// The paths of the files that the inputs and the settings name, and what could not be looked at.
pub(super) fn paths(inputs: &[PathBuf], settings: &JournalSettings) -> (Vec<PathBuf>, Vec<SourceError>) {
    let (found, errors) = find(inputs, settings);
    (found.into_iter().map(|file| file.path).collect(), errors)
}

impl From<Error> for SourceError {
    fn from(error: Error) -> SourceError {
        let message = error.to_string();
        match error {
            Error::NoMachineJournal => SourceError::NoMachineJournal,
            Error::Empty { path } => SourceError::Directory { input: Input::File(path) },
            Error::Access { path, cause, .. } => {
                let kind = cause.kind();
                let advice = if kind == io::ErrorKind::PermissionDenied {
                    ": add a user with `usermod --append --groups systemd-journal USER`, or run katalog as root"
                } else {
                    ""
                };
                SourceError::JournalAccess { input: Input::File(path), message: message + advice, kind }
            }
            Error::Refused { path, cause: Refusal::Unreadable(cause) } => {
                SourceError::Open { input: Input::File(path), cause }
            }
            Error::Refused { path, cause: Refusal::Unopened(cause) } | Error::Incomplete { path, cause } => {
                of_opener(path, cause)
            }
            Error::Refused { path, cause } => {
                SourceError::JournalRefused { input: Input::File(path), cause: cause.to_string() }
            }
            // There are no others today.
            _ => SourceError::JournalRefused { input: Input::File(PathBuf::new()), cause: message },
        }
    }
}

/// What [`CompressedFiles`] said of a file.
fn of_opener(path: PathBuf, cause: Box<dyn StdError + Send + Sync>) -> SourceError {
    let said = cause.downcast().map(|error| *error);
    said.unwrap_or_else(|cause| SourceError::JournalRefused { input: Input::File(path), cause: cause.to_string() })
}

impl From<journal_file::Damaged> for Damaged {
    fn from(journal_file::Damaged { path, reason, count, offset }: journal_file::Damaged) -> Damaged {
        Damaged { input: Input::File(path), reason, count, offset }
    }
}

impl From<journal_file::Skipped> for Skipped {
    fn from(journal_file::Skipped { others, repeated }: journal_file::Skipped) -> Skipped {
        Skipped { others, repeated }
    }
}

impl From<journal_file::Position> for JournalPosition {
    fn from(journal_file::Position { cursor, seqnums }: journal_file::Position) -> JournalPosition {
        let hexadecimal = |id: &[u8; 16]| String::from_utf8_lossy(&digits::hex_id(id)).into_owned();
        JournalPosition { cursor, passed: seqnums.iter().map(|(id, number)| (hexadecimal(id), *number)).collect() }
    }
}

impl From<&JournalPosition> for journal_file::Position {
    /// What is no id is no file's, and says nothing.
    fn from(JournalPosition { cursor, passed }: &JournalPosition) -> journal_file::Position {
        let known = |(id, number): (&String, &u64)| Some((journal_file::parse_id(id.as_bytes())?, *number));
        journal_file::Position { cursor: cursor.clone(), seqnums: passed.iter().filter_map(known).collect() }
    }
}

impl JournalSource<'_> {
    fn position(&mut self) -> Option<Position> {
        Some(Position::Journal(self.0.position().into()))
    }
}

impl Source for JournalSource<'_> {
    fn fill(&mut self, batch: &mut Batch) -> Filled {
        batch.clear();
        let fill = match self.0.fill(&mut batch.journal) {
            journal_file::Fill::More => Fill::More,
            journal_file::Fill::Idle => Fill::Idle,
            journal_file::Fill::End => Fill::End,
        };
        let skipped = Skipped::from(self.0.skipped());
        let mut events: Vec<Event> = skipped.into_event().into_iter().collect();
        events.extend(self.0.damages().into_iter().map(Damaged::from).map(Event::Damaged));
        Filled { position: self.position(), ..Filled::new(Ok(fill), events) }
    }

    fn start(&mut self) -> Option<Position> {
        self.position()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn restarts(&self) -> bool {
        true
    }

    fn done(&self) -> Option<u64> {
        self.0.done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_permission_names_the_groups_and_what_to_do() {
        let error = |code| {
            let cause = io::Error::from_raw_os_error(code);
            SourceError::from(Error::Access { path: PathBuf::from("/a/1.journal"), others: 4, cause })
        };
        assert_eq!(
            error(13).to_string(),
            "failed to read \"/a/1.journal\" and 4 more: Permission denied (os error 13); the members of the group \
             `systemd-journal`, and mostly those of `adm` and `wheel`, may read all journals: add a user with `usermod \
             --append --groups systemd-journal USER`, or run katalog as root"
        );
        assert_eq!(
            error(2).to_string(),
            "failed to read \"/a/1.journal\" and 4 more: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn a_position_comes_back_as_it_was() {
        let id = 0x0123_4567_89ab_cdef_00ff_a09b_8c7d_6e5f_u128.to_be_bytes();
        let position =
            journal_file::Position { cursor: Some("s=1;i=2".to_owned()), seqnums: [(id, 7), ([0; 16], 0)].into() };
        let mut saved = JournalPosition::from(position.clone());
        assert_eq!(saved.passed["0123456789abcdef00ffa09b8c7d6e5f"], 7);
        saved.passed.insert("of no file".to_owned(), 3);
        assert_eq!(journal_file::Position::from(&saved), position);
    }
}
