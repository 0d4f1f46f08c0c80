//! Errors that end the program before a run, or without one, and their exit codes.

use kata_records::SettingsError;
use log_clients::NetError;

use crate::cli;
use crate::config::{Command, ConfigError};
use crate::delivery::OutputDirError;
use crate::delivery::checkpoint::CheckpointError;
use crate::diagnostics::{report, report_with_examples};
use crate::exit::Exit;
use crate::explain::PatternError;
use crate::sink::SinkError;
use crate::source::SourceError;

/// An error that ends the program before a run, or without one.
#[derive(Debug, thiserror::Error)]
pub(super) enum AppError {
    /// The command has no input, and standard input is a terminal.
    #[error("{}", cli::no_input(*.0))]
    NoInput(Command),
    /// The command line lacks something.
    #[error("{0}")]
    Incomplete(String),
    /// Settings that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Rules that cannot be compiled.
    #[error(transparent)]
    Rules(#[from] SettingsError),
    /// Inputs that do not go together with the flags.
    #[error(transparent)]
    Usage(SourceError),
    /// The state directory cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The known failures cannot be loaded.
    #[error(transparent)]
    Patterns(#[from] PatternError),
    /// The output cannot be used.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The output directory cannot be used.
    #[error(transparent)]
    OutputDir(#[from] OutputDirError),
    /// The servers cannot be used.
    #[error("{error}{setting}", setting = setting(error))]
    Net { error: NetError, from_file: bool },
    /// The host does not offer something.
    #[error("{0}")]
    Unavailable(String),
}

/// Returns the name of the setting that an error of log-clients means, because only the program knows its flags.
fn setting(error: &NetError) -> &'static str {
    match error {
        NetError::Server { error, .. } => setting(error),
        NetError::NoAuthorities { .. } => " (--tls-ca FILE)",
        _ => "",
    }
}

impl AppError {
    /// Prints the error and returns its exit code.
    pub(super) fn report(&self) -> Exit {
        match self {
            AppError::NoInput(command) => report_with_examples(format_args!("{self}"), &cli::input_examples(*command)),
            _ => report(format_args!("{self}")),
        }
        Exit::of(self)
    }
}

impl Exit {
    /// Returns the exit code of an error.
    fn of(error: &AppError) -> Exit {
        match error {
            AppError::Config(error) if error.is_of_file() => Exit::Config,
            AppError::NoInput(_)
            | AppError::Incomplete(_)
            | AppError::Config(_)
            | AppError::Rules(_)
            | AppError::Usage(_) => Exit::Usage,
            AppError::Checkpoint(error) => error.exit(),
            AppError::Sink(error) => error.exit(),
            AppError::OutputDir(error) => error.exit(),
            AppError::Net { error, from_file } => match Exit::from(error) {
                // Without a file, only flags and variables can be wrong.
                Exit::Config if !from_file => Exit::Usage,
                exit => exit,
            },
            AppError::Unavailable(_) => Exit::Unavailable,
            AppError::Patterns(_) => Exit::Internal,
        }
    }
}
