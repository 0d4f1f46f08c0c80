//! Offsets in a journal file, in bytes and in units of eight bytes.

use std::ops::Add;

/// An offset from the start of a file, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Offset(pub(crate) u64);

impl Offset {
    /// Returns the offset in units. Unaligned offsets, and offsets beyond 32 GiB, become [`Units::NONE`].
    #[inline]
    pub(crate) fn units(self) -> Units {
        if self.0.trailing_zeros() < 3 { Units::NONE } else { Units(u32::try_from(self.0 >> 3).unwrap_or(0)) }
    }

    /// Returns the first offset from here on at which an object can begin.
    #[inline]
    pub(crate) fn aligned(self) -> Option<Offset> {
        Some(Offset(self.0.checked_add(7)? & !7))
    }

    /// Returns the number of bytes from here to `end`, and 0 if `end` comes before.
    #[inline]
    pub(crate) fn until(self, end: Offset) -> u64 {
        end.0.saturating_sub(self.0)
    }

    /// Returns the offset `bytes` before this one, and the start of the file if there is none.
    #[inline]
    pub(crate) fn minus(self, bytes: u64) -> Offset {
        Offset(self.0.saturating_sub(bytes))
    }
}

impl Add<u64> for Offset {
    type Output = Offset;

    #[inline]
    fn add(self, bytes: u64) -> Offset {
        Offset(self.0 + bytes)
    }
}

/// An offset in units of the eight bytes that objects are aligned to. Lists of entries and fields keep these, because
/// they take half the memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Units(pub(crate) u32);

impl Units {
    /// The start of the file, where no object can be.
    pub(crate) const NONE: Units = Units(0);

    /// Returns the offset in bytes.
    #[inline]
    pub(crate) fn offset(self) -> Offset {
        Offset(u64::from(self.0) << 3)
    }
}
