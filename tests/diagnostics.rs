//! Messages on standard error about records: why they make a run fail, and where flawed ones are.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::journal::samples::{BOOT, START, service};
use crate::support::journal::{Entry, Shape, file};
use crate::support::{expect_exit, katalog, stderr, write_file};

const SOUND: &str = "time=\"2031-01-01T00:00:00Z\" level=info msg=x source=runtime\n";
const FLAWED: &str = "time=\"2031-02-30T00:00:00Z\" level=info msg=x source=runtime\n";

/// Returns a command that runs in the folder.
fn katalog_in(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = katalog();
    command.current_dir(folder).args(arguments);
    command
}

#[track_caller]
fn fails(folder: &Path, arguments: &[&str]) -> Output {
    expect_exit(&mut katalog_in(folder, arguments), 1)
}

#[test]
fn a_strict_run_says_what_is_flawed() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "kata.log", [SOUND, FLAWED, SOUND].concat());
    let says = "katalog: --strict: 1 of 3 records has flaws (bad-time 1, no-time 1)\n";
    for threads in ["1", "3"] {
        assert_eq!(stderr(&fails(folder.path(), &["--strict", "--threads", threads, "kata.log"])), says);
    }
    let output = fails(folder.path(), &["--strict", "--stats=json", "kata.log"]);
    assert!(stderr(&output).starts_with(says) && stderr(&output).ends_with("}\n"), "{}", stderr(&output));
    // The table of a check shows it.
    let output = fails(folder.path(), &["check", "--fail-on=notice", "kata.log"]);
    assert!(stderr(&output).contains("no-time") && !stderr(&output).contains("--strict"), "{}", stderr(&output));
}

#[test]
fn a_run_without_records_says_what_was_read() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "empty.log", "");
    write_file(
        folder.path(),
        "others.log",
        "Jan  1 00:00:00 node1 sshd[1]: hello\nJan  1 00:00:01 node1 cron[2]: hello\n",
    );
    write_file(folder.path(), "kata.log", SOUND);
    for (arguments, says) in [
        (&["empty.log"][..], "no entry was read"),
        (&["others.log"], "2 entries read, none from Kata components"),
        (
            &["kata.log", "others.log", "--component=agent"],
            "3 entries read, 1 from Kata components that --component leaves out",
        ),
    ] {
        let output = fails(folder.path(), &[&["--fail-if-empty"], arguments].concat());
        assert_eq!(stderr(&output), format!("katalog: --fail-if-empty: no record was written ({says})\n"));
    }
    // The reason of a failure comes first.
    let output = expect_exit(&mut katalog_in(folder.path(), &["--fail-if-empty", "missing.log"]), 66);
    assert!(!stderr(&output).contains("--fail-if-empty"), "{}", stderr(&output));
}

/// Returns the lines of standard error of a verbose run that name flaws.
#[track_caller]
fn notes(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let output = expect_exit(&mut katalog_in(folder, &[arguments, &["--verbose"]].concat()), 0);
    stderr(&output).lines().filter(|line| line.ends_with(": bad-time no-time")).map(str::to_owned).collect()
}

#[test]
fn a_flawed_entry_is_found_by_its_file_and_offset() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = ([SOUND, FLAWED].concat(), [FLAWED, SOUND].concat());
    let note = |name: &str, offset: usize| format!("katalog: {name}: byte {offset}: bad-time no-time");
    write_file(folder.path(), "a\n.log", &first);
    fs::create_dir_all(folder.path().join("bundle/kata")).unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in [("c.log", &first), ("d.log", &second)] {
        write_file(folder.path(), format!("bundle/kata/{name}"), text);
        archive
            .append_path_with_name(folder.path().join("bundle/kata").join(name), format!("host/kata/{name}"))
            .unwrap();
    }
    write_file(folder.path(), "b.tar", archive.into_inner().unwrap());
    for threads in ["1", "3"] {
        let expected = [
            note("\"a\\n.log\"", SOUND.len()),
            note("\"b.tar:host/kata/c.log\"", SOUND.len()),
            note("\"b.tar:host/kata/d.log\"", 0),
            note("\"bundle/kata/c.log\"", SOUND.len()),
            note("\"bundle/kata/d.log\"", 0),
        ];
        assert_eq!(notes(folder.path(), &["--threads", threads, "a\n.log", "b.tar", "bundle"]), expected);
    }
    let long = |name: &str| format!("{:?}", folder.path().join("bundle/kata").join(name));
    assert_eq!(
        notes(folder.path(), &["ship", "--once", "--state-dir=state", "bundle/kata/c.log", "bundle/kata/d.log"]),
        [note(&long("c.log"), SOUND.len()), note(&long("d.log"), 0)]
    );
    let mut command = katalog_in(folder.path(), &["--verbose", "-"]);
    command.stdin(fs::File::open(folder.path().join("a\n.log")).unwrap());
    let errors = stderr(&expect_exit(&mut command, 0));
    assert_eq!(errors.lines().last(), Some(note("standard input", SOUND.len()).as_str()));
}

