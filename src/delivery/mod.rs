//! From the pipeline to the receiver, and from there to the checkpoint: a position moves on only when the receiver has
//! everything before it.
//!
//! Standard output and files take what they are given at once. A server takes its time, so a thread of its own
//! gathers records into windows and sends them, while the next ones are read. Between the two there is room for little:
//! a receiver that is slow or away stops the reading, and the journal or the file is the buffer.

pub mod checkpoint;
mod deltas;
mod flow;
mod forward;
mod refused;
pub mod sort;
mod sorted;
mod spool;
mod tree;

use std::time::{Duration, Instant};

use crate::delivery::checkpoint::Checkpoint;
use crate::diagnostics;
use crate::exit::Exit;
use crate::sink::{Output, SinkError, Taken};
use crate::source::Group;
use crate::source::position::Position;
use kata_records::encode::Encoded;

pub use deltas::Deltas;
pub use flow::{Flow, Seen};
pub use forward::{Forwarding, Queue};
pub use sorted::Sorted;
pub use spool::{Full, Spool, SpoolSettings};
pub use tree::{Tree, TreeError, TreeSettings};

/// How much goes out at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// With so many bytes of records it is full.
    pub size: usize,
    /// After so long it goes out, full or not.
    pub age: Duration,
}

/// How long a position without a record may stay unsaved: a quiet Kata on a busy host is no reason to write all the time.
const QUIET: Duration = Duration::from_secs(10);

/// How often a failure that lasts is said again.
const REMIND: Duration = Duration::from_secs(60);

/// Why nothing more can be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The reader of the output went away; this is no failure.
    Closed,
    /// It failed, and why has been said.
    Failed(Exit),
}

/// How an input ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How it failed, if it did.
    pub failure: Option<Exit>,
    /// How many records there were in all inputs of this run.
    pub records: u64,
    /// How much was wrong in all of them.
    pub flawed: u64,
}

/// The way to the receiver.
#[derive(Debug)]
pub enum Delivery {
    /// To standard output or a file.
    Direct(Direct),
    /// To servers.
    Queued(Queue),
    /// In order of time, to another one.
    Sorted(Box<Sorted>),
    /// With what each record came after the one before, to another one.
    Deltas(Box<Deltas>),
    /// Into files of a directory.
    Tree(Box<Tree>),
    /// To nobody: the inputs are only checked.
    Nowhere(Checkpoint),
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
    pub earlier: (u64, u64),
    /// Why it ended before all was delivered.
    pub end: Option<End>,
}

impl Delivery {
    /// Begins with an input. False where it is not to be read, because an earlier run has delivered all of it.
    #[must_use]
    pub fn begin_input(&mut self, input: &Group) -> bool {
        match self {
            Delivery::Direct(_) | Delivery::Queued(_) | Delivery::Nowhere(_) => true,
            Delivery::Sorted(sorted) => {
                sorted.begin_input(input);
                true
            }
            Delivery::Deltas(deltas) => deltas.inner.begin_input(input),
            Delivery::Tree(tree) => tree.begin(input),
        }
    }

    /// Takes note that an input was read to its end.
    ///
    /// # Errors
    /// If nothing more can be delivered.
    pub fn end_input(&mut self, ended: Ended) -> Result<(), End> {
        match self {
            Delivery::Direct(_) | Delivery::Queued(_) | Delivery::Nowhere(_) => Ok(()),
            Delivery::Sorted(sorted) => {
                sorted.end_input(ended);
                Ok(())
            }
            Delivery::Deltas(deltas) => deltas.inner.end_input(ended),
            Delivery::Tree(tree) => tree.end(ended),
        }
    }

    /// Takes what came of a batch, and how far the input is read with it. May wait for the receiver. What it is given is
    /// empty afterwards.
    ///
    /// # Errors
    /// If nothing more can be delivered.
    pub fn put(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), End> {
        match self {
            Delivery::Direct(direct) => direct.put(out, position),
            Delivery::Queued(queue) => queue.put(out, position),
            // A position is none as long as nothing is delivered.
            Delivery::Sorted(sorted) => sorted.put(out),
            Delivery::Deltas(deltas) => deltas.put(out, position),
            Delivery::Tree(tree) => tree.put(out),
            Delivery::Nowhere(_) => {
                out.clear(usize::MAX);
                Ok(())
            }
        }
    }

    /// Takes note that nothing more comes right now.
    pub fn idle(&mut self) {
        match self {
            Delivery::Direct(direct) => direct.save_if_due(),
            // The thread knows by the clock; files know by their inputs.
            Delivery::Queued(_) | Delivery::Tree(_) | Delivery::Nowhere(_) => {}
            Delivery::Sorted(sorted) => sorted.inner.idle(),
            Delivery::Deltas(deltas) => deltas.inner.idle(),
        }
    }

