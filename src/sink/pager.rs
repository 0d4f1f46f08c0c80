//! The pager, a program that shows standard output page by page. It starts without a shell.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::diagnostics;

/// The pager without `$PAGER`: it ends at once if the text fits on the screen, and shows colors.
const DEFAULT: &str = "less -FRX";

/// Settings of `less` and `lv` so that they show colors, unless the user has settings of their own. git has these too.
const VARIABLES: [(&str, &str); 2] = [("LESS", "FRX"), ("LV", "-c")];

/// A pager runs.
static IS_RUNNING: AtomicBool = AtomicBool::new(false);

/// Returns whether a pager runs.
#[must_use]
pub fn pager_runs() -> bool {
    IS_RUNNING.load(Ordering::Acquire)
}

/// A running pager. Dropping it waits until the user leaves the pager.
#[derive(Debug)]
pub(super) struct Pager {
    /// Waits for the end of the program.
    waiter: Option<JoinHandle<()>>,
}

/// An error of the pager.
#[derive(Debug, thiserror::Error)]
pub enum PagerError {
    /// The command cannot be split into words.
    #[error("PAGER: cannot read the command {command:?}: a quote is open")]
    OpenQuote {
        /// The command.
        command: String,
    },
    /// The program cannot be started.
    #[error("PAGER: cannot start {program:?}: {source}")]
    Start {
        /// The program.
        program: String,
        /// The error of the system.
        source: io::Error,
    },
}

/// Splits the command of the user, or of the default, into words; empty words mean no pager.
pub(super) fn words(command: Option<&str>) -> Result<Vec<String>, PagerError> {
    let command = command.unwrap_or(DEFAULT);
    let words = shlex::split(command).ok_or_else(|| PagerError::OpenQuote { command: command.to_owned() })?;
    // `cat` shows what the terminal shows without it.
    Ok(if words.first().is_some_and(|program| program == "cat") && words.len() == 1 { Vec::new() } else { words })
}

impl Pager {
    /// Starts a pager. Returns the file for its input.
    pub(super) fn start(words: &[String]) -> Result<(File, Pager), PagerError> {
        let program = words.first().map_or("", String::as_str);
        let failed = |source| PagerError::Start { program: program.to_owned(), source };
        let mut command = Command::new(program);
        command.args(words.iter().skip(1)).stdin(Stdio::piped());
        for (name, value) in VARIABLES {
            if std::env::var_os(name).is_none() {
                command.env(name, value);
            }
        }
        let mut child = command.spawn().map_err(failed)?;
        let input = child.stdin.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        // Messages would be drawn over.
        diagnostics::hold();
        IS_RUNNING.store(true, Ordering::Release);
        let wait = move || {
            // The exit code of the pager says nothing about the records.
            let _ = child.wait();
            IS_RUNNING.store(false, Ordering::Release);
            diagnostics::release();
        };
        let waiter = thread::Builder::new().name("pager".to_owned()).spawn(wait).map_err(failed)?;
        Ok((File::from(OwnedFd::from(input)), Pager { waiter: Some(waiter) }))
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        // The pager draws on the terminal until it ends.
        let _ = self.waiter.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_as_a_shell_does() {
        for (command, expected) in [
            (None, &["less", "-FRX"][..]),
            (Some("most -s"), &["most", "-s"]),
            (Some("'/opt/my pager' -x \"a b\""), &["/opt/my pager", "-x", "a b"]),
            (Some("cat"), &[]),
            (Some(" "), &[]),
            (Some("cat -v"), &["cat", "-v"]),
            (Some("less; rm -r x"), &["less;", "rm", "-r", "x"]),
        ] {
            assert_eq!(words(command).unwrap(), expected, "{command:?}");
        }
        assert!(words(Some("less 'x")).unwrap_err().to_string().contains("less 'x"));
    }
}
