//! Assigns files to known logs, and finds new logs.
//!
//! A log is identified by its first bytes. If its file is gone or holds another log, reading continues in a copy,
//! compressed or not. A copy begins like the log and holds all data read so far. Of several copies only one is read. A
//! file that resembles no known log is a new log, read from its beginning.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::held::LossReason;
use super::identity::{self, Likeness};
use super::listing::{self, Candidate, FileKey, Listing};
use super::log::{self, Log, LogState, Lost, OpenError};
use super::tail::{self, Peek, ReadFrom, Tail};
use super::{FilesSource, HeldFile, MAX_SEARCHES};
use crate::source::codec::Fault;
use crate::source::position::FilePosition;
use crate::source::{Input, Settings, SourceError};

/// The offset of a compressed file that is older than the followed files: it counts as read.
const WHOLE_FILE: u64 = u64::MAX;

/// A file not yet assigned to a log by path and inode.
struct UnclaimedFile {
    candidate: Candidate,
    file: Arc<std::fs::File>,
    /// The beginning of the file, or `None` if it cannot be decompressed, perhaps because it is incomplete.
    peek: Option<Peek>,
}

impl UnclaimedFile {
    /// Returns a deleted file that another source held. Returns `None` if the system cannot examine it.
    fn held(held: &HeldFile) -> Option<UnclaimedFile> {
        let (path, file) = (&held.position.path, Arc::clone(&held.file));
        let candidate = Candidate::new(path.clone(), &file.metadata().ok()?, listing::family(path), true);
        let peek = tail::peek(&file).ok();
        Some(UnclaimedFile { candidate, file, peek })
    }
}

impl FilesSource {
    /// Lists the files of these families and those that patterns name.
    fn list(&mut self, families: &BTreeSet<PathBuf>) -> Listing {
        let follow_links = self.settings.follow_links;
        let found = listing::list_files(&self.patterns, families, follow_links);
        if self.follow && self.watch.add(&found.directories) {
            // A file may have appeared before the directory was watched.
            return listing::list_files(&self.patterns, families, follow_links);
        }
        found
    }

    /// Searches for files, resumes logs whose files are gone, and adds new ones. Returns the errors.
    pub(super) fn search(&mut self) -> Vec<SourceError> {
        self.search_with(&[])
    }

    /// Searches for files among those that exist and those that another source held.
    pub(super) fn search_with(&mut self, held_over: &[HeldFile]) -> Vec<SourceError> {
        let families: BTreeSet<_> = self.logs.iter().map(|log| log.family.clone()).collect();
        let found = self.list(&families);
        self.update_locations(&found);
        let held: HashSet<FileKey> = self.logs.iter().filter(|log| log.has_file()).map(|log| log.key).collect();
        let mut errors = found.errors;
        self.absent = found.absent;
        let unread: BTreeSet<PathBuf> = found.passed_over.into_iter().collect();
        self.passed_over.extend(unread.difference(&self.unread).cloned());
        self.unread = unread;
        let mut unclaimed: Vec<_> = held_over.iter().filter_map(UnclaimedFile::held).collect();
        for candidate in found.files.iter().filter(|file| !held.contains(&file.key)) {
            match self.inspect(candidate) {
                Ok(file) => unclaimed.extend(file),
                Err(error) if candidate.matches_pattern => errors.push(error),
                // Errors of files that no pattern names are not reported.
                Err(_) => {}
            }
        }
        for log in &mut self.logs {
            if let LogState::Lost(lost) = &mut log.state {
                lost.waits = false;
            }
        }
        self.undecodable.retain(|key, _| unclaimed.iter().any(|file| file.candidate.key == *key));
        for same in [true, false] {
            unclaimed.retain(|file| !self.claim(file, same));
        }
        // Copies can be recognized only after the active file is known. Files that are not read come last, because a
        // copy that a pattern names is read in their place.
        unclaimed.sort_by_key(|UnclaimedFile { candidate, .. }| {
            let is_read = candidate.matches_pattern || families.contains(&candidate.family);
            (!is_read, !candidate.has_active_name())
        });
        for file in unclaimed {
            let known = families.contains(&file.candidate.family);
            self.admit(file, known);
        }
        for log in self.logs.iter_mut().filter(|log| held_over.iter().any(|held| log.holds(&held.file))) {
            log.mark_deleted();
        }
        self.bound_held();
        self.drop_lost(&found.files);
        errors
    }

