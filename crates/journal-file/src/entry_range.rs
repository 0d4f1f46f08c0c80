//! Ranges of entries, by time, boot and cursor.

use crate::cursor::{Cursor, Place};

/// A boot of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// The boot with this id.
    Id([u8; 16]),
    /// The boot this many before the last boot in the journal.
    Before(usize),
    /// The boot this many after the first boot in the journal.
    First(usize),
}

/// A range of entries. Clocks may be set back, so each entry is compared with the range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Leaves out entries before this time, in microseconds since 1970.
    pub since: Option<u64>,
    /// Leaves out entries after this time, in microseconds since 1970.
    pub until: Option<u64>,
    /// Leaves out entries of other boots.
    pub boot: Option<Boot>,
    /// Leaves out entries up to this cursor.
    pub after: Option<Cursor>,
}

impl Range {
    /// Replaces the boot's number with its id, given the boots in their order.
    pub(crate) fn resolved(mut self, boots: impl FnOnce() -> Vec<[u8; 16]>) -> Range {
        let boot = match self.boot {
            Some(Boot::Before(count)) => boots().into_iter().rev().nth(count),
            Some(Boot::First(count)) => boots().into_iter().nth(count),
            Some(Boot::Id(_)) | None => None,
        };
        // Without a boot of this number, no entry is in the range.
        self.boot = boot.map(Boot::Id).or(self.boot);
        self
    }

    /// Returns whether an entry is in the range.
    #[inline]
    pub fn has(&self, place: &Place) -> bool {
        self.since.is_none_or(|since| place.realtime >= since)
            && self.until.is_none_or(|until| place.realtime <= until)
            && self.boot.is_none_or(|boot| boot == Boot::Id(place.boot_id))
            && self.after.is_none_or(|cursor| follows(place, &cursor))
    }
}

/// Returns whether an entry comes after a cursor. Sequence numbers decide if their sources are equal, then monotonic
/// times if the boots are equal, then wall-clock times.
fn follows(place: &Place, cursor: &Cursor) -> bool {
    if let (Some(seqnum_id), Some(seqnum)) = (cursor.seqnum_id, cursor.seqnum)
        && seqnum_id == place.seqnum_id
    {
        return place.seqnum > seqnum;
    }
    if let (Some(boot), Some(monotonic)) = (cursor.boot_id, cursor.monotonic)
        && boot == place.boot_id
    {
        return place.monotonic > monotonic;
    }
    cursor.realtime.is_none_or(|realtime| place.realtime > realtime)
}
