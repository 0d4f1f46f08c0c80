//! The fields that name the stream of an entry (`_STREAM_ID`), and that mark a line as cut by journald (`_LINE_BREAK`).
//!
//! Their offsets are noted when the fields are first read, so that the entries that have them are known by comparing
//! offsets.

use crate::field_cache::{ByKey, key};
use crate::offset::Units;

/// The name of the field that identifies a connection to journald's standard output socket.
pub(crate) const STREAM_ID: &[u8] = b"_STREAM_ID";
/// The name of the field of an entry whose line continues in the next entry of its stream. Its value is the reason.
pub(crate) const LINE_BREAK: &[u8] = b"_LINE_BREAK";

/// The number of words of bits that settle most offsets.
const WORDS: usize = 64;
/// The largest number of fields that are noted.
const FIELDS: usize = 1 << 16;

/// A field that is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamField {
    Stream,
    LineBreak,
}

impl StreamField {
    /// Returns the field of a name.
    #[inline]
    pub(crate) fn of(name: &[u8]) -> Option<StreamField> {
        match name.len() {
            10 if name == STREAM_ID => Some(StreamField::Stream),
            11 if name == LINE_BREAK => Some(StreamField::LineBreak),
            _ => None,
        }
    }
}

/// The stream of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamMarks {
    /// The DATA of the `_STREAM_ID`.
    pub(crate) stream: Option<Units>,
    /// journald has cut the line.
    pub(crate) breaks: bool,
}

impl StreamMarks {
    /// Returns the marks of an entry that has the fields of both.
    pub(crate) fn or(self, other: StreamMarks) -> StreamMarks {
        StreamMarks { stream: self.stream.or(other.stream), breaks: self.breaks || other.breaks }
    }
}

/// The noted fields of all files of a reader.
#[derive(Debug)]
pub(crate) struct StreamFields {
    fields: ByKey<StreamField>,
    /// A bit for each offset, by its hash. Most offsets are settled by it.
    likely: [u64; WORDS],
    /// By file, the last noted field.
    newest: Vec<Units>,
}

impl Default for StreamFields {
    fn default() -> StreamFields {
        StreamFields { fields: ByKey::default(), likely: [0; WORDS], newest: Vec::new() }
    }
}

/// Returns the word and the bit of an offset.
#[inline]
fn place(at: Units) -> (usize, u64) {
    let hash = at.0.wrapping_mul(0x9e37_79b9) >> 20;
    (hash as usize / 64 % WORDS, 1 << (hash % 64))
}

impl StreamFields {
    /// Returns whether no more fields can be noted before [`StreamFields::clear`].
    pub(crate) fn is_full(&self) -> bool {
        self.fields.len() >= FIELDS
    }

    /// Forgets all fields.
    pub(crate) fn clear(&mut self) {
        self.fields.clear();
        self.likely.fill(0);
        self.newest.clear();
    }

    /// Notes a field of a file.
    pub(crate) fn note(&mut self, file: usize, at: Units, field: StreamField) {
        self.fields.insert(key(file, at), field);
        let (word, bit) = place(at);
        self.likely[word] |= bit;
        if self.newest.len() <= file {
            self.newest.resize(file + 1, Units::NONE);
        }
        if let Some(newest) = self.newest.get_mut(file) {
            *newest = at.max(*newest);
        }
    }

    /// Returns whether a noted field of a file lies after an offset.
    #[inline]
    pub(crate) fn has_after(&self, file: usize, at: Units) -> bool {
        self.newest.get(file).is_some_and(|newest| *newest > at)
    }

    /// Returns the marks that the noted fields among these give to an entry. Of several streams, the first one counts.
    pub(crate) fn marks(&self, file: usize, items: &[Units]) -> StreamMarks {
        let mut marks = StreamMarks::default();
        if self.fields.is_empty() {
            return marks;
        }
        let may_be_noted = |at: &&Units| {
            let (word, bit) = place(**at);
            self.likely[word] & bit != 0
        };
        for at in items.iter().filter(may_be_noted) {
            match self.fields.get(&key(file, *at)) {
                Some(StreamField::Stream) => marks.stream = marks.stream.or(Some(*at)),
                Some(StreamField::LineBreak) => marks.breaks = true,
                None => {}
            }
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noted_fields_mark_the_entries_of_their_file() {
        let mut fields = StreamFields::default();
        assert_eq!(fields.marks(0, &[1, 2, 3].map(Units)), StreamMarks::default());
        for (file, at, name) in [(1, 2, STREAM_ID), (1, 7, STREAM_ID), (1, 5, LINE_BREAK), (0, 9, STREAM_ID)] {
            fields.note(file, Units(at), StreamField::of(name).unwrap());
        }
        assert_eq!([b"MESSAGE".as_slice(), b"_STREAM_IDS", b"_STREAM_IE"].map(StreamField::of), [None; 3]);
        let stream = StreamMarks { stream: Some(Units(2)), breaks: false };
        assert_eq!(fields.marks(1, &[1, 2, 7].map(Units)), stream);
        let line_break = fields.marks(1, &[5, 9].map(Units));
        assert_eq!(line_break, StreamMarks { stream: None, breaks: true });
        assert_eq!(stream.or(line_break), StreamMarks { stream: Some(Units(2)), breaks: true });
        assert!(fields.has_after(1, Units(6)) && !fields.has_after(1, Units(7)) && !fields.has_after(2, Units(0)));
        fields.clear();
        assert!(!fields.has_after(1, Units(0)));
    }
}
