//! Renames the files of a conversion to their final names, once all files are complete. All names are checked before
//! the first rename.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::OutputDirError;
use crate::sink::{Directory, Privacy};

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

/// Renames files of `parts` to paths below `output`. A file that is missing was renamed by an earlier run.
pub(super) fn rename_all(
    parts: &Directory,
    output: &Directory,
    files: &[(String, &Path)],
    check: impl Fn(&Path) -> Result<(), OutputDirError>,
) -> Result<(), OutputDirError> {
    let failed = |below: &Path| {
        let path = output.path().join(below);
        move |source| OutputDirError::Work { path, source }
    };
    let mut left = Vec::new();
    for (from, to) in files {
        if parts.length(Path::new(from)).map_err(failed(to))?.is_some() {
            left.push((from, *to));
        }
    }
    let device = output.device().map_err(failed(Path::new("")))?;
    let mut folders = BTreeSet::new();
    for (_, to) in &left {
        check(to)?;
        let above = to.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        folders.extend(above);
    }
    // The set is sorted, so each directory comes before its subdirectories.
    for folder in &folders {
        match output.folder(folder) {
            Ok(found) if found.device().map_err(failed(folder))? != device => {
                return Err(failed(folder)(io::ErrorKind::CrossesDevices.into()));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(folder)(error)),
            _ => {}
        }
    }
    for folder in &folders {
        output.create_folder(folder, Privacy::Umask).map_err(failed(folder))?;
    }
    for (from, to) in left {
        let above = to.parent().filter(|above| !above.as_os_str().is_empty());
        let folder = above.map(|above| output.folder(above)).transpose().map_err(failed(to))?;
        let name = to.file_name().unwrap_or_default();
        parts.rename(from, folder.as_ref().unwrap_or(output), name).map_err(failed(to))?;
    }
    for folder in folders.iter().rev() {
        output.folder(folder).and_then(|folder| folder.sync()).map_err(failed(folder))?;
    }
    output.sync().map_err(failed(Path::new("")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn nothing_is_renamed_where_one_name_cannot_be_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let make = |name: &str| fs::write(path(name), name).unwrap();
        let files = [("0", "a/x"), ("1", "b"), ("2", "a/y/z")].map(|(from, to)| (from.to_owned(), Path::new(to)));
        let directory = Directory::open(folder.path()).unwrap();
        ["0", "1", "2", "b"].into_iter().for_each(make);
        let rename = |force| {
            rename_all(&directory, &directory, &files, |below| {
                check_target(&folder.path().join(below), force, true, &[])
            })
        };
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
