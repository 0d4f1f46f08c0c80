//! Detects compression and decodes it; detects journals and archives among the decoded bytes. Framing happens
//! elsewhere.
//!
//! The decoders here return every byte decoded before damage, and the error with the next read. The readers of the
//! codec crates drop up to a whole buffer at that point.

mod content;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg_attr(
    not(any(feature = "xz", feature = "zstd")),
    expect(dead_code, reason = "gzip needs too little memory to count it")
)]
mod memory;
#[cfg(feature = "xz")]
mod xz;
#[cfg(feature = "zstd")]
mod zstd;

use std::fmt;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use content::{JOURNAL_MAGIC, Magic, magic_of};

pub use content::ForeignFormat;
pub(super) use content::{
    COMPRESSED_SUFFIXES, Content, LONGEST_HEAD, LONGEST_MAGIC, TAR_BLOCK, detect_tar, has_tar_checksum, is_compressed,
    is_cut_tar, is_unclear, looks_binary,
};
pub(super) use memory::{MEMORY_LIMIT, MemoryBudget};

/// A compression format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// gzip, with one or more members.
    Gzip,
    /// xz, with one or more streams.
    Xz,
    /// Zstandard, with one or more frames.
    Zstd,
}

impl Codec {
    /// Returns the cargo feature that enables the codec.
    pub(super) fn feature(self) -> &'static str {
        match self {
            Codec::Gzip => "gzip",
            Codec::Xz => "xz",
            Codec::Zstd => "zstd",
        }
    }

    /// Returns the program that tests and decompresses the format.
    pub(super) fn tool(self) -> &'static str {
        self.feature()
    }

    /// Returns the command that decompresses the format, whatever memory it needs.
    pub(super) fn decompressor(self) -> &'static str {
        match self {
            Codec::Gzip => "gzip -dc",
            Codec::Xz => "xz -dc",
            Codec::Zstd => "zstd -dc --long=31",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.feature())
    }
}

/// Returns the content of a file that is not a log, or `None` if it is a log or unreadable.
pub(super) fn detect_content(file: Reader) -> Option<Content> {
    match Bytes::of_any(file, false).read(&mut [0; LONGEST_HEAD]) {
        Err(Fault::Holds(content, _)) => Some(content),
        _ => None,
    }
}

/// Returns the first [`LONGEST_HEAD`] bytes of a journal file, decompressed.
pub(super) fn journal_head(file: Reader) -> Option<Vec<u8>> {
    match Bytes::of_any(file, false).read(&mut [0; LONGEST_HEAD]) {
        Err(Fault::Holds(Content::Journal, head)) => Some(head),
        _ => None,
    }
}

/// The reason why reading stopped.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    Damaged(Codec, io::Error),
    /// Decompression needs more memory than the budget has left.
    TooLarge(Codec),
    #[cfg(not(all(feature = "gzip", feature = "xz", feature = "zstd")))]
    MissingCodec(Codec),
    /// The input has a format that katalog does not read.
    Foreign(ForeignFormat),
    /// The input is not a log. Holds its first decompressed bytes; the following ones can still be read.
    Holds(Content, Vec<u8>),
}

type Reader = Box<dyn Read + Send>;

/// A reader that counts the bytes of an input before decompression.
struct CountingReader {
    reader: Reader,
    consumed: Arc<AtomicU64>,
}

impl Read for CountingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.reader.read(buffer)?;
        self.consumed.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}

enum State {
    /// No bytes were returned yet. `head` is empty or the prefix of a magic number.
    Start {
        reader: Reader,
        head: Vec<u8>,
    },
    Plain(Reader),
    /// A decoder that has returned no bytes yet.
    Opened(Codec, Reader),
    Decoding(Codec, Reader),
    /// The fault that the next read returns, after bytes were returned.
    Failed(Fault),
    /// The state while a decoder is built, and permanently if building fails.
    Closed,
}

/// A reader of an input's decompressed bytes.
pub(super) struct Bytes {
    state: State,
    live: bool,
    /// Archives are detected as well as journals.
    archives: bool,
    consumed: Arc<AtomicU64>,
    memory: MemoryBudget,
}

