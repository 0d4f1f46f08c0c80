//! Into the files of a directory, which appear when all inputs are read. A run that was interrupted is gone on with after
//! the last input that it has finished.
//!
//! ```text
//! DIR/.katalog/lock         held as long as a process is at it
//! DIR/.katalog/state.json   settings, finished inputs, and how long the files were after them
//! DIR/.katalog/parts/…      the files, by numbers in the order in which they are met
//! DIR/…                     the same files under their names, when all are complete
//! ```
//!
//! What is written for an input depends on this input alone, so the files of a run that was interrupted, cut to their
//! lengths after the last finished input and gone on with, are those of one that was not.

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
use crate::sink::{Compression, Files, SinkError};
use crate::source::position::Position;
use crate::source::{FileIdentity, Group};
use kata_records::encode::Encoded;
use state::{ConversionState, OutputFile};

/// Where files are before they have names, and what this is called while it is removed.
const WORK: &str = ".katalog";
const REMOVED: &str = ".katalog.over";

/// Where in it the files are.
const PARTS: &str = "parts";

/// Between two savings so many times as long passes as the first of them took: inputs may be small and disks slow.
const SAVE_PAUSE: u32 = 4;

/// What a conversion into a directory needs.
#[derive(Clone, Debug)]
pub struct OutputDirSettings {
    /// The directory.
    pub directory: PathBuf,
    /// What the names of files end with.
    pub extension: String,
    /// What files begin with.
    pub header: &'static [u8],
    /// How they are compressed.
    pub compression: Compression,
    /// Go on with what was interrupted.
    pub resume: bool,
    /// Forget what was interrupted, and replace files.
    pub force: bool,
    /// Records come only when all inputs are read, so there is nothing to go on with before.
    pub whole: bool,
    /// The settings that the bytes depend on, by their keys.
    pub fingerprint: BTreeMap<String, String>,
}

/// Why nothing can be written into a directory, or not go on.
#[derive(Debug, thiserror::Error)]
pub enum OutputDirError {
    /// The lock.
    #[error(transparent)]
    Lock(#[from] CheckpointError),
    /// A file.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A file or directory cannot be read, written or renamed.
    #[error("output-dir: \"{path}\": {source}", path = path.display())]
    Work {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// An earlier run was interrupted.
    #[error(
        "output-dir: \"{path}\" holds what an interrupted run has left; go on with --resume, or begin anew with --force",
        path = path.display()
    )]
    Interrupted {
        /// The directory.
        path: PathBuf,
    },
    /// It was with other settings or inputs.
    #[error(
        "output-dir: what was interrupted in \"{path}\" cannot be gone on with: {what}; give the same options and inputs, \
         or begin anew with --force",
        path = path.display()
    )]
    Differs {
        /// The directory.
        path: PathBuf,
        /// What is different.
        what: String,
    },
    /// What it has left is not what this version leaves.
    #[error("output-dir: \"{path}\" cannot be gone on with ({cause}); begin anew with --force", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A file of the name is there.
    #[error(
        "output-dir: \"{path}\" is there already and is not replaced; move it away{go_on}, or begin anew with --force, \
         which replaces it",
        path = path.display(), go_on = if *.begun { " and go on with --resume" } else { "" }
    )]
    Exists {
        /// The file.
        path: PathBuf,
        /// Something was done that can be gone on with.
        begun: bool,
    },
    /// It is an input.
    #[error(
        "output-dir: \"{path}\" is also an input, \"{input}\"; write into another directory",
        path = path.display(), input = input.display()
    )]
    SameFile {
        /// The file.
        path: PathBuf,
        /// The input.
        input: PathBuf,
    },
}

impl OutputDirError {
    /// How the program ends for it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            OutputDirError::Lock(error) => error.exit(),
            OutputDirError::Sink(error) => error.exit(),
            OutputDirError::Work { source, .. } => Exit::from_write_error(source),
            OutputDirError::Damaged { .. } => Exit::Data,
            OutputDirError::Interrupted { .. }
            | OutputDirError::Differs { .. }
            | OutputDirError::Exists { .. }
            | OutputDirError::SameFile { .. } => Exit::Usage,
        }
    }
}

/// The files of a directory in the making.
#[derive(Debug)]
pub struct OutputDir {
    settings: OutputDirSettings,
    work: PathBuf,
    /// Held as long as this lives.
    _lock: File,
    state: ConversionState,
    files: Files,
    /// The numbers of files, by their paths without extension.
    numbers: HashMap<Box<[u8]>, usize>,
    /// For the names of a batch, by their numbers there, the numbers of files.
    batch_numbers: Vec<Option<usize>>,
    /// The files that are read, which none may replace.
    inputs: Vec<PathBuf>,
    /// What the input at hand is known by.
    current_identity: Option<Vec<FileIdentity>>,
    /// How many inputs were read to their end, or not at all since an earlier run did.
    inputs_ended: usize,
    /// An input came that cannot be known again, or that may be read another time: from it on is gone on.
    resume_point_fixed: bool,
    last_save: Option<(Instant, Duration)>,
    /// Records of earlier runs, and how much was wrong with them.
    earlier: EarlierRuns,
    /// A name was taken, and there is nothing to go on with, so nothing is to be left.
    discard_work: bool,
    bytes: u64,
}

