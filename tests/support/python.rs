//! The Python that the tests of recipes need, with the packages that `.ci/run` installs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::skip::skip;

/// Returns a Python with this module, or `None` with a notice. `.ci/run` makes one in `target/python`.
pub(crate) fn with(module: &str, tests: &str) -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python3");
    let has = |python: &PathBuf| {
        let status = Command::new(python).args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let found = [ours, PathBuf::from("python3")].into_iter().find(has);
    if found.is_none() {
        let reason = format!(
            "Python has no module {module}: python3 -m venv target/python && target/python/bin/pip install \
             --require-hashes -r tests/support/requirements.txt"
        );
        skip(tests, &reason);
    }
    found
}
