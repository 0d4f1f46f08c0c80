//! Writes many files at once, with few of them open. The records of each file are collected into blocks.
//!
//! The content of a file depends only on the records that were appended to all files since [`Files::write_all`]. It
//! does not depend on time, on the split of records into calls, or on which files were open.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::compress::{BLOCK_SIZE, BlockCompressor, Compression};
use super::{Directory, Privacy, SinkError};

/// The maximum size of all buffers. Beyond it the largest buffers are written, until half of it remains.
const MAX_BUFFERED: usize = 64 << 20;

/// The maximum number of open files.
const MAX_OPEN: usize = 128;

/// The number of files up to which buffers are kept after a write.
const MAX_KEPT_BUFFERS: usize = 32;

/// Files without names, by number.
#[derive(Debug)]
pub struct Files {
    folder: Directory,
    header: &'static [u8],
    compressor: BlockCompressor,
    files: Vec<NumberedFile>,
    buffered: usize,
    max_buffered: usize,
    open_count: usize,
    /// The number of writes, which tells the file that was unused for longest.
    clock: u64,
}

#[derive(Debug, Default)]
struct NumberedFile {
    buffer: Vec<u8>,
    length: u64,
    /// The file was written since the last sync.
    dirty: bool,
    handle: Option<File>,
    last_used: u64,
}

impl Files {
    /// Returns a set of files in this folder. Each file will begin with the header.
    #[must_use]
    pub fn new(folder: Directory, header: &'static [u8], compression: Compression) -> Files {
        let compressor = BlockCompressor::new(compression);
        Files {
            folder,
            header,
            compressor,
            files: Vec::new(),
            buffered: 0,
            max_buffered: MAX_BUFFERED,
            open_count: 0,
            clock: 0,
        }
    }

    /// Returns the folder of the files.
    #[must_use]
    pub fn folder(&self) -> &Directory {
        &self.folder
    }

    /// Returns the name of a file in the folder.
    #[must_use]
    pub fn name(number: usize) -> String {
        format!("{number:08}")
    }

    /// Returns the path of a file, for messages.
    #[must_use]
    pub fn path(&self, number: usize) -> PathBuf {
        self.folder.path().join(Files::name(number))
    }

    /// Returns the size of a file in bytes.
    #[must_use]
    pub fn length(&self, number: usize) -> u64 {
        self.files.get(number).map_or(0, |file| file.length)
    }

    /// Adds a file with the next number.
    pub fn add(&mut self) {
        let buffer = self.header.to_vec();
        self.buffered += buffer.len();
        self.files.push(NumberedFile { buffer, ..NumberedFile::default() });
    }

    /// Adds a file of an earlier run with the next number, and cuts it to `length` bytes.
    ///
    /// # Errors
    /// If the file does not exist, is shorter, or is a link.
    pub fn restore(&mut self, length: u64) -> io::Result<()> {
        let file = self.folder.write_existing(&Files::name(self.files.len()))?;
        if file.metadata()?.len() < length {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than it was"));
        }
        file.set_len(length)?;
        self.files.push(NumberedFile { length, dirty: true, ..NumberedFile::default() });
        Ok(())
    }

