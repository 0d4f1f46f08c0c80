//! The checked-in inputs: each entry is accounted for, on every route, with any number of threads.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use proptest::prelude::*;
use serde_json::Value;

use super::{DEFAULT, INPUTS, PACKED, cases, files, input, kind};
use crate::support::check::{counted, whole};
use crate::support::katalog;
use crate::support::pipeline::{Cuts, Setup, records};

/// Returns the flags without which an input has no record. The output of containers is not Kata's unless the operator
/// says so.
fn trust(path: &Path) -> &'static [&'static str] {
    let name = path.file_name().unwrap();
    if name == "cri.log" || name == "docker.json" { &["--vouch"] } else { &[] }
}

#[test]
fn threads_and_routes_do_not_show() {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in &*INPUTS {
        // More than a batch for each thread, and no unfinished entry between two copies.
        let path = folder.path().join(path.file_name().unwrap());
        let copies = (900 << 10) / content.len() + 1;
        fs::write(&path, content.repeat(copies)).unwrap();
        let run = |threads: &str, route: u8| {
            let mut command = katalog();
            command
                .args(["--threads", threads, "--stats", "json"])
                .args(trust(&path))
                .stderr(Stdio::piped())
                .stdout(Stdio::piped());
            let output = match route {
                0 => command.arg(&path).output().unwrap(),
                1 => command.stdin(fs::File::open(&path).unwrap()).output().unwrap(),
                _ => {
                    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
                    let (mut stdin, content) = (child.stdin.take().unwrap(), content.repeat(copies));
                    let writer = std::thread::spawn(move || stdin.write_all(&content).unwrap());
                    let output = child.wait_with_output().unwrap();
                    writer.join().unwrap();
                    output
                }
            };
            assert!(output.status.success(), "{}", path.display());
            (output.stdout, output.stderr)
        };
        let one = run("1", 0);
        let stats: Value = serde_json::from_slice(&one.1).unwrap();
        let dropped: u64 = stats["dropped"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        let written = stats["written"].as_u64().unwrap();
        assert_eq!(stats["read"].as_u64().unwrap(), written + dropped, "{}: {stats}", path.display());
        assert_eq!(one.0.iter().filter(|byte| **byte == b'\n').count() as u64, written, "{}", path.display());
        assert!(written > 0, "{}", path.display());
        for (threads, route) in [("2", 0), ("3", 2), ("8", 1)] {
            assert!(run(threads, route) == one, "{}: {threads} threads, route {route}", path.display());
        }
    }
}

/// Checks that skipping entries that would be dropped loses nothing, compared with `--others=pass`.
fn nothing_of_katas_is_skipped(bytes: &[u8]) {
    let katas = |setup: &Setup| {
        let lines = setup.run(bytes, &Cuts::whole()).bytes;
        let lines = lines.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec);
        lines.filter(|line| line.windows(17).any(|part| part == b"\"kata_component\":")).collect::<Vec<_>>()
    };
    assert_eq!(katas(&DEFAULT), katas(&PACKED[0]), "{}", String::from_utf8_lossy(bytes));
}

#[test]
fn nothing_of_katas_is_skipped_in_fixtures() {
    for folder in ["fixtures/inputs", "fixtures/cases"] {
        for (_, content) in files(folder) {
            nothing_of_katas_is_skipped(&content);
        }
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn nothing_of_katas_is_skipped_in_any_journal(
        message in input(),
        identifier in prop::sample::select(vec!["kata", "containerd", "crio", "vc", "sshd", "kernel", "kat\u{61}", "a\"b"]),
        escape in any::<bool>(),
        form in 0..3,
    ) {
        let text = String::from_utf8_lossy(&message);
        let mut entry = match form {
            0 => serde_json::json!({ "MESSAGE": message, "SYSLOG_IDENTIFIER": identifier }),
            1 => serde_json::json!({ "MESSAGE": ["another", text], "SYSLOG_IDENTIFIER": identifier }),
            _ => serde_json::json!({ "MESSAGE": text, "SYSLOG_IDENTIFIER": identifier }),
        }
        .to_string();
        if escape {
            entry = entry.replace('k', "\\u006b").replace("source", "\\u0073ource");
        }
        nothing_of_katas_is_skipped(entry.as_bytes());
    }
}

#[test]
fn entries_of_fixtures_are_all_accounted_for() {
    for (path, content) in &*INPUTS {
        let outcome = whole(&Setup::new(trust(path)), content);
        let read = outcome.stats["read"].as_u64().unwrap();
        // Every line is an entry, unless streams or partial lines join several into one.
        let name = path.file_name().unwrap().to_str().unwrap();
        let lines = content.iter().filter(|byte| **byte == b'\n').count() as u64;
        if !matches!(name, "native.export" | "node.export" | "cri.log" | "docker.json" | "damage.log") {
            assert_eq!(read, lines, "{name}");
        }
        assert!(counted(&outcome) > 0, "{name}");
    }
}

#[test]
fn a_key_has_one_type() {
    let mut types: BTreeMap<String, (&str, String)> = BTreeMap::new();
    let cases = files("fixtures/cases").into_iter();
    let cases = cases.filter(|(path, _)| path.file_name().unwrap().to_str().unwrap().starts_with("input."));
    for (path, content) in INPUTS.iter().cloned().chain(cases) {
        for record in records(&whole(&DEFAULT, &content).bytes) {
            for (key, value) in &record.0 {
                let found = (kind(value), path.display().to_string());
                let known = types.entry(key.clone()).or_insert_with(|| found.clone());
                assert_eq!(known.0, found.0, "{key} in {} and in {}", known.1, found.1);
            }
        }
    }
    assert!(types.len() > 100);
}

#[test]
fn saved_inputs_run_through_the_checks_of_the_fuzz_targets() {
    use crate::support::check;
    type Check = fn(&[u8]);
    let targets: [(&str, Check); 7] = [
        ("logfmt", check::logfmt),
        ("json", check::json),
        ("export", check::export),
        ("codec", check::codec),
        ("archive", check::archive),
        ("journal", check::journal),
        ("pipeline", check::pipeline),
    ];
    for (target, check) in targets {
        let saved = files(&format!("fixtures/fuzz/{target}"));
        assert!(!saved.is_empty(), "{target} has no seeds");
        for (path, content) in saved {
            let held = std::panic::catch_unwind(|| check(&content));
            assert!(held.is_ok(), "{} fails", path.display());
        }
    }
}
