//! What became of the logs that are known, and which are new.
//!
//! A log is known by what it begins with. Where its file is gone or holds another log, it is gone on with in the file
//! that begins in the same way and has all that was read: a copy, compressed or not. Of several such files only one is
//! read. A file that begins like no log that is known is a log of its own, and is read from its beginning.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::find::{self, Candidate, Found, Key};
use super::identity::{self, Likeness};
use super::log::{self, Log, Lost, Refusal, Stage};
use super::tail::{self, Peek, Tail};
use super::{FilesSource, LOOKS};
use crate::source::codec::Fault;
use crate::source::position::FilePosition;
use crate::source::{Input, Settings, SourceError};

/// How much was read of a compressed file that is older than what is followed: all that is in it.
const ALL: u64 = u64::MAX;

/// A file that holds none of the logs that are known, as far as its name and inode say.
struct Sight {
    candidate: Candidate,
    file: Arc<std::fs::File>,
    /// What it begins with; none where that cannot be decompressed, maybe because it is still being written.
    peek: Option<Peek>,
}

impl FilesSource {
    /// The files that are there, of these families and of those that patterns name.
    fn find(&mut self, families: &BTreeSet<PathBuf>) -> Found {
        let found = find::find(&self.patterns, families);
        if self.follow && self.watch.add(&found.directories) {
            // Something may have come into a directory before it was watched.
            return find::find(&self.patterns, families);
        }
        found
    }

    /// Looks which files there are, goes on with the logs whose files are gone, and takes in those that are new. Gives
    /// what cannot be read.
    pub(super) fn look(&mut self) -> Vec<SourceError> {
        let families: BTreeSet<_> = self.logs.iter().map(|log| log.family.clone()).collect();
        let found = self.find(&families);
        self.place(&found);
        let held: HashSet<Key> = self.logs.iter().filter(|log| log.is_held()).map(|log| log.key).collect();
        let mut errors = found.errors;
        let mut sights = Vec::new();
        for candidate in found.files.iter().filter(|file| !held.contains(&file.key)) {
            match self.sight(candidate) {
                Ok(sight) => sights.extend(sight),
                Err(error) if candidate.named => errors.push(error),
                // Of what nobody asked for, nobody wants to know that it cannot be read.
                Err(_) => {}
            }
        }
        for log in &mut self.logs {
            if let Stage::Lost(lost) = &mut log.stage {
                lost.waits = false;
            }
        }
        self.unclear.retain(|key, _| sights.iter().any(|sight| sight.candidate.key == *key));
        for same in [true, false] {
            sights.retain(|sight| !self.claim(sight, same));
        }
        // Whether another one is a copy of what is at home shows only when that is known.
        sights.sort_by_key(|sight| !sight.candidate.is_home());
        for sight in sights {
            let known = families.contains(&sight.candidate.family);
            self.admit(sight, known);
        }
        self.give_up(&found.files);
        errors
    }

    /// Notes where the files that are known are now, and which logs have none any more.
    fn place(&mut self, found: &Found) {
        let here: HashMap<Key, &Candidate> = found.files.iter().map(|file| (file.key, file)).collect();
        for log in self.logs.iter_mut().filter(|log| log.is_held()) {
            match here.get(&log.key) {
                Some(file) if is_still(log, file, &self.settings) => log.seat(file),
                Some(_) => log.lose(),
                None if !found.complete() => {}
                // As long as it is open, it can be read.
                None if log.tail().is_some() => {
                    if log.left.is_none() {
                        log.leave();
                    }
                }
                None => log.lose(),
            }
        }
    }

    /// What a file begins with; none if it has just gone. Where it is none that can be read, it is left alone.
    fn sight(&mut self, candidate: &Candidate) -> Result<Option<Sight>, SourceError> {
        let input = Input::File(candidate.path.clone());
        let file = match log::open(&candidate.path, candidate.key) {
            Ok(file) => file,
            Err(Refusal::Gone) => {
                self.changed = true;
                return Ok(None);
            }
            Err(Refusal::Denied(cause)) => return Err(SourceError::Open { input, cause }),
        };
        self.refused.remove(&candidate.path);
        let candidate = candidate.clone();
        let error = match tail::peek(&file) {
            Ok(peek) => return Ok(Some(Sight { candidate, file, peek: Some(peek) })),
            Err(Fault::Damaged(..)) => return Ok(Some(Sight { candidate, file, peek: None })),
            // It is tried again.
            Err(Fault::Io(cause)) => return Err(SourceError::Read { input, offset: 0, cause }),
            #[cfg(not(all(feature = "gzip", feature = "xz", feature = "zstd")))]
            Err(Fault::MissingCodec(codec)) => SourceError::MissingCodec { input, codec },
            Err(Fault::Holds(..)) => SourceError::Journal { input },
        };
        self.add(&candidate, Stage::Refused(tail::seen(&file).ok()));
        Err(error)
    }

