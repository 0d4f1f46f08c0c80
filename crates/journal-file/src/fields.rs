//! Copies fields of entries from files into a batch. Each field is read once, and is in a batch once.

use crate::batch::{EntryBatch, FieldId};
use crate::field_cache::{CachedField, FieldCache, key};
use crate::file::JournalFile;
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
}

/// The number of values of the largest size that an entry may have together.
const VALUES: usize = 4;

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
                return Err(EntryTooLarge);
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
                    let mut noted = None;
                    let want = |name: &[u8]| {
                        noted = StreamField::of(name);
                        self.filter.field(name)
                    };
                    let Ok(datum) = self.file.data(*at, &mut self.batch.arena, want) else {
                        sound = false;
                        if !self.is_live {
                            // Finding the damage may have been expensive.
                            self.cache.keep(key, b"", 0, 0);
                        }
                        continue;
                    };
                    if let Some(field) = noted {
                        self.note(*at, field);
                    }
                    if !datum.wanted {
                        self.cache.keep(key, b"", 0, 0);
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
