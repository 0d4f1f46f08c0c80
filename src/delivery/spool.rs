//! A buffer on disk for inputs that cannot be read again, or that may be deleted before. Each batch is a file until it is
//! delivered.
//!
//! The files survive the end of the process, also by a kill. For inputs with positions they are synced before a position
//! moves. Those of pipes are not synced, so a crash of the host may lose the records of the last seconds.
//!
//! A file ends with the position of its input, where the run after a kill begins to read.

mod blocks;
mod per_server;
mod positions;

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::REPEAT_INTERVAL;
use crate::delivery::checkpoint::{self, Checkpoint, CheckpointError, LockedDirectory};
use crate::diagnostics;
use crate::sink::Privacy;
use crate::source::position::Position;
use kata_records::Encoded;
pub(super) use positions::SpoolPositions;

/// The extensions of files with events of the forward protocol, and with syslog messages.
const EVENTS: &str = "spool";
const MESSAGES: &str = "syslog";

/// The extension of a file that is being written.
const UNFINISHED: &str = "new";

/// The maximum size of a file that is read. Batches are far smaller, and a larger file is not a spool's.
const MAX_FILE: u64 = 1 << 30;

/// The number of files whose position is looked for after a kill. The last file has it, unless it is damaged or was written
/// while the disk was full.
const LAST_FILES: usize = 16;

/// The time between two checks whether the spool is below its limit, and between two attempts to write to a full disk.
const LIMIT_POLL: Duration = Duration::from_millis(20);
const DISK_POLL: Duration = Duration::from_millis(100);

/// The handling of records that find no room in the spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Reading waits until there is room.
    #[default]
    Wait,
    /// Records are dropped and counted.
    Drop,
}

/// The settings of the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolSettings {
    /// The directory. It belongs to one process.
    pub directory: PathBuf,
    /// The maximum size of the directory in bytes.
    pub limit: u64,
    /// The handling of records beyond the limit.
    pub full: WhenFull,
    /// Files hold syslog messages instead of events.
    pub messages: bool,
}

/// The writing side of the spool.
#[derive(Debug)]
pub struct Spool {
    settings: SpoolSettings,
    directory: Arc<LockedDirectory>,
    used: Arc<AtomicU64>,
    next_number: u64,
    leftovers: Vec<SpoolFile>,
    positions: Arc<SpoolPositions>,
    overflowed: u64,
    /// The files since the last sync, if the input has positions.
    unsynced: Option<Vec<String>>,
    last_warning: Option<Instant>,
    /// The directory above those of several servers, which stays locked.
    #[expect(dead_code, reason = "it holds a lock")]
    root: Option<Arc<LockedDirectory>>,
}

/// The records of one batch, on disk.
#[derive(Debug)]
pub(super) struct SpoolFile {
    directory: Arc<LockedDirectory>,
    name: String,
    number: u64,
    size: u64,
    /// The number of records; 0 if an earlier run wrote the file.
    records: u64,
    /// The file is kept for a person to look at, because a part of it is damaged.
    damaged: bool,
    used: Arc<AtomicU64>,
    /// The position of the input after the records, once they are read.
    position: Option<Position>,
    positions: Arc<SpoolPositions>,
}

/// The place of the records of a batch.
#[derive(Debug)]
pub(super) enum Spooled {
    /// A file has them.
    File(SpoolFile),
    /// The disk is full. The records are left in memory, because nothing else waits that would make room.
    InMemory,
    /// They were dropped for lack of room.
    Dropped,
}

impl Spool {
    /// Locks the directory, creating it if needed.
    ///
    /// # Errors
    /// If the directory cannot be used, another process uses it, or its files are for servers of another protocol.
    pub fn open(settings: SpoolSettings) -> Result<Spool, CheckpointError> {
        let directory = checkpoint::lock("--spool", &settings.directory)?;
        let spool = Spool::in_directory(settings, directory)?;
        per_server::warn_of_others(&spool.directory, &[]);
        Ok(spool)
    }

