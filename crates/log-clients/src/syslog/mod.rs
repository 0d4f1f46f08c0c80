//! Syslog over UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425), as a sender.
//!
//! The caller encodes the messages. Syslog has no acknowledgements: a chunk counts as delivered once the system has
//! taken it. If the connection breaks later, the chunk is sent again; see `client`.

mod client;

pub(crate) use client::SyslogClient;

use crate::server_options::Framing;
use crate::settings::ServerSettings;

/// Settings of a client for syslog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogClientSettings {
    /// The servers and timeouts.
    pub net: ServerSettings,
    /// The framing on TCP and TLS. A datagram is one message.
    pub framing: Framing,
}
