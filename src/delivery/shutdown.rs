//! The request to end a run, by a signal. Once requested, a shutdown is final for its run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use log_clients::Shutdown;

use super::heartbeat::Heartbeat;

/// Time for pending deliveries after the request. A supervisor that kills after ten seconds leaves this much.
pub const GRACE: Duration = Duration::from_secs(8);

/// The shutdown of a run, and the deadline for its pending deliveries.
#[derive(Debug, Default)]
pub struct ShutdownSignal {
    requested: AtomicBool,
    deadline: OnceLock<Instant>,
}

impl ShutdownSignal {
    /// Requests shutdown. Pending records may be delivered for [`GRACE`] after the first request.
    pub fn request(&self) {
        self.request_within(GRACE);
    }

    /// Requests shutdown with another time for pending records.
    pub fn request_within(&self, grace: Duration) {
        self.deadline.get_or_init(|| Instant::now() + grace);
        self.requested.store(true, Ordering::Release);
    }

    /// Returns true after a request. No further entries are read then.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// Returns the deadline for pending deliveries, after a request.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_requested() { self.deadline.get().copied() } else { None }
    }

    /// Returns true if the time for pending records has passed.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.deadline().is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// The shutdown of a run, with the heartbeat of one delivering thread.
#[derive(Debug, Default)]
pub struct WatchedShutdown {
    signal: Arc<ShutdownSignal>,
    heartbeat: Heartbeat,
}

impl WatchedShutdown {
    /// Returns the shutdown of a run for another thread.
    #[must_use]
    pub fn new(signal: Arc<ShutdownSignal>) -> Arc<WatchedShutdown> {
        Arc::new(WatchedShutdown { signal, heartbeat: Heartbeat::default() })
    }

    /// Returns the shutdown signal of the run.
    #[must_use]
    pub fn signal(&self) -> &ShutdownSignal {
        &self.signal
    }

    /// Returns the heartbeat of the delivering thread.
    #[must_use]
    pub fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }
}

impl Shutdown for WatchedShutdown {
    /// Returns the deadline for deliveries. Clients ask for it several times a second, so each call is a heartbeat.
    fn deadline(&self) -> Option<Instant> {
        self.heartbeat.beat();
        self.signal.deadline()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_to_ask_sets_the_deadline() {
        let stop = ShutdownSignal::default();
        assert!(!stop.is_requested() && stop.deadline().is_none() && !stop.is_expired());
        stop.request_within(Duration::ZERO);
        stop.request();
        assert!(stop.is_requested() && stop.is_expired());
    }
}
