//! A cache of fields that entries share. Each field is read and decompressed once, and copied into each batch once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::offset::Units;

/// The most bytes of all cached fields.
const BYTES: usize = 8 << 20;
/// The most cached fields. Up to this number, the map entries needed to miss a field stay in the first cache of the
/// processor.
const FIELDS: usize = 14 << 10;

/// The bytes of a field that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CachedBytes {
    start: u32,
    end: u32,
    /// The length of the name.
    pub(crate) name: u32,
    /// The last batch that had the field, and the field's number there. An unwanted field has no bytes.
    batch: u32,
    number: u32,
}

/// The state of a field in the cache.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CachedField {
    /// The field was not read yet, or was dropped.
    Unread,
    /// The filter refuses the field.
    Unwanted,
    /// The current batch has the field.
    InBatch(InBatch),
    /// The cache has the bytes, and the current batch does not have the field.
    OutsideBatch(CachedBytes),
}

/// A field of the current batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InBatch {
    /// The number in the batch.
    pub(crate) number: u32,
    /// The length in bytes.
    pub(crate) length: u32,
}

/// The number of fields of the current batch that are found without the map, in 16 KiB.
const RECENT: usize = 1024;

/// A hasher that spreads the bits of a key. Colliding offsets cost time, and no file has enough of them to cost much.
#[derive(Default)]
pub(crate) struct OffsetHasher(u64);

impl Hasher for OffsetHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    #[inline]
    fn write_u64(&mut self, key: u64) {
        let product = (self.0 ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ product >> 32;
    }
}

/// A map of fields of all files of a reader, by [`key`].
pub(crate) type ByKey<V> = HashMap<u64, V, BuildHasherDefault<OffsetHasher>>;

/// The fields of all files of a reader, by [`key`].
#[derive(Debug)]
pub(crate) struct FieldCache {
    fields: ByKey<CachedBytes>,
    /// The fields of the current batch that were found last, each in the slot of its key.
    recent: Box<[(u64, InBatch); RECENT]>,
    bytes: Vec<u8>,
    /// The number of the current batch.
    batch: u32,
}

/// The key of no field, because there are not that many files.
const NO_KEY: u64 = u64::MAX;

/// Returns the key of a field: its file and its offset.
#[inline]
pub(crate) fn key(file: usize, at: Units) -> u64 {
    (file as u64) << 32 | u64::from(at.0)
}

impl Default for FieldCache {
    fn default() -> FieldCache {
        let nothing = (NO_KEY, InBatch { number: 0, length: 0 });
        FieldCache { fields: HashMap::default(), recent: Box::new([nothing; RECENT]), bytes: Vec::new(), batch: 0 }
    }
}

impl FieldCache {
    /// Begins a batch, in which no field has a number yet.
    pub(crate) fn begin(&mut self) {
        if self.batch == u32::MAX {
            self.forget();
            self.batch = 0;
        }
        self.batch += 1;
        self.forget_recent();
    }

    fn forget_recent(&mut self) {
        self.recent.iter_mut().for_each(|(key, _)| *key = NO_KEY);
    }

    /// Returns the state of a field.
    #[inline]
    pub(crate) fn find(&mut self, key: u64) -> CachedField {
        let mut place = OffsetHasher::default();
        place.write_u64(key);
        let (known, here) = &mut self.recent[place.finish() as usize % RECENT];
        if *known == key {
            return CachedField::InBatch(*here);
        }
        match self.fields.get(&key) {
            None => CachedField::Unread,
            Some(kept) if kept.start == kept.end => CachedField::Unwanted,
            Some(kept) if kept.batch == self.batch => {
                (*known, *here) = (key, InBatch { number: kept.number, length: kept.end - kept.start });
                CachedField::InBatch(*here)
            }
            Some(kept) => CachedField::OutsideBatch(*kept),
        }
    }

    /// Returns the bytes of a cached field, `NAME=value`.
    pub(crate) fn bytes(&self, kept: &CachedBytes) -> &[u8] {
        self.bytes.get(kept.start as usize..kept.end as usize).unwrap_or_default()
    }

    /// Sets the number of a cached field in the current batch.
    pub(crate) fn number(&mut self, key: u64, number: u32) {
        if let Some(kept) = self.fields.get_mut(&key) {
            (kept.batch, kept.number) = (self.batch, number);
        }
    }

    /// Adds a field with its number in the current batch. An unwanted field has no bytes.
    pub(crate) fn keep(&mut self, key: u64, bytes: &[u8], name: u32, number: u32) {
        if self.bytes.len() + bytes.len() > BYTES || self.fields.len() >= FIELDS {
            self.forget();
        }
        if self.bytes.len() + bytes.len() > BYTES {
            return;
        }
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        let end = start + bytes.len() as u32;
        self.fields.insert(key, CachedBytes { start, end, name, batch: self.batch, number });
    }

    /// Drops all fields. The current batch keeps its fields, and may get them a second time.
    pub(crate) fn forget(&mut self) {
        self.fields.clear();
        self.forget_recent();
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests;
