//! Input from a pipe is kept until it is delivered, in the spool if there is one.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Running, append_file, complete, deliver_to, lines, run, wait_until, write_file};
use crate::support::disk::Disk;
use crate::support::forward::{Script, Server};
use crate::support::katalog;
use crate::support::skip::skip;

/// Starts the program and writes into its standard input.
pub(super) fn start_with_input(command: &mut Command, text: &str) -> Running {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_owned();
    // In a thread, because a full spool stops reading.
    std::thread::spawn(move || _ = stdin.write_all(text.as_bytes()));
    Running { child }
}

#[test]
fn it_outlives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let address = Server::apart(Script::default()).stop();
    let url = format!("forward://{address}");
    let command = |text: &str| {
        start_with_input(
            katalog().args(["ship", "--to", &url, "--batch-size", "16K", "--spool"]).arg(&spool).arg("-"),
            text,
        )
    };
    let files =
        || fs::read_dir(&spool).map_or(0, |files| files.filter(|file| is_spooled(file.as_ref().unwrap())).count());
    let running = command(&lines(0..2000));
    // All input is on disk while no server accepts it.
    let size = || -> u64 {
        fs::read_dir(&spool)
            .map_or(0, |files| files.map(|file| file.unwrap().metadata().map_or(0, |data| data.len())).sum())
    };
    wait_until("the spool", || size() > 2000 * 150);
    let mut before = 0;
    wait_until("its end", || {
        std::mem::replace(&mut before, size()) == size() && {
            std::thread::sleep(std::time::Duration::from_millis(100));
            before == size()
        }
    });
    running.kill();
    assert!(files() > 0);
    let server = Server::on(address, Script::default());
    let (status, errors) = command(&lines(2000..2010)).end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert_eq!(complete(&server.events(), 0..2010), 0);
    assert_eq!(files(), 0);
}

/// Ships a log to a server that is away, and kills the program when everything is in the spool. `change` gets the folder
/// of the log, the state and the spool before the next run. Returns the number of lines that came twice, and standard
/// error of the next run.
fn kill_with_a_log(change: impl Fn(&Path)) -> (usize, String) {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..2000));
    let address = Server::apart(Script::default()).stop();
    let command = || {
        let mut command = katalog();
        command.args(["ship", "--to", &format!("forward://{address}"), "--batch-age", "1h", "--state-dir"]);
        command.arg(folder.path().join("state")).arg("--spool").arg(folder.path().join("spool")).arg(&log);
        command
    };
    let running = Running::start(&mut command());
    // The last line is not in a block with others, because it is written when they are in the spool.
    let size = || spooled(folder.path()).iter().map(|file| file.metadata().map_or(0, |found| found.len())).sum::<u64>();
    wait_until("the spool", || size() > 2000 * 150);
    let before = size();
    append_file(&log, lines(2000..2001));
    wait_until("the last line", || size() > before);
    running.kill();
    change(folder.path());
    append_file(&log, lines(2001..2010));
    let server = Server::on(address, Script::default());
    let (code, errors) = run(command().args(["--once", "--stats", "json"]));
    assert_eq!(code, Some(0), "{errors}");
    (complete(&server.events(), 0..2010), errors)
}

/// Returns the files of the spool in a folder.
fn spooled(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("spool")).into_iter().flatten().map(Result::unwrap).filter(is_spooled);
    let mut files: Vec<_> = entries.map(|file| file.path()).collect();
    files.sort();
    files
}

