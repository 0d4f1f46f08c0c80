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

use super::{Key, PIECE};

/// How many bytes stand before a record.
const HEAD: usize = 24;

/// A part that is written.
#[derive(Debug)]
pub(super) struct Run {
    file: File,
    /// In bytes.
    pub(super) size: u64,
    /// How often its records were merged.
    pub(super) merges: u32,
}

/// A part that is being written.
#[derive(Debug)]
pub(super) struct Writer {
    file: BufWriter<File>,
    size: u64,
}

impl Writer {
    pub(super) fn new(directory: &Path) -> io::Result<Writer> {
        let file = tempfile::tempfile_in(directory)?;
        Ok(Writer { file: BufWriter::with_capacity(PIECE, file), size: 0 })
    }

    pub(super) fn put(&mut self, key: Key, record: &[u8]) -> io::Result<()> {
        self.file.write_all(&key.0.to_le_bytes())?;
        self.file.write_all(&(record.len() as u64).to_le_bytes())?;
        self.file.write_all(record)?;
        self.size += (HEAD + record.len()) as u64;
        Ok(())
    }

    pub(super) fn finish(self, merges: u32) -> io::Result<Run> {
        let mut file = self.file.into_inner().map_err(IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(Run { file, size: self.size, merges })
    }
}

/// Parts, read side by side. Of a record that does not come next only the key is in memory, and of its bytes no more than
/// the buffer has.
#[derive(Debug)]
pub(super) struct Merge {
    readers: Vec<Reader>,
    /// The key of the record that comes next in each, with the number of its reader.
    heads: BinaryHeap<Reverse<(Key, usize)>>,
}

#[derive(Debug)]
struct Reader {
    file: BufReader<File>,
    left: u64,
    /// Of the record that comes next.
    length: usize,
}

impl Merge {
    /// Merges these in so many bytes of memory.
    pub(super) fn new(runs: Vec<Run>, memory: usize) -> io::Result<Merge> {
        let buffer = (memory / runs.len().max(1)).clamp(4 << 10, PIECE);
        let mut merge = Merge { readers: Vec::with_capacity(runs.len()), heads: BinaryHeap::with_capacity(runs.len()) };
        for run in runs {
            let file = BufReader::with_capacity(buffer, run.file);
            let mut reader = Reader { file, left: run.size, length: 0 };
            if let Some(key) = reader.head()? {
                merge.heads.push(Reverse((key, merge.readers.len())));
                merge.readers.push(reader);
            }
        }
        Ok(merge)
    }

    /// Appends the record that comes next, and gives its key.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) -> io::Result<Option<Key>> {
        let Some(mut next) = self.heads.peek_mut() else { return Ok(None) };
        let Reverse((key, number)) = *next;
        let reader = &mut self.readers[number];
        reader.record(out)?;
        match reader.head()? {
            Some(key) => *next = Reverse((key, number)),
            None => drop(PeekMut::pop(next)),
        }
        Ok(Some(key))
    }
}

impl Reader {
    /// Reads what stands before a record; none at the end.
    fn head(&mut self) -> io::Result<Option<Key>> {
        if self.left == 0 {
            return Ok(None);
        }
        let (mut key, mut length) = ([0; 16], [0; 8]);
        self.file.read_exact(&mut key)?;
        self.file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        self.left = self.left.saturating_sub(HEAD as u64 + length);
        self.length = usize::try_from(length).map_err(io::Error::other)?;
        Ok(Some(Key(u128::from_le_bytes(key))))
    }

    fn record(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        out.resize(start + self.length, 0);
        self.file.read_exact(&mut out[start..])
    }
}
