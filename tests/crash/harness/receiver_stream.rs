//! A connection of the receiver.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;

/// A connection that ends where the byte budget ends.
pub(super) struct BudgetedStream<'a> {
    pub(super) stream: TcpStream,
    pub(super) budget: &'a Mutex<Option<u64>>,
    pub(super) cut: bool,
}

impl Read for BudgetedStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Waits for data first, so that a cut requested meanwhile takes effect.
        self.stream.peek(&mut [0])?;
        let mut budget = self.budget.lock().unwrap();
        if *budget == Some(0) {
            *budget = None;
            self.cut = true;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let most = budget.map_or(buffer.len(), |most| buffer.len().min(usize::try_from(most).unwrap_or(usize::MAX)));
        let size = self.stream.read(&mut buffer[..most])?;
        if let Some(budget) = budget.as_mut() {
            *budget -= size as u64;
        }
        Ok(size)
    }
}

impl Write for BudgetedStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
