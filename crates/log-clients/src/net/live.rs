//! What a client has done and how its servers are, for those who watch it from other threads while it waits.

use std::sync::{Mutex, PoisonError};

use crate::Counters;

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
    pub(super) fn new(servers: impl Iterator<Item = String>) -> Live {
        let servers = servers.map(|name| (name, None)).collect();
        Live { inner: Mutex::new(State { servers, ..State::default() }) }
    }

    /// Takes note of how the last attempt ended.
    pub(super) fn tell(&self, counters: Counters, index: usize, well: bool) {
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
