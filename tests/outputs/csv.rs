//! CSV: a reader gets the values of the JSON lines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use kata_records::visible;
use proptest::prelude::{any, proptest};
use serde_json::Value;

use super::{converted, expect_exit, fixtures, lines, logs, plain, stdout_of};
use crate::support::katalog;
use crate::support::pipeline::{Cuts, Setup};
use crate::support::{cases, pipeline};

const HEADER: &str = "kata_time,kata_level,kata_component,host,identifier,kata_sandbox,kata_container,kata_msg,\
                      kata_source,kata_subsystem,kata_pid,kata_origin,kata_guest,kata_format,kata_flaws,fields";

/// Returns whether a spreadsheet may begin a cell behind this character.
fn separates(c: char) -> bool {
    matches!(c, ';' | '\t' | '\n' | '\r')
}

/// Returns a text without what a spreadsheet may ignore at the start of a cell.
fn without_blanks(text: &str) -> &str {
    let is_hidden = |c: char| visible::escape(c.to_string().as_bytes()) != c.to_string();
    text.trim_start_matches(|c: char| !separates(c) && (c.is_whitespace() || matches!(c, '\'' | '"') || is_hidden(c)))
}

/// Returns whether a spreadsheet takes a text for a formula.
fn is_formula(text: &str) -> bool {
    without_blanks(text).starts_with(|c| "=+-@\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}\u{2212}\u{fe63}".contains(c))
}

/// Strips the apostrophes that keep parts of a value from being formulas.
fn text(value: &str) -> String {
    let mut text = String::new();
    for part in value.split_inclusive(separates) {
        match part.strip_prefix('\'') {
            Some(rest) if is_formula(rest) => text.push_str(rest),
            Some(rest) if text.is_empty() && without_blanks(rest).starts_with(['\t', '\r', '\n']) => {
                text.push_str(rest)
            }
            _ => text.push_str(part),
        }
    }
    text
}

/// Checks that no cell is a formula for programs that take another character for the separator.
#[track_caller]
fn has_no_formula(table: &[u8]) {
    for separator in [b',', b';', b'\t'] {
        let mut reader = ::csv::ReaderBuilder::new();
        let mut reader = reader.has_headers(false).flexible(true).delimiter(separator).from_reader(table);
        for row in reader.records() {
            for cell in &row.unwrap() {
                assert!(!is_formula(cell) || cell.starts_with('\''), "{}: {cell:?}", char::from(separator));
            }
        }
    }
}

/// Checks the rows of a table against lines of JSON. The fields of the envelope have these names in the lines.
#[track_caller]
fn says_the_same(table: &[u8], json: &[u8], [host, identifier]: [&str; 2]) {
    has_no_formula(table);
    let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(table);
    let rows: Vec<::csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
    let records = pipeline::records(json);
    assert_eq!(rows.len(), records.len());
    let columns: Vec<&str> = HEADER.split(',').collect();
    for (row, record) in rows.iter().zip(&records) {
        let mut rest: BTreeMap<&str, &Value> = record.0.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let is_katas = rest.contains_key("kata_component");
        for (column, found) in columns.iter().zip(row.iter()) {
            assert!(!found.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{column}: {found:?}");
            let expected = match *column {
                "fields" => {
                    let found: BTreeMap<&str, Value> = serde_json::from_str(found).unwrap();
                    rest.retain(|key, _| !is_katas || key.starts_with("kata_"));
                    assert!(
                        found.iter().map(|(key, value)| (*key, value)).eq(rest.iter().map(|(k, v)| (*k, *v))),
                        "{row:?}\n{record:?}"
                    );
                    continue;
                }
                "host" => rest.remove(host),
                "identifier" => rest.remove(identifier),
                "kata_flaws" => {
                    let flaws = rest.remove("kata_flaws").map(|flaws| flaws.as_array().unwrap().clone());
                    let flaws = flaws.unwrap_or_default();
                    assert_eq!(found, flaws.iter().map(|flaw| flaw.as_str().unwrap()).collect::<Vec<_>>().join(" "));
                    continue;
                }
                column if is_katas => rest.remove(column),
                _ => None,
            };
            match expected {
                None => assert_eq!(found, "", "{column}"),
                Some(Value::String(expected)) => assert_eq!(text(found), *expected, "{column}"),
                Some(expected) => assert_eq!(found, expected.to_string(), "{column}"),
            }
        }
    }
}

/// Returns the table without its header, which has to occur once.
#[track_caller]
fn below_header(table: &[u8]) -> &[u8] {
    let head = format!("{HEADER}\r\n");
    let rest = table.strip_prefix(head.as_bytes()).unwrap();
    assert!(!rest.starts_with(b"kata_time,"));
    rest
}

#[test]
fn every_fixture_read_back() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cases");
    let cases = std::fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path().join("input.log"));
    let mut inputs: Vec<PathBuf> = cases.filter(|path| path.exists()).collect();
    inputs.sort();
    assert!(inputs.len() > 100);
    inputs.extend(fixtures());
    for flags in [
        &["--others=pass"][..],
        &["--nested=keep", "--prune=!config.*"],
        &["--rename=_HOSTNAME=node", "--lowercase", "--strip-underscores", "--others=pass"],
    ] {
        let names = if flags.len() < 3 { ["_HOSTNAME", "SYSLOG_IDENTIFIER"] } else { ["node", "syslog_identifier"] };
        let json = stdout_of(flags, &inputs);
        assert!(lines(&json).len() > 300);
        let csv = [flags, &["--format=csv"]].concat();
        let table = stdout_of(&csv, &inputs);
        says_the_same(below_header(&table), &json, names);
        for threads in ["--threads=2", "--threads=5"] {
            assert!(stdout_of(&[&csv[..], &[threads]].concat(), &inputs) == table, "{threads}");
        }
    }
}

