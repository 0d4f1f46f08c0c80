//! Errors of whole inputs, as messages that say what to do. Problems inside entries are flaws, not errors.

use std::io;

use thiserror::Error;

use super::codec::{Codec, Fault, ForeignFormat};
use super::input::Input;
use crate::exit::Exit;

/// The reason why an input could not be opened or read. Messages include their causes, so no error has a `source()`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The input could not be opened.
    #[error("failed to open {} for reading: {cause}", .input.quoted())]
    Open {
        /// The input.
        input: Input,
        /// The error from the system.
        cause: io::Error,
    },
    /// The input is a URL.
    #[error("cannot read {url:?}: it is a URL, and inputs are files; {advice}")]
    Url {
        /// The URL.
        url: String,
        /// What to do instead.
        advice: String,
    },
    /// No file has this name, which is a pattern.
    #[error("cannot read {}: no file has this name{}", .input.quoted(), pattern_advice(*.matches))]
    Pattern {
        /// The pattern.
        input: Input,
        /// Files match the pattern.
        matches: bool,
    },
    /// The directory holds no readable input.
    #[error(
        "failed to read {}: it is a directory, and there are no journals in it and no files that are logs by their names; \
         name the files that are to be read",
        .input.quoted()
    )]
    Directory {
        /// The input.
        input: Input,
    },
    /// A file that is followed as a log is a journal file.
    #[error(
        "failed to read {}: it holds a systemd journal file, and a pattern names only log files; name the file or its \
         directory",
        .input.quoted()
    )]
    Journal {
        /// The input.
        input: Input,
    },
    /// A file or directory of a journal could not be read.
    #[error("{message}")]
    JournalAccess {
        /// The input.
        input: Input,
        /// The path, the reason and the remedy.
        message: String,
        /// The kind of the system error.
        kind: io::ErrorKind,
    },
    /// A journal cannot be followed through libsystemd.
    #[error("--follow cannot be used with --journal-backend libsystemd: journals are followed natively")]
    FollowedByLibsystemd,
    /// This machine has no journal.
    #[error(
        "no journal files of this machine were found in /run/log/journal and /var/log/journal; name the files or \
         directories that are to be read, or another --namespace"
    )]
    NoMachineJournal,
    /// The file is not a readable journal.
    #[error("failed to read {}: {cause}", .input.quoted())]
    JournalRefused {
        /// The input.
        input: Input,
        /// The reason.
        cause: String,
    },
    /// A journal must be read through libsystemd, which this build leaves out.
    #[error(
        "failed to read {}: it is to be read through libsystemd, which this build leaves out; build katalog with the cargo \
         feature `libsystemd`, or leave out --journal-backend to have katalog itself read it",
        .input.quoted()
    )]
    MissingLibsystemd {
        /// The input.
        input: Input,
    },
    /// The input is not a journal, but the output format shows only journal entries.
    #[error(
        "failed to read {}: it is no journal file, and --format export and journal-json only show those; leave --format \
         out to have it read as a log",
        .input.quoted()
    )]
    NoJournal {
        /// The input.
        input: Input,
    },
    /// A flag holds for journals only, and the input is none.
    #[error(
        "{flag}: {} is no journal file, and {flag} holds for journals only; {}",
        .input.quoted(), refused_advice(flag, .others_of.as_ref())
    )]
    LogRefused {
        /// The input.
        input: Input,
        /// The flag, as the user typed it.
        flag: &'static str,
        /// The archive or directory whose other logs are left out too.
        others_of: Option<Input>,
    },
    /// An input cannot be followed beside another one.
    #[error(
        "cannot follow {} beside the other inputs: what is followed has no end; journals, log files and pipes need a \
         katalog each",
        .input.quoted()
    )]
    NotFollowed {
        /// The input.
        input: Input,
    },
    /// An archive cannot be followed or resumed.
    #[error(
        "cannot follow or go on with {}: it is an archive, which is read once, as a whole; leave out --follow and --once",
        .input.quoted()
    )]
    ArchiveFollowed {
        /// The input.
        input: Input,
    },
    /// An archive is damaged or incomplete.
    #[error("failed to read {}: {cause} at offset {offset} of the archive; its other members were read", .input.quoted())]
    Archive {
        /// The archive.
        input: Input,
        /// The number of decompressed bytes before the error.
        offset: u64,
        /// The problem.
        cause: &'static str,
    },
    /// A journal could not be unpacked, because there is no space for it.
    #[error(
        "failed to unpack {}: {cause}; compressed journals are unpacked in {}, another directory can be named by TMPDIR",
        .input.quoted(), std::env::temp_dir().display()
    )]
    Unpack {
        /// The input.
        input: Input,
        /// The error from the system.
        cause: io::Error,
    },
    /// A compressed journal unpacks to more bytes than journald ever writes.
    #[error(
        "failed to unpack {}: what is unpacked has more than {most} bytes, which is {} times what it was made of, or a \
         GiB; if that is right, decompress it and name what comes out",
        .input.quoted(), super::temp_file::MAX_RATIO
    )]
    Oversized {
        /// The input.
        input: Input,
        /// The limit in bytes.
        most: u64,
    },
    /// Reading failed.
    #[error("failed to read {} at offset {offset}: {cause}", .input.quoted())]
    Read {
        /// The input.
        input: Input,
        /// The number of decompressed bytes before the error.
        offset: u64,
        /// The error from the system.
        cause: io::Error,
    },
    /// The compressed data is damaged or incomplete.
    #[error(
        "failed to read {}: its {codec} data is damaged or cut off: {cause}; the {offset} bytes before the damage \
         were read, and `{} -t` tells whether a fresh copy is sound",
        .input.quoted(), .codec.tool()
    )]
    Damaged {
        /// The input.
        input: Input,
        /// The compression format.
        codec: Codec,
        /// The number of decompressed bytes before the damage.
        offset: u64,
        /// The error from the decoder.
        cause: io::Error,
    },
    /// The input has a format that katalog does not read.
    #[error("failed to read {}: it is {format}, which katalog does not read; {}", .input.quoted(), unpack_advice(.input, *.format))]
    Foreign {
        /// The input.
        input: Input,
        /// The format.
        format: ForeignFormat,
    },
    /// The input is compressed with a codec that this build leaves out.
    #[error(
        "failed to read {}: it is compressed with {codec}, which this build leaves out; build katalog with the cargo \
         feature `{}`, or run `{} -dc {} | katalog`",
        .input.quoted(), .codec.feature(), .codec.tool(), .input
    )]
    MissingCodec {
        /// The input.
        input: Input,
        /// The compression format.
        codec: Codec,
    },
}

