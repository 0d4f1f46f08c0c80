//! `katalog ship`: its inputs, the place of its positions, and its outputs.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::{Running, append_file, complete, deliver_to, lines, number, run, wait_until, whole, whole_to, write_file};
use crate::progress::terminal;
use crate::support::forward::{Script, Server};
use crate::support::journal::samples::{BOOT, service};
use crate::support::journal::{Shape, State, file};
use crate::support::{katalog, namespaces, stderr};

/// Returns `katalog ship --once` in this folder, with more arguments.
fn once(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = katalog();
    command.current_dir(folder).env_remove("STATE_DIRECTORY").args(["ship", "--once"]).args(arguments);
    command
}

/// Returns the output of a command that succeeds without a message.
#[track_caller]
fn silent(command: &mut Command) -> Vec<Value> {
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{command:?}: {}", stderr(&output));
    records(&output.stdout)
}

fn records(lines: &[u8]) -> Vec<Value> {
    serde_json::Deserializer::from_slice(lines).into_iter().map(Result::unwrap).collect()
}

/// Runs a command with this text as standard input, through a pipe.
fn piped(command: &mut Command, text: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that does not read it closes the pipe.
    _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn the_positions_are_where_the_command_or_the_unit_says() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_file(folder, "kata.log", lines(0..3));
    let run = |flags: &[&str], variables: &[(&str, &str)]| {
        silent(once(folder, &[flags, &["kata.log"]].concat()).envs(variables.iter().copied())).len()
    };
    for (state, flags, variables) in [
        ("flag", &["--state-dir", "flag"][..], &[("KATALOG_STATE_DIR", "unused"), ("STATE_DIRECTORY", "unused")][..]),
        ("variable", &[], &[("KATALOG_STATE_DIR", "variable"), ("STATE_DIRECTORY", "unused")]),
        ("unit", &[], &[("STATE_DIRECTORY", "unit")]),
        ("first", &[], &[("STATE_DIRECTORY", "first:unused")]),
        ("nonempty", &[], &[("STATE_DIRECTORY", ":nonempty:unused")]),
    ] {
        assert_eq!(run(flags, variables), 3, "{state}");
        assert!(fs::read_to_string(folder.join(state).join("state.json")).unwrap().contains("kata.log"), "{state}");
    }
    assert!(!folder.join("unused").exists());
}

#[test]
fn without_positions_each_run_begins_at_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_file(folder, "kata.log", lines(0..3));
    for _ in 0..2 {
        let mut command = once(folder, &["--no-state", "kata.log"]);
        assert_eq!(silent(command.env("STATE_DIRECTORY", "unused")).len(), 3);
        let mut command = katalog();
        let output =
            piped(command.current_dir(folder).env("STATE_DIRECTORY", "unused").args(["ship", "-"]), &lines(0..3));
        assert!(output.status.success() && records(&output.stdout).len() == 3, "{}", stderr(&output));
    }
    // Flags and inputs decide over the file.
    write_file(folder, "katalog.toml", "state-dir = \"unused\"\n");
    assert_eq!(silent(&mut once(folder, &["--no-state", "--config", "katalog.toml", "kata.log"])).len(), 3);
    let mut command = katalog();
    let output = piped(command.current_dir(folder).args(["ship", "--config", "katalog.toml", "-"]), &lines(0..3));
    assert!(output.status.success() && records(&output.stdout).len() == 3, "{}", stderr(&output));
    assert!(!folder.join("unused").exists());
}

#[test]
fn by_default_positions_are_in_var_lib_and_inputs_are_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_file(folder, "kata.log", lines(0..3));
    let entries: Vec<_> = (0..30).map(|number| service(number * 5, BOOT)).collect();
    write_file(folder, "own.journal", file(&Shape { state: State::Online, ..Shape::default() }, &entries));
    let command = namespaces::in_namespaces(
        folder,
        r#"
        mount -t tmpfs none /var/lib
        for RUN in first second; do "$KATALOG" ship --once kata.log > $RUN; done
        cp /var/lib/katalog/state.json saved
        mkdir /var/log/journal/$M
        cp own.journal /var/log/journal/$M/system.journal
        for RUN in journal none; do echo from a pipe | "$KATALOG" ship --once > $RUN 2> $RUN.errors; done
        echo from a pipe | "$KATALOG" ship --once --no-state --journal > named 2> named.errors
        mount -o remount,ro /var/lib
        ! "$KATALOG" ship --once kata.log > refused 2> refused.errors
        ! "$KATALOG" ship kata.log > refused 2>> refused.errors
        "#,
    );
    let Some(mut command) = command else { return };
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let counts = ["first", "second", "journal", "none", "named", "refused"].map(|name| read(name).lines().count());
    assert_eq!(counts, [3, 0, 30, 0, 30, 0]);
    assert!(read("saved").contains("kata.log"));
    for name in ["journal.errors", "none.errors"] {
        let errors = read(name);
        assert!(
            errors.contains("the journal of this machine, not standard input") && errors.contains("`katalog ship -`")
        );
    }
    assert_eq!(read("named.errors"), "", "who names the journal does not mean the pipe");
    let refused = read("refused.errors");
    assert_eq!(refused.lines().count(), 2, "{refused}");
    assert!(refused.lines().all(|line| line.contains("state-dir") && line.contains("/var/lib/katalog")), "{refused}");
}

