//! Keeps the last records of a sequence, in bounded memory.
//!
//! Records wait in blocks in memory. Beyond the bound, all blocks move to a temporary file. A file that has enough
//! records replaces the one before it, so there are at most two files, with about twice the wanted records.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use super::external_sort::sorted_run::{RunMerge, RunWriter, SortedRun};
use super::external_sort::{BLOCK_BYTES, Key, RecordHead, SortError, failed};
use kata_records::{Encoded, Row, Stats};

/// The last records of a sequence.
#[derive(Debug)]
pub(super) struct LastRecords {
    /// The number of wanted records.
    wanted: u64,
    /// The maximum number of bytes in memory.
    memory: usize,
    directory: PathBuf,
    /// The newest records, and their number and bytes together.
    blocks: VecDeque<Block>,
    buffered: u64,
    buffered_bytes: usize,
    /// A file of older records, complete, and the file that further records go to.
    older: Option<(SortedRun, Stats)>,
    current: Option<(RunWriter, Stats)>,
    /// An empty block to use again.
    spare: Option<Block>,
    /// The counters of the records that were left out.
    left_out: Stats,
}

/// Consecutive records.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

impl Block {
    fn size(&self) -> usize {
        self.bytes.len() + self.rows.len() * size_of::<Row>()
    }

    /// Returns the records and their rows.
    fn records(&self) -> impl Iterator<Item = (&[u8], &Row)> {
        let mut start = 0;
        self.rows.iter().map(move |row| {
            let record = self.bytes.get(start..row.end).unwrap_or_default();
            start = row.end;
            (record, row)
        })
    }

    /// Removes the first records, and counts them.
    fn cut(&mut self, records: usize, left_out: &mut Stats) {
        let end = records.checked_sub(1).and_then(|last| self.rows.get(last)).map_or(0, |row| row.end);
        self.rows.drain(..records.min(self.rows.len())).for_each(|row| left_out.count_row(row.counted));
        self.rows.iter_mut().for_each(|row| row.end -= end);
        self.bytes.drain(..end);
    }
}

impl LastRecords {
    /// Returns an empty sequence, whose last `wanted` records are kept. Records beyond `memory` bytes wait in unlinked
    /// files in `directory`.
    pub(super) fn new(wanted: u64, memory: usize, directory: PathBuf) -> LastRecords {
        LastRecords {
            wanted,
            memory,
            directory,
            blocks: VecDeque::new(),
            buffered: 0,
            buffered_bytes: 0,
            older: None,
            current: None,
            spare: None,
            left_out: Stats::default(),
        }
    }

    /// Appends a record.
    ///
    /// # Errors
    /// If a temporary file cannot be written.
    pub(super) fn push(&mut self, record: &[u8], row: &Row) -> Result<(), SortError> {
        if self.blocks.back().is_none_or(|block| block.size() + record.len() > BLOCK_BYTES) {
            self.trim();
            if self.buffered_bytes + record.len() > self.memory && self.buffered > 0 {
                self.spill().map_err(failed(&self.directory))?;
            }
            self.blocks.push_back(self.spare.take().unwrap_or_default());
        }
        let Some(block) = self.blocks.back_mut() else { return Ok(()) };
        block.bytes.extend_from_slice(record);
        block.rows.push(Row { end: block.bytes.len(), part: 0, ..*row });
        self.buffered += 1;
        self.buffered_bytes += record.len() + size_of::<Row>();
        Ok(())
    }

    /// Leaves out the first blocks and files that the last records do not reach.
    fn trim(&mut self) {
        while let Some(first) = self.blocks.front()
            && self.buffered - first.rows.len() as u64 >= self.wanted
            && let Some(mut first) = self.blocks.pop_front()
        {
            self.buffered -= first.rows.len() as u64;
            self.buffered_bytes -= first.size();
            first.cut(first.rows.len(), &mut self.left_out);
            self.spare = Some(first).filter(|block| block.bytes.capacity() <= 2 * BLOCK_BYTES);
        }
        if self.buffered >= self.wanted {
            let files = [self.older.take().map(|(_, stats)| stats), self.current.take().map(|(_, stats)| stats)];
            files.iter().flatten().for_each(|stats| self.left_out.merge(stats));
        }
    }

    /// Moves all blocks to the current file.
    fn spill(&mut self) -> io::Result<()> {
        let (mut writer, mut stats) = match self.current.take() {
            Some(current) => current,
            None => (RunWriter::new(&self.directory)?, Stats::default()),
        };
        for block in self.blocks.drain(..) {
            for (record, row) in block.records() {
                let own = row.time.and_then(Key::moment);
                let key = Key::new(own.unwrap_or_default(), 0, 0, own.is_some());
                writer.write(RecordHead { key, counted: row.counted }, record)?;
                stats.count_row(row.counted);
            }
        }
        (self.buffered, self.buffered_bytes) = (0, 0);
        if stats.written() < self.wanted {
            self.current = Some((writer, stats));
        } else if let Some((_, before)) = self.older.replace((writer.finish(0)?, stats)) {
            self.left_out.merge(&before);
        }
        Ok(())
    }

