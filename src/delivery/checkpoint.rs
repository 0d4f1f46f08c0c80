//! The saved positions of inputs. A position moves on only for records that the receiver has.
//!
//! The state of a run is one small JSON file in a directory of its own. The file is written beside the old one, synced
//! and renamed, and then the directory is synced. So a crash leaves the old file or the new one. A lock keeps a second
//! process out.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::delivery::SaveMetrics;
use crate::diagnostics;
use crate::exit::Exit;
use crate::sink::{Directory, Privacy};
use crate::source::position::{FilePosition, JournalPosition, Position};

/// The version of the layout. Files of another version are refused.
const VERSION: u32 = 1;

/// The names of the state file and of the lock file.
const STATE: &str = "state.json";
const LOCK: &str = "lock";

/// The maximum size of a state file. Each of its log files needs a few hundred bytes, and more for open streams.
const MAX_STATE: u64 = 64 << 20;

/// The maximum number of remembered log files. Beyond it the files that were read least recently are forgotten.
const MAX_FILES: usize = 4096;

/// The flag that names the state directory.
const STATE_DIR: &str = "--state-dir";

/// An error of the state directory, the spool or their locks. `flag` is the one that names the directory.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The directory is something else.
    #[error("{flag}: {path:?} is {found}, not a directory; {}", advice(.flag))]
    NotDirectory {
        /// The flag.
        flag: &'static str,
        /// The path that is no directory: the named one, or one of its parents.
        path: PathBuf,
        /// The kind of file, with its article.
        found: &'static str,
    },
    /// The directory or a file in it cannot be created, read or written.
    #[error("{flag}: cannot {action} {path:?}: {source}; {}", advice(.flag))]
    Access {
        /// The flag.
        flag: &'static str,
        /// The verb for the attempt.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Another process holds the lock.
    #[error(
        "{flag}: {path:?} is in use by another katalog, and two of them would deliver everything twice; stop the other \
         one, or name another directory with {flag} DIR"
    )]
    InUse {
        /// The flag.
        flag: &'static str,
        /// The directory.
        path: PathBuf,
    },
    /// The state file is damaged, or another program has written it.
    #[error(
        "--state-dir: {path:?} is not a state of katalog ({cause}); to continue, restore an intact copy; to begin anew \
         with all entries, or with those of --since or --lines, move it away"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The defect.
        cause: String,
    },
    /// An earlier run has spooled records for servers of another protocol.
    #[error(
        "--spool: {path:?} is for servers of another protocol; deliver it to one of those first, or name another \
         directory with --spool DIR"
    )]
    OtherProtocol {
        /// The file.
        path: PathBuf,
    },
    /// The state file cannot be saved.
    #[error("--state-dir: cannot save the position in {path:?}: {source}")]
    Save {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// Returns the ways out if the directory of a flag cannot be used.
fn advice(flag: &str) -> String {
    let stateless = if flag == STATE_DIR { ", or keep no position with --no-state" } else { "" };
    format!("name a directory that you can write with {flag} DIR{stateless}")
}

impl CheckpointError {
    /// Returns the exit code of the program for the error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            CheckpointError::NotDirectory { .. } => Exit::Usage,
            CheckpointError::Access { source, .. } | CheckpointError::Save { source, .. } => {
                Exit::from_write_error(source)
            }
            CheckpointError::InUse { .. } => Exit::Busy,
            CheckpointError::Damaged { .. } => Exit::Data,
            CheckpointError::OtherProtocol { .. } => Exit::Config,
        }
    }
}

/// The content of the state file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedState {
    /// The version of the layout. The key also tells which program the file belongs to.
    katalog: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    journal: Option<JournalPosition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<FilePosition>,
}

impl SavedState {
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

/// The positions of a run, in memory and, if the run has a directory, on disk. Clones share them.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    positions: Arc<Mutex<Positions>>,
    directory: Option<Arc<LockedDirectory>>,
    metrics: Arc<SaveMetrics>,
}

#[derive(Debug)]
struct Positions {
    state: SavedState,
    /// The file on disk has them.
    saved: bool,
}

impl Checkpoint {
    /// Returns a checkpoint that keeps positions in memory only.
    #[must_use]
    pub fn forgetful() -> Checkpoint {
        Checkpoint::new(SavedState { katalog: VERSION, ..SavedState::default() }, None)
    }

