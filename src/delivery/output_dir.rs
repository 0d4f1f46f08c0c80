//! Delivery into the files of a directory, which appear when all inputs are read. An interrupted run can be resumed
//! after the last input that it has finished.
//!
//! ```text
//! DIR/.katalog/lock         held as long as a process uses the directory
//! DIR/.katalog/state.json   settings, inputs, and the lengths of the files after the last finished input
//! DIR/.katalog/parts/…      the files, numbered in order of appearance
//! DIR/…                     the files under their final names, when all are complete
//! DIR/.katalog.json         the manifest: the last state, renamed when all files have their names
//! ```
//!
//! A run is interrupted as long as there is a state, and finished once the state has become the manifest.
//!
//! The output for an input depends on that input alone. So a resumed run cuts the files to their lengths after the last
//! finished input. It ends with the same bytes as a run without interruption.

mod differences;
mod error;
mod finished;
mod input_record;
mod rename;
mod state;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Delivered, Delivery, DeliveryEnd, EarlierRuns, InputEnd, report_error};
use crate::delivery::checkpoint::{self, Checkpoint, CheckpointError, LockedDirectory};
use crate::diagnostics;
use crate::exit::Exit;
use crate::sink::{Compression, Directory, Files, Privacy};
use crate::source::Group;
use crate::source::position::Position;
use kata_records::Encoded;
use state::{ConversionState, OutputFile};

pub use error::OutputDirError;

/// The work directory.
const WORK: &str = ".katalog";

/// The manifest of a finished directory.
const MANIFEST: &str = ".katalog.json";

/// The key of katalog's version among the settings of a conversion. All other keys are names of options.
pub const VERSION_KEY: &str = "the version of katalog";

/// The directory of unnamed files in the work directory.
const PARTS: &str = "parts";

/// The pause between two saves, as a multiple of the duration of a save. Inputs may be small and disks slow.
const SAVE_PAUSE: u32 = 4;

/// The settings of a conversion into a directory.
#[derive(Clone, Debug)]
pub struct OutputDirSettings {
    /// The directory.
    pub directory: PathBuf,
    /// The extension of file names.
    pub extension: String,
    /// The header of each file.
    pub header: &'static [u8],
    /// The compression of the files.
    pub compression: Compression,
    /// Resume an interrupted run.
    pub resume: bool,
    /// Discard an interrupted run, and replace files.
    pub force: bool,
    /// Records arrive only after all inputs are read, so no input can be finished before.
    pub whole: bool,
    /// The settings that determine the bytes of the output, by their keys, and the version by [`VERSION_KEY`].
    pub fingerprint: BTreeMap<String, String>,
}

/// An output directory that is being written.
#[derive(Debug)]
pub struct OutputDir {
    settings: OutputDirSettings,
    output: Directory,
    work: LockedDirectory,
    state: ConversionState,
    files: Files,
    /// The numbers of files by their paths without extension.
    numbers: HashMap<Box<[u8]>, usize>,
    /// The numbers of files, by the part numbers of the current batch.
    batch_numbers: Vec<Option<usize>>,
    /// The input files, which no output may replace.
    inputs: Vec<PathBuf>,
    /// The number of inputs that were begun or skipped, and of those that were ended or skipped.
    inputs_begun: usize,
    inputs_ended: usize,
    /// The resume point stays: an input came that cannot be identified later, or that may be readable next time.
    resume_point_fixed: bool,
    last_save: Option<(Instant, Duration)>,
    /// The counters of earlier runs.
    earlier: EarlierRuns,
    /// A name is taken and no input is finished, so the work directory is removed.
    discard_work: bool,
    bytes: u64,
}

