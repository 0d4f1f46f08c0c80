//! Errors of whole inputs, as messages that say what to do. Problems inside entries are flaws, not errors.

use std::io;

use thiserror::Error;

use super::codec::{Codec, Fault, ForeignFormat, MEMORY_LIMIT};
use super::input::Input;
use crate::exit::Exit;

/// The reason why an input could not be opened or read. Messages include their causes, so no error has a `source()`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The input could not be opened.
    #[error("failed to open {} for reading: {cause}{}", .input.quoted(), access_advice(cause))]
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
        /// The advice to the user.
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
        "failed to read {}: it is a directory without journals and without files that are logs by their names, such as \
         kata.log or messages; name the files to read",
        .input.quoted()
    )]
    Directory {
        /// The input.
        input: Input,
    },
    /// A followed log file turned out to be a journal file.
    #[error(
        "failed to read {}: it is a systemd journal file, and here only log files are followed; name the journal, or its \
         directory, as an input of its own",
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
    #[error(
        "cannot follow with --journal-backend libsystemd: only katalog's own reader follows journals; leave out \
         --journal-backend"
    )]
    FollowedByLibsystemd,
    /// This machine has no journal.
    #[error(
        "this machine has no journal files in /run/log/journal and /var/log/journal; in a container, mount these \
         directories of the host; else name the files or directories to read, or another --namespace"
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
        "failed to read {}: --journal-backend libsystemd needs libsystemd, which this build leaves out; leave out \
         --journal-backend, or build katalog with the cargo feature `libsystemd`",
        .input.quoted()
    )]
    MissingLibsystemd {
        /// The input.
        input: Input,
    },
    /// The input is not a journal, but the output format shows only journal entries.
    #[error(
        "failed to read {}: it is no journal file, and --format export and journal-json show only entries of journal \
         files; leave out --format to read it as a log",
        .input.quoted()
    )]
    NoJournal {
        /// The input.
        input: Input,
    },
    /// A flag holds for journals only, and the input is none.
    #[error(
        "{flag}: {} is no journal file, and {} journals only; {}",
        .input.quoted(), holds_for(flag), refused_advice(flag, .others_of.as_ref())
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
        "cannot follow {} beside the other inputs: a followed input has no end, so no other would ever be read; run one \
         katalog for the journals, one for the log files, and one for each pipe",
        .input.quoted()
    )]
    NotFollowed {
        /// The input.
        input: Input,
    },
    /// An archive cannot be followed or resumed.
    #[error(
        "cannot follow or resume {}: it is an archive, which is read once, as a whole; read it with `katalog print` or \
         `katalog convert`, or deliver it with `katalog ship --once --no-state`",
        .input.quoted()
    )]
    ArchiveFollowed {
        /// The input.
        input: Input,
    },
    /// An archive is damaged or incomplete.
    #[error(
        "failed to read {}: {cause} at offset {offset} of the archive; its other members were read; copy it again if the \
         original is whole",
        .input.quoted()
    )]
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
        "failed to unpack {}: {cause}; compressed journals are unpacked in {:?}; set TMPDIR to another directory",
        .input.quoted(), std::env::temp_dir()
    )]
    Unpack {
        /// The input.
        input: Input,
        /// The error from the system.
        cause: io::Error,
    },
    /// A compressed journal unpacks to more bytes than journald ever writes.
    #[error(
        "failed to unpack {}: it unpacks to more than {most} bytes, the larger of 1 GiB and {} times the compressed size; \
         if that is right, unpack it yourself and name the result",
        .input.quoted(), super::temp_file::MAX_RATIO
    )]
    Oversized {
        /// The input.
        input: Input,
        /// The limit in bytes.
        most: u64,
    },
    /// Reading failed.
    #[error("failed to read {} at offset {offset}: {cause}; the entries before it were read", .input.quoted())]
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
        "failed to read {}: its {codec} data is damaged or cut off: {cause}; the {offset} bytes before the damage were \
         read; test it with `{} -t {}`, and copy it again if the original is whole",
        .input.quoted(), .codec.tool(), shell_name(.input)
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
    /// Decompression needs too much memory.
    #[error(
        "failed to read {}: its {codec} data and the archives around it need more than {} MiB of memory to decompress; run \
         `{} {} | katalog -`",
        .input.quoted(), MEMORY_LIMIT >> 20, .codec.decompressor(), shell_name(.input)
    )]
    TooLarge {
        /// The input.
        input: Input,
        /// The compression format.
        codec: Codec,
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
        "failed to read {}: it is compressed with {codec}, which this build leaves out; run `{} -dc {} | katalog -`, or \
         build katalog with the cargo feature `{}`",
        .input.quoted(), .codec.tool(), shell_name(.input), .codec.feature()
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
            Fault::TooLarge(codec) => SourceError::TooLarge { input, codec },
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
            | Self::TooLarge { .. }
            | Self::Foreign { .. }
            | Self::MissingCodec { .. } => Exit::Data,
        }
    }
}