    /// Passes the last records to `deliver`, in blocks, and returns the counters of all others.
    ///
    /// # Errors
    /// If a temporary file cannot be read, and the errors of `deliver`.
    pub(super) fn finish<E>(
        mut self,
        fail: impl Fn(SortError) -> E,
        mut deliver: impl FnMut(&mut Encoded) -> Result<(), E>,
    ) -> Result<Stats, E> {
        let fail = |error| fail(failed(&self.directory)(error));
        let mut files: Vec<(SortedRun, u64)> = Vec::new();
        files.extend(self.older.take().map(|(run, stats)| (run, stats.written())));
        if let Some((writer, stats)) = self.current.take() {
            files.push((writer.finish(0).map_err(&fail)?, stats.written()));
        }
        let all = files.iter().map(|(_, records)| records).sum::<u64>() + self.buffered;
        let mut spare = all.saturating_sub(self.wanted);
        let mut out = Encoded::default();
        for (run, _) in files {
            let mut reader = RunMerge::new(vec![run], BLOCK_BYTES).map_err(&fail)?;
            while let Some(head) = reader.take_next(&mut out.bytes).map_err(&fail)? {
                if spare > 0 {
                    spare -= 1;
                    out.bytes.clear();
                    self.left_out.count_row(head.counted);
                    continue;
                }
                out.rows.push(Row {
                    end: out.bytes.len(),
                    time: head.key.time(),
                    counted: head.counted,
                    ..Row::default()
                });
                if out.bytes.len() >= BLOCK_BYTES {
                    deliver(&mut out)?;
                    out.clear(usize::MAX);
                }
            }
            deliver(&mut out)?;
            out.clear(usize::MAX);
        }
        for mut block in self.blocks {
            let cut = block.rows.len().min(usize::try_from(spare).unwrap_or(usize::MAX));
            spare -= cut as u64;
            block.cut(cut, &mut self.left_out);
            (out.bytes, out.rows) = (block.bytes, block.rows);
            deliver(&mut out)?;
            out.clear(usize::MAX);
        }
        Ok(self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the last records of `lengths.len()` records, whose counters are their numbers.
    fn last(lengths: &[usize], wanted: u64, memory: usize) -> (Vec<(Vec<u8>, u64)>, u64) {
        let mut records = LastRecords::new(wanted, memory, std::env::temp_dir());
        for (number, length) in lengths.iter().enumerate() {
            let row = Row { counted: number as u64, ..Row::default() };
            records.push(&vec![number as u8; *length], &row).unwrap();
            assert!(records.buffered_bytes <= memory + BLOCK_BYTES + 2 * (length + size_of::<Row>()));
        }
        let mut found = Vec::new();
        let left_out = records
            .finish(
                |error| error,
                |out| {
                    found.extend(out.records().map(|(record, row)| (record.to_vec(), row.counted)));
                    Ok(())
                },
            )
            .unwrap();
        (found, left_out.written())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_last_records_are_the_end_of_all(
            lengths in prop::collection::vec(prop_oneof![4 => 1_usize..9_000, 1 => Just(BLOCK_BYTES)], 0..300),
            wanted in prop_oneof![0_u64..320, Just(u64::MAX)],
            memory in prop_oneof![Just(1_usize), 1_usize..3_000_000],
        ) {
            let numbered = lengths.iter().enumerate();
            let mut expected: Vec<_> = numbered.map(|(at, length)| (vec![at as u8; *length], at as u64)).collect();
            let cut = expected.len().saturating_sub(usize::try_from(wanted).unwrap_or(usize::MAX));
            expected.drain(..cut);
            let (found, left_out) = last(&lengths, wanted, memory);
            prop_assert!(found == expected, "{} records instead of {}", found.len(), expected.len());
            prop_assert_eq!(left_out, cut as u64);
        }
    }

    #[test]
    fn few_records_of_many_take_no_file() {
        let mut records = LastRecords::new(3, 1 << 20, "/no/such/directory".into());
        let row = Row::default();
        for _ in 0..10_000 {
            records.push(&[7; 900], &row).unwrap();
        }
        assert!(records.buffered_bytes < 3 * BLOCK_BYTES);
        let error = LastRecords::new(9, 1000, "/no/such/directory".into());
        let push = |records: &mut LastRecords| records.push(&vec![7; BLOCK_BYTES], &row);
        let mut records = error;
        push(&mut records).unwrap();
        assert!(push(&mut records).unwrap_err().to_string().contains("\"/no/such/directory\""));
    }

    #[test]
    fn the_steady_state_allocates_nothing() {
        let mut records = LastRecords::new(1000, 1 << 20, std::env::temp_dir());
        let row = Row::default();
        let push = |records: &mut LastRecords, count: usize| {
            (0..count).for_each(|_| records.push(&[9; 500], &row).unwrap());
        };
        push(&mut records, 10_000);
        let counted = allocation_counter::measure(|| push(&mut records, 100));
        assert_eq!(counted.count_total, 0);
    }
}
