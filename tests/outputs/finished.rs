//! `--resume` in a finished directory: the manifest tells whether the files are those that are asked for.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{
    MANIFEST, OutputDir, assert_same_tree, command_into, converted, expect_exit, log, logs, stderr, tree, wait_until,
    with_limit, write_file,
};
use crate::support::journal::samples::{BOOT, START};
use crate::support::journal::{Entry, Shape, file};
use crate::support::{append_file, wait_for_exit};

/// Converts into a directory that must become finished. Returns its files.
fn finish(out: &Path, flags: &[&str], inputs: &[PathBuf]) -> OutputDir {
    expect_exit(&mut command_into(out, flags, inputs), 0);
    assert!(out.join(MANIFEST).exists() && !out.join(".katalog").exists());
    tree(out)
}

/// Runs with `--resume`, which has to end with this code and leave the directory as it is. Returns standard error.
#[track_caller]
fn resumed(out: &Path, flags: &[&str], inputs: &[PathBuf], code: i32) -> String {
    let before = (tree(out), fs::read(out.join(MANIFEST)).ok());
    let text = stderr(&expect_exit(&mut command_into(out, &[&["--resume"], flags].concat(), inputs), code));
    assert_same_tree(&tree(out), &before.0);
    assert_eq!(fs::read(out.join(MANIFEST)).ok(), before.1);
    assert!(!out.join(".katalog").exists());
    text
}

#[track_caller]
fn assert_names(text: &str, names: &[&str]) {
    for name in names {
        assert!(text.contains(name), "{name:?} is not in: {text}");
    }
}

fn done(out: &Path, flags: &[&str], inputs: &[PathBuf]) {
    assert_names(&resumed(out, flags, inputs, 0), &["nothing is left to do"]);
}

fn manifest(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join(MANIFEST)).unwrap()).unwrap()
}

#[test]
fn the_manifest_says_what_was_converted() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 50]);
    let out = folder.path().join("out");
    let files = finish(&out, &["--split", "day"], &inputs);
    let manifest = manifest(&out);
    assert!(manifest["katalog_conversion"].is_u64() && manifest["complete"] == true, "{manifest}");
    assert_eq!(manifest["settings"]["format"], "ndjson");
    for (input, path) in manifest["inputs"].as_array().unwrap().iter().zip(&inputs) {
        assert_eq!(input["name"], path.to_str().unwrap());
        assert_eq!(input["files"][0]["size"], path.metadata().unwrap().len());
        assert_eq!(input["failure"], Value::Null);
    }
    let names: Vec<&str> = manifest["files"].as_array().unwrap().iter().map(|f| f["path"].as_str().unwrap()).collect();
    assert!(names.len() == files.len() && names.iter().all(|name| files.contains_key(*name)), "{names:?}");
    assert_eq!(manifest["records"], 90);
    done(&out, &["--split", "day", "--threads", "2"], &inputs);
}

#[test]
fn other_options_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 50]);
    let out = folder.path().join("out");
    finish(&out, &[], &inputs);
    let text = resumed(&out, &["--split", "day", "--nested", "drop"], &inputs, 64);
    assert_names(&text, &["--resume: ", "finished", "--force", "--output-dir"]);
    assert_names(&text, &["the options differ: --nested drop (was string), --split {day} (was {component});"]);
    assert!(!text.contains("--compress") && !text.contains("inputs differ"), "{text}");
    let text = resumed(&out, &["--lowercase"], &inputs[..1], 64);
    assert_names(&text, &["--lowercase (was not set); the inputs differ: missing", "1.log"]);
    // Of long values the part that differs is shown.
    let long = format!("{},x", "kata-runtime,".repeat(40));
    let text = resumed(&out, &["--identifier", &long], &inputs, 64);
    assert_names(&text, &["--identifier kata-runtime,kata-", "… (was kata,kata-runtime,"]);
    assert!(text.len() < 1000, "{text}");
    done(&out, &[], &inputs);
}

#[test]
fn another_range_of_a_journal_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = [journal(folder.path(), "a.journal", 1)];
    let out = folder.path().join("out");
    finish(&out, &["--since", "@5", "--until", "@9000000000"], &inputs);
    // All texts of a time are equal.
    done(&out, &["--since", "1970-01-01 00:00:05 UTC", "--until", "@9000000000"], &inputs);
    assert_names(&resumed(&out, &["--until", "@9000000000"], &inputs, 64), &["differ: no --since (was @5.000000);"]);
    let text = resumed(&out, &["--since", "@6", "--until", "@8000000000"], &inputs, 64);
    let [since, until] = ["--since @6.000000 (was @5.000000;", "--until @8000000000.000000 (was @9000000000.000000;"];
    assert_names(&text, &["differ: ", since, until, "give a fixed time"]);
}

