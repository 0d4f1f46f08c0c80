//! A pattern that is searched in values.

use std::ops::Range;
use std::str::FromStr;

use regex::bytes::{Regex, RegexBuilder};

use crate::error::SettingsError;

/// The size of a compiled pattern, in bytes. A larger one is a mistake.
const MAX_SIZE: usize = 4 << 20;

/// A regular expression that ignores case unless it has a capital letter.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// Returns whether the pattern occurs in a text.
    #[must_use]
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }

    /// Returns the places of the pattern in a text.
    pub fn places<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = Range<usize>> + 't {
        self.0.find_iter(text).map(|found| found.range())
    }

    /// Returns the expression as the user wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Pattern {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Pattern, SettingsError> {
        compile(text, !has_capital(text)).map(Pattern)
    }
}

/// Compiles an expression. `^` and `$` match at the ends of lines, because a message may have several.
pub(super) fn compile(text: &str, ignores_case: bool) -> Result<Regex, SettingsError> {
    let built = RegexBuilder::new(text).case_insensitive(ignores_case).multi_line(true).size_limit(MAX_SIZE).build();
    built.map_err(|error| {
        // The lines before the last one draw the place of the error.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        SettingsError::Pattern(format!("expected a regular expression, such as refused|denied: {reason}"))
    })
}

/// Returns whether a pattern has a capital letter that is no escape such as `\S` or `\W`.
fn has_capital(text: &str) -> bool {
    let mut is_escaped = false;
    text.chars().any(|c| {
        let is_capital = c.is_uppercase() && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_capital
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_make_the_case_matter() {
        for (pattern, text, found) in [
            ("refused", "Connection REFUSED", true),
            ("Refused", "connection refused", false),
            (r"refused\S", "REFUSED!", true),
            (r"\\S", r"a\s", false),
            ("^two$", "one\ntwo\nthree", true),
            ("überall", "ÜBERALL", true),
            ("", "", true),
        ] {
            assert_eq!(pattern.parse::<Pattern>().unwrap().is_match(text.as_bytes()), found, "{pattern} {text}");
        }
        let places = "o".parse::<Pattern>().unwrap();
        assert_eq!(places.places(b"one Two").collect::<Vec<_>>(), [0..1, 6..7]);
        let error = "a(".parse::<Pattern>().unwrap_err().to_string();
        assert!(error.contains("unclosed group"), "{error}");
        assert!("(?:a{1000}){1000}".parse::<Pattern>().is_err(), "its size is limited");
    }
}
