//! One connection to a server.
//!
//! Sockets are non-blocking, and every wait is short, so that deadlines and a shutdown are noticed.

use std::io::{self, ErrorKind, Read as _};
use std::net::{self, IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};

use super::address_order::AddressOrder;
use super::tls::{TlsContext, TlsSession};
use crate::address::{Address, Transport};
use crate::error::Cause;
use crate::shutdown::Shutdown;

/// The limit on unacknowledged data, after which the system breaks a TCP connection. Without it, a vanished peer goes
/// unnoticed for a quarter of an hour.
pub(crate) const TCP_USER_TIMEOUT: Duration = Duration::from_secs(60);

/// The bytes that a TCP socket may hold unsent. Without this limit, a socket takes megabytes at once, and a server that
/// reads slowly seems to be silent. With it, the write makes progress as the server reads.
#[cfg(target_os = "linux")]
const MAX_UNSENT: u32 = 128 << 10;

/// The longest wait between two checks of the deadlines.
const MAX_POLL: Duration = Duration::from_millis(200);

/// The idle time before the first keepalive probe. Load balancers drop idle connections after about a minute.
const KEEPALIVE_TIME: Duration = Duration::from_secs(30);

/// A deadline of one operation, cut short by the deadline of a shutdown.
#[derive(Clone, Copy)]
pub(crate) struct Deadline<'s> {
    until: Instant,
    shutdown: &'s dyn Shutdown,
}

impl<'s> Deadline<'s> {
    /// Creates a deadline that is `after` from now.
    pub(crate) fn new(after: Duration, shutdown: &'s dyn Shutdown) -> Deadline<'s> {
        Deadline { until: Instant::now() + after, shutdown }
    }

    /// Returns the duration of the next wait, at most [`MAX_POLL`]. Returns `None` once the deadline has passed.
    pub(crate) fn next_wait(&self) -> Result<Option<Duration>, Cause> {
        let now = Instant::now();
        let deadline = self.shutdown.deadline();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Cause::Stopped);
        }
        let left = deadline.map_or(self.until, |deadline| deadline.min(self.until)).saturating_duration_since(now);
        Ok(if left.is_zero() { None } else { Some(left.min(MAX_POLL)) })
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    tls: Option<Box<TlsSession>>,
    /// Received bytes that no reply has consumed yet.
    pub(crate) input: Vec<u8>,
    used: Instant,
}

impl Connection {
    /// Connects to a server, with TLS if the address asks for it.
    pub(crate) fn open(
        address: &Address,
        trust: Option<&TlsContext>,
        order: &mut AddressOrder,
        time: Duration,
        shutdown: &dyn Shutdown,
    ) -> Result<Self, Cause> {
        let deadline = Deadline::new(time, shutdown);
        order.connected(None);
        let socket = match &address.transport {
            Transport::Unix { path } => {
                connect(&SockAddr::unix(path).map_err(Cause::Connect)?, Type::STREAM, &deadline)?
            }
            Transport::Tcp { host, port } | Transport::Tls { host, port, .. } => {
                connect_any(host, *port, Type::STREAM, order, &deadline)?
            }
            Transport::Udp { host, port } => connect_any(host, *port, Type::DGRAM, order, &deadline)?,
        };
        let Some(socket) = socket else { return Err(Cause::ConnectTimeout(time)) };
        order.connected(socket.peer_addr().ok().and_then(|peer| peer.as_socket()));
        let mut connection = Connection { socket, tls: None, input: Vec::new(), used: Instant::now() };
        if let (Transport::Tls { host, server_name, .. }, Some(trust)) = (&address.transport, trust) {
            connection.tls = Some(Box::new(TlsSession::new(trust, server_name.as_deref().unwrap_or(host))?));
            while connection.tls.as_ref().is_some_and(|session| session.is_handshaking()) {
                let more = connection.write_some(&mut &b""[..])?;
                if !more && !connection.receive()? && !wait(&connection.socket, connection.interest(), &deadline)? {
                    return Err(Cause::ConnectTimeout(time));
                }
            }
        }
        Ok(connection)
    }

