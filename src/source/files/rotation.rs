//! What became of the files that are known: which have other names, which are new, which are copies, and where the rest
//! of a truncated one is.
//!
//! Where a file of which nothing is known stands beside those that are followed, under a name that rotation gives, it
//! is read if it came there together with a rotation: then the log was rotated twice between two looks. Otherwise it is
//! older than what is followed, or none of the log's.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::FilesSource;
use super::find::{self, Candidate, Found, Key, family};
use super::identity::{self, Origin};
use super::log::{self, Likeness, Log, Refusal, Stage};
use super::tail::{self, Peek, Tail};
use crate::position::HEAD;
use crate::source::codec::Fault;
use crate::source::{Input, Settings, SourceError};

impl FilesSource {
    /// The files that are there, of these families and of those that patterns name.
    pub(super) fn find(&mut self, families: &BTreeSet<PathBuf>) -> Found {
        let found = find::find(&self.patterns, families);
        if self.follow && self.watch.add(&found.directories) {
            // Something may have come into a directory before it was watched.
            return find::find(&self.patterns, families);
        }
        found
    }

    /// Looks which files there are, and takes in those that are new.
    pub(super) fn look(&mut self) {
        let families: BTreeSet<_> = self.logs.iter().map(|log| log.family.clone()).collect();
        let found = self.find(&families);
        let mut turned = BTreeSet::new();
        let before = self.place(&found, &mut turned);
        let known: HashSet<Key> = self.logs.iter().filter(|log| !is_rest(log)).map(|log| log.key).collect();
        let unknown: Vec<&Candidate> = found.files.iter().filter(|file| !known.contains(&file.key)).collect();
        let named = unknown.iter().filter(|file| file.named).map(|file| family(&file.path));
        turned.extend(named.filter(|family| families.contains(family)));
        // The news of a truncation may be still to come, and there are none of a file that had not been read.
        let beside: BTreeSet<_> = unknown.iter().map(|file| family(&file.path)).collect();
        for log in self.logs.iter_mut().filter(|log| log.tail().is_some()) {
            let now = log.tail().is_some_and(|tail| tail.read_bytes() == 0);
            let unread = std::mem::replace(&mut log.unread, now);
            if beside.contains(&log.family) && (unread || log.tail().is_some_and(Tail::is_truncated)) {
                turned.insert(log.family.clone());
            }
        }
        // A rotation has several steps, and the last search may have come between two.
        let recently = std::mem::replace(&mut self.turned, turned.clone());
        for file in unknown {
            let family = family(&file.path);
            if file.named || turned.contains(&family) || recently.contains(&family) {
                self.admit(file, before.get(&file.key));
            } else if let Some(Ok(Peek { head, .. })) = log::look_into(file)
                && !head.is_empty()
            {
                self.logs.push(Log::ignored(file, head));
            }
        }
        // What is gone is remembered as long as a new file may turn out to be its copy.
        let fresh = self.logs.iter().filter(|log| matches!(log.stage, Stage::Fresh(_)));
        let fresh: BTreeSet<_> = fresh.map(|log| log.family.clone()).collect();
        self.logs.retain(|log| !log.missing || log.tail().is_some() || fresh.contains(&log.family));
        self.report(found.errors);
    }

    /// Notes where the files that are known are now. Gives the origins of those that have given their inodes to others.
    fn place(&mut self, found: &Found, turned: &mut BTreeSet<PathBuf>) -> HashMap<Key, Origin> {
        let here: HashMap<Key, &Candidate> = found.files.iter().map(|file| (file.key, file)).collect();
        let mut before = HashMap::new();
        for log in self.logs.iter_mut().filter(|log| !is_rest(log)) {
            let open = log.tail().is_some();
            let file = here.get(&log.key);
            log.missing = file.is_none() && found.complete();
            if let Some(file) = file {
                if !open && !is_still(log, file, &self.settings) {
                    before.insert(log.key, log.origin);
                    log.displace();
                    continue;
                }
                log.path.clone_from(&file.path);
            }
            if file.is_some_and(|file| file.named && file.path == log.home) {
                log.left = None;
            } else if log.left.is_none() {
                log.left = Some(Instant::now());
                log.at_end = false;
                if open {
                    // No pattern would lead another run to it.
                    log.dirty = true;
                    turned.insert(log.family.clone());
                }
            }
        }
        before
    }

