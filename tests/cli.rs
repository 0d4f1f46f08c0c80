//! The command line: commands, options and their layers, exit codes, help.

mod commands;
mod explain;
mod help;
mod settings;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{expect_exit, stderr};

fn katalog(arguments: &[&str]) -> Command {
    let mut command = crate::support::katalog();
    command.args(arguments);
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs the program. It has to exit with this code and name all of this on standard error.
fn refused(arguments: &[&str], code: i32, named: &[&str]) {
    let output = expect_exit(&mut katalog(arguments), code);
    let message = stderr(&output);
    assert!(message.starts_with("katalog: "), "{message}");
    for name in named {
        assert!(message.contains(name), "{arguments:?} does not name {name}: {message}");
    }
    assert!(output.stdout.is_empty());
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn wrong_flags_are_usage_errors() {
    refused(&["--no-such-flag"], 64, &["--no-such-flag"]);
    refused(&["--format", "xml"], 64, &["--format", "xml", "ndjson", "msgpack", "text"]);
    refused(&["--max-line", "1"], 64, &["--max-line 1", "1K to 64M"]);
    refused(&["--identifier", "kata("], 64, &["--identifier", "kata(", "unclosed group"]);
    refused(&["--tag", "{host}"], 64, &["--tag", "{host}", "{component}", "{identifier}"]);
    refused(&["--component", "agent,boat"], 64, &["--component", "boat", "guest-kernel"]);
    refused(&["--rename", "A"], 64, &["--rename", "OLD=NEW"]);
    refused(&["--threads", "-1"], 64, &["-1"]);
    refused(&["--tag-key", "kata_tag"], 64, &["--tag-key", "kata_"]);
    refused(&["--strict=perhaps"], 64, &["--strict", "perhaps"]);
}

#[test]
fn flags_without_effect_are_refused() {
    for (arguments, named) in [
        (&["--time-format=unix"][..], ["--time-format unix", "--time-key"]),
        (&["--tag=kata"], ["--tag kata", "--tag-key"]),
        (&["--compress=gzip"], ["--compress gzip", "--output FILE"]),
        (&["--sort-memory=1M"], ["--sort-memory 1M", "--sort time"]),
        (&["--color=always"], ["--color always", "--format text"]),
        (&["--namespace=x", "kata.log"], ["--namespace x", "--journal"]),
        (&["--tag-key=t", "--format=csv"], ["--tag-key t", "--format"]),
        (&["ship", "--tls-insecure", "--to=forward://h"], ["--tls-insecure", "forward+tls://"]),
        (&["ship", "--syslog-max=2K", "--to=forward://h"], ["--syslog-max 2K", "syslog+udp://"]),
        (&["ship", "--ack-timeout=1s", "--to=syslog+udp://h"], ["--ack-timeout 1s", "forward://"]),
        (&["ship", "--give-up-after=1s"], ["--give-up-after 1s", "--to URL"]),
        (&["ship", "--spool=d", "--to=forward://h"], ["--spool d", "`-`"]),
        (&["ship", "--spool-full=drop", "--to=forward://h", "-"], ["--spool-full drop", "--spool DIR"]),
    ] {
        refused(arguments, 64, &[named[0], "has no effect without", named[1]]);
    }
}

#[cfg(not(feature = "libsystemd"))]
#[test]
fn a_backend_that_was_left_out_is_named() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("system.journal"), "").unwrap();
    let backend = ["--journal-backend", "libsystemd"];
    refused(&[&backend[..], &[text(directory.path())]].concat(), 69, &["feature `libsystemd`", text(directory.path())]);
    let machine = [&backend[..], &["--journal", "/dev/null"]].concat();
    refused(&machine, 69, &["feature `libsystemd`", "/var/log/journal"]);
    // The message names the journal reader, and this input is no journal.
    expect_exit(&mut katalog(&[&backend[..], &["/dev/null"]].concat()), 0);
}

