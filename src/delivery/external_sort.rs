//! Records in order of time, however many there are: what does not fit into memory is sorted in parts, which wait in
//! temporary files to be merged (external merge sort; Knuth, The Art of Computer Programming, volume 3, section 5.4).

mod sorted_run;

use std::io;
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use kata_records::encode::{Encoded, Row};
use kata_records::time::Stamp;
use sorted_run::{RunMerge, RunWriter, SortedRun};

/// So many parts are merged at once, which bounds the files that are open and the memory for reading them.
const MAX_FAN_IN: usize = 64;

/// How many bytes are handed on at once, or written to a file.
const BLOCK_BYTES: usize = 256 << 10;

/// A temporary file that cannot be used.
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
    /// How the program ends for it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        Exit::from_write_error(&self.source)
    }
}

/// Where a record belongs, as one number that no other record has: from the top, 39 bits of seconds and 30 of
/// nanoseconds, 34 for how many records came before it, 24 for the part of the output that it goes into, and one that says
/// whether the time is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u128);

/// What is added to seconds since 1970, so that none is negative: those of the year 0 are above -2^36.
const SECONDS_BIAS: i64 = 1 << 36;

/// How many records can be sorted, and into how many parts they can go.
const MAX_RECORDS: u64 = 1 << 34;
const MAX_PARTS: u32 = 1 << 24;

impl Key {
    fn new(moment: u128, number: u64, part: u32, own: bool) -> Key {
        Key(moment << 59 | u128::from(number) << 25 | u128::from(part) << 1 | u128::from(own))
    }

    fn part(self) -> u32 {
        (self.0 >> 1) as u32 & (MAX_PARTS - 1)
    }

    /// A time as the upper part of a key.
    fn moment(time: Stamp) -> Option<u128> {
        let (seconds, nanos) = time.epoch()?;
        Some(u128::from((seconds + SECONDS_BIAS).unsigned_abs()) << 30 | u128::from(nanos))
    }

    /// The time, if it is the record's own.
    fn time(self) -> Option<Stamp> {
        let moment = (self.0 & 1 == 1).then_some(self.0 >> 59)?;
        Stamp::from_epoch((moment >> 30) as i64 - SECONDS_BIAS, (moment & ((1 << 30) - 1)) as u32)
    }
}

/// Records in memory. Their order is made by moving what says where they are.
#[derive(Debug, Default)]
struct SortBuffer {
    bytes: Vec<u8>,
    spans: Vec<RecordSpan>,
}

#[derive(Clone, Copy, Debug)]
struct RecordSpan {
    key: Key,
    start: usize,
    length: usize,
}

impl SortBuffer {
    fn size(&self) -> usize {
        self.bytes.len() + self.spans.len() * size_of::<RecordSpan>()
    }

    fn push(&mut self, key: Key, record: &[u8]) {
        self.spans.push(RecordSpan { key, start: self.bytes.len(), length: record.len() });
        self.bytes.extend_from_slice(record);
    }

    fn sort(&mut self) {
        // Keys are all different, so nothing depends on how the algorithm treats equal ones.
        self.spans.sort_unstable_by_key(|span| span.key);
    }

    fn get(&self, index: usize) -> Option<(Key, &[u8])> {
        let span = self.spans.get(index)?;
        Some((span.key, self.bytes.get(span.start..span.start + span.length)?))
    }

    fn records(&self) -> impl Iterator<Item = (Key, &[u8])> {
        (0..self.spans.len()).filter_map(|index| self.get(index))
    }
}

/// Takes records in any order. It is told where an input begins, because a record without a time stays behind the one
/// that it followed there.
#[derive(Debug)]
pub struct ExternalSorter {
    /// How many bytes are held, what says where records are included. A larger record is held alone.
    memory: usize,
    directory: PathBuf,
    buffer: SortBuffer,
    /// Parts on disk, those that were merged most often first.
    runs: Vec<SortedRun>,
    /// How many records came so far.
    next_number: u64,
    /// The time that the next record has if it has none.
    moment: u128,
}

impl ExternalSorter {
    /// Sorts in so many bytes of memory, and with files in this directory where they are not enough. A file that cannot be
    /// found by others is made with the first record that does not fit.
    #[must_use]
    pub fn new(memory: usize, directory: PathBuf) -> ExternalSorter {
        ExternalSorter { memory, directory, buffer: SortBuffer::default(), runs: Vec::new(), next_number: 0, moment: 0 }
    }

    /// What comes from now on is of another input. Records before its first time come before all that have one.
    pub fn begin_input(&mut self) {
        self.moment = 0;
    }

