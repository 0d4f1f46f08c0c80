//! How far a journal was read, by the numbers of its entries: exact whatever the clocks did, and whatever the files are
//! called by the next run.

use std::collections::HashMap;

use crate::source::position::JournalPosition;
use kata_records::cursor::{self, Place};
use kata_records::digits;

/// By source of sequence numbers the last number that was passed.
#[derive(Clone, Debug, Default)]
pub(super) struct Passed(HashMap<[u8; 16], u64>);

impl Passed {
    /// What a position says. What is no id is no file's, and says nothing.
    pub(super) fn of(position: &JournalPosition) -> Passed {
        let known = position.passed.iter();
        Passed(known.filter_map(|(id, number)| Some((cursor::parse_id(id.as_bytes())?, *number))).collect())
    }

    /// The last number that was passed of a source; 0 where none was.
    pub(super) fn by(&self, seqnum_id: &[u8; 16]) -> u64 {
        self.0.get(seqnum_id).copied().unwrap_or_default()
    }

    /// Takes note that a file was passed up to this number.
    pub(super) fn note(&mut self, seqnum_id: [u8; 16], seqnum: u64) {
        if seqnum > 0 {
            let known = self.0.entry(seqnum_id).or_default();
            *known = seqnum.max(*known);
        }
    }

    /// The position that these numbers make, if the entries at hand are still to come.
    pub(super) fn position(mut self, at_hand: impl Iterator<Item = Place>, cursor: Option<String>) -> JournalPosition {
        let mut ahead: HashMap<[u8; 16], u64> = HashMap::new();
        for place in at_hand {
            let first = ahead.entry(place.seqnum_id).or_insert(u64::MAX);
            *first = place.seqnum.min(*first);
        }
        // Numbers of one source come in their order, so a file that has come to its end says less than one that has not.
        self.0.extend(ahead.into_iter().map(|(id, first)| (id, first.saturating_sub(1))));
        let hexadecimal = |id: &[u8; 16]| String::from_utf8_lossy(&digits::of_id(id)).into_owned();
        JournalPosition { cursor, passed: self.0.iter().map(|(id, number)| (hexadecimal(id), *number)).collect() }
    }
}
