//! Feedback on runs over many inputs: progress, the result of each input, and `katalog check`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kata_records::Batch;
use katalog::source::{self, EntryFilter, Fill, Input, JournalSettings, Logs, Settings, Source};
use regex::Regex;

use crate::support::screen::Screen;
use crate::support::skip::skip;
use crate::support::{expect_exit, katalog, write_file};

fn fixtures(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder)
}

/// Runs the program in a folder of fixtures.
fn run(folder: &str, arguments: &[&str]) -> Output {
    katalog().current_dir(fixtures(folder)).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Three inputs, one of which does not exist.
const INPUTS: [&str; 3] = ["node.ndjson", "missing.log", "runtime-json.json"];

const MISSING: &str = "katalog: failed to open \"missing.log\" for reading: No such file or directory (os error 2)\n";

#[test]
fn a_table_has_a_line_for_each_input() {
    let output = run("inputs", &[&["--stats=table"][..], &INPUTS].concat());
    let table = "\
input           entries records from..to, UTC           flawed damaged   in  out
node.ndjson         100      33 2025-12-15 11:55:10..15      0       0 117K  53K
missing.log           0       0 -                            0  failed    0    0
runt…-json.json     150     150 2020-02-21 10:31:27..28      0       0  85K  77K
total               250     183 2020-02-21..2025-12-15       0       0 202K 131K
dropped 67: others 67
errors 11: host 3, vouched 8
components: runtime 155, shim 1, shimv2 12, runtime-rs 4, agent 8,
  guest-kernel 1, guest-console 2
levels: debug 21, info 143, warning 8, error 11
sandboxes: 99711ae15755 2, 9abdd2a634ad 2, 201a907ebb97 1, 375cdd605cf0 1,
  68c2e706947c 1, others 2
first error: 2020-02-21 10:31:27.000 UTC runtime 9abdd2a634ad: Container ID (9abdd2a634adccb44fd1d01bbeed7f824262706a2898c6fe0d35110dd63c8b00) does not exist
last error: 2025-12-15 11:55:15.117 UTC runtime-rs 375cdd605cf0: failed to start sandbox: start vm\\n\\nCaused by:\\n    0: do start\\n    1: bind address\\n    2: Addre…
";
    assert_eq!(stderr(&output), format!("{MISSING}{table}"));
    assert_eq!(output.status.code(), Some(66));
    // The table is all that the flag adds.
    assert_eq!(output.stdout, run("inputs", &INPUTS).stdout);
}

#[test]
fn progress_in_a_log_is_a_line_for_each_input() {
    let output = run("inputs", &[&["--progress", "--stats=none"][..], &INPUTS].concat());
    let lines = "\
katalog: progress: 1 of 3 inputs, 57% of 202.2 KiB: node.ndjson: 100 entries, 33 records
katalog: progress: 2 of 3 inputs, 57% of 202.2 KiB: missing.log: 0 entries, 0 records, failed
katalog: progress: 3 of 3 inputs, 100% of 202.2 KiB: runtime-json.json: 150 entries, 150 records
";
    let (first, others) = lines.split_once('\n').unwrap();
    assert_eq!(stderr(&output), format!("{first}\n{MISSING}{others}"));
    assert_eq!(output.stdout, run("inputs", &INPUTS).stdout);
    // Progress brings the table too, but not without being asked for.
    let shown = stderr(&run("inputs", &["--progress=always", "node.ndjson"]));
    assert!(shown.contains("\ninput       entries records "), "{shown}");
    assert_eq!(stderr(&run("inputs", &["--progress=auto", "node.ndjson"])), "");
}

#[test]
fn compressed_files_and_journals_tell_how_far_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("kata.log.gz");
    let mut encoder = flate2::write::GzEncoder::new(fs::File::create(&packed).unwrap(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &fs::read(fixtures("inputs/node.ndjson")).unwrap()).unwrap();
    encoder.finish().unwrap();
    let size = |path: &Path| path.metadata().unwrap().len();
    let journal = fixtures("fuzz/journal/regular");
    let percent = size(&packed) * 100 / (size(&packed) + size(&journal));
    let arguments = ["--progress", packed.to_str().unwrap(), journal.to_str().unwrap()];
    let shown = stderr(&run("inputs", &arguments));
    assert!(shown.starts_with(&format!("katalog: progress: 1 of 2 inputs, {percent}% of ")), "{shown}");
    assert!(shown.contains("\nkatalog: progress: 2 of 2 inputs, 100% of "), "{shown}");
}

/// A filter that keeps every entry.
struct All;

impl EntryFilter for All {
    fn everything(&self) -> bool {
        true
    }

    fn entries_of(&self, _: &[u8]) -> bool {
        true
    }

    fn entry(&self, _: &[u8], _: &[u8]) -> bool {
        true
    }

    fn field(&self, _: &[u8]) -> bool {
        true
    }
}

#[test]
fn what_is_done_grows_up_to_the_size_of_the_input() {
    let read = |name: &str, source: &mut dyn Source, size: u64| {
        let (mut batch, mut steps, mut last) = (Batch::default(), 0, 0);
        loop {
            let fill = source.fill(&mut batch).into_result().unwrap();
            let done = source.done().unwrap();
            assert!(last <= done && done <= size, "{name}: {last}, {done} of {size}");
            steps += u32::from(done > last);
            last = done;
            if fill == Fill::End {
                break;
            }
        }
        assert!(last == size && steps > 2, "{name}: {last} of {size} in {steps} steps");
    };
    let log = fixtures("inputs/node.ndjson");
    let size = log.metadata().unwrap().len();
    let settings = Settings { block: 4096, ..Settings::default() };
    read("log", source::open(&Input::File(log), Logs::Read, &settings).unwrap().as_mut(), size);
    let journals = [fixtures("fuzz/journal/regular"), fixtures("fuzz/journal/boots")];
    let size = journals.iter().map(|journal| journal.metadata().unwrap().len()).sum();
    let (mut journal, _) = source::open_journals(&journals, &JournalSettings::default(), 256, &All);
    read("journals", journal.as_mut(), size);
}

/// Runs a command in a terminal of this width. Returns `None` if `script` is missing.
pub(crate) fn terminal(columns: usize, variables: &[(&str, &str)], command: &str, folder: &Path) -> Option<Output> {
    let mut terminal = Command::new("script");
    let program = katalog();
    let size = format!("stty cols {columns} rows 30; {command}");
    terminal.args(["-qec", &size, "/dev/null"]).current_dir(folder).stdin(std::process::Stdio::null());
    for (name, _) in program.get_envs() {
        terminal.env_remove(name);
    }
    terminal.env("PROGRAM", program.get_program()).env("SHELL", "/bin/sh").envs(variables.iter().copied());
    match terminal.output() {
        Ok(output) => Some(output),
        Err(error) => {
            skip("tests of the display on a terminal", &format!("`script` (bsdutils) does not run: {error}"));
            None
        }
    }
}

/// Writes two logs of several batches each.
fn logs(folder: &Path) {
    for name in ["one.log", "two.log"] {
        let line = |number| {
            format!("time=\"2024-03-05T05:01:54.163Z\" level=info msg=\"entry {number}\" name=kata-runtime pid=1\n")
        };
        fs::write(folder.join(name), (0..20_000).map(line).collect::<String>()).unwrap();
    }
}

#[test]
fn progress_on_a_terminal_is_drawn_and_gone_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    logs(folder.path());
    let mut plain = katalog();
    plain.current_dir(folder.path()).args(["--stats=table", "one.log", "missing.log", "two.log"]);
    let plain = plain.output().unwrap();
    let command = "\"$PROGRAM\" one.log missing.log two.log > out";
    let name = Regex::new(r"^(one|two|missing)\.log \([123] of 3\) {4,}\d+ entries$").unwrap();
    let bar = Regex::new(r"^ *\d+% \[=*>? *\] \S+ \S+ of \S+ MiB, \S+ \S+/s, \d+\w left$").unwrap();
    for columns in [80, 120] {
        let Some(output) = terminal(columns, &[("TERM", "xterm")], command, folder.path()) else { return };
        let mut screen = Screen::new(columns);
        let drawn = screen.feed(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(output.status.code(), Some(66));
        assert!(drawn.len() > 3, "{drawn:?}");
        for lines in &drawn {
            let [.., first, second] = lines.as_slice() else { panic!("{lines:?}") };
            assert!(name.is_match(first) && bar.is_match(second), "{lines:?}");
            assert!(second.chars().count() <= columns, "{second}");
            // Above the bar, only the one message is shown.
            assert!(lines.len() <= 4 && lines.iter().filter(|line| line.contains('%')).count() == 1, "{lines:?}");
        }
        let mut expected = Screen::new(columns);
        let mut messages = Vec::new();
        for line in stderr(&plain).lines() {
            katalog::diagnostics::fold(line, columns, 4, &mut messages);
            messages.push(b'\n');
        }
        expected.feed(&String::from_utf8(messages).unwrap().replace('\n', "\r\n"));
        assert_eq!(screen.lines(), expected.lines());
        assert_eq!(fs::read(folder.path().join("out")).unwrap(), plain.stdout);
    }
}

#[test]
fn nothing_is_drawn_where_it_would_be_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    logs(folder.path());
    fs::write(folder.path().join("few.log"), "one\ntwo\n").unwrap();
    let xterm: &[(&str, &str)] = &[("TERM", "xterm")];
    for (variables, command) in [
        // Records go to the same terminal, or to a program that may print on it.
        (xterm, "\"$PROGRAM\" few.log --color never --paging never"),
        (xterm, "\"$PROGRAM\" one.log | tail -n 1"),
        (xterm, "\"$PROGRAM\" --progress few.log --color never --paging never"),
        // The terminal is dumb, or its type is unknown.
        (&[("TERM", "dumb")], "\"$PROGRAM\" --progress one.log > out"),
        (&[], "\"$PROGRAM\" one.log > out"),
        // The size of the input is unknown.
        (xterm, "cat one.log | \"$PROGRAM\" - > out"),
        (xterm, "\"$PROGRAM\" --progress=never one.log > out"),
    ] {
        let Some(output) = terminal(80, variables, command, folder.path()) else { return };
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && !shown.is_empty(), "{command}: {shown}");
        assert!(!shown.contains('\x1b'), "{command}: {shown:?}");
    }
    // For a pipe, the bar is drawn on request; it has no percentage.
    let command = "cat one.log | \"$PROGRAM\" --progress > out";
    let Some(output) = terminal(80, xterm, command, folder.path()) else { return };
    let drawn = Screen::new(80).feed(&String::from_utf8(output.stdout).unwrap());
    assert!(drawn.iter().any(|lines| lines.iter().any(|line| line.contains("iB/s, 00:00:"))), "{drawn:?}");
    assert!(drawn.iter().flatten().all(|line| !line.contains('%')), "{drawn:?}");
}

