//! Journals of systemd as a source. Converts the program's settings for the reader of [`journal_file`], and the reader's
//! errors, damage and positions for the program.

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

use journal_file::{Cursor, Error, JournalReader};
use kata_records::Batch;
use kata_records::origin::Route;

use super::awaited::{Awaited, AwaitedInput};
use super::{Damaged, Event, Fill, Filled, Input, Member, Skipped, Source, SourceError};
use crate::source::position::{JournalPosition, Position};

use compressed::CompressedFiles;
pub(super) use file_slices::open as open_slices;
pub use file_slices::{FileSlice, FileSlices, Opened};
pub use journal_file::{Boot, EntryFilter, Merge, MergeStep, Namespace, Range, RunBound};

/// A reader of journals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The reader of crate journal-file.
    #[default]
    Native,
    /// systemd's library, if the build has the feature `libsystemd`.
    Libsystemd,
}

/// The size of a value, in bytes, from which on it is shown in pieces if values are shown whole.
const LARGE: usize = 64 << 10;

/// The journals to read, and the entries to read of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalSettings {
    /// Read the journal of this machine as well as the inputs.
    pub of_this_machine: bool,
    /// The namespaces of this machine.
    pub namespace: Namespace,
    /// Read journals of other machines that are stored on this machine.
    pub merge: bool,
    /// The reader.
    pub backend: Backend,
    /// The range of entries.
    pub range: Range,
    /// The number of microseconds by which the range is read wider on both sides, because the time of a record decides
    /// and may differ from the time at which journald received the entry.
    pub slack: u64,
    /// Read only the last entries, as many as this.
    pub lines: Option<usize>,
    /// Read as many more that `lines` of them make records.
    pub lines_are_records: bool,
    /// Wait for new entries after the last one.
    pub follow: bool,
    /// The position at which an earlier run ended. Entries before it are left out, and settings for another beginning
    /// are ignored.
    pub resume: Option<JournalPosition>,
    /// The number of bytes to which a value is cut. Without it, values are shown whole, and large ones in pieces.
    pub max_value: Option<usize>,
}

impl JournalSettings {
    /// Returns these settings for the journals of an archive, without the parts that apply to other inputs.
    #[must_use]
    pub fn of_archive(&self) -> JournalSettings {
        JournalSettings { of_this_machine: false, follow: false, resume: None, ..self.clone() }
    }

    /// Returns whether entries outside a range are left out.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.range != Range::default() || self.lines.is_some()
    }

    /// Returns the position from which to continue. Without any entry before it, it is no position.
    fn position(&self) -> Option<&JournalPosition> {
        self.resume.as_ref().filter(|position| !position.passed.is_empty())
    }

    /// Returns the range of entries to read.
    fn read_range(&self) -> Range {
        let since = self.range.since.map(|since| since.saturating_sub(self.slack));
        let until = self.range.until.map(|until| until.saturating_add(self.slack));
        Range { since, until, ..self.range }
    }

    /// Returns whether reading continues from a position.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.position().is_some()
    }

    /// Returns the flags for another beginning, which are ignored because of the position.
    #[must_use]
    pub fn ignored_flags(&self) -> Vec<&'static str> {
        let set = [
            ("--since", self.range.since.is_some()),
            ("--lines", self.lines.is_some()),
            ("--after-cursor", self.range.after.is_some()),
        ];
        let ignored = set.iter().filter(|(_, set)| *set && self.is_resumed());
        ignored.map(|(flag, _)| *flag).collect()
    }

    /// Returns these settings for the reader of journal files, with batches of `block` bytes.
    fn for_reader(&self, block: usize) -> journal_file::Settings {
        let position = self.position();
        // Another beginning would skip entries that came while katalog was not running.
        let range = self.read_range();
        let (range, lines) = match position {
            Some(_) => (Range { since: None, after: None, ..range }, None),
            None => (range, self.lines),
        };
        journal_file::Settings {
            of_this_machine: self.of_this_machine,
            namespace: self.namespace.clone(),
            merge: self.merge,
            range,
            lines,
            lines_are_records: self.lines_are_records,
            follow: self.follow,
            resume: position.map(journal_file::Position::from),
            block,
            max_value: self.max_value.unwrap_or(LARGE),
            keeps_large: self.max_value.is_none(),
        }
    }
}

/// A source that reads a journal of one or many files.
pub(super) struct JournalSource<'r> {
    reader: JournalReader<'r>,
    /// A later run can resume here. Archives have no positions.
    has_position: bool,
    awaited: Vec<Awaited>,
}

/// Opens the files that the inputs name, and members of an archive. Returns the errors of those that cannot be read.
pub(super) fn open<'r>(
    inputs: &[PathBuf],
    members: Vec<Member>,
    settings: &JournalSettings,
    block: usize,
    filter: &'r dyn EntryFilter,
) -> (JournalSource<'r>, Vec<SourceError>) {
    let has_position = members.is_empty();
    let members = members.into_iter().map(|Member { path, extent }| (path, extent)).collect();
    let (reader, errors) = JournalReader::open(inputs, members, &settings.for_reader(block), filter, &CompressedFiles);
    let awaited = if settings.follow && errors.is_empty() { awaited(inputs, settings, &reader) } else { Vec::new() };
    (JournalSource { reader, has_position, awaited }, errors.into_iter().map(SourceError::from).collect())
}

