//! A receiver with minimal work: it finds the ends of requests, passes each to a callback, and acknowledges it.

use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Read, Write};
use std::ops::AddAssign;

use super::decompress::decompressed;
use super::wire::{EntryIter, Frame, Scanner, WireError, ack, member, string};

/// Initial buffer size for reads; the buffer grows with the largest request.
const BUFFER_SIZE: usize = 1 << 20;

/// Counts of received data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) requests: u64,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, more: Totals) {
        self.requests += more.requests;
        self.events += more.events;
        self.bytes += more.bytes;
    }
}

/// The response to a request that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    Ack,
    Silence,
    /// The connection closes, and the ack is lost.
    Close,
}

/// Serves a connection to its end. Each request is passed to `take` before its ack is sent, and counted in `totals` by
/// then.
pub(crate) fn serve(
    stream: &mut (impl Read + Write),
    totals: &mut Totals,
    mut take: impl FnMut(&Frame<'_>) -> io::Result<Response>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_SIZE];
    let mut filled = 0;
    let mut scanner = Scanner::new();
    loop {
        let mut start = 0;
        while let Some(size) = scanner.end(&buffer[start..filled]).map_err(invalid)? {
            let frame = Frame::parse(&buffer[start..start + size]).map_err(invalid)?;
            totals.requests += 1;
            totals.bytes += size as u64;
            totals.events += match frame.count() {
                Some(count) => count,
                None => EntryIter::new(&decompressed(&frame).map_err(invalid)?).count() as u64,
            };
            match take(&frame)? {
                Response::Ack => {
                    if let Some(chunk) = frame.chunk {
                        stream.write_all(&ack(chunk))?;
                    }
                }
                Response::Silence => {}
                Response::Close => return Ok(()),
            }
            start += size;
            scanner = Scanner::new();
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
        if filled == buffer.len() {
            buffer.resize(2 * filled, 0);
        }
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(()),
            Ok(size) => filled += size,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Passes each record of a request to `show`, with its id, the text under this key.
pub(crate) fn records(frame: &Frame<'_>, key: &str, mut show: impl FnMut(&[u8], &[u8])) -> Result<(), WireError> {
    for entry in EntryIter::new(&decompressed(frame)?) {
        let record = entry?.record;
        let id = member(record, key.as_bytes())?.ok_or_else(|| WireError::new(format!("a record without {key}")))?;
        show(string(id)?, record);
    }
    Ok(())
}

/// Returns a hash of a record, stable across runs.
pub(crate) fn hash(record: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(record);
    hasher.finish()
}

pub(crate) fn invalid(bad: WireError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, bad)
}
