//! Work directories that someone else has prepared.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::resume::interrupted;
use super::{MANIFEST, command_into, converted, expect_exit, logs, stderr, write_file};

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
