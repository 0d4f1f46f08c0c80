//! Servers that records are delivered to, whatever they speak: what goes to them, and what comes of it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::forward::ForwardClient;
use crate::net::Live;
use crate::syslog::SyslogClient;
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

/// Delivers chunks to servers.
pub trait Client: Send + fmt::Debug {
    /// Delivers a chunk, however long it takes. Returns the records that no server takes.
    ///
    /// # Errors
    /// If the shutdown deadline passes, nothing was delivered for longer than the settings allow, or a server cannot be
    /// used as configured and the run is one-shot.
    fn deliver(&mut self, chunk: &Chunk, shutdown: &dyn Shutdown) -> Result<Vec<Refused>, NetError>;

    /// Returns whether delivered records may still turn out to be lost.
    ///
    /// The default is for protocols with acknowledgements: a delivered record is never in doubt.
    fn is_in_doubt(&self) -> bool {
        false
    }

    /// Sends again the records that broken connections may have lost.
    ///
    /// # Errors
    /// As for a delivery.
    fn settle(&mut self, _shutdown: &dyn Shutdown) -> Result<(), NetError> {
        Ok(())
    }

    /// Closes the connections in good order, and sends again the records that turn out to be lost.
    ///
    /// # Errors
    /// As for a delivery.
    fn finish(&mut self, _shutdown: &dyn Shutdown) -> Result<(), NetError> {
        Ok(())
    }

    /// Returns a handle to the status of the client and its servers, for other threads.
    fn live(&self) -> Arc<Live>;

    /// Returns the counters of this client.
    fn counters(&self) -> &Counters;
}

/// Who gets the records, and how to speak to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// Servers of the forward protocol.
    Forward(forward::Settings),
    /// Servers of syslog.
    Syslog(syslog::Settings),
}

impl Receiver {
    /// Creates the client. Checks the settings and reads the files that they name, but opens no connection.
    ///
    /// # Errors
    /// If the settings contradict each other, name unusable files, or need a feature that this build leaves out.
    pub fn client(self, observer: Observer) -> Result<Box<dyn Client>, NetError> {
        Ok(match self {
            Receiver::Forward(settings) => Box::new(ForwardClient::new(settings, observer)?),
            Receiver::Syslog(settings) => Box::new(SyslogClient::new(settings, observer)?),
        })
    }
}
