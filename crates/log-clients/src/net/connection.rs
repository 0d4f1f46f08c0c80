//! One connection to a server: opened, written to and read from without ever waiting longer than a slice of time, so
//! that time limits and the wish to end are noticed.

use std::io::{self, ErrorKind, Read as _};
use std::net::{self, IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};

use super::tls::{TlsContext, TlsSession};
use crate::address::{Address, Transport};
use crate::error::Cause;
use crate::shutdown::Shutdown;

/// After so long without an acknowledgement of the other system, a TCP connection is broken: where that system is gone,
/// nothing else says so for a quarter of an hour.
pub(crate) const TCP_USER_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest wait without a look at the clock and at whether to end.
const MAX_POLL: Duration = Duration::from_millis(200);

/// When the system asks whether a silent server is still there. Load balancers forget connections after a minute.
const KEEPALIVE_TIME: Duration = Duration::from_secs(30);

/// How long something may take, unless the end is asked for before.
#[derive(Clone, Copy)]
pub(crate) struct Deadline<'s> {
    until: Instant,
    shutdown: &'s dyn Shutdown,
}

impl<'s> Deadline<'s> {
    /// A limit that begins now.
    pub(crate) fn new(after: Duration, shutdown: &'s dyn Shutdown) -> Deadline<'s> {
        Deadline { until: Instant::now() + after, shutdown }
    }

    /// How long to wait next; none once the time is over.
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
    /// What has arrived and was not taken yet.
    pub(crate) input: Vec<u8>,
    used: Instant,
}

impl Connection {
    /// Connects to a server, with TLS where the address says so.
    pub(crate) fn open(
        address: &Address,
        trust: Option<&TlsContext>,
        time: Duration,
        shutdown: &dyn Shutdown,
    ) -> Result<Self, Cause> {
        let deadline = Deadline::new(time, shutdown);
        let socket = match &address.transport {
            Transport::Unix { path } => {
                connect(&SockAddr::unix(path).map_err(Cause::Connect)?, Type::STREAM, &deadline)?
            }
            Transport::Tcp { host, port } | Transport::Tls { host, port, .. } => {
                connect_any(host, *port, Type::STREAM, &deadline)?
            }
            Transport::Udp { host, port } => connect_any(host, *port, Type::DGRAM, &deadline)?,
        };
        let Some(socket) = socket else { return Err(Cause::ConnectTimeout(time)) };
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

    /// Writes bytes, to a server of datagrams as one of them. The limit is on the time without progress, not on the whole.
    /// What a server says before it has read everything is looked at meanwhile: `objection` says what is wrong by it.
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

    /// Waits for a slice of time until something arrives; false once all of the time is over.
    pub(crate) fn wait_for_input(&mut self, deadline: &Deadline<'_>) -> Result<bool, Cause> {
        if !self.receive()? && !wait(&self.socket, self.interest(), deadline)? {
            return Ok(false);
        }
        // Answers to the key updates and alerts of TLS.
        if self.wants_write() {
            self.write_some(&mut &b""[..])?;
        }
        Ok(true)
    }

    /// For how long it was not used.
    pub(crate) fn idle_time(&self) -> Duration {
        self.used.elapsed()
    }

    /// Takes note that it is in use.
    pub(crate) fn mark_used(&mut self) {
        self.used = Instant::now();
    }

    /// Says that nothing more is sent.
    pub(crate) fn close_write(&mut self) {
        if let Some(session) = &mut self.tls {
            session.close();
            // What the system does not take at once is the end of TLS alone.
            let _ = session.write_tls(&mut self.socket);
        }
        let _ = self.socket.shutdown(net::Shutdown::Write);
    }

    /// What went wrong since it was looked at last, such as that bytes came to a system where nobody listened any more.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        self.socket.take_error().unwrap_or_else(Some)
    }

    /// A server that will not read says why before it closes; that is the better cause.
    fn better_cause(&mut self, cause: Cause, early_error: fn(&[u8]) -> Option<Cause>) -> Cause {
        if self.input.is_empty()
            && let Err(better @ (Cause::Tls(_) | Cause::TlsRefused(_))) = self.receive()
        {
            return better;
        }
        early_error(&self.input).unwrap_or(cause)
    }

    /// Hands bytes to the system, and says whether it took any.
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

    /// Takes what has arrived, and says whether anything had.
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

    /// What to wait for where an answer is expected.
    fn interest(&self) -> PollFlags {
        if self.wants_write() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The end of TLS is said, if the system takes it at once. Whoever does not hear it sees the connection close.
        if let Some(session) = &mut self.tls {
            session.close();
            let _ = session.write_tls(&mut self.socket);
        }
    }
}

/// Waits until the socket is ready or a slice of time is over; false once all of the time is.
fn wait(socket: &Socket, interest: PollFlags, deadline: &Deadline<'_>) -> Result<bool, Cause> {
    let Some(slice) = deadline.next_wait()? else { return Ok(false) };
    let slice = Timespec::try_from(slice).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 1_000_000 });
    match poll(&mut [PollFd::new(socket, interest)], Some(&slice)) {
        Ok(_) | Err(Errno::INTR) => Ok(true),
        Err(error) => Err(Cause::Broken(error.into())),
    }
}

/// Not ready, or interrupted by a signal: both mean to look again.
fn is_retryable(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Tries the addresses of a host in the order of the system; none once the time is over.
fn connect_any(host: &str, port: u16, kind: Type, deadline: &Deadline<'_>) -> Result<Option<Socket>, Cause> {
    let Some(addresses) = resolve(host, port, deadline)? else { return Ok(None) };
    let mut last = Cause::Resolve(io::Error::new(ErrorKind::NotFound, "it has no address"));
    let mut in_time = true;
    for (index, address) in addresses.iter().enumerate() {
        // One that does not answer leaves time to the others.
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

/// The addresses of a host, asked for anew each time, since they may change. The system can take long to answer and
/// cannot be interrupted, so somebody else waits for it.
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

/// Connects to one address; none once the time is over.
fn connect(to: &SockAddr, kind: Type, deadline: &Deadline<'_>) -> Result<Option<Socket>, Cause> {
    let socket = Socket::new(to.domain(), kind, None).map_err(Cause::Connect)?;
    socket.set_nonblocking(true).map_err(Cause::Connect)?;
    if to.domain() != Domain::UNIX && kind == Type::STREAM {
        // Requests are written whole, so there is nothing to collect. None of the settings is worth a failure.
        let _ = socket.set_tcp_nodelay(true);
        let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_TIME));
        #[cfg(target_os = "linux")]
        let _ = socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT));
    }
    while let Err(error) = socket.connect(to) {
        if error.kind() == ErrorKind::WouldBlock {
            // The queue of a Unix socket is full, and nothing says when it no longer is.
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