impl Bytes {
    /// Reads a log, which may be compressed.
    pub(super) fn new(reader: Reader, live: bool) -> Self {
        let consumed = Arc::default();
        let reader = Box::new(CountingReader { reader, consumed: Arc::clone(&consumed) });
        let state = State::Start { reader, head: Vec::new() };
        Self { state, live, archives: false, consumed, memory: MemoryBudget::default() }
    }

    /// Reads a log or an archive. Until the content is known, [`Bytes::read`] needs a buffer of [`LONGEST_HEAD`] bytes.
    pub(super) fn of_any(reader: Reader, live: bool) -> Self {
        Self { archives: true, ..Self::new(reader, live) }
    }

    /// Reads a member of an archive, with the memory that the decoders of the archive have left.
    pub(super) fn of_member(reader: Reader, memory: MemoryBudget) -> Self {
        Self { memory, ..Self::of_any(reader, false) }
    }

    /// Returns the memory that this input shares with the members of its archive.
    pub(super) fn memory(&self) -> &MemoryBudget {
        &self.memory
    }

    /// Returns the number of input bytes read, before decompression.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    /// Returns whether the input is known to be uncompressed.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.state, State::Plain(_))
    }

    /// Returns the minimum buffer length for the next read.
    pub(super) fn min_read(&self) -> usize {
        let begun = !matches!(self.state, State::Start { .. } | State::Opened(..));
        if begun || !self.archives { LONGEST_MAGIC } else { LONGEST_HEAD }
    }

    /// Returns whether content that starts with these bytes is an archive, or `None` if more bytes are needed.
    fn detect_archive(&self, head: &[u8]) -> Option<bool> {
        if self.archives { detect_tar(head, self.live) } else { Some(false) }
    }

    /// Returns whether a short read means that the next one may block. Decoders return short reads at any time.
    pub(super) fn live(&self) -> bool {
        self.live && matches!(self.state, State::Plain(_))
    }

    /// Returns whether the next read goes straight to the input, so that polling the input predicts whether the read
    /// blocks.
    pub(super) fn is_direct(&self) -> bool {
        matches!(self.state, State::Start { .. } | State::Plain(_))
    }

    /// Reads into a buffer of at least [`Bytes::min_read`] bytes. Returns zero at the end of the input.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        if let State::Start { .. } = self.state
            && let Some(len) = self.read_start(buffer)?
        {
            return Ok(len);
        }
        if let State::Opened(..) = self.state {
            return self.read_first_decoded(buffer);
        }
        if let State::Failed(_) = self.state
            && let State::Failed(fault) = std::mem::replace(&mut self.state, State::Closed)
        {
            return Err(fault);
        }
        match &mut self.state {
            State::Plain(reader) => retry_interrupted(|| reader.read(buffer)).map_err(Fault::Io),
            State::Decoding(codec, reader) => read_decoder(*codec, reader, buffer),
            State::Start { .. } | State::Opened(..) | State::Failed(_) | State::Closed => Ok(0),
        }
    }

    /// Reads the first decompressed bytes and detects journals and archives in them.
    fn read_first_decoded(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let State::Opened(codec, mut reader) = std::mem::replace(&mut self.state, State::Closed) else {
            return Ok(0);
        };
        let mut held = 0;
        let mut failed = None;
        while failed.is_none()
            && (held < LONGEST_MAGIC || self.detect_archive(&buffer[..held]).is_none())
            && held < buffer.len()
        {
            match read_decoder(codec, &mut reader, &mut buffer[held..]) {
                Ok(0) => break,
                Ok(more) => held += more,
                Err(fault) => failed = Some(fault),
            }
        }
        self.state = match failed {
            Some(fault) if held == 0 => return Err(fault),
            Some(fault) => State::Failed(fault),
            None => State::Decoding(codec, reader),
        };
        let head = &buffer[..held];
        if head.starts_with(JOURNAL_MAGIC) {
            return Err(Fault::Holds(Content::Journal, head.to_vec()));
        }
        if self.detect_archive(head).unwrap_or_else(|| is_cut_tar(head)) {
            return Err(Fault::Holds(Content::Archive, head.to_vec()));
        }
        Ok(held)
    }

    /// Reads until the content is known, usually once. A live input is not read further than detection needs. Returns
    /// the length of uncompressed data, or `None` if decoding begins.
    fn read_start(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Fault> {
        let State::Start { mut reader, mut head } = std::mem::replace(&mut self.state, State::Closed) else {
            return Ok(None);
        };
        loop {
            let held = head.len();
            buffer[..held].copy_from_slice(&head);
            let more = match retry_interrupted(|| reader.read(&mut buffer[held..])) {
                Ok(more) => more,
                Err(cause) if held == 0 => return Err(Fault::Io(cause)),
                Err(cause) => {
                    self.state = State::Failed(Fault::Io(cause));
                    return Ok(Some(held));
                }
            };
            let seen = &buffer[..held + more];
            match magic_of(seen) {
                Some(Magic::Compressed(codec)) => {
                    self.state = State::Opened(codec, build_decoder(codec, seen.to_vec(), reader, &self.memory)?);
                    return Ok(None);
                }
                Some(Magic::Foreign(format)) => return Err(Fault::Foreign(format)),
                Some(Magic::Journal) => {
                    self.state = State::Plain(reader);
                    return Err(Fault::Holds(Content::Journal, seen.to_vec()));
                }
                None => {
                    let verdict = self.detect_archive(seen);
                    let unclear = verdict.is_none() || is_unclear(seen);
                    if more > 0 && seen.len() < buffer.len() && unclear {
                        head = seen.to_vec();
                        continue;
                    }
                    self.state = State::Plain(reader);
                    if verdict.unwrap_or_else(|| is_cut_tar(seen)) {
                        return Err(Fault::Holds(Content::Archive, seen.to_vec()));
                    }
                    return Ok(Some(held + more));
                }
            }
        }
    }
}

