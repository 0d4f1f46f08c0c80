//! The cheap test of clean text: a vector pass for the bytes that each secret needs, and a look at the keys before them.

use wide::i8x16;

use super::input::{Input, is_key_byte};
use super::{flag, table, token, value};

const WIDTH: usize = 16;

/// Places at which a secret may begin: a bit for each byte, the first byte lowest.
#[derive(Clone, Copy)]
struct Places {
    /// `=`, `:` and `{`.
    separators: u32,
    /// A dash that may begin a flag, and a capital of `Bearer`, `eyJ` and `AKIA`.
    others: u32,
}

impl Places {
    /// Returns the places in a block. `before` are the same bytes moved by one, so that the byte before each is known.
    #[inline(always)]
    fn of(bytes: [u8; WIDTH], before: [u8; WIDTH]) -> Places {
        let (block, before): (i8x16, i8x16) = (bytemuck::cast(bytes), bytemuck::cast(before));
        let eq = |block: i8x16, byte: u8| block.simd_eq(i8x16::splat(byte as i8));
        // `B` and `J` differ in one bit.
        let capitals = eq(block | i8x16::splat(0x08), b'J') | eq(block, b'K');
        // A dash inside a word or a number begins no flag.
        let boundary = before.simd_lt(i8x16::splat(b'0' as i8)) | eq(before, b'[');
        Places {
            separators: (eq(block, b'=') | eq(block, b':') | eq(block, b'{')).to_bitmask(),
            others: (capitals | (eq(block, b'-') & boundary)).to_bitmask(),
        }
    }
}

/// Returns whether the finder can find a secret in the text, or the beginning of one at its end.
pub(super) fn found(text: &[u8]) -> bool {
    let Some(head) = text.first_chunk::<WIDTH>() else {
        let mut padded = [0; WIDTH];
        padded[..text.len()].copy_from_slice(text);
        return any_begins(text, 0, Places::of(padded, moved(&padded)));
    };
    let (mut at, mut places) = (0, Places::of(*head, moved(head)));
    loop {
        if any_begins(text, at, places) {
            return true;
        }
        if at + WIDTH >= text.len() {
            return false;
        }
        // The last bytes are read together with those before them.
        at = (at + WIDTH).min(text.len() - WIDTH);
        let (Some(block), Some(before)) = (chunk(text, at), chunk(text, at - 1)) else { return false };
        places = Places::of(block, before);
    }
}

/// Returns the bytes moved by one.
#[inline(always)]
fn moved(bytes: &[u8; WIDTH]) -> [u8; WIDTH] {
    (u128::from_le_bytes(*bytes) << 8).to_le_bytes()
}

#[inline(always)]
fn chunk(text: &[u8], at: usize) -> Option<[u8; WIDTH]> {
    text.get(at..).and_then(<[u8]>::first_chunk).copied()
}

/// Returns whether a secret may begin at one of the places in the block at `at`.
#[inline(always)]
fn any_begins(text: &[u8], at: usize, Places { mut separators, mut others }: Places) -> bool {
    while separators != 0 {
        let place = at + separators.trailing_zeros() as usize;
        if may_follow_key(text, place) && begins(&Input::new(text), place) {
            return true;
        }
        separators &= separators - 1;
    }
    while others != 0 {
        let place = at + others.trailing_zeros() as usize;
        if may_begin(text, place) && begins(&Input::new(text), place) {
            return true;
        }
        others &= others - 1;
    }
    false
}

/// Tests the bytes before a separator, and whether a URL follows. Most keys in quotes have at most one backslash before
/// the closing quote.
#[inline(always)]
fn may_follow_key(text: &[u8], at: usize) -> bool {
    let window = at.checked_sub(5).and_then(|start| text.get(start..)?.first_chunk());
    let Some(&[first, second, third, fourth, last, _, next]) = window else { return true };
    let (before, end) = match (fourth, last) {
        (_, b'\'' | b' ') => return true,
        (b'\\', b'"') => (b'_', [first, second, third]),
        (_, b'"') => (first, [second, third, fourth]),
        _ => (second, [third, fourth, last]),
    };
    next == b'/' || table::may_end_in(end) && table::may_precede(before, end) || matches!(end[2], b'"' | b'\\')
}

/// Tests the bytes around a dash or a capital, which settles most of them.
#[inline(always)]
fn may_begin(text: &[u8], at: usize) -> bool {
    let next = text.get(at + 1).copied().unwrap_or_default();
    let before = at.checked_sub(1).and_then(|before| text.get(before)).copied().unwrap_or_default();
    match text.get(at) {
        Some(b'-') if matches!(before, b'-' | b'.' | b'/') => next == b'B',
        Some(b'-') => is_key_byte(next),
        Some(b'B') => matches!(next, b'e' | b'E'),
        Some(b'J') => before == b'y',
        Some(_) => before == b'A',
        None => false,
    }
}

/// Returns whether a secret may begin at a place. The finder begins at these places only.
fn begins(input: &Input<'_>, at: usize) -> bool {
    match input.get(at) {
        Some(b':') if input.starts(at, b"://") => {
            let url = token::url(input, at);
            url.secret.is_some() || url.open
        }
        Some(b'=' | b':') => value::key_before(input, at).is_some(),
        Some(b'{') => value::container_before(input, at).is_some(),
        Some(b'-') => input.starts(at, token::PEM_TAIL) || flag::flag_at(input, at).is_some(),
        Some(b'B') => token::bearer(input, at).is_some(),
        Some(_) => token::token_start(input, at).is_some(),
        None => false,
    }
}
