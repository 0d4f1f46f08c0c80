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
const PERIOD: Duration = Duration::from_millis(300);

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

/// The event after the last rotation.
enum Interruption {
    None,
    /// The program is killed, and another process ships the rest.
    Kill,
    Reload,
}

/// Ships a rotated log to a server that comes after the last rotation. Returns the events and standard error.
fn ship_late(rotate: Rotate, flags: &[&str], interruption: Interruption) -> (Vec<Event>, String) {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "kata.log", "");
    let address = Server::apart(Script::default()).stop();
    let start = || {
        let mut command = katalog();
        command.args(["ship", "--to", &format!("forward://{address}"), "--batch-size", "4K"]).args(flags);
        command.arg("--state-dir").arg(folder.path().join("state")).arg(folder.path().join("kata.log"));
        Running::start(&mut command)
    };
    let mut running = start();
    let state = folder.path().join("state/state.json");
    // Nobody counts a file that is gone before the program is up.
    wait_until("the start", || fs::read_to_string(&state).is_ok_and(|state| state.contains("kata.log")));
    let written = write_and_rotate(folder.path(), rotate);
    match interruption {
        Interruption::None => {}
        Interruption::Kill => {
            running.kill();
            running = start();
        }
        Interruption::Reload => running.signal("HUP"),
    }
    let server = Server::on(address, Script::default());
    let is_last = |event: &Event| event.text("kata_msg") == Some(&format!("line {}", written - 1));
    wait_until("the last line", || server.events().iter().any(is_last));
    running.signal("TERM");
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    (server.events(), errors)
}

/// Returns the number of the lines that did not come, and their bytes.
fn missing(events: &[Event]) -> (usize, usize) {
    let came: BTreeSet<_> = events.iter().filter_map(|event| event.text("kata_msg")).collect();
    let is_missing = |number: &usize| !came.contains(format!("line {number}").as_str());
    let missing: Vec<_> = (0..ROTATIONS * LINES + 1).filter(is_missing).collect();
    (missing.len(), missing.iter().map(|number| lines(*number..number + 1).len()).sum())
}

#[test]
fn deleted_files_are_delivered() {
    let (events, errors) = ship_late(rename, &[], Interruption::None);
    assert_eq!(complete(&events, 0..ROTATIONS * LINES + 1), 0, "{errors}");
}

#[test]
fn deleted_copies_are_delivered() {
    let (events, errors) = ship_late(copy_truncate, &[], Interruption::None);
    assert_eq!(complete(&events, 0..ROTATIONS * LINES + 1), 0, "{errors}");
}

#[test]
fn files_beyond_the_limit_are_counted_and_named() {
    let (events, errors) = ship_late(rename, &["--held-files", "4", "--stats", "json"], Interruption::None);
    let stats: Value = errors.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
    let (missing, bytes) = missing(&events);
    // The file that was being read ends with a part of a line.
    let counted = stats["vanished_bytes"].as_u64().unwrap() as usize;
    assert!((bytes - 100..=bytes).contains(&counted), "{counted} of {bytes} bytes: {errors}");
    let named = errors.lines().filter(|line| line.contains("reached the limits of --held-files")).count();
    assert_eq!(stats["vanished_files"], named);
    assert_eq!(stats["damage"]["lost-file"], named);
    assert!(missing >= (ROTATIONS - 10) * LINES, "{missing}");
}

#[test]
fn deleted_files_of_a_killed_process_are_counted_by_the_next() {
    let (events, errors) = ship_late(rename, &["--stats", "json"], Interruption::Kill);
    let stats: Value = errors.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
    let (lines, bytes) = missing(&events);
    assert!(lines >= (ROTATIONS - 3) * LINES && events.len() + lines == ROTATIONS * LINES + 1, "{lines}");
    assert_eq!(stats["vanished_bytes"], bytes, "{errors}");
    assert_eq!(stats["vanished_files"], lines / LINES, "{errors}");
}

