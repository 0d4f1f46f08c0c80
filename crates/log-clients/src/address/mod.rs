//! Addresses of servers, as users write them: `forward://host:port`, `syslog+tcp://host:port`, `unix:/path` and others,
//! with the settings of one server behind a `?`.

mod error;
mod parameters;
mod secrets;

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::server_options::ServerOptions;

pub use error::AddressError;

/// The schemes of network servers, with protocol, transport and default port.
///
/// UDP port 514 and TCP port 6514 are registered for syslog (RFC 5426, RFC 5425). TCP port 514 is registered for another
/// protocol, long unused, and customary for syslog (RFC 6587). Port 24224 is Fluentd's convention.
const SCHEMES: [(&str, Protocol, TransportKind, u16); 5] = [
    ("forward://", Protocol::Forward, TransportKind::Tcp, 24224),
    ("forward+tls://", Protocol::Forward, TransportKind::Tls, 24224),
    ("syslog+udp://", Protocol::Syslog, TransportKind::Udp, 514),
    ("syslog+tcp://", Protocol::Syslog, TransportKind::Tcp, 514),
    ("syslog+tls://", Protocol::Syslog, TransportKind::Tls, 6514),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum TransportKind {
    Udp,
    Tcp,
    Tls,
}

/// The weight of an address without one, as in Fluentd.
const DEFAULT_WEIGHT: u32 = 60;

/// The protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Fluentd's forward protocol.
    Forward,
    /// Syslog.
    Syslog,
}

/// The address of a server, with the settings that it has for this server alone.
///
/// Values of parameters are percent-encoded: `ca=/etc/my%20ca.pem`. An address never holds a secret, only the paths of
/// files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The protocol of the server.
    pub protocol: Protocol,
    /// The transport to the server.
    pub transport: Transport,
    /// The share of chunks, relative to the other servers, under [`Spread::Weighted`](crate::Spread::Weighted).
    pub weight: u32,
    /// True if the server serves only while all others are down.
    pub standby: bool,
    /// The settings of this server alone.
    pub options: ServerOptions,
}

/// The transport to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP datagrams.
    Udp {
        /// A host name or an IP address; IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A TCP connection.
    Tcp {
        /// A host name or an IP address; IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// TLS over TCP, from the first byte.
    Tls {
        /// A host name or an IP address; IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
        /// The name in the server's certificate, if it is not the host.
        server_name: Option<String>,
    },
    /// A Unix stream socket.
    Unix {
        /// The path of the socket.
        path: PathBuf,
    },
}

impl Address {
    /// Returns the address without its parameters, as messages name the server.
    #[must_use]
    pub fn name(&self) -> String {
        let (kind, host, port) = match &self.transport {
            Transport::Udp { host, port } => (TransportKind::Udp, host, port),
            Transport::Tcp { host, port } => (TransportKind::Tcp, host, port),
            Transport::Tls { host, port, .. } => (TransportKind::Tls, host, port),
            Transport::Unix { path } => return format!("unix:{}", path.display()),
        };
        let scheme = SCHEMES.iter().find(|(_, protocol, other, _)| (*protocol, *other) == (self.protocol, kind));
        let scheme = scheme.map_or("", |(scheme, ..)| scheme);
        if host.contains(':') { format!("{scheme}[{host}]:{port}") } else { format!("{scheme}{host}:{port}") }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let (base, query) = text.split_once('?').map_or((text, None), |(base, query)| (base, Some(query)));
        secrets::check(base, query)?;
        let (protocol, transport) = parse_transport(base).map_err(|error| secrets::hide_user(error, base, query))?;
        let (weight, standby, options) = (DEFAULT_WEIGHT, false, ServerOptions::default());
        let mut address = Address { protocol, transport, weight, standby, options };
        if let Some(query) = query {
            parameters::parse(query, base, &mut address)?;
        }
        Ok(address)
    }
}

/// Parses everything before the parameters.
fn parse_transport(address: &str) -> Result<(Protocol, Transport), AddressError> {
    if let Some(path) = address.strip_prefix("forward+unix://").or_else(|| address.strip_prefix("unix:")) {
        // `unix:///run/x` and `unix:/run/x` are one path.
        let path = path.trim_start_matches('/');
        if path.is_empty() || !address.contains(":/") {
            return Err(AddressError::Path(address.to_owned()));
        }
        return Ok((Protocol::Forward, Transport::Unix { path: PathBuf::from(format!("/{path}")) }));
    }
    let known = |(scheme, protocol, kind, port): &(&str, Protocol, TransportKind, u16)| {
        Some((address.strip_prefix(scheme)?, *protocol, *kind, *port))
    };
    let Some((rest, protocol, kind, port)) = SCHEMES.iter().find_map(known) else {
        let unknown = if address.contains("://") { AddressError::Scheme } else { AddressError::NoScheme };
        return Err(unknown(address.to_owned()));
    };
    let (host, port) = host_and_port(rest, port, address)?;
    let transport = match kind {
        TransportKind::Udp => Transport::Udp { host, port },
        TransportKind::Tcp => Transport::Tcp { host, port },
        TransportKind::Tls => Transport::Tls { host, port, server_name: None },
    };
    Ok((protocol, transport))
}

fn host_and_port(rest: &str, default: u16, address: &str) -> Result<(String, u16), AddressError> {
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let no_host = || AddressError::Host(address.to_owned());
    let (host, port) = if let Some(rest) = rest.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(no_host)?;
        // A link-local address ends in `%` and the name of the link.
        let number = host.split_once('%').map_or(host, |(number, _)| number);
        number.parse::<Ipv6Addr>().map_err(|_| no_host())?;
        (host, port)
    } else {
        let (host, port) = rest.find(':').and_then(|colon| rest.split_at_checked(colon)).unwrap_or((rest, ""));
        let odd = |letter: char| letter.is_whitespace() || letter.is_control() || "/[]%".contains(letter);
        if host.is_empty() || host.contains(odd) {
            return Err(no_host());
        }
        (host, port)
    };
    if port.is_empty() {
        return Ok((host.to_owned(), default));
    }
    let digits = port.strip_prefix(':').filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(number) if number > 0 => Ok((host.to_owned(), number)),
        _ => Err(AddressError::Port { port: port.trim_start_matches(':').to_owned(), address: address.to_owned() }),
    }
}

