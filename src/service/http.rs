//! Serves `/metrics`, `/healthz` and `/readyz` through HTTP/1.1, on a thread of its own.
//!
//! The server is for probes and scrapers, with one request a connection. Other clients can cost little: the number of
//! connections, their time and the size of requests are bounded. A new connection replaces the oldest one at the limit.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::service::prometheus;
use crate::service::status::{HUNG_AFTER, Status};

/// The maximum number of connections.
const MAX_CONNECTIONS: usize = 32;

/// The maximum time of a connection, from its first byte to its last.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum size of a request, and of its number of headers.
const MAX_REQUEST: usize = 8 << 10;
const MAX_HEADERS: usize = 64;

/// The maximum number of further reads, of 2 KiB at most, from a client that still sends after the response.
const MAX_LINGER_READS: usize = 64;

/// The pause after a failed `accept`. It prevents a busy loop when the system is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Starts the server and returns its address. With port 0 the system chooses a port.
///
/// # Errors
/// If the address cannot be used, or the host cannot start another thread.
pub fn listen(address: SocketAddr, status: Arc<Status>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let at = listener.local_addr()?;
    std::thread::Builder::new().name("health".to_owned()).spawn(move || serve(&listener, &status))?;
    Ok(at)
}

/// A connection: the request so far, and then the rest of the response.
struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    response: Option<Vec<u8>>,
    linger_reads: usize,
    deadline: Instant,
}

fn serve(listener: &TcpListener, status: &Status) {
    let mut connections: Vec<Connection> = Vec::new();
    loop {
        let mut waits = vec![PollFd::new(listener, PollFlags::IN)];
        waits.extend(connections.iter().map(|connection| PollFd::new(&connection.stream, connection.poll_flags())));
        let deadline = connections.iter().map(|connection| connection.deadline).min();
        let time =
            deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
        let time = time.map(|time| Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() });
        // The result does not matter: connections, deadlines and the listener are all checked.
        let _ = poll(&mut waits, time.as_ref());
        drop(waits);
        connections.retain_mut(|connection| connection.advance(status));
        for _ in 0..MAX_CONNECTIONS {
            match listener.accept() {
                Ok((stream, _)) if stream.set_nonblocking(true).is_ok() => {
                    if connections.len() == MAX_CONNECTIONS {
                        connections.remove(0);
                    }
                    let deadline = Instant::now() + CONNECTION_TIMEOUT;
                    let mut connection = Connection {
                        stream,
                        request: Vec::new(),
                        response: None,
                        linger_reads: MAX_LINGER_READS,
                        deadline,
                    };
                    if connection.advance(status) {
                        connections.push(connection);
                    }
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    std::thread::sleep(ACCEPT_PAUSE);
                    break;
                }
            }
        }
    }
}

impl Connection {
    fn poll_flags(&self) -> PollFlags {
        if self.response.as_ref().is_some_and(|response| !response.is_empty()) { PollFlags::OUT } else { PollFlags::IN }
    }

    /// Reads and writes without blocking. Returns false at the end of the connection.
    fn advance(&mut self, status: &Status) -> bool {
        Instant::now() < self.deadline && self.try_advance(status).unwrap_or(false)
    }

    fn try_advance(&mut self, status: &Status) -> io::Result<bool> {
        let mut buffer = [0; 2048];
        while self.response.is_none() {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(length) => self.request.extend(buffer.iter().take(length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            self.response = respond(&self.request, status);
        }
        while let Some(response) = self.response.as_mut().filter(|response| !response.is_empty()) {
            #[expect(clippy::disallowed_methods, reason = "the rest is written when there is room for it")]
            match self.stream.write(response) {
                Ok(0) => return Ok(false),
                Ok(length) => drop(response.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.response.as_ref().is_some_and(Vec::is_empty) {
                self.stream.shutdown(std::net::Shutdown::Write)?;
            }
        }
        // Closing a socket with unread data would reset the connection, and the client would lose the response.
        while self.linger_reads > 0 {
            self.linger_reads -= 1;
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// Returns the response to a request. Returns `None` if the request is incomplete.
fn respond(bytes: &[u8], status: &Status) -> Option<Vec<u8>> {
    let plain = "text/plain; charset=utf-8";
    let long = || response("431 Request Header Fields Too Large", plain, "the request is too long\n", true);
    if bytes.len() > MAX_REQUEST {
        return Some(long());
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let (method, path) = match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => (request.method.unwrap_or_default(), request.path.unwrap_or_default()),
        Ok(httparse::Status::Partial) => return None,
        Err(httparse::Error::TooManyHeaders) => return Some(long()),
        Err(_) => return Some(response("400 Bad Request", plain, "this is no HTTP/1.1\n", true)),
    };
    let body = match method {
        "GET" => true,
        "HEAD" => false,
        _ => return Some(response("405 Method Not Allowed\r\nAllow: GET, HEAD", plain, "only GET and HEAD\n", true)),
    };
    let (code, kind, text) = match path.split('?').next().unwrap_or_default() {
        "/metrics" => ("200 OK", prometheus::CONTENT_TYPE, prometheus::page(&status.snapshot())),
        "/healthz" if status.is_alive(HUNG_AFTER) => ("200 OK", plain, "it goes on\n".to_owned()),
        "/healthz" => ("503 Service Unavailable", plain, "a thread hangs\n".to_owned()),
        "/readyz" => match status.not_ready_reason() {
            None => ("200 OK", plain, "ready\n".to_owned()),
            Some(trouble) => ("503 Service Unavailable", plain, format!("{trouble}\n")),
        },
        _ => ("404 Not Found", plain, "there are /metrics, /healthz and /readyz\n".to_owned()),
    };
    Some(response(code, kind, &text, body))
}

fn response(code: &str, kind: &str, text: &str, body: bool) -> Vec<u8> {
    let length = text.len();
    let head = format!(
        "HTTP/1.1 {code}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\nConnection: \
         close\r\n\r\n"
    );
    let mut response = head.into_bytes();
    if body {
        response.extend(text.as_bytes());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(request: &[u8]) -> Option<String> {
        respond(request, &Status::default()).map(|response| String::from_utf8(response).unwrap())
    }

    #[test]
    fn what_is_asked_is_answered() {
        for (request, begins, ends) in [
            ("GET /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4", "\n"),
            ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\n"),
            ("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n", "close\r\n\r\n"),
            ("GET /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n", "it goes on\n"),
            ("GET /readyz HTTP/1.1\r\n\r\n", "HTTP/1.1 503 Service Unavailable\r\n", "no input is open yet\n"),
            ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", "/readyz\n"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n", "HEAD\n"),
            ("\x16\x03\x01\x02\x00\x01\x00", "HTTP/1.1 400 Bad Request\r\n", "HTTP/1.1\n"),
            ("GET /metrics HTTP/2.0\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "HTTP/1.1\n"),
        ] {
            let text = answered(request.as_bytes()).unwrap();
            assert!(text.starts_with(begins) && text.ends_with(ends), "{request:?}: {text}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1));
        assert!(answered(many.as_bytes()).unwrap().starts_with("HTTP/1.1 431 "));
    }

    #[test]
    fn a_request_is_waited_for_as_long_as_it_may_be() {
        assert_eq!(answered(b"GET /metr"), None);
        assert_eq!(answered(b""), None);
        let long = [b"GET /".as_slice(), &[b'a'; MAX_REQUEST]].concat();
        assert!(answered(&long).unwrap().starts_with("HTTP/1.1 431 "));
        assert_eq!(answered(&long[..MAX_REQUEST]), None);
    }
}
