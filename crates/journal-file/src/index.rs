//! The index of a journal file: the list of its entries, the values of a field, and the entries of a value, found
//! without reading the whole file.
//!
//! The index is read past the windows, because a writer changes it long after writing it first. Each chain grows in one
//! direction, which is checked at each step, so no chain is followed in circles.

use crate::damage::Damage;
use crate::entry_array::Chain;
use crate::file::JournalFile;
use crate::hash::JournalHash;
use crate::layout::{BUCKET, ENTRY_HEADER, FIELD_HEADER, HeaderState, OBJECT_HEADER, ObjectKind, Table, u64_at};
use crate::objects::Objects;
use crate::offset::{Offset, Units};
use crate::recovery;

/// The most objects of one bucket that are searched. systemd enlarges its tables long before.
const CHAIN_MAX: u32 = 1 << 16;
/// The most objects of one bucket that are searched for a stream, which is looked up often. systemd begins another file
/// at a chain of 100.
const STREAM_CHAIN_MAX: u32 = 1 << 10;
/// The most names of fields that are counted to prove that one is absent. systemd's tables have 333 buckets.
const FIELDS_MAX: u64 = 1 << 14;

impl JournalFile {
    /// Lists all entries in the order of the file, in four bytes for each. An entry takes 72 bytes or more of the file,
    /// so the list is at most an eighteenth of its length. If the arrays are damaged or end too early, recovery searches the
    /// whole file. The list may then have entries of a dead writer that no array names.
    pub(crate) fn entries(&mut self) -> Vec<Units> {
        self.listed = Chain::default();
        let promised = self.header.n_entries;
        let mut list = Vec::with_capacity(promised.min(1 << 16).min(self.most_entries() as u64) as usize);
        if self.more_entries(&mut list) && !self.goes_on() {
            return list;
        }
        self.list_rest(&mut list);
        // Items of damaged arrays that are no entries were counted with the damage. In sound arrays they are counted
        // when they are read.
        list.sort_unstable();
        list.dedup();
        list.retain(|at| self.head(*at).is_ok());
        let listed = list.len();
        // The header may be older than the entries.
        let tail = list
            .last()
            .map_or(self.header.tail_object_offset, |last| last.offset().max(self.header.tail_object_offset));
        recovery::walk(&mut self.objects, tail, |at| list.push(at));
        list.sort_unstable();
        list.dedup();
        self.damages.recovered += (list.len() - listed) as u64;
        list
    }

    /// Appends the items of a damaged chain behind the number in the header. libsystemd reads such an entry in place of
    /// a broken one.
    fn list_rest(&mut self, list: &mut Vec<Units>) {
        let (begin, end) = (self.objects.begin, self.objects.end);
        let most = self.most_entries();
        let (mut chain, first) = (self.listed, self.header.entry_array_offset);
        // Damage of the chain is counted already.
        let _ = chain.follow(&mut self.objects, first, u64::MAX, |item, _| {
            if item.offset() >= begin && item.offset() < end && list.len() < most {
                list.push(item);
            }
            true
        });
    }

    /// Returns the number of entries that the file has room for.
    fn most_entries(&self) -> usize {
        (self.objects.end.0 / self.objects.widths.smallest(ObjectKind::Entry)) as usize
    }

    /// Returns whether a file without a writer has more entries than its header says, which is damage.
    fn goes_on(&mut self) -> bool {
        if self.header.state == HeaderState::Online {
            return false;
        }
        let (promised, mut chain) = (self.header.n_entries, self.listed);
        let first = self.header.entry_array_offset;
        let followed =
            chain.follow(&mut self.objects, first, promised.saturating_add(1), |item, _| item != Units::NONE);
        let goes_on = followed.is_ok() && chain.total > promised;
        if goes_on {
            self.damages.note(Damage::Array, chain.array);
        }
        goes_on
    }

