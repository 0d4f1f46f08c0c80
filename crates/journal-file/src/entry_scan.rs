//! The check of entries one by one, for files whose index cannot be trusted.

use std::collections::HashMap;

use crate::file::JournalFile;
use crate::offset::Units;
use crate::selection::{EntryFilter, Matches, Selection};

/// The name of the field that identifies the writer of an entry.
pub(crate) const IDENTIFIER: &[u8] = b"SYSLOG_IDENTIFIER";
/// The name of the field of the text.
pub(crate) const MESSAGE: &[u8] = b"MESSAGE";

/// The largest number of fields whose verdicts are remembered.
const VERDICTS: usize = 1 << 16;

/// A verdict on a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// An identifier, wanted or not.
    Identifier(bool),
    /// A field that makes entries without an identifier wanted.
    Substitute,
    /// Any other field.
    Other,
}

/// The conditions to check on each entry of a file, and the verdicts on fields seen before.
#[derive(Debug, Default)]
pub(crate) struct EntryScan {
    /// Entries need a wanted identifier.
    pub(crate) identifiers: bool,
    /// Entries have to match.
    pub(crate) matches: bool,
    /// By field, what it says about the identifier of its entries.
    verdicts: HashMap<Units, Verdict>,
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

    /// Returns the approximate number of bytes that the verdicts take.
    pub(crate) fn held(&self) -> usize {
        self.verdicts.capacity() * size_of::<(Units, Verdict)>()
            + self.satisfied.capacity() * size_of::<(Units, Vec<usize>)>()
    }

    /// Frees the memory of the verdicts.
    pub(crate) fn release(&mut self) {
        (self.verdicts, self.satisfied) = (HashMap::new(), HashMap::new());
    }

    /// Returns whether an entry with these fields satisfies the conditions.
    pub(crate) fn admits(&mut self, file: &mut JournalFile, items: &[Units], selection: &Selection<'_>) -> bool {
        (!self.identifiers || self.is_wanted(file, items, selection.filter))
            && (!self.matches || self.is_matched(file, items, &selection.matches))
    }

    /// Returns whether an entry has a wanted identifier, or none and a field in place of it. Of several identifiers, one
    /// suffices.
    fn is_wanted(&mut self, file: &mut JournalFile, items: &[Units], filter: &dyn EntryFilter) -> bool {
        let verdicts = &mut self.verdicts;
        if verdicts.len() > VERDICTS {
            verdicts.clear();
        }
        let (mut wanted, mut has_identifier, mut has_substitute) = (false, false, false);
        for at in items {
            match *verdicts.entry(*at).or_insert_with(|| verdict(file, *at, filter)) {
                Verdict::Identifier(is_wanted) => (wanted, has_identifier) = (wanted || is_wanted, true),
                Verdict::Substitute => has_substitute = true,
                Verdict::Other => {}
            }
        }
        wanted || has_substitute && !has_identifier
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

/// Returns the verdict on a field.
fn verdict(file: &mut JournalFile, at: Units, filter: &dyn EntryFilter) -> Verdict {
    let substitutes = filter.entries_without_identifier();
    let mut field = Vec::new();
    let named = |name: &[u8]| name == IDENTIFIER || substitutes.iter().any(|(other, _)| name == other.as_bytes());
    let Ok(data) = file.data(at, &mut field, named) else { return Verdict::Other };
    let (name, value) = field.split_at(data.name_len.min(field.len()));
    let value = value.get(1..).unwrap_or_default();
    match name {
        IDENTIFIER => Verdict::Identifier(filter.entries_of(value)),
        _ if substitutes.iter().any(|(other, text)| (other.as_bytes(), text.as_bytes()) == (name, value)) => {
            Verdict::Substitute
        }
        _ => Verdict::Other,
    }
}
