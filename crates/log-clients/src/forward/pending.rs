//! What of a chunk is still to be delivered, and the search for a record that a server cannot take.
//!
//! A part that a server closes the connection over, again and again, is cut in halves, until it is a single record.
//! That alone says nothing: a server in trouble closes over everything. A record is given up only if the same server
//! took something else between one attempt and the next, each time: another part, or a request without entries.

use std::collections::VecDeque;
use std::ops::Range;

/// After so many failures a part is cut in halves, and a record given up.
const MAX_FAILURES: u32 = 3;

/// After so many a record is given up if the server took only requests without entries in between. Servers whose
/// buffers are full may well take those, so this is a matter of minutes.
const MAX_FAILURES_ON_PROBES: u32 = 10;

/// How many requests of single records may wait for their acknowledgements. The answers to so many fit into any buffer,
/// so that neither side waits for the other.
const MAX_IN_FLIGHT: usize = 64;

/// The parts of a chunk that nobody has acknowledged, in the order in which they are tried.
#[derive(Debug)]
pub(super) struct PendingParts {
    queue: VecDeque<ChunkPart>,
}

/// Some entries of a chunk, by their numbers.
#[derive(Debug, Default)]
pub(super) struct ChunkPart {
    /// Which.
    pub(super) entries: Range<usize>,
    /// How often they were sent.
    pub(super) sent: u32,
    /// Failures that count, for more than one entry.
    failures: u32,
    /// What each server had against it.
    by_server: Vec<ServerFailures>,
}

/// What one server had against one part.
#[derive(Debug)]
struct ServerFailures {
    server: usize,
    /// Failures with something taken in between.
    count: u32,
    /// Whether it took something since the last one.
    accepted: bool,
    /// Whether it took something with entries since the first one.
    accepted_entries: bool,
}

impl ChunkPart {
    fn new(entries: Range<usize>) -> ChunkPart {
        ChunkPart { entries, ..ChunkPart::default() }
    }

    fn is_suspect(&self) -> bool {
        self.failures > 0 || !self.by_server.is_empty()
    }

    /// Counts a failure at a server, and says whether it is settled that this part can never be taken.
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
    /// All of a chunk: at once, or each entry by itself.
    pub(super) fn new(entries: usize, one_by_one: bool) -> PendingParts {
        let queue = match entries {
            0 => VecDeque::new(),
            _ if one_by_one => (0..entries).map(|entry| ChunkPart::new(entry..entry + 1)).collect(),
            _ => VecDeque::from([ChunkPart::new(0..entries)]),
        };
        PendingParts { queue }
    }

    /// Whether all is done.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// What may be sent together, in separate requests: a suspect goes alone, so that a failure is its own.
    pub(super) fn next(&mut self) -> impl Iterator<Item = &mut ChunkPart> {
        let single = |part: &ChunkPart| part.entries.len() == 1 && !part.is_suspect();
        let together = self.queue.iter().take(MAX_IN_FLIGHT).take_while(|part| single(part)).count();
        self.queue.iter_mut().take(together.max(1))
    }

    /// Whether a request without entries has to be taken by this server before the next part is tried: nothing else
    /// would tell whether it is the part or the server.
    pub(super) fn needs_probe(&self, server: usize) -> bool {
        self.queue.front().is_some_and(|part| {
            part.entries.len() == 1
                && part.by_server.iter().any(|failures| failures.server == server && !failures.accepted)
        })
    }

    /// Whether the next part has failed before. It goes out on a connection of its own then: some servers close each
    /// connection after a request or a while, and that must not be taken for an answer.
    pub(super) fn is_suspect(&self) -> bool {
        self.queue.front().is_some_and(ChunkPart::is_suspect)
    }

    /// The server took a request without entries.
    pub(super) fn probed(&mut self, server: usize) {
        self.accepted(server, false);
    }

    /// The server took the first part.
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

    /// The server closed the connection over the first part, or says that it cannot take it. Whatever else there is
    /// goes first from now on. Returns the entry that is given up, if it is one.
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

    /// Tries the parts on one server until nothing is left, or so often.
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

    #[test]
    fn records_that_cannot_be_taken_are_found_among_the_others() {
        let takes =
            |entries: &Range<usize>| !entries.contains(&100) && !entries.contains(&101) && !entries.contains(&999);
        let mut parts = PendingParts::new(1000, false);
        let (mut refused, attempts) = run(&mut parts, 1000, takes, true);
        refused.sort_unstable();
        assert_eq!(refused, [100, 101, 999]);
        assert!(attempts < 120, "{attempts}");
        let mut parts = PendingParts::new(1000, true);
        let (mut refused, attempts) = run(&mut parts, 1000, takes, true);
        refused.sort_unstable();
        assert_eq!(refused, [100, 101, 999]);
        assert!(attempts < 40, "{attempts}");
    }

    #[test]
    fn a_server_that_takes_nothing_is_in_trouble_itself() {
        for one_by_one in [false, true] {
            let mut parts = PendingParts::new(20, one_by_one);
            assert_eq!(run(&mut parts, 2000, |_| false, false), (vec![], 2000));
            assert!(run(&mut parts, 2000, |_| true, true).0.is_empty());
            assert!(parts.is_empty());
        }
    }

    #[test]
    fn a_record_alone_is_given_up_later() {
        let mut parts = PendingParts::new(1, false);
        let (refused, attempts) = run(&mut parts, 100, |_| false, true);
        assert_eq!((refused, attempts), (vec![0], 10));
    }

    #[test]
    fn what_another_server_took_is_no_evidence() {
        let mut parts = PendingParts::new(2, true);
        assert_eq!(parts.failed(0), None);
        parts.acknowledged(1);
        for _ in 0..20 {
            assert!(parts.needs_probe(0));
            assert_eq!(parts.failed(0), None);
        }
    }

    #[test]
    fn a_suspect_goes_alone() {
        let mut parts = PendingParts::new(100, true);
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
