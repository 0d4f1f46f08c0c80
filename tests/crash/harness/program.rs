//! The program under test, which is killed and restarted.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(String, String)>,
    /// The file for its standard error, shared by all runs.
    pub(crate) errors: PathBuf,
    pub(crate) child: Option<Child>,
    pub(crate) starts: usize,
}

impl Program {
    pub(crate) fn start(&mut self) {
        let errors = File::options().append(true).create(true).open(&self.errors).unwrap();
        let mut command = Command::new(&self.path);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KATALOG_") {
                command.env_remove(name);
            }
        }
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
        self.child = Some(child);
        self.starts += 1;
    }

    /// Kills the program at any point.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            _ = child.kill();
            _ = child.wait();
        }
    }

    /// Returns the exit status if the program exited by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().unwrap()?;
        self.child = None;
        Some(status)
    }

    /// Returns the end of its standard error.
    pub(crate) fn stderr_tail(&self) -> String {
        let errors = std::fs::read(&self.errors).unwrap_or_default();
        let end = errors.len().saturating_sub(2000);
        String::from_utf8_lossy(&errors[end..]).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
