//! One log: what was written into a file from its creation or truncation on, wherever that is by now, how far it was
//! read, and whether it still is.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::identity::{self, Likeness, Origin};
use super::listing::{Candidate, FileKey, family};
use super::tail::{FileStamp, Tail, peek, stamp};
use crate::source::position::{FilePosition, HEAD};

/// What is done with a log.
pub(super) enum LogState {
    /// It is read.
    Open(Box<Tail>),
    /// It was read to its end, or is older than what is followed. So it was when that was found.
    Closed(Option<FileStamp>),
    /// Its file is gone or holds another log. What was in it may be in a copy.
    Lost(Lost),
    /// It is no log, or cannot be read. So it was when that was found.
    Refused(Option<FileStamp>),
}

/// What is known of a log that has no file.
pub(super) struct Lost {
    /// What was in hand of it.
    pub(super) rest: Option<Box<Tail>>,
    /// How often it was looked for.
    pub(super) searches: u32,
    /// Since when.
    pub(super) since: Instant,
    /// There are files that may be copies of it and are not complete.
    pub(super) waits: bool,
}

impl Lost {
    pub(super) fn new(rest: Option<Box<Tail>>) -> Lost {
        Lost { rest, searches: 0, since: Instant::now(), waits: false }
    }
}

/// A log that is or was followed, or that stands beside one.
pub(super) struct Log {
    /// The name that it is followed under. If it has another one, it was rotated away.
    pub(super) active_path: PathBuf,
    /// Its name when it was seen last.
    pub(super) path: PathBuf,
    /// What its name has in common with those that rotation gives.
    pub(super) family: PathBuf,
    pub(super) key: FileKey,
    /// What its positions are known_len from those of others by.
    pub(super) name: String,
    /// Where the ids of its entries come from, once its first line is known.
    origin: Option<Origin>,
    pub(super) state: LogState,
    /// What it began with when it was not open any more.
    head: Vec<u8>,
    /// What another run has left, as long as its file was not found.
    saved: Option<FilePosition>,
    /// How much of it belongs to entries that were given out whole.
    pub(super) offset: u64,
    /// How much of what it begins with was known then.
    known_len: usize,
    /// Since when it has not been at home.
    pub(super) rotated_at: Option<Instant>,
    /// When something was read last.
    pub(super) last_read: Instant,
    /// It was read to its end when it was looked at last.
    pub(super) at_end: bool,
    /// It was read to its end once, and nothing more was expected.
    pub(super) finished: bool,
    /// Its position changed since it was asked for.
    pub(super) dirty: bool,
    /// It was said that it cannot be read.
    pub(super) reported: bool,
}

impl Log {
    /// A log whose file was found.
    pub(super) fn new(candidate: &Candidate, name: String, state: LogState) -> Log {
        let mut log = Log {
            active_path: PathBuf::new(),
            path: PathBuf::new(),
            family: candidate.family.clone(),
            key: candidate.key,
            name,
            origin: None,
            state,
            head: Vec::new(),
            saved: None,
            offset: 0,
            known_len: 0,
            rotated_at: None,
            last_read: Instant::now(),
            at_end: false,
            finished: false,
            dirty: true,
            reported: false,
        };
        log.active_path = active_path_of(&candidate.path);
        log.set_location(candidate);
        log
    }

    /// A log that another run has read.
    pub(super) fn saved(saved: &FilePosition) -> Log {
        let key = FileKey { device: saved.device, inode: saved.inode, created: None };
        Log {
            active_path: active_path_of(&saved.path),
            path: saved.path.clone(),
            family: family(&saved.path),
            key,
            name: saved.origin.clone(),
            origin: None,
            state: LogState::Lost(Lost::new(None)),
            head: Vec::new(),
            saved: Some(saved.clone()),
            offset: saved.offset,
            known_len: saved.head as usize,
            rotated_at: None,
            last_read: Instant::now(),
            at_end: false,
            finished: saved.over,
            dirty: false,
            reported: false,
        }
    }

    /// Takes note of where its file is.
    pub(super) fn set_location(&mut self, candidate: &Candidate) {
        self.dirty |= self.key != candidate.key || self.path != candidate.path;
        self.key = candidate.key;
        self.path.clone_from(&candidate.path);
        if candidate.matches_pattern && self.path == self.active_path {
            self.rotated_at = None;
        } else if self.rotated_at.is_none() {
            self.mark_rotated();
        }
    }

    /// It is not at home any more.
    pub(super) fn mark_rotated(&mut self) {
        self.rotated_at = Some(Instant::now());
        self.at_end = false;
    }

    /// Goes on with it in a file that holds it.
    pub(super) fn reattach(&mut self, candidate: &Candidate, head: Vec<u8>, state: LogState) {
        // A position that another run has left says of the inode only what it was.
        self.dirty |= self.saved.take().is_none_or(|saved| head.len() > saved.head as usize);
        self.state = state;
        self.head = head;
        self.rotated_at = None;
        self.set_location(candidate);
        self.finished = matches!(self.state, LogState::Closed(_));
        (self.at_end, self.reported, self.last_read) = (false, false, Instant::now());
    }

    /// Its file is gone, or holds another log.
    pub(super) fn mark_lost(&mut self) {
        self.head = self.head().to_vec();
        let closed = std::mem::replace(&mut self.state, LogState::Closed(None));
        let rest = match closed {
            LogState::Open(tail) => Some(Box::new((*tail).into_rest())),
            LogState::Closed(_) | LogState::Lost(_) | LogState::Refused(_) => None,
        };
        self.state = LogState::Lost(Lost::new(rest));
    }

