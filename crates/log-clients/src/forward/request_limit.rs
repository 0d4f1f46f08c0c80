//! The size of requests that a server takes, learnt from failures and successes.

/// The number of successes at the limit before a larger request is tried.
const FIRST_PROOF: u32 = 4;

/// The largest such number. It doubles each time that a larger request fails again.
const MAX_PROOF: u32 = 256;

/// The limit on the entries of one request to a server, in bytes. A failure halves it, and successes double it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLimit {
    bytes: usize,
    /// The size of the largest request that failed since requests had no limit.
    failed: usize,
    /// The number of requests at the limit that succeeded since it last changed.
    successes: u32,
    /// The number of successes before the limit doubles.
    proof: u32,
    /// True if the limit has doubled since the last failure.
    grown: bool,
}

impl RequestLimit {
    /// Returns no limit.
    pub(super) fn none() -> RequestLimit {
        RequestLimit { bytes: usize::MAX, failed: 0, successes: 0, proof: FIRST_PROOF, grown: false }
    }

    /// Returns the limit in bytes; `None` if larger requests have not failed.
    pub(super) fn get(&self) -> Option<usize> {
        (self.bytes < self.failed).then_some(self.bytes)
    }

    /// Records that a request of this size failed. The next ones have half the size.
    pub(super) fn failed(&mut self, bytes: usize) {
        if self.grown {
            self.proof = MAX_PROOF.min(self.proof * 2);
        }
        self.failed = self.failed.max(bytes);
        self.bytes = (bytes / 2).max(1);
        (self.successes, self.grown) = (0, false);
    }

    /// Records that a request of this size succeeded.
    pub(super) fn succeeded(&mut self, bytes: usize) {
        if bytes >= self.failed {
            *self = RequestLimit::none();
        } else if bytes > self.bytes / 2 {
            self.successes += 1;
            if self.successes >= self.proof {
                self.bytes = self.bytes.saturating_mul(2);
                (self.successes, self.grown) = (0, true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends requests to a server that takes `most` bytes. Returns the sizes of the requests that failed.
    fn run(limit: &mut RequestLimit, batch: usize, most: usize, requests: usize) -> Vec<usize> {
        let mut failed = Vec::new();
        for _ in 0..requests {
            let bytes = batch.min(limit.get().unwrap_or(usize::MAX));
            if bytes <= most {
                limit.succeeded(bytes);
            } else {
                limit.failed(bytes);
                failed.push(bytes);
            }
        }
        failed
    }

    #[test]
    fn requests_halve_until_they_are_taken() {
        let mut limit = RequestLimit::none();
        assert_eq!(limit.get(), None);
        assert_eq!(run(&mut limit, 1000, 130, 4), [1000, 500, 250]);
        assert_eq!(limit.get(), Some(125));
        assert_eq!(run(&mut limit, 1, 0, 3), [1, 1, 1]);
        assert_eq!(limit.get(), Some(1));
    }

    #[test]
    fn successes_remove_the_limit() {
        let mut limit = RequestLimit::none();
        run(&mut limit, 1000, 1, 12);
        assert!(limit.get().is_some_and(|bytes| bytes < 4));
        assert_eq!(run(&mut limit, 1000, 1000, 60), [0; 0]);
        assert_eq!(limit.get(), None);
    }

    #[test]
    fn small_requests_prove_nothing() {
        let mut limit = RequestLimit::none();
        limit.failed(1000);
        assert_eq!(run(&mut limit, 200, 1000, 1000), [0; 0]);
        assert_eq!(limit.get(), Some(500));
    }

    #[test]
    fn a_fixed_limit_is_seldom_exceeded() {
        let mut limit = RequestLimit::none();
        run(&mut limit, 1000, 300, 100);
        let failed = run(&mut limit, 1000, 300, 10_000);
        assert!(failed.len() < 60 && failed.iter().all(|bytes| *bytes == 500), "{failed:?}");
    }
}
