//! Work directories that someone else has prepared: paths of a state, links, and names that are planted.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::resume::interrupted;
use super::{MANIFEST, assert_same_tree, command_into, converted, expect_exit, logs, stderr, tree, write_file};
use crate::support::with_umask;

/// The content of the files that katalog must not touch.
const VICTIM: &str = "of someone else, and longer than any header";

/// Returns inputs whose conversion was interrupted after the first one, and its directory.
fn work(folder: &Path) -> (Vec<PathBuf>, PathBuf) {
    let inputs = logs(folder, &[40, 4000]);
    let out = folder.join("out");
    interrupted(&out, &[], &inputs);
    (inputs, out)
}

/// Changes a JSON file.
fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// Writes a file that katalog must not touch.
fn victim(folder: &Path) -> PathBuf {
    write_file(folder, "victim", VICTIM)
}

#[test]
fn paths_of_a_state_stay_below_the_directory() {
    let folder = tempfile::tempdir().unwrap();
    let (inputs, out) = work(folder.path());
    let (state, absolute) = (out.join(".katalog/state.json"), folder.path().join("escaped").display().to_string());
    let first = fs::read(&state).unwrap();
    let other = serde_json::from_slice::<Value>(&first).unwrap()["files"][1]["path"].as_str().unwrap().to_owned();
    let below = format!("{other}/x");
    let hostile =
        ["../escaped", &absolute, "a/../../escaped", "a/..", "", ".", "./a", "a//b", "a/", ".katalog/x", MANIFEST]
            .into_iter()
            .chain(["a\0b", "a\n", &other, &below]);
    for path in hostile {
        fs::write(&state, &first).unwrap();
        edit(&state, |state| state["files"][0]["path"] = json!(path));
        let output = expect_exit(&mut command_into(&out, &["--resume"], &inputs), 65);
        let text = stderr(&output);
        assert!(text.contains("state.json") && text.contains("--force"), "{path:?}: {text}");
        let named = if path == below { &other } else { path };
        assert!(text.contains(&format!("{named:?}")), "{path:?}: {text}");
        assert!(!folder.path().join("escaped").exists(), "{path:?}");
    }
    fs::write(&state, &first).unwrap();
    expect_exit(&mut command_into(&out, &["--resume"], &inputs), 0);
    // The manifest is read in the same way.
    edit(&out.join(MANIFEST), |manifest| manifest["files"][0]["path"] = json!("../0.log"));
    let output = expect_exit(&mut command_into(&out, &["--resume"], &inputs), 65);
    assert!(stderr(&output).contains("\"../0.log\""), "{}", stderr(&output));
}

#[test]
fn only_the_command_line_replaces_files() {
    let folder = tempfile::tempdir().unwrap();
    let (inputs, out) = work(folder.path());
    let name = converted(&[], &inputs).keys().next().unwrap().clone();
    write_file(&out, &name, VICTIM);
    edit(&out.join(".katalog/state.json"), |state| state["force"] = json!(true));
    let output = expect_exit(&mut command_into(&out, &["--resume"], &inputs), 64);
    assert!(stderr(&output).contains("is there already"), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(out.join(&name)).unwrap(), VICTIM);
}

