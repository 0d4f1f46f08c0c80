//! Metrics of the delivery to servers, for other threads. All of them are numbers, which change once a batch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::heartbeat::uptime_millis;
use super::shutdown::WatchedShutdown;
use kata_records::Encoded;
use log_clients::{Client, StatusHandle};

/// The metrics of the delivery of one run.
#[derive(Debug)]
pub struct DeliveryMetrics {
    servers: StatusHandle,
    shutdown: Arc<WatchedShutdown>,
    records: AtomicU64,
    chunks: AtomicU64,
    refused: AtomicU64,
    overflowed: AtomicU64,
    /// The number of records that were read and not delivered, and the time since which the oldest of them waits.
    waiting: AtomicU64,
    waiting_since: AtomicU64,
    /// The time since which a batch is sent; 0 for none.
    sending_since: AtomicU64,
    /// The time of the last delivery; 0 for none.
    last_delivery: AtomicU64,
    spool_bytes: OnceLock<Arc<AtomicU64>>,
}

/// The metrics at one moment. Times are milliseconds of [`uptime_millis`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliverySnapshot {
    /// Records that the receiver has accepted.
    pub records: u64,
    /// Chunks that the receiver has accepted.
    pub chunks: u64,
    /// Records that no server accepted.
    pub refused: u64,
    /// Records for which there was no room in the spool.
    pub overflowed: u64,
    /// Records that wait for delivery.
    pub waiting: u64,
    /// The time since which the oldest of these records waits. `None` if no record waits.
    pub waiting_since: Option<u64>,
    /// The time since which a batch is sent. `None` while none is sent.
    pub sending_since: Option<u64>,
    /// The time of the last delivery.
    pub last_delivery: Option<u64>,
    /// The size of the spool in bytes, if there is a spool.
    pub spool_bytes: Option<u64>,
}

impl DeliverySnapshot {
    /// Adds the metrics of another delivery.
    #[must_use]
    pub fn plus(self, other: DeliverySnapshot) -> DeliverySnapshot {
        let earliest = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
        DeliverySnapshot {
            records: self.records + other.records,
            chunks: self.chunks + other.chunks,
            refused: self.refused + other.refused,
            overflowed: self.overflowed + other.overflowed,
            waiting: self.waiting + other.waiting,
            waiting_since: earliest(self.waiting_since, other.waiting_since),
            sending_since: earliest(self.sending_since, other.sending_since),
            last_delivery: self.last_delivery.max(other.last_delivery),
            spool_bytes: self.spool_bytes.into_iter().chain(other.spool_bytes).reduce(|one, other| one + other),
        }
    }
}

impl DeliveryMetrics {
    /// Returns metrics for a delivery by this client.
    #[must_use]
    pub fn new(client: &dyn Client, shutdown: Arc<WatchedShutdown>) -> Arc<DeliveryMetrics> {
        Arc::new(DeliveryMetrics {
            servers: client.status(),
            shutdown,
            records: AtomicU64::new(0),
            chunks: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            waiting_since: AtomicU64::new(0),
            sending_since: AtomicU64::new(0),
            last_delivery: AtomicU64::new(0),
            spool_bytes: OnceLock::new(),
        })
    }

    /// Returns the state of the servers.
    #[must_use]
    pub fn servers(&self) -> &StatusHandle {
        &self.servers
    }

    /// Returns the shutdown of the run, with the heartbeat of the delivering thread.
    #[must_use]
    pub fn shutdown(&self) -> &WatchedShutdown {
        &self.shutdown
    }

    /// Returns the current metrics.
    #[must_use]
    pub fn snapshot(&self) -> DeliverySnapshot {
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let waiting = get(&self.waiting);
        DeliverySnapshot {
            records: get(&self.records),
            chunks: get(&self.chunks),
            refused: get(&self.refused),
            overflowed: get(&self.overflowed),
            waiting,
            waiting_since: (waiting > 0).then(|| get(&self.waiting_since)),
            sending_since: Some(get(&self.sending_since)).filter(|since| *since > 0),
            last_delivery: Some(get(&self.last_delivery)).filter(|last| *last > 0),
            spool_bytes: self.spool_bytes.get().map(|used| get(used)),
        }
    }

    pub(super) fn set_spool(&self, used: &Arc<AtomicU64>) {
        let _ = self.spool_bytes.set(Arc::clone(used));
    }

    /// Adds records that were read and wait for delivery.
    pub(super) fn begin_waiting(&self, records: u64) {
        if records > 0 && self.waiting.fetch_add(records, Ordering::Relaxed) == 0 {
            self.waiting_since.store(uptime_millis(), Ordering::Relaxed);
        }
    }

    /// Records that a batch is sent from now on.
    pub(super) fn begin_sending(&self) {
        self.sending_since.store(uptime_millis().max(1), Ordering::Relaxed);
    }

    /// Records that the batch is delivered.
    pub(super) fn end_sending(&self) {
        self.sending_since.store(0, Ordering::Relaxed);
    }

    /// Sets the number of records that found no room in the spool.
    pub(super) fn set_overflowed(&self, records: u64) {
        self.overflowed.store(records, Ordering::Relaxed);
    }

    /// Counts an acknowledged chunk with `records` records, of which `refused` were refused.
    pub(super) fn count_chunk(&self, records: u64, refused: u64) {
        self.chunks.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records.saturating_sub(refused), Ordering::Relaxed);
        self.refused.fetch_add(refused, Ordering::Relaxed);
        self.last_delivery.store(uptime_millis().max(1), Ordering::Relaxed);
    }

    /// Subtracts records that no longer wait. The remaining ones were read after `began`.
    pub(super) fn end_waiting(&self, records: u64, began: u64) {
        let less = |waiting: u64| Some(waiting.saturating_sub(records));
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.waiting_since.fetch_max(began, Ordering::Relaxed);
    }
}

/// Returns the number of records for servers.
pub(super) fn record_count(out: &Encoded) -> u64 {
    out.events.iter().map(|events| events.ends.len() as u64).sum()
}
