//! Delivers records to the receiver, and moves the checkpoint. A position moves on only when the receiver has all
//! records before it.
//!
//! Standard output and files take records at once. Servers take time, so a thread of its own collects records into
//! batches and sends them while the next records are read. The queue between the two threads is short. A slow receiver
//! stops the reading, and the journal or the file is the buffer.

pub mod checkpoint;
mod batch_sender;
mod context_delivery;
mod deltas;
mod fan_out;
mod file;
mod grouped_delivery;
pub mod heartbeat;
mod metrics;
mod server;
pub mod shutdown;
mod refused;
pub mod external_sort;
mod sorted_delivery;
mod last_records;
mod last_delivery;
mod spool;
mod output_dir;
mod save_metrics;
mod view_delivery;

use std::fmt;
use std::time::{Duration, Instant};

use crate::delivery::checkpoint::Checkpoint;
use crate::diagnostics;
use crate::exit::Exit;
use crate::source::Group;
use crate::source::position::Position;
use kata_records::{Encoded, Stats};

pub use context_delivery::{Context, ContextDelivery};
pub use deltas::DeltaDelivery;
pub use fan_out::FanOut;
pub use file::FileDelivery;
pub use grouped_delivery::GroupedDelivery;
pub use last_delivery::LastDelivery;
pub use metrics::{DeliveryMetrics, DeliverySnapshot};
pub use output_dir::{OutputDir, OutputDirError, OutputDirSettings, VERSION_KEY};
pub use refused::{RefusedFile, RefusedPlace};
pub use save_metrics::{SaveMetrics, SaveSnapshot};
pub use server::{ServerDelivery, ServerDeliveryConfig};
pub use sorted_delivery::{SortSettings, SortedDelivery};
pub use spool::{Spool, SpoolSettings, WhenFull};
pub use view_delivery::ViewDelivery;

/// The limits of a batch that is sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// The number of bytes at which the batch is full.
    pub size: usize,
    /// The time after which the batch is sent, even if it is not full.
    pub age: Duration,
}

/// The time after which a position without new records is saved. On a busy host without Kata, saving each position
/// would be a constant load.
const IDLE_SAVE_INTERVAL: Duration = Duration::from_secs(10);

/// The time between two messages about a failure that persists.
const REPEAT_INTERVAL: Duration = Duration::from_secs(60);

/// The reason why a delivery accepts no more records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// The reader of the output closed it. This is no failure.
    Closed,
    /// The delivery failed. The reason has been reported.
    Failed(Exit),
}

/// The result of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputEnd {
    /// The exit code of a failed input.
    pub failure: Option<Exit>,
    /// The number of records of all inputs of this run.
    pub records: u64,
    /// The number of flaws and damages in all inputs of this run.
    pub flawed: u64,
}

/// A delivery of records to a receiver. Its methods are called once a batch.
///
/// The run calls [`Delivery::begin_input`], any number of [`Delivery::deliver`], and [`Delivery::end_input`] for each
/// input, then [`Delivery::finish`].
pub trait Delivery: fmt::Debug + Send {
    /// Returns the delivery that gets the records of this one, and by default its calls; `None` for the last one.
    fn inner(&mut self) -> Option<&mut dyn Delivery> {
        None
    }

    /// Begins an input. Returns false if an earlier run has delivered the whole input, so that it need not be read.
    fn begin_input(&mut self, input: &Group) -> bool {
        self.inner().is_none_or(|inner| inner.begin_input(input))
    }

    /// Ends an input.
    ///
    /// # Errors
    /// If the delivery takes no more records.
    fn end_input(&mut self, ended: InputEnd) -> Result<(), DeliveryEnd> {
        self.inner().map_or(Ok(()), |inner| inner.end_input(ended))
    }

    /// Accepts the records of a batch, and the position of the input after the batch. Leaves `out` empty. May wait for
    /// the receiver.
    ///
    /// # Errors
    /// If the delivery takes no more records.
    fn deliver(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), DeliveryEnd>;

    /// Reports records that were read after the delivery took its last ones.
    fn abandon(&mut self, _out: &Encoded) {}

    /// Reports that the input has no more entries at the moment.
    fn idle(&mut self) {
        self.inner().into_iter().for_each(|inner| inner.idle());
    }

    /// Delivers pending records at once.
    fn flush(&mut self) {
        self.inner().into_iter().for_each(|inner| inner.flush());
    }

    /// Returns the number of bytes that the receiver has accepted.
    fn bytes(&self) -> u64;

    /// Delivers pending records and returns the result of the delivery.
    fn finish(self: Box<Self>) -> Delivered;
}

/// A delivery that discards records, for runs that only check their inputs.
#[derive(Debug)]
pub struct NoDelivery(pub Checkpoint);

impl Delivery for NoDelivery {
    fn deliver(&mut self, out: &mut Encoded, _position: Option<Position>) -> Result<(), DeliveryEnd> {
        out.clear(usize::MAX);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn finish(self: Box<Self>) -> Delivered {
        Delivered::new(self.0, 0)
    }
}

/// The result of a delivery.
#[derive(Debug)]
pub struct Delivered {
    /// The positions that were delivered.
    pub checkpoint: Checkpoint,
    /// The number of bytes that the receiver has.
    pub bytes: u64,
    /// Records that no server accepted, and that were written to the file for refused records.
    pub refused: u64,
    /// Records that damage of the spool has cost.
    pub damaged: u64,
    /// Records for which there was no room in the spool.
    pub overflowed: u64,
    /// The counters of records that were left out after they were counted.
    pub left_out: Stats,
    /// The counters of earlier runs on the inputs.
    pub earlier: EarlierRuns,
    /// The reason of an early end.
    pub end: Option<DeliveryEnd>,
}

/// The counters of earlier runs that this run resumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarlierRuns {
    /// The number of delivered records.
    pub records: u64,
    /// The number of flawed records, and of damages in the inputs.
    pub flawed: u64,
}

impl Delivered {
    /// Returns the result of a delivery that reached its end without losses.
    fn new(checkpoint: Checkpoint, bytes: u64) -> Delivered {
        Delivered {
            checkpoint,
            bytes,
            refused: 0,
            damaged: 0,
            overflowed: 0,
            left_out: Stats::default(),
            earlier: EarlierRuns::default(),
            end: None,
        }
    }
}

/// A checkpoint that reports failed saves without ending the delivery. Records delivered twice after a crash are better
/// than records not delivered while a disk is full.
#[derive(Debug)]
struct CheckpointSaver {
    checkpoint: Checkpoint,
    last_warning: Option<Instant>,
}

impl CheckpointSaver {
    fn new(checkpoint: Checkpoint) -> CheckpointSaver {
        CheckpointSaver { checkpoint, last_warning: None }
    }

    /// Saves the checkpoint. On failure returns the exit code, in case no later save succeeds.
    fn save(&mut self) -> Option<Exit> {
        let Err(error) = self.checkpoint.save() else {
            if self.last_warning.take().is_some() {
                diagnostics::report(format_args!("--state-dir: the position is saved again"));
            }
            return None;
        };
        if self.last_warning.is_none_or(|warned| warned.elapsed() >= REPEAT_INTERVAL) {
            self.last_warning = Some(Instant::now());
            diagnostics::report(format_args!(
                "{error}; delivery goes on, and would begin from the last one that was saved"
            ));
        }
        Some(error.exit())
    }
}

/// Reports an error and returns the end of the delivery that it causes.
fn report_error(error: &impl fmt::Display, exit: Exit) -> DeliveryEnd {
    diagnostics::report(format_args!("{error}"));
    DeliveryEnd::Failed(exit)
}
