#![allow(clippy::unwrap_used)] // a test fails by it

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use journal_file::DirectoryWatch;
use tempfile::TempDir;

use super::{FileObserver, FilesSource, HeldLimits, LossReason, family, is_pattern, open};
use crate::source::position::{FilePosition, Position};
use crate::source::tests::take;
use crate::source::{Event, Filled};
use crate::source::{Fill, Judge, Settings, Source, SourceError};
use kata_records::Batch;
use kata_records::origin::{Continuation, Route};

mod held;
mod history;
mod rotated;

/// An observer that keeps what it is told.
#[derive(Clone, Default)]
struct Observed {
    held: Arc<Mutex<(u64, u64)>>,
    /// The name of each file, its lost bytes, and the reason.
    vanished: Arc<Mutex<Vec<(String, u64, LossReason)>>>,
}

impl FileObserver for Observed {
    fn held(&self, files: u64, bytes: u64) {
        *self.held.lock().unwrap() = (files, bytes);
    }

    fn vanished(&self, path: &Path, bytes: u64, reason: LossReason) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        self.vanished.lock().unwrap().push((name, bytes, reason));
    }

    fn noted(&self, _files: Vec<FilePosition>) {}
}

/// A directory of logs, a source that follows them, and the results.
struct Follower {
    directory: TempDir,
    patterns: Vec<PathBuf>,
    settings: Settings,
    source: FilesSource,
    errors: Vec<SourceError>,
    /// The number of notes.
    notes: u64,
    /// The positions by key, as a checkpoint keeps them.
    saved: BTreeMap<String, FilePosition>,
    /// Origin, offset and text.
    entries: Vec<([u8; 16], u64, String)>,
    damages: Vec<(&'static str, PathBuf, u64)>,
    passed_over: Vec<PathBuf>,
    observed: Observed,
    /// The route and the continuation of each entry.
    marks: Vec<(Route, Continuation)>,
}

impl Follower {
    /// Follows patterns in a directory with these files.
    fn new(patterns: &[&str], files: &[(&str, &str)]) -> Follower {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        // Paths without links, as in positions.
        let root = directory.path().canonicalize().unwrap();
        let patterns: Vec<PathBuf> = patterns.iter().map(|pattern| root.join(pattern)).collect();
        let settings = Settings::default();
        let observed = Observed::default();
        let (source, errors) = open(&patterns, &settings, true, &[], &[], Arc::new(observed.clone()));
        let mut follower = Follower {
            directory,
            patterns,
            settings,
            source,
            errors,
            notes: 0,
            saved: BTreeMap::new(),
            entries: Vec::new(),
            damages: Vec::new(),
            passed_over: Vec::new(),
            observed,
            marks: Vec::new(),
        };
        follower.source.max_wait = Duration::ZERO;
        follower
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn copy_truncate(&self, name: &str, copy: &str) {
        fs::copy(self.path(name), self.path(copy)).unwrap();
        self.truncate(name);
    }

    fn truncate(&self, name: &str) {
        OpenOptions::new().write(true).open(self.path(name)).unwrap().set_len(0).unwrap();
    }

    fn compress(&self, name: &str) {
        let text = fs::read(self.path(name)).unwrap();
        fs::write(self.path(&format!("{name}.zst")), zstd::encode_all(&text[..], 0).unwrap()).unwrap();
        self.remove(name);
    }

    /// Fills one batch and records the results.
    fn fill(&mut self) -> Fill {
        let mut batch = Batch::default();
        let Filled { fill, failure, position, events } = self.source.fill(&mut batch);
        assert!(failure.is_none(), "{failure:?}");
        let mut entries = Vec::new();
        take(&batch, &mut entries);
        self.marks.extend(batch.frames.iter().map(|frame| (batch.route, frame.continuation)));
        self.entries.extend(entries.into_iter().map(|entry| (batch.origin, entry.offset, entry.text)));
        self.keep_notes();
        if let Some(position) = position {
            let Position::Files(files) = position else { panic!("{position:?}") };
            for file in files {
                self.saved.remove(&file.origin);
                if !file.gone {
                    self.saved.insert(file.origin.clone(), file);
                }
            }
        }
        for event in events {
            let damaged = match event {
                Event::Damaged(damaged) => damaged,
                Event::Binary(_) => continue,
                Event::PassedOver(input) => {
                    self.passed_over.push(PathBuf::from(input.to_string()));
                    continue;
                }
                other => panic!("{other:?}"),
            };
            let path = PathBuf::from(damaged.input.to_string());
            self.damages.push((damaged.reason, path, damaged.offset));
        }
        fill
    }

    /// Adds noted files to the positions, as a checkpoint does.
    fn keep_notes(&mut self) {
        for file in std::mem::take(&mut self.source.notes) {
            self.notes += 1;
            let known = self.saved.remove(&file.origin);
            let (offset, over) = known.map_or((0, false), |known| (known.offset, known.over));
            self.saved.insert(file.origin.clone(), FilePosition { offset, over, ..file });
        }
    }

    /// Makes the source search at the next fill, even without a notification.
    fn look_soon(&mut self) {
        self.source.changed = true;
        self.source.earliest_search = Instant::now();
    }

    /// Reads all data, searching for files even without notifications.
    fn drain(&mut self) {
        let mut idle = 0;
        while idle < 3 {
            self.look_soon();
            match self.fill() {
                Fill::More => idle = 0,
                Fill::Idle => idle += 1,
                Fill::End => return,
            }
        }
    }

    /// Reads all data and returns the new texts.
    fn news(&mut self) -> Vec<String> {
        let before = self.entries.len();
        self.drain();
        self.entries[before..].iter().map(|(_, _, text)| text.clone()).collect()
    }

    /// Reads all data as if a minute had passed.
    fn news_later(&mut self) -> Vec<String> {
        let mut news = self.news();
        let linger = std::mem::replace(&mut self.source.linger, Duration::ZERO);
        news.extend(self.news());
        self.source.linger = linger;
        news
    }

    /// Restarts from the saved positions.
    fn restart(&mut self) {
        self.restart_as(true);
    }

    fn restart_as(&mut self, follow: bool) {
        self.keep_notes();
        let saved: Vec<FilePosition> = self.saved.values().cloned().collect();
        // Positions are saved as text.
        let saved: Vec<FilePosition> = serde_json::from_str(&serde_json::to_string(&saved).unwrap()).unwrap();
        (self.source, self.errors) =
            open(&self.patterns, &self.settings, follow, &saved, &[], Arc::new(self.observed.clone()));
        self.source.max_wait = Duration::ZERO;
    }

    fn origins(&self) -> Vec<[u8; 16]> {
        let mut origins: Vec<_> = self.entries.iter().map(|(origin, ..)| *origin).collect();
        origins.dedup();
        origins
    }
}

/// Returns a text longer than the bytes that identify a file.
fn long(name: &str) -> String {
    (0..100).map(|number| format!("{name} {number:05} ........\n")).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn lines_come_as_they_are_written_and_unfinished_ones_wait() {
    let mut follower = Follower::new(&["kata.log"], &[("kata.log", "one\ntwo\nthr")]);
    assert!(follower.errors.is_empty());
    assert_eq!(follower.news(), ["one", "two"]);
    assert_eq!(follower.saved.values().next().unwrap().offset, 8);
    follower.append("kata.log", "ee");
    assert!(follower.news().is_empty());
    follower.append("kata.log", "\nfour\n");
    assert_eq!(follower.news(), ["three", "four"]);
    let offsets: Vec<u64> = follower.entries.iter().map(|(_, offset, _)| *offset).collect();
    assert_eq!(offsets, [0, 4, 8, 14]);
    assert!(follower.news_later().is_empty());
    assert_eq!(follower.origins().len(), 1);
    assert_ne!(follower.origins()[0], [0; 16]);
}

#[test]
fn idle_follows_what_was_given_and_no_position_is_given_twice() {
    let mut follower = Follower::new(&["kata.log"], &[("kata.log", "one\n")]);
    let mut batch = Batch::default();
    let filled = follower.source.fill(&mut batch);
    assert_eq!(filled.fill, Fill::More);
    assert!(matches!(filled.position, Some(Position::Files(files)) if files.len() == 1));
    let filled = follower.source.fill(&mut batch);
    assert_eq!(filled.fill, Fill::Idle);
    assert!(batch.is_empty() && filled.position.is_none());
}

#[test]
fn directories_and_files_may_appear_later() {
    let mut follower = Follower::new(&["pods/*/*/*.log", "other/kata.log"], &[]);
    assert!(follower.errors.is_empty());
    assert!(follower.news().is_empty());
    fs::create_dir_all(follower.path("pods/a/b")).unwrap();
    follower.append("pods/a/b/0.log", "one\n");
    assert_eq!(follower.news(), ["one"]);
    fs::create_dir_all(follower.path("other")).unwrap();
    follower.append("other/kata.log", "two\n");
    assert_eq!(follower.news(), ["two"]);
    fs::create_dir_all(follower.path("pods/a/c")).unwrap();
    follower.append("pods/a/c/0.log", "three\n");
    follower.append("pods/a/c/0.txt", "no\n");
    follower.append("pods/a/c/.0.log", "no\n");
    assert_eq!(follower.news(), ["three"]);
}

#[test]
fn something_new_is_given_at_once_whether_the_system_tells_of_it_or_not() {
    for blind in [false, true] {
        let mut follower = Follower::new(&["new/*.log"], &[]);
        if blind {
            follower.source.watch = DirectoryWatch::blind();
        }
        follower.drain();
        // A long wait, so that the test fails if it has to wait.
        follower.source.max_wait = Duration::from_secs(100);
        let path = follower.path("new");
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            fs::create_dir(&path).unwrap();
            std::thread::sleep(Duration::from_millis(30));
            fs::write(path.join("a.log"), "one\n").unwrap();
            std::thread::sleep(Duration::from_millis(30));
            let mut file = OpenOptions::new().append(true).open(path.join("a.log")).unwrap();
            file.write_all(b"two\n").unwrap();
        });
        let begun = Instant::now();
        while follower.entries.len() < 2 {
            follower.fill();
        }
        writer.join().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(50));
    }
}

