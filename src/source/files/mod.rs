//! Follows log files and patterns of files: resumes where an earlier run stopped, through rotation, truncation and
//! compression.
//!
//! A log is identified by its first bytes ([`identity`]). A path is only a place to look: rotation renames files,
//! reuses names, and copies content. [`listing`] lists the files, [`rotation`] assigns logs to them, [`resume`]
//! restores positions, [`scanner`] searches while the reader waits, and [`tail`] reads a file.
//!
//! Data is lost only if it was written and truncated, or written and deleted, between two searches.

mod held;
mod listing;
mod identity;
mod log;
mod resume;
mod rotation;
mod scanner;
mod tail;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use journal_file::DirectoryWatch;
use log::{Log, LogState};
use tail::{FileStamp, ReadStep, Tail};

use super::awaited::{Awaited, AwaitedInput};
use super::codec::Fault;
use super::framer::block_within_limits;
use super::{Damaged, Event, Fill, Filled, Input, Settings, Source, SourceError};
use crate::source::position::{FilePosition, Position};
use kata_records::Batch;

pub use held::{FileObserver, HeldFile, HeldLimits, LossReason};
use listing::FileKey;
#[cfg(test)]
use listing::family;
pub(super) use listing::{is_pattern, matches_any};
pub(super) use scanner::ScannedFiles;

/// The longest time that filling a batch waits.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// The time for which a rotated, quiet file stays open.
const LINGER: Duration = Duration::from_secs(60);
/// The interval between searches for files: with change notifications, and without them.
const SEARCH: Duration = Duration::from_secs(5);
const SEARCH_UNWATCHED: Duration = Duration::from_secs(1);
/// The minimum pause between searches: a fixed time, and a multiple of a search's duration.
const MIN_SEARCH_PAUSE: Duration = Duration::from_millis(10);
const SEARCH_COST_FACTOR: u32 = 4;
/// The number of searches after which a missing log counts as lost.
const MAX_SEARCHES: u32 = 3;

/// A source of log files, followed or read to their current ends.
pub(super) struct FilesSource {
    patterns: Vec<PathBuf>,
    settings: Settings,
    follow: bool,
    /// All known logs. Within a family, older content comes first.
    logs: Vec<Log>,
    /// The keys of the positions of earlier runs, and the number of keys that were given since.
    saved_names: HashSet<String>,
    generation: u64,
    /// The index of the log to read next.
    next_log: usize,
    watch: DirectoryWatch,
    /// The paths and patterns that named no file at the last search.
    absent: Vec<AwaitedInput>,
    /// Pipes, sockets, devices and links that matched patterns at the last search and are not read, and those of them
    /// that are not counted yet.
    unread: BTreeSet<PathBuf>,
    passed_over: Vec<PathBuf>,
    /// Files that cannot be opened; they were already reported.
    refused: HashSet<PathBuf>,
    /// Files that cannot be decompressed, with their stamps and the time since which they have been so.
    undecodable: HashMap<FileKey, (Option<FileStamp>, Instant)>,
    /// The set of files may have changed.
    changed: bool,
    /// The time of the next search without a notification, and the earliest time of any search.
    next_search: Instant,
    earliest_search: Instant,
    observer: Arc<dyn FileObserver>,
    /// Files that the observer is to note. Saving them takes time, and nobody waits for it.
    notes: Vec<FilePosition>,
    damages: Vec<Damaged>,
    /// Logs that look binary.
    binary: Vec<PathBuf>,
    /// Positions of vanished logs.
    gone_positions: Vec<FilePosition>,
    /// Entries were returned since the last [`Fill::Idle`].
    idle_due: bool,
    ended: bool,
    max_wait: Duration,
    linger: Duration,
}

/// Opens the files that paths and patterns name, resumed from saved positions. `held` has deleted files that another
/// source held open. Also returns the errors. Without `follow`, the files are read to their current ends.
pub(super) fn open(
    patterns: &[PathBuf],
    settings: &Settings,
    follow: bool,
    saved: &[FilePosition],
    held: &[HeldFile],
    observer: Arc<dyn FileObserver>,
) -> (FilesSource, Vec<SourceError>) {
    let now = Instant::now();
    let mut source = FilesSource {
        patterns: patterns.to_vec(),
        settings: settings.clone(),
        follow,
        logs: Vec::new(),
        saved_names: saved.iter().map(|saved| saved.origin.clone()).collect(),
        generation: 0,
        next_log: 0,
        watch: DirectoryWatch::new(),
        absent: Vec::new(),
        unread: BTreeSet::new(),
        passed_over: Vec::new(),
        refused: HashSet::new(),
        undecodable: HashMap::new(),
        changed: false,
        next_search: now + SEARCH_UNWATCHED,
        earliest_search: now,
        observer,
        notes: Vec::new(),
        damages: Vec::new(),
        binary: Vec::new(),
        gone_positions: Vec::new(),
        idle_due: false,
        ended: false,
        max_wait: MAX_WAIT,
        linger: LINGER,
    };
    let errors = source.resume(saved, held);
    (source, errors)
}

impl FilesSource {
    /// Reads a batch from one log. Returns `false` if no log has new data. New data may be only part of an entry.
    fn read(&mut self, batch: &mut Batch) -> bool {
        let families_sought = self.families_sought();
        self.changed |= !families_sought.is_empty();
        loop {
            // The rest of a rotated file comes before the content of its successor.
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
            // The rotated files are at their ends, so nothing waits for them any more.
        }
    }

