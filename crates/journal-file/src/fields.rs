//! Copies fields of entries from files into a batch. Each field is read once, and is in a batch once.

use crate::batch::{EntryBatch, FieldId};
use crate::damage::Damage;
use crate::field_cache::{CachedField, FieldCache, key};
use crate::file::JournalFile;
use crate::objects::DataField;
use crate::offset::Units;
use crate::payload;
use crate::selection::EntryFilter;
use crate::stream_fields::{StreamField, StreamFields};

/// The fields of one entry.
pub(crate) struct Fields<'s> {
    pub(crate) file: &'s mut JournalFile,
    /// The index of the file in the reader.
    pub(crate) index: usize,
    /// The furthest field of the file that was read. All fields after it are unread.
    pub(crate) furthest: &'s mut Units,
    /// A writer may be appending. Unreadable fields may be half-written, and further entries with a field may not be
    /// linked yet.
    pub(crate) is_live: bool,
    pub(crate) cache: &'s mut FieldCache,
    pub(crate) streams: &'s mut StreamFields,
    pub(crate) filter: &'s dyn EntryFilter,
    pub(crate) batch: &'s mut EntryBatch,
    /// The length of the fields together, in bytes.
    pub(crate) length: usize,
    /// A value was cut.
    pub(crate) is_truncated: bool,
    /// The number of bytes that the entry may have in all if large values stay in their file. Without it, they are cut.
    pub(crate) most: Option<u64>,
}

/// The number of values of the largest size that an entry may have together.
const VALUES: usize = 4;

/// The largest value, in bytes, that is read into a batch after the other fields of a large entry. Handles of smaller ones
/// would take more memory than their bytes.
const FURTHER: usize = 64;

/// The fields of an entry have more bytes than are read of one entry.
pub(crate) struct EntryTooLarge;

impl Fields<'_> {
    /// Appends the wanted fields at these offsets. Returns `false` if one is unreadable, so that other entries do not
    /// copy the result.
    ///
    /// # Errors
    ///
    /// Stops if the entry is too large.
    #[inline]
    pub(crate) fn put(&mut self, offsets: &[Units]) -> Result<bool, EntryTooLarge> {
        let mut sound = true;
        let most = self.file.decoders.limit.saturating_mul(VALUES).min(payload::MAX_FIELD);
        for at in offsets {
            if self.length > most {
                self.put_further(*at)?;
                sound = false;
                continue;
            }
            let key = key(self.index, *at);
            let known = if *at > *self.furthest {
                *self.furthest = *at;
                CachedField::Unread
            } else {
                self.cache.find(key)
            };
            let (item, length) = match known {
                CachedField::InBatch(here) => (FieldId::shared(here.number), here.length as usize),
                CachedField::Unwanted => continue,
                CachedField::OutsideBatch(kept) => {
                    let bytes = self.cache.bytes(&kept);
                    let (item, length) = (self.batch.add_field(bytes, kept.name as usize, true), bytes.len());
                    self.cache.number(key, item.number().unwrap_or_default());
                    (item, length)
                }
                CachedField::Unread => {
                    let from = self.batch.arena.len();
                    let Ok(datum) = self.read(*at) else {
                        sound = false;
                        if !self.is_live {
                            // Finding the damage may have been expensive.
                            self.cache.keep(key, b"", 0, 0);
                        }
                        continue;
                    };
                    if !datum.wanted {
                        self.cache.keep(key, b"", 0, 0);
                        continue;
                    }
                    if datum.is_cut && self.most.is_some() {
                        // The cache holds no such field, so each entry reads it again.
                        self.put_large(*at, from, datum.name_len);
                        sound = false;
                        continue;
                    }
                    let item = self.batch.add_last(from, datum.name_len, datum.shared || self.is_live);
                    let bytes = self.batch.arena.get(from..).unwrap_or_default();
                    if datum.is_cut {
                        // The cache does not know that the value is cut, so each entry reads it again.
                        self.is_truncated = true;
                        sound = false;
                    } else if let Some(number) = item.number() {
                        self.cache.keep(key, bytes, datum.name_len as u32, number);
                    }
                    (item, bytes.len())
                }
            };
            self.batch.items.push(item);
            self.length += length;
        }
        Ok(sound)
    }

    /// Appends a wanted field to the arena of the batch.
    // One of the two callers is hot.
    #[inline(always)]
    fn read(&mut self, at: Units) -> Result<DataField, Damage> {
        let mut noted = None;
        let want = |name: &[u8]| {
            noted = StreamField::of(name);
            self.filter.field(name)
        };
        let datum = self.file.data(at, &mut self.batch.arena, want)?;
        if let Some(field) = noted {
            self.note(at, field);
        }
        Ok(datum)
    }

    /// Adds a field that follows many others of the entry. Only a small value is read, past the cache: an entry may
    /// repeat a field any number of times.
    #[cold]
    fn put_further(&mut self, at: Units) -> Result<(), EntryTooLarge> {
        if self.most.is_none_or(|most| self.length as u64 > most) {
            return Err(EntryTooLarge);
        }
        let (from, limit) = (self.batch.arena.len(), self.file.decoders.limit);
        self.file.decoders.limit = FURTHER.min(limit);
        let outcome = self.read(at);
        self.file.decoders.limit = limit;
        match outcome {
            Ok(datum) if datum.is_cut => self.put_large(at, from, datum.name_len),
            Ok(datum) if datum.wanted => {
                self.length += self.batch.arena.len() - from;
                let item = self.batch.add_last(from, datum.name_len, false);
                self.batch.items.push(item);
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds a field whose value stays in the file. The beginning of the field is in the arena from `from` on.
    #[cold]
    fn put_large(&mut self, at: Units, from: usize, name_len: usize) {
        let before = name_len + 1;
        let most = self.most.unwrap_or_default().saturating_sub(self.length as u64);
        match self.file.large(at, before, most) {
            Ok(field) => {
                self.batch.arena.truncate(from + before);
                self.length = self.length.saturating_add(before).saturating_add(field.length() as usize);
                let item = self.batch.add_large(from, field);
                self.batch.items.push(item);
            }
            Err(damage) => {
                self.batch.arena.truncate(from);
                if !self.is_live && damage != Damage::Oversized {
                    self.cache.keep(key(self.index, at), b"", 0, 0);
                }
            }
        }
    }

    /// Notes a field that names a stream or marks a cut line.
    #[cold]
    fn note(&mut self, at: Units, field: StreamField) {
        if self.streams.is_full() {
            // Fields that the cache does not have are read again, and noted again.
            self.streams.clear();
            self.cache.forget();
        }
        self.streams.note(self.index, at, field);
    }
}
