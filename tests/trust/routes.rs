//! Routes of entries to katalog, and the records that come out.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::places::{HostEntry, Place};
use crate::archives::tar;
use crate::support::journal::remote::{self, WriterOptions};
use crate::support::journal::{self, Entry, Shape};
use crate::support::katalog;
use crate::support::pipeline::{Cuts, Record, Setup, records};

const BOOT: u128 = 0x590e_dcee_ef55_45a7_84ec_8c61_81a1_0400;

/// The time of every entry.
const TIME: u64 = 1_709_614_914_163_200;

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `journalctl -o json` on standard input.
    Json,
    /// `journalctl -o json` on standard input, without `_UID`.
    JsonWithoutUser,
    /// `journalctl -o json` on standard input, after a line of text.
    JsonAmongText,
    /// `journalctl -o export` on standard input.
    Export,
    /// A journal file.
    Journal,
    /// A journal file that systemd writes.
    JournalOfSystemd,
    /// `journalctl -o short` on standard input.
    Short,
    /// `journalctl -o cat` on standard input.
    Cat,
    /// A named file with the lines of `journalctl -o cat`.
    File,
    /// `containerd.log` of k3s.
    Manager,
    /// `/var/log/messages` in a directory, or the file of a container.
    Directory,
    /// The same files in an archive.
    Tar,
    /// A container's file of containerd and CRI-O.
    Cri,
    /// Lines of such a file on standard input.
    CriOnStdin,
    /// A container's file of Docker.
    Docker,
    /// Lines of such a file on standard input.
    DockerOnStdin,
}

impl Route {
    pub(super) const ALL: [Route; 16] = [
        Route::Json,
        Route::JsonWithoutUser,
        Route::JsonAmongText,
        Route::Export,
        Route::Journal,
        Route::JournalOfSystemd,
        Route::Short,
        Route::Cat,
        Route::File,
        Route::Manager,
        Route::Directory,
        Route::Tar,
        Route::Cri,
        Route::CriOnStdin,
        Route::Docker,
        Route::DockerOnStdin,
    ];

    /// Returns whether entries with text at a place take the route. In a copy without the journal's fields, the text of
    /// runtime-rs's agent looks like runtime-rs's own, a cut line has no mark, and nobody knows the user.
    pub(super) fn takes(self, place: Place) -> bool {
        let is_container = place == Place::Container;
        match self {
            // Nobody knows the user, so the operator vouches for all.
            Route::JsonWithoutUser => !is_container && entries_have_root(place),
            Route::JsonAmongText => !is_container,
            Route::JournalOfSystemd if remote::missing() => false,
            Route::Json | Route::Export | Route::Journal | Route::JournalOfSystemd => !is_container,
            Route::Short | Route::Cat | Route::File => !is_container && !place.is_bare(),
            Route::Manager => !place.is_bare() && place.entries(b"", 0)[0].field("SYSLOG_IDENTIFIER") == "containerd",
            Route::Directory | Route::Tar => is_container || !place.is_bare(),
            Route::Cri | Route::CriOnStdin | Route::Docker | Route::DockerOnStdin => is_container,
        }
    }

    /// Returns whether journald's fields prove who writes an entry.
    pub(super) fn is_journal(self) -> bool {
        matches!(self, Route::Json | Route::Export | Route::Journal | Route::JournalOfSystemd)
    }

    /// Returns whether the route loses the user that journald takes from the socket.
    pub(super) fn is_copy(self) -> bool {
        !self.is_journal() && self != Route::JsonAmongText
    }

