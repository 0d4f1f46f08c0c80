//! Messages on standard error about records: why they make a run fail, and where flawed ones are.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{expect_exit, katalog, stderr, write_file};

const SOUND: &str = "time=\"2031-01-01T00:00:00Z\" level=info msg=x source=runtime\n";
const FLAWED: &str = "time=never level=info msg=x source=runtime\n";

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
    let output = fails(folder.path(), &["--check", "kata.log"]);
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
