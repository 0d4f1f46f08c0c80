//! Parts of a chunk that await their acknowledgement, and the search for a record that a server refuses.
//!
//! A part that fails is split in halves, down to a single record, because the server may be too slow for the part, or
//! refuse a request of its size. A failing record alone proves nothing, because a broken server closes over everything.
//! A record is refused only if the server accepted something else between each two attempts: another part, or a request
//! without entries. Silence never refuses a record, but a silent server gets an empty request before the record again.

use std::collections::VecDeque;
use std::ops::Range;

/// The number of failures after which a record is refused.
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
    /// The failures at each server, if the part has one entry.
    by_server: Vec<ServerFailures>,
}

/// The failures of one entry at one server.
#[derive(Debug)]
struct ServerFailures {
    server: usize,
    /// The number of failures, counted only if the server accepted something in between. Silence is not counted.
    count: u32,
    /// True if the server accepted something since the last failure.
    accepted: bool,
    /// True if the server accepted entries since the first failure.
    accepted_entries: bool,
}

impl ChunkPart {
    fn new(entries: Range<usize>, sent: u32) -> ChunkPart {
        ChunkPart { entries, sent, by_server: Vec::new() }
    }

    fn is_suspect(&self) -> bool {
        self.by_server.iter().any(|failures| failures.count > 0)
    }

    /// Returns the failures at a server, and adds them if there were none.
    fn failures(&mut self, server: usize) -> (&mut ServerFailures, bool) {
        let known = self.by_server.iter().position(|failures| failures.server == server);
        let at = known.unwrap_or_else(|| {
            self.by_server.push(ServerFailures { server, count: 0, accepted: false, accepted_entries: false });
            self.by_server.len() - 1
        });
        (&mut self.by_server[at], known.is_none())
    }

    /// Counts a failure at a server. Returns whether the entry is refused for good.
    fn record_failure(&mut self, server: usize) -> bool {
        let (failures, _) = self.failures(server);
        if std::mem::take(&mut failures.accepted) || failures.count == 0 {
            failures.count += 1;
        }
        failures.count >= if failures.accepted_entries { MAX_FAILURES } else { MAX_FAILURES_ON_PROBES }
    }

    /// Splits the part in halves. A part of one entry has none.
    fn halves(&self) -> Option<[ChunkPart; 2]> {
        (self.entries.len() > 1).then(|| self.split_at(self.entries.len() / 2))
    }

    fn split_at(&self, count: usize) -> [ChunkPart; 2] {
        let Range { start, end } = self.entries;
        [start..start + count, start + count..end].map(|entries| ChunkPart::new(entries, self.sent))
    }
}

