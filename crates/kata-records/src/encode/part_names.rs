//! The names of the parts into which records go, each once; a record has the number of its part.

use std::collections::HashMap;

/// More names than this are forgotten with the batch that they came in: whoever may write to the journal may make up hosts.
const KEPT: usize = 1024;

/// BloomFilter and their numbers, in the order in which they were met.
#[derive(Debug, Default)]
pub(crate) struct PartNames {
    numbers: HashMap<Box<[u8]>, u32>,
    names: Vec<Box<[u8]>>,
}

impl PartNames {
    /// The number of a name.
    #[inline]
    pub(crate) fn number(&mut self, name: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }

    /// All names, by their numbers.
    #[must_use]
    pub(crate) fn names(&self) -> &[Box<[u8]>] {
        &self.names
    }

    /// Makes room for the names of another batch. They are mostly the same.
    pub(crate) fn clear(&mut self) {
        if self.names.len() > KEPT {
            *self = PartNames::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number() {
        let mut parts = PartNames::default();
        assert_eq!(["a", "b", "a"].map(|name| parts.number(name.as_bytes())), [0, 1, 0]);
        parts.clear();
        assert_eq!(parts.number(b"b"), 1);
        (0..KEPT).for_each(|number| _ = parts.number(number.to_string().as_bytes()));
        parts.clear();
        assert!(parts.names().is_empty());
        assert_eq!(parts.number(b"b"), 0);
    }
}
