//! One connection to a server: opened, written to and read from without ever waiting longer than a slice of time, so
//! that time limits and the wish to end are noticed.

use std::io::{self, ErrorKind, Read as _};
use std::net::{self, IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};

use super::tls::{Session, Trust};
use crate::address::{Address, Place};
use crate::error::Cause;
use crate::shutdown::Shutdown;

/// After so long without an acknowledgement of the other system, a TCP connection is broken: where that system is gone,
/// nothing else says so for a quarter of an hour.
pub(crate) const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// The longest wait without a look at the clock and at whether to end.
const SLICE: Duration = Duration::from_millis(200);

/// When the system asks whether a silent server is still there. Load balancers forget connections after a minute.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// How long something may take, unless the end is asked for before.
#[derive(Clone, Copy)]
pub(crate) struct Limit<'s> {
    until: Instant,
    stop: &'s dyn Shutdown,
}

impl<'s> Limit<'s> {
    /// A limit that begins now.
    pub(crate) fn new(after: Duration, stop: &'s dyn Shutdown) -> Limit<'s> {
        Limit { until: Instant::now() + after, stop }
    }

    /// How long to wait next; none once the time is over.
    pub(crate) fn slice(&self) -> Result<Option<Duration>, Cause> {
        let now = Instant::now();
        let deadline = self.stop.deadline();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Cause::Stopped);
        }
        let left = deadline.map_or(self.until, |deadline| deadline.min(self.until)).saturating_duration_since(now);
        Ok(if left.is_zero() { None } else { Some(left.min(SLICE)) })
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    tls: Option<Box<Session>>,
    /// What has arrived and was not taken yet.
    pub(crate) input: Vec<u8>,
    used: Instant,
}

