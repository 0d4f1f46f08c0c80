//! Groups inputs into sources: by kind for a run, or by file and machine for a conversion. A conversion reads each
//! group whole or starts over, so groups have names and identities that persist between runs.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SourceError;
use super::codec::{self, Content};
use super::directory;
use super::input::{self, Input};
use super::journal::{self, JournalSettings};

/// The identity of a file at the time it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileIdentity {
    /// The path, as the user or the directory names it.
    pub path: String,
    /// The length in bytes.
    pub size: u64,
    /// The modification time, in seconds since 1970 and nanoseconds.
    pub modified: (i64, i64),
}

/// Inputs that are read as one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// A single input.
    Stream(Input),
    /// A tar archive, or a directory without journals of its own. Its logs come one after the other, then its journals
    /// in one order.
    Archive(PathBuf),
    /// A file of a directory without journals of its own: the directory, and the file. It is read as a part of the
    /// directory.
    DirectoryFile(PathBuf, PathBuf),
    /// Files and directories of journals, read in one order. Includes the journal of this machine if the settings ask
    /// for it.
    Journal(Vec<PathBuf>),
    /// Journal files of one machine, with its id.
    Machine(String, Vec<PathBuf>),
    /// Log files and patterns, each resumed from its saved position.
    Files(Vec<PathBuf>),
}

impl Group {
    /// Returns whether the inputs are files that end at their current ends, so that reading never waits.
    #[must_use]
    pub fn ends(&self) -> bool {
        match self {
            Group::Stream(Input::Stdin) => input::standard_input().is_ok_and(|file| input::is_file(&file)),
            Group::Stream(Input::File(path)) => path.metadata().is_ok_and(|metadata| metadata.is_file()),
            Group::Archive(_) | Group::DirectoryFile(..) | Group::Journal(_) | Group::Machine(..) | Group::Files(_) => {
                true
            }
        }
    }

    /// Returns whether the inputs are or may hold journals, as far as is known before reading. Pipes may.
    #[must_use]
    pub fn may_hold_journals(&self) -> bool {
        match self {
            Group::Stream(_) => !self.ends(),
            Group::Files(_) => false,
            Group::Archive(_) | Group::DirectoryFile(..) | Group::Journal(_) | Group::Machine(..) => true,
        }
    }

    /// Returns the name for users.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Group::Stream(input) => input.to_string(),
            Group::Archive(path) | Group::DirectoryFile(_, path) => path.display().to_string(),
            Group::Machine(id, _) => id.clone(),
            Group::Journal(paths) | Group::Files(paths) => match paths.as_slice() {
                [] => "journal of this machine".to_owned(),
                [path] => path.display().to_string(),
                [path, others @ ..] => format!("{} and {} more", path.display(), others.len()),
            },
        }
    }

    /// Returns the name for messages, with its paths quoted.
    #[must_use]
    pub fn quoted(&self) -> String {
        match self {
            Group::Stream(input) => input.quoted(),
            Group::Archive(path) | Group::DirectoryFile(_, path) => format!("{path:?}"),
            Group::Machine(id, _) => format!("journal of machine {id}"),
            Group::Journal(paths) | Group::Files(paths) => match paths.as_slice() {
                [] => "journal of this machine".to_owned(),
                [path] => format!("{path:?}"),
                [path, others @ ..] => format!("{path:?} and {} more", others.len()),
            },
        }
    }

    /// Returns the name for messages.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Group::Stream(Input::Stdin) => "stdin".to_owned(),
            Group::Stream(Input::File(path)) | Group::Archive(path) | Group::DirectoryFile(_, path) => text(path),
            Group::Machine(id, _) => id.clone(),
            Group::Journal(paths) | Group::Files(paths) => paths.first().map(|path| text(path)).unwrap_or_default(),
        }
    }

    /// Returns the files that the group reads.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        match self {
            Group::Stream(Input::Stdin) => &[],
            Group::Stream(Input::File(path)) | Group::Archive(path) | Group::DirectoryFile(_, path) => {
                std::slice::from_ref(path)
            }
            Group::Journal(paths) | Group::Files(paths) | Group::Machine(_, paths) => paths,
        }
    }

    /// Returns the identity of each file, or `None` if one of them cannot be read again, such as a pipe.
    #[must_use]
    pub fn identity(&self) -> Option<Vec<FileIdentity>> {
        let identity = |path: &PathBuf| {
            let metadata = path.metadata().ok().filter(|metadata| metadata.is_file())?;
            let modified = (metadata.mtime(), metadata.mtime_nsec());
            Some(FileIdentity { path: text(path), size: metadata.len(), modified })
        };
        let files = self.files();
        if files.is_empty() { None } else { files.iter().map(identity).collect() }
    }
}

