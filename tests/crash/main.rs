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

use harness::{Settings, Source, run};

/// Kills katalog while it delivers to an unreliable receiver, and counts the lines that arrive.
#[derive(Parser)]
struct Options {
    /// Program to test
    program: PathBuf,
    /// Number of kills
    #[arg(long, default_value_t = 100)]
    kills: usize,
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
    /// Fill the disk with the program's state at times; needs the right to mount a small one
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
    File,
    Journal,
}

fn main() -> io::Result<ExitCode> {
    let options = Options::parse();
    let mut folder = tempfile::Builder::new().prefix("katalog-crash-").tempdir()?;
    folder.disable_cleanup(options.keep);
    let seed = options.seed.unwrap_or_else(|| RandomState::new().hash_one(()));
    let mut out = io::stdout();
    writeln!(out, "seed {seed}, files in {}", folder.path().display())?;
    let outcome = run(&Settings {
        program: options.program,
        more: options.more,
        environment: Vec::new(),
        source: match options.source {
            Input::File => Source::File,
            Input::Journal => Source::Journal,
        },
        kills: options.kills,
        seed,
        rest: Duration::from_millis(options.rest),
        patience: Duration::from_secs(options.patience),
        full_disk: options.full_disk,
        folder: folder.path().to_owned(),
    });
    writeln!(out, "{}", outcome.table)?;
    for problem in &outcome.problems {
        writeln!(out, "PROBLEM: {problem}")?;
    }
    Ok(if outcome.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
