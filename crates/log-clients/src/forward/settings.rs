//! What a user can choose about deliveries, with the defaults.

use std::fmt;
use std::time::Duration;

use crate::named_enum::named_enum;
use crate::settings::{MAX_WAIT, ServerSettings};

/// All that a client is made from. The defaults are those recommended where the forward protocol's clients differ:
/// acknowledgements always, one request for a chunk, no end of retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardClientSettings {
    /// The servers, and for how long what may last.
    pub net: ServerSettings,
    /// In which form chunks go out.
    pub mode: ForwardMode,
    /// Whether times go out as whole seconds, for receivers from before the protocol had nanoseconds.
    pub time_as_integer: bool,
    /// What the servers and this client both know; with it, a server has to prove that it does.
    pub shared_key: Option<Secret>,
    /// Who this client is to servers that ask for users.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The name of this client in handshakes; none for the name of the host.
    pub hostname: Option<String>,
    /// How long a handshake may take, on top of the connection.
    pub handshake_timeout: Duration,
    /// How long an acknowledgement may take.
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
    /// The same, with waits that have an end.
    pub(super) fn clamped(mut self) -> ForwardClientSettings {
        self.handshake_timeout = MAX_WAIT.min(self.handshake_timeout);
        self.ack_timeout = MAX_WAIT.min(self.ack_timeout);
        self
    }
}

/// In which of the protocol's forms a chunk goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardMode {
    /// The entries in one binary value (`PackedForward`). Every receiver takes it.
    #[default]
    Packed,
    /// The entries as an array (`Forward`).
    Forward,
    /// Each entry as a request of its own (`Message`).
    Message,
    /// `Packed`, compressed with gzip (`CompressedPackedForward`).
    Gzip,
    /// `Packed`, compressed with zstd. Receivers that do not know zstd acknowledge a chunk and drop its entries.
    Zstd,
}

named_enum!(ForwardMode {
    Packed = "packed": "The entries in one piece; every receiver takes it",
    Forward = "forward": "The entries as an array",
    Message = "message": "Each entry by itself",
    Gzip = "gzip": "Packed, compressed with gzip",
    Zstd = "zstd": "Packed, compressed with zstd; receivers that do not know it acknowledge it and keep nothing",
});

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes a key or password as the server has it.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        Secret(bytes.into())
    }

    /// The secret itself.
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
