//! Records by sandbox: a block for each, in order of first sight, and what the head of the block says.

use std::collections::HashMap;

use jiff::Timestamp;
use kata_records::UtcTimestamp;

use super::author::Author;
use super::record::FlatRecord;

/// The number of sandboxes with a block of their own, and the longest id of one in bytes. The others share a block.
const MAX_SANDBOXES: usize = 1 << 16;
const MAX_ID: usize = 256;

/// The names of hypervisors, by the subsystem of the records that drive them.
const HYPERVISORS: [(&[u8], &str); 9] = [
    (b"qemu", "qemu"),
    (b"qmp", "qemu"),
    (b"clh", "clh"),
    (b"cloudHypervisor", "clh"),
    (b"cloud-hypervisor", "clh"),
    (b"firecracker", "firecracker"),
    (b"dragonball", "dragonball"),
    (b"stratovirt", "stratovirt"),
    (b"acrn", "acrn"),
];

/// The blocks so far, and their heads.
#[derive(Debug)]
pub struct Groups {
    /// The number of the block of each sandbox.
    numbers: HashMap<Box<[u8]>, u32>,
    /// The blocks of records without a sandbox, and of all sandboxes beyond the limit.
    without: Option<u32>,
    others: Option<u32>,
    heads: Vec<GroupHead>,
    /// The number of sandboxes with a block of their own.
    limit: usize,
}

/// The title of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Title {
    /// The id of a sandbox.
    Sandbox(Box<[u8]>),
    /// The records belong to no sandbox.
    NoSandbox,
    /// Sandboxes beyond the limit.
    Others,
}

/// The head of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupHead {
    pub(super) title: Title,
    /// The hypervisor, if a record tells.
    pub(super) hypervisor: Option<&'static str>,
    /// The first and the last time.
    pub(super) span: Option<(Timestamp, Timestamp)>,
    pub(super) records: u64,
    /// Records of the levels error and critical, and those of them that the guest wrote.
    pub(super) errors: u64,
    pub(super) errors_of_guest: u64,
}

impl Default for Groups {
    fn default() -> Groups {
        Groups { numbers: HashMap::new(), without: None, others: None, heads: Vec::new(), limit: MAX_SANDBOXES }
    }
}

impl Groups {
    /// Counts a record, a JSON object in one line, and returns the number of its block.
    pub fn note(&mut self, line: &[u8]) -> u32 {
        let record = FlatRecord::parse(line).unwrap_or_default();
        let number = self.number(record.text("kata_sandbox"));
        if let Some(head) = self.heads.get_mut(number as usize) {
            head.note(&record);
        }
        number
    }

    /// Returns the head of a block.
    pub(super) fn head(&self, number: u32) -> Option<&GroupHead> {
        self.heads.get(number as usize)
    }

    fn number(&mut self, sandbox: &[u8]) -> u32 {
        let next = self.heads.len() as u32;
        let is_known = |number: u32| number != next;
        let (number, title) = if sandbox.is_empty() {
            (*self.without.get_or_insert(next), Title::NoSandbox)
        } else if let Some(number) = self.numbers.get(sandbox) {
            return *number;
        } else if sandbox.len() > MAX_ID || self.numbers.len() >= self.limit {
            (*self.others.get_or_insert(next), Title::Others)
        } else {
            self.numbers.insert(sandbox.into(), next);
            (next, Title::Sandbox(sandbox.into()))
        };
        if !is_known(number) {
            self.heads.push(GroupHead::new(title));
        }
        number
    }
}

impl GroupHead {
    fn new(title: Title) -> GroupHead {
        GroupHead { title, hypervisor: None, span: None, records: 0, errors: 0, errors_of_guest: 0 }
    }

    fn note(&mut self, record: &FlatRecord<'_>) {
        let author = Author::of(record);
        self.records += 1;
        if matches!(record.text("kata_level"), b"error" | b"critical") {
            self.errors += 1;
            self.errors_of_guest += u64::from(author == Author::Guest);
        }
        if let Some(now) = UtcTimestamp::parse(record.text("kata_time")).and_then(|stamp| stamp.timestamp()) {
            let (from, to) = self.span.unwrap_or((now, now));
            self.span = Some((from.min(now), to.max(now)));
        }
        // Sandboxes beyond the limit have no hypervisor in common.
        if self.hypervisor.is_none() && author == Author::Host && matches!(self.title, Title::Sandbox(_)) {
            let subsystem = record.text("kata_subsystem");
            let known = HYPERVISORS.iter().find(|(name, _)| *name == subsystem);
            self.hypervisor = known.map(|(_, hypervisor)| *hypervisor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(groups: &mut Groups, sandbox: &str, more: &str) -> u32 {
        groups.note(format!(r#"{{"kata_component":"shimv2","kata_sandbox":"{sandbox}"{more}}}"#).as_bytes())
    }

    #[test]
    fn sandboxes_have_numbers_in_order_of_first_sight() {
        let mut groups = Groups { limit: 2, ..Groups::default() };
        let long = "x".repeat(MAX_ID + 1);
        let numbers = ["a", "", "b", "a", "c", "", &long, "b", "d"].map(|sandbox| note(&mut groups, sandbox, ""));
        assert_eq!(numbers, [0, 1, 2, 0, 3, 1, 3, 2, 3]);
        let titles: Vec<_> = groups.heads.iter().map(|head| (head.title.clone(), head.records)).collect();
        let sandbox = |id: &[u8]| Title::Sandbox(id.into());
        assert_eq!(titles, [(sandbox(b"a"), 2), (Title::NoSandbox, 2), (sandbox(b"b"), 2), (Title::Others, 3)]);
    }

    #[test]
    fn heads_count_errors_and_find_the_span() {
        let mut groups = Groups::default();
        for more in [
            r#","kata_time":"2024-03-05T05:00:02Z","kata_level":"error","kata_origin":"host""#,
            r#","kata_time":"2024-03-05T05:00:01Z","kata_level":"critical","kata_origin":"guest""#,
            r#","kata_level":"warning","kata_origin":"guest","kata_subsystem":"clh""#,
            r#","kata_time":"2024-03-05T05:00:05Z","kata_origin":"host","kata_subsystem":"qmp""#,
            r#","kata_time":"2024-03-05T05:00:04Z","kata_origin":"vouched","kata_subsystem":"sandbox""#,
        ] {
            note(&mut groups, "a", more);
        }
        let head = groups.head(0).unwrap();
        assert_eq!((head.records, head.errors, head.errors_of_guest, head.hypervisor), (5, 2, 1, Some("qemu")));
        let span = ["2024-03-05T05:00:01Z", "2024-03-05T05:00:05Z"].map(|time| time.parse().unwrap());
        assert_eq!(head.span, Some((span[0], span[1])));
    }
}
