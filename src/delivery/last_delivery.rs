//! Holds the last records back until the inputs end, and then passes them on.

use super::external_sort::temp_directory;
use super::last_records::LastRecords;
use super::{Delivered, Delivery, DeliveryEnd, report_error};
use crate::source::position::Position;
use kata_records::Encoded;

/// A delivery that passes only the last records of all inputs on, at the end.
#[derive(Debug)]
pub struct LastDelivery {
    inner: Box<dyn Delivery>,
    /// The records, or the reason of a failure. After it, no records are passed on: they would pass for the last ones.
    records: Result<LastRecords, DeliveryEnd>,
}

impl LastDelivery {
    /// Returns a delivery of the last `wanted` records, which wait in `memory` bytes, and beyond these in files of the
    /// directory that TMPDIR names.
    #[must_use]
    pub fn new(inner: Box<dyn Delivery>, wanted: u64, memory: usize) -> LastDelivery {
        LastDelivery { inner, records: Ok(LastRecords::new(wanted, memory, temp_directory())) }
    }
}

impl Delivery for LastDelivery {
    fn inner(&mut self) -> Option<&mut dyn Delivery> {
        Some(self.inner.as_mut())
    }

    /// Ignores the position. Nothing is delivered before the end, so there is no position to save.
    fn deliver(&mut self, out: &mut Encoded, _position: Option<Position>) -> Result<(), DeliveryEnd> {
        debug_assert_eq!(out.rows.last().map_or(0, |row| row.end), out.bytes.len(), "all bytes are records");
        let records = self.records.as_mut().map_err(|end| *end)?;
        let pushed = out.records().try_for_each(|(record, row)| records.push(record, row));
        out.clear(usize::MAX);
        pushed.map_err(|error| {
            let end = report_error(&error, error.exit());
            // Dropping the records removes their files.
            self.records = Err(end);
            end
        })
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    fn finish(self: Box<Self>) -> Delivered {
        let LastDelivery { mut inner, records } = *self;
        let left_out = records.and_then(|records| {
            records.finish(|error| report_error(&error, error.exit()), |out| inner.deliver(out, None))
        });
        let mut delivered = inner.finish();
        match left_out {
            Ok(left_out) => delivered.left_out.merge(&left_out),
            Err(end) => delivered.end = delivered.end.or(Some(end)),
        }
        delivered
    }
}
