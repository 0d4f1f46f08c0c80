//! Sorts any number of records by time in bounded memory.
//!
//! An external merge sort (Knuth, The Art of Computer Programming, volume 3, section 5.4): records that do not fit into
//! memory are sorted in runs, which wait in temporary files until they are merged.

pub(super) mod sorted_run;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use kata_records::{Encoded, Row, Stats, UnixTime, UtcTimestamp};
use sorted_run::{RunMerge, RunWriter, SortedRun};

/// The maximum number of runs in a merge. It bounds the open files and the memory for reading them.
const MAX_FAN_IN: usize = 64;

/// The approximate size of a delivered block, and the size of file buffers.
pub(super) const BLOCK_BYTES: usize = 256 << 10;

/// A temporary file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "sort: cannot use a temporary file in \"{directory}\": {source}; name a directory with room for all records in TMPDIR, \
     or let katalog have more memory with --sort-memory",
    directory = directory.display()
)]
pub struct SortError {
    directory: PathBuf,
    source: io::Error,
}

impl SortError {
    /// Returns the exit code of the program for the error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        Exit::from_write_error(&self.source)
    }
}

/// The unique sort key of a record, from the top bit on:
///
/// | bits | |
/// |---|---|
/// | 39 | seconds |
/// | 30 | nanoseconds |
/// | 34 | number of the record |
/// | 24 | output part |
/// | 1 | set if the record has a time of its own |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u128);

/// The offset that makes seconds since 1970 positive. Those of the year 0 are above -2^36.
const SECONDS_BIAS: i64 = 1 << 36;

/// The maximum numbers of records and of output parts.
const MAX_RECORDS: u64 = 1 << 34;
const MAX_PARTS: u32 = 1 << 24;

impl Key {
    pub(super) fn new(moment: u128, number: u64, part: u32, own: bool) -> Key {
        Key(moment << 59 | u128::from(number) << 25 | u128::from(part) << 1 | u128::from(own))
    }

    /// Returns the key in the order that is asked for, and the original key if it is in that order already.
    fn in_order(self, reverse: bool) -> Key {
        Key(self.0 ^ if reverse { ORDER_BITS } else { 0 })
    }

    fn part(self) -> u32 {
        (self.0 >> 1) as u32 & (MAX_PARTS - 1)
    }

    /// Returns a time as the upper bits of a key.
    pub(super) fn moment(time: UtcTimestamp) -> Option<u128> {
        let UnixTime { seconds, nanos } = time.unix()?;
        Some(u128::from((seconds + SECONDS_BIAS).unsigned_abs()) << 30 | u128::from(nanos))
    }

    /// Returns the time of the record, if the record has a time of its own.
    pub(super) fn time(self) -> Option<UtcTimestamp> {
        let moment = (self.0 & 1 == 1).then_some(self.0 >> 59)?;
        UtcTimestamp::from_unix(UnixTime {
            seconds: (moment >> 30) as i64 - SECONDS_BIAS,
            nanos: (moment & ((1 << 30) - 1)) as u32,
        })
    }
}

/// The bits of a key that decide the order. Inverted, they give the reverse order.
const ORDER_BITS: u128 = !((1 << 25) - 1);

/// The parts of a record that travel with it, apart from its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordHead {
    pub(super) key: Key,
    /// The counters of the record.
    pub(super) counted: u64,
}

/// Records in memory. Sorting moves only the spans of the records.
#[derive(Debug, Default)]
struct SortBuffer {
    bytes: Vec<u8>,
    spans: Vec<RecordSpan>,
}

#[derive(Clone, Copy, Debug)]
struct RecordSpan {
    head: RecordHead,
    start: usize,
    length: usize,
}

impl SortBuffer {
    fn size(&self) -> usize {
        self.bytes.len() + self.spans.len() * size_of::<RecordSpan>()
    }

    fn push(&mut self, head: RecordHead, record: &[u8]) {
        self.spans.push(RecordSpan { head, start: self.bytes.len(), length: record.len() });
        self.bytes.extend_from_slice(record);
    }

    fn sort(&mut self) {
        // Keys are unique, so an unstable sort gives the same order.
        self.spans.sort_unstable_by_key(|span| span.head.key);
    }

    fn get(&self, index: usize) -> Option<(RecordHead, &[u8])> {
        let span = self.spans.get(index)?;
        Some((span.head, self.bytes.get(span.start..span.start + span.length)?))
    }