impl OutputDir {
    /// Begins or resumes a conversion. Returns `None` if nothing is left to do.
    ///
    /// # Errors
    /// If the directory cannot be used, holds an interrupted run without `resume` or `force`, or holds one that cannot
    /// be resumed. With `resume`, if the directory is finished and its files are not those of these settings and inputs.
    pub fn open(settings: OutputDirSettings, groups: &[Group]) -> Result<Option<OutputDir>, OutputDirError> {
        settings.compression.check()?;
        let inputs: Vec<PathBuf> = groups.iter().flat_map(Group::files).cloned().collect();
        if settings.directory.metadata().is_ok_and(|found| !found.is_dir()) {
            return Err(OutputDirError::NotADirectory { path: settings.directory });
        }
        rename::check_target(&settings.directory.join(MANIFEST), true, false, &inputs)?;
        // A finished directory need not be writable.
        let in_work = settings.directory.join(WORK).symlink_metadata().is_ok();
        if settings.directory.is_dir() && !in_work && finished::is_finished(&settings, groups)? {
            return Ok(None);
        }
        let (output, work) = lock(&settings.directory)?;
        let Some(state) = begin_or_resume(&settings, &output, &work, groups)? else { return Ok(None) };
        let parts = work.folder(Path::new(PARTS)).map_err(failed(&work.path().join(PARTS)))?;
        let mut directory = OutputDir {
            files: Files::new(parts, settings.header, settings.compression),
            settings,
            output,
            work,
            state,
            numbers: HashMap::new(),
            batch_numbers: Vec::new(),
            inputs,
            inputs_begun: 0,
            inputs_ended: 0,
            resume_point_fixed: false,
            last_save: None,
            earlier: EarlierRuns::default(),
            discard_work: false,
            bytes: 0,
        };
        directory.earlier = EarlierRuns { records: directory.state.records, flawed: directory.state.flawed };
        if !directory.state.complete {
            directory.restore()?;
            if directory.settings.whole {
                // The delivery learns of the inputs only after they were read.
                groups.iter().enumerate().for_each(|(index, group)| directory.identify(index, group));
            }
        }
        Ok(Some(directory))
    }

    /// Cuts the files to their lengths after the last finished input, and removes newer files.
    fn restore(&mut self) -> Result<(), OutputDirError> {
        for (number, written) in self.state.files.iter().enumerate() {
            let path = self.files.path(number);
            let damaged = |error: io::Error| OutputDirError::Damaged { path, cause: error.to_string() };
            self.files.restore(written.length).map_err(damaged)?;
            let name = written.path.strip_suffix(&self.settings.extension).unwrap_or(&written.path);
            self.numbers.insert(name.as_bytes().into(), number);
        }
        let kept: HashSet<OsString> = (0..self.state.files.len()).map(|number| Files::name(number).into()).collect();
        let parts = self.files.folder();
        for name in parts.entries().map_err(failed(parts.path()))? {
            if !kept.contains(&name) {
                parts.remove_all(&name).map_err(failed(&parts.path().join(&name)))?;
            }
        }
        Ok(())
    }

    /// Returns the exit code of the first input that failed in an earlier run.
    #[must_use]
    pub fn failure(&self) -> Option<Exit> {
        self.state.failure().and_then(Exit::from_code)
    }

    /// Returns the number of inputs that need not be read.
    #[must_use]
    pub fn finished(&self) -> usize {
        if self.state.complete { self.state.inputs.len() } else { self.state.finished }
    }

    /// Records the files of an input, which is about to be read.
    fn identify(&mut self, index: usize, group: &Group) {
        if let Some(input) = self.state.inputs.get_mut(index) {
            input.files = input_record::identity(group, &self.settings.directory);
        }
    }

    fn write_records(&mut self, out: &Encoded) -> Result<(), OutputDirError> {
        self.batch_numbers.clear();
        self.batch_numbers.resize(out.part_names().len(), None);
        let mut start = 0;
        for row in &out.rows {
            let at = row.part as usize;
            let number = match self.batch_numbers.get(at) {
                Some(Some(number)) => *number,
                _ => {
                    let number = self.file_number(out.part_names().get(at).map_or(b"unknown", |name| name))?;
                    if let Some(known) = self.batch_numbers.get_mut(at) {
                        *known = Some(number);
                    }
                    number
                }
            };
            self.files.append(number, out.bytes.get(start..row.end).unwrap_or_default())?;
            start = row.end;
        }
        self.bytes += out.bytes.len() as u64;
        Ok(())
    }

