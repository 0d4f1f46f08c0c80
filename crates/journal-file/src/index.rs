//! What leads to entries and fields without reading all: entry arrays, hash tables, the chain of a field's values,
//! posting lists.
//!
//! All of it is read past the windows, because a writer changes it long after it was written first. And all of it grows
//! in one direction, which is checked at each step, so nothing is followed in circles.

use super::damage::Damage;
use super::file::{JournalFile, Objects, offset};
use super::hash::JournalHash;
use super::layout::{
    ARRAY_HEADER, BUCKET, ENTRY_HEADER, FIELD_HEADER, HeaderState, OBJECT_HEADER, ObjectKind, Table, aligned,
    push_offsets, u64_at, units,
};
use super::recovery;

/// How many objects of one bucket are looked at (systemd's own tables are made anew long before).
const CHAIN_MAX: u32 = 1 << 16;
/// How much of an entry array is read at once.
const PIECE: u64 = 64 << 10;

/// A place in a chain of entry arrays. The chain can be followed further once a writer has made it longer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chain {
    /// The array, in units of eight bytes; zero before the first.
    array: u32,
    /// How many of its items were taken.
    taken: u64,
    /// How many items were taken in all.
    total: u64,
    /// The item that was taken last.
    last: u32,
}

impl Chain {
    /// How many items were taken in all.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Follows the chain that begins at `first` until `limit` items were taken in all, or it ends. `each` gets every
    /// item with its array and says whether it is taken; one that is not is the end for now.
    fn follow(
        &mut self,
        objects: &mut Objects,
        first: u64,
        limit: u64,
        mut each: impl FnMut(u32, u32) -> bool,
    ) -> Result<(), Damage> {
        let width = objects.widths.link;
        let mut items = Vec::new();
        if self.array == 0 && self.total < limit {
            if first == 0 {
                return Ok(());
            }
            self.array = units(first);
        }
        let mut fresh = true;
        while self.total < limit {
            let array = match std::mem::take(&mut fresh) {
                true => objects.fresh(self.array, ObjectKind::EntryArray)?,
                false => objects.next(self.array, ObjectKind::EntryArray)?,
            };
            let (size, next) = (array.size, u64_at(array.bytes, OBJECT_HEADER));
            let len = size - ARRAY_HEADER as u64;
            if !len.is_multiple_of(width as u64) {
                return Err(Damage::Array);
            }
            let capacity = len / width as u64;
            let stop = capacity.min(self.taken.saturating_add(limit - self.total));
            while self.taken < stop {
                let count = (stop - self.taken).min(PIECE / width as u64);
                let from = offset(self.array) + ARRAY_HEADER as u64 + self.taken * width as u64;
                let bytes = objects.windows.exact(from, count as usize * width)?;
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
            if self.taken < capacity || next == 0 {
                return Ok(());
            }
            // Arrays do not overlap, so their items together are no more than the file has room for.
            let behind = aligned(offset(self.array) + size);
            if units(next) == 0 || behind.is_none_or(|behind| next < behind) {
                return Err(Damage::Array);
            }
            self.array = units(next);
            self.taken = 0;
        }
        Ok(())
    }
}

impl JournalFile {
    /// Lists all entries in the order of the file. Where the arrays are damaged or end before the header says so, the
    /// whole file is searched as well; then the list may have entries of a dead writer that no array names yet.
    pub(super) fn entries(&mut self) -> Vec<u32> {
        self.listed = Chain::default();
        let promised = self.header.n_entries;
        let mut list = Vec::with_capacity(promised.min(1 << 16) as usize);
        if self.more_entries(&mut list) && !self.goes_on() {
            return list;
        }
        // What is in the arrays and is no entry has shown to be damage; what is none in sound arrays shows when it is
        // read.
        list.sort_unstable();
        list.dedup();
        list.retain(|at| self.head(*at).is_ok());
        let listed = list.len();
        recovery::walk(&mut self.objects, self.header.tail_object_offset, |at| list.push(at));
        list.sort_unstable();
        list.dedup();
        self.damages.recovered += (list.len() - listed) as u64;
        list
    }

