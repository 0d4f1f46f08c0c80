//! The format of `observability/lnav`: lnav itself reads records with it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{expect_exit, katalog, skip::skip, write_file};

/// The inputs, with the least number of their records.
const INPUTS: [(&str, usize); 4] =
    [("node.ndjson", 33), ("shimv2-3x.log", 180), ("console.log", 150), ("manager.log", 98)];

/// Returns whether this machine has lnav.
fn has_lnav() -> bool {
    let works = Command::new("lnav").arg("-V").output().is_ok_and(|output| output.status.success());
    if !works {
        skip("the format for lnav", "`lnav` does not run");
    }
    works
}

/// Returns the rows that lnav has for a query about a file of records.
fn rows(folder: &Path, records: &Path, query: &str) -> Vec<Value> {
    let format = folder.join("lnav/formats/katalog");
    fs::create_dir_all(&format).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("observability/lnav/katalog.json");
    fs::copy(source, format.join("katalog.json")).unwrap();
    let mut lnav = Command::new("lnav");
    lnav.arg("-n").arg("-I").arg(folder.join("lnav")).args(["-c", &format!(";{query}"), "-c", ":write-json-to -"]);
    // lnav keeps files in the home directory.
    let output = lnav.arg(records).env("HOME", folder).env("TZ", "UTC").env("TERM", "xterm").output().unwrap();
    assert!(output.stderr.is_empty(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{query}: {error}"))
}

#[test]
fn lnav_reads_records_with_the_format() {
    if !has_lnav() {
        return;
    }
    for (input, least) in INPUTS {
        let folder = tempfile::tempdir().unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/inputs").join(input);
        let records = expect_exit(katalog().arg(path), 0).stdout;
        let file = write_file(folder.path(), "records.log", &records);
        let query = "select log_time, log_level, log_opid, log_body, kata_sandbox, kata_component from containers_kata";
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let found = rows(folder.path(), &file, query);
        let columns = ["log_time", "log_level", "log_opid", "log_body", "kata_sandbox", "kata_component"];
        let mut found: Vec<_> = found.iter().map(|row| columns.map(|name| text(row, name))).collect();
        let records = records.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let records = records.map(|line| serde_json::from_slice::<Value>(line).unwrap());
        let mut expected: Vec<_> = records
            .filter(|record| record.get("kata_time").is_some())
            .map(|record| {
                let time = text(&record, "kata_time")
                    .replace('T', " ")
                    .chars()
                    .take("2024-03-05 05:01:54.811".len())
                    .collect();
                let sandbox = text(&record, "kata_sandbox");
                let short = sandbox.chars().take(12).collect();
                let [level, message, component] =
                    ["kata_level", "kata_msg", "kata_component"].map(|name| text(&record, name));
                [time, level, short, message, sandbox, component]
            })
            .collect();
        found.sort();
        expected.sort();
        assert!(expected.len() >= least, "{input} has {} records", expected.len());
        assert_eq!(found, expected, "{input}");
    }
}