    /// Updates the location of each log, and marks logs without a file.
    fn update_locations(&mut self, found: &Listing) {
        let here: HashMap<FileKey, &Candidate> = found.files.iter().map(|file| (file.key, file)).collect();
        for log in self.logs.iter_mut().filter(|log| log.has_file()) {
            log.identify();
            match here.get(&log.key) {
                Some(file) if still_holds(log, file, &self.settings) => log.set_location(file),
                Some(_) => log.mark_lost(),
                None if !found.is_complete() => {}
                None if log.tail().is_some() => log.mark_deleted(),
                None => log.mark_lost(),
            }
        }
    }

    /// Reads the beginning of a file. Returns `None` if the file is gone. A file that is not a log is remembered as
    /// refused.
    fn inspect(&mut self, candidate: &Candidate) -> Result<Option<UnclaimedFile>, SourceError> {
        let input = Input::File(candidate.path.clone());
        let file = match log::open(&candidate.path, candidate.key) {
            Ok(file) => file,
            Err(OpenError::Gone) => {
                self.changed = true;
                return Ok(None);
            }
            Err(OpenError::Denied(cause)) => return Err(SourceError::Open { input, cause }),
        };
        self.refused.remove(&candidate.path);
        let candidate = candidate.clone();
        let error = match tail::peek(&file) {
            Ok(peek) => return Ok(Some(UnclaimedFile { candidate, file, peek: Some(peek) })),
            Err(Fault::Damaged(..)) => return Ok(Some(UnclaimedFile { candidate, file, peek: None })),
            // The file is tried again at the next search.
            Err(Fault::Io(cause)) => return Err(SourceError::Read { input, offset: 0, cause }),
            #[cfg(not(all(feature = "gzip", feature = "xz", feature = "zstd")))]
            Err(Fault::MissingCodec(codec)) => SourceError::MissingCodec { input, codec },
            Err(Fault::TooLarge(codec)) => SourceError::TooLarge { input, codec },
            Err(Fault::Foreign(format)) => SourceError::Foreign { input, format },
            Err(Fault::Holds(..)) => SourceError::Journal { input },
        };
        self.add(&candidate, LogState::Refused(tail::stamp(&file).ok()));
        Err(error)
    }

    /// Resumes a lost log in this file, if the file holds it. With `same`, only logs with the file's inode are
    /// considered; otherwise, logs of its family.
    fn claim(&mut self, unclaimed: &UnclaimedFile, same: bool) -> bool {
        let UnclaimedFile { candidate, peek, .. } = unclaimed;
        let is_meant = |log: &Log| {
            let near = candidate.key.is_same_inode(&log.key);
            log.lost().is_some() && if same { near } else { candidate.family == log.family }
        };
        let mut lost: Vec<usize> = (0..self.logs.len()).filter(|index| is_meant(&self.logs[*index])).collect();
        // Among logs that begin alike, the one with the most known bytes is the likeliest.
        lost.sort_by_key(|index| std::cmp::Reverse(self.logs.get(*index).map(Log::known_head_len)));
        for index in lost {
            let Some(log) = self.logs.get_mut(index) else { continue };
            let likeness = match peek {
                // A copy begins empty. A finished log was already copied before its file was deleted.
                Some(Peek { head, compressed: false }) if head.is_empty() && !log.finished => Likeness::Part,
                Some(peek) => log.likeness(&peek.head),
                None => Likeness::Part,
            };
            if likeness == Likeness::None {
                continue;
            }
            if let (Likeness::Whole, Some(peek)) = (likeness, peek)
                && let Some(open) = resumes_in(log, unclaimed, peek, same)
            {
                let head = peek.head.clone();
                let state = if open {
                    let until = if self.follow { u64::MAX } else { candidate.length };
                    let peek = Peek { head: head.clone(), compressed: peek.compressed };
                    LogState::Open(Box::new(Tail::open(
                        Arc::clone(&unclaimed.file),
                        peek,
                        log.read_from(),
                        &self.settings,
                        until,
                    )))
                } else {
                    LogState::Closed(tail::stamp(&unclaimed.file).ok())
                };
                log.reattach(candidate, head, state);
                return true;
            }
            // The file may be an incomplete copy, unless it has the active name.
            if let LogState::Lost(lost) = &mut log.state
                && !candidate.has_active_name()
            {
                lost.waits = true;
            }
        }
        false
    }