#[test]
fn an_input_that_is_missing_does_not_stop_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let present = directory.path().join("present.log");
    fs::write(&present, "hello from kata\n").unwrap();
    let missing = directory.path().join("missing.log");
    refused(&[text(&missing)], 66, &["missing.log"]);
    let output = expect_exit(&mut katalog(&[text(&missing), text(&present)]), 66);
    assert_eq!(stdout(&output).lines().count(), 1, "{}", stdout(&output));
    assert!(stderr(&output).contains("missing.log"));
}

#[test]
fn the_output_must_not_be_an_input() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kata.log");
    fs::write(&path, "content\n").unwrap();
    refused(&[text(&path), "--output", text(&path)], 64, &["kata.log", "input"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "content\n");
    let appended = fs::File::options().append(true).open(&path).unwrap();
    let output = katalog(&[text(&path)]).stdout(appended).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(fs::read_to_string(&path).unwrap(), "content\n");
}

#[test]
fn an_output_that_cannot_be_opened_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("no/such/place");
    refused(&["--output", text(&path)], 74, &["no/such/place"]);
}

#[test]
fn the_output_file_holds_what_standard_output_would() {
    let directory = tempfile::tempdir().unwrap();
    let (input, path) = (directory.path().join("kata.log"), directory.path().join("out"));
    fs::write(&input, "one\ntwo\n").unwrap();
    let expected = expect_exit(&mut katalog(&[text(&input)]), 0).stdout;
    let output = expect_exit(&mut katalog(&[text(&input), "--output", text(&path)]), 0);
    assert!(output.stdout.is_empty());
    assert_eq!(fs::read(&path).unwrap(), expected);
}

#[test]
fn a_full_disk_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("kata.log");
    fs::write(&input, "one\n").unwrap();
    refused(&[text(&input), "--output", "/dev/full"], 74, &["/dev/full"]);
}

#[test]
fn a_reader_that_goes_away_ends_the_run_quietly() {
    let mut child = katalog(&["--threads", "2", "--strict"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    // This write fails as soon as the program exits, which ends the loop.
    let line = format!("{}\n", "kata ".repeat(1000));
    while input.write_all(line.as_bytes()).is_ok() {}
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "");
}

#[test]
fn the_number_of_threads_does_not_show() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kata.log");
    let mut lines = String::new();
    for number in 0..20_000 {
        writeln!(lines, "time=\"2024-03-05T05:01:54.163Z\" level=info msg=\"entry {number}\" name=kata-runtime")
            .unwrap();
    }
    fs::write(&path, lines).unwrap();
    let one = expect_exit(&mut katalog(&[text(&path)]), 0).stdout;
    assert_eq!(one.iter().filter(|byte| **byte == b'\n').count(), 20_000);
    for threads in ["2", "3", "0"] {
        assert!(expect_exit(&mut katalog(&[text(&path), "--threads", threads]), 0).stdout == one, "{threads} threads");
    }
}

#[test]
fn counters_only_where_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kata.log");
    fs::write(&path, "one\n\ntwo\n").unwrap();
    assert_eq!(stderr(&expect_exit(&mut katalog(&[text(&path)]), 0)), "");
    let output = expect_exit(&mut katalog(&[text(&path), "--stats", "json"]), 0);
    let stats = stderr(&output);
    assert_eq!(stats.lines().count(), 1, "{stats}");
    assert!(stats.starts_with("{\"read\":3,\"written\":2,") && stats.contains("\"dropped\":{\"blank\":1}"), "{stats}");
    let output = expect_exit(&mut katalog(&[text(&path), "--stats", "text"]), 0);
    assert!(stderr(&output).starts_with("read       3  "), "{}", stderr(&output));
}

#[test]
fn text_for_people_has_no_colors_in_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kata.log");
    fs::write(&path, "one\n").unwrap();
    let arguments = [text(&path), "--format", "text"];
    assert!(!stdout(&expect_exit(&mut katalog(&arguments), 0)).contains('\x1b'));
    assert!(stdout(&expect_exit(katalog(&arguments).arg("--color=always"), 0)).contains('\x1b'));
    // Other formats have no colors, whatever a variable for all runs says.
    assert!(!stdout(&expect_exit(katalog(&[text(&path)]).env("KATALOG_COLOR", "always"), 0)).contains('\x1b'));
}
