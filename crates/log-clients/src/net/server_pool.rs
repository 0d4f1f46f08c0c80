//! The servers of a client, their connections, and the retries. Protocols share this part.

use std::time::{Duration, Instant};

use super::address_order::AddressOrder;
use super::connection::{Connection, Deadline};
use super::server_selector::{Choice, ServerSelector};
use super::tls::TlsContext;
use crate::address::{Address, Transport};
use crate::error::{Cause, NetError};
use crate::event::{Event, Observer};
use crate::settings::{ServerSettings, Spread, TlsSettings};
use crate::shutdown::Shutdown;
use crate::status::{Counters, RetryReason, StatusHandle};

/// The timeout for checking a preferred server while another server is up.
const RETURN_TIMEOUT: Duration = Duration::from_secs(3);

/// The servers, each with at most one connection of type `C`.
#[derive(Debug)]
pub(crate) struct ServerPool<C> {
    pub(crate) settings: ServerSettings,
    pub(crate) counters: Counters,
    pub(crate) status: StatusHandle,
    selector: ServerSelector,
    servers: Vec<PooledServer<C>>,
    failures: Option<FailureStreak>,
    observer: Observer,
}

/// A server and its connection.
#[derive(Debug)]
struct PooledServer<C> {
    address: Address,
    /// The configuration of TLS, for a server behind TLS.
    trust: Option<TlsContext>,
    connection: Option<C>,
    connected_before: bool,
    /// The order of the addresses of its name.
    order: AddressOrder,
}

/// The failures since the last success.
#[derive(Debug)]
struct FailureStreak {
    since: Instant,
    server: String,
    cause: Cause,
}

impl<C> ServerPool<C> {
    /// Creates the pool. Checks the settings and reads the files that they name, but opens no connection.
    ///
    /// # Errors
    /// If the settings contradict each other, name unusable files, or need a feature that this build leaves out.
    pub(crate) fn new(settings: ServerSettings, observer: Observer) -> Result<ServerPool<C>, NetError> {
        let settings = settings.clamped();
        if settings.servers.is_empty() {
            return Err(NetError::NoServers);
        }
        let tls = &settings.tls;
        let secured = settings.servers.iter().any(is_secured);
        if !secured && (tls.insecure || tls.ca.is_some() || tls.cert.is_some() || tls.key.is_some()) {
            return Err(NetError::Settings(
                "certificates or their checks are set up, but no server has TLS; write forward+tls:// or syslog+tls:// \
                 in its address",
            ));
        }
        Ok(ServerPool {
            selector: ServerSelector::new(&settings),
            servers: pooled_servers(&settings, &observer)?,
            counters: Counters::default(),
            status: StatusHandle::new(settings.servers.iter().map(Address::name)),
            failures: None,
            observer,
            settings,
        })
    }

    /// Forgets earlier failures, so that `give_up_after` counts anew.
    pub(crate) fn clear_failures(&mut self) {
        self.failures = None;
    }

    /// Returns the index of the server for the next attempt. Waits while all servers are down.
    ///
    /// # Errors
    /// If the shutdown deadline passes, or nothing was delivered for longer than the settings allow.
    pub(crate) fn next(&mut self, shutdown: &dyn Shutdown) -> Result<usize, NetError> {
        loop {
            if let Some(index) = self.next_or_wait(shutdown)? {
                return Ok(index);
            }
        }
    }

    /// Returns the index of the server for the next attempt. While all servers are down, waits for a fraction of a
    /// second and returns `None`.
    ///
    /// # Errors
    /// As for [`next`](ServerPool::next).
    pub(crate) fn next_or_wait(&mut self, shutdown: &dyn Shutdown) -> Result<Option<usize>, NetError> {
        self.check_give_up()?;
        match self.selector.choose(Instant::now()) {
            Choice::Use(index) => Ok(Some(index)),
            Choice::Wait(until) => self.wait_until(until, shutdown).map(|()| None),
        }
    }

