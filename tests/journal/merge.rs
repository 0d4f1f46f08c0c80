//! Several files: the order of their entries, and no duplicates.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{assert_no_failures, differences, export, write_file};
use crate::support::journal::remote::{self, JournalPath, WriterOptions};
use crate::support::journal::samples::{BOOT, NEXT_BOOT, START, clock_set_back, service, services};
use crate::support::journal::{Entry, Shape, State, Writer, compare, file, stream};

/// Returns entries with five new field names each. After fifty entries the name table is full, and a new file begins.
pub(super) fn wide(count: u64) -> Vec<Entry> {
    let names = |number| (0..5).map(move |part| format!("NAME_{}", number * 5 + part));
    let entry = |number| names(number).fold(service(number, BOOT), |entry, name| entry.with(&name, "x"));
    (0..count).map(entry).collect()
}

/// Checks files as a list in every order, and as a directory.
fn all_orders(name: &str, folder: &Path) {
    let mut files = remote::journals(folder);
    assert!(files.len() > 1, "{name}: {files:?}");
    let mut failures = differences(&format!("{name}, the directory"), &JournalPath::Directory(folder.to_owned()));
    failures.extend(differences(&format!("{name}, its files"), &JournalPath::Files(files.clone())));
    files.reverse();
    failures.extend(differences(&format!("{name}, its files the other way round"), &JournalPath::Files(files.clone())));
    let place = JournalPath::Files(files);
    if let Err(difference) = compare::export(&remote::export(&place, &["--merge"]), &export(&place, &[])) {
        failures.push(format!("{name}, merged: {difference}"));
    }
    assert_no_failures(&failures);
}

#[test]
fn a_source_that_rotated() {
    if remote::missing() {
        return;
    }
    for manner in [WriterOptions::default(), WriterOptions { compact: false, keyed: false, compress: false }] {
        let folder = tempfile::tempdir().unwrap();
        remote::append(&folder.path().join("system.journal"), &stream(&wide(230)), manner);
        assert!(remote::journals(folder.path()).len() >= 5, "{manner:?}");
        all_orders(&format!("{manner:?}"), folder.path());
        let place = JournalPath::Directory(folder.path().to_owned());
        assert_eq!(compare::cursors(&export(&place, &[])).len(), 230);
    }
}