    /// Returns the number of the file of this path. Adds a file for a new path.
    fn file_number(&mut self, name: &[u8]) -> Result<usize, OutputDirError> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        let number = self.state.files.len();
        let path = format!("{}{}", String::from_utf8_lossy(name), self.settings.extension);
        // The name is checked early. The end of the run checks it again.
        let begun = self.last_save.is_some() || self.finished() > 0;
        if let Err(error) =
            rename::check_target(&self.settings.directory.join(&path), self.settings.force, begun, &self.inputs)
        {
            // An input in the way cannot be resumed either.
            self.discard_work = !begun || matches!(error, OutputDirError::SameFile { .. });
            return Err(error);
        }
        self.files.add();
        self.state.files.push(OutputFile { path, length: 0 });
        self.numbers.insert(name.into(), number);
        Ok(number)
    }

    fn input_ended(&mut self, records: u64, flawed: u64) -> Result<(), OutputDirError> {
        self.files.write_all()?;
        (self.state.records, self.state.flawed) = (self.earlier.records + records, self.earlier.flawed + flawed);
        let due = self.last_save.is_none_or(|(at, took)| at.elapsed() >= took * SAVE_PAUSE);
        if !self.resume_point_fixed && due && self.inputs_ended + 1 < self.state.inputs.len() {
            let start = Instant::now();
            self.save()?;
            self.last_save = Some((Instant::now(), start.elapsed()));
        }
        self.inputs_ended += 1;
        Ok(())
    }

    fn save(&mut self) -> Result<(), OutputDirError> {
        self.files.sync()?;
        for (number, written) in self.state.files.iter_mut().enumerate() {
            written.length = self.files.length(number);
        }
        self.state.save(&self.work)
    }

    fn complete(&mut self) -> Result<(), OutputDirError> {
        if !self.state.complete {
            // Only the renames are left from here on.
            self.state.complete = true;
            self.save()?;
        }
        let (output, force, inputs) = (&self.output, self.settings.force, &self.inputs);
        let check = |below: &Path| rename::check_target(&output.path().join(below), force, true, inputs);
        let files: Vec<(String, &Path)> = self
            .state
            .files
            .iter()
            .enumerate()
            .map(|(number, written)| (Files::name(number), Path::new(&written.path)))
            .collect();
        for ((from, to), written) in files.iter().zip(&self.state.files) {
            self.check_length(from, to, written.length)?;
        }
        if force {
            // The old manifest does not describe a mixture of old and new files.
            output.remove_file(MANIFEST).map_err(failed(&output.path().join(MANIFEST)))?;
        }
        rename::rename_all(self.files.folder(), output, &files, check)?;
        ConversionState::publish(&self.work, output)?;
        remove_rest(output);
        Ok(())
    }

    /// Checks the length of a complete file, which has its final name if an earlier run has renamed it.
    fn check_length(&self, part: &str, below: &Path, expected: u64) -> Result<(), OutputDirError> {
        let parts = self.files.folder();
        let (part, path) = (Path::new(part), self.output.path().join(below));
        let in_parts = parts.length(part).map_err(failed(&parts.path().join(part)))?;
        let (path, length) = match in_parts {
            Some(length) => (parts.path().join(part), Some(length)),
            None => (path.clone(), self.output.length(below).map_err(failed(&path))?),
        };
        let Some(length) = length else { return Err(failed(&path)(io::ErrorKind::NotFound.into())) };
        if length == expected {
            return Ok(());
        }
        Err(OutputDirError::Damaged { path, cause: format!("it has {length} bytes and should have {expected}") })
    }
}

impl Delivery for OutputDir {
    /// Begins an input. Returns false if an earlier run has finished it.
    fn begin_input(&mut self, group: &Group) -> bool {
        let index = self.inputs_begun;
        self.inputs_begun += 1;
        if index < self.finished() {
            self.inputs_ended += 1;
            return false;
        }
        if !self.settings.whole {
            self.identify(index, group);
        }
        true
    }

