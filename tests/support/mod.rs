//! Support shared by several tests: the program as a user runs it, its peers, and JSON that exposes every difference to
//! a comparison.

#[allow(unreachable_pub, reason = "the fuzz targets use it from outside")]
#[path = "../fuzz/src/check.rs"]
pub(crate) mod check;
#[allow(dead_code, reason = "a script can say more than the tests of the day make use of")]
pub(crate) mod forward;
mod json;
pub(crate) mod journal;
pub(crate) mod kubernetes;
#[allow(unreachable_pub, reason = "the fuzz targets use it from outside")]
pub(crate) mod pipeline;
pub(crate) mod python;
pub(crate) mod screen;
pub(crate) mod skipped;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use proptest::prelude::ProptestConfig;

pub(crate) use json::Json;

/// Returns the program without standard input, in an environment that does not configure it.
pub(crate) fn katalog() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_katalog"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KATALOG_") {
            command.env_remove(name);
        }
    }
    for name in ["NO_COLOR", "TERM", "COLUMNS"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Writes a file into a directory and returns its path.
pub(crate) fn put(directory: &Path, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.join(name.as_ref());
    fs::write(&path, content).unwrap();
    path
}

/// Runs a command that has to exit with this code.
#[track_caller]
pub(crate) fn ends(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{command:?}: {}", said(&output));
    output
}

/// Returns standard error as text.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns a configuration of property tests with this many cases.
pub(crate) fn few(cases: u32) -> ProptestConfig {
    // Nothing is saved beside the tests: a failing input belongs into fixtures/fuzz or becomes a case.
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
