//! The two hashes of the format: Bob Jenkins' lookup3 of old files, and SipHash-2-4 keyed by the file's id.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

/// The hash of a file's hash tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JournalHash {
    /// lookup3.
    Jenkins,
    /// SipHash-2-4 with the file's id as it is stored.
    Sip([u8; 16]),
}

impl JournalHash {
    /// Returns the hash of `NAME=value` for the table of data, or of `NAME` for the table of fields.
    pub(crate) fn of(self, bytes: &[u8]) -> u64 {
        match self {
            Self::Jenkins => jenkins(bytes),
            Self::Sip(key) => {
                let mut hasher = SipHasher24::new_with_key(&key);
                hasher.write(bytes);
                hasher.finish()
            }
        }
    }
}

/// Returns lookup3's `hashlittle2` with both seeds zero and its first result in the high half (systemd:
/// `jenkins_hash64`).
fn jenkins(bytes: &[u8]) -> u64 {
    // The length enters modulo 2^32.
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let (mut a, mut b, mut c) = (start, start, start);
    let Some(last) = bytes.len().checked_sub(1) else {
        return u64::from(c) << 32 | u64::from(b);
    };
    // The last block, full or not, is mixed differently. Its missing bytes are zeros.
    let (whole, rest) = bytes.split_at(last / 12 * 12);
    for block in whole.as_chunks::<12>().0 {
        add(block, &mut a, &mut b, &mut c);
        for (x, y, z, turn) in [(0, 2, 1, 4), (1, 0, 2, 6), (2, 1, 0, 8), (0, 2, 1, 16), (1, 0, 2, 19), (2, 1, 0, 4)] {
            let mut words = [a, b, c];
            words[x] = words[x].wrapping_sub(words[y]) ^ words[y].rotate_left(turn);
            words[y] = words[y].wrapping_add(words[z]);
            [a, b, c] = words;
        }
    }
    let mut block = [0; 12];
    for (to, from) in block.iter_mut().zip(rest) {
        *to = *from;
    }
    add(&block, &mut a, &mut b, &mut c);
    for (x, y, turn) in [(2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24)] {
        let mut words = [a, b, c];
        words[x] = (words[x] ^ words[y]).wrapping_sub(words[y].rotate_left(turn));
        [a, b, c] = words;
    }
    u64::from(c) << 32 | u64::from(b)
}

/// Adds the three words of a block.
fn add(block: &[u8; 12], a: &mut u32, b: &mut u32, c: &mut u32) {
    let word = |at: usize| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    *a = a.wrapping_add(word(0));
    *b = b.wrapping_add(word(4));
    *c = c.wrapping_add(word(8));
}

#[cfg(test)]
mod tests;
