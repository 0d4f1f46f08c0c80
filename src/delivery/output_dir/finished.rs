//! Finished directories: whether their files are those that the user asks for.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::differences::{self, Phase};
use super::state::ConversionState;
use super::{MANIFEST, OutputDirError, OutputDirSettings, VERSION_KEY, WORK};
use crate::diagnostics;
use crate::exit::Exit;
use crate::sink::Directory;
use crate::source::Group;

/// The directory that is empty in every new ext4 file system.
const LOST_AND_FOUND: &str = "lost+found";

/// Returns whether a directory without an interrupted run is finished. Without `resume`, a run may add files or, with
/// `force`, replace them.
///
/// # Errors
/// If `resume` is set and the files are not those of these settings and inputs, or nobody can know. If the manifest
/// cannot be read and would be replaced without `force`.
pub(super) fn is_finished(settings: &OutputDirSettings, groups: &[Group]) -> Result<bool, OutputDirError> {
    let directory = &settings.directory;
    let failed = |source| OutputDirError::Work { path: directory.clone(), source };
    let opened = Directory::open(directory).map_err(failed)?;
    let manifest = match ConversionState::read_manifest(&opened) {
        Err(OutputDirError::Damaged { .. }) if settings.force => None,
        read => read?,
    };
    if !settings.resume {
        return Ok(false);
    }
    let file = any_file(directory);
    let Some(manifest) = manifest else {
        let path = directory.clone();
        return file.map_or(Ok(false), |file| Err(OutputDirError::NoManifest { path, file }));
    };
    let difference = difference(&manifest, settings, groups);
    if file.is_none() && (difference.is_some() || manifest.failure().is_some()) {
        // Nothing is there that another attempt could lose.
        return Ok(false);
    }
    if let Some(what) = difference {
        return Err(OutputDirError::FinishedDiffers { path: directory.clone(), what });
    }
    if let Some(exit) = manifest.failure().and_then(Exit::from_code) {
        let failed = manifest.inputs.iter().filter(|input| input.failure.is_some());
        let names: Vec<String> = failed.map(|input| input.name.clone()).collect();
        let inputs = differences::list(&names);
        return Err(OutputDirError::InputsFailed { path: directory.clone(), inputs, exit });
    }
    let version = |settings: &BTreeMap<String, String>| settings.get(VERSION_KEY).cloned().unwrap_or_default();
    if version(&manifest.settings) != version(&settings.fingerprint) {
        diagnostics::report(format_args!(
            "\"{}\" was converted by katalog {}; to convert it again, use --force",
            directory.display(),
            version(&manifest.settings)
        ));
    }
    Ok(true)
}

/// Returns what differs between a finished run and the one that is asked for.
fn difference(manifest: &ConversionState, settings: &OutputDirSettings, groups: &[Group]) -> Option<String> {
    let directory = &settings.directory;
    let options = differences::options(&manifest.settings, &settings.fingerprint);
    let inputs = differences::inputs(&manifest.inputs, groups, directory, Phase::Finished);
    let both: Vec<String> = options.into_iter().chain(inputs).collect();
    if both.is_empty() { differences::files(directory, &manifest.files) } else { Some(both.join("; ")) }
}

/// Returns the name of a file or directory that is not katalog's own.
fn any_file(directory: &Path) -> Option<String> {
    let names = fs::read_dir(directory).ok()?.filter_map(|entry| Some(entry.ok()?.file_name()));
    let mut names = names.map(|name| name.to_string_lossy().into_owned());
    names.find(|name| ![WORK, MANIFEST, LOST_AND_FOUND].contains(&name.as_str()))
}