#[test]
fn other_inputs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 50, 60]);
    let out = folder.path().join("out");
    finish(&out, &[], &inputs[..2]);
    let refused = |inputs: &[PathBuf], named: &[&str]| {
        let text = resumed(&out, &[], inputs, 64);
        assert_names(&text, &["--resume: ", "the inputs differ: ", "--force", "--output-dir"]);
        assert_names(&text, named);
        text
    };
    let text = refused(&inputs, &["new", "2.log"]);
    assert!(!text.contains("0.log") && !text.contains("missing"), "{text}");
    let text = refused(&inputs[1..], &["new", "2.log", "missing", "0.log"]);
    assert!(!text.contains("1.log"), "{text}");
    refused(&[inputs[1].clone(), inputs[0].clone()], &["another order", "0.log", "1.log"]);
    refused(&[inputs[0].clone(), inputs[0].clone(), inputs[1].clone()], &["another order"]);
    let bytes = fs::read(&inputs[0]).unwrap();
    let modified = inputs[0].metadata().unwrap().modified().unwrap();
    write_file(folder.path(), "0.log", log(9, 41));
    let text = refused(&inputs[..2], &["changed", "0.log"]);
    assert!(!text.contains("1.log"), "{text}");
    write_file(folder.path(), "0.log", &bytes);
    expect_exit(Command::new("touch").args(["-d", "2001-01-01"]).arg(&inputs[0]), 0);
    refused(&inputs[..2], &["changed", "0.log"]);
    fs::remove_file(&inputs[0]).unwrap();
    refused(&inputs[..2], &["missing", "0.log"]);
    write_file(folder.path(), "0.log", &bytes);
    File::options().write(true).open(&inputs[0]).unwrap().set_modified(modified).unwrap();
    done(&out, &[], &inputs[..2]);
}

#[test]
fn many_inputs_are_named_briefly() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[3; 30]);
    let out = folder.path().join("out");
    finish(&out, &[], &inputs[..1]);
    let text = resumed(&out, &[], &inputs, 64);
    assert_names(&text, &["1.log", "and 24 more"]);
    assert!(!text.contains("29.log"), "{text}");
}

fn journal(folder: &Path, name: &str, first: u64) -> PathBuf {
    let entry = |number: u64| {
        Entry::new(START + number * 1000, number * 1000, BOOT)
            .with("SYSLOG_IDENTIFIER", "kata-runtime")
            .with("MESSAGE", format!("level=info msg={number} source=runtime"))
    };
    let entries: Vec<Entry> = (first..first + 10).map(entry).collect();
    let shape = Shape {
        machine_id: 0xa,
        seqnum_id: 0xa,
        file_id: 0xa00 | u128::from(first),
        first_seqnum: first,
        ..Shape::default()
    };
    write_file(folder, name, file(&shape, &entries))
}

#[test]
fn files_below_a_directory_count() {
    let folder = tempfile::tempdir().unwrap();
    // The files of a machine have its id as their name; the directory of logs is one input.
    let [journals, bundle] = ["journals", "bundle"].map(|name| folder.path().join(name));
    fs::create_dir_all(bundle.join("kata/deep")).unwrap();
    fs::create_dir(&journals).unwrap();
    journal(&journals, "a.journal", 1);
    write_file(&bundle.join("kata"), "a.log", log(1, 10));
    write_file(&bundle.join("kata/deep"), "b.log", log(2, 10));
    let inputs = [journals.clone(), bundle.clone()];
    // The directory of the output is never an input.
    let out = bundle.join("out");
    finish(&out, &[], &inputs);
    done(&out, &[], &inputs);
    let added = [journal(&journals, "b.journal", 11), write_file(&bundle.join("kata/deep"), "c.log", log(3, 10))];
    assert_names(&resumed(&out, &[], &inputs, 64), &["new", "b.journal", "deep/c.log"]);
    added.iter().for_each(|path| fs::remove_file(path).unwrap());
    done(&out, &[], &inputs);
    write_file(&bundle.join("kata/deep"), "b.log", log(3, 11));
    fs::remove_file(bundle.join("kata/a.log")).unwrap();
    let text = resumed(&out, &[], &inputs, 64);
    assert_names(&text, &["changed", "deep/b.log", "missing", "kata/a.log"]);
    fs::remove_dir_all(&journals).unwrap();
    assert_names(&resumed(&out, &[], &inputs, 64), &["missing", "a.journal"]);
}