/// Checks inputs. Returns the exit code and standard error.
fn check(folder: &str, arguments: &[&str]) -> (i32, String) {
    let output = run(folder, &[&["check"], arguments].concat());
    assert!(output.stdout.is_empty());
    (output.status.code().unwrap(), stderr(&output))
}

#[test]
fn valid_inputs_are_said_to_be_valid() {
    let expected = "\
input              format  records  worst  flaws
node.ndjson        logfmt       33  ok     -
runtime-json.json  json        150  ok     -
check: all 2 inputs are ok (exit 0)
";
    assert_eq!(check("inputs", &["node.ndjson", "runtime-json.json"]), (0, expected.to_owned()));
}

#[test]
fn what_is_wrong_with_an_input_is_said() {
    let expected = "\
input       format   records  worst   flaws
regular     journal        7  ok      -
cut         journal        5  DAMAGE  1 bad-array, first at byte 4,768
                                      1 truncated-file, first at byte 7,214
odd-values  journal       36  notice  10 not-utf8, first at 2023-11-14
                                        22:13:46.000000 UTC
                                      36 unproven-origin, first at 2023-11-14
                                        22:13:20.000000 UTC
check: 1 of 3 inputs is damaged, 1 has notices (exit 1; --fail-on notice is stricter)
katalog: 36 entries without _UID are unproven: copy this field with the journal
";
    assert_eq!(check("fuzz/journal", &["regular", "cut", "odd-values"]), (1, expected.to_owned()));
}