    /// Whether a file that nobody writes has more entries than its header says, which is damage then.
    fn goes_on(&mut self) -> bool {
        if self.header.state == HeaderState::Online {
            return false;
        }
        let (promised, mut chain) = (self.header.n_entries, self.listed);
        let first = self.header.entry_array_offset;
        let followed = chain.follow(&mut self.objects, first, promised.saturating_add(1), |item, _| item != 0);
        let goes_on = followed.is_ok() && chain.total > promised;
        if goes_on {
            self.damages.note(Damage::Array, chain.array);
        }
        goes_on
    }

    /// Appends the entries that were linked since they were listed last, as far as the last [`JournalFile::refresh`]
    /// knows of them. An entry that is still missing from its array comes with a later call. `false` where the arrays
    /// turned out damaged, so that not all may have come; then [`JournalFile::entries`] lists anew.
    pub(super) fn more_entries(&mut self, list: &mut Vec<u32>) -> bool {
        let promised = self.header.n_entries;
        let online = self.header.state == HeaderState::Online;
        let smallest = self.objects.widths.smallest(ObjectKind::Entry);
        let (begin, end) = (self.objects.begin, self.objects.end);
        let most = (end / smallest) as usize;
        let mut broken = None;
        let mut last = self.listed.last;
        let mut at = self.listed.total;
        let followed =
            self.listed.follow(&mut self.objects, self.header.entry_array_offset, promised, |item, array| {
                at += 1;
                // The writer counts an entry and links it at the same time, in an order that nobody guarantees.
                if item == 0 && online && at == promised {
                    return false;
                }
                let possible = offset(item) >= begin && offset(item) <= end.saturating_sub(smallest);
                let behind = last == 0 || offset(item) >= offset(last) + ENTRY_HEADER as u64;
                if !possible || !behind {
                    broken.get_or_insert((Damage::Array, array));
                }
                if possible && list.len() < most {
                    list.push(item);
                    last = item;
                }
                true
            });
        let Chain { array, total, .. } = self.listed;
        let short = total < promised && !(online && total + 1 == promised);
        let broken = broken.or(followed.err().map(|damage| (damage, array)));
        match broken.or(short.then_some((Damage::Array, array))) {
            Some((damage, at)) => self.damages.note(damage, at),
            None => return true,
        };
        false
    }

    /// Appends the entries that have a DATA, in the order of the file: its posting list. In a file that is online or
    /// was never closed, entries at the end may not be in it yet.
    ///
    /// # Errors
    ///
    /// Fails where the list is not in order or not as long as the DATA says. Nothing was appended then, and all entries
    /// have to be looked at instead.
    pub(super) fn postings(&mut self, data_at: u32, out: &mut Vec<u32>) -> Result<(), Damage> {
        let start = out.len();
        self.objects.postings(data_at, out).map_err(|damage| {
            out.truncate(start);
            self.damages.note(damage, data_at)
        })
    }

    /// Shows each value that a field has in this file, newest first, with the DATA that holds it. `false` where there may be
    /// more: the oldest one is stored right before the name of the field (systemd: `journal_file_append_data`), and the
    /// last that was found is not, or there is none.
    ///
    /// # Errors
    ///
    /// Fails where the index is damaged or a value cannot be read, so that there may be more.
    pub(super) fn values(&mut self, field: &[u8], mut each: impl FnMut(&[u8], u32)) -> Result<bool, Damage> {
        let table = self.header.field_hash_table;
        let hash = self.hash().of(field);
        let Self { objects, decoders, damages, .. } = self;
        let found = objects.chained(table, hash, ObjectKind::Field, |objects, at| {
            let object = objects.next(at, ObjectKind::Field)?;
            Ok(object.size == (FIELD_HEADER + field.len()) as u64 && object.bytes.ends_with(field))
        });
        let Some(field_at) = found.map_err(|(damage, at)| damages.note(damage, at))? else { return Ok(false) };
        let mut scratch = Vec::new();
        let mut outcome = Ok(());
        let mut behind = None;
        let head = objects.next(field_at, ObjectKind::Field).map(|object| u64_at(object.bytes, 32));
        let (mut next, mut before) = (head.map_err(|damage| damages.note(damage, field_at))?, u64::MAX);
        while next != 0 {
            let at = units(next);
            let chained = if next < before { objects.next(at, ObjectKind::Data) } else { Err(Damage::Index) };
            let found = chained.map(|object| (u64_at(object.bytes, 32), aligned(next + object.size)));
            let (after, end) = found.map_err(|damage| damages.note(damage, at))?;
            behind = end;
            scratch.clear();
            match objects.data(decoders, at, &mut scratch, |name| name == field) {
                Ok(datum) => {
                    if let Some(value) = scratch.get(datum.name_len + 1..) {
                        each(value, at);
                    } else {
                        outcome = Err(damages.note(Damage::Index, at));
                    }
                }
                Err(damage) => outcome = Err(damages.note(damage, at)),
            }
            (next, before) = (after, next);
        }
        outcome.map(|()| behind == Some(offset(field_at)))
    }

