//! A run that stops anywhere and one that resumes from its position together give every entry once.

use std::fs;
use std::path::{Path, PathBuf};

use kata_records::{Batch, Chunk, Rules, Worker};
use katalog::source::position::{JournalPosition, Position};
use katalog::source::{self, Fill};

use super::merge::{boots, copies, interleaved, machines};
use super::write_file;
use crate::support::journal::samples::{BOOT, service};
use crate::support::journal::{Entry, Shape, State, Writer, file};
use crate::support::pipeline::config;

/// Returns the cursors of a run until it has filled this many batches, and its position then.
fn run(
    paths: &[PathBuf],
    flags: &[&str],
    resume: Option<JournalPosition>,
    batches: usize,
) -> (Vec<String>, JournalPosition) {
    // Formats of entries always have the cursor.
    let cursor: &[&str] =
        if flags.iter().any(|flag| flag.starts_with("--format")) { &[] } else { &["--drop=!__CURSOR"] };
    let mut config = config(&[cursor, flags].concat());
    config.journal.resume = resume;
    let rules = Rules::new(&config.records).unwrap();
    let (mut source, errors) = source::open_journals(paths, &config.journal, 2000, &rules);
    assert!(errors.is_empty(), "{errors:?}");
    let mut worker = Worker::new(&rules);
    let (mut batch, mut chunk) = (Batch::default(), Chunk::default());
    let mut position = None;
    for _ in 0..batches {
        let filled = source.fill(&mut batch);
        worker.run(&batch, &mut chunk);
        position = filled.position;
        if filled.fill == Fill::End {
            break;
        }
    }
    let Some(Position::Journal(position)) = position else { panic!("a journal has a position") };
    let records = serde_json::Deserializer::from_slice(&chunk.out.bytes).into_iter::<serde_json::Value>();
    let cursors = records.map(|record| record.unwrap()["__CURSOR"].as_str().unwrap().to_owned());
    (cursors.collect(), position)
}

/// Stops a run after each number of batches, and resumes it.
fn check(name: &str, folder: &Path) {
    let paths = [folder.to_owned()];
    for flags in [&["--format=journal-json"][..], &[], &["--others=pass"]] {
        let (whole, end) = run(&paths, flags, None, usize::MAX);
        assert!(whole.len() > 20, "{name} {flags:?}: {}", whole.len());
        assert_eq!(run(&paths, flags, Some(end), usize::MAX).0, [""; 0], "{name} {flags:?}");
        for batches in 1.. {
            let (mut given, position) = run(&paths, flags, None, batches);
            assert_eq!(position.cursor.as_ref(), given.last(), "{name} {flags:?} {batches}");
            let complete = given.len() == whole.len();
            given.extend(run(&paths, flags, Some(position), usize::MAX).0);
            let mut expected = whole.clone();
            given.sort();
            if name == "copies" {
                // A copy is only recognized when its turn comes.
                given.dedup();
            }
            expected.sort();
            assert_eq!(given, expected, "{name} {flags:?}, ended after {batches} batches");
            if complete {
                break;
            }
        }
    }
}

#[test]
fn no_entry_is_lost_or_given_twice() {
    check("interleaved", interleaved().path());
    let [two, one] = boots();
    check("two boots", two.path());
    check("one boot", one.path());
    check("machines", machines().path());
    check("copies", copies().path());
}

#[test]
fn clocks_that_go_back_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let entries = |numbers: std::ops::Range<u64>| -> Vec<Entry> {
        numbers
            .map(|number| {
                let mut entry = service(number, BOOT + u128::from(number / 40));
                entry.realtime -= number / 30 * 50_000_000;
                entry.monotonic = 1_000_000 + number % 40 * 7;
                entry
            })
            .collect()
    };
    let shape = |id| Shape { file_id: id, seqnum_id: id % 2, state: State::Archived, ..Shape::default() };
    for id in 0..6 {
        let mut writer = Writer::new(shape(id + 2));
        writer.seqnum = 1 + u64::try_from(id).unwrap() * 100;
        let from = u64::try_from(id).unwrap() * 25;
        entries(from..from + 25).iter().for_each(|entry| {
            writer.entry(entry);
            writer.seqnum += 1;
        });
        write_file(folder.path(), format!("{id}.journal"), writer.finish());
    }
    check("clocks", folder.path());
}

/// Writes, rotates and renames files between two runs.
#[test]
fn what_came_meanwhile_is_all_that_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let entries: Vec<Entry> = (0..60).map(|number| service(number, BOOT)).collect();
    let shape = |state| Shape { file_id: 1, seqnum_id: 1, state, ..Shape::default() };
    let path = write_file(folder.path(), "system.journal", file(&shape(State::Online), &entries[..40]));
    let paths = [folder.path().to_owned()];
    let flags = ["--format=journal-json"];
    let (first, position) = run(&paths, &flags, None, usize::MAX);
    assert_eq!(first.len(), 40);
    // The file with more entries, renamed to an archived one, and another file of that source after it.
    fs::remove_file(path).unwrap();
    let archived = file(&shape(State::Archived), &entries[..45]);
    write_file(
        folder.path(),
        "system@00000000000000000000000000000001-0000000000000001-0005f5e100000000.journal",
        &archived,
    );
    let mut next = Writer::new(Shape { file_id: 2, seqnum_id: 1, state: State::Online, ..Shape::default() });
    for (number, entry) in entries.iter().enumerate().skip(45) {
        next.seqnum = number as u64 + 1;
        next.entry(entry);
    }
    write_file(folder.path(), "system.journal", next.finish());
    let (second, _) = run(&paths, &flags, Some(position), usize::MAX);
    let numbers: Vec<usize> = second.iter().map(|cursor| number(cursor)).collect();
    assert_eq!(numbers, (41..=60).collect::<Vec<_>>());
}

fn number(cursor: &str) -> usize {
    let number = cursor.split(';').find_map(|part| part.strip_prefix("i=")).unwrap();
    usize::from_str_radix(number, 16).unwrap()
}
