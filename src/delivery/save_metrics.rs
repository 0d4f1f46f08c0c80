//! Metrics of the state file, for other threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::heartbeat::uptime_millis;

/// The metrics of the saves of a checkpoint.
#[derive(Debug, Default)]
pub struct SaveMetrics {
    saves: AtomicU64,
    failures: AtomicU64,
    failing: AtomicBool,
    last: AtomicU64,
}

/// The metrics at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaveSnapshot {
    /// The number of saves.
    pub saves: u64,
    /// The number of saves that failed.
    pub failures: u64,
    /// True if the last save failed.
    pub failing: bool,
    /// The time of the last save that succeeded, in milliseconds of [`uptime_millis`].
    pub last: Option<u64>,
}

impl SaveMetrics {
    /// Counts a save.
    pub(super) fn count(&self, succeeded: bool) {
        self.failing.store(!succeeded, Ordering::Relaxed);
        if succeeded {
            self.saves.fetch_add(1, Ordering::Relaxed);
            self.last.store(uptime_millis().max(1), Ordering::Relaxed);
        } else {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the current metrics.
    #[must_use]
    pub fn snapshot(&self) -> SaveSnapshot {
        SaveSnapshot {
            saves: self.saves.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            failing: self.failing.load(Ordering::Relaxed),
            last: Some(self.last.load(Ordering::Relaxed)).filter(|last| *last > 0),
        }
    }
}
