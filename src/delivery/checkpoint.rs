//! Where an earlier run ended, and how far this one has come: moved on only for what the receiver has.
//!
//! The state of a run is one small JSON file in a directory of its own, replaced as a whole: written beside, synced,
//! renamed, and the directory synced, so that a crash leaves the old one or the new one. A lock keeps a second process out.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::source::position::{FilePosition, JournalPosition, Position};

/// The version of the layout. A reader of one version knows no other.
const VERSION: u32 = 1;

/// The name of the file, and of the one that holds the lock.
const STATE: &str = "state.json";
const LOCK: &str = "lock";

/// More files than this are not remembered; those that were read least recently go first.
const MAX_FILES: usize = 4096;

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The directory or a file in it cannot be opened.
    #[error("{key}: cannot open \"{path}\": {source}", path = path.display())]
    Open {
        /// The setting that names it.
        key: &'static str,
        /// What could not be opened.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "{key}: \"{path}\" is in use by another katalog; two of them would deliver everything twice. Stop it, or give \
         this one a directory of its own",
        path = path.display()
    )]
    InUse {
        /// The setting that names it.
        key: &'static str,
        /// The directory.
        path: PathBuf,
    },
    /// It is not what this program writes.
    #[error(
        "state-dir: \"{path}\" is no state of katalog ({cause}). To begin anew, move it away and say from where with \
         --since or --lines; to go on, put back a copy that is whole",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// An earlier run has spooled records for servers of another protocol.
    #[error(
        "spool: \"{path}\" is for servers of another protocol. Deliver what is there to one of those first, or name \
         another directory",
        path = path.display()
    )]
    OtherProtocol {
        /// The file.
        path: PathBuf,
    },
    /// Saving failed.
    #[error("state-dir: cannot save the position in \"{path}\": {source}", path = path.display())]
    Save {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl CheckpointError {
    /// How the program ends for it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            CheckpointError::Open { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Exit::Permission
            }
            CheckpointError::Open { .. } | CheckpointError::Save { .. } => Exit::Io,
            CheckpointError::InUse { .. } => Exit::Busy,
            CheckpointError::Damaged { .. } => Exit::Data,
            CheckpointError::OtherProtocol { .. } => Exit::Config,
        }
    }
}

/// What is saved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedState {
    /// The version of the layout; its name says whose file this is.
    katalog: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    journal: Option<JournalPosition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<FilePosition>,
}

/// How far a run has come, in memory and, if it has a directory, on disk.
#[derive(Debug)]
pub struct Checkpoint {
    state: SavedState,
    /// The directory, and the lock on it for as long as this lives.
    directory: Option<(PathBuf, File)>,
    saved: bool,
}

impl Checkpoint {
    /// A run that forgets how far it came.
    #[must_use]
    pub fn forgetful() -> Checkpoint {
        Checkpoint { state: SavedState { katalog: VERSION, ..SavedState::default() }, directory: None, saved: true }
    }

    /// Takes the directory, which is made if it is not there, and reads what an earlier run has left.
    ///
    /// # Errors
    /// If the directory cannot be used, another process uses it, or what is in it is not what this version writes.
    pub fn open(directory: &Path) -> Result<Checkpoint, CheckpointError> {
        let lock = lock("state-dir", directory)?;
        let path = directory.join(STATE);
        let state = match fs::read(&path) {
            Ok(bytes) => read(&bytes).map_err(|cause| CheckpointError::Damaged { path, cause })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                SavedState { katalog: VERSION, ..SavedState::default() }
            }
            Err(source) => return Err(CheckpointError::Open { key: "state-dir", path, source }),
        };
        Ok(Checkpoint { state, directory: Some((directory.to_owned(), lock)), saved: true })
    }

    /// Whether the position outlives the process.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.directory.is_some()
    }

    /// How far journals were read; none where no run has read one.
    #[must_use]
    pub fn journal(&self) -> Option<&JournalPosition> {
        self.state.journal.as_ref()
    }

    /// How far log files were read.
    #[must_use]
    pub fn files(&self) -> &[FilePosition] {
        &self.state.files
    }

    /// Moves on: everything before the position is delivered.
    pub fn advance(&mut self, position: Position) {
        match position {
            Position::Journal(position) => {
                if self.state.journal.as_ref() != Some(&position) {
                    self.state.journal = Some(position);
                    self.saved = false;
                }
            }
            Position::Files(positions) => {
                for position in positions {
                    // A file is known by its origin, whatever it is called. The one that was read last stands last.
                    self.state.files.retain(|known| known.origin != position.origin);
                    if !position.gone {
                        self.state.files.push(position);
                    }
                    self.saved = false;
                }
                let spare = self.state.files.len().saturating_sub(MAX_FILES);
                self.state.files.drain(..spare);
            }
        }
    }

    /// Saves the position, if it has moved on since it was saved and there is a place for it.
    ///
    /// # Errors
    /// If it cannot be written. The one that was saved before is still there then.
    pub fn save(&mut self) -> Result<(), CheckpointError> {
        let Some((directory, _)) = self.directory.as_ref().filter(|_| !self.saved) else { return Ok(()) };
        let path = directory.join(STATE);
        let write = || {
            let mut text = serde_json::to_vec_pretty(&self.state)?;
            text.push(b'\n');
            replace(directory, STATE, &text)
        };
        write().map_err(|source| CheckpointError::Save { path: path.clone(), source })?;
        self.saved = true;
        Ok(())
    }
}

