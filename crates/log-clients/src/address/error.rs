//! The reasons that a text is not an address. No message repeats a secret.

use thiserror::Error;

/// The forms of addresses, for messages.
const FORMS: &str = "forward://HOST[:PORT], forward+tls://, syslog+udp://, syslog+tcp://, syslog+tls:// or unix:/PATH";

/// The reason that a text is not an address.
///
/// Messages show the text without its parameters. A caller that shows the text itself should not do so for
/// [`Secret`](AddressError::Secret).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The text holds a user, a password, a key or a token, which every user of this machine could read on the command
    /// line.
    #[error("{what} must not stand in an address, where others can read it; {instead}")]
    Secret {
        /// The kind of the secret.
        what: &'static str,
        /// The way to pass the secret.
        instead: &'static str,
    },
    /// The scheme is missing.
    #[error("no scheme in {0:?}; write {FORMS}")]
    NoScheme(String),
    /// The scheme is unknown.
    #[error("unknown scheme in {0:?}; write {FORMS}")]
    Scheme(String),
    /// The host is missing or malformed.
    #[error("no host in {0:?}; write {FORMS}")]
    Host(String),
    /// The port is not a number from 1 to 65535.
    #[error("{port:?} is no port; write a number from 1 to 65535 in {address:?}")]
    Port {
        /// The text of the port.
        port: String,
        /// The address without its parameters.
        address: String,
    },
    /// A Unix socket has no absolute path.
    #[error("no absolute path in {0:?}; write unix:/PATH")]
    Path(String),
    /// The parameter does not exist.
    #[error("unknown parameter {parameter:?} of {address:?}; {advice}")]
    Parameter {
        /// The name of the parameter.
        parameter: String,
        /// The address without its parameters.
        address: String,
        /// The parameter that may be meant, or all that exist.
        advice: String,
    },
    /// The parameter occurs twice.
    #[error("{address:?} has the parameter `{parameter}` twice; leave out one of them")]
    Repeated {
        /// The name of the parameter.
        parameter: &'static str,
        /// The address without its parameters.
        address: String,
    },
    /// The parameter has no effect at this server.
    #[error("the parameter `{parameter}` has no effect at {address:?}: {reason}; leave it out")]
    NoEffect {
        /// The name of the parameter.
        parameter: &'static str,
        /// The address without its parameters.
        address: String,
        /// The reason.
        reason: &'static str,
    },
    /// The parameter has an invalid value.
    #[error("the parameter `{parameter}` of {address:?} cannot be used: {reason}")]
    Value {
        /// The name of the parameter.
        parameter: &'static str,
        /// The address without its parameters.
        address: String,
        /// The reason, and the values that are valid.
        reason: String,
    },
}
