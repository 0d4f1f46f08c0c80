//! The entries of a file that journald has cut, which have a `_LINE_BREAK`: listed once by the index, so that the entries
//! before an entry need not be read for it.

use std::sync::Arc;

use crate::file::JournalFile;
use crate::layout::HeaderState;
use crate::offset::Units;
use crate::stream_fields::LINE_BREAK;

/// The largest number of entries that are listed, 1 MiB of them.
const LISTED: usize = 1 << 18;

/// The entries of a file that have a `_LINE_BREAK`.
#[derive(Clone, Debug)]
pub(crate) enum LineBreaks {
    /// They are not listed, so entries are read.
    Unlisted,
    /// These entries, in the order of the file.
    Listed(Arc<[Units]>),
}

impl LineBreaks {
    /// Lists the entries of a file that nobody writes. Damage is not counted, because entries are read for themselves
    /// as well.
    pub(crate) fn of(file: &mut JournalFile) -> LineBreaks {
        // A writer that died may have left its tables incomplete.
        if file.header().state == HeaderState::Online || file.damages().truncated {
            return LineBreaks::Unlisted;
        }
        if !file.may_have(LINE_BREAK) {
            return LineBreaks::Listed(Arc::new([]));
        }
        let damages = file.damages.clone();
        let entries = list(file);
        file.damages = damages;
        entries.map_or(LineBreaks::Unlisted, |entries| LineBreaks::Listed(entries.into()))
    }

    /// Returns whether no entry has one.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, LineBreaks::Listed(entries) if entries.is_empty())
    }

    /// Returns whether an entry may have one, from the entry at `start` to the one before `end`.
    pub(crate) fn may_lie_in(&self, start: Units, end: Units) -> bool {
        let LineBreaks::Listed(entries) = self else { return true };
        entries.get(entries.partition_point(|at| *at < start)).is_some_and(|at| *at < end)
    }

    /// Returns whether an entry has one, if the entries are listed.
    pub(crate) fn has(&self, at: Units) -> Option<bool> {
        match self {
            LineBreaks::Unlisted => None,
            LineBreaks::Listed(entries) => Some(entries.binary_search(&at).is_ok()),
        }
    }
}

/// Returns the entries with a `_LINE_BREAK`, or `None` if the index is damaged or there are too many.
fn list(file: &mut JournalFile) -> Option<Vec<Units>> {
    let mut reasons = Vec::new();
    let is_complete = file.values(LINE_BREAK, |_, at| reasons.push(at)).ok()?;
    let mut entries = Vec::new();
    for reason in reasons {
        file.postings(reason, &mut entries).ok()?;
        if entries.len() > LISTED {
            return None;
        }
    }
    entries.sort();
    is_complete.then_some(entries)
}
