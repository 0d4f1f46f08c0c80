//! Journal filters, compared with the corresponding flags of `journalctl`.

use std::fs;

use rayon::iter::{IndexedParallelIterator as _, IntoParallelIterator as _, ParallelIterator as _};

use super::merge::wide;
use super::{assert_no_failures, export, katalog_output, shapes, write_file};
use crate::support::journal::remote::{self, JournalPath, WriterOptions};
use crate::support::journal::samples::{BOOT, NEXT_BOOT, START, clock_set_back, services};
use crate::support::journal::{Codec, Entry, Shape, compare, file, stream};
use crate::support::pipeline::records;

/// Returns the times of the entries that the program writes.
fn times(place: &JournalPath, arguments: &[&str]) -> Vec<String> {
    let output = katalog_output(place, &[&["--keep", "__REALTIME_TIMESTAMP"], arguments].concat());
    let time = |record: crate::support::pipeline::Record| record.text("__REALTIME_TIMESTAMP").unwrap().to_owned();
    records(&output).into_iter().map(time).collect()
}

/// Returns the times of the entries that `journalctl` prints.
fn their_times(place: &JournalPath, arguments: &[&str]) -> Vec<String> {
    let stream = remote::export(place, arguments);
    let time = |entry: &[u8]| compare::value(entry, "__REALTIME_TIMESTAMP").unwrap().to_owned();
    compare::entries(&stream).into_iter().map(time).collect()
}

/// Checks that the flags of both programs select equal entries, `some` in number.
fn check_selection(name: &str, place: &JournalPath, theirs: &[&str], ours: &[&str], some: usize) -> Option<String> {
    let expected = remote::export(place, theirs);
    let count = compare::entries(&expected).len();
    assert_eq!(count, some, "{name}: journalctl {theirs:?}");
    let difference = compare::export(&expected, &export(place, ours)).err()?;
    Some(format!("{name}, {ours:?}: {difference}"))
}

/// Returns a directory of five files with 230 entries, one a second.
pub(super) fn rotated() -> (tempfile::TempDir, JournalPath) {
    let folder = tempfile::tempdir().unwrap();
    remote::append(&folder.path().join("system.journal"), &stream(&wide(230)), WriterOptions::default());
    let place = JournalPath::Directory(folder.path().to_owned());
    (folder, place)
}

#[test]
fn identifiers() {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let failures: Vec<String> = shapes()
        .into_par_iter()
        .enumerate()
        .flat_map_iter(|(number, (name, shape))| {
            let path = write_file(folder.path(), format!("{number}.journal"), file(&shape, &services(100)));
            let place = JournalPath::file(path);
            let mut failures = Vec::new();
            for (theirs, ours) in [
                (&["-t", "kata", "-t", "kata-runtime"] as &[&str], &[] as &[&str]),
                (&["-t", "sshd"], &["--identifier", "sshd"]),
                (&["-t", "sshd", "-t", "kata", "-t", "kata-runtime"], &["--identifier", "sshd|kata.*"]),
                (&["-t", "no-such-program"], &["--identifier", "no-such-program"]),
            ] {
                let (theirs, ours) = (their_times(&place, theirs), times(&place, ours));
                if theirs != ours {
                    failures.push(format!("{name}: {} entries instead of {}", ours.len(), theirs.len()));
                }
            }
            failures
        })
        .collect();
    assert_no_failures(&failures);
    assert_eq!(times(&JournalPath::file(folder.path().join("0.journal")), &[]).len(), 60);
}

#[test]
fn an_identifier_that_is_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let name = "kata".repeat(100);
    let entry = |entry: Entry| entry.with("SYSLOG_IDENTIFIER", &name);
    let mut entries = services(20);
    for other in &mut entries {
        other.fields.retain(|(known, _)| known != "SYSLOG_IDENTIFIER");
    }
    entries.extend(services(8).into_iter().map(|mut service| {
        service.fields.retain(|(known, _)| known != "SYSLOG_IDENTIFIER");
        entry(service)
    }));
    for codec in [Codec::Xz, Codec::Lz4, Codec::Zstd] {
        for (compact, keyed) in [(true, true), (false, false)] {
            let shape = Shape { compression: Some((codec, 8)), compact, keyed, ..Shape::default() };
            let path = write_file(folder.path(), "system.journal", file(&shape, &entries));
            let found = times(&JournalPath::file(path), &["--identifier", "(kata){100}"]);
            assert_eq!(found.len(), 8, "{shape:?}");
        }
    }
}

