//! Syslog over UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425), as a sender.
//!
//! The caller encodes the messages. Syslog has no acknowledgements: a chunk counts as delivered once the system has
//! taken it. If the connection breaks later, the chunk is sent again; see `client`.

mod client;

pub(crate) use client::SyslogClient;

use crate::named_enum::named_enum;
use crate::settings::ServerSettings;

/// Settings of a client for syslog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogClientSettings {
    /// The servers and timeouts.
    pub net: ServerSettings,
    /// The framing on TCP and TLS. A datagram is one message.
    pub framing: Framing,
}

/// The framing of messages on a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// The length before each message (octet counting).
    #[default]
    Octet,
    /// A line end after each message. The message must not contain a line end.
    Lf,
}

named_enum!(Framing {
    Octet = "octet": "Each after its length",
    Lf = "lf": "A line each; line ends inside are written as \\n",
});
