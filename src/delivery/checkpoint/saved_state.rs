//! The content of the state file, and the moves of its positions.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::server_positions::{self, ServerPositions};
use crate::source::position::{FilePosition, JournalPosition, Position};

/// The version of the layout. Files of another version are refused.
const VERSION: u32 = 1;

/// The maximum number of remembered log files. Beyond it the files that were read least recently are forgotten.
const MAX_FILES: usize = 4096;

/// The content of the state file. With several servers that each get everything, `journal` and `files` are what all of
/// them have, and reading begins there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedState {
    /// The version of the layout. The key also tells which program the file belongs to.
    katalog: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) journal: Option<JournalPosition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<FilePosition>,
    /// The servers that each get everything, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) servers: BTreeMap<String, ServerPositions>,
}

impl Default for SavedState {
    /// Returns a state without positions.
    fn default() -> SavedState {
        SavedState { katalog: VERSION, journal: None, files: Vec::new(), servers: BTreeMap::new() }
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

    /// Moves on to a position, except where the state is past it. Returns whether anything has changed.
    pub(super) fn catch_up(&mut self, position: Position) -> bool {
        match position {
            Position::Journal(position) => {
                let later = server_positions::later(self.journal.as_ref(), position);
                later.is_some_and(|position| self.advance(Position::Journal(position)))
            }
            Position::Files(mut files) => {
                let known = |file: &FilePosition| self.files.iter().find(|known| known.origin == file.origin);
                files.retain(|file| known(file).is_none_or(|known| server_positions::is_later(known, file)));
                // A rename is noted at once, so the known path is the newer one.
                for file in &mut files {
                    file.path = known(file).map_or_else(|| file.path.clone(), |known| known.path.clone());
                }
                self.advance(Position::Files(files))
            }
        }
    }

    /// Adds files, or replaces what is known of them. Their offsets do not move.
    pub(super) fn note_files(&mut self, files: Vec<FilePosition>) {
        for file in files {
            let known = self.take_file(&file.origin);
            let (offset, length, open_streams, over) = match known {
                Some(known) => (known.offset, known.length, known.open_streams, known.over),
                None => (0, 0, Vec::new(), false),
            };
            // A compressed copy is shorter than its log.
            let length = length.max(file.length);
            self.files.push(FilePosition { offset, length, open_streams, over, ..file });
        }
        self.forget_oldest();
    }

    /// Sets the servers that each get everything; none if they share the records. A new server begins with what all
    /// servers have. Returns the names of servers that are dropped.
    pub(super) fn set_servers(&mut self, names: &[String]) -> Vec<String> {
        let named: HashSet<&String> = names.iter().collect();
        let dropped = self.servers.keys().filter(|name| !named.contains(name)).cloned().collect();
        self.servers.retain(|name, _| named.contains(name));
        for name in names {
            self.servers.entry(name.clone()).or_default();
        }
        // The server that was behind all others may be among the dropped ones.
        self.advance_journal_to_least();
        let origins = self.servers.values().flat_map(|server| &server.files).map(|file| file.origin.clone());
        let origins: HashSet<String> = origins.collect();
        origins.iter().for_each(|origin| self.advance_file_to_least(origin));
        dropped
    }

    /// Moves a server on to a position, and then the position of all servers. Neither moves back. Returns whether
    /// anything has changed.
    pub(super) fn advance_server(&mut self, name: &str, position: Position) -> bool {
        let Some(server) = self.servers.get_mut(name) else { return false };
        match position {
            Position::Journal(position) => {
                let known = server.journal.as_ref().or(self.journal.as_ref());
                let Some(position) = server_positions::later(known, position) else { return false };
                server.journal = Some(position);
                self.advance_journal_to_least();
                true
            }
            Position::Files(files) => {
                let mut changed = false;
                for file in files {
                    changed |= self.advance_server_file(name, file);
                }
                self.forget_oldest();
                changed
            }
        }
    }

    fn advance_server_file(&mut self, name: &str, file: FilePosition) -> bool {
        let origin = file.origin.clone();
        let Some(server) = self.servers.get_mut(name) else { return false };
        let all = self.files.iter().find(|known| known.origin == origin);
        let own = server.file(&origin).or(all);
        if own.is_some_and(|own| !server_positions::is_later(own, &file)) {
            return false;
        }
        if all.is_none() {
            // The other servers have nothing of the file.
            self.files.push(server_positions::beginning(&file));
        }
        server.set_file(file);
        self.advance_file_to_least(&origin);
        true
    }

    /// Moves the position in journals to what all servers have.
    fn advance_journal_to_least(&mut self) {
        // A server without a position of its own is where all are.
        let journals: Option<Vec<_>> = self.servers.values().map(|server| server.journal.as_ref()).collect();
        let Some(least) = journals.and_then(|journals| server_positions::least(&journals)) else { return };
        for server in self.servers.values_mut() {
            server.journal.take_if(|own| own.passed == least.passed);
        }
        self.journal = Some(least);
    }

    /// Moves the position in a file to what all servers have.
    fn advance_file_to_least(&mut self, origin: &str) {
        let files: Option<Vec<_>> = self.servers.values().map(|server| server.file(origin)).collect();
        let Some(least) = files.and_then(|files| server_positions::least_file(&files)) else { return };
        self.servers.values_mut().for_each(|server| server.remove_file_at(&least));
        // Only a file that is gone for all servers is forgotten.
        self.advance(Position::Files(vec![least]));
    }

    /// Takes out the position with this origin.
    fn take_file(&mut self, origin: &str) -> Option<FilePosition> {
        let index = self.files.iter().position(|known| known.origin == origin)?;
        Some(self.files.remove(index))
    }

    fn forget_oldest(&mut self) {
        let spare = self.files.len().saturating_sub(MAX_FILES);
        for forgotten in self.files.drain(..spare) {
            self.servers.values_mut().for_each(|server| server.forget_file(&forgotten.origin));
        }
    }
}

/// Returns the length of a file at a new position. The file may have grown since the batch was read.
fn newest_length(known: &FilePosition, position: &FilePosition) -> u64 {
    if known.length > position.offset { known.length.max(position.length) } else { position.length }
}
