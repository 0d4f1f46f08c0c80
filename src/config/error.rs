//! The reasons why settings cannot be used.

use std::io;
use std::path::PathBuf;

/// A reason why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("configuration file {path:?}: {}; name a readable file with --config", cause(.source))]
    Read {
        /// The file, as the user named it.
        path: PathBuf,
        /// The error from the system.
        source: io::Error,
    },
    /// The configuration file cannot be used.
    #[error("configuration file {path:?}, {place}: {message}")]
    File {
        /// The file, as the user named it.
        path: PathBuf,
        /// The line or the key.
        place: String,
        /// The reason, and what to do.
        message: String,
    },
    /// A setting cannot be used.
    #[error("{message}")]
    Setting {
        /// The setting as it was given, the reason, and what to do.
        message: String,
        /// The setting is a key of the configuration file.
        from_file: bool,
    },
}

fn cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::InvalidData => "it is not text in UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

impl ConfigError {
    /// Returns whether the configuration file has to be changed.
    #[must_use]
    pub fn is_of_file(&self) -> bool {
        !matches!(self, ConfigError::Setting { from_file: false, .. })
    }
}