    fn hash(&self) -> JournalHash {
        if self.header.keyed_hash() { JournalHash::Sip(self.header.file_id) } else { JournalHash::Jenkins }
    }
}

impl Objects {
    fn postings(&mut self, data_at: u32, out: &mut Vec<u32>) -> Result<(), Damage> {
        let data = self.fresh(data_at, ObjectKind::Data)?;
        let [first, arrays, count] = [40, 48, 56].map(|at| u64_at(data.bytes, at));
        // What no entry has is not stored.
        let further = count.checked_sub(1).ok_or(Damage::Array)?;
        let (begin, end) = (self.begin, self.end);
        let mut last = 0;
        let mut take = |item: u32, _| {
            let sound = item > last && offset(item) >= begin && offset(item) < end;
            if sound {
                out.push(item);
                last = item;
            }
            sound
        };
        let mut chain = Chain::default();
        if take(units(first), 0) {
            // One more than there is, because what the count leaves out would be lost.
            chain.follow(self, arrays, count, take)?;
            if chain.total == further {
                return Ok(());
            }
        }
        Err(Damage::Array)
    }

    /// The first object in the bucket of a hash that has the hash and is `the_one`. Tells where the damage is, if there
    /// is any and nothing was found.
    fn chained(
        &mut self,
        table: Table,
        hash: u64,
        kind: ObjectKind,
        mut the_one: impl FnMut(&mut Self, u32) -> Result<bool, Damage>,
    ) -> Result<Option<u32>, (Damage, u32)> {
        let table_at = units(table.offset);
        let buckets = self.buckets(table).ok_or((Damage::Index, table_at))?;
        let bucket = table.offset + hash % buckets * BUCKET;
        let mut next = match self.windows.fresh(bucket) {
            Ok(place) => u64_at(self.windows.view(place, bucket), 0),
            Err(cause) => return Err((cause.into(), table_at)),
        };
        let mut damage = None;
        let mut last = 0;
        for _ in 0..CHAIN_MAX {
            if next == 0 {
                return damage.map_or(Ok(None), Err);
            }
            let at = units(next);
            if at <= last {
                return Err((Damage::Index, at));
            }
            let object = self.next(at, kind).map_err(|damage| (damage, at))?;
            let found = u64_at(object.bytes, 16) == hash;
            next = u64_at(object.bytes, 24);
            last = at;
            if found {
                match the_one(self, at) {
                    Ok(true) => return Ok(Some(at)),
                    Ok(false) => {}
                    Err(broken) => damage = Some((broken, at)),
                }
            }
        }
        Err((Damage::Index, last))
    }

    /// How many buckets a hash table has, if it lies within the file.
    fn buckets(&self, Table { offset, size }: Table) -> Option<u64> {
        let sound = offset >= self.begin + OBJECT_HEADER as u64
            && offset.is_multiple_of(8)
            && size.is_multiple_of(BUCKET)
            && size > 0
            && offset.checked_add(size)? <= self.end;
        sound.then_some(size / BUCKET)
    }
}

#[cfg(test)]
pub(crate) mod tests;
