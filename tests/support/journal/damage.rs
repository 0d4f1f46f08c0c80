//! Locates the objects of an intact journal file, so that a test can damage a chosen one.

use super::write::{header, object};

/// An object of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object {
    pub(crate) at: usize,
    pub(crate) kind: u8,
    pub(crate) size: usize,
}

/// Returns the objects of an intact file, in order.
pub(crate) fn objects(file: &[u8]) -> Vec<Object> {
    let last = number(file, header::TAIL_OBJECT) as usize;
    let mut at = number(file, header::HEADER_SIZE) as usize;
    let mut objects = Vec::new();
    while at <= last {
        let size = number(file, at + 8) as usize;
        objects.push(Object { at, kind: file[at], size });
        at = (at + size).next_multiple_of(8);
    }
    objects
}

/// Returns the objects of one type.
pub(crate) fn of(file: &[u8], kind: u8) -> Vec<Object> {
    objects(file).into_iter().filter(|object| object.kind == kind).collect()
}

/// Returns the arrays of all entries, in order.
pub(crate) fn arrays(file: &[u8]) -> Vec<Object> {
    let known = of(file, object::ARRAY);
    let mut at = number(file, header::ENTRY_ARRAY) as usize;
    let mut arrays = Vec::new();
    while at != 0 {
        arrays.push(*known.iter().find(|array| array.at == at).unwrap());
        at = number(file, at + 16) as usize;
    }
    arrays
}

/// Returns the number of entries that are complete in the first `end` bytes. An entry follows all objects that it
/// refers to.
pub(crate) fn complete(file: &[u8], end: usize) -> usize {
    of(file, object::ENTRY).iter().filter(|entry| entry.at + entry.size <= end).count()
}

/// Returns the number at an offset.
pub(crate) fn number(file: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(file[at..at + 8].try_into().unwrap())
}

/// Replaces bytes.
pub(crate) fn overwrite(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}
