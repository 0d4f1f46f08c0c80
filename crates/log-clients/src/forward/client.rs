//! The forward client: delivers one chunk at a time, and retries until servers have acknowledged it.

use std::time::Duration;

use super::connection::ForwardConnection;
use super::handshake;
use super::pending::PendingParts;
use super::reply::Value;
use super::request::RequestEncoder;
use super::server::ForwardServer;
use super::settings::ForwardClientSettings;
use crate::chunk::{Chunk, Refused};
use crate::client::Client;
use crate::error::{Cause, NetError};
use crate::event::Observer;
use crate::net::connection::Deadline;
use crate::net::server_pool::ServerPool;
use crate::server_options::ForwardMode;
use crate::shutdown::Shutdown;
use crate::status::{Counters, StatusHandle};

/// Delivers chunks to servers of the forward protocol, each at least once.
#[derive(Debug)]
pub(crate) struct ForwardClient {
    settings: ForwardClientSettings,
    /// The settings for each server, in the order of the pool.
    servers: Vec<ForwardServer>,
    pool: ServerPool<ForwardConnection>,
    request: Vec<u8>,
}

/// A failed attempt.
struct Failure {
    cause: Cause,
    /// True if the server may have received a part of the chunk.
    sent: bool,
}

impl ForwardClient {
    /// Creates the client. Checks the settings and reads the files that they name, but opens no connection.
    ///
    /// # Errors
    /// If the settings contradict each other, name unusable files, or need a feature that this build leaves out.
    pub(crate) fn new(settings: ForwardClientSettings, observer: Observer) -> Result<ForwardClient, NetError> {
        let settings = settings.clamped();
        let pool = ServerPool::new(settings.net.clone(), observer)?;
        let servers = ForwardServer::all(&settings)?;
        Ok(ForwardClient { servers, pool, request: Vec::new(), settings })
    }

    /// Sends the next parts to one server and waits for their acknowledgements. A failure drops the connection, because
    /// a late reply on it would count for another request.
    fn attempt(
        &mut self,
        index: usize,
        encoder: &RequestEncoder<'_>,
        parts: &mut PendingParts,
        shutdown: &dyn Shutdown,
    ) -> Result<(), Failure> {
        let not_sent = |cause| Failure { cause, sent: false };
        let sent = |cause| Failure { cause, sent: true };
        let (write, ack) = (self.settings.net.write_timeout, self.settings.ack_timeout);
        let mut connection = self.connect_or_reuse(index, parts.is_suspect(), shutdown).map_err(not_sent)?;
        if encoder.mode == ForwardMode::Message {
            parts.split_into_entries();
        }
        if parts.needs_probe(index) {
            self.request.clear();
            let id = encoder.probe(&mut self.request);
            connection.send(&self.request, write, shutdown).map_err(not_sent)?;
            await_ack(&mut connection, &id, ack, shutdown).map_err(not_sent)?;
            self.pool.counters.acks += 1;
            self.pool.clear_failures();
            parts.probed(index);
            connection = self.connect_or_reuse(index, true, shutdown).map_err(not_sent)?;
        }
        self.request.clear();
        let mut ids = Vec::new();
        for part in parts.next().take(if connection.keepalive { usize::MAX } else { 1 }) {
            self.pool.counters.resent += u64::from(part.sent > 0);
            part.sent += 1;
            ids.push(encoder.encode(&part.entries, &mut self.request));
        }
        connection.send(&self.request, write, shutdown).map_err(sent)?;
        for id in ids {
            let result = await_ack(&mut connection, &id, ack, shutdown);
            self.pool.counters.nacks += u64::from(matches!(result, Err(Cause::Nack)));
            result.map_err(sent)?;
            self.pool.counters.acks += 1;
            parts.acknowledged(index);
            self.pool.succeeded(index);
            for other in self.pool.others_to_close(index) {
                self.pool.take(other);
            }
        }
        if connection.keepalive {
            self.pool.keep(index, connection);
        }
        Ok(())
    }

    /// Takes the open connection to a server, or opens one if there is none, it is unusable, or `new` is set.
    fn connect_or_reuse(
        &mut self,
        index: usize,
        new: bool,
        shutdown: &dyn Shutdown,
    ) -> Result<ForwardConnection, Cause> {
        let most = self.pool.attempt_timeout(index);
        if let Some(mut connection) = self.pool.take(index)
            && !new
            && connection.is_reusable(self.settings.net.idle_limit)
        {
            return Ok(connection);
        }
        let mut connection = ForwardConnection::new(self.pool.open(index, most, shutdown)?);
        if let Some(identity) = self.servers.get(index).and_then(|server| server.identity.as_ref()) {
            let time = self.settings.handshake_timeout.min(most);
            handshake::perform(&mut connection, identity, &handshake::salt()?, time, shutdown)?;
        }
        self.pool.count_connection(index);
        Ok(connection)
    }
}

impl Client for ForwardClient {
    fn deliver(&mut self, chunk: &Chunk, shutdown: &dyn Shutdown) -> Result<Vec<Refused>, NetError> {
        let mut parts = PendingParts::new(chunk.len());
        let mut refused = Vec::new();
        let id = chunk.id();
        self.pool.clear_failures();
        while !parts.is_empty() {
            let index = self.pool.next(shutdown)?;
            let Some(server) = self.servers.get(index) else { return Err(NetError::NoServers) };
            let encoder = RequestEncoder { chunk, id, mode: server.mode, time_as_integer: server.time_as_integer };
            let Err(failure) = self.attempt(index, &encoder, &mut parts, shutdown) else { continue };
            if failure.sent
                && failure.cause.may_be_chunk()
                && let Some(entry) = parts.failed(index)
            {
                self.pool.counters.refused += 1;
                let nacked = matches!(failure.cause, Cause::Nack);
                let does = if nacked { "answered that it could not take it" } else { "closed the connection over it" };
                refused.push(Refused {
                    tag: chunk.tag().to_vec(),
                    entry: chunk.bytes(&entry).to_vec(),
                    reason: format!("the server {does} each time, and took others in between"),
                    server: self.pool.name(index),
                });
            }
            self.pool.failed(index, failure.cause)?;
        }
        Ok(refused)
    }

    fn status(&self) -> StatusHandle {
        self.pool.status.clone()
    }

    fn counters(&self) -> &Counters {
        &self.pool.counters
    }
}

/// Waits for the acknowledgement of one request.
fn await_ack(
    connection: &mut ForwardConnection,
    id: &str,
    time: Duration,
    shutdown: &dyn Shutdown,
) -> Result<(), Cause> {
    let Some((reply, raw)) = connection.next_reply(&Deadline::new(time, shutdown))? else {
        return Err(Cause::AckTimeout(time));
    };
    match reply.get("ack").and_then(Value::bytes) {
        Some(ack) if ack == id.as_bytes() => Ok(()),
        Some(other) => Err(Cause::WrongAck(other.to_vec())),
        None if matches!(reply, Value::Map(_)) => Err(Cause::Nack),
        None if reply.message("HELO").is_some() => Err(Cause::KeyRequired),
        None => Err(Cause::Garbage(raw)),
    }
}
