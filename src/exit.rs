//! How the program ends: the numbers of sysexits, so that a supervisor can tell what to restart and what to leave.

use std::io;
use std::process::ExitCode;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is delivered, or the reader of the output went away and nobody wants more.
    Success = 0,
    /// All is delivered, but `--strict` found flawed entries or `--fail-if-empty` found none.
    Unsatisfied = 1,
    /// A flag or argument that cannot be used.
    Usage = 64,
    /// An input that is not what it claims to be.
    Data = 65,
    /// An input that is not there.
    NoInput = 66,
    /// Something that this build or this host does not offer.
    Unavailable = 69,
    /// A mistake in katalog itself.
    Internal = 70,
    /// Reading or writing failed.
    Io = 74,
    /// Another process is at it; later it may work.
    Busy = 75,
    /// An input or output that this user may not open.
    Permission = 77,
    /// A configuration file that cannot be used.
    Config = 78,
}

impl Exit {
    /// Every way to end, lowest number first.
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
        Exit::Permission,
        Exit::Config,
    ];

    /// The number that the parent process sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The way to end that has this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Exit> {
        Exit::ALL.iter().copied().find(|exit| exit.code() == code)
    }

    /// What a failure to write comes to.
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
        assert_eq!(codes, [0, 1, 64, 65, 66, 69, 70, 74, 75, 77, 78]);
    }

    #[test]
    fn every_number_leads_back() {
        for exit in Exit::ALL {
            assert_eq!(Exit::from_code(exit.code()), Some(*exit));
        }
        assert_eq!(Exit::from_code(2), None);
    }
}
