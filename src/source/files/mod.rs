//! Log files that are followed: files and patterns of files, read from where another run stopped, through rotation,
//! truncation and compression.
//!
//! A log is known by what it begins with ([`identity`]). A name is only where to look: log rotation gives a file
//! another one, and its name to another file; and it puts what was in a file into another one. [`find`] says which files
//! there are, [`rotation`] which logs are in them, [`resume`] begins where another run ended, and [`tail`] reads a file.
//!
//! What is read of a file is lost only where it was written and truncated, or written and deleted, between two looks.

mod listing;
mod identity;
mod log;
mod resume;
mod rotation;
mod tail;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use journal_file::Watch;
use log::{Log, LogState};
use tail::{FileStamp, ReadStep, Tail};

use super::codec::Fault;
use super::framer::block_within_limits;
use super::{Damaged, Fill, Input, Settings, Source, SourceError};
use crate::source::position::{FilePosition, Position};
use kata_records::entry::Batch;

use listing::FileKey;
#[cfg(test)]
use listing::family;
pub(super) use listing::is_pattern;

/// The longest that filling a batch takes where nothing comes.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// For how long a file is kept open that was rotated away and got nothing more.
const LINGER: Duration = Duration::from_secs(60);
/// The time between two searches for other files, if nothing tells of one, and where the system tells nothing.
const SEARCH: Duration = Duration::from_secs(5);
const SEARCH_UNWATCHED: Duration = Duration::from_secs(1);
/// The least time between two searches, and how many times as long as one takes it is.
const MIN_SEARCH_PAUSE: Duration = Duration::from_millis(10);
const SEARCH_COST_FACTOR: u32 = 4;
/// How often a log whose file is gone is looked for in others before it counts as lost.
const MAX_SEARCHES: u32 = 3;

/// Log files that are followed, or read up to now.
pub(super) struct FilesSource {
    patterns: Vec<PathBuf>,
    settings: Settings,
    follow: bool,
    /// All files that are known. Of those of one log, what was written first comes first.
    logs: Vec<Log>,
    /// Whose turn it is.
    next_log: usize,
    watch: Watch,
    /// Files that cannot be opened, which was said.
    refused: HashSet<PathBuf>,
    /// Files that cannot be decompressed, what they were like then, and since when they have been so.
    undecodable: HashMap<FileKey, (Option<FileStamp>, Instant)>,
    /// There may be other files than before.
    changed: bool,
    /// The next search if nothing tells of a change, and the first time for one.
    next_search: Instant,
    earliest_search: Instant,
    damages: Vec<Damaged>,
    /// Positions of what is gone.
    gone_positions: Vec<FilePosition>,
    /// Entries were given since it was last said that more may have to be waited for.
    idle_due: bool,
    ended: bool,
    max_wait: Duration,
    linger: Duration,
}

/// Opens the files that these paths and patterns name, and goes on where the saved positions say. Without `follow` they
/// are read up to now.
pub(super) fn open(
    patterns: &[PathBuf],
    settings: &Settings,
    follow: bool,
    saved: &[FilePosition],
) -> (FilesSource, Vec<SourceError>) {
    let now = Instant::now();
    let mut source = FilesSource {
        patterns: patterns.to_vec(),
        settings: *settings,
        follow,
        logs: Vec::new(),
        next_log: 0,
        watch: Watch::new(),
        refused: HashSet::new(),
        undecodable: HashMap::new(),
        changed: false,
        next_search: now + SEARCH_UNWATCHED,
        earliest_search: now,
        damages: Vec::new(),
        gone_positions: Vec::new(),
        idle_due: false,
        ended: false,
        max_wait: MAX_WAIT,
        linger: LINGER,
    };
    let errors = source.resume(saved);
    (source, errors)
}

impl FilesSource {
    /// Reads a batch of one file. False if there is nothing new in any; what is new may be but a part of an entry.
    fn read(&mut self, batch: &mut Batch) -> bool {
        let families_sought = self.families_sought();
        self.changed |= !families_sought.is_empty();
        loop {
            // What is left of a rotated file comes before what is in the one that has its name now.
            let mut first: HashMap<PathBuf, usize> = HashMap::new();
            for (index, log) in self.logs.iter().enumerate() {
                if log.rotated_at.is_some() && !log.at_end && matches!(log.state, LogState::Open(_)) {
                    first.entry(log.family.clone()).or_insert(index);
                }
            }
            for _ in 0..self.logs.len() {
                let index = if self.next_log < self.logs.len() { self.next_log } else { 0 };
                self.next_log = index + 1;
                let before = self.logs.get(index).and_then(|log| first.get(&log.family));
                if before.is_some_and(|before| *before != index) {
                    continue;
                }
                if self
                    .logs
                    .get(index)
                    .is_some_and(|log| log.rotated_at.is_none() && families_sought.contains(&log.family))
                {
                    continue;
                }
                batch.clear();
                if self.read_log(index, batch) {
                    return true;
                }
            }
            if first.is_empty() {
                return false;
            }
            // They are at their ends, and nothing waits for them any more.
        }
    }

