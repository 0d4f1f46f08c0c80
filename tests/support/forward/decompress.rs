//! The decompressed entries of a request.

use std::borrow::Cow;
use std::io::Read as _;

use super::wire::{Entries, Frame, WireError};

/// A limit above that of any server.
const LIMIT: u64 = 256 << 20;

/// Returns the bytes of the entries. A message becomes an entry by a header before its time and record.
pub(crate) fn decompressed<'a>(frame: &Frame<'a>) -> Result<Cow<'a, [u8]>, WireError> {
    let bytes = match frame.entries {
        Entries::Message(entry) => {
            let mut bytes = vec![0x92];
            bytes.extend_from_slice(entry);
            return Ok(bytes.into());
        }
        Entries::Forward(_, entries) => return Ok(entries.into()),
        Entries::Packed(bytes, _) => bytes,
    };
    let mut plain = Vec::new();
    match frame.compressed {
        None | Some(b"text") => return Ok(bytes.into()),
        Some(b"gzip") => flate2::read::MultiGzDecoder::new(bytes).take(LIMIT + 1).read_to_end(&mut plain),
        Some(b"zstd") => zstd::Decoder::new(bytes).and_then(|decoder| decoder.take(LIMIT + 1).read_to_end(&mut plain)),
        Some(name) => return Err(WireError::new(format!("unknown compression {:?}", String::from_utf8_lossy(name)))),
    }
    .map_err(|error| WireError::new(format!("compressed entries: {error}")))?;
    if plain.len() as u64 > LIMIT { Err(WireError::new("too much decompressed")) } else { Ok(plain.into()) }
}
