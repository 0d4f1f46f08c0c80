//! The positions of servers that each get everything. A server has its own positions only where it is ahead of what all
//! servers have.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::source::position::{FilePosition, JournalPosition, Position};

/// The positions of a server where it is ahead of the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerPositions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) journal: Option<JournalPosition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<FilePosition>,
}

impl ServerPositions {
    /// Returns the position in a file.
    pub(super) fn file(&self, origin: &str) -> Option<&FilePosition> {
        self.files.iter().find(|file| file.origin == origin)
    }

    /// Replaces the position in a file.
    pub(super) fn set_file(&mut self, file: FilePosition) {
        self.forget_file(&file.origin);
        self.files.push(file);
    }

    /// Removes the position in a file.
    pub(super) fn forget_file(&mut self, origin: &str) {
        self.files.retain(|file| file.origin != origin);
    }

    /// Removes a position that all servers have.
    pub(super) fn remove_file_at(&mut self, all: &FilePosition) {
        self.files.retain(|file| file.origin != all.origin || progress(file) != progress(all));
    }
}

/// The records that a server has although reading begins before them, as of the start of a run.
#[derive(Debug, Default)]
pub struct Lead {
    /// The last number that the server has, by `seqnum_id`.
    journal: Option<BTreeMap<String, u64>>,
    /// The offset in each file up to which the server has the records.
    files: HashMap<String, u64>,
    /// The offset in each file up to which this run has read.
    read: HashMap<String, u64>,
}

impl Lead {
    /// Returns the lead of a server. `all` has the positions of all servers.
    pub(super) fn new(server: &ServerPositions, all: &[FilePosition]) -> Lead {
        let offset = |file: &FilePosition| (file.origin.clone(), file.offset);
        let files: HashMap<_, _> = server.files.iter().map(offset).collect();
        let read = all.iter().filter(|file| files.contains_key(&file.origin)).map(offset).collect();
        Lead { journal: server.journal.as_ref().map(|journal| journal.passed.clone()), files, read }
    }

    /// Returns whether the server has the records of a batch, which ends at this position. Positions come in the order
    /// of the reading. A batch that ends beyond the lead is new as a whole.
    pub fn has(&mut self, position: &Position) -> bool {
        match position {
            Position::Journal(position) => {
                let has = self.journal.as_ref().is_some_and(|passed| is_within(&position.passed, passed));
                self.journal.take_if(|_| !has);
                has
            }
            Position::Files(_) if self.files.is_empty() => false,
            Position::Files(files) => {
                let mut has = false;
                for file in files {
                    // The position of a file may come again, for example because the file was renamed.
                    if file.offset <= self.read.get(&file.origin).copied().unwrap_or(0) {
                        continue;
                    }
                    self.read.insert(file.origin.clone(), file.offset);
                    has = self.files.get(&file.origin).is_some_and(|passed| file.offset <= *passed);
                    if !has {
                        self.files.remove(&file.origin);
                        return false;
                    }
                }
                has
            }
        }
    }
}

/// Returns the order of positions in one file.
fn progress(file: &FilePosition) -> (bool, u64, bool) {
    (file.gone, file.offset, file.over)
}

/// Returns whether a position in a file is after the known one.
pub(super) fn is_later(known: &FilePosition, file: &FilePosition) -> bool {
    progress(known) <= progress(file) && known != file
}

/// Returns the position before the first byte of a file.
pub(super) fn beginning(file: &FilePosition) -> FilePosition {
    FilePosition {
        offset: 0,
        length: file.length.max(file.offset),
        open_streams: Vec::new(),
        over: false,
        gone: false,
        ..file.clone()
    }
}

/// Returns the least of the positions in one file; `None` without positions.
pub(super) fn least_file(files: &[&FilePosition]) -> Option<FilePosition> {
    files.iter().min_by_key(|file| progress(file)).map(|file| (*file).clone())
}

/// Returns a position in journals that is after the known one; `None` if the known one has everything. No number becomes
/// smaller.
pub(super) fn later(known: Option<&JournalPosition>, mut position: JournalPosition) -> Option<JournalPosition> {
    let Some(known) = known else { return Some(position) };
    if is_within(&position.passed, &known.passed) {
        return None;
    }
    for (id, number) in &mut position.passed {
        *number = known.passed.get(id).copied().unwrap_or(0).max(*number);
    }
    Some(position)
}

/// Returns what all positions in journals have; `None` without positions.
pub(super) fn least(journals: &[&JournalPosition]) -> Option<JournalPosition> {
    let (first, others) = journals.split_first()?;
    let in_all = |(id, number): (&String, &u64)| {
        let numbers = others.iter().map(|other| other.passed.get(id).copied());
        Some((id.clone(), numbers.chain([Some(*number)]).min().flatten()?))
    };
    let passed: BTreeMap<String, u64> = first.passed.iter().filter_map(in_all).collect();
    // The numbers decide. The cursor is for people, and belongs to one of the servers.
    let same = journals.iter().find(|journal| journal.passed == passed);
    let cursor = same.or(journals.first()).and_then(|journal| journal.cursor.clone());
    Some(JournalPosition { cursor, passed })
}

/// Returns whether all entries before one position are before the other.
fn is_within(passed: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>) -> bool {
    passed.iter().all(|(id, number)| other.get(id).is_some_and(|other| number <= other))
}

#[cfg(test)]
mod tests;
