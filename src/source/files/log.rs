//! A log: the content written to a file since its creation or truncation. Tracks its current file and how far it was
//! read.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::identity::{self, Likeness, Origin};
use super::listing::{Candidate, FileKey, family};
use super::tail::{FileStamp, ReadFrom, Tail, peek};
use crate::source::Settings;
use crate::source::input;
use crate::source::position::{FilePosition, HEAD, OpenStream};
use crate::source::route::{DecidedRoute, InputRoute};

/// The pause between two notes of a log that was rotated or deleted and still grows. Each note is written to the disk.
const NOTE_PAUSE: Duration = Duration::from_secs(1);

/// The state of a log.
pub(super) enum LogState {
    /// The log is being read.
    Open(Box<Tail>),
    /// The log was read to its end, or is older than the followed files. Holds the file's stamp at that time.
    Closed(Option<FileStamp>),
    /// The file is gone or holds another log. A copy may hold the content.
    Lost(Lost),
    /// The file is not a log or cannot be read. Holds its stamp at that time.
    Refused(Option<FileStamp>),
}

/// A log without a file.
pub(super) struct Lost {
    /// The unfinished entry of the log.
    pub(super) rest: Option<Box<Tail>>,
    /// The number of searches for the log.
    pub(super) searches: u32,
    /// The time when the file was lost.
    pub(super) since: Instant,
    /// Incomplete files exist that may become copies of the log.
    pub(super) waits: bool,
    /// The deleted file was closed, because deleted files reached their limits.
    pub(super) given_up: bool,
}

impl Lost {
    pub(super) fn new(rest: Option<Box<Tail>>) -> Lost {
        Lost { rest, searches: 0, since: Instant::now(), waits: false, given_up: false }
    }
}

/// A log that is or was followed, or an older one beside it.
pub(super) struct Log {
    /// The path before rotation. A log with another path is rotated.
    pub(super) active_path: PathBuf,
    /// The current path.
    pub(super) path: PathBuf,
    /// The path as a pattern names it, if symbolic links lead to the file.
    link: Option<PathBuf>,
    /// The route by the paths, and the route once the first line is known.
    input_route: Option<InputRoute>,
    route: Option<DecidedRoute>,
    /// The path that all files of the log share, without rotation suffixes.
    pub(super) family: PathBuf,
    pub(super) key: FileKey,
    /// The key of the log's positions.
    pub(super) name: String,
    /// The id prefix of the log's entries, once its first line is known.
    origin: Option<Origin>,
    pub(super) state: LogState,
    /// The first bytes, kept after the file was closed.
    head: Vec<u8>,
    /// The position from an earlier run, until the file is found.
    saved: Option<FilePosition>,
    /// The offset from an earlier run.
    resumed_at: Option<u64>,
    /// The number of bytes that belong to entries returned whole.
    pub(super) offset: u64,
    /// The length of the file when it was last seen.
    pub(super) length: u64,
    /// The length in the last position that was noted outside of a batch, or at the start.
    pub(super) noted: Option<u64>,
    /// The time of that note, if the log was rotated or deleted by then.
    noted_at: Option<Instant>,
    /// The file has no name any more, or has one that no listing shows.
    pub(super) is_deleted: bool,
    /// The streams whose next entry may continue one before that offset.
    open_streams: Vec<OpenStream>,
    /// The number of known first bytes at that offset.
    known_len: usize,
    /// The time when the log was rotated.
    pub(super) rotated_at: Option<Instant>,
    /// The time of the last successful read.
    pub(super) last_read: Instant,
    /// The last read reached the end.
    pub(super) at_end: bool,
    /// The log was read to its end and no more was expected.
    pub(super) finished: bool,
    /// The position changed since it was last returned.
    pub(super) dirty: bool,
    /// The read error was already reported.
    pub(super) reported: bool,
}

