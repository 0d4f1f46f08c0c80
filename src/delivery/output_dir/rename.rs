//! Renames the files of a conversion to their final names, once all files are complete. All names are checked before
//! the first rename.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::OutputDirError;
use crate::sink::files::sync_directory;

/// Checks a final name: no file has it, or the file may be replaced and is no input.
pub(super) fn check_target(path: &Path, force: bool, begun: bool, inputs: &[PathBuf]) -> Result<(), OutputDirError> {
    let Ok(found) = path.symlink_metadata() else { return Ok(()) };
    let at = |metadata: &Metadata| (metadata.dev(), metadata.ino());
    // A rename replaces a link, and not the target of the link. But a link that is given as an input counts as the
    // input.
    let same = |input: &PathBuf| {
        input.symlink_metadata().is_ok_and(|input| at(&input) == at(&found))
            || input.metadata().is_ok_and(|input| at(&input) == at(&found))
    };
    if let Some(input) = inputs.iter().find(|input| same(input)) {
        return Err(OutputDirError::SameFile { path: path.to_owned(), input: input.clone() });
    }
    if found.is_dir() {
        let source = io::Error::from(io::ErrorKind::IsADirectory);
        return Err(OutputDirError::Work { path: path.to_owned(), source });
    }
    if force { Ok(()) } else { Err(OutputDirError::Exists { path: path.to_owned(), begun }) }
}

/// Renames files below `directory`. A file that is missing was renamed by an earlier run.
pub(super) fn rename_all(
    directory: &Path,
    files: &[(PathBuf, PathBuf)],
    check: impl Fn(&Path) -> Result<(), OutputDirError>,
) -> Result<(), OutputDirError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OutputDirError::Work { path, source }
    };
    let device = directory.metadata().map_err(failed(directory))?.dev();
    let left: Vec<&(PathBuf, PathBuf)> = files.iter().filter(|(from, _)| from.exists()).collect();
    let mut folders = BTreeSet::from([directory]);
    for (_, to) in &left {
        check(to)?;
        let above = || to.ancestors().skip(1).take_while(|folder| folder.starts_with(directory));
        folders.extend(above());
        // New directories are created in the nearest directory that exists.
        let there = above().find_map(|folder| Some((folder, folder.metadata().ok()?)));
        match there {
            Some((folder, metadata)) if !metadata.is_dir() => {
                return Err(failed(folder)(io::ErrorKind::NotADirectory.into()));
            }
            Some((folder, metadata)) if metadata.dev() != device => {
                return Err(failed(folder)(io::ErrorKind::CrossesDevices.into()));
            }
            _ => {}
        }
    }
    // The set is sorted, so each directory comes before its subdirectories.
    for folder in &folders {
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(folder)(error)),
            _ => {}
        }
    }
    for (from, to) in left {
        fs::rename(from, to).map_err(failed(to))?;
    }
    folders.iter().rev().try_for_each(|folder| sync_directory(folder).map_err(failed(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_renamed_where_one_name_cannot_be_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let make = |name: &str| fs::write(path(name), name).unwrap();
        let files = [(path("0"), path("a/x")), (path("1"), path("b")), (path("2"), path("a/y/z"))];
        ["0", "1", "2", "b"].into_iter().for_each(make);
        let rename = |force| rename_all(folder.path(), &files, |path| check_target(path, force, true, &[]));
        assert!(matches!(rename(false), Err(OutputDirError::Exists { path, .. }) if path.ends_with("b")));
        assert!(path("0").exists() && !path("a").exists());
        make("a");
        assert!(matches!(rename(true), Err(OutputDirError::Work { path, .. }) if path.ends_with("a")));
        assert!(path("0").exists());
        fs::remove_file(path("a")).unwrap();
        rename(true).unwrap();
        for (name, content) in [("a/x", "0"), ("b", "1"), ("a/y/z", "2")] {
            assert_eq!(fs::read_to_string(path(name)).unwrap(), content);
        }
        assert!(!path("0").exists());
        rename(false).unwrap();
    }

    #[test]
    fn an_input_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("in"), "").unwrap();
        std::os::unix::fs::symlink(path("in"), path("link")).unwrap();
        for (name, input) in [("in", "in"), ("in", "link"), ("link", "link")] {
            let found = check_target(&path(name), true, false, &[path(input)]);
            assert!(matches!(found, Err(OutputDirError::SameFile { .. })), "{name} {input}");
        }
        check_target(&path("other"), false, false, &[path("in")]).unwrap();
        check_target(&path("in"), true, false, &[path("other")]).unwrap();
        assert!(check_target(folder.path(), true, false, &[]).is_err());
    }
}
