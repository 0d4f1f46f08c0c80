//! The patterns of the user.

use regex::bytes::{Regex, RegexSet};

use super::finder::Span;

/// The longest escape sequence behind its backslashes: `U0001f600`, `u{10ffff}`.
const MAX_ESCAPE: usize = 9;

/// The compiled patterns.
#[derive(Debug)]
pub(super) struct Patterns {
    /// All patterns together, if there are some.
    set: Option<RegexSet>,
    patterns: Vec<Regex>,
}

impl Patterns {
    /// Compiles the patterns. The error names the bad one.
    pub(super) fn new(patterns: &[String]) -> Result<Patterns, String> {
        let compiled: Result<Vec<Regex>, _> = patterns.iter().map(|pattern| Regex::new(pattern)).collect();
        let set = (!patterns.is_empty()).then(|| RegexSet::new(patterns)).transpose();
        Ok(Patterns {
            patterns: compiled.map_err(|error| error.to_string())?,
            set: set.map_err(|error| error.to_string())?,
        })
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        self.set.as_ref().is_some_and(|set| set.is_match(text))
    }

    /// Passes the matches to `put`, widened so that no escape and no character is cut apart. An empty match hides nothing.
    pub(super) fn find(&self, text: &[u8], put: &mut dyn FnMut(Span)) {
        for pattern in &self.patterns {
            let mut done = 0;
            for found in pattern.find_iter(text).filter(|found| !found.is_empty()) {
                // A long run of backslashes is widened once, so the time stays linear.
                if found.end() <= done {
                    continue;
                }
                let (start, end) = widened(text, found.start().max(done), found.end());
                done = end;
                if text.get(start..end) != Some(super::MARKER.as_bytes()) {
                    put(Span { start, end, wrap: None });
                }
            }
        }
    }
}

/// Widens a part of a text to whole characters and escapes.
fn widened(text: &[u8], mut start: usize, mut end: usize) -> (usize, usize) {
    while start > 0 && text.get(start).is_some_and(|byte| byte & 0xc0 == 0x80) {
        start -= 1;
    }
    if let Some(escape) = escape_around(text, start) {
        start = escape.0;
    }
    if let Some(escape) = escape_around(text, end) {
        end = escape.1;
    }
    while text.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end += 1;
    }
    (start, end)
}

/// Returns the escape whose bytes stand on both sides of `at`, with all its backslashes.
fn escape_around(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let near = at.saturating_sub(MAX_ESCAPE);
    let last = near + text.get(near..at)?.iter().rposition(|byte| *byte == b'\\')?;
    let start = text.get(..last)?.iter().rposition(|byte| *byte != b'\\').map_or(0, |before| before + 1);
    let rest = text.get(last..)?;
    let mark = rest.iter().position(|byte| *byte != b'\\').unwrap_or(rest.len());
    let body = rest.get(mark..)?;
    let digits = |count: usize| body.iter().skip(1).take(count).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let length = match body.first() {
        Some(b'u') if body.get(1) == Some(&b'{') => {
            body.iter().take(MAX_ESCAPE + 1).position(|byte| *byte == b'}').map_or(1, |end| end + 1)
        }
        Some(b'u') => 1 + digits(4),
        Some(b'U') => 1 + digits(8),
        Some(b'x') => 1 + digits(2),
        Some(_) => 1,
        None => 0,
    };
    let end = last + mark + length;
    (end > at).then_some((start, end))
}
