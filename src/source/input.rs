//! Inputs as the user names them, and a first look at their content.

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::codec::{self, Content};
use super::files;
use super::journal;

/// An input as the user names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Standard input, written `-`.
    Stdin,
    /// A file, a named pipe or a device.
    File(PathBuf),
}

impl Input {
    /// Returns whether the input is a pattern that matches a file. The file need not exist.
    #[must_use]
    pub fn is_pattern_of(&self, file: &Path) -> bool {
        let Input::File(pattern) = self else { return false };
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_default();
        let pattern = if files::is_pattern(pattern) { absolute(pattern) } else { return false };
        let pattern = pattern.to_str().and_then(|pattern| glob::Pattern::new(pattern).ok());
        pattern.is_some_and(|pattern| pattern.matches_path(&absolute(file)))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Input::Stdin => Path::new("/dev/stdin"),
            Input::File(path) => path,
        }
    }

    /// Returns the name of the input among others.
    pub(super) fn name(&self) -> PathBuf {
        match self {
            Input::Stdin => PathBuf::from("-"),
            Input::File(path) => path.clone(),
        }
    }

    /// Returns the name for messages.
    #[must_use]
    pub fn quoted(&self) -> String {
        match self {
            Input::Stdin => "standard input".to_owned(),
            Input::File(path) => format!("{path:?}"),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Stdin => f.write_str("-"),
            Input::File(path) => path.display().fmt(f),
        }
    }
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" { Input::Stdin } else { Input::File(path) }
    }
}

impl FromStr for Input {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(PathBuf::from(text).into())
    }
}

/// Opens a file of our own on the descriptor of standard input. The standard library's handle would buffer, which hides
/// the length of each read.
pub(crate) fn standard_input() -> io::Result<File> {
    io::stdin().as_fd().try_clone_to_owned().map(File::from)
}

/// Returns whether standard input is a pipe, or a file that is not empty.
#[must_use]
pub fn stdin_has_content() -> bool {
    let metadata = standard_input().and_then(|file| file.metadata());
    metadata.is_ok_and(|found| found.file_type().is_fifo() || found.is_file() && found.len() > 0)
}

/// Opens a regular file that a directory or a pattern named. If something else has taken its
/// place meanwhile, the file is gone.
pub(super) fn open_found(path: &Path) -> io::Result<File> {
    let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::RDONLY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP | Errno::NXIO) => return Err(io::ErrorKind::NotFound.into()),
        Err(error) => return Err(error.into()),
    };
    if is_file(&file) { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

pub(super) fn is_file(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file())
}

/// Returns the content of an input that is not a log. A directory counts as a journal or an archive; a file is detected
/// by its first bytes. Returns `None` for logs, and for inputs that can be read only once.
pub(super) fn content_of(input: &Input) -> Option<Content> {
    let path = input.path();
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            Some(if journal::is_at(path) { Content::Journal } else { Content::Archive })
        }
        // Opening a pipe may block, and reading it would consume its bytes.
        Ok(metadata) if metadata.is_file() => match File::open(path) {
            Ok(file) => codec::detect_content(Box::new(file)),
            // An unreadable file is classified by name, so that the message is the one for journals.
            Err(_) => {
                let journal =
                    path.extension().is_some_and(|extension| extension == "journal" || extension == "journal~");
                journal.then_some(Content::Journal)
            }
        },
        _ => None,
    }
}
