//! One log: a file under the names that rotation gives it, how far it was read, and whether it still is.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::find::{Candidate, Key, family};
use super::identity::{self, Origin};
use super::tail::{Peek, Seen, Tail, peek};
use crate::position::{FilePosition, HEAD};
use crate::source::codec::Fault;

/// Whether a file is read.
pub(super) enum Stage {
    /// It may be a copy of another log, which shows when there is something in it.
    Fresh(Tail),
    /// It is read.
    Open(Tail),
    /// It was read to its end and closed. It begins with `head`, and had been written to at `modified` last.
    Closed { head: Vec<u8>, modified: SystemTime },
    /// It is not read: it is older than what is followed, or a copy of what was read, or refused.
    Ignored { head: Vec<u8>, modified: SystemTime },
}

/// A file that is or was followed, or stands beside one.
pub(super) struct Log {
    /// The name that it is followed under. If it has another one, it was rotated away.
    pub(super) home: PathBuf,
    /// Its name when it was seen last.
    pub(super) path: PathBuf,
    /// What its name has in common with those that rotation gives.
    pub(super) family: PathBuf,
    pub(super) key: Key,
    pub(super) origin: Origin,
    pub(super) stage: Stage,
    /// How much of it belongs to entries that were given out whole.
    pub(super) offset: u64,
    /// How much of what it begins with was known then.
    told: usize,
    /// Since when it has not been at home.
    pub(super) left: Option<Instant>,
    /// Nothing of it had been read when other files were looked for last.
    pub(super) unread: bool,
    /// It was not found any more when it was looked for last.
    pub(super) missing: bool,
    /// When something was read last.
    pub(super) news: Instant,
    /// It was read to its end when it was looked at last.
    pub(super) at_end: bool,
    /// Its position changed since it was asked for.
    pub(super) dirty: bool,
    /// It was said that it cannot be read.
    pub(super) said: bool,
    /// What the file was when it was found to be a copy, as far as there was something in it.
    pub(super) judged: Option<Seen>,
}

impl Log {
    /// A log that begins with this file.
    pub(super) fn new(candidate: &Candidate, origin: Origin, stage: Stage) -> Log {
        let home = home(&candidate.path);
        let away = !candidate.named || candidate.path != home;
        Log {
            home,
            path: candidate.path.clone(),
            family: family(&candidate.path),
            key: candidate.key,
            origin,
            stage,
            offset: 0,
            told: 0,
            left: away.then(Instant::now),
            unread: true,
            missing: false,
            news: Instant::now(),
            at_end: false,
            dirty: false,
            said: false,
            judged: None,
        }
    }

    /// A file that is not to be read.
    pub(super) fn ignored(candidate: &Candidate, head: Vec<u8>) -> Log {
        Log::new(candidate, [0; 16], Stage::Ignored { head, modified: candidate.modified })
    }

    pub(super) fn tail(&self) -> Option<&Tail> {
        match &self.stage {
            Stage::Fresh(tail) | Stage::Open(tail) => Some(tail),
            Stage::Closed { .. } | Stage::Ignored { .. } => None,
        }
    }

    pub(super) fn tail_mut(&mut self) -> Option<&mut Tail> {
        match &mut self.stage {
            Stage::Fresh(tail) | Stage::Open(tail) => Some(tail),
            Stage::Closed { .. } | Stage::Ignored { .. } => None,
        }
    }

    /// What it begins with, as far as it is known.
    pub(super) fn head(&self) -> &[u8] {
        match &self.stage {
            Stage::Fresh(tail) | Stage::Open(tail) => tail.head(),
            Stage::Closed { head, .. } | Stage::Ignored { head, .. } => head,
        }
    }

    /// Takes note of how far it is read.
    pub(super) fn note(&mut self) {
        let Some(tail) = self.tail() else { return };
        // What it begins with counts too: the file may have to be found by it.
        let (settled, told) = (tail.settled(), tail.head().len());
        self.dirty |= (settled, told) != (self.offset, self.told);
        (self.offset, self.told) = (settled, told);
    }

    /// It is no copy, and will be read.
    pub(super) fn begin(&mut self) {
        let closed = Stage::Ignored { head: Vec::new(), modified: SystemTime::UNIX_EPOCH };
        self.stage = match std::mem::replace(&mut self.stage, closed) {
            Stage::Fresh(tail) => Stage::Open(tail),
            stage => stage,
        };
    }

    /// Another file has its inode. It stays known by what it began with, until it is clear that none of the new files
    /// is a copy of it.
    pub(super) fn displace(&mut self) {
        self.key = Key { device: 0, inode: 0, born: None };
        self.missing = true;
    }

    /// Closes the file, which was read to its end. It stays known.
    pub(super) fn close(&mut self) {
        self.note();
        let Some(tail) = self.tail() else { return };
        let stage = Stage::Closed { head: tail.head().to_vec(), modified: modified(tail.file()) };
        self.stage = stage;
        self.dirty = true;
    }

    /// Closes a file that is not to be read. It stays known by what it begins with.
    pub(super) fn ignore(&mut self, head: Vec<u8>) {
        let Some(tail) = self.tail() else { return };
        let stage = Stage::Ignored { head, modified: modified(tail.file()) };
        self.stage = stage;
        self.dirty = false;
    }

    /// Whether nothing more is expected of it: it has not been at home, nor given anything, for this long.
    pub(super) fn settled_for(&self, time: Duration) -> bool {
        self.left.is_some_and(|left| left.elapsed() >= time) && self.news.elapsed() >= time
    }

    /// Whether a file that begins with `head` can be a copy of this one, as it is now or was when it was read.
    pub(super) fn likeness(&self, head: &[u8]) -> Likeness {
        let known = self.head();
        let now = self.tail().and_then(|tail| peek(tail.file()).ok()).unwrap_or_default().head;
        if self.tail().is_some() && !now.starts_with(known) {
            let like = head.starts_with(known) || known.starts_with(head) || now.starts_with(head);
            return if like { Likeness::Unclear } else { Likeness::None };
        }
        let begins = |known: &[u8]| !head.is_empty() && known.starts_with(head);
        if !begins(known) && !begins(&now) {
            Likeness::None
        } else if head.len() == HEAD || head == known || head == now || head.ends_with(b"\n") {
            Likeness::Whole
        } else {
            Likeness::Part
        }
    }

    /// Where another run goes on.
    pub(super) fn position(&self) -> FilePosition {
        let head = self.head();
        let modified = match &self.stage {
            Stage::Fresh(tail) | Stage::Open(tail) => tail.modified(),
            Stage::Closed { modified, .. } | Stage::Ignored { modified, .. } => Some(*modified),
        };
        FilePosition {
            path: self.path.clone(),
            device: self.key.device,
            inode: self.key.inode,
            head: head.len() as u32,
            hash: identity::hash(head),
            offset: self.offset,
            origin: identity::written(&self.origin),
            modified: modified.map_or(0, identity::nanoseconds),
            over: matches!(self.stage, Stage::Closed { .. }),
        }
    }
}

fn modified(file: &File) -> SystemTime {
    file.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// How much a file looks like a copy of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    /// They begin differently.
    None,
    /// It ends within a line that goes on in the log.
    Part,
    /// All that is known of it is in the log too.
    Whole,
    /// The log was truncated, and nobody has noticed yet. The file may hold what was in it, and more.
    Unclear,
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

/// What a file begins with, if it can be opened and is the one that was found.
pub(super) fn look_into(candidate: &Candidate) -> Option<Result<Peek, Fault>> {
    open(&candidate.path, candidate.key).ok().map(|file| peek(&file))
}
