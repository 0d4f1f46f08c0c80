//! The check of entries one by one, for files whose index cannot be trusted.

use std::collections::HashMap;

use crate::file::JournalFile;
use crate::offset::Units;
use crate::selection::{EntryFilter, Matches, Selection};

/// The name of the field that identifies the writer of an entry.
pub(crate) const IDENTIFIER: &[u8] = b"SYSLOG_IDENTIFIER";

/// The largest number of fields whose verdicts are remembered.
const VERDICTS: usize = 1 << 16;

/// The conditions to check on each entry of a file, and the verdicts on fields seen before.
#[derive(Debug, Default)]
pub(crate) struct EntryScan {
    /// Entries need a wanted identifier.
    pub(crate) identifiers: bool,
    /// Entries have to match.
    pub(crate) matches: bool,
    /// By field, whether it is a wanted identifier. `None` for other fields.
    verdicts: HashMap<Units, Option<bool>>,
    /// By field, the numbers of the matches that it satisfies.
    satisfied: HashMap<Units, Vec<usize>>,
    /// The matches that hold for the current entry.
    held: Vec<bool>,
}

impl EntryScan {
    /// Returns whether entries have to be checked.
    #[inline]
    pub(crate) fn is_needed(&self) -> bool {
        self.identifiers || self.matches
    }

    /// Returns a scan for the same conditions without any verdicts.
    pub(crate) fn fresh(&self) -> EntryScan {
        EntryScan { identifiers: self.identifiers, matches: self.matches, ..EntryScan::default() }
    }

    /// Returns whether an entry with these fields satisfies the conditions.
    pub(crate) fn admits(&mut self, file: &mut JournalFile, items: &[Units], selection: &Selection<'_>) -> bool {
        (!self.identifiers || self.is_wanted(file, items, selection.filter))
            && (!self.matches || self.is_matched(file, items, &selection.matches))
    }

    /// Returns whether a field is a wanted identifier. Of several identifiers, one suffices.
    fn is_wanted(&mut self, file: &mut JournalFile, items: &[Units], filter: &dyn EntryFilter) -> bool {
        let verdicts = &mut self.verdicts;
        if verdicts.len() > VERDICTS {
            verdicts.clear();
        }
        let mut wanted = false;
        for at in items {
            let verdict = *verdicts.entry(*at).or_insert_with(|| {
                let mut field = Vec::new();
                let data = file.data(*at, &mut field, |name| name == IDENTIFIER).ok()?;
                data.wanted.then(|| field.get(IDENTIFIER.len() + 1..).is_some_and(|value| filter.entries_of(value)))
            });
            wanted |= verdict == Some(true);
        }
        wanted
    }

    fn is_matched(&mut self, file: &mut JournalFile, items: &[Units], matches: &Matches) -> bool {
        let EntryScan { satisfied, held, .. } = self;
        if satisfied.len() > VERDICTS {
            satisfied.clear();
        }
        held.clear();
        held.resize(matches.flat().count(), false);
        for at in items {
            let numbers = satisfied.entry(*at).or_insert_with(|| {
                let mut payload = Vec::new();
                let named = |name: &[u8]| matches.flat().any(|field| field.name == name);
                if file.data(*at, &mut payload, named).is_err() || payload.is_empty() {
                    return Vec::new();
                }
                let fields = matches.flat().enumerate().filter(|(_, field)| field.payloads.contains(&payload));
                fields.map(|(number, _)| number).collect()
            });
            for number in numbers {
                if let Some(held) = held.get_mut(*number) {
                    *held = true;
                }
            }
        }
        matches.hold(held)
    }
}
