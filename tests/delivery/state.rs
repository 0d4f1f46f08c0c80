//! Runs that resume where another ended.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::{Running, append_file, complete, deliver_to, lines, run, wait_until, write_file};
use crate::support::disk::Disk;
use crate::support::forward::{Reply, Script, Server};
use crate::support::journal::samples::{BOOT, service};
use crate::support::journal::{Shape, State, file};
use crate::support::skip::skip;
use crate::support::{expect_exit, katalog, stderr};

/// Returns a command that reads once, with a state.
fn once(folder: &Path, input: &Path) -> Command {
    let mut command = katalog();
    command.args(["ship", "--once", "--drop", "*", "--state-dir"]).arg(folder.join("state")).arg(input);
    command
}

#[test]
fn once_gives_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..10) + "time=\"2031-01-01T00:00:10Z\" level=info ms");
    let new = || {
        let output = once(folder.path(), &log).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout.iter().filter(|byte| **byte == b'\n').count()
    };
    assert_eq!((new(), new()), (10, 0), "a line without its end waits");
    append_file(&log, "g=x source=runtime\n");
    assert_eq!((new(), new()), (1, 0));
    // Renamed, and replaced by a new file.
    fs::rename(&log, folder.path().join("kata.log.1")).unwrap();
    append_file(&folder.path().join("kata.log.1"), lines(10..12));
    write_file(folder.path(), "kata.log", lines(12..15));
    assert_eq!((new(), new()), (5, 0));
    // Copied and truncated.
    append_file(&log, lines(15..17));
    fs::copy(&log, folder.path().join("kata.log.2")).unwrap();
    fs::write(&log, "").unwrap();
    append_file(&log, lines(17..18));
    assert_eq!((new(), new()), (3, 0));
}

#[test]
fn once_gives_what_is_new_in_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let journal = |count: u64| {
        let entries: Vec<_> = (0..count).map(|number| service(number * 5, BOOT)).collect();
        file(&Shape { state: State::Online, ..Shape::default() }, &entries)
    };
    let path = write_file(folder.path(), "system.journal", journal(4));
    let new = || {
        let output = once(folder.path(), &path).args(["--threads", "2"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout.iter().filter(|byte| **byte == b'\n').count()
    };
    assert_eq!((new(), new()), (4, 0));
    fs::write(&path, journal(7)).unwrap();
    assert_eq!((new(), new()), (3, 0));
    let state: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("state/state.json")).unwrap()).unwrap();
    let cursor = state["journal"]["cursor"].as_str().unwrap();
    // The saved cursor also works as a flag.
    let after = katalog().args(["--after-cursor", cursor]).arg(&path).output().unwrap();
    assert!(after.status.success() && after.stdout.is_empty());
}

#[test]
fn a_file_that_replaces_a_deleted_one_is_read_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..10));
    let new = || {
        let output = expect_exit(&mut once(folder.path(), &log), 0);
        output.stdout.iter().filter(|byte| **byte == b'\n').count()
    };
    assert_eq!((new(), new()), (10, 0));
    // Most file systems give a new file the inode that was freed last.
    fs::remove_file(&log).unwrap();
    fs::write(&log, lines(10..40)).unwrap();
    assert_eq!((new(), new()), (30, 0));
}

/// Returns standard error of a run with `--once` over these files of the folder.
#[track_caller]
fn notice(folder: &Path, inputs: &[&str]) -> String {
    let mut command = katalog();
    command.current_dir(folder).args(["ship", "--once", "--state-dir", "state"]).args(inputs);
    stderr(&expect_exit(&mut command, 0))
}

#[test]
fn inputs_without_news_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let logs = ["a\n.log", "b.log", "empty.log"];
    for (log, count) in logs.into_iter().zip([3, 3, 0]) {
        write_file(folder, log, lines(0..count));
    }
    assert_eq!(notice(folder, &logs), "");
    assert_eq!(notice(folder, &logs), "katalog: nothing new since the last run: \"a\\n.log\", \"b.log\"\n");
    append_file(&folder.join("b.log"), lines(3..4));
    assert_eq!(notice(folder, &logs), "katalog: nothing new since the last run: \"a\\n.log\"\n");
    // The line is not complete, so there is no new entry. A log that was rotated is another one.
    append_file(&folder.join("b.log"), "time=");
    fs::rename(folder.join("a\n.log"), folder.join("a\n.log.1")).unwrap();
    write_file(folder, "a\n.log", lines(5..6));
    assert_eq!(notice(folder, &logs), "katalog: nothing new since the last run: \"b.log\"\n");
    // The long paths of a pattern are those that it matches.
    let all: Vec<String> = (0..13).map(|number| format!("c{number:02}.log")).collect();
    all.iter().for_each(|log| drop(write_file(folder, log, lines(0..1))));
    assert_eq!(notice(folder, &["c*.log"]), "");
    let named: Vec<String> = all.iter().take(10).map(|log| format!("{:?}", folder.join(log))).collect();
    let expected = format!("katalog: nothing new since the last run: {}, and 3 more\n", named.join(", "));
    assert_eq!(notice(folder, &["c*.log"]), expected);
}

