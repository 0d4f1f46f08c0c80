//! What a user can choose about servers, whatever they speak, with the defaults.

use std::path::PathBuf;
use std::time::Duration;

use crate::address::Address;
use crate::named_enum::named_enum;

/// Which servers there are, and for how long what may last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The servers, the preferred one first.
    pub servers: Vec<Address>,
    /// Which of them gets what is next.
    pub spread: Spread,
    /// How TLS servers are trusted.
    pub tls: TlsSettings,
    /// How long a connection may take, TLS included.
    pub connect_timeout: Duration,
    /// How long a server may take nothing of what is written.
    pub write_timeout: Duration,
    /// After this time without use, a connection is not used again.
    pub idle_limit: Duration,
    /// The most that is waited after a first failure; doubled with every further one.
    pub first_backoff: Duration,
    /// The most that is waited at all.
    pub last_backoff: Duration,
    /// How often a preferred server is looked for while another one is used.
    pub return_interval: Duration,
    /// For how long failures may follow each other; none for ever.
    pub give_up_after: Option<Duration>,
    /// Whether nobody is there to correct a configuration meanwhile, so that what it makes fail fails at once.
    pub one_shot: bool,
}

impl Default for ServerSettings {
    fn default() -> ServerSettings {
        ServerSettings {
            servers: Vec::new(),
            spread: Spread::Failover,
            tls: TlsSettings::default(),
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
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
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl ServerSettings {
    /// Creates settings with these servers, the preferred one first, and the defaults for everything else.
    #[must_use]
    pub fn new(servers: impl Into<Vec<Address>>) -> ServerSettings {
        ServerSettings { servers: servers.into(), ..ServerSettings::default() }
    }

    /// The same, with waits that have an end.
    pub(crate) fn clamped(mut self) -> ServerSettings {
        for wait in [
            &mut self.connect_timeout,
            &mut self.write_timeout,
            &mut self.idle_limit,
            &mut self.first_backoff,
            &mut self.last_backoff,
            &mut self.return_interval,
        ] {
            *wait = MAX_WAIT.min(*wait);
        }
        self.give_up_after = self.give_up_after.filter(|after| *after < MAX_WAIT);
        self
    }
}

/// Which server gets what is next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// The first server that is up.
    #[default]
    Failover,
    /// Each server in turn, by its weight.
    Weighted,
}

named_enum!(Spread {
    Failover = "failover": "The first that is up",
    Weighted = "weighted": "Each in turn, by its weight",
});

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