    /// Begins to read a file, unless it is or may become a copy. Beside a newly seen log, files that no pattern names
    /// are older than the followed content.
    fn admit(&mut self, unclaimed: UnclaimedFile, known: bool) {
        let UnclaimedFile { candidate, file, peek } = unclaimed;
        let Some(peek) = peek else {
            if self.may_be_incomplete(&candidate, &file) {
                return;
            }
            let state = if candidate.matches_pattern {
                self.open_from_start(&candidate, file, Peek::default())
            } else {
                LogState::Refused(tail::stamp(&file).ok())
            };
            self.add(&candidate, state);
            return;
        };
        if !candidate.has_active_name() {
            let empty = peek.head.is_empty() && !peek.compressed;
            let mut others = self.logs.iter().filter(|log| log.family == candidate.family);
            if empty || !candidate.is_rotated() || others.any(|log| log.likeness(&peek.head) != Likeness::None) {
                return;
            }
        }
        if known || candidate.matches_pattern {
            let state = self.open_from_start(&candidate, file, peek);
            self.add(&candidate, state);
            return;
        }
        let name = self.name(candidate.key);
        let mut log = Log::new(&candidate, name, LogState::Closed(None));
        log.offset = if peek.compressed { WHOLE_FILE } else { candidate.length };
        log.reattach(&candidate, peek.head, LogState::Closed(tail::stamp(&file).ok()));
        self.logs.push(log);
    }

    /// Opens a file from its beginning.
    fn open_from_start(&self, candidate: &Candidate, file: Arc<std::fs::File>, peek: Peek) -> LogState {
        let until = if self.follow { u64::MAX } else { candidate.length };
        LogState::Open(Box::new(Tail::open(file, peek, ReadFrom::default(), &self.settings, until)))
    }

    fn add(&mut self, candidate: &Candidate, state: LogState) {
        let name = self.name(candidate.key);
        self.logs.push(Log::new(candidate, name, state));
    }

    /// Returns a new key for a log's positions. A key never comes back within a run, because positions of a log that was
    /// forgotten may still wait for the delivery.
    fn name(&mut self, key: FileKey) -> String {
        loop {
            let name = identity::position_name(key, self.generation);
            self.generation += 1;
            if !self.saved_names.contains(&name) {
                return name;
            }
        }
    }

    /// Returns whether an undecodable file may still be being written.
    fn may_be_incomplete(&mut self, candidate: &Candidate, file: &std::fs::File) -> bool {
        let now = tail::stamp(file).ok();
        let (seen, since) = self.undecodable.entry(candidate.key).or_insert_with(|| (now, Instant::now()));
        if *seen != now {
            (*seen, *since) = (now, Instant::now());
        }
        self.follow && since.elapsed() < self.linger
    }

    /// Reports logs that cannot be found, returns their unfinished entries, and forgets them.
    fn drop_lost(&mut self, files: &[Candidate]) {
        let mut forgotten = Vec::new();
        for index in 0..self.logs.len() {
            let (follow, linger) = (self.follow, self.linger);
            let Some(log) = self.logs.get_mut(index) else { continue };
            let (finished, is_known, unread) = (log.finished, log.is_known(), log.unread());
            let LogState::Lost(lost) = &mut log.state else { continue };
            if lost.waits && (finished || !follow || lost.since.elapsed() < linger) {
                lost.searches = 0;
                continue;
            }
            lost.searches = MAX_SEARCHES.min(lost.searches + 1);
            // A listing may miss a file that is being renamed.
            if lost.searches < MAX_SEARCHES {
                self.changed = true;
                continue;
            }
            if finished || !is_known && unread == 0 {
                forgotten.push(index);
                continue;
            }
            let (rest, given_up) = (lost.rest.take(), lost.given_up);
            let read = rest.as_ref().map_or(log.offset, |rest| rest.read_bytes());
            let here = files.iter().any(|file| file.key.is_same_inode(&log.key) && file.path == log.path);
            let path = log.path.clone();
            (log.finished, log.dirty) = (true, true);
            if let Some(rest) = rest {
                log.state = LogState::Open(rest);
                log.mark_rotated();
            }
            if unread > 0 {
                self.observer.vanished(
                    &path,
                    unread,
                    match here {
                        true => LossReason::Emptied,
                        false if given_up => LossReason::GivenUp,
                        false => LossReason::Deleted,
                    },
                );
            }
            self.damage(path, if here { "truncated-log" } else { "lost-file" }, read);
        }
        for index in forgotten.into_iter().rev() {
            let Some(log) = self.logs.get(index) else { continue };
            // The last log of a family is kept, because it shows that the family is followed: new files beside it are
            // not older.
            let family = &log.family;
            let others = self.logs.iter().enumerate().filter(|(other, log)| *other != index && log.family == *family);
            if others.filter(|(_, log)| !matches!(log.state, LogState::Refused(_))).count() > 0 {
                self.gone_positions.push(FilePosition { gone: true, ..log.position() });
                self.logs.remove(index);
            }
        }
    }