    /// Begins to read a file that appeared.
    fn admit(&mut self, candidate: &Candidate, before: Option<&Origin>) {
        match log::open(&candidate.path, candidate.key) {
            Ok(file) => {
                self.refused.remove(&candidate.path);
                self.logs.push(self.fresh(candidate, file, before));
            }
            Err(Refusal::Gone) => self.changed = true,
            Err(Refusal::Denied(cause)) => {
                let input = Input::File(candidate.path.clone());
                self.report(vec![SourceError::Open { input, cause }]);
            }
        }
    }

    /// A log that was not seen before.
    pub(super) fn fresh(&self, candidate: &Candidate, file: Arc<File>, before: Option<&Origin>) -> Log {
        let origin = identity::origin(candidate.key, before);
        let stage = Stage::Fresh(Tail::open(file, Peek::default(), 0, &self.settings, self.until_of(candidate)));
        let mut log = Log::new(candidate, origin, stage);
        // No pattern would lead another run to it, or to its origin.
        log.dirty = !candidate.named || before.is_some();
        log
    }

    /// Up to where a file is read.
    pub(super) fn until_of(&self, candidate: &Candidate) -> u64 {
        if self.follow { u64::MAX } else { candidate.length }
    }

    /// Says, once for each path, what cannot be looked at.
    fn report(&mut self, errors: Vec<SourceError>) {
        for error in errors.iter().filter(|error| !find::is_missing(error)) {
            let (path, reason) = match error {
                SourceError::Open { input: Input::File(path), .. } => (path, "unreadable-file"),
                SourceError::Directory { input: Input::File(path) } => (path, "refused-file"),
                _ => continue,
            };
            if self.refused.insert(path.clone()) {
                self.damage(path.clone(), reason, 0);
            }
        }
    }

    /// Finds out whether a new file is to be read. If it may be a copy, that shows by what it begins with.
    pub(super) fn judge(&mut self, index: usize) {
        let Some(log) = self.logs.get(index) else { return };
        let Stage::Fresh(tail) = &log.stage else { return };
        let now = tail::seen(tail.file()).ok();
        let settled = !self.follow || log.settled_for(self.linger);
        if now.is_some() && now == log.judged && !settled {
            return;
        }
        let judged = match tail::peek(tail.file()) {
            // A compressed copy may still be being written.
            Err(Fault::Damaged(..)) if self.follow && log.news.elapsed() < self.linger => Judged::Open,
            Ok(peek) if peek.head.is_empty() && !peek.compressed && !settled => Judged::Open,
            Ok(peek) if peek.head.is_empty() && !peek.compressed => Judged::Copy(peek.head),
            Ok(peek) => match self.likeness(index, &peek.head) {
                Likeness::Whole if peek.compressed || peek.head.len() == HEAD || settled => Judged::Copy(peek.head),
                Likeness::Unclear => Judged::Open,
                // It may turn out to be none when it grows.
                Likeness::Whole | Likeness::Part if !peek.compressed && !settled => Judged::Open,
                _ => Judged::New,
            },
            Err(_) => Judged::New,
        };
        let Some(log) = self.logs.get_mut(index) else { return };
        match judged {
            Judged::New => log.begin(),
            Judged::Copy(head) => log.ignore(head),
            Judged::Open => log.judged = now,
        }
    }

    /// How much a file looks like a copy of another one of its family. The one that has the name that all are named
    /// after is never a copy.
    fn likeness(&self, index: usize, head: &[u8]) -> Likeness {
        let Some(copy) = self.logs.get(index).filter(|log| log.path != log.family) else { return Likeness::None };
        let others = self.logs.iter().enumerate().filter(|(other, log)| {
            *other != index && log.family == copy.family && !matches!(log.stage, Stage::Fresh(_)) && !is_rest(log)
        });
        others.map(|(_, other)| other.likeness(head)).max().unwrap_or(Likeness::None)
    }

