//! How a file is opened. A program that keeps journals in another form than journald can say so here.

use std::error::Error;
use std::fs::File;
use std::path::Path;

use crate::error::Refusal;
use crate::file_range::FileRange;

/// Opens files. What it has no method for is done as for files that journald wrote.
pub trait OpenFile: Sync {
    /// Opens a file, and says why its bytes are not all if they are not.
    ///
    /// # Errors
    ///
    /// Fails where there are none.
    fn open(&self, path: &Path) -> Result<(FileRange, Option<Box<dyn Error + Send + Sync>>), Refusal> {
        Ok((FileRange::from(File::open(path).map_err(Refusal::Unreadable)?), None))
    }

    /// Whether a file holds a journal in another form, by what it begins with. Nobody writes to such a file.
    fn is_compressed(&self, _file: &FileRange) -> bool {
        false
    }

    /// What the names of such files have behind `.journal`, each with its dot.
    fn suffixes(&self) -> &[&str] {
        &[]
    }
}

/// Opens files as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainFiles;

impl OpenFile for PlainFiles {}
