//! The entry of a file that was read last.

use crate::cursor::Place;
use crate::damage::Damage;
use crate::file::JournalFile;
use crate::layout::EntryHead;
use crate::offset::Units;

/// The most offsets that a file without buffers keeps.
const KEPT: usize = 256;

/// The entry of a file that was read last.
#[derive(Default)]
pub(crate) struct CurrentEntry {
    pub(crate) at: Units,
    /// The offsets of its fields in the order of the file.
    pub(crate) items: Vec<Units>,
    /// The offsets were dropped.
    is_released: bool,
}

impl CurrentEntry {
    /// Reads an entry, which becomes the current one.
    #[inline]
    pub(crate) fn read(&mut self, file: &mut JournalFile, at: Units) -> Result<Place, Damage> {
        self.at = at;
        self.is_released = false;
        let EntryHead { seqnum, boot_id, monotonic, realtime, xor_hash } = file.entry(at, &mut self.items)?;
        Ok(Place { seqnum_id: file.header().seqnum_id, seqnum, boot_id, monotonic, realtime, xor_hash })
    }

    /// Returns the number of bytes that the offsets take.
    pub(crate) fn held(&self) -> usize {
        self.items.capacity() * size_of::<Units>()
    }

    /// Frees the memory of the offsets, unless they are few.
    pub(crate) fn release(&mut self) {
        if self.items.len() > KEPT {
            self.items.clear();
            self.is_released = true;
        }
        self.items.shrink_to_fit();
    }

    /// Reads dropped offsets again. On failure, which is counted as damage, the entry has no fields.
    #[inline]
    pub(crate) fn restore(&mut self, file: &mut JournalFile) {
        if std::mem::take(&mut self.is_released) {
            let _ = file.entry(self.at, &mut self.items);
        }
    }
}
