//! Tests of the parts of the harness.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::conduct::Conduct;
use super::deleting_log::DeletingLog;
use super::feed::{Feed, message};
use super::journal::Journal;
use super::ledger::{Cause, Ledger};
use super::log::Log;
use super::losses::{FileHistory, Losses};
use super::plan::{Fault, Step, plan};
use super::rng::Rng;
use super::tally::Tally;
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

fn problems(ledger: &Ledger, written: u64) -> Vec<String> {
    ledger.problems(written, |_| false)
}

#[test]
fn the_ledger_finds_what_is_wrong() {
    let ledger = Ledger::default();
    let connection = ledger.add_connection(Cause::Start);
    take(&ledger, connection, &[(0, "a"), (1, "b"), (2, "c")]);
    let connection = ledger.add_connection(Cause::Kill);
    take(&ledger, connection, &[(1, "b"), (2, "c"), (3, "d")]);
    assert_eq!(problems(&ledger, 4), Vec::<String>::new());
    assert!(ledger.has(&(0..4)) && !ledger.has(&(0..5)));
    assert_eq!(ledger.missing(0..6), [4, 5]);
    take(&ledger, connection, &[(1, "b"), (2, "c"), (3, "x"), (9, "a")]);
    take(&ledger, connection, &[(5, "e")]);
    let problems = problems(&ledger, 12);
    assert_eq!(
        problems,
        [
            "line 3 comes again under another id",
            "lines 0 and 9 have one id",
            "6 of 12 lines are missing: 4, 6–8, 10–11",
            "connection 1, after Kill: 5 duplicates, and no request has more than 4",
        ]
    );
    let mut tally = Tally::default();
    ledger.tally(12, &mut tally);
    assert_eq!((tally.get("duplicates"), tally.get("lines that came late")), (5, 1));
}

#[test]
fn a_plan_is_the_same_for_the_same_seed() {
    let kills = |seed| plan(seed, 50, false).iter().filter(|step| matches!(step.fault, Fault::Kill { .. })).count();
    assert_eq!(kills(1), 50);
    assert_eq!(plan(1, 50, true), plan(1, 50, true));
    assert_ne!(plan(1, 50, true), plan(2, 50, true));
    assert!(plan(1, 50, true).iter().any(|step| matches!(step.fault, Fault::FullDisk { .. })));
    // The short runs beside the other tests have each kind of receiver.
    for (seed, full_disk) in [(2, false), (4, false), (13, false), (18, true)] {
        for conduct in Conduct::ALL {
            let is_next = |step: &Step| matches!(step.fault, Fault::Kill { next, .. } if next == conduct);
            assert!(plan(seed, 12, full_disk).iter().any(is_next), "{seed}: {conduct:?}");
        }
    }
}

/// Ends each file with few lines, and lets the program know all of them. Returns their numbers in order.
fn write_deleted(log: &mut DeletingLog, history: &FileHistory, state: &Path) -> u64 {
    let mut rng = Rng::new(1);
    let mut lines = 0;
    while !log.counts().starts_with("rotations: 2 files deleted") {
        log.write(lines, &mut rng);
        lines += 1;
        // The state has each file as the program knows it: none of it delivered, under the name of the rotated log.
        let saved = history.sizes().into_iter().map(
            |(inode, size)| serde_json::json!({"path": "/kata.log.1", "inode": inode, "offset": 100, "length": size}),
        );
        fs::write(state.join("state.json"), serde_json::json!({"files": saved.collect::<Vec<_>>()}).to_string())
            .unwrap();
    }
    lines
}

#[test]
fn losses_are_proved_by_reports() {
    let folder = tempfile::tempdir().unwrap();
    let history = Arc::new(FileHistory::new(folder.path()));
    let mut log = DeletingLog::new(&folder.path().join("kata.log"), Arc::clone(&history));
    let lines = write_deleted(&mut log, &history, folder.path());
    let (mut losses, ledger) = (Losses::new(Arc::clone(&history)), Ledger::default());
    losses.begin_life(&folder.path().join("spool"));
    assert_eq!((0..lines).filter(|line| losses.is_counted(*line)).count(), 0);
    let sizes: Vec<u64> = history.sizes().into_iter().map(|(_, size)| size).collect();
    let report = |bytes: u64| {
        format!("katalog: \"/kata.log.1\": {bytes} bytes are lost: it was deleted before they were read\n")
    };
    // The first line is before the position. The second deleted file has no report.
    losses.read(&report(sizes[0] - 100));
    let counted: Vec<u64> = (0..lines).filter(|line| losses.is_counted(*line)).collect();
    let next = counted.last().unwrap() + 1;
    assert_eq!(counted, (1..next).collect::<Vec<_>>());
    let described = losses.describe(&(0..lines).collect::<Vec<_>>());
    assert!(described[0].starts_with("lines 0 to 0 are bytes 0 to ") && described[0].contains("of a deleted file"));
    assert!(described[1].starts_with(&format!("lines {next} to ")) && described[1].contains("; 0 bytes are reported"));
    assert_eq!(losses.problems(&ledger, true), Vec::<String>::new());
    // A file that still has its name cannot be lost, nor can bytes that no file had.
    losses.read(&(report(sizes[3] - 100) + &report(7)));
    assert_eq!(losses.problems(&ledger, true).len(), 2);
    // Lines that are reported as lost arrive.
    for line in 0..next {
        take(&ledger, ledger.add_connection(Cause::Start), &[(line, &line.to_string())]);
    }
    let problems = losses.problems(&ledger, true);
    let over: u64 = sizes[0] - 100;
    assert!(sizes[0] < 40_000 || problems[2].contains(&format!("of {over} bytes that are reported as lost arrived")));
    assert_eq!(losses.problems(&ledger, false).len(), 2);
}

#[test]
fn copies_of_a_line_are_counted_in_each_life() {
    let ledger = Ledger::default();
    let all: Vec<(u64, String)> = (0..4).map(|line| (line, line.to_string())).collect();
    let all: Vec<(u64, &str)> = all.iter().map(|(line, id)| (*line, id.as_str())).collect();
    ledger.begin_life(true);
    let connection = ledger.add_connection(Cause::Start);
    // Halves of four records are single ones after two halvings, and a record comes once more at most.
    [&all[..], &all[..2], &all[..1], &all[..1]].into_iter().for_each(|lines| take(&ledger, connection, lines));
    assert_eq!(problems(&ledger, 4), Vec::<String>::new());
    take(&ledger, connection, &all[..1]);
    assert_eq!(problems(&ledger, 4).len(), 1);
    ledger.begin_life(false);
    let connection = ledger.add_connection(Cause::Kill);
    take(&ledger, connection, &all);
    assert_eq!(problems(&ledger, 4).len(), 1);
    take(&ledger, connection, &all[..1]);
    let found = problems(&ledger, 4);
    assert!(found.iter().any(|problem| problem.starts_with("start 1: a line comes 1 times more often")), "{found:?}");
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
