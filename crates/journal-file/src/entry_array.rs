//! Chains of entry arrays: the list of all entries of a file, and the posting list of each DATA.
//!
//! Arrays are read past the windows, because a writer changes them long after it wrote them first. Each array of a
//! chain lies after the one before, which is checked, so no chain is followed in circles.

use crate::damage::Damage;
use crate::layout::{ARRAY_HEADER, OBJECT_HEADER, ObjectKind, push_offsets, u64_at};
use crate::objects::Objects;
use crate::offset::{Offset, Units};

/// The number of bytes of an entry array that are read at once.
const READ_SIZE: u64 = 64 << 10;

/// A position in a chain of entry arrays. Reading continues from there once a writer has made the chain longer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chain {
    /// The array, or [`Units::NONE`] before the first.
    pub(crate) array: Units,
    /// The number of items of this array that were read.
    taken: u64,
    /// The number of items of the chain that were read.
    pub(crate) total: u64,
    /// The last item that was read.
    pub(crate) last: Units,
}

impl Chain {
    /// Follows the chain that begins at `first` until `limit` items of the chain were read, or the chain ends. `each`
    /// gets every item with its array and returns whether to accept the item. A rejected item ends the call.
    pub(crate) fn follow(
        &mut self,
        objects: &mut Objects,
        first: Offset,
        limit: u64,
        mut each: impl FnMut(Units, Units) -> bool,
    ) -> Result<(), Damage> {
        let width = objects.widths.link;
        let mut items = Vec::new();
        if self.array == Units::NONE && self.total < limit {
            if first == Offset(0) {
                return Ok(());
            }
            self.array = first.units();
        }
        let mut fresh = true;
        while self.total < limit {
            let array = match std::mem::take(&mut fresh) {
                true => objects.fresh(self.array, ObjectKind::EntryArray)?,
                false => objects.next(self.array, ObjectKind::EntryArray)?,
            };
            let (size, next) = (array.size, Offset(u64_at(array.bytes, OBJECT_HEADER)));
            let len = size - ARRAY_HEADER as u64;
            if !len.is_multiple_of(width as u64) {
                return Err(Damage::Array);
            }
            let capacity = len / width as u64;
            let stop = capacity.min(self.taken.saturating_add(limit - self.total));
            while self.taken < stop {
                let count = (stop - self.taken).min(READ_SIZE / width as u64);
                let from = self.array.offset() + (ARRAY_HEADER as u64 + self.taken * width as u64);
                let bytes = objects.windows.exact(from.0, count as usize * width)?;
                items.clear();
                push_offsets(bytes, width, &mut items);
                for item in &items {
                    if !each(*item, self.array) {
                        return Ok(());
                    }
                    self.taken += 1;
                    self.total += 1;
                    self.last = *item;
                }
            }
            if self.taken < capacity || next == Offset(0) {
                return Ok(());
            }
            // Arrays do not overlap, so the file has room for all of their items.
            let end = (self.array.offset() + size).aligned();
            if next.units() == Units::NONE || end.is_none_or(|end| next < end) {
                return Err(Damage::Array);
            }
            self.array = next.units();
            self.taken = 0;
        }
        Ok(())
    }
}

impl Objects {
    /// Appends the entries of a DATA's posting list.
    pub(crate) fn postings(&mut self, data_at: Units, out: &mut Vec<Units>) -> Result<(), Damage> {
        let data = self.fresh(data_at, ObjectKind::Data)?;
        let [first, arrays, count] = [40, 48, 56].map(|at| u64_at(data.bytes, at));
        // A DATA that no entry has is not stored.
        let further = count.checked_sub(1).ok_or(Damage::Array)?;
        let (begin, end) = (self.begin, self.end);
        let mut last = Units::NONE;
        let mut take = |item: Units, _| {
            let sound = item > last && item.offset() >= begin && item.offset() < end;
            if sound {
                out.push(item);
                last = item;
            }
            sound
        };
        let mut chain = Chain::default();
        if take(Offset(first).units(), Units::NONE) {
            // One item more than the count, because a count that is too small would lose entries.
            chain.follow(self, Offset(arrays), count, take)?;
            if chain.total == further {
                return Ok(());
            }
        }
        Err(Damage::Array)
    }
}
