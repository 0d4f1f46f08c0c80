//! Delivery to forward servers, and resuming from saved positions: the real program against servers that accept, refuse
//! and misbehave, and against an independent implementation.

mod addresses;
mod crash;
mod fan_out;
mod faulty_servers;
mod metrics;
mod modes;
mod notify;
mod private;
mod rotation;
mod ship;
mod signals;
mod slow_servers;
mod spool;
mod state;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

use crate::support::forward::{Event, Server};
use crate::support::{TIMEOUT, append_file, katalog, node_journal, wait_for_exit, wait_until, write_file};

/// Returns a log of Kata whose lines have distinct numbers.
fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers
        .map(|number| {
            let (seconds, source) = (number % 60, ["runtime", "virtcontainers", "proxy"][number % 3]);
            format!(
                "time=\"2031-01-01T00:00:{seconds:02}.{number:09}Z\" level=info msg=\"line {number}\" source={source}\n"
            )
        })
        .collect()
}

/// Returns the number of a line, from its event.
fn number(event: &Event) -> usize {
    event.text("kata_msg").and_then(|text| text.strip_prefix("line ")?.parse().ok()).unwrap()
}

/// Returns a command that ships to a server with these flags.
fn deliver_to(server: &Server, flags: &[&str]) -> Command {
    let mut command = katalog();
    command.args(["ship", "--to", &server.url()]).args(flags);
    command
}

/// Returns a command that delivers whole inputs, with these flags.
fn whole(flags: &[&str]) -> Command {
    let mut command = katalog();
    command.args(["ship", "--once", "--no-state"]).args(flags);
    command
}

/// Returns a command that delivers whole inputs to a server, with these flags.
fn whole_to(server: &Server, flags: &[&str]) -> Command {
    let mut command = whole(&["--to", &server.url()]);
    command.args(flags);
    command
}

/// Checks that every line has arrived. Returns the number of duplicates.
#[track_caller]
fn complete(events: &[Event], numbers: std::ops::Range<usize>) -> usize {
    let mut counts = vec![0_usize; numbers.end];
    events.iter().for_each(|event| counts[number(event)] += 1);
    let missing: Vec<usize> = numbers.clone().filter(|number| counts[*number] == 0).collect();
    assert!(missing.is_empty(), "lines that are missing: {missing:?}");
    events.len() - numbers.len()
}

/// The program in the background.
struct Running {
    child: Child,
}

impl Running {
    fn start(command: &mut Command) -> Running {
        Running { child: command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap() }
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the exit. Returns the status and standard error.
    #[track_caller]
    fn end(mut self) -> (ExitStatus, String) {
        let status = wait_for_exit(&mut self.child);
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (status, errors)
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    /// Ends the program. Prints what it said if the test has failed.
    fn drop(&mut self) {
        let status = self.child.try_wait();
        _ = self.child.kill();
        _ = self.child.wait();
        if let Some(mut stderr) = self.child.stderr.take().filter(|_| std::thread::panicking()) {
            let mut errors = String::new();
            _ = stderr.read_to_string(&mut errors);
            _ = writeln!(std::io::stderr(), "the program had ended: {status:?}; it said {errors:?}");
        }
    }
}

/// Runs to the end. Returns exit code and standard error.
fn run(command: &mut Command) -> (Option<i32>, String) {
    let (status, errors) = Running::start(command).end();
    (status.code(), errors)
}

/// Returns the records that the program writes of an input, each with its tag.
fn records(input: &Path, flags: &[&str]) -> Vec<Value> {
    let output = katalog().args(["--tag-key", "tag"]).args(flags).arg(input).output().unwrap();
    assert!(output.status.success());
    let values = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
    values.map(Result::unwrap).collect()
}
