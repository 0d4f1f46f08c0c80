//! The error of settings.

/// A setting that cannot be used. The message begins with the key of the setting, unless the error is an unknown word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A word that names no value of an enum.
    #[error("\"{word}\" is no such value: expected one of {expected}")]
    UnknownWord {
        /// The word.
        word: String,
        /// The known words, separated by commas.
        expected: String,
    },
    /// An identifier pattern that is no valid regular expression.
    #[error("identifier: {0}")]
    Identifier(String),
    /// A field pattern of `keep` or `drop` that is invalid.
    #[error("keep, drop: {0}")]
    Name(String),
    /// A pattern of `prune` with an empty segment.
    #[error("prune: {0:?} has an empty segment; write segments between dots, such as \"endpoint.*.Statistics\"")]
    Prune(String),
    /// A pattern of `redact` that is no valid regular expression.
    #[error("redact: {0}")]
    Redact(String),
    /// A pattern of a filter that is no valid regular expression.
    #[error("{0}")]
    Pattern(String),
    /// A condition that is not `FIELD OP VALUE`.
    #[error("{0}")]
    Condition(String),
    /// An invalid template of tags.
    #[error("tag: {0}")]
    Tag(String),
    /// An invalid template of paths.
    #[error("split: {0}")]
    Split(String),
}

impl SettingsError {
    /// Returns the message without the key of the setting.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            SettingsError::Identifier(reason)
            | SettingsError::Name(reason)
            | SettingsError::Redact(reason)
            | SettingsError::Pattern(reason)
            | SettingsError::Condition(reason)
            | SettingsError::Tag(reason)
            | SettingsError::Split(reason) => reason.clone(),
            SettingsError::UnknownWord { .. } | SettingsError::Prune(_) => self.to_string(),
        }
    }
}
