//! The figures of a crash test, which add up over several tests, and their table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::AddAssign;

use super::ledger::Cause;

/// A figure of a crash test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: u64,
    /// The largest value counts instead of the sum.
    pub(crate) is_maximum: bool,
}

/// The connections after faults of one kind, and their duplicates.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Connections {
    pub(crate) connections: u64,
    pub(crate) duplicates: u64,
    /// The number of connections with duplicates.
    pub(crate) with_any: u64,
    /// The most duplicates of a connection.
    pub(crate) most: u64,
}

/// The figures of one or more crash tests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    figures: Vec<Figure>,
    connections: BTreeMap<Cause, Connections>,
}

/// The faults and the starts, in the order of the table.
const FAULTS: [&str; 11] = [
    "kills",
    "cuts",
    "lost acks",
    "absences of the receiver",
    "full disks",
    "starts with a prompt receiver",
    "starts with a receiver that reads slowly",
    "starts with late acks",
    "starts with a key and no user",
    "messages about a full spool",
    "messages about a full disk",
];

impl Tally {
    /// Returns a tally without any fault.
    pub(crate) fn of_faults() -> Tally {
        let mut tally = Tally::default();
        FAULTS.iter().for_each(|name| tally.sum(name, 0));
        tally
    }

    /// Adds a figure. Values of several tests are summed.
    pub(crate) fn sum(&mut self, name: &'static str, value: u64) {
        self.add(Figure { name, value, is_maximum: false });
    }

    /// Adds a figure. The largest value of several tests counts.
    pub(crate) fn maximum(&mut self, name: &'static str, value: u64) {
        self.add(Figure { name, value, is_maximum: true });
    }

    /// Adds a connection with this number of duplicates.
    pub(crate) fn connection(&mut self, cause: Cause, duplicates: u64) {
        let with_any = u64::from(duplicates > 0);
        self.add_connections(cause, Connections { connections: 1, duplicates, with_any, most: duplicates });
    }

    /// Returns the value of a figure, or 0 if there is none.
    pub(crate) fn get(&self, name: &str) -> u64 {
        self.figures.iter().find(|figure| figure.name == name).map_or(0, |figure| figure.value)
    }

    fn add(&mut self, figure: Figure) {
        match self.figures.iter_mut().find(|known| known.name == figure.name) {
            Some(known) if known.is_maximum => known.value = known.value.max(figure.value),
            Some(known) => known.value += figure.value,
            None => self.figures.push(figure),
        }
    }

    fn add_connections(&mut self, cause: Cause, more: Connections) {
        let known = self.connections.entry(cause).or_default();
        known.connections += more.connections;
        known.duplicates += more.duplicates;
        known.with_any += more.with_any;
        known.most = known.most.max(more.most);
    }
}

impl AddAssign<&Tally> for Tally {
    fn add_assign(&mut self, more: &Tally) {
        more.figures.iter().for_each(|figure| self.add(*figure));
        more.connections.iter().for_each(|(cause, connections)| self.add_connections(*cause, *connections));
    }
}

/// Formats tallies as a table with a column for each, and one for all if there are several.
pub(crate) fn table(columns: &[(&str, &Tally)]) -> String {
    let mut all = Tally::default();
    columns.iter().for_each(|(_, tally)| all += *tally);
    let mut columns = columns.to_vec();
    if columns.len() > 1 {
        columns.push(("all", &all));
    }
    let mut table = String::new();
    if columns.len() > 1 {
        _ = write!(table, "{:41}", "");
        columns.iter().for_each(|(name, _)| _ = write!(table, "{name:>10}"));
        table.push('\n');
    }
    for Figure { name, .. } in &all.figures {
        _ = write!(table, "{name:41}");
        columns.iter().for_each(|(_, tally)| _ = write!(table, "{:>10}", tally.get(name)));
        table.push('\n');
    }
    let head = ("after", "connections", "duplicates", "with any", "most");
    _ = writeln!(table, "\n{:14}{:>12}{:>12}{:>14}{:>10}", head.0, head.1, head.2, head.3, head.4);
    for (cause, Connections { connections, duplicates, with_any, most }) in &all.connections {
        _ = writeln!(table, "{:14}{connections:>12}{duplicates:>12}{with_any:>14}{most:>10}", format!("{cause:?}"));
    }
    table
}
