//! The exit codes of the program. They follow sysexits, so that a supervisor can tell which failures to restart.

use std::io;
use std::process::ExitCode;

/// An exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All records are delivered, or the reader of the output closed it.
    Success = 0,
    /// All records are delivered, but `--strict` or `--fail-on` found flaws, or `--fail-if-empty` found no records;
    /// or no known failure explains a text.
    Unsatisfied = 1,
    /// A flag or argument cannot be used.
    Usage = 64,
    /// An input has the wrong format.
    Data = 65,
    /// An input does not exist.
    NoInput = 66,
    /// This build lacks a feature, this host lacks a service, or delivery to servers was given up.
    Unavailable = 69,
    /// An internal error of katalog.
    Internal = 70,
    /// Reading or writing failed.
    Io = 74,
    /// Another process uses the directory. A later attempt may succeed.
    Busy = 75,
    /// The run was ended while it had records that nothing holds and that cannot be read again.
    Lost = 76,
    /// The user may not open an input or output.
    Permission = 77,
    /// The configuration file cannot be used.
    Config = 78,
}

impl Exit {
    /// All exit codes, in ascending order.
    pub const ALL: &'static [Exit] = &[
        Exit::Success,
        Exit::Unsatisfied,
        Exit::Usage,
        Exit::Data,
        Exit::NoInput,
        Exit::Unavailable,
        Exit::Internal,
        Exit::Io,
        Exit::Busy,
        Exit::Lost,
        Exit::Permission,
        Exit::Config,
    ];

    /// Returns the number that the parent process sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Returns the meaning, for the help.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Success => "all records are delivered, or the reader of the output went away",
            Exit::Unsatisfied => {
                "`check` or --strict found flaws, --fail-if-empty found no record, or `explain` knows nothing"
            }
            Exit::Usage => "the command line, a variable or an argument cannot be used",
            Exit::Data => "an input does not have the format that it claims",
            Exit::NoInput => "an input does not exist",
            Exit::Unavailable => "this build or this host lacks something, or the servers were given up",
            Exit::Internal => "internal error (please report it)",
            Exit::Io => "reading or writing failed",
            Exit::Busy => "another katalog uses the state or output directory",
            Exit::Lost => "stopped with records that are not delivered and cannot be read again",
            Exit::Permission => "permission denied",
            Exit::Config => "the configuration file cannot be used",
        }
    }

    /// Returns the exit code with this number, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Exit> {
        Exit::ALL.iter().copied().find(|exit| exit.code() == code)
    }

    /// Returns the exit code for a failure to write.
    #[must_use]
    pub fn from_write_error(error: &io::Error) -> Exit {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Exit::Permission,
            _ => Exit::Io,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_sysexits() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 64, 65, 66, 69, 70, 74, 75, 76, 77, 78]);
    }

    #[test]
    fn every_number_leads_back() {
        for exit in Exit::ALL {
            assert_eq!(Exit::from_code(exit.code()), Some(*exit));
        }
        assert_eq!(Exit::from_code(2), None);
    }
}