    fn in_directory(settings: SpoolSettings, directory: LockedDirectory) -> Result<Spool, CheckpointError> {
        let directory = Arc::new(directory);
        let (used, positions) = (Arc::new(AtomicU64::new(0)), Arc::new(SpoolPositions::default()));
        let mut left = Vec::new();
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| CheckpointError::Access { flag: "--spool", action: "read", path, source }
        };
        let (ours, others) = if settings.messages { (MESSAGES, EVENTS) } else { (EVENTS, MESSAGES) };
        for name in directory.entries().map_err(failed(directory.path()))? {
            let path = directory.path().join(&name);
            if number(&name, others).is_some() {
                return Err(CheckpointError::OtherProtocol { path });
            }
            if number(&name, UNFINISHED).is_some() {
                // An earlier run was killed while it wrote the file.
                directory.remove_file(&name.to_string_lossy()).map_err(failed(&path))?;
            }
            if let (Some(number), Some(text)) = (number(&name, ours), name.to_str()) {
                // Reading a name that is no file fails with the reason.
                let size = directory.length(Path::new(&name)).ok().flatten().unwrap_or(0);
                used.fetch_add(size, Ordering::Relaxed);
                left.push(SpoolFile {
                    directory: Arc::clone(&directory),
                    name: text.to_owned(),
                    number,
                    size,
                    records: 0,
                    damaged: false,
                    used: Arc::clone(&used),
                    position: None,
                    positions: Arc::clone(&positions),
                });
            }
        }
        left.sort_by_key(|spooled| spooled.number);
        let next_number = left.last().map_or(0, |last| last.number + 1);
        Ok(Spool {
            settings,
            directory,
            used,
            next_number,
            leftovers: left,
            positions,
            overflowed: 0,
            unsynced: None,
            last_warning: None,
            root: None,
        })
    }

    /// Prepares for an input with positions: notes files from now on, to sync them.
    pub(super) fn keep_positions(&mut self) {
        self.unsynced.get_or_insert_default();
    }

    /// Moves a checkpoint past the records of an earlier run, if it was killed, and begins to write positions. Call it
    /// before the input is opened. `continues` is false for a new state, which begins with the input.
    pub fn resume(&mut self, mut checkpoint: Checkpoint, continues: bool) {
        self.positions.begin(&checkpoint);
        let last = self.leftovers.iter().rev().take(LAST_FILES);
        let Some(position) = last.filter(|_| continues).find_map(SpoolFile::last_position) else { return };
        // The position outlives a crash of the host, so the records before it have to as well.
        let all = self.leftovers.iter().map(|left| left.name.as_str());
        match sync(&self.directory, all) {
            Ok(()) => {
                checkpoint.catch_up(position);
                // The delivery reports failures, with its next save.
                _ = checkpoint.save();
            }
            Err(error) => diagnostics::report(format_args!(
                "--spool: cannot sync the files: {error}; reading begins at the position in the state directory"
            )),
        }
    }

    /// Returns the positions in the files.
    pub(super) fn positions(&self) -> &SpoolPositions {
        &self.positions
    }

    /// Returns the number of the next file.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Writes all files to the disk. A position may move past their records then.
    ///
    /// # Errors
    /// If the disk fails.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        sync(&self.directory, self.unsynced.iter().flatten().map(String::as_str))?;
        self.unsynced.iter_mut().for_each(Vec::clear);
        Ok(())
    }

    /// Returns the files of an earlier run, in order.
    pub(super) fn take_leftovers(&mut self) -> Vec<SpoolFile> {
        std::mem::take(&mut self.leftovers)
    }

    /// Returns the size of the spool in bytes.
    pub(super) fn used(&self) -> &Arc<AtomicU64> {
        &self.used
    }

    /// Returns the number of records that found no room.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Writes the records of a batch to a file, with the position of the input after them, and leaves `out` empty unless
    /// they stay in memory. Waits for room while records wait for delivery, and as long as `ended` returns false.
    ///
    /// # Errors
    /// If the file cannot be written for another reason than a full disk.
    pub(super) fn add(
        &mut self,
        out: &mut Encoded,
        position: Option<&[u8]>,
        records_wait: impl Fn() -> bool,
        ended: impl Fn() -> bool,
    ) -> io::Result<Spooled> {
        let bytes = blocks::serialized(out, position);
        let (size, records) = (bytes.len() as u64, super::metrics::record_count(out));
        loop {
            // A batch larger than the limit is written when the spool is empty.
            let fits = self.used.load(Ordering::Relaxed) <= self.settings.limit.saturating_sub(size);
            let is_limited = !fits && !self.is_empty() && !ended();
            if !is_limited {
                match self.write(&bytes, records) {
                    Ok(file) => {
                        out.clear(usize::MAX);
                        return Ok(Spooled::File(file));
                    }
                    Err(error) if !is_full(&error) => return Err(error),
                    Err(_) => {}
                }
            }
            let (obstacle, pause) = if is_limited {
                ("it has reached its limit (--spool-limit)", LIMIT_POLL)
            } else {
                ("its disk is full", DISK_POLL)
            };
            if self.settings.full == WhenFull::Drop {
                self.overflowed += records;
                let dropped = self.overflowed;
                self.warn(format_args!("{obstacle}, and records are dropped: {dropped} so far"));
                out.clear(usize::MAX);
                return Ok(Spooled::Dropped);
            }
            self.warn(format_args!("{obstacle}, and reading waits until servers take records"));
            if !is_limited && (ended() || !records_wait()) {
                return Ok(Spooled::InMemory);
            }
            std::thread::sleep(pause);
        }
    }

    /// Writes a file. A file that is not whole is removed, so that it takes no room.
    fn write(&mut self, bytes: &[u8], records: u64) -> io::Result<SpoolFile> {
        let extension = if self.settings.messages { MESSAGES } else { EVENTS };
        let stem = format!("{:016x}", self.next_number);
        let (name, beside) = (format!("{stem}.{extension}"), format!("{stem}.{UNFINISHED}"));
        let written = self.directory.create(&beside, Privacy::Owner).and_then(|mut file| file.write_all(bytes));
        let renamed = written.and_then(|()| self.directory.rename(&beside, &self.directory, OsStr::new(&name)));
        if let Err(error) = renamed {
            _ = self.directory.remove_file(&beside);
            let path = self.directory.path().join(&name);
            return Err(io::Error::new(error.kind(), format!("--spool: cannot write {path:?}: {error}")));
        }
        let number = self.next_number;
        self.next_number += 1;
        self.unsynced.iter_mut().for_each(|names| names.push(name.clone()));
        let size = bytes.len() as u64;
        self.used.fetch_add(size, Ordering::Relaxed);
        Ok(SpoolFile {
            directory: Arc::clone(&self.directory),
            name,
            number,
            size,
            records,
            damaged: false,
            used: Arc::clone(&self.used),
            position: None,
            positions: Arc::clone(&self.positions),
        })
    }

    fn is_empty(&self) -> bool {
        self.used.load(Ordering::Relaxed) == 0
    }

    fn warn(&mut self, what: std::fmt::Arguments<'_>) {
        if self.last_warning.is_none_or(|warned| warned.elapsed() >= REPEAT_INTERVAL) {
            self.last_warning = Some(Instant::now());
            let directory = &self.settings.directory;
            diagnostics::report(format_args!("--spool: {directory:?}: {what}"));
        }
    }
}

