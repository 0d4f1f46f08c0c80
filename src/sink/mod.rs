//! Where the bytes go. A sink knows nothing of records: it takes a chunk whole or says why not.

pub mod forward;
pub mod output;

use std::io;
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::source::Input;

pub use output::Output;

/// What became of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has all of it.
    Done,
    /// The receiver went away and wants nothing more; this is no failure.
    Closed,
}

/// Why a chunk could not be delivered, or the output not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The file cannot be opened for writing.
    #[error("cannot write to \"{path}\": {source}", path = path.display())]
    Open {
        /// The file, as the user named it.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Reading one's own output would never end, and emptying the file would lose what it holds.
    #[error("{output} is also an input, \"{input}\"; write to another file")]
    SameFile {
        /// The output.
        output: String,
        /// The input, as the user named it.
        input: String,
    },
    /// Writing failed half-way.
    #[error("cannot write to {name}: {source}")]
    Write {
        /// The output.
        name: String,
        /// What the system says.
        source: io::Error,
    },
}

impl SinkError {
    /// How the program ends for it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            SinkError::SameFile { .. } => Exit::Usage,
            SinkError::Open { source, .. } | SinkError::Write { source, .. } => Exit::from_write_error(source),
        }
    }
}

/// The kinds of receivers.
#[derive(Debug)]
pub enum Sink {
    /// Standard output or a file.
    Output(Output),
}

impl Sink {
    /// Opens the file, or standard output where none is named. The inputs are looked at only to see that the output is
    /// none of them.
    ///
    /// # Errors
    /// If the file cannot be opened, or the output is one of the inputs.
    pub fn open(output: Option<&Path>, inputs: &[Input]) -> Result<Sink, SinkError> {
        Output::open(output, inputs).map(Sink::Output)
    }

    /// Hands over one chunk and returns when the receiver has it.
    ///
    /// # Errors
    /// If the receiver fails in another way than by closing its end.
    pub fn deliver(&mut self, chunk: &[u8]) -> Result<Delivery, SinkError> {
        match self {
            Sink::Output(output) => output.deliver(chunk),
        }
    }
}