impl fmt::Display for Address {
    /// Writes the canonical form, which parses to an equal address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parameters = parameters::shown(self);
        let separator = if parameters.is_empty() { "" } else { "?" };
        write!(f, "{}{separator}{parameters}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Address>().map_or_else(|error| error.to_string(), |address| address.to_string())
    }

    #[test]
    fn every_form_parses() {
        for (text, canonical) in [
            ("forward://log.example", "forward://log.example:24224"),
            ("forward://10.0.0.1:1/", "forward://10.0.0.1:1"),
            ("forward://[::1]", "forward://[::1]:24224"),
            ("forward://[fe80::1%eth0]:5", "forward://[fe80::1%eth0]:5"),
            ("forward+tls://[::1]:9?server-name=a.b", "forward+tls://[::1]:9?server-name=a.b"),
            ("forward://a?weight=60&standby=false", "forward://a:24224"),
            ("forward://a?standby&weight=7", "forward://a:24224?weight=7&standby"),
            ("unix:/run/fluent.sock", "unix:/run/fluent.sock"),
            ("forward+unix:///run/fluent.sock?standby", "unix:/run/fluent.sock?standby"),
            ("syslog+udp://log.example", "syslog+udp://log.example:514"),
            ("syslog+tcp://[::1]/?weight=2", "syslog+tcp://[::1]:514?weight=2"),
            ("syslog+tls://10.0.0.1?server-name=a.b", "syslog+tls://10.0.0.1:6514?server-name=a.b"),
        ] {
            assert_eq!(shown(text), canonical);
            assert_eq!(shown(canonical), canonical);
        }
    }

    #[test]
    fn errors_name_the_mistake() {
        for (text, part) in [
            ("syslog://a", "unknown scheme in \"syslog://a\""),
            ("tcp://a", "unknown scheme in \"tcp://a\""),
            (
                "http://a:24224",
                "unknown scheme in \"http://a:24224\"; write forward://HOST[:PORT], forward+tls://, syslog+udp://",
            ),
            ("a:24224", "no scheme in \"a:24224\"; write forward://HOST[:PORT]"),
            ("/run/a.sock", "or unix:/PATH"),
            ("forward://", "no host in \"forward://\""),
            ("forward://:24224", "no host"),
            ("forward://a/b", "no host"),
            ("forward://::1", "no host"),
            ("forward://[::1", "no host"),
            ("forward://[a]", "no host"),
            ("forward://a:", "\"\" is no port"),
            ("forward://a:0", "\"0\" is no port"),
            ("forward://a:65536", "\"65536\" is no port"),
            ("forward://a:+1", "\"+1\" is no port"),
            ("forward://[::1]24224", "is no port"),
            ("unix:", "no absolute path"),
            ("unix:run/x", "no absolute path"),
            ("forward+unix://", "no absolute path"),
        ] {
            assert!(shown(text).contains(part), "{text}: {}", shown(text));
        }
    }
}
