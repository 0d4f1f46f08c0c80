//! The error of settings.

/// A setting that cannot be used. The message begins with the key of the setting, except for a word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A word that is none of the values of an enum.
    #[error("\"{word}\" is no such value: expected one of {expected}")]
    UnknownWord {
        /// The word as it was given.
        word: String,
        /// The words that are known, separated by commas.
        expected: String,
    },
    /// A pattern of identifiers that is no regular expression.
    #[error("identifier: {0}")]
    Identifier(String),
    /// A name of fields to keep or drop that makes no pattern.
    #[error("keep, drop: {0}")]
    Name(String),
    /// A pattern of values to prune.
    #[error("prune: {0:?} has an empty segment; write segments between dots, such as \"endpoint.*.Statistics\"")]
    Prune(String),
    /// A template of tags.
    #[error("tag: {0}")]
    Tag(String),
    /// A template of paths.
    #[error("split: {0}")]
    Split(String),
}

impl SettingsError {
    /// Returns the reason without the key of the setting.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            SettingsError::Identifier(reason)
            | SettingsError::Name(reason)
            | SettingsError::Tag(reason)
            | SettingsError::Split(reason) => reason.clone(),
            SettingsError::UnknownWord { .. } | SettingsError::Prune(_) => self.to_string(),
        }
    }
}
