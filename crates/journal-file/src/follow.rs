//! Journals that are being written: when to look for more entries, and which files there are by now.
//!
//! A writer maps its files, so the system does not tell of what it writes. journald says so itself, by a length that it
//! sets anew, at most every 250 ms (systemd: `journal_file_post_change`). So while entries come, the headers are read
//! every few milliseconds, and after a quiet second the directories are waited on.
//!
//! A file is known by its device, its inode and its path as long as it is there, and by the id in its header: it may get
//! another name (rotation), or become another file with the same contents (btrfs). What was archived and deleted between
//! two looks is lost; what was only archived is found by its id, which is new. An inode by itself says nothing once a file
//! is closed, because the next file may get it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::damage::{Damage, Damaged};
use crate::directory::{self, Candidate, FoundFiles, Stage};
use crate::directory_watch::DirectoryWatch;
use crate::error::Error;
use crate::file_reader::{FileReader, FileState};
use crate::open_file::OpenFile;
use crate::settings::Settings;

/// While entries come, the time between two looks: from the one, which is for a stream of them, to the other.
const SHORTEST: Duration = Duration::from_millis(2);
const LONGEST: Duration = Duration::from_millis(10);
/// For how long after an entry another one is expected.
const BUSY: Duration = Duration::from_secs(1);
/// The time between two looks where nothing happens.
const QUIET: Duration = Duration::from_secs(1);
/// The time between two searches for new files, if nothing tells of one.
const SEARCH: Duration = Duration::from_secs(5);
/// When a file that has no header yet is tried again.
const RETRY: Duration = Duration::from_millis(20);
/// How often it is tried before it is taken for damaged. Later searches try it again and say nothing.
const TRIES: u8 = 10;
/// How often files are searched for at the beginning, until no new one appears meanwhile.
const FIRST_SEARCHES: usize = 3;

/// A file that is or was read.
#[derive(Clone, Copy, Debug)]
struct KnownFile {
    device: u64,
    inode: u64,
    file_id: [u8; 16],
    /// The source of its sequence numbers, and the last one that it had when it was opened.
    seqnum_id: [u8; 16],
    seqnum: u64,
}

impl KnownFile {
    fn is(&self, candidate: &Candidate) -> bool {
        (self.device, self.inode) == (candidate.device, candidate.inode)
    }
}

/// What following needs to know beside the files that are open.
pub(crate) struct Follow<'r> {
    inputs: Vec<PathBuf>,
    settings: Settings,
    opener: &'r dyn OpenFile,
    /// The files that are there, by their paths.
    known: HashMap<PathBuf, KnownFile>,
    /// How often files were tried that cannot be opened.
    refused: HashMap<PathBuf, u8>,
    watch: DirectoryWatch,
    /// Entries are expected until then.
    busy: Instant,
    /// The time to the next look, while entries are expected.
    pause: Duration,
    /// The last look.
    looked: Instant,
    /// The next search for new files.
    search: Instant,
}

/// What a search has shown.
#[derive(Default)]
pub(crate) struct SearchResult {
    /// Files that were not there before.
    pub(crate) fresh: Vec<FileReader>,
    /// Files that cannot be opened.
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

    /// Adds to the files of the beginning those that have appeared meanwhile, until no more do.
    pub(crate) fn begin(&mut self, windows: usize, readers: &mut Vec<FileReader>) {
        for _ in 0..FIRST_SEARCHES {
            let found = self.search(windows, &mut readers.iter_mut().collect::<Vec<_>>());
            if found.fresh.is_empty() {
                break;
            }
            readers.extend(found.fresh);
        }
    }

    /// Takes note of a file that was opened, and lets it be followed. `false` if it is open already.
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
            // It has this name, so all was written before it was opened.
            reader.live.state = FileState::Finished;
        }
        self.known.insert(candidate.path.clone(), known).is_none_or(|before| !before.is(candidate))
    }

    /// Takes note of a file that could not be opened at the beginning. `true` if that is to be said: where a file has no
    /// header, its writer may be about to write it.
    pub(crate) fn refuse(&mut self, path: &Path, error: &Error) -> bool {
        let said = matches!(error, Error::Open { .. });
        self.refused.insert(path.to_owned(), if said { TRIES } else { 0 });
        said
    }

    /// The files that there are now. Beside a file that was named, also those that were archived from there since it was
    /// opened; there may have been several of them.
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

    /// Looks which files there are, opens those that are new, and tells those that are open what became of them.
    pub(crate) fn search(&mut self, windows: usize, open: &mut [&mut FileReader]) -> SearchResult {
        let (mut found, mut complete) = self.find();
        if self.watch.add(&found.directories) {
            // Something may have come into a directory before it was watched.
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
            let of = |id: [u8; 16]| move |reader: &&mut &mut FileReader| reader.file.header().file_id == id;
            if let Some(known) = same {
                let reader = open.iter_mut().find(of(known.file_id));
                // A file that is closed can have given its inode to another, but not with the name of an archived one.
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
            // What could not be looked at is not gone.
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

/// Tells a file that is open where it was found.
fn settle(reader: &mut FileReader, candidate: &Candidate) {
    if reader.path != candidate.path {
        reader.path.clone_from(&candidate.path);
    }
    if reader.live.state == FileState::Active && candidate.stage != Stage::Current {
        reader.live.state = FileState::Rotated;
    }
}
