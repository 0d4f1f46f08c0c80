//! Short forms of ids. 64 hexadecimal digits show their first 8, and 12 if another id of the input begins alike.

use std::borrow::Cow;
use std::collections::HashMap;

/// The length of an id of a sandbox or a container.
const LENGTH: usize = 64;

/// The usual and the longer form.
const SHORT: usize = 8;
const LONG: usize = 12;

/// The number of remembered prefixes. Ids beyond them are not told apart.
const MAX_PREFIXES: usize = 1 << 16;

/// The most cells of a name that is no such id.
const MAX_NAME: usize = 32;

/// The ids of the records so far.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// The first id with a prefix, as its long form; empty if several ids have the prefix.
    prefixes: HashMap<[u8; SHORT], [u8; LONG]>,
}

/// The prefix of several ids.
const SHARED: [u8; LONG] = [0; LONG];

impl Ids {
    /// Returns the short form of an id that has a place of its own. Names that are no such ids stay whole up to a limit.
    pub(super) fn short<'t>(&mut self, id: &'t str) -> Cow<'t, str> {
        match self.prefix(id) {
            Some(short) => Cow::Borrowed(short),
            None => limited(id, MAX_NAME),
        }
    }

    /// Returns text with the short forms of all ids in it.
    pub(super) fn shorten<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        if text.len() < LENGTH {
            return Cow::Borrowed(text);
        }
        let mut out = String::new();
        let mut copied = 0;
        let mut start = 0;
        for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
            let end = start + word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len();
            if let Some(short) = text.get(start..end).and_then(|id| self.prefix(id)) {
                out.push_str(text.get(copied..start).unwrap_or_default());
                out.push_str(short);
                copied = end;
            }
            start += word.len();
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Returns the short form of an id, and remembers the id; `None` if the text is none.
    fn prefix<'t>(&mut self, id: &'t str) -> Option<&'t str> {
        let bytes = id.as_bytes();
        if bytes.len() != LENGTH || !bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let (short, long) = (*bytes.first_chunk::<SHORT>()?, *bytes.first_chunk::<LONG>()?);
        let is_full = self.prefixes.len() >= MAX_PREFIXES;
        let length = match self.prefixes.get_mut(&short) {
            Some(first) if *first == long => SHORT,
            Some(first) => {
                *first = SHARED;
                LONG
            }
            None => {
                if !is_full {
                    self.prefixes.insert(short, long);
                }
                SHORT
            }
        };
        id.get(..length)
    }
}

/// Returns the beginning of a text, with an ellipsis if something is left out.
pub(super) fn limited(text: &str, most: usize) -> Cow<'_, str> {
    if text.chars().count() <= most {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(most.saturating_sub(1)).chain(std::iter::once('…')).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(head: &str) -> String {
        format!("{head:0<64}")
    }

    #[test]
    fn ids_show_as_many_digits_as_tell_them_apart() {
        let mut ids = Ids::default();
        let (one, two, other) = (id("375cdd60aaaa"), id("375cdd60bbbb"), id("99711ae1"));
        assert_eq!(ids.short(&one), "375cdd60");
        assert_eq!(ids.short(&one), "375cdd60");
        assert_eq!(ids.short(&two), "375cdd60bbbb");
        assert_eq!(ids.short(&one), "375cdd60aaaa");
        assert_eq!(ids.short(&other), "99711ae1");
        assert_eq!(ids.short("a-name-that-someone-chose"), "a-name-that-someone-chose");
        assert_eq!(ids.short(&"x".repeat(40)), format!("{}…", "x".repeat(31)));
        assert_eq!(ids.short(&"F".repeat(64)).chars().count(), 32);
    }

    #[test]
    fn ids_in_text_are_shortened() {
        let mut ids = Ids::default();
        let one = id("375cdd60");
        for (text, expected) in [
            (format!("path=/run/vc/vm/{one}/console.sock, {one}"), "path=/run/vc/vm/375cdd60/console.sock, 375cdd60"),
            (one.clone(), "375cdd60"),
            (format!("ü{one}"), "ü375cdd60"),
            (format!("sandbox-{one}."), "sandbox-375cdd60."),
            ("nothing".to_owned(), "nothing"),
        ] {
            assert_eq!(ids.shorten(&text), expected);
        }
        for whole in [format!("{one}0"), format!("x{one}"), format!("{one}_{}", "a".repeat(63)).replace(&one, "b")] {
            assert_eq!(ids.shorten(&whole), whole);
        }
    }
}
