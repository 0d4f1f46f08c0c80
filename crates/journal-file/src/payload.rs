//! Payloads of DATA: the end of the name, and decompression (systemd: `compress.c`). This module reads no file.
//!
//! A decoder never produces much more than its limit, whatever size the payload states, and leaves out the rest. Memory
//! grows with the bytes that arrive, not with the size that is promised.

use wide::i8x16;

use crate::damage::Damage;

/// The size of the largest field, in bytes with its name. At this limit, a larger one is damage instead of being cut.
pub(crate) const MAX_FIELD: usize = 64 << 20;
/// The largest payload that is decompressed at all. A frame of Zstandard needs memory of this size.
#[cfg(any(feature = "lz4", feature = "zstd"))]
const MAX_CONTENT: usize = 128 << 20;
/// The length of the longest name of a field.
const NAME_MAX: usize = 64;
/// The number of bytes of a payload that decide its name.
const NAME_ROOM: usize = NAME_MAX + 1;
/// The limit on the bytes that decoders produce in vain for a file. Damage shows only at the end of a payload.
const WASTE: u64 = 1 << 30;
/// The memory allocated for a payload of a larger stated size before any byte has arrived.
#[cfg(feature = "zstd")]
const FIRST_ROOM: usize = 1 << 20;

/// The memory limit for a payload in xz. journald's dictionaries have 1 MiB.
#[cfg(feature = "xz")]
pub(crate) const XZ_MEMORY: u64 = 64 << 20;

/// The compression of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// One stream of xz.
    Xz,
    /// The length in eight bytes, then one LZ4 block.
    Lz4,
    /// One frame of Zstandard that states the size of its content.
    Zstd,
}

impl Codec {
    /// Returns the codec in the flags of a DATA, if it has one. Other flags have no meaning (systemd:
    /// `_OBJECT_COMPRESSED_MASK`): a further codec would make the file incompatible.
    #[inline]
    pub(crate) fn of(flags: u8) -> Result<Option<Self>, Damage> {
        match flags & (1 | 2 | 4) {
            0 => Ok(None),
            1 => Ok(Some(Self::Xz)),
            2 => Ok(Some(Self::Lz4)),
            4 => Ok(Some(Self::Zstd)),
            _ => Err(Damage::Undecodable),
        }
    }
}

/// Returns the length of the name of `NAME=value`. `payload` has at least the first 65 bytes, or is complete. Returns
/// `None` if no field can have the name (systemd: `journal_field_valid`).
#[inline]
pub(crate) fn name_len(payload: &[u8]) -> Option<usize> {
    let head = payload.get(..NAME_ROOM).unwrap_or(payload);
    let len = name_end(head);
    (head.get(len) == Some(&b'=') && len > 0 && !head.first()?.is_ascii_digit()).then_some(len)
}

/// Returns the end of a run of characters that names consist of: capital letters, digits, `_`.
#[inline]
fn name_end(bytes: &[u8]) -> usize {
    /// The number of characters compared at once.
    const WIDTH: usize = 16;
    let mut rest = bytes;
    loop {
        let (block, behind) = match rest.split_first_chunk::<WIDTH>() {
            Some((block, behind)) => (*block, behind),
            None => {
                // Padding belongs to no name, so a run ends at the last byte.
                let mut padded = [0; WIDTH];
                padded[..rest.len()].copy_from_slice(rest);
                (padded, &[][..])
            }
        };
        let block = i8x16::from(block.map(|byte| byte as i8));
        let within = |first: u8, last: u8| {
            block.simd_gt(i8x16::splat(first as i8 - 1)) & block.simd_lt(i8x16::splat(last as i8 + 1))
        };
        let name = within(b'A', b'Z') | within(b'0', b'9') | block.simd_eq(i8x16::splat(b'_' as i8));
        let others = (!name).to_bitmask();
        if others != 0 {
            return bytes.len() - rest.len() + others.trailing_zeros() as usize;
        }
        if behind.is_empty() {
            return bytes.len();
        }
        rest = behind;
    }
}

