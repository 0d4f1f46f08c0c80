//! A cache of keys that the dictionary lacks, with the names that they have in records.

use crate::record::Key;

/// Keys of the batch that the dictionary lacks and that make fields of their own name, with the keys of these fields.
#[derive(Debug)]
pub(crate) struct UnknownKeys<'b>([Option<(&'b [u8], Key<'b>)>; UnknownKeys::SLOTS]);

impl Default for UnknownKeys<'_> {
    fn default() -> Self {
        UnknownKeys([None; UnknownKeys::SLOTS])
    }
}

impl<'b> UnknownKeys<'b> {
    const SLOTS: usize = 64;

    /// Returns the place of a key, which may have another key.
    pub(super) fn place(&mut self, hash: u64) -> &mut Option<(&'b [u8], Key<'b>)> {
        &mut self.0[hash as usize % UnknownKeys::SLOTS]
    }
}