#[test]
fn a_directory_is_a_place_to_go_on_after() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    fs::create_dir(&bundle).unwrap();
    write_file(&bundle, "kata.log", log(1, 40));
    let inputs = [bundle, logs(folder.path(), &[4000]).remove(0)];
    let out = folder.path().join("out");
    let mut limited = with_limit("-f 200", &command_into(&out, &[], &inputs));
    expect_exit(&mut limited, 74);
    let text = stderr(&expect_exit(&mut command_into(&out, &["--resume"], &inputs), 0));
    assert_names(&text, &["resuming after 1 of 2 inputs"]);
    assert_same_tree(&tree(&out), &converted(&[], &inputs));
}

#[test]
fn sorted_inputs_count_as_they_were_before_they_were_read() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 50]);
    let out = folder.path().join("out");
    finish(&out, &["--sort", "time"], &inputs);
    done(&out, &["--sort", "time"], &inputs);
    write_file(folder.path(), "1.log", log(9, 41));
    assert_names(&resumed(&out, &["--sort", "time"], &inputs, 64), &["changed", "1.log"]);
    // A file may grow after it was read and before the records are sorted.
    let pipe = folder.path().join("pipe");
    expect_exit(Command::new("mkfifo").arg(&pipe), 0);
    let (size, inputs) = (inputs[0].metadata().unwrap().len(), [inputs[0].clone(), pipe.clone()]);
    let out = folder.path().join("grown");
    let mut child = command_into(&out, &["--sort", "time"], &inputs).spawn().unwrap();
    let writer = File::options().write(true).open(&pipe).unwrap();
    wait_until("the start of the conversion", || out.join(".katalog/state.json").exists());
    append_file(&inputs[0], log(3, 10));
    drop(writer);
    assert!(wait_for_exit(&mut child).success());
    assert_eq!(manifest(&out)["inputs"][0]["files"][0]["size"], size);
}

#[test]
fn a_directory_without_a_manifest_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 50]);
    let out = folder.path().join("out");
    finish(&out, &[], &inputs);
    fs::remove_file(out.join(MANIFEST)).unwrap();
    let text = resumed(&out, &[], &inputs, 64);
    assert_names(&text, &["--resume: ", "there is no manifest", MANIFEST, "--force", "--output-dir"]);
    // Killed before the state was saved.
    fs::create_dir(out.join(".katalog")).unwrap();
    let text = stderr(&expect_exit(&mut command_into(&out, &["--resume"], &inputs), 64));
    assert_names(&text, &["there is no manifest"]);
    fs::remove_dir_all(out.join(".katalog")).unwrap();
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    write_file(&other, "notes.txt", "mine");
    assert_names(&resumed(&other, &[], &inputs, 64), &["notes.txt", "there is no manifest"]);
    // New file systems are not empty.
    let volume = folder.path().join("volume");
    fs::create_dir_all(volume.join("lost+found")).unwrap();
    finish(&volume, &["--resume"], &inputs);
    done(&volume, &[], &inputs);
}

#[test]
fn a_manifest_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 50]);
    let out = folder.path().join("out");
    finish(&out, &[], &inputs);
    let good = fs::read_to_string(out.join(MANIFEST)).unwrap();
    let unfinished = good.replace("\"complete\":true", "\"complete\":false");
    for (content, says) in [
        ("", "EOF"),
        ("{}", "missing field"),
        ("{\"name\":\"mine\"}", "missing field"),
        ("{\"katalog_conversion\":99,\"more\":1}", "version 99"),
        (&unfinished, "not of a finished conversion"),
        (good.strip_suffix('}').unwrap(), "EOF"),
    ] {
        write_file(&out, MANIFEST, content);
        assert_names(&resumed(&out, &[], &inputs, 65), &[MANIFEST, says, "--force"]);
        // Without --resume it is not replaced either.
        let empty = folder.path().join("empty");
        fs::create_dir(&empty).unwrap();
        write_file(&empty, MANIFEST, content);
        for flags in [&[][..], &["--resume"]] {
            assert_names(&stderr(&expect_exit(&mut command_into(&empty, flags, &inputs), 65)), &[MANIFEST, says]);
            assert_eq!(fs::read_to_string(empty.join(MANIFEST)).unwrap(), content);
            assert_eq!(fs::read_dir(&empty).unwrap().count(), 1);
        }
        finish(&empty, &["--force"], &inputs);
        done(&empty, &[], &inputs);
        fs::remove_dir_all(empty).unwrap();
    }
    fs::remove_file(out.join(MANIFEST)).unwrap();
    fs::create_dir(out.join(MANIFEST)).unwrap();
    for flags in [&[][..], &["--force"], &["--resume"]] {
        let text = stderr(&expect_exit(&mut command_into(&out, flags, &inputs), 74));
        assert_names(&text, &[MANIFEST, "directory"]);
        assert!(!out.join(".katalog").exists());
    }
}