/// Groups inputs by kind. Journals form one group, in the place of the first. With `live`, log files form one group
/// too, and a directory without journals counts as a future journal directory.
#[must_use]
pub fn group_inputs(inputs: &[Input], settings: &JournalSettings, live: bool) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut files = Vec::new();
    let mut journals: Vec<PathBuf> = Vec::new();
    let mut place = settings.of_this_machine.then_some(0);
    for input in inputs {
        let path = input.path();
        match input::content_of(input) {
            Some(content) if content == Content::Journal || live && path.is_dir() => {
                place.get_or_insert(groups.len());
                journals.push(path.to_owned());
            }
            Some(_) => groups.push(Group::Archive(path.to_owned())),
            None if live && is_log_file(path) => files.push(path.to_owned()),
            None => groups.push(Group::Stream(input.clone())),
        }
    }
    if let Some(place) = place {
        groups.insert(place, Group::Journal(journals));
    }
    if !files.is_empty() {
        groups.push(Group::Files(files));
    }
    groups
}

/// Returns whether a path is a file, or missing and therefore a possible future file. Pipes and devices are neither.
fn is_log_file(path: &Path) -> bool {
    path != Path::new("/dev/stdin") && path.metadata().is_ok_and(|metadata| metadata.is_file()) || !path.exists()
}

/// Groups inputs for a conversion, in order of first appearance. Also returns the errors. Journal files of one machine
/// form one group, wherever they are. A journal file without a machine id forms its own.
#[must_use]
pub fn group_by_machine(inputs: &[Input], settings: &JournalSettings) -> (Vec<Group>, Vec<SourceError>) {
    let mut units = Vec::new();
    let mut errors = Vec::new();
    let mut add = |units: &mut Vec<Group>, inputs: &[PathBuf], settings: &JournalSettings| {
        let (found, failed) = journal::paths(inputs, settings);
        errors.extend(failed);
        for path in found {
            let Some(id) = machine_id(&path) else {
                units.push(Group::Journal(vec![path]));
                continue;
            };
            let known = units.iter_mut().find_map(|unit| match unit {
                Group::Machine(known, paths) if *known == id => Some(paths),
                _ => None,
            });
            match known {
                Some(paths) => paths.push(path),
                None => units.push(Group::Machine(id, vec![path])),
            }
        }
    };
    if settings.of_this_machine {
        add(&mut units, &[], settings);
    }
    let others = JournalSettings { of_this_machine: false, ..settings.clone() };
    for input in inputs {
        let (Input::File(path), content) = (input, input::content_of(input)) else {
            units.push(Group::Stream(input.clone()));
            continue;
        };
        match content {
            Some(Content::Journal) => add(&mut units, std::slice::from_ref(path), &others),
            Some(Content::Archive) => units.push(Group::Archive(path.clone())),
            None => units.push(Group::Stream(input.clone())),
        }
    }
    (units, errors)
}