impl SpoolFile {
    fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    /// Returns the number of records, as far as it is known.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Reads the position of the input after the records, if this run may begin there.
    fn last_position(&self) -> Option<Position> {
        let bytes = self.directory.read(&self.name, MAX_FILE).ok()?;
        self.positions.parsed(blocks::position(&bytes)?)
    }

    /// Returns the number of the file, and the position of the input after its records if it has one. The records must be
    /// read.
    pub(super) fn take_position(&mut self) -> Option<(u64, Position)> {
        Some((self.number, self.position.take()?))
    }

    /// Returns the positions in the files of the spool.
    pub(super) fn positions(&self) -> &SpoolPositions {
        &self.positions
    }

    /// Reads the records. Also returns the number of records that damage has cost, which is reported.
    pub(super) fn read(&mut self) -> (Encoded, u64) {
        let read = self.directory.read(&self.name, MAX_FILE).and_then(|bytes| {
            let no_spool = || io::Error::new(io::ErrorKind::InvalidData, "it is no spool file that this katalog knows");
            blocks::deserialized(&bytes, self.records).ok_or_else(no_spool)
        });
        let (path, bad) = (self.path(), self.path().with_file_name(self.bad()));
        if let Ok(blocks::Read { position: Some(position), .. }) = &read {
            self.position = self.positions.parsed(position);
        }
        let (events, lost) = match read {
            Ok(blocks::Read { events, lost: 0, .. }) => (events, 0),
            Ok(blocks::Read { events, lost, .. }) => {
                diagnostics::report(format_args!(
                    "--spool: {path:?} is damaged, and {lost} of its records are lost; it is kept as {bad:?}"
                ));
                (events, lost)
            }
            Err(error) => {
                diagnostics::report(format_args!("--spool: cannot read {path:?}: {error}; it is kept as {bad:?}"));
                (Vec::new(), self.records.max(1))
            }
        };
        self.damaged = lost > 0;
        let mut out = Encoded::default();
        out.events = events;
        (out, lost)
    }

    /// Returns the name of the file if it is kept because of damage.
    fn bad(&self) -> String {
        format!("{}.bad", Path::new(&self.name).file_stem().unwrap_or_default().to_string_lossy())
    }

    /// Deletes the file, because its records are delivered. A damaged file is renamed instead.
    pub(super) fn delete(self) {
        if self.damaged {
            _ = self.directory.rename(&self.name, &self.directory, OsStr::new(&self.bad()));
        } else if let Err(error) = self.directory.remove_file(&self.name) {
            let path = self.path();
            diagnostics::report(format_args!(
                "--spool: cannot delete {path:?}, which is delivered: {error}; the next run delivers it again"
            ));
        }
        self.used.fetch_sub(self.size, Ordering::Relaxed);
    }
}

