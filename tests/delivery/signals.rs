//! Signals while the program runs.

use std::fs;
use std::io::Seek as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Running, append_file, complete, deliver_to, lines, wait_until, write_file};
use crate::support::forward::{Reply, Script, Server};
use crate::support::{hearing_hangup, ignoring_hangup, katalog};

/// Time within which a signal takes effect.
const SIGNAL_DELAY: Duration = Duration::from_millis(1500);

#[test]
fn the_end_delivers_what_is_in_hand() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..50));
    for signal in ["TERM", "INT"] {
        let server = Server::start(Script::default());
        // Without the signal the batch would wait for an hour.
        let state = folder.path().join(signal);
        let mut command = deliver_to(&server, &["--batch-age", "1h", "--state-dir"]);
        let running = Running::start(command.arg(&state).arg(&log));
        wait_until("the lock", || state.join("lock").exists());
        std::thread::sleep(Duration::from_millis(300));
        running.signal(signal);
        let (status, errors) = running.end();
        assert_eq!(status.code(), Some(0), "{errors}");
        assert_eq!(complete(&server.events(), 0..50), 0);
        assert!(fs::read_to_string(state.join("state.json")).unwrap().contains("kata.log"));
    }
}

/// Compares against the saved position of the file, which shows how far the input was read.
#[test]
fn what_was_read_is_delivered_at_the_end_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let text = lines(0..200_000);
    let log = write_file(folder.path(), "kata.log", &text);
    for threads in ["1", "3"] {
        let mut input = fs::File::open(&log).unwrap();
        let server = Server::start(Script::default());
        let mut command = deliver_to(&server, &["--threads", threads, "--others", "pass", "-"]);
        let running = Running::start(command.stdin(input.try_clone().unwrap()));
        server.wait_for_requests(2);
        running.signal("TERM");
        let (status, errors) = running.end();
        assert_eq!(status.code(), Some(0), "{errors}");
        let read = usize::try_from(input.stream_position().unwrap()).unwrap();
        let count = text.as_bytes()[..read].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(server.events().len(), count, "{threads} threads");
        assert!(read < text.len(), "it was told too late");
    }
}

#[test]
fn a_silent_server_does_not_hold_the_end_up() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..50));
    let state = folder.path().join("state");
    let server = Server::start(Script::default().replies(|_| Reply::Silence));
    let flags = ["--batch-age", "50ms", "--state-dir"];
    let running = Running::start(deliver_to(&server, &flags).arg(&state).arg(&log));
    let taken = server.wait_for_requests(1)[0].events;
    let start = Instant::now();
    running.signal("TERM");
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(errors.contains("not delivered") && errors.contains("next run"), "{errors}");
    server.script(Script::default());
    let running = Running::start(deliver_to(&server, &flags).arg(&state).arg(&log));
    wait_until("what was not acknowledged", || server.events().len() >= taken + 50);
    running.signal("TERM");
    assert_eq!(running.end().0.code(), Some(0));
}

#[test]
fn an_end_counts_what_cannot_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..50));
    let state = folder.path().join("state").display().to_string();
    let name = log.display().to_string();
    let run = |arguments: &[&str], code: i32| {
        let server = Server::start(Script::default().replies(|_| Reply::Silence));
        let mut command = deliver_to(&server, &["--batch-age", "50ms"]);
        let running = Running::start(command.args(arguments).stdin(fs::File::open(&log).unwrap()));
        server.wait_for_requests(1);
        running.signal("TERM");
        let (status, errors) = running.end();
        assert_eq!(status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains("50 records in hand are not delivered"), "{arguments:?}: {errors}");
    };
    // Each waits for the server as long as a supervisor waits for katalog.
    std::thread::scope(|scope| {
        scope.spawn(|| run(&["--state-dir", &state, &name], 0));
        scope.spawn(|| run(&["--no-state", &name], 76));
        scope.spawn(|| run(&["-"], 76));
    });
}

