//! What passes through the delivery to servers, for those who watch it from other threads. Numbers only; each is touched
//! once for a batch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::pulse::uptime_millis;
use crate::stop::Stop;
use kata_records::encode::Encoded;
use log_clients::Client;
use log_clients::net::Live;

/// The delivery of one run.
#[derive(Debug)]
pub struct Flow {
    servers: Arc<Live>,
    stop: Arc<Stop>,
    records: AtomicU64,
    chunks: AtomicU64,
    refused: AtomicU64,
    overflowed: AtomicU64,
    /// Records that were read and that nobody has yet, and since when the oldest of them waits.
    waiting: AtomicU64,
    since: AtomicU64,
    /// When something was last delivered; 0 for never.
    last: AtomicU64,
    spool: OnceLock<Arc<AtomicU64>>,
}

/// A look at it. Times are milliseconds of [`crate::pulse::uptime_millis`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
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
    pub since: Option<u64>,
    /// When something was last delivered.
    pub last: Option<u64>,
    /// Bytes in the spool, where there is one.
    pub spool: Option<u64>,
}

impl Flow {
    /// The flow to a client that ends with `stop`.
    #[must_use]
    pub fn new(client: &Client, stop: Arc<Stop>) -> Arc<Flow> {
        Arc::new(Flow {
            servers: client.live(),
            stop,
            records: AtomicU64::new(0),
            chunks: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            since: AtomicU64::new(0),
            last: AtomicU64::new(0),
            spool: OnceLock::new(),
        })
    }

    /// The client at its end.
    #[must_use]
    pub fn servers(&self) -> &Live {
        &self.servers
    }

    /// The end that it is given up with; the thread that delivers has its pulse there.
    #[must_use]
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// How it is now.
    #[must_use]
    pub fn look(&self) -> Seen {
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let waiting = get(&self.waiting);
        Seen {
            records: get(&self.records),
            chunks: get(&self.chunks),
            refused: get(&self.refused),
            overflowed: get(&self.overflowed),
            waiting,
            since: (waiting > 0).then(|| get(&self.since)),
            last: Some(get(&self.last)).filter(|last| *last > 0),
            spool: self.spool.get().map(|used| get(used)),
        }
    }

    pub(super) fn spooled(&self, used: &Arc<AtomicU64>) {
        let _ = self.spool.set(Arc::clone(used));
    }

    /// Records were read and wait now.
    pub(super) fn take(&self, records: u64) {
        if records > 0 && self.waiting.fetch_add(records, Ordering::Relaxed) == 0 {
            self.since.store(uptime_millis(), Ordering::Relaxed);
        }
    }

    /// Records for which there was no room, so far.
    pub(super) fn overflow(&self, records: u64) {
        self.overflowed.store(records, Ordering::Relaxed);
    }

    /// A chunk was acknowledged, but for some of its records.
    pub(super) fn chunk(&self, records: u64, refused: u64) {
        self.chunks.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records.saturating_sub(refused), Ordering::Relaxed);
        self.refused.fetch_add(refused, Ordering::Relaxed);
        self.last.store(uptime_millis().max(1), Ordering::Relaxed);
    }

    /// So many records wait no longer. Those that still do were read after `began`.
    pub(super) fn give(&self, records: u64, began: u64) {
        let less = |waiting: u64| Some(waiting.saturating_sub(records));
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.since.fetch_max(began, Ordering::Relaxed);
    }
}

/// How many records there are on their way to servers.
pub(super) fn records(out: &Encoded) -> u64 {
    out.events.iter().map(|events| events.ends.len() as u64).sum()
}