    /// Appends the entries linked since the last call, up to the number in the header at the last
    /// [`JournalFile::refresh`]. An entry that is still missing from its array comes with a later call. Returns `false`
    /// if the arrays are damaged. Then [`JournalFile::entries`] has to list all entries again.
    pub(crate) fn more_entries(&mut self, list: &mut Vec<Units>) -> bool {
        let promised = self.header.n_entries;
        let online = self.header.state == HeaderState::Online;
        let smallest = self.objects.widths.smallest(ObjectKind::Entry);
        let (begin, end) = (self.objects.begin, self.objects.end);
        let most = self.most_entries();
        let mut broken = None;
        let mut last = self.listed.last;
        let mut at = self.listed.total;
        let followed =
            self.listed.follow(&mut self.objects, self.header.entry_array_offset, promised, |item, array| {
                at += 1;
                // The writer counts an entry and links it in no guaranteed order.
                if item == Units::NONE && online && at == promised {
                    return false;
                }
                let possible = item.offset() >= begin && item.offset() <= end.minus(smallest);
                let behind = last == Units::NONE || item.offset() >= last.offset() + ENTRY_HEADER as u64;
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
    /// was never closed, the last entries may be missing.
    ///
    /// # Errors
    ///
    /// Fails if the list is not in order, or does not have the length that the DATA states. Nothing is appended then,
    /// and all entries have to be read instead.
    pub(crate) fn postings(&mut self, data_at: Units, out: &mut Vec<Units>) -> Result<(), Damage> {
        let start = out.len();
        self.objects.postings(data_at, out).map_err(|damage| {
            out.truncate(start);
            self.damages.note(damage, data_at)
        })
    }

    /// Calls `each` with each value of a field in this file, newest first, and its DATA. Returns `false` if values may
    /// be missing. The oldest value is stored right before the name of the field (systemd: `journal_file_append_data`),
    /// which proves that the list is complete.
    ///
    /// # Errors
    ///
    /// Fails if the index is damaged or a value is unreadable, so that values may be missing.
    pub(crate) fn values(&mut self, field: &[u8], mut each: impl FnMut(&[u8], Units)) -> Result<bool, Damage> {
        let Some(field_at) = self.find_field(field)? else { return Ok(false) };
        let Self { objects, decoders, damages, .. } = self;
        let mut scratch = Vec::new();
        let mut outcome = Ok(());
        let mut behind = None;
        let head = objects.next(field_at, ObjectKind::Field).map(|object| u64_at(object.bytes, 32));
        let head = Offset(head.map_err(|damage| damages.note(damage, field_at))?);
        let (mut next, mut before) = (head, Offset(u64::MAX));
        while next != Offset(0) {
            let at = next.units();
            let chained = if next < before { objects.next(at, ObjectKind::Data) } else { Err(Damage::Index) };
            let found = chained.map(|object| (Offset(u64_at(object.bytes, 32)), (next + object.size).aligned()));
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
        outcome.map(|()| behind == Some(field_at.offset()))
    }

    /// Returns the DATA of exactly this `NAME=value`, or `None` if the file has none.
    ///
    /// # Errors
    ///
    /// Fails if the index is damaged, or cannot prove that there is none.
    pub(crate) fn find_data(&mut self, name: &[u8], payload: &[u8]) -> Result<Option<Units>, Damage> {
        let found = self.in_table(name, payload, CHAIN_MAX);
        if let Some(at) = found.map_err(|(damage, at)| self.damages.note(damage, at))? {
            return Ok(Some(at));
        }
        // A lost bucket looks like an absent value, so the values of the field decide.
        if self.find_field(name)?.is_none() {
            return if self.lists_all_fields()? { Ok(None) } else { Err(Damage::Index) };
        }
        let mut found = None;
        let value = payload.get(name.len() + 1..).unwrap_or_default();
        let is_complete = self.values(name, |other, at| found = found.or((other == value).then_some(at)))?;
        if found.is_none() && !is_complete { Err(Damage::Index) } else { Ok(found) }
    }

    /// Returns the FIELD of a name, or `None` if the hash table has none.
    fn find_field(&mut self, name: &[u8]) -> Result<Option<Units>, Damage> {
        let (table, hash) = (self.header.field_hash_table, self.hash().of(name));
        self.objects.field(table, hash, name).map_err(|(damage, at)| self.damages.note(damage, at))
    }

    /// Returns whether the hash table lists as many names of fields as the header counts.
    fn lists_all_fields(&mut self) -> Result<bool, Damage> {
        let (Some(count), table) = (self.header.n_fields, self.header.field_hash_table) else { return Ok(false) };
        let listed = self.objects.chain_lengths(table, count).map_err(|(damage, at)| self.damages.note(damage, at))?;
        Ok(listed == count)
    }

    /// Returns the DATA of exactly this `NAME=value`, if the hash table leads to it. Damage is not counted.
    pub(crate) fn look_up(&mut self, name: &[u8], payload: &[u8]) -> Option<Units> {
        self.in_table(name, payload, STREAM_CHAIN_MAX).ok().flatten()
    }

    /// Returns the DATA of exactly this `NAME=value` in the hash table. Searches up to `most` objects.
    fn in_table(&mut self, name: &[u8], payload: &[u8], most: u32) -> Result<Option<Units>, (Damage, Units)> {
        let (table, hash) = (self.header.data_hash_table, self.hash().of(payload));
        let Self { objects, decoders, .. } = self;
        let mut scratch = Vec::new();
        objects.chained(table, hash, ObjectKind::Data, most, |objects, at| {
            scratch.clear();
            objects.data(decoders, at, &mut scratch, |found| found == name)?;
            Ok(scratch == payload)
        })
    }

    /// Returns whether the file may have fields of a name. Only a sound index proves that there are none. Damage is not
    /// counted.
    pub(crate) fn may_have(&mut self, name: &[u8]) -> bool {
        let (table, hash) = (self.header.field_hash_table, self.hash().of(name));
        let found = self.objects.field(table, hash, name);
        let (Ok(None), Some(count)) = (found, self.header.n_fields) else { return true };
        count > FIELDS_MAX || self.objects.chain_lengths(table, count) != Ok(count)
    }

    fn hash(&self) -> JournalHash {
        if self.header.keyed_hash() { JournalHash::Sip(self.header.file_id) } else { JournalHash::Jenkins }
    }
}

impl Objects {
    /// Returns the first object in a bucket that has the hash and satisfies `is_match`. Searches up to `most` objects.
    /// On error, returns the offset of the damage.
    fn chained(
        &mut self,
        table: Table,
        hash: u64,
        kind: ObjectKind,
        most: u32,
        mut is_match: impl FnMut(&mut Self, Units) -> Result<bool, Damage>,
    ) -> Result<Option<Units>, (Damage, Units)> {
        let table_at = table.offset.units();
        let buckets = self.buckets(table).ok_or((Damage::Index, table_at))?;
        let bucket = (table.offset + hash % buckets * BUCKET).0;
        let mut next = match self.windows.fresh(bucket) {
            Ok(slot) => Offset(u64_at(self.windows.view(slot, bucket), 0)),
            Err(cause) => return Err((cause.into(), table_at)),
        };
        let mut damage = None;
        let mut last = Units::NONE;
        for _ in 0..most {
            if next == Offset(0) {
                return damage.map_or(Ok(None), Err);
            }
            let at = next.units();
            if at <= last {
                return Err((Damage::Index, at));
            }
            let object = self.next(at, kind).map_err(|damage| (damage, at))?;
            let found = u64_at(object.bytes, 16) == hash;
            next = Offset(u64_at(object.bytes, 24));
            last = at;
            if found {
                match is_match(self, at) {
                    Ok(true) => return Ok(Some(at)),
                    Ok(false) => {}
                    Err(broken) => damage = Some((broken, at)),
                }
            }
        }
        Err((Damage::Index, last))
    }

    /// Returns the FIELD of a name and its hash, or `None` if the hash table has none.
    fn field(&mut self, table: Table, hash: u64, name: &[u8]) -> Result<Option<Units>, (Damage, Units)> {
        self.chained(table, hash, ObjectKind::Field, CHAIN_MAX, |objects, at| {
            let object = objects.next(at, ObjectKind::Field)?;
            Ok(object.size == (FIELD_HEADER + name.len()) as u64 && object.bytes.ends_with(name))
        })
    }

    /// Returns the number of FIELDs in all buckets of a hash table. Stops above `most`.
    fn chain_lengths(&mut self, table: Table, most: u64) -> Result<u64, (Damage, Units)> {
        let table_at = table.offset.units();
        let buckets = self.buckets(table).ok_or((Damage::Index, table_at))?;
        let mut count = 0;
        for bucket in 0..buckets {
            let bucket = (table.offset + bucket * BUCKET).0;
            let slot = self.windows.find(bucket, bucket).map_err(|cause| (cause.into(), table_at))?;
            let (mut next, mut last) = (Offset(u64_at(self.windows.view(slot, bucket), 0)), Units::NONE);
            while next != Offset(0) && count <= most {
                let at = next.units();
                if at <= last {
                    return Err((Damage::Index, at));
                }
                let object = self.next(at, ObjectKind::Field).map_err(|damage| (damage, at))?;
                (next, last) = (Offset(u64_at(object.bytes, 24)), at);
                count += 1;
            }
        }
        Ok(count)
    }

    /// Returns the number of buckets of a hash table, if the table lies within the file.
    fn buckets(&self, Table { offset, size }: Table) -> Option<u64> {
        let sound = offset >= self.begin + OBJECT_HEADER as u64
            && offset.0.is_multiple_of(8)
            && size.is_multiple_of(BUCKET)
            && size > 0
            && offset.0.checked_add(size)? <= self.end.0;
        sound.then_some(size / BUCKET)
    }
}

#[cfg(test)]
pub(crate) mod tests;
