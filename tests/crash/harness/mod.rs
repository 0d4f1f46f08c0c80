//! Kills the program again and again while it reads a growing input, cuts its connections and stops its receiver. Then
//! checks that every line arrived.

mod crash_test;
mod feed;
mod journal;
mod ledger;
mod log;
mod plan;
mod program;
mod receiver;
mod receiver_stream;
mod rng;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use crash_test::run;

/// The kind of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A log file that is rotated.
    File,
    /// A journal that is rotated.
    Journal,
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
    /// True to put the state on a small disk that fills up at times.
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
