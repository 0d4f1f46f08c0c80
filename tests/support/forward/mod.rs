//! A scripted server of the forward protocol: it accepts, refuses, delays and corrupts as a test asks, and keeps every
//! request. Receivers that only count, and an independent server, are here as well.
//!
//! ```text
//! let server = Server::start(Script::default().replies(|request| match request.number {
//!     0 => Reply::Lose,
//!     _ => Reply::Ack,
//! }));
//! // … katalog --to server.url() …
//! let events = server.wait_for_events(3);
//! assert_eq!(server.requests()[0].bytes, server.requests()[1].bytes);
//! let address = server.stop();
//! let server = Server::on(address, Script::default());
//! ```

mod connection;
pub(crate) mod count;
pub(crate) mod decompress;
pub(crate) mod event;
mod faults;
pub(crate) mod handshake;
pub(crate) mod node;
pub(crate) mod script;
mod serve;
mod state;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
pub(crate) mod wire;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) use event::Event;
pub(crate) use handshake::Ping;
pub(crate) use script::{ConnectionScript, CutPoint, Reply, Script};
pub(crate) use state::{Log, Request};

use connection::Socket;
use state::State;

/// A listening address.
#[derive(Clone, Debug)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A server that runs until it is stopped or dropped.
pub(crate) struct Server {
    state: Arc<State>,
    address: Address,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a free port.
    pub(crate) fn start(script: Script) -> Server {
        Server::on(SocketAddr::from(([127, 0, 0, 1], 0)), script)
    }

    /// Listens on an address of the loopback device that no other server of any test has. While the server is stopped,
    /// its port stays free, so a client does not get to another test.
    pub(crate) fn apart(script: Script) -> Server {
        static COUNT: AtomicU8 = AtomicU8::new(0);
        let [.., high, low] = std::process::id().to_be_bytes();
        let number = COUNT.fetch_add(1, Ordering::Relaxed) % 250 + 2;
        Server::on(SocketAddr::from(([127, number, high, low], 0)), script)
    }

    /// Listens on the address of an earlier server.
    pub(crate) fn on(address: SocketAddr, script: Script) -> Server {
        let listener = listen(address);
        let address = Address::Tcp(listener.local_addr().unwrap());
        Server::run(address, script, move || listener.accept().map(|(stream, _)| Socket::Tcp(stream)))
    }

    /// Listens on a Unix socket. Removes an existing file.
    pub(crate) fn unix(path: &Path, script: Script) -> Server {
        _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).unwrap();
        let address = Address::Unix(path.to_owned());
        Server::run(address, script, move || listener.accept().map(|(stream, _)| Socket::Unix(stream)))
    }

    fn run(address: Address, script: Script, accept: impl Fn() -> std::io::Result<Socket> + Send + 'static) -> Server {
        let state = Arc::new(State::new(script));
        let shared = Arc::clone(&state);
        let acceptor = std::thread::spawn(move || serve::accept(&shared, accept));
        Server { state, address, acceptor: Some(acceptor) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match &self.address {
            Address::Tcp(address) => *address,
            Address::Unix(path) => panic!("{} has no port", path.display()),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address().port()
    }

    /// Returns the value for `--to`.
    pub(crate) fn url(&self) -> String {
        format!("forward://{}", self.address())
    }

    /// Replaces the script. Open connections keep their conduct and greeting.
    pub(crate) fn script(&self, script: Script) {
        self.state.set_script(script);
    }

    /// Returns everything seen so far.
    pub(crate) fn log(&self) -> Log {
        self.state.log().clone()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.log().events
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log().requests
    }

    pub(crate) fn pings(&self) -> Vec<Ping> {
        self.log().pings
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.log().faults
    }

    pub(crate) fn connections(&self) -> usize {
        self.log().connections
    }

    /// Waits until the condition holds, and fails after a timeout.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, holds: impl FnMut(&Log) -> bool) -> Log {
        self.state.wait(what, holds)
    }

    /// Waits until this many events were accepted.
    #[track_caller]
    pub(crate) fn wait_for_events(&self, count: usize) -> Vec<Event> {
        self.wait(&format!("event {count}"), |log| log.events.len() >= count).events
    }

    /// Waits until this many requests were complete.
    #[track_caller]
    pub(crate) fn wait_for_requests(&self, count: usize) -> Vec<Request> {
        self.wait(&format!("request {count}"), |log| log.requests.len() >= count).requests
    }

    /// Closes everything. Returns the address, on which nobody listens any more.
    pub(crate) fn stop(mut self) -> SocketAddr {
        self.end();
        self.address()
    }

    fn end(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.state.stop();
        // One more connection wakes the acceptor.
        match &self.address {
            Address::Tcp(address) => drop(TcpStream::connect(address)),
            Address::Unix(path) => drop(UnixStream::connect(path)),
        }
        let ended = acceptor.join();
        assert!(ended.is_ok() || std::thread::panicking(), "the server failed");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Listens, retrying while connections of an earlier server on the port are closing.
pub(crate) fn listen(address: SocketAddr) -> TcpListener {
    let start = Instant::now();
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(10), "{address}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