/// Builds the decoder for an input whose first bytes were already read.
fn build_decoder(codec: Codec, head: Vec<u8>, rest: Reader, memory: &MemoryBudget) -> Result<Reader, Fault> {
    let input = io::BufReader::with_capacity(64 << 10, Cursor::new(head).chain(rest));
    match codec {
        #[cfg(feature = "gzip")]
        Codec::Gzip => Ok(Box::new(gzip::Decoder::new(input))),
        #[cfg(feature = "xz")]
        Codec::Xz => Ok(Box::new(xz::Decoder::new(input, memory).map_err(Fault::Io)?)),
        #[cfg(feature = "zstd")]
        Codec::Zstd => Ok(Box::new(zstd::Decoder::new(input, memory).map_err(Fault::Io)?)),
        #[cfg(not(all(feature = "gzip", feature = "xz", feature = "zstd")))]
        missing => {
            drop((input, memory));
            Err(Fault::MissingCodec(missing))
        }
    }
}

/// Reads from a decoder, and distinguishes its errors from those of the input.
fn read_decoder(codec: Codec, reader: &mut Reader, buffer: &mut [u8]) -> Result<usize, Fault> {
    retry_interrupted(|| reader.read(buffer)).map_err(|cause| match cause.raw_os_error() {
        Some(_) => Fault::Io(cause),
        None if cause.kind() == io::ErrorKind::OutOfMemory => Fault::TooLarge(codec),
        None => Fault::Damaged(codec, cause),
    })
}

/// Repeats a read until no signal interrupts it.
pub(super) fn retry_interrupted(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// Returns the buffered input of a decoder, empty at the end.
#[cfg(any(feature = "gzip", feature = "xz", feature = "zstd"))]
fn fill_buffer(input: &mut impl io::BufRead) -> io::Result<&[u8]> {
    while let Err(cause) = input.fill_buf() {
        if cause.kind() != io::ErrorKind::Interrupted {
            return Err(cause);
        }
    }
    // A second call, because the borrow of the first cannot leave the loop. It does not read again.
    input.fill_buf()
}

#[cfg(test)]
mod tests;
