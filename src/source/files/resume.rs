//! Where to begin: which of the files that are there another run has read, and how far. Nothing is lost of a file that
//! was rotated, truncated or compressed meanwhile, as long as it still is somewhere beside the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::time::Instant;

use super::FilesSource;
use super::find::{self, Candidate, family};
use super::identity;
use super::log::{self, Log, Refusal, Stage};
use super::tail::{Peek, Tail, peek};
use crate::position::{FilePosition, HEAD};
use crate::source::codec::Fault;
use crate::source::{Input, SourceError};

/// A file that is there at the beginning.
struct Sight {
    candidate: Candidate,
    peek: Peek,
    /// The saved position that is its.
    claim: Option<usize>,
}

impl Sight {
    /// Whether a file has all that was read of the one that a position was saved of.
    fn holds(&self, saved: &FilePosition) -> bool {
        identity::is_of(saved, &self.peek.head) && (self.peek.compressed || self.candidate.length >= saved.offset)
    }
}

impl FilesSource {
    /// Opens what is there. Gives what cannot be read.
    pub(super) fn begin(&mut self, saved: &[FilePosition]) -> Vec<SourceError> {
        let saved = furthest(saved);
        let families: BTreeSet<PathBuf> = saved.iter().map(|saved| family(&saved.path)).collect();
        let mut found = self.find(&families);
        let mut errors = std::mem::take(&mut found.errors);
        let mut sights = Vec::new();
        for candidate in found.files {
            match self.sight(&candidate) {
                Ok(Some(peek)) => sights.push(Sight { candidate, peek, claim: None }),
                Ok(None) => {}
                // Of what nobody asked for, nobody wants to know that it cannot be read.
                Err(error) if candidate.named => errors.push(error),
                Err(_) => {}
            }
        }
        if self.follow {
            errors.retain(|error| !find::is_missing(error));
        }
        for error in &errors {
            if let SourceError::Open { input: Input::File(path), .. }
            | SourceError::Directory { input: Input::File(path) } = error
            {
                self.refused.insert(path.clone());
            }
        }
        claim(&saved, &mut sights);
        self.miss(&saved, &sights);
        self.take_in(&saved, sights);
        errors
    }

    /// What a file begins with. Where it is none that can be read, it is ignored from now on.
    fn sight(&mut self, candidate: &Candidate) -> Result<Option<Peek>, SourceError> {
        let input = Input::File(candidate.path.clone());
        let file = match log::open(&candidate.path, candidate.key) {
            Ok(file) => file,
            Err(Refusal::Gone) => {
                self.changed = true;
                return Ok(None);
            }
            Err(Refusal::Denied(cause)) => return Err(SourceError::Open { input, cause }),
        };
        let error = match peek(&file) {
            Ok(peek) => return Ok(Some(peek)),
            // How much of it can be read will show.
            Err(Fault::Damaged(..)) => return Ok(Some(Peek { head: Vec::new(), compressed: true })),
            // It is tried again.
            Err(Fault::Io(cause)) => return Err(SourceError::Read { input, offset: 0, cause }),
            #[cfg(not(all(feature = "gzip", feature = "xz", feature = "zstd")))]
            Err(Fault::MissingCodec(codec)) => SourceError::MissingCodec { input, codec },
            Err(Fault::Journal) => SourceError::Journal { input },
        };
        self.logs.push(Log::ignored(candidate, Vec::new()));
        Err(error)
    }

    /// Counts the files that another run has read and that are nowhere to be found.
    fn miss(&mut self, saved: &[FilePosition], sights: &[Sight]) {
        let claimed: HashSet<usize> = sights.iter().filter_map(|sight| sight.claim).collect();
        for (index, saved) in saved.iter().enumerate() {
            if claimed.contains(&index) || saved.over {
                continue;
            }
            if saved.head > 0 {
                let truncated =
                    sights.iter().any(|sight| sight.candidate.key.is_of(saved) && sight.candidate.path == saved.path);
                let reason = if truncated { "truncated-log" } else { "lost-file" };
                self.damage(saved.path.clone(), reason, saved.offset);
            }
            // So that it is said once.
            self.gone.push(FilePosition { over: true, ..saved.clone() });
        }
    }