    /// Reads from one log. Returns `false` if it has no new data.
    fn read_log(&mut self, index: usize, batch: &mut Batch) -> bool {
        let (follow, linger, max_line) = (self.follow, self.linger, self.settings.max_line);
        let Some(log) = self.logs.get_mut(index) else { return false };
        let is_resumed = log.is_resumed();
        let LogState::Open(tail) = &mut log.state else { return false };
        let is_new = !is_resumed && tail.read_bytes() == 0;
        match tail.step(batch) {
            ReadStep::Read => {
                if is_new && tail.looks_binary() {
                    self.binary.push(log.path.clone());
                }
                log.last_read = Instant::now();
                log.at_end = false;
                log.reported = false;
                batch.origin = log.origin(max_line, false);
                log.route(&self.settings, false).mark(batch);
                if let Some(tail) = log.tail_mut() {
                    tail.mark(batch);
                }
                log.update_offset();
                batch.file.clone_from(&log.path);
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
                // The rest of the truncated log must be found before later content is read.
                (self.changed, self.earliest_search) = (true, Instant::now());
                true
            }
            ReadStep::Stuck => self.report_unreadable(index, batch),
        }
    }

    /// Returns the rest of a file that gets no more data.
    fn finish(&mut self, index: usize, batch: &mut Batch, damaged: bool) -> bool {
        let max_line = self.settings.max_line;
        let Some(log) = self.logs.get_mut(index) else { return false };
        let Some(tail) = log.tail_mut() else { return false };
        let rest = tail.is_rest();
        tail.finish(batch, damaged || rest);
        batch.origin = log.origin(max_line, true);
        log.route(&self.settings, true).mark(batch);
        if let Some(tail) = log.tail_mut() {
            tail.mark(batch);
        }
        batch.file.clone_from(&log.path);
        log.close();
        if rest {
            log.mark_lost();
        }
        self.idle_due = true;
        true
    }

    /// Reports once why a file cannot be read.
    fn report_unreadable(&mut self, index: usize, batch: &mut Batch) -> bool {
        let Some(log) = self.logs.get_mut(index) else { return false };
        log.at_end = true;
        let reason = match log.tail().and_then(Tail::fault) {
            Some(Fault::Io(_)) => "unreadable-file",
            // The file may still be being written.
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
                    log.state = LogState::Refused(log.tail().and_then(|tail| tail.stamp().ok()));
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

    /// Searches for files if a search is due.
    fn search_if_due(&mut self) {
        self.changed |= self.watch.wait(Duration::ZERO);
        let now = Instant::now();
        if now < self.earliest_search || !self.changed && now < self.next_search {
            return;
        }
        self.changed = false;
        let errors = self.search();
        self.note_files();
        self.report_errors(errors);
        let over = Instant::now();
        // With many files a search takes long, so it is not repeated for every change.
        self.earliest_search = over + MIN_SEARCH_PAUSE.max((over - now) * SEARCH_COST_FACTOR);
        self.next_search = over + if self.watch.is_complete() { SEARCH } else { SEARCH_UNWATCHED };
    }
}

impl FilesSource {
    /// Fills a batch, as [`Source::fill`] does.
    fn fill_batch(&mut self, batch: &mut Batch) -> Fill {
        batch.clear();
        batch.trim(2 * block_within_limits(&self.settings) + self.settings.max_line);
        if self.ended {
            return Fill::End;
        }
        let until = Instant::now() + self.max_wait;
        let mut waited = false;
        loop {
            if self.follow {
                self.search_if_due();
            }
            if self.read(batch) {
                self.idle_due = true;
                return Fill::More;
            }
            if !self.follow {
                self.ended = true;
                return Fill::End;
            }
            let left = until.saturating_duration_since(Instant::now());
            if std::mem::take(&mut self.idle_due) || left.is_zero() {
                return Fill::Idle;
            }
            if waited {
                // An unrelated change. Such changes may occur all the time.
                std::thread::sleep(MIN_SEARCH_PAUSE.min(left));
            }
            waited = true;
            let left = if self.changed { left.min(MIN_SEARCH_PAUSE) } else { left };
            self.changed |= self.watch.wait(left);
        }
    }

    /// Returns the positions that changed since the last call.
    fn position(&mut self) -> Option<Position> {
        let mut positions = std::mem::take(&mut self.gone_positions);
        for log in self.logs.iter_mut().filter(|log| !matches!(log.state, LogState::Refused(_))) {
            if std::mem::take(&mut log.dirty) {
                positions.push(log.position());
            }
        }
        (!positions.is_empty()).then_some(Position::Files(positions))
    }
}

impl Source for FilesSource {
    fn fill(&mut self, batch: &mut Batch) -> Filled {
        let fill = self.fill_batch(batch);
        let binary = self.binary.drain(..).map(|path| Event::Binary(Input::File(path)));
        let passed_over = self.passed_over.drain(..).map(|path| Event::PassedOver(Input::File(path)));
        let events = self.damages.drain(..).map(Event::Damaged).chain(binary).chain(passed_over).collect();
        Filled { position: self.position(), ..Filled::new(Ok(fill), events) }
    }

    fn start(&mut self) -> Option<Position> {
        self.position()
    }

    fn awaited(&self) -> Vec<Awaited> {
        let absent = self.absent.iter().filter(|input| self.follow || matches!(input, AwaitedInput::Pattern(..)));
        absent.map(|input| Awaited { input: input.clone(), follow: self.follow }).collect()
    }

    fn unchanged(&self) -> Vec<PathBuf> {
        self.logs.iter().filter(|log| log.is_unchanged()).map(|log| log.path.clone()).collect()
    }

    fn restarts(&self) -> bool {
        true
    }

    fn held_files(&self) -> Vec<HeldFile> {
        FilesSource::held_files(self)
    }
}

#[cfg(test)]
mod tests;
