//! The inputs of a conversion as its state and its manifest name them, and their identity.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::source::{FileIdentity, Group};

/// An input of a conversion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputRecord {
    /// The path as the user named it, or the id of a machine.
    pub(super) name: String,
    /// The files of the input before it was read. `None` if the input is unread, unreadable or a pipe.
    pub(super) files: Option<Vec<FileIdentity>>,
    /// The exit code of the input, if it failed.
    pub(super) failure: Option<u8>,
}

impl InputRecord {
    /// Returns the record of an input that is not read yet.
    pub(super) fn unread(group: &Group) -> InputRecord {
        InputRecord { name: group.label(), ..InputRecord::default() }
    }
}

/// Returns the identity of each file of an input, of a directory those of all files below it except below `output`.
/// Returns `None` if a file cannot be read, or cannot be read twice.
pub(super) fn identity(group: &Group, output: &Path) -> Option<Vec<FileIdentity>> {
    match group {
        Group::Archive(path) if path.is_dir() => {
            let paths = files_below(path, output).ok()?;
            if paths.is_empty() { Some(Vec::new()) } else { Group::Files(paths).identity() }
        }
        _ => group.identity(),
    }
}

/// Lists the files below a directory in order of name. Like the source, it follows no links.
fn files_below(directory: &Path, output: &Path) -> io::Result<Vec<PathBuf>> {
    let output = output.metadata().ok().map(|found| (found.dev(), found.ino()));
    let mut files = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let found = path.symlink_metadata()?;
            if found.is_file() {
                files.push(path);
            } else if found.is_dir() && output != Some((found.dev(), found.ino())) {
                pending.push(path);
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}
