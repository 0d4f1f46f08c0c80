//! The memory that the decoders of an input may use together: those of an archive, of the archives in it, and of their
//! members.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The limit of a new budget: the largest window that `zstd` decodes by default, and more than the 65 MiB of the strongest
/// preset of `xz`.
pub(in crate::source) const MEMORY_LIMIT: usize = 128 << 20;

/// The unit of memory. Less than a unit is not counted, so that a small member is read whatever the archives around it
/// need.
pub(super) const UNIT: usize = 1 << 20;

/// The bytes that decoders may still reserve. Clones share them.
#[derive(Clone)]
pub(in crate::source) struct MemoryBudget(Arc<Mutex<usize>>);

impl Default for MemoryBudget {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(MEMORY_LIMIT)))
    }
}

impl MemoryBudget {
    fn left(&self) -> MutexGuard<'_, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The share of one decoder, released when the decoder is dropped.
pub(super) struct Reservation {
    budget: MemoryBudget,
    bytes: usize,
}

impl Reservation {
    /// Creates an empty share.
    pub(super) fn of(budget: &MemoryBudget) -> Self {
        Self { budget: budget.clone(), bytes: 0 }
    }

    /// Returns the number of bytes that the decoder may use: its share and all that is left.
    pub(super) fn most(&self) -> usize {
        self.bytes + *self.budget.left()
    }

    /// Changes the share, rounded down to whole units.
    ///
    /// # Errors
    ///
    /// Fails with [`io::ErrorKind::OutOfMemory`] if the budget is too small, and changes nothing.
    pub(super) fn resize(&mut self, bytes: usize) -> io::Result<()> {
        let bytes = bytes / UNIT * UNIT;
        let mut left = self.budget.left();
        *left = (self.bytes + *left).checked_sub(bytes).ok_or(io::ErrorKind::OutOfMemory)?;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        *self.budget.left() += self.bytes;
    }
}
