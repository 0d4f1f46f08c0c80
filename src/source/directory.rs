//! A directory that has no journals of its own: the with_logs below it, one after the other in the order of their names, and its
//! journals, which are put aside until all are known. It is read as an archive of it would be.
//!
//! Links in it are not followed, so nothing is read twice and none leads out of it.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use journal_file::Extent;
use memchr::memmem;

use super::archive::{PathClass, member_origin};
use super::stream::Stream;
use super::{Damaged, Fill, Input, Member, Notice, Settings, Source, SourceError};
use kata_records::entry::Batch;

/// How many files without a log are looked at at most before the caller is asked whether to go on.
const MAX_STEPS: usize = 256;

/// How much of a file tells whether it is katalog's.
const HEAD: usize = 8 << 10;

/// The files below a directory.
pub(super) struct DirectorySource {
    root: PathBuf,
    /// The file or directory that is output to, by device and inode: what comes out is not to go in again.
    output: Option<(u64, u64)>,
    settings: Settings,
    with_logs: bool,
    /// What is yet to be looked at, the next last.
    pending: Vec<PathBuf>,
    /// The file that is being read.
    open: Option<OpenFile>,
    /// There was something to be read.
    found_any: bool,
    journals: Vec<Member>,
    notices: Vec<Notice>,
    damages: Vec<Damaged>,
}

struct OpenFile {
    input: Input,
    class: PathClass,
    origin: [u8; 16],
    stream: Stream,
}

impl DirectorySource {
    /// Reads a directory, but nothing of what is `output`. Without `with_logs`, the journals in it only.
    pub(super) fn new(root: PathBuf, output: &Path, with_logs: bool, settings: &Settings) -> DirectorySource {
        let mut source = DirectorySource {
            output: fs::metadata(output).ok().as_ref().map(device_and_inode),
            settings: *settings,
            with_logs,
            pending: Vec::new(),
            open: None,
            found_any: false,
            journals: Vec::new(),
            notices: Vec::new(),
            damages: Vec::new(),
            root,
        };
        source.list(&source.root.clone());
        source
    }

    /// Has the files of a directory looked at next.
    fn list(&mut self, directory: &Path) {
        let read = |entries: fs::ReadDir| entries.map(|entry| entry.map(|entry| entry.path())).collect();
        match fs::read_dir(directory).and_then(read) {
            Ok(paths) => {
                let mut paths: Vec<PathBuf> = paths;
                paths.sort_unstable_by(|a, b| b.cmp(a));
                self.pending.append(&mut paths);
            }
            Err(cause) => self.report(SourceError::Open { input: Input::File(directory.to_owned()), cause }),
        }
    }

    fn report(&mut self, error: SourceError) {
        self.found_any = true;
        self.notices.push(Notice::Failed(error));
    }

    /// Looks at what comes next. False where nothing does.
    fn advance(&mut self) -> bool {
        let Some(path) = self.pending.pop() else { return false };
        match fs::symlink_metadata(&path) {
            Ok(metadata) if self.output == Some(device_and_inode(&metadata)) => {}
            Ok(metadata) if metadata.is_dir() => self.list(&path),
            Ok(metadata) if metadata.is_file() => self.open_file(path, metadata.len()),
            Ok(_) => {}
            // It has just gone.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => self.report(SourceError::Open { input: Input::File(path), cause }),
        }
        true
    }

    /// Opens a file, whatever it is: what it begins with tells journals and archives from all others, and the name with_logs.
    fn open_file(&mut self, path: PathBuf, length: u64) {
        let below = path.strip_prefix(&self.root).unwrap_or(&path);
        let within = Path::new(self.root.file_name().unwrap_or_default()).join(below);
        let class = PathClass::of(&within);
        self.found_any |= self.with_logs && class.is_log;
        if length == 0 {
            return;
        }
        let input = Input::File(path.clone());
        match File::open(&path) {
            Ok(file) => {
                let (origin, file) = (member_origin(&within), Extent::from(file));
                if class.is_log && holds_records(&file) {
                    return self.notices.push(Notice::PassedOver(input));
                }
                let stream = Stream::of_file(file, input.clone(), &self.settings);
                let stream = stream.with_logs(self.with_logs).in_directory(within, class.is_log);
                self.open = Some(OpenFile { input, class, origin, stream });
            }
            Err(cause) => self.report_if_expected(&input, class, SourceError::Open { input: input.clone(), cause }),
        }
    }

    /// Takes note of what cannot be read, if the name says that it should be.
    fn report_if_expected(&mut self, input: &Input, class: PathClass, error: SourceError) {
        if (class.is_log || class.is_journal) && !matches!(error, SourceError::NoJournal { .. }) {
            self.report(error);
        } else {
            self.notices.push(Notice::PassedOver(input.clone()));
        }
    }
}

/// Whether records of katalog's stand there: what an earlier run wrote is not to be read with what it was made of.
fn holds_records(file: &Extent) -> bool {
    let mut head = [0; HEAD];
    file.read_at(&mut head, 0).is_ok_and(|len| memmem::find(&head[..len], b"\"kata_component\":\"").is_some())
}

fn device_and_inode(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Source for DirectorySource {
    fn fill(&mut self, batch: &mut Batch) -> Result<Fill, SourceError> {
        batch.clear();
        for _ in 0..MAX_STEPS {
            let Some(open) = &mut self.open else {
                if self.advance() {
                    continue;
                }
                if std::mem::replace(&mut self.found_any, true) {
                    return Ok(Fill::End);
                }
                return Err(SourceError::Directory { input: Input::File(self.root.clone()) });
            };
            let filled = open.stream.fill(batch);
            if !open.stream.is_archive() {
                (batch.origin, batch.unclaimed) = (open.origin, !open.class.is_kata);
            }
            self.damages.append(&mut open.stream.damages());
            self.notices.append(&mut open.stream.notices());
            if matches!(filled, Ok(Fill::More | Fill::Idle)) {
                return Ok(Fill::More);
            }
            if let Some(mut open) = self.open.take() {
                let mut journals = open.stream.journals();
                self.found_any |= open.stream.is_archive() || !journals.is_empty();
                self.journals.append(&mut journals);
                if let Err(error) = filled {
                    self.report_if_expected(&open.input, open.class, error);
                }
            }
            if !batch.is_empty() {
                return Ok(Fill::More);
            }
        }
        Ok(Fill::More)
    }

    fn damages(&mut self) -> Vec<Damaged> {
        std::mem::take(&mut self.damages)
    }

    fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn journals(&mut self) -> Vec<Member> {
        std::mem::take(&mut self.journals)
    }
}
