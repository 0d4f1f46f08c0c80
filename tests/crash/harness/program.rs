//! The program under test, which is killed and restarted.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use super::Settings;

pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    /// Arguments for the conduct of the receiver.
    pub(crate) more: Vec<OsString>,
    environment: Vec<(String, String)>,
    /// The file for its standard error, shared by all runs.
    errors: PathBuf,
    /// The number of bytes in it that [`Program::new_errors`] has returned.
    errors_read: u64,
    child: Option<Child>,
    pub(crate) starts: usize,
}

impl Program {
    pub(crate) fn new(settings: &Settings, arguments: Vec<OsString>) -> Program {
        Program {
            path: settings.program.clone(),
            arguments,
            more: Vec::new(),
            environment: settings.environment.clone(),
            errors: settings.folder.join("errors"),
            errors_read: 0,
            child: None,
            starts: 0,
        }
    }

    pub(crate) fn start(&mut self) {
        let mut errors = File::options().append(true).create(true).open(&self.errors).unwrap();
        // A kill may have cut the last line.
        errors.write_all(b"\n").unwrap();
        let mut command = Command::new(&self.path);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KATALOG_") {
                command.env_remove(name);
            }
        }
        command.args(&self.arguments).args(&self.more).envs(self.environment.iter().cloned());
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

    /// Returns the whole lines of its standard error since the last call.
    pub(crate) fn new_errors(&mut self) -> String {
        let mut text = Vec::new();
        if let Ok(mut file) = File::open(&self.errors) {
            file.seek(SeekFrom::Start(self.errors_read)).unwrap();
            file.read_to_end(&mut text).unwrap();
        }
        text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        self.errors_read += text.len() as u64;
        String::from_utf8_lossy(&text).into_owned()
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
