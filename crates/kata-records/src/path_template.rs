//! The template of output paths, filled with values of a record.
//!
//! Paths are safe for any record: values contain no `/` and begin with no dot, and names fit file systems. Different
//! values have different names: every byte except ASCII letters, digits, `-`, `_` and `.` becomes `%` and two
//! hexadecimal digits, and a digest ends names that are too long.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use sha2::{Digest as _, Sha256};

use crate::error::SettingsError;
use crate::template::{Placeholder, Template, TemplatePart};

/// The name for a missing value. An equal value gets another name.
const UNKNOWN: &[u8] = b"unknown";

/// The maximum length of a name, in bytes. Most file systems allow 255, and an extension follows.
const LONGEST: usize = 200;

/// The length that remains of a longer name, before the digest.
const LEFT: usize = 160;

/// The maximum length of a template.
const LONGEST_TEMPLATE: usize = 1024;

/// The placeholders of paths.
const PLACEHOLDERS: &[Placeholder] =
    &[Placeholder::Component, Placeholder::Host, Placeholder::Sandbox, Placeholder::Day, Placeholder::Input];

/// The template of a record's path, without extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathTemplate(Template);

impl PathTemplate {
    /// Parses a template such as `{host}/kata-{day}`. Placeholders separated by commas stand for one directory each:
    /// `host,day` for `{host}/{day}`.
    ///
    /// # Errors
    /// [`SettingsError::Split`] with the reason.
    pub(crate) fn new(text: &str) -> Result<PathTemplate, SettingsError> {
        const EXPECTED: &str = "expected component, host, sandbox, day, input, several of them with commas between, or a \
                                path with some of them in braces, such as {host}/kata-{day}";
        let refused = |reason: &str| Err(SettingsError::Split(format!("{EXPECTED}; {reason}")));
        let word = |word: &str| PLACEHOLDERS.iter().any(|value| value.name() == word);
        let template = if text.split(',').all(word) {
            text.split(',').map(|word| format!("{{{word}}}")).collect::<Vec<_>>().join("/")
        } else {
            text.to_owned()
        };
        if template.len() > LONGEST_TEMPLATE || template.chars().any(char::is_control) {
            return refused("this is too long, or has control characters");
        }
        let names = |mut names: std::str::Split<'_, char>| names.any(|name| name.is_empty() || name.starts_with('.'));
        if names(template.split('/')) {
            return refused("a name in it is empty or begins with a dot");
        }
        let template = match Template::new(&template, PLACEHOLDERS) {
            Ok(template) => template,
            Err(reason) => return refused(&reason),
        };
        let values = |part: &TemplatePart| matches!(part, TemplatePart::Value(_));
        if !template.parts().iter().any(values) {
            return refused("without a value in braces, the path is the same for all records");
        }
        if template.parts().windows(2).any(|two| two.iter().all(values)) {
            return refused("two placeholders need something between them");
        }
        Ok(PathTemplate(template))
    }

    /// Returns the canonical text of the template.
    #[must_use]
    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }

    /// Returns whether the path depends on a placeholder.
    #[must_use]
    pub(crate) fn uses(&self, placeholder: Placeholder) -> bool {
        self.0.parts().contains(&TemplatePart::Value(placeholder))
    }

    /// Returns the path for these values.
    pub(crate) fn render<'b>(&self, value: impl Fn(Placeholder) -> Option<&'b [u8]>, bump: &'b Bump) -> &'b [u8] {
        let mut out = BumpVec::with_capacity_in(80, bump);
        let mut start = 0;
        for part in self.0.parts() {
            match part {
                TemplatePart::Text(text) => {
                    for (index, name) in text.split('/').enumerate() {
                        if index > 0 {
                            shorten(&mut out, start);
                            out.push(b'/');
                            start = out.len();
                        }
                        out.extend_from_slice_copy(name.as_bytes());
                    }
                }
                // Every record has a component, and one component has the name for missing values.
                TemplatePart::Value(Placeholder::Component) => {
                    out.extend_from_slice_copy(value(Placeholder::Component).unwrap_or(UNKNOWN));
                }
                TemplatePart::Value(placeholder) => safe(value(*placeholder).unwrap_or_default(), &mut out),
            }
        }
        shorten(&mut out, start);
        out.into_bump_slice()
    }
}

