//! The files of a journal on several threads: pieces of them are read and worked off side by side, and what comes of them
//! is put in the order of the journal, as if one thread had read them all.
//!
//! Each thread takes the job that `schedule` says is next. What was done then is handed to `order` by one thread at a time,
//! which delivers what is in order while the others go on. What is read ahead is bounded, whatever the number of files and
//! their sizes.

mod ordered_merge;
mod schedule;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;

use crate::source::{Damaged, Pieces, SourceError};
use kata_records::entry::Batch;
use kata_records::pipeline::{Chunk, Worker};
use kata_records::stats::Stats;

use ordered_merge::{GatherEnd, OrderedMerge};
use schedule::Schedule;

/// How many bytes of records are delivered at once, about, and how many a buffer for them may keep: what one file gives
/// comes in larger pieces.
const OUTPUT_BYTES: usize = 256 << 10;
const MAX_KEPT_BYTES: usize = 4 << 20;

/// What there is to say of the files since it was said last.
#[derive(Debug)]
pub(super) struct JournalProgress {
    /// How far they were read, in bytes, about.
    pub read: u64,
    /// What was counted for entries that are left out after all.
    pub overcounted: Stats,
    /// What could not be read of files that were read to their ends.
    pub damages: Vec<Damaged>,
    /// What of them could no longer be opened.
    pub errors: Vec<SourceError>,
}

/// What all threads share.
struct Shared<'r, D, E> {
    schedule: Mutex<Schedule<'r>>,
    /// There may be something to do for those who had nothing.
    changed: Condvar,
    delivery: Mutex<OrderedDelivery<D, E>>,
}

/// Who has it delivers.
struct OrderedDelivery<D, E> {
    merge: OrderedMerge,
    ordered: Chunk,
    deliver: D,
    end: Result<(), E>,
}

/// Reads files on threads of the pool, one for each batch and worker. `deliver` is given the records in their
/// order, and what there is to say; it is called often, though there may be nothing. `rows` says whether it wants to tell
/// the records apart, `received` what time it is, in seconds and nanoseconds since 1970.
///
/// # Errors
/// Those of `deliver`, which end it all.
pub(super) fn read<'h, 'w: 'h, E: Send>(
    pool: &ThreadPool,
    files: Vec<Pieces<'_>>,
    workers: impl ExactSizeIterator<Item = (&'h mut Batch, &'h mut Worker<'w>)>,
    rows: bool,
    received: impl Fn() -> (u32, u32) + Sync,
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

    /// What each thread does.
    fn work(&self, batch: &mut Batch, worker: &mut Worker<'_>, received: &impl Fn() -> (u32, u32)) {
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

    /// Delivers what is in order, unless another thread is at it, which then does it all.
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