    /// Reports unreadable paths, once each.
    pub(super) fn report_errors(&mut self, errors: Vec<SourceError>) {
        for error in errors.iter().filter(|error| !listing::is_missing(error)) {
            let (path, reason) = match error {
                SourceError::Open { input: Input::File(path), .. }
                | SourceError::Read { input: Input::File(path), .. } => (path, "unreadable-file"),
                SourceError::Directory { input: Input::File(path) }
                | SourceError::Journal { input: Input::File(path) }
                | SourceError::Foreign { input: Input::File(path), .. } => (path, "refused-file"),
                #[cfg(not(all(feature = "gzip", feature = "xz", feature = "zstd")))]
                SourceError::MissingCodec { input: Input::File(path), .. } => (path, "refused-file"),
                _ => continue,
            };
            if self.refused.insert(path.clone()) {
                self.damage(path.clone(), reason, 0);
            }
        }
    }

    /// Returns the families with a log being searched for. Their newer content has to wait.
    pub(super) fn families_sought(&self) -> HashSet<PathBuf> {
        let is_sought = |lost: &Lost| lost.searches < MAX_SEARCHES && !lost.waits;
        let sought =
            self.logs.iter().filter(|log| log.lost().is_some_and(is_sought) && !log.finished && log.is_known());
        sought.map(|log| log.family.clone()).collect()
    }
}

/// Returns whether reading continues in a file that begins like the log (`true`), or the log is finished there
/// (`false`). Returns `None` if the file does not hold the whole log yet.
fn resumes_in(log: &Log, unclaimed: &UnclaimedFile, peek: &Peek, same: bool) -> Option<bool> {
    if log.finished && (log.offset == WHOLE_FILE || same && peek.compressed) {
        return Some(false);
    }
    if same && peek.compressed {
        // The compressed file itself was being read, complete or not.
        return Some(true);
    }
    let length =
        if peek.compressed { tail::length(&unclaimed.file).ok()? } else { unclaimed.file.metadata().ok()?.len() };
    (length >= log.offset).then_some(!log.finished || length > log.offset)
}

/// Returns whether a file still holds its log. Reopens the file if it has grown.
fn still_holds(log: &mut Log, file: &Candidate, settings: &Settings) -> bool {
    let now = Some((file.length, Some(file.modified)));
    match &log.state {
        LogState::Open(tail) => return !tail.is_truncated(),
        LogState::Closed(seen) if *seen == now => return true,
        LogState::Refused(seen) => return *seen == now,
        LogState::Closed(_) | LogState::Lost(_) => {}
    }
    let Ok(opened) = log::open(&file.path, file.key) else { return true };
    let Ok(peek) = tail::peek(&opened) else { return true };
    let cut = !peek.compressed && log.offset != WHOLE_FILE && file.length < log.offset;
    if cut || !peek.head.starts_with(log.head()) {
        return false;
    }
    let grown = !peek.compressed && file.length > log.offset;
    let state = if grown {
        let head = peek.head.clone();
        LogState::Open(Box::new(Tail::open(opened, Peek { head, ..peek }, log.read_from(), settings, u64::MAX)))
    } else {
        LogState::Closed(now)
    };
    log.reattach(file, peek.head, state);
    true
}
