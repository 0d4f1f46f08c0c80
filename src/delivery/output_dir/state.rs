//! The state of a conversion, for a run that resumes it. It is one file, which is replaced as a whole. When all files
//! have their names, the state is renamed to the manifest of the directory. So one rename ends the conversion.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::differences::{self, Phase};
use super::input_record::InputRecord;
use super::{MANIFEST, OutputDirError};
use crate::sink::{Directory, Privacy};
use crate::source::Group;

/// The version of the layout. Files of another version are refused.
const VERSION: u32 = 1;

/// The maximum size of a state. Each input file and each output file needs a few hundred bytes.
const MAX_STATE: u64 = 1 << 30;

/// The name of the state file.
const STATE: &str = "state.json";

/// The content of the state file, and of the manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConversionState {
    /// The version of the layout. The key also tells which program the file belongs to.
    pub(super) katalog_conversion: u32,
    /// The settings that determine the bytes of the output, by their keys.
    pub(super) settings: BTreeMap<String, String>,
    /// The inputs, in order.
    pub(super) inputs: Vec<InputRecord>,
    /// The number of inputs that need not be read again. They are the first ones.
    pub(super) finished: usize,
    /// The files of the output, by number.
    pub(super) files: Vec<OutputFile>,
    /// katalog 0.1 saved its flag `--force` here. Only the command line decides whether files are replaced.
    #[serde(default, rename = "force", skip_serializing)]
    _force: IgnoredAny,
    /// All inputs are read, and files get their final names or have them.
    pub(super) complete: bool,
    /// The number of records of the finished inputs, and the number of flaws and damages.
    pub(super) records: u64,
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
    pub(super) fn new(settings: BTreeMap<String, String>, groups: &[Group]) -> ConversionState {
        let inputs = groups.iter().map(InputRecord::unread).collect();
        ConversionState { katalog_conversion: VERSION, settings, inputs, ..ConversionState::default() }
    }

    /// Reads the state of an interrupted run. Returns `None` without one.
    pub(super) fn read(work: &Directory) -> Result<Option<ConversionState>, OutputDirError> {
        read(work, STATE)
    }

    /// Reads the manifest of a finished run. Returns `None` without one.
    pub(super) fn read_manifest(directory: &Directory) -> Result<Option<ConversionState>, OutputDirError> {
        match read(directory, MANIFEST)? {
            Some(manifest) if !manifest.complete => {
                let path = directory.path().join(MANIFEST);
                Err(OutputDirError::Damaged { path, cause: "it is not of a finished conversion".to_owned() })
            }
            manifest => Ok(manifest),
        }
    }

    /// Returns true if there is a state file, readable or not.
    pub(super) fn exists(work: &Directory) -> bool {
        !matches!(work.length(Path::new(STATE)), Ok(None))
    }

    pub(super) fn remove(work: &Directory) -> io::Result<()> {
        work.remove_file(STATE)
    }

    /// Replaces the state file. The last state becomes the manifest, which whoever can read the output may read.
    pub(super) fn save(&self, work: &Directory) -> Result<(), OutputDirError> {
        let privacy = if self.complete { Privacy::Umask } else { Privacy::Owner };
        let text = serde_json::to_vec(self).map_err(io::Error::from);
        text.and_then(|text| work.replace(STATE, &text, privacy))
            .map_err(|source| OutputDirError::Work { path: work.path().join(STATE), source })
    }

    /// Ends the run: makes the state file the manifest of the directory.
    pub(super) fn publish(work: &Directory, directory: &Directory) -> Result<(), OutputDirError> {
        work.rename(STATE, directory, OsStr::new(MANIFEST))
            .and_then(|()| directory.sync())
            .map_err(|source| OutputDirError::Work { path: directory.path().join(MANIFEST), source })
    }

    /// Returns the exit code of the first input that failed.
    pub(super) fn failure(&self) -> Option<u8> {
        self.inputs.iter().find_map(|input| input.failure)
    }

    /// Returns what differs between this interrupted run and one that resumes it.
    pub(super) fn difference(
        &self,
        settings: &BTreeMap<String, String>,
        groups: &[Group],
        output: &Path,
    ) -> Option<String> {
        let version = differences::version(&self.settings, settings);
        let options = differences::options(&self.settings, settings);
        let inputs = differences::inputs(&self.inputs, groups, output, Phase::Interrupted);
        let all: Vec<String> = version.into_iter().chain(options).chain(inputs).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

fn read(directory: &Directory, name: &str) -> Result<Option<ConversionState>, OutputDirError> {
    let path = directory.path().join(name);
    match directory.read(name, MAX_STATE) {
        Ok(bytes) => parse(&bytes).map(Some).map_err(|cause| OutputDirError::Damaged { path, cause }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OutputDirError::Work { path, source }),
    }
}

fn parse(bytes: &[u8]) -> Result<ConversionState, String> {
    // The version comes first, because another version may have other fields.
    #[derive(Deserialize)]
    struct VersionOnly {
        katalog_conversion: u32,
    }
    let head: VersionOnly = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if head.katalog_conversion != VERSION {
        return Err(format!("it has version {}, and this katalog knows only {VERSION}", head.katalog_conversion));
    }
    let state: ConversionState = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    check_paths(&state.files)?;
    Ok(state)
}

/// Checks that each path is below the directory, has no name of katalog's own, and is the only one for its file. Whoever
/// can write to the directory can also change the state.
fn check_paths(files: &[OutputFile]) -> Result<(), String> {
    let mut paths = BTreeSet::new();
    let mut folders = BTreeSet::new();
    for OutputFile { path, .. } in files {
        if !is_output(path) {
            return Err(format!("it names the path {path:?}, which no conversion writes"));
        }
        if !paths.insert(Path::new(path)) {
            return Err(format!("it names the path {path:?} twice"));
        }
        folders.extend(Path::new(path).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()));
    }
    match paths.intersection(&folders).next() {
        Some(path) => Err(format!("it names the path {path:?} for a file and for a directory")),
        None => Ok(()),
    }
}

