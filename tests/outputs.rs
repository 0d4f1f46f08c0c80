//! Output of bulk conversions: files split by fields of records, compression, atomic completion, and CSV.

mod csv;
mod finished;
mod hostile;
mod refusals;
mod resume;
mod split;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{expect_exit, katalog, stderr, wait_until, with_limit, write_file};

/// The manifest of a finished conversion.
const MANIFEST: &str = ".katalog.json";

/// The files below a directory except the manifest, by relative path.
type OutputDir = BTreeMap<String, Vec<u8>>;

fn tree(folder: &Path) -> OutputDir {
    let mut tree = OutputDir::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                tree.insert(name, fs::read(path).unwrap());
            }
        }
    }
    tree.remove(MANIFEST);
    tree
}

/// Fails if two trees differ, without printing all of them.
#[track_caller]
fn assert_same_tree(found: &OutputDir, expected: &OutputDir) {
    let names = |tree: &OutputDir| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected));
    for (name, content) in expected {
        let at = found[name].iter().zip(content).take_while(|(a, b)| a == b).count();
        let lengths = (found[name].len(), content.len());
        assert!(found[name] == *content, "{name} differs at byte {at}; it has {} bytes, not {}", lengths.0, lengths.1);
    }
}

/// Returns the decompressed content of a file.
fn plain(name: &str, content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    if name.ends_with(".gz") {
        flate2::read::MultiGzDecoder::new(content).read_to_end(&mut plain).unwrap();
    } else if name.ends_with(".zst") {
        plain = zstd::decode_all(content).unwrap();
    } else {
        plain.extend_from_slice(content);
    }
    plain
}

/// Returns the program's standard output.
#[track_caller]
fn stdout_of(flags: &[&str], inputs: &[PathBuf]) -> Vec<u8> {
    let mut command = katalog();
    expect_exit(command.args(flags).args(inputs), 0).stdout
}

/// Returns a command that writes into a directory.
fn command_into(folder: &Path, flags: &[&str], inputs: &[PathBuf]) -> Command {
    let mut command = katalog();
    command.args(["convert", "--output-dir"]).arg(folder).args(flags).args(inputs);
    command
}

/// Returns the tree that the program makes of these inputs.
#[track_caller]
fn converted(flags: &[&str], inputs: &[PathBuf]) -> OutputDir {
    let folder = tempfile::tempdir().unwrap();
    let output = expect_exit(&mut command_into(&folder.path().join("out"), flags, inputs), 0);
    assert!(output.stdout.is_empty());
    tree(&folder.path().join("out"))
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// Returns the fixture inputs that are log files.
fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/inputs");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Returns a log of `count` lines, whose sandboxes and days follow from line number and seed.
fn log(seed: usize, count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let mixed = (number * 7919 + seed * 104_729) % 10_007;
        let (day, sandbox) = (1 + mixed % 3, mixed % 5);
        let source = ["runtime", "virtcontainers", "proxy", "agent"][mixed % 4];
        writeln!(
            text,
            "time=\"2031-01-0{day}T00:00:00.{number:09}Z\" level=info msg=\"line {number} of {seed}, {mixed}\" \
             source={source} sandbox=sandbox-{sandbox} name=kata-{mixed:05}"
        )
        .unwrap();
    }
    text
}

/// Writes files with logs of these lengths.
fn logs(folder: &Path, counts: &[usize]) -> Vec<PathBuf> {
    let counts = counts.iter().enumerate();
    counts.map(|(seed, count)| write_file(folder, format!("{seed}.log"), log(seed, *count))).collect()
}

#[test]
fn a_single_file_can_be_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[3000, 10, 0]);
    let expected = stdout_of(&[], &inputs);
    for (how, name) in [("gzip", "o.gz"), ("zstd", "o.zst"), ("none", "o")] {
        let path = folder.path().join(name);
        expect_exit(katalog().args(["--compress", how, "--output"]).arg(&path).args(&inputs), 0);
        let mut content = Vec::new();
        File::open(&path).unwrap().read_to_end(&mut content).unwrap();
        assert!(plain(name, &content) == expected, "{how}");
        assert!(how == "none" || content.len() < expected.len() / 3);
    }
}

#[test]
fn a_full_disk_leaves_no_half_record() {
    let folder = tempfile::tempdir().unwrap();
    let line = "time=\"2031-01-01T00:00:00Z\" level=info msg=\"a line\" source=runtime pid=7\n";
    let log = write_file(folder.path(), "kata.log", line.repeat(3000));
    let out = folder.path().join("out");
    let state = folder.path().join("state");
    for append in [false, true] {
        // `ship` appends to the file, behind records of an earlier run.
        let before = if append { "{\"earlier\":true}\n" } else { "" };
        fs::write(&out, before).unwrap();
        for to_stdout in [false, true] {
            let mut command = katalog();
            if append {
                command.args(["ship", "--once", "--state-dir"]).arg(&state);
            }
            if !to_stdout {
                command.arg("--output").arg(&out);
            }
            let mut limited = with_limit("-f 100", command.arg(&log));
            if to_stdout {
                let mut options = File::options();
                let options = if append { options.append(true) } else { options.write(true).truncate(true) };
                limited.stdout(options.open(&out).unwrap());
            }
            let output = expect_exit(&mut limited, 74);
            assert!(!stderr(&output).contains("is cut off"), "{}", stderr(&output));
            let text = fs::read_to_string(&out).unwrap();
            assert!(text.starts_with(before) && (text.is_empty() || text.ends_with("}\n")), "{append} {to_stdout}");
        }
    }
}