    /// Writes bytes, as one datagram over UDP. The timeout limits the time without progress, not the whole write.
    ///
    /// Input that arrives during the write goes to `early_error`, which returns the error it announces, if any.
    pub(crate) fn send(
        &mut self,
        mut bytes: &[u8],
        time: Duration,
        shutdown: &dyn Shutdown,
        early_error: fn(&[u8]) -> Option<Cause>,
    ) -> Result<(), Cause> {
        self.used = Instant::now();
        if let Some(session) = &mut self.tls {
            session.queue(bytes)?;
            bytes = &[];
        }
        let mut deadline = Deadline::new(time, shutdown);
        loop {
            let mut interest = PollFlags::OUT;
            match self.write_some(&mut bytes) {
                Ok(true) => {
                    deadline = Deadline::new(time, shutdown);
                    continue;
                }
                Ok(false) if bytes.is_empty() && !self.wants_write() => return Ok(()),
                Ok(false) => {}
                Err(cause) => return Err(self.better_cause(cause, early_error)),
            }
            if self.input.is_empty() {
                interest |= PollFlags::IN;
            }
            if !wait(&self.socket, interest, &deadline)? {
                return Err(self.better_cause(Cause::WriteTimeout(time), early_error));
            }
            if self.input.is_empty() {
                self.receive()?;
                if let Some(cause) = early_error(&self.input) {
                    return Err(cause);
                }
            }
        }
    }

    /// Waits for input, but at most [`MAX_POLL`]. Returns false once the deadline has passed.
    pub(crate) fn wait_for_input(&mut self, deadline: &Deadline<'_>) -> Result<bool, Cause> {
        if !self.receive()? && !wait(&self.socket, self.interest(), deadline)? {
            return Ok(false);
        }
        // Key updates and alerts of TLS need an answer.
        if self.wants_write() {
            self.write_some(&mut &b""[..])?;
        }
        Ok(true)
    }

    /// Returns the time since the last use.
    pub(crate) fn idle_time(&self) -> Duration {
        self.used.elapsed()
    }

    /// Marks the connection as used now.
    pub(crate) fn mark_used(&mut self) {
        self.used = Instant::now();
    }

    /// Closes the write side.
    pub(crate) fn close_write(&mut self) {
        if let Some(session) = &mut self.tls {
            session.close();
            // Only the end of TLS is lost if the socket buffer is full.
            let _ = session.write_tls(&mut self.socket);
        }
        let _ = self.socket.shutdown(net::Shutdown::Write);
    }

    /// Takes the pending error of the socket, such as a reset after the peer had closed.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        self.socket.take_error().unwrap_or_else(Some)
    }

    /// Prefers the error in the input over `cause`: a server that stops reading sends a reason before it closes.
    fn better_cause(&mut self, cause: Cause, early_error: fn(&[u8]) -> Option<Cause>) -> Cause {
        if self.input.is_empty()
            && let Err(better @ (Cause::Tls(_) | Cause::TlsRefused(_))) = self.receive()
        {
            return better;
        }
        early_error(&self.input).unwrap_or(cause)
    }

    /// Writes to the socket once. Returns whether the system took any bytes.
    fn write_some(&mut self, bytes: &mut &[u8]) -> Result<bool, Cause> {
        let taken = match &mut self.tls {
            Some(session) => session.write_tls(&mut self.socket),
            None if bytes.is_empty() => Ok(0),
            None => self.socket.send(bytes).inspect(|taken| *bytes = bytes.get(*taken..).unwrap_or_default()),
        };
        match taken {
            Ok(taken) => Ok(taken > 0),
            Err(error) if is_retryable(&error) => Ok(false),
            Err(error) => Err(Cause::Broken(error)),
        }
    }

    /// Reads from the socket once. Returns whether input arrived.
    pub(crate) fn receive(&mut self) -> Result<bool, Cause> {
        if let Some(session) = &mut self.tls {
            return session.read_tls(&mut self.socket, &mut self.input);
        }
        let mut buffer = [0; 4096];
        match (&self.socket).read(&mut buffer) {
            Ok(0) => Err(Cause::Closed),
            Ok(count) => {
                self.input.extend_from_slice(buffer.get(..count).unwrap_or_default());
                Ok(true)
            }
            Err(error) if is_retryable(&error) => Ok(false),
            Err(error) => Err(Cause::Broken(error)),
        }
    }

    fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|session| session.wants_write())
    }

    /// Returns the events to poll for while a reply is due.
    fn interest(&self) -> PollFlags {
        if self.wants_write() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Ends TLS if the socket buffer has room. Otherwise the peer sees the connection close.
        if let Some(session) = &mut self.tls {
            session.close();
            let _ = session.write_tls(&mut self.socket);
        }
    }
}

