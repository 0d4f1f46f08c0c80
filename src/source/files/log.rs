//! One log: what was written into a file from its creation or truncation on, wherever that is by now, how far it was
//! read, and whether it still is.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::find::{Candidate, Key, family};
use super::identity::{self, Likeness, Origin};
use super::tail::{Seen, Tail, peek, seen};
use crate::source::position::{FilePosition, HEAD};

/// What is done with a log.
pub(super) enum Stage {
    /// It is read.
    Open(Box<Tail>),
    /// It was read to its end, or is older than what is followed. So it was when that was found.
    Closed(Option<Seen>),
    /// Its file is gone or holds another log. What was in it may be in a copy.
    Lost(Lost),
    /// It is no log, or cannot be read. So it was when that was found.
    Refused(Option<Seen>),
}

/// What is known of a log that has no file.
pub(super) struct Lost {
    /// What was in hand of it.
    pub(super) rest: Option<Box<Tail>>,
    /// How often it was looked for.
    pub(super) looks: u32,
    /// Since when.
    pub(super) since: Instant,
    /// There are files that may be copies of it and are not complete.
    pub(super) waits: bool,
}

impl Lost {
    pub(super) fn new(rest: Option<Box<Tail>>) -> Lost {
        Lost { rest, looks: 0, since: Instant::now(), waits: false }
    }
}

/// A log that is or was followed, or that stands beside one.
pub(super) struct Log {
    /// The name that it is followed under. If it has another one, it was rotated away.
    pub(super) home: PathBuf,
    /// Its name when it was seen last.
    pub(super) path: PathBuf,
    /// What its name has in common with those that rotation gives.
    pub(super) family: PathBuf,
    pub(super) key: Key,
    /// What its positions are told from those of others by.
    pub(super) name: String,
    /// Where the ids of its entries come from, once its first line is known.
    origin: Option<Origin>,
    pub(super) stage: Stage,
    /// What it began with when it was not open any more.
    head: Vec<u8>,
    /// What another run has left, as long as its file was not found.
    saved: Option<FilePosition>,
    /// How much of it belongs to entries that were given out whole.
    pub(super) offset: u64,
    /// How much of what it begins with was known then.
    told: usize,
    /// Since when it has not been at home.
    pub(super) left: Option<Instant>,
    /// When something was read last.
    pub(super) news: Instant,
    /// It was read to its end when it was looked at last.
    pub(super) at_end: bool,
    /// It was read to its end once, and nothing more was expected.
    pub(super) over: bool,
    /// Its position changed since it was asked for.
    pub(super) dirty: bool,
    /// It was said that it cannot be read.
    pub(super) said: bool,
}

impl Log {
    /// A log whose file was found.
    pub(super) fn new(candidate: &Candidate, name: String, stage: Stage) -> Log {
        let mut log = Log {
            home: PathBuf::new(),
            path: PathBuf::new(),
            family: candidate.family.clone(),
            key: candidate.key,
            name,
            origin: None,
            stage,
            head: Vec::new(),
            saved: None,
            offset: 0,
            told: 0,
            left: None,
            news: Instant::now(),
            at_end: false,
            over: false,
            dirty: true,
            said: false,
        };
        log.home = home(&candidate.path);
        log.seat(candidate);
        log
    }

    /// A log that another run has read.
    pub(super) fn saved(saved: &FilePosition) -> Log {
        let key = Key { device: saved.device, inode: saved.inode, born: None };
        Log {
            home: home(&saved.path),
            path: saved.path.clone(),
            family: family(&saved.path),
            key,
            name: saved.origin.clone(),
            origin: None,
            stage: Stage::Lost(Lost::new(None)),
            head: Vec::new(),
            saved: Some(saved.clone()),
            offset: saved.offset,
            told: saved.head as usize,
            left: None,
            news: Instant::now(),
            at_end: false,
            over: saved.over,
            dirty: false,
            said: false,
        }
    }

    /// Takes note of where its file is.
    pub(super) fn seat(&mut self, candidate: &Candidate) {
        self.dirty |= self.key != candidate.key || self.path != candidate.path;
        self.key = candidate.key;
        self.path.clone_from(&candidate.path);
        if candidate.named && self.path == self.home {
            self.left = None;
        } else if self.left.is_none() {
            self.leave();
        }
    }

    /// It is not at home any more.
    pub(super) fn leave(&mut self) {
        self.left = Some(Instant::now());
        self.at_end = false;
    }

    /// Goes on with it in a file that holds it.
    pub(super) fn find(&mut self, candidate: &Candidate, head: Vec<u8>, stage: Stage) {
        // A position that another run has left says of the inode only what it was.
        self.dirty |= self.saved.take().is_none_or(|saved| head.len() > saved.head as usize);
        self.stage = stage;
        self.head = head;
        self.left = None;
        self.seat(candidate);
        self.over = matches!(self.stage, Stage::Closed(_));
        (self.at_end, self.said, self.news) = (false, false, Instant::now());
    }

