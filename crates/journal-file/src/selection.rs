//! The choice of entries and fields: a program's filter, a range of entries, and matches on fields.

use crate::entry_range::Range;
use crate::settings::Settings;

/// A filter for the entries and fields of a journal. It may admit too much, never too little.
pub trait EntryFilter: Sync {
    /// Returns whether all entries are wanted, whoever wrote them.
    fn everything(&self) -> bool;

    /// Returns whether entries with this identifier (`SYSLOG_IDENTIFIER`) may be wanted.
    fn entries_of(&self, identifier: &[u8]) -> bool;

    /// Returns the fields, each as a name and a value, of which an entry without an identifier needs one to be wanted.
    /// An entry with an identifier is judged by its identifier alone.
    fn entries_without_identifier(&self) -> &[(&str, &str)] {
        &[]
    }

    /// Returns whether an entry is wanted, judged by its identifier and its message. An entry without an identifier has
    /// an empty one here.
    fn entry(&self, identifier: &[u8], message: &[u8]) -> bool;

    /// Returns whether entries with this identifier surely make records, unless a field [makes them
    /// doubtful](EntryFilter::makes_doubtful).
    fn makes_record(&self, _identifier: &[u8]) -> bool {
        false
    }

    /// Returns whether a field of this name makes an entry doubtful, whatever its identifier.
    fn makes_doubtful(&self, _name: &[u8]) -> bool {
        false
    }

    /// Returns whether fields of this name are wanted.
    fn field(&self, name: &[u8]) -> bool;

    /// Returns whether entries need to know what they continue. Otherwise each one is
    /// [`Continuation::Whole`](crate::Continuation::Whole).
    fn needs_continuations(&self) -> bool {
        true
    }

    /// Returns whether a message ends within a text that must stay hidden. Such a text continues in the next entries of
    /// the stream (`_STREAM_ID`), which are [`Continuation::Withheld`](crate::Continuation::Withheld) until one
    /// [proves itself](EntryFilter::proves_itself) and does not follow a `_LINE_BREAK`. They end at the latest after
    /// 1 MiB of withheld messages or 256 withheld entries. A message of more than 1 MiB, or one that may be cut, is not passed to the filter: it
    /// counts as open if an empty message does not prove itself.
    fn leaves_open(&self, _message: &[u8]) -> bool {
        false
    }

    /// Returns whether a message begins as only a whole line can. A message that does costs no look at the entries
    /// before it, except in a file that has lines cut by journald.
    fn proves_itself(&self, _message: &[u8]) -> bool {
        true
    }
}

/// The filter that admits every entry and every field.
pub(crate) struct Unfiltered;

impl EntryFilter for Unfiltered {
    fn everything(&self) -> bool {
        true
    }

    fn entries_of(&self, _: &[u8]) -> bool {
        true
    }

    fn entry(&self, _: &[u8], _: &[u8]) -> bool {
        true
    }

    fn field(&self, _: &[u8]) -> bool {
        true
    }
}

/// Matches on fields: one alternative has to hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matches {
    pub(crate) alternatives: Vec<Vec<FieldMatch>>,
    /// The next match starts another alternative.
    starts: bool,
}

/// A match on one field: the field has one of the values.
#[derive(Clone, Debug)]
pub(crate) struct FieldMatch {
    pub(crate) name: Vec<u8>,
    /// The values, each as `NAME=value`.
    pub(crate) payloads: Vec<Vec<u8>>,
}

impl Matches {
    /// Returns whether every entry matches.
    pub(crate) fn is_empty(&self) -> bool {
        self.alternatives.is_empty()
    }

    /// Adds a match to the last alternative (systemd: `sd_journal_add_match`).
    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) {
        if std::mem::take(&mut self.starts) || self.alternatives.is_empty() {
            self.alternatives.push(Vec::new());
        }
        let payload = [name, b"=", value].concat();
        let Some(fields) = self.alternatives.last_mut() else { return };
        match fields.iter_mut().find(|field| field.name == name) {
            Some(field) => field.payloads.push(payload),
            None => fields.push(FieldMatch { name: name.to_owned(), payloads: vec![payload] }),
        }
    }

    /// Lets the next match start another alternative (systemd: `sd_journal_add_disjunction`).
    pub(crate) fn or(&mut self) {
        self.starts = true;
    }

    /// Returns the matches of all alternatives, one after the other. Their numbers in this list identify them.
    pub(crate) fn flat(&self) -> impl Iterator<Item = &FieldMatch> {
        self.alternatives.iter().flatten()
    }

    /// Returns whether an alternative holds, given the matches of [`Matches::flat`] that hold.
    pub(crate) fn hold(&self, held: &[bool]) -> bool {
        let mut rest = held;
        self.alternatives.iter().any(|fields| {
            let (own, others) = rest.split_at_checked(fields.len()).unwrap_or_default();
            rest = others;
            own.iter().all(|held| *held)
        })
    }
}

/// The entries and fields to read.
#[derive(Clone)]
pub(crate) struct Selection<'r> {
    pub(crate) filter: &'r dyn EntryFilter,
    pub(crate) range: Range,
    pub(crate) matches: Matches,
    /// The number of bytes to which a value is cut.
    pub(crate) max_value: usize,
    /// Larger values stay in their files instead.
    pub(crate) keeps_large: bool,
}

impl<'r> Selection<'r> {
    /// Returns the selection of a filter by these settings, without matches.
    pub(crate) fn new(filter: &'r dyn EntryFilter, settings: &Settings) -> Selection<'r> {
        let Settings { range, max_value, keeps_large, .. } = *settings;
        Selection { filter, range, matches: Matches::default(), max_value, keeps_large }
    }

    /// Returns the limit on the fields of all entries of a batch, as a multiple of its size. Output grows with the fields
    /// of each entry, even where entries share large ones. The last entry may exceed the limit.
    pub(crate) fn shared(&self) -> usize {
        // Values that are shown whole may take four bytes for one.
        if self.keeps_large { 4 } else { 16 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_field_are_alternatives_and_fields_are_not() {
        let mut matches = Matches::default();
        assert!(matches.is_empty());
        matches.or();
        for (name, value) in [("A", "1"), ("B", "1"), ("A", "2")] {
            matches.add(name.as_bytes(), value.as_bytes());
        }
        matches.or();
        matches.or();
        matches.add(b"C", b"1");
        matches.or();
        let flat: Vec<_> = matches.flat().map(|field| (field.name.clone(), field.payloads.len())).collect();
        assert_eq!(flat, [(b"A".to_vec(), 2), (b"B".to_vec(), 1), (b"C".to_vec(), 1)]);
        for (held, holds) in [
            ([true, true, false], true),
            ([true, false, false], false),
            ([false, true, false], false),
            ([false, false, true], true),
        ] {
            assert_eq!(matches.hold(&held), holds, "{held:?}");
        }
    }
}
