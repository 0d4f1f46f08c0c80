//! BloomFilter and how they are told apart: a hash, a set of names that were met, a table of names that are known.

use std::num::NonZeroU8;

/// The first and the last eight bytes of a name, which are all of it up to sixteen; shorter parts are filled with zeros.
#[inline]
const fn ends(name: &[u8]) -> (u64, u64) {
    match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
            // The last byte is the highest, as with longer names.
            (Some(head), Some(tail)) => (u32::from_le_bytes(*head) as u64, (u32::from_le_bytes(*tail) as u64) << 32),
            _ => {
                let (mut value, mut index) = (0, 0);
                while index < name.len() {
                    value = value << 8 | name[index] as u64;
                    index += 1;
                }
                (value, 0)
            }
        },
    }
}

const fn mix(head: u64, tail: u64, length: usize) -> u64 {
    let mixed = (head ^ tail.rotate_left(29) ^ length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

/// A hash of a name, from its length and at most sixteen of its bytes; equal names have equal hashes.
#[inline]
#[must_use]
pub(crate) const fn hash(name: &[u8]) -> u64 {
    let (head, tail) = ends(name);
    mix(head, tail, name.len())
}

/// A set of names by their hashes, which can say that a name is not there yet without comparing any.
#[derive(Debug, Default)]
pub(crate) struct BloomFilter([u64; 16]);

impl BloomFilter {
    /// Adds a name; true where it, or another with like bits, was there.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64) -> bool {
        // Two bits, so that two of an entry's names hardly ever look alike: that costs a comparison with all.
        let mut known = true;
        for part in [hash, hash >> 10] {
            let word = &mut self.0[(part >> 6 & 15) as usize];
            let bit = 1 << (part & 63);
            known &= *word & bit != 0;
            *word |= bit;
        }
        known
    }
}

/// A set of numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ByteSet([u64; 4]);

impl ByteSet {
    /// Adds a number; true where it was there.
    #[inline]
    pub(crate) fn insert(&mut self, number: u8) -> bool {
        let known = self.has(number);
        self.0[usize::from(number / 64)] |= 1 << (number % 64);
        known
    }

    /// Whether a number is there.
    #[inline]
    #[must_use]
    pub(crate) fn has(&self, number: u8) -> bool {
        self.0[usize::from(number / 64)] >> (number % 64) & 1 != 0
    }
}

/// A place in a [`NameTable`]. A name of up to sixteen bytes is compared by its ends alone.
#[derive(Clone, Copy)]
struct Slot {
    head: u64,
    tail: u64,
    /// Zero where the place is free.
    length: u8,
    number: Option<NonZeroU8>,
}

const SLOTS: usize = 512;

/// A hash table of names known when the program is compiled, each with a number.
pub(crate) struct NameTable {
    slots: [Slot; SLOTS],
    /// The names by their numbers; only long ones are looked at.
    names: [&'static str; 256],
}

impl NameTable {
    /// A table without names.
    pub(crate) const EMPTY: NameTable =
        NameTable { slots: [Slot { head: 0, tail: 0, length: 0, number: None }; SLOTS], names: [""; 256] };

    /// The table with one more name, which is not empty.
    #[must_use]
    pub(crate) const fn with(mut self, name: &'static str, number: NonZeroU8) -> NameTable {
        assert!(!name.is_empty() && name.len() < 256);
        let (head, tail) = ends(name.as_bytes());
        let mut place = mix(head, tail, name.len()) as usize % SLOTS;
        while self.slots[place].length > 0 {
            place = (place + 1) % SLOTS;
        }
        self.slots[place] = Slot { head, tail, length: name.len() as u8, number: Some(number) };
        self.names[number.get() as usize] = name;
        self
    }

    /// The number of a name.
    // A call costs as much again, and the compiler would make one.
    #[inline(always)]
    #[must_use]
    pub(crate) fn find(&self, name: &[u8]) -> Option<NonZeroU8> {
        let (head, tail) = ends(name);
        let mut place = mix(head, tail, name.len()) as usize;
        loop {
            let slot = &self.slots[place % SLOTS];
            if slot.head == head
                && slot.tail == tail
                && usize::from(slot.length) == name.len()
                && (name.len() <= 16 || slot.number.is_some_and(|number| self.is_called(number, name)))
            {
                return slot.number;
            }
            if slot.length == 0 {
                return None;
            }
            place += 1;
        }
    }

    #[cold]
    fn is_called(&self, number: NonZeroU8, name: &[u8]) -> bool {
        self.names[usize::from(number.get())].as_bytes() == name
    }
}
