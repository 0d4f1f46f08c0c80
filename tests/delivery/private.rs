//! No other user can read or redirect the files of a delivery: modes, links, and planted names.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::spool::start_with_input;
use super::{deliver_to, lines, run, wait_until, write_file};
use crate::support::forward::handshake::Greeting;
use crate::support::forward::{Script, Server};
use crate::support::{expect_exit, katalog, stderr, with_umask};

/// The content of the files that katalog must not touch.
const VICTIM: &str = "of someone else";

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

/// Returns a command that reads a log once, with a state.
fn once(folder: &Path) -> std::process::Command {
    let log = write_file(folder, "kata.log", lines(0..10));
    let mut command = katalog();
    command.args(["ship", "--once", "--state-dir"]).arg(folder.join("state/deep")).arg(log);
    command
}

#[test]
fn a_state_is_private_whatever_the_umask() {
    for umask in ["000", "077", "177"] {
        let folder = tempfile::tempdir().unwrap();
        let errors = stderr(&expect_exit(&mut with_umask(umask, &once(folder.path())), 0));
        assert!(errors.is_empty(), "{errors}");
        let state = folder.path().join("state/deep");
        assert_eq!((mode(&state), mode(state.parent().unwrap())), (0o700, 0o700), "{umask}");
        for name in ["state.json", "lock"] {
            assert_eq!(mode(&state.join(name)), 0o600, "{name} with {umask}");
        }
    }
}

#[test]
fn a_directory_of_others_keeps_its_mode_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state/deep");
    fs::create_dir_all(&state).unwrap();
    for (bits, warned) in [(0o755, false), (0o777, true), (0o775, true), (0o1777, true), (0o700, false)] {
        fs::set_permissions(&state, fs::Permissions::from_mode(bits)).unwrap();
        let errors = stderr(&expect_exit(&mut once(folder.path()), 0));
        assert_eq!(mode(&state), bits);
        let says =
            errors.contains("--state-dir") && errors.contains("others can write") && errors.contains("chmod go-w");
        assert_eq!(says, warned, "{bits:o}: {errors}");
        _ = fs::remove_file(state.join("state.json"));
    }
}

#[test]
fn a_state_directory_may_be_a_link_and_its_files_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let victim = write_file(folder.path(), "victim", VICTIM);
    fs::create_dir(folder.path().join("private")).unwrap();
    fs::create_dir(folder.path().join("state")).unwrap();
    let state = folder.path().join("state/deep");
    symlink("../private", &state).unwrap();
    symlink(&victim, state.join("state.json.new")).unwrap();
    expect_exit(&mut once(folder.path()), 0);
    assert!(state.join("state.json").symlink_metadata().unwrap().is_file());
    for name in ["lock", "state.json"] {
        let path = state.join(name);
        fs::remove_file(&path).unwrap();
        symlink(&victim, &path).unwrap();
        let output = once(folder.path()).output().unwrap();
        let errors = stderr(&output);
        assert!(!output.status.success() && errors.contains(name) && errors.contains("symbolic link"), "{errors}");
        fs::remove_file(&path).unwrap();
    }
    // Reading a pipe would wait for a writer, for ever.
    expect_exit(std::process::Command::new("mkfifo").arg(state.join("state.json")), 0);
    let output = once(folder.path()).output().unwrap();
    assert!(!output.status.success() && stderr(&output).contains("not a regular file"), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(&victim).unwrap(), VICTIM);
}

#[test]
fn a_spool_is_private_and_follows_no_links() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let url = format!("forward://{}", Server::apart(Script::default()).stop());
    let command = || {
        let mut command = katalog();
        command.args(["ship", "--to", &url, "--batch-age", "50ms", "--spool"]).arg(&spool).arg("-");
        command
    };
    let input = lines(0..50);
    let spooled = spool.join("0000000000000000.spool");
    let running = start_with_input(&mut with_umask("000", &command()), &input);
    wait_until("the spool", || spooled.exists());
    running.kill();
    assert_eq!((mode(&spool), mode(&spooled), mode(&spool.join("lock"))), (0o700, 0o600, 0o600));
    fs::remove_file(&spooled).unwrap();
    let victim = write_file(folder.path(), "victim", VICTIM);
    symlink(&victim, spool.join("0000000000000000.new")).unwrap();
    let running = start_with_input(&mut command(), &input);
    wait_until("the spool", || spooled.exists());
    running.kill();
    assert_eq!(fs::read_to_string(&victim).unwrap(), VICTIM);
    // A link in the place of a file is not delivered.
    fs::remove_file(&spooled).unwrap();
    symlink(&victim, &spooled).unwrap();
    let server = Server::start(Script::default());
    let mut command = deliver_to(&server, &["--spool"]);
    let (_, errors) = start_with_input(command.arg(&spool).arg("-"), &input).end();
    assert!(errors.contains("0000000000000000.spool") && errors.contains("symbolic link"), "{errors}");
    assert_eq!(server.events().len(), 50);
}

#[test]
fn a_key_that_everyone_can_read_gets_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..3));
    let [key, own] = ["key", "own"].map(|name| write_file(folder.path(), name, "secret"));
    fs::set_permissions(&own, fs::Permissions::from_mode(0o640)).unwrap();
    for (mode, warned) in [(0o644, true), (0o642, true), (0o600, false), (0o640, false)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let server = Server::start(Script::default().greets(Greeting::with_key("secret")));
        let flags = ["--once", "--no-state", "--shared-key-file"];
        let (code, errors) = run(deliver_to(&server, &flags).arg(&key).arg(&log));
        assert_eq!(code, Some(0), "{errors}");
        let says = errors.contains("--shared-key-file: every user") && errors.contains(&format!("mode {mode:o}"));
        assert_eq!(says, warned, "{mode:o}: {errors}");
        let mut command = katalog();
        let url = format!("{}?shared-key-file={}", server.url(), key.display());
        let (_, errors) = run(command.args(["ship", "--to", &url]).args(flags).arg(&own).arg(&log));
        assert_eq!(errors.contains("shared-key-file: every user"), warned, "{mode:o}: {errors}");
    }
}
