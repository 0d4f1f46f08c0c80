//! Names the inputs in which a run of `katalog ship --once` found nothing new.

use std::fs;
use std::path::Path;

use super::Plan;
use super::tally::Tally;
use crate::source::{Group, Source};

/// Returns the names of the inputs that an earlier run has read to their present ends. The source was read to its end.
pub(super) fn unchanged_inputs(plan: &Plan<'_>, group: &Group, source: &dyn Source, tally: &Tally) -> Vec<String> {
    match group {
        Group::Files(named) => {
            // The user's name of a file is shorter than its whole path.
            let name = |path: &Path| {
                let named = named.iter().find(|named| fs::canonicalize(named).is_ok_and(|named| named == path));
                named.map_or_else(|| format!("{path:?}"), |named| format!("{named:?}"))
            };
            source.unchanged().iter().map(|path| name(path)).collect()
        }
        Group::Journal(paths) if plan.journal.is_resumed() && tally.is_without_news() => {
            let own = plan.journal.of_this_machine.then(|| "the journal of this machine".to_owned());
            own.into_iter().chain(paths.iter().map(|path| format!("{path:?}"))).collect()
        }
        _ => Vec::new(),
    }
}
