//! The cheap test of clean text: a vector pass for the bytes that each secret needs, and a look at the keys before them.

use wide::i8x16;

use super::input::{Input, is_key_byte};
use super::{flag, table, token, value};

const WIDTH: usize = 16;

/// The number of bytes before a place that are looked at.
const BEFORE: usize = 6;

/// Returns a bit for each byte at which a secret may begin, the first byte lowest: `=`, `:` and `{`, the dash of a flag,
/// and a capital of `Bearer`, `eyJ` and `AKIA`. Some other bytes count too.
#[inline(always)]
fn places(bytes: [u8; WIDTH]) -> u32 {
    let block: i8x16 = bytemuck::cast(bytes);
    let eq = |block: i8x16, byte: u8| block.simd_eq(i8x16::splat(byte as i8));
    // From `:` to `=`.
    let separators = (block + i8x16::splat(i8::MIN.wrapping_sub(b':' as i8))).simd_lt(i8x16::splat(i8::MIN + 4));
    // `B`, `C`, `J` and `K` differ in two bits.
    let capitals = eq(block | i8x16::splat(0x09), b'K');
    (separators | capitals | eq(block, b'{') | eq(block, b'-')).to_bitmask()
}

/// Returns whether the finder can find a secret in the text, or the beginning of one at its end.
pub(super) fn found(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some((block, behind)) = rest.split_first_chunk() {
        if any_begins(text, text.len() - rest.len(), places(*block)) {
            return true;
        }
        rest = behind;
    }
    // The last bytes are read together with those before them.
    let start = text.len() - rest.len();
    match text.last_chunk::<WIDTH>() {
        _ if rest.is_empty() => false,
        Some(last) => any_begins(text, start, places(*last) >> (WIDTH - rest.len())),
        None => {
            let mut padded = [0; WIDTH];
            padded[..rest.len()].copy_from_slice(rest);
            any_begins(text, start, places(padded))
        }
    }
}

/// Returns whether a secret may begin at one of the places, which count from `start`.
#[inline(always)]
fn any_begins(text: &[u8], start: usize, mut places: u32) -> bool {
    while places != 0 {
        let at = start + places.trailing_zeros() as usize;
        if may_begin(text, at) && begins(&Input::new(text), at) {
            return true;
        }
        places &= places - 1;
    }
    false
}

/// The kinds of places, a bit for each.
const SEPARATOR: u8 = 1;
const DASH: u8 = 2;
const BEARER: u8 = 4;
const JWT: u8 = 8;
const AKIA: u8 = 16;

/// The kind of each byte as a place.
static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    (kinds[b'=' as usize], kinds[b':' as usize], kinds[b'{' as usize]) = (SEPARATOR, SEPARATOR, SEPARATOR);
    (kinds[b'-' as usize], kinds[b'B' as usize]) = (DASH, BEARER);
    (kinds[b'J' as usize], kinds[b'K' as usize]) = (JWT, AKIA);
    kinds
};

/// The kinds of places that each byte can precede.
static PRECEDES: [u8; 256] = {
    let mut kinds = [BEARER; 256];
    let mut byte = 0;
    while byte < 256 {
        if table::may_be_last(byte as u8) || matches!(byte as u8, b'"' | b'\\' | b'\'' | b' ') {
            kinds[byte] |= SEPARATOR;
        }
        // A dash inside a word or a number begins no flag.
        if byte < b'0' as usize || byte == b'[' as usize || byte >= 0x80 {
            kinds[byte] |= DASH;
        }
        byte += 1;
    }
    kinds[b'y' as usize] |= JWT;
    kinds[b'A' as usize] |= AKIA;
    kinds
};

/// Tests the bytes around a place, which settles most of them.
#[inline(always)]
fn may_begin(text: &[u8], at: usize) -> bool {
    let around = at.checked_sub(1).and_then(|start| text.get(start..)?.first_chunk());
    let Some(&[before, byte, next]) = around else { return true };
    let kind = KINDS[usize::from(byte)];
    if kind & PRECEDES[usize::from(before)] == 0 {
        return byte == b':' && next == b'/';
    }
    match kind {
        SEPARATOR => next == b'/' || may_follow_key(text, at),
        DASH if matches!(before, b'-' | b'.' | b'/') => next == b'B',
        DASH => is_key_byte(next),
        BEARER => matches!(next, b'e' | b'E'),
        _ => true,
    }
}

/// Tests the bytes before a separator. Most keys in quotes have at most one backslash before the closing quote.
#[inline(always)]
fn may_follow_key(text: &[u8], at: usize) -> bool {
    let Some(window) = at.checked_sub(BEFORE).and_then(|start| text.get(start..)?.first_chunk()) else { return true };
    let window = u64::from_le_bytes(*window);
    let [.., last_but_one, last, _, _] = window.to_le_bytes();
    let quotes = match (last_but_one, last) {
        (_, b'\'' | b' ') => return true,
        (b'\\', b'"') => 2,
        (_, b'"') => 1,
        _ => 0,
    };
    // The last byte of the key comes to where the byte before the separator was.
    let key = (window << (8 * quotes) >> (8 * (BEFORE - 4))) as u32;
    table::may_end_in(key) || matches!(key >> 24, 0x22 | 0x5c)
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