#[test]
fn a_link_in_the_work_directory_is_not_followed() {
    for (what, name) in [
        ("part", "parts/00000000"),
        ("hard link", "parts/00000000"),
        ("parts", "parts"),
        ("lock", "lock"),
        ("state", "state.json"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (inputs, out) = work(folder.path());
        // Longer than any part, so that cutting it to the length of one would show.
        let (victim, content) = (victim(folder.path()), VICTIM.repeat(10_000));
        fs::write(&victim, &content).unwrap();
        let (path, away) = (out.join(".katalog").join(name), folder.path().join("away"));
        fs::rename(&path, &away).unwrap();
        match what {
            "part" | "lock" => symlink(&victim, &path).unwrap(),
            "hard link" => fs::hard_link(&victim, &path).unwrap(),
            _ => symlink(&away, &path).unwrap(),
        }
        let before = if away.is_dir() { tree(&away) } else { Default::default() };
        let output = command_into(&out, &["--resume"], &inputs).output().unwrap();
        assert!(!output.status.success(), "{what}");
        let text = stderr(&output);
        assert!(text.contains("link") && text.contains(name.rsplit('/').next().unwrap()), "{what}: {text}");
        assert!(fs::read_to_string(&victim).unwrap() == content, "{what}");
        if away.is_dir() {
            assert_same_tree(&tree(&away), &before);
        }
    }
}

#[test]
fn a_linked_work_directory_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40]);
    let (out, away) = (folder.path().join("out"), folder.path().join("away"));
    fs::create_dir_all(away.join("parts")).unwrap();
    write_file(&away, "parts/precious", VICTIM);
    fs::create_dir(&out).unwrap();
    symlink(&away, out.join(".katalog")).unwrap();
    for flags in [&[][..], &["--force"], &["--resume"]] {
        let output = command_into(&out, flags, &inputs).output().unwrap();
        assert!(!output.status.success() && stderr(&output).contains(".katalog"), "{flags:?}: {}", stderr(&output));
        assert_eq!(tree(&away).len(), 1, "{flags:?}");
    }
}

#[test]
fn a_planted_temporary_name_is_replaced() {
    for hard in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (inputs, out) = work(folder.path());
        let (victim, planted) = (victim(folder.path()), out.join(".katalog/state.json.new"));
        if hard { fs::hard_link(&victim, &planted) } else { symlink(&victim, &planted) }.unwrap();
        expect_exit(&mut command_into(&out, &["--resume"], &inputs), 0);
        assert_eq!(fs::read_to_string(&victim).unwrap(), VICTIM, "hard: {hard}");
        assert_same_tree(&tree(&out), &converted(&[], &inputs));
    }
}

#[test]
fn a_planted_directory_takes_no_output() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40]);
    let (out, away) = (folder.path().join("out"), folder.path().join("away"));
    fs::create_dir(&away).unwrap();
    fs::create_dir(&out).unwrap();
    symlink(&away, out.join("unknown")).unwrap();
    for flags in [&["--split", "host,component"][..], &["--split", "host,component", "--force"]] {
        let output = expect_exit(&mut command_into(&out, flags, &inputs), 74);
        assert!(stderr(&output).contains("out/unknown\": it is a symbolic link"), "{}", stderr(&output));
        assert!(tree(&away).is_empty(), "{flags:?}");
    }
    fs::remove_file(out.join("unknown")).unwrap();
    expect_exit(&mut command_into(&out, &["--split", "host,component", "--resume"], &inputs), 0);
    assert!(!tree(&out.join("unknown")).is_empty());
}

#[test]
fn the_work_is_private_and_the_output_follows_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 4000]);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    for (umask, file, directory) in [("000", 0o666, 0o777), ("027", 0o640, 0o750)] {
        let out = folder.path().join(umask);
        expect_exit(&mut with_umask(umask, &command_into(&out, &["--split", "host,component"], &inputs)), 0);
        assert_eq!((mode(&out), mode(&out.join("unknown"))), (directory, directory));
        let names: Vec<String> = tree(&out).into_keys().chain([MANIFEST.to_owned()]).collect();
        assert!(names.len() > 2);
        for name in names {
            assert_eq!(mode(&out.join(&name)), file, "{name}");
        }
        let out = folder.path().join(format!("interrupted-{umask}"));
        let limited = super::with_limit("-f 200", &command_into(&out, &[], &inputs));
        expect_exit(&mut with_umask(umask, &limited), 74);
        let work = out.join(".katalog");
        assert_eq!((mode(&work), mode(&work.join("state.json")), mode(&work.join("lock"))), (0o700, 0o600, 0o600));
        assert_eq!(work.join("parts/00000000").metadata().unwrap().nlink(), 1);
    }
}
