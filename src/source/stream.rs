//! Reads files, pipes and standard input in order. It decides how much to read and when to return a batch; the framer
//! decides where entries begin and end.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use journal_file::FileRange;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::archive::archive_bytes::ArchiveBytes;
use super::archive::{Archive, ArchivePlace, PathClass};
use super::codec::{Bytes, Content, Fault};
use super::continuation::Continuations;
use super::framer::{Framer, block_within_limits};
use super::route::{DecidedRoute, InputRoute, is_heading};
use super::temp_file::TempFile;
use super::{Event, Fill, Filled, Input, Logs, Member, Settings, Source, SourceError};
use kata_records::{Batch, Frame, Framing};

/// The time that a batch waits for input before control returns to the caller.
const MAX_WAIT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

enum State {
    Open,
    /// The input is an archive.
    Archive(Box<Archive>),
    /// Reading failed; the entries read before were returned first.
    Failed(SourceError),
    Ended,
}

/// One input, read from beginning to end.
pub(super) struct Stream {
    bytes: Bytes,
    /// The descriptor to poll, or `None` if reads never block.
    poll_fd: Option<OwnedFd>,
    input: Input,
    settings: Settings,
    /// The input as a file, if it is one.
    file: Option<FileRange>,
    /// The path inside the directory being read; empty for an input itself.
    within: PathBuf,
    /// The path with that of the directory, without symbolic links. Empty for standard input.
    whole: PathBuf,
    /// The route by the path.
    input_route: InputRoute,
    /// The route, once the first line is known.
    route: Option<DecidedRoute>,
    continuations: Continuations,
    /// The input may itself be a log.
    may_be_log: bool,
    /// The treatment of logs, also of those in an archive.
    logs: Logs,
    /// The journal found in the input.
    journal: Option<Member>,
    /// Nothing was read yet.
    is_new: bool,
    /// The input looks binary, and nobody was told.
    is_binary: bool,
    framer: Framer,
    /// The beginning of an unfinished entry.
    carry: Vec<u8>,
    block: usize,
    /// The limit of bytes read into a batch without a complete entry.
    max_unfinished: usize,
    /// The memory that a batch keeps between fills.
    max_kept: usize,
    /// The last answer was [`Fill::More`], so the caller may hold entries back until it receives [`Fill::Idle`].
    idle_due: bool,
    state: State,
}

impl Stream {
    pub(super) fn new(
        reader: Box<dyn Read + Send>,
        poll_fd: Option<OwnedFd>,
        input: Input,
        live: bool,
        settings: &Settings,
    ) -> Self {
        let framer = Framer::new(settings, 0);
        let block = block_within_limits(settings);
        Self {
            bytes: Bytes::of_any(reader, live),
            poll_fd,
            input,
            settings: settings.clone(),
            file: None,
            within: PathBuf::new(),
            whole: PathBuf::new(),
            input_route: InputRoute::of_named(&[], &settings.trust),
            route: None,
            continuations: Continuations::new(settings.judge, Vec::new(), true),
            may_be_log: true,
            logs: Logs::Read,
            journal: None,
            is_new: true,
            is_binary: false,
            max_unfinished: block + 8 * framer.max_line(),
            max_kept: 2 * block + framer.max_line(),
            framer,
            carry: Vec::new(),
            block,
            idle_due: false,
            state: State::Open,
        }
    }

    /// Reads a file from its first byte.
    pub(super) fn of_file(file: FileRange, input: Input, settings: &Settings) -> Self {
        let stream = Self::new(Box::new(file.reader()), None, input, false, settings);
        Self { file: Some(file), ..stream }
    }

    /// Sets the treatment of logs.
    pub(super) fn with_logs(self, logs: Logs) -> Self {
        Self { may_be_log: logs != Logs::JournalsOnly, logs, ..self }
    }

    /// Sets the route of an input that the user named.
    pub(super) fn of_user(self) -> Self {
        let (input_route, whole) = InputRoute::of_input(&self.input, &self.settings.trust);
        let framer = if input_route.may_have_records() { self.framer.with_records() } else { self.framer };
        Self { input_route, whole, framer, ..self }
    }

