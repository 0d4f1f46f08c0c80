//! The client: one chunk at a time, to whichever server takes it, for as long as it takes.

use std::time::{Duration, Instant};

use super::address::{Address, Place};
use super::connection::{Connection, Limit};
use super::error::{Cause, ForwardError};
use super::handshake::{self, Identity};
use super::parts::Parts;
use super::reply::Value;
use super::request::{Chunk, Encoder};
use super::servers::{Choice, Servers};
use super::settings::{Mode, Settings, Spread};
use super::tls::Trust;
use crate::report;
use crate::stop::Stop;

/// How long a look at a preferred server may keep those waiting that another one takes.
const LONGEST_LOOK: Duration = Duration::from_secs(3);

/// What a client has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that were opened, handshake included.
    pub connections: u64,
    /// Those among them to a server that had one before.
    pub reconnects: u64,
    /// Attempts that failed and were followed by another one.
    pub retries: u64,
    /// Requests that were acknowledged.
    pub acks: u64,
    /// Requests that a server answered it could not take.
    pub nacks: u64,
    /// Requests that were sent again, since nobody knows whether they had arrived.
    pub resent: u64,
    /// Records that servers could not take.
    pub refused: u64,
}

/// A record that a server cannot take, while it takes others. It is not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What it would have been routed by.
    pub tag: Vec<u8>,
    /// The entry, as it stands in the chunk.
    pub entry: Vec<u8>,
    /// What the server does about it.
    pub reason: String,
    /// The server.
    pub server: String,
}

/// Delivers chunks to servers of the forward protocol, each at least once.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    trust: Option<Trust>,
    identity: Option<Identity>,
    encoder: Encoder,
    servers: Servers,
    peers: Vec<Peer>,
    counters: Counters,
    request: Vec<u8>,
}

/// A server and the connection to it.
#[derive(Debug)]
struct Peer {
    address: Address,
    connection: Option<Connection>,
    met: bool,
}

/// Failures since the last acknowledgement.
struct Trouble {
    since: Instant,
    server: String,
    cause: Cause,
}

/// One attempt that failed.
struct Failure {
    cause: Cause,
    /// Whether the server had begun to receive a part.
    sent: bool,
}

impl Client {
    /// Checks the settings and reads the files that they name. It does not connect.
    ///
    /// # Errors
    /// If the settings have no meaning, name files that cannot be used, or ask for what this build leaves out.
    pub fn new(settings: Settings) -> Result<Client, ForwardError> {
        let settings = settings.bounded();
        if settings.servers.is_empty() {
            return Err(ForwardError::NoServers);
        }
        let missing = |what: &str, feature| ForwardError::MissingFeature { what: what.to_owned(), feature };
        match settings.mode {
            Mode::Gzip if cfg!(not(feature = "gzip")) => return Err(missing("sending chunks with gzip", "gzip")),
            Mode::Zstd if cfg!(not(feature = "zstd")) => return Err(missing("sending chunks with zstd", "zstd")),
            _ => {}
        }
        let tls = &settings.tls;
        let secured = settings.servers.iter().any(|server| matches!(server.place, Place::Tls { .. }));
        if !secured && (tls.insecure || tls.ca.is_some() || tls.cert.is_some() || tls.key.is_some()) {
            return Err(ForwardError::Settings(
                "certificates or their checks are set up, but no server has TLS; write forward+tls:// in its address",
            ));
        }
        let trust = if secured { Some(Trust::new(tls)?) } else { None };
        let identity = Identity::new(&settings)?;
        let peer = |address: &Address| Peer { address: address.clone(), connection: None, met: false };
        Ok(Client {
            trust,
            identity,
            encoder: Encoder { mode: settings.mode, time_as_integer: settings.time_as_integer },
            servers: Servers::new(&settings),
            peers: settings.servers.iter().map(peer).collect(),
            counters: Counters::default(),
            request: Vec::new(),
            settings,
        })
    }

