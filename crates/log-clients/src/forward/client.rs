//! The client: one chunk at a time, to whichever server takes it, for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use super::connection::Connection;
use super::handshake::{self, Identity};
use super::parts::Parts;
use super::reply::Value;
use super::request::Encoder;
use super::settings::{ForwardClientSettings, Mode};
use crate::chunk::{Chunk, Refused};
use crate::client::Client;
use crate::error::{Cause, NetError};
use crate::event::Observer;
use crate::net::connection::Limit;
use crate::net::peers::Peers;
use crate::shutdown::Shutdown;
use crate::status::{Counters, Live};

/// Delivers chunks to servers of the forward protocol, each at least once.
#[derive(Debug)]
pub(crate) struct ForwardClient {
    settings: ForwardClientSettings,
    identity: Option<Identity>,
    peers: Peers<Connection>,
    request: Vec<u8>,
}

/// One attempt that failed.
struct Failure {
    cause: Cause,
    /// Whether the server had begun to receive a part.
    sent: bool,
}

impl ForwardClient {
    /// Checks the settings and reads the files that they name. It does not connect.
    ///
    /// # Errors
    /// If the settings have no meaning, name files that cannot be used, or ask for what this build leaves out.
    pub(crate) fn new(settings: ForwardClientSettings, observer: Observer) -> Result<ForwardClient, NetError> {
        let settings = settings.bounded();
        let peers = Peers::new(settings.net.clone(), observer)?;
        let missing = |what: &str, feature| NetError::MissingFeature { what: what.to_owned(), feature };
        match settings.mode {
            Mode::Gzip if cfg!(not(feature = "gzip")) => return Err(missing("sending chunks with gzip", "gzip")),
            Mode::Zstd if cfg!(not(feature = "zstd")) => return Err(missing("sending chunks with zstd", "zstd")),
            _ => {}
        }
        let identity = Identity::new(&settings)?;
        Ok(ForwardClient { identity, peers, request: Vec::new(), settings })
    }

    /// Sends what is next to one server and waits until it has acknowledged it. After a failure the connection is gone:
    /// whatever still comes on it would be taken for the answer to something else.
    fn attempt(
        &mut self,
        index: usize,
        encoder: &Encoder<'_>,
        parts: &mut Parts,
        stop: &dyn Shutdown,
    ) -> Result<(), Failure> {
        let not_sent = |cause| Failure { cause, sent: false };
        let sent = |cause| Failure { cause, sent: true };
        let (write, ack) = (self.settings.net.write_timeout, self.settings.ack_timeout);
        let mut connection = self.connection(index, parts.is_suspect(), stop).map_err(not_sent)?;
        if parts.wants_probe(index) {
            self.request.clear();
            let id = encoder.probe(&mut self.request);
            connection.send(&self.request, write, stop).map_err(not_sent)?;
            acknowledged(&mut connection, &id, ack, stop).map_err(not_sent)?;
            self.peers.counters.acks += 1;
            self.peers.begin();
            parts.probed(index);
            connection = self.connection(index, true, stop).map_err(not_sent)?;
        }
        self.request.clear();
        let mut ids = Vec::new();
        for part in parts.next().take(if connection.keepalive { usize::MAX } else { 1 }) {
            self.peers.counters.resent += u64::from(part.sent > 0);
            part.sent += 1;
            ids.push(encoder.encode(&part.entries, &mut self.request));
        }
        connection.send(&self.request, write, stop).map_err(sent)?;
        for id in ids {
            let result = acknowledged(&mut connection, &id, ack, stop);
            self.peers.counters.nacks += u64::from(matches!(result, Err(Cause::Nack)));
            result.map_err(sent)?;
            self.peers.counters.acks += 1;
            parts.acknowledged(index);
            self.peers.succeeded(index);
            for other in self.peers.replaced(index) {
                self.peers.take(other);
            }
        }
        if connection.keepalive {
            self.peers.keep(index, connection);
        }
        Ok(())
    }

    /// The connection to a server: the one that there is, if it is still good and will do, or a new one.
    fn connection(&mut self, index: usize, new: bool, stop: &dyn Shutdown) -> Result<Connection, Cause> {
        let most = self.peers.patience(index);
        if let Some(mut connection) = self.peers.take(index)
            && !new
            && connection.usable(self.settings.net.idle_limit)
        {
            return Ok(connection);
        }
        let mut connection = Connection::new(self.peers.open(index, most, stop)?);
        if let Some(identity) = &self.identity {
            let time = self.settings.handshake_timeout.min(most);
            handshake::shake(&mut connection, identity, &handshake::salt()?, time, stop)?;
        }
        self.peers.met(index);
        Ok(connection)
    }
}

impl Client for ForwardClient {
    fn deliver(&mut self, chunk: &Chunk, stop: &dyn Shutdown) -> Result<Vec<Refused>, NetError> {
        let mut parts = Parts::new(chunk.len(), self.settings.mode == Mode::Message);
        let mut refused = Vec::new();
        let (mode, time_as_integer) = (self.settings.mode, self.settings.time_as_integer);
        let encoder = Encoder { chunk, id: chunk.id(), mode, time_as_integer };
        self.peers.begin();
        while !parts.is_empty() {
            let index = self.peers.next(stop)?;
            let Err(failure) = self.attempt(index, &encoder, &mut parts, stop) else { continue };
            if failure.sent
                && failure.cause.may_be_the_chunk()
                && let Some(entry) = parts.struck(index)
            {
                self.peers.counters.refused += 1;
                let nacked = matches!(failure.cause, Cause::Nack);
                let does = if nacked { "answered that it could not take it" } else { "closed the connection over it" };
                refused.push(Refused {
                    tag: chunk.tag().to_vec(),
                    entry: chunk.bytes(&entry).to_vec(),
                    reason: format!("the server {does} each time, and took others in between"),
                    server: self.peers.name(index),
                });
            }
            self.peers.failed(index, failure.cause)?;
        }
        Ok(refused)
    }

    fn live(&self) -> Arc<Live> {
        Arc::clone(&self.peers.live)
    }

    fn counters(&self) -> &Counters {
        &self.peers.counters
    }
}

/// Waits for the acknowledgement of one request.
fn acknowledged(connection: &mut Connection, id: &str, time: Duration, stop: &dyn Shutdown) -> Result<(), Cause> {
    let Some((reply, raw)) = connection.next(&Limit::new(time, stop))? else { return Err(Cause::AckTimeout(time)) };
    match reply.get("ack").and_then(Value::bytes) {
        Some(ack) if ack == id.as_bytes() => Ok(()),
        Some(other) => Err(Cause::WrongAck(other.to_vec())),
        None if matches!(reply, Value::Map(_)) => Err(Cause::Nack),
        None if reply.message("HELO").is_some() => Err(Cause::KeyRequired),
        None => Err(Cause::Garbage(raw)),
    }
}
