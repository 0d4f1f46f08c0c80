//! The headers of a tar archive: what one is, and what it says of its member (POSIX: `pax`; GNU tar: its manual, appendix
//! D). Long names and pax records are read by the crate `tar`; numbers that they hold are taken as claims.

use std::ffi::OsString;
use std::io::{self, Cursor, Read};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use super::tape::{Member, Tape};
use crate::source::codec::BLOCK;

/// How many bytes the records before a header may have together: no name needs so many.
const LONGEST: u64 = 1 << 20;

/// A member of an archive, as its header describes it.
#[derive(Debug)]
pub(super) struct Header {
    /// Its name, which is nothing but a name.
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    /// Where its bytes begin, and how many there are.
    pub(super) at: u64,
    pub(super) size: u64,
    /// Where the next header is.
    pub(super) next: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file.
    File,
    /// A file without its holes, and a list of them.
    Sparse,
    /// A directory, a link, a device, or a description of something else.
    Other,
}

/// Reads the header that begins at an offset with this block.
///
/// # Errors
///
/// Fails where there is none, where the tape ends, or where it cannot be read.
pub(super) fn read(tape: &Tape, offset: u64, block: &[u8; BLOCK]) -> io::Result<Header> {
    let begin = offset.saturating_add(BLOCK as u64);
    let mut rest = Noted { member: tape.member(begin, LONGEST), bytes: Vec::new() };
    let found = found(block, &mut rest);
    let at = rest.member.at();
    if found.is_err() {
        tape.put_back(begin, rest.bytes);
    }
    let (path, kind, size) = found?;
    let padded = size.checked_next_multiple_of(BLOCK as u64);
    let next = padded.and_then(|padded| at.checked_add(padded)).unwrap_or(u64::MAX);
    let path = PathBuf::from(OsString::from_vec(path));
    Ok(Header { path: path.strip_prefix("./").map(PathBuf::from).unwrap_or(path), kind, at, size, next })
}

/// The name, the kind and the size of the member whose header is this block, or stands behind it and what describes it.
fn found(block: &[u8; BLOCK], rest: &mut Noted) -> io::Result<(Vec<u8>, Kind, u64)> {
    let mut archive = tar::Archive::new(Cursor::new(block).chain(rest));
    let mut entry = archive.entries()?.next().ok_or(io::ErrorKind::InvalidData)??;
    let mut path = entry.path_bytes().into_owned();
    let mut kind = match entry.header().entry_type() {
        tar::EntryType::GNUSparse => Kind::Sparse,
        // So the oldest archives mark directories.
        kind if kind.is_file() && path.ends_with(b"/") => Kind::Other,
        kind if kind.is_file() || kind.is_contiguous() => Kind::File,
        _ => Kind::Other,
    };
    let size = if kind == Kind::Sparse { entry.header().entry_size()? } else { entry.size() };
    for record in entry.pax_extensions()?.into_iter().flatten().flatten() {
        if record.key_bytes().starts_with(b"GNU.sparse.") {
            kind = Kind::Sparse;
            if record.key_bytes() == b"GNU.sparse.name" {
                path = record.value_bytes().to_vec();
            }
        }
    }
    Ok((path, kind, size))
}

/// Keeps what was read, in case that it was no description of a member.
struct Noted {
    member: Member,
    bytes: Vec<u8>,
}

impl Read for Noted {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = self.member.read(room)?;
        self.bytes.extend_from_slice(&room[..len]);
        Ok(len)
    }
}
