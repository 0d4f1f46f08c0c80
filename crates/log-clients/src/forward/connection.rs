//! A connection to a forward server: requests out, and what it answers.

use std::time::Duration;

use super::reply::{self, DecodeError, Value};
use crate::error::Cause;
use crate::net::connection::{Connection, Deadline};
use crate::shutdown::Shutdown;

/// An open connection.
#[derive(Debug)]
pub(super) struct ForwardConnection {
    connection: Connection,
    /// Whether the server takes more than one request on it.
    pub(super) keepalive: bool,
}

impl ForwardConnection {
    /// Speaks the protocol on a new connection.
    pub(super) fn new(connection: Connection) -> ForwardConnection {
        ForwardConnection { connection, keepalive: true }
    }

    /// Writes a request. The limit is on the time without progress, not on the whole.
    pub(super) fn send(&mut self, bytes: &[u8], time: Duration, shutdown: &dyn Shutdown) -> Result<(), Cause> {
        self.connection.send(bytes, time, shutdown, early_error)
    }

    /// The next thing that the server says, and the bytes that begin with it; none if the time is over before.
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

    /// Whether another request can go out on it: it is not too old, not closed, and the server said nothing that nobody
    /// asked for, such as an acknowledgement that came too late.
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

/// What bytes that were not asked for say, if they are no acknowledgement: a server that answers before it has read
/// everything has something else to say.
fn early_error(input: &[u8]) -> Option<Cause> {
    match reply::peek(input) {
        Ok(Value::Map(_)) | Err(DecodeError::Incomplete) => None,
        Ok(value) if value.message("HELO").is_some() => Some(Cause::KeyRequired),
        Ok(_) | Err(DecodeError::Malformed) => Some(Cause::Garbage(input.to_vec())),
    }
}