#[test]
fn an_input_that_cannot_be_read_decides_how_the_check_ends() {
    let (code, errors) = check("fuzz/journal", &["empty", "odd-values", "none.log"]);
    assert_eq!(code, 66, "{errors}");
    let expected = "\
none.log    -              0  FAILED  failed to open \"none.log\" for reading: No
                                        such file or directory (os error 2)
check: 1 of 3 inputs cannot be read, 1 has notices (exit 66; --fail-on notice is stricter)
katalog: 36 entries without _UID are unproven: copy this field with the journal
";
    assert!(errors.ends_with(expected), "{errors}");
    assert_eq!(check("inputs", &["--stats=none", "missing.log"]), (66, MISSING.to_owned()));
    assert_eq!(check("inputs", &["--stats=none", "damage.log"]), (1, String::new()));
}

#[test]
fn the_severity_of_flaws_decides_how_a_check_ends() {
    let folder = tempfile::tempdir().unwrap();
    let sound = "time=\"2031-01-01T00:00:00Z\" level=info msg=x source=runtime\n";
    let panic =
        r#"{"SYSLOG_IDENTIFIER":"containerd","__REALTIME_TIMESTAMP":"1700000000000000","MESSAGE":"panic: nil map"}"#;
    for (name, text) in [
        ("sound.log", sound.to_owned()),
        ("information.log", panic.to_owned()),
        ("notice.log", sound.replace("2031-01", "2031-13")),
        ("damage.log", sound.replace("msg=x", "msg=\"x")),
    ] {
        write_file(folder.path(), name, text);
    }
    let ends = |arguments: &[&str]| {
        let mut command = katalog();
        command.current_dir(folder.path()).args(["check", "--stats=none"]).args(arguments);
        command.output().unwrap().status.code().unwrap()
    };
    for (arguments, expected) in [
        (&[][..], [0, 0, 0, 1]),
        (&["--fail-on=information"], [0, 1, 1, 1]),
        (&["--fail-on=notice"], [0, 0, 1, 1]),
        (&["--fail-on=damage", "--threads=4"], [0, 0, 0, 1]),
        (&["--fail-on=never"], [0, 0, 0, 0]),
    ] {
        for (input, code) in ["sound.log", "information.log", "notice.log", "damage.log"].iter().zip(expected) {
            assert_eq!(ends(&[arguments, &[input]].concat()), code, "{arguments:?} {input}");
            // A failure to read is worse than any flaw.
            for unreadable in [[*input, "none.log"], ["none.log", *input]] {
                assert_eq!(ends(&[arguments, &unreadable].concat()), 66, "{arguments:?} {unreadable:?}");
            }
        }
    }
    let mut command = katalog();
    command.current_dir(folder.path()).args(["--strict", "--stats=none"]);
    expect_exit(command.arg("information.log"), 0);
    expect_exit(command.arg("notice.log"), 1);
}

