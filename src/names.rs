//! Names that meet: a set that says cheaply whether a name was there before.

/// A set of names by their hashes, which can say that a name is not there yet without comparing any.
#[derive(Debug, Default)]
pub struct Names([u64; 4]);

impl Names {
    /// Adds a name; true where it, or another with like bits, was there.
    #[inline]
    pub fn insert(&mut self, hash: u64) -> bool {
        let word = &mut self.0[(hash >> 6 & 3) as usize];
        let bit = 1 << (hash & 63);
        let known = *word & bit != 0;
        *word |= bit;
        known
    }

    /// Whether the name may be there.
    #[must_use]
    pub fn has(&self, hash: u64) -> bool {
        self.0[(hash >> 6 & 3) as usize] & 1 << (hash & 63) != 0
    }
}