#[test]
fn a_journal_without_news_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let journal = |count: u64| {
        let entries: Vec<_> = (0..count).map(|number| service(number * 5, BOOT)).collect();
        write_file(folder, "system.journal", file(&Shape { state: State::Online, ..Shape::default() }, &entries))
    };
    journal(0);
    assert_eq!(["", ""], [(); 2].map(|()| notice(folder, &["system.journal"])), "nothing was delivered before");
    journal(4);
    assert_eq!(notice(folder, &["system.journal"]), "");
    assert_eq!(notice(folder, &["system.journal"]), "katalog: nothing new since the last run: \"system.journal\"\n");
    journal(7);
    assert_eq!(notice(folder, &["system.journal"]), "");
    // An input that cannot be read is no input without news.
    write_file(folder, "system.journal", "LPKSHHRHnothing more");
    let mut command = katalog();
    command.current_dir(folder).args(["ship", "--once", "--state-dir", "state", "system.journal"]);
    assert!(!stderr(&command.output().unwrap()).contains("nothing new"));
}

/// A beginning would skip entries that came while katalog was not running.
#[test]
fn a_beginning_holds_only_without_a_position() {
    let folder = tempfile::tempdir().unwrap();
    let entries: Vec<_> = (0..9).map(|number| service(number * 5, BOOT)).collect();
    let journal = |count: usize| file(&Shape { state: State::Online, ..Shape::default() }, &entries[..count]);
    let path = write_file(folder.path(), "system.journal", journal(4));
    let once = |flags: &[&str]| {
        let output = once(folder.path(), &path).args(flags).output().unwrap();
        let errors = stderr(&output);
        assert!(output.status.success(), "{errors}");
        (output.stdout.iter().filter(|byte| **byte == b'\n').count(), errors)
    };
    let cursor = "s=00000000000000000000000000000001;i=ffff";
    assert_eq!(once(&["--lines", "3"]), (3, String::new()));
    let ignored = |flags: &str| {
        let state = folder.path().join("state");
        format!("katalog: {flags}: ignored, because {state:?} has a position to continue from\n")
    };
    for (count, flags, names) in [
        (6, &["--since", "2100-01-01"][..], "--since"),
        (8, &["--lines", "1", "--after-cursor", cursor], "--lines, --after-cursor"),
    ] {
        fs::write(&path, journal(count)).unwrap();
        assert_eq!(once(flags), (2, ignored(names)), "{flags:?}");
    }
    // The end and the boot still hold.
    fs::write(&path, journal(9)).unwrap();
    assert_eq!(once(&["--until", "2001-01-01"]), (0, String::new()));
}

#[test]
fn what_was_not_acknowledged_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..400));
    let state = folder.path().join("state");
    let flags = ["--batch-size", "4K", "--tag", "kata", "--record-id", "id"];
    // The third chunk is accepted but never acknowledged.
    let server = Server::start(
        Script::default().replies(|request| if request.number < 2 { Reply::Ack } else { Reply::Silence }),
    );
    let running = Running::start(deliver_to(&server, &flags).arg("--state-dir").arg(&state).arg(&log));
    let before = server.wait_for_requests(3);
    running.kill();
    server.script(Script::default());
    let running = Running::start(deliver_to(&server, &flags).arg("--state-dir").arg(&state).arg(&log));
    wait_until("the last line", || server.events().iter().any(|event| super::number(event) == 399));
    let events = server.events();
    assert_eq!(complete(&events, 0..400), before[2].events, "one chunk comes twice");
    let mut ids: Vec<&str> = events.iter().map(|event| event.text("id").unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 400, "what comes again has the same id");
    running.signal("TERM");
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    // Nothing is left for a third run.
    let sent = server.requests().len();
    let (code, errors) = run(deliver_to(&server, &["--once", "--state-dir"]).arg(&state).arg(&log));
    assert_eq!((code, server.requests().len()), (Some(0), sent), "{errors}");
}

#[test]
fn one_process_has_a_state() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..3));
    let state = folder.path().join("state");
    let server = Server::start(Script::default());
    let running = Running::start(deliver_to(&server, &["--state-dir"]).arg(&state).arg(&log));
    server.wait_for_events(3);
    let (code, errors) = run(deliver_to(&server, &["--once", "--state-dir"]).arg(&state).arg(&log));
    assert_eq!(code, Some(75), "{errors}");
    assert!(errors.contains("in use by another katalog"), "{errors}");
    running.kill();
    let (code, errors) = run(deliver_to(&server, &["--once", "--state-dir"]).arg(&state).arg(&log));
    assert_eq!(code, Some(0), "{errors}");
}

