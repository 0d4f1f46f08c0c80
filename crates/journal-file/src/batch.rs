//! Batches of entries in memory. A batch owns the fields of its entries, so it outlives the files and goes to any
//! thread.
//!
//! Entries share most of their fields. A batch holds each shared field once, and an entry is a list of ids of its
//! fields. Batches are filled again and keep their buffers.

use crate::cursor::Place;
use crate::large_field::LargeField;

/// The id of a field in its batch. Several entries of the batch may share the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldId(u32);

impl FieldId {
    /// Returns the id of the shared field with this number.
    #[inline]
    #[must_use]
    pub fn shared(number: u32) -> FieldId {
        FieldId(number << 1)
    }

    /// Returns the number of a shared field, or `None` if only one entry has the field.
    #[inline]
    #[must_use]
    pub fn number(self) -> Option<u32> {
        (self.0 & 1 == 0).then_some(self.0 >> 1)
    }
}

/// The first fields of an entry, if other entries of the batch begin with them as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryPrefix {
    /// The number of the prefix in the batch, from 1. 0 stands for no prefix.
    pub number: u32,
    /// The number of fields.
    pub len: u32,
}

/// The relation of an entry to the text before it in the stream of its writer (`_STREAM_ID`). Only entries of a stream
/// can be anything but [`Continuation::Whole`].
///
/// The relation depends only on the files that are read, not on the order or the range of the entries, or on the slices
/// of a file. A stream goes on in the next file after a rotation. In a file that a writer appends to, an entry has the
/// relation that it has later in the closed file. If the index of a file is damaged, earlier entries of a stream are
/// searched among the 256 entries before; without any, an entry is [`Continuation::Whole`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Continuation {
    /// Nothing says that the entry continues another one.
    #[default]
    Whole,
    /// journald has cut a line, and the entry is the rest of it: the previous entry of the stream has a `_LINE_BREAK`.
    Rest,
    /// The entry may continue a text that must stay hidden, marked as its rest or not: see
    /// [`EntryFilter::leaves_open`](crate::EntryFilter::leaves_open).
    Withheld,
}

/// An entry of a journal file, lent by its batch.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'b> {
    place: &'b Place,
    ids: &'b [FieldId],
    prefix: EntryPrefix,
    offset: u64,
    length: usize,
    continuation: Continuation,
    is_truncated: bool,
    batch: &'b EntryBatch,
}

impl<'b> Entry<'b> {
    /// Returns the place in the journal, which includes the times.
    #[inline]
    #[must_use]
    pub fn place(&self) -> &'b Place {
        self.place
    }

    /// Returns the value of the first field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        self.fields().find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
    }

    /// Returns the names and values of all fields in the order of the file. A name may occur several times.
    #[inline]
    pub fn fields(&self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> + use<'b> {
        let batch = self.batch;
        self.ids.iter().map(|id| batch.field(*id))
    }

    /// Returns the ids of all fields in the order of the file.
    #[inline]
    #[must_use]
    pub fn ids(&self) -> &'b [FieldId] {
        self.ids
    }

    /// Returns the name and the value of a field of the batch.
    #[inline]
    #[must_use]
    pub fn field_of(&self, id: FieldId) -> (&'b [u8], &'b [u8]) {
        self.batch.field(id)
    }

    /// Returns the prefix shared with other entries.
    #[inline]
    #[must_use]
    pub fn prefix(&self) -> EntryPrefix {
        self.prefix
    }

    /// Returns the offset of the entry in its file, in bytes.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the length of all fields together, in bytes.
    #[inline]
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Returns the relation of the entry to the text before it in its stream.
    #[inline]
    #[must_use]
    pub fn continuation(&self) -> Continuation {
        self.continuation
    }

    /// Returns whether a value was cut, or fields were left out, because the entry was too large.
    #[inline]
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// Returns the value of a field that is too large for the batch. Its value in the batch is empty.
    #[must_use]
    pub fn large(&self, id: FieldId) -> Option<&'b LargeField> {
        let large = &self.batch.large;
        large.binary_search_by_key(&id, |(id, _)| *id).ok().and_then(|at| large.get(at)).map(|(_, field)| field)
    }

    /// Returns the number of shared fields in the batch, which all of their numbers are below.
    #[inline]
    #[must_use]
    pub fn shared_by_batch(&self) -> usize {
        self.batch.shared.len()
    }
}

/// A field, `NAME=value`, as a span of the arena.
#[derive(Clone, Copy, Debug)]
struct FieldSpan {
    start: u32,
    end: u32,
    /// The length of the name.
    name: u32,
}

/// An entry, its fields as a span of the batch's ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredEntry {
    pub(crate) place: Place,
    pub(crate) offset: u64,
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) prefix: EntryPrefix,
    /// The length of all fields together, in bytes.
    pub(crate) length: usize,
    pub(crate) continuation: Continuation,
    /// A value was cut, or fields were left out, because the entry was too large.
    pub(crate) is_truncated: bool,
}

/// Entries together with their fields.
///
/// Buffers are kept from one filling to the next, so the steady state allocates nothing. Memory for a giant entry is
/// released.
#[derive(Debug, Default)]
pub struct EntryBatch {
    /// The bytes of all fields, without gaps.
    pub(crate) arena: Vec<u8>,
    /// The fields that several entries may have, by their numbers.
    shared: Vec<FieldSpan>,
    /// The fields that one entry has.
    own: Vec<FieldSpan>,
    /// The ids of the fields of all entries.
    pub(crate) items: Vec<FieldId>,
    /// The entries in order.
    pub(crate) stored: Vec<StoredEntry>,
    /// The fields whose values stay in their files, by their ids in ascending order. They have no value here.
    large: Vec<(FieldId, LargeField)>,
}