/// Appends a value as a name or a part of one.
fn safe(value: &[u8], out: &mut BumpVec<'_, u8>) {
    if value.is_empty() {
        return out.extend_from_slice_copy(UNKNOWN);
    }
    for (index, byte) in value.iter().enumerate() {
        let plain = match byte {
            b'-' | b'_' => true,
            b'.' => index > 0,
            b'u' => value != UNKNOWN,
            byte => byte.is_ascii_alphanumeric(),
        };
        if plain {
            out.push(*byte);
        } else {
            out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// Shortens the name that begins at `start` if it is too long. No other name contains the inserted `%_`, because digits
/// follow every other `%`.
fn shorten(out: &mut BumpVec<'_, u8>, start: usize) {
    let Some(name) = out.get(start..).filter(|name| name.len() > LONGEST) else { return };
    let digest = Sha256::digest(name);
    out.truncate(start + LEFT);
    out.extend_from_slice_copy(b"%_");
    for byte in digest.iter().take(16) {
        out.extend([digit(byte >> 4), digit(byte & 15)]);
    }
}

fn digit(value: u8) -> u8 {
    b"0123456789ABCDEF"[usize::from(value & 15)]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    use super::*;

    fn path(template: &str, value: &[u8]) -> String {
        let bump = Bump::new();
        let value: &[u8] = bump.alloc_slice_copy(value);
        String::from_utf8(PathTemplate::new(template).unwrap().render(|_| Some(value), &bump).to_vec()).unwrap()
    }

    #[test]
    fn words_are_short_for_directories() {
        assert_eq!(PathTemplate::new("host"), PathTemplate::new("{host}"));
        assert_eq!(PathTemplate::new("host,day,component"), PathTemplate::new("{host}/{day}/{component}"));
        assert_eq!(path("kata/{host}-{day}.x", b"a"), "kata/a-a.x");
        assert_eq!(PathTemplate::new("host,day").unwrap().text(), "{host}/{day}");
        assert_eq!(PathTemplate::new("kata/{host}-{day}.x").unwrap().text(), "kata/{host}-{day}.x");
    }

    #[test]
    fn what_makes_no_path_is_refused() {
        for (text, reason) in [
            ("", "empty"),
            ("agent", "the same for all records"),
            ("{boat}", "there is no \"{boat}\""),
            ("{identifier}", "there is no \"{identifier}\""),
            ("host,boat", "the same for all"),
            ("{host", "has no \"}\""),
            ("host}", "has no \"{\""),
            ("/{host}", "empty or begins with a dot"),
            ("../{host}", "begins with a dot"),
            ("{host}/", "empty"),
            ("{host}//{day}", "empty"),
            (".katalog/{host}", "begins with a dot"),
            ("{host}{day}", "something between"),
            ("{host}\n", "control"),
        ] {
            let error = PathTemplate::new(text).unwrap_err().reason();
            assert!(error.contains(reason) && error.starts_with("expected component"), "{text}: {error}");
        }
    }

    #[test]
    fn values_are_safe_as_names() {
        for (value, expected) in [
            ("node-1.example.org", "node-1.example.org"),
            ("", "unknown"),
            ("unknown", "%75nknown"),
            ("../../etc/passwd", "%2E./../etc/passwd"),
            (".hidden", "%2Ehidden"),
            ("a b%", "a%20b%25"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(path("{host}", value.as_bytes()), expected.replace("./../etc/", ".%2F..%2Fetc%2F"));
        }
        let long = "x".repeat(1000);
        let (one, other) = (path("{host}/a", long.as_bytes()), path("{host}/a", format!("{long}y").as_bytes()));
        assert!(one.len() == LEFT + 34 + 2 && one != other, "{one}");
    }

    proptest! {
        #[test]
        fn any_value_is_one_name_of_its_own(values in vec(vec(any::<u8>(), 0..300), 2..8)) {
            let names: Vec<String> = values.iter().map(|value| path("{host}", value)).collect();
            for name in &names {
                assert!(!name.is_empty() && name.len() <= LONGEST && !name.starts_with('.'));
                assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.%".contains(&byte)));
            }
            let different: HashSet<&Vec<u8>> = values.iter().collect();
            assert_eq!(names.iter().collect::<HashSet<_>>().len(), different.len());
        }
    }
}
