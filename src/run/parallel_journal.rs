//! Reads the files of a journal on several threads. Slices of the files are read and processed in parallel. The output
//! is in the order of the journal, as if one thread had read all files.
//!
//! Each thread takes the next job of the [`schedule`]. The output of jobs goes to [`ordered_merge`], which one thread
//! at a time runs. This thread delivers records while the others read on. The amount of data read ahead is bounded, for
//! any number and size of files.

mod ordered_merge;
mod schedule;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;

use crate::source::{Damaged, FileSlices, SourceError};
use kata_records::{Batch, Chunk, Stats, UnixTime, Worker};

use ordered_merge::{GatherEnd, OrderedMerge};
use schedule::Schedule;

/// Approximate number of bytes of records in a delivery, and the largest buffer that is kept for them. A run of entries
/// from one file may make a larger delivery.
const OUTPUT_BYTES: usize = 256 << 10;
const MAX_KEPT_BYTES: usize = 4 << 20;

/// The events since the last report.
#[derive(Debug)]
pub(super) struct JournalProgress {
    /// Approximate number of bytes that were read.
    pub read: u64,
    /// Counters to subtract: entries that were counted when they were read, and skipped by the merge.
    pub overcounted: Stats,
    /// Damages of files that were read to their ends.
    pub damages: Vec<Damaged>,
    /// Files that can no longer be read.
    pub errors: Vec<SourceError>,
}

/// The state that all threads share.
struct Shared<'r, D, E> {
    schedule: Mutex<Schedule<'r>>,
    /// Wakes up idle threads when there may be a job.
    changed: Condvar,
    delivery: Mutex<OrderedDelivery<D, E>>,
}

/// The merge and the delivery. The thread that has the lock delivers.
struct OrderedDelivery<D, E> {
    merge: OrderedMerge,
    ordered: Chunk,
    deliver: D,
    end: Result<(), E>,
}

/// Reads files on threads of the pool, one for each batch and worker. `deliver` receives the records in journal order,
/// and the events since its last call. It is called often, also without records. If `rows` is set, the output lists the
/// end of each record. `received` returns the time since 1970, in seconds and nanoseconds.
///
/// # Errors
/// Those of `deliver`, which end the reading.
pub(super) fn read<'h, 'w: 'h, E: Send>(
    pool: &ThreadPool,
    files: Vec<FileSlices<'_>>,
    workers: impl ExactSizeIterator<Item = (&'h mut Batch, &'h mut Worker<'w>)>,
    rows: bool,
    received: impl Fn() -> UnixTime + Sync,
    deliver: impl FnMut(&mut Chunk, JournalProgress) -> Result<(), E> + Send,
) -> Result<(), E> {
    let merge = OrderedMerge::new(&files, rows);
    let shared = Shared {
        schedule: Mutex::new(Schedule::new(files, workers.len())),
        changed: Condvar::new(),
        delivery: Mutex::new(OrderedDelivery { merge, ordered: Chunk::default(), deliver, end: Ok(()) }),
    };
    let (lent, received) = (&shared, &received);
    pool.in_place_scope(|scope| {
        for (batch, worker) in workers {
            scope.spawn(move |_| lent.work(batch, worker, received));
        }
    });
    shared.delivery.into_inner().unwrap_or_else(PoisonError::into_inner).end
}

impl<'r, D: FnMut(&mut Chunk, JournalProgress) -> Result<(), E>, E> Shared<'r, D, E> {
    fn schedule(&self) -> MutexGuard<'_, Schedule<'r>> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs jobs until the schedule is finished.
    fn work(&self, batch: &mut Batch, worker: &mut Worker<'_>, received: &impl Fn() -> UnixTime) {
        let mut schedule = self.schedule();
        while !schedule.finished {
            if let Some(mut job) = schedule.next_job() {
                drop(schedule);
                job.run(batch, worker, received());
                schedule = self.schedule();
                schedule.finish_job(job);
                schedule = self.deliver(schedule);
            } else {
                schedule = self.changed.wait(schedule).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Delivers the records that are in order. If another thread is delivering, returns at once: that thread delivers
    /// them too.
    fn deliver<'s>(&'s self, mut schedule: MutexGuard<'s, Schedule<'r>>) -> MutexGuard<'s, Schedule<'r>> {
        let Ok(mut delivery) = self.delivery.try_lock() else { return schedule };
        let OrderedDelivery { merge, ordered, deliver, end } = &mut *delivery;
        loop {
            schedule.exchange(merge);
            self.changed.notify_all();
            if schedule.finished || merge.blocked_on().is_some() {
                return schedule;
            }
            let read = schedule.bytes_read();
            drop(schedule);
            let gather_end = merge.gather(ordered);
            let delivered = deliver(ordered, merge.take_progress(read));
            ordered.out.clear(MAX_KEPT_BYTES);
            schedule = self.schedule();
            schedule.finished = delivered.is_err() || gather_end == GatherEnd::Finished;
            *end = delivered;
        }
    }
}
