//! The errors of an output directory.

use std::io;
use std::path::PathBuf;

use super::MANIFEST;
use crate::delivery::checkpoint::CheckpointError;
use crate::exit::Exit;
use crate::sink::SinkError;

/// An error of the output directory.
#[derive(Debug, thiserror::Error)]
pub enum OutputDirError {
    /// The directory cannot be locked.
    #[error(transparent)]
    Lock(#[from] CheckpointError),
    /// Another process uses the directory.
    #[error("--output-dir: {path:?} is in use by another katalog; wait until it ends, or name another directory")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The directory is a file.
    #[error("--output-dir: {path:?} is a file, not a directory; name a directory, or move the file away")]
    NotADirectory {
        /// The file.
        path: PathBuf,
    },
    /// The directory or the work directory in it cannot be created.
    #[error("--output-dir: cannot create {path:?}: {source}; name a directory that katalog can write to")]
    Create {
        /// The directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A file or directory cannot be read, written or renamed.
    #[error("--output-dir: {path:?}: {source}")]
    Work {
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The directory holds an interrupted run.
    #[error(
        "--output-dir: {path:?} holds an interrupted conversion; complete it with --resume, or begin anew with \
         --force"
    )]
    Interrupted {
        /// The directory.
        path: PathBuf,
    },
    /// The interrupted run had other settings or inputs.
    #[error(
        "--resume: {path:?} holds an interrupted conversion, but {what}; give the same options and inputs, or begin \
         anew with --force"
    )]
    Differs {
        /// The directory.
        path: PathBuf,
        /// The differences.
        what: String,
    },
    /// The finished run had other settings or inputs, or its files have changed.
    #[error(
        "--resume: {path:?} holds a finished conversion, but {what}; replace its files with --force, or name another \
         --output-dir"
    )]
    FinishedDiffers {
        /// The directory.
        path: PathBuf,
        /// The differences.
        what: String,
    },
    /// Inputs of the finished run failed, and nothing has changed since.
    #[error(
        "--resume: {path:?} holds the finished conversion, but these inputs failed: {inputs}; to read all inputs \
         again, use --force"
    )]
    InputsFailed {
        /// The directory.
        path: PathBuf,
        /// The inputs.
        inputs: String,
        /// The exit code of the finished run.
        exit: Exit,
    },
    /// The directory has files, but katalog does not know whose.
    #[error(
        "--resume: {path:?} has files, such as {file:?}, but there is no manifest ({MANIFEST}) that names their options \
         and inputs; leave --resume out to add files, replace files with --force, or name another --output-dir"
    )]
    NoManifest {
        /// The directory.
        path: PathBuf,
        /// The name of one of the files.
        file: String,
    },
    /// The state of a run, its manifest or one of its files is damaged, or of another version.
    #[error("--output-dir: {path:?} cannot be used: {cause}; begin anew with --force")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The defect.
        cause: String,
    },
    /// A file of this name exists.
    #[error(
        "--output-dir: {path:?} is there already and is not replaced; move it away{go_on}, or begin anew with \
         --force, which replaces it", go_on = if *.begun { " and continue with --resume" } else { "" }
    )]
    Exists {
        /// The file.
        path: PathBuf,
        /// An interrupted run can be resumed.
        begun: bool,
    },
    /// The file is also an input.
    #[error("--output-dir: {path:?} is also an input, {input:?}; write into another directory")]
    SameFile {
        /// The file.
        path: PathBuf,
        /// The input.
        input: PathBuf,
    },
}

impl OutputDirError {
    /// Returns the exit code of the program for the error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            OutputDirError::Lock(error) => error.exit(),
            OutputDirError::InUse { .. } => Exit::Busy,
            OutputDirError::Sink(error) => error.exit(),
            OutputDirError::Create { source, .. } | OutputDirError::Work { source, .. } => {
                Exit::from_write_error(source)
            }
            OutputDirError::InputsFailed { exit, .. } => *exit,
            OutputDirError::Damaged { .. } => Exit::Data,
            OutputDirError::NotADirectory { .. }
            | OutputDirError::Interrupted { .. }
            | OutputDirError::Differs { .. }
            | OutputDirError::FinishedDiffers { .. }
            | OutputDirError::NoManifest { .. }
            | OutputDirError::Exists { .. }
            | OutputDirError::SameFile { .. } => Exit::Usage,
        }
    }
}
