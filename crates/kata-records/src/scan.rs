//! Byte scanners that find the first byte of a class, sixteen bytes at a time. They know no formats.

use wide::i8x16;

/// The number of bytes that are looked at together.
pub(crate) const WIDTH: usize = 16;

/// Sixteen bytes as signed numbers. Negative numbers are not ASCII.
type Block = i8x16;

#[inline(always)]
fn eq(block: Block, byte: u8) -> Block {
    block.simd_eq(i8x16::splat(byte as i8))
}

/// Selects bytes below `limit`, and those that are not ASCII.
#[inline(always)]
fn below(block: Block, limit: u8) -> Block {
    block.simd_lt(i8x16::splat(limit as i8))
}

/// Returns the position of the first byte of a class at or after `at`, or the length if there is none. `class` makes a
/// mask for sixteen bytes and must include zero.
#[inline(always)]
fn find(bytes: &[u8], at: usize, class: impl Fn(Block) -> Block) -> usize {
    let Some(mut rest) = bytes.get(at..) else { return bytes.len() };
    // Most runs end in the first block.
    if let Some((block, behind)) = rest.split_first_chunk::<WIDTH>() {
        let mask = class(bytemuck::cast(*block)).to_bitmask();
        if mask != 0 {
            return at + mask.trailing_zeros() as usize;
        }
        rest = behind;
    }
    while let Some((block, behind)) = rest.split_first_chunk::<WIDTH>() {
        let mask = class(bytemuck::cast(*block)).to_bitmask();
        if mask != 0 {
            return bytes.len() - rest.len() + mask.trailing_zeros() as usize;
        }
        rest = behind;
    }
    let mask = class(bytemuck::cast(padded(rest))).to_bitmask();
    bytes.len() - rest.len() + mask.trailing_zeros() as usize
}

/// Pads fewer than sixteen bytes with zeros.
#[inline]
fn padded(bytes: &[u8]) -> [u8; WIDTH] {
    // For fewer bytes the two parts overlap and agree.
    let number = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(head), Some(tail)) => {
            u128::from(u64::from_le_bytes(*head)) | u128::from(u64::from_le_bytes(*tail)) << (8 * (bytes.len() - 8))
        }
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(head), Some(tail)) => {
                let (head, tail) = (u32::from_le_bytes(*head), u32::from_le_bytes(*tail));
                u128::from(u64::from(head) | u64::from(tail) << (8 * (bytes.len() - 4)))
            }
            _ => bytes.iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte)),
        },
    };
    number.to_le_bytes()
}

/// Returns the end of a run of bytes that logrus writes without quotes: the next space or control character, `"`, `=`,
/// `\`, or byte that is not ASCII.
#[inline]
#[must_use]
pub(crate) fn token_end(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, |block| below(block, 0x21) | eq(block, b'"') | eq(block, b'=') | eq(block, b'\\'))
}

/// Returns the next `(`, `<`, `[` or `{`, a zero, or a byte that is not ASCII.
#[inline]
#[must_use]
pub(crate) fn bracket(bytes: &[u8], at: usize) -> usize {
    // `[` and `{` differ in one bit.
    find(bytes, at, |block| below(block, 1) | eq(block | Block::splat(0x20), b'{') | eq(block, b'(') | eq(block, b'<'))
}

/// Returns the end of a bare value: what [`token_end`] returns, or the next `!`, which logrus does not leave bare either.
#[inline]
#[must_use]
pub(crate) fn bare_end(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, |block| below(block, 0x23) | eq(block, b'=') | eq(block, b'\\'))
}

/// Returns the next special byte of a quoted string: `"`, `\`, `%`, a control character, or a byte that is not ASCII.
#[inline]
#[must_use]
pub(crate) fn quoted_stop(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, |block| below(block, 0x20) | eq(block, b'"') | eq(block, b'\\') | eq(block, b'%'))
}

