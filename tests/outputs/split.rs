//! The file of each record: each split compared with the fields of the records.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{
    OutputDir, assert_same_tree, command_into, converted, expect_exit, fixtures, lines, log, plain, stdout_of, tree,
    with_limit, write_file,
};
use crate::support::journal::samples::{BOOT, START};
use crate::support::journal::{Entry, Shape, file};
use crate::support::katalog;

/// Returns a value as a file name.
fn name(value: Option<&Value>) -> String {
    let text = match value {
        Some(Value::Array(values)) => values[0].as_str(),
        Some(value) => value.as_str(),
        None => None,
    };
    match text {
        None | Some("") => "unknown".to_owned(),
        Some(text) => text
            .bytes()
            .map(|byte| {
                let plain = byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            })
            .collect(),
    }
}

/// Returns the value of a placeholder in the path of a record.
fn value(placeholder: &str, record: &Value, input: &Path) -> String {
    match placeholder {
        "component" => record.get("kata_component").map_or("others".to_owned(), |value| name(Some(value))),
        "host" => name(record.get("_HOSTNAME")),
        "sandbox" => name(record.get("kata_sandbox")),
        "day" => match record.get("kata_time").and_then(Value::as_str) {
            Some(time) => time.split_once('T').unwrap().0.to_owned(),
            None => "unknown".to_owned(),
        },
        "input" => input.file_name().unwrap().to_str().unwrap().to_owned(),
        _ => panic!("{placeholder}"),
    }
}

/// Returns the expected tree of a split, from the standard output for each input.
fn expected(split: &[&str], join: &str, inputs: &[PathBuf], flags: &[&str]) -> OutputDir {
    let mut tree = OutputDir::new();
    for input in inputs {
        for line in lines(&stdout_of(flags, std::slice::from_ref(input))) {
            let record: Value = serde_json::from_slice(&line).unwrap();
            let parts: Vec<String> = split.iter().map(|part| value(part, &record, input)).collect();
            tree.entry(format!("{}.ndjson", parts.join(join))).or_default().extend(line);
        }
    }
    tree
}

#[test]
fn each_split_with_any_number_of_threads() {
    let inputs = fixtures();
    for (flag, split, join) in [
        ("component", &["component"][..], ""),
        ("host", &["host"], ""),
        ("sandbox", &["sandbox"], ""),
        ("day", &["day"], ""),
        ("input", &["input"], ""),
        ("host,day,component", &["host", "day", "component"], "/"),
        ("{day}_{component}", &["day", "component"], "_"),
    ] {
        let expected = expected(split, join, &inputs, &[]);
        assert!(expected.len() > 1 && expected.values().all(|content| !content.is_empty()), "{flag}");
        for threads in ["1", "2", "5"] {
            assert_same_tree(&converted(&["--split", flag, "--threads", threads], &inputs), &expected);
        }
    }
}

#[test]
fn what_is_not_katas_has_files_too() {
    let inputs: Vec<PathBuf> = fixtures().into_iter().filter(|path| path.ends_with("node.ndjson")).collect();
    let flags = ["--others", "pass"];
    let expected = expected(&["host", "component"], "/", &inputs, &flags);
    assert!(expected.keys().any(|name| name.ends_with("/others.ndjson")));
    assert_same_tree(&converted(&[&flags[..], &["--split", "host,component"]].concat(), &inputs), &expected);
    // Their day is the envelope's.
    let days = converted(&[&flags[..], &["--split", "day"]].concat(), &inputs);
    assert!(!days.contains_key("unknown.ndjson"), "{:?}", days.keys());
}

#[test]
fn a_split_does_not_need_what_records_leave_out() {
    let inputs: Vec<PathBuf> = fixtures().into_iter().filter(|path| path.ends_with("node.ndjson")).collect();
    let with = converted(&["--split", "host"], &inputs);
    let without = converted(&["--split", "host", "--drop", "_*"], &inputs);
    assert!(with.keys().eq(without.keys()) && with != without);
}