    fn records(&self) -> impl Iterator<Item = (RecordHead, &[u8])> {
        (0..self.spans.len()).filter_map(|index| self.get(index))
    }
}

/// Sorts records by time. A record without a time sorts by the time of the record before it in its input.
#[derive(Debug)]
pub struct ExternalSorter {
    /// The maximum size of records and spans in memory. A larger record is held alone.
    memory: usize,
    directory: PathBuf,
    buffer: SortBuffer,
    /// Runs on disk. Those that were merged most often come first.
    runs: Vec<SortedRun>,
    /// The number of the next record.
    next_number: u64,
    /// The time of the last record in the input. The next record sorts by this time if it has none.
    moment: u128,
    /// The order is from the newest record to the oldest.
    reverse: bool,
}

impl ExternalSorter {
    /// Returns a sorter that holds `memory` bytes of records, and writes runs to unlinked files in `directory`. The
    /// first file is created when records do not fit into memory.
    #[must_use]
    pub fn new(memory: usize, directory: PathBuf) -> ExternalSorter {
        let (buffer, runs) = (SortBuffer::default(), Vec::new());
        ExternalSorter { memory, directory, buffer, runs, next_number: 0, moment: 0, reverse: false }
    }

    /// Returns a sorter whose order is exactly reversed, if `reverse` is set.
    #[must_use]
    pub fn reversed(self, reverse: bool) -> ExternalSorter {
        ExternalSorter { reverse, ..self }
    }

    /// Begins an input. Records before the first time of an input come before all records with a time.
    pub fn begin_input(&mut self) {
        self.moment = 0;
    }

    /// Adds a record that belongs to an output part, with its counters. Records with equal times keep their order.
    ///
    /// # Errors
    /// If a temporary file cannot be written, or beyond 2^34 records and 2^24 parts.
    pub fn push(
        &mut self,
        record: &[u8],
        time: Option<UtcTimestamp>,
        part: u32,
        counted: u64,
    ) -> Result<(), SortError> {
        let own = time.and_then(Key::moment);
        self.moment = own.unwrap_or(self.moment);
        self.add(record, Key::new(self.moment, self.next_number, part, own.is_some()), part, counted)
    }

    /// Adds a record of a group, with its counters. Records sort by the number of their group, which is their part too,
    /// and keep their order inside of it.
    ///
    /// # Errors
    /// If a temporary file cannot be written, or beyond 2^34 records and 2^24 groups.
    pub fn push_in_group(&mut self, record: &[u8], group: u32, counted: u64) -> Result<(), SortError> {
        self.add(record, Key::new(u128::from(group), self.next_number, group, false), group, counted)
    }

    fn add(&mut self, record: &[u8], key: Key, part: u32, counted: u64) -> Result<(), SortError> {
        if self.next_number >= MAX_RECORDS || part >= MAX_PARTS {
            return Err(failed(&self.directory)(io::Error::other(
                "there are too many records, or parts of the output",
            )));
        }
        if self.buffer.size() + record.len() + size_of::<RecordSpan>() > self.memory && !self.buffer.spans.is_empty() {
            self.write_run().map_err(failed(&self.directory))?;
        }
        self.buffer.push(RecordHead { key: key.in_order(self.reverse), counted }, record);
        self.next_number += 1;
        Ok(())
    }