impl EntryBatch {
    /// Removes all entries and keeps the buffers.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.shared.clear();
        self.own.clear();
        self.items.clear();
        self.stored.clear();
        self.large = Vec::new();
    }

    /// Returns the entries in their order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.stored.iter().map(|stored| self.lend(stored))
    }

    /// Returns the entry of an index.
    #[inline]
    pub(crate) fn entry(&self, index: usize) -> Option<Entry<'_>> {
        self.stored.get(index).map(|stored| self.lend(stored))
    }

    #[inline]
    fn lend<'b>(&'b self, stored: &'b StoredEntry) -> Entry<'b> {
        let ids = &self.items[stored.start as usize..stored.end as usize];
        let StoredEntry { place, prefix, offset, length, continuation, is_truncated, .. } = stored;
        let (prefix, continuation, is_truncated) = (*prefix, *continuation, *is_truncated);
        Entry { place, ids, prefix, offset: *offset, length: *length, continuation, is_truncated, batch: self }
    }

    /// Returns the name and the value of a field.
    #[inline]
    #[must_use]
    pub fn field(&self, item: FieldId) -> (&[u8], &[u8]) {
        let index = (item.0 >> 1) as usize;
        let datum = if item.0 & 1 == 0 { &self.shared[index] } else { &self.own[index] };
        let (name, value) = self.arena[datum.start as usize..datum.end as usize].split_at(datum.name as usize);
        (name, value.get(1..).unwrap_or_default())
    }

    /// Returns whether a field is too large for the batch.
    #[must_use]
    pub fn has_large(&self) -> bool {
        !self.large.is_empty()
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stored.len()
    }

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }

    /// Returns the length of all fields together, each counted once. Walks over all fields.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let fields = self.shared.iter().chain(&self.own);
        let large = self.large.iter().map(|(_, field)| field.length());
        fields.map(|datum| u64::from(datum.end - datum.start)).chain(large).sum()
    }

    /// Returns the size of the entries, in bytes. Costs nothing.
    #[inline]
    #[must_use]
    pub fn size(&self) -> usize {
        self.arena.len() + 4 * self.items.len() + size_of::<StoredEntry>() * self.stored.len()
    }

    /// Adds a field, `NAME=value` with a name of this length, for entries that are added later.
    pub fn add_field(&mut self, field: &[u8], name: usize, shared: bool) -> FieldId {
        let start = self.arena.len();
        self.arena.extend_from_slice(field);
        self.add_last(start, name.min(field.len()), shared)
    }

    /// Adds an entry with these fields of the batch. A prefix has at most as many fields as the entry.
    pub fn push(&mut self, place: Place, prefix: EntryPrefix, items: &[FieldId]) {
        let start = self.items.len() as u32;
        self.items.extend_from_slice(items);
        let datum = |item: &FieldId| self.field(*item);
        let length = items.iter().map(datum).map(|(name, value)| name.len() + 1 + value.len()).sum();
        let prefix = EntryPrefix { len: prefix.len.min(items.len() as u32), ..prefix };
        let (end, continuation, is_truncated) = (self.items.len() as u32, Continuation::Whole, false);
        self.stored.push(StoredEntry { place, offset: 0, start, end, prefix, length, continuation, is_truncated });
    }

    /// Returns the value of the last field of this name in the last entry. Such a field is mostly new.
    pub(crate) fn value_in_last(&self, name: &[u8]) -> Option<&[u8]> {
        let last = self.entry(self.stored.len().checked_sub(1)?)?;
        last.ids.iter().rev().map(|id| self.field(*id)).find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// Sets the relation of the last entry to the text before it.
    pub fn set_continuation(&mut self, continuation: Continuation) {
        if let Some(last) = self.stored.last_mut() {
            last.continuation = continuation;
        }
    }

    /// Marks the last entry as truncated: a value was cut, or fields were left out.
    pub fn mark_truncated(&mut self) {
        if let Some(last) = self.stored.last_mut() {
            last.is_truncated = true;
        }
    }

    /// Releases the memory of the buffers beyond `limit` bytes. The batch has to be empty.
    pub fn trim(&mut self, limit: usize) {
        debug_assert!(self.is_empty(), "the entries would lose their bytes");
        self.arena.shrink_to(limit);
    }

    /// Adds a field, of which the last bytes of the arena from `start` on are `NAME=`.
    pub(crate) fn add_large(&mut self, start: usize, field: LargeField) -> FieldId {
        let name = (self.arena.len() - start).saturating_sub(1);
        let id = self.add_last(start, name, false);
        self.large.push((id, field));
        id
    }

    /// Adds the bytes of the arena from `start` on as a field with a name of this length.
    #[inline]
    pub(crate) fn add_last(&mut self, start: usize, name: usize, shared: bool) -> FieldId {
        let fields = if shared { &mut self.shared } else { &mut self.own };
        let item = FieldId((fields.len() as u32) << 1 | u32::from(!shared));
        fields.push(FieldSpan { start: start as u32, end: self.arena.len() as u32, name: name as u32 });
        item
    }
}