#[test]
fn formats_and_compressions() {
    let inputs = fixtures();
    let expected = converted(&[], &inputs);
    for (how, extension) in [("gzip", ".gz"), ("zstd", ".zst")] {
        let found = converted(&["--compress", how, "--threads", "2"], &inputs);
        let plain = found
            .iter()
            .map(|(name, content)| (name.strip_suffix(extension).unwrap().to_owned(), plain(name, content)));
        assert_same_tree(&plain.collect(), &expected);
        assert_same_tree(&converted(&["--compress", how], &inputs), &found);
    }
    let packed = converted(&["--format", "msgpack"], &inputs);
    for (name, content) in &expected {
        let mut rest = packed[&name.replace(".ndjson", ".msgpack")].as_slice();
        for line in lines(content) {
            let crate::support::Json(json) = serde_json::from_slice(&line).unwrap();
            assert_eq!(rmpv::decode::read_value(&mut rest).unwrap(), json);
        }
        assert!(rest.is_empty());
    }
}

/// Returns entries of a machine's journal.
fn entries(host: &str, numbers: std::ops::Range<u64>) -> Vec<Entry> {
    let entry = |number: u64| {
        let (micros, source) = (number * 1000, ["runtime", "agent", "proxy"][number as usize % 3]);
        Entry::new(START + micros, micros, BOOT)
            .with("_HOSTNAME", host)
            .with("_TRANSPORT", "syslog")
            .with("_UID", "0")
            .with("SYSLOG_IDENTIFIER", "kata-runtime")
            .with("MESSAGE", format!("level=info msg=\"{number} of {host}\" source={source}"))
    };
    numbers.map(entry).collect()
}

fn journal(folder: &Path, name: &str, machine: u128, entries: &[Entry], first_seqnum: u64) -> PathBuf {
    let shape = Shape {
        machine_id: machine,
        seqnum_id: machine,
        file_id: machine << 8 | u128::from(first_seqnum),
        first_seqnum,
        ..Shape::default()
    };
    write_file(folder, name, file(&shape, entries))
}

#[test]
fn journals_machine_by_machine() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    std::fs::create_dir(&bundle).unwrap();
    // Files of one machine in several places, with its entries between those of others.
    let a = [
        journal(&bundle, "a1.journal", 0xa, &entries("a", 0..20), 1),
        journal(folder.path(), "a2.journal", 0xa, &entries("a", 20..40), 21),
    ];
    let b = journal(&bundle, "b.journal", 0xb, &entries("b", 10..30), 1);
    let c = journal(folder.path(), "c.journal", 0xc, &entries("c", 0..5), 1);
    let text = write_file(folder.path(), "kata.log", log(1, 30));
    let inputs = [c.clone(), text.clone(), bundle, a[1].clone()];
    let found = converted(&["--split", "input,component"], &inputs);
    let mut expected = OutputDir::new();
    for (label, files) in [
        (format!("{:032x}", 0xc), vec![c]),
        ("kata.log".to_owned(), vec![text]),
        (format!("{:032x}", 0xa), a.to_vec()),
        (format!("{:032x}", 0xb), vec![b]),
    ] {
        for line in lines(&stdout_of(&[], &files)) {
            let record: Value = serde_json::from_slice(&line).unwrap();
            let name = format!("{label}/{}.ndjson", record["kata_component"].as_str().unwrap());
            expected.entry(name).or_default().extend(line);
        }
    }
    assert!(expected.len() >= 9);
    assert_same_tree(&found, &expected);
    // The union equals the output without a directory, in any order.
    let all = |bytes: Vec<u8>| {
        let mut lines = lines(&bytes);
        lines.sort();
        lines
    };
    assert_eq!(all(found.into_values().flatten().collect()), all(stdout_of(&[], &inputs)));
}

#[test]
fn a_journal_that_cannot_be_read_does_not_keep_the_others_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let good = journal(folder.path(), "good.journal", 0xa, &entries("a", 0..20), 1);
    let bad = write_file(folder.path(), "bad.journal", &std::fs::read(&good).unwrap()[..100]);
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let out = folder.path().join("out");
    let output = expect_exit(&mut command_into(&out, &["--split", "host"], &[bad, good.clone(), empty]), 65);
    let stderr = super::stderr(&output);
    assert!(stderr.contains("bad.journal") && stderr.contains("empty"), "{stderr}");
    assert_eq!(tree(&out), converted(&["--split", "host"], &[good]));
}