    /// Returns the records of entries with these texts at a place, all in one input.
    pub(super) fn records(self, place: Place, texts: &[&[u8]], setup: &Setup) -> Vec<Record> {
        let entries: Vec<HostEntry> =
            texts.iter().enumerate().flat_map(|(number, text)| place.entries_and_next(text, number)).collect();
        let lines = |form: fn(&HostEntry) -> Vec<u8>| entries.iter().flat_map(form).collect::<Vec<u8>>();
        let in_files = |files: &[(&str, Vec<u8>)], arguments: &[&str]| in_files(files, arguments);
        match self {
            Route::Json => setup.records(&lines(json)),
            Route::JsonWithoutUser => setup.records(&lines(json_without_user)),
            Route::JsonAmongText => {
                let mut records = setup.records(&[b"text\n".as_slice(), &lines(json)].concat());
                records.remove(0);
                records
            }
            Route::Export => setup.records(&journal::stream(&stored(&entries))),
            Route::Journal | Route::JournalOfSystemd => {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("system.journal");
                if self == Route::Journal {
                    fs::write(&path, journal::file(&Shape::default(), &stored(&entries))).unwrap();
                } else {
                    remote::append(&path, &journal::stream(&stored(&entries)), WriterOptions::default());
                }
                records(&setup.run_journal(&path, &Cuts::whole()).bytes)
            }
            Route::Short => setup.records(&lines(short)),
            Route::Cat => setup.records(&lines(cat)),
            Route::CriOnStdin => setup.records(&lines(cri)),
            Route::DockerOnStdin => setup.records(&lines(docker)),
            Route::File => in_files(&[("kata.txt", lines(cat))], &["kata.txt"]),
            Route::Manager => in_files(&[("containerd.log", lines(cat))], &["containerd.log"]),
            Route::Cri => in_files(&[(CONTAINER, lines(cri))], &[CONTAINER]),
            Route::Docker => {
                let path = "docker/containers/0123456789ab/0123456789ab-json.log";
                in_files(&[(path, lines(docker))], &[path])
            }
            Route::Directory | Route::Tar => {
                let form = if place == Place::Container { cri } else { short };
                let path = if place == Place::Container { CONTAINER } else { "var/log/messages" };
                let path = format!("node1/{path}");
                if self == Route::Directory {
                    return in_files(&[(&path, lines(form))], &["node1"]);
                }
                let archive = tar([(path.as_str(), lines(form).as_slice())]);
                in_files(&[("node1.tar", archive)], &["node1.tar"])
            }
        }
    }
}

/// Returns whether root writes the entries of a place.
fn entries_have_root(place: Place) -> bool {
    place.entries(b"", 0).iter().all(|entry| entry.field("_UID") == "0")
}

/// The file of a container whose names resemble Kata's.
const CONTAINER: &str = "var/log/pods/default_kata-monitor-x_5da5612b-9738-493c-af51-a213072997f6/kata-monitor/0.log";

/// Writes files to a new directory, and runs the program there.
fn in_files(files: &[(&str, Vec<u8>)], arguments: &[&str]) -> Vec<Record> {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        fs::write(path, content).unwrap();
    }
    let output = katalog().current_dir(folder.path()).arg("--others=pass").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    records(&output.stdout)
}

/// Returns the entries as journald stores them.
fn stored(entries: &[HostEntry]) -> Vec<Entry> {
    let with_fields = |entry: &HostEntry| {
        let stored = Entry::new(TIME, 84_213_377, BOOT).with("MESSAGE", &entry.message);
        entry.fields.iter().fold(stored, |stored, (name, value)| stored.with(name, value))
    };
    entries.iter().map(with_fields).collect()
}

/// Prints an entry as `journalctl -o json --all` does.
fn json(entry: &HostEntry) -> Vec<u8> {
    let mut object = Map::new();
    object.insert("__REALTIME_TIMESTAMP".to_owned(), TIME.to_string().into());
    for (name, value) in &entry.fields {
        object.insert((*name).to_owned(), value.as_str().into());
    }
    let is_control = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    let message = match std::str::from_utf8(&entry.message) {
        Ok(text) if !text.contains(is_control) => Value::from(text),
        _ => Value::from(entry.message.clone()),
    };
    object.insert("MESSAGE".to_owned(), message);
    let mut line = serde_json::to_vec(&object).unwrap();
    line.push(b'\n');
    line
}

fn json_without_user(entry: &HostEntry) -> Vec<u8> {
    let fields = entry.fields.iter().filter(|(name, _)| *name != "_UID").cloned().collect();
    json(&HostEntry { fields, message: entry.message.clone() })
}

fn short(entry: &HostEntry) -> Vec<u8> {
    let head = format!("Mar 05 05:01:54 node1 {}[{}]: ", entry.field("SYSLOG_IDENTIFIER"), entry.field("_PID"));
    [head.as_bytes(), &entry.message, b"\n"].concat()
}

fn cat(entry: &HostEntry) -> Vec<u8> {
    [entry.message.as_slice(), b"\n"].concat()
}

fn cri(entry: &HostEntry) -> Vec<u8> {
    [b"2024-03-05T05:01:54.163108184Z stderr F ", entry.message.as_slice(), b"\n"].concat()
}

fn docker(entry: &HostEntry) -> Vec<u8> {
    let log = format!("{}\n", String::from_utf8_lossy(&entry.message));
    let time = "2024-03-05T05:01:54.163108184Z";
    format!("{}\n", serde_json::json!({ "log": log, "stream": "stderr", "time": time })).into_bytes()
}