    /// Its file is gone, or holds another log.
    pub(super) fn lose(&mut self) {
        self.head = self.head().to_vec();
        let closed = std::mem::replace(&mut self.stage, Stage::Closed(None));
        let rest = match closed {
            Stage::Open(tail) => Some(Box::new((*tail).into_rest())),
            Stage::Closed(_) | Stage::Lost(_) | Stage::Refused(_) => None,
        };
        self.stage = Stage::Lost(Lost::new(rest));
    }

    pub(super) fn tail(&self) -> Option<&Tail> {
        if let Stage::Open(tail) = &self.stage { Some(tail) } else { None }
    }

    pub(super) fn tail_mut(&mut self) -> Option<&mut Tail> {
        if let Stage::Open(tail) = &mut self.stage { Some(tail) } else { None }
    }

    pub(super) fn lost(&self) -> Option<&Lost> {
        if let Stage::Lost(lost) = &self.stage { Some(lost) } else { None }
    }

    /// Whether it is what was in hand of a log that is nowhere any more.
    pub(super) fn is_rest(&self) -> bool {
        self.tail().is_some_and(Tail::is_rest)
    }

    /// Whether it has a file.
    pub(super) fn is_held(&self) -> bool {
        self.lost().is_none() && !self.is_rest()
    }

    /// Whether anything of it is known.
    pub(super) fn is_told(&self) -> bool {
        self.told() > 0
    }

    /// How much of what it begins with is known.
    pub(super) fn told(&self) -> usize {
        self.saved.as_ref().map_or(self.head().len(), |saved| saved.head as usize)
    }

    /// What it begins with, as far as it is known.
    pub(super) fn head(&self) -> &[u8] {
        self.tail().map_or(&self.head, Tail::head)
    }

    /// Where the ids of its entries come from. `all` says that nothing follows what is known of it.
    pub(super) fn origin(&mut self, most: usize, all: bool) -> Origin {
        if self.origin.is_none() {
            self.origin = identity::origin(self.head(), most, all);
        }
        self.origin.unwrap_or_default()
    }

    /// Takes note of how far it is read.
    pub(super) fn note(&mut self) {
        let Some(tail) = self.tail() else { return };
        // What it begins with counts too: the file may have to be found by it.
        let (settled, told) = (tail.settled(), tail.head().len());
        self.dirty |= (settled, told) != (self.offset, self.told);
        (self.offset, self.told) = (settled, told);
    }

    /// Closes the file, which was read to its end. It stays known.
    pub(super) fn close(&mut self) {
        self.note();
        let Some(tail) = self.tail() else { return };
        let seen = seen(tail.file()).ok();
        self.head = tail.head().to_vec();
        self.stage = Stage::Closed(seen);
        self.over = true;
        self.dirty = true;
    }

    /// Whether nothing more is expected of it: it has not been at home, nor given anything, for this long.
    pub(super) fn settled_for(&self, time: Duration) -> bool {
        self.left.is_some_and(|left| left.elapsed() >= time) && self.news.elapsed() >= time
    }

    /// Whether a file that begins with `head` may be this log, or a copy of it. If its own file is still there, all that
    /// is in it now counts, whether it was read or not.
    pub(super) fn likeness(&self, head: &[u8]) -> Likeness {
        if let Some(saved) = &self.saved {
            return identity::likeness_of(saved, head);
        }
        let known = self.head();
        let now = self.tail().filter(|tail| !tail.is_rest()).and_then(|tail| peek(tail.file()).ok());
        let now = now.map(|peek| peek.head).filter(|now| now.starts_with(known));
        let whole = now.is_some() || matches!(self.stage, Stage::Closed(_));
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
        let (length, hash, prints) = match &self.saved {
            Some(saved) => (saved.head, saved.hash.clone(), saved.prints.clone()),
            None => (head.len() as u32, identity::hash(head), identity::prints(head)),
        };
        FilePosition {
            path: self.path.clone(),
            device: self.key.device,
            inode: self.key.inode,
            head: length,
            hash,
            prints,
            offset: self.offset,
            origin: self.name.clone(),
            over: self.over,
            gone: false,
        }
    }
}

/// The name that a file had before it got one from rotation, if there is such a file by now.
pub(super) fn home(path: &Path) -> PathBuf {
    let family = family(path);
    if family.is_file() { family } else { path.to_owned() }
}

/// Why a file cannot be opened.
pub(super) enum Refusal {
    /// It is not there any more, or another file is.
    Gone,
    /// The system refuses it.
    Denied(io::Error),
}

/// Opens a file, if it is the one that was found.
pub(super) fn open(path: &Path, key: Key) -> Result<Arc<File>, Refusal> {
    let refusal = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Refusal::Gone,
        _ => Refusal::Denied(cause),
    };
    // To open a pipe that has taken its place would wait.
    if !fs::metadata(path).map_err(refusal)?.is_file() {
        return Err(Refusal::Gone);
    }
    let file = File::open(path).map_err(refusal)?;
    let metadata = file.metadata().map_err(refusal)?;
    if Key::of(&metadata) == key { Ok(Arc::new(file)) } else { Err(Refusal::Gone) }
}