    /// Appends a record to a file.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn append(&mut self, number: usize, record: &[u8]) -> Result<(), SinkError> {
        let Some(file) = self.files.get_mut(number) else { return Ok(()) };
        file.buffer.extend_from_slice(record);
        self.buffered += record.len();
        if file.buffer.len() >= BLOCK_SIZE {
            self.write(number)?;
        } else if self.buffered > self.max_buffered {
            let mut order: Vec<usize> = (0..self.files.len()).collect();
            order.sort_by_key(|number| std::cmp::Reverse(self.files.get(*number).map_or(0, |file| file.buffer.len())));
            for number in order {
                if self.buffered <= self.max_buffered / 2 {
                    break;
                }
                self.write(number)?;
            }
        }
        Ok(())
    }

    /// Writes all buffers.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write_all(&mut self) -> Result<(), SinkError> {
        (0..self.files.len()).try_for_each(|number| self.write(number))
    }

    /// Syncs the files that were written, and their folder.
    ///
    /// # Errors
    /// If a file cannot be synced.
    pub fn sync(&mut self) -> Result<(), SinkError> {
        for number in 0..self.files.len() {
            if self.files.get(number).is_some_and(|file| file.dirty) {
                let path = self.path(number);
                self.open_file(number).and_then(|file| file.sync_data()).map_err(failed(&path))?;
                if let Some(file) = self.files.get_mut(number) {
                    file.dirty = false;
                }
            }
        }
        self.folder.sync().map_err(failed(self.folder.path()))
    }

    /// Writes the buffer of a file.
    fn write(&mut self, number: usize) -> Result<(), SinkError> {
        let Some(file) = self.files.get_mut(number).filter(|file| !file.buffer.is_empty()) else { return Ok(()) };
        let mut buffer = std::mem::take(&mut file.buffer);
        self.buffered -= buffer.len();
        let path = self.path(number);
        let mut compressor = std::mem::take(&mut self.compressor);
        let block = compressor.compress(&buffer);
        let written = block.and_then(|block| {
            self.open_file(number)?.write_all(block)?;
            Ok(block.len() as u64)
        });
        self.compressor = compressor;
        let written = written.map_err(failed(&path))?;
        buffer.clear();
        let few = self.files.len() <= MAX_KEPT_BUFFERS;
        if let Some(file) = self.files.get_mut(number) {
            file.length += written;
            file.dirty = true;
            if few {
                file.buffer = buffer;
            }
        }
        Ok(())
    }

    /// Returns the file, open for appending. Closes the file that was unused for longest at the limit.
    fn open_file(&mut self, number: usize) -> io::Result<&mut File> {
        self.clock += 1;
        let clock = self.clock;
        if self.files.get(number).is_some_and(|file| file.handle.is_none()) {
            if self.open_count >= MAX_OPEN {
                let open = self.files.iter_mut().filter(|file| file.handle.is_some());
                if let Some(oldest) = open.min_by_key(|file| file.last_used) {
                    oldest.handle = None;
                    self.open_count -= 1;
                }
            }
            let handle = self.folder.append(&Files::name(number), Privacy::Umask)?;
            if let Some(file) = self.files.get_mut(number) {
                file.handle = Some(handle);
                self.open_count += 1;
            }
        }
        let entry = self.files.get_mut(number);
        let handle = entry.and_then(|file| {
            file.last_used = clock;
            file.handle.as_mut()
        });
        handle.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> SinkError {
    let name = format!("{path:?}");
    |source| SinkError::Write { name, source, cut: None }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn files(folder: &Path) -> Files {
        Files::new(Directory::open(folder).unwrap(), b"head\n", Compression::None)
    }

    #[test]
    fn more_files_than_can_be_open_with_little_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files { max_buffered: 10_000, ..files(folder.path()) };
        let count = 3 * MAX_OPEN;
        (0..count).for_each(|_| files.add());
        for round in 0..20 {
            for number in 0..count {
                files.append(number, format!("record {round} of {number}\n").as_bytes()).unwrap();
                assert!(files.buffered <= 10_000 && files.open_count <= MAX_OPEN);
                let buffered: usize = files.files.iter().map(|file| file.buffer.len()).sum();
                assert_eq!(buffered, files.buffered);
            }
        }
        files.write_all().unwrap();
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
        first.append(0, b"one\n").unwrap();
        first.write_all().unwrap();
        let length = first.length(0);
        first.append(0, b"two\n").unwrap();
        first.write_all().unwrap();
        let mut second = files(folder.path());
        second.restore(length).unwrap();
        second.append(0, b"three\n").unwrap();
        second.write_all().unwrap();
        assert_eq!(fs::read(second.path(0)).unwrap(), b"head\none\nthree\n");
        assert_eq!(files(folder.path()).restore(100).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let none = tempfile::tempdir().unwrap();
        assert!(files(none.path()).restore(0).is_err());
    }

    #[test]
    fn pieces_do_not_depend_on_how_records_come() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            if compression.check().is_err() {
                continue;
            }
            let written = |max_buffered: usize| {
                let folder = tempfile::tempdir().unwrap();
                let mut files =
                    Files { max_buffered, ..Files::new(Directory::open(folder.path()).unwrap(), b"", compression) };
                files.add();
                files.add();
                for number in 0..40_000 {
                    files.append(number % 2, format!("{number} {}\n", "x".repeat(number % 90)).as_bytes()).unwrap();
                }
                files.write_all().unwrap();
                [fs::read(files.path(0)).unwrap(), fs::read(files.path(1)).unwrap()]
            };
            assert_eq!(written(MAX_BUFFERED), written(MAX_BUFFERED));
        }
    }
}