/// Returns true if the path can be that of an output file, as `--split` and its values make them: names that are not
/// empty, do not begin with a dot and have no control characters.
fn is_output(path: &str) -> bool {
    let plain = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.chars().any(char::is_control);
    let normal = Path::new(path).components().all(|component| matches!(component, Component::Normal(_)));
    normal && path.split('/').all(plain)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::delivery::output_dir::VERSION_KEY;
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
        let mut state = ConversionState::new(settings("csv"), &groups);
        state.finished = 1;
        state.inputs[0].files = groups[0].identity();
        let found = |settings: &BTreeMap<String, String>, groups: &[Group]| {
            state.difference(settings, groups, Path::new("out"))
        };
        let difference = |groups: &[Group]| found(&settings("csv"), groups).unwrap();
        assert_eq!(found(&settings("csv"), &groups), None);
        assert_eq!(found(&settings("text"), &groups).unwrap(), "the options differ: --format text (was csv)");
        let mut newer = settings("csv");
        newer.insert(VERSION_KEY.to_owned(), "2".to_owned());
        let version = "katalog of unknown version began it, and this is katalog 2";
        assert_eq!(found(&newer, &groups).unwrap(), version);
        assert!(difference(&groups[..1]).contains("missing"));
        assert!(difference(&[groups[1].clone(), groups[0].clone()]).contains("another order, input 1"));
        fs::write(folder.path().join("b"), "not finished").unwrap();
        assert_eq!(found(&settings("csv"), &groups), None);
        fs::write(folder.path().join("a"), "other").unwrap();
        assert!(difference(&groups).contains("changed"));
        fs::remove_file(folder.path().join("a")).unwrap();
        assert!(difference(&groups).contains("missing"));
    }

    #[test]
    fn what_is_no_state_is_named() {
        let open = |path: &Path| Directory::open(path).unwrap();
        for (content, says) in [
            ("", "EOF"),
            ("{}", "missing field `katalog_conversion`"),
            ("{\"katalog_conversion\":2}", "version 2"),
            ("{\"katalog_conversion\":1}", "missing field"),
            ("\0\0\0", "expected value"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(STATE), content).unwrap();
            let error = ConversionState::read(&open(folder.path())).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("--force"), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ConversionState::read(&open(folder.path())).unwrap(), None);
        let state = ConversionState::new(settings("csv"), &[Group::Files(vec!["a".into()])]);
        state.save(&open(folder.path())).unwrap();
        assert_eq!(ConversionState::read(&open(folder.path())).unwrap(), Some(state));
    }
}
