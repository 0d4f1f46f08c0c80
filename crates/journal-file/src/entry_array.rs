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
/// The number of items before and after a place in a list that a search reads.
const ITEMS_BEFORE: u64 = 64;
const ITEMS_AFTER: u64 = 192;
/// The most arrays of a list that is searched. Each array of a writer is larger than the one before.
const ARRAYS_MAX: usize = 64;

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
    ///
    /// # Errors
    ///
    /// Fails at a broken array, and after as many items as the file has room for. Arrays that overlap are followed, as
    /// libsystemd does: the header of an array is no item of another one, which shows the damage.
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
        let most = limit.min(objects.end.0 / width as u64);
        let mut fresh = true;
        while self.total < most {
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
            let stop = capacity.min(self.taken.saturating_add(most - self.total));
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
                break;
            }
            if next.units() == Units::NONE || next <= self.array.offset() {
                return Err(Damage::Array);
            }
            self.array = next.units();
            self.taken = 0;
        }
        if self.total == most && most < limit { Err(Damage::Array) } else { Ok(()) }
    }
}

/// A list of entries in a file: all entries, or those of a DATA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryList {
    /// The entry that the DATA itself names, or [`Units::NONE`].
    pub(crate) first: Units,
    /// The first array, or zero without any.
    pub(crate) arrays: Offset,
    /// The number of items in the arrays.
    pub(crate) count: u64,
}

/// The place of an entry in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListPlace {
    /// The last entry of the list before this entry.
    pub(crate) before: Option<Units>,
    /// The list has this entry.
    pub(crate) is_listed: bool,
}

impl Objects {
    /// Returns the posting list of a DATA, as its writer has linked it by now.
    pub(crate) fn list_of(&mut self, data_at: Units) -> Result<EntryList, Damage> {
        let data = self.fresh(data_at, ObjectKind::Data)?;
        let [first, arrays, count] = [40, 48, 56].map(|at| u64_at(data.bytes, at));
        Ok(EntryList { first: Offset(first).units(), arrays: Offset(arrays), count: count.saturating_sub(1) })
    }

    /// Finds the place of an entry in a list, whether or not the list has the entry. The items around the place replace
    /// `block`.
    pub(crate) fn place_in(
        &mut self,
        list: &EntryList,
        at: Units,
        block: &mut Vec<Units>,
    ) -> Result<ListPlace, Damage> {
        block.clear();
        block.extend(Some(list.first).filter(|first| *first != Units::NONE));
        let (mut array, mut left) = (list.arrays, list.count);
        let (mut holder, mut following) = (None, None);
        for number in 0.. {
            if array == Offset(0) || left == 0 {
                break;
            }
            if number == ARRAYS_MAX {
                return Err(Damage::Array);
            }
            let (len, next) = self.array_at(array, left)?;
            let first = self.item(array, 0)?;
            if first >= at {
                following = Some(first);
                break;
            }
            holder = Some((array, len));
            left -= len;
            if next != Offset(0) && next <= array {
                return Err(Damage::Array);
            }
            array = next;
        }
        if let Some((array, len)) = holder {
            self.items_around(array, len, at, block)?;
        }
        let index = block.partition_point(|item| *item < at);
        let before = index.checked_sub(1).and_then(|index| block.get(index)).copied();
        Ok(ListPlace { before, is_listed: block.get(index).copied().or(following) == Some(at) })
    }

    /// Returns the number of items of an array, of `left` in the rest of the list, and the next array.
    fn array_at(&mut self, array: Offset, left: u64) -> Result<(u64, Offset), Damage> {
        let width = self.widths.link as u64;
        let object = self.fresh(array.units(), ObjectKind::EntryArray)?;
        let len = (object.size - ARRAY_HEADER as u64) / width;
        Ok((len.min(left), Offset(u64_at(object.bytes, OBJECT_HEADER))))
    }

    /// Returns an item of an array, which lies within the file.
    fn item(&mut self, array: Offset, number: u64) -> Result<Units, Damage> {
        let mut items = Vec::with_capacity(1);
        self.items(array, number, 1, &mut items)?;
        items.first().copied().filter(|item| *item != Units::NONE).ok_or(Damage::Array)
    }

    fn items(&mut self, array: Offset, from: u64, count: u64, items: &mut Vec<Units>) -> Result<(), Damage> {
        let width = self.widths.link;
        let bytes =
            self.windows.exact((array + (ARRAY_HEADER as u64 + from * width as u64)).0, count as usize * width)?;
        push_offsets(bytes, width, items);
        Ok(())
    }

    /// Replaces `block` by the items around an entry in an array whose first item precedes the entry.
    fn items_around(&mut self, array: Offset, len: u64, at: Units, block: &mut Vec<Units>) -> Result<(), Damage> {
        let (mut low, mut high) = (0, len);
        while high - low > ITEMS_BEFORE {
            let middle = low + (high - low) / 2;
            if self.item(array, middle)? < at {
                low = middle;
            } else {
                high = middle;
            }
        }
        let from = low.saturating_sub(ITEMS_BEFORE);
        let to = len.min(high + ITEMS_AFTER);
        block.clear();
        self.items(array, from, to - from, block)?;
        if block.first() == Some(&Units::NONE) || !block.is_sorted_by(|one, other| one < other) {
            return Err(Damage::Array);
        }
        Ok(())
    }

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
