//! Log files that are rotated while the server is away.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::{Running, append_file, complete, lines, wait_until, write_file};
use crate::support::forward::{Event, Script, Server};
use crate::support::katalog;

/// The number of rotations, and the lines of each file.
const ROTATIONS: usize = 15;
const LINES: usize = 300;

/// The time between two rotations. Every file keeps a name for three of them.
const PERIOD: Duration = Duration::from_millis(150);

/// A rotation of `kata.log` in a directory.
type Rotate = fn(&Path);

/// Deletes `kata.log.2`, and moves `kata.log.1` there.
fn shift(folder: &Path) {
    let [first, second] = [1, 2].map(|number| folder.join(format!("kata.log.{number}")));
    if first.exists() {
        fs::rename(&first, &second).unwrap();
    }
}

/// Rotates as logrotate does by default.
fn rename(folder: &Path) {
    shift(folder);
    fs::rename(folder.join("kata.log"), folder.join("kata.log.1")).unwrap();
    fs::write(folder.join("kata.log"), "").unwrap();
}

/// Rotates as logrotate does with `copytruncate`.
fn copy_truncate(folder: &Path) {
    shift(folder);
    fs::copy(folder.join("kata.log"), folder.join("kata.log.1")).unwrap();
    fs::write(folder.join("kata.log"), "").unwrap();
}

/// Writes lines and rotates them away. Returns the number of lines.
fn write_and_rotate(folder: &Path, rotate: Rotate) -> usize {
    for generation in 0..ROTATIONS {
        append_file(&folder.join("kata.log"), lines(generation * LINES..(generation + 1) * LINES));
        std::thread::sleep(PERIOD / 2);
        rotate(folder);
        std::thread::sleep(PERIOD / 2);
    }
    let written = ROTATIONS * LINES;
    append_file(&folder.join("kata.log"), lines(written..written + 1));
    written + 1
}

/// Ships a rotated log to a server that comes after the last rotation. Returns the events and standard error.
fn ship_late(rotate: Rotate, flags: &[&str]) -> (Vec<Event>, String) {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", "");
    let address = Server::apart(Script::default()).stop();
    let mut command = katalog();
    command.args(["ship", "--to", &format!("forward://{address}"), "--batch-size", "4K"]).args(flags);
    let running = Running::start(command.arg("--state-dir").arg(folder.path().join("state")).arg(log));
    let written = write_and_rotate(folder.path(), rotate);
    let server = Server::on(address, Script::default());
    let is_last = |event: &Event| event.text("kata_msg") == Some(&format!("line {}", written - 1));
    wait_until("the last line", || server.events().iter().any(is_last));
    running.signal("TERM");
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    (server.events(), errors)
}

#[test]
fn deleted_files_are_delivered() {
    let (events, errors) = ship_late(rename, &[]);
    assert_eq!(complete(&events, 0..ROTATIONS * LINES + 1), 0, "{errors}");
}

#[test]
fn deleted_copies_are_delivered() {
    let (events, errors) = ship_late(copy_truncate, &[]);
    assert_eq!(complete(&events, 0..ROTATIONS * LINES + 1), 0, "{errors}");
}

#[test]
fn files_beyond_the_limit_are_counted_and_named() {
    let (events, errors) = ship_late(rename, &["--held-files", "4", "--stats", "json"]);
    let stats: Value = errors.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
    // The file that was being read ends with a part of a line.
    let came: BTreeSet<_> = events.iter().filter_map(|event| event.text("kata_msg")).collect();
    let is_missing = |number: &usize| !came.contains(format!("line {number}").as_str());
    let missing: Vec<_> = (0..ROTATIONS * LINES + 1).filter(is_missing).collect();
    let bytes: usize = missing.iter().map(|number| lines(*number..number + 1).len()).sum();
    let counted = stats["vanished_bytes"].as_u64().unwrap() as usize;
    assert!((bytes - 100..=bytes).contains(&counted), "{counted} of {bytes} bytes: {errors}");
    let named = errors.lines().filter(|line| line.contains("reached the limits of --held-files")).count();
    assert_eq!(stats["vanished_files"], named);
    assert_eq!(stats["damage"]["lost-file"], named);
    assert!(missing.len() >= (ROTATIONS - 10) * LINES, "{}", missing.len());
}
