//! Errors of clients and of single attempts: messages for users, and the classes that decide on the next step.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::address::Address;

/// An error that ends a delivery, or the creation of a client. Messages include their causes.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetError {
    /// The settings have no server.
    #[error("no server is given; name one, such as forward://localhost:24224")]
    NoServers,
    /// The settings need a feature that this build leaves out.
    #[error("{what}: this build lacks the cargo feature `{feature}`; use a build with it")]
    MissingFeature {
        /// The setting.
        what: String,
        /// The feature.
        feature: &'static str,
    },
    /// The settings contradict each other.
    #[error("{0}")]
    Settings(&'static str),
    /// The settings of one server cannot be used.
    #[error("{server}: {error}")]
    Server {
        /// The address of the server.
        server: String,
        /// The reason.
        error: Box<NetError>,
    },
    /// A PEM file cannot be used.
    #[error("cannot use {what} in {path:?}: {cause}; it has to be a PEM file that this user may read")]
    Pem {
        /// The expected content.
        what: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The reason.
        cause: String,
    },
    /// The system has no usable certificate authority.
    #[error(
        "this host has no certificate authority that can be used{cause}; write `ca=FILE` in the address, with a PEM file \
         of the authorities to trust, or name the file in the setting for all servers"
    )]
    NoAuthorities {
        /// The first error while loading authorities, or an empty text.
        cause: String,
    },
    /// The file of a secret cannot be read.
    #[error("cannot read the {what} from {path:?}: {cause}; it has to be a file that this user may read")]
    SecretFile {
        /// The secret.
        what: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The error of the system.
        cause: io::Error,
    },
    /// The client certificate and its key do not match.
    #[error("the client certificate cannot be used: {0}; certificate and key have to belong together")]
    ClientCertificate(String),
    /// A server refuses this configuration in a one-shot run.
    #[error("cannot deliver to {server}: {cause}")]
    Refused {
        /// The address of the server.
        server: String,
        /// The failure of the attempt.
        cause: Cause,
    },
    /// No server acknowledged anything for too long.
    #[error("gave up after {after:?} without a delivery; the last failure was at {server}: {cause}")]
    GaveUp {
        /// The time since the first failure that the settings allow.
        after: Duration,
        /// The address of the server that was tried last.
        server: String,
        /// The failure of the last attempt.
        cause: Cause,
    },
    /// The shutdown deadline passed. The chunk is not delivered.
    #[error("stopped before all was acknowledged")]
    Stopped,
}

impl NetError {
    /// Names the server whose settings cause the error.
    pub(crate) fn at(self, server: &Address) -> NetError {
        let server = server.name();
        match self {
            // Callers distinguish this error from wrong settings.
            NetError::MissingFeature { what, feature } => {
                NetError::MissingFeature { what: format!("{server}: {what}"), feature }
            }
            error => NetError::Server { server, error: Box::new(error) },
        }
    }

    /// Returns whether only a change of the configuration helps, here or at the server.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        !matches!(self, NetError::GaveUp { .. } | NetError::Stopped)
    }
}

