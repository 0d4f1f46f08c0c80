//! The servers, with what is known of each and the connection to it: the part of every client that has nothing to do with
//! what is said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::{Connection, Limit};
use super::servers::{Choice, Servers};
use super::tls::Trust;
use crate::address::{Address, Place};
use crate::error::{Cause, NetError};
use crate::event::{Event, Observer};
use crate::settings::{ServerSettings, Spread};
use crate::shutdown::Shutdown;
use crate::status::{Counters, Live};

/// How long a look at a preferred server may keep those waiting that another one takes.
const LONGEST_LOOK: Duration = Duration::from_secs(3);

/// The servers, each with a connection of type `C`.
#[derive(Debug)]
pub(crate) struct Peers<C> {
    pub(crate) settings: ServerSettings,
    pub(crate) counters: Counters,
    pub(crate) live: Arc<Live>,
    trust: Option<Trust>,
    servers: Servers,
    list: Vec<Peer<C>>,
    trouble: Option<Trouble>,
    observer: Observer,
}

/// A server and the connection to it.
#[derive(Debug)]
struct Peer<C> {
    address: Address,
    connection: Option<C>,
    met: bool,
}

/// Failures since something was delivered.
#[derive(Debug)]
struct Trouble {
    since: Instant,
    server: String,
    cause: Cause,
}

impl<C> Peers<C> {
    /// Checks the settings and reads the files that they name. It does not connect.
    ///
    /// # Errors
    /// If the settings have no meaning, name files that cannot be used, or ask for what this build leaves out.
    pub(crate) fn new(settings: ServerSettings, observer: Observer) -> Result<Peers<C>, NetError> {
        let settings = settings.bounded();
        if settings.servers.is_empty() {
            return Err(NetError::NoServers);
        }
        let tls = &settings.tls;
        let secured = settings.servers.iter().any(|server| matches!(server.place, Place::Tls { .. }));
        if !secured && (tls.insecure || tls.ca.is_some() || tls.cert.is_some() || tls.key.is_some()) {
            return Err(NetError::Settings(
                "certificates or their checks are set up, but no server has TLS; write forward+tls:// or syslog+tls:// \
                 in its address",
            ));
        }
        let trust = if secured { Some(Trust::new(tls, &observer)?) } else { None };
        let peer = |address: &Address| Peer { address: address.clone(), connection: None, met: false };
        Ok(Peers {
            trust,
            servers: Servers::new(&settings),
            list: settings.servers.iter().map(peer).collect(),
            counters: Counters::default(),
            live: Arc::new(Live::new(settings.servers.iter().map(Address::name))),
            trouble: None,
            observer,
            settings,
        })
    }

    /// Begins with something new to deliver.
    pub(crate) fn begin(&mut self) {
        self.trouble = None;
    }

