//! What a service manager is told: `sd_notify(3)`, as far as a service needs it.
//!
//! The protocol is one datagram of lines, and the standard library sends it, to abstract sockets too; there is nothing
//! left for a dependency to do.

use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long a manager that does not read may keep us.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// The way to the service manager, if there is one.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// The manager that `NOTIFY_SOCKET` names, and what `WATCHDOG_USEC` and `WATCHDOG_PID` say it expects.
    ///
    /// # Errors
    /// If the socket cannot be used, which a manager would take for a service that never gets ready.
    pub fn from_environment() -> io::Result<Notifier> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let number = |name| set(name)?.to_str()?.parse::<u64>().ok();
        let Some(name) = set("NOTIFY_SOCKET") else { return Ok(Notifier::default()) };
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0).map(Duration::from_micros);
        Ok(Notifier { socket: Some(connect(name.as_bytes())?), watchdog })
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// After how long without a sign of life the manager ends the process.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Says one thing. What cannot be said is given up: the manager is the one who would have to hear of it.
    pub fn notify(&self, what: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(what.as_bytes());
        }
    }

    /// Says that the configuration is being read anew, with the time that the protocol wants to know.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        self.notify(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1_000));
    }
}

/// A socket to this address: a path, or `@` and the name of an abstract socket.
fn connect(name: &[u8]) -> io::Result<UnixDatagram> {
    let address = match name {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
        _ => return Err(io::Error::new(ErrorKind::InvalidInput, "expected a path or an abstract socket")),
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn paths_and_abstract_sockets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let abstract_name = format!("katalog-test-{}", std::process::id());
        let listeners = [
            (path.to_str().unwrap().to_owned(), UnixDatagram::bind(&path).unwrap()),
            (
                format!("@{abstract_name}"),
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&abstract_name).unwrap()).unwrap(),
            ),
        ];
        for (name, listener) in listeners {
            let notifier = Notifier { socket: Some(connect(name.as_bytes()).unwrap()), watchdog: None };
            notifier.notify("READY=1");
            assert_eq!(heard(&listener), "READY=1", "{name}");
            notifier.reloading();
            let said = heard(&listener);
            let micros = said.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            assert!(micros.parse::<u64>().unwrap() > 0);
        }
        assert!(connect(b"relative").is_err() && connect(b"/nowhere/notify").is_err());
        Notifier::default().notify("nobody hears it");
    }
}