#[test]
fn a_flawed_entry_of_a_journal_is_found_by_its_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let mut entries: Vec<_> = (0..10).map(|number| service(number * 5, BOOT)).collect();
    let (realtime, monotonic) = (entries[5].realtime, entries[5].monotonic);
    entries[5] = Entry::new(realtime, monotonic, BOOT)
        .with("SYSLOG_IDENTIFIER", "kata")
        .with("_TRANSPORT", "syslog")
        .with("_UID", "0")
        .with("MESSAGE", "time=never level=info msg=x");
    write_file(folder.path(), "system.journal", file(&Shape::default(), &entries));
    for threads in ["1", "3"] {
        let output = expect_exit(
            &mut katalog_in(folder.path(), &["--verbose", "--threads", threads, "--drop=!__CURSOR", "system.journal"]),
            0,
        );
        let errors = stderr(&output);
        let record = String::from_utf8(output.stdout).unwrap();
        let cursor = record.lines().nth(5).unwrap().split("\"__CURSOR\":\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(errors.contains(&format!("katalog: \"system.journal\": cursor {cursor}: ")), "{errors}");
        assert_eq!(errors.matches(": cursor ").count(), 1, "{errors}");
    }
}

/// Returns an entry of the Go shim in a journal, with an error.
fn failure(number: u64) -> Entry {
    let micros = number * 1_000_000;
    let message = format!(
        "time=\"2023-11-14T22:{:02}:{:02}Z\" level=error msg=\"failure {number}\" name=containerd-shim-v2 pid=1 \
         sandbox=s{} source=virtcontainers",
        number / 60,
        number % 60,
        number % 3
    );
    Entry::new(START + micros, 5_000_000 + micros, BOOT)
        .with("SYSLOG_IDENTIFIER", "kata")
        .with("_TRANSPORT", "syslog")
        .with("_UID", "0")
        .with("MESSAGE", message)
}

#[test]
fn copies_of_an_entry_are_one_error_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let entries: Vec<_> = (0..600).map(failure).collect();
    // The files share a third of their entries.
    let second = Shape { file_id: 2, first_seqnum: Shape::default().first_seqnum + 200, ..Shape::default() };
    write_file(folder.path(), "system.journal", file(&Shape::default(), &entries[..400]));
    write_file(folder.path(), "system@2.journal", file(&second, &entries[200..]));
    let counters = |threads: &str| {
        let arguments = ["--stats=json", "--threads", threads, "system.journal", "system@2.journal"];
        let errors = stderr(&expect_exit(&mut katalog_in(folder.path(), &arguments), 0));
        serde_json::from_str::<serde_json::Value>(errors.trim_end()).unwrap()
    };
    let one = counters("1");
    assert_eq!(one, counters("4"));
    assert_eq!((&one["dropped"]["repeated"], &one["errors"]["host"]), (&200.into(), &600.into()), "{one}");
    let sandboxes = serde_json::json!(["s0", "s1", "s2"].map(|id| serde_json::json!({"sandbox": id, "errors": 200})));
    assert_eq!(one["sandboxes"], sandboxes);
    assert_eq!(
        (&one["first_error"]["message"], &one["last_error"]["message"]),
        (&"failure 0".into(), &"failure 599".into())
    );
}