#[test]
fn force_replaces_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 50]);
    let out = folder.path().join("out");
    let before = finish(&out, &[], &inputs);
    let after = finish(&out, &["--force", "--split", "day"], &inputs);
    assert!(before.iter().all(|(name, content)| after[name] == *content), "files that are not written again stay");
    done(&out, &["--split", "day"], &inputs);
    assert_names(&resumed(&out, &[], &inputs, 64), &["--split"]);
    // Without --force as well, where no name is taken.
    finish(&out, &["--split", "sandbox"], &inputs);
    done(&out, &["--split", "sandbox"], &inputs);
    // A run that is refused leaves the manifest.
    expect_exit(&mut command_into(&out, &["--split", "day"], &inputs[..1]), 64);
    done(&out, &["--split", "sandbox"], &inputs);
}

#[test]
fn killed_before_and_after_the_manifest_got_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 50]);
    let out = folder.path().join("out");
    let files = finish(&out, &[], &inputs);
    let content = fs::read(out.join(MANIFEST)).unwrap();
    // Before: all files have their names.
    fs::create_dir_all(out.join(".katalog/parts")).unwrap();
    fs::rename(out.join(MANIFEST), out.join(".katalog/state.json")).unwrap();
    let text = stderr(&expect_exit(&mut command_into(&out, &["--split", "day"], &inputs), 64));
    assert_names(&text, &["interrupted", "--resume", "--force"]);
    expect_exit(&mut command_into(&out, &["--resume"], &inputs), 0);
    assert_eq!(fs::read(out.join(MANIFEST)).unwrap(), content);
    done(&out, &[], &inputs);
    // After: the directory of the work is not removed yet.
    for flags in [&[][..], &["--split", "day"]] {
        fs::create_dir_all(out.join(".katalog/parts")).unwrap();
        write_file(&out.join(".katalog"), "lock", "");
        let code = if flags.is_empty() { 0 } else { 64 };
        let text = stderr(&expect_exit(&mut command_into(&out, &[&["--resume"], flags].concat(), &inputs), code));
        assert_names(&text, &[if flags.is_empty() { "nothing is left to do" } else { "--split {day}" }]);
        assert_eq!(out.join(".katalog").exists(), !flags.is_empty());
    }
    assert_eq!(fs::read(out.join(MANIFEST)).unwrap(), content);
    fs::remove_dir_all(out.join(".katalog")).unwrap();
    assert_same_tree(&tree(&out), &files);
}

#[test]
fn an_interrupted_replacement_is_resumed_without_replacing() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 50]);
    let out = folder.path().join("out");
    let files = finish(&out, &[], &inputs);
    // The files of the second run cannot get their names, because a directory is in the way.
    let name = files.keys().last().unwrap();
    let second = logs(folder.path(), &[60, 4000]);
    let mut limited = with_limit("-f 200", &command_into(&out, &["--force"], &second));
    expect_exit(&mut limited, 74);
    // The run that resumes has no --force, so it replaces none of the old files.
    let text = stderr(&expect_exit(&mut command_into(&out, &["--resume"], &second), 64));
    assert_names(&text, &["is there already", "move it away"]);
    files.keys().for_each(|name| fs::remove_file(out.join(name)).unwrap());
    fs::create_dir(out.join(name)).unwrap();
    expect_exit(&mut command_into(&out, &["--resume"], &second), 74);
    fs::remove_dir(out.join(name)).unwrap();
    expect_exit(&mut command_into(&out, &["--resume"], &second), 0);
    assert_same_tree(&tree(&out), &converted(&[], &second));
    done(&out, &[], &second);
}

