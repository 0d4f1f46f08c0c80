//! Errors that a later record repeats. Each wrapper logs the error again that it passes on.

use std::collections::VecDeque;

/// The number of remembered errors, and the longest one in bytes.
const MAX_ERRORS: usize = 64;
const MAX_LENGTH: usize = 16 << 10;

/// Shorter texts, such as `EOF`, repeat by chance.
const MIN_LENGTH: usize = 12;

/// An error of a record.
#[derive(Debug)]
struct Known {
    sandbox: Box<[u8]>,
    error: Box<str>,
    /// The time and the message of the record.
    record: Box<str>,
}

/// The last errors.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    known: VecDeque<Known>,
}

/// The part of an error that is new, and the record that has the rest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated<'t> {
    /// The words before the repeated error.
    pub(super) head: &'t str,
    /// The time and the message of the first record with the error.
    pub(super) record: String,
}

impl Repeats {
    /// Returns the record of this sandbox that has the error already, or remembers the error.
    pub(super) fn find<'t>(
        &mut self,
        sandbox: &[u8],
        error: &'t str,
        record: impl FnOnce() -> String,
    ) -> Option<Repeated<'t>> {
        if error.len() < MIN_LENGTH {
            return None;
        }
        let of_sandbox = self.known.iter().filter(|known| *known.sandbox == *sandbox);
        let found = of_sandbox.filter_map(|known| Some((error.strip_suffix(&*known.error)?, &known.record)));
        // The longest repetition leaves the shortest head.
        if let Some((head, record)) = found.min_by_key(|(head, _)| head.len()) {
            return Some(Repeated { head, record: record.to_string() });
        }
        if error.len() <= MAX_LENGTH {
            if self.known.len() >= MAX_ERRORS {
                self.known.pop_front();
            }
            let (sandbox, error) = (sandbox.into(), error.into());
            self.known.push_back(Known { sandbox, error, record: record().into_boxed_str() });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapper_names_the_first_record() {
        let mut repeats = Repeats::default();
        let mut find = |sandbox: &[u8], error| {
            let found = repeats.find(sandbox, error, || format!("record of {error}"));
            found.map(|found| (found.head.to_owned(), found.record))
        };
        assert_eq!(find(b"a", "no such file or directory"), None);
        let record = || "record of no such file or directory".to_owned();
        assert_eq!(find(b"a", "no such file or directory"), Some((String::new(), record())));
        let wrapped = "failed to start: no such file or directory";
        assert_eq!(find(b"a", wrapped), Some(("failed to start: ".to_owned(), record())));
        assert_eq!(find(b"b", "no such file or directory"), None);
        assert_eq!(find(b"a", "EOF"), None);
        assert_eq!(find(b"a", "EOF"), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut repeats = Repeats::default();
        for number in 0..1000 {
            assert_eq!(repeats.find(b"a", &format!("error with a number {number:04}"), String::new), None);
        }
        assert_eq!(repeats.known.len(), MAX_ERRORS);
        assert_eq!(repeats.find(b"a", &"x".repeat(MAX_LENGTH + 1), String::new), None);
        assert!(repeats.find(b"a", "error with a number 0999", String::new).is_some());
        assert_eq!(repeats.find(b"a", "error with a number 0001", String::new), None);
    }
}
