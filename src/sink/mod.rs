//! The outputs of bytes. A sink knows nothing of records: it takes a whole chunk, or returns the reason against it.

pub mod compress;
pub mod directory;
pub mod files;
pub mod output;
mod pager;

use std::io;
use std::path::PathBuf;

use log_clients::NetError;

use crate::exit::Exit;

pub use compress::Compression;
pub use directory::{Directory, Privacy};
pub use files::Files;
pub use output::Output;
pub use pager::{PagerError, pager_runs};

/// The result of writing a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The whole chunk is written.
    Written,
    /// The reader closed the output. This is no failure.
    Closed,
}

/// An error of an output.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The file cannot be opened for writing.
    #[error("cannot open {path:?} for writing: {source}{}", open_advice(source))]
    Open {
        /// The file, as the user named it.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The output is also an input. Reading it would never end, and truncating it would lose its content.
    #[error(
        "cannot write to {output}: it is also the input {input:?}, which would change while it is read; write to another file"
    )]
    SameFile {
        /// The output.
        output: String,
        /// The input, as the user named it.
        input: String,
    },
    /// The build leaves out the compression.
    #[error(
        "--compress {feature}: this build leaves out {feature}; choose another compression, pipe the records through \
         `{feature}`, or build katalog with the cargo feature `{feature}`"
    )]
    MissingCodec {
        /// The missing cargo feature.
        feature: &'static str,
    },
    /// A write failed.
    #[error("cannot write to {name}: {source}{}", cut_advice(*cut))]
    Write {
        /// The output.
        name: String,
        /// The error of the system.
        source: io::Error,
        /// The number of bytes of this run in the output, if the last record is not whole.
        cut: Option<u64>,
    },
}

/// Returns where the output is cut.
fn cut_advice(cut: Option<u64>) -> String {
    cut.map_or_else(String::new, |bytes| {
        format!("; its last record is cut off {bytes} bytes after the beginning of this run")
    })
}

/// Returns what to do if a file cannot be opened for writing.
fn open_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; create its directory first",
        io::ErrorKind::PermissionDenied => "; choose another file, or run katalog as a user who may write it",
        io::ErrorKind::ReadOnlyFilesystem => "; choose another file",
        _ => "",
    }
}

impl SinkError {
    /// Returns the exit code of the program for the error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            SinkError::SameFile { .. } => Exit::Usage,
            SinkError::MissingCodec { .. } => Exit::Unavailable,
            SinkError::Open { source, .. } | SinkError::Write { source, .. } => Exit::from_write_error(source),
        }
    }
}

impl From<&NetError> for Exit {
    fn from(error: &NetError) -> Exit {
        match error {
            NetError::MissingFeature { .. } | NetError::GaveUp { .. } | NetError::Stopped => Exit::Unavailable,
            _ => Exit::Config,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_end_the_program_in_their_own_ways() {
        let (server, after) = ("forward://a:24224".to_owned(), std::time::Duration::from_secs(300));
        let gave_up = NetError::GaveUp { after, server: server.clone(), cause: log_clients::Cause::Closed };
        assert_eq!(Exit::from(&gave_up), Exit::Unavailable);
        assert_eq!(Exit::from(&NetError::Stopped), Exit::Unavailable);
        let missing = NetError::MissingFeature { what: "a server with TLS".to_owned(), feature: "tls" };
        assert_eq!(Exit::from(&missing), Exit::Unavailable);
        assert_eq!(Exit::from(&NetError::NoServers), Exit::Config);
        let refused = NetError::Refused { server, cause: log_clients::Cause::WrongDigest };
        assert_eq!(Exit::from(&refused), Exit::Config);
    }
}
