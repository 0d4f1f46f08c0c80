//! Tags: what routes a record in Fluentd. A template for Kata's records, the identifier for others.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use crate::component::Component;

/// A part of a template.
#[derive(Debug)]
enum Part {
    Text(String),
    Component,
    Identifier,
}

/// A template, compiled.
#[derive(Debug)]
pub struct Template(Vec<Part>);

impl Template {
    /// Reads a template with `{component}` and `{identifier}` in it.
    ///
    /// # Errors
    /// The placeholder that is not known, or the brace that is not closed.
    pub fn new(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let Some((name, after)) = behind.split_once('}') else { return Err(format!("{{{behind}")) };
            parts.push(Part::Text(before.to_owned()));
            parts.push(match name {
                "component" => Part::Component,
                "identifier" => Part::Identifier,
                _ => return Err(format!("{{{name}}}")),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Template(parts))
    }

    /// The tag of a record of Kata's.
    pub fn render<'b>(&self, component: Component, identifier: Option<&[u8]>, bump: &'b Bump) -> &'b [u8] {
        let mut out = BumpVec::with_capacity_in(48, bump);
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice_copy(text.as_bytes()),
                Part::Component => out.extend_from_slice_copy(component.name().as_bytes()),
                Part::Identifier => out.extend(of(identifier)),
            }
        }
        out.into_bump_slice()
    }
}

/// The tag of a record that is not Kata's.
pub fn other<'b>(identifier: Option<&[u8]>, bump: &'b Bump) -> &'b [u8] {
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
