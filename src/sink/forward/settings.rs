//! What a user can choose about deliveries, with the defaults.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::address::Address;

/// All that a client is made from. The defaults are those recommended where the forward protocol's clients differ:
/// acknowledgements always, one request for a chunk, no end of retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The servers, the preferred one first.
    pub servers: Vec<Address>,
    /// Which of them gets a chunk.
    pub spread: Spread,
    /// In which form.
    pub mode: Mode,
    /// Whether times go out as whole seconds, for receivers from before the protocol had nanoseconds.
    pub time_as_integer: bool,
    /// How TLS servers are trusted.
    pub tls: TlsSettings,
    /// What the servers and this client both know; with it, a server has to prove that it does.
    pub shared_key: Option<Secret>,
    /// Who this client is to servers that ask for users.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The name of this client in handshakes; none for the name of the host.
    pub hostname: Option<String>,
    /// How long a connection may take, TLS included.
    pub connect_timeout: Duration,
    /// How long a handshake may take on top.
    pub handshake_timeout: Duration,
    /// How long a server may take nothing of a request.
    pub write_timeout: Duration,
    /// How long an acknowledgement may take.
    pub ack_timeout: Duration,
    /// After this time without use, a connection is not used again.
    pub idle_limit: Duration,
    /// The most that is waited after a first failure; doubled with every further one.
    pub first_backoff: Duration,
    /// The most that is waited at all.
    pub last_backoff: Duration,
    /// How often a preferred server is looked for while another one takes the chunks.
    pub return_interval: Duration,
    /// For how long failures may follow each other; none for ever.
    pub give_up_after: Option<Duration>,
    /// Whether nobody is there to correct a configuration meanwhile, so that what it makes fail fails at once.
    pub one_shot: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            servers: Vec::new(),
            spread: Spread::Failover,
            mode: Mode::Packed,
            time_as_integer: false,
            tls: TlsSettings::default(),
            shared_key: None,
            user: None,
            password: None,
            hostname: None,
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            ack_timeout: Duration::from_secs(60),
            idle_limit: Duration::from_secs(30),
            first_backoff: Duration::from_secs(1),
            last_backoff: Duration::from_secs(60),
            return_interval: Duration::from_secs(30),
            give_up_after: None,
            one_shot: false,
        }
    }
}

/// No wait that a user asks for is longer, so that every point in time can be computed.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Settings {
    /// The same, with waits that have an end.
    pub(super) fn bounded(mut self) -> Settings {
        for wait in [
            &mut self.connect_timeout,
            &mut self.handshake_timeout,
            &mut self.write_timeout,
            &mut self.ack_timeout,
            &mut self.idle_limit,
            &mut self.first_backoff,
            &mut self.last_backoff,
            &mut self.return_interval,
        ] {
            *wait = LONGEST.min(*wait);
        }
        self.give_up_after = self.give_up_after.filter(|after| *after < LONGEST);
        self
    }
}

/// Which server gets a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Spread {
    /// The first that is up
    #[default]
    Failover,
    /// Each in turn, by its weight
    Weighted,
}

/// In which of the protocol's forms a chunk goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// The entries in one piece; every receiver takes it
    #[default]
    Packed,
    /// The entries as an array
    Forward,
    /// Each entry by itself
    Message,
    /// Packed, compressed with gzip
    Gzip,
    /// Packed, compressed with zstd; receivers that do not know it acknowledge it and keep nothing
    Zstd,
}

/// How TLS servers are trusted, and how they can trust this client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// A PEM file of the authorities to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// A PEM file with the certificate of this client, and those between it and its authority.
    pub cert: Option<PathBuf>,
    /// A PEM file with the key of that certificate.
    pub key: Option<PathBuf>,
    /// Whether every certificate is trusted.
    pub insecure: bool,
}

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
        let settings = Settings { shared_key: Some(Secret::new("s3cret")), ..Settings::default() };
        let shown = format!("{settings:?} {}", Secret::new("s3cret"));
        assert!(shown.contains("***") && !shown.contains("s3cret"), "{shown}");
    }
}
