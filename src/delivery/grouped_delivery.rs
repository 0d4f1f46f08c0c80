//! Holds all records back until the inputs end, and then renders them in blocks, one for each sandbox.

use super::{Delivered, Delivery, DeliveryEnd, report_error};
use crate::delivery::external_sort::{ExternalSorter, temp_directory};
use crate::source::position::Position;
use crate::view::{Groups, View};
use kata_records::Encoded;

/// A delivery that renders the records of each sandbox in a block of their own, at the end.
#[derive(Debug)]
pub struct GroupedDelivery {
    inner: Box<dyn Delivery>,
    view: View,
    groups: Groups,
    /// The records, or the reason of a failure. After it, no records are passed on: they would pass for all there are.
    sorter: Result<ExternalSorter, DeliveryEnd>,
}

impl GroupedDelivery {
    /// Returns a delivery that shows records in this view. They wait in `memory` bytes, and beyond these in files of the
    /// directory that TMPDIR names.
    #[must_use]
    pub fn new(inner: Box<dyn Delivery>, view: View, memory: usize) -> GroupedDelivery {
        let sorter = Ok(ExternalSorter::new(memory, temp_directory()));
        GroupedDelivery { inner, view, groups: Groups::default(), sorter }
    }
}

impl Delivery for GroupedDelivery {
    fn inner(&mut self) -> Option<&mut dyn Delivery> {
        Some(self.inner.as_mut())
    }

    /// Ignores the position. Nothing is delivered before the end, so there is no position to save.
    fn deliver(&mut self, out: &mut Encoded, _position: Option<Position>) -> Result<(), DeliveryEnd> {
        debug_assert_eq!(out.rows.last().map_or(0, |row| row.end), out.bytes.len(), "all bytes are records");
        let sorter = self.sorter.as_mut().map_err(|end| *end)?;
        let groups = &mut self.groups;
        let pushed =
            out.records().try_for_each(|(record, row)| sorter.push_in_group(record, groups.note(record), row.counted));
        out.clear(usize::MAX);
        pushed.map_err(|error| {
            let end = report_error(&error, error.exit());
            // Dropping the sorter removes its files.
            self.sorter = Err(end);
            end
        })
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    fn finish(self: Box<Self>) -> Delivered {
        let GroupedDelivery { mut inner, view, groups, sorter } = *self;
        let shown = sorter.and_then(|sorter| show(sorter, &groups, view, inner.as_mut()));
        let mut delivered = inner.finish();
        delivered.end = delivered.end.or(shown.err());
        delivered
    }
}

/// Renders the blocks one after the other.
fn show(sorter: ExternalSorter, groups: &Groups, mut view: View, inner: &mut dyn Delivery) -> Result<(), DeliveryEnd> {
    let mut sorted = sorter.finish(None).map_err(|error| report_error(&error, error.exit()))?;
    let (mut records, mut lines) = (Encoded::default(), Encoded::default());
    let mut block = None;
    while sorted.fill(&mut records).map_err(|error| report_error(&error, error.exit()))? {
        for (record, row) in records.records() {
            if block.replace(row.part) != Some(row.part) {
                view.begin_block(groups, row.part, &mut lines.bytes);
            }
            view.render(record, &mut lines.bytes);
        }
        records.clear(usize::MAX);
        inner.deliver(&mut lines, None)?;
    }
    view.release(&mut lines.bytes);
    inner.deliver(&mut lines, None)
}
