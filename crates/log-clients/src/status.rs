//! Counters and status of a client, for other threads to read while it delivers.

use std::sync::{Mutex, PoisonError};

/// What a client has done. Servers of syslog acknowledge nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that were opened, handshake included.
    pub connections: u64,
    /// Those among them to a server that had one before.
    pub reconnects: u64,
    /// Attempts that failed and were followed by another one.
    pub retries: u64,
    /// Requests that were acknowledged.
    pub acks: u64,
    /// Requests that a server answered it could not take.
    pub nacks: u64,
    /// Requests, or windows of messages, that were sent again, since nobody knows whether they had arrived.
    pub resent: u64,
    /// Records that servers could not take.
    pub refused: u64,
}

impl Counters {
    /// What two clients have done.
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

/// The last word on a client; it is replaced after each acknowledgement and each failure.
#[derive(Debug)]
pub struct Live {
    inner: Mutex<State>,
}

/// A look at a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What it has done.
    pub counters: Counters,
    /// Its servers by name, and whether each took what it was last sent; none where nothing was sent yet.
    pub servers: Vec<(String, Option<bool>)>,
    /// The last attempt failed, whichever server it was.
    pub failing: bool,
}

impl Live {
    pub(crate) fn new(servers: impl Iterator<Item = String>) -> Live {
        let servers = servers.map(|name| (name, None)).collect();
        Live { inner: Mutex::new(State { servers, ..State::default() }) }
    }

    /// Takes note of how the last attempt ended.
    pub(crate) fn tell(&self, counters: Counters, index: usize, well: bool) {
        let mut state = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        state.counters = counters;
        state.failing = !well;
        if let Some((_, up)) = state.servers.get_mut(index) {
            *up = Some(well);
        }
    }

    /// How it is now.
    #[must_use]
    pub fn look(&self) -> State {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
