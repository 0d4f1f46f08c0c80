//! Delivery into the files of a directory, which appear when all inputs are read. An interrupted run can be resumed
//! after the last input that it has finished.
//!
//! ```text
//! DIR/.katalog/lock         held as long as a process uses the directory
//! DIR/.katalog/state.json   settings, finished inputs, and the lengths of the files after them
//! DIR/.katalog/parts/…      the files, numbered in order of appearance
//! DIR/…                     the files under their final names, when all are complete
//! ```
//!
//! The output for an input depends on that input alone. So a resumed run cuts the files to their lengths after the last
//! finished input. It ends with the same bytes as a run without interruption.

mod error;
mod rename;
mod state;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Delivered, Delivery, DeliveryEnd, EarlierRuns, InputEnd, report_error};
use crate::delivery::checkpoint::{self, Checkpoint, CheckpointError};
use crate::diagnostics;
use crate::exit::Exit;
use crate::sink::{Compression, Files};
use crate::source::position::Position;
use crate::source::{FileIdentity, Group};
use kata_records::Encoded;
use state::{ConversionState, OutputFile};

pub use error::OutputDirError;

/// The work directory, and its name during removal.
const WORK: &str = ".katalog";
const REMOVED: &str = ".katalog.over";

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
    /// The settings that determine the bytes of the output, by their keys.
    pub fingerprint: BTreeMap<String, String>,
}

/// An output directory that is being written.
#[derive(Debug)]
pub struct OutputDir {
    settings: OutputDirSettings,
    work: PathBuf,
    /// The lock, held until the directory is dropped.
    _lock: File,
    state: ConversionState,
    files: Files,
    /// The numbers of files by their paths without extension.
    numbers: HashMap<Box<[u8]>, usize>,
    /// The numbers of files, by the part numbers of the current batch.
    batch_numbers: Vec<Option<usize>>,
    /// The input files, which no output may replace.
    inputs: Vec<PathBuf>,
    /// The identity of the current input.
    current_identity: Option<Vec<FileIdentity>>,
    /// The number of inputs that were read or skipped.
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
    /// be resumed.
    pub fn open(settings: OutputDirSettings, groups: &[Group]) -> Result<Option<OutputDir>, OutputDirError> {
        settings.compression.check()?;
        if settings.directory.metadata().is_ok_and(|found| !found.is_dir()) {
            return Err(OutputDirError::NotADirectory { path: settings.directory });
        }
        let work = settings.directory.join(WORK);
        if settings.resume && !work.exists() && has_files(&settings.directory) {
            return Ok(None);
        }
        let lock = lock(&settings.directory, &work)?;
        remove(&settings.directory.join(REMOVED))?;
        let parts = work.join(PARTS);
        if settings.force && ConversionState::exists(&work) {
            // The state goes first, so that a crash leaves nothing that looks resumable.
            ConversionState::remove(&work).map_err(failed(&work))?;
        }
        let state = match ConversionState::read(&work)? {
            Some(_) if !settings.resume => return Err(OutputDirError::Interrupted { path: settings.directory }),
            Some(state) => {
                if let Some(what) = state.difference(&settings.fingerprint, groups) {
                    return Err(OutputDirError::Differs { path: settings.directory, what });
                }
                state
            }
            None => {
                // Without a state, no finished input depends on these files.
                remove(&parts)?;
                fs::create_dir(&parts).map_err(failed(&parts))?;
                let inputs = groups.iter().map(Group::label).collect();
                let state = ConversionState::new(settings.fingerprint.clone(), inputs, settings.force);
                state.save(&work)?;
                state
            }
        };
        let mut directory = OutputDir {
            files: Files::new(parts, settings.header, settings.compression),
            settings,
            work,
            _lock: lock,
            state,
            numbers: HashMap::new(),
            batch_numbers: Vec::new(),
            inputs: groups.iter().flat_map(Group::files).cloned().collect(),
            current_identity: None,
            inputs_ended: 0,
            resume_point_fixed: false,
            last_save: None,
            earlier: EarlierRuns::default(),
            discard_work: false,
            bytes: 0,
        };
        directory.earlier = EarlierRuns { records: directory.state.written, flawed: directory.state.flawed };
        if !directory.state.complete {
            directory.restore()?;
        }
        Ok(Some(directory))
    }

    /// Cuts the files to their lengths after the last finished input, and removes newer files.
    fn restore(&mut self) -> Result<(), OutputDirError> {
        for (number, written) in self.state.parts.iter().enumerate() {
            let path = self.files.path(number);
            let damaged = |error: io::Error| OutputDirError::Damaged { path, cause: error.to_string() };
            self.files.restore(written.length).map_err(damaged)?;
            let name = written.path.strip_suffix(&self.settings.extension).unwrap_or(&written.path);
            self.numbers.insert(name.as_bytes().into(), number);
        }
        let kept: HashSet<PathBuf> = (0..self.state.parts.len()).map(|number| self.files.path(number)).collect();
        let folder = self.work.join(PARTS);
        let entries = fs::read_dir(&folder).map_err(failed(&folder))?;
        for entry in entries {
            let path = entry.map_err(failed(&folder))?.path();
            if !kept.contains(&path) {
                fs::remove_file(&path).map_err(failed(&path))?;
            }
        }
        Ok(())
    }

