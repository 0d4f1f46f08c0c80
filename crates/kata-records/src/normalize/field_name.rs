//! BloomFilter of fields: the prefix, and characters that backends choke on.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use crate::record::Key;

/// Longest part of a key that goes into a name; index mappings refuse much longer ones.
pub(crate) const LONGEST: usize = 128;

/// Whether a byte of a key stands in a name as it is. Spaces, dots, colons, backquotes and all the rest become `_`.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// A key's name: every other byte than ASCII letters, digits, `-` and `_` becomes `_`, and an empty key is `_`.
pub(crate) fn mapped<'b>(key: &'b [u8], bump: &'b Bump) -> &'b [u8] {
    if key.is_empty() {
        return b"_";
    }
    if key.len() <= LONGEST && key.iter().all(|byte| is_plain(*byte)) {
        return key;
    }
    let kept = key.iter().take(LONGEST).map(|byte| if is_plain(*byte) { *byte } else { b'_' });
    BumpVec::from_iter_in(kept, bump).into_bump_slice()
}

/// The field name `<prefix><name>` as a key; with `number` from 2, `<prefix><name>_<number>`.
pub(crate) fn key<'b>(prefix: &str, name: &[u8], number: usize, bump: &'b Bump) -> Key<'b> {
    let mut out = BumpVec::with_capacity_in((prefix.len() + name.len() + 12).max(Key::PADDED), bump);
    out.push(b'"');
    out.extend_from_slice_copy(prefix.as_bytes());
    out.extend_from_slice_copy(name);
    if number > 1 {
        out.push(b'_');
        out.extend_from_slice_copy(itoa::Buffer::new().format(number).as_bytes());
    }
    out.extend_from_slice_copy(b"\":\"");
    let length = out.len();
    out.resize(length.max(Key::PADDED), 0);
    Key::new(out.into_bump_slice(), length)
}

/// Two parts of a name as one.
pub(crate) fn joined<'b>(head: &str, tail: &[u8], bump: &'b Bump) -> &'b [u8] {
    let mut out = BumpVec::with_capacity_in(head.len() + tail.len(), bump);
    out.extend_from_slice_copy(head.as_bytes());
    out.extend_from_slice_copy(tail);
    out.into_bump_slice()
}