/// Returns the followed inputs without files.
fn awaited(inputs: &[PathBuf], settings: &JournalSettings, reader: &JournalReader<'_>) -> Vec<Awaited> {
    let named = JournalSettings { of_this_machine: false, ..settings.clone() };
    let is_empty = |inputs: &[PathBuf], settings| reader.is_empty() || paths(inputs, settings).0.is_empty();
    let machine = settings.of_this_machine && is_empty(&[], settings);
    let empty = inputs.iter().filter(|path| is_empty(std::slice::from_ref(path), &named));
    let machine = machine.then_some(AwaitedInput::MachineJournal);
    let all = machine.into_iter().chain(empty.cloned().map(AwaitedInput::Journal));
    all.map(|input| Awaited { input, follow: true }).collect()
}

/// Returns whether a directory has journals of its own, or may have some that are not accessible.
pub(super) fn is_at(directory: &Path) -> bool {
    JournalReader::is_at(directory, &CompressedFiles)
}

/// Returns the number of bytes of the files that the inputs and the settings name.
pub(super) fn size(inputs: &[PathBuf], settings: &JournalSettings) -> u64 {
    let (found, _) = paths(inputs, settings);
    found.iter().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// Returns the paths of the files that the inputs and the settings name, and the errors of those that are not accessible.
pub(super) fn paths(inputs: &[PathBuf], settings: &JournalSettings) -> (Vec<PathBuf>, Vec<SourceError>) {
    let (found, errors) = settings.for_reader(0).files(inputs, &CompressedFiles);
    (found, errors.into_iter().map(SourceError::from).collect())
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
            Error::Open { path, cause } => SourceError::Open { input: Input::File(path), cause },
            Error::Refused { path, cause } | Error::Incomplete { path, cause } => of_cause(path, cause),
            // There are no others today.
            _ => SourceError::JournalRefused { input: Input::File(PathBuf::new()), cause: message },
        }
    }
}

/// Returns the program's own error if [`CompressedFiles`] refused a file, and that of a refused journal otherwise.
fn of_cause(path: PathBuf, cause: Box<dyn StdError + Send + Sync>) -> SourceError {
    let own = cause.downcast().map(|error| *error);
    own.unwrap_or_else(|cause| SourceError::JournalRefused { input: Input::File(path), cause: cause.to_string() })
}

impl From<journal_file::Damaged> for Damaged {
    fn from(journal_file::Damaged { path, reason, count, offset }: journal_file::Damaged) -> Damaged {
        Damaged { input: Input::File(path), reason: reason.name(), count, offset }
    }
}

impl From<journal_file::Skipped> for Skipped {
    fn from(journal_file::Skipped { others, outside, repeated }: journal_file::Skipped) -> Skipped {
        Skipped { others, outside, repeated }
    }
}

impl From<journal_file::Position> for JournalPosition {
    fn from(journal_file::Position { cursor, seqnums }: journal_file::Position) -> JournalPosition {
        let hexadecimal = |id: &[u8; 16]| format!("{:032x}", u128::from_be_bytes(*id));
        JournalPosition { cursor, passed: seqnums.iter().map(|(id, number)| (hexadecimal(id), *number)).collect() }
    }
}

impl From<&JournalPosition> for journal_file::Position {
    /// Ignores ids that are none, because no file has them.
    fn from(JournalPosition { cursor, passed }: &JournalPosition) -> journal_file::Position {
        let known = |(id, number): (&String, &u64)| Some((Cursor::parse_id(id.as_bytes())?, *number));
        journal_file::Position { cursor: cursor.clone(), seqnums: passed.iter().filter_map(known).collect() }
    }
}

impl JournalSource<'_> {
    fn position(&mut self) -> Option<Position> {
        self.has_position.then(|| Position::Journal(self.reader.position().into()))
    }
}

impl Source for JournalSource<'_> {
    fn fill(&mut self, batch: &mut Batch) -> Filled {
        batch.clear();
        batch.route = Route::Journal;
        let fill = match self.reader.fill(&mut batch.journal) {
            journal_file::Fill::More => Fill::More,
            journal_file::Fill::Idle => Fill::Idle,
            journal_file::Fill::End => Fill::End,
        };
        let skipped = Skipped::from(self.reader.skipped());
        let mut events: Vec<Event> = skipped.into_event().into_iter().collect();
        events.extend(self.reader.damages().into_iter().map(Damaged::from).map(Event::Damaged));
        Filled { position: self.position(), ..Filled::new(Ok(fill), events) }
    }

    fn start(&mut self) -> Option<Position> {
        self.position()
    }

    fn awaited(&self) -> Vec<Awaited> {
        self.awaited.clone()
    }

    fn restarts(&self) -> bool {
        true
    }

    fn done(&self) -> Option<u64> {
        self.reader.done()
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
    fn a_position_replaces_another_beginning() {
        let after = "t=5".parse().ok();
        let range = Range { since: Some(1), until: Some(9), boot: Some(Boot::Before(0)), after };
        let mut settings = JournalSettings { range, lines: Some(3), ..JournalSettings::default() };
        let empty = Some(JournalPosition::default());
        for resume in [None, empty] {
            settings.resume = resume;
            let given = settings.for_reader(0);
            assert_eq!((given.range, given.lines, given.resume), (range, Some(3), None), "there is no position");
            assert_eq!(settings.ignored_flags(), [""; 0]);
        }
        settings.resume = Some(JournalPosition { cursor: None, passed: [("0".repeat(32), 1)].into() });
        let given = settings.for_reader(0);
        assert_eq!((given.range.since, given.range.after, given.lines), (None, None, None));
        assert_eq!((given.range.until, given.range.boot), (range.until, range.boot));
        assert!(given.resume.is_some() && after.is_some());
        assert_eq!(settings.ignored_flags(), ["--since", "--lines", "--after-cursor"]);
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
