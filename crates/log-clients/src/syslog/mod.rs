//! Syslog over UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425), as a sender.
//!
//! The caller encodes the messages. Syslog has no acknowledgements: a chunk counts as delivered once the system has
//! taken it. If the connection breaks later, the chunk is sent again; see `client`.

mod client;

pub(crate) use client::SyslogClient;

use crate::address::Address;
use crate::server_options::Framing;
use crate::settings::ServerSettings;

/// Settings of a client for syslog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogClientSettings {
    /// The servers and timeouts.
    pub net: ServerSettings,
    /// The framing on TCP and TLS, unless the address of a server has its own. A datagram is one message.
    pub framing: Framing,
}

impl SyslogClientSettings {
    /// Returns whether messages must not contain line ends, because a server may take the messages of any chunk as lines.
    #[must_use]
    pub fn needs_single_lines(&self) -> bool {
        let framing = |server: &Address| server.options.framing.unwrap_or(self.framing);
        self.net.servers.iter().any(|server| framing(server) == Framing::Lf)
    }
}
