//! Names and how they are told apart: a hash, a set of names that were met, a table of names that are known.

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
pub const fn hash(name: &[u8]) -> u64 {
    let (head, tail) = ends(name);
    mix(head, tail, name.len())
}

/// A set of names by their hashes, which can say that a name is not there yet without comparing any.
#[derive(Debug, Default)]
pub struct Names([u64; 16]);

impl Names {
    /// Adds a name; true where it, or another with like bits, was there.
    #[inline]
    pub fn insert(&mut self, hash: u64) -> bool {
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
pub struct Bits([u64; 4]);

impl Bits {
    /// Adds a number; true where it was there.
    #[inline]
    pub fn insert(&mut self, number: u8) -> bool {
        let known = self.has(number);
        self.0[usize::from(number / 64)] |= 1 << (number % 64);
        known
    }

    /// Whether a number is there.
    #[inline]
    #[must_use]
    pub fn has(&self, number: u8) -> bool {
        self.0[usize::from(number / 64)] >> (number % 64) & 1 != 0
    }
}

/// A place in a [`Table`]. A name of up to sixteen bytes is compared by its ends alone.
#[derive(Clone, Copy)]
struct Slot {
    head: u64,
    tail: u64,
    name: &'static str,
    number: u8,
}

const SLOTS: usize = 512;

/// A hash table of names known when the program is compiled, each with a number.
pub struct Table([Slot; SLOTS]);

impl Table {
    /// A table without names.
    pub const EMPTY: Table = Table([Slot { head: 0, tail: 0, name: "", number: 0 }; SLOTS]);

    /// The table with one more name, which is not empty.
    #[must_use]
    pub const fn with(mut self, name: &'static str, number: u8) -> Table {
        let (head, tail) = ends(name.as_bytes());
        let mut place = mix(head, tail, name.len()) as usize % SLOTS;
        while !self.0[place].name.is_empty() {
            place = (place + 1) % SLOTS;
        }
        self.0[place] = Slot { head, tail, name, number };
        self
    }

    /// The number of a name.
    #[inline]
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<u8> {
        let (head, tail) = ends(name);
        let mut place = mix(head, tail, name.len()) as usize;
        loop {
            let slot = &self.0[place % SLOTS];
            if slot.name.is_empty() {
                return None;
            }
            if slot.head == head
                && slot.tail == tail
                && slot.name.len() == name.len()
                && (name.len() <= 16 || slot.name.as_bytes() == name)
            {
                return Some(slot.number);
            }
            place += 1;
        }
    }
}