#[test]
fn programs_get_records_and_terminals_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_file(folder, "kata.log", lines(0..3));
    let numbers = |values: Vec<Value>| -> Vec<String> {
        values.into_iter().map(|value| value["kata_msg"].as_str().unwrap().to_owned()).collect()
    };
    let printed = silent(&mut once(folder, &["--no-state", "kata.log"]));
    assert_eq!(numbers(printed), ["line 0", "line 1", "line 2"]);
    let server = Server::start(Script::default());
    let to = format!("--to {}", server.url());
    for (flags, code) in
        [("", 64), ("--for fluentd-exec", 64), ("--output -", 64), ("--output records", 0), (to.as_str(), 0)]
    {
        let command = format!("\"$PROGRAM\" ship --once --no-state --stats none {flags} kata.log");
        let Some(output) = terminal(100, &[], &command, folder) else { return };
        let shown = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{flags}: {shown}");
        if code == 64 {
            let advice = ["ship: records would go to this terminal", "--to URL", "--output FILE", "`katalog -f`"];
            assert!(advice.iter().all(|advice| shown.contains(advice)) && !shown.contains("line 0"), "{shown}");
        }
    }
    assert_eq!(numbers(records(&fs::read(folder.join("records")).unwrap())), ["line 0", "line 1", "line 2"]);
    assert_eq!(complete(&server.events(), 0..3), 0);
}

#[test]
fn once_without_positions_delivers_an_archive_whole() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut archive = tar::Builder::new(fs::File::create(folder.join("bundle.tar")).unwrap());
    for (name, numbers) in [("bundle/kata.log", 100..200), ("bundle/kata.log.1", 0..100)] {
        let text = lines(numbers);
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
    let server = Server::start(Script::default());
    let archive = folder.join("bundle.tar");
    let (code, errors) = run(whole_to(&server, &["--batch-size", "4K"]).arg(&archive));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(complete(&server.events(), 0..200), 0);
    // An archive has no positions, and no end to wait at.
    for flags in [&["--no-state"][..], &["--once", "--state-dir", "state"]] {
        let (code, errors) = run(deliver_to(&server, flags).current_dir(folder).arg(&archive));
        assert_eq!(code, Some(64), "{errors}");
        assert!(errors.contains("bundle.tar") && errors.contains("it is an archive"), "{errors}");
    }
    assert_eq!(server.events().len(), 200);
}

#[test]
fn it_begins_with_all_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let log = write_file(folder, "kata.log", lines(0..50));
    let server = Server::start(Script::default());
    let running = Running::start(deliver_to(&server, &["--no-state", "--batch-age", "50ms"]).arg(&log));
    server.wait_for_events(50);
    append_file(&log, lines(50..60));
    wait_until("the last line", || server.events().iter().any(|event| number(event) == 59));
    running.signal("TERM");
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert_eq!(complete(&server.events(), 0..60), 0);

    let entries: Vec<_> = (0..30).map(|number| service(number * 5, BOOT)).collect();
    write_file(folder, "system.journal", file(&Shape { state: State::Online, ..Shape::default() }, &entries));
    let server = Server::start(Script::default());
    let flags = ["--state-dir", "state", "--batch-age", "50ms", "system.journal"];
    let running = Running::start(deliver_to(&server, &flags).current_dir(folder));
    server.wait_for_events(30);
    running.signal("TERM");
    assert_eq!(running.end().0.code(), Some(0));
    assert_eq!(server.events().len(), 30);
    let again = once(folder, &["--state-dir", "state", "system.journal"]).output().unwrap();
    assert!(again.status.success() && again.stdout.is_empty(), "{}", stderr(&again));
    // An operator may choose another beginning.
    assert_eq!(silent(&mut once(folder, &["--state-dir", "other", "--lines", "3", "system.journal"])).len(), 3);
}

/// Options of one command are no mistake in a file or an environment that other commands share.
#[test]
fn one_file_serves_print_and_ship() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_file(folder, "kata.log", lines(0..6));
    let server = Server::start(Script::default());
    let text = format!(
        "to = [\"{}\"]\nbatch-age = \"50ms\"\nspread = \"weighted\"\nlisten = \"127.0.0.1:0\"\nprogress = \"never\"\n\
         delta = true\nsort-memory = \"2M\"\noutput-dir = \"unused\"\ncomponent = [\"runtime\"]\n",
        server.url()
    );
    write_file(folder, "katalog.toml", &text);
    let mut print = katalog();
    print.current_dir(folder).args(["--config", "katalog.toml", "kata.log"]);
    let printed = silent(&mut print);
    assert_eq!(printed.len(), 2);
    assert!(printed.iter().all(|record| record["kata_component"] == "runtime") && printed[1]["kata_delta_ns"].is_i64());
    let (code, errors) = run(whole(&["--config", "katalog.toml", "kata.log"]).current_dir(folder));
    assert!(code == Some(0) && errors.lines().count() == 1 && errors.contains("listening on"), "{errors}");
    let events = server.events();
    assert_eq!(events.iter().map(number).collect::<Vec<_>>(), [0, 3]);
    assert!(events.iter().all(|event| event.get("kata_delta_ns").is_none()));

    let variables =
        [("KATALOG_TO", server.url()), ("KATALOG_PROGRESS", "never".into()), ("KATALOG_DELTA", "true".into())];
    let printed = silent(katalog().current_dir(folder).envs(variables.clone()).arg("kata.log"));
    assert_eq!(printed.len(), 6);
    let (code, errors) = run(whole(&["kata.log"]).current_dir(folder).envs(variables));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(server.events().len(), 8);
    assert!(!folder.join("unused").exists());
}
