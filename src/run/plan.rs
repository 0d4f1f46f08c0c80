//! The part of the settings that a run needs.

use std::path::Path;

use kata_records::encode;
use kata_records::rules::Rules;

use crate::config::Config;
use crate::diagnostics::{ProgressMode, StatsFormat};
use crate::source::position::FilePosition;
use crate::source::{self, Group, JournalSettings};

/// What a run reads, how, and what it reports.
#[derive(Debug)]
pub struct Plan<'p> {
    /// The inputs, in their order.
    pub groups: &'p [Group],
    /// How inputs are read.
    pub source: &'p source::Settings,
    /// Which journals are read, and from where to where.
    pub journal: &'p JournalSettings,
    /// How far an earlier run has read log files.
    pub files: &'p [FilePosition],
    /// How entries become records.
    pub rules: &'p Rules,
    /// How records are written.
    pub encode: &'p encode::Settings,
    /// How many threads work, at least one.
    pub threads: usize,
    /// The file or directory that the records go to, which is never read.
    pub output: &'p Path,
    /// Whether and how the run shows its progress.
    pub progress: ProgressMode,
    /// The form of the counters.
    pub stats: Option<StatsFormat>,
    /// Failures of inputs are reported with their other defects, at the end.
    pub check: bool,
    /// Flawed records make the run fail.
    pub strict: bool,
    /// A run without records fails.
    pub fail_if_empty: bool,
    /// Report the inputs that are read, and where they are damaged.
    pub verbose: bool,
}

impl<'p> Plan<'p> {
    /// Returns the plan that the settings make for these inputs.
    #[must_use]
    pub fn new(config: &'p Config, rules: &'p Rules, groups: &'p [Group]) -> Plan<'p> {
        let output = config.output_dir.as_deref().or(config.output.as_deref());
        Plan {
            groups,
            source: &config.source,
            journal: &config.journal,
            files: &config.files,
            rules,
            encode: &config.records.encode,
            threads: config.threads.unwrap_or(1),
            output: output.unwrap_or(Path::new("/dev/stdout")),
            progress: config.progress,
            stats: config.stats,
            check: config.check && config.stats.is_some(),
            strict: config.strict,
            fail_if_empty: config.fail_if_empty,
            verbose: config.records.verbose,
        }
    }
}