/// Replaces a file as a whole, so that a crash leaves the old one or the new one.
///
/// # Errors
/// If it cannot be written. The one that was there before is still there then.
pub fn replace(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let beside = directory.join(format!("{name}.new"));
    let mut file = File::create(&beside)?;
    file.write_all(content)?;
    file.sync_data()?;
    fs::rename(&beside, directory.join(name))?;
    File::open(directory)?.sync_all()
}

/// Makes a directory if it is not there, and takes it for this process. `key` is the setting that names it.
///
/// # Errors
/// If it cannot be used, or another process has it.
pub fn lock(key: &'static str, directory: &Path) -> Result<File, CheckpointError> {
    let open = |path: PathBuf| move |source| CheckpointError::Open { key, path, source };
    fs::create_dir_all(directory).map_err(open(directory.to_owned()))?;
    let path = directory.join(LOCK);
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(open(path.clone()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(CheckpointError::InUse { key, path: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(open(path)(source)),
    }
}

fn read(bytes: &[u8]) -> Result<SavedState, String> {
    // The version first: another one may have other parts.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn file(name: &str, offset: u64) -> FilePosition {
        FilePosition {
            path: name.into(),
            device: 1,
            inode: 2,
            head: 3,
            hash: "00ff".to_owned(),
            offset,
            origin: name.to_owned(),
            prints: BTreeMap::new(),
            over: false,
            gone: false,
        }
    }

    fn journal(number: u64) -> Position {
        let passed = [("0123456789abcdef0123456789abcdef".to_owned(), number)].into();
        Position::Journal(JournalPosition { cursor: Some("s=1;i=2".to_owned()), passed })
    }

    #[test]
    fn a_position_is_there_for_the_next_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er");
        let mut checkpoint = Checkpoint::open(&path).unwrap();
        assert!(checkpoint.journal().is_none() && checkpoint.files().is_empty());
        checkpoint.advance(journal(7));
        checkpoint.advance(Position::Files(vec![file("a", 1), file("b", 2)]));
        checkpoint.advance(Position::Files(vec![file("a", 3), file("c", 4)]));
        checkpoint.advance(Position::Files(vec![FilePosition { gone: true, ..file("c", 4) }]));
        checkpoint.save().unwrap();
        let state = checkpoint.state.clone();
        drop(checkpoint);
        let checkpoint = Checkpoint::open(&path).unwrap();
        assert_eq!(checkpoint.state, state);
        assert_eq!(checkpoint.files(), [file("b", 2), file("a", 3)]);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 2, "the state and the lock");
    }

    #[test]
    fn one_process_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = Checkpoint::open(directory.path()).unwrap();
        let second = Checkpoint::open(directory.path()).unwrap_err();
        assert!(matches!(second, CheckpointError::InUse { .. }), "{second}");
        assert_eq!(second.exit(), Exit::Busy);
        drop(first);
        Checkpoint::open(directory.path()).unwrap();
    }

    #[test]
    fn what_is_no_state_is_never_a_beginning() {
        for (content, says) in [
            ("", "EOF"),
            ("{}", "missing field `katalog`"),
            ("{\"katalog\":2,\"other\":[]}", "version 2"),
            ("{\"katalog\":1,\"journal\":{\"passed\":{\"a\":-1}}}", "invalid value"),
            ("{\"katalog\":1,\"jurnal\":{}}", "unknown field"),
            ("{\"katalog\":1,\"files\":[{}]}", "missing field"),
            ("\0\0\0\0\0\0", "expected value"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join(STATE), content).unwrap();
            let error = Checkpoint::open(directory.path()).unwrap_err();
            assert_eq!(error.exit(), Exit::Data);
            let text = error.to_string();
            assert!(text.contains(says) && text.contains("move it away") && text.contains(STATE), "{text}");
            assert_eq!(fs::read(directory.path().join(STATE)).unwrap(), content.as_bytes(), "it is left alone");
        }
    }

    #[test]
    fn what_cannot_be_saved_leaves_what_was() {
        let directory = tempfile::tempdir().unwrap();
        let mut checkpoint = Checkpoint::open(directory.path()).unwrap();
        checkpoint.advance(journal(1));
        checkpoint.save().unwrap();
        let before = fs::read(directory.path().join(STATE)).unwrap();
        // A directory in the way of the file beside.
        fs::create_dir(directory.path().join("state.json.new")).unwrap();
        checkpoint.advance(journal(2));
        let error = checkpoint.save().unwrap_err();
        assert!(error.to_string().contains("cannot save"), "{error}");
        assert_eq!(fs::read(directory.path().join(STATE)).unwrap(), before);
        fs::remove_dir(directory.path().join("state.json.new")).unwrap();
        checkpoint.save().unwrap();
        assert_ne!(fs::read(directory.path().join(STATE)).unwrap(), before);
    }
}