    /// Marks the input as found in a directory, at the path `within`; `whole` includes the path of the directory.
    /// An input that is neither a log by name, nor a journal or archive, is refused.
    pub(super) fn in_directory(self, within: PathBuf, whole: PathBuf, class: PathClass) -> Self {
        let input_route = InputRoute::of_found(&within, &whole, class, &self.settings.trust);
        Self { may_be_log: self.may_be_log && class.is_log, within, whole, input_route, ..self }
    }

    /// Reads a log whose first bytes were already read.
    pub(super) fn of_log(head: Vec<u8>, bytes: Bytes, input: Input, route: InputRoute, settings: &Settings) -> Self {
        let stream = Self::new(Box::new(io::empty()), None, input, false, settings);
        Self { bytes, carry: head, input_route: route, ..stream }
    }

    /// Opens the input as an archive.
    fn open_archive(&mut self, head: Vec<u8>) -> Archive {
        let plain = self.bytes.is_plain();
        let bytes = std::mem::replace(&mut self.bytes, Bytes::new(Box::new(io::empty()), false));
        let archive_bytes = match self.file.take().filter(|_| plain) {
            Some(file) => ArchiveBytes::of_extent(file),
            None => ArchiveBytes::of_stream(head, bytes),
        };
        let place = ArchivePlace { within: self.within.clone(), whole: self.whole.clone() };
        Archive::new(archive_bytes, &self.input, place, self.logs, &self.settings)
    }

    /// Sets the input aside as a journal: the file itself, or unpacked.
    fn set_journal_aside(&mut self, head: &[u8]) -> Result<Fill, SourceError> {
        self.state = State::Ended;
        let (extent, failure) = match self.file.take().filter(|_| self.bytes.is_plain()) {
            Some(file) => (file, None),
            None => TempFile::new().unpack(&self.input, head, &mut self.bytes, Bytes::consumed)?,
        };
        self.journal = Some(Member { path: self.input.name(), extent });
        failure.map_or(Ok(Fill::End), Err)
    }

    /// Returns whether the input is an archive.
    pub(super) fn is_archive(&self) -> bool {
        matches!(self.state, State::Archive(_))
    }

    fn archive(&mut self) -> Option<&mut Archive> {
        if let State::Archive(archive) = &mut self.state { Some(archive) } else { None }
    }

    /// Keeps the unfinished entry for the next batch and returns the answer.
    fn hand_on(&mut self, batch: &Batch, fill: Fill) -> Fill {
        self.framer.detach(batch, &mut self.carry);
        self.idle_due = fill == Fill::More;
        fill
    }

    /// Waits for input and returns whether there is none yet. A signal ends the wait.
    fn would_wait(&self) -> bool {
        let Some(input) = self.poll_fd.as_ref().filter(|_| self.bytes.is_direct()) else { return false };
        match poll(&mut [PollFd::new(input, PollFlags::IN)], Some(&MAX_WAIT)) {
            Ok(ready) => ready == 0,
            Err(error) => error == rustix::io::Errno::INTR,
        }
    }

    /// Looks at the first bytes of an input that is no journal and no archive.
    ///
    /// # Errors
    /// If such an input is not to be read.
    fn begin(&mut self, head: &[u8]) -> Result<(), SourceError> {
        self.is_binary = self.framer.looks_binary(head);
        let input = self.input.clone();
        let refusal = match self.logs {
            _ if !self.may_be_log => SourceError::NoJournal { input },
            Logs::RefusedBy(flag) if !head.is_empty() => SourceError::LogRefused { input, flag, others_of: None },
            _ => return Ok(()),
        };
        (self.is_binary, self.state) = (false, State::Ended);
        Err(refusal)
    }

    /// Ends the input after a fault. Entries before it are returned first.
    fn fail(&mut self, batch: &mut Batch, fault: Fault) -> Result<Fill, SourceError> {
        let offset = self.framer.input_offset(batch);
        self.framer.finish(batch, true);
        let error = SourceError::of(fault, self.input.clone(), offset);
        if batch.is_empty() {
            self.state = State::Ended;
            return Err(error);
        }
        self.state = State::Failed(error);
        Ok(Fill::More)
    }

    /// Fills a batch, as [`Source::fill`] does.
    ///
    /// # Errors
    /// Fails if the input cannot be read on. The batch is empty then, and the next call returns [`Fill::End`].
    pub(super) fn fill_batch(&mut self, batch: &mut Batch) -> Result<Fill, SourceError> {
        let filled = self.read_batch(batch);
        if !self.is_archive() {
            self.route_of(batch).mark(batch);
            self.continuations.mark(batch);
        }
        filled
    }