/// Writes files to the disk.
fn sync<'n>(directory: &LockedDirectory, names: impl Iterator<Item = &'n str>) -> io::Result<()> {
    for name in names {
        match directory.write_existing(name) {
            Ok(file) => file.sync_data()?,
            // It is delivered.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    directory.sync()
}

/// Returns whether a write failed because there is no room for the file.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Returns the number in a file name.
fn number(name: &OsStr, extension: &str) -> Option<u64> {
    let path = Path::new(name);
    let name = path.file_stem()?.to_str()?;
    let ours = path.extension().is_some_and(|own| own == extension) && name.len() == 16;
    u64::from_str_radix(name, 16).ok().filter(|_| ours)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use kata_records::Events;

    use super::*;

    fn out(tag: &str, events: &[&str]) -> Encoded {
        let mut out = Encoded::default();
        let mut all = Events { tag: tag.into(), ..Events::default() };
        for event in events {
            all.bytes.extend(event.as_bytes());
            all.ends.push(all.bytes.len());
        }
        out.events.push(all);
        out
    }

    /// Adds records while others wait.
    fn add(spool: &mut Spool, mut out: Encoded) -> Option<SpoolFile> {
        match spool.add(&mut out, None, || true, || false).unwrap() {
            Spooled::File(file) => Some(file),
            Spooled::Dropped => None,
            Spooled::InMemory => panic!("the disk is not full"),
        }
    }

    fn settings(directory: &Path, limit: u64, full: WhenFull) -> SpoolSettings {
        SpoolSettings { directory: directory.to_owned(), limit, full, messages: false }
    }

    #[test]
    fn it_outlives_the_run() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(settings(directory.path(), 1 << 20, WhenFull::Wait)).unwrap();
        let first = add(&mut spool, out("a", &["one", "two"])).unwrap();
        add(&mut spool, out("b", &["three"])).unwrap();
        assert!(matches!(
            Spool::open(settings(directory.path(), 1, WhenFull::Wait)),
            Err(CheckpointError::InUse { .. })
        ));
        first.delete();
        drop(spool);
        let mut spool = Spool::open(settings(directory.path(), 1 << 20, WhenFull::Wait)).unwrap();
        add(&mut spool, out("c", &["four"])).unwrap();
        let mut left = spool.take_leftovers();
        assert_eq!(left.len(), 1);
        let (read, lost) = left[0].read();
        assert_eq!((read.events, lost), (out("b", &["three"]).events, 0));
        left.into_iter().for_each(SpoolFile::delete);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "the last one and the lock");
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_or_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(settings(directory.path(), 100, WhenFull::Drop)).unwrap();
        let first = add(&mut spool, out("a", &["0123456789"; 20])).expect("it is alone");
        assert!(add(&mut spool, out("a", &["x", "y"])).is_none());
        assert_eq!(spool.overflowed(), 2);
        first.delete();
        assert!(add(&mut spool, out("a", &["x", "y"])).is_some());
        spool.settings.full = WhenFull::Wait;
        let added = spool.add(&mut out("a", &["z"; 10]), None, || true, || true).unwrap();
        assert!(matches!(added, Spooled::File(_)), "nobody empties it any more");
        assert_eq!(spool.overflowed(), 2);
    }

    #[test]
    fn what_is_for_servers_of_another_protocol_is_not_delivered() {
        let directory = tempfile::tempdir().unwrap();
        let messages = || SpoolSettings { messages: true, ..settings(directory.path(), 1 << 20, WhenFull::Wait) };
        let mut spool = Spool::open(messages()).unwrap();
        add(&mut spool, out("", &["<30>1 one"])).unwrap();
        drop(spool);
        let error = Spool::open(settings(directory.path(), 1 << 20, WhenFull::Wait)).unwrap_err();
        assert!(matches!(error, CheckpointError::OtherProtocol { .. }), "{error}");
        assert_eq!(Spool::open(messages()).unwrap().take_leftovers().len(), 1);
    }

    #[test]
    fn what_is_damaged_is_kept_apart() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(settings(directory.path(), 1 << 20, WhenFull::Wait)).unwrap();
        for (content, lost) in [(b"katspl2\nrubbish that is no block".as_slice(), 2), (b"katspl9\n", 2), (b"", 2)] {
            let mut spooled = add(&mut spool, out("tag", &["one", "two"])).unwrap();
            let bad = spooled.path().with_extension("bad");
            fs::write(spooled.path(), content).unwrap();
            let (records, count) = spooled.read();
            assert!(records.is_empty() && count == lost, "{content:?}: {count}");
            assert!(spooled.path().exists(), "a killed run reads it again");
            spooled.delete();
            assert_eq!(fs::read(bad).unwrap(), content);
        }
    }
}
