//! Positions in spool files: of the input after the records of a file.
//!
//! After a kill the next run begins there, because the spool has everything before. After a crash of the host, files that
//! were not synced may be missing, so a position counts only during the boot in which it was written. Another state
//! directory has its own positions.

use std::fs;
use std::sync::{Mutex, OnceLock};

use serde::{Deserialize, Serialize};

use crate::delivery::checkpoint::Checkpoint;
use crate::source::position::{FilePosition, JournalPosition, Position};

/// The number of this boot of the host.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The positions in the files of a spool.
#[derive(Debug, Default)]
pub(in crate::delivery) struct SpoolPositions {
    /// The validity of positions that this run writes; not set if it has no state directory.
    validity: OnceLock<Validity>,
    /// The checkpoint has the positions of all files below this number.
    pub(in crate::delivery) moved: Mutex<u64>,
}

/// The boot of the host, and the state directory as device and inode of its lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Validity {
    boot: String,
    state: (u64, u64),
}

/// The position in a spool file. Unlike in memory, no file is `gone`.
#[derive(Debug, Serialize, Deserialize)]
struct StoredPosition {
    validity: Validity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    journal: Option<JournalPosition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<FilePosition>,
}

impl SpoolPositions {
    /// Begins to write positions, if the run keeps any.
    pub(super) fn begin(&self, checkpoint: &Checkpoint) {
        let boot = fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned();
        if let Some(state) = checkpoint.identity().filter(|_| !boot.is_empty()) {
            _ = self.validity.set(Validity { boot, state });
        }
    }

    /// Serializes a position. Returns `None` if the run keeps no positions.
    pub(in crate::delivery) fn serialized(&self, position: Position) -> Option<Vec<u8>> {
        let validity = self.validity.get()?.clone();
        let (journal, mut files) = match position {
            Position::Journal(journal) => (Some(journal), Vec::new()),
            Position::Files(files) => (None, files),
        };
        // The loss of a file that is gone was reported.
        files.iter_mut().for_each(|file| file.over |= file.gone);
        serde_json::to_vec(&StoredPosition { validity, journal, files }).ok()
    }

    /// Parses a position. Returns `None` if it is not valid for this run.
    pub(super) fn parsed(&self, bytes: &[u8]) -> Option<Position> {
        let stored: StoredPosition = serde_json::from_slice(bytes).ok()?;
        let valid = self.validity.get().is_some_and(|own| *own == stored.validity);
        let position = stored.journal.map_or(Position::Files(stored.files), Position::Journal);
        valid.then_some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(number: u64) -> Position {
        let passed = [("0123456789abcdef0123456789abcdef".to_owned(), number)].into();
        Position::Journal(JournalPosition { cursor: None, passed })
    }

    #[test]
    fn a_position_counts_for_its_boot_and_its_state() {
        let directory = tempfile::tempdir().unwrap();
        let positions = SpoolPositions::default();
        assert_eq!(positions.serialized(journal(1)), None, "nothing is begun");
        positions.begin(&Checkpoint::forgetful());
        assert_eq!(positions.serialized(journal(1)), None, "no position is kept");
        positions.begin(&Checkpoint::open(directory.path()).unwrap());
        let text = positions.serialized(journal(1)).unwrap();
        assert_eq!(positions.parsed(&text), Some(journal(1)));
        for key in ["boot", "state"] {
            let mut other: serde_json::Value = serde_json::from_slice(&text).unwrap();
            let value = &mut other["validity"][key];
            *value = if value.is_string() { "another".into() } else { serde_json::json!([1, 2]) };
            assert_eq!(positions.parsed(other.to_string().as_bytes()), None, "{key}");
        }
        assert_eq!(positions.parsed(b"{}"), None);
    }
}
