//! Bounds the deleted files that stay open until they are read, and reports what is lost of files.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::FilesSource;
use super::log::Log;
use crate::source::position::FilePosition;

/// The limits of deleted files that stay open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldLimits {
    /// The maximum number of files.
    pub files: usize,
    /// The maximum size of all files in bytes. Their space on disk is not free before they are closed.
    pub bytes: u64,
}

impl Default for HeldLimits {
    fn default() -> HeldLimits {
        HeldLimits { files: 512, bytes: 1 << 30 }
    }
}

/// The reason why a part of a log is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// The file was deleted before it was opened, or while katalog did not run.
    Deleted,
    /// The file was deleted, and closed because deleted files reached their limits.
    GivenUp,
    /// The file was emptied, and no copy was found.
    Emptied,
}

/// A deleted file that is open. Nothing else can open it again.
#[derive(Clone, Debug)]
pub struct HeldFile {
    /// The position up to which the file was read.
    pub position: FilePosition,
    pub(super) file: Arc<File>,
}

/// A receiver of reports about followed files. Reports come at once, even while the reader waits for the delivery.
pub trait FileObserver: Send + Sync {
    /// Reports the deleted files that are open: their number and their size in bytes.
    fn held(&self, files: u64, bytes: u64);

    /// Reports that the last bytes of a log are lost. `bytes` is their number, as far as it is known.
    fn vanished(&self, path: &Path, bytes: u64, reason: LossReason);

    /// Notes files of which a later run must know, although nothing of them was delivered since.
    fn noted(&self, files: Vec<FilePosition>);
}

impl FilesSource {
    /// Returns the deleted files that are open.
    pub(super) fn held_files(&self) -> Vec<HeldFile> {
        let held = self.logs.iter().filter(|log| log.is_deleted);
        held.filter_map(|log| Some(HeldFile { position: log.position(), file: Arc::clone(log.tail()?.file().ok()?) }))
            .collect()
    }

    /// Notes new files, and the lengths of rotated, deleted and growing ones. A checkpoint moves only with deliveries, so
    /// a run that is killed meanwhile would leave no trace of them.
    pub(super) fn note_files(&mut self) {
        self.notes.extend(self.logs.iter_mut().filter_map(Log::unnoted_position));
    }

    /// Closes deleted files beyond the limits: first those that are read to their ends, then the oldest.
    pub(super) fn bound_held(&mut self) {
        let limits = self.settings.held;
        let is_held = |log: &Log| log.is_deleted && log.tail().is_some_and(|tail| !tail.is_rest());
        let mut held: Vec<usize> = (0..self.logs.len()).filter(|index| is_held(&self.logs[*index])).collect();
        let size = |log: &Log| log.tail().and_then(|tail| tail.stamp().ok()).map_or(0, |stamp| stamp.0);
        let mut bytes: u64 = held.iter().map(|index| size(&self.logs[*index])).sum();
        while held.len() > limits.files || bytes > limits.bytes {
            let is_read = |index: &usize| self.logs[*index].tail().is_some_and(|tail| tail.is_settled());
            let index = held.remove(held.iter().position(is_read).unwrap_or(0));
            let Some(log) = self.logs.get_mut(index) else { continue };
            bytes = bytes.saturating_sub(size(log));
            if log.tail().is_some_and(|tail| tail.is_settled()) {
                log.close();
            } else {
                log.give_up();
                self.changed = true;
            }
        }
        self.observer.held(held.len() as u64, bytes);
    }
}
