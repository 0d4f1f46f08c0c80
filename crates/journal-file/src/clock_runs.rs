//! Finds runs of entries whose times do not decrease, by probing few of them.
//!
//! A bisection by time needs such runs. journald begins a new file when its clock goes back, but a boot may begin with an
//! earlier time than the boot before it has reached, and other writers keep no order at all. Within a boot, the wall clock
//! and the monotonic clock run together, and only a clock that was set moves one against the other. So if both have
//! moved by about the same time between two entries of one boot, the clock was not set between them, unless it was set
//! back and forth again.

use std::ops::Range;

/// The clocks of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clocks {
    pub(crate) boot_id: [u8; 16],
    pub(crate) realtime: u64,
    pub(crate) monotonic: u64,
}

/// The most that the times in a run may decrease, in microseconds. Clocks are also corrected slowly.
pub(crate) const TOLERANCE: u64 = 2_000_000;

/// The number of entries that are probed first.
const SAMPLES: usize = 128;
/// The most entries that are probed. More mean that the times have no order.
const MAX_PROBES: usize = 4096;

/// A search for the ends of runs.
struct Search<P> {
    probe: P,
    left: usize,
    ends: Vec<usize>,
}

/// Returns runs of `count` entries, in order and without gaps, in each of which no time is earlier than one before it by
/// more than [`TOLERANCE`]. Returns `None` if an entry cannot be read, or if the times have no order.
pub(crate) fn runs(count: usize, probe: impl FnMut(usize) -> Option<Clocks>) -> Option<Vec<Range<usize>>> {
    let last = count.checked_sub(1)?;
    let mut search = Search { probe, left: MAX_PROBES, ends: Vec::new() };
    let mut before = (0, search.clocks(0)?);
    for sample in 1..=SAMPLES.min(last) {
        let at = last * sample / SAMPLES.min(last);
        let next = (at, search.clocks(at)?);
        search.split(before, next)?;
        before = next;
    }
    search.ends.push(count);
    let mut start = 0;
    Some(search.ends.into_iter().map(|end| std::mem::replace(&mut start, end)..end).collect())
}

impl<P: FnMut(usize) -> Option<Clocks>> Search<P> {
    fn clocks(&mut self, at: usize) -> Option<Clocks> {
        self.left = self.left.checked_sub(1)?;
        (self.probe)(at)
    }

    /// Finds the entries between two entries, up to the second, that begin a run.
    fn split(&mut self, first: (usize, Clocks), last: (usize, Clocks)) -> Option<()> {
        if run_together(&first.1, &last.1) {
            return Some(());
        }
        if last.0 - first.0 == 1 {
            if last.1.realtime < first.1.realtime {
                self.ends.push(last.0);
            }
            return Some(());
        }
        let at = first.0 + (last.0 - first.0) / 2;
        let middle = (at, self.clocks(at)?);
        self.split(first, middle)?;
        self.split(middle, last)
    }
}

/// Returns whether both clocks have moved by about the same time from one entry to a later one.
fn run_together(first: &Clocks, last: &Clocks) -> bool {
    let moved = last.realtime.checked_sub(first.realtime).zip(last.monotonic.checked_sub(first.monotonic));
    first.boot_id == last.boot_id
        && moved.is_some_and(|(realtime, monotonic)| realtime.abs_diff(monotonic) <= TOLERANCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the clocks of entries a second apart, with steps of the wall clock in seconds before some entries.
    fn clocks(count: usize, steps: &[(usize, i64)], boots: &[usize]) -> Vec<Clocks> {
        let mut realtime = 1_700_000_000_000_000_i64;
        let clock = |at: usize| {
            let step: i64 = steps.iter().filter(|(from, _)| *from == at).map(|(_, step)| step * 1_000_000).sum();
            realtime += 1_000_000 + step;
            let boot = boots.iter().filter(|from| **from <= at).count();
            let start = boots.iter().rev().find(|from| **from <= at).copied().unwrap_or_default();
            Clocks {
                boot_id: [boot as u8; 16],
                realtime: realtime.unsigned_abs(),
                monotonic: (at - start) as u64 * 1_000_000,
            }
        };
        (0..count).map(clock).collect()
    }

    /// Returns the ends of the runs and the number of probes.
    fn ends(clocks: &[Clocks]) -> (Option<Vec<usize>>, usize) {
        let mut probes = 0;
        let found = runs(clocks.len(), |at| {
            probes += 1;
            clocks.get(at).copied()
        });
        let ends = found.map(|runs| {
            assert!(runs.windows(2).all(|pair| pair[0].end == pair[1].start) && runs[0].start == 0);
            runs.iter().map(|run| run.end).collect()
        });
        (ends, probes)
    }

    #[test]
    fn a_run_ends_where_the_clock_was_set_back() {
        assert_eq!(ends(&[]), (None, 0));
        assert_eq!(ends(&clocks(1, &[], &[])), (Some(vec![1]), 1));
        assert_eq!(ends(&clocks(2, &[(1, -9)], &[])), (Some(vec![1, 2]), 2));
        let (found, probes) = ends(&clocks(300_000, &[], &[]));
        assert_eq!((found, probes), (Some(vec![300_000]), SAMPLES + 1));
        let (found, probes) = ends(&clocks(300_000, &[(100, -7200), (250_001, -30), (250_002, -30)], &[]));
        assert_eq!(found, Some(vec![100, 250_001, 250_002, 300_000]));
        assert!(probes < 2 * SAMPLES);
        // Far steps forward keep the order, and so does a boot after a long pause.
        assert_eq!(ends(&clocks(300_000, &[(5, 9999), (777, 86_400)], &[777])).0, Some(vec![300_000]));
        // A boot may begin in the past.
        assert_eq!(ends(&clocks(300_000, &[(777, -86_400)], &[777])).0, Some(vec![777, 300_000]));
        // Between two samples, the clock was set back and forth, but not by the same time.
        assert_eq!(ends(&clocks(300_000, &[(30, -100), (60, 103)], &[])).0, Some(vec![30, 300_000]));
    }

    #[test]
    fn times_without_an_order_are_given_up() {
        let mut all = clocks(20_000, &[], &[]);
        for (at, clocks) in all.iter_mut().enumerate() {
            clocks.boot_id = [at as u8 % 7; 16];
        }
        let (found, probes) = ends(&all);
        assert_eq!((found, probes), (None, MAX_PROBES));
        let mut probes = 0;
        assert_eq!(
            runs(9, |_| {
                probes += 1;
                None
            }),
            None,
            "an entry cannot be read"
        );
        assert_eq!(probes, 1);
    }
}
