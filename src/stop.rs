//! The wish to end, as one signal or another gave it: asked for once, known everywhere, and not taken back.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use log_clients::Shutdown;

use crate::pulse::Pulse;

/// How long deliveries may go on once the end is asked for. A supervisor that kills after ten seconds leaves this much.
pub const GRACE: Duration = Duration::from_secs(8);

/// Whether a run is to end, and until when it may still deliver what is in hand.
#[derive(Debug, Default)]
pub struct Stop {
    asked: AtomicBool,
    deadline: OnceLock<Instant>,
    pulse: Pulse,
}

impl Stop {
    /// Asks for the end. What is in hand may be delivered for [`GRACE`] from the first time on.
    pub fn ask(&self) {
        self.ask_within(GRACE);
    }

    /// Asks for the end, with another time for what is in hand.
    pub fn ask_within(&self, grace: Duration) {
        self.deadline.get_or_init(|| Instant::now() + grace);
        self.asked.store(true, Ordering::Release);
    }

    /// Whether the end was asked for: nothing more is to be read.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// The pulse of who delivers.
    #[must_use]
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Whether the time for what is in hand is over.
    #[must_use]
    pub fn over(&self) -> bool {
        self.deadline().is_some_and(|deadline| Instant::now() >= deadline)
    }
}

impl Shutdown for Stop {
    /// Returns the end for deliveries, and counts as the pulse of who delivers.
    fn deadline(&self) -> Option<Instant> {
        self.pulse.beat();
        if self.asked() { self.deadline.get().copied() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_to_ask_sets_the_deadline() {
        let stop = Stop::default();
        assert!(!stop.asked() && stop.deadline().is_none() && !stop.over());
        stop.ask_within(Duration::ZERO);
        stop.ask();
        assert!(stop.asked() && stop.over());
    }
}
