//! Passes the records on that the filters pass, and those of the same sandbox before and behind them.
//!
//! A record that does not pass waits until it is too far from the next match of its sandbox. Records behind it wait too, so
//! the order stays. What waits has a limit in bytes; beyond it the oldest record is given up.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{Delivered, Delivery, DeliveryEnd, InputEnd};
use crate::source::position::Position;
use kata_records::filter::Match;
use kata_records::{Encoded, Row, Stats};

/// The limit of the records that wait, in bytes.
const MAX_WAITING: usize = 16 << 20;

/// The number of sandboxes that are told apart. If there are more, all begin anew.
const MAX_SANDBOXES: usize = 1 << 14;

/// The memory that a record needs beside its bytes.
const OVERHEAD: usize = 128;

/// The numbers of records before and behind a match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The records before it.
    pub before: usize,
    /// The records behind it.
    pub after: usize,
}

/// A delivery of matches and the records around them.
#[derive(Debug)]
pub struct ContextDelivery {
    inner: Box<dyn Delivery>,
    context: Context,
    /// The records that wait, by their numbers.
    waiting: BTreeMap<u64, Waiting>,
    /// Their size in bytes.
    size: usize,
    next_number: u64,
    sandboxes: HashMap<u64, Sandbox>,
    /// The records that are passed on.
    out: Encoded,
    left_out: Stats,
    /// The reason why the inner delivery takes no more records.
    end: Option<DeliveryEnd>,
}

#[derive(Debug)]
struct Waiting {
    record: Box<[u8]>,
    row: Row,
    /// The record is passed on. Others wait for a match of their sandbox.
    is_wanted: bool,
}

#[derive(Debug, Default)]
struct Sandbox {
    /// The numbers of the records before the next match.
    before: VecDeque<u64>,
    /// The number of records that are still wanted behind the last match.
    after: usize,
}

impl ContextDelivery {
    /// Returns a delivery that passes matches on to `inner` with the records around them.
    #[must_use]
    pub fn new(inner: Box<dyn Delivery>, context: Context) -> ContextDelivery {
        ContextDelivery {
            inner,
            context,
            waiting: BTreeMap::new(),
            size: 0,
            next_number: 0,
            sandboxes: HashMap::new(),
            out: Encoded::default(),
            left_out: Stats::default(),
            end: None,
        }
    }

    fn add(&mut self, record: &[u8], row: Row) {
        if self.sandboxes.len() >= MAX_SANDBOXES && !self.sandboxes.contains_key(&row.sandbox) {
            self.give_up_all();
        }
        let number = self.next_number;
        self.next_number += 1;
        let sandbox = self.sandboxes.entry(row.sandbox).or_default();
        let mut too_far = None;
        let is_wanted = if row.is_match == Match::Yes {
            for number in sandbox.before.drain(..) {
                self.waiting.entry(number).and_modify(|waiting| waiting.is_wanted = true);
            }
            sandbox.after = self.context.after;
            true
        } else if sandbox.after > 0 {
            sandbox.after -= 1;
            true
        } else {
            sandbox.before.push_back(number);
            too_far = if sandbox.before.len() > self.context.before { sandbox.before.pop_front() } else { None };
            false
        };
        self.size += record.len() + OVERHEAD;
        self.waiting.insert(number, Waiting { record: record.into(), row, is_wanted });
        if let Some(number) = too_far {
            self.leave_out(number);
        }
    }

    fn leave_out(&mut self, number: u64) {
        if let Some(waiting) = self.waiting.remove(&number) {
            self.size -= waiting.record.len() + OVERHEAD;
            self.left_out.count_row(waiting.row.counted);
        }
    }

    /// Gives up all records that wait for a match.
    fn give_up_all(&mut self) {
        for number in std::mem::take(&mut self.sandboxes).into_values().flat_map(|sandbox| sandbox.before) {
            self.leave_out(number);
        }
    }

    /// Moves the wanted records before the first one that waits to the output; or all wanted records with `out_of_order`.
    fn settle(&mut self, out_of_order: bool) {
        while self.size > MAX_WAITING
            && let Some((number, waiting)) = self.waiting.first_key_value()
            && !waiting.is_wanted
        {
            let (number, sandbox) = (*number, waiting.row.sandbox);
            if let Some(sandbox) = self.sandboxes.get_mut(&sandbox) {
                sandbox.before.pop_front();
            }
            self.leave_out(number);
            self.take_first_wanted();
        }
        self.take_first_wanted();
        if out_of_order {
            let wanted = self.waiting.iter().filter(|(_, waiting)| waiting.is_wanted).map(|(number, _)| *number);
            for number in wanted.collect::<Vec<_>>() {
                self.take(number);
            }
        }
    }

    fn take_first_wanted(&mut self) {
        while let Some((number, waiting)) = self.waiting.first_key_value()
            && waiting.is_wanted
        {
            self.take(*number);
        }
    }

    /// Moves a record to the output.
    fn take(&mut self, number: u64) {
        let Some(Waiting { record, row, .. }) = self.waiting.remove(&number) else { return };
        self.size -= record.len() + OVERHEAD;
        self.out.bytes.extend_from_slice(&record);
        self.out.rows.push(Row { end: self.out.bytes.len(), ..row });
    }

    fn pass_on(&mut self, position: Option<Position>) -> Result<(), DeliveryEnd> {
        if let Some(end) = self.end {
            return Err(end);
        }
        if self.out.is_empty() && position.is_none() {
            return Ok(());
        }
        self.inner.deliver(&mut self.out, position).inspect_err(|end| self.end = Some(*end))
    }
}

impl Delivery for ContextDelivery {
    fn inner(&mut self) -> Option<&mut dyn Delivery> {
        Some(self.inner.as_mut())
    }

    fn end_input(&mut self, ended: InputEnd) -> Result<(), DeliveryEnd> {
        self.give_up_all();
        self.settle(false);
        self.pass_on(None)?;
        self.inner.end_input(ended)
    }

    fn deliver(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), DeliveryEnd> {
        self.out.received = out.received;
        for (record, row) in out.records() {
            self.add(record, *row);
            if self.size > MAX_WAITING {
                self.settle(false);
            }
        }
        out.clear(usize::MAX);
        self.settle(false);
        self.pass_on(position)
    }

    fn idle(&mut self) {
        // Nobody knows when the next record comes, so what is wanted is shown now.
        self.settle(true);
        // The next call or the end returns a failure.
        let _ = self.pass_on(None);
        self.inner.idle();
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    fn finish(mut self: Box<Self>) -> Delivered {
        // A run that is stopped ends no input.
        self.give_up_all();
        self.settle(false);
        let passed = self.pass_on(None);
        let ContextDelivery { inner, left_out, .. } = *self;
        let mut delivered = inner.finish();
        delivered.left_out.merge(&left_out);
        delivered.end = delivered.end.or(passed.err());
        delivered
    }
}

#[cfg(test)]
mod tests;
