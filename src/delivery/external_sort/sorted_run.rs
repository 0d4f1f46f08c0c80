//! Sorted runs in temporary files, and their merge. In external sorting, a run is a sequence of records in order.
//!
//! A record in a run is its key (16 bytes), its counters (8 bytes), its length (8 bytes) and its content; numbers are little-endian. The files
//! are unlinked, so no other process finds them, and the system removes them at the end of the process in any case.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, IntoInnerError, Read as _, Seek as _, Write as _};
use std::path::Path;

use super::{BLOCK_BYTES, Key, RecordHead};

/// The size of the key, the counters and the length before a record.
const HEADER_BYTES: usize = 32;

/// A run in a temporary file.
#[derive(Debug)]
pub(in crate::delivery) struct SortedRun {
    file: File,
    /// The size of the file in bytes.
    pub(in crate::delivery) size: u64,
    /// The number of merges that the records went through.
    pub(in crate::delivery) merges: u32,
}

/// A run that is being written.
#[derive(Debug)]
pub(in crate::delivery) struct RunWriter {
    file: BufWriter<File>,
    size: u64,
}

impl RunWriter {
    pub(in crate::delivery) fn new(directory: &Path) -> io::Result<RunWriter> {
        let file = tempfile::tempfile_in(directory)?;
        Ok(RunWriter { file: BufWriter::with_capacity(BLOCK_BYTES, file), size: 0 })
    }

    pub(in crate::delivery) fn write(&mut self, head: RecordHead, record: &[u8]) -> io::Result<()> {
        self.file.write_all(&head.key.0.to_le_bytes())?;
        self.file.write_all(&head.counted.to_le_bytes())?;
        self.file.write_all(&(record.len() as u64).to_le_bytes())?;
        self.file.write_all(record)?;
        self.size += (HEADER_BYTES + record.len()) as u64;
        Ok(())
    }

    pub(in crate::delivery) fn finish(self, merges: u32) -> io::Result<SortedRun> {
        let mut file = self.file.into_inner().map_err(IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(SortedRun { file, size: self.size, merges })
    }
}

/// A merge of runs. For each run, memory holds the key of the next record and a bounded buffer.
#[derive(Debug)]
pub(in crate::delivery) struct RunMerge {
    readers: Vec<RunReader>,
    /// The key of the next record of each run, with the index of its reader.
    next_keys: BinaryHeap<Reverse<(Key, usize)>>,
}

#[derive(Debug)]
struct RunReader {
    file: BufReader<File>,
    bytes_left: u64,
    /// The length and the counters of the next record.
    record_length: usize,
    counted: u64,
}

impl RunMerge {
    /// Starts a merge that uses about `memory` bytes for buffers.
    pub(in crate::delivery) fn new(runs: Vec<SortedRun>, memory: usize) -> io::Result<RunMerge> {
        let buffer = (memory / runs.len().max(1)).clamp(4 << 10, BLOCK_BYTES);
        let mut merge =
            RunMerge { readers: Vec::with_capacity(runs.len()), next_keys: BinaryHeap::with_capacity(runs.len()) };
        for run in runs {
            let file = BufReader::with_capacity(buffer, run.file);
            let mut reader = RunReader { file, bytes_left: run.size, record_length: 0, counted: 0 };
            if let Some(key) = reader.read_header()? {
                merge.next_keys.push(Reverse((key, merge.readers.len())));
                merge.readers.push(reader);
            }
        }
        Ok(merge)
    }

    /// Appends the next record and returns its head.
    pub(in crate::delivery) fn take_next(&mut self, out: &mut Vec<u8>) -> io::Result<Option<RecordHead>> {
        let Some(mut next) = self.next_keys.peek_mut() else { return Ok(None) };
        let Reverse((key, number)) = *next;
        let reader = &mut self.readers[number];
        reader.read_record(out)?;
        let head = RecordHead { key, counted: reader.counted };
        match reader.read_header()? {
            Some(key) => *next = Reverse((key, number)),
            None => drop(PeekMut::pop(next)),
        }
        Ok(Some(head))
    }
}

impl RunReader {
    /// Reads the key and the length of the next record. Returns `None` at the end of the run.
    fn read_header(&mut self) -> io::Result<Option<Key>> {
        if self.bytes_left == 0 {
            return Ok(None);
        }
        let (mut key, mut counted, mut length) = ([0; 16], [0; 8], [0; 8]);
        self.file.read_exact(&mut key)?;
        self.file.read_exact(&mut counted)?;
        self.counted = u64::from_le_bytes(counted);
        self.file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        self.bytes_left = self.bytes_left.saturating_sub(HEADER_BYTES as u64 + length);
        self.record_length = usize::try_from(length).map_err(io::Error::other)?;
        Ok(Some(Key(u128::from_le_bytes(key))))
    }

    fn read_record(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        out.resize(start + self.record_length, 0);
        self.file.read_exact(&mut out[start..])
    }
}
