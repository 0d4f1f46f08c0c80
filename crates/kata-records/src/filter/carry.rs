//! Decisions that depend on the record before, carried from batch to batch.
//!
//! A record without a level passes if the record before it passed by its level, and a record without a time follows the
//! one before it likewise. A worker decides within its batch. The first records of a batch may depend on the batch
//! before, so they are kept apart until [`Chunk::resolve`](crate::Chunk::resolve) is called in the order of the input.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Decision;
use crate::encode::{Encoded, Match};
use crate::findings::Findings;
use crate::stats::Stats;

/// The last decisions by time and by level in a batch or in an input; `None` before the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    time: Option<bool>,
    level: Option<bool>,
}

/// The verdict about a record within its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Write(Match),
    Drop,
    /// The record follows the last record before its batch by its time, by its level, or by both.
    Follows {
        time: bool,
        level: bool,
        is_match: Match,
    },
}

impl Pending {
    /// Returns the verdict about the next record. `keep_misses` writes records that do not pass.
    fn next(&mut self, decision: Decision, keep_misses: bool) -> Verdict {
        self.time = decision.time.or(self.time);
        self.level = decision.level.or(self.level);
        let is_match = match self.level {
            _ if !decision.passes => Match::No,
            Some(true) => Match::Yes,
            Some(false) => Match::No,
            None => Match::Follows,
        };
        match (self.time, self.level) {
            (Some(false), _) => Verdict::Drop,
            _ if is_match == Match::No && !keep_misses => Verdict::Drop,
            (Some(true), Some(_)) => Verdict::Write(is_match),
            (time, level) => Verdict::Follows { time: time.is_none(), level: level.is_none(), is_match },
        }
    }
}

/// Records at the beginning of a batch that follow the last record of the batch before.
#[derive(Debug, Default)]
pub(crate) struct Leading {
    time: bool,
    level: bool,
    pub(crate) out: Encoded,
    pub(crate) notes: Vec<u8>,
    pub(crate) stats: Stats,
    pub(crate) findings: Findings,
}

/// The undecided beginning of a batch, and the decisions at its end.
#[derive(Debug, Default)]
pub(crate) struct Carry {
    /// At most one part that follows both decisions, and one that follows one of them.
    leading: Vec<Leading>,
    last: Pending,
    keep_misses: bool,
}

impl Carry {
    /// Starts a batch. `keep_misses` keeps records that do not pass by their level.
    pub(crate) fn begin(&mut self, keep_misses: bool) {
        debug_assert!(self.leading.is_empty(), "the batch before is not resolved");
        self.last = Pending::default();
        self.keep_misses = keep_misses;
    }

    /// Returns the verdict about the next record of the batch.
    pub(crate) fn next(&mut self, decision: Decision) -> Verdict {
        self.last.next(decision, self.keep_misses)
    }

    /// Returns the part for a record that follows.
    pub(crate) fn part(&mut self, time: bool, level: bool, out: &Encoded) -> &mut Leading {
        let is_open = self.leading.last().is_some_and(|part| (part.time, part.level) == (time, level));
        if !is_open {
            let mut part = Leading { time, level, ..Leading::default() };
            part.out.received = out.received;
            self.leading.push(part);
        }
        let last = self.leading.len() - 1;
        &mut self.leading[last]
    }
}

/// The parts of a chunk that undecided records are added to.
pub(crate) struct Resolved<'c> {
    pub(crate) out: &'c mut Encoded,
    pub(crate) notes: &'c mut Vec<u8>,
    pub(crate) stats: &'c mut Stats,
    pub(crate) findings: &'c mut Findings,
}

/// The number of files whose last decisions are kept. A file that is forgotten begins anew.
const MAX_FILES: usize = 1 << 12;

/// The last decisions of the filters in an input. A new value is for the beginning of an input.
#[derive(Debug, Default)]
pub struct FilterState {
    /// The last decisions by file: batches of followed files alternate.
    files: HashMap<PathBuf, Pending>,
}

impl FilterState {
    /// Adds the undecided records of a batch that pass to the others, and counts those that do not pass. `file` is the
    /// file of the batch: the first records of a file follow no other file.
    pub(crate) fn resolve(&mut self, carry: &mut Carry, file: &Path, chunk: Resolved<'_>) {
        let Resolved { out, notes, stats, findings } = chunk;
        let last = self.files.get(file).copied().unwrap_or_default();
        let mut parts = std::mem::take(&mut carry.leading);
        // Before the first record with a time, any time may be the record's. Without any level, no range of levels fits.
        let by_level = last.level.unwrap_or(false);
        let passes = |part: &Leading| {
            (!part.time || last.time.unwrap_or(true)) && (!part.level || by_level || carry.keep_misses)
        };
        parts.retain_mut(|part| {
            let kept = passes(part);
            for row in part.out.rows.iter_mut().filter(|row| row.is_match == Match::Follows) {
                row.is_match = if by_level { Match::Yes } else { Match::No };
            }
            if !kept {
                stats.filtered(part.stats.written());
            }
            kept
        });
        if !parts.is_empty() {
            let (behind, behind_notes) = (std::mem::take(out), std::mem::take(notes));
            let behind_findings = std::mem::take(findings);
            out.received = behind.received;
            for part in parts {
                out.append(&part.out);
                notes.extend_from_slice(&part.notes);
                stats.merge(&part.stats);
                findings.append(&part.findings);
            }
            out.append(&behind);
            notes.extend_from_slice(&behind_notes);
            findings.append(&behind_findings);
        }
        let now = Pending { time: carry.last.time.or(last.time), level: carry.last.level.or(last.level) };
        match self.files.get_mut(file) {
            Some(last) => *last = now,
            None => {
                if self.files.len() >= MAX_FILES {
                    self.files.clear();
                }
                self.files.insert(file.to_owned(), now);
            }
        }
    }
}
