use std::fs;

use super::*;
use crate::delivery::checkpoint::Checkpoint;
use crate::delivery::checkpoint::tests::file;

fn journal(numbers: &[(&str, u64)]) -> Position {
    let passed = numbers.iter().map(|(id, number)| ((*id).to_owned(), *number)).collect();
    Position::Journal(JournalPosition { cursor: None, passed })
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Returns the checkpoints of the servers `a` and `b`, and that of both.
fn two() -> (Checkpoint, Checkpoint, Checkpoint) {
    let mut all = Checkpoint::forgetful();
    all.set_servers(&names(&["a", "b"]));
    (all.of_server("a"), all.of_server("b"), all)
}

fn passed(checkpoint: &Checkpoint) -> Vec<(String, u64)> {
    checkpoint.journal().map(|journal| journal.passed.into_iter().collect()).unwrap_or_default()
}

fn offsets(checkpoint: &Checkpoint) -> Vec<(String, u64)> {
    checkpoint.files().into_iter().map(|file| (file.origin, file.offset)).collect()
}

#[test]
fn reading_begins_with_the_least_of_journals() {
    let (mut a, mut b, all) = two();
    a.advance(journal(&[("x", 5)]));
    assert!(all.journal().is_none(), "b has nothing");
    b.advance(journal(&[("x", 3)]));
    assert_eq!(passed(&all), [("x".to_owned(), 3)]);
    b.advance(journal(&[("x", 7), ("y", 1)]));
    assert_eq!(passed(&all), [("x".to_owned(), 5)], "a has nothing of y");
    // After a restart the reading repeats what a has.
    a.advance(journal(&[("x", 4)]));
    a.advance(journal(&[("x", 4), ("y", 2)]));
    assert_eq!(passed(&all), [("x".to_owned(), 5), ("y".to_owned(), 1)], "no number becomes smaller");
    b.advance(journal(&[("x", 9), ("y", 2)]));
    a.advance(journal(&[("x", 9), ("y", 2)]));
    assert_eq!(all.positions().state.servers.values().filter(|server| server.journal.is_some()).count(), 0);
}

#[test]
fn reading_begins_with_the_least_of_each_file() {
    let (mut a, mut b, all) = two();
    a.advance(Position::Files(vec![file("one", 5), file("two", 9)]));
    assert_eq!(offsets(&all), [("one".to_owned(), 0), ("two".to_owned(), 0)], "b has nothing");
    b.advance(Position::Files(vec![file("one", 7)]));
    assert_eq!(offsets(&all), [("two".to_owned(), 0), ("one".to_owned(), 5)]);
    a.advance(Position::Files(vec![file("one", 3)]));
    assert_eq!(offsets(&all), [("two".to_owned(), 0), ("one".to_owned(), 5)], "no offset becomes smaller");
    let gone = |offset| Position::Files(vec![FilePosition { gone: true, ..file("two", offset) }]);
    a.advance(gone(9));
    assert_eq!(offsets(&all), [("two".to_owned(), 0), ("one".to_owned(), 5)], "b still needs it");
    b.advance(Position::Files(vec![file("two", 4)]));
    assert_eq!(offsets(&all), [("one".to_owned(), 5), ("two".to_owned(), 4)]);
    b.advance(gone(9));
    a.advance(Position::Files(vec![file("one", 7)]));
    assert_eq!(offsets(&all), [("one".to_owned(), 7)]);
    assert!(all.positions().state.servers.values().all(|server| server.files.is_empty()), "none is ahead");
}

#[test]
fn a_noted_file_moves_no_server() {
    let (mut a, mut b, all) = two();
    all.note_files(vec![file("one", 3)]);
    b.advance(Position::Files(vec![file("one", 6)]));
    all.note_files(vec![FilePosition { length: 8, ..file("one", 6) }]);
    assert_eq!(offsets(&all), [("one".to_owned(), 0)]);
    a.advance(Position::Files(vec![file("one", 8)]));
    assert_eq!(all.files().iter().map(|file| (file.offset, file.length)).collect::<Vec<_>>(), [(6, 8)]);
}

#[test]
fn servers_come_and_go_between_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Checkpoint::open(folder.path()).unwrap();
    all.advance(journal(&[("x", 1)]));
    all.set_servers(&names(&["a", "b", "c"]));
    for (server, number) in [("a", 9), ("b", 5), ("c", 3)] {
        let mut server = all.of_server(server);
        server.advance(journal(&[("x", number)]));
        server.advance(Position::Files(vec![file("one", number)]));
        server.save().unwrap();
    }
    drop(all);
    let open = || Checkpoint::open(folder.path()).unwrap();
    let mut all = open();
    assert_eq!((passed(&all), offsets(&all)), (vec![("x".to_owned(), 3)], vec![("one".to_owned(), 3)]));
    // The server that was behind is gone.
    all.set_servers(&names(&["a", "b"]));
    assert_eq!((passed(&all), offsets(&all)), (vec![("x".to_owned(), 5)], vec![("one".to_owned(), 5)]));
    drop(all);
    // Another one is in its place, and gets what it lacked.
    let mut all = open();
    all.set_servers(&names(&["a", "b", "d"]));
    assert_eq!((passed(&all), offsets(&all)), (vec![("x".to_owned(), 3)], vec![("one".to_owned(), 3)]));
    let has = |server: &str, number| all.of_server(server).lead().has(&journal(&[("x", number)]));
    assert_eq!(["a", "b", "d"].map(|server| has(server, 5)), [true, true, false]);
    // One of several servers gets everything from where all are.
    all.set_servers(&[]);
    all.save().unwrap();
    assert_eq!((passed(&all), offsets(&all)), (vec![("x".to_owned(), 3)], vec![("one".to_owned(), 3)]));
    let saved = fs::read_to_string(folder.path().join("state.json")).unwrap();
    assert!(!saved.contains("servers"), "an older katalog can read it: {saved}");
}

#[test]
fn a_lead_ends_with_the_first_batch_beyond_it() {
    let (mut a, _, all) = two();
    all.note_files(vec![file("one", 0), file("two", 0)]);
    a.advance(journal(&[("x", 5), ("y", 2)]));
    a.advance(Position::Files(vec![file("one", 5), file("two", 9)]));
    let mut lead = a.lead();
    assert!(lead.has(&journal(&[("x", 4)])) && lead.has(&journal(&[("x", 5), ("y", 2)])));
    assert!(!lead.has(&journal(&[("x", 6), ("y", 2)])) && !lead.has(&journal(&[("x", 5)])), "it is over");
    let files = |files: &[(&str, u64)]| Position::Files(files.iter().map(|(name, at)| file(name, *at)).collect());
    assert!(lead.has(&files(&[("one", 3)])));
    assert!(!lead.has(&files(&[("one", 3)])), "the batch has nothing of the file");
    assert!(lead.has(&files(&[("one", 3), ("two", 4)])), "the batch has records of the second file alone");
    assert!(!lead.has(&files(&[("one", 6)])) && !lead.has(&files(&[("one", 7)])));
    assert!(lead.has(&files(&[("two", 9)])) && !lead.has(&files(&[("two", 10)])));
    assert!(!all.lead().has(&journal(&[("x", 1)])), "all servers together are not ahead");
}
