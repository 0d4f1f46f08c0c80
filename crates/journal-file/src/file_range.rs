//! A range of a file, read like a file of its own: the whole of one, a member of an archive, something unpacked.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::Arc;

/// A range of a file. A clone is the same range of the same open file.
#[derive(Clone, Debug)]
pub struct FileRange {
    file: Arc<File>,
    base: u64,
    /// The largest number there is for one that ends where the file does, wherever that is by then.
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
    /// A range of this one. What is behind the end of this one is not in it.
    pub fn part(&self, from: u64, length: u64) -> FileRange {
        let length = length.min(self.length.saturating_sub(from));
        FileRange { file: Arc::clone(&self.file), base: self.base.saturating_add(from), length }
    }

    /// Reads what is at an offset, which counts from the beginning of the range; zero is the end.
    ///
    /// # Errors
    ///
    /// Those of the system.
    #[inline]
    pub fn read_at(&self, room: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = room.len().min(left);
        match self.base.checked_add(offset) {
            // No file reaches further.
            Some(at) if len > 0 && i64::try_from(at).is_ok() => self.file.read_at(&mut room[..len], at),
            _ => Ok(0),
        }
    }

    /// How many bytes there are now.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len().saturating_sub(self.base).min(self.length))
    }

    /// Whether the file has no name any more.
    pub fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// Reads the range from its beginning.
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
