//! The state of a conversion, for a run that resumes it. It is one file, which is replaced as a whole.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::OutputDirError;
use crate::delivery::checkpoint;
use crate::source::{FileIdentity, Group};

/// The version of the layout. Files of another version are refused.
const VERSION: u32 = 1;

/// The name of the state file.
const STATE: &str = "state.json";

/// The maximum length of values in messages. Longer values are left out.
const MAX_SHOWN_VALUE: usize = 60;

/// The content of the state file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConversionState {
    /// The version of the layout. The key also tells which program the file belongs to.
    pub(super) katalog_tree: u32,
    /// The settings that determine the bytes of the output, by their keys.
    pub(super) settings: BTreeMap<String, String>,
    /// The labels of the inputs, in order.
    pub(super) inputs: Vec<String>,
    /// The file identities of the finished inputs, which are the first ones.
    pub(super) finished: Vec<Vec<FileIdentity>>,
    /// The files of the output, by number.
    pub(super) parts: Vec<OutputFile>,
    /// Existing files may be replaced.
    pub(super) force: bool,
    /// All inputs are read, and files get their final names.
    pub(super) complete: bool,
    /// The exit code of the first input that failed.
    pub(super) failure: Option<u8>,
    /// The number of records of the finished inputs, and the number of flaws and damages.
    pub(super) written: u64,
    pub(super) flawed: u64,
}

/// A file of the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutputFile {
    /// The path in the directory, with extension.
    pub(super) path: String,
    /// The length in bytes.
    pub(super) length: u64,
}

impl ConversionState {
    pub(super) fn new(settings: BTreeMap<String, String>, inputs: Vec<String>, force: bool) -> ConversionState {
        ConversionState { katalog_tree: VERSION, settings, inputs, force, ..ConversionState::default() }
    }

    /// Reads the state of an earlier run. Returns `None` without one.
    pub(super) fn read(directory: &Path) -> Result<Option<ConversionState>, OutputDirError> {
        let path = directory.join(STATE);
        match fs::read(&path) {
            Ok(bytes) => parse(&bytes).map(Some).map_err(|cause| OutputDirError::Damaged { path, cause }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(OutputDirError::Work { path, source }),
        }
    }

    /// Returns true if there is a state file, readable or not.
    pub(super) fn exists(directory: &Path) -> bool {
        directory.join(STATE).symlink_metadata().is_ok()
    }

    pub(super) fn remove(directory: &Path) -> io::Result<()> {
        fs::remove_file(directory.join(STATE))
    }

    /// Replaces the state file.
    pub(super) fn save(&self, directory: &Path) -> Result<(), OutputDirError> {
        let text = serde_json::to_vec(self).map_err(io::Error::from);
        text.and_then(|text| checkpoint::replace(directory, STATE, &text))
            .map_err(|source| OutputDirError::Work { path: directory.join(STATE), source })
    }

    /// Returns the first difference between this state and the settings and inputs of a run. A difference prevents
    /// resuming.
    pub(super) fn difference(&self, settings: &BTreeMap<String, String>, groups: &[Group]) -> Option<String> {
        for key in self.settings.keys().chain(settings.keys()) {
            let [was, is] = [&self.settings, settings].map(|all| all.get(key).map_or("", String::as_str));
            if was != is {
                let short = was.len() <= MAX_SHOWN_VALUE && is.len() <= MAX_SHOWN_VALUE;
                let values = if short { format!(" ({was:?} then, {is:?} now)") } else { String::new() };
                return Some(format!("{key} is another one{values}"));
            }
        }
        let labels: Vec<String> = groups.iter().map(Group::label).collect();
        if labels != self.inputs {
            let at = labels.iter().zip(&self.inputs).take_while(|(is, was)| is == was).count();
            let input = |all: &[String]| all.get(at).map_or("none".to_owned(), |label| format!("{label:?}"));
            let number = at + 1;
            return Some(format!(
                "input {number} is another one ({} then, {} now)",
                input(&self.inputs),
                input(&labels)
            ));
        }
        for (group, was) in groups.iter().zip(&self.finished) {
            let is = group.identity().unwrap_or_default();
            if let Some(file) = was.iter().find(|file| !is.contains(file)) {
                return Some(format!("{:?} has changed since it was read", file.path));
            }
            if let Some(file) = is.iter().find(|file| !was.contains(file)) {
                return Some(format!("{:?} is new among the files of an input that was read", file.path));
            }
        }
        None
    }
}

fn parse(bytes: &[u8]) -> Result<ConversionState, String> {
    // The version comes first, because another version may have other fields.
    #[derive(Deserialize)]
    struct VersionOnly {
        katalog_tree: u32,
    }
    let head: VersionOnly = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if head.katalog_tree != VERSION {
        return Err(format!("it has version {}, and this katalog knows only {VERSION}", head.katalog_tree));
    }
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Input;

    fn settings(format: &str) -> BTreeMap<String, String> {
        [("format".to_owned(), format.to_owned()), ("keep".to_owned(), "[]".to_owned())].into()
    }

    #[test]
    fn what_differs_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let group = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, name).unwrap();
            Group::Stream(Input::File(path))
        };
        let groups = [group("a"), group("b")];
        let labels = groups.iter().map(Group::label).collect();
        let mut state = ConversionState::new(settings("csv"), labels, false);
        state.finished.push(groups[0].identity().unwrap());
        assert_eq!(state.difference(&settings("csv"), &groups), None);
        let difference =
            |settings: &BTreeMap<String, String>, groups: &[Group]| state.difference(settings, groups).unwrap();
        assert_eq!(difference(&settings("text"), &groups), "format is another one (\"csv\" then, \"text\" now)");
        assert!(difference(&settings("csv"), &groups[..1]).contains("input 2 is another one"));
        assert!(
            difference(&settings("csv"), &[groups[1].clone(), groups[0].clone()]).contains("input 1 is another one")
        );
        fs::write(folder.path().join("b"), "not finished").unwrap();
        assert_eq!(state.difference(&settings("csv"), &groups), None);
        fs::write(folder.path().join("a"), "other").unwrap();
        assert!(difference(&settings("csv"), &groups).contains("a\" has changed"));
        fs::remove_file(folder.path().join("a")).unwrap();
        assert!(difference(&settings("csv"), &groups).contains("a\" has changed"));
    }

    #[test]
    fn what_is_no_state_is_named() {
        for (content, says) in [
            ("", "EOF"),
            ("{}", "missing field `katalog_tree`"),
            ("{\"katalog_tree\":2}", "version 2"),
            ("{\"katalog_tree\":1}", "missing field"),
            ("\0\0\0", "expected value"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(STATE), content).unwrap();
            let error = ConversionState::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("--force"), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ConversionState::read(folder.path()).unwrap(), None);
        let state = ConversionState::new(settings("csv"), vec!["a".to_owned()], true);
        state.save(folder.path()).unwrap();
        assert_eq!(ConversionState::read(folder.path()).unwrap(), Some(state));
    }
}
