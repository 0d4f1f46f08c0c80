//! Kills the program a few times while it delivers; `cargo run --example crash` does it more often.

#[path = "../crash/harness/mod.rs"]
mod harness;

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::{Outcome, Settings, Source, run};

use crate::support::journal::remote;

const KILLS: usize = 12;

fn settings(program: PathBuf, source: Source, seed: u64, folder: &Path) -> Settings {
    Settings {
        program,
        more: Vec::new(),
        environment: Vec::new(),
        source,
        kills: KILLS,
        seed,
        rest: Duration::from_millis(5),
        patience: Duration::from_secs(30),
        // If no small disk can be mounted, the spool is full only at its limit.
        full_disk: source == Source::Spool,
        folder: folder.to_owned(),
    }
}

#[track_caller]
fn survives(source: Source, seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(&settings(env!("CARGO_BIN_EXE_katalog").into(), source, seed, folder.path()));
    assert_eq!(outcome.problems, Vec::<String>::new(), "\n{}", outcome.table);
}

#[test]
fn a_log_file_arrives_whole() {
    survives(Source::File, 13);
}

#[test]
fn a_journal_arrives_whole() {
    if !remote::missing() {
        survives(Source::Journal, 2);
    }
}

#[test]
fn deleted_files_arrive_or_are_counted() {
    survives(Source::Deleted, 4);
}

#[test]
fn a_spool_that_is_full_arrives_whole() {
    survives(Source::Spool, 18);
}

/// Checks that the harness reports this problem for a client with this fault.
#[track_caller]
fn check_finding(fault: &str, patience: Duration, problem: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/faulty.sh");
    let environment =
        [("PROGRAM", env!("CARGO_BIN_EXE_katalog")), ("FAULT", fault)].map(|(name, value)| (name.into(), value.into()));
    let settings = settings(path, Source::File, 3, folder.path());
    let Outcome { problems, table } =
        run(&Settings { environment: environment.into(), patience, kills: 3, ..settings });
    assert!(problems.iter().any(|found| found.contains(problem)), "{fault}: {problems:?}\n{table}");
}

#[test]
fn the_harness_finds_what_is_lost() {
    check_finding("loses", Duration::from_secs(1), "lines are missing");
}

#[test]
fn the_harness_finds_too_many_duplicates() {
    check_finding("repeats", Duration::from_secs(30), "duplicates, and no request has more");
}
