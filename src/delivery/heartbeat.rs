//! Heartbeats of loops: the time of the last iteration, and a mark for loops that wait for another party.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Returns the time since the first call, which is the running time of the process.
#[must_use]
pub fn uptime() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Returns the uptime in whole milliseconds, which fit into an atomic.
#[must_use]
pub fn uptime_millis() -> u64 {
    u64::try_from(uptime().as_millis()).unwrap_or(u64::MAX)
}

/// The heartbeat of one loop. A beat costs two stores, so a loop beats in each iteration.
#[derive(Debug)]
pub struct Heartbeat {
    last: AtomicU64,
    waits: AtomicBool,
}

impl Default for Heartbeat {
    /// Returns the heartbeat of a loop that has not started, which is never reported as hung.
    fn default() -> Heartbeat {
        Heartbeat { last: AtomicU64::new(0), waits: AtomicBool::new(true) }
    }
}

impl Heartbeat {
    /// Reports progress. The next beat follows soon.
    pub fn beat(&self) {
        self.last.store(uptime_millis(), Ordering::Relaxed);
        self.waits.store(false, Ordering::Release);
    }

    /// Reports that the loop waits for another party. A receiver that is away is no fault of the loop.
    pub fn wait(&self) {
        self.waits.store(true, Ordering::Release);
    }

    /// Returns true if the loop waits for another party, or its last beat is at most `within` ago.
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
