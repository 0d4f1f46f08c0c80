//! Counters and status of a client, for other threads to read while it delivers.

use std::sync::{Arc, Mutex, PoisonError};

/// The counters of a client. Syslog has no acknowledgements, so `acks` and `nacks` of its clients stay zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections established, handshake included.
    pub connections: u64,
    /// Connections to a server that had one before.
    pub reconnects: u64,
    /// Failed attempts that were followed by another one.
    pub retries: u64,
    /// Acknowledged requests.
    pub acks: u64,
    /// Requests that a server answered without an acknowledgement.
    pub nacks: u64,
    /// Requests or chunks of messages sent again, because their arrival was uncertain.
    pub resent: u64,
    /// Records that servers refused.
    pub refused: u64,
}

impl Counters {
    /// Adds two sets of counters.
    #[must_use]
    pub fn plus(&self, other: &Counters) -> Counters {
        Counters {
            connections: self.connections + other.connections,
            reconnects: self.reconnects + other.reconnects,
            retries: self.retries + other.retries,
            acks: self.acks + other.acks,
            nacks: self.nacks + other.nacks,
            resent: self.resent + other.resent,
            refused: self.refused + other.refused,
        }
    }
}

/// The status of a client and its servers at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientStatus {
    /// The counters of the client.
    pub counters: Counters,
    /// The servers, in the order of the settings.
    pub servers: Vec<ServerStatus>,
    /// True if the last attempt failed, at any server.
    pub failing: bool,
}

/// The status of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerStatus {
    /// The address without its parameters.
    pub name: String,
    /// True if the last attempt succeeded; `None` before the first attempt.
    pub is_up: Option<bool>,
}

/// A handle to the status of a client. The client updates the status after each acknowledgement and each failure.
#[derive(Clone, Debug)]
pub struct StatusHandle(Arc<Mutex<ClientStatus>>);

impl StatusHandle {
    pub(crate) fn new(servers: impl Iterator<Item = String>) -> StatusHandle {
        let servers = servers.map(|name| ServerStatus { name, is_up: None }).collect();
        StatusHandle(Arc::new(Mutex::new(ClientStatus { servers, ..ClientStatus::default() })))
    }

    /// Records the result of the last attempt, and the server it was made at.
    pub(crate) fn publish(&self, counters: Counters, server: usize, succeeded: bool) {
        let mut status = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        status.counters = counters;
        status.failing = !succeeded;
        if let Some(server) = status.servers.get_mut(server) {
            server.is_up = Some(succeeded);
        }
    }

    /// Returns the current status.
    #[must_use]
    pub fn read(&self) -> ClientStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
