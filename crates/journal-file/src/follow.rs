//! Journals that are being written: the times of looks for more entries, and the search for new files.
//!
//! A writer maps its files, so the system does not report its writes. journald triggers a report by setting the length
//! of the file anew, at most every 250 ms (systemd: `journal_file_post_change`). While entries come, headers are read
//! every few milliseconds. After a quiet second, the directories are watched instead.
//!
//! Device, inode and path identify a file while it exists, and so does the id in its header: a file may be renamed
//! (rotation), or be replaced with another file of equal contents (btrfs). Files that were archived and deleted between
//! two looks are lost. Files that were only archived are found by their ids. The inode of a closed file proves nothing,
//! because the next file may get it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::damage::{Damage, Damaged};
use crate::directory::{self, Candidate, FoundFiles, Stage};
use crate::directory_watch::DirectoryWatch;
use crate::error::Error;
use crate::file_reader::{FileReader, FileReaders, FileState};
use crate::open_file::OpenFile;
use crate::settings::Settings;

/// The shortest and the longest time between two looks while entries are expected.
const SHORTEST: Duration = Duration::from_millis(2);
const LONGEST: Duration = Duration::from_millis(10);
/// The time after an entry in which another one is expected.
const BUSY: Duration = Duration::from_secs(1);
/// The time between two looks without changes.
const QUIET: Duration = Duration::from_secs(1);
/// The time between two searches for new files without a report of a change.
const SEARCH: Duration = Duration::from_secs(5);
/// The time until a file without a header is tried again.
const RETRY: Duration = Duration::from_millis(20);
/// The number of tries before a file counts as damaged. Later searches try again silently.
const TRIES: u8 = 10;
/// The most searches at the beginning, which continue while new files appear.
const FIRST_SEARCHES: usize = 3;

/// A file that is or was read.
#[derive(Clone, Copy, Debug)]
struct KnownFile {
    device: u64,
    inode: u64,
    file_id: [u8; 16],
    /// The source of the sequence numbers, and the last of them when the file was opened.
    seqnum_id: [u8; 16],
    seqnum: u64,
}

impl KnownFile {
    fn is(&self, candidate: &Candidate) -> bool {
        (self.device, self.inode) == (candidate.device, candidate.inode)
    }
}

/// The search for new files, and the timing of looks at open ones.
pub(crate) struct Follow<'r> {
    inputs: Vec<PathBuf>,
    settings: Settings,
    opener: &'r dyn OpenFile,
    /// The existing files by their paths.
    known: HashMap<PathBuf, KnownFile>,
    /// The number of failed tries, for files that cannot be opened.
    refused: HashMap<PathBuf, u8>,
    watch: DirectoryWatch,
    /// Entries are expected until this time.
    busy: Instant,
    /// The time until the next look, while entries are expected.
    pause: Duration,
    /// The time of the last look.
    looked: Instant,
    /// The time of the next search for new files.
    search: Instant,
}

/// The results of a search for new files.
#[derive(Default)]
pub(crate) struct SearchResult {
    /// The readers of files that did not exist before.
    pub(crate) fresh: FileReaders,
    /// The files that cannot be opened.
    pub(crate) damages: Vec<Damaged>,
}

