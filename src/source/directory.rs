//! Reads a directory without journals of its own: first the logs below it, ordered by name. Its journals are set aside
//! until all are known. A directory behaves like an archive of it.
//!
//! Symbolic links are not followed, so nothing is read twice and nothing outside is read.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use journal_file::FileRange;
use memchr::memmem;

use super::archive::{PathClass, member_origin};
use super::codec;
use super::input;
use super::route;
use super::stream::Stream;
use super::{Event, Fill, Filled, Input, Logs, Settings, Source, SourceError};
use kata_records::Batch;

/// The limit of files without a log before control returns to the caller.
const MAX_STEPS: usize = 256;

/// The number of bytes searched for katalog's records.
const HEAD: usize = 8 << 10;

/// A source of the files below a directory.
pub(super) struct DirectorySource {
    root: PathBuf,
    /// The root without symbolic links.
    resolved_root: PathBuf,
    /// Device and inode of the output, which must not be read as input.
    output: Option<(u64, u64)>,
    settings: Settings,
    logs: Logs,
    /// The paths still to visit; the last is next.
    pending: Vec<PathBuf>,
    /// The file being read.
    open: Option<OpenFile>,
    /// A log was reported as refused.
    logs_refused: bool,
    /// Something readable was found.
    found_any: bool,
    events: Vec<Event>,
}

struct OpenFile {
    input: Input,
    class: PathClass,
    origin: [u8; 16],
    stream: Stream,
}

/// Returns the files below a directory that are read, in reading order, and the directories that cannot be listed.
pub(super) fn readable_files(root: &Path) -> Vec<PathBuf> {
    let mut source = DirectorySource::new(root.to_owned(), Path::new(""), Logs::Read, &Settings::default());
    let mut found = Vec::new();
    while let Some(path) = source.pending.pop() {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                source.events.clear();
                source.list(&path);
                if !source.events.is_empty() {
                    found.push(path);
                }
            }
            Ok(metadata) if metadata.is_file() && source.is_read(&path) => found.push(path),
            _ => {}
        }
    }
    found
}

impl DirectorySource {
    /// Reads one file of a directory as if the directory were read.
    pub(super) fn of_file(root: PathBuf, path: PathBuf, logs: Logs, settings: &Settings) -> DirectorySource {
        DirectorySource { pending: vec![path], ..DirectorySource::unlisted(root, Path::new(""), logs, settings) }
    }

    /// Reads a directory except `output`.
    pub(super) fn new(root: PathBuf, output: &Path, logs: Logs, settings: &Settings) -> DirectorySource {
        let mut source = DirectorySource::unlisted(root, output, logs, settings);
        source.list(&source.root.clone());
        source
    }

    fn unlisted(root: PathBuf, output: &Path, logs: Logs, settings: &Settings) -> DirectorySource {
        DirectorySource {
            output: fs::metadata(output).ok().as_ref().map(device_and_inode),
            settings: settings.clone(),
            logs,
            pending: Vec::new(),
            open: None,
            logs_refused: false,
            found_any: false,
            events: Vec::new(),
            resolved_root: route::resolved(&root),
            root,
        }
    }

