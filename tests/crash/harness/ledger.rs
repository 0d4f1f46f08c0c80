//! The record of arrivals: lines, their ids, duplicates, and the fault before each connection.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Mutex;

use super::tally::Tally;
use crate::support::forward::count::{hash, records};
use crate::support::forward::wire::{Frame, WireError, member, string};

/// The field requested for the ids of records.
pub(crate) const ID: &str = "id";

/// Maximum number of problems to keep, because those of one kind repeat.
const MAX_PROBLEMS: usize = 20;

/// The event before a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    Start,
    Kill,
    /// A kill after the disk was full: what was acknowledged then may not have been saved.
    KillUnsaved,
    Cut,
    LostAck,
    Away,
    FullDisk,
    /// The program exited by itself.
    Exit,
}

/// A connection, with the number of its duplicates.
#[derive(Clone, Copy, Debug)]
struct Connection {
    cause: Cause,
    duplicates: usize,
    /// The number of the life in which it was opened.
    life: usize,
}

/// The arrivals between two starts of the program.
#[derive(Debug, Default)]
struct Life {
    /// Acks come after the program's wait for them.
    slow: bool,
    /// Positions were not saved before it, so any number of lines comes again.
    unsaved: bool,
    connections: usize,
    /// The number of arrivals of each line.
    copies: HashMap<u64, usize>,
    /// The number of lines that had arrived before.
    repeated: usize,
    /// The most arrivals of a line, beyond one for each connection.
    extra: usize,
}

/// A line that has arrived.
struct ArrivedLine {
    id: Box<[u8]>,
    hash: u64,
}

#[derive(Default)]
struct LedgerState {
    seen: HashMap<u64, ArrivedLine>,
    ids: HashMap<Box<[u8]>, u64>,
    chunks: HashSet<Box<[u8]>>,
    connections: Vec<Connection>,
    lives: Vec<Life>,
    /// Positions were not saved before a kill, so duplicates come until a new line does.
    unsaved: bool,
    requests: usize,
    /// Requests with the id of an earlier one.
    resent: usize,
    /// Most records in a request.
    largest: usize,
    /// Lines whose first arrival was after that of a later line.
    late: usize,
    last: u64,
    problems: Vec<String>,
}

/// The record of all arrivals, shared by all connections.
#[derive(Default)]
pub(crate) struct Ledger {
    state: Mutex<LedgerState>,
}