    /// What the client has done so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Delivers a chunk, and returns when servers have acknowledged all of it but the records that are returned: those
    /// could not be taken, though the server is well.
    ///
    /// # Errors
    /// If the time to stop is over, nothing was acknowledged for longer than the settings allow, or a server cannot be
    /// used as configured and nobody is there to correct it.
    pub fn deliver(&mut self, chunk: &Chunk, stop: &Stop) -> Result<Vec<Refused>, ForwardError> {
        let mut parts = Parts::new(chunk.len(), self.settings.mode == Mode::Message);
        let mut refused = Vec::new();
        let mut trouble: Option<Trouble> = None;
        while !parts.is_empty() {
            self.give_up(&mut trouble)?;
            let index = match self.servers.choose(Instant::now()) {
                Choice::Use(index) => index,
                Choice::Wait(until) => {
                    self.pause(until, trouble.as_ref(), stop)?;
                    continue;
                }
            };
            let before = self.counters.acks;
            let result = self.attempt(index, chunk, &mut parts, stop);
            if self.counters.acks > before {
                trouble = None;
            }
            let Err(failure) = result else { continue };
            if failure.sent
                && failure.cause.may_be_the_chunk()
                && let Some(entry) = parts.struck(index)
            {
                self.counters.refused += 1;
                let nacked = matches!(failure.cause, Cause::Nack);
                let does = if nacked { "answered that it could not take it" } else { "closed the connection over it" };
                refused.push(Refused {
                    tag: chunk.tag.clone(),
                    entry: chunk.bytes(&entry).to_vec(),
                    reason: format!("the server {does} each time, and took others in between"),
                    server: self.name(index),
                });
            }
            let cause = self.failed(index, failure.cause)?;
            let since = trouble.map_or_else(Instant::now, |trouble| trouble.since);
            trouble = Some(Trouble { since, server: self.name(index), cause });
        }
        Ok(refused)
    }

    /// Sends what is next to one server and waits until it has acknowledged it. After a failure the connection is gone:
    /// whatever still comes on it would be taken for the answer to something else.
    fn attempt(&mut self, index: usize, chunk: &Chunk, parts: &mut Parts, stop: &Stop) -> Result<(), Failure> {
        let not_sent = |cause| Failure { cause, sent: false };
        let sent = |cause| Failure { cause, sent: true };
        let (write, ack) = (self.settings.write_timeout, self.settings.ack_timeout);
        let mut connection = self.connection(index, parts.is_suspect(), stop).map_err(not_sent)?;
        if parts.wants_probe(index) {
            self.request.clear();
            let id = Encoder::probe(chunk, &mut self.request);
            connection.send(&self.request, write, stop).map_err(not_sent)?;
            acknowledged(&mut connection, &id, ack, stop).map_err(not_sent)?;
            self.counters.acks += 1;
            parts.probed(index);
            connection = self.connection(index, true, stop).map_err(not_sent)?;
        }
        self.request.clear();
        let mut ids = Vec::new();
        for part in parts.next().take(if connection.keepalive { usize::MAX } else { 1 }) {
            self.counters.resent += u64::from(part.sent > 0);
            part.sent += 1;
            ids.push(self.encoder.encode(chunk, &part.entries, &mut self.request));
        }
        connection.send(&self.request, write, stop).map_err(sent)?;
        for id in ids {
            let result = acknowledged(&mut connection, &id, ack, stop);
            self.counters.nacks += u64::from(matches!(result, Err(Cause::Nack)));
            result.map_err(sent)?;
            self.counters.acks += 1;
            parts.acknowledged(index);
            self.succeeded(index);
        }
        if connection.keepalive
            && let Some(peer) = self.peers.get_mut(index)
        {
            peer.connection = Some(connection);
        }
        Ok(())
    }

