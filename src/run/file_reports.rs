//! Reports of followed files: messages, metrics, and notes for the next run.

use std::path::Path;
use std::sync::Arc;

use crate::delivery::checkpoint::Checkpoint;
use crate::diagnostics;
use crate::service::file_metrics::FileMetrics;
use crate::source::position::FilePosition;
use crate::source::{FileObserver, LossReason};

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
