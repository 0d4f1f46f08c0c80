//! Many files that are written at once, of which few are open: what goes into each is gathered into pieces.
//!
//! What a file has depends on what was put into all of them since [`Files::end`], and on nothing else: not on time, not on
//! how the bytes came, not on what was open.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::SinkError;
use super::compress::{Compression, PIECE, Packer};

/// So many bytes wait to be written, in all files together. When there are more, those of the files that have most are
/// written, until there are half as many.
const WAITING: usize = 64 << 20;

/// So many files are open.
const OPEN: usize = 128;

/// Where there are no more files than this, their buffers are kept.
const KEPT: usize = 32;

/// Files without names, by their numbers.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    header: &'static [u8],
    packer: Packer,
    files: Vec<Part>,
    waiting: usize,
    most: usize,
    open: usize,
    /// Counts what was written, to know which file was not written to for longest.
    clock: u64,
}

#[derive(Debug, Default)]
struct Part {
    waiting: Vec<u8>,
    length: u64,
    /// It was written to since it was synced.
    dirty: bool,
    file: Option<File>,
    used: u64,
}

impl Files {
    /// Files in this folder, each of which is to begin with the header.
    #[must_use]
    pub fn new(folder: PathBuf, header: &'static [u8], compression: Compression) -> Files {
        let packer = Packer::new(compression);
        Files { folder, header, packer, files: Vec::new(), waiting: 0, most: WAITING, open: 0, clock: 0 }
    }

    /// Where the file of a number is.
    #[must_use]
    pub fn path(&self, number: usize) -> PathBuf {
        self.folder.join(format!("{number:08}"))
    }

    /// How many bytes the file has.
    #[must_use]
    pub fn length(&self, number: usize) -> u64 {
        self.files.get(number).map_or(0, |part| part.length)
    }

    /// Another file, with the number that comes next.
    pub fn add(&mut self) {
        let waiting = self.header.to_vec();
        self.waiting += waiting.len();
        self.files.push(Part { waiting, ..Part::default() });
    }

