//! Inputs that do not exist yet, for notices to the user.

use std::fmt;
use std::path::PathBuf;

/// An input that does not exist yet. Its [`Display`](fmt::Display) form says whether the source waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// The kind and the name of the input.
    pub(super) input: AwaitedInput,
    /// The source waits for the input. Otherwise only a later run can find it.
    pub(super) follow: bool,
}

/// The kind and the name of an input that does not exist yet, as the user named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AwaitedInput {
    /// A log file, and its directory if that does not exist either.
    File(PathBuf, Option<PathBuf>),
    /// A pattern without files, and the directory before its first wildcard if that does not exist either.
    Pattern(PathBuf, Option<PathBuf>),
    /// A directory without journal files.
    Journal(PathBuf),
    /// The journal of this machine.
    MachineJournal,
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits_for = if self.follow { "katalog waits for" } else { "the next run looks for" };
        match &self.input {
            AwaitedInput::File(path, None) => write!(f, "the file {path:?} does not exist yet; {waits_for} it"),
            AwaitedInput::File(path, Some(directory)) => write!(
                f,
                "the file {path:?} does not exist yet, nor does the directory {directory:?}; {waits_for} both"
            ),
            AwaitedInput::Pattern(pattern, None) => write!(f, "no file matches {pattern:?} yet; {waits_for} one"),
            AwaitedInput::Pattern(pattern, Some(directory)) => write!(
                f,
                "no file matches {pattern:?} yet, and the directory {directory:?} does not exist; {waits_for} both"
            ),
            AwaitedInput::Journal(path) => write!(
                f,
                "the directory {path:?} holds no journal files yet; {waits_for} them; to follow log files in it, name a \
                 pattern, as in {:?}",
                path.join("*.log")
            ),
            AwaitedInput::MachineJournal => write!(
                f,
                "/run/log/journal and /var/log/journal hold no journal files of this machine yet; {waits_for} them"
            ),
        }
    }
}