    /// Returns the route of the input. The first line that is no heading decides, once it is read.
    fn route_of(&mut self, batch: &Batch) -> DecidedRoute {
        if let Some(route) = self.route {
            return route;
        }
        if !self.input_route.needs_first_line() {
            return *self.route.insert(self.input_route.by_path().into());
        }
        // An entry of an export stream may begin as a heading does, and is none.
        let is_first = |frame: &&Frame| frame.framing == Framing::Export || !is_heading(batch.bytes_of(frame));
        let first = batch.frames.iter().find(is_first);
        let Some(first) = first else { return self.input_route.by_path().into() };
        let is_export = first.framing == Framing::Export;
        let route = self.input_route.by_first_line(batch.bytes_of(first), is_export, self.settings.input_format);
        *self.route.insert(route)
    }

    fn read_batch(&mut self, batch: &mut Batch) -> Result<Fill, SourceError> {
        if let Some(archive) = self.archive() {
            return Ok(archive.fill(batch));
        }
        batch.clear();
        if let Input::File(path) = &self.input {
            batch.file.clone_from(path);
        }
        batch.trim(self.max_kept);
        match std::mem::replace(&mut self.state, State::Ended) {
            state @ (State::Open | State::Archive(_)) => self.state = state,
            State::Failed(error) => return Err(error),
            State::Ended => return Ok(Fill::End),
        }
        self.framer.attach(batch, &self.carry);
        if self.carry.capacity() > self.max_kept {
            self.carry = Vec::new();
        }
        let mut read = 0;
        loop {
            if self.would_wait() {
                return Ok(self.hand_on(batch, Fill::Idle));
            }
            // A live input is always asked for a whole block, so that a short read is meaningful. Other inputs are
            // asked for the rest of the block, and for whole blocks of an entry that is larger.
            let rest = self.block.saturating_sub(read);
            let ask = if self.bytes.live() || rest == 0 { self.block } else { rest.max(64) };
            let read_len = self.bytes.read(batch.room(ask.max(self.bytes.min_read())));
            if let Ok(len) = read_len
                && std::mem::take(&mut self.is_new)
            {
                self.begin(&batch.arena[..batch.filled + len])?;
            }
            match read_len {
                Ok(0) => {
                    self.framer.finish(batch, false);
                    self.state = State::Ended;
                    return Ok(Fill::End);
                }
                Ok(len) => {
                    batch.filled += len;
                    read += len;
                    self.framer.scan(batch);
                    if self.bytes.live() && len < ask && (self.idle_due || !batch.is_empty()) {
                        return Ok(self.hand_on(batch, Fill::Idle));
                    }
                    if read < self.block {
                        continue;
                    }
                    // An entry larger than a block stays in this batch, because moving it for each block would cost
                    // more. Beyond the size limit it is only skipped, perhaps forever.
                    let growing = self.framer.holds_part(batch) && read < self.max_unfinished;
                    if !batch.is_empty() || !growing {
                        return Ok(self.hand_on(batch, Fill::More));
                    }
                    self.framer.compact(batch);
                }
                Err(Fault::Holds(Content::Journal, head)) => return self.set_journal_aside(&head),
                Err(Fault::Holds(Content::Archive, head)) => {
                    let mut archive = Box::new(self.open_archive(head));
                    let filled = archive.fill(batch);
                    self.state = State::Archive(archive);
                    return Ok(filled);
                }
                Err(fault) => return self.fail(batch, fault),
            }
        }
    }

    /// Takes the events since the last call.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        let mut events = self.archive().map(Archive::take_events).unwrap_or_default();
        events.extend(self.journal.take().map(Event::Journal));
        events.extend(std::mem::take(&mut self.is_binary).then(|| Event::Binary(self.input.clone())));
        events
    }
}

impl Source for Stream {
    fn fill(&mut self, batch: &mut Batch) -> Filled {
        let filled = self.fill_batch(batch);
        Filled::new(filled, self.take_events())
    }

    fn done(&self) -> Option<u64> {
        Some(self.bytes.consumed())
    }
}

#[cfg(test)]
mod tests;