    /// Another file, which an earlier run has begun: what is behind its first `length` bytes is cut off.
    ///
    /// # Errors
    /// If the file is not there, or has fewer bytes.
    pub fn restore(&mut self, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path(self.files.len()))?;
        if file.metadata()?.len() < length {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than it was"));
        }
        file.set_len(length)?;
        self.files.push(Part { length, dirty: true, ..Part::default() });
        Ok(())
    }

    /// Adds a record to a file.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn put(&mut self, number: usize, record: &[u8]) -> Result<(), SinkError> {
        let Some(part) = self.files.get_mut(number) else { return Ok(()) };
        part.waiting.extend_from_slice(record);
        self.waiting += record.len();
        if part.waiting.len() >= PIECE {
            self.write(number)?;
        } else if self.waiting > self.most {
            let mut order: Vec<usize> = (0..self.files.len()).collect();
            order.sort_by_key(|number| std::cmp::Reverse(self.files.get(*number).map_or(0, |part| part.waiting.len())));
            for number in order {
                if self.waiting <= self.most / 2 {
                    break;
                }
                self.write(number)?;
            }
        }
        Ok(())
    }

    /// Writes all that waits.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn end(&mut self) -> Result<(), SinkError> {
        (0..self.files.len()).try_for_each(|number| self.write(number))
    }

    /// Has the system put on disk what was written.
    ///
    /// # Errors
    /// If it cannot.
    pub fn sync(&mut self) -> Result<(), SinkError> {
        for number in 0..self.files.len() {
            if self.files.get(number).is_some_and(|part| part.dirty) {
                let path = self.path(number);
                self.opened(number).and_then(|file| file.sync_data()).map_err(failed(&path))?;
                if let Some(part) = self.files.get_mut(number) {
                    part.dirty = false;
                }
            }
        }
        sync_directory(&self.folder).map_err(failed(&self.folder))
    }

    /// Writes what waits for one file.
    fn write(&mut self, number: usize) -> Result<(), SinkError> {
        let Some(part) = self.files.get_mut(number).filter(|part| !part.waiting.is_empty()) else { return Ok(()) };
        let mut waiting = std::mem::take(&mut part.waiting);
        self.waiting -= waiting.len();
        let path = self.path(number);
        let mut packer = std::mem::take(&mut self.packer);
        let piece = packer.pack(&waiting);
        let written = piece.and_then(|piece| {
            self.opened(number)?.write_all(piece)?;
            Ok(piece.len() as u64)
        });
        self.packer = packer;
        let written = written.map_err(failed(&path))?;
        waiting.clear();
        let few = self.files.len() <= KEPT;
        if let Some(part) = self.files.get_mut(number) {
            part.length += written;
            part.dirty = true;
            if few {
                part.waiting = waiting;
            }
        }
        Ok(())
    }

    /// The file, open for appending.
    fn opened(&mut self, number: usize) -> io::Result<&mut File> {
        self.clock += 1;
        let (clock, path) = (self.clock, self.path(number));
        if self.files.get(number).is_some_and(|part| part.file.is_none()) {
            if self.open >= OPEN {
                let open = self.files.iter_mut().filter(|part| part.file.is_some());
                if let Some(oldest) = open.min_by_key(|part| part.used) {
                    oldest.file = None;
                    self.open -= 1;
                }
            }
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            if let Some(part) = self.files.get_mut(number) {
                part.file = Some(file);
                self.open += 1;
            }
        }
        let part = self.files.get_mut(number);
        let file = part.and_then(|part| {
            part.used = clock;
            part.file.as_mut()
        });
        file.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> SinkError {
    let name = format!("\"{}\"", path.display());
    |source| SinkError::Write { name, source }
}

/// Has the system put on disk which files are in a directory.
///
/// # Errors
/// If it cannot.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Files {
        Files::new(folder.to_owned(), b"head\n", Compression::None)
    }

    #[test]
    fn more_files_than_can_be_open_with_little_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files { most: 10_000, ..files(folder.path()) };
        let count = 3 * OPEN;
        (0..count).for_each(|_| files.add());
        for round in 0..20 {
            for number in 0..count {
                files.put(number, format!("record {round} of {number}\n").as_bytes()).unwrap();
                assert!(files.waiting <= 10_000 && files.open <= OPEN);
                let waiting: usize = files.files.iter().map(|part| part.waiting.len()).sum();
                assert_eq!(waiting, files.waiting);
            }
        }
        files.end().unwrap();
        files.sync().unwrap();
        for number in 0..count {
            let expected: String = (0..20).map(|round| format!("record {round} of {number}\n")).collect();
            let found = fs::read_to_string(files.path(number)).unwrap();
            assert_eq!(found, format!("head\n{expected}"));
            assert_eq!(files.length(number), found.len() as u64);
        }
    }

    #[test]
    fn what_is_behind_the_length_that_is_known_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = files(folder.path());
        first.add();
        first.put(0, b"one\n").unwrap();
        first.end().unwrap();
        let length = first.length(0);
        first.put(0, b"two\n").unwrap();
        first.end().unwrap();
        let mut second = files(folder.path());
        second.restore(length).unwrap();
        second.put(0, b"three\n").unwrap();
        second.end().unwrap();
        assert_eq!(fs::read(second.path(0)).unwrap(), b"head\none\nthree\n");
        assert_eq!(files(folder.path()).restore(100).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(files(&folder.path().join("none")).restore(0).is_err());
    }

    #[test]
    fn pieces_do_not_depend_on_how_records_come() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            if compression.check().is_err() {
                continue;
            }
            let written = |most: usize| {
                let folder = tempfile::tempdir().unwrap();
                let mut files = Files { most, ..Files::new(folder.path().to_owned(), b"", compression) };
                files.add();
                files.add();
                for number in 0..40_000 {
                    files.put(number % 2, format!("{number} {}\n", "x".repeat(number % 90)).as_bytes()).unwrap();
                }
                files.end().unwrap();
                [fs::read(files.path(0)).unwrap(), fs::read(files.path(1)).unwrap()]
            };
            assert_eq!(written(WAITING), written(WAITING));
        }
    }
}
