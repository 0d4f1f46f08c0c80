//! Fields that entries have in common: read and decompressed once, copied into each batch once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::offset::Units;

/// Fields are forgotten when they have more bytes than this together.
const BYTES: usize = 8 << 20;
/// Fields are forgotten when there are more than this: up to there, what says that a field is none of them stays in the
/// processor's first cache.
const FIELDS: usize = 14 << 10;

/// A field that was read before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CachedBytes {
    start: u32,
    end: u32,
    /// The length of the name.
    pub(crate) name: u32,
    /// The batch that has it, and its number there. A field that nobody wants has no bytes.
    batch: u32,
    number: u32,
}

/// What is known of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CachedField {
    /// It was not read yet, or was forgotten.
    Unread,
    /// Nobody wants it.
    Unwanted,
    /// The batch at hand has it.
    InBatch(InBatch),
    /// Its bytes are here, but the batch at hand does not have it.
    OutsideBatch(CachedBytes),
}

/// A field that the batch at hand has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InBatch {
    /// Its number there.
    pub(crate) number: u32,
    /// Its length in bytes.
    pub(crate) length: u32,
}

/// How many fields of the batch at hand are found without a look into the map, in 16 KiB.
const RECENT: usize = 1024;

/// Spreads the bits of a key. Offsets that collide cost time, and no file has enough of them for much.
#[derive(Default)]
struct OffsetHasher(u64);

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

/// The fields of all files of a source, by [`key`].
#[derive(Debug)]
pub(crate) struct FieldCache {
    fields: HashMap<u64, CachedBytes, BuildHasherDefault<OffsetHasher>>,
    /// Those of the batch at hand that were met last, each in the one place where it may be.
    recent: Box<[(u64, InBatch); RECENT]>,
    bytes: Vec<u8>,
    /// The batch at hand.
    batch: u32,
}

/// The key of no field: there are not that many files.
const NO_KEY: u64 = u64::MAX;

/// The key of a field: its file and its offset.
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
    /// Begins a batch: no field has a number in it yet.
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

    /// What is known of a field.
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

    /// The bytes of a field that is kept, `NAME=value`.
    pub(crate) fn bytes(&self, kept: &CachedBytes) -> &[u8] {
        self.bytes.get(kept.start as usize..kept.end as usize).unwrap_or_default()
    }

    /// Notes the number that a field which is kept has in the batch at hand.
    pub(crate) fn number(&mut self, key: u64, number: u32) {
        if let Some(kept) = self.fields.get_mut(&key) {
            (kept.batch, kept.number) = (self.batch, number);
        }
    }

    /// Keeps a field that was given this number in the batch at hand; without bytes it is one that nobody wants.
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

    /// Forgets all fields. Those that the batch at hand has stay in it, and may come into it once more.
    pub(crate) fn forget(&mut self) {
        self.fields.clear();
        self.forget_recent();
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests;
