//! A connection of the receiver: it ends where a byte budget ends, may be read slowly, and may begin with a handshake.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::forward::count::invalid;
use crate::support::forward::handshake::{Greeting, Ping};
use crate::support::forward::wire::{Scanner, WireError};

/// A connection that ends where the byte budget ends.
pub(super) struct ReceiverStream<'a> {
    pub(super) stream: TcpStream,
    pub(super) budget: &'a Mutex<Option<u64>>,
    /// The most bytes of a read, and the pause before it.
    pub(super) throttle: Option<(usize, Duration)>,
    /// True to read without pauses, because the client is dead.
    pub(super) hurry: &'a AtomicBool,
    pub(super) cut: bool,
}

impl ReceiverStream<'_> {
    /// Performs the handshake. Refuses a client with another key.
    pub(super) fn shake_hands(&mut self, greeting: &Greeting) -> io::Result<()> {
        self.stream.write_all(&greeting.helo())?;
        let (mut ping, mut scanner) = (Vec::new(), Scanner::new());
        while scanner.end(&ping).map_err(invalid)?.is_none() {
            let mut byte = [0];
            if self.read(&mut byte)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            ping.extend(byte);
        }
        let (pong, accepted) = greeting.pong(&Ping::parse(&ping).map_err(invalid)?);
        self.stream.write_all(&pong)?;
        if accepted { Ok(()) } else { Err(invalid(WireError::new("a PING with another key"))) }
    }
}

impl Read for ReceiverStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let throttle = self.throttle.filter(|_| !self.hurry.load(Ordering::Acquire));
        if let Some((_, pause)) = throttle {
            std::thread::sleep(pause);
        }
        // Waits for data first, so that a cut requested meanwhile takes effect.
        self.stream.peek(&mut [0])?;
        let mut budget = self.budget.lock().unwrap();
        if *budget == Some(0) {
            *budget = None;
            self.cut = true;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let most = throttle.map_or(buffer.len(), |(most, _)| buffer.len().min(most));
        let most = budget.map_or(most, |left| most.min(usize::try_from(left).unwrap_or(usize::MAX)));
        let size = self.stream.read(&mut buffer[..most])?;
        if let Some(budget) = budget.as_mut() {
            *budget -= size as u64;
        }
        Ok(size)
    }
}

impl Write for ReceiverStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