/// Returns the length of the name, and whether `want` accepts the name.
#[inline]
pub(crate) fn read_name(payload: &[u8], mut want: impl FnMut(&[u8]) -> bool) -> Result<(usize, bool), Damage> {
    let len = name_len(payload).ok_or(Damage::Name)?;
    Ok((len, want(payload.get(..len).unwrap_or_default())))
}

/// The decoders of a file, created when they are first needed and reused.
pub(crate) struct Decoders {
    /// The number of bytes to which a value is cut.
    pub(crate) limit: usize,
    /// The number of bytes that were decompressed before damage showed.
    wasted: u64,
    /// The size of the largest content that was decompressed.
    #[cfg(feature = "zstd")]
    largest: usize,
    #[cfg(feature = "zstd")]
    zstd: Option<zstd::stream::raw::Decoder<'static>>,
}

/// The approximate number of bytes that a decoder of Zstandard takes besides the content.
#[cfg(feature = "zstd")]
const DECODER: usize = 256 << 10;

impl Decoders {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            wasted: 0,
            #[cfg(feature = "zstd")]
            largest: 0,
            #[cfg(feature = "zstd")]
            zstd: None,
        }
    }

    /// Returns the number of bytes that the decoders take.
    pub(crate) fn held(&self) -> usize {
        #[cfg(feature = "zstd")]
        if self.zstd.is_some() {
            return DECODER + self.largest;
        }
        0
    }

    /// Frees the memory of the decoders.
    pub(crate) fn release(&mut self) {
        #[cfg(feature = "zstd")]
        {
            (self.zstd, self.largest) = (None, 0);
        }
    }

    /// Returns the number of bytes that are produced of a payload. Any longer payload is one with a value beyond the limit.
    pub(crate) fn most(&self) -> usize {
        self.limit + NAME_ROOM + 1
    }

    /// Counts bytes that were decompressed before damage showed. Returns an error after too many of them.
    pub(crate) fn waste(&mut self, bytes: u64) -> Result<(), Damage> {
        self.wasted = self.wasted.saturating_add(bytes);
        if self.wasted > WASTE { Err(Damage::Undecodable) } else { Ok(()) }
    }

    /// Returns the number of stored bytes that are needed for [`Decoders::most`] bytes of a sound payload.
    #[cold]
    pub(crate) fn most_of(&self, codec: Option<Codec>) -> usize {
        self.most() + if codec.is_some() { self.most() / 64 + (256 << 10) } else { 0 }
    }

    /// Appends the decompressed payload up to [`Decoders::most`] if `want` accepts its name. Otherwise decompression stops
    /// after the codec's smallest step. Returns the result of [`read_name`]. Appends nothing on failure.
    pub(crate) fn decode(
        &mut self,
        codec: Codec,
        stored: &[u8],
        out: &mut Vec<u8>,
        want: impl FnMut(&[u8]) -> bool,
    ) -> Result<(usize, bool), Damage> {
        if self.wasted > WASTE {
            return Err(Damage::Undecodable);
        }
        let (start, wasted) = (out.len(), self.wasted);
        let outcome = match codec {
            #[cfg(feature = "xz")]
            Codec::Xz => xz(stored, self.most(), out, want),
            #[cfg(feature = "lz4")]
            Codec::Lz4 => lz4(stored, self.most(), out, want),
            #[cfg(feature = "zstd")]
            Codec::Zstd => self.zstd(stored, out, want),
            #[cfg(not(all(feature = "xz", feature = "lz4", feature = "zstd")))]
            _ => {
                let _ = (stored, want);
                Err(Damage::Undecodable)
            }
        };
        match outcome {
            Ok(_) => self.wasted = wasted,
            Err(_) => self.wasted += (out.len() - start) as u64,
        }
        let kept = if matches!(outcome, Ok((_, true))) { self.most() } else { 0 };
        out.truncate(start + kept);
        outcome
    }

    #[cfg(feature = "zstd")]
    fn zstd(
        &mut self,
        stored: &[u8],
        out: &mut Vec<u8>,
        mut want: impl FnMut(&[u8]) -> bool,
    ) -> Result<(usize, bool), Damage> {
        use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

        /// The largest size of a block. Blocks are decompressed as a whole, so there is no smaller step.
        const BLOCK: usize = 128 << 10;
        let broken = |_| Damage::Undecodable;

        // journald's frames all state their size, and libsystemd reads no others.
        let Ok(Some(size)) = zstd::zstd_safe::get_frame_content_size(stored) else { return Err(Damage::Undecodable) };
        let size = usize::try_from(size).ok().filter(|size| *size <= MAX_CONTENT).ok_or(Damage::Oversized)?;
        let wanted_size = size.min(self.most());
        let decoder = match &mut self.zstd {
            Some(decoder) => decoder,
            none => none.insert(Decoder::new().map_err(broken)?),
        };
        decoder.reinit().map_err(broken)?;
        self.largest = size.max(self.largest);
        // The decoder does not report its progress on failure.
        self.wasted += wanted_size as u64;

        let start = out.len();
        let mut input = InBuffer::around(stored);
        let mut found = None;
        if size > BLOCK {
            let mut head = [0; NAME_ROOM];
            let mut target = OutBuffer::around(&mut head[..]);
            while target.pos() < NAME_ROOM {
                let before = (input.pos(), target.pos());
                decoder.run(&mut input, &mut target).map_err(broken)?;
                if (input.pos(), target.pos()) == before {
                    return Err(Damage::Undecodable);
                }
            }
            let (name_len, wanted) = read_name(&head, &mut want)?;
            if !wanted {
                return Ok((name_len, false));
            }
            found = Some((name_len, true));
            out.extend_from_slice(&head);
        }
        loop {
            let made = out.len() - start;
            if made >= wanted_size {
                break;
            }
            out.reserve((wanted_size - made).min(made.max(FIRST_ROOM)));
            let consumed = input.pos();
            decoder.run(&mut input, &mut OutBuffer::around_pos(out, start + made)).map_err(broken)?;
            if input.pos() == consumed && out.len() - start == made {
                return Err(Damage::Undecodable);
            }
        }
        if out.len() - start > size {
            return Err(Damage::Undecodable);
        }
        found.map_or_else(|| read_name(out.get(start..).unwrap_or_default(), want), Ok)
    }
}