#[test]
fn since_and_until() {
    if remote::missing() {
        return;
    }
    let (_folder, place) = rotated();
    let mut failures = Vec::new();
    for (flags, count) in [
        (&["--since", "2023-11-14 22:13:20"] as &[&str], 230),
        (&["--since", "2023-11-14 22:13:21"], 229),
        (&["--since", "2023-11-14 22:14:59.5"], 130),
        (&["--since", "@1700000100"], 130),
        (&["--since", "2023-11-15"], 0),
        (&["--since", "1999-12-31 23:59:59"], 230),
        (&["--until", "2023-11-14 22:13:20"], 1),
        (&["--until", "2023-11-14 22:13:19.999999"], 0),
        (&["--until", "@1700000100"], 101),
        (&["--until", "2023-11-15 12:00"], 230),
        (&["--since", "2023-11-14 22:14:10", "--until", "2023-11-14 22:15:55"], 106),
        (&["--since", "@1700000049", "--until", "@1700000050"], 2),
        (&["--since", "@1700000077", "--until", "@1700000077"], 1),
        (&["--since", "2023-11-14 22:14:10.1", "--until", "2023-11-14 22:14:10.9"], 0),
    ] {
        failures.extend(check_selection("the directory", &place, flags, flags, count));
        for file in remote::journals(place.paths()[0].as_path()) {
            let place = JournalPath::file(file);
            let expected = remote::export(&place, flags);
            let difference = compare::export(&expected, &export(&place, flags)).err();
            failures.extend(difference.map(|difference| format!("{place:?}, {flags:?}: {difference}")));
        }
    }
    assert_no_failures(&failures);
}

#[test]
fn times_are_tested_where_the_clock_went_back() {
    let folder = tempfile::tempdir().unwrap();
    let entries = clock_set_back(20);
    let place = JournalPath::file(write_file(folder.path(), "system.journal", file(&Shape::default(), &entries)));
    for (since, until) in [(0, 25), (15, 35), (5, 9), (29, 41), (60, 89)] {
        let within = |entry: &&Entry| (since..=until).contains(&((entry.realtime - START) / 1_000_000));
        let expected = entries.iter().filter(within).count();
        let [since, until] = [since, until].map(|seconds| format!("@{}", START / 1_000_000 + seconds));
        let found = export(&place, &["--since", &since, "--until", &until]);
        assert_eq!(compare::entries(&found).len(), expected, "from {since} to {until}");
    }
}

/// Returns a directory of two files with three boots of 20 entries each.
pub(super) fn rebooted() -> (tempfile::TempDir, JournalPath) {
    let folder = tempfile::tempdir().unwrap();
    let entry = |number: u64| {
        let mut entry = services(number + 1).pop().unwrap();
        let boot = [BOOT, NEXT_BOOT, 0xabc][number as usize / 20];
        entry.boot = boot;
        entry.fields[0].1 = format!("{boot:032x}").into_bytes();
        entry.monotonic = 1_000_000 + number % 20 * 1_000_000;
        entry
    };
    let entries: Vec<Entry> = (0..60).map(entry).collect();
    let shape =
        |first_seqnum: u64| Shape { file_id: first_seqnum.into(), seqnum_id: 9, first_seqnum, ..Shape::default() };
    write_file(folder.path(), "a.journal", file(&shape(1), &entries[..30]));
    write_file(folder.path(), "b.journal", file(&shape(31), &entries[30..]));
    let place = JournalPath::Directory(folder.path().to_owned());
    (folder, place)
}

