//! Prefixes of entries: the fields that were in the file before the batch began.
//!
//! A process writes nearly equal fields with each of its entries. An entry lists its fields in the order of their first
//! appearance in the file, so many entries have equal prefixes.

use std::ops::Range;

use crate::batch::EntryPrefix;
use crate::offset::Units;
use crate::stream_fields::StreamMarks;

/// Fewer fields are faster to read one by one.
const SHORTEST: usize = 4;

/// The number of slots. If two prefixes have one slot, the later is remembered.
const SLOTS: usize = 1024;

/// A prefix in the batch.
#[derive(Debug)]
pub(crate) struct KnownPrefix {
    pub(crate) prefix: EntryPrefix,
    /// The span of its ids in the batch.
    pub(crate) items: Range<usize>,
    /// The length of its fields together, in bytes.
    pub(crate) length: usize,
    /// The stream of the entries, as far as these fields name it.
    pub(crate) marks: StreamMarks,
    file: usize,
    offsets: Range<usize>,
}

/// The prefixes in the batch.
#[derive(Debug)]
pub(crate) struct PrefixTable {
    known: Vec<KnownPrefix>,
    /// The offsets of the fields of all prefixes.
    offsets: Vec<Units>,
    /// By slot, the number of its prefix from 1, and 0 for none.
    slots: Box<[u16; SLOTS]>,
}

impl Default for PrefixTable {
    fn default() -> PrefixTable {
        PrefixTable { known: Vec::new(), offsets: Vec::new(), slots: Box::new([0; SLOTS]) }
    }
}

impl PrefixTable {
    /// Removes all prefixes.
    pub(crate) fn clear(&mut self) {
        self.known.clear();
        self.offsets.clear();
        self.slots.fill(0);
    }

    /// Returns the prefix of these fields of a file, if an entry of the batch has it.
    #[inline]
    pub(crate) fn find(&self, file: usize, offsets: &[Units]) -> Option<&KnownPrefix> {
        let number = self.slots[slot(offsets)];
        let known = self.known.get(usize::from(number).checked_sub(1)?)?;
        let others = self.offsets.get(known.offsets.clone())?;
        (known.file == file && are_equal(others, offsets)).then_some(known)
    }

    /// Adds a prefix of these fields of a file, with the span of its ids in the batch, the length of its fields, and
    /// the stream that they name.
    #[inline]
    pub(crate) fn add(
        &mut self,
        file: usize,
        offsets: &[Units],
        items: Range<usize>,
        length: usize,
        marks: StreamMarks,
    ) -> EntryPrefix {
        let number = self.known.len() + 1;
        if offsets.len() < SHORTEST || number > usize::from(u16::MAX) {
            return EntryPrefix::default();
        }
        let prefix = EntryPrefix { number: number as u32, len: items.len() as u32 };
        let start = self.offsets.len();
        self.offsets.extend_from_slice(offsets);
        self.slots[slot(offsets)] = number as u16;
        self.known.push(KnownPrefix { prefix, items, length, marks, file, offsets: start..self.offsets.len() });
        prefix
    }
}

/// Compares offsets without a branch for each, so that the compiler compares several at once.
#[inline]
fn are_equal(a: &[Units], b: &[Units]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differences, (a, b)| differences | (a.0 ^ b.0)) == 0
}

/// Returns the slot of a prefix.
#[inline]
fn slot(offsets: &[Units]) -> usize {
    let sum = offsets.iter().fold(0_u32, |sum, offset| sum.wrapping_add(offset.0));
    (sum.wrapping_mul(0x9e37_79b9) >> (32 - SLOTS.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: StreamMarks = StreamMarks { stream: Some(Units(5)), breaks: false };

    #[test]
    fn a_stem_is_that_of_its_file() {
        let mut prefixes = PrefixTable::default();
        let offsets = [3, 5, 8, 13, 21].map(Units);
        assert!(prefixes.find(0, &offsets).is_none());
        let prefix = prefixes.add(0, &offsets, 7..11, 100, MARKS);
        assert_eq!(prefix, EntryPrefix { number: 1, len: 4 });
        let known = prefixes.find(0, &offsets).unwrap();
        assert_eq!((known.prefix, known.items.clone(), known.length), (prefix, 7..11, 100));
        assert_eq!(known.marks, MARKS);
        // The sum is equal, but the file or the fields differ.
        assert!(prefixes.find(1, &offsets).is_none());
        assert!(prefixes.find(0, &[3, 5, 8, 14, 20].map(Units)).is_none());
        assert_eq!(prefixes.add(1, &offsets, 20..25, 100, MARKS).number, 2);
        assert!(prefixes.find(1, &offsets).is_some());
        prefixes.clear();
        assert!(prefixes.find(0, &offsets).is_none() && prefixes.find(1, &offsets).is_none());
    }

    #[test]
    fn few_fields_are_no_stem() {
        let mut prefixes = PrefixTable::default();
        for count in 0..SHORTEST {
            let offsets = vec![Units(1); count];
            assert_eq!(prefixes.add(0, &offsets, 0..count, 1, MARKS), EntryPrefix::default());
            assert!(prefixes.find(0, &offsets).is_none());
        }
    }

    #[test]
    fn there_are_no_more_than_have_numbers() {
        let mut prefixes = PrefixTable::default();
        for first in 0..u32::from(u16::MAX) {
            assert_eq!(prefixes.add(0, &[first, 0, 0, 0].map(Units), 0..4, 1, MARKS).number, first + 1);
        }
        assert_eq!(prefixes.add(0, &[1; 4].map(Units), 0..4, 1, MARKS), EntryPrefix::default());
        assert!(prefixes.find(0, &[u32::from(u16::MAX) - 1, 0, 0, 0].map(Units)).is_some());
    }
}
