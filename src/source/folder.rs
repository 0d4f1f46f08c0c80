//! A directory that has no journals of its own: the logs below it, one after the other in the order of their names, and its
//! journals, which are put aside until all are known. It is read as an archive of it would be.
//!
//! Links in it are not followed, so nothing is read twice and none leads out of it.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use journal_file::Extent;
use memchr::memmem;

use super::archive::{Name, origin};
use super::stream::Stream;
use super::{Damaged, Fill, Input, Member, Notice, Settings, Source, SourceError};
use kata_records::entry::Batch;

/// How many files without a log are looked at at most before the caller is asked whether to go on.
const STEPS: usize = 256;

/// How much of a file tells whether it is katalog's.
const HEAD: usize = 8 << 10;

/// The files below a directory.
pub(super) struct Folder {
    root: PathBuf,
    /// The file or directory that is written to, by device and inode: what comes out is not to go in again.
    written: Option<(u64, u64)>,
    settings: Settings,
    logs: bool,
    /// What is yet to be looked at, the next last.
    ahead: Vec<PathBuf>,
    /// The file that is being read.
    open: Option<Opened>,
    /// There was something to be read.
    found: bool,
    journals: Vec<Member>,
    notices: Vec<Notice>,
    damages: Vec<Damaged>,
}

struct Opened {
    input: Input,
    name: Name,
    origin: [u8; 16],
    stream: Stream,
}

impl Folder {
    /// Reads a directory, but nothing of what is `written`. Without `logs`, the journals in it only.
    pub(super) fn new(root: PathBuf, written: &Path, logs: bool, settings: &Settings) -> Folder {
        let mut folder = Folder {
            written: fs::metadata(written).ok().as_ref().map(identity),
            settings: *settings,
            logs,
            ahead: Vec::new(),
            open: None,
            found: false,
            journals: Vec::new(),
            notices: Vec::new(),
            damages: Vec::new(),
            root,
        };
        folder.list(&folder.root.clone());
        folder
    }

    /// Has the files of a directory looked at next.
    fn list(&mut self, directory: &Path) {
        let read = |entries: fs::ReadDir| entries.map(|entry| entry.map(|entry| entry.path())).collect();
        match fs::read_dir(directory).and_then(read) {
            Ok(paths) => {
                let mut paths: Vec<PathBuf> = paths;
                paths.sort_unstable_by(|a, b| b.cmp(a));
                self.ahead.append(&mut paths);
            }
            Err(cause) => self.failed(SourceError::Open { input: Input::File(directory.to_owned()), cause }),
        }
    }

    fn failed(&mut self, error: SourceError) {
        self.found = true;
        self.notices.push(Notice::Failed(error));
    }

    /// Looks at what comes next. False where nothing does.
    fn step(&mut self) -> bool {
        let Some(path) = self.ahead.pop() else { return false };
        match fs::symlink_metadata(&path) {
            Ok(metadata) if self.written == Some(identity(&metadata)) => {}
            Ok(metadata) if metadata.is_dir() => self.list(&path),
            Ok(metadata) if metadata.is_file() => self.begin(path, metadata.len()),
            Ok(_) => {}
            // It has just gone.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => self.failed(SourceError::Open { input: Input::File(path), cause }),
        }
        true
    }

    /// Opens a file, whatever it is: what it begins with tells journals and archives from all others, and the name logs.
    fn begin(&mut self, path: PathBuf, length: u64) {
        let below = path.strip_prefix(&self.root).unwrap_or(&path);
        let within = Path::new(self.root.file_name().unwrap_or_default()).join(below);
        let name = Name::of(&within);
        self.found |= self.logs && name.is_log;
        if length == 0 {
            return;
        }
        let input = Input::File(path.clone());
        match File::open(&path) {
            Ok(file) => {
                let (origin, file) = (origin(&within), Extent::from(file));
                if name.is_log && is_output(&file) {
                    return self.notices.push(Notice::PassedOver(input));
                }
                let stream = Stream::of_file(file, input.clone(), &self.settings);
                let stream = stream.with_logs(self.logs).found(within, name.is_log);
                self.open = Some(Opened { input, name, origin, stream });
            }
            Err(cause) => self.refused(&input, name, SourceError::Open { input: input.clone(), cause }),
        }
    }

    /// Takes note of what cannot be read, if the name says that it should be.
    fn refused(&mut self, input: &Input, name: Name, error: SourceError) {
        if (name.is_log || name.is_journal) && !matches!(error, SourceError::NoJournal { .. }) {
            self.failed(error);
        } else {
            self.notices.push(Notice::PassedOver(input.clone()));
        }
    }
}

/// Whether records of katalog's stand there: what an earlier run wrote is not to be read with what it was made of.
fn is_output(file: &Extent) -> bool {
    let mut head = [0; HEAD];
    file.read_at(&mut head, 0).is_ok_and(|len| memmem::find(&head[..len], b"\"kata_component\":\"").is_some())
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Source for Folder {
    fn fill(&mut self, batch: &mut Batch) -> Result<Fill, SourceError> {
        batch.clear();
        for _ in 0..STEPS {
            let Some(open) = &mut self.open else {
                if self.step() {
                    continue;
                }
                if std::mem::replace(&mut self.found, true) {
                    return Ok(Fill::End);
                }
                return Err(SourceError::Directory { input: Input::File(self.root.clone()) });
            };
            let filled = open.stream.fill(batch);
            if !open.stream.is_archive() {
                (batch.origin, batch.unclaimed) = (open.origin, !open.name.is_own);
            }
            self.damages.append(&mut open.stream.damages());
            self.notices.append(&mut open.stream.notices());
            if matches!(filled, Ok(Fill::More | Fill::Idle)) {
                return Ok(Fill::More);
            }
            if let Some(mut open) = self.open.take() {
                let mut journals = open.stream.journals();
                self.found |= open.stream.is_archive() || !journals.is_empty();
                self.journals.append(&mut journals);
                if let Err(error) = filled {
                    self.refused(&open.input, open.name, error);
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