    /// Goes on in one file. False if there was nothing new.
    fn read_log(&mut self, index: usize, batch: &mut Batch) -> bool {
        let (follow, linger, max_line) = (self.follow, self.linger, self.settings.max_line);
        let Some(log) = self.logs.get_mut(index) else { return false };
        let LogState::Open(tail) = &mut log.state else { return false };
        match tail.step(batch) {
            ReadStep::Read => {
                log.last_read = Instant::now();
                log.at_end = false;
                log.reported = false;
                log.update_offset();
                batch.origin = log.origin(max_line, false);
                true
            }
            ReadStep::Quiet => {
                log.at_end = true;
                let over = if follow { log.quiet_for(linger) } else { log.rotated_at.is_some() };
                over && self.finish(index, batch, false)
            }
            ReadStep::Over => self.finish(index, batch, false),
            ReadStep::Truncated => {
                log.mark_lost();
                // Before anything is read of what came later, what is left of it has to be found.
                (self.changed, self.earliest_search) = (true, Instant::now());
                true
            }
            ReadStep::Stuck => self.report_unreadable(index, batch),
        }
    }

    /// Gives what is left of a file to which nothing more comes.
    fn finish(&mut self, index: usize, batch: &mut Batch, damaged: bool) -> bool {
        let max_line = self.settings.max_line;
        let Some(log) = self.logs.get_mut(index) else { return false };
        let Some(tail) = log.tail_mut() else { return false };
        let rest = tail.is_rest();
        tail.finish(batch, damaged || rest);
        batch.origin = log.origin(max_line, true);
        log.close();
        if rest {
            log.mark_lost();
        }
        self.idle_due = true;
        true
    }

    /// Says once what keeps a file from being read.
    fn report_unreadable(&mut self, index: usize, batch: &mut Batch) -> bool {
        let Some(log) = self.logs.get_mut(index) else { return false };
        log.at_end = true;
        let reason = match log.tail().and_then(Tail::fault) {
            Some(Fault::Io(_)) => "unreadable-file",
            // It may still be being written.
            Some(Fault::Damaged(..)) if self.follow && log.last_read.elapsed() < self.linger => return false,
            Some(Fault::Damaged(..)) => "damaged-file",
            Some(_) => "refused-file",
            None => return false,
        };
        let offset = log.tail().map_or(0, Tail::read_bytes);
        let reported = std::mem::replace(&mut log.reported, true);
        let path = log.path.clone();
        if !reported {
            self.damage(path, reason, offset);
        }
        match reason {
            "damaged-file" => self.finish(index, batch, true),
            "refused-file" => {
                if let Some(log) = self.logs.get_mut(index) {
                    log.state = LogState::Refused(log.tail().and_then(|tail| tail::stamp(tail.file()).ok()));
                }
                true
            }
            _ => false,
        }
    }

    fn damage(&mut self, path: PathBuf, reason: &'static str, offset: u64) {
        self.damages.push(Damaged { input: Input::File(path), reason, count: 1, offset });
        self.idle_due = true;
    }

    /// Looks for other files if it is time to.
    fn search_if_due(&mut self) {
        self.changed |= self.watch.wait(Duration::ZERO);
        let now = Instant::now();
        if now < self.earliest_search || !self.changed && now < self.next_search {
            return;
        }
        self.changed = false;
        let errors = self.search();
        self.report_errors(errors);
        let over = Instant::now();
        // A search takes long where there are many files; then it is not made for each change.
        self.earliest_search = over + MIN_SEARCH_PAUSE.max((over - now) * SEARCH_COST_FACTOR);
        self.next_search = over + if self.watch.told() { SEARCH } else { SEARCH_UNWATCHED };
    }
}

impl Source for FilesSource {
    fn fill(&mut self, batch: &mut Batch) -> Result<Fill, SourceError> {
        batch.clear();
        batch.trim(2 * block_within_limits(&self.settings) + self.settings.max_line);
        if self.ended {
            return Ok(Fill::End);
        }
        let until = Instant::now() + self.max_wait;
        let mut waited = false;
        loop {
            if self.follow {
                self.search_if_due();
            }
            if self.read(batch) {
                self.idle_due = true;
                return Ok(Fill::More);
            }
            if !self.follow {
                self.ended = true;
                return Ok(Fill::End);
            }
            let left = until.saturating_duration_since(Instant::now());
            if std::mem::take(&mut self.idle_due) || left.is_zero() {
                return Ok(Fill::Idle);
            }
            if waited {
                // Something has changed that is not ours. It may do so all the time.
                std::thread::sleep(MIN_SEARCH_PAUSE.min(left));
            }
            waited = true;
            let left = if self.changed { left.min(MIN_SEARCH_PAUSE) } else { left };
            self.changed |= self.watch.wait(left);
        }
    }

    fn is_empty(&self) -> bool {
        !self.logs.iter().any(Log::has_file)
    }

    fn restarts(&self) -> bool {
        true
    }

    fn position(&mut self) -> Option<Position> {
        let mut positions = std::mem::take(&mut self.gone_positions);
        for log in self.logs.iter_mut().filter(|log| !matches!(log.state, LogState::Refused(_))) {
            if std::mem::take(&mut log.dirty) {
                positions.push(log.position());
            }
        }
        (!positions.is_empty()).then_some(Position::Files(positions))
    }

    fn damages(&mut self) -> Vec<Damaged> {
        std::mem::take(&mut self.damages)
    }
}

#[cfg(test)]
mod tests;
