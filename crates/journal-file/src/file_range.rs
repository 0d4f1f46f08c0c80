//! Ranges of files that are read like files: a whole file, a member of an archive, an unpacked copy.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::Arc;

/// A range of a file. Clones share the open file.
#[derive(Clone, Debug)]
pub struct FileRange {
    file: Arc<File>,
    base: u64,
    /// The length, or the largest number for a range that ends with the file, wherever that is at the time.
    length: u64,
}

impl From<File> for FileRange {
    fn from(file: File) -> FileRange {
        Arc::new(file).into()
    }
}

impl From<Arc<File>> for FileRange {
    fn from(file: Arc<File>) -> FileRange {
        FileRange { file, base: 0, length: u64::MAX }
    }
}

impl FileRange {
    /// Returns a part of this range. The part ends at the latest where this range ends.
    pub fn part(&self, from: u64, length: u64) -> FileRange {
        let length = length.min(self.length.saturating_sub(from));
        FileRange { file: Arc::clone(&self.file), base: self.base.saturating_add(from), length }
    }

    /// Reads bytes at an offset from the beginning of the range. Returns 0 at the end.
    ///
    /// # Errors
    ///
    /// Fails with the error of the system.
    #[inline]
    pub fn read_at(&self, room: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = room.len().min(left);
        match self.base.checked_add(offset) {
            // No file has larger offsets.
            Some(at) if len > 0 && i64::try_from(at).is_ok() => self.file.read_at(&mut room[..len], at),
            _ => Ok(0),
        }
    }

    /// Returns the current length in bytes.
    ///
    /// # Errors
    ///
    /// Fails with the error of the system.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len().saturating_sub(self.base).min(self.length))
    }

    /// Returns whether the file was deleted.
    pub fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// Returns a reader of the range from its beginning.
    pub fn reader(&self) -> impl Read + Send + use<> {
        RangeReader { range: self.clone(), at: 0 }
    }
}

/// A reader of a range from its beginning.
struct RangeReader {
    range: FileRange,
    at: u64,
}

impl Read for RangeReader {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = self.range.read_at(room, self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)] // a test fails by it

    use std::io::Write as _;

    use super::*;

    /// Returns a file of these bytes.
    pub(crate) fn file(bytes: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file
    }

    fn text(range: &FileRange) -> String {
        let mut text = String::new();
        range.reader().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_range_is_like_a_file() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let whole = FileRange::from(file.try_clone().unwrap());
        let part = whole.part(2, 5);
        assert_eq!((text(&whole).as_str(), text(&part).as_str()), ("0123456789", "23456"));
        assert_eq!((whole.length().unwrap(), part.length().unwrap()), (10, 5));
        assert_eq!(text(&part.part(1, 100)), "3456", "no part is longer than what it is of");
        assert_eq!(text(&part.part(9, 1)), "");
        assert_eq!(text(&whole.part(8, 100)), "89");
        assert_eq!(whole.part(8, 100).length().unwrap(), 2);
        let mut room = [0; 4];
        assert_eq!((part.read_at(&mut room, 3).unwrap(), &room[..2]), (2, b"56".as_slice()));
        assert_eq!(part.read_at(&mut room, u64::MAX).unwrap(), 0);
        assert!(whole.is_deleted());

        file.write_all(b"ab").unwrap();
        assert_eq!((text(&whole).as_str(), whole.length().unwrap()), ("0123456789ab", 12), "it grows with its file");
        assert_eq!(text(&part), "23456");
    }
}