/// Returns the number of a line, from its message.
fn line_number(record: &[u8]) -> Result<u64, WireError> {
    let message = member(record, b"kata_msg")?.ok_or_else(|| WireError::new("a record without kata_msg"))?;
    let text = String::from_utf8_lossy(string(message)?);
    let number = text.strip_prefix("line ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    number.ok_or_else(|| WireError::new(format!("a message of nobody's: {text}")))
}

impl Ledger {
    /// Registers a connection. Returns its number.
    pub(crate) fn add_connection(&self, cause: Cause) -> usize {
        let mut state = self.state.lock().unwrap();
        let cause = if state.unsaved { Cause::KillUnsaved } else { cause };
        let life = state.lives.len().saturating_sub(1);
        state.connections.push(Connection { cause, duplicates: 0, life });
        if let Some(life) = state.lives.last_mut() {
            life.connections += 1;
        }
        state.connections.len() - 1
    }

    /// Registers a start of the program. `slow` is true if the acks of its receiver come after its wait for them.
    pub(crate) fn begin_life(&self, slow: bool) {
        let mut state = self.state.lock().unwrap();
        let unsaved = state.unsaved;
        state.lives.iter_mut().for_each(|life| life.copies = HashMap::new());
        state.lives.push(Life { slow, unsaved, ..Life::default() });
    }

    /// Expects any number of duplicates before the next new line.
    pub(crate) fn expect_duplicates(&self) {
        self.state.lock().unwrap().unsaved = true;
    }

    /// Registers the records of a request.
    pub(crate) fn take(&self, connection: usize, frame: &Frame<'_>) {
        let mut state = self.state.lock().unwrap();
        let state = &mut *state;
        state.requests += 1;
        if let Some(chunk) = frame.chunk
            && !state.chunks.insert(chunk.into())
        {
            state.resent += 1;
        }
        let mut count = 0;
        let result = records(frame, ID, |id, record| {
            count += 1;
            match line_number(record) {
                Ok(number) => state.line(connection, number, id, hash(record)),
                Err(bad) => state.problem(bad.to_string()),
            }
        });
        if let Err(bad) = result {
            state.problem(bad.to_string());
        }
        state.largest = state.largest.max(count);
    }

    /// Returns true if all of these lines have arrived.
    pub(crate) fn has(&self, lines: &Range<u64>) -> bool {
        self.missing(lines.clone()).is_empty()
    }

    /// Returns the lines of these that have not arrived.
    pub(crate) fn missing(&self, lines: Range<u64>) -> Vec<u64> {
        let state = self.state.lock().unwrap();
        lines.filter(|line| !state.seen.contains_key(line)).collect()
    }

    pub(crate) fn problem(&self, problem: String) {
        self.state.lock().unwrap().problem(problem);
    }

    /// Returns all problems, given the number of lines written and those that the program counted as lost.
    pub(crate) fn problems(&self, written: u64, is_counted: impl Fn(u64) -> bool) -> Vec<String> {
        let missing: Vec<u64> = self.missing(0..written).into_iter().filter(|line| !is_counted(*line)).collect();
        let state = self.state.lock().unwrap();
        let mut problems = state.problems.clone();
        if !missing.is_empty() {
            problems.push(format!("{} of {written} lines are missing: {}", missing.len(), ranges(&missing)));
        }
        problems.extend(state.more_than_a_batch());
        problems
    }

    /// Adds the counts to a tally.
    pub(crate) fn tally(&self, written: u64, tally: &mut Tally) {
        let state = self.state.lock().unwrap();
        let duplicates: usize = state.connections.iter().map(|connection| connection.duplicates).sum();
        tally.sum("lines written", written);
        tally.sum("lines arrived", state.seen.len() as u64);
        tally.sum("lines that came late", state.late as u64);
        tally.sum("duplicates", duplicates as u64);
        tally.sum("requests", state.requests as u64);
        tally.sum("requests with a known id", state.resent as u64);
        tally.maximum("largest request, records", state.largest as u64);
        let most = |of: fn(&Life) -> usize| {
            state.lives.iter().filter(|life| !life.unsaved).map(of).max().unwrap_or_default() as u64
        };
        tally.maximum("most lines again after a kill", most(|life| life.repeated));
        tally.maximum("most extra copies of a line, by halving", most(|life| life.extra));
        for connection in &state.connections {
            tally.connection(connection.cause, connection.duplicates as u64);
        }
    }
}

impl LedgerState {
    /// Describes duplicates beyond a batch for each fault, or beyond one copy for each halving.
    fn more_than_a_batch(&self) -> Vec<String> {
        let largest = self.largest;
        // Halves of a batch of so many records are single records in the end.
        let halvings = largest.max(1).ilog2() as usize + 1;
        let is_slow = |connection: &Connection| self.lives.get(connection.life).is_some_and(|life| life.slow);
        let mut problems = Vec::new();
        for (number, connection) in self.connections.iter().enumerate() {
            let Connection { cause, duplicates, .. } = connection;
            if *cause != Cause::KillUnsaved && !is_slow(connection) && *duplicates > largest {
                problems.push(format!(
                    "connection {number}, after {cause:?}: {duplicates} duplicates, \
                     and no request has more than {largest}"
                ));
            }
        }
        for (number, life) in self.lives.iter().enumerate().filter(|(_, life)| !life.unsaved) {
            if life.repeated > largest {
                let repeated = life.repeated;
                problems.push(format!(
                    "start {number}: {repeated} lines come again, and no request has more than {largest}"
                ));
            }
            let most = if life.slow { halvings } else { 0 };
            if life.extra > most {
                let (extra, connections) = (life.extra, life.connections);
                problems.push(format!(
                    "start {number}: a line comes {extra} times more often than on each of {connections} connections, \
                     with at most {most} halvings"
                ));
            }
        }
        problems
    }

    fn line(&mut self, connection: usize, number: u64, id: &[u8], hash: u64) {
        if let Some(life) = self.lives.last_mut() {
            let copies = life.copies.entry(number).or_default();
            *copies += 1;
            life.repeated += usize::from(*copies == 1 && self.seen.contains_key(&number));
            life.extra = life.extra.max(copies.saturating_sub(life.connections));
        }
        if let Some(seen) = self.seen.get(&number) {
            let (other_id, other_hash) = (seen.id.as_ref() != id, seen.hash != hash);
            self.connections[connection].duplicates += 1;
            if other_id {
                self.problem(format!("line {number} comes again under another id"));
            } else if other_hash {
                self.problem(format!("line {number} comes again with another content"));
            }
            return;
        }
        self.unsaved = false;
        if let Some(other) = self.ids.insert(id.into(), number) {
            self.problem(format!("lines {other} and {number} have one id"));
        }
        self.seen.insert(number, ArrivedLine { id: id.into(), hash });
        if number < self.last {
            self.late += 1;
        }
        self.last = self.last.max(number);
    }

    fn problem(&mut self, problem: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }
}

/// Formats sorted numbers as ranges.
fn ranges(numbers: &[u64]) -> String {
    let parts = numbers.chunk_by(|one, next| one + 1 == *next).map(|range| match range {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}–{last}"),
        [] => String::new(),
    });
    let mut parts: Vec<String> = parts.collect();
    if parts.len() > MAX_PROBLEMS {
        parts.truncate(MAX_PROBLEMS);
        parts.push("…".to_owned());
    }
    parts.join(", ")
}
