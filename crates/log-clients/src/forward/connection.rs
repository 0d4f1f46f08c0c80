//! A connection that speaks the forward protocol.

use std::time::Duration;

use super::reply::{self, DecodeError, Value};
use crate::error::Cause;
use crate::net::connection::{Connection, Deadline};
use crate::shutdown::Shutdown;

/// An open connection to a forward server.
#[derive(Debug)]
pub(super) struct ForwardConnection {
    connection: Connection,
    /// True if the server accepts more than one request on this connection.
    pub(super) keepalive: bool,
}

impl ForwardConnection {
    /// Creates a forward connection from a connection to the server.
    pub(super) fn new(connection: Connection) -> ForwardConnection {
        ForwardConnection { connection, keepalive: true }
    }

    /// Writes a request. The timeout limits the time without progress, not the whole write.
    pub(super) fn send(&mut self, bytes: &[u8], time: Duration, shutdown: &dyn Shutdown) -> Result<(), Cause> {
        self.connection.send(bytes, time, shutdown, early_error)
    }

    /// Returns the next reply and its raw bytes, or `None` after the deadline.
    pub(super) fn next_reply(&mut self, deadline: &Deadline<'_>) -> Result<Option<(Value, Vec<u8>)>, Cause> {
        loop {
            let raw = self.connection.input.clone();
            match reply::take(&mut self.connection.input) {
                Ok(value) => {
                    self.connection.mark_used();
                    return Ok(Some((value, raw)));
                }
                Err(DecodeError::Malformed) => return Err(Cause::Garbage(raw)),
                Err(DecodeError::Incomplete) => {}
            }
            if !self.connection.wait_for_input(deadline)? {
                return Ok(None);
            }
        }
    }

    /// Returns whether another request can use this connection.
    ///
    /// It must be young, open, and without unread input. Unread input is a late acknowledgement or an error.
    pub(super) fn is_reusable(&mut self, idle_limit: Duration) -> bool {
        if !self.keepalive || self.connection.idle_time() >= idle_limit {
            return false;
        }
        while self.connection.input.is_empty() {
            match self.connection.receive() {
                Ok(true) => {}
                Ok(false) => return true,
                Err(_) => return false,
            }
        }
        false
    }
}

/// Returns the error in input that arrives during a write. Acknowledgements and incomplete replies are none.
fn early_error(input: &[u8]) -> Option<Cause> {
    match reply::peek(input) {
        Ok(Value::Map(_)) | Err(DecodeError::Incomplete) => None,
        Ok(value) if value.message("HELO").is_some() => Some(Cause::KeyRequired),
        Ok(_) | Err(DecodeError::Malformed) => Some(Cause::Garbage(input.to_vec())),
    }
}
