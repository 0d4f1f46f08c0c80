//! The cases of `fixtures/check`: the table, the verdict and the exit code of `katalog check`, on one thread and on four.
//!
//! `UPDATE=1 cargo test --test main -- check::` rewrites the expectations; review the difference before you commit it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::support::{expect_exit, katalog, stderr, write_file};

/// A `case.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[expect(dead_code, reason = "for the reader of the case")]
    note: String,
    /// The arguments: options, and the inputs in their order.
    arguments: Vec<String>,
    exit: i32,
}

fn folders() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/check");
    let mut folders: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

#[test]
fn each_case_has_its_table_and_exit_code() {
    let folders = folders();
    assert!(folders.len() >= 6, "{folders:?}");
    for folder in folders {
        let case = fs::read_to_string(folder.join("case.toml")).unwrap();
        let case: Case = toml::from_str(&case).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let expected = folder.join("stderr");
        for threads in ["1", "4"] {
            let mut command = katalog();
            let output =
                command.current_dir(&folder).args(["check", "--threads", threads]).args(&case.arguments).output();
            let output = output.unwrap();
            assert_eq!(output.status.code(), Some(case.exit), "{} with {threads} threads", folder.display());
            assert!(output.stdout.is_empty(), "{}", folder.display());
            let found = String::from_utf8(output.stderr).unwrap();
            if threads == "1" && std::env::var_os("UPDATE").is_some() {
                fs::write(&expected, &found).unwrap();
            }
            let expected = fs::read_to_string(&expected).unwrap();
            assert_eq!(found, expected, "{} with {threads} threads", folder.display());
            let shown = |c: char| !c.is_control() || c == '\n';
            assert!(found.chars().all(shown), "{}: {found:?}", folder.display());
        }
    }
}

#[test]
fn positions_are_lines_bytes_or_members() {
    let folder = tempfile::tempdir().unwrap();
    let sound = "time=\"2031-01-01T00:00:00Z\" level=info msg=x source=runtime\n";
    let text = format!("{sound}{sound}{}", sound.replace("msg=x", "msg=\"x"));
    write_file(folder.path(), "kata.log", &text);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    write_file(folder.path(), "kata.log.gz", encoder.finish().unwrap());
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_path_with_name(folder.path().join("kata.log"), "kata/kata.log").unwrap();
    write_file(folder.path(), "a.tar", archive.into_inner().unwrap());
    for threads in ["1", "4"] {
        let mut command = katalog();
        command.current_dir(folder.path()).args(["check", "--stats=json", "--threads", threads]);
        let output = expect_exit(command.args(["kata.log", "kata.log.gz", "a.tar"]), 1);
        let first = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["first"]["unterminated-quote"].clone()
        };
        let first: Vec<_> = stderr(&output).lines().map(first).collect();
        let byte = 2 * sound.len();
        let expected = [
            serde_json::json!({"line": 3}),
            serde_json::json!({"byte": byte}),
            serde_json::json!({"member": "a.tar:kata/kata.log", "byte": byte}),
        ];
        assert_eq!(first, expected);
    }
}
