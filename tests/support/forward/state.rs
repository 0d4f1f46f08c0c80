//! The observations of a server, shared by its connections and the waiting test.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::connection::TlsClient;
use super::event::Event;
use super::handshake::Ping;
use super::script::Script;
use super::wire::Mode;

/// Timeout of a test.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A request as received.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The number over all connections, from 0.
    pub(crate) number: usize,
    /// The connection, counted from 0.
    pub(crate) connection: usize,
    /// All bytes of the request.
    pub(crate) bytes: Vec<u8>,
    pub(crate) tag: String,
    /// The id to acknowledge, if the client wants an ack.
    pub(crate) chunk: Option<Vec<u8>>,
    pub(crate) mode: Mode,
    /// Number of events.
    pub(crate) events: usize,
    /// The time when it was complete.
    pub(crate) at: Instant,
}

/// All observations, each in order of arrival.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// Number of accepted connections.
    pub(crate) connections: usize,
    /// All requests, accepted or not.
    pub(crate) requests: Vec<Request>,
    /// The accepted events.
    pub(crate) events: Vec<Event>,
    pub(crate) pings: Vec<Ping>,
    pub(crate) tls: Vec<TlsClient>,
    /// Violations of the protocol by clients.
    pub(crate) faults: Vec<String>,
    /// The end of each connection, by its number.
    pub(crate) ends: Vec<(usize, String)>,
}

/// The state of a server.
pub(super) struct State {
    script: Mutex<Script>,
    log: Mutex<Log>,
    stopped: Mutex<bool>,
    changed: Condvar,
    stop: Condvar,
}

impl State {
    pub(super) fn new(script: Script) -> State {
        State {
            script: Mutex::new(script),
            log: Mutex::default(),
            stopped: Mutex::new(false),
            changed: Condvar::new(),
            stop: Condvar::new(),
        }
    }

    pub(super) fn script(&self) -> Script {
        self.script.lock().unwrap().clone()
    }

    pub(super) fn set_script(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    /// Wakes the waiting tests after an observation.
    pub(super) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Waits until the condition holds.
    #[track_caller]
    pub(super) fn wait(&self, what: &str, mut holds: impl FnMut(&Log) -> bool) -> Log {
        let (log, over) = self.changed.wait_timeout_while(self.log(), TIMEOUT, |log| !holds(log)).unwrap();
        assert!(
            !over.timed_out(),
            "{what} does not come about: {} connections, {} requests, {} events, ends {:?}, faults {:?}",
            log.connections,
            log.requests.len(),
            log.events.len(),
            log.ends,
            log.faults
        );
        log.clone()
    }

    /// Waits for a time. Returns true if the server stops.
    pub(super) fn rest(&self, time: Duration) -> bool {
        *self.stop.wait_timeout_while(self.stopped.lock().unwrap(), time, |stopped| !*stopped).unwrap().0
    }

    pub(super) fn wait_for_stop(&self) {
        drop(self.stop.wait_while(self.stopped.lock().unwrap(), |stopped| !*stopped));
    }

    pub(super) fn stop(&self) {
        *self.stopped.lock().unwrap() = true;
        self.stop.notify_all();
    }

    pub(super) fn stopped(&self) -> bool {
        *self.stopped.lock().unwrap()
    }
}