/// Writes a log while no server takes records, and deletes it after a kill. Checks that the next run counts all of it.
/// `end` ends the log, and names the file with the log. `is_saved` looks at the saved state before the kill.
#[track_caller]
fn counts_after_a_kill(end: impl Fn(&Path) -> &'static str, is_saved: impl Fn(&Value) -> bool) {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", "");
    let address = Server::apart(Script::default()).stop();
    let start = || {
        let mut command = katalog();
        command.args(["ship", "--to", &format!("forward://{address}"), "--stats", "json", "--state-dir"]);
        Running::start(command.arg(folder.path().join("state")).arg(&log))
    };
    let running = start();
    let state = folder.path().join("state/state.json");
    let saved = || fs::read(&state).map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
    wait_until("an empty file in the state", || saved()["files"].as_array().is_some());
    append_file(&log, lines(0..1000));
    let name = end(folder.path());
    wait_until("the end of the file in the state", || is_saved(&saved()));
    running.kill();
    fs::remove_file(folder.path().join(name)).unwrap();
    fs::write(&log, lines(1000..1001)).unwrap();
    let server = Server::on(address, Script::default());
    let running = start();
    server.wait_for_events(1);
    running.signal("TERM");
    let (_, errors) = running.end();
    let stats: Value = errors.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
    assert_eq!(stats["vanished_bytes"], lines(0..1000).len(), "{errors}");
    assert_eq!(stats["vanished_files"], 1, "{errors}");
}

#[test]
fn rotated_files_that_are_deleted_after_a_kill_are_counted_whole() {
    let end = |folder: &Path| {
        rename(folder);
        append_file(&folder.join("kata.log"), lines(1000..1001));
        "kata.log.1"
    };
    // The state has the next file once it has the end of the first one.
    counts_after_a_kill(end, |state| state["files"].as_array().is_some_and(|files| files.len() == 2));
}

#[test]
fn active_files_that_are_deleted_after_a_kill_are_counted() {
    let end = |folder: &Path| {
        // Any change of the directory makes the program look at the file.
        write_file(folder, "other", "");
        "kata.log"
    };
    counts_after_a_kill(end, |state| state["files"][0]["length"].as_u64() == Some(lines(0..1000).len() as u64));
}

#[test]
fn a_spool_keeps_deleted_files_across_a_kill() {
    let spool = tempfile::tempdir().unwrap();
    let flags = ["--spool", spool.path().to_str().unwrap(), "--stats", "json"];
    let (events, errors) = ship_late(rename, &flags, Interruption::Kill);
    // Nothing was sent before the kill.
    assert_eq!(complete(&events, 0..ROTATIONS * LINES + 1), 0, "{errors}");
    // The state may lack the end of a deleted file, but the spool has the position after it.
    let stats: Value = errors.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
    assert_eq!(stats["vanished_bytes"], Value::Null, "{errors}");
    // Nobody saw the end of the file that was deleted at the kill.
    assert!(stats["damage"]["lost-file"].as_u64().is_none_or(|files| files <= 1), "{errors}");
}

#[test]
fn deleted_files_survive_a_reload() {
    let (events, errors) = ship_late(rename, &["--stats", "json"], Interruption::Reload);
    assert_eq!(complete(&events, 0..ROTATIONS * LINES + 1), 0, "{errors}");
    assert!(!errors.contains("vanished"), "{errors}");
}

#[test]
fn deleted_files_that_are_not_delivered_at_the_end_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", "");
    let address = Server::apart(Script::default()).stop();
    let mut command = katalog();
    command.args(["ship", "--no-state", "--to", &format!("forward://{address}"), "--batch-size", "4K"]);
    let running = Running::start(command.args(["--stats", "json"]).arg(log));
    write_and_rotate(folder.path(), rename);
    running.signal("TERM");
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(76), "{errors}");
    let stats: Value = errors.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
    // The last two files have a name.
    let deleted = ROTATIONS - 2;
    assert_eq!(stats["vanished_files"], deleted, "{errors}");
    assert_eq!(stats["vanished_bytes"], lines(0..deleted * LINES).len(), "{errors}");
    assert!(errors.contains(&format!("bytes of {deleted} deleted files are not delivered")), "{errors}");
}