/// Returns what to do if an input may not be opened.
fn access_advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::PermissionDenied => "; run katalog as root or as a user who may read it",
        _ => "",
    }
}

/// Returns why a pattern is not read, and what to do.
fn pattern_advice(matches: bool) -> &'static str {
    if matches {
        "; only `katalog print -f` and `katalog ship` without `--once --no-state` expand patterns, so leave out the quotes"
    } else {
        ", and no file matches it as a pattern; check the path"
    }
}

/// Returns when a flag holds for journals only.
fn holds_for(flag: &str) -> String {
    match flag {
        "--lines" => "with `ship` and `print --follow` it holds for".to_owned(),
        _ => format!("{flag} holds for"),
    }
}

/// Returns what to do about a log for which a flag does not hold.
fn refused_advice(flag: &str, others_of: Option<&Input>) -> String {
    match others_of {
        Some(input) => format!("all logs of {} are left out, unless you leave out {flag}", input.quoted()),
        None => format!("leave out {flag}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> Input {
        Input::File("a b.log".into())
    }

    #[test]
    fn messages_say_what_to_do() {
        for (error, expected) in [
            (
                SourceError::Open { input: input(), cause: io::ErrorKind::PermissionDenied.into() },
                "failed to open \"a b.log\" for reading: permission denied; run katalog as root or as a user who may read \
                 it",
            ),
            (
                SourceError::Directory { input: input() },
                "failed to read \"a b.log\": it is a directory without journals and without files that are logs by their \
                 names, such as kata.log or messages; name the files to read",
            ),
            (
                SourceError::ArchiveFollowed { input: input() },
                "cannot follow or resume \"a b.log\": it is an archive, which is read once, as a whole; read it with \
                 `katalog print` or `katalog convert`, or deliver it with `katalog ship --once --no-state`",
            ),
            (
                SourceError::Read { input: Input::Stdin, offset: 7, cause: io::ErrorKind::BrokenPipe.into() },
                "failed to read standard input at offset 7: broken pipe; the entries before it were read",
            ),
            (
                SourceError::Damaged {
                    input: Input::Stdin,
                    codec: Codec::Xz,
                    offset: 3,
                    cause: io::Error::other("bad sum"),
                },
                "failed to read standard input: its xz data is damaged or cut off: bad sum; the 3 bytes before the damage \
                 were read; test it with `xz -t FILE`, and copy it again if the original is whole",
            ),
            (
                SourceError::TooLarge { input: Input::Stdin, codec: Codec::Zstd },
                "failed to read standard input: its zstd data and the archives around it need more than 128 MiB of \
                 memory to decompress; run `zstd -dc --long=31 FILE | katalog -`",
            ),
            (
                SourceError::MissingCodec { input: Input::Stdin, codec: Codec::Zstd },
                "failed to read standard input: it is compressed with zstd, which this build leaves out; run `zstd -dc \
                 FILE | katalog -`, or build katalog with the cargo feature `zstd`",
            ),
        ] {
            assert_eq!(error.to_string(), expected);
        }
    }
}
