//! Delivery to syslog servers: the real program, against sockets that keep the bytes, and against rsyslog.

mod disconnects;
mod messages;
mod rsyslog;

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::support::{TIMEOUT, katalog, node_journal, stderr, wait_for_exit, wait_until};

/// A TCP server that returns the bytes of each connection.
struct Listener {
    address: SocketAddr,
    received: Receiver<Vec<u8>>,
}

impl Listener {
    /// Reads every connection to its end.
    fn start() -> Listener {
        Listener::scripted(|_, stream, bytes| _ = stream.read_to_end(bytes))
    }

    /// Handles each connection by the script, which gets its number.
    fn scripted(script: impl Fn(usize, &mut TcpStream, &mut Vec<u8>) + Send + 'static) -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = channel();
        std::thread::spawn(move || {
            for number in 0.. {
                let Ok((mut stream, _)) = listener.accept() else { return };
                let mut bytes = Vec::new();
                script(number, &mut stream, &mut bytes);
                // Before the client sees the end of the connection.
                if sender.send(bytes).is_err() {
                    return;
                }
                drop(stream);
            }
        });
        Listener { address, received }
    }

    fn url(&self) -> String {
        format!("syslog+tcp://{}", self.address)
    }

    /// Returns the bytes of the next connection that ended.
    #[track_caller]
    fn next(&self) -> Vec<u8> {
        self.received.recv_timeout(TIMEOUT).unwrap()
    }
}

/// Returns the messages of a connection, each preceded by its length.
#[track_caller]
fn counted(mut bytes: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let (message, rest) = first(bytes).unwrap_or_else(|| panic!("{}", bytes.escape_ascii()));
        messages.push(String::from_utf8(message.to_vec()).unwrap());
        bytes = rest;
    }
    messages
}

/// Splits the first message from the rest. Returns `None` if it is incomplete.
fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().unwrap();
    bytes[space + 1..].split_at_checked(length)
}

/// Returns a command that ships to a server with these flags.
fn deliver_to(url: &str, flags: &[&str]) -> Command {
    let mut command = katalog();
    command.args(["ship", "--to", url, "--self-hostname", "here"]).args(flags);
    command
}

/// Returns a command that delivers whole inputs to a server, with these flags.
fn whole_to(url: &str, flags: &[&str]) -> Command {
    let mut command = deliver_to(url, &["--once", "--no-state"]);
    command.args(flags);
    command
}

/// Runs to the end. Returns standard error.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = stderr(&output);
    assert!(output.status.success(), "{}: {errors}", output.status);
    assert!(output.stdout.is_empty());
    errors
}

/// Runs an invalid delivery of whole inputs. Returns exit code and standard error.
fn refused(flags: &[&str]) -> (Option<i32>, String) {
    let output = katalog().args(["ship", "--once", "--no-state"]).args(flags).output().unwrap();
    (output.status.code(), stderr(&output))
}