#[test]
fn waiting_has_an_end() {
    let mut follower = Follower::new(&["kata.log"], &[]);
    follower.source.max_wait = Duration::from_millis(50);
    let begun = Instant::now();
    assert_eq!(follower.fill(), Fill::Idle);
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

#[test]
fn parts_of_a_container_line_are_joined_across_a_restart() {
    let part = |stream: &str, tag: &str, text: &str| format!("2024-05-06T07:08:14.3Z {stream} {tag} {text}\n");
    let mut follower = Follower::new(&["0.log"], &[("0.log", &part("stdout", "F", "zero"))]);
    follower.append("0.log", part("stdout", "P", "one "));
    follower.append("0.log", part("stderr", "F", "error"));
    follower.append("0.log", part("stdout", "P", "two "));
    assert_eq!(follower.news().len(), 2);
    let whole = part("stdout", "F", "zero").len() as u64;
    assert_eq!(follower.saved.values().next().unwrap().offset, whole);
    follower.append("0.log", part("stdout", "F", "three"));
    follower.restart();
    let news = follower.news();
    assert_eq!(news.last().unwrap(), part("stdout", "F", "one two three").trim_end());
    // The line between the parts comes twice, with the same id.
    assert_eq!(news.len(), 2);
    assert_eq!(follower.entries[1], follower.entries[2]);
    assert_eq!(follower.entries[3].1, whole);

    let docker = |text: &str| format!("{{\"log\":\"{text}\",\"stream\":\"stdout\",\"time\":\"t\"}}\n");
    let mut follower = Follower::new(&["a.log"], &[("a.log", &docker("one "))]);
    assert!(follower.news().is_empty());
    follower.restart();
    follower.append("a.log", docker("two\\n"));
    assert_eq!(follower.news(), [docker("one two\\n").trim_end()]);
    // The last part never comes.
    follower.append("a.log", docker("three"));
    follower.rename("a.log", "a.log.1");
    assert!(follower.news().is_empty());
    assert_eq!(follower.news_later().len(), 1);
    follower.restart();
    assert!(follower.news().is_empty());
}

#[test]
fn an_export_entry_is_read_whole_across_a_restart() {
    let mut follower = Follower::new(&["export"], &[("export", "__CURSOR=a\nM=1\n\n__CURSOR=b\nM=2\n")]);
    assert_eq!(follower.news(), ["__CURSOR=a\nM=1\n"]);
    follower.restart();
    follower.append("export", "N=3\n\n");
    assert_eq!(follower.news(), ["__CURSOR=b\nM=2\nN=3\n"]);
}

#[cfg(feature = "zstd")]
#[test]
fn once_reads_up_to_now() {
    let mut follower = Follower::new(&["kata.log*", "none*"], &[("kata.log", "one\ntw"), ("kata.log.2", "old")]);
    follower.compress("kata.log.2");
    follower.restart_as(false);
    assert!(follower.errors.is_empty());
    follower.append("kata.log", "o\n");
    let mut news = follower.news();
    news.sort();
    assert_eq!(news, ["old", "one"]);
    assert_eq!(follower.fill(), Fill::End);
    follower.restart_as(false);
    assert_eq!(follower.news(), ["two"]);
    follower.append("kata.log", "three");
    follower.rename("kata.log", "kata.log.1");
    follower.append("kata.log", "four\n");
    follower.restart_as(false);
    assert_eq!(follower.news(), ["three", "four"]);
    follower.restart_as(false);
    assert!(follower.news().is_empty());
    assert!(follower.damages.is_empty(), "{:?}", follower.damages);

    follower.patterns = vec![follower.path("missing.log")];
    follower.saved.clear();
    follower.restart_as(false);
    assert!(matches!(&follower.errors[..], [SourceError::Open { cause, .. }] if cause.raw_os_error() == Some(2)));
    follower.restart();
    assert!(follower.errors.is_empty());
}

#[test]
fn what_cannot_be_followed_is_refused_and_the_others_are_read() {
    let mut follower = Follower::new(&["*"], &[("a", "one\n"), ("b.journal", "LPKSHHRH\0\0\0\0\0\0\0\0")]);
    fs::create_dir(follower.path("directory")).unwrap();
    // A symbolic link loop cannot be opened, not even by root.
    symlink("loop", follower.path("loop")).unwrap();
    follower.patterns.extend([follower.path("directory"), follower.path("loop")]);
    follower.restart();
    let errors: Vec<_> = follower.errors.iter().map(ToString::to_string).collect();
    assert!(follower.errors.iter().any(|error| matches!(error, SourceError::Directory { .. })), "{errors:?}");
    assert!(follower.errors.iter().any(|error| matches!(error, SourceError::Journal { .. })), "{errors:?}");
    assert!(follower.errors.iter().any(|error| matches!(error, SourceError::Open { .. })), "{errors:?}");
    assert_eq!(follower.news(), ["one"]);
    assert!(follower.damages.is_empty(), "{:?}", follower.damages);
    follower.append("c", "LPKSHHRH\0\0\0\0\0\0\0\0");
    assert!(follower.news().is_empty() && follower.news().is_empty());
    assert_eq!(follower.damages, [("refused-file", follower.path("c"), 0)]);
    follower.remove("loop");
    follower.append("loop", "two\n");
    assert_eq!(follower.news(), ["two"]);
}

#[test]
fn files_take_turns() {
    let text = |name: &str| format!("{name} 3456789\n").repeat(100);
    let mut follower = Follower::new(&["*.log"], &[("a.log", &text("a")), ("b.log", &text("b")), ("c.log", "one\n")]);
    follower.settings.block = 110;
    follower.restart();
    for _ in 0..6 {
        assert_eq!(follower.fill(), Fill::More);
    }
    assert!(follower.entries.iter().any(|(_, _, text)| text == "one"));
    let origins = follower.origins();
    assert!(origins.len() >= 5, "{origins:?}");
    follower.drain();
    assert_eq!(follower.entries.len(), 201);
}

#[test]
fn an_idle_file_keeps_no_more_than_its_unfinished_line() {
    let mut follower = Follower::new(&["kata.log"], &[("kata.log", &"x".repeat(700_000))]);
    follower.drain();
    follower.append("kata.log", "\nshort");
    follower.drain();
    let kept = follower.source.logs[0].tail().unwrap().carried();
    assert!(kept <= 8192, "{kept}");
}

#[test]
fn an_endless_line_is_read_on_after_a_restart() {
    let mut follower = Follower::new(&["kata.log"], &[("kata.log", "one\n")]);
    follower.settings.max_line = 100;
    follower.restart();
    follower.append("kata.log", "x".repeat(1000));
    assert_eq!(follower.news().len(), 2);
    follower.append("kata.log", "x\ntwo\n");
    assert_eq!(follower.news(), ["two"]);
    follower.append("kata.log", "y".repeat(1000));
    assert_eq!(follower.news(), ["y".repeat(100)]);
    follower.restart();
    follower.append("kata.log", "y\nthree\n");
    assert_eq!(follower.news(), ["y".repeat(100), "three".to_owned()]);
}

#[test]
fn names_of_one_log_have_a_family() {
    for name in [
        "kata.log",
        "kata.log.1",
        "kata.log.2.gz",
        "kata.log-20240506",
        "kata.log-20240506.zst",
        "kata.log.20240506-070814.gz",
        "kata.log.xz",
    ] {
        assert_eq!(family(&Path::new("/a").join(name)), Path::new("/a/kata.log"), "{name}");
    }
    for name in ["0.log", "kata", "1", ".1", "kata2", "kata-.log", ".gz"] {
        assert_eq!(family(&Path::new("/a").join(name)), Path::new("/a").join(name));
    }
}

#[test]
fn a_pattern_is_what_does_not_exist() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a[1].log");
    assert!(is_pattern(&path) && is_pattern(Path::new("*")) && is_pattern(Path::new("a?")));
    assert!(!is_pattern(Path::new("/none/a")));
    fs::write(&path, "one\n").unwrap();
    assert!(!is_pattern(&path));
    let (mut source, errors) = open(&[path], &Settings::default(), false, &[], &[], Arc::new(Observed::default()));
    assert!(errors.is_empty());
    let mut batch = Batch::default();
    assert_eq!(source.fill(&mut batch).into_result().unwrap(), Fill::More);
    assert_eq!(batch.len(), 1);
}

