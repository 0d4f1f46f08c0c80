//! Numbers for field names, so that repeated names are found without comparing them.

use crate::name_hash;

/// The count of names that get their own number, in order of appearance.
const OWN: u8 = 128;

/// Numbers of names. A shared number only costs time.
#[derive(Debug)]
pub(super) struct NameNumbers {
    /// Numbers by a part of the name's hash; 0 means none yet.
    given: Box<[u8]>,
    last: u8,
}

impl Default for NameNumbers {
    fn default() -> NameNumbers {
        NameNumbers { given: vec![0; 1 << 16].into(), last: 0 }
    }
}

impl NameNumbers {
    /// Returns the number of a name, which is never 0.
    pub(super) fn of(&mut self, name: &[u8]) -> u8 {
        let hash = name_hash::hash(name);
        let place = &mut self.given[usize::from(hash as u16)];
        if *place == 0 {
            *place = if self.last < OWN - 1 {
                self.last += 1;
                self.last
            } else {
                OWN | (hash >> 16) as u8
            };
        }
        *place
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::name_hash::ByteSet;

    #[test]
    fn names_have_numbers_of_their_own_as_long_as_there_are_some() {
        let mut numbers = NameNumbers::default();
        let names: Vec<String> = (0..1000).map(|number| format!("FIELD_{number}")).collect();
        let given: Vec<u8> = names.iter().map(|name| numbers.of(name.as_bytes())).collect();
        assert_eq!(given[..3], [1, 2, 3]);
        let own = given.iter().filter(|number| **number < OWN).count();
        assert!((127..150).contains(&own), "{own}");
        let mut seen = ByteSet::default();
        for (name, number) in names.iter().zip(&given).take(100) {
            assert_eq!(numbers.of(name.as_bytes()), *number);
            assert!(!seen.insert(*number) && seen.insert(*number), "{name}");
        }
        let mut shared = HashMap::new();
        given.iter().for_each(|number| *shared.entry(number).or_insert(0) += 1);
        assert!(shared.values().all(|count| *count < 30), "{shared:?}");
    }
}
