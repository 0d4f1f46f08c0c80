//! Parts of what is sorted, each in order in a temporary file, and their merging.
//!
//! A record is its key, its length (16 and 8 bytes, of the lowest first) and its bytes. The files have no name, so nobody
//! else finds them, and the system removes them however the process ends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, IntoInnerError, Read as _, Seek as _, Write as _};
use std::path::Path;

use super::{BLOCK_BYTES, Key};

/// How many bytes stand before a record.
const HEADER_BYTES: usize = 24;

/// A part that is written.
#[derive(Debug)]
pub(super) struct SortedRun {
    file: File,
    /// In bytes.
    pub(super) size: u64,
    /// How often its records were merged.
    pub(super) merges: u32,
}

/// A part that is being written.
#[derive(Debug)]
pub(super) struct RunWriter {
    file: BufWriter<File>,
    size: u64,
}

impl RunWriter {
    pub(super) fn new(directory: &Path) -> io::Result<RunWriter> {
        let file = tempfile::tempfile_in(directory)?;
        Ok(RunWriter { file: BufWriter::with_capacity(BLOCK_BYTES, file), size: 0 })
    }

    pub(super) fn write(&mut self, key: Key, record: &[u8]) -> io::Result<()> {
        self.file.write_all(&key.0.to_le_bytes())?;
        self.file.write_all(&(record.len() as u64).to_le_bytes())?;
        self.file.write_all(record)?;
        self.size += (HEADER_BYTES + record.len()) as u64;
        Ok(())
    }

    pub(super) fn finish(self, merges: u32) -> io::Result<SortedRun> {
        let mut file = self.file.into_inner().map_err(IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(SortedRun { file, size: self.size, merges })
    }
}

/// Parts, read side by side. Of a record that does not come next only the key is in memory, and of its bytes no more than
/// the buffer has.
#[derive(Debug)]
pub(super) struct RunMerge {
    readers: Vec<RunReader>,
    /// The key of the record that comes next in each, with the number of its reader.
    next_keys: BinaryHeap<Reverse<(Key, usize)>>,
}

#[derive(Debug)]
struct RunReader {
    file: BufReader<File>,
    bytes_left: u64,
    /// Of the record that comes next.
    record_length: usize,
}

impl RunMerge {
    /// Merges these in so many bytes of memory.
    pub(super) fn new(runs: Vec<SortedRun>, memory: usize) -> io::Result<RunMerge> {
        let buffer = (memory / runs.len().max(1)).clamp(4 << 10, BLOCK_BYTES);
        let mut merge =
            RunMerge { readers: Vec::with_capacity(runs.len()), next_keys: BinaryHeap::with_capacity(runs.len()) };
        for run in runs {
            let file = BufReader::with_capacity(buffer, run.file);
            let mut reader = RunReader { file, bytes_left: run.size, record_length: 0 };
            if let Some(key) = reader.read_header()? {
                merge.next_keys.push(Reverse((key, merge.readers.len())));
                merge.readers.push(reader);
            }
        }
        Ok(merge)
    }

    /// Appends the record that comes next, and gives its key.
    pub(super) fn take_next(&mut self, out: &mut Vec<u8>) -> io::Result<Option<Key>> {
        let Some(mut next) = self.next_keys.peek_mut() else { return Ok(None) };
        let Reverse((key, number)) = *next;
        let reader = &mut self.readers[number];
        reader.read_record(out)?;
        match reader.read_header()? {
            Some(key) => *next = Reverse((key, number)),
            None => drop(PeekMut::pop(next)),
        }
        Ok(Some(key))
    }
}

impl RunReader {
    /// Reads what stands before a record; none at the end.
    fn read_header(&mut self) -> io::Result<Option<Key>> {
        if self.bytes_left == 0 {
            return Ok(None);
        }
        let (mut key, mut length) = ([0; 16], [0; 8]);
        self.file.read_exact(&mut key)?;
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