#[test]
fn the_route_survives_restarts_and_rotation() {
    let entry = "{\"__CURSOR\":\"s\",\"MESSAGE\":\"x\"}\n";
    let mut follower = Follower::new(&["kata.log"], &[("kata.log", entry)]);
    follower.drain();
    follower.append("kata.log", "text\n");
    follower.restart();
    follower.drain();
    follower.append("kata.log", "more\n");
    follower.rename("kata.log", "kata.log.1");
    follower.append("kata.log", "text\n");
    follower.drain();
    let routes: Vec<Route> = follower.marks.iter().map(|(route, _)| *route).collect();
    assert_eq!(routes, [Route::Journal, Route::Journal, Route::Journal, Route::Named]);
}

#[test]
fn the_route_follows_links_and_their_names() {
    let mut follower = Follower::new(&["var/log/containers/*"], &[]);
    for (name, pod, line) in [
        ("app_ns_c-01.log", "log/pods/ns_app_1/c", "tenant\n"),
        ("kata-monitor-x_kube-system_m-02.log", "lib/docker/containers/02", "trusted\n"),
        ("kata-monitor-x_ns_m-03.log", "lib/docker/containers/03", "forged\n"),
    ] {
        let directory = follower.path("").join("var").join(pod);
        fs::create_dir_all(&directory).unwrap();
        fs::create_dir_all(follower.path("").join("var/log/containers")).unwrap();
        fs::write(directory.join("0.log"), line).unwrap();
        symlink(directory.join("0.log"), follower.path("").join("var/log/containers").join(name)).unwrap();
    }
    follower.settings.follow_links = true;
    follower.restart();
    follower.drain();
    let mut found: Vec<_> = follower.entries.iter().map(|(.., text)| text.as_str()).zip(&follower.marks).collect();
    found.sort_unstable_by_key(|(text, _)| *text);
    let whole = Continuation::Whole;
    let expected = [("forged", &(Route::Container, whole)), ("tenant", &(Route::Container, whole))];
    assert_eq!(found[..2], expected);
    assert_eq!(found[2].1.0, Route::TrustedPod);
}

