//! The server's end of a connection, over any transport, with the faults that the script gives it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::script::{ConnectionScript, CutPoint};
use super::state::State;
use super::wire::{Scanner, WireError};

/// An accepted connection.
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    pub(super) fn another(&self) -> io::Result<Socket> {
        Ok(match self {
            Socket::Tcp(stream) => Socket::Tcp(stream.try_clone()?),
            Socket::Unix(stream) => Socket::Unix(stream.try_clone()?),
        })
    }

    /// Shuts down both directions, which ends a pending read.
    pub(super) fn close(&self) {
        _ = match self {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

/// A connection with or without TLS.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    fn both(&mut self) -> &mut dyn ReadWrite {
        match self {
            Stream::Tcp(stream) => stream,
            Stream::Unix(stream) => stream,
            Stream::Tls(stream) => stream.as_mut(),
        }
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// Properties of a TLS client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsClient {
    /// The host name that the client asked for.
    pub(crate) server_name: Option<String>,
    /// True for TLS 1.3, false for 1.2.
    pub(crate) newest: bool,
    /// True if the client has a certificate.
    pub(crate) certificate: bool,
}

/// The reason that nothing more comes.
#[derive(Debug)]
pub(super) enum End {
    /// The client closed.
    Closed,
    /// The script closes here.
    Cut,
    /// The server stops.
    Stopped,
    /// The connection failed.
    Failed(io::Error),
    /// The bytes are not `MessagePack`.
    WireError(WireError),
}

/// A connection from which values are read.
pub(super) struct Connection<'a> {
    stream: Stream,
    conduct: ConnectionScript,
    state: &'a State,
    held: Vec<u8>,
    /// Bytes read, and requests begun.
    read: u64,
    requests: usize,
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        socket: Socket,
        tls: Option<Arc<ServerConfig>>,
        conduct: ConnectionScript,
        state: &'a State,
    ) -> io::Result<Connection<'a>> {
        let stream = match (socket, tls) {
            (Socket::Tcp(stream), None) => Stream::Tcp(stream),
            (Socket::Unix(stream), _) => Stream::Unix(stream),
            (Socket::Tcp(mut stream), Some(config)) => {
                let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
                while connection.is_handshaking() {
                    connection.complete_io(&mut stream)?;
                }
                state.log().tls.push(TlsClient {
                    server_name: connection.server_name().map(str::to_owned),
                    newest: connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3),
                    certificate: connection.peer_certificates().is_some(),
                });
                Stream::Tls(Box::new(StreamOwned::new(connection, stream)))
            }
        };
        Ok(Connection { stream, conduct, state, held: Vec::new(), read: 0, requests: 0 })
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.stream.both();
        stream.write_all(bytes)?;
        stream.flush()
    }

    /// Returns true if more bytes came together with the last value.
    pub(super) fn has_more(&self) -> bool {
        !self.held.is_empty()
    }

    /// Reads the next request.
    pub(super) fn request(&mut self) -> Result<Vec<u8>, End> {
        let request = self.value(Some(self.requests))?;
        self.requests += 1;
        Ok(request)
    }

    /// Reads the next value outside a request.
    pub(super) fn greeting(&mut self) -> Result<Vec<u8>, End> {
        self.value(None)
    }

    fn value(&mut self, request: Option<usize>) -> Result<Vec<u8>, End> {
        let begin = self.read - self.held.len() as u64;
        let reached = |place: Option<CutPoint>| match place? {
            CutPoint::Byte(byte) => Some(byte),
            CutPoint::Inside(number, byte) => (Some(number) == request).then_some(begin + byte),
        };
        let (cut, stalled) = (reached(self.conduct.cut), reached(self.conduct.stalled));
        let mut scanner = Scanner::new();
        let mut piece = vec![0; 64 << 10];
        loop {
            let rest = |place: Option<u64>| place.map_or(u64::MAX, |place| place.saturating_sub(self.read));
            if rest(cut) == 0 {
                return Err(End::Cut);
            }
            if rest(stalled) == 0 {
                self.state.wait_for_stop();
                return Err(End::Stopped);
            }
            if let Some(end) = scanner.end(&self.held).map_err(End::WireError)? {
                let behind = self.held.split_off(end);
                return Ok(std::mem::replace(&mut self.held, behind));
            }
            let mut most = rest(cut).min(rest(stalled)).min(piece.len() as u64) as usize;
            if let Some((bytes, pause)) = self.conduct.throttled {
                most = most.min(bytes);
                if self.state.rest(pause) {
                    return Err(End::Stopped);
                }
            }
            match self.stream.both().read(&mut piece[..most]) {
                Ok(0) => return Err(End::Closed),
                Ok(size) => {
                    self.held.extend_from_slice(&piece[..size]);
                    self.read += size as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(End::Failed(error)),
            }
        }
    }
}
