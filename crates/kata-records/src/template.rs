//! Templates with placeholders, and tags. A tag routes a record in Fluentd: one template makes the tags of Kata records,
//! and another one those of all others.

use std::fmt;

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use crate::component::Component;
use crate::error::SettingsError;

/// A placeholder for a value of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placeholder {
    /// `kata_component`.
    Component,
    /// SYSLOG_IDENTIFIER.
    Identifier,
    /// `_HOSTNAME`.
    Host,
    /// `kata_sandbox`.
    Sandbox,
    /// The date of `kata_time`, in UTC.
    Day,
    /// The input of the record.
    Input,
}

impl Placeholder {
    /// Returns the word between the braces.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Placeholder::Component => "component",
            Placeholder::Identifier => "identifier",
            Placeholder::Host => "host",
            Placeholder::Sandbox => "sandbox",
            Placeholder::Day => "day",
            Placeholder::Input => "input",
        }
    }
}

/// The placeholders of tags of Kata records, and of others.
const OF_TAGS: &[Placeholder] = &[Placeholder::Component, Placeholder::Identifier];
const OF_OTHERS: &[Placeholder] = &[Placeholder::Identifier];

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TemplatePart {
    /// Literal text.
    Text(String),
    /// A value of the record.
    Value(Placeholder),
}

/// A compiled template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<TemplatePart>);

impl Template {
    /// Parses a template with some of the `known` placeholders.
    ///
    /// # Errors
    /// The reason, which names an unknown placeholder or an unmatched brace.
    pub(crate) fn new(text: &str, known: &[Placeholder]) -> Result<Template, String> {
        let plain = |text: &str| match text.contains('}') {
            true => Err("a \"}\" has no \"{\"".to_owned()),
            false => Ok(TemplatePart::Text(text.to_owned())),
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            parts.push(plain(before)?);
            let (name, after) = behind.split_once('}').ok_or("a \"{\" has no \"}\"")?;
            let value = known.iter().find(|value| value.name() == name);
            parts.push(TemplatePart::Value(*value.ok_or_else(|| format!("there is no \"{{{name}}}\""))?));
            rest = after;
        }
        parts.push(plain(rest)?);
        parts.retain(|part| !matches!(part, TemplatePart::Text(text) if text.is_empty()));
        Ok(Template(parts))
    }

    /// Parses the template of a tag.
    ///
    /// # Errors
    /// [`SettingsError::Tag`] if a placeholder is unknown, or a brace is unmatched.
    pub(crate) fn of_tag(text: &str) -> Result<Template, SettingsError> {
        Template::new(text, OF_TAGS).map_err(SettingsError::Tag)
    }

    /// Parses the template of a tag of another program's records.
    ///
    /// # Errors
    /// [`SettingsError::Tag`] if a placeholder is unknown, or a brace is unmatched.
    pub(crate) fn of_others_tag(text: &str) -> Result<Template, SettingsError> {
        Template::new(text, OF_OTHERS).map_err(SettingsError::Tag)
    }

    /// Returns the parts in their order.
    #[must_use]
    pub(crate) fn parts(&self) -> &[TemplatePart] {
        &self.0
    }

    /// Returns the tag of a record.
    pub(crate) fn render<'b>(&self, component: Component, identifier: Option<&[u8]>, bump: &'b Bump) -> &'b [u8] {
        let mut out = BumpVec::with_capacity_in(48, bump);
        for part in &self.0 {
            match part {
                TemplatePart::Text(text) => out.extend_from_slice_copy(text.as_bytes()),
                TemplatePart::Value(Placeholder::Component) => out.extend_from_slice_copy(component.name().as_bytes()),
                TemplatePart::Value(Placeholder::Identifier) => out.extend(of(identifier)),
                // Tags have no other placeholders.
                TemplatePart::Value(_) => {}
            }
        }
        out.into_bump_slice()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            TemplatePart::Text(text) => f.write_str(text),
            TemplatePart::Value(placeholder) => write!(f, "{{{}}}", placeholder.name()),
        })
    }
}

/// Returns an identifier as a part of a tag.
pub(crate) fn identifier_part<'b>(identifier: Option<&[u8]>, bump: &'b Bump) -> &'b [u8] {
    BumpVec::from_iter_in(of(identifier), bump).into_bump_slice()
}

/// Maps an identifier to a part of a tag: bytes other than letters, digits, `-`, `_` and `.` become `_`.
fn of(identifier: Option<&[u8]>) -> impl Iterator<Item = u8> {
    let identifier = identifier.filter(|identifier| !identifier.is_empty()).unwrap_or(b"unknown");
    identifier.iter().take(64).map(|byte| match byte {
        b'-' | b'_' | b'.' => *byte,
        byte if byte.is_ascii_alphanumeric() => *byte,
        _ => b'_',
    })
}
