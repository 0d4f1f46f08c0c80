//! The content of the state file, and the moves of its positions.

use serde::{Deserialize, Serialize};

use crate::source::position::{FilePosition, JournalPosition, Position};

/// The version of the layout. Files of another version are refused.
const VERSION: u32 = 1;

/// The maximum number of remembered log files. Beyond it the files that were read least recently are forgotten.
const MAX_FILES: usize = 4096;

/// The content of the state file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedState {
    /// The version of the layout. The key also tells which program the file belongs to.
    katalog: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) journal: Option<JournalPosition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<FilePosition>,
}

impl Default for SavedState {
    /// Returns a state without positions.
    fn default() -> SavedState {
        SavedState { katalog: VERSION, journal: None, files: Vec::new() }
    }
}

impl SavedState {
    /// Parses the content of a state file. On failure returns the reason.
    pub(super) fn parse(bytes: &[u8]) -> Result<SavedState, String> {
        // The version comes first, because another version may have other fields.
        #[derive(Deserialize)]
        struct VersionOnly {
            katalog: u32,
        }
        let head: VersionOnly = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if head.katalog != VERSION {
            return Err(format!("it has version {}, and this katalog knows only {VERSION}", head.katalog));
        }
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// Moves on to a position. Returns whether anything has changed.
    pub(super) fn advance(&mut self, position: Position) -> bool {
        match position {
            Position::Journal(position) => {
                let changed = self.journal.as_ref() != Some(&position);
                self.journal = Some(position);
                changed
            }
            Position::Files(files) => {
                let changed = !files.is_empty();
                for mut position in files {
                    // The origin identifies a file under any name. Files are sorted by the time when they were read
                    // last.
                    if let Some(known) = self.take_file(&position.origin) {
                        position.length = newest_length(&known, &position);
                    }
                    if !position.gone {
                        self.files.push(position);
                    }
                }
                self.forget_oldest();
                changed
            }
        }
    }

    /// Adds files, or replaces what is known of them. Their offsets do not move.
    pub(super) fn note_files(&mut self, files: Vec<FilePosition>) {
        for file in files {
            let known = self.take_file(&file.origin);
            let (offset, open_streams, over) = match known {
                Some(known) => (known.offset, known.open_streams, known.over),
                None => (0, Vec::new(), false),
            };
            self.files.push(FilePosition { offset, open_streams, over, ..file });
        }
        self.forget_oldest();
    }

    /// Takes out the position with this origin.
    fn take_file(&mut self, origin: &str) -> Option<FilePosition> {
        let index = self.files.iter().position(|known| known.origin == origin)?;
        Some(self.files.remove(index))
    }

    fn forget_oldest(&mut self) {
        let spare = self.files.len().saturating_sub(MAX_FILES);
        self.files.drain(..spare);
    }
}

/// Returns the length of a file at a new position. The file may have grown since the batch was read.
fn newest_length(known: &FilePosition, position: &FilePosition) -> u64 {
    if known.length > position.offset { known.length.max(position.length) } else { position.length }
}
