//! The way to open a journal file, which a program can replace for journals stored in another form.

use std::error::Error as StdError;
use std::fs::File;
use std::path::Path;

use crate::error::Error;
use crate::file_range::FileRange;

/// A way to open journal files. The default methods read files as journald writes them.
pub trait OpenFile: Sync {
    /// Opens a file. Returns the reason as well if only a part of its bytes can be read.
    ///
    /// # Errors
    ///
    /// Fails if no bytes can be read.
    fn open(&self, path: &Path) -> Result<(FileRange, Option<Box<dyn StdError + Send + Sync>>), Error> {
        let file = File::open(path).map_err(|cause| Error::Open { path: path.to_owned(), cause })?;
        Ok((FileRange::from(file), None))
    }

    /// Returns whether a file holds a journal in another form, judged by its first bytes. No writer appends to it.
    fn is_compressed(&self, _file: &FileRange) -> bool {
        false
    }

    /// Returns the endings that names of files in another form have after `.journal`, each with its dot.
    fn suffixes(&self) -> &[&str] {
        &[]
    }
}

/// The way to open files as journald writes them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlainFiles;

impl OpenFile for PlainFiles {}
