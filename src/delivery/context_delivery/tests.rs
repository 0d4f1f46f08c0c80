use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::delivery::checkpoint::Checkpoint;

/// A delivery that collects the records.
#[derive(Debug, Default)]
struct Collected(Arc<Mutex<Vec<u8>>>);

impl Delivery for Collected {
    fn deliver(&mut self, out: &mut Encoded, _position: Option<Position>) -> Result<(), DeliveryEnd> {
        assert!(out.records().all(|(record, row)| record.len() == 1 && row.counted == 1 << 30));
        assert_eq!(out.rows.last().map_or(0, |row| row.end), out.bytes.len());
        self.0.lock().unwrap().append(&mut out.bytes);
        out.clear(0);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn finish(self: Box<Self>) -> Delivered {
        Delivered::new(Checkpoint::forgetful(), 0)
    }
}

/// Returns a batch of records, the number of each as its only byte.
fn batch(records: &[(u64, bool)], first: usize) -> Encoded {
    let mut out = Encoded::default();
    for (index, (sandbox, is_match)) in records.iter().enumerate() {
        out.bytes.push((first + index) as u8);
        let is_match = if *is_match { Match::Yes } else { Match::No };
        // The counter of a record of another program.
        out.rows.push(Row { end: out.bytes.len(), sandbox: *sandbox, is_match, counted: 1 << 30, ..Row::default() });
    }
    out
}

/// Returns the numbers of the records that are passed on, and the number of those that are left out.
fn run(context: Context, batches: &[&[(u64, bool)]], idle: bool) -> (Vec<u8>, u64) {
    let collected = Arc::new(Mutex::new(Vec::new()));
    let mut delivery = Box::new(ContextDelivery::new(Box::new(Collected(Arc::clone(&collected))), context));
    let mut first = 0;
    for records in batches {
        delivery.deliver(&mut batch(records, first), None).unwrap();
        first += records.len();
        if idle {
            delivery.idle();
        }
    }
    let left_out = delivery.finish().left_out.written();
    let collected = collected.lock().unwrap().clone();
    (collected, left_out)
}

const M: bool = true;
const O: bool = false;

#[test]
fn records_of_the_sandbox_come_with_a_match() {
    let around = |before, after| Context { before, after };
    let records = [(1, O), (1, O), (2, O), (1, M), (2, O), (1, O), (1, O), (1, M), (2, O)];
    for (context, expected) in [
        (around(0, 0), &[3, 7][..]),
        (around(1, 0), &[1, 3, 6, 7]),
        (around(0, 1), &[3, 5, 7]),
        (around(9, 9), &[0, 1, 3, 5, 6, 7]),
    ] {
        let (passed, left_out) = run(context, &[&records], false);
        assert_eq!(passed, expected, "{context:?}");
        assert_eq!(left_out as usize + passed.len(), records.len());
    }
    // Records before a match wait, and so do the matches of other sandboxes behind them.
    let records: [&[(u64, bool)]; 2] = [&[(1, O), (2, M)], &[(1, M)]];
    assert_eq!(run(around(1, 0), &records, false).0, [0, 1, 2]);
    assert_eq!(run(around(1, 0), &records, true).0, [1, 0, 2], "nothing that is wanted waits while the input is idle");
}

#[test]
fn the_oldest_record_is_given_up_at_the_limit() {
    let collected = Arc::new(Mutex::new(Vec::new()));
    let context = Context { before: usize::MAX, after: 0 };
    let mut delivery = ContextDelivery::new(Box::new(Collected(Arc::clone(&collected))), context);
    let count = MAX_WAITING / (OVERHEAD + 1) + 10;
    for number in 0..count {
        delivery.deliver(&mut batch(&[(number as u64 % 3, O)], number), None).unwrap();
        assert!(delivery.size <= MAX_WAITING);
    }
    assert!(delivery.waiting.len() > count - 20);
    delivery.deliver(&mut batch(&[(0, M), (1, M), (2, M)], count), None).unwrap();
    assert_eq!((delivery.waiting.len(), delivery.size), (0, 0));
    let left_out = delivery.left_out.written() as usize;
    assert_eq!(collected.lock().unwrap().len() + left_out, count + 3);
    assert!((1..20).contains(&left_out));
}

/// A delivery that fails once, and then takes records again.
#[derive(Debug, Default)]
struct FailsOnce(bool);

impl Delivery for FailsOnce {
    fn deliver(&mut self, out: &mut Encoded, _position: Option<Position>) -> Result<(), DeliveryEnd> {
        out.clear(0);
        if std::mem::replace(&mut self.0, true) { Ok(()) } else { Err(DeliveryEnd::Closed) }
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn finish(self: Box<Self>) -> Delivered {
        Delivered::new(Checkpoint::forgetful(), 0)
    }
}

#[test]
fn a_failure_while_the_input_is_idle_is_not_forgotten() {
    let failed = || {
        let mut delivery = Box::new(ContextDelivery::new(Box::<FailsOnce>::default(), Context { before: 1, after: 0 }));
        delivery.deliver(&mut batch(&[(1, O), (2, M)], 0), None).unwrap();
        delivery.idle();
        delivery
    };
    assert_eq!(failed().deliver(&mut batch(&[(1, M)], 2), None), Err(DeliveryEnd::Closed));
    assert_eq!(failed().finish().end, Some(DeliveryEnd::Closed));
}

#[test]
fn any_number_of_sandboxes_needs_little_memory() {
    let mut delivery = ContextDelivery::new(Box::new(Collected::default()), Context { before: 1, after: 1 });
    for number in 0..3 * MAX_SANDBOXES {
        delivery.deliver(&mut batch(&[(number as u64, O)], 0), None).unwrap();
        assert!(delivery.sandboxes.len() <= MAX_SANDBOXES);
    }
}

proptest! {
    #[test]
    fn it_is_what_a_look_at_all_records_finds(
        records in prop::collection::vec((0_u64..3, prop::bool::weighted(0.2)), 0..60),
        before in 0_usize..4,
        after in 0_usize..4,
        cut in 0_usize..60,
    ) {
        let wanted = |number: usize| {
            let sandbox = records[number].0;
            let own: Vec<usize> = (0..records.len()).filter(|other| records[*other].0 == sandbox).collect();
            let at = own.iter().position(|other| *other == number).unwrap();
            let near = own[at.saturating_sub(after)..own.len().min(at + before + 1)].iter();
            near.into_iter().any(|other| records[*other].1)
        };
        let expected: Vec<u8> = (0..records.len()).filter(|number| wanted(*number)).map(|number| number as u8).collect();
        let (one, two) = records.split_at(cut.min(records.len()));
        prop_assert_eq!(run(Context { before, after }, &[one, two], false).0, expected);
    }
}