/// Waits until the socket is ready, but at most [`MAX_POLL`]. Returns false once the deadline has passed.
fn wait(socket: &Socket, interest: PollFlags, deadline: &Deadline<'_>) -> Result<bool, Cause> {
    let Some(slice) = deadline.next_wait()? else { return Ok(false) };
    let slice = Timespec::try_from(slice).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 1_000_000 });
    match poll(&mut [PollFd::new(socket, interest)], Some(&slice)) {
        Ok(_) | Err(Errno::INTR) => Ok(true),
        Err(error) => Err(Cause::Broken(error.into())),
    }
}

/// Returns whether an operation may be tried again: the socket was not ready, or a signal interrupted it.
fn is_retryable(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Connects to the first address of a host that answers; `None` once the deadline has passed.
fn connect_any(
    host: &str,
    port: u16,
    kind: Type,
    order: &AddressOrder,
    deadline: &Deadline<'_>,
) -> Result<Option<Socket>, Cause> {
    let Some(mut addresses) = resolve(host, port, deadline)? else { return Ok(None) };
    order.sort(&mut addresses);
    connect_first(&addresses, kind, deadline)
}

fn connect_first(addresses: &[SocketAddr], kind: Type, deadline: &Deadline<'_>) -> Result<Option<Socket>, Cause> {
    let mut last = Cause::Resolve(io::Error::new(ErrorKind::NotFound, "it has no address"));
    let mut in_time = true;
    for (index, address) in addresses.iter().enumerate() {
        // Each address gets an equal share of the remaining time.
        let left = deadline.until.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match connect(&SockAddr::from(*address), kind, &Deadline::new(left / others.max(1), deadline.shutdown)) {
            Ok(Some(socket)) => return Ok(Some(socket)),
            Ok(None) => in_time = false,
            Err(Cause::Stopped) => return Err(Cause::Stopped),
            Err(cause) => (last, in_time) = (cause, true),
        }
    }
    if in_time { Err(last) } else { Ok(None) }
}

/// Resolves a host name, on each connection anew because addresses change. A thread of its own does it: the system's
/// resolver may block and cannot be interrupted.
fn resolve(host: &str, port: u16, deadline: &Deadline<'_>) -> Result<Option<Vec<SocketAddr>>, Cause> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(Some(vec![SocketAddr::new(address, port)]));
    }
    let (sender, receiver) = mpsc::channel();
    let name = host.to_owned();
    let ask = move || sender.send((name.as_str(), port).to_socket_addrs().map(Vec::from_iter));
    std::thread::Builder::new().name("resolve".to_owned()).spawn(ask).map_err(Cause::Resolve)?;
    while let Some(slice) = deadline.next_wait()? {
        match receiver.recv_timeout(slice) {
            Ok(answer) => return answer.map(Some).map_err(Cause::Resolve),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(Cause::Resolve(io::Error::other("nobody answered")));
            }
        }
    }
    Ok(None)
}

