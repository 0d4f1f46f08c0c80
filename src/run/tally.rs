//! The counters of a run, the state of its inputs, and its progress.

use std::path::{Path, PathBuf};

use kata_records::findings::Errors;
use kata_records::{Chunk, Stats};

use super::Plan;
use super::large_values::LargeValues;
use crate::delivery::InputEnd;
use crate::diagnostics::{self, InputSummary, Position, Progress};
use crate::exit::Exit;
use crate::source::{self, Damaged, Group, Input, Skipped, SourceError};

/// The counters of a run and the state of its inputs.
pub(super) struct Tally {
    /// The counters of the input that is being read.
    current: Stats,
    /// The counters of all earlier inputs.
    before: Stats,
    /// The errors that the host reports in all inputs.
    errors: Errors,
    /// Summaries of the inputs so far, including the current one.
    inputs: Vec<InputSummary>,
    /// The quoted name of the current input.
    quoted: String,
    /// The path of the current input, if it is a log that is checked.
    log: Option<PathBuf>,
    progress: Progress,
    /// The exit code of the first input that failed.
    failure: Option<Exit>,
    /// Report failures at the end, with the other defects of the input.
    check: bool,
    verbose: bool,
}

/// The result of a run.
pub(super) struct Totals {
    pub(super) stats: Stats,
    pub(super) errors: Errors,
    pub(super) inputs: Vec<InputSummary>,
    pub(super) failure: Option<Exit>,
    /// Progress was shown.
    pub(super) progress: bool,
}

impl Tally {
    pub(super) fn new(plan: &Plan<'_>) -> Tally {
        let sizes = || plan.groups.iter().map(|group| source::size_on_disk(group, plan.journal)).collect();
        Tally {
            current: Stats::default(),
            before: Stats::default(),
            errors: Errors::default(),
            inputs: Vec::new(),
            quoted: String::new(),
            log: None,
            progress: Progress::new(plan.progress, sizes),
            failure: None,
            check: plan.check,
            verbose: plan.verbose,
        }
    }

    /// Starts counting for an input. Returns the failure of earlier inputs, for [`Tally::end_input`].
    pub(super) fn begin_input(&mut self, group: &Group) -> Option<Exit> {
        let name = group.name();
        self.quoted = group.quoted();
        self.progress.begin(&name);
        let container = match group {
            Group::Journal(_) | Group::Machine(..) => Some("journal"),
            Group::Archive(_) => Some("archive"),
            Group::Stream(_) | Group::DirectoryFile(..) | Group::Files(_) => None,
        };
        self.inputs.push(InputSummary { container, ..InputSummary::new(name) });
        self.log = match group {
            Group::Stream(Input::File(path)) | Group::DirectoryFile(_, path) if self.check => Some(path.clone()),
            _ => None,
        };
        self.failure.take()
    }

    /// Ends counting for the current input.
    pub(super) fn end_input(&mut self, before: Option<Exit>) -> InputEnd {
        let own = self.failure;
        self.failure = before.or(own);
        self.before.merge(&self.current);
        if let Some(summary) = self.inputs.last_mut() {
            summary.stats = std::mem::take(&mut self.current);
            if let Some(path) = &self.log {
                summary.first.count_lines(|offsets| source::line_numbers(path, offsets));
            }
            self.progress.end(summary);
        }
        let stats = &self.before;
        InputEnd { failure: own, records: stats.written(), flawed: stats.flawed() + stats.damaged() }
    }

    /// Returns true if the current input had no entries and no failure.
    pub(super) fn is_without_news(&self) -> bool {
        self.current.entries() == 0 && self.inputs.last().is_none_or(|input| input.failures.is_empty())
    }

    /// Returns the totals of the run. Clears the progress display.
    pub(super) fn end(self) -> Totals {
        let stats = self.counted();
        let progress = self.progress.is_shown();
        Totals { stats, errors: self.errors, inputs: self.inputs, failure: self.failure, progress }
    }

    /// Returns the counters of all inputs so far.
    pub(super) fn counted(&self) -> Stats {
        let mut stats = self.before.clone();
        stats.merge(&self.current);
        stats
    }

