//! Addresses of servers, as users write them: `forward://host:port`, `syslog+tcp://host:port`, `unix:/path` and others.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

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

const FORMS: &str = "forward://HOST[:PORT], forward+tls://, syslog+udp://, syslog+tcp://, syslog+tls:// or unix:/PATH";
const PARAMETERS: &str = "weight=NUMBER, standby and, with TLS, server-name=NAME";

/// The protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Fluentd's forward protocol.
    Forward,
    /// Syslog.
    Syslog,
}

/// The address of a server.
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

/// The reason that a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// The scheme is unknown.
    #[error("unknown scheme in \"{0}\"; write {FORMS}")]
    Scheme(String),
    /// The host is missing or malformed.
    #[error("no host in \"{0}\"; write {FORMS}")]
    Host(String),
    /// The port is not a number from 1 to 65535.
    #[error("\"{port}\" is no port; write a number from 1 to 65535 in \"{address}\"")]
    Port {
        /// The text of the port.
        port: String,
        /// The whole text.
        address: String,
    },
    /// A Unix socket has no absolute path.
    #[error("no absolute path in \"{0}\"; write unix:/PATH")]
    Path(String),
    /// The address has a user or a password, which every user of this machine could read on the command line.
    #[error("no user belongs into an address; name the user in its own option and the password in a file")]
    User,
    /// The parameter does not exist.
    #[error("unknown parameter \"{parameter}\" in \"{address}\"; there are {PARAMETERS}")]
    Parameter {
        /// The unknown parameter.
        parameter: String,
        /// The whole text.
        address: String,
    },
    /// The parameter has an invalid value, or does not fit the transport.
    #[error("\"{parameter}\" cannot be used in \"{address}\"; there are {PARAMETERS}")]
    Value {
        /// The parameter with its value.
        parameter: String,
        /// The whole text.
        address: String,
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
        let (address, query) = text.split_once('?').map_or((text, None), |(address, query)| (address, Some(query)));
        let (protocol, mut transport) = parse_transport(address, text)?;
        let (mut weight, mut standby) = (DEFAULT_WEIGHT, false);
        for parameter in query.into_iter().flat_map(|query| query.split('&')) {
            let wrong = || AddressError::Value { parameter: parameter.to_owned(), address: text.to_owned() };
            match (parameter.split_once('=').unwrap_or((parameter, "")), &mut transport) {
                (("weight", value), _) => {
                    weight = value.parse().ok().filter(|weight| *weight > 0).ok_or_else(wrong)?;
                }
                (("standby", "" | "true"), _) => standby = true,
                (("standby", "false"), _) => standby = false,
                (("server-name", value), Transport::Tls { server_name, .. }) if !value.is_empty() => {
                    *server_name = Some(value.to_owned());
                }
                (("standby" | "server-name", _), _) => return Err(wrong()),
                _ => {
                    let parameter = parameter.to_owned();
                    return Err(AddressError::Parameter { parameter, address: text.to_owned() });
                }
            }
        }
        Ok(Address { protocol, transport, weight, standby })
    }
}

/// Parses everything before the parameters.
fn parse_transport(address: &str, text: &str) -> Result<(Protocol, Transport), AddressError> {
    if let Some(path) = address.strip_prefix("forward+unix://").or_else(|| address.strip_prefix("unix:")) {
        // `unix:///run/x` and `unix:/run/x` are one path.
        let path = path.trim_start_matches('/');
        if path.is_empty() || !address.contains(":/") {
            return Err(AddressError::Path(text.to_owned()));
        }
        return Ok((Protocol::Forward, Transport::Unix { path: PathBuf::from(format!("/{path}")) }));
    }
    let known = |(scheme, protocol, kind, port): &(&str, Protocol, TransportKind, u16)| {
        Some((address.strip_prefix(scheme)?, *protocol, *kind, *port))
    };
    let Some((rest, protocol, kind, port)) = SCHEMES.iter().find_map(known) else {
        return Err(AddressError::Scheme(text.to_owned()));
    };
    let (host, port) = host_and_port(rest, port, text)?;
    let transport = match kind {
        TransportKind::Udp => Transport::Udp { host, port },
        TransportKind::Tcp => Transport::Tcp { host, port },
        TransportKind::Tls => Transport::Tls { host, port, server_name: None },
    };
    Ok((protocol, transport))
}

fn host_and_port(rest: &str, default: u16, text: &str) -> Result<(String, u16), AddressError> {
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains('@') {
        return Err(AddressError::User);
    }
    let no_host = || AddressError::Host(text.to_owned());
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
        _ => Err(AddressError::Port { port: port.trim_start_matches(':').to_owned(), address: text.to_owned() }),
    }
}

impl fmt::Display for Address {
    /// Writes the canonical form, which parses to an equal address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        let mut parameters = Vec::new();
        if self.weight != DEFAULT_WEIGHT {
            parameters.push(format!("weight={}", self.weight));
        }
        if self.standby {
            parameters.push("standby".to_owned());
        }
        if let Transport::Tls { server_name: Some(name), .. } = &self.transport {
            parameters.push(format!("server-name={name}"));
        }
        if parameters.is_empty() { Ok(()) } else { write!(f, "?{}", parameters.join("&")) }
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
            ("syslog+udp://a?server-name=b", "\"server-name=b\" cannot be used"),
            ("tcp://a", "unknown scheme in \"tcp://a\""),
            ("a:24224", "unknown scheme"),
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
            ("forward://a?color=red", "unknown parameter \"color=red\""),
            ("forward://a?", "unknown parameter \"\""),
            ("forward://a?weight=0", "\"weight=0\" cannot be used"),
            ("forward://a?weight", "\"weight\" cannot be used"),
            ("forward://a?server-name=b", "\"server-name=b\" cannot be used"),
            ("forward+tls://a?server-name=", "\"server-name=\" cannot be used"),
        ] {
            assert!(shown(text).contains(part), "{text}: {}", shown(text));
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        let text = shown("forward://user:s3cret@host");
        assert!(text.contains("user") && !text.contains("s3cret"), "{text}");
    }
}
