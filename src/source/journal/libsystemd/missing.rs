//! Refuses every input in a build without libsystemd, with an error that names the cargo feature.

use std::path::PathBuf;

use super::{EntryFilter, JournalSettings, JournalSource};
use crate::source::{Input, SourceError};

/// Returns a source without entries, and an error for each input.
pub(in crate::source) fn open<'r>(
    inputs: &[PathBuf],
    settings: &JournalSettings,
    block: usize,
    filter: &'r dyn EntryFilter,
) -> (JournalSource<'r>, Vec<SourceError>) {
    let machine = settings.of_this_machine.then(|| PathBuf::from("/var/log/journal"));
    let inputs = machine.into_iter().chain(inputs.iter().cloned());
    let errors = inputs.map(|path| SourceError::MissingLibsystemd { input: Input::File(path) }).collect();
    (super::open(&[], Vec::new(), &JournalSettings::default(), block, filter).0, errors)
}