/// Returns the first special byte of a quoted string, as [`quoted_stop`] does, and whether the string before it has a byte
/// that a secret in a text needs: `=`, `:`, a dash, or a capital of `Bearer`, `eyJ` and `AKIA`. Some other bytes count too.
#[inline]
#[must_use]
pub(crate) fn quoted_stop_and_marks(bytes: &[u8]) -> (usize, bool) {
    let mut rest = bytes;
    let mut marked = 0;
    while let Some((block, behind)) = rest.split_first_chunk::<WIDTH>() {
        let (stops, marks) = stops_and_marks(bytemuck::cast(*block));
        if stops != 0 {
            let before = (stops & stops.wrapping_neg()).wrapping_sub(1);
            return (bytes.len() - rest.len() + stops.trailing_zeros() as usize, (marked | marks & before) != 0);
        }
        marked |= marks;
        rest = behind;
    }
    let (stops, marks) = stops_and_marks(bytemuck::cast(padded(rest)));
    let before = (stops & stops.wrapping_neg()).wrapping_sub(1);
    (bytes.len() - rest.len() + stops.trailing_zeros() as usize, (marked | marks & before) != 0)
}

/// Returns a bit for each special byte of a quoted string, and one for each byte that a secret needs.
#[inline(always)]
fn stops_and_marks(block: Block) -> (u32, u32) {
    let stops = below(block, 0x20) | eq(block, b'"') | eq(block, b'\\') | eq(block, b'%');
    // From `:` to `=`; and `B` and `J`, which differ in one bit.
    let separators = below(block + Block::splat(i8::MIN.wrapping_sub(b':' as i8)), 4 | 0x80);
    let capitals = eq(block | Block::splat(0x08), b'J') | eq(block, b'K');
    (stops.to_bitmask(), (separators | capitals | eq(block, b'-')).to_bitmask())
}

/// Returns the next byte that JSON text must escape: `"`, `\` or a control character.
#[inline]
#[must_use]
pub(crate) fn json_special(bytes: &[u8], at: usize) -> usize {
    // Bytes that are not ASCII are the largest ones here, not negative numbers.
    let control = |block: Block| below(block + Block::splat(i8::MIN), 0x20 ^ 0x80);
    find(bytes, at, |block| control(block) | eq(block, b'"') | eq(block, b'\\'))
}

/// Returns the next semicolon or control character of ASCII below delete, or a zero.
#[inline]
#[must_use]
pub(crate) fn semicolon_or_control(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, |block| below(block + Block::splat(i8::MIN), 0x20 ^ 0x80) | eq(block, b';'))
}

/// Returns the next byte that is not printable ASCII, or is `"` or `\`.
#[inline]
#[must_use]
pub(crate) fn unprinted(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, not_printed)
}

/// Returns the end of a run of bytes that are not ASCII: the next one that is.
#[inline]
#[must_use]
pub(crate) fn ascii(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, |block| block.simd_gt(Block::splat(-1)))
}

/// Returns the next byte that is not clean: `"`, `\`, a control character, or a byte that is not ASCII.
#[inline]
#[must_use]
pub(crate) fn unclean(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, |block| below(block, 0x20) | eq(block, b'"') | eq(block, b'\\'))
}

/// Selects bytes that `journalctl -o json` escapes: `"`, `\\`, control characters, delete, and bytes that are not
/// ASCII.
#[inline(always)]
fn not_printed(block: Block) -> Block {
    below(block, 0x20) | eq(block, b'"') | eq(block, b'\\') | eq(block, 0x7f)
}

/// Copies the bytes from `at` on, up to the next `\`, to the start of `out`, and returns their number. `out` needs
/// [`WIDTH`] bytes more than are left.
#[inline]
pub(crate) fn copy_to_backslash(bytes: &[u8], at: usize, out: &mut [u8]) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let mut copied = 0;
    while let Some(block) = rest.get(copied..).and_then(<[u8]>::first_chunk)
        && let Some(place) = out.get_mut(copied..).and_then(<[u8]>::first_chunk_mut::<WIDTH>)
    {
        *place = *block;
        let stops = eq(bytemuck::cast(*block), b'\\').to_bitmask();
        if stops != 0 {
            return copied + stops.trailing_zeros() as usize;
        }
        copied += WIDTH;
    }
    while let Some((byte, place)) = rest.get(copied).zip(out.get_mut(copied))
        && *byte != b'\\'
    {
        *place = *byte;
        copied += 1;
    }
    copied
}

