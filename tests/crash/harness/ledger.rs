//! The record of arrivals: lines, their ids, duplicates, and the fault before each connection.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Mutex;

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
        state.connections.push(Connection { cause, duplicates: 0 });
        state.connections.len() - 1
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

    /// Returns the number of distinct lines that have arrived.
    pub(crate) fn arrived(&self) -> u64 {
        self.state.lock().unwrap().seen.len() as u64
    }

    /// Returns true if all of these lines have arrived.
    pub(crate) fn has(&self, lines: &Range<u64>) -> bool {
        let state = self.state.lock().unwrap();
        lines.clone().all(|line| state.seen.contains_key(&line))
    }

    pub(crate) fn problem(&self, problem: String) {
        self.state.lock().unwrap().problem(problem);
    }

    /// Returns all problems, given the number of lines written.
    pub(crate) fn problems(&self, written: u64) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let mut problems = state.problems.clone();
        let missing: Vec<u64> = (0..written).filter(|line| !state.seen.contains_key(line)).collect();
        if !missing.is_empty() {
            problems.push(format!("{} of {written} lines are missing: {}", missing.len(), ranges(&missing)));
        }
        for (number, connection) in state.connections.iter().enumerate() {
            if connection.cause != Cause::KillUnsaved && connection.duplicates > state.largest {
                let Connection { cause, duplicates } = connection;
                let largest = state.largest;
                problems.push(format!(
                    "connection {number}, after {cause:?}: {duplicates} duplicates, \
                     and no request has more than {largest}"
                ));
            }
        }
        problems
    }

    /// Formats the counts as lines of a table.
    pub(crate) fn table(&self, written: u64) -> String {
        let state = self.state.lock().unwrap();
        let duplicates: usize = state.connections.iter().map(|connection| connection.duplicates).sum();
        let mut table = String::new();
        for (name, count) in [
            ("lines written", written),
            ("lines arrived", state.seen.len() as u64),
            ("lines that came late", state.late as u64),
            ("duplicates", duplicates as u64),
            ("requests", state.requests as u64),
            ("requests with a known id", state.resent as u64),
            ("largest request, records", state.largest as u64),
        ] {
            _ = writeln!(table, "{name:26}{count:>9}");
        }
        let mut causes: BTreeMap<Cause, Vec<usize>> = BTreeMap::new();
        for connection in &state.connections {
            causes.entry(connection.cause).or_default().push(connection.duplicates);
        }
        _ = writeln!(
            table,
            "\n{:14}{:>12}{:>12}{:>14}{:>10}",
            "after", "connections", "duplicates", "with any", "most"
        );
        for (cause, connections) in causes {
            let (all, any) =
                (connections.iter().sum::<usize>(), connections.iter().filter(|count| **count > 0).count());
            let most = connections.iter().max().copied().unwrap_or_default();
            _ = writeln!(table, "{:14}{:>12}{all:>12}{any:>14}{most:>10}", format!("{cause:?}"), connections.len());
        }
        table
    }
}

impl LedgerState {
    fn line(&mut self, connection: usize, number: u64, id: &[u8], hash: u64) {
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
