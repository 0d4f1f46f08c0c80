//! The wish to end, as one signal or another gave it: asked for once, known everywhere, and not taken back.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use log_clients::Shutdown;

use super::heartbeat::Heartbeat;

/// How long deliveries may go on once the end is asked for. A supervisor that kills after ten seconds leaves this much.
pub const GRACE: Duration = Duration::from_secs(8);

/// Whether a run is to end, and until when it may still deliver what is in hand.
#[derive(Debug, Default)]
pub struct ShutdownSignal {
    requested: AtomicBool,
    deadline: OnceLock<Instant>,
    heartbeat: Heartbeat,
}

impl ShutdownSignal {
    /// Asks for the end. What is in hand may be delivered for [`GRACE`] from the first time on.
    pub fn request(&self) {
        self.request_within(GRACE);
    }

    /// Asks for the end, with another time for what is in hand.
    pub fn request_within(&self, grace: Duration) {
        self.deadline.get_or_init(|| Instant::now() + grace);
        self.requested.store(true, Ordering::Release);
    }

    /// Whether the end was asked for: nothing more is to be read.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// The pulse of who delivers.
    #[must_use]
    pub fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }

    /// Whether the time for what is in hand is over.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.deadline().is_some_and(|deadline| Instant::now() >= deadline)
    }
}

impl Shutdown for ShutdownSignal {
    /// Returns the end for deliveries, and counts as the pulse of who delivers.
    fn deadline(&self) -> Option<Instant> {
        self.heartbeat.beat();
        if self.is_requested() { self.deadline.get().copied() } else { None }
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
