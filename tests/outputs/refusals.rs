//! Combinations that are refused, and inputs that are never overwritten.

use super::{command_into, expect_exit, log, stderr, tree, write_file};
use crate::support::katalog;

#[test]
fn what_does_not_go_together_is_named() {
    for (flags, flag, says) in [
        (&["convert"][..], "--output-dir", "directory"),
        (&["convert", "--split=day"], "--output-dir", "directory"),
        (&["--split", "day"], "--split", "katalog convert --split day"),
        (&["ship", "--resume"], "--resume", "`katalog convert`"),
        (&["--compress", "gzip"], "--compress gzip", "--output FILE"),
        (&["convert", "--output-dir=d", "--resume", "--force"], "--force", "--resume"),
        (&["convert", "--output-dir=d", "--output=f"], "--output", "`katalog convert`"),
        (&["convert", "--output-dir=d", "--to=unix:/nowhere"], "--to", "`katalog ship`"),
        (&["convert", "--output-dir=d", "--follow"], "--follow", "`katalog print`"),
        (&["convert", "--output-dir=d", "--state-dir=s"], "--state-dir", "`katalog ship`"),
        (&["convert", "--output-dir=d", "--format=text"], "--format text", "ndjson"),
        (&["convert", "--output-dir=d", "--format=export"], "--format export", "ndjson"),
        (&["convert", "--output-dir=d", "--format=journal-json"], "--format journal-json", "ndjson"),
        (&["ship", "--no-state", "--to=unix:/nowhere", "--format=csv"], "--format csv", "--to"),
        (&["convert", "--output-dir=d", "--split=boat"], "--split", "component"),
        (&["convert", "--output-dir=d", "--split={boat}"], "--split", "{boat}"),
        (&["convert", "--output-dir=d", "--compress=xz"], "--compress", "zstd"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = expect_exit(katalog().current_dir(folder.path()).args(flags).arg("in.log"), 64);
        let stderr = stderr(&output);
        assert!(stderr.contains(flag) && stderr.contains(says), "{flags:?}: {stderr}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{flags:?}");
    }
}

#[test]
fn an_input_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let input = write_file(folder.path(), "runtime.ndjson", log(0, 8));
    let other = write_file(folder.path(), "kata.log", log(1, 8));
    let before = tree(folder.path());
    for flags in [&["--force"][..], &[]] {
        let output = expect_exit(&mut command_into(folder.path(), flags, &[other.clone(), input.clone()]), 64);
        assert!(stderr(&output).contains("is also an input"), "{}", stderr(&output));
        let mut check = katalog();
        check.args(["config", "--check", "convert", "--output-dir"]).arg(folder.path()).args(flags).arg(&other);
        expect_exit(&mut check, 0);
        super::assert_same_tree(&tree(folder.path()), &before);
    }
}

#[test]
fn other_files_of_the_directory_stay() {
    let folder = tempfile::tempdir().unwrap();
    let input = write_file(folder.path(), "kata.log", log(0, 8));
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    write_file(&out, "notes.txt", "mine");
    expect_exit(&mut command_into(&out, &[], &[input]), 0);
    assert_eq!(tree(&out)["notes.txt"], b"mine");
    assert!(tree(&out).len() > 1);
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let input = write_file(folder.path(), "kata.log", log(0, 8));
    let output = expect_exit(&mut command_into(&input.join("out"), &[], std::slice::from_ref(&input)), 74);
    let text = stderr(&output);
    assert!(text.contains("--output-dir") && text.contains("kata.log/out\": Not a directory"), "{text}");
    // No user can create files in this directory, whatever the rights of the tests.
    for flags in [&[][..], &["--force"], &["--resume"]] {
        for (path, named) in [("/proc/kata/out", "\"/proc/kata/out\""), ("/proc/kata", "\"/proc/kata\"")] {
            let path = std::path::Path::new(path);
            let output = expect_exit(&mut command_into(path, flags, std::slice::from_ref(&input)), 74);
            let text = stderr(&output);
            assert!(text.contains("--output-dir: cannot create") && text.contains(named), "{text}");
        }
    }
    let proc = std::path::Path::new("/proc");
    let text = stderr(&expect_exit(&mut command_into(proc, &[], std::slice::from_ref(&input)), 74));
    assert!(text.contains("--output-dir: cannot create \"/proc/.katalog\""), "{text}");
    // A name that is needed as a directory.
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    write_file(&out, "2031-01-01", "mine");
    let output = expect_exit(&mut command_into(&out, &["--split=day,component"], &[input]), 74);
    assert!(stderr(&output).contains("2031-01-01"), "{}", stderr(&output));
    assert_eq!(std::fs::read(out.join("2031-01-01")).unwrap(), b"mine");
}

#[test]
fn a_file_is_no_directory() {
    let folder = tempfile::tempdir().unwrap();
    let input = write_file(folder.path(), "kata.log", log(0, 8));
    let out = write_file(folder.path(), "out", "mine");
    for flags in [&[][..], &["--resume"], &["--force"]] {
        let text = stderr(&expect_exit(&mut command_into(&out, flags, std::slice::from_ref(&input)), 64));
        assert!(text.contains("--output-dir: ") && text.contains("out\" is a file, not a directory"), "{text}");
        assert!(text.contains("name a directory") && !text.contains(".katalog"), "{text}");
        assert_eq!(std::fs::read(&out).unwrap(), b"mine");
    }
}

#[test]
fn an_input_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let input = write_file(folder.path(), "kata.log", log(0, 8));
    let out = folder.path().join("out");
    expect_exit(&mut command_into(&out, &[], &[folder.path().join("none"), input.clone()]), 66);
    super::assert_same_tree(&tree(&out), &super::converted(&[], &[input]));
    let nothing = folder.path().join("nothing");
    expect_exit(&mut command_into(&nothing, &[], &[folder.path().join("none")]), 66);
    assert!(tree(&nothing).is_empty());
    assert_eq!(std::fs::read_dir(&nothing).unwrap().count(), 1, "only the manifest");
}

#[test]
fn standard_input_is_an_input() {
    let folder = tempfile::tempdir().unwrap();
    let input = write_file(folder.path(), "kata.log", log(0, 8));
    let out = folder.path().join("out");
    let mut command = command_into(&out, &["--split=input"], &[]);
    expect_exit(command.stdin(std::fs::File::open(&input).unwrap()), 0);
    assert!(tree(&out).keys().eq(["stdin.ndjson"]));
}
