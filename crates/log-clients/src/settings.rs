//! Settings that all protocols share, with defaults.

use std::path::PathBuf;
use std::time::Duration;

use crate::address::Address;
use crate::named_enum::named_enum;
use crate::server_options::ServerOptions;

/// The servers of a client, its timeouts and its retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The servers, the preferred one first.
    pub servers: Vec<Address>,
    /// The choice of the server for the next chunk.
    pub spread: Spread,
    /// Trust and client certificate for servers behind TLS. An address may override them for its server.
    pub tls: TlsSettings,
    /// The timeout of a connection, TLS included.
    pub connect_timeout: Duration,
    /// The time for which a server may read nothing during a write.
    pub write_timeout: Duration,
    /// The idle time after which a connection is replaced.
    pub idle_limit: Duration,
    /// The longest backoff after the first failure. Each further failure doubles it.
    pub first_backoff: Duration,
    /// The longest backoff of all.
    pub last_backoff: Duration,
    /// The interval between checks of a preferred server, while another one is in use.
    pub return_interval: Duration,
    /// The time for which failures may follow each other; `None` for no limit.
    pub give_up_after: Option<Duration>,
    /// True if nobody can correct the configuration during the run. A refused configuration is then an error at once.
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

/// The longest timeout. It keeps all arithmetic on times in range.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl ServerSettings {
    /// Creates settings with these servers, the preferred one first, and the defaults for everything else.
    #[must_use]
    pub fn new(servers: impl Into<Vec<Address>>) -> ServerSettings {
        ServerSettings { servers: servers.into(), ..ServerSettings::default() }
    }

    /// Limits all timeouts to [`MAX_WAIT`].
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

/// The choice of the server for the next chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// The first server that is up.
    #[default]
    Failover,
    /// Each server in turn, in proportion to its weight.
    Weighted,
}

named_enum!(Spread {
    Failover = "failover": "The first that is up",
    Weighted = "weighted": "Each in turn, by its weight",
});

/// Trust in servers behind TLS, and the certificate of this client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// A PEM file of trusted authorities; `None` for those of the system.
    pub ca: Option<PathBuf>,
    /// A PEM file with the certificate of this client, followed by intermediate certificates.
    pub cert: Option<PathBuf>,
    /// A PEM file with the key of the client certificate.
    pub key: Option<PathBuf>,
    /// True to trust every certificate.
    pub insecure: bool,
}

impl TlsSettings {
    /// Returns the settings for one server. Its own options override these.
    pub(crate) fn for_server(&self, options: &ServerOptions) -> TlsSettings {
        let either = |own: &Option<PathBuf>, all: &Option<PathBuf>| own.as_ref().or(all.as_ref()).cloned();
        TlsSettings {
            ca: either(&options.ca, &self.ca),
            cert: either(&options.cert, &self.cert),
            key: either(&options.key, &self.key),
            // A server with authorities of its own is to be verified by them.
            insecure: options.insecure.unwrap_or(self.insecure && options.ca.is_none()),
        }
    }
}
