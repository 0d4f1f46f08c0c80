//! Delivery to servers of syslog: the program as it is, against sockets that keep what they get, and against rsyslog.

mod broken;
mod messages;
mod rsyslog;

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::support::katalog;

/// How long a test waits for what has to come.
const SOON: Duration = Duration::from_secs(30);

/// A server of TCP that hands over what it read from each connection.
struct Listener {
    address: SocketAddr,
    received: Receiver<Vec<u8>>,
}

impl Listener {
    /// Reads every connection to its end.
    fn start() -> Listener {
        Listener::scripted(|_, stream, bytes| _ = stream.read_to_end(bytes))
    }

    /// Does with each connection, by its number, what the script says.
    fn scripted(script: impl Fn(usize, &mut TcpStream, &mut Vec<u8>) + Send + 'static) -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = channel();
        std::thread::spawn(move || {
            for number in 0.. {
                let Ok((mut stream, _)) = listener.accept() else { return };
                let mut bytes = Vec::new();
                script(number, &mut stream, &mut bytes);
                // Before the client sees the end of it.
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

    /// What came on the next connection that ended.
    #[track_caller]
    fn next(&self) -> Vec<u8> {
        self.received.recv_timeout(SOON).unwrap()
    }
}

/// The messages of a connection, each after its length.
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

/// The first message, and what is behind it; none where it is not whole.
fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().unwrap();
    bytes[space + 1..].split_at_checked(length)
}

fn node() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/inputs/node.ndjson")
}

/// The program with these flags, on its way to a server.
fn to(url: &str, flags: &[&str]) -> Command {
    let mut command = katalog();
    command.args(["--to", url, "--self-hostname", "here"]).args(flags);
    command
}

/// Runs to the end, and gives what was said.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {said}", output.status);
    assert!(output.stdout.is_empty());
    said
}

/// Runs what cannot be, and gives the exit code and what was said.
fn refused(flags: &[&str]) -> (Option<i32>, String) {
    let output = katalog().args(flags).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}
