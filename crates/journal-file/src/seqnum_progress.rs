//! How far a journal was read, by the numbers of its entries: exact whatever the clocks did, and whatever the files are
//! called by the next run.

use std::collections::{BTreeMap, HashMap};

use crate::cursor::Place;

/// How far a journal was read: all that was given before is behind this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last entry that was given out, as `journalctl --after-cursor` takes it; none before the first.
    pub cursor: Option<String>,
    /// By source of sequence numbers (`seqnum_id`): the last number that was passed. An entry comes after this position if
    /// its number is larger, or its source is not here.
    pub seqnums: BTreeMap<[u8; 16], u64>,
}

/// By source of sequence numbers the last number that was passed.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeqnumProgress(HashMap<[u8; 16], u64>);

impl SeqnumProgress {
    /// What a position says.
    pub(crate) fn of(position: &Position) -> SeqnumProgress {
        SeqnumProgress(position.seqnums.iter().map(|(id, number)| (*id, *number)).collect())
    }

    /// The last number that was passed of a source; 0 where none was.
    pub(crate) fn by(&self, seqnum_id: &[u8; 16]) -> u64 {
        self.0.get(seqnum_id).copied().unwrap_or_default()
    }

    /// Takes note that a file was passed up to this number.
    pub(crate) fn note(&mut self, seqnum_id: [u8; 16], seqnum: u64) {
        if seqnum > 0 {
            let known = self.0.entry(seqnum_id).or_default();
            *known = seqnum.max(*known);
        }
    }

    /// The position that these numbers make, if the entries at hand are still to come.
    pub(crate) fn position(mut self, at_hand: impl Iterator<Item = Place>, cursor: Option<String>) -> Position {
        let mut ahead: HashMap<[u8; 16], u64> = HashMap::new();
        for place in at_hand {
            let first = ahead.entry(place.seqnum_id).or_insert(u64::MAX);
            *first = place.seqnum.min(*first);
        }
        // Numbers of one source come in their order, so a file that has come to its end says less than one that has not.
        self.0.extend(ahead.into_iter().map(|(id, first)| (id, first.saturating_sub(1))));
        Position { cursor, seqnums: self.0.into_iter().collect() }
    }
}