/// Connects to one address; `None` once the deadline has passed.
fn connect(to: &SockAddr, kind: Type, deadline: &Deadline<'_>) -> Result<Option<Socket>, Cause> {
    let socket = Socket::new(to.domain(), kind, None).map_err(Cause::Connect)?;
    socket.set_nonblocking(true).map_err(Cause::Connect)?;
    if to.domain() != Domain::UNIX && kind == Type::STREAM {
        // Requests are written whole, so delaying them gains nothing. None of these options justifies a failure.
        let _ = socket.set_tcp_nodelay(true);
        let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_TIME));
        #[cfg(target_os = "linux")]
        {
            let _ = socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT));
            let _ = socket.set_tcp_notsent_lowat(MAX_UNSENT);
        }
    }
    while let Err(error) = socket.connect(to) {
        if error.kind() == ErrorKind::WouldBlock {
            // The backlog of the Unix socket is full, and no event announces room.
            let Some(slice) = deadline.next_wait()? else { return Ok(None) };
            std::thread::sleep(slice);
        } else if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error())
            || error.kind() == ErrorKind::Interrupted
        {
            while socket.peer_addr().is_err() {
                if !wait(&socket, PollFlags::OUT, deadline)? {
                    return Ok(None);
                }
                if let Some(error) = socket.take_error().map_err(Cause::Connect)? {
                    return Err(Cause::Connect(error));
                }
            }
            break;
        } else {
            return Err(Cause::Connect(error));
        }
    }
    Ok(Some(socket))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// Returns the address of the connected server, or the failure.
    fn connected(addresses: &[SocketAddr], time: Duration) -> Result<Option<SocketAddr>, Cause> {
        let far = Instant::now() + Duration::from_secs(30);
        let socket = connect_first(addresses, Type::STREAM, &Deadline::new(time, &far))?;
        Ok(socket.map(|socket| socket.peer_addr().unwrap().as_socket().unwrap()))
    }

    #[test]
    fn the_first_address_that_answers_is_used() {
        let (_listening, good) = listener();
        // The address of a listener that is gone refuses connections.
        let (gone, closed) = listener();
        drop(gone);
        let far = Duration::from_secs(30);
        assert_eq!(connected(&[closed, good], far).unwrap(), Some(good));
        assert!(matches!(connected(&[closed, closed], far), Err(Cause::Connect(_))));
        assert!(matches!(connected(&[], far), Err(Cause::Resolve(_))));
        if let Ok(other) = TcpListener::bind("[::1]:0") {
            let other = other.local_addr().unwrap();
            assert_eq!(connected(&[closed, other, good], far).unwrap(), Some(other));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_address_that_does_not_answer_leaves_time_for_the_next() {
        let (_listening, good) = listener();
        // The system answers no connection to a listener whose backlog is full.
        let (silent, full) = listener();
        socket2::SockRef::from(&silent).listen(0).unwrap();
        let _waiting: Vec<_> =
            (0..2).map(|_| std::net::TcpStream::connect_timeout(&full, Duration::from_millis(100))).collect();
        assert_eq!(connected(&[full, good], Duration::from_millis(600)).unwrap(), Some(good));
        assert_eq!(connected(&[full, full], Duration::from_millis(100)).unwrap(), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_takes_little_more_than_the_server_reads() {
        let (_listening, address) = listener();
        let address = format!("forward://{address}").parse().unwrap();
        let far = Instant::now() + Duration::from_secs(30);
        let mut connection =
            Connection::open(&address, None, &mut AddressOrder::default(), Duration::from_secs(30), &far).unwrap();
        let buffer = vec![0; 16 << 20];
        let mut rest = buffer.as_slice();
        // The system moves the first bytes to the server, whose buffer is limited too.
        for _ in 0..10 {
            while connection.write_some(&mut rest).unwrap() {}
            std::thread::sleep(Duration::from_millis(10));
        }
        let taken = buffer.len() - rest.len();
        assert!(taken < 1 << 20, "{taken}");
    }
}
