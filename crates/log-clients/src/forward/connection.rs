//! A connection that speaks the forward protocol.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::reply::{self, DecodeError, Value};
use crate::error::Cause;
use crate::net::connection::{Connection, Deadline};
use crate::shutdown::Shutdown;

/// The most requests without an acknowledgement that a connection remembers. Some servers drop requests in silence.
const MAX_UNACKNOWLEDGED: usize = 256;

/// The number of timeouts without any acknowledgement after which a connection is replaced: a load balancer may keep a
/// connection open whose server is gone.
const MAX_TIMEOUTS: u32 = 3;

/// A request that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SentRequest {
    /// The id that the server acknowledges.
    pub(super) id: String,
    /// The number of the delivery, which tells apart the chunks of this client.
    pub(super) delivery: u64,
    /// The entries of the chunk. None of them are in a probe.
    pub(super) entries: Range<usize>,
}

/// An open connection to a forward server.
#[derive(Debug)]
pub(super) struct ForwardConnection {
    connection: Connection,
    /// True if the server accepts more than one request on this connection.
    pub(super) keepalive: bool,
    /// The requests without an acknowledgement, the oldest first.
    unacknowledged: VecDeque<SentRequest>,
    /// The number of timeouts since the last acknowledgement.
    timeouts: u32,
}

impl ForwardConnection {
    /// Creates a forward connection from a connection to the server.
    pub(super) fn new(connection: Connection) -> ForwardConnection {
        ForwardConnection { connection, keepalive: true, unacknowledged: VecDeque::new(), timeouts: 0 }
    }

    /// Writes a request. The timeout limits the time without progress, not the whole write.
    pub(super) fn send(&mut self, bytes: &[u8], time: Duration, shutdown: &dyn Shutdown) -> Result<(), Cause> {
        self.connection.send(bytes, time, shutdown, early_error)
    }

    /// Remembers a request, so that its acknowledgement is recognized.
    pub(super) fn remember(&mut self, request: SentRequest) {
        if self.unacknowledged.len() == MAX_UNACKNOWLEDGED {
            self.unacknowledged.pop_front();
        }
        self.unacknowledged.push_back(request);
    }

    /// Waits for the next acknowledgement. Returns the acknowledged request, or `None` after the deadline.
    pub(super) fn next_ack(&mut self, deadline: &Deadline<'_>) -> Result<Option<SentRequest>, Cause> {
        let reply = self.next_reply(deadline)?;
        reply.map(|(reply, raw)| self.acknowledged(&reply, raw)).transpose()
    }

    /// Returns the next request whose acknowledgement has arrived, without waiting.
    pub(super) fn arrived_ack(&mut self) -> Result<Option<SentRequest>, Cause> {
        loop {
            if let Some((reply, raw)) = self.buffered_reply()? {
                return self.acknowledged(&reply, raw).map(Some);
            }
            if !self.connection.receive()? {
                return Ok(None);
            }
        }
    }

    /// Returns whether requests await their acknowledgement.
    pub(super) fn has_unacknowledged(&self) -> bool {
        !self.unacknowledged.is_empty()
    }

    /// Counts a timeout. Returns whether the connection may still bring a late acknowledgement and take requests.
    pub(super) fn outlasts_timeout(&mut self) -> bool {
        self.timeouts += 1;
        self.connection.mark_used();
        self.keepalive && self.timeouts < MAX_TIMEOUTS
    }

    /// Removes the request that a reply acknowledges.
    fn acknowledged(&mut self, reply: &Value, raw: Vec<u8>) -> Result<SentRequest, Cause> {
        match reply.get("ack").and_then(Value::bytes) {
            Some(ack) => {
                let place = self.unacknowledged.iter().position(|request| request.id.as_bytes() == ack);
                let request = place.and_then(|place| self.unacknowledged.remove(place));
                self.timeouts = 0;
                request.ok_or_else(|| Cause::WrongAck(ack.to_vec()))
            }
            None if matches!(reply, Value::Map(_)) => Err(Cause::Nack),
            None if reply.message("HELO").is_some() => Err(Cause::KeyRequired),
            None => Err(Cause::Garbage(raw)),
        }
    }

    /// Returns the next reply and its raw bytes, or `None` after the deadline.
    pub(super) fn next_reply(&mut self, deadline: &Deadline<'_>) -> Result<Option<(Value, Vec<u8>)>, Cause> {
        loop {
            if let Some(reply) = self.buffered_reply()? {
                return Ok(Some(reply));
            }
            if !self.connection.wait_for_input(deadline)? {
                return Ok(None);
            }
        }
    }

    /// Takes the first reply of the received bytes, and its raw bytes.
    fn buffered_reply(&mut self) -> Result<Option<(Value, Vec<u8>)>, Cause> {
        let raw = self.connection.input.clone();
        match reply::take(&mut self.connection.input) {
            Ok(value) => {
                self.connection.mark_used();
                Ok(Some((value, raw)))
            }
            Err(DecodeError::Malformed) => Err(Cause::Garbage(raw)),
            Err(DecodeError::Incomplete) => Ok(None),
        }
    }

    /// Returns whether another request can use this connection.
    ///
    /// It must be young and open. Unread input is an error, unless requests await their acknowledgement.
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
        self.has_unacknowledged()
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
