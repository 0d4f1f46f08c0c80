//! Settings of forward clients, with defaults.

use std::fmt;
use std::time::Duration;

use crate::server_options::ForwardMode;
use crate::settings::{MAX_WAIT, ServerSettings};

/// Settings of a client for the forward protocol.
///
/// Clients of the protocol differ in their defaults. These are the safe ones: acknowledgements, one request per chunk,
/// and endless retries.
///
/// `mode`, `time_as_integer` and the shared key, user and password are for all servers, unless the address of a server
/// has its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardClientSettings {
    /// The servers and timeouts.
    pub net: ServerSettings,
    /// The form of requests.
    pub mode: ForwardMode,
    /// True to send times as whole seconds, for receivers older than `EventTime`.
    pub time_as_integer: bool,
    /// The key that client and servers share. With a key, a server must prove that it knows the key.
    pub shared_key: Option<Secret>,
    /// The user name, for servers that require one.
    pub user: Option<String>,
    /// The password of the user.
    pub password: Option<Secret>,
    /// The name of this client in handshakes; `None` for the host name.
    pub hostname: Option<String>,
    /// The timeout of a handshake, in addition to the connection.
    pub handshake_timeout: Duration,
    /// The timeout of an acknowledgement.
    pub ack_timeout: Duration,
}

impl Default for ForwardClientSettings {
    fn default() -> ForwardClientSettings {
        ForwardClientSettings {
            net: ServerSettings::default(),
            mode: ForwardMode::Packed,
            time_as_integer: false,
            shared_key: None,
            user: None,
            password: None,
            hostname: None,
            handshake_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(60),
        }
    }
}

impl ForwardClientSettings {
    /// Limits all timeouts to [`MAX_WAIT`].
    pub(super) fn clamped(mut self) -> ForwardClientSettings {
        self.handshake_timeout = MAX_WAIT.min(self.handshake_timeout);
        self.ack_timeout = MAX_WAIT.min(self.ack_timeout);
        self
    }
}

/// A secret that neither `Debug` nor `Display` reveals.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Creates a secret from the bytes of a key or password.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        Secret(bytes.into())
    }

    /// Creates a secret from the content of a file. A line end after it is not part of the secret.
    #[must_use]
    pub fn from_file_content(mut bytes: Vec<u8>) -> Secret {
        if bytes.ends_with(b"\n") {
            bytes.pop();
            bytes.pop_if(|byte| *byte == b'\r');
        }
        Secret(bytes)
    }

    /// Returns the bytes of the secret.
    pub(super) fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"***\"")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let settings =
            ForwardClientSettings { shared_key: Some(Secret::new("s3cret")), ..ForwardClientSettings::default() };
        let shown = format!("{settings:?} {}", Secret::new("s3cret"));
        assert!(shown.contains("***") && !shown.contains("s3cret"), "{shown}");
    }
}
