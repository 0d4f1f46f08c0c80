//! Why deliveries fail: in words for users, and in the classes that decide what is done next.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why a client cannot be made, or does not try any longer. The messages hold their causes.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetError {
    /// No server is given.
    #[error("no server is given; name one, such as forward://localhost:24224")]
    NoServers,
    /// Something is asked for that this build leaves out.
    #[error("{what} needs the cargo feature `{feature}`, which this build leaves out; build katalog with it")]
    MissingFeature {
        /// What is asked for.
        what: String,
        /// The feature.
        feature: &'static str,
    },
    /// Settings that do not go together, or have no meaning.
    #[error("{0}")]
    Settings(&'static str),
    /// A file of certificates or keys cannot be used.
    #[error("cannot use {what} in \"{path}\": {cause}; it has to be a PEM file that this user may read",
        path = path.display())]
    Pem {
        /// What should be in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it cannot.
        cause: String,
    },
    /// The system trusts nobody.
    #[error("no certificate authority of the system can be used{cause}; name a PEM file of those to trust")]
    NoAuthorities {
        /// What went wrong, if anything did.
        cause: String,
    },
    /// The client's certificate and key do not make a pair.
    #[error("the client certificate cannot be used: {0}; certificate and key have to belong together")]
    ClientCertificate(String),
    /// A server cannot be used as things are set up, and nobody is there to correct it.
    #[error("cannot deliver to {server}: {cause}")]
    Refused {
        /// The server.
        server: String,
        /// Why.
        cause: Cause,
    },
    /// Nothing was acknowledged for too long.
    #[error("gave up after {after:?} without a delivery; the last failure was at {server}: {cause}")]
    GaveUp {
        /// For how long it was tried.
        after: Duration,
        /// The server that was tried last.
        server: String,
        /// Why that failed.
        cause: Cause,
    },
    /// The time for what is in hand is over. It is not delivered.
    #[error("stopped before all was acknowledged")]
    Stopped,
}

impl NetError {
    /// Whether only a change of the configuration, here or at the server, helps.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        !matches!(self, NetError::GaveUp { .. } | NetError::Stopped)
    }
}

/// Why one attempt failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Cause {
    /// The name leads to no address.
    #[error("its name cannot be resolved: {0}")]
    Resolve(io::Error),
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// No connection in time.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// The server takes no bytes.
    #[error("it took no bytes for {0:?}")]
    WriteTimeout(Duration),
    /// The server closed the connection.
    #[error("it closed the connection; if that goes on, its log says why")]
    Closed,
    /// No acknowledgement.
    #[error("no acknowledgement within {0:?}")]
    AckTimeout(Duration),
    /// The server says that it does not have the chunk.
    #[error("it answered that it could not take the chunk")]
    Nack,
    /// The acknowledgement is of something else.
    #[error("it acknowledged \"{}\", which was not sent to it last", Printable(.0))]
    WrongAck(Vec<u8>),
    /// The server does not speak the forward protocol.
    #[error("it does not speak the forward protocol: its answer begins with \"{}\"{}", Printable(.0), protocol_hint(.0))]
    Garbage(Vec<u8>),
    /// TLS fails in a way that a later attempt may not.
    #[error("TLS fails: {0}")]
    Tls(String),
    /// TLS fails because of certificates, names or versions.
    #[error("TLS fails: {0}; check its certificate and the authorities, names and versions that are set up")]
    TlsRefused(String),
    /// The server wants to know a shared key.
    #[error("it requires a shared key; give the one that is in its configuration")]
    KeyRequired,
    /// The server does not ask for the shared key.
    #[error(
        "it did not ask for the shared key within {0:?}; set one up there, or give none here; if it expects TLS, write \
         forward+tls://"
    )]
    NoHelo(Duration),
    /// The server asks for a user.
    #[error("it requires a user and a password; give both")]
    UserRequired,
    /// The server refuses the handshake.
    #[error(
        "it refused the handshake: {}; check shared key, user and password, and that the host names are not \
         the same", Printable(.0)
    )]
    Denied(Vec<u8>),
    /// The server left in the handshake, as Fluent Bit does when the key is another one.
    #[error(
        "it closed the connection in the handshake; check that the shared key, user and password are the same there"
    )]
    ClosedInHandshake,
    /// The handshake did not end.
    #[error("the handshake did not end within {0:?}")]
    HandshakeTimeout(Duration),
    /// The server cannot prove that it knows the key.
    #[error("it does not hold the shared key; check that the same one is given on both sides")]
    WrongDigest,
    /// Both sides have the same name, which servers refuse.
    #[error("it has the same host name as this client, \"{0}\"; give another one to either")]
    SameHostname(String),
    /// The end was asked for.
    #[error("stopped")]
    Stopped,
}

impl Cause {
    /// Whether only a change of the configuration, here or at the server, helps.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Cause::Garbage(_)
                | Cause::TlsRefused(_)
                | Cause::KeyRequired
                | Cause::NoHelo(_)
                | Cause::UserRequired
                | Cause::Denied(_)
                | Cause::ClosedInHandshake
                | Cause::WrongDigest
                | Cause::SameHostname(_)
        )
    }

    /// Whether the chunk itself may be what the server cannot take, if it came after a part of it was sent.
    #[must_use]
    pub(crate) fn may_be_chunk(&self) -> bool {
        matches!(self, Cause::Closed | Cause::Broken(_) | Cause::Nack)
    }
}

/// Bytes of a server for a message: what is not printable ASCII is escaped, and there are not many.
struct Printable<'b>(&'b [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_SHOWN: usize = 80;
        write!(f, "{}", self.0.get(..MAX_SHOWN).unwrap_or(self.0).escape_ascii())
    }
}

/// What servers of other protocols begin with.
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
    fn only_a_change_of_the_configuration_helps_with_some() {
        let server = || "forward://a:24224".to_owned();
        let refused = NetError::Refused { server: server(), cause: Cause::WrongDigest };
        assert!(refused.is_configuration() && refused.to_string().contains("forward://a:24224: it does not hold"));
        let after = Duration::from_secs(300);
        let gave_up = NetError::GaveUp { after, server: server(), cause: Cause::AckTimeout(after) };
        assert!(!gave_up.is_configuration() && gave_up.to_string().contains("gave up after 300s"), "{gave_up}");
        assert!(!NetError::Stopped.is_configuration());
    }
}
