//! Resumes logs from saved positions: they are searched for like logs that were lost during the run.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::listing;
use super::log::Log;
use super::{FilesSource, HeldFile, MAX_SEARCHES};
use crate::source::position::FilePosition;
use crate::source::{Input, SourceError};

impl FilesSource {
    /// Opens the logs, also those of files that another source held. Returns the errors.
    pub(super) fn resume(&mut self, saved: &[FilePosition], held: &[HeldFile]) -> Vec<SourceError> {
        self.logs = furthest(saved).into_iter().map(Log::saved).collect();
        let mut errors = self.search_with(held);
        if self.follow {
            errors.retain(|error| !listing::is_missing(error));
        } else {
            // There is no later opportunity to search.
            for _ in 1..MAX_SEARCHES {
                self.search();
            }
        }
        for error in &errors {
            if let SourceError::Open { input: Input::File(path), .. }
            | SourceError::Read { input: Input::File(path), .. }
            | SourceError::Journal { input: Input::File(path) }
            | SourceError::Foreign { input: Input::File(path), .. }
            | SourceError::Directory { input: Input::File(path) } = error
            {
                self.refused.insert(path.clone());
            }
        }
        // The position at the start has all logs. A part of it would make the others look like newer ones.
        self.logs.iter_mut().for_each(|log| log.noted = Some(log.length));
        // Older content comes first.
        self.logs.sort_by_cached_key(|log| {
            let modified = log.tail().and_then(|tail| tail.stamp().ok()?.1);
            let modified = modified.unwrap_or(SystemTime::UNIX_EPOCH);
            // A partially read log is older than an unread one.
            (log.rotated_at.is_none(), log.offset == 0, modified, log.path.clone())
        });
        errors
    }
}

/// Returns the furthest position of each log.
fn furthest(saved: &[FilePosition]) -> Vec<&FilePosition> {
    let mut furthest: BTreeMap<&str, &FilePosition> = BTreeMap::new();
    for position in saved {
        let known = furthest.entry(&position.origin).or_insert(position);
        if position.offset >= known.offset {
            *known = position;
        }
    }
    furthest.into_values().collect()
}