impl OutputDir {
    /// Begins in a directory, or goes on there; none where nothing is left to do.
    ///
    /// # Errors
    /// If the directory cannot be used, or holds what an interrupted run has left and nobody said what to do with it, or
    /// this cannot be gone on with.
    pub fn open(settings: OutputDirSettings, groups: &[Group]) -> Result<Option<OutputDir>, OutputDirError> {
        settings.compression.check()?;
        let work = settings.directory.join(WORK);
        remove(&settings.directory.join(REMOVED))?;
        if settings.resume && !work.exists() && has_files(&settings.directory) {
            return Ok(None);
        }
        let lock = checkpoint::lock("output-dir", &work)?;
        let parts = work.join(PARTS);
        if settings.force && ConversionState::exists(&work) {
            // First, so that nothing is left that looks as if it could be gone on with.
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
                // Nothing is there that anything was done with.
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

    /// Cuts the files to the lengths that they had after the last finished input, and removes those that came later.
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

    /// How the first input that failed in an earlier run makes the program end.
    #[must_use]
    pub fn failure(&self) -> Option<Exit> {
        self.state.failure.and_then(Exit::from_code)
    }

    /// How many inputs need not be read.
    #[must_use]
    pub fn finished(&self) -> usize {
        if self.state.complete { self.state.inputs.len() } else { self.state.finished.len() }
    }

    fn write_records(&mut self, out: &Encoded) -> Result<(), OutputDirError> {
        self.batch_numbers.clear();
        self.batch_numbers.resize(out.parts.names().len(), None);
        let mut start = 0;
        for row in &out.rows {
            let at = row.part as usize;
            let number = match self.batch_numbers.get(at) {
                Some(Some(number)) => *number,
                _ => {
                    let number = self.file_number(out.parts.names().get(at).map_or(b"unknown", |name| name))?;
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

    /// The number of the file of this path, a new one if it was not met yet.
    fn file_number(&mut self, name: &[u8]) -> Result<usize, OutputDirError> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        let number = self.state.parts.len();
        let path = format!("{}{}", String::from_utf8_lossy(name), self.settings.extension);
        // Long before the end, which has to look again.
        let begun = self.last_save.is_some() || self.finished() > 0;
        if let Err(error) =
            rename::check_target(&self.settings.directory.join(&path), self.state.force, begun, &self.inputs)
        {
            // With an input in the way there is no going on either.
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
            // From here on only names are to be given.
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
        // In one step, so that nothing is left that looks as if it could be gone on with.
        let over = directory.join(REMOVED);
        fs::rename(&self.work, &over).map_err(failed(&self.work))?;
        crate::sink::files::sync_directory(directory).map_err(failed(directory))?;
        remove(&over)
    }
}

impl Delivery for OutputDir {
    /// Begins with an input; false where an earlier run has finished it.
    fn begin_input(&mut self, group: &Group) -> bool {
        if self.inputs_ended < self.finished() {
            self.inputs_ended += 1;
            return false;
        }
        self.current_identity = group.identity();
        true
    }

    /// Ends with an input, and says how it failed, if it did, and what all of this run's came to.
    fn end_input(&mut self, InputEnd { failure, records, flawed }: InputEnd) -> Result<(), DeliveryEnd> {
        self.state.failure = self.state.failure.or(failure.map(Exit::code));
        let identity = self.current_identity.take();
        // What was unreadable may be readable the next time; what is damaged stays so as long as it does not change.
        let lasts = matches!(failure, None | Some(Exit::Data | Exit::Unavailable));
        match identity.filter(|_| lasts && !self.resume_point_fixed && !self.settings.whole) {
            Some(identity) => self.state.finished.push(identity),
            None => self.resume_point_fixed = true,
        }
        self.input_ended(records, flawed).map_err(|error| report_error(&error, error.exit()))
    }

    fn deliver(&mut self, out: &mut Encoded, _position: Option<Position>) -> Result<(), DeliveryEnd> {
        let put = self.write_records(out);
        out.bytes.clear();
        out.rows.clear();
        out.parts.clear();
        put.map_err(|error| report_error(&error, error.exit()))
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the files their names, if all inputs were read.
    fn finish(mut self: Box<Self>) -> Delivered {
        let mut end = None;
        if self.inputs_ended == self.state.inputs.len() {
            end = self.complete().err().map(|error| report_error(&error, error.exit()));
        }
        if self.discard_work {
            // What is in the directory stays as it was.
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

/// Removes a directory with all that is in it, if it is there.
fn remove(path: &Path) -> Result<(), OutputDirError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path)(error)),
        _ => Ok(()),
    }
}

fn has_files(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> OutputDirError {
    let path = path.to_owned();
    move |source| OutputDirError::Work { path, source }
}
