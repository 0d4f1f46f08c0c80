//! The settings that a run needs.

use std::path::Path;
use std::sync::Mutex;

use kata_records::flaw::Severity;
use kata_records::{EncodeSettings, Rules};

use crate::config::{Command, Config, Mode};
use crate::delivery::checkpoint::Checkpoint;
use crate::diagnostics::{ProgressMode, StatsFormat};
use crate::source::position::FilePosition;
use crate::source::{self, Group, HeldFile, JournalSettings, Logs};

/// The inputs of a run, the settings for reading and encoding them, and the reports to make.
#[derive(Debug)]
pub struct Plan<'p> {
    /// The inputs, in reading order.
    pub groups: &'p [Group],
    /// Settings for all sources.
    pub source: &'p source::Settings,
    /// The treatment of logs.
    pub logs: Logs,
    /// The selection of journals, and the range of entries.
    pub journal: &'p JournalSettings,
    /// The positions in log files that an earlier run has reached.
    pub files: &'p [FilePosition],
    /// The checkpoint, for files of which the next run must know before anything of them is delivered.
    pub checkpoint: Option<Checkpoint>,
    /// The deleted files that the run before held open. The run takes them.
    pub held: Mutex<Vec<HeldFile>>,
    /// The directory of the positions; `None` if nothing is remembered.
    pub state_dir: Option<&'p Path>,
    /// The rules that turn entries into records.
    pub rules: &'p Rules,
    /// The output format of records.
    pub encode: &'p EncodeSettings,
    /// The number of worker threads, at least one.
    pub threads: usize,
    /// The file or directory of the output. It is never read as an input.
    pub output: &'p Path,
    /// The display of progress.
    pub progress: ProgressMode,
    /// The form of the counters.
    pub stats: Option<StatsFormat>,
    /// Report failures of an input at the end, with its other defects.
    pub check: bool,
    /// The least severity of flaws that make the run fail.
    pub fail_on: Option<Severity>,
    /// A run without records fails.
    pub fail_if_empty: bool,
    /// Report why records make the run fail. The table of `check` shows it anyway.
    pub explain: bool,
    /// Report the inputs without new entries at the end.
    pub once: bool,
    /// Report the inputs that are read, and the damaged parts of them.
    pub verbose: bool,
}

impl<'p> Plan<'p> {
    /// Returns the plan for these inputs, from the saved positions in log files.
    #[must_use]
    pub fn new(config: &'p Config, files: &'p [FilePosition], rules: &'p Rules, groups: &'p [Group]) -> Plan<'p> {
        let directory = config.conversion.as_ref().map(|conversion| conversion.directory.as_path());
        let output = directory.or(config.output.path.as_deref());
        let diagnostics = &config.diagnostics;
        let check = config.command == Command::Check;
        Plan {
            groups,
            source: &config.source,
            logs: match config.range_flags.first() {
                _ if rules.is_raw() => Logs::JournalsOnly,
                Some(flag) => Logs::RefusedBy(flag),
                None => Logs::Read,
            },
            journal: &config.journal,
            files,
            checkpoint: None,
            held: Mutex::default(),
            state_dir: config.delivery.state_dir.as_deref(),
            rules,
            encode: &config.records.encode,
            threads: config.output.threads.unwrap_or(1),
            output: output.unwrap_or(Path::new("/dev/stdout")),
            progress: diagnostics.progress,
            stats: diagnostics.stats,
            check: check && diagnostics.stats.is_some(),
            fail_on: diagnostics.fail_on,
            fail_if_empty: diagnostics.fail_if_empty,
            explain: !check,
            once: config.mode == Mode::Once,
            verbose: diagnostics.verbose,
        }
    }

    /// Returns the flags that log files ignore because of their saved positions.
    pub(super) fn ignored_flags_of_files(&self) -> &'static [&'static str] {
        if self.journal.range.since.is_some() && self.resumes_files() { &["--since"] } else { &[] }
    }

    /// Returns whether log files continue from saved positions.
    fn resumes_files(&self) -> bool {
        self.files.iter().any(|file| file.offset > 0)
    }
}
