//! Counters of entries that an option would make the host's or Kata's, with an example for the message.

/// The longest part of an identifier that is kept.
const MAX_IDENTIFIER: usize = 64;

/// Entries that an option would make the host's or Kata's.
///
/// Examples are the smallest and the largest values, so they depend neither on the order of the entries nor on the number
/// of threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// The number of journal entries of users that are not trusted.
    pub untrusted_uids: u64,
    /// The smallest and the largest of these users.
    pub uids: Option<(u32, u32)>,
    /// The number of journal entries without a user.
    pub missing_uids: u64,
    /// The number of lines of containers that name a program of Kata.
    pub tenants: u64,
    /// The number of entries of other programs that name a program of Kata.
    pub others: u64,
    /// The smallest identifier of these entries, shortened to 64 bytes.
    pub identifier: Option<Box<[u8]>>,
}

impl Hints {
    /// Counts a journal entry whose user is not trusted.
    pub fn untrusted_uid(&mut self, uid: Option<u32>) {
        match uid {
            Some(uid) => {
                self.untrusted_uids += 1;
                self.extend_uids((uid, uid));
            }
            None => self.missing_uids += 1,
        }
    }

    /// Counts a line of a container that names a program of Kata.
    pub fn tenant(&mut self) {
        self.tenants += 1;
    }

    /// Counts an entry of another program that names a program of Kata.
    pub fn others(&mut self, identifier: Option<&[u8]>) {
        self.others += 1;
        if let Some(identifier) = identifier {
            self.name(identifier);
        }
    }

    /// Returns the counters with their names.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 4] {
        [
            ("untrusted_uids", self.untrusted_uids),
            ("missing_uids", self.missing_uids),
            ("tenants", self.tenants),
            ("others", self.others),
        ]
    }

    /// Combines the counters with those of another part of the run. Examples only widen.
    pub(crate) fn combine(&mut self, other: &Hints, with: fn(u64, u64) -> u64) {
        let Hints { untrusted_uids, uids, missing_uids, tenants, others, identifier } = other;
        for (count, other) in [
            (&mut self.untrusted_uids, untrusted_uids),
            (&mut self.missing_uids, missing_uids),
            (&mut self.tenants, tenants),
            (&mut self.others, others),
        ] {
            *count = with(*count, *other);
        }
        if let Some(uids) = uids {
            self.extend_uids(*uids);
        }
        if let Some(identifier) = identifier {
            self.name(identifier);
        }
    }

    fn extend_uids(&mut self, (first, last): (u32, u32)) {
        self.uids =
            Some(self.uids.map_or((first, last), |(smallest, largest)| (smallest.min(first), largest.max(last))));
    }

    /// Keeps the identifier if it is the smallest one.
    fn name(&mut self, identifier: &[u8]) {
        let identifier = identifier.get(..MAX_IDENTIFIER).unwrap_or(identifier);
        if self.identifier.as_deref().is_none_or(|smallest| identifier < smallest) {
            self.identifier = Some(identifier.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(uids: &[Option<u32>], identifiers: &[Option<&[u8]>]) -> Hints {
        let mut hints = Hints::default();
        uids.iter().for_each(|uid| hints.untrusted_uid(*uid));
        identifiers.iter().for_each(|identifier| hints.others(*identifier));
        hints.tenant();
        hints
    }

    #[test]
    fn parts_make_one_sum_in_any_order() {
        let one = part(&[Some(1001), None], &[Some(b"snapd"), None]);
        let other = part(&[Some(1000), Some(1003)], &[Some(b"my-containerd"), Some(b"zz")]);
        let sum = |first: &Hints, second: &Hints| {
            let mut sum = first.clone();
            sum.combine(second, u64::saturating_add);
            sum
        };
        let both = sum(&one, &other);
        assert_eq!(both, sum(&other, &one));
        assert_eq!(both.counts(), [("untrusted_uids", 3), ("missing_uids", 1), ("tenants", 2), ("others", 4)]);
        assert_eq!((both.uids, both.identifier.as_deref()), (Some((1000, 1003)), Some(&b"my-containerd"[..])));
    }

    #[test]
    fn counters_are_taken_back_and_examples_stay() {
        let hints = part(&[Some(1000), None], &[Some(b"a")]);
        let mut twice = hints.clone();
        twice.combine(&hints, u64::saturating_add);
        twice.combine(&hints, u64::saturating_sub);
        assert_eq!(twice, hints);
    }

    #[test]
    fn long_identifiers_are_shortened() {
        let long = [b'x'; 1 << 16];
        let hints = part(&[], &[Some(&long)]);
        assert_eq!(hints.identifier.as_deref(), Some(&long[..MAX_IDENTIFIER]));
    }
}
