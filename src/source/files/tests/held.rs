//! Deleted files that stay open, and the limits of them.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Instant;

use super::{Follower, HeldLimits, LossReason, long};

/// Returns a follower of `kata.log` with these limits of deleted files.
fn follower(files: usize, bytes: u64) -> Follower {
    let mut follower = Follower::new(&["kata.log"], &[("kata.log", "")]);
    follower.settings.held = HeldLimits { files, bytes };
    follower.restart();
    follower.drain();
    follower
}

impl Follower {
    /// Searches without reading, as while the delivery waits.
    fn search_only(&mut self) {
        for _ in 0..4 {
            self.look_soon();
            self.source.search_if_due();
        }
        self.keep_notes();
    }

    /// Writes a text to `kata.log`, and deletes the file after it was seen.
    fn write_and_delete(&mut self, text: &str) {
        self.append("kata.log", text);
        self.search_only();
        self.remove("kata.log");
        self.search_only();
    }

    fn vanished(&self) -> Vec<(String, u64, LossReason)> {
        self.observed.vanished.lock().unwrap().clone()
    }
}

fn given_up(bytes: u64) -> (String, u64, LossReason) {
    ("kata.log".to_owned(), bytes, LossReason::GivenUp)
}

#[test]
fn deleted_files_are_read_in_their_order() {
    let mut follower = follower(512, 1 << 30);
    for text in ["one\n", "two\n", "three\n"] {
        follower.write_and_delete(text);
    }
    assert_eq!(*follower.observed.held.lock().unwrap(), (3, 14));
    assert_eq!(follower.news(), ["one", "two", "three"]);
    follower.news_later();
    follower.search_only();
    assert_eq!(*follower.observed.held.lock().unwrap(), (0, 0));
    assert!(follower.vanished().is_empty() && follower.damages.is_empty());
}

#[test]
fn the_oldest_files_beyond_a_limit_are_given_up_and_counted() {
    for (files, bytes) in [(2, 1 << 30), (512, 11)] {
        let mut follower = follower(files, bytes);
        for text in ["one\n", "two\n", "four\n", "three\n"] {
            follower.write_and_delete(text);
        }
        assert_eq!(follower.vanished(), [given_up(4), given_up(4)], "{files} {bytes}");
        follower.append("kata.log", "five\n");
        assert_eq!(follower.news(), ["four", "three", "five"]);
        assert_eq!(follower.damages.len(), 2);
    }
}

#[test]
fn files_that_are_read_are_closed_first() {
    let mut follower = follower(1, 1 << 30);
    follower.append("kata.log", "one\n");
    follower.drain();
    follower.remove("kata.log");
    follower.search_only();
    follower.write_and_delete("two\n");
    assert_eq!(follower.news(), ["two"]);
    assert!(follower.vanished().is_empty() && follower.damages.is_empty(), "{:?}", follower.damages);
}

#[test]
fn an_unfinished_line_of_a_file_that_is_given_up_is_read() {
    let mut follower = follower(0, 1 << 30);
    follower.append("kata.log", "one\ntw");
    follower.drain();
    follower.write_and_delete("o\nthree\n");
    assert_eq!(follower.vanished(), [given_up(8)]);
    assert_eq!(follower.news(), ["tw"]);
}

#[cfg(feature = "zstd")]
#[test]
fn a_file_that_is_given_up_is_read_from_its_copy() {
    for read in [false, true] {
        let mut follower = follower(0, 1 << 30);
        let (first, second) = (long("a"), long("b"));
        follower.append("kata.log", &first);
        if read {
            follower.drain();
        }
        follower.append("kata.log", &second);
        follower.search_only();
        follower.rename("kata.log", "kata.log.1");
        follower.compress("kata.log.1");
        follower.search_only();
        follower.drain();
        assert_eq!(follower.entries.len(), 200, "{read}");
        assert!(follower.vanished().is_empty() && follower.damages.is_empty(), "{:?}", follower.damages);
    }
}

#[test]
fn deleted_files_are_counted_after_a_kill() {
    let mut follower = follower(512, 1 << 30);
    follower.append("kata.log", "one\n");
    follower.drain();
    follower.write_and_delete("two\n");
    follower.write_and_delete("three\n");
    follower.append("kata.log", "four\n");
    follower.restart();
    assert_eq!(follower.news(), ["four"]);
    let deleted = |bytes| ("kata.log".to_owned(), bytes, LossReason::Deleted);
    let mut vanished = follower.vanished();
    vanished.sort_by_key(|(_, bytes, _)| *bytes);
    assert_eq!(vanished, [deleted(4), deleted(6)]);
    follower.restart();
    assert!(follower.news().is_empty());
    assert_eq!(follower.vanished().len(), 2, "they are counted once");
}

#[test]
fn a_file_that_was_empty_when_it_was_found_is_counted_after_a_kill() {
    let mut follower = follower(512, 1 << 30);
    follower.append("kata.log", "one\n");
    follower.remove("kata.log");
    follower.search_only();
    follower.restart();
    assert!(follower.news().is_empty());
    assert_eq!(follower.vanished(), [("kata.log".to_owned(), 4, LossReason::Deleted)]);
}

#[test]
fn rotated_and_deleted_files_that_grow_are_noted_seldom() {
    let mut follower = follower(512, 1 << 30);
    follower.append("kata.log", "one\n");
    follower.search_only();
    for (from, to) in [("kata.log", Some("kata.log.1")), ("kata.log.1", None)] {
        let mut file = OpenOptions::new().append(true).open(follower.path(from)).unwrap();
        match to {
            Some(to) => follower.rename(from, to),
            None => follower.remove(from),
        }
        let start = Instant::now();
        follower.notes = 0;
        for _ in 0..50 {
            file.write_all(b"more\n").unwrap();
            follower.search_only();
        }
        assert!((1..=start.elapsed().as_secs() + 1).contains(&follower.notes), "{from}: {}", follower.notes);
    }
}

#[cfg(feature = "zstd")]
#[test]
fn a_deleted_file_is_read_from_its_copy_after_a_kill() {
    let mut follower = follower(512, 1 << 30);
    let text = long("a");
    follower.append("kata.log", &text);
    follower.search_only();
    follower.rename("kata.log", "kata.log.1");
    follower.compress("kata.log.1");
    follower.append("kata.log", "new\n");
    follower.search_only();
    follower.restart();
    assert_eq!(follower.news().len(), 101);
    assert!(follower.vanished().is_empty() && follower.damages.is_empty(), "{:?}", follower.damages);
}

#[test]
fn a_key_of_positions_never_comes_back_within_a_run() {
    let mut follower = follower(512, 1 << 30);
    let mut keys = BTreeSet::new();
    for number in 0..4 {
        follower.append("kata.log", format!("{number} line\n"));
        follower.drain();
        keys.extend(follower.saved.keys().cloned());
        follower.truncate("kata.log");
        follower.drain();
    }
    assert_eq!(keys.len(), 4);
}

#[test]
fn a_deleted_file_that_was_read_is_not_missed_after_a_kill() {
    let mut follower = follower(512, 1 << 30);
    follower.append("kata.log", "one\n");
    follower.drain();
    follower.remove("kata.log");
    follower.drain();
    follower.restart();
    assert!(follower.news().is_empty() && follower.news().is_empty());
    assert!(follower.vanished().is_empty() && follower.damages.is_empty(), "{:?}", follower.damages);
}
