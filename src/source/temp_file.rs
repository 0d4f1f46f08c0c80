//! Unpacks journals that cannot be read in place. The temporary file is unlinked, so the system removes it even if the
//! process is killed.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use journal_file::FileRange;

use super::codec::Bytes;
use super::{Input, SourceError};

/// The number of bytes unpacked at once.
const CHUNK: usize = 64 << 10;

/// The limit of unpacked bytes as a multiple of the compressed bytes, but at least [`MIN_LIMIT`]. A small file can
/// decompress to any length.
pub(super) const MAX_RATIO: u64 = 64;
const MIN_LIMIT: u64 = 1 << 30;

/// The content of unused space, which is most of a typical journal.
static ZEROS: [u8; CHUNK] = [0; CHUNK];

/// Unpacked journals, one after the other in one file. The file is created with the first journal.
pub(super) struct TempFile {
    file: Option<Arc<File>>,
    end: u64,
    min_limit: u64,
}

impl TempFile {
    pub(super) fn new() -> TempFile {
        TempFile { file: None, end: 0, min_limit: MIN_LIMIT }
    }

    /// Unpacks a journal that begins with `head`. Returns its extent, and the error that ended it early, if any.
    /// `consumed` returns the number of compressed bytes read for all journals so far.
    ///
    /// # Errors
    ///
    /// Fails if the temporary file cannot be created.
    pub(super) fn unpack(
        &mut self,
        input: &Input,
        head: &[u8],
        bytes: &mut Bytes,
        consumed: impl Fn(&Bytes) -> u64,
    ) -> Result<(FileRange, Option<SourceError>), SourceError> {
        let full = |cause| SourceError::Unpack { input: input.clone(), cause };
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => Arc::clone(self.file.insert(Arc::new(tempfile::tempfile().map_err(full)?))),
        };
        let base = self.end;
        let mut chunk = head.to_vec();
        let mut held = head.len();
        let failure = loop {
            let most = consumed(bytes).saturating_mul(MAX_RATIO).max(self.min_limit);
            if self.end + held as u64 > most {
                break Some(SourceError::Oversized { input: input.clone(), most });
            }
            if let Err(cause) = self.append(&file, &chunk[..held]) {
                break Some(full(cause));
            }
            chunk.resize(CHUNK, 0);
            match bytes.read(&mut chunk) {
                Ok(0) => break None,
                Ok(len) => held = len,
                Err(fault) => break Some(SourceError::of(fault, input.clone(), self.end - base)),
            }
        };
        Ok((FileRange::from(file).part(base, self.end - base), failure))
    }

    /// Appends bytes. Unused space of journals becomes a hole in the file.
    fn append(&mut self, file: &File, bytes: &[u8]) -> std::io::Result<()> {
        let end = self.end + bytes.len() as u64;
        if ZEROS.get(..bytes.len()) == Some(bytes) {
            file.set_len(end)?;
        } else {
            file.write_all_at(bytes, self.end)?;
        }
        self.end = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test fails by it

    use std::io::Read as _;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn bytes(data: &[u8]) -> Bytes {
        Bytes::new(Box::new(std::io::Cursor::new(data.to_vec())), false)
    }

    fn text(extent: &FileRange) -> Vec<u8> {
        let mut text = Vec::new();
        extent.reader().read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn journals_share_a_file_in_which_zeros_take_no_room() {
        let mut temp_file = TempFile::new();
        let data = [b" begins".as_slice(), &[0; 40 * CHUNK], b"ends", &[0; 3 * CHUNK]].concat();
        let (one, failure) = temp_file.unpack(&Input::Stdin, b"head", &mut bytes(&data), Bytes::consumed).unwrap();
        assert!(failure.is_none());
        let (two, _) = temp_file.unpack(&Input::Stdin, b"", &mut bytes(b"two"), Bytes::consumed).unwrap();
        assert!(text(&one) == [b"head".as_slice(), &data].concat());
        assert_eq!(text(&two), b"two");
        let metadata = temp_file.file.unwrap().metadata().unwrap();
        assert_eq!(metadata.nlink(), 0);
        assert!(metadata.len() == data.len() as u64 + 7 && metadata.blocks() * 512 < 10 * CHUNK as u64, "{metadata:?}");
    }

    #[test]
    fn what_is_unpacked_is_limited() {
        let mut temp_file = TempFile { min_limit: 1000, ..TempFile::new() };
        let input = Input::File("bomb".into());
        let (most, failure) = temp_file.unpack(&input, b"", &mut bytes(&[1; 1000]), |_| 0).unwrap();
        assert!(failure.is_none() && text(&most).len() == 1000);
        let (rest, failure) = temp_file.unpack(&input, b"", &mut bytes(b"x"), |_| 0).unwrap();
        let failure = failure.unwrap();
        assert_eq!((text(&rest).len(), failure.exit().code()), (0, 65), "all that is unpacked counts");
        assert!(failure.to_string().contains("\"bomb\": it unpacks to more than 1000 bytes"), "{failure}");
        let (_, failure) = temp_file.unpack(&input, b"", &mut bytes(&[1; 280]), |_| 20).unwrap();
        assert!(failure.is_none(), "20 bytes may become 1280");
    }
}