/// Decompresses xz. The library cannot reuse a decoder, so each field costs a new one. Only long fields of old files
/// have this format.
#[cfg(feature = "xz")]
fn xz(stored: &[u8], most: usize, out: &mut Vec<u8>, want: impl FnMut(&[u8]) -> bool) -> Result<(usize, bool), Damage> {
    use liblzma::stream::{Action, Status, Stream};

    const FIRST_ROOM: usize = 4 << 10;

    let mut stream = Stream::new_stream_decoder(XZ_MEMORY, 0).map_err(|_| Damage::Undecodable)?;
    // Takes one step, into the head or to the end of `out`. Returns whether it was the last.
    let mut step = |room: Result<&mut [u8], &mut Vec<u8>>| {
        let (consumed, made) = (stream.total_in(), stream.total_out());
        let rest = stored.get(consumed as usize..).unwrap_or_default();
        let status = match room {
            Ok(head) => stream.process(rest, head.get_mut(made as usize..).unwrap_or_default(), Action::Run),
            Err(out) => stream.process_vec(rest, out, Action::Run),
        };
        match status {
            Ok(Status::StreamEnd) => Ok((stream.total_out() as usize, true)),
            Ok(_) if (stream.total_in(), stream.total_out()) != (consumed, made) => {
                Ok((stream.total_out() as usize, false))
            }
            _ => Err(Damage::Undecodable),
        }
    };

    let mut head = [0; NAME_ROOM];
    let (mut made, mut ended) = (0, false);
    while made < NAME_ROOM && !ended {
        (made, ended) = step(Ok(&mut head))?;
    }
    let head = head.get(..made).unwrap_or_default();
    let (name_len, wanted) = read_name(head, want)?;
    if !wanted {
        return Ok((name_len, false));
    }
    out.extend_from_slice(head);
    while !ended && made < most {
        out.reserve(made.max(FIRST_ROOM).min(most - made));
        (made, ended) = step(Err(out))?;
    }
    Ok((name_len, true))
}

