//! Answers those who ask how it goes: `/metrics`, `/healthz` and `/readyz` through HTTP/1.1, on a thread of its own.
//!
//! It is for probes and scrapers, one request a connection. Whoever else connects can cost little: there are so many
//! connections, the oldest goes where one more comes, each has so much time in all, and a request is so long at most.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::service::prometheus;
use crate::service::status::{HUNG_AFTER, Status};

/// How many connections there may be.
const MAX_CONNECTIONS: usize = 32;

/// How long a connection may take, from the first byte to the last.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest request, and how many headers it may have.
const MAX_REQUEST: usize = 8 << 10;
const MAX_HEADERS: usize = 64;

/// How many more reads there are, of 2 KiB at most, for who still sends when the answer is out.
const MAX_LINGER_READS: usize = 64;

/// One pause where the system has no room for another connection, so that it is not asked without end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Begins to answer, and says where: with port 0 the system chooses one.
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

/// A connection: what it has asked so far, and then what is left of the answer.
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
        // Whether it was a connection, the end of the time or a signal: all are looked at.
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

    /// Does what can be done without waiting. False if it is over.
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
        // To close on what was not read would take the answer away from who still sends.
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

/// The answer to what has come so far; none if that is not the whole request.
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
