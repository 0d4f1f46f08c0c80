//! A pattern of the data file.

use serde::Deserialize;

use super::RecordText;

/// The levels, from the lowest to the highest.
const LEVELS: [&str; 6] = ["trace", "debug", "info", "warning", "error", "critical"];

/// A known failure.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// The id: `KX-` and four digits. An id keeps its meaning for ever.
    pub id: String,
    /// The expression that the text of the failure matches.
    #[serde(rename = "match")]
    expression: String,
    /// An expression for texts that are not this failure, although they match. Any field of the record can hold them.
    #[serde(default, rename = "unless")]
    exception: Option<String>,
    /// The fields whose text counts.
    #[serde(default = "message_and_error")]
    fields: Vec<String>,
    /// The components whose records count; all if there are none.
    #[serde(default)]
    components: Vec<String>,
    /// The lowest level of records that count.
    #[serde(default)]
    level: Option<String>,
    /// The pattern stands back behind all others.
    #[serde(default)]
    general: bool,
    /// Guests or other programs write this text, so the pattern explains no record, only a text that a person types.
    #[serde(default)]
    typed: bool,
    /// The meaning, in one sentence.
    pub means: String,
    /// A command or a place to look at.
    pub look: String,
    /// Issues or files of the projects that the text comes from.
    pub sources: Vec<String>,
    /// The first version of Kata that has this text, if it is known.
    #[serde(default)]
    pub since: Option<String>,
    /// The last version of Kata that has this text, if there is one.
    #[serde(default)]
    pub until: Option<String>,
    /// Lines that report the failure.
    pub cases: Vec<String>,
    /// A word that the cases and the counterexamples have in common. It would be too short as an expression.
    pub naive: String,
    /// Lines that do not report the failure, although they have the word.
    pub counterexamples: Vec<String>,
}

/// The file of patterns.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pattern: Vec<Pattern>,
}

/// Returns the patterns of a file.
pub(super) fn parse(text: &str) -> Result<Vec<Pattern>, toml::de::Error> {
    Ok(toml::from_str::<File>(text)?.pattern)
}

fn message_and_error() -> Vec<String> {
    ["kata_msg", "kata_error"].map(str::to_owned).to_vec()
}

impl Pattern {
    pub(super) fn expression(&self) -> &str {
        &self.expression
    }

    pub(super) fn exception(&self) -> Option<&str> {
        self.exception.as_deref()
    }

    /// Returns whether the pattern explains only if no other does.
    #[must_use]
    pub const fn is_general(&self) -> bool {
        self.general
    }

    /// Returns whether the pattern explains no record, only a text that a person types.
    #[must_use]
    pub const fn is_only_typed(&self) -> bool {
        self.typed
    }

    /// Returns the names of the fields whose text counts.
    pub(super) fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Returns whether the text of a field counts.
    fn reads(&self, field: &str) -> bool {
        self.fields.iter().any(|name| name == field)
    }

    /// Returns whether a text of this field of the record counts.
    pub(super) fn fits(&self, record: &RecordText<'_>, field: &str) -> bool {
        let rank = |level: &str| LEVELS.iter().position(|known| *known == level);
        let is_high = self.level.as_deref().is_none_or(|least| rank(record.level) >= rank(least));
        let is_of_component =
            self.components.is_empty() || self.components.iter().any(|component| component == record.component);
        !self.typed && is_high && is_of_component && self.reads(field)
    }

    /// Returns the conditions on the record beside the text, in words; empty if there are none.
    #[must_use]
    pub(super) fn conditions(&self) -> String {
        let mut conditions = Vec::new();
        if !self.components.is_empty() {
            conditions.push(self.components.join(" or "));
        }
        if let Some(level) = &self.level {
            conditions.push(format!("{level} or higher"));
        }
        conditions.join(", ")
    }

    /// Returns the versions that write the text, in words; empty if they are not known.
    #[must_use]
    pub(super) fn versions(&self) -> String {
        match (&self.since, &self.until) {
            (Some(since), Some(until)) => format!("Kata {since} to {until}"),
            (Some(since), None) => format!("Kata {since} and newer"),
            (None, Some(until)) => format!("Kata up to {until}"),
            (None, None) => String::new(),
        }
    }
}
