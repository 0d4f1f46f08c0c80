//! Events in followed journals, step by step: files appear, rotate, are rewritten, emptied and damaged.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use super::live::{Running, entry_number};
use super::{run_with_timeout, write_file};
use crate::support::journal::damage;
use crate::support::journal::samples::{BOOT, START, service};
use crate::support::journal::write::header;
use crate::support::journal::{Shape, State, file};
use crate::support::katalog;

const TIMEOUT: Duration = Duration::from_secs(20);
const QUIET_TIME: Duration = Duration::from_millis(300);

/// Follows a path from its first entry on.
fn follow(path: &Path) -> Running {
    let mut command = katalog();
    command.args(["--follow", "--lines=all", "--keep", "MESSAGE"]).arg(path);
    Running::start(command)
}

/// Returns a file of Kata's entries, whose numbers equal their sequence numbers.
fn journal(file_id: u128, state: State, numbers: std::ops::Range<u64>) -> Vec<u8> {
    let shape = Shape { file_id, state, first_seqnum: numbers.start + 1, ..Shape::default() };
    file(&shape, &numbers.map(|number| service(number * 5, BOOT)).collect::<Vec<_>>())
}

/// Returns the name that journald gives an archived file.
fn archived(first: u64) -> String {
    let (id, seqnum, realtime) = (Shape::default().seqnum_id, first + 1, START + first * 5_000_000);
    format!("system@{id:032x}-{seqnum:016x}-{realtime:016x}.journal")
}

/// Overwrites a file as its writer does: the header comes last.
fn grow(path: &Path, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&bytes[272..], 272).unwrap();
    file.write_all_at(&bytes[..272], 0).unwrap();
    // Writers set the length to its current value, which triggers a notification.
    file.set_len(bytes.len() as u64).unwrap();
}

#[track_caller]
fn expect(running: &Running, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let line = running.line(TIMEOUT).unwrap_or_else(|| panic!("entry {number} does not arrive"));
        assert_eq!(entry_number(&line), number * 5);
    }
}

#[track_caller]
fn expect_nothing(running: &Running) {
    assert_eq!(running.line(QUIET_TIME), None);
}

#[test]
fn a_file_grows() {
    for (compact, array) in [(true, None), (false, None), (true, Some(4)), (false, Some(1))] {
        let folder = tempfile::tempdir().unwrap();
        let bytes = |count: u64| {
            let shape = Shape { compact, array, state: State::Online, ..Shape::default() };
            file(&shape, &(0..count).map(|number| service(number * 5, BOOT)).collect::<Vec<_>>())
        };
        let path = write_file(folder.path(), "system.journal", bytes(3));
        let running = follow(folder.path());
        expect(&running, 0..3);
        for count in [4, 5, 9, 30] {
            let before = damage::number(&fs::read(&path).unwrap(), header::N_ENTRIES);
            grow(&path, &bytes(count));
            expect(&running, before..count);
        }
        expect_nothing(&running);
    }
}

#[test]
fn it_begins_with_the_last_ten() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), archived(0), journal(1, State::Archived, 0..8));
    write_file(folder.path(), "system.journal", journal(2, State::Online, 8..14));
    let mut command = katalog();
    command.args(["-f", "--keep", "MESSAGE"]).arg(folder.path());
    let running = Running::start(command);
    expect(&running, 4..14);
    expect_nothing(&running);
}

#[test]
fn a_named_file_that_rotates_twice_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_file(folder.path(), "system.journal", journal(3, State::Online, 10..15));
    write_file(folder.path(), archived(0), journal(1, State::Archived, 0..5));
    write_file(folder.path(), archived(5), journal(2, State::Archived, 5..10));
    // A file of another user.
    write_file(folder.path(), "user-1000.journal", journal(9, State::Online, 10..15));
    let running = follow(&path);
    expect(&running, 10..15);
    grow(&path, &journal(3, State::Archived, 10..18));
    fs::rename(&path, folder.path().join(archived(10))).unwrap();
    write_file(folder.path(), archived(18), journal(4, State::Archived, 18..22));
    write_file(folder.path(), "next", journal(5, State::Online, 22..25));
    fs::rename(folder.path().join("next"), &path).unwrap();
    expect(&running, 10 + 5..25);
    grow(&path, &journal(5, State::Online, 22..40));
    expect(&running, 25..40);
    expect_nothing(&running);
}