#[test]
fn inputs_that_failed_fail_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut packed = zstd::encode_all(log(5, 3000).as_bytes(), 3).unwrap();
    let middle = packed.len() / 2;
    packed[middle] ^= 0xff;
    let good = logs(folder.path(), &[40]).remove(0);
    let damaged = write_file(folder.path(), "damaged.zst", packed);
    let absent = folder.path().join("absent.log");
    for (bad, code) in [(damaged, 65), (absent.clone(), 66)] {
        let inputs = [good.clone(), bad.clone()];
        let out = folder.path().join(format!("out{code}"));
        expect_exit(&mut command_into(&out, &[], &inputs), code);
        let name = bad.file_name().unwrap().to_str().unwrap();
        let text = resumed(&out, &[], &inputs, code);
        assert_names(&text, &["finished", "failed", name, "--force"]);
        assert!(!text.contains("0.log"), "{text}");
    }
    // The files lack the inputs that could not be read.
    write_file(folder.path(), "absent.log", log(7, 10));
    let inputs = [good, absent.clone()];
    let out = folder.path().join("out66");
    assert_names(&resumed(&out, &[], &inputs, 64), &["absent.log", "readable now", "--force"]);
    expect_exit(&mut command_into(&out, &["--force"], &inputs), 0);
    done(&out, &[], &inputs);
    // Another attempt loses nothing, because there are no files.
    fs::remove_file(&absent).unwrap();
    let (out, inputs) = (folder.path().join("out"), [absent]);
    expect_exit(&mut command_into(&out, &["--resume"], &inputs), 66);
    expect_exit(&mut command_into(&out, &["--resume"], &inputs), 66);
    write_file(folder.path(), "absent.log", log(7, 10));
    expect_exit(&mut command_into(&out, &["--resume"], &inputs), 0);
    assert_same_tree(&tree(&out), &converted(&[], &inputs));
}

#[test]
fn what_comes_through_a_pipe_cannot_be_compared() {
    let folder = tempfile::tempdir().unwrap();
    let input = write_file(folder.path(), "kata.log", log(1, 50));
    let out = folder.path().join("out");
    expect_exit(command_into(&out, &[], &[]).stdin(File::open(&input).unwrap()), 0);
    let before = tree(&out);
    let output = expect_exit(command_into(&out, &["--resume"], &[]).stdin(File::open(&input).unwrap()), 64);
    assert_names(&stderr(&output), &["stdin", "impossible to compare", "--force"]);
    assert_same_tree(&tree(&out), &before);
}

#[test]
fn files_that_are_lost_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 50]);
    let out = folder.path().join("out");
    let files = finish(&out, &["--split", "day,sandbox"], &inputs);
    let names: Vec<&String> = files.keys().collect();
    fs::remove_file(out.join(names[0])).unwrap();
    File::options().write(true).open(out.join(names[1])).unwrap().set_len(3).unwrap();
    let text = resumed(&out, &["--split", "day,sandbox"], &inputs, 64);
    assert_names(&text, &["missing", names[0], "changed", names[1], "--force", "--output-dir"]);
    assert!(!text.contains(names[2]), "{text}");
    // A job begins anew after all files were moved away.
    for entry in fs::read_dir(&out).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        }
    }
    assert!(tree(&out).is_empty());
    assert_same_tree(&finish(&out, &["--split", "day,sandbox", "--resume"], &inputs), &files);
    // No records are no files.
    let (empty, out) = (logs(folder.path(), &[0]), folder.path().join("none"));
    finish(&out, &[], &empty);
    done(&out, &[], &empty);
}

#[test]
fn another_version_of_katalog_has_finished_too() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40]);
    let out = folder.path().join("out");
    finish(&out, &[], &inputs);
    let mut other = manifest(&out);
    let version = other["settings"].as_object_mut().unwrap().get_mut("the version of katalog").unwrap();
    *version = "0.0.7".into();
    write_file(&out, MANIFEST, other.to_string());
    assert_names(&resumed(&out, &[], &inputs, 0), &["katalog 0.0.7", "--force", "nothing is left to do"]);
}

#[test]
fn the_manifest_is_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("kata-bundle");
    fs::create_dir(&bundle).unwrap();
    let input = write_file(&bundle, "kata.log", log(1, 10));
    finish(&bundle.join("out"), &[], std::slice::from_ref(&input));
    assert_same_tree(&converted(&["--others", "pass"], &[bundle]), &converted(&["--others", "pass"], &[input]));
}