#[test]
fn each_output_has_the_names_once() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[300, 0, 200]);
    let table = stdout_of(&["--format=csv"], &inputs);
    let rows = below_header(&table);
    assert_eq!(stdout_of(&["--format=csv"], &inputs[1..2]), format!("{HEADER}\r\n").as_bytes());
    let path = folder.path().join("out.csv");
    expect_exit(katalog().args(["--format=csv", "--output"]).arg(&path).args(&inputs), 0);
    assert!(std::fs::read(&path).unwrap() == table);
    let mut all = Vec::new();
    for (name, content) in converted(&["--format=csv", "--compress=gzip", "--split=input"], &inputs) {
        assert!(name.ends_with(".log.csv.gz"), "{name}");
        all.extend_from_slice(below_header(&plain(&name, &content)));
    }
    assert!(all == rows);
}

#[test]
fn a_file_that_is_gone_on_with_has_the_names_already() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[3]);
    let path = folder.path().join("out.csv");
    let run = || {
        let mut command = katalog();
        command.args(["ship", "--format=csv", "--once", "--state-dir"]).arg(folder.path().join("state"));
        expect_exit(command.arg("--output").arg(&path).args(&inputs), 0);
        std::fs::read(&path).unwrap()
    };
    let first = run();
    assert_eq!(lines(below_header(&first)).len(), 3);
    let more = std::fs::read_to_string(&inputs[0]).unwrap();
    std::fs::write(&inputs[0], format!("{more}{more}")).unwrap();
    let both = run();
    assert_eq!(lines(below_header(&both)).len(), 6);
}

static TABLE: LazyLock<Setup> = LazyLock::new(|| Setup::new(&["--format=csv", "--others=pass"]));
static JSON: LazyLock<Setup> = LazyLock::new(|| Setup::new(&["--others=pass"]));

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn any_bytes_are_a_table(bytes in proptest::collection::vec(any::<u8>(), 0..600), words in "([=+@;'\"\\\\, a\r\t\u{ff1d}\u{ff20}-]|msg=|pid=|\"|\n|<11>Mar 1 00:00:00 ){0,60}") {
        for input in [bytes.as_slice(), words.as_bytes(), &[words.as_bytes(), &bytes].concat()] {
            let json = JSON.run(input, &Cuts::whole()).bytes;
            let table = TABLE.run(input, &Cuts { workers: 3, ..Cuts::whole() }).bytes;
            says_the_same(&table, &json, ["_HOSTNAME", "SYSLOG_IDENTIFIER"]);
        }
    }
}