#[test]
fn each_input_that_is_checked_is_a_line_of_json() {
    let (code, errors) = check("fuzz/journal", &["--stats=json", "regular", "odd-values", "none.log"]);
    assert_eq!(code, 66);
    let lines: Vec<serde_json::Value> = errors.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [regular, odd, none] = lines.as_slice() else { panic!("{errors}") };
    assert_eq!((&regular["input"], &regular["valid"], &regular["read"]), (&"regular".into(), &true.into(), &12.into()));
    assert!(regular["from"].as_str().unwrap() <= regular["to"].as_str().unwrap(), "{regular}");
    assert_eq!((&none["valid"], &none["exit"]), (&false.into(), &66.into()));
    assert!(none["failures"][0].as_str().unwrap().contains("none.log"), "{none}");
    assert_eq!((&odd["valid"], &odd["flaws"]["not-utf8"]), (&true.into(), &10.into()));
}

#[test]
fn a_check_writes_nothing_and_ends_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let path = path.to_str().unwrap();
    for others in [&["--output", path][..], &["--follow"], &["--format", "text"], &["--once"], &["--to", "unix:/no"]] {
        let (code, errors) = check("inputs", &[others, &["node.ndjson"]].concat());
        assert_eq!(code, 64, "{errors}");
        assert!(errors.starts_with(&format!("katalog: {} belongs to ", others[0])), "{errors}");
    }
    // Nothing of other commands has an influence.
    for (name, value) in [("KATALOG_OUTPUT", path), ("KATALOG_FORMAT", "text"), ("KATALOG_FOLLOW", "true")] {
        let mut command = katalog();
        command.current_dir(fixtures("inputs")).args(["check", "node.ndjson"]).env(name, value);
        assert!(expect_exit(&mut command, 0).stdout.is_empty(), "{name}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
