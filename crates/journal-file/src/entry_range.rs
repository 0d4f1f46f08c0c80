//! From where to where a journal is read.

use crate::cursor::{Cursor, Place};

/// A boot of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// The one of this id.
    Id([u8; 16]),
    /// The one so many before the last that the journals tell of.
    Before(usize),
    /// The first that the journals tell of, or the one so many after it.
    First(usize),
}

/// The entries that are asked for. Clocks are set back now and then, so each entry is held against it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Not before this time, in microseconds since 1970.
    pub since: Option<u64>,
    /// Not after this time, in microseconds since 1970.
    pub until: Option<u64>,
    /// Only entries of this boot.
    pub boot: Option<Boot>,
    /// Only entries that come after this one.
    pub after: Option<Cursor>,
}

impl Range {
    /// The same with the boot's id in place of its number, by a list of boots, the first one first.
    pub(crate) fn resolved(mut self, boots: impl FnOnce() -> Vec<[u8; 16]>) -> Range {
        let boot = match self.boot {
            Some(Boot::Before(count)) => boots().into_iter().rev().nth(count),
            Some(Boot::First(count)) => boots().into_iter().nth(count),
            Some(Boot::Id(_)) | None => None,
        };
        // Where there are not so many boots, no entry is of the one asked for.
        self.boot = boot.map(Boot::Id).or(self.boot);
        self
    }

    /// Whether an entry is in the range.
    #[inline]
    pub fn has(&self, place: &Place) -> bool {
        self.since.is_none_or(|since| place.realtime >= since)
            && self.until.is_none_or(|until| place.realtime <= until)
            && self.boot.is_none_or(|boot| boot == Boot::Id(place.boot_id))
            && self.after.is_none_or(|cursor| follows(place, &cursor))
    }
}

/// Whether an entry comes after a cursor: by number where the numbers are of one source, else by the time since boot
/// where the boot is the same, else by the time on the wall.
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