impl SourceError {
    /// Converts a fault after `offset` decompressed bytes into an error.
    pub(super) fn of(fault: Fault, input: Input, offset: u64) -> SourceError {
        match fault {
            Fault::Io(cause) if cause.kind() == io::ErrorKind::IsADirectory => SourceError::Directory { input },
            Fault::Io(cause) => SourceError::Read { input, offset, cause },
            Fault::Damaged(codec, cause) => SourceError::Damaged { input, codec, offset, cause },
            #[cfg(not(all(feature = "gzip", feature = "xz", feature = "zstd")))]
            Fault::MissingCodec(codec) => SourceError::MissingCodec { input, codec },
            Fault::Foreign(format) => SourceError::Foreign { input, format },
            Fault::Holds(..) => SourceError::Journal { input },
        }
    }

    /// Returns the exit code for this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Open { cause, .. } | Self::Read { cause, .. } => exit_of(cause.kind()),
            Self::JournalAccess { kind, .. } => exit_of(*kind),
            Self::NoMachineJournal | Self::Pattern { .. } => Exit::NoInput,
            Self::Unpack { .. } => Exit::Io,
            Self::LogRefused { .. }
            | Self::Url { .. }
            | Self::NotFollowed { .. }
            | Self::FollowedByLibsystemd
            | Self::ArchiveFollowed { .. } => Exit::Usage,
            Self::MissingLibsystemd { .. } => Exit::Unavailable,
            Self::Directory { .. }
            | Self::Journal { .. }
            | Self::JournalRefused { .. }
            | Self::NoJournal { .. }
            | Self::Archive { .. }
            | Self::Oversized { .. }
            | Self::Damaged { .. }
            | Self::Foreign { .. }
            | Self::MissingCodec { .. } => Exit::Data,
        }
    }
}

/// Returns why a pattern is not read, and what to do.
fn pattern_advice(matches: bool) -> &'static str {
    if matches {
        "; only `katalog print -f` and `katalog ship` expand patterns, so leave out the quotes and let the shell expand it"
    } else {
        ", and no file matches it as a pattern; check the path"
    }
}

/// Returns what to do about a log for which a flag does not hold.
fn refused_advice(flag: &str, others_of: Option<&Input>) -> String {
    match others_of {
        Some(input) => format!("all logs of {} are left out, unless you leave out {flag}", input.quoted()),
        None => "leave it out".to_owned(),
    }
}

/// Returns what to do with an input of a format that katalog does not read.
fn unpack_advice(input: &Input, format: ForeignFormat) -> String {
    match format.unpacker() {
        Some(unpacker) => format!("unpack it first, as in `{unpacker} {} | katalog -`", shell_name(input)),
        None => "name a log or a journal".to_owned(),
    }
}

/// Returns the input for a command line, or `FILE` if it is no file by itself, such as a member of an archive.
fn shell_name(input: &Input) -> String {
    match input {
        Input::File(path) if path.is_file() => input.quoted(),
        Input::File(_) | Input::Stdin => "FILE".to_owned(),
    }
}

fn exit_of(kind: io::ErrorKind) -> Exit {
    match kind {
        io::ErrorKind::PermissionDenied => Exit::Permission,
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Exit::NoInput,
        _ => Exit::Io,
    }
}
