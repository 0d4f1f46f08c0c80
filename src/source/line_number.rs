//! Finds the lines of a log in which entries begin, from their offsets.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::codec;
use super::input;

/// Returns the numbers, from 1, of the lines that hold these offsets, which ascend. Reads the file up to the last offset.
/// Returns `None` if the file is compressed, because the offsets are those of its content, and if it cannot be read.
#[must_use]
pub fn line_numbers(path: &Path, offsets: &[u64]) -> Option<Vec<u64>> {
    let mut file = input::open_found(&fs::canonicalize(path).ok()?).ok()?;
    let mut buffer = vec![0; 64 << 10];
    let (mut numbers, mut line, mut start) = (Vec::with_capacity(offsets.len()), 1, 0);
    while numbers.len() < offsets.len() {
        let length = file.read(&mut buffer).ok().filter(|length| *length > 0)?;
        let bytes = buffer.get(..length)?;
        if start == 0 && codec::is_compressed(bytes) {
            return None;
        }
        let mut from = 0;
        while let Some(offset) = offsets.get(numbers.len()) {
            let to = usize::try_from(offset.checked_sub(start)?).ok()?;
            let Some(before) = bytes.get(from..to).filter(|_| to < length) else { break };
            line += memchr::memchr_iter(b'\n', before).count() as u64;
            numbers.push(line);
            from = to;
        }
        line += memchr::memchr_iter(b'\n', bytes.get(from..)?).count() as u64;
        start += length as u64;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(content: &[u8], offsets: &[u64]) -> Option<Vec<u64>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        line_numbers(file.path(), offsets)
    }

    #[test]
    fn offsets_have_lines() {
        assert_eq!(numbers(b"a\nbc\n\nd", &[0, 2, 2, 3, 5, 6]), Some(vec![1, 2, 2, 2, 3, 4]));
        assert_eq!(numbers(b"a\n", &[2]), None, "there is no such byte");
        assert_eq!(numbers(b"a\n", &[]), Some(Vec::new()));
        let long = b"0123456\n".repeat(20_000);
        let offsets = [65_535, 65_536, 65_544, 150_000];
        assert_eq!(numbers(&long, &offsets), Some(offsets.map(|offset| offset / 8 + 1).to_vec()));
    }

    #[test]
    fn files_without_lines_of_their_own_have_none() {
        assert_eq!(numbers(b"\x1f\x8b\x08\n\n\n\n", &[5]), None);
        assert_eq!(line_numbers(Path::new("/"), &[0]), None);
        assert_eq!(line_numbers(Path::new("/no/such/file"), &[0]), None);
    }
}
