//! The cases of `fixtures/cases`: the exact output for each input, and properties of every output.
//!
//! `UPDATE=1 cargo test golden` rewrites the expectations; review the difference before you commit it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Output;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use serde::Deserialize;

use crate::support::{Json, katalog};

/// A `case.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(skip)]
    folder: PathBuf,
    /// Names of the input files, in order.
    #[serde(skip)]
    inputs: Vec<String>,
    #[expect(dead_code, reason = "for the reader of the case")]
    note: String,
    want: String,
    #[serde(default)]
    flags: Vec<String>,
}

impl Case {
    fn read(folder: PathBuf) -> Case {
        let text = fs::read_to_string(folder.join("case.toml")).unwrap();
        let mut case: Case = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        case.inputs = names(&folder).filter(|name| name.starts_with("input")).collect();
        case.inputs.sort();
        assert!(!case.inputs.is_empty(), "{} has no input", folder.display());
        case.folder = folder;
        case
    }

    /// Runs the program on the inputs by name, or on the first of them as standard input.
    fn run(&self, flags: &[&str], from_stdin: bool) -> Output {
        let mut command = katalog();
        command.current_dir(&self.folder).args(&self.flags).args(["--stats", "text"]).args(flags);
        if from_stdin {
            command.stdin(File::open(self.folder.join(&self.inputs[0])).unwrap());
        } else {
            command.args(&self.inputs);
        }
        command.output().unwrap()
    }

    /// Returns the problems of the case; empty if there are none.
    fn check(&self, update: bool) -> String {
        let mut wrong = String::new();
        let output = self.run(&[], false);
        if !output.status.success() {
            _ = writeln!(wrong, "{}", output.status);
        }
        for (name, actual) in [("expected.ndjson", &output.stdout), ("stderr", &output.stderr)] {
            let path = self.folder.join(name);
            if update {
                fs::write(&path, actual).unwrap();
            }
            match fs::read(&path) {
                Ok(expected) => difference(name, &expected, actual, &mut wrong),
                Err(error) => _ = writeln!(wrong, "{name}: {error}"),
            }
        }
        let mut same = |how: &str, other: &Output| {
            difference(&format!("standard output {how}"), &output.stdout, &other.stdout, &mut wrong);
            difference(&format!("standard error {how}"), &output.stderr, &other.stderr, &mut wrong);
        };
        same("with 3 threads", &self.run(&["--threads", "3"], false));
        if self.inputs.len() == 1 {
            same("of standard input", &self.run(&[], true));
        }
        let packed = self.run(&["--format", "msgpack"], false).stdout;
        if let Err(reason) = says_the_same(&output.stdout, &packed) {
            _ = writeln!(wrong, "{reason}");
        }
        wrong
    }
}

#[test]
fn golden() {
    let update = std::env::var_os("UPDATE").is_some();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cases");
    let mut cases: Vec<String> = names(&folder).collect();
    cases.sort();
    let failures: Vec<String> = cases
        .par_iter()
        .filter_map(|name| {
            let case = Case::read(folder.join(name));
            let wrong = case.check(update);
            (!wrong.is_empty()).then(|| format!("{name}: {}\n{wrong}", case.want))
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} cases:\n\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn names(folder: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap())
}

/// Appends the differing lines of both sides, from the first to the last.
fn difference(what: &str, expected: &[u8], actual: &[u8], out: &mut String) {
    if expected == actual {
        return;
    }
    let lines = |bytes| String::from_utf8_lossy(bytes).split('\n').map(str::to_owned).collect::<Vec<_>>();
    let (expected, actual): (Vec<_>, Vec<_>) = (lines(expected), lines(actual));
    let start = expected.iter().zip(&actual).take_while(|(a, b)| a == b).count();
    let (expected, actual) = (&expected[start..], &actual[start..]);
    let end = expected.iter().rev().zip(actual.iter().rev()).take_while(|(a, b)| a == b).count();
    _ = writeln!(out, "{what}:");
    for (sign, lines) in [('-', expected), ('+', actual)] {
        for (index, line) in lines[..lines.len() - end].iter().enumerate() {
            _ = writeln!(out, "{sign} {}: {line}", start + index + 1);
        }
    }
}

/// Checks that both outputs have equal objects: keys in equal order, none twice, and equal values.
fn says_the_same(lines: &[u8], packed: &[u8]) -> Result<(), String> {
    let mut rest = packed;
    for (index, line) in lines.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Json(json) = serde_json::from_slice(line).map_err(|error| format!("line {}: {error}", index + 1))?;
        let map = rmpv::decode::read_value(&mut rest).map_err(|error| format!("record {}: {error}", index + 1))?;
        if !json.is_map() || !line.ends_with(b"\n") || json != map {
            return Err(format!("line {} and its MessagePack:\n{json}\n{map}", index + 1));
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("{} bytes of MessagePack too many", rest.len())) }
}
