//! The saved positions of inputs. A position moves on only for records that the receiver has.
//!
//! The state of a run is one small JSON file in a directory of its own. The file is written beside the old one, synced
//! and renamed, and then the directory is synced. So a crash leaves the old file or the new one. A lock keeps a second
//! process out.

mod saved_state;
mod server_positions;

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::delivery::SaveMetrics;
use crate::diagnostics;
use crate::exit::Exit;
use crate::sink::{Directory, Privacy};
use crate::source::position::{FilePosition, JournalPosition, Position};
use saved_state::SavedState;

pub use server_positions::Lead;

/// The names of the state file and of the lock file.
const STATE: &str = "state.json";
const LOCK: &str = "lock";

/// The maximum size of a state file. Each of its log files needs a few hundred bytes, and more for open streams.
const MAX_STATE: u64 = 64 << 20;

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
    /// A run without `--fan-out` has spooled records, which go to one of several servers.
    #[error(
        "--spool: {path:?} is of a run without --fan-out; deliver it by such a run first, or name another directory with \
         --spool DIR"
    )]
    NotFannedOut {
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
            CheckpointError::OtherProtocol { .. } | CheckpointError::NotFannedOut { .. } => Exit::Config,
        }
    }
}

/// The positions of a run, in memory and, if the run has a directory, on disk. Clones share them.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    positions: Arc<Mutex<Positions>>,
    directory: Option<Arc<LockedDirectory>>,
    metrics: Arc<SaveMetrics>,
    /// The server whose position moves; `None` if all positions move together.
    server: Option<Arc<str>>,
    /// There was no state file.
    new: bool,
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
        Checkpoint::new(SavedState::default(), None, true)
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
        let (state, new) = match directory.read(STATE, MAX_STATE) {
            Ok(bytes) => {
                let damaged = |cause| CheckpointError::Damaged { path: path.clone(), cause };
                (SavedState::parse(&bytes).map_err(damaged)?, false)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (SavedState::default(), true),
            Err(source) => return Err(access("read")(source)),
        };
        write(&directory, &state).map_err(access("write"))?;
        Ok(Checkpoint::new(state, Some(Arc::new(directory)), new))
    }

    fn new(state: SavedState, directory: Option<Arc<LockedDirectory>>, new: bool) -> Checkpoint {
        let positions = Arc::new(Mutex::new(Positions { state, saved: true }));
        Checkpoint { positions, directory, metrics: Arc::default(), server: None, new }
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

    /// Returns true if there was no state file, so that reading begins anew.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// Returns the device and inode of the directory's lock, which tell directories apart. Returns `None` without a
    /// directory.
    #[must_use]
    pub fn identity(&self) -> Option<(u64, u64)> {
        let found = self.directory.as_ref()?.lock.metadata().ok()?;
        Some((found.dev(), found.ino()))
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
        self.change(|state, server| match server {
            Some(server) => state.advance_server(server, position),
            None => state.advance(position),
        });
    }

    /// Moves on to a position unless the checkpoint is past it. All records before the position must be delivered, or in
    /// the spool.
    pub fn catch_up(&mut self, position: Position) {
        self.change(|state, server| match server {
            Some(server) => state.advance_server(server, position),
            None => state.catch_up(position),
        });
    }

    /// Changes the state. `change` returns whether it has changed anything.
    fn change(&self, change: impl FnOnce(&mut SavedState, Option<&str>) -> bool) {
        let mut positions = self.positions();
        if change(&mut positions.state, self.server.as_deref()) {
            positions.saved = false;
        }
    }

    /// Names the servers that each get everything; none if records go to one of several. Drops the positions of other
    /// servers. A new server begins with what all servers of the run before have.
    pub fn set_servers(&mut self, names: &[String]) {
        let mut positions = self.positions();
        let before = positions.state.clone();
        for dropped in positions.state.set_servers(names) {
            diagnostics::report(format_args!(
                "--state-dir: the position of {dropped} is dropped, because --fan-out no longer delivers to it"
            ));
        }
        if positions.state != before {
            positions.saved = false;
        }
    }

    /// Returns the checkpoint of one of the servers that each get everything. It shares the file with the others.
    #[must_use]
    pub fn of_server(&self, name: &str) -> Checkpoint {
        Checkpoint { server: Some(name.into()), ..self.clone() }
    }

    /// Returns how far a server is ahead of the position of all servers.
    #[must_use]
    pub fn lead(&self) -> Lead {
        let positions = self.positions();
        let state = &positions.state;
        let server = self.server.as_ref().and_then(|name| state.servers.get(&**name));
        server.map_or_else(Lead::default, |server| Lead::new(server, &state.files))
    }

    /// Notes files before anything more of them is delivered, and saves them. Their offsets do not move. Failures are
    /// reported by the next save of the delivery.
    pub fn note_files(&self, files: Vec<FilePosition>) {
        let mut positions = self.positions();
        positions.state.note_files(files);
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
    lock: File,
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
        Ok(()) => Ok(LockedDirectory { directory, lock }),
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

#[cfg(test)]
mod tests;
