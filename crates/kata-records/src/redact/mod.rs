//! Finds secrets in texts of logs and replaces them by a marker.
//!
//! Texts keep the escapes of their writers: none, those of Go, JSON or Rust, and the same nested several times. The finder
//! decodes nothing. It compares the runs of backslashes before quotes ([`quotes`]) and so knows which string a quote
//! closes, at any depth.
//!
//! | module | content |
//! |---|---|
//! | `table` | the closed list of keys, each with its reason |
//! | `candidates` | the cheap test of clean text |
//! | `finder` | the pass over a text that is not clean |
//! | `value`, `container`, `unquoted`, `flag`, `token` | the shapes of secrets |
//! | `spec` | prints of container specs that are cut |
//! | `pattern` | the patterns of the user |
//!
//! If a text is ambiguous, the finder hides too much: a hidden word costs a look at the node, a shown password costs more.

mod candidates;
mod container;
mod finder;
mod flag;
mod input;
mod pattern;
mod quotes;
mod spec;
mod table;
mod token;
mod unquoted;
mod value;

#[cfg(test)]
mod tests;

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use finder::{Finder, Span};
use input::Input;
use pattern::Patterns;

use crate::scan;

/// The text that replaces a secret. It gives neither the value nor its length.
pub(crate) const MARKER: &str = "[redacted]";

/// The compiled settings of redaction.
#[derive(Debug)]
pub(crate) struct Redactor {
    patterns: Patterns,
}

impl Redactor {
    /// Compiles the patterns of the user, which hide text in addition to the closed list. The error is that of the regex.
    pub(crate) fn new(patterns: &[String]) -> Result<Redactor, String> {
        Ok(Redactor { patterns: Patterns::new(patterns)? })
    }

    /// Returns whether the user added patterns, so that any text may hold a secret.
    #[must_use]
    pub(crate) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Tests text cheaply. `false` proves that [`Redactor::redacted`] would change nothing.
    #[inline]
    #[must_use]
    pub(crate) fn may_hold_secret(&self, text: &[u8]) -> bool {
        candidates::found(text) || (!self.patterns.is_empty() && self.patterns.is_match(text))
    }

    /// Returns the text with each secret replaced by [`MARKER`], or `None` if it holds none. Allocates only for `Some`.
    #[must_use]
    pub(crate) fn redacted<'b>(&self, text: &[u8], bump: &'b Bump) -> Option<&'b [u8]> {
        let input = Input::new(text);
        let mut spans = BumpVec::new_in(bump);
        Finder::new(&input, &mut |span| spans.push(span)).run();
        if !self.patterns.is_empty() {
            self.patterns.find(text, &mut |span| spans.push(span));
            spans.sort_unstable_by_key(|span| span.start);
        }
        (!spans.is_empty()).then(|| replaced(text, &spans, bump))
    }

    /// Returns whether a key by itself makes its whole value secret: the key of a logfmt pair, a JSON member or a journal
    /// field, in any case, with `-`, `_` and `.` equal.
    #[must_use]
    #[inline]
    pub(crate) fn is_secret_key(&self, key: &[u8]) -> bool {
        table::may_end(key) && table::kind(key).is_some()
    }
}

/// Returns whether the text may end inside a print of a spec, environment, annotations or another secret value, so
/// that its continuation must be hidden. Call it on each text that was cut, whatever [`Redactor::may_hold_secret`]
/// returns: a text can end before the first secret of its print. A bare value at the end of a text may continue, so
/// the result is `true` after `password=x` too.
#[must_use]
pub(crate) fn leaves_open(text: &[u8]) -> bool {
    if text.first() == Some(&b'{') && scan::nested_end(text, 0) == Some(text.len()) {
        // A whole object is not cut.
        return false;
    }
    let input = Input::new(text);
    spec::ends_before(&input)
        || spec::holds_print(&input) && spec::ends_inside(&input)
        || candidates::found(text) && Finder::new(&input, &mut |_| {}).run()
}

/// Tests text cheaply, without the patterns of the user. `false` proves that the closed list finds no secret in it.
#[cold]
#[inline(never)]
#[must_use]
pub(crate) fn is_suspect(text: &[u8]) -> bool {
    candidates::found(text)
}

/// Tests a pair with an unknown key and a value of one word cheaply. `false` proves that neither is a secret.
#[inline]
pub(crate) fn may_be_secret(key: &[u8], word: &[u8]) -> bool {
    table::may_end(key) || matches!(word, [b'e', b'y', b'J', ..] | [b'A', b'K', b'I', b'A', ..])
}

/// Returns the text with each span replaced. Spans are sorted by their start and may overlap.
fn replaced<'b>(text: &[u8], spans: &[Span], bump: &'b Bump) -> &'b [u8] {
    let mut out = BumpVec::with_capacity_in(text.len() + MARKER.len(), bump);
    let mut done = 0;
    let mut first = true;
    for span in spans {
        if span.start > done || first {
            out.extend_from_slice_copy(text.get(done..span.start).unwrap_or_default());
            put_marker(&mut out, span.wrap);
        }
        first = false;
        done = done.max(span.end);
    }
    out.extend_from_slice_copy(text.get(done..).unwrap_or_default());
    out.into_bump_slice()
}

/// Appends the marker, in quotes with as many backslashes as `wrap` says.
fn put_marker(out: &mut BumpVec<'_, u8>, wrap: Option<usize>) {
    let quote = |out: &mut BumpVec<'_, u8>| {
        if let Some(level) = wrap {
            out.extend(std::iter::repeat_n(b'\\', level));
            out.push(b'"');
        }
    };
    quote(out);
    out.extend_from_slice_copy(MARKER.as_bytes());
    quote(out);
}
