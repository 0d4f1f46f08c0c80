//! Hashes of names: a hash function, and a table of the names that are known at compile time.

use std::num::NonZeroU8;

/// Returns the first and last eight bytes of a name. They cover a name of up to sixteen bytes; zeros fill shorter
/// parts.
#[inline]
const fn ends(name: &[u8]) -> (u64, u64) {
    match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
            // The last byte is the highest, as for longer names.
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

/// Hashes a name by its length and at most sixteen of its bytes.
#[inline]
#[must_use]
pub(crate) const fn hash(name: &[u8]) -> u64 {
    let (head, tail) = ends(name);
    mix(head, tail, name.len())
}

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ByteSet([u64; 4]);

impl ByteSet {
    /// Adds a byte. Returns true if the set had it.
    #[inline]
    pub(crate) fn insert(&mut self, number: u8) -> bool {
        let known = self.has(number);
        self.0[usize::from(number / 64)] |= 1 << (number % 64);
        known
    }

    /// Returns whether the set has a byte.
    #[inline]
    #[must_use]
    pub(crate) fn has(&self, number: u8) -> bool {
        self.0[usize::from(number / 64)] >> (number % 64) & 1 != 0
    }
}

/// A slot of a [`NameTable`]. Names of up to sixteen bytes are compared by their ends alone.
#[derive(Clone, Copy)]
struct Slot {
    head: u64,
    tail: u64,
    /// Zero in a free slot.
    length: u8,
    number: Option<NonZeroU8>,
}

const SLOTS: usize = 512;

/// A hash table of names that are known at compile time, each with a number.
pub(crate) struct NameTable {
    slots: [Slot; SLOTS],
    /// The names by their numbers, to compare long names.
    names: [&'static str; 256],
}

impl NameTable {
    /// A table without names.
    pub(crate) const EMPTY: NameTable =
        NameTable { slots: [Slot { head: 0, tail: 0, length: 0, number: None }; SLOTS], names: [""; 256] };

    /// Returns the table with one more name, which must not be empty.
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

    /// Returns the number of a name.
    // A call costs as much as the lookup, and the compiler would emit one.
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
