//! Combinations that are refused, and inputs that are never overwritten.

use super::{ends, into, log, put, said, tree};
use crate::support::katalog;

#[test]
fn what_does_not_go_together_is_named() {
    for (flags, key, says) in [
        (&["--split", "day"][..], "split", "--output-dir"),
        (&["--resume"], "resume", "--output-dir"),
        (&["--force"], "force", "--output-dir"),
        (&["--compress", "gzip"], "compress", "--output"),
        (&["--output-dir=d", "--resume", "--force"], "force", "--resume"),
        (&["--output-dir=d", "--output=f"], "output", "--output-dir"),
        (&["--output-dir=d", "--to=unix:/nowhere"], "to", "--output-dir"),
        (&["--output-dir=d", "--follow"], "output-dir", "--follow"),
        (&["--output-dir=d", "--once", "--state-dir=s"], "output-dir", "--once"),
        (&["--output-dir=d", "--state-dir=s"], "state-dir", "--follow"),
        (&["--output-dir=d", "--format=text"], "format", "ndjson"),
        (&["--output-dir=d", "--format=export"], "format", "ndjson"),
        (&["--output-dir=d", "--format=journal-json"], "format", "ndjson"),
        (&["--to=unix:/nowhere", "--format=csv"], "format", "--to"),
        (&["--output-dir=d", "--split=boat"], "--split", "the same for all records"),
        (&["--output-dir=d", "--split={boat}"], "--split", "{boat}"),
        (&["--output-dir=d", "--compress=xz"], "--compress", "zstd"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = ends(katalog().current_dir(folder.path()).args(flags).arg("in.log"), 64);
        let said = said(&output);
        assert!(said.contains(key) && said.contains(says), "{flags:?}: {said}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{flags:?}");
    }
}

#[test]
fn an_input_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let input = put(folder.path(), "runtime.ndjson", log(0, 8));
    let other = put(folder.path(), "kata.log", log(1, 8));
    let before = tree(folder.path());
    for flags in [&["--force"][..], &[]] {
        let output = ends(&mut into(folder.path(), flags, &[other.clone(), input.clone()]), 64);
        assert!(said(&output).contains("is also an input"), "{}", said(&output));
        ends(&mut into(folder.path(), &["--check-config"], &[]), 0);
        super::same(&tree(folder.path()), &before);
    }
}

#[test]
fn other_files_of_the_directory_stay() {
    let folder = tempfile::tempdir().unwrap();
    let input = put(folder.path(), "kata.log", log(0, 8));
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    put(&out, "notes.txt", "mine");
    ends(&mut into(&out, &[], &[input]), 0);
    assert_eq!(tree(&out)["notes.txt"], b"mine");
    assert!(tree(&out).len() > 1);
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let input = put(folder.path(), "kata.log", log(0, 8));
    let output = ends(&mut into(&input.join("out"), &[], std::slice::from_ref(&input)), 74);
    assert!(said(&output).contains("output-dir") && said(&output).contains("kata.log/out"), "{}", said(&output));
    // A name that is needed as a directory.
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    put(&out, "2031-01-01", "mine");
    let output = ends(&mut into(&out, &["--split=day,component"], &[input]), 74);
    assert!(said(&output).contains("2031-01-01"), "{}", said(&output));
    assert_eq!(std::fs::read(out.join("2031-01-01")).unwrap(), b"mine");
}

#[test]
fn an_input_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let input = put(folder.path(), "kata.log", log(0, 8));
    let out = folder.path().join("out");
    ends(&mut into(&out, &[], &[folder.path().join("none"), input.clone()]), 66);
    super::same(&tree(&out), &super::converted(&[], &[input]));
    let nothing = folder.path().join("nothing");
    ends(&mut into(&nothing, &[], &[folder.path().join("none")]), 66);
    assert!(tree(&nothing).is_empty() && std::fs::read_dir(&nothing).unwrap().count() == 0);
}

#[test]
fn standard_input_is_an_input() {
    let folder = tempfile::tempdir().unwrap();
    let input = put(folder.path(), "kata.log", log(0, 8));
    let out = folder.path().join("out");
    let mut command = into(&out, &["--split=input"], &[]);
    ends(command.stdin(std::fs::File::open(&input).unwrap()), 0);
    assert!(tree(&out).keys().eq(["stdin.ndjson"]));
}
