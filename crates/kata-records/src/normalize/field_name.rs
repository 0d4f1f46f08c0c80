//! Names of fields: the prefix, and the replacement of characters that backends reject.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use crate::record::Key;

/// The maximum length of a key's part in a name. Index mappings refuse much longer names.
pub(crate) const LONGEST: usize = 128;

/// Returns whether a name may contain a byte. All other bytes become `_`, among them spaces, dots, colons and
/// backquotes.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Returns the name for a key: bytes other than ASCII letters, digits, `-` and `_` become `_`. An empty key becomes
/// `_`.
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

/// Returns the key of the field `<prefix><name>`, or `<prefix><name>_<number>` for numbers from 2.
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

/// Concatenates two parts of a name.
pub(crate) fn joined<'b>(head: &str, tail: &[u8], bump: &'b Bump) -> &'b [u8] {
    let mut out = BumpVec::with_capacity_in(head.len() + tail.len(), bump);
    out.extend_from_slice_copy(head.as_bytes());
    out.extend_from_slice_copy(tail);
    out.into_bump_slice()
}
