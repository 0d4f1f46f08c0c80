//! The inputs of a conversion, one by one: each log file, and the journal files of each machine. Such a unit is read whole
//! or begun anew, so here is also what it is known by from one run to the next.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SourceError;
use super::codec::{self, Content};
use super::journal::{self, JournalSettings};
use super::open::{self, Group, Input};
use kata_records::digits;

/// A file as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Its path, as the user or the directory names it.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was changed last, in seconds since 1970 and nanoseconds.
    pub modified: (i64, i64),
}

/// The units of the inputs, in the order in which they are met first, and what of the inputs cannot be read. Journal files
/// of one machine are one unit, wherever they are; one whose header does not say whose it is is one by itself.
#[must_use]
pub fn units(inputs: &[Input], settings: &JournalSettings) -> (Vec<Group>, Vec<SourceError>) {
    let mut units = Vec::new();
    let mut errors = Vec::new();
    let mut add = |units: &mut Vec<Group>, inputs: &[PathBuf], settings: &JournalSettings| {
        let (found, failed) = journal::paths(inputs, settings);
        errors.extend(failed);
        for path in found {
            let Some(id) = machine(&path) else {
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
        let (Input::File(path), content) = (input, open::content_of(input)) else {
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

/// The id of the machine that a journal file is of, as its header says (systemd: `docs/JOURNAL_FILE_FORMAT.md`).
fn machine(path: &Path) -> Option<String> {
    let head = codec::head_of_journal(Box::new(File::open(path).ok()?))?;
    let id: [u8; 16] = head.get(40..56)?.try_into().ok()?;
    let text = String::from_utf8(digits::of_id(&id).to_vec()).ok()?;
    (id != [0; 16]).then_some(text)
}

/// What units are called in paths: log files by the last name of theirs, or by the whole path where others have the same,
/// machines by their ids. No two are called the same.
#[must_use]
pub fn names(units: &[Group]) -> Vec<String> {
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

impl Group {
    /// What it is called in messages.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Group::Stream(Input::Stdin) => "stdin".to_owned(),
            Group::Stream(Input::File(path)) | Group::Archive(path) => text(path),
            Group::Machine(id, _) => id.clone(),
            Group::Journal(paths) | Group::Files(paths) => paths.first().map(|path| text(path)).unwrap_or_default(),
        }
    }

    /// The files that it is read from.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        match self {
            Group::Stream(Input::Stdin) => &[],
            Group::Stream(Input::File(path)) | Group::Archive(path) => std::slice::from_ref(path),
            Group::Journal(paths) | Group::Files(paths) | Group::Machine(_, paths) => paths,
        }
    }

    /// What its files are known by; none where one of them is no file that can be read again, such as a pipe.
    #[must_use]
    pub fn identity(&self) -> Option<Vec<Identity>> {
        let identity = |path: &PathBuf| {
            let metadata = path.metadata().ok().filter(|metadata| metadata.is_file())?;
            let modified = (metadata.mtime(), metadata.mtime_nsec());
            Some(Identity { path: text(path), size: metadata.len(), modified })
        };
        let files = self.files();
        if files.is_empty() { None } else { files.iter().map(identity).collect() }
    }
}

/// A path as text, with escapes in quotes where it is none.
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
        assert_eq!(names(&units), ["a/kata.log", "b/kata.log", "y.log", "stdin", "0123"]);
        assert_eq!(names(&[stream("a"), stream("a"), stream("a-2")]), ["a", "a-2", "a-2-2"]);
    }

    #[test]
    fn a_file_is_known_by_size_and_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
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