    /// Goes on with a log that has no file, if it is in this one: first those whose inode it has, then any others.
    fn claim(&mut self, sight: &Sight, same: bool) -> bool {
        let Sight { candidate, peek, .. } = sight;
        let is_meant = |log: &Log| {
            let near = candidate.key.is_near(&log.key);
            log.lost().is_some() && if same { near } else { candidate.family == log.family }
        };
        let mut lost: Vec<usize> = (0..self.logs.len()).filter(|index| is_meant(&self.logs[*index])).collect();
        // Where several begin in the same way, the one of which most is known is the most likely one.
        lost.sort_by_key(|index| std::cmp::Reverse(self.logs.get(*index).map(Log::told)));
        for index in lost {
            let Some(log) = self.logs.get_mut(index) else { continue };
            let likeness = match peek {
                // A copy begins empty. What has been read to its end was copied before its file was deleted.
                Some(Peek { head, compressed: false }) if head.is_empty() && !log.over => Likeness::Part,
                Some(peek) => log.likeness(&peek.head),
                None => Likeness::Part,
            };
            if likeness == Likeness::None {
                continue;
            }
            if let (Likeness::Whole, Some(peek)) = (likeness, peek)
                && let Some(open) = goes_on(log, sight, peek, same)
            {
                let head = peek.head.clone();
                let stage = if open {
                    let until = if self.follow { u64::MAX } else { candidate.length };
                    let peek = Peek { head: head.clone(), compressed: peek.compressed };
                    Stage::Open(Box::new(Tail::open(Arc::clone(&sight.file), peek, log.offset, &self.settings, until)))
                } else {
                    Stage::Closed(tail::seen(&sight.file).ok())
                };
                log.find(candidate, head, stage);
                return true;
            }
            // A copy that is still being made. What is at home is none.
            if let Stage::Lost(lost) = &mut log.stage
                && !candidate.is_home()
            {
                lost.waits = true;
            }
        }
        false
    }

    /// Begins to read a file, unless it is a copy, or may turn out to be one. Beside a log that is seen for the first
    /// time, what no pattern names is older than what is followed.
    fn admit(&mut self, sight: Sight, known: bool) {
        let Sight { candidate, file, peek } = sight;
        let Some(peek) = peek else {
            if self.stays_unclear(&candidate, &file) {
                return;
            }
            let stage =
                if candidate.named { self.opened(&candidate, file) } else { Stage::Refused(tail::seen(&file).ok()) };
            self.add(&candidate, stage);
            return;
        };
        if !candidate.is_home() {
            let empty = peek.head.is_empty() && !peek.compressed;
            let mut others = self.logs.iter().filter(|log| log.family == candidate.family);
            if empty || !candidate.is_rotated() || others.any(|log| log.likeness(&peek.head) != Likeness::None) {
                return;
            }
        }
        if known || candidate.named {
            let stage = self.opened(&candidate, file);
            self.add(&candidate, stage);
            return;
        }
        let mut log = Log::new(&candidate, self.name(candidate.key), Stage::Closed(None));
        log.offset = if peek.compressed { ALL } else { candidate.length };
        log.find(&candidate, peek.head, Stage::Closed(tail::seen(&file).ok()));
        self.logs.push(log);
    }

    /// A file that is read from its beginning.
    fn opened(&self, candidate: &Candidate, file: Arc<std::fs::File>) -> Stage {
        let until = if self.follow { u64::MAX } else { candidate.length };
        Stage::Open(Box::new(Tail::open(file, Peek::default(), 0, &self.settings, until)))
    }

    fn add(&mut self, candidate: &Candidate, stage: Stage) {
        let name = self.name(candidate.key);
        self.logs.push(Log::new(candidate, name, stage));
    }

    /// A name that no log has.
    fn name(&self, key: Key) -> String {
        let mut names = (0..).map(|turn| identity::name(key, turn));
        names.find(|name| self.logs.iter().all(|log| log.name != *name)).unwrap_or_default()
    }

    /// Whether a file that cannot be decompressed may still be being written.
    fn stays_unclear(&mut self, candidate: &Candidate, file: &std::fs::File) -> bool {
        let now = tail::seen(file).ok();
        let (seen, since) = self.unclear.entry(candidate.key).or_insert_with(|| (now, Instant::now()));
        if *seen != now {
            (*seen, *since) = (now, Instant::now());
        }
        self.follow && since.elapsed() < self.linger
    }

