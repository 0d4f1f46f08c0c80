//! Explains known failures: which failure a text of the host is, what it means, and what to look at.
//!
//! `patterns.toml` holds the patterns, each with its sources and with real lines as cases. One [`RegexSet`] compares a
//! text with all of them at once. The most specific pattern wins: the first in the order of the file, and a general one
//! only if no other fits.
//!
//! A record is explained only if its text is the host's word. A guest chooses its texts, and a forged one would send the
//! operator to the wrong place. A text that a person types is explained as it stands.

mod lines;
mod pattern;
mod render;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use regex::{Regex, RegexSet, RegexSetBuilder};

pub use lines::{LineExplainer, Verdict};
pub use pattern::Pattern;
pub use render::{brief, help, list, reference};

/// The patterns, as TOML.
const PATTERNS: &str = include_str!("patterns.toml");

/// The limit of the compiled patterns, in bytes.
const COMPILED_LIMIT: usize = 32 << 20;

/// The origins whose text is the host's word.
const OF_HOST: [&str; 2] = ["host", "vouched"];

/// An error in the file of patterns. It is part of the program, so the tests rule this error out.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// The file is no TOML of patterns.
    #[error("patterns: {0}")]
    File(#[from] toml::de::Error),
    /// An expression does not compile.
    #[error("patterns: {0}")]
    Regex(#[from] regex::Error),
}

/// The parts of a finished record that decide which failure it is.
#[derive(Clone, Copy, Debug)]
pub struct RecordText<'r> {
    /// The value of `kata_origin`.
    pub origin: &'r str,
    /// The value of `kata_component`.
    pub component: &'r str,
    /// The value of `kata_level`; empty if there is none.
    pub level: &'r str,
    /// Names and values of all fields that are texts.
    pub fields: &'r [(&'r str, &'r str)],
}

/// The patterns, compiled.
#[derive(Debug)]
pub struct Explainer {
    patterns: Vec<Pattern>,
    set: RegexSet,
    /// The names of the fields that some pattern reads.
    fields: Vec<String>,
    /// The expression of each pattern that rules the pattern out.
    exceptions: Vec<Option<Regex>>,
}

impl Explainer {
    /// Returns the explainer of the patterns that the program comes with.
    ///
    /// # Errors
    /// If the file of patterns is damaged, which the tests rule out.
    pub fn new() -> Result<Explainer, PatternError> {
        Explainer::of(PATTERNS)
    }

    /// Returns the explainer of the patterns in a text.
    fn of(text: &str) -> Result<Explainer, PatternError> {
        let patterns = pattern::parse(text)?;
        let set = RegexSetBuilder::new(patterns.iter().map(Pattern::expression)).size_limit(COMPILED_LIMIT).build()?;
        let exceptions = patterns.iter().map(|pattern| pattern.exception().map(Regex::new).transpose());
        let exceptions = exceptions.collect::<Result<_, _>>()?;
        let mut fields: Vec<String> = patterns.iter().flat_map(Pattern::fields).cloned().collect();
        fields.sort();
        fields.dedup();
        Ok(Explainer { patterns, set, fields, exceptions })
    }

    /// Returns all patterns, in their order.
    #[must_use]
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Returns the pattern with an id, in letters of any case.
    #[must_use]
    pub fn of_id(&self, id: &str) -> Option<&Pattern> {
        self.patterns.iter().find(|pattern| pattern.id.eq_ignore_ascii_case(id))
    }

    /// Returns the pattern of the failure that a record reports. Returns `None` for a record whose text is not the host's
    /// word.
    #[must_use]
    pub fn explain(&self, record: &RecordText<'_>) -> Option<&Pattern> {
        if !OF_HOST.contains(&record.origin) {
            return None;
        }
        let suits = |at: usize, name: &str| {
            let fits = self.patterns.get(at).is_some_and(|pattern| pattern.fits(record, name));
            fits && !record.fields.iter().any(|(_, text)| self.is_excepted(at, compared(text)))
        };
        let texts = record.fields.iter().filter(|(name, _)| self.fields.iter().any(|known| known == name));
        // Most texts match nothing, and this question needs no memory.
        let texts = texts.map(|(name, text)| (name, compared(text))).filter(|(_, text)| self.set.is_match(text));
        self.first(texts.flat_map(|(name, text)| self.set.matches(text).into_iter().filter(|at| suits(*at, name))))
    }

    /// Returns the pattern of the failure that a text of a person is about. The text may be part of a line, with the
    /// escapes of a quoted value.
    #[must_use]
    pub fn explain_text(&self, text: &str) -> Option<&Pattern> {
        let mut text = Cow::Borrowed(compared(text));
        let mut found = Vec::new();
        for _ in 0..DEPTH_OF_QUOTES {
            found.extend(self.set.matches(&text).into_iter().filter(|at| !self.is_excepted(*at, &text)));
            match without_escapes(&text) {
                Some(inner) => text = Cow::Owned(inner),
                None => break,
            }
        }
        self.first(found.into_iter())
    }

    fn is_excepted(&self, at: usize, text: &str) -> bool {
        self.exceptions.get(at).and_then(Option::as_ref).is_some_and(|exception| exception.is_match(text))
    }

    /// Returns the most specific one of these patterns.
    fn first(&self, found: impl Iterator<Item = usize>) -> Option<&Pattern> {
        let found = found.filter_map(|at| Some((at, self.patterns.get(at)?)));
        found.min_by_key(|(at, pattern)| (pattern.is_general(), *at)).map(|(_, pattern)| pattern)
    }
}

/// The bytes of a text that are compared. The text of a failure is short, a print of a specification is not.
const COMPARED: usize = 64 << 10;

/// Returns the part of a text that is compared.
fn compared(text: &str) -> &str {
    // A character has at most four bytes.
    (0..4).find_map(|fewer| text.get(..COMPARED - fewer)).unwrap_or(text)
}

/// The number of quotes inside quotes that are opened. The error of a guest arrives through agent, shim and manager.
const DEPTH_OF_QUOTES: usize = 4;

/// Returns the text with one level of escapes removed: those of quotes, backslashes and line breaks. Returns `None` if
/// there are none.
fn without_escapes(text: &str) -> Option<String> {
    let mut rest = text.chars();
    let mut out = String::with_capacity(text.len());
    let mut found = false;
    while let Some(c) = rest.next() {
        let escaped =
            if c == '\\' { rest.clone().next().filter(|next| ['"', '\\', 'n', 't'].contains(next)) } else { None };
        let Some(escaped) = escaped else {
            out.push(c);
            continue;
        };
        rest.next();
        found = true;
        out.push(match escaped {
            'n' => '\n',
            't' => '\t',
            same => same,
        });
    }
    found.then_some(out)
}
