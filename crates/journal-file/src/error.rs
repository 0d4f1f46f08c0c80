//! What can go wrong with a journal as a whole. What is damaged in a file makes no error: it is left out and counted.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a journal, or a file of it, cannot be read.
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
    /// A file or directory may not be looked at.
    Access {
        /// Where it is.
        path: PathBuf,
        /// How many more may not be looked at.
        others: usize,
        /// What the system said.
        cause: io::Error,
    },
    /// A file cannot be read as a journal.
    Refused {
        /// Where it is.
        path: PathBuf,
        /// Why.
        cause: Refusal,
    },
    /// Only a part of a file is there to be read, by the word of the [`OpenFile`](crate::OpenFile) that opened it.
    Incomplete {
        /// Where it is.
        path: PathBuf,
        /// Why.
        cause: Box<dyn StdError + Send + Sync>,
    },
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
            Self::Refused { path, cause } => write!(f, "failed to read {path:?}: {cause}"),
            Self::Incomplete { path, cause } => write!(f, "failed to read all of {path:?}: {cause}"),
        }
    }
}

// The messages hold their causes, so none is a `source()` as well.
impl StdError for Error {}

/// Why a file cannot be read as a journal at all.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The system said no.
    Unreadable(io::Error),
    /// The [`OpenFile`](crate::OpenFile) said no.
    Unopened(Box<dyn StdError + Send + Sync>),
    /// It does not begin as journal files do.
    NotAJournal,
    /// It is shorter than its header.
    TooShort {
        /// The length of the file in bytes.
        length: u64,
    },
    /// The header has a length that none has.
    HeaderSize {
        /// What the header says.
        size: u64,
    },
    /// It was written by a version whose format is not known.
    UnknownFlags {
        /// The flags that are unknown.
        flags: u32,
    },
    /// It is larger than offsets can tell.
    TooLarge {
        /// How much of the file is in use, in bytes.
        size: u64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(cause) => cause.fmt(f),
            Self::Unopened(cause) => cause.fmt(f),
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
