//! What several tests need: the program as a user runs it, the peers that it speaks with, and JSON that hides nothing
//! from a comparison.

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

/// The program in an environment that says nothing to it, and without input.
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

/// Runs a command, which has to end with this code.
#[track_caller]
pub(crate) fn ends(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{command:?}: {}", said(&output));
    output
}

/// What it said on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A property is tried on so many cases.
pub(crate) fn few(cases: u32) -> ProptestConfig {
    // Nothing is saved beside the tests: an input that fails belongs into fixtures/fuzz or becomes a case.
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
