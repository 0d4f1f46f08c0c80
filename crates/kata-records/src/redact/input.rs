//! The text under search. All loops read it through [`Input::get`], so tests can count the steps.

use crate::scan;

/// A text under search.
pub(super) struct Input<'t> {
    bytes: &'t [u8],
    /// The number of bytes read.
    #[cfg(test)]
    pub(super) reads: std::cell::Cell<usize>,
}

impl<'t> Input<'t> {
    #[inline]
    pub(super) fn new(bytes: &'t [u8]) -> Input<'t> {
        Input {
            bytes,
            #[cfg(test)]
            reads: std::cell::Cell::new(0),
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<u8> {
        #[cfg(test)]
        self.reads.set(self.reads.get() + 1);
        self.bytes.get(at).copied()
    }

    /// Returns the byte before a position.
    #[inline]
    pub(super) fn before(&self, at: usize) -> Option<u8> {
        self.get(at.checked_sub(1)?)
    }

    #[inline]
    pub(super) fn slice(&self, start: usize, end: usize) -> &'t [u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Returns whether a constant stands at a position.
    #[inline]
    pub(super) fn starts(&self, at: usize, constant: &[u8]) -> bool {
        self.bytes.get(at..).is_some_and(|rest| rest.starts_with(constant))
    }

    /// Returns the next bracket at or after `at`, or the length if there is none. Some other bytes count too.
    #[inline]
    pub(super) fn bracket(&self, at: usize) -> usize {
        scan::bracket(self.bytes, at)
    }

    /// Returns the end of the run of bytes of a class that begins at `at`.
    #[inline]
    pub(super) fn skip(&self, mut at: usize, class: impl Fn(u8) -> bool) -> usize {
        while self.get(at).is_some_and(&class) {
            at += 1;
        }
        at
    }

    /// Returns the position of a byte in a part of the text.
    #[inline]
    pub(super) fn find(&self, start: usize, end: usize, byte: u8) -> Option<usize> {
        (start..end).find(|at| self.get(*at) == Some(byte))
    }

    /// Returns the start of the run of bytes of a class that ends at `end`, at most `limit` bytes before.
    #[inline]
    pub(super) fn back(&self, end: usize, limit: usize, class: impl Fn(u8) -> bool) -> usize {
        let mut start = end;
        while end - start < limit && self.before(start).is_some_and(&class) {
            start -= 1;
        }
        start
    }
}

/// The bytes of keys, and `/`.
static PATH_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'_' | b'-' | b'.' | b'/');
        byte += 1;
    }
    table
};

/// Selects the bytes of keys.
#[inline]
pub(super) fn is_key_byte(byte: u8) -> bool {
    is_path_byte(byte) && byte != b'/'
}

/// Selects the bytes of keys with paths, such as those of annotations.
#[inline]
pub(super) fn is_path_byte(byte: u8) -> bool {
    PATH_BYTES[usize::from(byte)]
}

#[inline]
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