    /// The connection to a server: the one that there is, if it is still good and will do, or a new one.
    fn connection(&mut self, index: usize, new: bool, stop: &Stop) -> Result<Connection, Cause> {
        let look = self.servers.is_return(index, Instant::now());
        let Some(peer) = self.peers.get_mut(index) else { return Err(Cause::Closed) };
        if let Some(mut connection) = peer.connection.take()
            && !new
            && connection.usable(self.settings.idle_limit)
        {
            return Ok(connection);
        }
        let most = if look { LONGEST_LOOK } else { Duration::MAX };
        let time = self.settings.connect_timeout.min(most);
        let mut connection = Connection::open(&peer.address, self.trust.as_ref(), time, stop)?;
        if let Some(identity) = &self.identity {
            let time = self.settings.handshake_timeout.min(most);
            handshake::shake(&mut connection, identity, &handshake::salt()?, time, stop)?;
        }
        self.counters.connections += 1;
        self.counters.reconnects += u64::from(std::mem::replace(&mut peer.met, true));
        Ok(connection)
    }

    fn succeeded(&mut self, index: usize) {
        if self.servers.succeeded(index) {
            report::diagnostic(format_args!("{}: it takes records again", self.name(index)));
        }
        if self.settings.spread == Spread::Failover {
            // Those that were used in its absence are not needed any more.
            let others = self.peers.iter_mut().enumerate().filter(|(other, _)| *other != index);
            others.for_each(|(_, peer)| peer.connection = None);
        }
    }

    /// What a failure comes to for the server, and whether it ends the delivery.
    fn failed(&mut self, index: usize, cause: Cause) -> Result<Cause, ForwardError> {
        if matches!(cause, Cause::Stopped) {
            return Err(ForwardError::Stopped);
        }
        if self.settings.one_shot && cause.is_configuration() {
            return Err(ForwardError::Refused { server: self.name(index), cause });
        }
        self.counters.retries += 1;
        let (down, say) = self.servers.failed(index, cause.is_configuration(), Instant::now());
        if say {
            let seconds = down.as_secs_f64();
            report::diagnostic(format_args!("{}: {cause}; trying it again in {seconds:.1} s", self.name(index)));
        }
        Ok(cause)
    }

    /// Ends the delivery if nothing was acknowledged for too long.
    fn give_up(&self, trouble: &mut Option<Trouble>) -> Result<(), ForwardError> {
        let Some(after) = self.settings.give_up_after else { return Ok(()) };
        match trouble.take_if(|trouble| trouble.since.elapsed() >= after) {
            Some(Trouble { server, cause, .. }) => Err(ForwardError::GaveUp { after, server, cause }),
            None => Ok(()),
        }
    }

    /// Waits for a server's time to be over, but not for longer than there is hope.
    fn pause(&self, until: Instant, trouble: Option<&Trouble>, stop: &Stop) -> Result<(), ForwardError> {
        let hope = trouble.zip(self.settings.give_up_after).map(|(trouble, after)| trouble.since + after);
        let until = hope.map_or(until, |hope| hope.min(until));
        let limit = Limit::new(until.saturating_duration_since(Instant::now()), stop);
        while let Some(slice) = limit.slice().map_err(|_| ForwardError::Stopped)? {
            std::thread::sleep(slice);
        }
        Ok(())
    }

    fn name(&self, index: usize) -> String {
        self.peers.get(index).map(|peer| peer.address.name()).unwrap_or_default()
    }
}

/// Waits for the acknowledgement of one request.
fn acknowledged(connection: &mut Connection, id: &str, time: Duration, stop: &Stop) -> Result<(), Cause> {
    let Some((reply, raw)) = connection.next(&Limit::new(time, stop))? else { return Err(Cause::AckTimeout(time)) };
    match reply.get("ack").and_then(Value::bytes) {
        Some(ack) if ack == id.as_bytes() => Ok(()),
        Some(other) => Err(Cause::WrongAck(other.to_vec())),
        None if matches!(reply, Value::Map(_)) => Err(Cause::Nack),
        None if reply.message("HELO").is_some() => Err(Cause::KeyRequired),
        None => Err(Cause::Garbage(raw)),
    }
}