#[test]
fn a_file_is_no_state_directory() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..3));
    let file = write_file(folder.path(), "state", "");
    let (code, errors) = run(&mut once(folder.path(), &log));
    assert_eq!(code, Some(64), "{errors}");
    assert!(errors.starts_with(&format!("katalog: --state-dir: {file:?} is a file, not a directory")), "{errors}");
}

/// Returns a command that runs the program as a user who may not write in `folder`. Returns `None` if there is none.
fn without_rights(folder: &Path) -> Option<Command> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
    let root = katalog();
    if fs::write(folder.join("probe"), "").is_err() {
        return Some(root);
    }
    fs::remove_file(folder.join("probe")).unwrap();
    let as_nobody = || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(root.get_program());
        command
    };
    let runs = as_nobody().arg("--version").output().is_ok_and(|output| output.status.success());
    runs.then(as_nobody)
}

#[test]
fn a_user_without_rights_is_told_the_ways_out() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..3));
    let (there, missing) = (folder.path().join("there"), folder.path().join("missing"));
    fs::create_dir(&there).unwrap();
    fs::set_permissions(&there, fs::Permissions::from_mode(0o555)).unwrap();
    for (state, says) in [
        (&missing, format!("create {missing:?}")),
        (&missing.join("deeper"), format!("create {missing:?}")),
        (&there, format!("write {:?}", there.join("lock"))),
    ] {
        let Some(mut command) = without_rights(folder.path()) else {
            skip("a state directory without rights", "setpriv cannot run katalog as another user");
            return;
        };
        let (code, errors) = run(command.args(["ship", "--once", "--state-dir"]).arg(state).arg(&log));
        assert_eq!(code, Some(77), "{errors}");
        let advice = "name a directory that you can write with --state-dir DIR, or keep no position with --no-state";
        assert_eq!(errors, format!("katalog: --state-dir: cannot {says}: Permission denied (os error 13); {advice}\n"));
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_state_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..3));
    fs::create_dir(folder.path().join("state")).unwrap();
    for content in ["", "{\"katalog\":7}", "[]", "not JSON"] {
        write_file(&folder.path().join("state"), "state.json", content);
        let output = once(folder.path(), &log).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(65), "{errors}");
        assert!(
            output.stdout.is_empty() && errors.contains("move it away") && errors.contains("state.json"),
            "{errors}"
        );
    }
}

#[test]
fn settings_that_do_not_go_together() {
    for (flags, says) in [
        (&["--once", "x.log"][..], "type: katalog ship --no-state --once x.log"),
        (&["--state-dir", "s", "x.log"], "type: katalog ship --state-dir s x.log"),
        (&["ship", "--once", "--follow", "x.log"], "`katalog ship` always follows"),
        (&["ship", "--no-state", "--state-dir", "s", "x.log"], "--no-state: no positions are kept"),
        (&["ship", "--state-dir", "s", "-"], "--spool"),
        (&["ship", "--to", "forward://h", "--format", "text", "x.log"], "format"),
        (&["ship", "--to", "forward://h", "--output", "o", "x.log"], "output"),
        (&["ship", "--spool", "s", "-"], "--to"),
        (&["ship", "--to", "forward://h", "--spool", "s"], "standard input"),
        (&["ship", "--to", "http://h", "x.log"], "http"),
        (&["ship", "--to", "forward://h?colour=red", "x.log"], "colour"),
        (&["ship", "--batch-size", "6M", "--to", "forward://h", "x.log"], "1K to 5M"),
    ] {
        let (code, errors) = run(katalog().args(flags));
        assert_eq!(code, Some(64), "{flags:?}: {errors}");
        assert!(errors.contains(says), "{flags:?}: {errors}");
    }
}

/// Appends to an existing output file instead of replacing it.
#[test]
fn an_output_file_is_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..3));
    let output = folder.path().join("records");
    for count in [3, 5] {
        let (code, errors) = run(once(folder.path(), &log).arg("--output").arg(&output));
        assert_eq!(code, Some(0), "{errors}");
        assert_eq!(fs::read_to_string(&output).unwrap().lines().count(), count);
        append_file(&log, lines(3..5));
    }
}

#[test]
fn a_full_disk_is_known_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..5));
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    let Some(disk) = Disk::mount(&state) else {
        skip("tests of full disks", "no small disk can be mounted here");
        return;
    };
    disk.fill();
    let server = Server::start(Script::default());
    let start = || run(deliver_to(&server, &["--once", "--state-dir"]).arg(&state).arg(&log));
    let (code, errors) = start();
    assert_eq!(code, Some(74), "{errors}");
    assert!(
        errors.contains("--state-dir: cannot write ") && errors.contains("--no-state") && server.events().is_empty(),
        "{errors}"
    );
    disk.free();
    assert_eq!(start().0, Some(0));
    assert_eq!(complete(&server.events(), 0..5), 0);
}
