//! Names of one entry: a map, and a set that tells new names from taken ones. Both take linear time, whatever the names are.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use siphasher::sip::SipHasher13;

use crate::name_hash;

/// A slot of a [`NameMap`].
#[derive(Clone, Copy, Debug)]
struct Slot<'n, T> {
    name: &'n [u8],
    /// Part of the hash of the name.
    hash: u32,
    /// `None` in a free slot.
    value: Option<T>,
}

/// The number of slots that a name may take, from that of its hash on.
const WINDOW: usize = 4;

/// A name with a hash of all its bytes, so that a growing map reads no name again.
#[derive(Debug, PartialEq, Eq)]
struct WholeName<'n> {
    hash: u64,
    name: &'n [u8],
}

impl<'n> WholeName<'n> {
    fn new(name: &'n [u8]) -> WholeName<'n> {
        let mut hasher = SipHasher13::new();
        hasher.write(name);
        WholeName { hash: hasher.finish(), name }
    }
}

impl Hash for WholeName<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// A hasher for numbers that are hashes already.
#[derive(Debug, Default)]
struct HashedBefore(u64);

impl Hasher for HashedBefore {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// A map with names as keys.
///
/// Names with equal hashes share a window of slots. Anyone can write such names, so a full window passes names on to a map
/// with a hash of the whole name.
#[derive(Debug)]
pub(crate) struct NameMap<'n, T> {
    /// A power of two.
    slots: Vec<Slot<'n, T>>,
    /// The number of slots that are taken.
    taken: usize,
    crowded: HashMap<WholeName<'n>, T, BuildHasherDefault<HashedBefore>>,
}

impl<'n, T: Copy> NameMap<'n, T> {
    /// Returns an empty map with room for as many names.
    #[must_use]
    pub(crate) fn with_capacity(names: usize) -> NameMap<'n, T> {
        let free = Slot { name: &b""[..], hash: 0, value: None };
        let size = (names * 2).next_power_of_two().max(2 * WINDOW);
        NameMap { slots: vec![free; size], taken: 0, crowded: HashMap::default() }
    }

    /// Returns the value of a name with its hash. A new name takes `value`.
    #[inline]
    pub(crate) fn entry(&mut self, hash: u64, name: &'n [u8], value: T) -> &mut T {
        if self.taken * 2 >= self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let part = (hash >> 32) as u32;
        let slot = (0..WINDOW).map(|next| (hash as usize).wrapping_add(next) & mask).find(|place| {
            let slot = &self.slots[*place];
            slot.value.is_none() || (slot.hash == part && slot.name == name)
        });
        let Some(place) = slot else { return self.put_crowded(name, value) };
        let slot = &mut self.slots[place];
        if slot.value.is_none() {
            self.taken += 1;
            (slot.name, slot.hash) = (name, part);
        }
        slot.value.get_or_insert(value)
    }

    #[cold]
    fn put_crowded(&mut self, name: &'n [u8], value: T) -> &mut T {
        self.crowded.entry(WholeName::new(name)).or_insert(value)
    }

    /// Returns the value of a name with its hash.
    #[must_use]
    pub(crate) fn get(&self, hash: u64, name: &[u8]) -> Option<T> {
        let mask = self.slots.len() - 1;
        let mut window = (0..WINDOW).map(|next| &self.slots[(hash as usize).wrapping_add(next) & mask]);
        match window.find(|slot| slot.value.is_none() || slot.name == name) {
            Some(slot) => slot.value,
            None => self.crowded.get(&WholeName::new(name)).copied(),
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let old = std::mem::replace(self, NameMap::with_capacity(self.slots.len()));
        let known = old.slots.into_iter().filter_map(|slot| Some((slot.name, slot.value?)));
        for (name, value) in known.chain(old.crowded.into_iter().map(|(whole, value)| (whole.name, value))) {
            self.entry(name_hash::hash(name), name, value);
        }
    }
}

/// The numbers of the last copies of names that came twice. A name that came once has the number 1.
#[derive(Debug, Default)]
pub(crate) struct CopyNumbers<'n>(Option<NameMap<'n, usize>>);

impl<'n> CopyNumbers<'n> {
    /// Returns the number of the last copy of a name, for the next copy to begin there.
    pub(crate) fn last(&mut self, name: &'n [u8]) -> &mut usize {
        let numbers = self.0.get_or_insert_with(|| NameMap::with_capacity(1));
        numbers.entry(name_hash::hash(name), name, 1)
    }
}

/// A Bloom filter of names. It proves that a name is new without a comparison.
#[derive(Debug, Default)]
struct BloomFilter([u64; 16]);

impl BloomFilter {
    /// Adds a hash. Returns true if the filter may have had the name.
    #[inline]
    fn insert(&mut self, hash: u64) -> bool {
        // Two bits make collisions within an entry rare. A collision costs a comparison with all names.
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

/// The number of names that are told apart by a filter alone. Few records have more.
const FEW: u32 = 64;

/// The number of names for which a set has room at once. Lines of logfmt have at most as many.
const MANY: usize = 512;

/// A set of the names of a record's fields.
#[derive(Debug, Default)]
pub(crate) struct NameSet<'n> {
    few: BloomFilter,
    count: u32,
    /// The names with the count at which they came, once there are many.
    many: Option<NameMap<'n, u32>>,
}

impl<'n> NameSet<'n> {
    /// Adds a name with its hash. Returns true if it was new. `names` are those that were added before, and others.
    #[inline]
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        name: impl FnOnce() -> &'n [u8],
        names: impl Iterator<Item = &'n [u8]>,
    ) -> bool {
        self.count += 1;
        if self.count < FEW && !self.few.insert(hash) {
            return true;
        }
        self.insert_slowly(hash, name(), names)
    }

    #[cold]
    #[inline(never)]
    fn insert_slowly(&mut self, hash: u64, name: &'n [u8], mut names: impl Iterator<Item = &'n [u8]>) -> bool {
        if self.count < FEW {
            return !names.any(|known| known == name);
        }
        let many = self.many.get_or_insert_with(|| {
            let mut many = NameMap::with_capacity(MANY);
            for name in names {
                many.entry(name_hash::hash(name), name, 0);
            }
            many
        });
        *many.entry(hash, name, self.count) == self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns names of which the second half have equal hashes.
    fn names() -> Vec<String> {
        let hostile = (0..300).map(|number| format!("12345678{number:03}87654321"));
        (0..300).map(|number| format!("key{number}")).chain(hostile).collect()
    }

    #[test]
    fn each_name_is_new_once() {
        let all = names();
        let mut set = NameSet::default();
        let mut known: Vec<&[u8]> = Vec::new();
        for number in (0..600).flat_map(|number| [number, number, number / 2]) {
            let name = all[number].as_bytes();
            let is_new = set.insert(name_hash::hash(name), || name, known.iter().copied());
            assert_eq!(is_new, !known.contains(&name), "{}", all[number]);
            if is_new {
                known.push(name);
            }
        }
    }

    #[test]
    fn each_name_keeps_its_value() {
        let all = names();
        let mut map = NameMap::with_capacity(1);
        for round in 0..3 {
            for (number, name) in all.iter().enumerate() {
                let value = map.entry(name_hash::hash(name.as_bytes()), name.as_bytes(), number);
                assert_eq!(*value, number + round * 1000, "{name}");
                *value += 1000;
            }
        }
    }
}
