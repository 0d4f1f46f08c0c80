//! Sends chunks of messages, and sends them again if their connection breaks.
//!
//! Written messages wait in socket buffers, and nothing tells when the server has read them. So each connection keeps
//! its last chunks. If the connection breaks, they are sent again, before anything new.
//!
//! A server that closes in good order has read everything: with unread input, its system resets the connection. It
//! resets as well if more arrives later.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::SyslogClientSettings;
use crate::address::Transport;
use crate::chunk::{Chunk, Refused};
use crate::client::Client;
use crate::error::{Cause, NetError};
use crate::event::{Event, Observer};
use crate::net::connection::{Connection, Deadline, TCP_USER_TIMEOUT};
use crate::net::server_pool::ServerPool;
use crate::server_options::Framing;
use crate::shutdown::Shutdown;
use crate::status::{Counters, StatusHandle};

/// The number of bytes kept for sending again. The last chunk is kept whatever its size.
const RESEND_BYTES: usize = 1 << 20;

/// The age at which a chunk counts as arrived. Without an acknowledgement of TCP, the system would have broken the
/// connection by then.
const SETTLED_AFTER: Duration = TCP_USER_TIMEOUT.saturating_add(Duration::from_secs(30));

/// The time before an orderly close, by which written messages count as arrived.
const ARRIVED_AFTER: Duration = Duration::from_secs(1);

/// The time for the server to read the rest and close, after the client has closed its side.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The number of attempts to close all connections without a loss.
const FINISH_ROUNDS: usize = 3;

/// The number of datagrams between pauses. Receive buffers hold some hundred datagrams.
const DATAGRAM_BURST: usize = 32;
const BURST_PAUSE: Duration = Duration::from_millis(1);

/// Delivers messages to syslog servers.
#[derive(Debug)]
pub(crate) struct SyslogClient {
    pool: ServerPool<SyslogConnection>,
    framing: Framing,
    /// The chunks to send, the oldest first.
    queue: VecDeque<Chunk>,
    request: Vec<u8>,
}

/// An open connection, and the chunks last written to it.
#[derive(Debug)]
struct SyslogConnection {
    inner: Connection,
    sent: VecDeque<(Instant, Chunk)>,
}

impl SyslogClient {
    /// Creates the client. Checks the settings and reads the files that they name, but opens no connection.
    ///
    /// # Errors
    /// If the settings contradict each other, name unusable files, or need a feature that this build leaves out.
    pub(crate) fn new(settings: SyslogClientSettings, observer: Observer) -> Result<SyslogClient, NetError> {
        let SyslogClientSettings { net, framing } = settings;
        Ok(SyslogClient { pool: ServerPool::new(net, observer)?, framing, queue: VecDeque::new(), request: Vec::new() })
    }

    fn is_udp(&self, index: usize) -> bool {
        self.pool.address(index).is_some_and(|address| matches!(address.transport, Transport::Udp { .. }))
    }

    /// Drops the queue, and reports the messages that may be lost.
    fn abandon_queue(&mut self) {
        let messages: usize = self.queue.drain(..).map(|chunk| chunk.len()).sum();
        if messages > 0 {
            self.pool.observe(&Event::MessagesInDoubt { messages });
        }
    }

    /// Detects broken connections, and requeues the chunks that they may have lost.
    fn check_connections(&mut self) {
        for index in 0..self.pool.len() {
            let Some(connection) = self.pool.connection(index) else { continue };
            match connection.check() {
                Ok(()) => connection.forget_settled(),
                Err(cause) => {
                    let arrived = connection.sent.back().is_none_or(|(at, _)| at.elapsed() >= ARRIVED_AFTER);
                    let read = arrived && matches!(cause, Cause::Closed) && connection.inner.take_error().is_none();
                    if let Some(connection) = self.pool.take(index).filter(|_| !read) {
                        self.requeue(connection);
                    }
                }
            }
        }
    }

