//! A scripted forward server in this process.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmpv::Value;

/// A stream that scripts read from and write to.
pub(super) trait Stream: Read + Write + Send {
    /// Closes the write side.
    fn finish(&mut self);
}

impl Stream for TcpStream {
    fn finish(&mut self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl Stream for UnixStream {
    fn finish(&mut self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

/// One connection of a server.
pub(super) struct Peer {
    /// The number of earlier connections.
    pub(super) number: usize,
    pub(super) stream: Box<dyn Stream>,
    seen: Arc<Mutex<Vec<Request>>>,
}

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) tag: String,
    pub(super) id: String,
    /// The values of `m`, in order.
    pub(super) texts: Vec<String>,
    pub(super) value: Value,
}

impl Peer {
    /// Reads the next value; `None` after the client has closed.
    pub(super) fn value(&mut self) -> Option<Value> {
        rmpv::decode::read_value(&mut self.stream).ok()
    }

    /// Reads the next request, and records it for the test.
    pub(super) fn request(&mut self) -> Option<Request> {
        let value = self.value()?;
        let mut texts = Vec::new();
        let mut take = |entry: &Value| texts.push(entry[1]["m"].as_str().unwrap().to_owned());
        match &value[1] {
            Value::Binary(entries) => {
                let mut rest = entries.as_slice();
                while !rest.is_empty() {
                    take(&rmpv::decode::read_value(&mut rest).unwrap());
                }
            }
            Value::Array(entries) => entries.iter().for_each(take),
            time => take(&Value::Array(vec![time.clone(), value[2].clone()])),
        }
        let options = value.as_array()?.last()?;
        assert_eq!(options["size"].as_u64(), Some(texts.len() as u64));
        let id = options["chunk"].as_str().unwrap().to_owned();
        let request = Request { tag: value[0].as_str().unwrap().to_owned(), id, texts, value };
        self.seen.lock().unwrap().push(request.clone());
        Some(request)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
        let _ = self.stream.flush();
    }

    pub(super) fn ack(&mut self, id: &str) {
        self.send(&ack(id));
    }

    /// Acknowledges every request until the client closes.
    pub(super) fn serve(&mut self) {
        while let Some(request) = self.request() {
            self.ack(&request.id);
        }
    }

    /// Reads until the client closes.
    pub(super) fn ignore(&mut self) {
        let mut buffer = [0; 4096];
        while self.stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
    }
}

pub(super) fn ack(id: &str) -> Vec<u8> {
    let mut bytes = b"\x81\xa3ack".to_vec();
    rmpv::encode::write_value(&mut bytes, &Value::from(id)).unwrap();
    bytes
}

/// A server that runs until the process ends.
pub(super) struct Server {
    address: String,
    seen: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Starts a server on a free port.
    pub(super) fn start(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Server {
        Server::wrapped("forward", |stream| Some(Box::new(stream)), script)
    }

    /// Starts a server that wraps each stream first.
    pub(super) fn wrapped(
        scheme: &str,
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + 'static,
        script: impl Fn(&mut Peer) + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
        Server::listening(listener, address, wrap, script)
    }

    /// Starts a server on the loopback address of IPv6; `None` on a host without one.
    pub(super) fn ipv6(
        scheme: &str,
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + 'static,
    ) -> Option<Server> {
        let listener = TcpListener::bind("[::1]:0").ok()?;
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        Some(Server::listening(listener, address, wrap, Peer::serve))
    }

    fn listening(
        listener: TcpListener,
        address: String,
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + 'static,
        script: impl Fn(&mut Peer) + Send + Sync + 'static,
    ) -> Server {
        let next = move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            wrap(stream)
        };
        Server::run(address, next, script)
    }

    /// Starts a server on a Unix socket.
    pub(super) fn unix(path: &Path, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Server {
        let listener = UnixListener::bind(path).unwrap();
        Server::run(format!("unix:{}", path.display()), move || Some(Box::new(listener.accept().unwrap().0)), script)
    }

    fn run(
        address: String,
        next: impl Fn() -> Option<Box<dyn Stream>> + Send + 'static,
        script: impl Fn(&mut Peer) + Send + Sync + 'static,
    ) -> Server {
        let server = Server { address, seen: Arc::default(), connections: Arc::default() };
        let (seen, connections, script) = (Arc::clone(&server.seen), Arc::clone(&server.connections), Arc::new(script));
        std::thread::spawn(move || {
            loop {
                let Some(stream) = next() else { continue };
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let mut peer = Peer { number, stream, seen: Arc::clone(&seen) };
                let script = Arc::clone(&script);
                std::thread::spawn(move || script(&mut peer));
            }
        });
        server
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Returns the recorded requests.
    pub(super) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// Returns the texts of all recorded entries.
    pub(super) fn texts(&self) -> Vec<String> {
        self.seen().into_iter().flat_map(|request| request.texts).collect()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}