/// Replaces bytes in each file of the spool.
fn replace(folder: &Path, old: &[u8], new: &[u8]) {
    for path in spooled(folder) {
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(old.len()).rposition(|part| part == old).unwrap();
        bytes[at..at + new.len()].copy_from_slice(new);
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_kill_repeats_nothing_of_a_log_that_was_not_sent() {
    assert_eq!(kill_with_a_log(|_| ()).0, 0);
}

#[test]
fn a_log_that_is_deleted_after_a_kill_is_not_lost_if_the_spool_has_it() {
    let (again, errors) = kill_with_a_log(|folder| {
        // The next log may not have the inode of the old one.
        fs::rename(folder.join("kata.log"), folder.join("old")).unwrap();
        fs::write(folder.join("kata.log"), "").unwrap();
    });
    let stats: serde_json::Value = errors.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
    assert_eq!((again, &stats["vanished_bytes"]), (0, &serde_json::Value::Null), "{errors}");
}

#[test]
fn positions_with_damage_do_not_count() {
    assert!(kill_with_a_log(|folder| replace(folder, b"\"boot\"", b"\"root\"")).0 > 0);
}

#[test]
fn positions_of_another_state_do_not_count() {
    // The next run begins anew, and the spool has the records of the first one.
    assert_eq!(kill_with_a_log(|folder| fs::remove_dir_all(folder.join("state")).unwrap()).0, 2001);
    assert_eq!(kill_with_a_log(|folder| fs::remove_file(folder.join("state/state.json")).unwrap()).0, 2001);
}

#[test]
fn a_flipped_byte_costs_a_block_that_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let address = Server::apart(Script::default()).stop();
    let url = format!("forward://{address}");
    let start = |text: &str| {
        let mut command = katalog();
        command.args(["ship", "--to", &url, "--stats", "json", "--spool"]).arg(&spool).arg("-");
        start_with_input(&mut command, text)
    };
    let running = start(&lines(0..3000));
    let files = || -> Vec<_> {
        let entries = fs::read_dir(&spool).into_iter().flatten().map(Result::unwrap).filter(is_spooled);
        entries.map(|file| (file.metadata().map_or(0, |found| found.len()), file.path())).collect()
    };
    let size = || files().iter().map(|(size, _)| size).sum::<u64>();
    wait_until("the spool", || {
        let before = size();
        std::thread::sleep(std::time::Duration::from_millis(100));
        before > 3000 * 150 && size() == before
    });
    running.kill();
    let (_, largest) = files().into_iter().max().unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&largest, bytes).unwrap();
    let server = Server::on(address, Script::default());
    let (status, errors) = start(&lines(3000..3010)).end();
    assert_eq!(status.code(), Some(0), "{errors}");
    let stats: serde_json::Value = errors.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
    let lost = stats["damage"]["damaged-spool"].as_u64().unwrap();
    assert!((1..500).contains(&lost) && errors.contains("is damaged"), "{lost}: {errors}");
    assert_eq!(server.events().len() as u64 + lost, 3010);
    assert!(largest.with_extension("bad").exists() && files().is_empty());
}

fn is_spooled(file: &fs::DirEntry) -> bool {
    file.path().extension().is_some_and(|extension| extension == "spool")
}

#[test]
fn a_full_one_drops_and_counts_if_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let address = Server::apart(Script::default()).stop();
    let url = format!("forward://{address}");
    let flags = ["--batch-size", "4K", "--spool-limit", "64K", "--spool-full", "drop", "--stats", "json", "--spool"];
    let running =
        start_with_input(katalog().args(["ship", "--to", &url]).args(flags).arg(&spool).arg("-"), &lines(0..3000));
    std::thread::sleep(std::time::Duration::from_millis(700));
    let server = Server::on(address, Script::default());
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    let stats: serde_json::Value = errors.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
    let dropped = stats["overflowed"].as_u64().unwrap();
    assert!(dropped > 0 && errors.contains("records are dropped"), "{errors}");
    assert_eq!(server.events().len() as u64 + dropped, 3000);
}

/// A program whose spool has filled a small disk, because no server takes its records. It reads 3,000 lines.
struct FullDisk {
    running: Running,
    address: std::net::SocketAddr,
    disk: Disk,
    folder: tempfile::TempDir,
}