    /// Returns the errors that the host reports in all inputs so far.
    pub(super) fn errors(&self) -> &Errors {
        &self.errors
    }

    /// Adds the counters and the findings, and prints the notes, of records that are about to be delivered. `file` is the file of their
    /// entries, or empty.
    pub(super) fn encoded(&mut self, chunk: &mut Chunk, file: &Path) {
        if !chunk.notes.is_empty() {
            let file = (!file.as_os_str().is_empty()).then(|| format!("{file:?}"));
            diagnostics::notes(file.as_ref().unwrap_or(&self.quoted), &chunk.notes);
            chunk.notes.clear();
        }
        self.errors.add(&chunk.findings);
        if let Some(input) = self.inputs.last_mut().filter(|_| self.check) {
            for (flaw, offset, place) in chunk.findings.flaws() {
                input.first.note(flaw, place.map_or(Position::Byte(offset), Position::Entry), file, &input.name);
            }
        }
        chunk.findings.clear();
        self.current.merge(&std::mem::take(&mut chunk.stats));
        self.current.encoded(chunk.out.len());
    }

    /// Adds the bytes of values that were read for the delivery, and the damage found in them.
    pub(super) fn large_values(&mut self, read: &LargeValues) {
        self.current.encoded(read.bytes as usize);
        for damage in &read.damages {
            self.current.damage(damage.name(), 1);
            if self.verbose {
                diagnostics::report(format_args!("{}: {}: a value that was read before", self.quoted, damage.name()));
            }
        }
    }

    /// Subtracts the counters of entries that were counted when they were read, and skipped later.
    pub(super) fn take_back(&mut self, counted: &Stats) {
        self.current.take_back(counted);
    }

    /// Updates the progress display. `done` is the number of bytes that were read.
    pub(super) fn progress(&mut self, done: Option<u64>) {
        self.progress.update(done, self.current.entries());
    }

    pub(super) fn skipped(&mut self, skipped: Skipped) {
        self.current.skipped_others(skipped.others);
        self.current.skipped_outside(skipped.outside);
        self.current.skipped_copies(skipped.repeated);
    }

    pub(super) fn damaged(&mut self, Damaged { input, reason, count, offset }: Damaged) {
        self.current.damage(reason, count);
        if let Some(summary) = self.inputs.last_mut() {
            summary.first.note(reason, Position::Byte(offset), Path::new(&input.to_string()), &summary.name);
            // Offsets of damage are those of a journal file.
            self.log = None;
        }
        if self.verbose {
            diagnostics::report(format_args!("{}: {reason}: {count}, first at byte {offset}", input.quoted()));
        }
    }

    /// Counts a member of an archive that is neither a log nor a journal.
    pub(super) fn passed_over(&mut self, input: &Input) {
        self.current.member_passed();
        if self.verbose {
            diagnostics::report(format_args!("{}: passed over", input.quoted()));
        }
    }

    /// Notes that the current input is no log, but holds a journal.
    pub(super) fn holds_journal(&mut self) {
        self.log = None;
        if let Some(input) = self.inputs.last_mut() {
            input.container.get_or_insert("journal");
        }
    }

    /// Notes that a log is probably none.
    pub(super) fn looks_binary(&mut self, input: &Input) {
        let notice = format!(
            "{} looks binary, not like a log: records of its lines have the component \"unknown\"; check whether this is \
             the right file",
            input.quoted()
        );
        if !self.check {
            diagnostics::report(format_args!("{notice}"));
        }
        if let Some(input) = self.inputs.last_mut() {
            input.notices.push(notice);
        }
    }

    /// Records a failure of the current input.
    pub(super) fn input_failed(&mut self, error: &SourceError) {
        if !self.check {
            diagnostics::report(format_args!("{error}"));
        }
        let exit = error.exit();
        self.failure = self.failure.or(Some(exit));
        if let Some(input) = self.inputs.last_mut() {
            input.failures.push(error.to_string());
            input.exit = input.exit.or(Some(exit));
        }
    }
}
