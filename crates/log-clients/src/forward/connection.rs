//! A connection to a forward server: requests out, and what it answers.

use std::time::Duration;

use super::reply::{self, Missing, Value};
use crate::error::Cause;
use crate::net::connection::{self, Limit};
use crate::shutdown::Shutdown;

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    net: connection::Connection,
    /// Whether the server takes more than one request on it.
    pub(super) keepalive: bool,
}

impl Connection {
    /// Speaks the protocol on a new connection.
    pub(super) fn new(net: connection::Connection) -> Connection {
        Connection { net, keepalive: true }
    }

    /// Writes a request. The limit is on the time without progress, not on the whole.
    pub(super) fn send(&mut self, bytes: &[u8], time: Duration, stop: &dyn Shutdown) -> Result<(), Cause> {
        self.net.send(bytes, time, stop, objection)
    }

    /// The next thing that the server says, and the bytes that begin with it; none if the time is over before.
    pub(super) fn next(&mut self, limit: &Limit<'_>) -> Result<Option<(Value, Vec<u8>)>, Cause> {
        loop {
            let raw = self.net.input.clone();
            match reply::take(&mut self.net.input) {
                Ok(value) => {
                    self.net.touch();
                    return Ok(Some((value, raw)));
                }
                Err(Missing::Wrong) => return Err(Cause::Garbage(raw)),
                Err(Missing::Part) => {}
            }
            if !self.net.hear(limit)? {
                return Ok(None);
            }
        }
    }

    /// Whether another request can go out on it: it is not too old, not closed, and the server said nothing that nobody
    /// asked for, such as an acknowledgement that came too late.
    pub(super) fn usable(&mut self, idle_limit: Duration) -> bool {
        if !self.keepalive || self.net.idle() >= idle_limit {
            return false;
        }
        while self.net.input.is_empty() {
            match self.net.receive() {
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
fn objection(input: &[u8]) -> Option<Cause> {
    match reply::peek(input) {
        Ok(Value::Map(_)) | Err(Missing::Part) => None,
        Ok(value) if value.message("HELO").is_some() => Some(Cause::KeyRequired),
        Ok(_) | Err(Missing::Wrong) => Some(Cause::Garbage(input.to_vec())),
    }
}