/// Groups inputs for a check, in their order: each file of a directory forms a group. Also returns the errors of the
/// journal of this machine. A directory without readable files, or with journals that are not accessible, forms one
/// group, so that reading it reports the errors.
#[must_use]
pub fn group_by_file(inputs: &[Input], settings: &JournalSettings) -> (Vec<Group>, Vec<SourceError>) {
    let mut groups = Vec::new();
    let mut errors = Vec::new();
    let each = |paths: Vec<PathBuf>| paths.into_iter().map(|path| Group::Journal(vec![path]));
    if settings.of_this_machine {
        let (found, failed) = journal::paths(&[], settings);
        groups.extend(each(found));
        errors.extend(failed);
    }
    let others = JournalSettings { of_this_machine: false, ..settings.clone() };
    for input in inputs {
        let path = input.path();
        match input::content_of(input) {
            Some(Content::Journal) => match journal::paths(&[path.to_owned()], &others) {
                (found, failed) if failed.is_empty() => groups.extend(each(found)),
                _ => groups.push(Group::Journal(vec![path.to_owned()])),
            },
            Some(Content::Archive) => {
                let files = if path.is_dir() { directory::readable_files(path) } else { Vec::new() };
                if files.is_empty() {
                    groups.push(Group::Archive(path.to_owned()));
                }
                groups.extend(files.into_iter().map(|file| Group::DirectoryFile(path.to_owned(), file)));
            }
            None => groups.push(Group::Stream(input.clone())),
        }
    }
    (groups, errors)
}

/// Returns the machine id in a journal file's header (systemd: `docs/JOURNAL_FILE_FORMAT.md`).
fn machine_id(path: &Path) -> Option<String> {
    let head = codec::journal_head(Box::new(File::open(path).ok()?))?;
    let id: [u8; 16] = head.get(40..56)?.try_into().ok()?;
    let text = format!("{:032x}", u128::from_be_bytes(id));
    (id != [0; 16]).then_some(text)
}

/// Returns distinct names for paths: the file name of a log, or its whole path if others share the name; the id of a
/// machine.
#[must_use]
pub fn distinct_names(units: &[Group]) -> Vec<String> {
    let whole: Vec<String> = units.iter().map(Group::label).collect();
    let short = |name: &String| name.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default().to_owned();
    let mut names: Vec<String> = whole.iter().map(short).collect();
    let mut counts = std::collections::HashMap::<String, usize>::new();
    names.iter().for_each(|name| *counts.entry(name.clone()).or_default() += 1);
    for (name, whole) in names.iter_mut().zip(&whole) {
        if counts.get(name).is_some_and(|count| *count > 1) {
            name.clone_from(whole);
        }
    }
    let mut taken: HashSet<String> = HashSet::new();
    for name in &mut names {
        let base = name.clone();
        let mut copy = 2;
        while !taken.insert(name.clone()) {
            *name = format!("{base}-{copy}");
            copy += 1;
        }
    }
    names
}

/// Returns a path as text. A path that is not UTF-8 is quoted with escapes.
fn text(path: &Path) -> String {
    path.to_str().map_or_else(|| format!("{path:?}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(path: &str) -> Group {
        Group::Stream(Input::from(PathBuf::from(path)))
    }

    #[test]
    fn no_two_are_called_the_same() {
        let machine = Group::Machine("0123".to_owned(), vec!["a.journal".into(), "b.journal".into()]);
        let units = [stream("a/kata.log"), stream("b/kata.log"), stream("x/y.log"), stream("-"), machine];
        assert_eq!(distinct_names(&units), ["a/kata.log", "b/kata.log", "y.log", "stdin", "0123"]);
        assert_eq!(distinct_names(&[stream("a"), stream("a"), stream("a-2")]), ["a", "a-2", "a-2-2"]);
    }

    #[test]
    fn a_file_is_known_by_size_and_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        std::fs::write(&path, "one").unwrap();
        let unit = Group::Stream(Input::File(path.clone()));
        let before = unit.identity().unwrap();
        assert_eq!(unit.identity().unwrap(), before);
        std::fs::write(&path, "more").unwrap();
        assert_ne!(unit.identity().unwrap(), before);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(unit.identity(), None);
        assert_eq!(stream("-").identity(), None);
        assert_eq!(stream("/dev/null").identity(), None);
    }
}