    /// Locks the directory, creating it if needed, and reads the state of an earlier run. Writes the state once, so that
    /// a full disk is known before the first record.
    ///
    /// # Errors
    /// If the directory cannot be used, another process holds the lock, the state file is damaged or of another version,
    /// or a state cannot be saved.
    pub fn open(directory: &Path) -> Result<Checkpoint, CheckpointError> {
        let directory = lock(STATE_DIR, directory)?;
        let path = directory.path().join(STATE);
        let access = |action| {
            let path = path.clone();
            move |source| CheckpointError::Access { flag: STATE_DIR, action, path, source }
        };
        let state = match directory.read(STATE, MAX_STATE) {
            Ok(bytes) => read(&bytes).map_err(|cause| CheckpointError::Damaged { path: path.clone(), cause })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                SavedState { katalog: VERSION, ..SavedState::default() }
            }
            Err(source) => return Err(access("read")(source)),
        };
        write(&directory, &state).map_err(access("write"))?;
        Ok(Checkpoint::new(state, Some(Arc::new(directory))))
    }

    fn new(state: SavedState, directory: Option<Arc<LockedDirectory>>) -> Checkpoint {
        let positions = Arc::new(Mutex::new(Positions { state, saved: true }));
        Checkpoint { positions, directory, metrics: Arc::default() }
    }

    fn positions(&self) -> MutexGuard<'_, Positions> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the metrics of the saves.
    #[must_use]
    pub fn metrics(&self) -> Arc<SaveMetrics> {
        Arc::clone(&self.metrics)
    }

    /// Returns true if positions are saved on disk.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.directory.is_some()
    }

    /// Returns the position in journals. Returns `None` if no run has read a journal.
    #[must_use]
    pub fn journal(&self) -> Option<JournalPosition> {
        self.positions().state.journal.clone()
    }

    /// Returns the positions in log files.
    #[must_use]
    pub fn files(&self) -> Vec<FilePosition> {
        self.positions().state.files.clone()
    }

    /// Moves on to a position. All records before the position must be delivered.
    pub fn advance(&mut self, position: Position) {
        let mut positions = self.positions();
        let Positions { state, saved } = &mut *positions;
        match position {
            Position::Journal(position) => {
                if state.journal.as_ref() != Some(&position) {
                    state.journal = Some(position);
                    *saved = false;
                }
            }
            Position::Files(files) => {
                for mut position in files {
                    // The origin identifies a file under any name. Files are sorted by the time when they were read
                    // last.
                    if let Some(known) = state.take_file(&position.origin) {
                        // The file may have grown since the batch was read.
                        position.length = if known.length > position.offset {
                            known.length.max(position.length)
                        } else {
                            position.length
                        };
                    }
                    if !position.gone {
                        state.files.push(position);
                    }
                    *saved = false;
                }
                state.forget_oldest();
            }
        }
    }

    /// Notes files before anything more of them is delivered, and saves them. Their offsets do not move. Failures are
    /// reported by the next save of the delivery.
    pub fn note_files(&self, files: Vec<FilePosition>) {
        let mut positions = self.positions();
        for file in files {
            let known = positions.state.take_file(&file.origin);
            let (offset, open_streams, over) = match known {
                Some(known) => (known.offset, known.open_streams, known.over),
                None => (0, Vec::new(), false),
            };
            positions.state.files.push(FilePosition { offset, open_streams, over, ..file });
        }
        positions.state.forget_oldest();
        positions.saved = false;
        let _ = self.write(&mut positions);
    }

    /// Saves the positions, if they have changed and there is a directory.
    ///
    /// # Errors
    /// If the file cannot be written. The file that was saved before remains.
    pub fn save(&mut self) -> Result<(), CheckpointError> {
        self.write(&mut self.positions())
    }

    fn write(&self, positions: &mut Positions) -> Result<(), CheckpointError> {
        let Some(directory) = self.directory.as_ref().filter(|_| !positions.saved) else { return Ok(()) };
        let written = write(directory, &positions.state);
        positions.saved = written.is_ok();
        self.metrics.count(positions.saved);
        written.map_err(|source| CheckpointError::Save { path: directory.path().join(STATE), source })
    }
}

/// A directory that no other process uses until the value is dropped.
#[derive(Debug)]
pub struct LockedDirectory {
    directory: Directory,
    _lock: File,
}

impl std::ops::Deref for LockedDirectory {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        &self.directory
    }
}

/// Locks a directory for this process. Creates it if needed, for its owner alone. `flag` is the one that names the
/// directory.
///
/// # Errors
/// If the directory cannot be used, or another process holds the lock.
pub fn lock(flag: &'static str, directory: &Path) -> Result<LockedDirectory, CheckpointError> {
    let opened = Directory::create_private(directory).map_err(|source| create_error(flag, directory, source))?;
    lock_opened(flag, opened)
}