    /// Returns the exit code of the first input that failed in an earlier run.
    #[must_use]
    pub fn failure(&self) -> Option<Exit> {
        self.state.failure.and_then(Exit::from_code)
    }

    /// Returns the number of inputs that need not be read.
    #[must_use]
    pub fn finished(&self) -> usize {
        if self.state.complete { self.state.inputs.len() } else { self.state.finished.len() }
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
        let number = self.state.parts.len();
        let path = format!("{}{}", String::from_utf8_lossy(name), self.settings.extension);
        // The name is checked early. The end of the run checks it again.
        let begun = self.last_save.is_some() || self.finished() > 0;
        if let Err(error) =
            rename::check_target(&self.settings.directory.join(&path), self.state.force, begun, &self.inputs)
        {
            // An input in the way cannot be resumed either.
            self.discard_work = !begun || matches!(error, OutputDirError::SameFile { .. });
            return Err(error);
        }
        self.files.add();
        self.state.parts.push(OutputFile { path, length: 0 });
        self.numbers.insert(name.into(), number);
        Ok(number)
    }

    fn input_ended(&mut self, records: u64, flawed: u64) -> Result<(), OutputDirError> {
        self.files.write_all()?;
        (self.state.written, self.state.flawed) = (self.earlier.records + records, self.earlier.flawed + flawed);
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
        for (number, written) in self.state.parts.iter_mut().enumerate() {
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
        let (directory, force, inputs) = (&self.settings.directory, self.state.force, &self.inputs);
        let check = |path: &Path| rename::check_target(path, force, true, inputs);
        let numbered = self.state.parts.iter().enumerate();
        let files: Vec<(PathBuf, PathBuf)> =
            numbered.map(|(number, written)| (self.files.path(number), directory.join(&written.path))).collect();
        for ((from, to), written) in files.iter().zip(&self.state.parts) {
            let found = if from.exists() { from } else { to };
            let length = found.metadata().map_err(failed(found))?.len();
            if length != written.length {
                let cause = format!("it has {length} bytes and should have {}", written.length);
                return Err(OutputDirError::Damaged { path: found.clone(), cause });
            }
        }
        rename::rename_all(directory, &files, check)?;
        // One rename hides the work directory, so that a crash leaves nothing that looks resumable.
        let over = directory.join(REMOVED);
        fs::rename(&self.work, &over).map_err(failed(&self.work))?;
        crate::sink::files::sync_directory(directory).map_err(failed(directory))?;
        remove(&over)
    }
}

impl Delivery for OutputDir {
    /// Begins an input. Returns false if an earlier run has finished it.
    fn begin_input(&mut self, group: &Group) -> bool {
        if self.inputs_ended < self.finished() {
            self.inputs_ended += 1;
            return false;
        }
        self.current_identity = group.identity();
        true
    }

    /// Ends an input and records its result.
    fn end_input(&mut self, InputEnd { failure, records, flawed }: InputEnd) -> Result<(), DeliveryEnd> {
        self.state.failure = self.state.failure.or(failure.map(Exit::code));
        let identity = self.current_identity.take();
        // An unreadable input may be readable next time. A damaged input stays damaged until it changes.
        let lasts = matches!(failure, None | Some(Exit::Data | Exit::Unavailable));
        match identity.filter(|_| lasts && !self.resume_point_fixed && !self.settings.whole) {
            Some(identity) => self.state.finished.push(identity),
            None => self.resume_point_fixed = true,
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
        if self.inputs_ended == self.state.inputs.len() {
            end = self.complete().err().map(|error| report_error(&error, error.exit()));
        }
        if self.discard_work {
            // Existing files of the directory stay as they are.
            end = end.or(remove(&self.work).err().map(|error| report_error(&error, error.exit())));
        } else if self.work.exists() {
            diagnostics::report(format_args!(
                "\"{}\" is not complete; --resume goes on with it",
                self.settings.directory.display()
            ));
        }
        Delivered { earlier: self.earlier, end, ..Delivered::new(Checkpoint::forgetful(), self.bytes) }
    }
}

/// Removes a directory and its content, if it exists.
fn remove(path: &Path) -> Result<(), OutputDirError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path)(error)),
        _ => Ok(()),
    }
}

fn has_files(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
}

/// Creates the directory and its work directory, and locks them for this process.
fn lock(directory: &Path, work: &Path) -> Result<File, OutputDirError> {
    for path in [directory, work] {
        fs::create_dir_all(path).map_err(|source| OutputDirError::Create { path: path.to_owned(), source })?;
    }
    checkpoint::lock("--output-dir", work).map_err(|error| match error {
        CheckpointError::InUse { .. } => OutputDirError::InUse { path: directory.to_owned() },
        error => OutputDirError::Lock(error),
    })
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> OutputDirError {
    let path = path.to_owned();
    move |source| OutputDirError::Work { path, source }
}