impl FullDisk {
    /// Returns `None`, with a notice, if no small disk can be mounted.
    fn start(flags: &[&str]) -> Option<FullDisk> {
        let folder = tempfile::tempdir().unwrap();
        let Some(disk) = Disk::mount(folder.path()) else {
            skip("tests of full disks", "no small disk can be mounted here");
            return None;
        };
        let address = Server::apart(Script::default()).stop();
        let running = FullDisk::program(folder.path(), address, flags, &lines(0..3000));
        let spool = folder.path().join("spool");
        let size = || -> u64 {
            let files = fs::read_dir(&spool).into_iter().flatten();
            files.map(|file| file.and_then(|file| file.metadata()).map_or(0, |metadata| metadata.len())).sum()
        };
        wait_until("a full disk", || size() > 180 << 10);
        std::thread::sleep(std::time::Duration::from_millis(500));
        Some(FullDisk { running, address, disk, folder })
    }

    fn program(folder: &Path, address: std::net::SocketAddr, flags: &[&str], lines: &str) -> Running {
        let mut command = katalog();
        command.args(["ship", "--to", &format!("forward://{address}"), "--batch-size", "16K", "--stats", "json"]);
        start_with_input(command.arg("--spool").arg(folder.join("spool")).args(flags).arg("-"), lines)
    }
}

#[test]
fn a_full_disk_stops_the_reading_and_loses_nothing() {
    let Some(FullDisk { running, address, disk, folder }) = FullDisk::start(&[]) else { return };
    let server = Server::on(address, Script::default());
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(errors.contains("its disk is full, and reading waits"), "{errors}");
    assert_eq!(complete(&server.events(), 0..3000), 0);
    // Others have filled the disk, so the spool stays empty and records pass through memory.
    disk.fill();
    let (status, errors) = FullDisk::program(folder.path(), address, &[], &lines(3000..6000)).end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert_eq!(server.events().len(), 6000);
}

#[test]
fn a_full_disk_drops_and_counts_if_told_to() {
    let Some(full) = FullDisk::start(&["--spool-full", "drop"]) else { return };
    let server = Server::on(full.address, Script::default());
    let (status, errors) = full.running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    let stats: serde_json::Value = errors.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
    let dropped = stats["overflowed"].as_u64().unwrap();
    assert!(dropped > 0 && errors.contains("records are dropped"), "{errors}");
    assert_eq!(server.events().len() as u64 + dropped, 3000);
}

#[test]
fn an_end_with_a_full_disk_counts_the_records_in_hand() {
    let Some(FullDisk { running, address, folder, disk: _disk }) = FullDisk::start(&[]) else { return };
    running.signal("TERM");
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(76), "{errors}");
    let lost = errors.split_once(" records in hand are lost").unwrap().0;
    let lost: usize = lost.rsplit([' ', '\n']).next().unwrap().parse().unwrap();
    assert!(lost > 0, "{errors}");
    // The spool holds all records before them.
    let server = Server::on(address, Script::default());
    let (status, errors) = FullDisk::program(folder.path(), address, &[], "").end();
    assert_eq!(status.code(), Some(0), "{errors}");
    let events = server.events();
    assert!(!events.is_empty() && events.len() + lost <= 3000);
    assert_eq!(complete(&events, 0..events.len()), 0);
}

#[test]
fn without_one_reading_waits() {
    let address = Server::apart(Script::default()).stop();
    let url = format!("forward://{address}");
    let running = start_with_input(katalog().args(["ship", "--to", &url, "--batch-size", "4K", "-"]), &lines(0..5000));
    std::thread::sleep(std::time::Duration::from_millis(300));
    let server = Server::on(address, Script::default());
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert_eq!(complete(&server.events(), 0..5000), 0);
}

#[test]
fn a_pipe_is_delivered_while_it_is_open() {
    let server = Server::start(Script::default());
    let mut child = deliver_to(&server, &["--batch-age", "50ms", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for number in 0..3 {
        stdin.write_all(lines(number..number + 1).as_bytes()).unwrap();
        server.wait_for_events(number + 1);
    }
    // The program exits although the pipe stays open.
    let running = Running { child };
    stdin.write_all(lines(3..4).as_bytes()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    running.signal("TERM");
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert_eq!(complete(&server.events(), 0..4), 0);
    drop(stdin);
    let (code, _) = run(deliver_to(&server, &["-"]).stdin(Stdio::null()));
    assert_eq!(code, Some(0));
}
