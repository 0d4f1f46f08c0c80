//! Log files that are rotated while the server is away.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Running, append_file, complete, lines, number, wait_until, write_file};
use crate::support::forward::{Script, Server};
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

/// Ships a rotated log to a server that comes after the last rotation. Returns standard error.
fn ship_late(rotate: Rotate) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", "");
    let address = Server::apart(Script::default()).stop();
    let mut command = katalog();
    command.args(["ship", "--to", &format!("forward://{address}"), "--batch-size", "4K", "--state-dir"]);
    let running = Running::start(command.arg(folder.path().join("state")).arg(log));
    let written = write_and_rotate(folder.path(), rotate);
    let server = Server::on(address, Script::default());
    wait_until("the last line", || server.events().iter().any(|event| number(event) == written - 1));
    running.signal("TERM");
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert_eq!(complete(&server.events(), 0..written), 0);
    errors
}

#[test]
fn deleted_files_are_delivered() {
    ship_late(rename);
}

#[test]
fn deleted_copies_are_delivered() {
    ship_late(copy_truncate);
}