    /// Ends an input and records its result.
    fn end_input(&mut self, InputEnd { failure, records, flawed }: InputEnd) -> Result<(), DeliveryEnd> {
        // An earlier run has recorded the results, if only names are left to give.
        let Some(input) = self.state.inputs.get_mut(self.inputs_ended).filter(|_| !self.state.complete) else {
            return Ok(());
        };
        input.failure = failure.map(Exit::code);
        // An unreadable input may be readable next time. A damaged input stays damaged until it changes.
        let lasts = input.files.is_some() && matches!(failure, None | Some(Exit::Data | Exit::Unavailable));
        if lasts && !self.resume_point_fixed && !self.settings.whole {
            self.state.finished += 1;
        } else {
            self.resume_point_fixed = true;
        }
        self.input_ended(records, flawed).map_err(|error| report_error(&error, error.exit()))
    }

    fn deliver(&mut self, out: &mut Encoded, _position: Option<Position>) -> Result<(), DeliveryEnd> {
        let put = self.write_records(out);
        out.clear(usize::MAX);
        put.map_err(|error| report_error(&error, error.exit()))
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Renames the files to their final names, if all inputs were read.
    fn finish(mut self: Box<Self>) -> Delivered {
        let mut end = None;
        if self.state.complete || self.inputs_ended == self.state.inputs.len() {
            end = self.complete().err().map(|error| report_error(&error, error.exit()));
        }
        if self.discard_work {
            // Existing files of the directory stay as they are.
            end = end.or(remove(&self.output, WORK).err().map(|error| report_error(&error, error.exit())));
        } else if ConversionState::exists(&self.work) {
            diagnostics::report(format_args!(
                "\"{}\" is not complete; continue with --resume",
                self.settings.directory.display()
            ));
        }
        Delivered { earlier: self.earlier, end, ..Delivered::new(Checkpoint::forgetful(), self.bytes) }
    }
}

/// Returns the state of the run that begins or is resumed, or `None` if nothing is left to do.
fn begin_or_resume(
    settings: &OutputDirSettings,
    output: &Directory,
    work: &Directory,
    groups: &[Group],
) -> Result<Option<ConversionState>, OutputDirError> {
    if settings.force && ConversionState::exists(work) {
        // The state goes first, so that a crash leaves nothing that looks resumable.
        ConversionState::remove(work).map_err(failed(work.path()))?;
    }
    let path = settings.directory.clone();
    if let Some(state) = ConversionState::read(work)? {
        if !settings.resume {
            return Err(OutputDirError::Interrupted { path });
        }
        return match state.difference(&settings.fingerprint, groups, &path) {
            Some(what) => Err(OutputDirError::Differs { path, what }),
            None => Ok(Some(state)),
        };
    }
    if finished::is_finished(settings, groups)? {
        remove_rest(output);
        return Ok(None);
    }
    // Without a state, no finished input depends on these files.
    remove(work, PARTS)?;
    work.create_folder(Path::new(PARTS), Privacy::Owner).map_err(failed(&work.path().join(PARTS)))?;
    let state = ConversionState::new(settings.fingerprint.clone(), groups);
    state.save(work)?;
    Ok(Some(state))
}

/// Removes the work directory of a finished run. Without a state in it, what cannot be removed means nothing.
fn remove_rest(output: &Directory) {
    _ = remove(output, WORK);
}

/// Removes a directory and its content, if it exists.
fn remove(from: &Directory, name: &str) -> Result<(), OutputDirError> {
    from.remove_all(OsStr::new(name)).map_err(failed(&from.path().join(name)))
}

/// Creates the directory and its work directory, and locks them for this process.
fn lock(directory: &Path) -> Result<(Directory, LockedDirectory), OutputDirError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| OutputDirError::Create { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    let output = Directory::open(directory).map_err(failed(directory))?;
    let work = output.create_folder(Path::new(WORK), Privacy::Owner).map_err(failed(&directory.join(WORK)))?;
    let locked = checkpoint::lock_opened("--output-dir", work).map_err(|error| match error {
        CheckpointError::InUse { .. } => OutputDirError::InUse { path: directory.to_owned() },
        error => OutputDirError::Lock(error),
    })?;
    Ok((output, locked))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> OutputDirError {
    let path = path.to_owned();
    move |source| OutputDirError::Work { path, source }
}
