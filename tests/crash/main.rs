//! Kills a katalog program any number of times, and reports lost lines. `tests/delivery/crash.rs` runs a small part of
//! this with each run of the tests.

#![allow(clippy::unwrap_used, reason = "what cannot go on fails")]

mod harness;
mod support;

use std::ffi::OsString;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use harness::{Settings, Source, run, run_mixed};

/// Kills katalog while it delivers to an unreliable receiver, and counts the lines that arrive.
#[derive(Parser)]
struct Options {
    /// Program to test
    program: PathBuf,
    /// Number of kills
    #[arg(long, default_value_t = 100)]
    kills: usize,
    /// Number of kills after which a mixed test goes on with the next kind of input
    #[arg(long, default_value_t = 20)]
    round: usize,
    /// Kind of input
    #[arg(long, value_enum, default_value_t = Input::File)]
    source: Input,
    /// Seed of all random choices; a new one each time by default
    #[arg(long)]
    seed: Option<u64>,
    /// Milliseconds between bursts of about ten lines
    #[arg(long, default_value_t = 5)]
    rest: u64,
    /// Seconds without a new line after which missing lines count as lost
    #[arg(long, default_value_t = 60)]
    patience: u64,
    /// Fill the disk with the program's state and spool at times; needs the right to mount a small one
    #[arg(long)]
    full_disk: bool,
    /// Keep all files, and print their location
    #[arg(long)]
    keep: bool,
    /// More arguments for the program
    #[arg(last = true)]
    more: Vec<OsString>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Input {
    /// A log file that is rotated, and whose files are kept until they have arrived
    File,
    /// A journal that is rotated
    Journal,
    /// A log file of whose rotated files few are kept
    Deleted,
    /// Such a file, and a small spool
    Spool,
    /// All of these in turn
    Mixed,
}

/// The kinds of input of a mixed test.
const MIXED: [Source; 4] = [Source::File, Source::Journal, Source::Deleted, Source::Spool];

fn main() -> io::Result<ExitCode> {
    let options = Options::parse();
    let mut folder = tempfile::Builder::new().prefix("katalog-crash-").tempdir()?;
    folder.disable_cleanup(options.keep);
    let seed = options.seed.unwrap_or_else(|| RandomState::new().hash_one(()));
    let mut out = io::stdout();
    writeln!(out, "seed {seed}, files in {}", folder.path().display())?;
    let source = match options.source {
        Input::File | Input::Mixed => Source::File,
        Input::Journal => Source::Journal,
        Input::Deleted => Source::Deleted,
        Input::Spool => Source::Spool,
    };
    let settings = Settings {
        program: options.program,
        more: options.more,
        environment: Vec::new(),
        source,
        kills: options.kills,
        seed,
        rest: Duration::from_millis(options.rest),
        patience: Duration::from_secs(options.patience),
        full_disk: options.full_disk,
        folder: folder.path().to_owned(),
    };
    let outcome = match options.source {
        Input::Mixed => run_mixed(&settings, &MIXED, options.round, |line| {
            _ = writeln!(io::stderr(), "{line}");
        }),
        _ => run(&settings),
    };
    writeln!(out, "{}", outcome.table)?;
    for problem in &outcome.problems {
        writeln!(out, "PROBLEM: {problem}")?;
    }
    Ok(if outcome.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
