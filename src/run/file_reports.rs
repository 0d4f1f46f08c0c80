//! Reports of followed files: messages, metrics, and notes for the next run.

use std::path::Path;
use std::sync::Arc;

use kata_records::Stats;

use crate::delivery::checkpoint::Checkpoint;
use crate::diagnostics;
use crate::service::file_metrics::FileMetrics;
use crate::source::position::FilePosition;
use crate::source::{FileObserver, HeldFile, LossReason};

/// The observer of the followed files of a run.
pub(super) struct FileReports {
    pub(super) metrics: Arc<FileMetrics>,
    pub(super) checkpoint: Option<Checkpoint>,
}

impl FileObserver for FileReports {
    fn held(&self, files: u64, bytes: u64) {
        self.metrics.set_held(files, bytes);
    }

    fn vanished(&self, path: &Path, bytes: u64, reason: LossReason) {
        self.metrics.vanished(bytes);
        let why = match reason {
            LossReason::Deleted => "it was deleted before they were read, and no copy was found",
            LossReason::GivenUp => {
                "it was deleted, and files that wait to be read reached the limits of --held-files and --held-size"
            }
            LossReason::Emptied => "it was emptied before they were read, and no copy was found",
        };
        diagnostics::report(format_args!("{path:?}: {bytes} bytes are lost: {why}"));
    }

    fn noted(&self, files: Vec<FilePosition>) {
        if let Some(checkpoint) = &self.checkpoint {
            checkpoint.note_files(files);
        }
    }
}

/// Reports deleted files that end with the run, and whose last records are not delivered. Without saved positions, counts
/// them. Returns whether there are any.
pub(super) fn lost_at_end(held: &[HeldFile], checkpoint: &Checkpoint, stats: &mut Stats) -> bool {
    let delivered = checkpoint.files();
    let lost = held.iter().map(|HeldFile { position, .. }| {
        let known = delivered.iter().find(|known| known.origin == position.origin);
        position.length.max(position.offset).saturating_sub(known.map_or(0, |known| known.offset))
    });
    let lost: Vec<u64> = lost.filter(|bytes| *bytes > 0).collect();
    let (files, bytes) = (lost.len() as u64, lost.iter().sum());
    if files == 0 {
        return false;
    }
    let next = if checkpoint.is_kept() { "; the next run counts them" } else { "" };
    diagnostics::report(format_args!(
        "{bytes} bytes of {files} deleted files are not delivered and are lost, because nothing can open the files again\
         {next}"
    ));
    if !checkpoint.is_kept() {
        stats.vanished(files, bytes);
    }
    true
}
