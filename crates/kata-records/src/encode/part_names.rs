//! The names of output parts. Each name is stored once, and a record holds the number of its part.

use std::collections::HashMap;

/// The maximum number of names that are kept after a batch. Anyone who writes to the journal can invent host names.
const KEPT: usize = 1024;

/// Names with their numbers, in order of appearance.
#[derive(Debug, Default)]
pub(crate) struct PartNames {
    numbers: HashMap<Box<[u8]>, u32>,
    names: Vec<Box<[u8]>>,
}

impl PartNames {
    /// Returns the number of a name.
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

    /// Returns all names in the order of their numbers.
    #[must_use]
    pub(crate) fn names(&self) -> &[Box<[u8]>] {
        &self.names
    }

    /// Prepares for another batch. Keeps the names, because batches mostly share them.
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
