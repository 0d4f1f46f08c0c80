//! The forward client: delivers one chunk at a time, and retries until servers have acknowledged it.
//!
//! After a timeout or a broken connection, the next request has half the size. A timeout leaves the connection open: the
//! acknowledgement of the larger request may still arrive, and then counts for all entries in it.

use std::ops::Range;

use super::connection::{ForwardConnection, SentRequest};
use super::handshake;
use super::pending::PendingParts;
use super::request::RequestEncoder;
use super::request_limit::RequestLimit;
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
    /// The size of requests that each server takes.
    limits: Vec<RequestLimit>,
    pool: ServerPool<ForwardConnection>,
    request: Vec<u8>,
    /// The number of deliveries.
    deliveries: u64,
}

/// A failed attempt.
struct Failure {
    cause: Cause,
    /// The size of the entries that the server may have received.
    sent: Option<usize>,
}

impl From<Cause> for Failure {
    /// Creates a failure before any entry was sent.
    fn from(cause: Cause) -> Failure {
        Failure { cause, sent: None }
    }
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
        let limits = vec![RequestLimit::none(); servers.len()];
        Ok(ForwardClient { servers, limits, pool, request: Vec::new(), deliveries: 0, settings })
    }

    /// Sends the next parts to one server and waits for their acknowledgements.
    ///
    /// A failure closes the connection, unless it is a timeout.
    fn attempt(
        &mut self,
        index: usize,
        encoder: &RequestEncoder<'_>,
        parts: &mut PendingParts,
        shutdown: &dyn Shutdown,
    ) -> Result<(), Failure> {
        let mut connection = self.connect_or_reuse(index, parts.is_suspect(), shutdown)?;
        if encoder.mode == ForwardMode::Message {
            parts.split_into_entries();
        }
        if parts.needs_probe(index) {
            let result = self.probe(index, &mut connection, encoder, parts, shutdown);
            self.keep_after(index, connection, &result);
            if !result? {
                return Ok(());
            }
            connection = self.connect_or_reuse(index, parts.is_suspect(), shutdown)?;
        }
        let result = self.send_next(index, &mut connection, encoder, parts, shutdown);
        self.keep_after(index, connection, &result);
        result
    }

    /// Sends the next parts on a connection and waits for their acknowledgements.
    fn send_next(
        &mut self,
        index: usize,
        connection: &mut ForwardConnection,
        encoder: &RequestEncoder<'_>,
        parts: &mut PendingParts,
        shutdown: &dyn Shutdown,
    ) -> Result<(), Failure> {
        let size = |entries: &Range<usize>| encoder.chunk.bytes(entries).len();
        let limit = self.limits.get(index).and_then(RequestLimit::get).unwrap_or(usize::MAX);
        let (mut awaited, mut bytes) = (Vec::new(), 0);
        self.request.clear();
        for part in parts.next(limit, size).take(if connection.keepalive { usize::MAX } else { 1 }) {
            self.pool.counters.resent += u64::from(part.sent > 0);
            part.sent += 1;
            bytes += size(&part.entries);
            awaited.push(part.entries.clone());
            let id = encoder.encode(&part.entries, &mut self.request);
            connection.remember(SentRequest { id, delivery: self.deliveries, entries: part.entries.clone() });
        }
        let sent = |cause| Failure { cause, sent: Some(bytes) };
        connection.send(&self.request, self.settings.net.write_timeout, shutdown).map_err(sent)?;
        let mut in_time = awaited.len();
        while !awaited.is_empty() {
            let request = self.await_ack(index, connection, parts, shutdown).map_err(sent)?;
            if request.delivery == self.deliveries && awaited.contains(&request.entries) {
                in_time -= 1;
            }
            // A late acknowledgement of a larger request covers these entries as well.
            awaited.retain(|entries| parts.contain(entries));
        }
        if let Some(limit) = self.limits.get_mut(index).filter(|_| in_time == 0) {
            limit.succeeded(bytes);
            self.pool.status.set_request_limit(index, limit.get());
        }
        Ok(())
    }

    /// Sends a request without entries and waits for its acknowledgement. Returns false if a late acknowledgement of the
    /// next part came before it.
    fn probe(
        &mut self,
        index: usize,
        connection: &mut ForwardConnection,
        encoder: &RequestEncoder<'_>,
        parts: &mut PendingParts,
        shutdown: &dyn Shutdown,
    ) -> Result<bool, Failure> {
        self.request.clear();
        let id = encoder.probe(&mut self.request);
        let end = encoder.chunk.len();
        connection.remember(SentRequest { id: id.clone(), delivery: self.deliveries, entries: end..end });
        connection.send(&self.request, self.settings.net.write_timeout, shutdown)?;
        while parts.needs_probe(index) {
            let request = self.await_ack(index, connection, parts, shutdown)?;
            if request.id == id {
                if parts.is_suspect() {
                    // The search for a refused record takes longer than a client may wait for a silent server.
                    self.pool.clear_failures();
                }
                parts.probed(index);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits for one acknowledgement on a connection, and removes what it covers from the parts.
    fn await_ack(
        &mut self,
        index: usize,
        connection: &mut ForwardConnection,
        parts: &mut PendingParts,
        shutdown: &dyn Shutdown,
    ) -> Result<SentRequest, Cause> {
        let time = self.settings.ack_timeout;
        let result = connection.next_ack(&Deadline::new(time, shutdown));
        self.pool.counters.nacks += u64::from(matches!(result, Err(Cause::Nack)));
        let request = result?.ok_or(Cause::AckTimeout(time))?;
        self.record_ack(index, &request, parts);
        Ok(request)
    }

    fn record_ack(&mut self, index: usize, request: &SentRequest, parts: &mut PendingParts) {
        self.pool.counters.acks += 1;
        if request.entries.is_empty() {
            return;
        }
        if request.delivery == self.deliveries {
            parts.acknowledged(index, &request.entries);
        }
        self.pool.succeeded(index);
        for other in self.pool.others_to_close(index) {
            self.pool.take(other);
        }
    }

    /// Records the acknowledgements that arrived on open connections after a timeout.
    fn record_late_acks(&mut self, parts: &mut PendingParts) {
        for index in 0..self.pool.len() {
            let Some(mut connection) = self.pool.take(index) else { continue };
            let mut arrived = Ok(None);
            while connection.has_unacknowledged() {
                arrived = connection.arrived_ack();
                let Ok(Some(request)) = &arrived else { break };
                self.record_ack(index, request, parts);
            }
            if arrived.is_ok() {
                self.pool.keep(index, connection);
            }
        }
    }

    /// Keeps a connection after an attempt, if it takes further requests.
    fn keep_after<T>(&mut self, index: usize, mut connection: ForwardConnection, result: &Result<T, Failure>) {
        let keep = match result {
            Ok(_) => connection.keepalive,
            Err(failure) => matches!(failure.cause, Cause::AckTimeout(_)) && connection.outlasts_timeout(),
        };
        if keep {
            self.pool.keep(index, connection);
        }
    }

    /// Returns the server for the next attempt; `None` if late acknowledgements leave nothing to send.
    fn next_server(&mut self, parts: &mut PendingParts, shutdown: &dyn Shutdown) -> Result<Option<usize>, NetError> {
        loop {
            self.record_late_acks(parts);
            if parts.is_empty() {
                return Ok(None);
            }
            if let Some(index) = self.pool.next_or_wait(shutdown)? {
                return Ok(Some(index));
            }
        }
    }

    /// Records a failed attempt in the parts and the limit. Returns the entry that the server refuses for good, if any.
    /// Then the entry was the cause of the failures, not the size of requests.
    fn record_failure(&mut self, index: usize, failure: &Failure, parts: &mut PendingParts) -> Option<Range<usize>> {
        let bytes = failure.sent?;
        let (silence, rejection) = (failure.cause.is_silence(), failure.cause.may_be_chunk());
        let limit = self.limits.get_mut(index).filter(|_| silence || rejection)?;
        limit.failed(bytes);
        let refused = if silence {
            parts.timed_out(index);
            None
        } else {
            parts.rejected(index).inspect(|_| *limit = RequestLimit::none())
        };
        self.pool.status.set_request_limit(index, limit.get());
        refused
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
        self.deliveries += 1;
        self.pool.clear_failures();
        while let Some(index) = self.next_server(&mut parts, shutdown)? {
            let Some(server) = self.servers.get(index) else { return Err(NetError::NoServers) };
            let encoder = RequestEncoder { chunk, id, mode: server.mode, time_as_integer: server.time_as_integer };
            let Err(failure) = self.attempt(index, &encoder, &mut parts, shutdown) else { continue };
            let parts_before = parts.len();
            if let Some(entry) = self.record_failure(index, &failure, &mut parts) {
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
            self.pool.failed(index, failure.cause, parts.len() > parts_before)?;
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
