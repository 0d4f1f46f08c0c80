//! Metrics of followed files, for other threads. They change while the reader waits for the delivery.

use std::sync::atomic::{AtomicU64, Ordering};

use kata_records::Stats;

/// The metrics of the followed files of one run.
#[derive(Debug, Default)]
pub struct FileMetrics {
    held_files: AtomicU64,
    held_bytes: AtomicU64,
    vanished_files: AtomicU64,
    vanished_bytes: AtomicU64,
}

impl FileMetrics {
    /// Sets the number and the size of the deleted files that are open.
    pub fn set_held(&self, files: u64, bytes: u64) {
        self.held_files.store(files, Ordering::Relaxed);
        self.held_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Counts a file that vanished with unread bytes.
    pub fn vanished(&self, bytes: u64) {
        self.vanished_files.fetch_add(1, Ordering::Relaxed);
        self.vanished_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns the number and the size of the deleted files that are open.
    #[must_use]
    pub fn held(&self) -> (u64, u64) {
        (self.held_files.load(Ordering::Relaxed), self.held_bytes.load(Ordering::Relaxed))
    }

    /// Adds the counters to those of a run.
    pub fn add_to(&self, stats: &mut Stats) {
        stats.vanished(self.vanished_files.load(Ordering::Relaxed), self.vanished_bytes.load(Ordering::Relaxed));
    }
}