impl Log {
    /// Creates a log for a file.
    pub(super) fn new(candidate: &Candidate, name: String, state: LogState) -> Log {
        let mut log = Log {
            active_path: PathBuf::new(),
            path: PathBuf::new(),
            link: None,
            input_route: None,
            route: None,
            family: candidate.family.clone(),
            key: candidate.key,
            name,
            origin: None,
            state,
            head: Vec::new(),
            saved: None,
            resumed_at: None,
            offset: 0,
            length: 0,
            noted: None,
            noted_at: None,
            is_deleted: false,
            open_streams: Vec::new(),
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

    /// Creates a log from a saved position.
    pub(super) fn saved(saved: &FilePosition) -> Log {
        let key = FileKey { device: saved.device, inode: saved.inode, created: None };
        Log {
            active_path: active_path_of(&saved.path),
            path: saved.path.clone(),
            link: None,
            input_route: None,
            route: None,
            family: family(&saved.path),
            key,
            name: saved.origin.clone(),
            origin: None,
            state: LogState::Lost(Lost::new(None)),
            head: Vec::new(),
            saved: Some(saved.clone()),
            resumed_at: Some(saved.offset),
            offset: saved.offset,
            length: saved.length,
            noted: Some(saved.length),
            noted_at: None,
            is_deleted: false,
            open_streams: saved.open_streams.clone(),
            known_len: saved.head as usize,
            rotated_at: None,
            last_read: Instant::now(),
            at_end: false,
            finished: saved.over,
            dirty: false,
            reported: false,
        }
    }

    /// Records the log's current file.
    pub(super) fn set_location(&mut self, candidate: &Candidate) {
        self.dirty |= self.key != candidate.key || self.path != candidate.path;
        if self.path != candidate.path || candidate.link.is_some() && self.link != candidate.link {
            (self.input_route, self.route) = (None, None);
        }
        // A rotated file was written under the name of its log.
        if candidate.link.is_some() {
            self.link.clone_from(&candidate.link);
        }
        self.key = candidate.key;
        self.path.clone_from(&candidate.path);
        self.length = self.tail().map_or(candidate.length, Tail::length).max(self.offset);
        self.is_deleted = false;
        if candidate.matches_pattern && self.path == self.active_path {
            self.rotated_at = None;
        } else if self.rotated_at.is_none() {
            self.mark_rotated();
        }
    }

    /// Marks the log as rotated.
    pub(super) fn mark_rotated(&mut self) {
        self.rotated_at = Some(Instant::now());
        self.noted_at = None;
        self.at_end = false;
    }

    /// Resumes the log in a file that holds it.
    pub(super) fn reattach(&mut self, candidate: &Candidate, head: Vec<u8>, state: LogState) {
        // A saved inode may belong to another file by now.
        self.dirty |= self.saved.take().is_none_or(|saved| head.len() > saved.head as usize);
        self.state = state;
        self.head = head;
        self.rotated_at = None;
        self.set_location(candidate);
        self.finished = matches!(self.state, LogState::Closed(_));
        (self.at_end, self.reported, self.last_read) = (false, false, Instant::now());
    }

    /// Marks the log as lost: its file is gone or holds another log.
    pub(super) fn mark_lost(&mut self) {
        self.head = self.head().to_vec();
        let closed = std::mem::replace(&mut self.state, LogState::Closed(None));
        let rest = match closed {
            LogState::Open(tail) => (*tail).into_rest().map(Box::new),
            LogState::Closed(_) | LogState::Lost(_) | LogState::Refused(_) => None,
        };
        self.state = LogState::Lost(Lost::new(rest));
    }

    /// Closes a deleted file before its end. A copy may still hold the content.
    pub(super) fn give_up(&mut self) {
        self.mark_lost();
        if let LogState::Lost(lost) = &mut self.state {
            lost.given_up = true;
        }
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

    /// Returns whether only the unfinished entry of a vanished log is left.
    pub(super) fn is_rest(&self) -> bool {
        self.tail().is_some_and(Tail::is_rest)
    }

    /// Returns whether the log has a file.
    pub(super) fn has_file(&self) -> bool {
        self.lost().is_none() && !self.is_rest()
    }

    /// Returns whether the log is readable and active, and had entries in an earlier run but none since.
    pub(super) fn is_unchanged(&self) -> bool {
        let readable = matches!(self.state, LogState::Open(_) | LogState::Closed(_)) && !self.reported;
        readable && self.rotated_at.is_none() && self.offset > 0 && self.resumed_at == Some(self.offset)
    }

    /// Returns whether any first bytes are known.
    pub(super) fn is_known(&self) -> bool {
        self.known_head_len() > 0
    }

    /// Returns the number of known first bytes.
    pub(super) fn known_head_len(&self) -> usize {
        self.saved.as_ref().map_or(self.head().len(), |saved| saved.head as usize)
    }

    /// Returns the known first bytes.
    pub(super) fn head(&self) -> &[u8] {
        self.tail().map_or(&self.head, Tail::head)
    }

    /// Returns the id prefix of the log's entries. `all` says that nothing follows the known bytes.
    pub(super) fn origin(&mut self, most: usize, all: bool) -> Origin {
        if self.origin.is_none() {
            self.origin = identity::entry_origin(self.head(), most, all);
        }
        self.origin.unwrap_or_default()
    }

    /// Returns the route of the log. `all` says that nothing follows the known bytes.
    pub(super) fn route(&mut self, settings: &Settings, all: bool) -> DecidedRoute {
        if let Some(route) = self.route {
            return route;
        }
        let by_path = || {
            let paths = std::iter::once(self.path.as_path()).chain(self.link.as_deref());
            InputRoute::of_named(&paths.collect::<Vec<_>>(), &settings.trust)
        };
        let input_route = self.input_route.unwrap_or_else(by_path);
        self.input_route = Some(input_route);
        self.route = input_route.by_head(self.head(), all, settings.input_format);
        self.route.unwrap_or(input_route.by_path().into())
    }

    /// Reads the first bytes of an open file that was empty before.
    pub(super) fn identify(&mut self) {
        if let Some(tail) = self.tail_mut() {
            // The reader meets the fault again, and reports it.
            let _ = tail.identify();
        }
    }

    /// Returns whether an earlier run has read from the log.
    pub(super) fn is_resumed(&self) -> bool {
        self.resumed_at.is_some()
    }

    /// Returns whether the log is read from this open file.
    pub(super) fn holds(&self, file: &Arc<File>) -> bool {
        self.tail().and_then(|tail| tail.file().ok()).is_some_and(|own| Arc::ptr_eq(own, file))
    }

    /// Marks the log as deleted. An open file remains readable.
    pub(super) fn mark_deleted(&mut self) {
        if !std::mem::replace(&mut self.is_deleted, true) {
            (self.dirty, self.noted_at) = (true, None);
        }
        self.length = self.tail().map_or(self.length, Tail::length);
        if self.rotated_at.is_none() {
            self.mark_rotated();
        }
    }

    /// Returns the known number of bytes that were not read.
    pub(super) fn unread(&self) -> u64 {
        let rest = self.lost().and_then(|lost| lost.rest.as_deref());
        self.length.saturating_sub(rest.or(self.tail()).map_or(self.offset, Tail::read_bytes))
    }

    /// Updates the resume offset.
    pub(super) fn update_offset(&mut self) {
        let Some(tail) = self.tail() else { return };
        let length = tail.length();
        // The first bytes count too, because the file may have to be found by them.
        let (settled, known_len) = (tail.resume_offset(), tail.head().len());
        self.dirty |= (settled, known_len) != (self.offset, self.known_len);
        (self.offset, self.known_len) = (settled, known_len);
        self.length = self.length.max(length);
        if let LogState::Open(tail) = &self.state
            && tail.open_streams() != self.open_streams
        {
            self.dirty = true;
            self.open_streams.clear();
            self.open_streams.extend_from_slice(tail.open_streams());
        }
    }

    /// Returns the place from which the log is read on.
    pub(super) fn read_from(&self) -> ReadFrom {
        ReadFrom { offset: self.offset, open_streams: self.open_streams.clone() }
    }

    /// Closes a file that was read to its end. The log stays known.
    pub(super) fn close(&mut self) {
        self.update_offset();
        let Some(tail) = self.tail() else { return };
        let stamp = tail.stamp().ok();
        self.head = tail.head().to_vec();
        self.state = LogState::Closed(stamp);
        self.finished = true;
        self.dirty = true;
    }

    /// Returns whether no more is expected: the log was rotated, and nothing was read for this time.
    pub(super) fn quiet_for(&self, time: Duration) -> bool {
        self.rotated_at.is_some_and(|left| left.elapsed() >= time) && self.last_read.elapsed() >= time
    }

    /// Compares the log with a file that begins with `head`. If the log's own file still exists, its whole current
    /// content counts, even where it is unread.
    pub(super) fn likeness(&self, head: &[u8]) -> Likeness {
        if let Some(saved) = &self.saved {
            return identity::likeness_to_saved(saved, head);
        }
        let known = self.head();
        let now = self.tail().and_then(|tail| peek(tail.file().ok()?).ok());
        let now = now.map(|peek| peek.head).filter(|now| now.starts_with(known));
        let whole = now.is_some() || matches!(self.state, LogState::Closed(_));
        let known = now.as_deref().unwrap_or(known);
        match identity::likeness(known, head) {
            // A copy holds no more than its original.
            Likeness::Whole if whole && known.len() < HEAD && head.len() > known.len() => Likeness::None,
            likeness => likeness,
        }
    }

    /// Returns the position if no checkpoint can know it yet: the log is new, it was rotated or deleted and has another
    /// length than the last one that was noted, or it has grown to more than twice that length. Records that were read
    /// may still wait for the delivery, so the length counts, and not what is unread.
    pub(super) fn unnoted_position(&mut self) -> Option<FilePosition> {
        if matches!(self.state, LogState::Refused(_)) || !self.is_known() {
            return None;
        }
        let has_ended = self.is_deleted || self.rotated_at.is_some();
        let is_due = match self.noted {
            None => self.tail().is_some(),
            Some(noted) if has_ended => {
                noted != self.length && self.noted_at.is_none_or(|noted_at| noted_at.elapsed() >= NOTE_PAUSE)
            }
            Some(noted) => noted < self.length / 2,
        };
        is_due.then(|| {
            self.noted = Some(self.length);
            self.noted_at = has_ended.then(Instant::now);
            FilePosition { length: self.length, ..self.position() }
        })
    }

    /// Returns the position from which a later run resumes.
    pub(super) fn position(&self) -> FilePosition {
        let (head, hash, prefix_hashes) = match &self.saved {
            Some(saved) => (saved.head, saved.hash.clone(), saved.prints.clone()),
            None => {
                let head = self.head();
                (head.len() as u32, identity::head_hash(head), identity::prefix_hashes(head))
            }
        };
        FilePosition {
            path: self.path.clone(),
            device: self.key.device,
            inode: self.key.inode,
            head,
            hash,
            prints: prefix_hashes,
            offset: self.offset,
            length: if self.length > self.offset { self.length } else { 0 },
            open_streams: self.open_streams.clone(),
            origin: self.name.clone(),
            // Nothing of a deleted file is missing once it was read to its end.
            over: self.finished || self.is_deleted && self.length <= self.offset,
            gone: false,
        }
    }
}

/// Returns the path before rotation, if such a file exists now.
pub(super) fn active_path_of(path: &Path) -> PathBuf {
    let family = family(path);
    if family.is_file() { family } else { path.to_owned() }
}

/// The reason why a file was not opened.
pub(super) enum OpenError {
    /// The file is gone, or another one took its place.
    Gone,
    /// The system refused to open the file.
    Denied(io::Error),
}

/// Opens a file if it is still the one that was listed.
pub(super) fn open(path: &Path, key: FileKey) -> Result<Arc<File>, OpenError> {
    let refusal = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => OpenError::Gone,
        _ => OpenError::Denied(cause),
    };
    let file = input::open_found(path).map_err(refusal)?;
    let metadata = file.metadata().map_err(refusal)?;
    if FileKey::of(&metadata) == key { Ok(Arc::new(file)) } else { Err(OpenError::Gone) }
}
