//! Signs of life: when a loop was last known to go on, and whether it waits for somebody else meanwhile.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long the process has run, counted from the first call.
#[must_use]
pub fn uptime() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// The same in whole milliseconds, which is what fits into an atomic.
#[must_use]
pub fn uptime_millis() -> u64 {
    u64::try_from(uptime().as_millis()).unwrap_or(u64::MAX)
}

/// The pulse of one loop. To touch it costs two stores, so a loop does it each time around.
#[derive(Debug)]
pub struct Heartbeat {
    last: AtomicU64,
    waits: AtomicBool,
}

impl Default for Heartbeat {
    /// Of a loop that has not begun, which nobody misses.
    fn default() -> Heartbeat {
        Heartbeat { last: AtomicU64::new(0), waits: AtomicBool::new(true) }
    }
}

impl Heartbeat {
    /// The loop goes on, and will be here again soon.
    pub fn beat(&self) {
        self.last.store(uptime_millis(), Ordering::Relaxed);
        self.waits.store(false, Ordering::Release);
    }

    /// The loop waits for somebody else, who may take any time: a receiver that is away is no fault of its own.
    pub fn wait(&self) {
        self.waits.store(true, Ordering::Release);
    }

    /// Whether the loop goes on: it waits, or was seen within this time.
    #[must_use]
    pub fn is_alive(&self, within: Duration) -> bool {
        self.is_alive_at(uptime_millis(), within)
    }

    fn is_alive_at(&self, now: u64, within: Duration) -> bool {
        let silent = now.saturating_sub(self.last.load(Ordering::Relaxed));
        self.waits.load(Ordering::Acquire) || u128::from(silent) <= within.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_loop_that_neither_goes_on_nor_waits_is_hung() {
        let (heartbeat, limit) = (Heartbeat::default(), Duration::from_secs(5));
        assert!(heartbeat.is_alive_at(1_000_000, limit), "it has not begun");
        heartbeat.beat();
        let now = heartbeat.last.load(Ordering::Relaxed);
        assert!(heartbeat.is_alive_at(now + 5_000, limit));
        assert!(!heartbeat.is_alive_at(now + 5_001, limit));
        heartbeat.wait();
        assert!(heartbeat.is_alive_at(now + 1_000_000, limit), "it waits for somebody else");
        heartbeat.beat();
        let now = heartbeat.last.load(Ordering::Relaxed);
        assert!(!heartbeat.is_alive_at(now + 5_001, limit));
    }
}