#[test]
fn a_second_signal_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..50));
    let server = Server::start(Script::default().replies(|_| Reply::Silence));
    let running = Running::start(deliver_to(&server, &["--no-state", "--batch-age", "50ms"]).arg(&log));
    server.wait_for_requests(1);
    let start = Instant::now();
    running.signal("TERM");
    std::thread::sleep(Duration::from_millis(100));
    running.signal("TERM");
    assert_eq!(running.end().0.code(), Some(128 + 15));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn counters_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..50));
    let server = Server::start(Script::default());
    let running =
        Running::start(deliver_to(&server, &["--no-state", "--batch-age", "1h", "--stats", "json"]).arg(&log));
    std::thread::sleep(Duration::from_millis(300));
    assert!(server.events().is_empty());
    running.signal("USR1");
    server.wait_for_events(50);
    running.signal("TERM");
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    let counts: Vec<serde_json::Value> = errors.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(counts.len(), 2, "{errors}");
    assert!(counts.iter().all(|counts| counts["written"] == 50), "{errors}");
}

#[test]
fn another_configuration_holds_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..5));
    let (first, second) = (Server::start(Script::default()), Server::start(Script::default()));
    let configure = |server: &Server, tag: &str| {
        let text = format!("to = [\"{}\"]\ntag = \"{tag}\"\nno-state = true\nbatch-age = \"50ms\"\n", server.url());
        write_file(folder.path(), "katalog.toml", text)
    };
    let config = configure(&first, "one");
    let append = |numbers: std::ops::Range<usize>| {
        let mut text = fs::read_to_string(&log).unwrap();
        text += &lines(numbers);
        // In place, as a writer appends.
        let tail = text.split_off(usize::try_from(fs::metadata(&log).unwrap().len()).unwrap());
        std::io::Write::write_all(&mut fs::OpenOptions::new().append(true).open(&log).unwrap(), tail.as_bytes())
            .unwrap();
    };
    let running = Running::start(&mut hearing_hangup(katalog().args(["ship", "--config"]).arg(&config).arg(&log)));
    first.wait_for_events(5);
    // An invalid configuration changes nothing.
    fs::write(&config, "to = 7\n").unwrap();
    running.signal("HUP");
    std::thread::sleep(SIGNAL_DELAY);
    append(5..8);
    first.wait_for_events(8);
    configure(&second, "two");
    running.signal("HUP");
    std::thread::sleep(SIGNAL_DELAY);
    append(8..10);
    let events = second.wait_for_events(2);
    assert!(events.iter().all(|event| event.tag == "two"));
    running.signal("TERM");
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(errors.contains("key \"to\"") && errors.contains("the configuration stays as it was"), "{errors}");
    let all: Vec<_> = first.events().into_iter().chain(second.events()).collect();
    assert_eq!(complete(&all, 0..10), 0, "nothing comes twice");
}

/// Returns a command of these words that writes the lines of a log, and waits for more of them.
fn follow(words: &[&str], log: &Path, output: &Path) -> Command {
    let mut command = katalog();
    command.args(words).arg("--output").arg(output).arg(log);
    command
}

#[track_caller]
fn wait_for_records(output: &Path, count: usize) {
    wait_until("the records", || fs::read_to_string(output).is_ok_and(|text| text.lines().count() == count));
}

#[test]
fn a_hangup_ends_what_only_prints() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..5));
    let output = folder.path().join("records");
    let running = Running::start(&mut hearing_hangup(&follow(&["print", "--follow"], &log, &output)));
    wait_for_records(&output, 5);
    running.signal("HUP");
    let (status, errors) = running.end();
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
}

#[test]
fn a_hangup_that_is_ignored_stays_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..5));
    let (output, state) = (folder.path().join("records"), folder.path().join("state"));
    let config = write_file(folder.path(), "katalog.toml", "batch-age = \"50ms\"\n");
    let mut prints = follow(&["print", "--follow"], &log, &output);
    prints.arg("--config").arg(&config);
    let mut ships = follow(&["ship"], &log, &output);
    ships.arg("--config").arg(&config).arg("--state-dir").arg(&state);
    for command in [prints, ships] {
        write_file(folder.path(), "kata.log", lines(0..5));
        _ = fs::remove_file(&output);
        write_file(folder.path(), "katalog.toml", "batch-age = \"50ms\"\n");
        let running = Running::start(&mut ignoring_hangup(&command));
        wait_for_records(&output, 5);
        // A reload would complain about the configuration.
        write_file(folder.path(), "katalog.toml", "batch-age = 7\n");
        running.signal("HUP");
        std::thread::sleep(SIGNAL_DELAY);
        append_file(&log, lines(5..8));
        wait_for_records(&output, 8);
        running.signal("TERM");
        let (status, errors) = running.end();
        assert_eq!((status.code(), errors.as_str()), (Some(0), ""), "{command:?}");
    }
}
