//! Delivery to standard output or a file.

use std::time::Instant;

use kata_records::encode::Encoded;

use super::{Delivered, Delivery, End, QUIET, Saver, Window, said};
use crate::delivery::checkpoint::Checkpoint;
use crate::exit::Exit;
use crate::sink::{Output, Taken};
use crate::source::position::Position;

/// A delivery to standard output or a file, which take all that is written to them at once.
#[derive(Debug)]
pub struct FileDelivery {
    output: Output,
    window: Window,
    saver: Saver,
    bytes: u64,
    /// Bytes since the position was saved, and when that was.
    unsaved: usize,
    since: Instant,
    failed: Option<Exit>,
}

impl FileDelivery {
    /// Returns a delivery to this output. It saves the position each time the limits of a batch are reached.
    #[must_use]
    pub fn new(output: Output, window: Window, checkpoint: Checkpoint) -> FileDelivery {
        let saver = Saver::new(checkpoint);
        FileDelivery { output, window, saver, bytes: 0, unsaved: 0, since: Instant::now(), failed: None }
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

impl Delivery for FileDelivery {
    fn deliver(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), End> {
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

    fn idle(&mut self) {
        self.save_if_due();
    }

    fn flush(&mut self) {
        self.save();
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn finish(mut self: Box<Self>) -> Delivered {
        self.save();
        Delivered { end: self.failed.map(End::Failed), ..Delivered::new(self.saver.checkpoint, self.bytes) }
    }
}
