//! What passes through the delivery to servers, for those who watch it from other threads. Numbers only; each is touched
//! once for a batch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::heartbeat::uptime_millis;
use super::shutdown::ShutdownSignal;
use kata_records::encode::Encoded;
use log_clients::Client;
use log_clients::net::Live;

/// The delivery of one run.
#[derive(Debug)]
pub struct DeliveryMetrics {
    servers: Arc<Live>,
    shutdown: Arc<ShutdownSignal>,
    records: AtomicU64,
    chunks: AtomicU64,
    refused: AtomicU64,
    overflowed: AtomicU64,
    /// Records that were read and that nobody has yet, and since when the oldest of them waits.
    waiting: AtomicU64,
    waiting_since: AtomicU64,
    /// When something was last delivered; 0 for never.
    last_delivery: AtomicU64,
    spool_bytes: OnceLock<Arc<AtomicU64>>,
}

/// A look at it. Times are milliseconds of [`uptime_millis`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliverySnapshot {
    /// Records that the receiver has.
    pub records: u64,
    /// Chunks that they came in.
    pub chunks: u64,
    /// Records that no server took.
    pub refused: u64,
    /// Records for which there was no room in the spool.
    pub overflowed: u64,
    /// Records that wait.
    pub waiting: u64,
    /// Since when the oldest of them waits; none if there is none.
    pub waiting_since: Option<u64>,
    /// When something was last delivered.
    pub last_delivery: Option<u64>,
    /// Bytes in the spool, where there is one.
    pub spool_bytes: Option<u64>,
}

impl DeliveryMetrics {
    /// The flow to a client that ends with `stop`.
    #[must_use]
    pub fn new(client: &Client, shutdown: Arc<ShutdownSignal>) -> Arc<DeliveryMetrics> {
        Arc::new(DeliveryMetrics {
            servers: client.live(),
            shutdown,
            records: AtomicU64::new(0),
            chunks: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            waiting_since: AtomicU64::new(0),
            last_delivery: AtomicU64::new(0),
            spool_bytes: OnceLock::new(),
        })
    }

    /// The client at its end.
    #[must_use]
    pub fn servers(&self) -> &Live {
        &self.servers
    }

    /// The end that it is given up with; the thread that delivers has its pulse there.
    #[must_use]
    pub fn shutdown(&self) -> &ShutdownSignal {
        &self.shutdown
    }

    /// How it is now.
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
            last_delivery: Some(get(&self.last_delivery)).filter(|last| *last > 0),
            spool_bytes: self.spool_bytes.get().map(|used| get(used)),
        }
    }

    pub(super) fn set_spool(&self, used: &Arc<AtomicU64>) {
        let _ = self.spool_bytes.set(Arc::clone(used));
    }

    /// Records were read and wait now.
    pub(super) fn begin_waiting(&self, records: u64) {
        if records > 0 && self.waiting.fetch_add(records, Ordering::Relaxed) == 0 {
            self.waiting_since.store(uptime_millis(), Ordering::Relaxed);
        }
    }

    /// Records for which there was no room, so far.
    pub(super) fn set_overflowed(&self, records: u64) {
        self.overflowed.store(records, Ordering::Relaxed);
    }

    /// A chunk was acknowledged, but for some of its records.
    pub(super) fn count_chunk(&self, records: u64, refused: u64) {
        self.chunks.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records.saturating_sub(refused), Ordering::Relaxed);
        self.refused.fetch_add(refused, Ordering::Relaxed);
        self.last_delivery.store(uptime_millis().max(1), Ordering::Relaxed);
    }

    /// So many records wait no longer. Those that still do were read after `began`.
    pub(super) fn end_waiting(&self, records: u64, began: u64) {
        let less = |waiting: u64| Some(waiting.saturating_sub(records));
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.waiting_since.fetch_max(began, Ordering::Relaxed);
    }
}

/// How many records there are on their way to servers.
pub(super) fn record_count(out: &Encoded) -> u64 {
    out.events.iter().map(|events| events.ends.len() as u64).sum()
}
