//! Progress in a journal by sequence numbers, which is exact whatever the clocks did and whatever names the files get.

use std::collections::{BTreeMap, HashMap};

use crate::cursor::Place;

/// A position in a journal. All entries returned so far are before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The cursor of the last returned entry, for `journalctl --after-cursor`. `None` before the first entry.
    pub cursor: Option<String>,
    /// The last number that was read, by source of sequence numbers (`seqnum_id`). An entry comes after this position
    /// if its number is larger, or its source is missing here.
    pub seqnums: BTreeMap<[u8; 16], u64>,
}

/// The last number that was read, by source of sequence numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeqnumProgress(HashMap<[u8; 16], u64>);

impl SeqnumProgress {
    /// Returns the progress at a position.
    pub(crate) fn of(position: &Position) -> SeqnumProgress {
        SeqnumProgress(position.seqnums.iter().map(|(id, number)| (*id, *number)).collect())
    }

    /// Returns the last number of a source that was read, or 0 for none.
    pub(crate) fn by(&self, seqnum_id: &[u8; 16]) -> u64 {
        self.0.get(seqnum_id).copied().unwrap_or_default()
    }

    /// Notes that a file was read up to a number.
    pub(crate) fn note(&mut self, seqnum_id: [u8; 16], seqnum: u64) {
        if seqnum > 0 {
            let known = self.0.entry(seqnum_id).or_default();
            *known = seqnum.max(*known);
        }
    }

    /// Returns the position before the current entries.
    pub(crate) fn position(mut self, current: impl Iterator<Item = Place>, cursor: Option<String>) -> Position {
        let mut ahead: HashMap<[u8; 16], u64> = HashMap::new();
        for place in current {
            let first = ahead.entry(place.seqnum_id).or_insert(u64::MAX);
            *first = place.seqnum.min(*first);
        }
        // Numbers of one source come in order, so a finished file says less than an unfinished one.
        self.0.extend(ahead.into_iter().map(|(id, first)| (id, first.saturating_sub(1))));
        Position { cursor, seqnums: self.0.into_iter().collect() }
    }
}