/// The reason that one attempt failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Cause {
    /// The host name does not resolve.
    #[error("its name cannot be resolved: {0}")]
    Resolve(io::Error),
    /// The connection was refused, or is impossible.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The connection took too long.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// An established connection failed.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// The server read nothing for too long.
    #[error("it took no bytes for {0:?}")]
    WriteTimeout(Duration),
    /// The server closed the connection.
    #[error("it closed the connection; if that goes on, its log says why")]
    Closed,
    /// The acknowledgement took too long.
    #[error("no acknowledgement within {0:?}")]
    AckTimeout(Duration),
    /// The server answered without an acknowledgement.
    #[error("it answered that it could not take the chunk")]
    Nack,
    /// The server acknowledged a request other than the pending one.
    #[error("it acknowledged \"{}\", which was not sent to it last", Printable(.0))]
    WrongAck(Vec<u8>),
    /// The reply is not a message of the forward protocol.
    #[error("it does not speak the forward protocol: its answer begins with \"{}\"{}", Printable(.0), protocol_hint(.0))]
    Garbage(Vec<u8>),
    /// TLS failed in a way that may be temporary.
    #[error("TLS fails: {0}")]
    Tls(String),
    /// TLS failed because of certificates, names or versions.
    #[error("TLS fails: {0}; check its certificate and the authorities, names and versions that are set up")]
    TlsRefused(String),
    /// The server requires a shared key.
    #[error("it requires a shared key; give the one that is in its configuration")]
    KeyRequired,
    /// The server did not ask for the shared key in time.
    #[error(
        "it did not ask for the shared key within {0:?}; set one up there, or give none here; if it expects TLS, write \
         forward+tls://"
    )]
    NoHelo(Duration),
    /// The server refused the handshake.
    #[error(
        "it refused the handshake: {}; check shared key, user and password, and that the host names are not \
         the same", Printable(.0)
    )]
    Denied(Vec<u8>),
    /// The server closed the connection during the handshake, as Fluent Bit does if the keys differ.
    #[error(
        "it closed the connection in the handshake; check that the shared key, user and password are the same there"
    )]
    ClosedInHandshake,
    /// The handshake took too long.
    #[error("the handshake did not end within {0:?}")]
    HandshakeTimeout(Duration),
    /// The server could not prove that it knows the shared key.
    #[error("it does not hold the shared key; check that the same one is given on both sides")]
    WrongDigest,
    /// Client and server have equal host names, which servers refuse.
    #[error("it has the same host name as this client, \"{0}\"; give another one to either")]
    SameHostname(String),
    /// The shutdown deadline passed.
    #[error("stopped")]
    Stopped,
}

impl Cause {
    /// Returns whether only a change of the configuration helps, here or at the server.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Cause::Garbage(_)
                | Cause::TlsRefused(_)
                | Cause::KeyRequired
                | Cause::NoHelo(_)
                | Cause::Denied(_)
                | Cause::ClosedInHandshake
                | Cause::WrongDigest
                | Cause::SameHostname(_)
        )
    }

    /// Returns whether the server may have rejected the chunk itself. Meaningful only after a part of the chunk was
    /// sent.
    pub(crate) fn may_be_chunk(&self) -> bool {
        matches!(self, Cause::Closed | Cause::Broken(_) | Cause::Nack)
    }

    /// Returns whether the server neither took nor rejected the chunk in time.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, Cause::AckTimeout(_) | Cause::WriteTimeout(_))
    }
}

/// Formats the first bytes of a reply, with everything but printable ASCII escaped.
struct Printable<'b>(&'b [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_SHOWN: usize = 80;
        write!(f, "{}", self.0.get(..MAX_SHOWN).unwrap_or(self.0).escape_ascii())
    }
}

/// Returns advice for an unreadable reply. Its first bytes tell which protocol the server may speak.
fn protocol_hint(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x15 | 0x16, 0x03, ..] => "; it seems to expect TLS: write forward+tls://",
        [b'H', b'T', b'T', b'P', ..] => "; it speaks HTTP: check the port",
        _ => "; check the port",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_are_recognized() {
        let text = |bytes: &[u8]| Cause::Garbage(bytes.to_vec()).to_string();
        assert!(text(b"HTTP/1.1 400 Bad Request\r\n").contains("\"HTTP/1.1 400 Bad Request\\r\\n\"; it speaks HTTP"));
        assert!(text(b"\x15\x03\x01").contains("\"\\x15\\x03\\x01\"; it seems to expect TLS"));
        assert!(text(&[0xff; 500]).len() < 500);
    }

    #[test]
    fn configuration_errors_are_classified() {
        let server = || "forward://a:24224".to_owned();
        let refused = NetError::Refused { server: server(), cause: Cause::WrongDigest };
        assert!(refused.is_configuration() && refused.to_string().contains("forward://a:24224: it does not hold"));
        let after = Duration::from_secs(300);
        let gave_up = NetError::GaveUp { after, server: server(), cause: Cause::AckTimeout(after) };
        assert!(!gave_up.is_configuration() && gave_up.to_string().contains("gave up after 300s"), "{gave_up}");
        assert!(!NetError::Stopped.is_configuration());
    }
}