#[test]
fn boots() {
    if remote::missing() {
        return;
    }
    let (_folder, place) = rebooted();
    let mut failures = Vec::new();
    for boot in ["6c7c6013a26343b29e964691ff25d04c", "00000000000000000000000000000abc", "-1", "-2", "1", "2", "3"] {
        let flag = format!("--boot={boot}");
        failures.extend(check_selection("three boots", &place, &[&flag], &[&flag], 20));
    }
    assert_no_failures(&failures);
}

#[test]
fn lines() {
    if remote::missing() {
        return;
    }
    let (_folder, place) = rotated();
    let mut failures = Vec::new();
    for (flags, count) in [
        (&["--lines=1"] as &[&str], 1),
        (&["--lines=7"], 7),
        (&["--lines=75"], 75),
        (&["--lines=1000"], 230),
        (&["--lines=3", "--until", "@1700000100"], 3),
    ] {
        // `journalctl` 252 counts from the end of the journal, ignoring `--until`, and prints none.
        let until = flags.iter().position(|flag| *flag == "--until");
        let Some(at) = until else {
            failures.extend(check_selection("the directory", &place, flags, flags, count));
            continue;
        };
        let all = remote::export(&place, &flags[at..]);
        let entries = compare::entries(&all);
        let expected = entries[entries.len() - count..].concat();
        let difference = compare::export(&expected, &export(&place, flags)).err();
        failures.extend(difference.map(|difference| format!("{flags:?}: {difference}")));
    }
    assert_no_failures(&failures);
}

#[test]
fn cursors() {
    if remote::missing() {
        return;
    }
    let (_folder, place) = rotated();
    let all = remote::export(&place, &[]);
    let entries = compare::entries(&all);
    let failures: Vec<String> = (0..entries.len())
        .into_par_iter()
        .step_by(19)
        .chain([0, 49, 50, 51, 99, 100, 228, 229].into_par_iter())
        .flat_map_iter(|at| {
            let cursor = compare::cursor(entries[at]);
            let parts: Vec<&str> = cursor.split(';').collect();
            // The number alone finds the position, and so does the boot with the monotonic time, and so does the time.
            // Version 252 starts over for the second of these, so only ours is tested.
            let (number, boot, time) = (parts[..2].join(";"), parts[2..4].join(";"), parts[4].to_owned());
            let ours = [cursor.to_owned(), number.clone(), boot, time.clone()].map(|cursor| (cursor, true));
            let theirs = [cursor.to_owned(), number, time].map(|cursor| (cursor, false));
            let mut failures = Vec::new();
            for (cursor, we) in ours.into_iter().chain(theirs) {
                let flags = ["--after-cursor", cursor.as_str()];
                let stream = if we { export(&place, &flags) } else { remote::export(&place, &flags) };
                if let Err(difference) = compare::export(&entries[at + 1..].concat(), &stream) {
                    let who = if we { "we" } else { "they" };
                    failures.push(format!("{who} after entry {}, {cursor}: {difference}", at + 1));
                }
            }
            failures
        })
        .collect();
    assert_no_failures(&failures);
}

#[test]
fn a_cursor_of_an_entry_that_is_gone() {
    if remote::missing() {
        return;
    }
    let (folder, place) = rotated();
    let all = remote::export(&place, &[]);
    let entries = compare::entries(&all);
    let archived = remote::journals(folder.path()).into_iter().find(|path| {
        let first = remote::readable_entries(path);
        compare::cursor(compare::entries(&first)[0]) == compare::cursor(entries[0])
    });
    let archived = archived.unwrap();
    let gone = compare::entries(&remote::readable_entries(&archived)).len();
    fs::remove_file(archived).unwrap();
    let rest = entries[gone..].concat();
    // `journalctl` 252 would skip the first entry left, as if the cursor named it.
    let flags = ["--after-cursor", compare::cursor(entries[gone / 2])];
    compare::export(&rest, &export(&place, &flags)).unwrap_or_else(|difference| panic!("{difference}"));
}
