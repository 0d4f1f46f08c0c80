//! Notifies the service manager: `sd_notify(3)`, as far as a service needs it.
//!
//! The protocol is one datagram of lines. The standard library sends it, to abstract sockets too, so there is no need
//! for a dependency.

use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The maximum time to wait for a manager that does not read.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// The connection to the service manager, if there is one.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Connects to the manager that `NOTIFY_SOCKET` names. Takes the watchdog from `WATCHDOG_USEC` and `WATCHDOG_PID`.
    ///
    /// # Errors
    /// If the socket cannot be used. The manager would otherwise wait for a service that never gets ready.
    pub fn from_environment() -> io::Result<Notifier> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let number = |name| set(name)?.to_str()?.parse::<u64>().ok();
        let Some(name) = set("NOTIFY_SOCKET") else { return Ok(Notifier::default()) };
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0).map(Duration::from_micros);
        Ok(Notifier { socket: Some(connect(name.as_bytes())?), watchdog })
    }

    /// Returns true if there is a service manager.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// Returns the time without a heartbeat after which the manager ends the process.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Sends a message. Ignores failures, because only the manager could act on them.
    pub fn notify(&self, what: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(what.as_bytes());
        }
    }

    /// Reports a reload of the configuration, with the time that the protocol asks for.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        self.notify(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1_000));
    }
}

/// Connects to an address: a path, or `@` and the name of an abstract socket.
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
            let message = heard(&listener);
            let micros = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            assert!(micros.parse::<u64>().unwrap() > 0);
        }
        assert!(connect(b"relative").is_err() && connect(b"/nowhere/notify").is_err());
        Notifier::default().notify("nobody hears it");
    }
}
