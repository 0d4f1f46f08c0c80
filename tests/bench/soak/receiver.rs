//! A receiver that can go away, and counts numbered lines.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::count::{Response, Totals, invalid, serve};
use crate::decompress::decompressed;
use crate::wire::{EntryIter, Frame, WireError, member, string};

const TICK: Duration = Duration::from_millis(5);

/// The numbers of lines that arrived, once and again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrived {
    pub(crate) lines: u64,
    pub(crate) twice: u64,
}

#[derive(Default)]
struct Shared {
    wanted: AtomicBool,
    /// A bit for each line.
    seen: Mutex<(Vec<u64>, Arrived)>,
    streams: Mutex<Vec<TcpStream>>,
}

pub(crate) struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Receiver {
    pub(crate) fn start() -> io::Result<Receiver> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        shared.wanted.store(true, Ordering::Release);
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&accepting, listener, address));
        Ok(Receiver { shared, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens the port, or closes it together with all connections.
    pub(crate) fn open(&self, wanted: bool) {
        self.shared.wanted.store(wanted, Ordering::Release);
    }

    pub(crate) fn arrived(&self) -> Arrived {
        self.shared.seen.lock().unwrap().1
    }

    /// Waits for so many lines, until none has arrived for this time.
    pub(crate) fn wait_for(&self, lines: u64, patience: Duration) {
        let (mut before, mut since) = (0, Instant::now());
        while self.arrived().lines < lines && since.elapsed() < patience {
            std::thread::sleep(TICK);
            let now = self.arrived().lines;
            if now != before {
                (before, since) = (now, Instant::now());
            }
        }
    }
}

/// Accepts connections while the port is wanted.
fn accept(shared: &Arc<Shared>, listener: TcpListener, address: SocketAddr) {
    let mut listener = Some(listener);
    loop {
        match (&listener, shared.wanted.load(Ordering::Acquire)) {
            (Some(_), false) => {
                listener = None;
                for stream in shared.streams.lock().unwrap().drain(..) {
                    _ = stream.shutdown(Shutdown::Both);
                }
            }
            (None, true) => listener = TcpListener::bind(address).ok(),
            (None, false) => std::thread::sleep(TICK),
            (Some(listener), true) => {
                listener.set_nonblocking(true).unwrap();
                let Ok((stream, _)) = listener.accept() else {
                    std::thread::sleep(TICK);
                    continue;
                };
                shared.streams.lock().unwrap().push(stream.try_clone().unwrap());
                let shared = Arc::clone(shared);
                std::thread::spawn(move || shared.serve(stream));
            }
        }
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        let served = serve(&mut stream, &mut Totals::default(), |frame| {
            self.take(frame).map_err(invalid)?;
            Ok(Response::Ack)
        });
        // Bytes that are no request are a defect, and not an absence.
        assert!(!served.is_err_and(|error| error.kind() == io::ErrorKind::InvalidData), "a bad request");
    }

    fn take(&self, frame: &Frame<'_>) -> Result<(), WireError> {
        let entries = decompressed(frame)?;
        let mut seen = self.seen.lock().unwrap();
        let (bits, arrived) = &mut *seen;
        for entry in EntryIter::new(&entries) {
            let number = line_number(entry?.record)?;
            let (index, bit) = (number / 64, 1 << (number % 64));
            if bits.len() <= index {
                bits.resize(index + 1, 0);
            }
            if bits[index] & bit == 0 {
                arrived.lines += 1;
            } else {
                arrived.twice += 1;
            }
            bits[index] |= bit;
        }
        Ok(())
    }
}

/// Returns the number of a line, from its message.
fn line_number(record: &[u8]) -> Result<usize, WireError> {
    let message = member(record, b"kata_msg")?.ok_or_else(|| WireError::new("a record without kata_msg"))?;
    let text = String::from_utf8_lossy(string(message)?);
    let number = text.strip_prefix("line ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    number.ok_or_else(|| WireError::new(format!("a message of nobody's: {text}")))
}
