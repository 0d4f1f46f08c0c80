//! Parses the headers of tar archives (POSIX: `pax`; GNU tar manual, appendix D). The crate `tar` reads long names and
//! pax records; their numbers are treated as claims.

use std::ffi::OsString;
use std::io::{self, Cursor, Read};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use super::archive_bytes::{ArchiveBytes, MemberReader};
use crate::source::codec::TAR_BLOCK;

/// The byte limit of the extension records before a header. No name needs more.
const MAX_EXTENSIONS: u64 = 1 << 20;

/// The header of an archive member.
#[derive(Debug)]
pub(super) struct TarHeader {
    /// The member's path. It is never used to open or create a file.
    pub(super) path: PathBuf,
    pub(super) kind: MemberKind,
    /// The offset and length of the member's content.
    pub(super) offset: u64,
    pub(super) size: u64,
    /// The offset of the next header.
    pub(super) next: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberKind {
    /// A regular file.
    File,
    /// A sparse file: its data and a map of its holes.
    Sparse,
    /// A pipe or a device.
    Special,
    /// A directory, link or extension record.
    Other,
}

/// Parses the header at an offset, given its first block.
///
/// # Errors
///
/// Fails if the header is invalid, or if the archive ends or cannot be read there.
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

/// Returns path, kind and size of the member described by this block and the extension records after it.
fn parse_member(block: &[u8; TAR_BLOCK], rest: &mut RecordingReader) -> io::Result<(Vec<u8>, MemberKind, u64)> {
    let mut archive = tar::Archive::new(Cursor::new(block).chain(rest));
    let mut entry = archive.entries()?.next().ok_or(io::ErrorKind::InvalidData)??;
    let mut path = entry.path_bytes().into_owned();
    let mut kind = match entry.header().entry_type() {
        tar::EntryType::GNUSparse => MemberKind::Sparse,
        // The oldest archives mark directories by a trailing slash.
        kind if kind.is_file() && path.ends_with(b"/") => MemberKind::Other,
        kind if kind.is_file() || kind.is_contiguous() => MemberKind::File,
        kind if kind.is_fifo() || kind.is_character_special() || kind.is_block_special() => MemberKind::Special,
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

/// A reader that records what it reads, so that the bytes can be returned if they are no header.
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
