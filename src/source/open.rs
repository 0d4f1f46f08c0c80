//! Opens files and standard input. Reading begins with the first batch, so opening never waits for input.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal_file::FileRange;

use super::directory::DirectorySource;
use super::files::{self, FileObserver, HeldFile, ScannedFiles};
use super::group::Group;
use super::input::{Input, standard_input};
use super::journal::{self, Backend, EntryFilter, JournalSettings, Opened, libsystemd};
use super::stream::Stream;
use super::{Filled, Logs, Member, Settings, Source, SourceError};
use crate::source::position::FilePosition;
use kata_records::Batch;

/// Returns the size on disk, or `None` if it is unknown before reading. A missing file has size zero.
#[must_use]
pub fn size_on_disk(group: &Group, settings: &JournalSettings) -> Option<u64> {
    let metadata = match group {
        Group::Stream(Input::Stdin) => standard_input().and_then(|file| file.metadata()),
        Group::Stream(Input::File(path)) | Group::Archive(path) | Group::DirectoryFile(_, path) => path.metadata(),
        Group::Journal(paths) | Group::Machine(_, paths) => {
            return (!settings.follow).then(|| journal::size(paths, settings));
        }
        Group::Files(_) => return None,
    };
    match metadata {
        Ok(metadata) => metadata.is_file().then_some(metadata.len()),
        Err(_) => Some(0),
    }
}

/// Opens the journals at these paths as one source. Also returns the errors.
#[must_use]
pub fn open_journals<'r>(
    paths: &[PathBuf],
    settings: &JournalSettings,
    block: usize,
    interest: &'r dyn EntryFilter,
) -> (Box<dyn Source + 'r>, Vec<SourceError>) {
    match settings.backend {
        Backend::Native => {
            let (source, errors) = journal::open(paths, Vec::new(), settings, block, interest);
            (Box::new(source), errors)
        }
        Backend::Libsystemd => {
            let (source, errors) = libsystemd::open(paths, settings, block, interest);
            (Box::new(source), errors)
        }
    }
}

/// Opens journals and archive members for several threads. Returns `None` if one thread must read them: to follow, to
/// resume, to show only the end, through libsystemd, or because they are too many.
#[must_use]
pub fn open_slices<'r>(
    paths: &[PathBuf],
    members: &[Member],
    settings: &JournalSettings,
    block: usize,
    interest: &'r dyn EntryFilter,
) -> Option<Opened<'r>> {
    let whole = settings.follow || settings.lines.is_some() || settings.resume.is_some();
    let pieces = !whole && settings.backend == Backend::Native;
    pieces.then(|| journal::open_slices(paths, members, settings, block, interest)).flatten()
}

/// Opens the journals of an archive, or one from a pipe, as one source. Also returns the errors. Such a source has no
/// position, so a later run cannot resume it.
#[must_use]
pub fn open_members<'r>(
    members: Vec<Member>,
    settings: &JournalSettings,
    block: usize,
    interest: &'r dyn EntryFilter,
) -> (Box<dyn Source + 'r>, Vec<SourceError>) {
    let (members, refused) = match settings.backend {
        Backend::Native => (members, None),
        Backend::Libsystemd => (Vec::new(), members.into_iter().next()),
    };
    let (source, mut errors) = journal::open(&[], members, settings, block, interest);
    errors.extend(refused.map(|member| SourceError::JournalRefused {
        input: Input::File(member.path),
        cause: "libsystemd reads journal files only, no archives and no pipes; leave out --journal-backend".to_owned(),
    }));
    (Box::new(WithoutPosition(source)), errors)
}

/// A journal source without a position.
struct WithoutPosition<S>(S);

impl<S: Source> Source for WithoutPosition<S> {
    fn fill(&mut self, batch: &mut Batch) -> Filled {
        Filled { position: None, ..self.0.fill(batch) }
    }
}

/// Opens log files and patterns as one source, resumed from saved positions. Also returns the errors. With `follow`,
/// the source waits for growth, rotation and new files, and never ends. Otherwise it ends at the current ends.
#[must_use]
pub fn open_files(
    patterns: &[PathBuf],
    settings: &Settings,
    follow: bool,
    saved: &[FilePosition],
    held: &[HeldFile],
    observer: Arc<dyn FileObserver>,
) -> (Box<dyn Source>, Vec<SourceError>) {
    let (source, errors) = files::open(patterns, settings, follow, saved, held, observer);
    let source: Box<dyn Source> = if follow { Box::new(ScannedFiles::start(source)) } else { Box::new(source) };
    (source, errors)
}

/// Opens an input. Nothing is read yet, so the content is detected with the first batch.
///
/// # Errors
///
/// Fails if the input does not exist, may not be read, or is a directory.
pub fn open(input: &Input, logs: Logs, settings: &Settings) -> Result<Box<dyn Source + Send>, SourceError> {
    let opened = match input {
        Input::Stdin => standard_input(),
        Input::File(path) => File::open(path),
    };
    let (file, kind) =
        opened.and_then(|file| file.metadata().map(|metadata| (file, metadata.file_type()))).map_err(|cause| {
            match files::matches_any(input.path()) {
                Some(matches) => SourceError::Pattern { input: input.clone(), matches },
                None => SourceError::Open { input: input.clone(), cause },
            }
        })?;
    if kind.is_dir() {
        return Err(SourceError::Directory { input: input.clone() });
    }
    let live = !kind.is_file();
    // If the descriptor cannot be duplicated, reads block.
    let wait = if live { file.as_fd().try_clone_to_owned().ok() } else { None };
    Ok(Box::new(Stream::new(Box::new(file), wait, input.clone(), live, settings).of_user().with_logs(logs)))
}

/// Opens an archive, or a directory as one, except the `output` inside it.
///
/// # Errors
///
/// Fails if the file does not exist or may not be read.
pub fn open_archive(
    path: &Path,
    output: &Path,
    logs: Logs,
    settings: &Settings,
) -> Result<Box<dyn Source + Send>, SourceError> {
    if path.is_dir() {
        return Ok(Box::new(DirectorySource::new(path.to_owned(), output, logs, settings)));
    }
    let input = Input::File(path.to_owned());
    let file = File::open(path).map_err(|cause| SourceError::Open { input: input.clone(), cause })?;
    Ok(Box::new(Stream::of_file(FileRange::from(file), input, settings).of_user().with_logs(logs)))
}

/// Opens a file of a directory without journals of its own.
#[must_use]
pub fn open_directory_file(directory: &Path, path: &Path, logs: Logs, settings: &Settings) -> Box<dyn Source + Send> {
    Box::new(DirectorySource::of_file(directory.to_owned(), path.to_owned(), logs, settings))
}

/// Creates a source from a reader. `input` is the name in errors. With `live`, a short read means that the next one may
/// block, so entries are returned first.
#[must_use]
pub fn from_reader(
    reader: Box<dyn Read + Send>,
    input: Input,
    live: bool,
    settings: &Settings,
) -> Box<dyn Source + Send> {
    Box::new(Stream::new(reader, None, input, live, settings).of_user())
}