    /// Returns the size of the temporary files in bytes.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        self.runs.iter().map(|run| run.size).sum()
    }

    /// Returns the directory of temporary files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns all records in order, or the newest of them, as many as `last`.
    ///
    /// # Errors
    /// If a temporary file cannot be written or read.
    pub fn finish(mut self, last: Option<u64>) -> Result<SortedRecords, SortError> {
        let last = last.unwrap_or(u64::MAX);
        let wanted = if self.reverse { 0..last } else { self.next_number.saturating_sub(last)..u64::MAX };
        let remaining = if self.runs.is_empty() {
            self.buffer.sort();
            Remaining::Memory(self.buffer, 0)
        } else {
            Remaining::Runs(self.start_final_merge().map_err(failed(&self.directory))?)
        };
        let (directory, reverse) = (self.directory, self.reverse);
        Ok(SortedRecords { directory, remaining, reverse, wanted, next: 0, left_out: Stats::default() })
    }

    fn start_final_merge(&mut self) -> io::Result<RunMerge> {
        self.write_run()?;
        self.buffer = SortBuffer::default();
        while let Some(more) = self.runs.len().checked_sub(MAX_FAN_IN).filter(|more| *more > 0) {
            // Merging just enough of the newest runs, which are the smallest, copies the fewest bytes.
            self.merge_newest((more + 1).min(MAX_FAN_IN))?;
        }
        RunMerge::new(std::mem::take(&mut self.runs), self.memory)
    }

    /// Writes the buffered records to a new run. Merges runs if there are too many.
    fn write_run(&mut self) -> io::Result<()> {
        self.buffer.sort();
        let mut writer = RunWriter::new(&self.directory)?;
        for (head, record) in self.buffer.records() {
            writer.write(head, record)?;
        }
        self.runs.push(writer.finish(0)?);
        self.buffer.bytes.clear();
        self.buffer.bytes.shrink_to(self.memory);
        self.buffer.spans.clear();
        // Only runs with equal numbers of merges are merged. So a record is copied a few times, and not with every new
        // run.
        while let Some(first) = self.runs.len().checked_sub(MAX_FAN_IN)
            && self.runs.get(first).map(|run| run.merges) == self.runs.last().map(|run| run.merges)
        {
            // The merge uses the memory of the records.
            self.buffer = SortBuffer::default();
            self.merge_newest(MAX_FAN_IN)?;
        }
        Ok(())
    }

    /// Merges the newest runs into one.
    fn merge_newest(&mut self, count: usize) -> io::Result<()> {
        let runs = self.runs.split_off(self.runs.len().saturating_sub(count));
        let merges = runs.iter().map(|run| run.merges).max().unwrap_or(0) + 1;
        let mut merge = RunMerge::new(runs, self.memory)?;
        let mut writer = RunWriter::new(&self.directory)?;
        let mut record = Vec::new();
        while let Some(head) = merge.take_next(&mut record)? {
            writer.write(head, &record)?;
            record.clear();
        }
        let at = self.runs.iter().position(|run| run.merges < merges).unwrap_or(self.runs.len());
        self.runs.insert(at, writer.finish(merges)?);
        Ok(())
    }
}

/// Records in order of time.
#[derive(Debug)]
pub struct SortedRecords {
    directory: PathBuf,
    remaining: Remaining,
    reverse: bool,
    /// The numbers of the wanted records in the order, and the number of the next record.
    wanted: Range<u64>,
    next: u64,
    /// The counters of the other records.
    left_out: Stats,
}

/// The records that were not delivered yet.
#[derive(Debug)]
enum Remaining {
    /// Records in memory, from this index on.
    Memory(SortBuffer, usize),
    Runs(RunMerge),
}

impl SortedRecords {
    /// Returns the counters of the records that were left out so far.
    #[must_use]
    pub fn left_out(&self) -> &Stats {
        &self.left_out
    }

    /// Appends further records, about 256 KiB. Returns false at the end.
    ///
    /// # Errors
    /// If a temporary file cannot be read.
    pub fn fill(&mut self, out: &mut Encoded) -> Result<bool, SortError> {
        let start = out.bytes.len();
        while out.bytes.len() - start < BLOCK_BYTES {
            let before = out.bytes.len();
            let head = match &mut self.remaining {
                Remaining::Memory(buffer, next) => buffer.get(*next).map(|(head, record)| {
                    *next += 1;
                    out.bytes.extend_from_slice(record);
                    head
                }),
                Remaining::Runs(merge) => merge.take_next(&mut out.bytes).map_err(failed(&self.directory))?,
            };
            let Some(RecordHead { key, counted }) = head else { break };
            let key = key.in_order(self.reverse);
            if self.wanted.contains(&self.next) {
                out.rows.push(Row {
                    end: out.bytes.len(),
                    time: key.time(),
                    part: key.part(),
                    counted,
                    ..Row::default()
                });
            } else {
                out.bytes.truncate(before);
                self.left_out.count_row(counted);
            }
            self.next += 1;
        }
        Ok(out.bytes.len() > start)
    }
}

/// Returns the directory for temporary files, which TMPDIR names.
pub(super) fn temp_directory() -> PathBuf {
    let directory = Some(std::env::temp_dir()).filter(|directory| !directory.as_os_str().is_empty());
    directory.unwrap_or_else(|| "/tmp".into())
}

pub(super) fn failed(directory: &Path) -> impl FnOnce(io::Error) -> SortError {
    |source| SortError { directory: directory.to_owned(), source }
}

#[cfg(test)]
mod tests;
