//! Detects the content of an input from its first bytes: compressed data, a journal file, a tar archive, a format that
//! katalog does not read, or a log.

use std::fmt;

use super::Codec;

/// Content that is not a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source) enum Content {
    /// A systemd journal file.
    Journal,
    /// A tar archive.
    Archive,
}

/// The meaning of a magic number.
#[derive(Clone, Copy)]
pub(super) enum Magic {
    Compressed(Codec),
    Journal,
    Foreign(ForeignFormat),
}

/// A format that katalog recognizes but does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignFormat {
    /// A zip archive.
    Zip,
    /// Data compressed with bzip2.
    Bzip2,
    /// An lz4 frame.
    Lz4,
    /// A 7z archive.
    SevenZip,
    /// A program, a library or a core dump.
    Elf,
}

impl ForeignFormat {
    /// Returns the command that unpacks such a file to standard output.
    pub(in crate::source) fn unpacker(self) -> Option<&'static str> {
        match self {
            ForeignFormat::Zip => Some("unzip -p"),
            ForeignFormat::Bzip2 => Some("bzip2 -dc"),
            ForeignFormat::Lz4 => Some("lz4 -dc"),
            ForeignFormat::SevenZip => Some("7z x -so"),
            ForeignFormat::Elf => None,
        }
    }
}

impl fmt::Display for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ForeignFormat::Zip => "a zip archive",
            ForeignFormat::Bzip2 => "compressed with bzip2",
            ForeignFormat::Lz4 => "compressed with lz4",
            ForeignFormat::SevenZip => "a 7z archive",
            ForeignFormat::Elf => "an ELF file (a program or a core dump)",
        })
    }
}

/// The first bytes of a journal file (systemd: `journal-def.h`).
pub(super) const JOURNAL_MAGIC: &[u8] = b"LPKSHHRH";

/// The file name suffixes of compression programs.
pub(in crate::source) const COMPRESSED_SUFFIXES: [&str; 4] = [".gz", ".xz", ".zst", ".zstd"];

/// The magic numbers. `?` stands for any byte.
const MAGICS: &[(&[u8], Magic)] = &[
    (b"\x1f\x8b", Magic::Compressed(Codec::Gzip)),
    (b"\x28\xb5\x2f\xfd", Magic::Compressed(Codec::Zstd)),
    (b"\xfd7zXZ\0", Magic::Compressed(Codec::Xz)),
    (JOURNAL_MAGIC, Magic::Journal),
    (b"PK\x03\x04", Magic::Foreign(ForeignFormat::Zip)),
    (b"BZh?1AY&", Magic::Foreign(ForeignFormat::Bzip2)),
    (b"\x04\x22\x4d\x18", Magic::Foreign(ForeignFormat::Lz4)),
    (b"7z\xbc\xaf\x27\x1c", Magic::Foreign(ForeignFormat::SevenZip)),
    (b"\x7fELF", Magic::Foreign(ForeignFormat::Elf)),
];

/// The bytes that a first read needs so that every magic number fits.
pub(in crate::source) const LONGEST_MAGIC: usize = 8;

/// The bytes that a first read needs to distinguish archives from logs.
pub(in crate::source) const LONGEST_HEAD: usize = TAR_BLOCK;

/// The number of bytes at which a binary input is detected.
const BINARY_HEAD: usize = 8 << 10;
/// The number of bytes that are not text below which an input is no binary one.
const MIN_ODD: usize = 8;

/// The block size of tar archives: headers and contents are aligned to it.
pub(in crate::source) const TAR_BLOCK: usize = 512;

/// The tar header fields used for detection.
const TAR_NAME: usize = 100;
const TAR_MODE: std::ops::Range<usize> = 100..107;
const TAR_CHECKSUM: std::ops::Range<usize> = 148..156;
const TAR_MAGIC: usize = 257;

/// Returns the meaning of the magic number with which content begins.
pub(super) fn magic_of(head: &[u8]) -> Option<Magic> {
    MAGICS.iter().find(|(magic, _)| head.len() >= magic.len() && agrees(head, magic)).map(|(_, meaning)| *meaning)
}

