//! Adds to each record the time since the previous record in output order.

use super::{Delivered, Delivery, DeliveryEnd};
use crate::source::position::Position;
use kata_records::{Encoded, Format, UnixTime, UtcTimestamp};

/// A delivery that adds deltas to records and passes them on.
#[derive(Debug)]
pub struct DeltaDelivery {
    inner: Box<dyn Delivery>,
    format: Format,
    /// The time of the last record that has a time, in nanoseconds since 1970.
    previous_time: Option<i128>,
    /// The records with their deltas. The buffer is reused.
    buffer: Vec<u8>,
}

impl DeltaDelivery {
    /// Returns a delivery that writes deltas into records of this format.
    #[must_use]
    pub fn new(inner: Box<dyn Delivery>, format: Format) -> DeltaDelivery {
        DeltaDelivery { inner, format, previous_time: None, buffer: Vec::new() }
    }

    fn add(&mut self, out: &mut Encoded) {
        self.buffer.clear();
        let mut start = 0;
        for row in &mut out.rows {
            let record = out.bytes.get(start..row.end).unwrap_or_default();
            start = row.end;
            let now = row.time.as_ref().and_then(nanos);
            let delta = now.zip(self.previous_time).and_then(|(now, before)| i64::try_from(now - before).ok());
            self.previous_time = now.or(self.previous_time);
            self.format.write_with_delta(record, delta, &mut self.buffer);
            row.end = self.buffer.len();
        }
        debug_assert_eq!(start, out.bytes.len(), "all bytes are records");
        std::mem::swap(&mut out.bytes, &mut self.buffer);
    }
}

impl Delivery for DeltaDelivery {
    fn inner(&mut self) -> Option<&mut dyn Delivery> {
        Some(self.inner.as_mut())
    }

    fn deliver(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), DeliveryEnd> {
        self.add(out);
        self.inner.deliver(out, position)
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    fn finish(self: Box<Self>) -> Delivered {
        self.inner.finish()
    }
}

fn nanos(time: &UtcTimestamp) -> Option<i128> {
    let UnixTime { seconds, nanos } = time.unix()?;
    Some(i128::from(seconds) * 1_000_000_000 + i128::from(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::checkpoint::Checkpoint;
    use crate::delivery::{BatchLimits, FileDelivery};
    use crate::sink::Output;
    use kata_records::Row;

    fn deltas() -> DeltaDelivery {
        let output = Output::open(Some("/dev/null".as_ref()), false, &[]).unwrap();
        let limits = BatchLimits { size: 1 << 20, age: std::time::Duration::from_secs(1) };
        let file = FileDelivery::new(output, Format::Ndjson, limits, Checkpoint::forgetful());
        DeltaDelivery::new(Box::new(file), Format::Ndjson)
    }

    fn batch(records: &[(&str, Option<&str>)]) -> Encoded {
        let mut out = Encoded::default();
        for (record, time) in records {
            out.bytes.extend_from_slice(record.as_bytes());
            out.bytes.push(b'\n');
            let time = time.map(|time| UtcTimestamp::parse(time.as_bytes()).unwrap());
            out.rows.push(Row { end: out.bytes.len(), time, ..Row::default() });
        }
        out
    }

    #[track_caller]
    fn check(deltas: &mut DeltaDelivery, records: &[(&str, Option<&str>)], expected: &[&str]) {
        let mut out = batch(records);
        deltas.add(&mut out);
        let lines: Vec<_> = out.records().map(|(record, _)| String::from_utf8_lossy(record).into_owned()).collect();
        let expected: Vec<_> = expected.iter().map(|record| format!("{record}\n")).collect();
        assert_eq!(lines, expected);
        assert_eq!(out.rows.iter().map(|row| row.time).collect::<Vec<_>>(), {
            let times = records.iter().map(|(_, time)| time.and_then(|time| UtcTimestamp::parse(time.as_bytes())));
            times.collect::<Vec<_>>()
        });
    }

    #[test]
    fn it_counts_from_the_last_time_that_was_known() {
        let mut deltas = deltas();
        check(
            &mut deltas,
            &[
                (r#"{"a":0}"#, None),
                (r#"{"a":1}"#, Some("1969-12-31T23:59:59.999999999Z")),
                ("{}", Some("1970-01-01T00:00:01Z")),
                (r#"{"a":"}"}"#, None),
            ],
            &[r#"{"a":0}"#, r#"{"a":1}"#, r#"{"kata_delta_ns":1000000001}"#, r#"{"a":"}"}"#],
        );
        // The previous time outlives the batch.
        check(&mut deltas, &[], &[]);
        check(
            &mut deltas,
            &[
                (r#"{"a":2}"#, Some("1970-01-01T00:00:00.5Z")),
                (r#"{"a":3}"#, Some("1970-01-01T00:00:00.5Z")),
                (r#"{"a":4}"#, Some("2262-04-11T23:47:16.854775807Z")),
            ],
            &[
                r#"{"a":2,"kata_delta_ns":-500000000}"#,
                r#"{"a":3,"kata_delta_ns":0}"#,
                r#"{"a":4,"kata_delta_ns":9223372036354775807}"#,
            ],
        );
        // Nanoseconds in an `i64` reach 292 years.
        check(
            &mut deltas,
            &[("{}", Some("9999-12-31T23:59:59Z")), ("{}", Some("9999-12-31T23:59:58Z"))],
            &["{}", r#"{"kata_delta_ns":-1000000000}"#],
        );
    }

    #[test]
    fn the_steady_state_allocates_nothing() {
        let mut deltas = deltas();
        let mut records = vec![(r#"{"a":1}"#, Some("1970-01-01T00:00:01Z")); 100];
        records.push((r#"{"a":1}"#, Some("1970-01-01T00:00:02Z")));
        let given = batch(&records);
        let mut out = Encoded::default();
        let mut again = || {
            out.bytes.extend_from_slice(&given.bytes);
            out.rows.extend_from_slice(&given.rows);
            deltas.deliver(&mut out, None).unwrap();
        };
        (0..3).for_each(|_| again());
        let counted = allocation_counter::measure(again);
        assert_eq!(counted.count_total, 0);
    }
}