impl PendingParts {
    /// Creates the parts of a chunk: one for all entries.
    pub(super) fn new(entries: usize) -> PendingParts {
        let whole = if entries == 0 { None } else { Some(ChunkPart::new(0..entries, 0)) };
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
                self.queue.extend(part.entries.map(|entry| ChunkPart::new(entry..entry + 1, part.sent)));
            }
        }
    }

    /// Returns whether every entry is acknowledged or refused.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the number of parts.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Returns whether some of these entries await their acknowledgement.
    pub(super) fn contain(&self, entries: &Range<usize>) -> bool {
        self.queue.iter().any(|part| part.entries.start < entries.end && entries.start < part.entries.end)
    }

    /// Returns the parts to send together, as separate requests of at most `limit` bytes in all. A suspect goes alone,
    /// so that a failure is its own.
    pub(super) fn next(
        &mut self,
        limit: usize,
        size: impl Fn(&Range<usize>) -> usize,
    ) -> impl Iterator<Item = &mut ChunkPart> {
        if let Some(first) = self.queue.front()
            && let count = fitting(&first.entries, limit, &size)
            && count < first.entries.len()
        {
            let [fits, rest] = first.split_at(count);
            self.queue.pop_front();
            self.queue.push_front(rest);
            self.queue.push_front(fits);
        }
        let single = |part: &ChunkPart| part.entries.len() == 1 && part.by_server.is_empty();
        let mut bytes = 0;
        let fits = |part: &&ChunkPart| {
            bytes += size(&part.entries);
            single(part) && bytes <= limit
        };
        let together = self.queue.iter().take(MAX_IN_FLIGHT).take_while(fits).count();
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

    /// Records that the server acknowledged these entries, and removes them from all parts.
    pub(super) fn acknowledged(&mut self, server: usize, entries: &Range<usize>) {
        if self.contain(entries) {
            for part in std::mem::take(&mut self.queue) {
                let Range { start, end } = part.entries;
                let rests = [start..end.min(entries.start), start.max(entries.end)..end];
                if rests.iter().any(|rest| rest.len() == end - start) {
                    self.queue.push_back(part);
                } else {
                    let rests = rests.into_iter().filter(|rest| !rest.is_empty());
                    self.queue.extend(rests.map(|rest| ChunkPart::new(rest, part.sent)));
                }
            }
        }
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

    /// Records that the server rejected the first part, and moves that part to the end. Returns its entry if the entry
    /// is refused.
    pub(super) fn rejected(&mut self, server: usize) -> Option<Range<usize>> {
        let mut part = self.queue.pop_front()?;
        if let Some(halves) = part.halves() {
            self.queue.extend(halves);
        } else if part.record_failure(server) {
            return Some(part.entries);
        } else {
            self.queue.push_back(part);
        }
        None
    }

    /// Records that the server was silent over the first part.
    pub(super) fn timed_out(&mut self, server: usize) {
        let Some(mut part) = self.queue.pop_front() else { return };
        if let Some([first, second]) = part.halves() {
            self.queue.push_front(second);
            self.queue.push_front(first);
            return;
        }
        let (failures, new) = part.failures(server);
        let answers = std::mem::take(&mut failures.accepted);
        // A server that answers other requests gets these first. Otherwise it gets nothing before it answers.
        if answers && !new { self.queue.push_back(part) } else { self.queue.push_front(part) }
    }
}

/// Returns the number of entries, at least one, that have at most `limit` bytes.
fn fitting(entries: &Range<usize>, limit: usize, size: impl Fn(&Range<usize>) -> usize) -> usize {
    let (mut least, mut most) = (1, entries.len().max(1));
    while least < most {
        let middle = least + (most - least).div_ceil(2);
        if size(&(entries.start..entries.start + middle)) <= limit { least = middle } else { most = middle - 1 }
    }
    least
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
            for entries in next(parts, usize::MAX).into_iter().map(|(start, end)| start..end) {
                if takes(&entries) {
                    parts.acknowledged(0, &entries);
                } else {
                    refused.extend(parts.rejected(0).map(|entries| entries.start));
                    break;
                }
            }
        }
        (refused, times)
    }

    /// Returns start and end of the next parts. Each entry has one byte.
    fn next(parts: &mut PendingParts, limit: usize) -> Vec<(usize, usize)> {
        parts.next(limit, ExactSizeIterator::len).map(bounds).collect()
    }

    fn bounds(part: &mut ChunkPart) -> (usize, usize) {
        (part.entries.start, part.entries.end)
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
        assert!(attempts < 80, "{attempts}");
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
        assert_eq!(parts.rejected(0), None);
        parts.acknowledged(1, &(1..2));
        for _ in 0..20 {
            assert!(parts.needs_probe(0));
            assert_eq!(parts.rejected(0), None);
        }
    }

    #[test]
    fn parts_are_split_for_a_server_of_single_entries() {
        let mut parts = PendingParts::new(4);
        parts.rejected(0);
        parts.rejected(0);
        assert_eq!(next(&mut parts, usize::MAX), [(2, 4)]);
        parts.acknowledged(0, &(2..4));
        assert_eq!(parts.rejected(0), None);
        // One half is split already, and its first entry is a suspect.
        parts.split_into_entries();
        assert!(parts.queue.iter().all(|part| part.entries.len() == 1));
        assert_eq!(parts.queue.iter().filter(|part| part.is_suspect()).count(), 1);
        let (refused, _) = run(&mut parts, 100, |entries| entries.start != 1, true);
        assert_eq!((refused, parts.is_empty()), (vec![1], true));
        parts.split_into_entries();
        assert!(parts.is_empty());
    }

    #[test]
    fn a_suspect_goes_alone() {
        let mut parts = singles(100);
        assert_eq!(next(&mut parts, usize::MAX).len(), 64);
        assert_eq!(parts.rejected(0), None);
        assert_eq!(next(&mut parts, usize::MAX)[0], (1, 2));
        for entry in 1..100 {
            parts.acknowledged(0, &(entry..entry + 1));
        }
        assert!(!parts.needs_probe(0));
        assert_eq!(next(&mut parts, usize::MAX), [(0, 1)]);
    }

    #[test]
    fn a_limit_cuts_the_next_part() {
        let mut parts = PendingParts::new(10);
        assert_eq!(next(&mut parts, 4), [(0, 4)]);
        parts.acknowledged(0, &(0..4));
        assert_eq!(next(&mut parts, 0), [(4, 5)], "an entry cannot be split");
        let mut parts = singles(10);
        assert_eq!(next(&mut parts, 3), [(0, 1), (1, 2), (2, 3)]);
    }

    #[test]
    fn an_acknowledgement_of_a_larger_request_covers_its_parts() {
        let mut parts = PendingParts::new(8);
        parts.timed_out(0);
        parts.timed_out(0);
        assert_eq!(next(&mut parts, usize::MAX), [(0, 2)]);
        assert!(parts.contain(&(3..5)));
        parts.acknowledged(0, &(0..4));
        assert_eq!(next(&mut parts, usize::MAX), [(4, 8)]);
        assert!(!parts.contain(&(0..4)));
        parts.acknowledged(0, &(5..6));
        assert_eq!(parts.queue.iter_mut().map(bounds).collect::<Vec<_>>(), [(4, 5), (6, 8)]);
        parts.acknowledged(0, &(0..8));
        assert!(parts.is_empty());
    }

    #[test]
    fn a_silent_server_gets_a_probe_before_the_entry_again() {
        let mut parts = singles(2);
        for _ in 0..20 {
            parts.timed_out(0);
            assert!(parts.needs_probe(0) && !parts.needs_probe(1) && !parts.is_suspect());
            assert_eq!(next(&mut parts, usize::MAX), [(0, 1)]);
        }
        // The server answers, and is silent over the entry again: the others come first.
        parts.probed(0);
        parts.timed_out(0);
        assert_eq!(next(&mut parts, usize::MAX), [(1, 2)]);
        parts.acknowledged(0, &(1..2));
        let (refused, _) = run(&mut parts, 2, |_| true, true);
        assert_eq!((refused, parts.is_empty()), (vec![], true));
    }
}
