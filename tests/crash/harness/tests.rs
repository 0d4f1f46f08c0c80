//! Tests of the parts of the harness.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::sync::Arc;

use super::feed::{Feed, message};
use super::journal::Journal;
use super::ledger::{Cause, Ledger};
use super::log::Log;
use super::plan::{Fault, plan};
use super::rng::Rng;
use crate::support::forward::wire::{Frame, text};
use crate::support::journal::remote::{self, JournalPath};

/// Returns a request with these lines, each with its id.
fn request(lines: &[(u64, &str)]) -> Vec<u8> {
    let mut bytes = vec![0x92, 0xa1, b't', 0x90 | lines.len() as u8];
    for (number, id) in lines {
        bytes.extend([0x92, 0x01, 0x82]);
        text(b"kata_msg", &mut bytes);
        text(format!("line {number} of many").as_bytes(), &mut bytes);
        text(b"id", &mut bytes);
        text(id.as_bytes(), &mut bytes);
    }
    bytes
}

fn take(ledger: &Ledger, connection: usize, lines: &[(u64, &str)]) {
    ledger.take(connection, &Frame::parse(&request(lines)).unwrap());
}

#[test]
fn the_ledger_finds_what_is_wrong() {
    let ledger = Ledger::default();
    let connection = ledger.add_connection(Cause::Start);
    take(&ledger, connection, &[(0, "a"), (1, "b"), (2, "c")]);
    let connection = ledger.add_connection(Cause::Kill);
    take(&ledger, connection, &[(1, "b"), (2, "c"), (3, "d")]);
    assert_eq!(ledger.problems(4), Vec::<String>::new());
    assert!(ledger.has(&(0..4)) && !ledger.has(&(0..5)));
    assert_eq!(ledger.arrived(), 4);
    take(&ledger, connection, &[(1, "b"), (2, "c"), (3, "x"), (9, "a")]);
    take(&ledger, connection, &[(5, "e")]);
    let problems = ledger.problems(12);
    assert_eq!(
        problems,
        [
            "line 3 comes again under another id",
            "lines 0 and 9 have one id",
            "6 of 12 lines are missing: 4, 6–8, 10–11",
            "connection 1, after Kill: 5 duplicates, and no request has more than 4",
        ]
    );
    let table = ledger.table(12);
    for row in ["duplicates                        5", "lines that came late              1"] {
        assert!(table.contains(row), "{table}");
    }
}

#[test]
fn a_plan_is_the_same_for_the_same_seed() {
    let kills = |seed| plan(seed, 50, false).iter().filter(|step| matches!(step.fault, Fault::Kill { .. })).count();
    assert_eq!(kills(1), 50);
    assert_eq!(plan(1, 50, true), plan(1, 50, true));
    assert_ne!(plan(1, 50, true), plan(2, 50, true));
    assert!(plan(1, 50, true).iter().any(|step| matches!(step.fault, Fault::FullDisk { .. })));
}

/// Returns the number in a line.
fn number(line: &str) -> u64 {
    line.split("msg=\"line ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_log_keeps_every_line_that_nobody_has() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::default());
    let path = folder.path().join("kata.log");
    let mut log = Log::new(&path, Arc::clone(&ledger));
    let mut rng = Rng::new(1);
    let mut written = 0;
    let mut write = |log: &mut Log, count: u64| {
        for _ in 0..count {
            log.write(written, &mut rng);
            written += 1;
        }
        written
    };
    let lines = || {
        let mut lines = Vec::new();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let mut text = String::new();
            let file = fs::File::open(&path).unwrap();
            if path.extension().is_some_and(|end| end == "gz") {
                // A file in progress has no end yet, and its original still exists.
                if path.with_extension("").exists() {
                    continue;
                }
                flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
            } else {
                (&file).read_to_string(&mut text).unwrap();
            }
            lines.extend(text.lines().map(number));
        }
        lines.sort_unstable();
        lines
    };
    let first = write(&mut log, 6000);
    assert_eq!(lines(), (0..first).collect::<Vec<_>>());
    // Lines that have arrived may be deleted.
    for number in 0..first {
        take(&ledger, ledger.add_connection(Cause::Start), &[(number, &number.to_string())]);
    }
    let second = write(&mut log, 3000);
    let left = lines();
    assert!(left[0] > 0, "{}", log.counts());
    assert_eq!(left, (left[0]..second).collect::<Vec<_>>());
}

#[test]
fn a_journal_has_every_line_in_several_files() {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::default());
    let mut journal = Journal::new(folder.path(), Arc::clone(&ledger));
    let mut rng = Rng::new(1);
    for number in 0..4000 {
        journal.write(number, &mut rng);
    }
    let counts = journal.counts();
    journal.end();
    let messages = remote::successful_output({
        let mut command = remote::journalctl(&JournalPath::Directory(folder.path().to_owned()));
        command.args(["--output", "cat", "--output-fields", "MESSAGE"]);
        command
    });
    journal.begin();
    let numbers: BTreeSet<u64> = String::from_utf8_lossy(&messages).lines().map(number).collect();
    assert_eq!(numbers.len(), 4000, "{counts}");
    assert!(remote::journals(folder.path()).len() > 3, "{counts}");
    assert!(
        message(7, &mut rng).starts_with("time=\"2024-03-05T05:01:54.007000000Z\" level=info msg=\"line 7 of many ")
    );
    // Lines that have arrived may be deleted.
    for number in 0..4000 {
        take(&ledger, ledger.add_connection(Cause::Start), &[(number, &number.to_string())]);
    }
    for number in 4000..10_000 {
        journal.write(number, &mut rng);
    }
    let counts = journal.counts();
    assert!(!counts.contains(" 0 deleted"), "{counts}");
}
