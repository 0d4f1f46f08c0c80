//! From the pipeline to the receiver, and from there to the checkpoint: a position moves on only when the receiver has
//! everything before it.
//!
//! Standard output and files take what they are given at once. A server takes its time, so a thread of its own
//! gathers records into windows and sends them, while the next ones are read. Between the two there is room for little:
//! a receiver that is slow or away stops the reading, and the journal or the file is the buffer.

pub mod checkpoint;
mod deltas;
mod file;
pub mod heartbeat;
mod metrics;
mod server;
pub mod shutdown;
mod refused;
pub mod external_sort;
mod sorted_delivery;
mod spool;
mod output_dir;

use std::fmt;
use std::time::{Duration, Instant};

use crate::delivery::checkpoint::Checkpoint;
use crate::diagnostics;
use crate::exit::Exit;
use crate::source::Group;
use crate::source::position::Position;
use kata_records::encode::Encoded;

pub use deltas::DeltaDelivery;
pub use file::FileDelivery;
pub use metrics::{DeliveryMetrics, DeliverySnapshot};
pub use output_dir::{OutputDir, OutputDirError, OutputDirSettings};
pub use server::{ServerDelivery, ServerDeliveryConfig};
pub use sorted_delivery::SortedDelivery;
pub use spool::{Spool, SpoolSettings, WhenFull};

/// How much goes out at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// With so many bytes of records it is full.
    pub size: usize,
    /// After so long it goes out, full or not.
    pub age: Duration,
}

/// How long a position without a record may stay unsaved: a quiet Kata on a busy host is no reason to write all the time.
const IDLE_SAVE_INTERVAL: Duration = Duration::from_secs(10);

/// How often a failure that lasts is said again.
const REPEAT_INTERVAL: Duration = Duration::from_secs(60);

/// Why nothing more can be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// The reader of the output went away; this is no failure.
    Closed,
    /// It failed, and why has been said.
    Failed(Exit),
}

/// How an input ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputEnd {
    /// How it failed, if it did.
    pub failure: Option<Exit>,
    /// How many records there were in all inputs of this run.
    pub records: u64,
    /// How much was wrong in all of them.
    pub flawed: u64,
}

/// A way to the receiver. It acts once a batch.
///
/// The run calls [`Delivery::begin_input`], any number of [`Delivery::deliver`], and [`Delivery::end_input`] for each input, then
/// [`Delivery::finish`].
pub trait Delivery: fmt::Debug + Send {
    /// Begins an input. Returns false if an earlier run has delivered all of it, so that nobody need read it.
    fn begin_input(&mut self, _input: &Group) -> bool {
        true
    }

    /// Notes that an input was read to its end.
    ///
    /// # Errors
    /// If nothing more can be delivered.
    fn end_input(&mut self, _ended: InputEnd) -> Result<(), DeliveryEnd> {
        Ok(())
    }

    /// Takes the records of a batch and how far the input was read with it. Leaves `out` empty. May wait for the receiver.
    ///
    /// # Errors
    /// If nothing more can be delivered.
    fn deliver(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), DeliveryEnd>;

    /// Notes that the input has nothing more right now.
    fn idle(&mut self) {}

    /// Delivers at once what it holds.
    fn flush(&mut self) {}

    /// Returns how many bytes the receiver has.
    fn bytes(&self) -> u64;

    /// Delivers what it holds and reports how all of it went.
    fn finish(self: Box<Self>) -> Delivered;
}

/// A delivery to nobody, for runs that only check their inputs.
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

/// How a delivery ended.
#[derive(Debug)]
pub struct Delivered {
    /// How far it came.
    pub checkpoint: Checkpoint,
    /// How many bytes the receiver has.
    pub bytes: u64,
    /// Records that no server took, and that were set aside.
    pub refused: u64,
    /// Records for which there was no room in the spool.
    pub overflowed: u64,
    /// Records that earlier runs have delivered of the same inputs, and how much was wrong with these.
    pub earlier: EarlierRuns,
    /// Why it ended before all was delivered.
    pub end: Option<DeliveryEnd>,
}

/// The counters of the runs that this one goes on with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarlierRuns {
    /// Records that they delivered.
    pub records: u64,
    /// Flawed records, and damages of their inputs.
    pub flawed: u64,
}

impl Delivered {
    /// Returns the report of a delivery that reached its end without losses.
    fn new(checkpoint: Checkpoint, bytes: u64) -> Delivered {
        Delivered { checkpoint, bytes, refused: 0, overflowed: 0, earlier: EarlierRuns::default(), end: None }
    }
}

/// A checkpoint that complains when it cannot be saved, and lets the delivery go on: what was delivered twice after a
/// crash is better than what was not delivered while a disk was full.
#[derive(Debug)]
struct CheckpointSaver {
    checkpoint: Checkpoint,
    last_warning: Option<Instant>,
}

impl CheckpointSaver {
    fn new(checkpoint: Checkpoint) -> CheckpointSaver {
        CheckpointSaver { checkpoint, last_warning: None }
    }

    /// Saves; the way to end, should this be the last try, where it failed.
    fn save(&mut self) -> Option<Exit> {
        let Err(error) = self.checkpoint.save() else {
            if self.last_warning.take().is_some() {
                diagnostics::report(format_args!("state-dir: the position is saved again"));
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