    pub(super) fn tail(&self) -> Option<&Tail> {
        if let LogState::Open(tail) = &self.state { Some(tail) } else { None }
    }

    pub(super) fn tail_mut(&mut self) -> Option<&mut Tail> {
        if let LogState::Open(tail) = &mut self.state { Some(tail) } else { None }
    }

    pub(super) fn lost(&self) -> Option<&Lost> {
        if let LogState::Lost(lost) = &self.state { Some(lost) } else { None }
    }

    /// Whether it is what was in hand of a log that is nowhere any more.
    pub(super) fn is_rest(&self) -> bool {
        self.tail().is_some_and(Tail::is_rest)
    }

    /// Whether it has a file.
    pub(super) fn has_file(&self) -> bool {
        self.lost().is_none() && !self.is_rest()
    }

    /// Whether anything of it is known.
    pub(super) fn is_known(&self) -> bool {
        self.known_head_len() > 0
    }

    /// How much of what it begins with is known.
    pub(super) fn known_head_len(&self) -> usize {
        self.saved.as_ref().map_or(self.head().len(), |saved| saved.head as usize)
    }

    /// What it begins with, as far as it is known.
    pub(super) fn head(&self) -> &[u8] {
        self.tail().map_or(&self.head, Tail::head)
    }

    /// Where the ids of its entries come from. `all` says that nothing follows what is known of it.
    pub(super) fn origin(&mut self, most: usize, all: bool) -> Origin {
        if self.origin.is_none() {
            self.origin = identity::entry_origin(self.head(), most, all);
        }
        self.origin.unwrap_or_default()
    }

    /// Takes note of how far it is read.
    pub(super) fn update_offset(&mut self) {
        let Some(tail) = self.tail() else { return };
        // What it begins with counts too: the file may have to be found by it.
        let (settled, known_len) = (tail.resume_offset(), tail.head().len());
        self.dirty |= (settled, known_len) != (self.offset, self.known_len);
        (self.offset, self.known_len) = (settled, known_len);
    }

    /// Closes the file, which was read to its end. It stays known.
    pub(super) fn close(&mut self) {
        self.update_offset();
        let Some(tail) = self.tail() else { return };
        let stamp = stamp(tail.file()).ok();
        self.head = tail.head().to_vec();
        self.state = LogState::Closed(stamp);
        self.finished = true;
        self.dirty = true;
    }

    /// Whether nothing more is expected of it: it has not been at home, nor given anything, for this long.
    pub(super) fn quiet_for(&self, time: Duration) -> bool {
        self.rotated_at.is_some_and(|left| left.elapsed() >= time) && self.last_read.elapsed() >= time
    }

    /// Whether a file that begins with `head` may be this log, or a copy of it. If its own file is still there, all that
    /// is in it now counts, whether it was read or not.
    pub(super) fn likeness(&self, head: &[u8]) -> Likeness {
        if let Some(saved) = &self.saved {
            return identity::likeness_to_saved(saved, head);
        }
        let known = self.head();
        let now = self.tail().filter(|tail| !tail.is_rest()).and_then(|tail| peek(tail.file()).ok());
        let now = now.map(|peek| peek.head).filter(|now| now.starts_with(known));
        let whole = now.is_some() || matches!(self.state, LogState::Closed(_));
        let known = now.as_deref().unwrap_or(known);
        match identity::likeness(known, head) {
            // A copy has no more than there is.
            Likeness::Whole if whole && known.len() < HEAD && head.len() > known.len() => Likeness::None,
            likeness => likeness,
        }
    }

    /// Where another run goes on.
    pub(super) fn position(&self) -> FilePosition {
        let head = self.head();
        let (length, hash, prefix_hashes) = match &self.saved {
            Some(saved) => (saved.head, saved.hash.clone(), saved.prints.clone()),
            None => (head.len() as u32, identity::head_hash(head), identity::prefix_hashes(head)),
        };
        FilePosition {
            path: self.path.clone(),
            device: self.key.device,
            inode: self.key.inode,
            head: length,
            hash,
            prints: prefix_hashes,
            offset: self.offset,
            origin: self.name.clone(),
            over: self.finished,
            gone: false,
        }
    }
}

/// The name that a file had before it got one from rotation, if there is such a file by now.
pub(super) fn active_path_of(path: &Path) -> PathBuf {
    let family = family(path);
    if family.is_file() { family } else { path.to_owned() }
}

/// Why a file cannot be opened.
pub(super) enum OpenError {
    /// It is not there any more, or another file is.
    Gone,
    /// The system refuses it.
    Denied(io::Error),
}

/// Opens a file, if it is the one that was found.
pub(super) fn open(path: &Path, key: FileKey) -> Result<Arc<File>, OpenError> {
    let refusal = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => OpenError::Gone,
        _ => OpenError::Denied(cause),
    };
    // To open a pipe that has taken its place would wait.
    if !fs::metadata(path).map_err(refusal)?.is_file() {
        return Err(OpenError::Gone);
    }
    let file = File::open(path).map_err(refusal)?;
    let metadata = file.metadata().map_err(refusal)?;
    if FileKey::of(&metadata) == key { Ok(Arc::new(file)) } else { Err(OpenError::Gone) }
}
