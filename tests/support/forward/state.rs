//! What a server has seen, shared by its connections and the test that waits for it.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::event::Event;
use super::handshake::Ping;
use super::link::Shown;
use super::script::Script;
use super::wire::Mode;

/// How long a test waits for what has to come.
const SOON: Duration = Duration::from_secs(20);

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Counted from 0 over all connections.
    pub(crate) number: usize,
    /// The connection, counted from 0.
    pub(crate) connection: usize,
    /// All its bytes.
    pub(crate) bytes: Vec<u8>,
    pub(crate) tag: String,
    /// The id that it wants to have acknowledged.
    pub(crate) chunk: Option<Vec<u8>>,
    pub(crate) mode: Mode,
    /// How many events it has.
    pub(crate) events: usize,
    /// When it was complete.
    pub(crate) at: Instant,
}

/// Everything that was seen, each in the order in which it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// How many connections were accepted.
    pub(crate) connections: usize,
    /// The requests, whatever became of them.
    pub(crate) requests: Vec<Request>,
    /// The events that were taken.
    pub(crate) events: Vec<Event>,
    pub(crate) pings: Vec<Ping>,
    pub(crate) tls: Vec<Shown>,
    /// What clients did that they should not.
    pub(crate) faults: Vec<String>,
    /// How connections ended, by their numbers.
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

    /// Tells those that wait that something was seen.
    pub(super) fn tell(&self) {
        self.changed.notify_all();
    }

    /// Waits until the condition holds.
    #[track_caller]
    pub(super) fn wait(&self, what: &str, mut holds: impl FnMut(&Log) -> bool) -> Log {
        let (log, over) = self.changed.wait_timeout_while(self.log(), SOON, |log| !holds(log)).unwrap();
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

    /// Waits for a time. Returns whether the server ends.
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
