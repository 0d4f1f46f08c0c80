//! Errors of a journal as a whole. Damage inside of a file is no error: it is left out and counted.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An error of a journal, or of one of its files.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// This machine has no journal files.
    NoMachineJournal,
    /// A directory has no journal files.
    Empty {
        /// The directory.
        path: PathBuf,
    },
    /// A file or directory is not accessible.
    Access {
        /// The file or directory.
        path: PathBuf,
        /// The number of further files and directories that are not accessible.
        others: usize,
        /// The error of the system.
        cause: io::Error,
    },
    /// A file cannot be opened.
    Open {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        cause: io::Error,
    },
    /// A file cannot be read as a journal.
    Refused {
        /// The file.
        path: PathBuf,
        /// The reason.
        cause: Box<dyn StdError + Send + Sync>,
    },
    /// Only a part of a file can be read, as reported by its [`OpenFile`](crate::OpenFile).
    Incomplete {
        /// The file.
        path: PathBuf,
        /// The reason.
        cause: Box<dyn StdError + Send + Sync>,
    },
}

impl Error {
    /// Returns the error for a file that is not a journal.
    #[must_use]
    pub fn not_a_journal(path: &Path) -> Error {
        Refusal::NotAJournal.at(path)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMachineJournal => {
                f.write_str("no journal files of this machine were found in /run/log/journal and /var/log/journal")
            }
            Self::Empty { path } => write!(f, "failed to read {path:?}: there are no journal files in it"),
            Self::Access { path, others, cause } => {
                write!(f, "failed to read {path:?}")?;
                if *others > 0 {
                    write!(f, " and {others} more")?;
                }
                write!(f, ": {cause}")?;
                if cause.kind() == io::ErrorKind::PermissionDenied {
                    f.write_str(
                        "; the members of the group `systemd-journal`, and mostly those of `adm` and `wheel`, may read \
                         all journals",
                    )?;
                }
                Ok(())
            }
            Self::Open { path, cause } => write!(f, "failed to read {path:?}: {cause}"),
            Self::Refused { path, cause } => write!(f, "failed to read {path:?}: {cause}"),
            Self::Incomplete { path, cause } => write!(f, "failed to read all of {path:?}: {cause}"),
        }
    }
}

// The messages contain their causes, so `source()` returns none.
impl StdError for Error {}

/// A reason for which a file cannot be read as a journal.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The system failed to read the file.
    Unreadable(io::Error),
    /// The file does not begin as journal files do.
    NotAJournal,
    /// The file is shorter than its header.
    TooShort {
        /// The length of the file in bytes.
        length: u64,
    },
    /// The header states an impossible length of itself.
    HeaderSize {
        /// The stated length.
        size: u64,
    },
    /// The file has a format unknown to this version.
    UnknownFlags {
        /// The unknown flags.
        flags: u32,
    },
    /// The file is larger than offsets can express.
    TooLarge {
        /// The size of the part in use, in bytes.
        size: u64,
    },
}

impl Refusal {
    /// Returns the error for the file at a path.
    pub(crate) fn at(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Refusal::Unreadable(cause) => Error::Open { path, cause },
            other => Error::Refused { path, cause: other.into() },
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(cause) => cause.fmt(f),
            Self::NotAJournal => f.write_str("it is not a systemd journal file"),
            Self::TooShort { length } => {
                write!(f, "its {length} bytes are fewer than the header of a journal file has")
            }
            Self::HeaderSize { size } => write!(f, "the length of its header is damaged: {size} bytes"),
            Self::UnknownFlags { flags } => {
                write!(f, "it is of a newer format: the incompatible flags {flags:#x} are unknown")
            }
            Self::TooLarge { size } => write!(f, "its {size} bytes are more than the 32 GiB that can be read"),
        }
    }
}

impl StdError for Refusal {}