    /// Splits a log whose file was truncated. What was in it is gone on with in a copy if there is one; what is in it
    /// now is another log.
    pub(super) fn truncated(&mut self, index: usize) {
        let Some(log) = self.logs.get(index) else { return };
        let copy = self.copy_of(log);
        let (key, path) = (log.key, log.path.clone());
        let read = log.tail().map_or(0, Tail::read_bytes);
        if let Some((copy, ..)) = &copy {
            self.logs.retain(|log| log.key != copy.key);
        } else {
            self.damage(path, "truncated-log", read);
        }
        let Some(index) = self.logs.iter().position(|log| log.key == key && !is_rest(log)) else { return };
        let mut old = self.logs.remove(index);
        let (Stage::Fresh(tail) | Stage::Open(tail)) = old.stage else { return };
        let file = Arc::clone(tail.file());
        let candidate = Candidate {
            path: old.path.clone(),
            key,
            modified: SystemTime::UNIX_EPOCH,
            length: file.metadata().map_or(0, |metadata| metadata.len()),
            named: true,
        };
        let mut new = self.fresh(&candidate, file, Some(&old.origin));
        new.home.clone_from(&old.home);
        new.left = old.left;
        new.begin();
        new.dirty = true;
        // Before anything is read of what came later, the files in between have to be known.
        self.turned.insert(old.family.clone());
        (self.changed, self.earliest) = (true, Instant::now());
        for log in self.logs.iter_mut().filter(|log| log.family == old.family) {
            // It was no copy of what is in the file now.
            log.judged = None;
        }
        old.stage = Stage::Open(match copy {
            Some((copy, file, peek)) => {
                old.path.clone_from(&copy.path);
                old.key = copy.key;
                Tail::open(file, peek, old.offset, &self.settings, self.until_of(&copy))
            }
            None => tail.into_rest(),
        });
        old.left = Some(Instant::now());
        old.at_end = false;
        old.dirty = true;
        self.logs.insert(index, new);
        self.logs.insert(index, old);
    }

    /// Where a file is that holds what a truncated one held, as far as it was read and maybe further.
    fn copy_of(&self, log: &Log) -> Option<(Candidate, Arc<File>, Peek)> {
        let tail = log.tail().filter(|tail| !tail.head().is_empty())?;
        let open: HashSet<Key> =
            self.logs.iter().filter(|log| matches!(log.stage, Stage::Open(_))).map(|log| log.key).collect();
        let mut files = find::find(&[], &BTreeSet::from([log.family.clone()])).files;
        files.retain(|file| !open.contains(&file.key));
        // The newest first: it is the one that was made right before.
        files.into_iter().rev().find_map(|candidate| {
            let file = log::open(&candidate.path, candidate.key).ok()?;
            let peek = tail::peek(&file).ok()?;
            let long = peek.compressed || candidate.length >= tail.read_bytes();
            (long && peek.head.starts_with(tail.head())).then_some((candidate, file, peek))
        })
    }
}

/// What a file is that was not seen before.
enum Judged {
    New,
    /// It is a copy of what is known, and begins with this.
    Copy(Vec<u8>),
    /// It shows later.
    Open,
}

/// Whether it is what was in hand of a file whose content is gone. Such a log has no file of its own.
fn is_rest(log: &Log) -> bool {
    log.tail().is_some_and(Tail::is_rest)
}

/// Whether a file that is not open is still the one that it was. It is opened again where it has grown.
fn is_still(log: &mut Log, file: &Candidate, settings: &Settings) -> bool {
    let (Stage::Closed { head, modified } | Stage::Ignored { head, modified }) = &mut log.stage else { return true };
    if *modified == file.modified {
        return true;
    }
    let Ok(opened) = log::open(&file.path, file.key) else { return true };
    let Ok(peek) = tail::peek(&opened) else { return true };
    if !peek.head.starts_with(head) {
        return false;
    }
    *modified = file.modified;
    if matches!(log.stage, Stage::Closed { .. }) && !peek.compressed && file.length > log.offset {
        log.stage = Stage::Open(Tail::open(opened, peek, log.offset, settings, u64::MAX));
        log.news = Instant::now();
        log.at_end = false;
    }
    true
}
