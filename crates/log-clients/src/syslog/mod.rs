//! The sender's side of syslog: messages go to a server by UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425).
//!
//! It knows nothing of records: the text of a message is up to whoever encodes them. Syslog has no acknowledgements, so
//! what was handed to the system counts as delivered. As far as that turns out to be wrong, it is sent again: see
//! `client`.

mod client;

pub(crate) use client::SyslogClient;

use crate::named_enum::named_enum;
use crate::settings::ServerSettings;

/// All that a client is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogClientSettings {
    /// The servers, and for how long what may last.
    pub net: ServerSettings,
    /// How messages are told apart on a connection. A datagram is one message.
    pub framing: Framing,
}

/// How messages are told apart on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Each message after its length (octet counting).
    #[default]
    Octet,
    /// A line for each message. A message must have no line end inside.
    Lf,
}

named_enum!(Framing {
    Octet = "octet": "Each after its length",
    Lf = "lf": "A line each; line ends inside are written as \\n",
});