#[test]
fn a_pattern_follows_no_links_unasked() {
    let mut follower = Follower::new(&["logs/*.log", "logs/*/x.log"], &[("secret", "secret\n"), ("named", "named\n")]);
    fs::create_dir_all(follower.path("logs")).unwrap();
    fs::create_dir_all(follower.path("away")).unwrap();
    follower.append("logs/own.log", "own\n");
    follower.append("away/x.log", "away\n");
    symlink("../secret", follower.path("logs/link.log")).unwrap();
    symlink("../away", follower.path("logs/link")).unwrap();
    // Links that the operator has named: a file, and a directory before the wildcard.
    symlink("named", follower.path("alias")).unwrap();
    symlink("logs", follower.path("other")).unwrap();
    follower.patterns.extend([follower.path("alias"), follower.path("other/o*.log")]);
    follower.restart();
    let mut news = follower.news();
    news.sort();
    assert_eq!(news, ["named", "own"]);
    follower.append("logs/own.log", "more\n");
    assert_eq!(follower.news_later(), ["more"]);
    let links = ["logs/link/x.log", "logs/link.log"].map(|name| follower.path(name));
    assert_eq!(follower.passed_over, links, "each once");
    follower.settings.follow_links = true;
    follower.restart();
    let mut news = follower.news();
    news.sort();
    assert_eq!(news, ["away", "secret"]);
}

#[test]
fn a_cut_print_is_known_after_a_restart() {
    let judge = Judge { leaves_open: |text| text.ends_with(b"env["), ..Judge::default() };
    let mut follower = Follower::new(&["kata.log"], &[]);
    follower.settings.judge = judge;
    follower.restart();
    follower.append("kata.log", "env[\n");
    for text in ["secret\n", "more\n", "time=\"2024-03-05T05:01:54Z\" level=info\n", "text\n"] {
        follower.drain();
        follower.restart();
        follower.append("kata.log", text);
    }
    follower.drain();
    let marks: Vec<Continuation> = follower.marks.iter().map(|(_, mark)| *mark).collect();
    let (whole, withheld) = (Continuation::Whole, Continuation::Withheld);
    assert_eq!(marks, [whole, withheld, withheld, whole, whole]);
}
