//! Templates, and the tags that they make: what routes a record in Fluentd. A template for Kata's records, the identifier
//! for others.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use crate::component::Component;

/// What stands in a template for something of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
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
    /// The input that the record is from.
    Input,
}

impl Placeholder {
    /// Those that a tag may have.
    pub const OF_TAGS: &'static [Placeholder] = &[Placeholder::Component, Placeholder::Identifier];

    /// The word between the braces.
    #[must_use]
    pub const fn name(self) -> &'static str {
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

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    /// Text that stays as it is.
    Text(String),
    /// Something of the record.
    Value(Placeholder),
}

/// What is wrong with the text of a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is no placeholder of this name, or not here.
    #[error("there is no \"{{{0}}}\"")]
    Unknown(String),
    /// One is not closed.
    #[error("a \"{{\" has no \"}}\"")]
    Open,
    /// One was not opened.
    #[error("a \"}}\" has no \"{{\"")]
    Closed,
}

/// A template, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<TemplatePart>);

impl Template {
    /// Reads a template with some of the `known` placeholders in it.
    ///
    /// # Errors
    /// The placeholder that is not known, or the brace that is alone.
    pub fn new(text: &str, known: &[Placeholder]) -> Result<Template, TemplateError> {
        let plain = |text: &str| match text.contains('}') {
            true => Err(TemplateError::Closed),
            false => Ok(TemplatePart::Text(text.to_owned())),
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            parts.push(plain(before)?);
            let (name, after) = behind.split_once('}').ok_or(TemplateError::Open)?;
            let value = known.iter().find(|value| value.name() == name);
            parts.push(TemplatePart::Value(*value.ok_or_else(|| TemplateError::Unknown(name.to_owned()))?));
            rest = after;
        }
        parts.push(plain(rest)?);
        parts.retain(|part| !matches!(part, TemplatePart::Text(text) if text.is_empty()));
        Ok(Template(parts))
    }

    /// Its parts, in order.
    #[must_use]
    pub fn parts(&self) -> &[TemplatePart] {
        &self.0
    }

    /// The tag of a record of Kata's.
    pub fn render<'b>(&self, component: Component, identifier: Option<&[u8]>, bump: &'b Bump) -> &'b [u8] {
        let mut out = BumpVec::with_capacity_in(48, bump);
        for part in &self.0 {
            match part {
                TemplatePart::Text(text) => out.extend_from_slice_copy(text.as_bytes()),
                TemplatePart::Value(Placeholder::Component) => out.extend_from_slice_copy(component.name().as_bytes()),
                TemplatePart::Value(Placeholder::Identifier) => out.extend(of(identifier)),
                // Tags have no others.
                TemplatePart::Value(_) => {}
            }
        }
        out.into_bump_slice()
    }
}

/// The tag of a record that is not Kata's.
pub fn tag_of_others<'b>(identifier: Option<&[u8]>, bump: &'b Bump) -> &'b [u8] {
    BumpVec::from_iter_in(of(identifier), bump).into_bump_slice()
}

/// An identifier as part of a tag: letters, digits, `-`, `_` and `.` stay, the rest becomes `_`.
fn of(identifier: Option<&[u8]>) -> impl Iterator<Item = u8> {
    let identifier = identifier.filter(|identifier| !identifier.is_empty()).unwrap_or(b"unknown");
    identifier.iter().take(64).map(|byte| match byte {
        b'-' | b'_' | b'.' => *byte,
        byte if byte.is_ascii_alphanumeric() => *byte,
        _ => b'_',
    })
}
