//! Kills the program again and again while it reads a growing input, cuts its connections and stops its receiver. Then
//! checks that every line arrived, or was in a deleted file and counted as lost.
//!
//! [`crash_test`] runs a test by its [`plan`]: a [`feed`] writes numbered lines, [`log`], [`deleting_log`] or [`journal`]
//! has them, the [`program`] delivers them to the [`receiver`] with its [`conduct`], the [`ledger`] registers the
//! arrivals, [`losses`] are proved from the program's reports, and a [`tally`] adds up the figures.

mod conduct;
mod crash_test;
mod deleting_log;
mod feed;
mod journal;
mod ledger;
mod log;
mod losses;
mod plan;
mod program;
mod receiver;
mod receiver_stream;
mod rng;
mod tally;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rng::Rng;
use tally::{Tally, table};

/// The kind of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A log file that is rotated. Its files are kept until they have arrived.
    File,
    /// A journal that is rotated.
    Journal,
    /// A log file that is rotated and of which few files are kept.
    Deleted,
    /// Deleted logs with a spool that is small.
    Spool,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Source::File => "file",
            Source::Journal => "journal",
            Source::Deleted => "deleted",
            Source::Spool => "spool",
        }
    }
}

/// Settings of a crash test.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) program: PathBuf,
    /// Arguments appended to the fixed ones.
    pub(crate) more: Vec<OsString>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) source: Source,
    pub(crate) kills: usize,
    pub(crate) seed: u64,
    /// The rest between bursts of about ten lines.
    pub(crate) rest: Duration,
    /// Time without arrivals after which missing lines count as lost.
    pub(crate) patience: Duration,
    /// True to put state and spool on a small disk that fills up at times.
    pub(crate) full_disk: bool,
    /// Folder for all files; it must exist.
    pub(crate) folder: PathBuf,
}

/// The result of a crash test.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// All problems found.
    pub(crate) problems: Vec<String>,
    /// A table of the faults and the arrivals.
    pub(crate) table: String,
}

/// Runs the whole test. Returns once all lines have arrived or nothing more arrives.
pub(crate) fn run(settings: &Settings) -> Outcome {
    let finished = crash_test::run(settings);
    let table = table(&[(settings.source.name(), &finished.tally)]);
    Outcome { problems: finished.problems, table: format!("{}\n{table}", finished.notes) }
}

/// Runs tests with these kinds of input in turn, each with this many kills, until there are as many kills as the settings
/// ask for. With a full disk, every second test of a kind has one. `show` gets a line for each test.
#[allow(dead_code, reason = "the tests run one kind at a time")]
pub(crate) fn run_mixed(settings: &Settings, sources: &[Source], kills: usize, mut show: impl FnMut(&str)) -> Outcome {
    let mut rng = Rng::new(settings.seed);
    let mut tallies = vec![Tally::default(); sources.len()];
    let (mut problems, mut done) = (Vec::new(), 0);
    for round in 0.. {
        if done >= settings.kills {
            break;
        }
        let index = round % sources.len();
        let folder = settings.folder.join(format!("round-{round}"));
        fs::create_dir(&folder).unwrap();
        let kills = kills.min(settings.kills - done);
        let full_disk = settings.full_disk && round / sources.len() % 2 == 1;
        let source = sources[index];
        let round_settings =
            Settings { source, kills, seed: rng.next(), full_disk, folder: folder.clone(), ..settings.clone() };
        let finished = crash_test::run(&round_settings);
        done += kills;
        tallies[index] += &finished.tally;
        let (found, seed) = (finished.problems.len(), round_settings.seed);
        show(&format!("round {round}: {} with seed {seed}, {done} kills so far, {found} problems", source.name()));
        if finished.problems.is_empty() {
            _ = fs::remove_dir_all(folder);
        }
        problems.extend(finished.problems);
    }
    let columns: Vec<_> = sources.iter().map(|source| source.name()).zip(&tallies).collect();
    Outcome { problems, table: table(&columns) }
}
