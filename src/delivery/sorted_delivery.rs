//! Holds all records back until the inputs end, and then passes them on in order of time.

use std::collections::HashMap;

use super::{Delivered, Delivery, DeliveryEnd, InputEnd, report_error};
use crate::delivery::external_sort::{ExternalSorter, SortedRecords, temp_directory};
use crate::diagnostics;
use crate::source::Group;
use crate::source::position::Position;
use kata_records::{Encoded, Row, Stats};

/// A delivery that sorts records and passes them on at the end.
#[derive(Debug)]
pub struct SortedDelivery {
    inner: Box<dyn Delivery>,
    sorter: SorterState,
    /// The numbers of all output parts by their names, and the numbers of the parts of the current batch.
    parts: HashMap<Box<[u8]>, u32>,
    batch_parts: Vec<u32>,
    /// The inputs so far, with their results.
    inputs: Vec<(Group, InputEnd)>,
    /// Only the newest records are wanted, as many as this.
    last: Option<u64>,
    /// Report the start of the merge.
    verbose: bool,
}

/// The order of records, and the means to make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortSettings {
    /// The memory for records in bytes. Further records wait in temporary files.
    pub memory: usize,
    /// The newest record comes first.
    pub reverse: bool,
}

#[derive(Debug)]
enum SorterState {
    Sorting(ExternalSorter),
    /// The reason of the failure. No records are passed on: they would pass for all there are.
    Failed(DeliveryEnd),
}

impl SortedDelivery {
    /// Returns a delivery that sorts in memory, and in files of the directory that TMPDIR names beyond that. Only the
    /// newest records are delivered, if `last` is their number.
    #[must_use]
    pub fn new(inner: Box<dyn Delivery>, settings: SortSettings, last: Option<u64>, verbose: bool) -> SortedDelivery {
        let sorter = ExternalSorter::new(settings.memory, temp_directory()).reversed(settings.reverse);
        SortedDelivery {
            inner,
            last,
            sorter: SorterState::Sorting(sorter),
            parts: HashMap::new(),
            batch_parts: Vec::new(),
            inputs: Vec::new(),
            verbose,
        }
    }
}

impl Delivery for SortedDelivery {
    fn inner(&mut self) -> Option<&mut dyn Delivery> {
        Some(self.inner.as_mut())
    }

    fn begin_input(&mut self, input: &Group) -> bool {
        if let SorterState::Sorting(sorter) = &mut self.sorter {
            sorter.begin_input();
        }
        self.inputs.push((input.clone(), InputEnd::default()));
        true
    }

    fn end_input(&mut self, ended: InputEnd) -> Result<(), DeliveryEnd> {
        if let Some((_, last)) = self.inputs.last_mut() {
            *last = ended;
        }
        Ok(())
    }

    /// Ignores the position. Nothing is delivered before the end, so there is no position to save.
    fn deliver(&mut self, out: &mut Encoded, _position: Option<Position>) -> Result<(), DeliveryEnd> {
        let sorter = match &mut self.sorter {
            SorterState::Sorting(sorter) => sorter,
            SorterState::Failed(end) => return Err(*end),
        };
        debug_assert_eq!(out.rows.last().map_or(0, |row| row.end), out.bytes.len(), "all bytes are records");
        self.batch_parts.clear();
        for name in out.part_names() {
            let next = self.parts.len() as u32;
            self.batch_parts.push(*self.parts.entry(name.clone()).or_insert(next));
        }
        let part = |row: &Row| self.batch_parts.get(row.part as usize).copied().unwrap_or_default();
        let pushed = out.records().try_for_each(|(record, row)| sorter.push(record, row.time, part(row), row.counted));
        out.clear(usize::MAX);
        pushed.map_err(|error| {
            let end = report_error(&error, error.exit());
            // Dropping the sorter removes its files.
            self.sorter = SorterState::Failed(end);
            end
        })
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    fn finish(self: Box<Self>) -> Delivered {
        let SortedDelivery { mut inner, sorter, parts, inputs, last, verbose, .. } = *self;
        let mut left_out = Stats::default();
        let delivered_all = match sorter {
            SorterState::Sorting(sorter) => {
                if verbose {
                    report_merge(&sorter);
                }
                let sorted = sorter.finish(last).map_err(|error| report_error(&error, error.exit()));
                sorted.and_then(|mut sorted| {
                    let end = deliver_inputs(&mut sorted, &by_number(parts), inputs, inner.as_mut());
                    left_out.merge(sorted.left_out());
                    end
                })
            }
            SorterState::Failed(end) => Err(end),
        };
        let mut delivered = inner.finish();
        delivered.left_out.merge(&left_out);
        delivered.end = delivered.end.or(delivered_all.err());
        delivered
    }
}

/// Returns the names of parts in the order of their numbers.
fn by_number(parts: HashMap<Box<[u8]>, u32>) -> Vec<Box<[u8]>> {
    let mut parts: Vec<_> = parts.into_iter().collect();
    parts.sort_unstable_by_key(|(_, number)| *number);
    parts.into_iter().map(|(name, _)| name).collect()
}

fn deliver_inputs(
    sorted: &mut SortedRecords,
    parts: &[Box<[u8]>],
    inputs: Vec<(Group, InputEnd)>,
    inner: &mut dyn Delivery,
) -> Result<(), DeliveryEnd> {
    // The inner delivery gets all records as if they came from all inputs at once.
    if inputs.iter().all(|(input, _)| inner.begin_input(input)) {
        deliver_records(sorted, parts, inner)?;
    }
    inputs.into_iter().try_for_each(|(_, ended)| inner.end_input(ended))
}

/// Reports the temporary files that are about to be merged.
fn report_merge(sorter: &ExternalSorter) {
    if sorter.bytes_on_disk() > 0 {
        let (directory, size) = (sorter.directory().display(), sorter.bytes_on_disk() >> 20);
        diagnostics::report(format_args!(
            "sort: merging; {size} MiB of records are in temporary files in \"{directory}\""
        ));
    }
}

/// Passes the wanted records on, in blocks.
fn deliver_records(
    sorted: &mut SortedRecords,
    parts: &[Box<[u8]>],
    inner: &mut dyn Delivery,
) -> Result<(), DeliveryEnd> {
    let mut out = Encoded::default();
    while sorted.fill(&mut out).map_err(|error| report_error(&error, error.exit()))? {
        let mut rows = std::mem::take(&mut out.rows);
        for row in &mut rows {
            row.part = parts.get(row.part as usize).map_or(0, |name| out.part_number(name));
        }
        out.rows = rows;
        inner.deliver(&mut out, None)?;
    }
    Ok(())
}