    /// The server for the next attempt. Waits while all are down.
    ///
    /// # Errors
    /// If the time to stop is over, or nothing was delivered for longer than the settings allow.
    pub(crate) fn next(&mut self, stop: &dyn Shutdown) -> Result<usize, NetError> {
        loop {
            self.give_up()?;
            match self.servers.choose(Instant::now()) {
                Choice::Use(index) => return Ok(index),
                Choice::Wait(until) => self.pause(until, stop)?,
            }
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The connections that there are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &C> {
        self.list.iter().filter_map(|peer| peer.connection.as_ref())
    }

    /// The connection to a server, if there is one.
    pub(crate) fn connection(&mut self, index: usize) -> Option<&mut C> {
        self.list.get_mut(index)?.connection.as_mut()
    }

    /// Takes the connection to a server, if there is one.
    pub(crate) fn take(&mut self, index: usize) -> Option<C> {
        self.list.get_mut(index)?.connection.take()
    }

    /// Keeps the connection to a server for what is next.
    pub(crate) fn keep(&mut self, index: usize, connection: C) {
        if let Some(peer) = self.list.get_mut(index) {
            peer.connection = Some(connection);
        }
    }

    /// Where a server is.
    pub(crate) fn place(&self, index: usize) -> Option<&Place> {
        self.list.get(index).map(|peer| &peer.address.place)
    }

    /// The most that may be waited for a server to take up what is next.
    pub(crate) fn patience(&self, index: usize) -> Duration {
        if self.servers.is_return(index, Instant::now()) { LONGEST_LOOK } else { Duration::MAX }
    }

    /// Connects to a server.
    pub(crate) fn open(&self, index: usize, most: Duration, stop: &dyn Shutdown) -> Result<Connection, Cause> {
        let Some(peer) = self.list.get(index) else { return Err(Cause::Closed) };
        let time = self.settings.connect_timeout.min(most);
        Connection::open(&peer.address, self.trust.as_ref(), time, stop)
    }

    /// Counts a connection that can be used.
    pub(crate) fn met(&mut self, index: usize) {
        if let Some(peer) = self.list.get_mut(index) {
            self.counters.connections += 1;
            self.counters.reconnects += u64::from(std::mem::replace(&mut peer.met, true));
        }
    }

    /// Takes note that a server has taken something.
    pub(crate) fn succeeded(&mut self, index: usize) {
        self.trouble = None;
        self.live.tell(self.counters, index, true);
        if self.servers.succeeded(index) {
            self.observe(&Event::Recovered { server: &self.name(index) });
        }
    }

    /// The servers that were used in the absence of this one and are not needed any more.
    pub(crate) fn replaced(&self, index: usize) -> impl Iterator<Item = usize> + use<C> {
        let all = if self.settings.spread == Spread::Failover { self.list.len() } else { 0 };
        (0..all).filter(move |other| *other != index)
    }

    /// Takes note of a failure.
    ///
    /// # Errors
    /// If it ends the delivery.
    pub(crate) fn failed(&mut self, index: usize, cause: Cause) -> Result<(), NetError> {
        if matches!(cause, Cause::Stopped) {
            return Err(NetError::Stopped);
        }
        let server = self.name(index);
        if self.settings.one_shot && cause.is_configuration() {
            return Err(NetError::Refused { server, cause });
        }
        self.counters.retries += 1;
        self.live.tell(self.counters, index, false);
        let (down, say) = self.servers.failed(index, cause.is_configuration(), Instant::now());
        if say {
            self.observe(&Event::Unavailable { server: &server, cause: &cause, retry_in: down });
        }
        let since = self.trouble.take().map_or_else(Instant::now, |trouble| trouble.since);
        self.trouble = Some(Trouble { since, server, cause });
        Ok(())
    }

    /// Ends the delivery if nothing was delivered for too long.
    fn give_up(&mut self) -> Result<(), NetError> {
        let Some(after) = self.settings.give_up_after else { return Ok(()) };
        match self.trouble.take_if(|trouble| trouble.since.elapsed() >= after) {
            Some(Trouble { server, cause, .. }) => Err(NetError::GaveUp { after, server, cause }),
            None => Ok(()),
        }
    }

    /// Waits for a server's time to be over, but not for longer than there is hope.
    fn pause(&self, until: Instant, stop: &dyn Shutdown) -> Result<(), NetError> {
        let hope = self.trouble.as_ref().zip(self.settings.give_up_after).map(|(trouble, after)| trouble.since + after);
        let until = hope.map_or(until, |hope| hope.min(until));
        let limit = Limit::new(until.saturating_duration_since(Instant::now()), stop);
        while let Some(slice) = limit.slice().map_err(|_| NetError::Stopped)? {
            std::thread::sleep(slice);
        }
        Ok(())
    }

    /// Reports an event to the caller.
    pub(crate) fn observe(&self, event: &Event<'_>) {
        self.observer.notify(event);
    }

    /// How messages name a server.
    pub(crate) fn name(&self, index: usize) -> String {
        self.list.get(index).map(|peer| peer.address.name()).unwrap_or_default()
    }
}