/// Locks an open directory for this process.
///
/// # Errors
/// As for [`lock`].
pub fn lock_opened(flag: &'static str, directory: Directory) -> Result<LockedDirectory, CheckpointError> {
    let path = directory.path();
    if let Some(mode) = directory.writable_by_others() {
        diagnostics::report(format_args!(
            "{flag}: others can write to {path:?} (mode {mode:o}), and can replace files in it; use chmod go-w"
        ));
    }
    let open = |source| CheckpointError::Access { flag, action: "write", path: path.join(LOCK), source };
    let lock = directory.lock_file(LOCK).map_err(open)?;
    match lock.try_lock() {
        Ok(()) => Ok(LockedDirectory { directory, _lock: lock }),
        Err(TryLockError::WouldBlock) => Err(CheckpointError::InUse { flag, path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(open(source)),
    }
}

/// Returns the error for a directory that cannot be created. It names the first missing directory of the path.
fn create_error(flag: &'static str, directory: &Path, source: io::Error) -> CheckpointError {
    let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.is_dir();
    let path = directory.ancestors().take_while(missing).last().unwrap_or(directory).to_owned();
    let found = if path.exists() { "a file" } else { "a broken symbolic link" };
    match path.symlink_metadata() {
        Ok(_) => CheckpointError::NotDirectory { flag, path, found },
        Err(_) => CheckpointError::Access { flag, action: "create", path, source },
    }
}

fn write(directory: &Directory, state: &SavedState) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(state)?;
    text.push(b'\n');
    directory.replace(STATE, &text, Privacy::Owner)
}

fn read(bytes: &[u8]) -> Result<SavedState, String> {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    fn file(name: &str, offset: u64) -> FilePosition {
        FilePosition {
            path: name.into(),
            device: 1,
            inode: 2,
            head: 3,
            hash: "00ff".to_owned(),
            offset,
            length: 0,
            origin: name.to_owned(),
            prints: BTreeMap::new(),
            open_streams: Vec::new(),
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
        let state = checkpoint.positions().state.clone();
        drop(checkpoint);
        let checkpoint = Checkpoint::open(&path).unwrap();
        assert_eq!(checkpoint.positions().state, state);
        assert_eq!(checkpoint.files(), [file("b", 2), file("a", 3)]);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 2, "the state and the lock");
    }

    #[test]
    fn a_noted_file_moves_no_position() {
        let directory = tempfile::tempdir().unwrap();
        let mut checkpoint = Checkpoint::open(directory.path()).unwrap();
        checkpoint.advance(Position::Files(vec![file("a", 5)]));
        checkpoint
            .note_files(vec![FilePosition { length: 9, ..file("a", 8) }, FilePosition { length: 3, ..file("b", 3) }]);
        drop(checkpoint);
        let mut checkpoint = Checkpoint::open(directory.path()).unwrap();
        let known = |checkpoint: &Checkpoint| -> Vec<_> {
            checkpoint.files().into_iter().map(|file| (file.origin, file.offset, file.length)).collect()
        };
        assert_eq!(known(&checkpoint), [("a".to_owned(), 5, 9), ("b".to_owned(), 0, 3)]);
        checkpoint.advance(Position::Files(vec![file("a", 8), file("b", 3)]));
        assert_eq!(known(&checkpoint), [("a".to_owned(), 8, 9), ("b".to_owned(), 3, 0)]);
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
    fn a_file_is_no_directory() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link\n"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink("nothing", &link).unwrap();
        for (path, culprit, found) in [
            (file.clone(), &file, "is a file, not a directory"),
            (file.join("a/b"), &file, "is a file, not a directory"),
            (link.join("a"), &link, "is a broken symbolic link, not a directory"),
        ] {
            let error = Checkpoint::open(&path).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "--state-dir: {culprit:?} {found}; name a directory that you can write with --state-dir DIR, or keep no \
                     position with --no-state"
                )
            );
            assert_eq!(error.exit(), Exit::Usage);
        }
    }

    #[test]
    fn a_missing_right_names_the_directory_and_the_ways_out() {
        // Below /proc nobody creates directories, not even root.
        let error = lock("--spool", Path::new("/proc/katalog/a/b")).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("--spool: cannot create \"/proc/katalog\": "), "{text}");
        assert!(text.ends_with("; name a directory that you can write with --spool DIR"), "{text}");
        for (kind, exit) in [
            (io::ErrorKind::PermissionDenied, Exit::Permission),
            (io::ErrorKind::ReadOnlyFilesystem, Exit::Permission),
            (io::ErrorKind::StorageFull, Exit::Io),
        ] {
            let error = create_error(STATE_DIR, Path::new("/nowhere/a"), kind.into());
            assert_eq!(error.exit(), exit, "{error}");
            let error = CheckpointError::Save { path: "a".into(), source: kind.into() };
            assert_eq!(error.exit(), exit, "{error}");
        }
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
        // The directory blocks the path of the temporary file.
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
