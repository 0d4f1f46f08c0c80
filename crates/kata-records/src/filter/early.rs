//! The search for ids, in values and ahead of all parsing in the bytes of an entry.

use bumpalo::Bump;
use memchr::memchr_iter;
use memchr::memmem::Finder;

use super::field;
use crate::record::Value;

/// Prefixes of ids, one of which must fit.
#[derive(Debug)]
pub(crate) struct IdSearch(Vec<Finder<'static>>);

impl IdSearch {
    #[must_use]
    pub(super) fn new(prefixes: &[String]) -> IdSearch {
        IdSearch(prefixes.iter().map(|prefix| Finder::new(prefix).into_owned()).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether a value begins with one of the prefixes.
    pub(super) fn fits<'b>(&self, value: &Value<'b>, bump: &'b Bump) -> bool {
        field::texts(value, bump, |text| self.0.iter().any(|prefix| text.starts_with(prefix.needle())))
    }

    /// Returns whether an entry with these bytes may hold an id with one of the prefixes, as it is or behind escapes.
    pub(super) fn may_be_in<'t, T: Iterator<Item = &'t [u8]>>(&self, texts: impl Fn() -> T) -> bool {
        let is_in = |text: &[u8]| self.0.iter().any(|prefix| prefix.find(text).is_some()) || may_hide_text(text);
        self.is_empty() || texts().any(is_in)
    }
}

/// Returns whether a text may spell a character of an id by an escape: as `\x61`, `\u0061`, `\U00000061`, `\u{61}` or in
/// octal; or as an array of bytes, by which `journalctl -o json` shows a text that is not UTF-8.
fn may_hide_text(text: &[u8]) -> bool {
    memchr_iter(b'\\', text).any(|at| matches!(text.get(at + 1), Some(b'x' | b'u' | b'U' | b'0'..=b'7')))
        || text.starts_with(b"{") && memchr_iter(b'[', text).any(|at| text.get(at + 1).is_some_and(u8::is_ascii_digit))
}