#[test]
fn a_writer_that_was_killed() {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.journal");
    let entries = services(40);
    let mut writer = remote::start(&path, WriterOptions::default());
    let mut input = writer.stdin.take().unwrap();
    input.write_all(&stream(&entries[..30])).unwrap();
    input.flush().unwrap();
    let place = JournalPath::file(&path);
    while !path.exists() || compare::entries(&remote::readable_entries(&path)).len() < 30 {
        assert!(writer.try_wait().unwrap().is_none(), "the writer ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert_no_failures(&differences("the file that was left", &place));
    remote::append(&path, &stream(&entries[30..]), WriterOptions::default());
    let names = remote::journals(folder.path());
    assert!(names.iter().any(|path| path.extension().is_some_and(|end| end == "journal~")), "{names:?}");
    all_orders("a file left and its successor", folder.path());
    assert_eq!(compare::entries(&export(&JournalPath::Directory(folder.path().to_owned()), &[])).len(), 40);
}

/// Returns files of one source, with interleaved sequence numbers.
pub(super) fn interleaved() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape { seqnum_id: 7, state: State::Archived, ..Shape::default() };
    let mut system = Writer::new(Shape { file_id: 1, ..shape.clone() });
    let mut user = Writer::new(Shape { file_id: 2, compact: false, state: State::Online, ..shape.clone() });
    let mut other = Writer::new(Shape { file_id: 3, keyed: false, ..shape });
    for number in 0..200 {
        let writer = match number % 13 {
            0..9 => &mut system,
            9..11 => &mut user,
            _ => &mut other,
        };
        writer.seqnum = number + 1;
        // The clock jumps back and forth, and only the sequence numbers give the order.
        let mut entry = service(number, BOOT);
        entry.realtime = START + number * 1_000_000 % 17_000_003;
        writer.entry(&entry);
    }
    write_file(folder.path(), "system.journal", system.finish());
    write_file(folder.path(), "user-1000.journal", user.finish());
    write_file(folder.path(), "user-1001.journal", other.finish());
    folder
}

#[test]
fn files_of_one_source_that_interleave() {
    if remote::missing() {
        return;
    }
    let folder = interleaved();
    all_orders("files of one source", folder.path());
    let ours = export(&JournalPath::Directory(folder.path().to_owned()), &[]);
    let numbers: Vec<u64> = compare::entries(&ours).iter().map(|entry| seqnum(entry)).collect();
    assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
}

/// Returns the sequence number in an entry's cursor.
fn seqnum(entry: &[u8]) -> u64 {
    let number = compare::cursor(entry).split(';').find_map(|part| part.strip_prefix("i=")).unwrap();
    u64::from_str_radix(number, 16).unwrap()
}

/// Returns two boots in two files, and one boot in three.
pub(super) fn boots() -> [TempDir; 2] {
    let two = tempfile::tempdir().unwrap();
    // The first file ends with the next boot; the second continues it under its own sequence numbers.
    let entry = |number: u64, boot| {
        let mut entry = service(number, boot);
        if boot == NEXT_BOOT {
            entry.monotonic = 1_000_000 + (number - 50) * 1_000_000;
        }
        entry
    };
    let first: Vec<Entry> = (0..50).map(|number| entry(number, BOOT)).collect();
    let next: Vec<Entry> = (50..70).map(|number| entry(number, NEXT_BOOT)).collect();
    let last: Vec<Entry> = (70..90).map(|number| entry(number, NEXT_BOOT)).collect();
    let shape = |id| Shape { file_id: id, seqnum_id: id, ..Shape::default() };
    write_file(two.path(), "a.journal", file(&shape(1), &[first, next].concat()));
    write_file(two.path(), "b.journal", file(&shape(2), &last));

    // A boot is in two files with independent numbers, and only the monotonic time gives the order.
    let one = tempfile::tempdir().unwrap();
    let steps = |numbers: std::ops::Range<u64>, step: usize| -> Vec<Entry> {
        numbers.step_by(step).map(|number| entry(number, BOOT)).collect()
    };
    write_file(one.path(), "a.journal", file(&shape(1), &steps(0..90, 3)));
    write_file(one.path(), "b.journal", file(&shape(2), &steps(1..90, 3)));
    write_file(one.path(), "c.journal", file(&shape(3), &steps(2..90, 6)));
    [two, one]
}

#[test]
fn boots_are_in_order() {
    if remote::missing() {
        return;
    }
    let [two, one] = boots();
    all_orders("two boots", two.path());
    all_orders("one boot in three files", one.path());
}

/// Returns four machines, a file each.
pub(super) fn machines() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for machine in 0..4_u64 {
        let id = u128::from(machine) + 0x1000;
        let shape = Shape { file_id: id, seqnum_id: id, machine_id: id, compact: machine % 2 == 0, ..Shape::default() };
        let entries: Vec<Entry> = (0..60)
            .map(|number| {
                let mut entry = service(number, 0xb007 + id);
                entry.realtime += machine * 250_000 + number * 37;
                entry.monotonic += machine * 77_000_000;
                entry.with("_HOSTNAME", format!("node{machine}"))
            })
            .collect();
        write_file(folder.path(), format!("remote-node{machine}.journal"), file(&shape, &entries));
    }
    folder
}

#[test]
fn machines_take_turns() {
    if remote::missing() {
        return;
    }
    let folder = machines();
    all_orders("four machines", folder.path());

    // Each in a directory named after its machine id, as in /var/log/journal.
    let tree = tempfile::tempdir().unwrap();
    for (number, path) in remote::journals(folder.path()).iter().enumerate() {
        let directory = tree.path().join(format!("{:032x}", number + 0x1000));
        fs::create_dir(&directory).unwrap();
        fs::copy(path, directory.join("system.journal")).unwrap();
        fs::write(directory.join("notes.txt"), "no journal\n").unwrap();
    }
    assert_no_failures(&differences("a tree of machines", &JournalPath::Directory(tree.path().to_owned())));
}

/// Returns a file, a copy of it, and a file that continues it.
pub(super) fn copies() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let bytes = file(&Shape::default(), &services(30));
    write_file(folder.path(), "system.journal", &bytes);
    write_file(folder.path(), "copy.journal", &bytes);
    write_file(folder.path(), "more.journal", file(&Shape::default(), &services(45)));
    folder
}

#[test]
fn copies_are_shown_once() {
    if remote::missing() {
        return;
    }
    let folder = copies();
    all_orders("copies", folder.path());
    let ours = export(&JournalPath::Directory(folder.path().to_owned()), &[]);
    assert_eq!(compare::entries(&ours).len(), 45);
}

#[test]
fn a_clock_that_went_back() {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let entries = clock_set_back(3600);
    let path: PathBuf = write_file(folder.path(), "system.journal", file(&Shape::default(), &entries));
    assert_no_failures(&differences("a clock that went back", &JournalPath::file(path)));
}
