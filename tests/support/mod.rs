//! Support shared by several tests: the program as a user runs it, its peers, and JSON that exposes every difference to
//! a comparison.

#[allow(unreachable_pub, reason = "the fuzz targets use it from outside")]
#[path = "../fuzz/src/check.rs"]
pub(crate) mod check;
pub(crate) mod disk;
#[allow(dead_code, reason = "a script can say more than the tests of the day make use of")]
pub(crate) mod forward;
pub(crate) mod journal;
mod json;
pub(crate) mod kubernetes;
pub(crate) mod namespaces;
#[allow(unreachable_pub, reason = "the fuzz targets use it from outside")]
pub(crate) mod pipeline;
pub(crate) mod python;
pub(crate) mod screen;
pub(crate) mod skip;
pub(crate) mod svg;

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::ProptestConfig;

pub(crate) use json::Json;

/// Timeout of a test.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Returns the program without standard input, in an environment that does not configure it.
pub(crate) fn katalog() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_katalog"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KATALOG_") {
            command.env_remove(name);
        }
    }
    for name in ["NO_COLOR", "TERM", "COLUMNS", "STATE_DIRECTORY"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Writes a file into a directory and returns its path.
pub(crate) fn write_file(directory: &Path, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.join(name.as_ref());
    fs::write(&path, content).unwrap();
    path
}

/// Appends to a file, which has to exist.
pub(crate) fn append_file(path: &Path, content: impl AsRef<[u8]>) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(content.as_ref()).unwrap();
}

/// Returns the path of the fixture with a node's journal as JSON.
pub(crate) fn node_journal() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/inputs/node.ndjson")
}

/// Returns the command below a limit of `ulimit`. A write above the limit on file size fails instead of ending the
/// program by a signal.
pub(crate) fn with_limit(limit: &str, command: &Command) -> Command {
    through("sh", &["-c", &format!("trap '' XFSZ; ulimit {limit}; exec \"$@\""), "sh"], command)
}

/// Returns the command with this umask.
pub(crate) fn with_umask(umask: &str, command: &Command) -> Command {
    through("sh", &["-c", &format!("umask {umask}; exec \"$@\""), "sh"], command)
}

/// Returns the command with the default action for SIGHUP, which `nohup` around the tests would ignore.
pub(crate) fn hearing_hangup(command: &Command) -> Command {
    through("env", &["--default-signal=HUP"], command)
}

/// Returns the command below SIGHUP ignored, as by `nohup`.
pub(crate) fn ignoring_hangup(command: &Command) -> Command {
    through("sh", &["-c", "trap '' HUP; exec \"$@\"", "sh"], command)
}

/// Returns the command that another program runs in its own process, without standard input.
fn through(program: &str, arguments: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(program);
    outer.args(arguments).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        outer.current_dir(directory);
    }
    outer
}

/// Waits until the condition holds. Fails after [`TIMEOUT`] with a message that names the condition.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < TIMEOUT, "timeout: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for the exit of a program. Fails after [`TIMEOUT`].
#[track_caller]
pub(crate) fn wait_for_exit(child: &mut Child) -> ExitStatus {
    let mut status = None;
    wait_until("the exit of the program", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

/// Runs a command that has to exit with this code.
#[track_caller]
pub(crate) fn expect_exit(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{command:?}: {}", stderr(&output));
    output
}

/// Returns standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns a configuration of property tests with this many cases.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    // Nothing is saved beside the tests: a failing input belongs into fixtures/fuzz or becomes a case.
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
