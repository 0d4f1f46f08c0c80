use std::collections::BTreeMap;
use std::fs;

use super::*;

pub(super) fn file(name: &str, offset: u64) -> FilePosition {
    FilePosition {
        path: name.into(),
        device: 1,
        inode: 2,
        head: 3,
        hash: "00ff".to_owned(),
        offset,
        length: 0,
        origin: name.to_owned(),
        prints: BTreeMap::new(),
        open_streams: Vec::new(),
        over: false,
        gone: false,
    }
}

fn journal(number: u64) -> Position {
    let passed = [("0123456789abcdef0123456789abcdef".to_owned(), number)].into();
    Position::Journal(JournalPosition { cursor: Some("s=1;i=2".to_owned()), passed })
}

#[test]
fn a_position_is_there_for_the_next_run() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/er");
    let mut checkpoint = Checkpoint::open(&path).unwrap();
    assert!(checkpoint.journal().is_none() && checkpoint.files().is_empty());
    checkpoint.advance(journal(7));
    checkpoint.advance(Position::Files(vec![file("a", 1), file("b", 2)]));
    checkpoint.advance(Position::Files(vec![file("a", 3), file("c", 4)]));
    checkpoint.advance(Position::Files(vec![FilePosition { gone: true, ..file("c", 4) }]));
    checkpoint.save().unwrap();
    let state = checkpoint.positions().state.clone();
    drop(checkpoint);
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.positions().state, state);
    assert_eq!(checkpoint.files(), [file("b", 2), file("a", 3)]);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 2, "the state and the lock");
}

#[test]
fn catching_up_moves_no_position_back() {
    let mut checkpoint = Checkpoint::forgetful();
    checkpoint.advance(journal(7));
    checkpoint.advance(Position::Files(vec![file("a", 5), file("b", 5)]));
    checkpoint.catch_up(journal(6));
    checkpoint.catch_up(Position::Files(vec![file("a", 4), file("b", 6), file("c", 1)]));
    let offsets: Vec<_> = checkpoint.files().iter().map(|file| (file.origin.clone(), file.offset)).collect();
    assert_eq!(offsets, [("a".to_owned(), 5), ("b".to_owned(), 6), ("c".to_owned(), 1)]);
    assert_eq!(checkpoint.journal().map(Position::Journal), Some(journal(7)));
    checkpoint.catch_up(journal(8));
    assert_eq!(checkpoint.journal().map(Position::Journal), Some(journal(8)));
}

#[test]
fn a_noted_file_moves_no_position() {
    let directory = tempfile::tempdir().unwrap();
    let mut checkpoint = Checkpoint::open(directory.path()).unwrap();
    checkpoint.advance(Position::Files(vec![file("a", 5)]));
    checkpoint.note_files(vec![FilePosition { length: 9, ..file("a", 8) }, FilePosition { length: 3, ..file("b", 3) }]);
    checkpoint.note_files(vec![FilePosition { length: 7, ..file("a", 8) }]);
    drop(checkpoint);
    let mut checkpoint = Checkpoint::open(directory.path()).unwrap();
    let known = |checkpoint: &Checkpoint| -> Vec<_> {
        checkpoint.files().into_iter().map(|file| (file.origin, file.offset, file.length)).collect()
    };
    assert_eq!(known(&checkpoint), [("b".to_owned(), 0, 3), ("a".to_owned(), 5, 9)]);
    checkpoint.advance(Position::Files(vec![file("a", 8), file("b", 3)]));
    assert_eq!(known(&checkpoint), [("a".to_owned(), 8, 9), ("b".to_owned(), 3, 0)]);
}

#[test]
fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let first = Checkpoint::open(directory.path()).unwrap();
    let second = Checkpoint::open(directory.path()).unwrap_err();
    assert!(matches!(second, CheckpointError::InUse { .. }), "{second}");
    assert_eq!(second.exit(), Exit::Busy);
    drop(first);
    Checkpoint::open(directory.path()).unwrap();
}

#[test]
fn a_file_is_no_directory() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("file"), directory.path().join("link\n"));
    fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink("nothing", &link).unwrap();
    for (path, culprit, found) in [
        (file.clone(), &file, "is a file, not a directory"),
        (file.join("a/b"), &file, "is a file, not a directory"),
        (link.join("a"), &link, "is a broken symbolic link, not a directory"),
    ] {
        let error = Checkpoint::open(&path).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "--state-dir: {culprit:?} {found}; name a directory that you can write with --state-dir DIR, or keep no \
                 position with --no-state"
            )
        );
        assert_eq!(error.exit(), Exit::Usage);
    }
}

#[test]
fn a_missing_right_names_the_directory_and_the_ways_out() {
    // Below /proc nobody creates directories, not even root.
    let error = lock("--spool", Path::new("/proc/katalog/a/b")).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("--spool: cannot create \"/proc/katalog\": "), "{text}");
    assert!(text.ends_with("; name a directory that you can write with --spool DIR"), "{text}");
    for (kind, exit) in [
        (io::ErrorKind::PermissionDenied, Exit::Permission),
        (io::ErrorKind::ReadOnlyFilesystem, Exit::Permission),
        (io::ErrorKind::StorageFull, Exit::Io),
    ] {
        let error = create_error(STATE_DIR, Path::new("/nowhere/a"), kind.into());
        assert_eq!(error.exit(), exit, "{error}");
        let error = CheckpointError::Save { path: "a".into(), source: kind.into() };
        assert_eq!(error.exit(), exit, "{error}");
    }
}

#[test]
fn what_is_no_state_is_never_a_beginning() {
    for (content, says) in [
        ("", "EOF"),
        ("{}", "missing field `katalog`"),
        ("{\"katalog\":2,\"other\":[]}", "version 2"),
        ("{\"katalog\":1,\"journal\":{\"passed\":{\"a\":-1}}}", "invalid value"),
        ("{\"katalog\":1,\"jurnal\":{}}", "unknown field"),
        ("{\"katalog\":1,\"files\":[{}]}", "missing field"),
        ("\0\0\0\0\0\0", "expected value"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(STATE), content).unwrap();
        let error = Checkpoint::open(directory.path()).unwrap_err();
        assert_eq!(error.exit(), Exit::Data);
        let text = error.to_string();
        assert!(text.contains(says) && text.contains("move it away") && text.contains(STATE), "{text}");
        assert_eq!(fs::read(directory.path().join(STATE)).unwrap(), content.as_bytes(), "it is left alone");
    }
}

#[test]
fn what_cannot_be_saved_leaves_what_was() {
    let directory = tempfile::tempdir().unwrap();
    let mut checkpoint = Checkpoint::open(directory.path()).unwrap();
    checkpoint.advance(journal(1));
    checkpoint.save().unwrap();
    let before = fs::read(directory.path().join(STATE)).unwrap();
    // The directory blocks the path of the temporary file.
    fs::create_dir(directory.path().join("state.json.new")).unwrap();
    checkpoint.advance(journal(2));
    let error = checkpoint.save().unwrap_err();
    assert!(error.to_string().contains("cannot save"), "{error}");
    assert_eq!(fs::read(directory.path().join(STATE)).unwrap(), before);
    fs::remove_dir(directory.path().join("state.json.new")).unwrap();
    checkpoint.save().unwrap();
    assert_ne!(fs::read(directory.path().join(STATE)).unwrap(), before);
}
