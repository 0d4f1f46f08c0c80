//! The headers of a tar archive: what one is, and what it says of its member (POSIX: `pax`; GNU tar: its manual, appendix
//! D). Long names and pax records are read by the crate `tar`; numbers that they hold are taken as claims.

use std::ffi::OsString;
use std::io::{self, Cursor, Read};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use super::archive_bytes::{ArchiveBytes, MemberReader};
use crate::source::codec::TAR_BLOCK;

/// How many bytes the records before a header may have together: no name needs so many.
const MAX_EXTENSIONS: u64 = 1 << 20;

/// A member of an archive, as its header describes it.
#[derive(Debug)]
pub(super) struct TarHeader {
    /// Its name, which is nothing but a name.
    pub(super) path: PathBuf,
    pub(super) kind: MemberKind,
    /// Where its bytes begin, and how many there are.
    pub(super) offset: u64,
    pub(super) size: u64,
    /// Where the next header is.
    pub(super) next: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberKind {
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
/// Fails where there is none, where the archive ends, or where it cannot be read.
pub(super) fn read(archive: &ArchiveBytes, offset: u64, block: &[u8; TAR_BLOCK]) -> io::Result<TarHeader> {
    let begin = offset.saturating_add(TAR_BLOCK as u64);
    let mut rest = RecordingReader { member: archive.member_reader(begin, MAX_EXTENSIONS), bytes: Vec::new() };
    let found = parse_member(block, &mut rest);
    let at = rest.member.at();
    if found.is_err() {
        archive.put_back(begin, rest.bytes);
    }
    let (path, kind, size) = found?;
    let padded = size.checked_next_multiple_of(TAR_BLOCK as u64);
    let next = padded.and_then(|padded| at.checked_add(padded)).unwrap_or(u64::MAX);
    let path = PathBuf::from(OsString::from_vec(path));
    Ok(TarHeader { path: path.strip_prefix("./").map(PathBuf::from).unwrap_or(path), kind, offset: at, size, next })
}

/// The name, the kind and the size of the member whose header is this block, or stands behind it and what describes it.
fn parse_member(block: &[u8; TAR_BLOCK], rest: &mut RecordingReader) -> io::Result<(Vec<u8>, MemberKind, u64)> {
    let mut archive = tar::Archive::new(Cursor::new(block).chain(rest));
    let mut entry = archive.entries()?.next().ok_or(io::ErrorKind::InvalidData)??;
    let mut path = entry.path_bytes().into_owned();
    let mut kind = match entry.header().entry_type() {
        tar::EntryType::GNUSparse => MemberKind::Sparse,
        // So the oldest archives mark directories.
        kind if kind.is_file() && path.ends_with(b"/") => MemberKind::Other,
        kind if kind.is_file() || kind.is_contiguous() => MemberKind::File,
        _ => MemberKind::Other,
    };
    let size = if kind == MemberKind::Sparse { entry.header().entry_size()? } else { entry.size() };
    for record in entry.pax_extensions()?.into_iter().flatten().flatten() {
        if record.key_bytes().starts_with(b"GNU.sparse.") {
            kind = MemberKind::Sparse;
            if record.key_bytes() == b"GNU.sparse.name" {
                path = record.value_bytes().to_vec();
            }
        }
    }
    Ok((path, kind, size))
}

/// Keeps what was read, in case that it was no description of a member.
struct RecordingReader {
    member: MemberReader,
    bytes: Vec<u8>,
}

impl Read for RecordingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.member.read(buffer)?;
        self.bytes.extend_from_slice(&buffer[..len]);
        Ok(len)
    }
}