#[test]
fn inputs_of_one_name_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        write_file(&folder.path().join(name), "kata.log", log(1, 3));
    }
    let out = folder.path().join("out");
    let mut command = katalog();
    command.current_dir(folder.path()).args([
        "convert",
        "--output-dir",
        "out",
        "--split",
        "input",
        "a/kata.log",
        "b/kata.log",
    ]);
    expect_exit(&mut command, 0);
    assert!(tree(&out).keys().eq(["a%2Fkata.log.ndjson", "b%2Fkata.log.ndjson"]), "{:?}", tree(&out).keys());
}

#[test]
fn a_hostile_value_stays_in_the_directory() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(5000);
    let values = ["../../escape", "/etc/passwd", "..", ".", "a/b", "unknown", ".katalog", "a\\nb", &long, ""];
    const TIME: &str = "time=\"2031-01-01T00:00:00Z\"";
    let text: String = values.iter().map(|value| format!("{TIME} level=info msg=m sandbox=\"{value}\"\n")).collect();
    let input = write_file(folder.path(), "kata.log", text);
    let found = converted(&["--split", "sandbox"], &[input]);
    assert_eq!(found.len(), values.len(), "{:?}", found.keys());
    for (name, content) in &found {
        assert!(!name.contains('/') && !name.starts_with('.') && name.len() < 256, "{name}");
        assert_eq!(lines(content).len(), 1);
    }
    assert!(found.contains_key("unknown.ndjson") && found.contains_key("%75nknown.ndjson"));
}

#[test]
fn thousands_of_sandboxes_with_few_open_files() {
    let folder = tempfile::tempdir().unwrap();
    let line = |number: usize| {
        format!("time=\"2031-01-01T00:00:00Z\" level=info msg=\"{number}\" sandbox=s{}\n", number * 7 % 3000)
    };
    let input = write_file(folder.path(), "kata.log", (0..9000).map(line).collect::<String>());
    let out = folder.path().join("out");
    expect_exit(&mut with_limit("-n 160", &command_into(&out, &["--split", "sandbox"], &[input])), 0);
    let found = tree(&out);
    assert_eq!(found.len(), 3000);
    for (name, content) in found {
        let sandbox: usize = name.trim_start_matches('s').strip_suffix(".ndjson").unwrap().parse().unwrap();
        let numbers: Vec<usize> = lines(&content)
            .iter()
            .map(|line| serde_json::from_slice::<Value>(line).unwrap()["kata_msg"].as_str().unwrap().parse().unwrap())
            .collect();
        assert_eq!(numbers, (0..9000).filter(|number| number * 7 % 3000 == sandbox).collect::<Vec<_>>());
    }
}

#[test]
fn files_in_order_of_time() {
    let inputs = fixtures();
    let mut wanted = OutputDir::new();
    for line in lines(&stdout_of(&["--sort", "time"], &inputs)) {
        let record: Value = serde_json::from_slice(&line).unwrap();
        wanted.entry(format!("{}.ndjson", value("component", &record, &inputs[0]))).or_default().extend(line);
    }
    assert!(wanted.len() > 5);
    for memory in ["1M", "128M"] {
        assert_same_tree(&converted(&["--sort", "time", "--sort-memory", memory, "--threads", "3"], &inputs), &wanted);
    }
    let folder = tempfile::tempdir().unwrap();
    expect_exit(&mut command_into(folder.path(), &["--delta"], &inputs), 64);
}

#[test]
fn an_archive_is_an_input() {
    let source = tempfile::tempdir().unwrap();
    let log = write_file(
        source.path(),
        "kata.log",
        b"time=\"2024-03-05T05:01:54Z\" level=info msg=hello name=kata-runtime source=virtcontainers\n",
    );
    let archive = source.path().join("bundle.tar");
    expect_exit(Command::new("tar").arg("-C").arg(source.path()).arg("-cf").arg(&archive).arg("kata.log"), 0);
    let found = converted(&["--split", "input"], &[archive, log]);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["bundle.tar.ndjson", "kata.log.ndjson"]);
    assert!(!found["kata.log.ndjson"].is_empty());
    assert_eq!(found["bundle.tar.ndjson"], found["kata.log.ndjson"]);
}