    /// Takes a record, and the number of the part that it goes into. Among those of one time the order stays.
    ///
    /// # Errors
    /// If it does not fit into memory, and a temporary file cannot be written; beyond 2^34 records and 2^24 parts.
    pub fn push(&mut self, record: &[u8], time: Option<Stamp>, part: u32) -> Result<(), SortError> {
        if self.next_number >= MAX_RECORDS || part >= MAX_PARTS {
            return Err(failed(&self.directory)(io::Error::other(
                "there are too many records, or parts of the output",
            )));
        }
        if self.buffer.size() + record.len() + size_of::<RecordSpan>() > self.memory && !self.buffer.spans.is_empty() {
            self.write_run().map_err(failed(&self.directory))?;
        }
        let own = time.and_then(Key::moment);
        self.moment = own.unwrap_or(self.moment);
        self.buffer.push(Key::new(self.moment, self.next_number, part, own.is_some()), record);
        self.next_number += 1;
        Ok(())
    }

    /// How many bytes are in temporary files.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        self.runs.iter().map(|run| run.size).sum()
    }

    /// The directory of temporary files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// All records in their order.
    ///
    /// # Errors
    /// If a temporary file cannot be written or read.
    pub fn finish(mut self) -> Result<SortedRecords, SortError> {
        if self.runs.is_empty() {
            self.buffer.sort();
            return Ok(SortedRecords { directory: self.directory, remaining: Remaining::Memory(self.buffer, 0) });
        }
        let merge = self.start_final_merge().map_err(failed(&self.directory))?;
        Ok(SortedRecords { directory: self.directory, remaining: Remaining::Runs(merge) })
    }

    fn start_final_merge(&mut self) -> io::Result<RunMerge> {
        self.write_run()?;
        self.buffer = SortBuffer::default();
        while let Some(more) = self.runs.len().checked_sub(MAX_FAN_IN).filter(|more| *more > 0) {
            // No more than it takes, and the smallest ones.
            self.merge_newest((more + 1).min(MAX_FAN_IN))?;
        }
        RunMerge::new(std::mem::take(&mut self.runs), self.memory)
    }

    /// Writes what is held to a file, and merges files where there are too many.
    fn write_run(&mut self) -> io::Result<()> {
        self.buffer.sort();
        let mut writer = RunWriter::new(&self.directory)?;
        for (key, record) in self.buffer.records() {
            writer.write(key, record)?;
        }
        self.runs.push(writer.finish(0)?);
        self.buffer.bytes.clear();
        self.buffer.bytes.shrink_to(self.memory);
        self.buffer.spans.clear();
        // Only parts that were merged equally often are merged again, so that a record is copied a few times, not with
        // every spill.
        while let Some(first) = self.runs.len().checked_sub(MAX_FAN_IN)
            && self.runs.get(first).map(|run| run.merges) == self.runs.last().map(|run| run.merges)
        {
            // Reading takes the memory that the records had.
            self.buffer = SortBuffer::default();
            self.merge_newest(MAX_FAN_IN)?;
        }
        Ok(())
    }

    /// Merges the last parts into one.
    fn merge_newest(&mut self, count: usize) -> io::Result<()> {
        let runs = self.runs.split_off(self.runs.len().saturating_sub(count));
        let merges = runs.iter().map(|run| run.merges).max().unwrap_or(0) + 1;
        let mut merge = RunMerge::new(runs, self.memory)?;
        let mut writer = RunWriter::new(&self.directory)?;
        let mut record = Vec::new();
        while let Some(key) = merge.take_next(&mut record)? {
            writer.write(key, &record)?;
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
}

/// Where the records are that come next.
#[derive(Debug)]
enum Remaining {
    /// In memory, from this one on.
    Memory(SortBuffer, usize),
    Runs(RunMerge),
}

impl SortedRecords {
    /// Appends the records that come next, some 256 KiB of them; false where there are no more.
    ///
    /// # Errors
    /// If a temporary file cannot be read.
    pub fn fill(&mut self, out: &mut Encoded) -> Result<bool, SortError> {
        let start = out.bytes.len();
        while out.bytes.len() - start < BLOCK_BYTES {
            let key = match &mut self.remaining {
                Remaining::Memory(buffer, next) => buffer.get(*next).map(|(key, record)| {
                    *next += 1;
                    out.bytes.extend_from_slice(record);
                    key
                }),
                Remaining::Runs(merge) => merge.take_next(&mut out.bytes).map_err(failed(&self.directory))?,
            };
            let Some(key) = key else { break };
            out.rows.push(Row { end: out.bytes.len(), time: key.time(), part: key.part() });
        }
        Ok(out.bytes.len() > start)
    }
}

fn failed(directory: &Path) -> impl FnOnce(io::Error) -> SortError {
    |source| SortError { directory: directory.to_owned(), source }
}

#[cfg(test)]
mod tests;
