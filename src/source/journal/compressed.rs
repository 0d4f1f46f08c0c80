//! Opens a journal file, and unpacks it if it is compressed.

use std::error::Error;
use std::fs::File;
use std::path::Path;

use journal_file::{FileRange, OpenFile, Refusal};

use crate::source::codec::{self, Bytes, Content, Fault};
use crate::source::temp_file::TempFile;
use crate::source::{Input, SourceError};

/// Journal files, compressed or not.
pub(super) struct CompressedFiles;

impl OpenFile for CompressedFiles {
    fn open(&self, path: &Path) -> Result<(FileRange, Option<Box<dyn Error + Send + Sync>>), Refusal> {
        let extent = FileRange::from(File::open(path).map_err(Refusal::Unreadable)?);
        if !self.is_compressed(&extent) {
            return Ok((extent, None));
        }
        let input = Input::File(path.to_owned());
        let compressed = |error| Refusal::Unopened(Box::new(error));
        let mut bytes = Bytes::new(Box::new(extent.reader()), false);
        match bytes.read(&mut [0; codec::LONGEST_MAGIC]) {
            Err(Fault::Holds(Content::Journal, head)) => {
                let (extent, failure) =
                    TempFile::new().unpack(&input, &head, &mut bytes, Bytes::consumed).map_err(compressed)?;
                Ok((extent, failure.map(Into::into)))
            }
            Ok(_) | Err(Fault::Holds(..)) => Err(Refusal::NotAJournal),
            Err(fault) => Err(compressed(SourceError::of(fault, input, 0))),
        }
    }

    /// Whether a file is compressed, by its first bytes. One that cannot be read is not.
    fn is_compressed(&self, file: &FileRange) -> bool {
        let mut head = [0; codec::LONGEST_MAGIC];
        file.read_at(&mut head, 0).is_ok_and(|len| codec::is_compressed(&head[..len]))
    }

    fn suffixes(&self) -> &[&str] {
        &[".zst", ".xz", ".gz"]
    }
}
