//! Names of fields: the prefix, and the replacement of characters that backends reject.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use crate::record::Key;

/// The maximum length of a key's part in a name. Index mappings refuse much longer names.
pub(crate) const LONGEST: usize = 128;

/// The bytes that a name may contain. All other bytes become `_`, among them spaces, dots, colons and backquotes.
static PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'_' | b'-');
        byte += 1;
    }
    table
};

/// Returns whether a key is its own name.
#[inline]
pub(crate) fn is_plain(key: &[u8]) -> bool {
    !key.is_empty() && key.len() <= LONGEST && key.iter().all(|byte| PLAIN[usize::from(*byte)])
}

/// Returns the name for a key: bytes other than ASCII letters, digits, `-` and `_` become `_`. An empty key becomes
/// `_`.
pub(crate) fn mapped<'b>(key: &'b [u8], bump: &'b Bump) -> &'b [u8] {
    if is_plain(key) {
        return key;
    }
    if key.is_empty() {
        return b"_";
    }
    let kept = key.iter().take(LONGEST).map(|byte| if PLAIN[usize::from(*byte)] { *byte } else { b'_' });
    BumpVec::from_iter_in(kept, bump).into_bump_slice()
}

/// Returns the key of the field `<prefix><name>`, or `<prefix><name>_<number>` for numbers from 2.
pub(crate) fn key<'b>(prefix: &str, name: &[u8], number: usize, bump: &'b Bump) -> Key<'b> {
    if number > 1 {
        let mut digits = itoa::Buffer::new();
        return joined_key([prefix.as_bytes(), name, b"_", digits.format(number).as_bytes()], bump);
    }
    joined_key([prefix.as_bytes(), name], bump)
}

/// Returns the key with the name that the parts make.
fn joined_key<'b, const PARTS: usize>(parts: [&[u8]; PARTS], bump: &'b Bump) -> Key<'b> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>() + 4;
    let form: &mut [u8] = match length {
        // A size that the compiler knows costs a quarter of any other.
        0..=Key::PADDED => bump.alloc([0; Key::PADDED]),
        _ => bump.alloc_slice_fill_copy(length, 0),
    };
    let mut rest = put(form, b"\"");
    for part in parts {
        rest = put(rest, part);
    }
    put(rest, b"\":\"");
    Key::new(form, length)
}

/// Copies a part to the start of a buffer, and returns the rest of the buffer.
#[inline]
fn put<'t>(out: &'t mut [u8], part: &[u8]) -> &'t mut [u8] {
    let Some((place, rest)) = out.split_at_mut_checked(part.len()) else { return &mut [] };
    place.copy_from_slice(part);
    rest
}

/// Concatenates two parts of a name.
pub(crate) fn joined<'b>(head: &str, tail: &[u8], bump: &'b Bump) -> &'b [u8] {
    let mut out = BumpVec::with_capacity_in(head.len() + tail.len(), bump);
    out.extend_from_slice_copy(head.as_bytes());
    out.extend_from_slice_copy(tail);
    out.into_bump_slice()
}