/// Returns whether these bytes are a proper prefix of a magic number.
pub(in crate::source) fn is_unclear(head: &[u8]) -> bool {
    MAGICS.iter().any(|(magic, _)| head.len() < magic.len() && agrees(head, magic))
}

/// Returns whether the bytes equal those of a magic number, as far as both go.
fn agrees(head: &[u8], magic: &[u8]) -> bool {
    head.iter().zip(magic).all(|(byte, expected)| byte == expected || *expected == b'?')
}

/// Returns whether content that starts with these bytes is compressed.
pub(in crate::source) fn is_compressed(head: &[u8]) -> bool {
    matches!(magic_of(head), Some(Magic::Compressed(_)))
}

/// Returns whether content that starts with these bytes is a tar archive, or `None` if more bytes are needed. One block
/// always decides. A decision on a prefix holds for every longer prefix, with one exception: a `live` input whose first
/// bytes have a line break or another control character is text unless a whole block is there. A terminal or a pipe
/// with a short line must not wait for more.
///
/// In a header, zeros pad the name, which no text contains. The oldest archives have no magic number, so the checksum
/// decides there. The checksum also decides if the name has control characters, which any file name may have.
pub(in crate::source) fn detect_tar(head: &[u8], live: bool) -> Option<bool> {
    let name = &head[..head.len().min(TAR_NAME)];
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    let (name, padding) = name.split_at(end);
    let mode = head.get(TAR_MODE.start..head.len().clamp(TAR_MODE.start, TAR_MODE.end)).unwrap_or_default();
    let is_plain = name.iter().all(|byte| !byte.is_ascii_control());
    let may_be = (is_plain || !live || head.len() >= TAR_BLOCK)
        && padding.iter().all(|byte| *byte == 0)
        && mode.iter().all(|byte| matches!(byte, b'0'..=b'7' | b' ' | 0));
    if !may_be {
        return Some(false);
    }
    let block = head.get(..TAR_BLOCK)?;
    let magic = &block[TAR_MAGIC..];
    let is_known = magic.starts_with(b"ustar\0") || magic.starts_with(b"ustar  \0");
    Some(is_plain && is_known || block[0] != 0 && has_tar_checksum(block))
}

/// Returns whether a complete input is a truncated header, after [`detect_tar`] returned `None` for it.
pub(in crate::source) fn is_cut_tar(head: &[u8]) -> bool {
    // Without a checksum, a name with control characters is text.
    let is_name = |name: &[u8]| {
        let end = name.iter().position(|byte| *byte == 0).unwrap_or_default();
        end > 0 && !name.iter().take(end).any(u8::is_ascii_control)
    };
    let named = head.get(..TAR_NAME).is_some_and(is_name);
    named && head.get(TAR_MODE).is_some_and(|mode| mode.iter().any(u8::is_ascii_digit))
}

/// Returns whether bytes from the beginning of a log are no text: more than [`MIN_ODD`] and a tenth of the first
/// [`BINARY_HEAD`] bytes are control characters or not UTF-8. Text in other encodings has fewer.
pub(in crate::source) fn looks_binary(head: &[u8]) -> bool {
    let head = &head[..head.len().min(BINARY_HEAD)];
    let is_odd = |byte: &u8| byte.is_ascii_control() && !matches!(byte, 0x08..=0x0d | 0x1b);
    let odd = head.utf8_chunks().map(|chunk| chunk.valid().bytes().filter(is_odd).count() + chunk.invalid().len());
    odd.sum::<usize>() > MIN_ODD.max(head.len() / 10)
}

/// Returns whether the checksum of a block is that of a tar header. Some old writers summed signed bytes.
pub(in crate::source) fn has_tar_checksum(block: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&block[TAR_CHECKSUM]);
    let Ok(claimed) = i64::from_str_radix(text.trim_matches([' ', '\0']), 8) else { return false };
    let rest = block.iter().enumerate().filter(|(at, _)| !TAR_CHECKSUM.contains(at)).map(|(_, byte)| *byte);
    let spaces = TAR_CHECKSUM.len() as i64 * i64::from(b' ');
    let unsigned: i64 = spaces + rest.clone().map(i64::from).sum::<i64>();
    let signed: i64 = spaces + rest.map(|byte| i64::from(byte.cast_signed())).sum::<i64>();
    claimed == unsigned || claimed == signed
}
