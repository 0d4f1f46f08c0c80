//! Counters of entries that were skipped.

/// Numbers of entries that were skipped without reading them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Entries that the filter or a match excludes.
    pub others: u64,
    /// Entries outside the range, or before the last ones.
    pub outside: u64,
    /// Entries that another file holds as well.
    pub repeated: u64,
}

impl Skipped {
    /// Adds other counters.
    pub(crate) fn add(&mut self, more: Skipped) {
        self.others += more.others;
        self.outside += more.outside;
        self.repeated += more.repeated;
    }
}