    /// Returns the number of servers.
    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// Iterates over the open connections.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &C> {
        self.servers.iter().filter_map(|server| server.connection.as_ref())
    }

    /// Returns the connection to a server, if one is open.
    pub(crate) fn connection(&mut self, index: usize) -> Option<&mut C> {
        self.servers.get_mut(index)?.connection.as_mut()
    }

    /// Removes and returns the connection to a server, if one is open.
    pub(crate) fn take(&mut self, index: usize) -> Option<C> {
        self.servers.get_mut(index)?.connection.take()
    }

    /// Stores the connection to a server for the next attempt.
    pub(crate) fn keep(&mut self, index: usize, connection: C) {
        if let Some(server) = self.servers.get_mut(index) {
            server.connection = Some(connection);
        }
    }

    /// Returns the address of a server.
    pub(crate) fn address(&self, index: usize) -> Option<&Address> {
        self.servers.get(index).map(|server| &server.address)
    }

    /// Returns the timeout of connection and handshake. The timeout is short if another server is up.
    pub(crate) fn attempt_timeout(&self, index: usize) -> Duration {
        if self.selector.is_return_attempt(index, Instant::now()) { RETURN_TIMEOUT } else { Duration::MAX }
    }

    /// Connects to a server.
    pub(crate) fn open(&mut self, index: usize, most: Duration, shutdown: &dyn Shutdown) -> Result<Connection, Cause> {
        let Some(server) = self.servers.get_mut(index) else { return Err(Cause::Closed) };
        let time = self.settings.connect_timeout.min(most);
        Connection::open(&server.address, server.trust.as_ref(), &mut server.order, time, shutdown)
    }

    /// Counts a connection that is ready for use.
    pub(crate) fn count_connection(&mut self, index: usize) {
        if let Some(server) = self.servers.get_mut(index) {
            self.counters.connections += 1;
            self.counters.reconnects += u64::from(std::mem::replace(&mut server.connected_before, true));
        }
    }

    /// Records a success.
    pub(crate) fn succeeded(&mut self, index: usize) {
        self.failures = None;
        if let Some(server) = self.servers.get_mut(index) {
            server.order.succeeded();
        }
        self.status.publish(self.counters, index, true);
        if self.selector.succeeded(index) {
            self.observe(&Event::Recovered { server: &self.name(index) });
        }
    }

    /// Returns the servers whose connections a success elsewhere makes needless: all others under failover, else none.
    pub(crate) fn others_to_close(&self, index: usize) -> impl Iterator<Item = usize> + use<C> {
        let all = if self.settings.spread == Spread::Failover { self.servers.len() } else { 0 };
        (0..all).filter(move |other| *other != index)
    }

    /// Records a failure. If the next request is `smaller`, the backoff does not grow.
    ///
    /// # Errors
    /// If the failure ends the delivery.
    pub(crate) fn failed(&mut self, index: usize, cause: Cause, smaller: bool) -> Result<(), NetError> {
        if matches!(cause, Cause::Stopped) {
            return Err(NetError::Stopped);
        }
        let server = self.name(index);
        if self.settings.one_shot && cause.is_configuration() {
            return Err(NetError::Refused { server, cause });
        }
        self.counters.retries.add(RetryReason::from(&cause));
        if let Some(server) = self.servers.get_mut(index) {
            server.order.failed();
        }
        self.status.publish(self.counters, index, false);
        let (down, report) = self.selector.failed(index, cause.is_configuration(), smaller, Instant::now());
        if report {
            self.observe(&Event::Unavailable { server: &server, cause: &cause, retry_in: down });
        }
        let since = self.failures.take().map_or_else(Instant::now, |failures| failures.since);
        self.failures = Some(FailureStreak { since, server, cause });
        Ok(())
    }

    /// Returns an error if nothing was delivered for longer than the settings allow.
    fn check_give_up(&mut self) -> Result<(), NetError> {
        let Some(after) = self.settings.give_up_after else { return Ok(()) };
        match self.failures.take_if(|failures| failures.since.elapsed() >= after) {
            Some(FailureStreak { server, cause, .. }) => Err(NetError::GaveUp { after, server, cause }),
            None => Ok(()),
        }
    }

    /// Waits until a server may be tried again or the delivery gives up, but at most a fraction of a second.
    fn wait_until(&self, until: Instant, shutdown: &dyn Shutdown) -> Result<(), NetError> {
        let give_up_at =
            self.failures.as_ref().zip(self.settings.give_up_after).map(|(failures, after)| failures.since + after);
        let until = give_up_at.map_or(until, |give_up_at| give_up_at.min(until));
        let limit = Deadline::new(until.saturating_duration_since(Instant::now()), shutdown);
        if let Some(slice) = limit.next_wait().map_err(|_| NetError::Stopped)? {
            std::thread::sleep(slice);
        }
        Ok(())
    }

    /// Reports an event to the observer.
    pub(crate) fn observe(&self, event: &Event<'_>) {
        self.observer.notify(event);
    }

    /// Returns the address of a server as messages name it.
    pub(crate) fn name(&self, index: usize) -> String {
        self.servers.get(index).map(|server| server.address.name()).unwrap_or_default()
    }
}

fn is_secured(server: &Address) -> bool {
    matches!(server.transport, Transport::Tls { .. })
}

/// Creates the servers without connections. Servers with equal settings of TLS share one configuration, so that each
/// file is read once.
fn pooled_servers<C>(settings: &ServerSettings, observer: &Observer) -> Result<Vec<PooledServer<C>>, NetError> {
    let mut known: Vec<(TlsSettings, TlsContext)> = Vec::new();
    let mut servers = Vec::new();
    for address in &settings.servers {
        let mut trust = None;
        if is_secured(address) {
            let tls = settings.tls.for_server(&address.options);
            if tls.insecure {
                observer.notify(&Event::CertificateUnchecked { server: &address.name() });
            }
            trust = known.iter().find(|(settings, _)| *settings == tls).map(|(_, context)| context.clone());
            if trust.is_none() {
                let context = TlsContext::new(&tls).map_err(|error| error.at(address))?;
                known.push((tls, context.clone()));
                trust = Some(context);
            }
        }
        servers.push(PooledServer {
            address: address.clone(),
            trust,
            connection: None,
            connected_before: false,
            order: AddressOrder::default(),
        });
    }
    Ok(servers)
}
