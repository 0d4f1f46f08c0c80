//! Parts of a chunk that await their acknowledgement, and the search for a record that a server refuses.
//!
//! If a server closes the connection over a part repeatedly, the part is split in halves, down to a single record. A
//! failing record alone proves nothing, because a broken server closes over everything. A record is refused only if the
//! server accepted something else between each two attempts: another part, or a request without entries.

use std::collections::VecDeque;
use std::ops::Range;

/// The number of failures after which a part is split, or a record refused.
const MAX_FAILURES: u32 = 3;

/// The number of failures after which a record is refused if the server accepted only empty requests in between. A
/// server with full buffers may accept those, so this takes minutes.
const MAX_FAILURES_ON_PROBES: u32 = 10;

/// The most requests of single records that await acknowledgements. Their replies fit into any socket buffer, so
/// neither side blocks the other.
const MAX_IN_FLIGHT: usize = 64;

/// The unacknowledged parts of a chunk, in the order of their attempts.
#[derive(Debug)]
pub(super) struct PendingParts {
    queue: VecDeque<ChunkPart>,
}

/// A range of entries of a chunk.
#[derive(Debug, Default)]
pub(super) struct ChunkPart {
    /// The indices of the entries.
    pub(super) entries: Range<usize>,
    /// The number of times this part was sent.
    pub(super) sent: u32,
    /// The number of failures, if the part has several entries.
    failures: u32,
    /// The failures at each server, if the part has one entry.
    by_server: Vec<ServerFailures>,
}

/// The failures of one entry at one server.
#[derive(Debug)]
struct ServerFailures {
    server: usize,
    /// The number of failures, counted only if the server accepted something in between.
    count: u32,
    /// True if the server accepted something since the last failure.
    accepted: bool,
    /// True if the server accepted entries since the first failure.
    accepted_entries: bool,
}

impl ChunkPart {
    fn new(entries: Range<usize>) -> ChunkPart {
        ChunkPart { entries, ..ChunkPart::default() }
    }

    fn is_suspect(&self) -> bool {
        self.failures > 0 || !self.by_server.is_empty()
    }

    /// Counts a failure at a server. Returns whether the entry is refused for good.
    fn record_failure(&mut self, server: usize) -> bool {
        let Some(failures) = self.by_server.iter_mut().find(|failures| failures.server == server) else {
            self.by_server.push(ServerFailures { server, count: 1, accepted: false, accepted_entries: false });
            return false;
        };
        if std::mem::take(&mut failures.accepted) {
            failures.count += 1;
        }
        failures.count >= if failures.accepted_entries { MAX_FAILURES } else { MAX_FAILURES_ON_PROBES }
    }
}

impl PendingParts {
    /// Creates the parts of a chunk: one for all entries.
    pub(super) fn new(entries: usize) -> PendingParts {
        let whole = if entries == 0 { None } else { Some(ChunkPart::new(0..entries)) };
        PendingParts { queue: whole.into_iter().collect() }
    }

    /// Splits all parts into single entries, for a server that takes one entry per request. A part of one entry keeps
    /// its failures.
    pub(super) fn split_into_entries(&mut self) {
        if self.queue.iter().all(|part| part.entries.len() == 1) {
            return;
        }
        for part in std::mem::take(&mut self.queue) {
            if part.entries.len() == 1 {
                self.queue.push_back(part);
            } else {
                self.queue.extend(part.entries.map(|entry| ChunkPart::new(entry..entry + 1)));
            }
        }
    }

    /// Returns whether every entry is acknowledged or refused.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the parts to send together, as separate requests. A suspect goes alone, so that a failure is its own.
    pub(super) fn next(&mut self) -> impl Iterator<Item = &mut ChunkPart> {
        let single = |part: &ChunkPart| part.entries.len() == 1 && !part.is_suspect();
        let together = self.queue.iter().take(MAX_IN_FLIGHT).take_while(|part| single(part)).count();
        self.queue.iter_mut().take(together.max(1))
    }

    /// Returns whether the server must accept an empty request before the next part. Otherwise a failure may be due to
    /// either the part or the server.
    pub(super) fn needs_probe(&self, server: usize) -> bool {
        self.queue.front().is_some_and(|part| {
            part.entries.len() == 1
                && part.by_server.iter().any(|failures| failures.server == server && !failures.accepted)
        })
    }

    /// Returns whether the next part has failed before. A suspect needs a new connection: some servers close old
    /// connections, which must not count as a refusal.
    pub(super) fn is_suspect(&self) -> bool {
        self.queue.front().is_some_and(ChunkPart::is_suspect)
    }

    /// Records that the server accepted an empty request.
    pub(super) fn probed(&mut self, server: usize) {
        self.accepted(server, false);
    }

    /// Records that the server acknowledged the first part, and removes that part.
    pub(super) fn acknowledged(&mut self, server: usize) {
        self.queue.pop_front();
        self.accepted(server, true);
    }