    /// Begins to read what is to be read.
    fn take_in(&mut self, saved: &[FilePosition], sights: Vec<Sight>) {
        let mut newest: BTreeMap<PathBuf, u64> = BTreeMap::new();
        for saved in saved.iter().filter(|saved| saved.head > 0 && saved.modified > 0) {
            let newest = newest.entry(family(&saved.path)).or_default();
            *newest = saved.modified.max(*newest);
        }
        let mut logs = Vec::new();
        for Sight { candidate, peek, claim } in sights {
            if let Some(saved) = claim.and_then(|claim| saved.get(claim)) {
                logs.extend(self.resumed(saved, &candidate, peek).map(|log| (log, false, candidate.modified)));
                continue;
            }
            let family = family(&candidate.path);
            let later = newest.get(&family).is_some_and(|newest| identity::nanoseconds(candidate.modified) >= *newest);
            if !candidate.named && !later {
                self.logs.push(Log::ignored(&candidate, peek.head));
                continue;
            }
            let Ok(file) = log::open(&candidate.path, candidate.key) else {
                self.changed = true;
                continue;
            };
            let before = saved.iter().find(|saved| candidate.key.is_of(saved)).and_then(identity::origin_of);
            let mut log = self.fresh(&candidate, file, before.as_ref());
            if candidate.named && !peek.compressed && peek.head.len() < HEAD {
                // It was asked for, and it says too little to be called a copy.
                log.begin();
            }
            logs.push((log, true, candidate.modified));
        }
        logs.sort_by_key(|(log, unknown, modified)| (log.left.is_none(), *unknown, *modified));
        self.logs.extend(logs.into_iter().map(|(log, ..)| log));
    }

    /// Goes on with a file where another run stopped.
    fn resumed(&mut self, saved: &FilePosition, candidate: &Candidate, peek: Peek) -> Option<Log> {
        let Ok(file) = log::open(&candidate.path, candidate.key) else {
            self.changed = true;
            return None;
        };
        let origin = identity::origin_of(saved).unwrap_or_else(|| identity::origin(candidate.key, None));
        let over = saved.over && (peek.compressed || candidate.length == saved.offset);
        let stage = if over {
            Stage::Closed { head: peek.head, modified: candidate.modified }
        } else if saved.head == 0 {
            // Nothing was known of it yet.
            Stage::Fresh(Tail::open(file, Peek::default(), 0, &self.settings, self.until_of(candidate)))
        } else {
            Stage::Open(Tail::open(file, peek, saved.offset, &self.settings, self.until_of(candidate)))
        };
        let mut log = Log::new(candidate, origin, stage);
        log.home = log::home(&saved.path);
        log.left = (!candidate.named || log.path != log.home).then(Instant::now);
        log.offset = saved.offset;
        log.unread = saved.head == 0;
        log.dirty = !candidate.key.is_of(saved) || saved.path != candidate.path;
        Some(log)
    }
}

/// One position of each log: the one that goes furthest. Those that say most of what their files begin with come first:
/// of several files that had the same inode, the one that is there now is found by that.
fn furthest(saved: &[FilePosition]) -> Vec<FilePosition> {
    let mut furthest: BTreeMap<&str, &FilePosition> = BTreeMap::new();
    for position in saved {
        let known = furthest.entry(&position.origin).or_insert(position);
        if position.offset >= known.offset {
            *known = position;
        }
    }
    let mut furthest: Vec<FilePosition> = furthest.into_values().cloned().collect();
    furthest.sort_by_key(|position| Reverse((position.head, position.offset)));
    furthest
}

/// Finds the file of each saved position: the one that has its inode and begins as it did, else another that begins so,
/// and where nothing is known of the beginning the one that has its inode.
fn claim(saved: &[FilePosition], sights: &mut [Sight]) {
    let rules: [Rule; 4] = [
        |position, sight| is_told(position) && sight.candidate.key.is_of(position),
        |position, sight| is_told(position) && sight.candidate.named && is_near(position, sight),
        |position, sight| is_told(position) && is_near(position, sight),
        |position, sight| !is_told(position) && !position.over && sight.candidate.key.is_of(position),
    ];
    let mut claimed = HashSet::new();
    for rule in rules {
        for (index, position) in saved.iter().enumerate() {
            if claimed.contains(&index) {
                continue;
            }
            let found = |sight: &&mut Sight| sight.claim.is_none() && rule(position, sight) && sight.holds(position);
            if let Some(sight) = sights.iter_mut().find(found) {
                sight.claim = Some(index);
                claimed.insert(index);
            }
        }
    }
}

/// Whether a file may be the one that a position was saved of.
type Rule = fn(&FilePosition, &Sight) -> bool;

/// Whether it is known what the file began with.
fn is_told(position: &FilePosition) -> bool {
    position.head > 0
}

/// Whether it would be no accident if a file began as that one did. A short beginning is that of many files.
fn is_near(position: &FilePosition, sight: &Sight) -> bool {
    position.head as usize == HEAD || family(&sight.candidate.path) == family(&position.path)
}