    /// Counts the logs that are nowhere to be found, gives what was in hand of them, and forgets them.
    fn give_up(&mut self, files: &[Candidate]) {
        let mut forgotten = Vec::new();
        for index in 0..self.logs.len() {
            let (follow, linger) = (self.follow, self.linger);
            let Some(log) = self.logs.get_mut(index) else { continue };
            let (over, told) = (log.over, log.is_told());
            let Stage::Lost(lost) = &mut log.stage else { continue };
            if lost.waits && (over || !follow || lost.since.elapsed() < linger) {
                lost.looks = 0;
                continue;
            }
            lost.looks = LOOKS.min(lost.looks + 1);
            // A list of files may leave out one that is renamed meanwhile.
            if lost.looks < LOOKS {
                self.changed = true;
                continue;
            }
            if over || !told {
                forgotten.push(index);
                continue;
            }
            let rest = lost.rest.take();
            let read = rest.as_ref().map_or(log.offset, |rest| rest.read_bytes());
            let here = files.iter().any(|file| file.key.is_near(&log.key) && file.path == log.path);
            let path = log.path.clone();
            (log.over, log.dirty) = (true, true);
            if let Some(rest) = rest {
                log.stage = Stage::Open(rest);
                log.leave();
            }
            self.damage(path, if here { "truncated-log" } else { "lost-file" }, read);
        }
        for index in forgotten.into_iter().rev() {
            let Some(log) = self.logs.get(index) else { continue };
            // The last one says that the log is followed: what appears beside it is not older.
            let family = &log.family;
            let others = self.logs.iter().enumerate().filter(|(other, log)| *other != index && log.family == *family);
            if others.filter(|(_, log)| !matches!(log.stage, Stage::Refused(_))).count() > 0 {
                self.gone.push(FilePosition { gone: true, ..log.position() });
                self.logs.remove(index);
            }
        }
    }

    /// Says, once for each path, what cannot be looked at.
    pub(super) fn report(&mut self, errors: Vec<SourceError>) {
        for error in errors.iter().filter(|error| !find::is_missing(error)) {
            let (path, reason) = match error {
                SourceError::Open { input: Input::File(path), .. }
                | SourceError::Read { input: Input::File(path), .. } => (path, "unreadable-file"),
                SourceError::Directory { input: Input::File(path) }
                | SourceError::Journal { input: Input::File(path) } => (path, "refused-file"),
                #[cfg(not(all(feature = "gzip", feature = "xz", feature = "zstd")))]
                SourceError::MissingCodec { input: Input::File(path), .. } => (path, "refused-file"),
                _ => continue,
            };
            if self.refused.insert(path.clone()) {
                self.damage(path.clone(), reason, 0);
            }
        }
    }

    /// The families of which something is being looked for. What came later has to wait.
    pub(super) fn sought(&self) -> HashSet<PathBuf> {
        let is_sought = |lost: &Lost| lost.looks < LOOKS && !lost.waits;
        let sought = self.logs.iter().filter(|log| log.lost().is_some_and(is_sought) && !log.over && log.is_told());
        sought.map(|log| log.family.clone()).collect()
    }
}

/// Whether a log is to be read on in a file that begins as it did, or is over with it. None if the file has not all of
/// the log, or not yet.
fn goes_on(log: &Log, sight: &Sight, peek: &Peek, same: bool) -> Option<bool> {
    if log.over && (log.offset == ALL || same && peek.compressed) {
        return Some(false);
    }
    if same && peek.compressed {
        // It is what was being read, complete or not.
        return Some(true);
    }
    let length = if peek.compressed { tail::length(&sight.file).ok()? } else { sight.file.metadata().ok()?.len() };
    (length >= log.offset).then_some(!log.over || length > log.offset)
}

/// Whether a file still holds the log that it held. It is opened again where it has grown.
fn is_still(log: &mut Log, file: &Candidate, settings: &Settings) -> bool {
    let now = Some((file.length, Some(file.modified)));
    match &log.stage {
        Stage::Open(tail) => return !tail.is_truncated(),
        Stage::Closed(seen) if *seen == now => return true,
        Stage::Refused(seen) => return *seen == now,
        Stage::Closed(_) | Stage::Lost(_) => {}
    }
    let Ok(opened) = log::open(&file.path, file.key) else { return true };
    let Ok(peek) = tail::peek(&opened) else { return true };
    let cut = !peek.compressed && log.offset != ALL && file.length < log.offset;
    if cut || !peek.head.starts_with(log.head()) {
        return false;
    }
    let grown = !peek.compressed && file.length > log.offset;
    let stage = if grown {
        let head = peek.head.clone();
        Stage::Open(Box::new(Tail::open(opened, Peek { head, ..peek }, log.offset, settings, u64::MAX)))
    } else {
        Stage::Closed(now)
    };
    log.find(file, peek.head, stage);
    true
}
