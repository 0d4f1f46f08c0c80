//! Delivery to standard output or a file.

use std::time::Instant;

use kata_records::{Encoded, Format};

use super::{BatchLimits, CheckpointSaver, Delivered, Delivery, DeliveryEnd, IDLE_SAVE_INTERVAL, report_error};
use crate::delivery::checkpoint::Checkpoint;
use crate::sink::{Output, WriteOutcome};
use crate::source::position::Position;

/// A delivery to standard output or a file, which accept records at once.
#[derive(Debug)]
pub struct FileDelivery {
    output: Output,
    /// The format of the records if the output is a terminal.
    on_terminal: Option<Format>,
    /// Records escaped for the terminal.
    escaped: Vec<u8>,
    limits: BatchLimits,
    saver: CheckpointSaver,
    bytes: u64,
    /// The number of bytes since the position was saved, and the time of that save.
    unsaved_bytes: usize,
    last_save: Instant,
    failed: Option<DeliveryEnd>,
}

impl FileDelivery {
    /// Returns a delivery of records in this format to this output. It saves the position each time the limits of a batch
    /// are reached.
    #[must_use]
    pub fn new(output: Output, format: Format, limits: BatchLimits, checkpoint: Checkpoint) -> FileDelivery {
        FileDelivery {
            on_terminal: output.is_terminal().then_some(format),
            output,
            escaped: Vec::new(),
            limits,
            saver: CheckpointSaver::new(checkpoint),
            bytes: 0,
            unsaved_bytes: 0,
            last_save: Instant::now(),
            failed: None,
        }
    }

    fn save_if_due(&mut self) {
        let due = if self.unsaved_bytes > 0 { self.limits.age } else { IDLE_SAVE_INTERVAL };
        if self.last_save.elapsed() >= due {
            self.save();
        }
    }

    fn save(&mut self) {
        // A saved position must not pass records that wait for compression.
        match self.output.flush() {
            Ok(_) => self.failed = self.saver.save().map(DeliveryEnd::Failed),
            Err(error) => self.failed = Some(report_error(&error, error.exit())),
        }
        (self.unsaved_bytes, self.last_save) = (0, Instant::now());
    }
}

impl Delivery for FileDelivery {
    fn deliver(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), DeliveryEnd> {
        if !out.bytes.is_empty() {
            if let Some(format) = self.on_terminal {
                self.escaped.clear();
                format.escape_for_terminal(&out.bytes, &mut self.escaped);
                std::mem::swap(&mut self.escaped, &mut out.bytes);
            }
            match self.output.deliver(&out.bytes) {
                Ok(WriteOutcome::Written) => {}
                Ok(WriteOutcome::Closed) => return Err(DeliveryEnd::Closed),
                Err(error) => return Err(report_error(&error, error.exit())),
            }
            self.bytes += out.bytes.len() as u64;
            self.unsaved_bytes += out.bytes.len();
            out.bytes.clear();
            out.rows.clear();
        }
        if let Some(position) = position {
            self.saver.checkpoint.advance(position);
        }
        if self.unsaved_bytes >= self.limits.size {
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
        Delivered { end: self.failed, ..Delivered::new(self.saver.checkpoint, self.bytes) }
    }
}