    fn accepted(&mut self, server: usize, entries: bool) {
        for failures in self.queue.iter_mut().flat_map(|part| &mut part.by_server) {
            if failures.server == server {
                failures.accepted = true;
                failures.accepted_entries |= entries;
            }
        }
    }

    /// Records that the server failed over the first part, and moves that part to the end. Returns its entry if the
    /// entry is refused.
    pub(super) fn failed(&mut self, server: usize) -> Option<Range<usize>> {
        let mut part = self.queue.pop_front()?;
        if part.entries.len() == 1 {
            if part.record_failure(server) {
                return Some(part.entries);
            }
            self.queue.push_back(part);
            return None;
        }
        part.failures += 1;
        if part.failures < MAX_FAILURES {
            self.queue.push_back(part);
        } else {
            let Range { start, end } = part.entries;
            let middle = start + (end - start) / 2;
            self.queue.extend([ChunkPart::new(start..middle), ChunkPart::new(middle..end)]);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attempts the parts on one server, at most `times` times.
    fn run(
        parts: &mut PendingParts,
        times: usize,
        takes: impl Fn(&Range<usize>) -> bool,
        probes: bool,
    ) -> (Vec<usize>, usize) {
        let mut refused = Vec::new();
        for attempt in 0..times {
            if parts.is_empty() {
                return (refused, attempt);
            }
            if parts.needs_probe(0) {
                if !probes {
                    continue;
                }
                parts.probed(0);
            }
            let next: Vec<Range<usize>> = parts.next().map(|part| part.entries.clone()).collect();
            for entries in next {
                if takes(&entries) {
                    parts.acknowledged(0);
                } else {
                    refused.extend(parts.failed(0).map(|entries| entries.start));
                    break;
                }
            }
        }
        (refused, times)
    }

    fn singles(entries: usize) -> PendingParts {
        let mut parts = PendingParts::new(entries);
        parts.split_into_entries();
        parts
    }

    #[test]
    fn poison_records_are_isolated() {
        let takes =
            |entries: &Range<usize>| !entries.contains(&100) && !entries.contains(&101) && !entries.contains(&999);
        let mut parts = PendingParts::new(1000);
        let (mut refused, attempts) = run(&mut parts, 1000, takes, true);
        refused.sort_unstable();
        assert_eq!(refused, [100, 101, 999]);
        assert!(attempts < 120, "{attempts}");
        let mut parts = singles(1000);
        let (mut refused, attempts) = run(&mut parts, 1000, takes, true);
        refused.sort_unstable();
        assert_eq!(refused, [100, 101, 999]);
        assert!(attempts < 40, "{attempts}");
    }

    #[test]
    fn a_server_that_accepts_nothing_refuses_nothing() {
        for mut parts in [PendingParts::new(20), singles(20)] {
            assert_eq!(run(&mut parts, 2000, |_| false, false), (vec![], 2000));
            assert!(run(&mut parts, 2000, |_| true, true).0.is_empty());
            assert!(parts.is_empty());
        }
    }

    #[test]
    fn a_single_record_is_refused_later() {
        let mut parts = PendingParts::new(1);
        let (refused, attempts) = run(&mut parts, 100, |_| false, true);
        assert_eq!((refused, attempts), (vec![0], 10));
    }

    #[test]
    fn the_success_of_another_server_is_no_evidence() {
        let mut parts = singles(2);
        assert_eq!(parts.failed(0), None);
        parts.acknowledged(1);
        for _ in 0..20 {
            assert!(parts.needs_probe(0));
            assert_eq!(parts.failed(0), None);
        }
    }

    #[test]
    fn parts_are_split_for_a_server_of_single_entries() {
        let mut parts = PendingParts::new(4);
        for _ in 0..MAX_FAILURES {
            parts.failed(0);
        }
        parts.acknowledged(0);
        let (mut refused, _) = run(&mut parts, 3, |_| false, true);
        assert_eq!(refused, [0; 0]);
        // One half is split already, and its first entry is a suspect.
        parts.failed(0);
        parts.split_into_entries();
        assert!(parts.queue.iter().all(|part| part.entries.len() == 1));
        assert_eq!(parts.queue.iter().filter(|part| part.is_suspect()).count(), 1);
        (refused, _) = run(&mut parts, 100, |entries| entries.start != 2, true);
        assert_eq!((refused, parts.is_empty()), (vec![2], true));
        parts.split_into_entries();
        assert!(parts.is_empty());
    }

    #[test]
    fn a_suspect_goes_alone() {
        let mut parts = singles(100);
        assert_eq!(parts.next().count(), 64);
        assert_eq!(parts.failed(0), None);
        assert_eq!(parts.next().next().map(|part| part.entries.clone()), Some(1..2));
        for _ in 1..100 {
            parts.acknowledged(0);
        }
        assert_eq!(parts.next().count(), 1);
        assert!(!parts.needs_probe(0));
        assert_eq!(parts.next().next().map(|part| part.entries.clone()), Some(0..1));
    }
}
