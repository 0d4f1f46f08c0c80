//! Takes off compression, recognized by the first bytes of the input. It does not frame, and it does not look at the
//! decompressed bytes.
//!
//! The decoders here never lose what they decoded before they met damage: it comes out first, the error with the next
//! read. The ready-made readers of the codec crates drop up to a whole buffer there.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "xz")]
mod xz;
#[cfg(feature = "zstd")]
mod zstd;

use std::fmt;
use std::io::{self, Cursor, Read};

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

/// What the first bytes of an input can be.
#[derive(Clone, Copy)]
enum Magic {
    Compressed(Codec),
    Journal,
}

/// The first bytes of a journal file (systemd: `journal-def.h`).
const JOURNAL: &[u8] = b"LPKSHHRH";

const MAGICS: &[(&[u8], Magic)] = &[
    (b"\x1f\x8b", Magic::Compressed(Codec::Gzip)),
    (b"\x28\xb5\x2f\xfd", Magic::Compressed(Codec::Zstd)),
    (b"\xfd7zXZ\0", Magic::Compressed(Codec::Xz)),
    (JOURNAL, Magic::Journal),
];

/// Room that a first read must have so that every magic fits.
pub(super) const LONGEST_MAGIC: usize = 8;

/// Whether more bytes decide what an input is that begins with these.
pub(super) fn is_unclear(head: &[u8]) -> bool {
    MAGICS.iter().any(|(magic, _)| head.len() < magic.len() && magic.starts_with(head))
}

/// Why no more bytes can be read.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    Damaged(Codec, io::Error),
    #[cfg(not(all(feature = "gzip", feature = "xz", feature = "zstd")))]
    MissingCodec(Codec),
    Journal,
}

type Reader = Box<dyn Read + Send>;

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
}

impl Bytes {
    pub(super) fn new(reader: Reader, live: bool) -> Self {
        Self { state: State::Start { reader, head: Vec::new() }, live }
    }

    /// Whether a short read means that the next one may wait. A decoder returns short reads as it pleases.
    pub(super) fn live(&self) -> bool {
        self.live && matches!(self.state, State::Plain(_))
    }

    /// Whether the next read is one of the input itself, so that waiting for it beforehand says whether it would wait.
    pub(super) fn is_direct(&self) -> bool {
        matches!(self.state, State::Start { .. } | State::Plain(_))
    }

    /// Reads into `room`, which has at least [`LONGEST_MAGIC`] bytes; zero is the end of the input.
    pub(super) fn read(&mut self, room: &mut [u8]) -> Result<usize, Fault> {
        if let State::Start { .. } = self.state
            && let Some(len) = self.start(room)?
        {
            return Ok(len);
        }
        if let State::Opened(..) = self.state {
            return self.first_decoded(room);
        }
        if let State::Failed(_) = self.state
            && let State::Failed(fault) = std::mem::replace(&mut self.state, State::Closed)
        {
            return Err(fault);
        }
        match &mut self.state {
            State::Plain(reader) => retried(reader, room).map_err(Fault::Io),
            State::Decoding(codec, reader) => decoded(*codec, reader, room),
            State::Start { .. } | State::Opened(..) | State::Failed(_) | State::Closed => Ok(0),
        }
    }

    /// The first bytes of a decoder: journal files are kept compressed too.
    fn first_decoded(&mut self, room: &mut [u8]) -> Result<usize, Fault> {
        let State::Opened(codec, mut reader) = std::mem::replace(&mut self.state, State::Closed) else {
            return Ok(0);
        };
        let mut held = 0;
        let mut failed = None;
        while held < LONGEST_MAGIC && failed.is_none() {
            match decoded(codec, &mut reader, &mut room[held..]) {
                Ok(0) => break,
                Ok(more) => held += more,
                Err(fault) => failed = Some(fault),
            }
        }
        if room[..held].starts_with(JOURNAL) {
            return Err(Fault::Journal);
        }
        self.state = match failed {
            Some(fault) if held == 0 => return Err(fault),
            Some(fault) => State::Failed(fault),
            None => State::Decoding(codec, reader),
        };
        Ok(held)
    }

    /// Reads until it is clear what the input is: as a rule one read. A live input is never asked for more than its
    /// first bytes leave open. Returns what can be handed on as it is, or nothing where decoding begins.
    fn start(&mut self, room: &mut [u8]) -> Result<Option<usize>, Fault> {
        let State::Start { mut reader, mut head } = std::mem::replace(&mut self.state, State::Closed) else {
            return Ok(None);
        };
        loop {
            let held = head.len();
            room[..held].copy_from_slice(&head);
            let more = retried(&mut reader, &mut room[held..]).map_err(Fault::Io)?;
            let seen = &room[..held + more];
            let magic = MAGICS.iter().find(|(magic, _)| seen.starts_with(magic));
            match magic {
                Some((_, Magic::Compressed(codec))) => {
                    self.state = State::Opened(*codec, decoder(*codec, seen.to_vec(), reader)?);
                    return Ok(None);
                }
                Some((_, Magic::Journal)) => return Err(Fault::Journal),
                None if more > 0 && MAGICS.iter().any(|(magic, _)| magic.starts_with(seen)) => head = seen.to_vec(),
                None => {
                    self.state = State::Plain(reader);
                    return Ok(Some(held + more));
                }
            }
        }
    }
}

/// Builds the decoder for an input whose first bytes were read already.
fn decoder(codec: Codec, head: Vec<u8>, rest: Reader) -> Result<Reader, Fault> {
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
fn decoded(codec: Codec, reader: &mut Reader, room: &mut [u8]) -> Result<usize, Fault> {
    retried(reader, room).map_err(|cause| match cause.raw_os_error() {
        Some(_) => Fault::Io(cause),
        None => Fault::Damaged(codec, cause),
    })
}

/// One read, made again where a signal interrupted it.
fn retried(reader: &mut dyn Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(room) {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// The buffered input of a decoder, empty at its end.
#[cfg(any(feature = "gzip", feature = "xz", feature = "zstd"))]
fn buffered(input: &mut impl io::BufRead) -> io::Result<&[u8]> {
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
