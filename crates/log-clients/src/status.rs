//! Counters and status of a client, for other threads to read while it delivers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::error::Cause;
use crate::named_enum::named_enum;

/// The counters of a client. Syslog has no acknowledgements, so `acks` and `nacks` of its clients stay zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections established, handshake included.
    pub connections: u64,
    /// Connections to a server that had one before.
    pub reconnects: u64,
    /// Failed attempts that were followed by another one.
    pub retries: Retries,
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
            retries: self.retries.plus(&other.retries),
            acks: self.acks + other.acks,
            nacks: self.nacks + other.nacks,
            resent: self.resent + other.resent,
            refused: self.refused + other.refused,
        }
    }
}

/// The number of retries, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retries([u64; RetryReason::ALL.len()]);

impl Retries {
    /// Returns the number for one reason.
    #[must_use]
    pub fn get(&self, reason: RetryReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// Returns the number for all reasons.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds two sets of numbers.
    #[must_use]
    pub fn plus(&self, other: &Retries) -> Retries {
        let mut sum = *self;
        sum.0.iter_mut().zip(other.0).for_each(|(one, other)| *one += other);
        sum
    }

    pub(crate) fn add(&mut self, reason: RetryReason) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += 1;
        }
    }
}

/// The reason of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryReason {
    /// The server cannot be reached.
    Unreachable,
    /// TLS or the handshake failed.
    Handshake,
    /// The server did not read or acknowledge in time.
    Timeout,
    /// The connection ended.
    Closed,
    /// The server answered that it could not take the records.
    Nack,
    /// The answer is not one of the protocol, or for another request.
    Protocol,
}

impl From<&Cause> for RetryReason {
    fn from(cause: &Cause) -> RetryReason {
        match cause {
            Cause::Resolve(_) | Cause::Connect(_) | Cause::ConnectTimeout(_) => RetryReason::Unreachable,
            Cause::WriteTimeout(_) | Cause::AckTimeout(_) => RetryReason::Timeout,
            Cause::Broken(_) | Cause::Closed | Cause::Stopped => RetryReason::Closed,
            Cause::Nack => RetryReason::Nack,
            Cause::WrongAck(_) | Cause::Garbage(_) => RetryReason::Protocol,
            Cause::Tls(_)
            | Cause::TlsRefused(_)
            | Cause::KeyRequired
            | Cause::NoHelo(_)
            | Cause::Denied(_)
            | Cause::ClosedInHandshake
            | Cause::HandshakeTimeout(_)
            | Cause::WrongDigest
            | Cause::SameHostname(_) => RetryReason::Handshake,
        }
    }
}

named_enum!(RetryReason {
    Unreachable = "unreachable": "The server cannot be reached",
    Handshake = "handshake": "TLS or the handshake failed",
    Timeout = "timeout": "The server did not read or acknowledge in time",
    Closed = "closed": "The connection ended",
    Nack = "nack": "The server answered that it could not take the records",
    Protocol = "protocol": "The answer is not one of the protocol",
});

/// The status of a client and its servers at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientStatus {
    /// The counters of the client.
    pub counters: Counters,
    /// The servers, in the order of the settings.
    pub servers: Vec<ServerStatus>,
    /// True if the last attempt failed, at any server.
    pub failing: bool,
    /// The time of the last success, at any server.
    pub last_success: Option<Instant>,
}

impl ClientStatus {
    /// Adds the status of another client.
    #[must_use]
    pub fn plus(mut self, other: ClientStatus) -> ClientStatus {
        self.counters = self.counters.plus(&other.counters);
        self.servers.extend(other.servers);
        self.failing |= other.failing;
        self.last_success = self.last_success.max(other.last_success);
        self
    }
}

/// The status of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerStatus {
    /// The address without its parameters.
    pub name: String,
    /// True if the last attempt succeeded; `None` before the first attempt.
    pub is_up: Option<bool>,
    /// The size in bytes to which requests are limited, because the server did not take larger ones.
    pub request_limit: Option<usize>,
}

/// A handle to the status of a client. The client updates the status after each acknowledgement and each failure.
#[derive(Clone, Debug)]
pub struct StatusHandle(Arc<Mutex<ClientStatus>>);

impl StatusHandle {
    pub(crate) fn new(servers: impl Iterator<Item = String>) -> StatusHandle {
        let servers = servers.map(|name| ServerStatus { name, is_up: None, request_limit: None }).collect();
        StatusHandle(Arc::new(Mutex::new(ClientStatus { servers, ..ClientStatus::default() })))
    }

    /// Records the result of the last attempt, and the server it was made at.
    pub(crate) fn publish(&self, counters: Counters, server: usize, succeeded: bool) {
        let mut status = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        status.counters = counters;
        status.failing = !succeeded;
        if succeeded {
            status.last_success = Some(Instant::now());
        }
        if let Some(server) = status.servers.get_mut(server) {
            server.is_up = Some(succeeded);
        }
    }

    /// Sets the limit on the requests to a server.
    pub(crate) fn set_request_limit(&self, server: usize, limit: Option<usize>) {
        let mut status = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = status.servers.get_mut(server) {
            server.request_limit = limit;
        }
    }

    /// Returns the current status.
    #[must_use]
    pub fn read(&self) -> ClientStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