#[test]
fn a_file_is_rewritten_under_another_inode() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_file(folder.path(), "system.journal", journal(1, State::Online, 0..5));
    let running = follow(folder.path());
    expect(&running, 0..5);
    let name = folder.path().join(archived(0));
    grow(&path, &journal(1, State::Archived, 0..6));
    fs::rename(&path, &name).unwrap();
    expect(&running, 5..6);
    let copy = write_file(folder.path(), "copy", journal(1, State::Archived, 0..6));
    fs::rename(copy, &name).unwrap();
    write_file(folder.path(), "system.journal", journal(2, State::Online, 6..8));
    expect(&running, 6..8);
    expect_nothing(&running);
}

#[test]
fn users_and_machines_appear() {
    let folder = tempfile::tempdir().unwrap();
    let running = follow(folder.path());
    expect_nothing(&running);
    let machine = folder.path().join("3dd49df65a1b467bac8d51f2eaa17e92");
    fs::create_dir(&machine).unwrap();
    let path = write_file(&machine, "system.journal", journal(1, State::Online, 0..5));
    expect(&running, 0..5);
    // All files of a machine share sequence numbers, so a later entry may have a lower number than one in another file.
    grow(&path, &journal(1, State::Online, 0..3 + 5));
    expect(&running, 5..8);
    write_file(&machine, "user-1000.journal", journal(2, State::Online, 3..6));
    expect(&running, 3..6);
    let namespace = folder.path().join("3dd49df65a1b467bac8d51f2eaa17e92.t1");
    fs::create_dir(&namespace).unwrap();
    write_file(&namespace, "system.journal", journal(3, State::Online, 20..22));
    expect(&running, 20..22);
    expect_nothing(&running);
}

#[test]
fn files_are_emptied_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_file(folder.path(), "system.journal", journal(1, State::Online, 0..5));
    let running = follow(folder.path());
    expect(&running, 0..5);
    fs::remove_file(&path).unwrap();
    let path = write_file(folder.path(), "system.journal", journal(2, State::Online, 5..9));
    expect(&running, 5..9);
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    fs::remove_file(&path).unwrap();
    // The new file may reuse the inode of a deleted one.
    for first in (9..60).step_by(3) {
        let path = write_file(
            folder.path(),
            "system.journal",
            journal(10 + u128::from(first), State::Online, first..first + 3),
        );
        expect(&running, first..first + 3);
        fs::remove_file(path).unwrap();
    }
    expect_nothing(&running);
}

#[test]
fn a_header_comes_late() {
    let folder = tempfile::tempdir().unwrap();
    let running = follow(folder.path());
    expect_nothing(&running);
    let path = write_file(folder.path(), "system.journal", b"");
    std::thread::sleep(Duration::from_millis(100));
    let bytes = journal(1, State::Online, 0..3);
    File::options().write(true).open(&path).unwrap().set_len(bytes.len() as u64).unwrap();
    std::thread::sleep(Duration::from_millis(400));
    grow(&path, &bytes);
    expect(&running, 0..3);
}

#[test]
fn an_entry_is_counted_before_it_is_linked() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = journal(1, State::Online, 0..12);
    let arrays = damage::arrays(&bytes);
    let item = arrays[0].at + 24 + 4 * 3;
    let mut early = journal(1, State::Online, 0..4);
    let place = early[item..item + 4].to_vec();
    let path = write_file(folder.path(), "system.journal", journal(1, State::Online, 0..3));
    let running = follow(folder.path());
    expect(&running, 0..3);
    damage::overwrite(&mut early, item, &[0; 4]);
    grow(&path, &early);
    expect_nothing(&running);
    File::options().write(true).open(&path).unwrap().write_all_at(&place, item as u64).unwrap();
    expect(&running, 3..4);
    // An entry that is never linked correctly is found as well, and none comes twice.
    let mut bad = bytes.clone();
    damage::overwrite(&mut bad, item + 4, &[0xff; 4]);
    grow(&path, &bad);
    expect(&running, 4..12);
    expect_nothing(&running);
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", b"level=info msg=x source=runtime\n");
    let output = write_file(folder.path(), "output", b"of before");
    write_file(folder.path(), "system.journal", journal(1, State::Online, 0..3));
    let inputs = [vec![folder.path(), &log], vec![folder.path(), Path::new("-")], vec![&log, Path::new("-")]];
    for inputs in inputs {
        let ended = run_with_timeout(katalog().arg("--follow").arg("--output").arg(&output).args(&inputs));
        assert_eq!(ended.status.code(), Some(64), "{inputs:?}");
        assert!(String::from_utf8_lossy(&ended.stderr).contains("cannot follow"), "{inputs:?}");
        assert_eq!(fs::read(&output).unwrap(), b"of before");
    }
    // Standard input is followed anyway.
    assert_eq!(run_with_timeout(katalog().args(["--follow", "-"])).status.code(), Some(0));
}
