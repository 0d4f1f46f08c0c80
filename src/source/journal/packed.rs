//! Opens a journal file, and unpacks it if it is compressed.

use std::fs::File;
use std::path::Path;

use super::file::Refusal;
use crate::source::codec::{self, Bytes, Content, Fault};
use crate::source::extent::Extent;
use crate::source::spill::Spill;
use crate::source::{Input, SourceError};

/// Whether a file is compressed, by its first bytes. One that cannot be read is not.
pub(super) fn is_packed(file: &Extent) -> bool {
    let mut head = [0; codec::LONGEST_MAGIC];
    file.read_at(&mut head, 0).is_ok_and(|len| codec::is_compressed(&head[..len]))
}

/// The bytes of a journal file, and why they are not all if they are not.
///
/// # Errors
///
/// Fails where there are none.
pub(super) fn open(path: &Path) -> Result<(Extent, Option<SourceError>), Refusal> {
    let extent = Extent::from(File::open(path).map_err(Refusal::Unreadable)?);
    if !is_packed(&extent) {
        return Ok((extent, None));
    }
    let input = Input::File(path.to_owned());
    let packed = |error| Refusal::Packed(Box::new(error));
    let mut bytes = Bytes::new(Box::new(extent.reader()), false);
    match bytes.read(&mut [0; codec::LONGEST_MAGIC]) {
        Err(Fault::Holds(Content::Journal, head)) => {
            Spill::new().put(&input, &head, &mut bytes, Bytes::taken).map_err(packed)
        }
        Ok(_) | Err(Fault::Holds(..)) => Err(Refusal::NotAJournal),
        Err(fault) => Err(packed(SourceError::of(fault, input, 0))),
    }
}