/// Appends bytes from `at` on, with a backslash before `"` and `\\`. Stops at a control character, delete, or a byte
/// that is not ASCII, and returns its position.
#[must_use]
pub(crate) fn copy_escaped(bytes: &[u8], mut at: usize, out: &mut Vec<u8>) -> usize {
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let mut padded = [b' '; 64];
        let mut stops = match (rest.first_chunk(), bytes.last_chunk()) {
            (Some(block), _) => bits(block, not_printed),
            // The last bytes together with those before them.
            (None, Some(block)) => bits(block, not_printed) >> (64 - rest.len()),
            (None, None) => {
                padded[..rest.len()].copy_from_slice(rest);
                bits(&padded, not_printed)
            }
        };
        let (start, end) = (at, at + rest.len().min(64));
        while stops != 0 {
            let stop = start + stops.trailing_zeros() as usize;
            copy(bytes, at, stop, out);
            if !escape(bytes, stop, out) {
                return stop;
            }
            at = stop + 1;
            stops &= stops - 1;
        }
        copy(bytes, at, end, out);
        at = end;
    }
    at
}

/// Appends the byte at `at` with a backslash if it is `"` or `\\`. Returns whether it is.
#[inline(always)]
fn escape(bytes: &[u8], at: usize, out: &mut Vec<u8>) -> bool {
    let byte = bytes.get(at).filter(|byte| matches!(byte, b'"' | b'\\'));
    byte.inspect(|byte| out.extend_from_slice(&[b'\\', **byte])).is_some()
}

/// Appends the bytes from `start` to `end`. A copy of a fixed size costs less than an exact one.
#[inline(always)]
fn copy(bytes: &[u8], start: usize, end: usize, out: &mut Vec<u8>) {
    const SIZE: usize = 32;
    match bytes.get(start..).and_then(<[u8]>::first_chunk::<SIZE>) {
        Some(block) if end - start <= SIZE => {
            out.extend_from_slice(block);
            out.truncate(out.len() - SIZE + (end - start));
        }
        _ => out.extend_from_slice(bytes.get(start..end).unwrap_or_default()),
    }
}

/// Returns a bit for each of 64 bytes in the class, the first byte lowest.
#[inline(always)]
fn bits(block: &[u8; 64], class: impl Fn(Block) -> Block) -> u64 {
    let mut bits = 0;
    for (index, part) in block.as_chunks::<WIDTH>().0.iter().enumerate() {
        bits |= u64::from(class(bytemuck::cast(*part)).to_bitmask()) << (index * WIDTH);
    }
    bits
}

/// Returns the end of the JSON object or array that opens at `at`, or `None` if it is not closed. Brackets outside
/// strings are counted but not matched by kind, 64 bytes at a time.
#[must_use]
pub(crate) fn nested_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_u32;
    let mut in_string = false;
    loop {
        if let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<64>)
            && bits(block, |part| eq(part, b'\\')) == 0
        {
            let mut inside = bits(block, |part| eq(part, b'"'));
            for shift in [1, 2, 4, 8, 16, 32] {
                inside ^= inside << shift;
            }
            if in_string {
                inside = !inside;
            }
            // `[` and `{` differ in one bit, as do `]` and `}`. Most blocks have few brackets.
            let folded = |part| part | i8x16::splat(0x20);
            let mut brackets = bits(block, |part| eq(folded(part), b'{') | eq(folded(part), b'}')) & !inside;
            while brackets != 0 {
                let place = brackets.trailing_zeros() as usize;
                if matches!(block.get(place), Some(b'{' | b'[')) {
                    depth += 1;
                } else {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Some(at + place + 1);
                    }
                }
                brackets &= brackets - 1;
            }
            in_string = inside >> 63 != 0;
            at += 64;
            continue;
        }
        // Blocks with escapes, and the last bytes, are scanned one byte at a time.
        let end = bytes.len().min(at + 64);
        let mut escaped = false;
        while at < end || escaped {
            let byte = *bytes.get(at)?;
            at += 1;
            if escaped {
                escaped = false;
            } else if in_string {
                match byte {
                    b'"' => in_string = false,
                    b'\\' => escaped = true,
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => in_string = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth = depth.saturating_sub(1);
                        if depth == 0 {
                            return Some(at);
                        }
                    }
                    _ => {}
                }
            }
        }
        if at >= bytes.len() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests;
