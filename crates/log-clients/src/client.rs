//! Servers that records are delivered to, whatever they speak: what goes to them, and what comes of it.

use std::ops::Range;
use std::sync::Arc;

use crate::net::Live;
use crate::{NetError, Observer, Shutdown, forward, syslog};

/// Entries for one tag, as their encoder wrote them. They go out together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// What receivers route by; empty where the protocol has none.
    pub tag: Vec<u8>,
    /// The entries one after the other: events of the forward protocol, each an array of a time and a map, of which the
    /// time is an extension of type 0 with eight bytes, `d7 00`, seconds and nanoseconds; or syslog messages.
    pub entries: Vec<u8>,
    /// Where in `entries` each one ends.
    pub ends: Vec<usize>,
    /// What an acknowledgement names. It belongs to the content: the same content has the same id.
    pub id: [u8; 16],
}

impl Chunk {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of some entries, by their numbers.
    pub(crate) fn bytes(&self, entries: &Range<usize>) -> &[u8] {
        let end = |count: usize| count.checked_sub(1).map_or(0, |last| self.ends.get(last).copied().unwrap_or(0));
        self.entries.get(end(entries.start)..end(entries.end)).unwrap_or_default()
    }
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

/// What a client has done. Servers of syslog acknowledge nothing.
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
    /// Requests, or windows of messages, that were sent again, since nobody knows whether they had arrived.
    pub resent: u64,
    /// Records that servers could not take.
    pub refused: u64,
}

impl Counters {
    /// What two clients have done.
    #[must_use]
    pub fn plus(&self, other: &Counters) -> Counters {
        Counters {
            connections: self.connections + other.connections,
            reconnects: self.reconnects + other.reconnects,
            retries: self.retries + other.retries,
            acks: self.acks + other.acks,
            nacks: self.nacks + other.nacks,
            resent: self.resent + other.resent,
            refused: self.refused + other.refused,
        }
    }
}

/// Who gets the records, and how to speak to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// Servers of the forward protocol.
    Forward(forward::Settings),
    /// Servers of syslog.
    Syslog(syslog::Settings),
}

/// Delivers chunks to servers.
#[derive(Debug)]
pub enum Client {
    /// By the forward protocol.
    Forward(Box<forward::Client>),
    /// By syslog.
    Syslog(Box<syslog::Client>),
}

impl Client {
    /// Checks the settings and reads the files that they name. It does not connect.
    ///
    /// # Errors
    /// If the settings have no meaning, name files that cannot be used, or ask for what this build leaves out.
    pub fn new(receiver: Receiver, observer: Observer) -> Result<Client, NetError> {
        match receiver {
            Receiver::Forward(settings) => {
                forward::Client::new(settings, observer).map(|client| Client::Forward(Box::new(client)))
            }
            Receiver::Syslog(settings) => {
                syslog::Client::new(settings, observer).map(|client| Client::Syslog(Box::new(client)))
            }
        }
    }

    /// Delivers a chunk, for as long as it takes. What is returned was refused, and is not delivered.
    ///
    /// # Errors
    /// If the time to stop is over, nothing could be delivered for longer than the settings allow, or a server cannot be
    /// used as configured and nobody is there to correct it.
    pub fn deliver(&mut self, chunk: &Chunk, stop: &dyn Shutdown) -> Result<Vec<Refused>, NetError> {
        match self {
            Client::Forward(client) => client.deliver(chunk, stop),
            Client::Syslog(client) => client.deliver(chunk, stop).map(|()| Vec::new()),
        }
    }

    /// Whether something was delivered of which it may still turn out that it was not.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        match self {
            Client::Forward(_) => false,
            Client::Syslog(client) => client.is_in_doubt(),
        }
    }

    /// Sends again what connections that have broken meanwhile may have lost.
    ///
    /// # Errors
    /// As for a delivery.
    pub fn settle(&mut self, stop: &dyn Shutdown) -> Result<(), NetError> {
        match self {
            Client::Forward(_) => Ok(()),
            Client::Syslog(client) => client.settle(stop),
        }
    }

    /// Closes the connections in good order, and sends again what turns out to have been lost.
    ///
    /// # Errors
    /// As for a delivery.
    pub fn finish(&mut self, stop: &dyn Shutdown) -> Result<(), NetError> {
        match self {
            Client::Forward(_) => Ok(()),
            Client::Syslog(client) => client.finish(stop),
        }
    }

    /// The same and how the servers are, for other threads.
    #[must_use]
    pub fn live(&self) -> Arc<Live> {
        match self {
            Client::Forward(client) => client.live(),
            Client::Syslog(client) => client.live(),
        }
    }

    /// What the client has done so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        match self {
            Client::Forward(client) => client.counters(),
            Client::Syslog(client) => client.counters(),
        }
    }
}
