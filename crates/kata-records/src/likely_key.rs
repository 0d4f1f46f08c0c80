//! Likely keys of a text. A likely key is compared with the text before the text is searched for the end of its key, and
//! needs no lookup.

use wide::i8x16;

use crate::dictionary::{KeyId, PresentKeys};

/// A known key with the bytes around it.
// The size of a cache line makes the index a shift instead of a multiplication.
#[repr(align(64))]
#[derive(Clone, Copy)]
pub(crate) struct LikelyKey {
    /// The first bytes, and the mask of their bits.
    text: i8x16,
    mask: i8x16,
    pub key: &'static [u8],
    pub keys: PresentKeys,
    pub id: KeyId,
    /// The length with the bytes around.
    length: u8,
    /// The length of the bytes before the key.
    start: u8,
}

impl LikelyKey {
    /// Returns the key with these bytes around it. Runs at compile time.
    pub(crate) const fn new(before: &str, id: KeyId, after: &str) -> LikelyKey {
        let key = id.known().key.as_bytes();
        let (mut text, mut mask) = ([0; 16], [0; 16]);
        let mut length = 0;
        let parts = [before.as_bytes(), key, after.as_bytes()];
        let mut part = 0;
        while part < parts.len() {
            let mut at = 0;
            while at < parts[part].len() {
                if length < text.len() {
                    text[length] = parts[part][at] as i8;
                    mask[length] = -1;
                }
                length += 1;
                at += 1;
            }
            part += 1;
        }
        assert!(length < 256);
        assert!(length <= 16 || matches!(after.as_bytes(), b"\":"), "longer keys are those of objects");
        LikelyKey {
            text: i8x16::new(text),
            mask: i8x16::new(mask),
            key,
            keys: PresentKeys::of(Some(id)),
            id,
            length: length as u8,
            start: before.len() as u8,
        }
    }

    /// Returns the text after the key and the bytes around it, or `None` if another key follows. Near the end of a text the
    /// key is not found.
    #[inline]
    pub(crate) fn split<'b>(&self, rest: &'b [u8]) -> Option<&'b [u8]> {
        let chunk: i8x16 = bytemuck::cast(*rest.first_chunk::<16>()?);
        if !(chunk & self.mask).simd_eq(self.text).all() {
            return None;
        }
        let length = usize::from(self.length);
        if length > 16 && !self.is_whole(rest) {
            return None;
        }
        rest.get(length..)
    }

    /// Compares the bytes that one block does not hold.
    fn is_whole(&self, rest: &[u8]) -> bool {
        let start = usize::from(self.start);
        rest.get(start..).is_some_and(|rest| rest.starts_with(self.key))
            && rest.get(start + self.key.len()..usize::from(self.length)) == Some(b"\":")
    }
}