    /// Delivers at once what is in hand.
    pub fn flush(&mut self) {
        match self {
            Delivery::Direct(direct) => direct.save(),
            Delivery::Queued(queue) => queue.flush(),
            Delivery::Sorted(sorted) => sorted.inner.flush(),
            Delivery::Deltas(deltas) => deltas.inner.flush(),
            Delivery::Tree(_) | Delivery::Nowhere(_) => {}
        }
    }

    /// How many bytes the receiver has.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Delivery::Direct(direct) => direct.bytes,
            Delivery::Queued(queue) => queue.bytes(),
            Delivery::Sorted(sorted) => sorted.inner.bytes(),
            Delivery::Deltas(deltas) => deltas.inner.bytes(),
            Delivery::Tree(tree) => tree.bytes(),
            Delivery::Nowhere(_) => 0,
        }
    }

    /// Delivers what is in hand, and says how it all went.
    #[must_use]
    pub fn finish(self) -> Delivered {
        match self {
            Delivery::Direct(mut direct) => {
                direct.save();
                let end = direct.failed.map(End::Failed);
                let Direct { saver, bytes, .. } = direct;
                Delivered { checkpoint: saver.checkpoint, bytes, refused: 0, overflowed: 0, earlier: (0, 0), end }
            }
            Delivery::Queued(queue) => queue.finish(),
            Delivery::Sorted(sorted) => sorted.finish(),
            Delivery::Deltas(deltas) => deltas.inner.finish(),
            Delivery::Tree(tree) => tree.finish(),
            Delivery::Nowhere(checkpoint) => {
                Delivered { checkpoint, bytes: 0, refused: 0, overflowed: 0, earlier: (0, 0), end: None }
            }
        }
    }
}

/// Standard output or a file, which has what was written to it.
#[derive(Debug)]
pub struct Direct {
    output: Output,
    window: Window,
    saver: Saver,
    bytes: u64,
    /// Bytes since the position was saved, and when that was.
    unsaved: usize,
    since: Instant,
    failed: Option<Exit>,
}

impl Direct {
    /// A way to this output that saves the position once in a window.
    #[must_use]
    pub fn new(output: Output, window: Window, checkpoint: Checkpoint) -> Direct {
        let saver = Saver::new(checkpoint);
        Direct { output, window, saver, bytes: 0, unsaved: 0, since: Instant::now(), failed: None }
    }

    fn put(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), End> {
        if !out.bytes.is_empty() {
            match self.output.deliver(&out.bytes) {
                Ok(Taken::Whole) => {}
                Ok(Taken::Closed) => return Err(End::Closed),
                Err(error) => return Err(End::Failed(said(&error))),
            }
            self.bytes += out.bytes.len() as u64;
            self.unsaved += out.bytes.len();
            out.bytes.clear();
            out.rows.clear();
        }
        if let Some(position) = position {
            self.saver.checkpoint.advance(position);
        }
        if self.unsaved >= self.window.size {
            self.save();
        }
        Ok(())
    }

    fn save_if_due(&mut self) {
        let due = if self.unsaved > 0 { self.window.age } else { QUIET };
        if self.since.elapsed() >= due {
            self.save();
        }
    }

    fn save(&mut self) {
        // A position must not be before what waits to be compressed.
        match self.output.flush() {
            Ok(_) => self.failed = self.saver.save(),
            Err(error) => self.failed = Some(said(&error)),
        }
        (self.unsaved, self.since) = (0, Instant::now());
    }
}

/// A checkpoint that complains when it cannot be saved, and lets the delivery go on: what was delivered twice after a
/// crash is better than what was not delivered while a disk was full.
#[derive(Debug)]
struct Saver {
    checkpoint: Checkpoint,
    said: Option<Instant>,
}

impl Saver {
    fn new(checkpoint: Checkpoint) -> Saver {
        Saver { checkpoint, said: None }
    }

    /// Saves; the way to end, should this be the last try, where it failed.
    fn save(&mut self) -> Option<Exit> {
        let Err(error) = self.checkpoint.save() else {
            if self.said.take().is_some() {
                diagnostics::report(format_args!("state-dir: the position is saved again"));
            }
            return None;
        };
        if self.said.is_none_or(|said| said.elapsed() >= REMIND) {
            self.said = Some(Instant::now());
            diagnostics::report(format_args!(
                "{error}; delivery goes on, and would begin from the last one that was saved"
            ));
        }
        Some(error.exit())
    }
}

fn said(error: &SinkError) -> Exit {
    diagnostics::report(format_args!("{error}"));
    error.exit()
}
