//! Takes off compression, recognized by the first bytes of the input, and tells what is no log by how it begins then. It
//! does not frame, and it does not look further.
//!
//! The decoders here never lose what they decoded before they met damage: it comes out first, the error with the next
//! read. The ready-made readers of the codec crates drop up to a whole buffer there.

mod content;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "xz")]
mod xz;
#[cfg(feature = "zstd")]
mod zstd;

use std::fmt;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use content::{JOURNAL_MAGIC, MAGICS, Magic};

pub(super) use content::{
    COMPRESSED_SUFFIXES, Content, LONGEST_HEAD, LONGEST_MAGIC, TAR_BLOCK, detect_tar, has_tar_checksum, is_compressed,
    is_cut_tar, is_unclear,
};

/// A kind of compression.
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
    /// The cargo feature that builds the codec.
    pub(super) fn feature(self) -> &'static str {
        match self {
            Codec::Gzip => "gzip",
            Codec::Xz => "xz",
            Codec::Zstd => "zstd",
        }
    }

    /// The program that tests and decompresses such files.
    pub(super) fn tool(self) -> &'static str {
        self.feature()
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.feature())
    }
}

/// What a file holds that is no log; none if it is one, or cannot be read.
pub(super) fn detect_content(file: Reader) -> Option<Content> {
    match Bytes::of_any(file, false).read(&mut [0; LONGEST_HEAD]) {
        Err(Fault::Holds(content, _)) => Some(content),
        _ => None,
    }
}

/// The first bytes of a journal file, unpacked if it is compressed: as many as an archive is known by.
pub(super) fn journal_head(file: Reader) -> Option<Vec<u8>> {
    match Bytes::of_any(file, false).read(&mut [0; LONGEST_HEAD]) {
        Err(Fault::Holds(Content::Journal, head)) => Some(head),
        _ => None,
    }
}

/// Why no more bytes can be read.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    Damaged(Codec, io::Error),
    #[cfg(not(all(feature = "gzip", feature = "xz", feature = "zstd")))]
    MissingCodec(Codec),
    /// It is no log. These are its first bytes, after decompression; what follows them can be read on.
    Holds(Content, Vec<u8>),
}

type Reader = Box<dyn Read + Send>;

/// Counts the bytes of an input, before decompression.
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
    /// Nothing was handed on yet; the bytes read so far begin some magic, or there are none.
    Start {
        reader: Reader,
        head: Vec<u8>,
    },
    Plain(Reader),
    /// A decoder that gave nothing yet.
    Opened(Codec, Reader),
    Decoding(Codec, Reader),
    /// Bytes were handed on before this; it is the answer to the next read.
    Failed(Fault),
    /// The state while a decoder is being built, and for good where none can be.
    Closed,
}

/// The bytes of an input after decompression.
pub(super) struct Bytes {
    state: State,
    live: bool,
    /// Archives are told from logs.
    archives: bool,
    consumed: Arc<AtomicU64>,
}

impl Bytes {
    /// Bytes of a log, which may be compressed.
    pub(super) fn new(reader: Reader, live: bool) -> Self {
        let consumed = Arc::default();
        let reader = Box::new(CountingReader { reader, consumed: Arc::clone(&consumed) });
        Self { state: State::Start { reader, head: Vec::new() }, live, archives: false, consumed }
    }

    /// Bytes of what may be a log or an archive. As long as that is not known, [`Bytes::read`] takes [`LONGEST_HEAD`] bytes
    /// of buffer.
    pub(super) fn of_any(reader: Reader, live: bool) -> Self {
        Self { archives: true, ..Self::new(reader, live) }
    }

    /// How many bytes of the input were read, before decompression.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    /// Whether the input is known not to be compressed.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.state, State::Plain(_))
    }

    /// The buffer that the next read must have at min_read.
    pub(super) fn min_read(&self) -> usize {
        let begun = !matches!(self.state, State::Start { .. } | State::Opened(..));
        if begun || !self.archives { LONGEST_MAGIC } else { LONGEST_HEAD }
    }

    /// Whether what begins with these bytes is an archive; none if more of them decide.
    fn detect_archive(&self, head: &[u8]) -> Option<bool> {
        if self.archives { detect_tar(head) } else { Some(false) }
    }

    /// Whether a short read means that the next one may wait. A decoder returns short reads as it pleases.
    pub(super) fn live(&self) -> bool {
        self.live && matches!(self.state, State::Plain(_))
    }

    /// Whether the next read is one of the input itself, so that waiting for it beforehand says whether it would wait.
    pub(super) fn is_direct(&self) -> bool {
        matches!(self.state, State::Start { .. } | State::Plain(_))
    }

    /// Reads into `buffer`, which has at min_read [`Bytes::min_read`] bytes; zero is the end of the input.
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

    /// The first bytes of a decoder: journal files are kept compressed too.
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

    /// Reads until it is clear what the input is: as a rule one read. A live input is never asked for more than its
    /// first bytes leave open. Returns what can be handed on as it is, or nothing where decoding begins.
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
            let magic = MAGICS.iter().find(|(magic, _)| seen.starts_with(magic));
            match magic {
                Some((_, Magic::Compressed(codec))) => {
                    self.state = State::Opened(*codec, build_decoder(*codec, seen.to_vec(), reader)?);
                    return Ok(None);
                }
                Some((_, Magic::Journal)) => {
                    self.state = State::Plain(reader);
                    return Err(Fault::Holds(Content::Journal, seen.to_vec()));
                }
                None => {
                    let verdict = self.detect_archive(seen);
                    let unclear = verdict.is_none() || MAGICS.iter().any(|(magic, _)| magic.starts_with(seen));
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

/// Builds the decoder for an input whose first bytes were read already.
fn build_decoder(codec: Codec, head: Vec<u8>, rest: Reader) -> Result<Reader, Fault> {
    let input = io::BufReader::with_capacity(64 << 10, Cursor::new(head).chain(rest));
    match codec {
        #[cfg(feature = "gzip")]
        Codec::Gzip => Ok(Box::new(gzip::Decoder::new(input))),
        #[cfg(feature = "xz")]
        Codec::Xz => Ok(Box::new(xz::Decoder::new(input).map_err(Fault::Io)?)),
        #[cfg(feature = "zstd")]
        Codec::Zstd => Ok(Box::new(zstd::Decoder::new(input).map_err(Fault::Io)?)),
        #[cfg(not(all(feature = "gzip", feature = "xz", feature = "zstd")))]
        missing => {
            drop(input);
            Err(Fault::MissingCodec(missing))
        }
    }
}

/// One read of a decoder, its errors told apart from those of the input.
fn read_decoder(codec: Codec, reader: &mut Reader, buffer: &mut [u8]) -> Result<usize, Fault> {
    retry_interrupted(|| reader.read(buffer)).map_err(|cause| match cause.raw_os_error() {
        Some(_) => Fault::Io(cause),
        None => Fault::Damaged(codec, cause),
    })
}

/// One read, made again where a signal interrupted it.
pub(super) fn retry_interrupted(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// The buffered input of a decoder, empty at its end.
#[cfg(any(feature = "gzip", feature = "xz", feature = "zstd"))]
fn fill_buffer(input: &mut impl io::BufRead) -> io::Result<&[u8]> {
    while let Err(cause) = input.fill_buf() {
        if cause.kind() != io::ErrorKind::Interrupted {
            return Err(cause);
        }
    }
    // Asked again, because the borrow of the first answer cannot leave the loop; there is no second read.
    input.fill_buf()
}

#[cfg(test)]
mod tests;