    /// Queues the entries of a directory to be visited next.
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
        self.events.push(Event::Failed(error));
    }

    /// Visits the next path. Returns `false` at the end.
    fn advance(&mut self) -> bool {
        let Some(path) = self.pending.pop() else { return false };
        match fs::symlink_metadata(&path) {
            Ok(metadata) if self.output == Some(device_and_inode(&metadata)) => {}
            Ok(metadata) if metadata.is_dir() => self.list(&path),
            Ok(metadata) if metadata.is_file() => self.open_file(path, metadata.len()),
            Ok(metadata) if metadata.is_symlink() => {}
            // A pipe would wait for a writer, and a device may have no end.
            Ok(_) => self.events.push(Event::PassedOver(Input::File(path))),
            // The file was deleted meanwhile.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => self.report(SourceError::Open { input: Input::File(path), cause }),
        }
        true
    }

    /// Returns the path of a file within the directory, which begins with the directory's name.
    fn within(&self, path: &Path) -> PathBuf {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        Path::new(self.root.file_name().unwrap_or_default()).join(below)
    }

    /// Returns whether a file is read: it is a log by its name, a journal or an archive.
    fn is_read(&self, path: &Path) -> bool {
        let class = PathClass::of(&self.within(path));
        match input::open_found(path) {
            Ok(file) if class.is_log => !holds_records(&FileRange::from(file)),
            Ok(file) => class.is_journal || codec::detect_content(Box::new(file)).is_some(),
            Err(_) => class.is_log || class.is_journal,
        }
    }

    /// Opens a file. Its content identifies journals and archives; its name identifies logs.
    fn open_file(&mut self, path: PathBuf, length: u64) {
        let within = self.within(&path);
        let class = PathClass::of(&within);
        self.found_any |= self.logs == Logs::Read && class.is_log;
        if length == 0 {
            return;
        }
        let input = Input::File(path.clone());
        match input::open_found(&path) {
            Ok(file) => {
                let (origin, file) = (member_origin(&within), FileRange::from(file));
                if class.is_log && holds_records(&file) {
                    return self.events.push(Event::PassedOver(input));
                }
                let stream = Stream::of_file(file, input.clone(), &self.settings);
                let whole = self.resolved_root.join(path.strip_prefix(&self.root).unwrap_or(&path));
                let stream = stream.with_logs(self.logs).in_directory(within, whole, class);
                self.open = Some(OpenFile { input, class, origin, stream });
            }
            Err(cause) => self.report_if_expected(&input, class, SourceError::Open { input: input.clone(), cause }),
        }
    }

    /// Reports an unreadable file if its name marks a log or journal; otherwise the file is passed over. Of logs that a
    /// flag refuses, only the first is reported.
    fn report_if_expected(&mut self, input: &Input, class: PathClass, error: SourceError) {
        if let SourceError::LogRefused { input, flag, .. } = error {
            self.report_refused(input, flag);
        } else if (class.is_log || class.is_journal) && !matches!(error, SourceError::NoJournal { .. }) {
            self.report(error);
        } else {
            self.events.push(Event::PassedOver(input.clone()));
        }
    }
}

impl DirectorySource {
    /// Reports the first log that a flag refuses. The others are passed over.
    fn report_refused(&mut self, input: Input, flag: &'static str) {
        if std::mem::replace(&mut self.logs_refused, true) {
            return self.events.push(Event::PassedOver(input));
        }
        let others_of = Some(Input::File(self.root.clone()));
        self.report(SourceError::LogRefused { input, flag, others_of });
    }
}

/// Returns whether a file holds katalog's records: the output of an earlier run must not be read with its input.
fn holds_records(file: &FileRange) -> bool {
    let mut head = [0; HEAD];
    file.read_at(&mut head, 0).is_ok_and(|len| memmem::find(&head[..len], b"\"kata_component\":\"").is_some())
}

fn device_and_inode(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl DirectorySource {
    fn fill_batch(&mut self, batch: &mut Batch) -> Result<Fill, SourceError> {
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
            let filled = open.stream.fill_batch(batch);
            let is_archive = open.stream.is_archive();
            if !is_archive {
                (batch.origin, batch.unclaimed) = (open.origin, !open.class.is_kata);
            }
            let mut events = open.stream.take_events();
            self.found_any |= is_archive || events.iter().any(|event| matches!(event, Event::Journal(_)));
            self.events.append(&mut events);
            if matches!(filled, Ok(Fill::More | Fill::Idle)) {
                return Ok(Fill::More);
            }
            if let Some(open) = self.open.take()
                && let Err(error) = filled
            {
                self.report_if_expected(&open.input, open.class, error);
            }
            if !batch.is_empty() {
                return Ok(Fill::More);
            }
        }
        Ok(Fill::More)
    }
}

impl Source for DirectorySource {
    fn fill(&mut self, batch: &mut Batch) -> Filled {
        let filled = self.fill_batch(batch);
        Filled::new(filled, std::mem::take(&mut self.events))
    }
}