    /// Sends all queued chunks.
    fn drain(&mut self, shutdown: &dyn Shutdown) -> Result<(), NetError> {
        self.pool.clear_failures();
        while !self.queue.is_empty() {
            let index = self.pool.next(shutdown)?;
            let Some(chunk) = self.queue.pop_front() else { break };
            let result = match self.connect_or_reuse(index, shutdown) {
                Ok(mut connection) => match self.write(index, &mut connection, &chunk, shutdown) {
                    Ok(()) => Ok(connection),
                    Err(cause) => Err((cause, Some(connection))),
                },
                Err(cause) => Err((cause, None)),
            };
            match result {
                Ok(mut connection) => {
                    connection.sent.push_back((Instant::now(), chunk));
                    connection.forget_settled();
                    self.pool.keep(index, connection);
                    self.pool.succeeded(index);
                    self.pool.others_to_close(index).for_each(|other| self.close(other, shutdown));
                }
                Err((cause, connection)) => {
                    self.queue.push_front(chunk);
                    if let Some(connection) = connection {
                        self.requeue(connection);
                    }
                    self.pool.failed(index, cause, false)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the connection to a server, or opens one.
    fn connect_or_reuse(&mut self, index: usize, shutdown: &dyn Shutdown) -> Result<SyslogConnection, Cause> {
        if let Some(connection) = self.pool.take(index) {
            return Ok(connection);
        }
        let most = self.pool.attempt_timeout(index);
        let inner = self.pool.open(index, most, shutdown)?;
        self.pool.count_connection(index);
        Ok(SyslogConnection { inner, sent: VecDeque::new() })
    }

    /// Writes the messages of a chunk, and checks that the connection survives.
    fn write(
        &mut self,
        index: usize,
        connection: &mut SyslogConnection,
        chunk: &Chunk,
        shutdown: &dyn Shutdown,
    ) -> Result<(), Cause> {
        let time = self.pool.settings.write_timeout;
        let messages = (0..chunk.len()).map(|number| chunk.bytes(&(number..number + 1)));
        if self.is_udp(index) {
            for (number, message) in messages.enumerate() {
                if number > 0 && number % DATAGRAM_BURST == 0 {
                    std::thread::sleep(BURST_PAUSE);
                }
                connection.inner.send(message, time, shutdown, |_| None)?;
            }
        } else {
            self.request.clear();
            let framing = self.pool.address(index).and_then(|address| address.options.framing).unwrap_or(self.framing);
            messages.for_each(|message| frame(framing, message, &mut self.request));
            connection.inner.send(&self.request, time, shutdown, |_| None)?;
        }
        connection.check()
    }

    /// Closes a connection in good order, or requeues its chunks.
    fn close(&mut self, index: usize, shutdown: &dyn Shutdown) {
        let Some(mut connection) = self.pool.take(index) else { return };
        if self.is_udp(index) {
            if connection.check().is_err() {
                self.requeue(connection);
            }
            return;
        }
        connection.inner.close_write();
        let deadline = Deadline::new(CLOSE_TIMEOUT, shutdown);
        loop {
            connection.inner.input.clear();
            match connection.inner.wait_for_input(&deadline) {
                Ok(true) => {}
                // A server that keeps its side open gives no sign of a loss.
                Ok(false) | Err(Cause::Stopped) => return,
                Err(Cause::Closed) if connection.inner.take_error().is_none() => return,
                Err(_) => return self.requeue(connection),
            }
        }
    }

    /// Requeues the chunks that a connection may have lost, ahead of all others.
    fn requeue(&mut self, connection: SyslogConnection) {
        self.pool.counters.resent += connection.sent.len() as u64;
        connection.sent.into_iter().rev().for_each(|(_, chunk)| self.queue.push_front(chunk));
    }
}

impl Client for SyslogClient {
    fn deliver(&mut self, chunk: &Chunk, shutdown: &dyn Shutdown) -> Result<Vec<Refused>, NetError> {
        self.check_connections();
        self.queue.push_back(chunk.clone());
        self.drain(shutdown).inspect_err(|_| {
            self.queue.pop_back();
            self.abandon_queue();
        })?;
        Ok(Vec::new())
    }

    fn is_in_doubt(&self) -> bool {
        self.pool.iter().any(|connection| !connection.sent.is_empty())
    }

    fn settle(&mut self, shutdown: &dyn Shutdown) -> Result<(), NetError> {
        self.check_connections();
        self.drain(shutdown).inspect_err(|_| self.abandon_queue())
    }

    fn finish(&mut self, shutdown: &dyn Shutdown) -> Result<(), NetError> {
        for _ in 0..FINISH_ROUNDS {
            (0..self.pool.len()).for_each(|index| self.close(index, shutdown));
            if self.queue.is_empty() {
                return Ok(());
            }
            self.drain(shutdown).inspect_err(|_| self.abandon_queue())?;
        }
        (0..self.pool.len()).for_each(|index| self.close(index, shutdown));
        self.abandon_queue();
        Ok(())
    }

    fn status(&self) -> StatusHandle {
        self.pool.status.clone()
    }

    fn counters(&self) -> &Counters {
        &self.pool.counters
    }
}

impl SyslogConnection {
    /// Detects a closed or broken connection. Discards input, which has no meaning in syslog.
    fn check(&mut self) -> Result<(), Cause> {
        loop {
            self.inner.input.clear();
            if !self.inner.receive()? {
                return Ok(());
            }
        }
    }

    /// Drops chunks that count as arrived, and chunks beyond the limit in bytes.
    fn forget_settled(&mut self) {
        let mut kept: usize = self.sent.iter().map(|(_, chunk)| chunk.encoded().len()).sum();
        while let Some((at, chunk)) = self.sent.front()
            && (at.elapsed() >= SETTLED_AFTER || kept > RESEND_BYTES && self.sent.len() > 1)
        {
            kept -= chunk.encoded().len();
            self.sent.pop_front();
        }
    }
}

/// Frames a message for a stream (RFC 6587, section 3.4).
fn frame(framing: Framing, message: &[u8], out: &mut Vec<u8>) {
    match framing {
        Framing::Octet => {
            out.extend_from_slice(itoa::Buffer::new().format(message.len()).as_bytes());
            out.push(b' ');
            out.extend_from_slice(message);
        }
        Framing::Lf => {
            out.extend_from_slice(message);
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests;