impl<'r> Follow<'r> {
    pub(crate) fn new(inputs: &[PathBuf], settings: &Settings, opener: &'r dyn OpenFile) -> Follow<'r> {
        let now = Instant::now();
        Follow {
            inputs: inputs.to_vec(),
            settings: settings.clone(),
            opener,
            known: HashMap::new(),
            refused: HashMap::new(),
            watch: DirectoryWatch::new(),
            busy: now + BUSY,
            pause: SHORTEST,
            looked: now,
            search: now + SEARCH,
        }
    }

    /// Adds the files that have appeared since the first search, until no more appear.
    pub(crate) fn begin(&mut self, windows: usize, readers: &mut FileReaders) {
        for _ in 0..FIRST_SEARCHES {
            let found = self.search(windows, &mut readers.iter_mut().collect::<Vec<_>>());
            if found.fresh.is_empty() {
                break;
            }
            readers.extend(found.fresh);
        }
    }

    /// Registers an opened file and prepares its reader for following. Returns `false` if the file is open already.
    pub(crate) fn admit(&mut self, candidate: &Candidate, reader: &mut FileReader) -> bool {
        let header = reader.file.header();
        let known = KnownFile {
            device: candidate.device,
            inode: candidate.inode,
            file_id: header.file_id,
            seqnum_id: header.seqnum_id,
            seqnum: header.tail_entry_seqnum,
        };
        reader.follow();
        if candidate.stage != Stage::Current {
            // The name says that the file was complete before it was opened.
            reader.live.state = FileState::Finished;
        }
        self.known.insert(candidate.path.clone(), known).is_none_or(|before| !before.is(candidate))
    }

    /// Registers a file that could not be opened at the beginning. Returns whether to report that: the writer of a file
    /// without a header may be about to write it.
    pub(crate) fn refuse(&mut self, path: &Path, error: &Error) -> bool {
        let reported = matches!(error, Error::Open { .. });
        self.refused.insert(path.to_owned(), if reported { TRIES } else { 0 });
        reported
    }

    /// Finds the current files. Includes all files that were archived from a named file since it was opened.
    fn find(&self) -> (FoundFiles, bool) {
        let (mut found, errors) = self.settings.find(&self.inputs, self.opener);
        for input in &self.inputs {
            let mut archived = directory::archived_from(input, self.opener);
            archived.files.retain(|candidate| match candidate.stage {
                Stage::Archived { seqnum_id, seqnum, .. } => {
                    let known = self.known.values().filter(|known| known.seqnum_id == seqnum_id);
                    known.map(|known| known.seqnum).max().is_some_and(|known| seqnum > known)
                        || self.known.get(&candidate.path).is_some_and(|known| known.is(candidate))
                }
                _ => false,
            });
            found.files.append(&mut archived.files);
            found.directories.append(&mut archived.directories);
        }
        (found, errors.is_empty())
    }

    /// Finds the current files, opens new ones, and updates the paths and states of open ones.
    pub(crate) fn search(&mut self, windows: usize, open: &mut [&mut Box<FileReader>]) -> SearchResult {
        let (mut found, mut complete) = self.find();
        if self.watch.add(&found.directories) {
            // A file may have appeared in a directory before the watch began.
            (found, complete) = self.find();
        }
        let mut search = SearchResult::default();
        let before = std::mem::take(&mut self.known);
        let mut refused = std::mem::take(&mut self.refused);
        for candidate in found.files {
            if self.known.get(&candidate.path).is_some_and(|known| known.is(&candidate)) {
                continue;
            }
            let same = before.get(&candidate.path).filter(|known| known.is(&candidate)).copied();
            let of = |id: [u8; 16]| move |reader: &&mut &mut Box<FileReader>| reader.file.header().file_id == id;
            if let Some(known) = same {
                let reader = open.iter_mut().find(of(known.file_id));
                // The inode of a closed file may belong to another file, but an archived file keeps its name.
                if reader.is_some() || candidate.stage != Stage::Current {
                    if let Some(reader) = reader {
                        settle(reader, &candidate);
                    }
                    self.known.insert(candidate.path, known);
                    continue;
                }
            }
            let mut reader = match FileReader::open(candidate.path.clone(), self.opener, windows) {
                Ok((reader, _)) => reader,
                Err(_) => {
                    let tries = refused.remove(&candidate.path).unwrap_or_default().saturating_add(1);
                    if tries == TRIES {
                        search.damages.push(Damaged {
                            path: candidate.path.clone(),
                            reason: Damage::Refused,
                            count: 1,
                            offset: 0,
                        });
                    }
                    self.refused.insert(candidate.path, tries);
                    continue;
                }
            };
            let id = reader.file.header().file_id;
            let fresh = before.values().chain(self.known.values()).all(|known| known.file_id != id);
            self.admit(&candidate, &mut reader);
            if let Some(reader) = open.iter_mut().find(of(id)) {
                settle(reader, &candidate);
            } else if fresh {
                search.fresh.push(reader);
            }
        }
        if !complete {
            // A file that is not accessible may still exist.
            for (path, known) in before {
                self.known.entry(path).or_insert(known);
            }
        }
        for reader in open.iter_mut() {
            if reader.live.state == FileState::Active && reader.file.deleted() {
                reader.live.state = FileState::Rotated;
            }
        }
        let soon = self.refused.values().any(|tries| *tries < TRIES);
        self.search = Instant::now() + if soon { RETRY } else { SEARCH };
        search
    }

    /// Waits until it is time to look again, or `limit` has passed. Returns whether there may be other files than before.
    pub(crate) fn wait(&mut self, limit: Duration) -> bool {
        let now = Instant::now();
        let until = self.search.saturating_duration_since(now).min(limit);
        let changed = if now < self.busy {
            std::thread::sleep(self.pause.min(until));
            self.pause = (self.pause * 2).min(LONGEST);
            self.watch.wait(Duration::ZERO)
        } else {
            self.watch.wait(until)
        };
        changed || Instant::now() >= self.search
    }

    /// Returns whether the last look is long ago.
    pub(crate) fn is_due(&self) -> bool {
        self.looked.elapsed() > QUIET
    }

    /// Returns whether there may be other files than before, without waiting.
    pub(crate) fn has_news(&mut self) -> bool {
        self.watch.wait(Duration::ZERO) || Instant::now() >= self.search
    }

    /// Notes a look, and whether it has shown entries: then more of them are expected soon.
    pub(crate) fn note_look(&mut self, came: bool) {
        self.looked = Instant::now();
        if came {
            self.busy = self.looked + BUSY;
            self.pause = SHORTEST;
        }
    }
}

/// Updates the path and the state of an open file.
fn settle(reader: &mut FileReader, candidate: &Candidate) {
    if reader.path != candidate.path {
        reader.path.clone_from(&candidate.path);
    }
    if reader.live.state == FileState::Active && candidate.stage != Stage::Current {
        reader.live.state = FileState::Rotated;
    }
}