impl Connection {
    /// Connects to a server, with TLS where the address says so.
    pub(crate) fn open(
        address: &Address,
        trust: Option<&Trust>,
        time: Duration,
        stop: &dyn Shutdown,
    ) -> Result<Self, Cause> {
        let limit = Limit::new(time, stop);
        let socket = match &address.place {
            Place::Unix { path } => dial(&SockAddr::unix(path).map_err(Cause::Connect)?, Type::STREAM, &limit)?,
            Place::Tcp { host, port } | Place::Tls { host, port, .. } => dial_any(host, *port, Type::STREAM, &limit)?,
            Place::Udp { host, port } => dial_any(host, *port, Type::DGRAM, &limit)?,
        };
        let Some(socket) = socket else { return Err(Cause::ConnectTimeout(time)) };
        let mut connection = Connection { socket, tls: None, input: Vec::new(), used: Instant::now() };
        if let (Place::Tls { host, server_name, .. }, Some(trust)) = (&address.place, trust) {
            connection.tls = Some(Box::new(Session::new(trust, server_name.as_deref().unwrap_or(host))?));
            while connection.tls.as_ref().is_some_and(|session| session.is_handshaking()) {
                let more = connection.push(&mut &b""[..])?;
                if !more && !connection.receive()? && !wait(&connection.socket, connection.interest(), &limit)? {
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
        stop: &dyn Shutdown,
        objection: fn(&[u8]) -> Option<Cause>,
    ) -> Result<(), Cause> {
        self.used = Instant::now();
        if let Some(session) = &mut self.tls {
            session.queue(bytes)?;
            bytes = &[];
        }
        let mut limit = Limit::new(time, stop);
        loop {
            let mut interest = PollFlags::OUT;
            match self.push(&mut bytes) {
                Ok(true) => {
                    limit = Limit::new(time, stop);
                    continue;
                }
                Ok(false) if bytes.is_empty() && !self.wants_write() => return Ok(()),
                Ok(false) => {}
                Err(cause) => return Err(self.explained(cause, objection)),
            }
            if self.input.is_empty() {
                interest |= PollFlags::IN;
            }
            if !wait(&self.socket, interest, &limit)? {
                return Err(self.explained(Cause::WriteTimeout(time), objection));
            }
            if self.input.is_empty() {
                self.receive()?;
                if let Some(cause) = objection(&self.input) {
                    return Err(cause);
                }
            }
        }
    }

    /// Waits for a slice of time until something arrives; false once all of the time is over.
    pub(crate) fn hear(&mut self, limit: &Limit<'_>) -> Result<bool, Cause> {
        if !self.receive()? && !wait(&self.socket, self.interest(), limit)? {
            return Ok(false);
        }
        // Answers to the key updates and alerts of TLS.
        if self.wants_write() {
            self.push(&mut &b""[..])?;
        }
        Ok(true)
    }

    /// For how long it was not used.
    pub(crate) fn idle(&self) -> Duration {
        self.used.elapsed()
    }

    /// Takes note that it is in use.
    pub(crate) fn touch(&mut self) {
        self.used = Instant::now();
    }

    /// Says that nothing more is sent.
    pub(crate) fn finish(&mut self) {
        if let Some(session) = &mut self.tls {
            session.close();
            // What the system does not take at once is the end of TLS alone.
            let _ = session.push(&mut self.socket);
        }
        let _ = self.socket.shutdown(net::Shutdown::Write);
    }

    /// What went wrong since it was looked at last, such as that bytes came to a system where nobody listened any more.
    pub(crate) fn fault(&self) -> Option<io::Error> {
        self.socket.take_error().unwrap_or_else(Some)
    }

    /// A server that will not read says why before it closes; that is the better cause.
    fn explained(&mut self, cause: Cause, objection: fn(&[u8]) -> Option<Cause>) -> Cause {
        if self.input.is_empty()
            && let Err(better @ (Cause::Tls(_) | Cause::TlsRefused(_))) = self.receive()
        {
            return better;
        }
        objection(&self.input).unwrap_or(cause)
    }

    /// Hands bytes to the system, and says whether it took any.
    fn push(&mut self, bytes: &mut &[u8]) -> Result<bool, Cause> {
        let taken = match &mut self.tls {
            Some(session) => session.push(&mut self.socket),
            None if bytes.is_empty() => Ok(0),
            None => self.socket.send(bytes).inspect(|taken| *bytes = bytes.get(*taken..).unwrap_or_default()),
        };
        match taken {
            Ok(taken) => Ok(taken > 0),
            Err(error) if is_wait(&error) => Ok(false),
            Err(error) => Err(Cause::Broken(error)),
        }
    }

    /// Takes what has arrived, and says whether anything had.
    pub(crate) fn receive(&mut self) -> Result<bool, Cause> {
        if let Some(session) = &mut self.tls {
            return session.pull(&mut self.socket, &mut self.input);
        }
        let mut buffer = [0; 4096];
        match (&self.socket).read(&mut buffer) {
            Ok(0) => Err(Cause::Closed),
            Ok(count) => {
                self.input.extend_from_slice(buffer.get(..count).unwrap_or_default());
                Ok(true)
            }
            Err(error) if is_wait(&error) => Ok(false),
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
            let _ = session.push(&mut self.socket);
        }
    }
}

/// Waits until the socket is ready or a slice of time is over; false once all of the time is.
fn wait(socket: &Socket, interest: PollFlags, limit: &Limit<'_>) -> Result<bool, Cause> {
    let Some(slice) = limit.slice()? else { return Ok(false) };
    let slice = Timespec::try_from(slice).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 1_000_000 });
    match poll(&mut [PollFd::new(socket, interest)], Some(&slice)) {
        Ok(_) | Err(Errno::INTR) => Ok(true),
        Err(error) => Err(Cause::Broken(error.into())),
    }
}

/// Not ready, or interrupted by a signal: both mean to look again.
fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Tries the addresses of a host in the order of the system; none once the time is over.
fn dial_any(host: &str, port: u16, kind: Type, limit: &Limit<'_>) -> Result<Option<Socket>, Cause> {
    let Some(addresses) = resolve(host, port, limit)? else { return Ok(None) };
    let mut last = Cause::Resolve(io::Error::new(ErrorKind::NotFound, "it has no address"));
    let mut in_time = true;
    for (index, address) in addresses.iter().enumerate() {
        // One that does not answer leaves time to the others.
        let left = limit.until.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match dial(&SockAddr::from(*address), kind, &Limit::new(left / others.max(1), limit.stop)) {
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
fn resolve(host: &str, port: u16, limit: &Limit<'_>) -> Result<Option<Vec<SocketAddr>>, Cause> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(Some(vec![SocketAddr::new(address, port)]));
    }
    let (sender, receiver) = mpsc::channel();
    let name = host.to_owned();
    let ask = move || sender.send((name.as_str(), port).to_socket_addrs().map(Vec::from_iter));
    std::thread::Builder::new().name("resolve".to_owned()).spawn(ask).map_err(Cause::Resolve)?;
    while let Some(slice) = limit.slice()? {
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
fn dial(to: &SockAddr, kind: Type, limit: &Limit<'_>) -> Result<Option<Socket>, Cause> {
    let socket = Socket::new(to.domain(), kind, None).map_err(Cause::Connect)?;
    socket.set_nonblocking(true).map_err(Cause::Connect)?;
    if to.domain() != Domain::UNIX && kind == Type::STREAM {
        // Requests are written whole, so there is nothing to collect. None of the settings is worth a failure.
        let _ = socket.set_tcp_nodelay(true);
        let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
        #[cfg(target_os = "linux")]
        let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    }
    while let Err(error) = socket.connect(to) {
        if error.kind() == ErrorKind::WouldBlock {
            // The queue of a Unix socket is full, and nothing says when it no longer is.
            let Some(slice) = limit.slice()? else { return Ok(None) };
            std::thread::sleep(slice);
        } else if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error())
            || error.kind() == ErrorKind::Interrupted
        {
            while socket.peer_addr().is_err() {
                if !wait(&socket, PollFlags::OUT, limit)? {
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
