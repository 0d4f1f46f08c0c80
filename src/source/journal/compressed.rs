//! Opens journal files, and decompresses those that are compressed.

use std::error::Error as StdError;
use std::fs::File;
use std::path::Path;

use journal_file::{Error, FileRange, OpenFile};

use crate::source::codec::{self, Bytes, Content, Fault};
use crate::source::temp_file::TempFile;
use crate::source::{Input, SourceError};

/// The opener of journal files, compressed or not.
pub(super) struct CompressedFiles;

impl OpenFile for CompressedFiles {
    fn open(&self, path: &Path) -> Result<(FileRange, Option<Box<dyn StdError + Send + Sync>>), Error> {
        let file = File::open(path).map_err(|cause| Error::Open { path: path.to_owned(), cause })?;
        let range = FileRange::from(file);
        if !self.is_compressed(&range) {
            return Ok((range, None));
        }
        let input = Input::File(path.to_owned());
        let refused = |error: SourceError| Error::Refused { path: path.to_owned(), cause: error.into() };
        let mut bytes = Bytes::new(Box::new(range.reader()), false);
        match bytes.read(&mut [0; codec::LONGEST_MAGIC]) {
            Err(Fault::Holds(Content::Journal, head)) => {
                let (range, failure) =
                    TempFile::new().unpack(&input, &head, &mut bytes, Bytes::consumed).map_err(refused)?;
                Ok((range, failure.map(Into::into)))
            }
            Ok(_) | Err(Fault::Holds(..)) => Err(Error::not_a_journal(path)),
            Err(fault) => Err(refused(SourceError::of(fault, input, 0))),
        }
    }

    /// Returns whether a file begins as compressed files do. An unreadable file does not.
    fn is_compressed(&self, file: &FileRange) -> bool {
        let mut head = [0; codec::LONGEST_MAGIC];
        file.read_at(&mut head, 0).is_ok_and(|len| codec::is_compressed(&head[..len]))
    }

    fn suffixes(&self) -> &[&str] {
        &[".zst", ".xz", ".gz"]
    }
}