#[cfg(feature = "lz4")]
fn lz4(
    stored: &[u8],
    most: usize,
    out: &mut Vec<u8>,
    mut want: impl FnMut(&[u8]) -> bool,
) -> Result<(usize, bool), Damage> {
    /// The maximum number of bytes to which one byte of a block can decompress.
    const RATIO: usize = 255;

    let (size, block) = stored.split_first_chunk().ok_or(Damage::Undecodable)?;
    let size = usize::try_from(u64::from_le_bytes(*size)).ok().filter(|size| *size <= MAX_CONTENT);
    let size = size.ok_or(Damage::Oversized)?;
    if size.min(most) > block.len().saturating_mul(RATIO) {
        return Err(Damage::Undecodable);
    }
    // The name is mostly in the first literals, uncompressed.
    let mut found = None;
    if let Some((literals, _)) = literals_of(block)
        && name_len(literals).is_some()
    {
        let (name_len, wanted) = read_name(literals, &mut want)?;
        if !wanted {
            return Ok((name_len, false));
        }
        found = Some((name_len, true));
    }
    let start = out.len();
    if size > most {
        lz4_beginning(block, most, out).ok_or(Damage::Undecodable)?;
        return found.map_or_else(|| read_name(out.get(start..).unwrap_or_default(), want), Ok);
    }
    out.resize(start + size, 0);
    match lz4_flex::block::decompress_into(block, out.get_mut(start..).unwrap_or_default()) {
        Ok(made) if made == size => {}
        _ => return Err(Damage::Undecodable),
    }
    found.map_or_else(|| read_name(out.get(start..).unwrap_or_default(), want), Ok)
}

/// Appends the first `most` bytes of an LZ4 block, which has more (LZ4: `doc/lz4_Block_format.md`). The library only
/// decompresses whole blocks. Returns `None` for a damaged block.
#[cfg(feature = "lz4")]
fn lz4_beginning(mut block: &[u8], most: usize, out: &mut Vec<u8>) -> Option<()> {
    /// The length of the shortest match.
    const MIN_MATCH: usize = 4;

    let start = out.len();
    let end = start + most;
    loop {
        let token = *block.first()?;
        let (literals, rest) = literals_of(block)?;
        out.extend_from_slice(literals.get(..end - out.len()).unwrap_or(literals));
        if out.len() == end {
            return Some(());
        }
        let (offset, rest) = rest.split_first_chunk()?;
        let offset = usize::from(u16::from_le_bytes(*offset));
        let (length, rest) = length_of(token & 15, rest)?;
        if offset == 0 || offset > out.len() - start {
            return None;
        }
        // A match may repeat bytes that it makes itself.
        let mut left = (length + MIN_MATCH).min(end - out.len());
        while left > 0 {
            let from = out.len() - offset;
            let step = left.min(offset);
            out.extend_from_within(from..from + step);
            left -= step;
        }
        if out.len() == end {
            return Some(());
        }
        block = rest;
    }
}

/// Returns the literals of an LZ4 sequence, and the bytes after them.
#[cfg(feature = "lz4")]
fn literals_of(sequence: &[u8]) -> Option<(&[u8], &[u8])> {
    let (token, rest) = sequence.split_first()?;
    let (length, rest) = length_of(token >> 4, rest)?;
    rest.split_at_checked(length)
}

/// Returns a length that begins with four bits of a token, and the bytes after it.
#[cfg(feature = "lz4")]
fn length_of(bits: u8, mut rest: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = usize::from(bits);
    if bits == 15 {
        loop {
            let (more, after) = rest.split_first()?;
            rest = after;
            length = length.checked_add(usize::from(*more))?;
            if *more != u8::MAX {
                break;
            }
        }
    }
    Some((length, rest))
}

#[cfg(test)]
pub(crate) mod tests;
