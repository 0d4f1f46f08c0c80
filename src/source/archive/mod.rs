//! Reads a tar archive: its logs in order, as one source, and its journals, which are set aside until all are known.
//! Journals are unpacked to disk only if they are compressed or come through a pipe.
//!
//! An archive is read once, from beginning to end, whatever its headers claim. Damage loses only the affected member.

pub(super) mod archive_bytes;
mod path_class;
mod tar_header;

use std::hash::Hasher as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::codec::{Bytes, Content, Fault, LONGEST_HEAD, TAR_BLOCK, has_tar_checksum};
use super::route::InputRoute;
use super::stream::Stream;
use super::temp_file::TempFile;
use super::{Damaged, Event, Fill, Input, Logs, Member, Settings, SourceError};
use archive_bytes::{ArchiveBytes, ReadFailure};
use kata_records::Batch;
use tar_header::{MemberKind, TarHeader};

pub(super) use path_class::PathClass;

/// The nesting depth of archives: an archive may contain archives, but those may not.
const MAX_DEPTH: usize = 2;

/// The limit of the memory for the journals of an archive, and the memory that one takes until its turn besides its path.
/// Few bytes of a compressed archive can hold any number of journals.
const MAX_JOURNALS_MEMORY: usize = 64 << 20;
const JOURNAL_MEMORY: usize = 2 << 10;

/// The limit of blocks without a log before control returns to the caller.
const MAX_STEPS: usize = 1024;

/// An open archive, either the outermost or a nested one.
struct Level {
    /// The path for messages.
    path: PathBuf,
    /// The path within the outermost archive or the directory being read.
    within: PathBuf,
    /// The path with those of the outer archives and of the directory, without symbolic links.
    whole: PathBuf,
    archive_bytes: ArchiveBytes,
    /// The offset of the next header.
    next: u64,
    /// The end mark (two zero blocks) was read. Concatenated archives may follow.
    end_seen: bool,
    /// The last header was invalid, so the reader looks for the next valid one.
    seeking_header: bool,
    /// The damage of this archive was already reported.
    reported: bool,
}

/// A source of the members of an archive.
pub(super) struct Archive {
    settings: Settings,
    logs: Logs,
    /// A log was reported as refused.
    logs_refused: bool,
    /// The outermost archive, then the nested one being read.
    levels: Vec<Level>,
    /// The log being read.
    log: Option<OpenLog>,
    temp_file: TempFile,
    /// The memory that is left for journals.
    memory_left: usize,
    events: Vec<Event>,
}

/// An open log member.
struct OpenLog {
    stream: Box<Stream>,
    origin: [u8; 16],
    unclaimed: bool,
}

/// The location of an archive.
pub(super) struct ArchivePlace {
    /// The path inside the directory being read.
    pub(super) within: PathBuf,
    /// The path with that of the directory, without symbolic links.
    pub(super) whole: PathBuf,
}

impl Archive {
    /// Opens an archive.
    pub(super) fn new(
        archive_bytes: ArchiveBytes,
        input: &Input,
        place: ArchivePlace,
        logs: Logs,
        settings: &Settings,
    ) -> Archive {
        Archive {
            settings: settings.clone(),
            logs,
            logs_refused: false,
            levels: vec![Level::new(input.name(), place, archive_bytes)],
            log: None,
            temp_file: TempFile::new(),
            memory_left: MAX_JOURNALS_MEMORY,
            events: Vec::new(),
        }
    }

    /// Fills a batch, as [`super::Source::fill`] does. Never fails, because other members may follow a failed one.
    pub(super) fn fill(&mut self, batch: &mut Batch) -> Fill {
        batch.clear();
        for _ in 0..MAX_STEPS {
            if let Some(log) = &mut self.log {
                let filled = log.stream.fill_batch(batch);
                (batch.origin, batch.unclaimed) = (log.origin, log.unclaimed);
                self.events.append(&mut log.stream.take_events());
                match filled {
                    Ok(Fill::More | Fill::Idle) => {}
                    Ok(Fill::End) => self.log = None,
                    Err(error) => {
                        self.log = None;
                        self.report(error);
                    }
                }
                return Fill::More;
            }
            if !self.advance() {
                return Fill::End;
            }
        }
        Fill::More
    }

    /// Takes the events since the last call.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Reads the next block and opens the member that starts there. Returns `false` at the end.
    fn advance(&mut self) -> bool {
        let Some(level) = self.levels.last_mut() else { return false };
        let at = level.next;
        let mut block = [0; TAR_BLOCK];
        match level.archive_bytes.fill(at, &mut block) {
            Ok(TAR_BLOCK) => {}
            Ok(len) => {
                // A missing end mark cannot be distinguished from missing members.
                let known = level.end_seen || level.seeking_header;
                if !self.report_failure() && !known {
                    self.report_damage(at + len as u64, "it is cut off, or its end mark is missing,");
                }
                self.levels.pop();
                return true;
            }
            Err(_) => {
                self.report_failure();
                self.levels.pop();
                return true;
            }
        }
        level.next += TAR_BLOCK as u64;
        if block.iter().all(|byte| *byte == 0) {
            level.end_seen = true;
            return true;
        }
        let found =
            if has_tar_checksum(&block) { tar_header::read(&level.archive_bytes, at, &block).ok() } else { None };
        match found {
            Some(header) => {
                (level.next, level.seeking_header) = (header.next, false);
                self.open_member(&header);
            }
            None => {
                let known = std::mem::replace(&mut level.seeking_header, true) || level.end_seen;
                if !self.report_failure() && !known {
                    self.report_damage(at, "a header is damaged");
                }
            }
        }
        true
    }

    /// Opens a member according to its name and content.
    fn open_member(&mut self, header: &TarHeader) {
        let Some(level) = self.levels.last() else { return };
        let mut path = level.path.clone().into_os_string();
        path.push(":");
        path.push(&header.path);
        let path = PathBuf::from(path);
        let input = Input::File(path.clone());
        let class = PathClass::of(&header.path);
        match header.kind {
            MemberKind::File => {}
            MemberKind::Sparse if class.is_log || class.is_journal => {
                return self.damage(input, "sparse-member", header);
            }
            MemberKind::Sparse | MemberKind::Special => return self.events.push(Event::PassedOver(input)),
            MemberKind::Other => return,
        }
        let archive_bytes = level.archive_bytes.clone();
        let reader = archive_bytes.member_reader(header.offset, header.size);
        let mut bytes = Bytes::of_member(Box::new(reader), archive_bytes.memory());
        let mut head = [0; LONGEST_HEAD];
        match bytes.read(&mut head) {
            Ok(len) if class.is_log => match self.logs {
                Logs::Read => {
                    let within = level.within.join(&header.path);
                    let whole = level.whole.join(&header.path);
                    let route = InputRoute::of_found(&within, &whole, class, &self.settings.trust);
                    let stream = Stream::of_log(head[..len].to_vec(), bytes, input, route, &self.settings);
                    self.log = Some(OpenLog {
                        stream: Box::new(stream),
                        origin: member_origin(&within),
                        unclaimed: !class.is_kata,
                    });
                }
                Logs::RefusedBy(flag) if len > 0 => self.report_refused(input, flag),
                Logs::RefusedBy(_) | Logs::JournalsOnly => self.events.push(Event::PassedOver(input)),
            },
            Ok(_) => self.events.push(Event::PassedOver(input)),
            Err(Fault::Holds(Content::Journal, head)) => {
                self.set_journal_aside(path, &archive_bytes, header, head, bytes)
            }
            Err(Fault::Holds(Content::Archive, _)) if self.levels.len() == MAX_DEPTH => {
                self.damage(input, "nested-archive", header);
            }
            Err(Fault::Holds(Content::Archive, head)) => {
                let place =
                    ArchivePlace { within: level.within.join(&header.path), whole: level.whole.join(&header.path) };
                let part = archive_bytes.extent(header.offset, header.size).filter(|_| bytes.is_plain());
                let archive_bytes = part.map_or_else(|| ArchiveBytes::of_stream(head, bytes), ArchiveBytes::of_extent);
                self.levels.push(Level::new(path, place, archive_bytes));
            }
            // Too large a window hides the content, which may be an archive.
            Err(fault) if class.is_log || class.is_journal || matches!(fault, Fault::TooLarge(_)) => {
                self.report(SourceError::of(fault, input, 0))
            }
            Err(_) => {
                if !self.report_failure() {
                    self.events.push(Event::PassedOver(input));
                }
            }
        }
    }

    /// Sets a journal aside: as a range of the archive's file, or unpacked.
    fn set_journal_aside(
        &mut self,
        path: PathBuf,
        archive_bytes: &ArchiveBytes,
        header: &TarHeader,
        head: Vec<u8>,
        mut bytes: Bytes,
    ) {
        match self.memory_left.checked_sub(JOURNAL_MEMORY + path.as_os_str().len()) {
            Some(left) => self.memory_left = left,
            None => return self.damage(Input::File(path), "too-many-journals", header),
        }
        if let Some(extent) = archive_bytes.extent(header.offset, header.size).filter(|_| bytes.is_plain()) {
            return self.events.push(Event::Journal(Member { path, extent }));
        }
        let Some(outermost) = self.levels.first().map(|level| level.archive_bytes.clone()) else { return };
        let input = Input::File(path.clone());
        match self.temp_file.unpack(&input, &head, &mut bytes, |_| outermost.consumed()) {
            Ok((extent, failure)) => {
                self.events.push(Event::Journal(Member { path, extent }));
                failure.into_iter().for_each(|error| self.report(error));
            }
            Err(error) => self.report(error),
        }
    }

    /// Reports a member that is left out.
    fn damage(&mut self, input: Input, reason: &'static str, header: &TarHeader) {
        self.events.push(Event::Damaged(Damaged { input, reason, count: 1, offset: header.offset }));
    }

    /// Reports the first log that a flag refuses. The others are passed over.
    fn report_refused(&mut self, input: Input, flag: &'static str) {
        if std::mem::replace(&mut self.logs_refused, true) {
            return self.events.push(Event::PassedOver(input));
        }
        let others_of = self.levels.first().map(|level| Input::File(level.path.clone()));
        self.events.push(Event::Failed(SourceError::LogRefused { input, flag, others_of }));
    }

    /// Reports a failed member, unless a broken archive is the cause.
    fn report(&mut self, error: SourceError) {
        if !self.report_failure() {
            self.events.push(Event::Failed(error));
        }
    }

    /// Returns whether any open archive ended early, and reports it once. Only the outermost such archive is reported,
    /// because the nested ones are its members.
    fn report_failure(&mut self) -> bool {
        let mut broken = false;
        for level in &mut self.levels {
            let why = level.archive_bytes.take_failure();
            // A broken outer archive explains the failures of nested ones.
            let reported = broken && std::mem::replace(&mut level.reported, true);
            let Some(why) = why.filter(|_| !broken && !reported) else { continue };
            broken = true;
            if !std::mem::replace(&mut level.reported, true) {
                let input = Input::File(level.path.clone());
                let offset = level.archive_bytes.position();
                self.events.push(Event::Failed(match why {
                    ReadFailure::Fault(fault) => SourceError::of(fault, input, offset),
                    ReadFailure::Truncated => {
                        SourceError::Archive { input, offset, cause: "it is cut off in a member" }
                    }
                }));
            }
        }
        broken
    }

    /// Reports damage of the current archive, at most once.
    fn report_damage(&mut self, offset: u64, cause: &'static str) {
        let Some(level) = self.levels.last_mut() else { return };
        if !std::mem::replace(&mut level.reported, true) {
            let input = Input::File(level.path.clone());
            self.events.push(Event::Failed(SourceError::Archive { input, offset, cause }));
        }
    }
}

impl Level {
    fn new(path: PathBuf, place: ArchivePlace, archive_bytes: ArchiveBytes) -> Level {
        let ArchivePlace { within, whole } = place;
        Level { path, within, whole, archive_bytes, next: 0, end_seen: false, seeking_header: false, reported: false }
    }
}

/// Returns the id prefix of a member's entries. It depends on the path within the archive, not on where the archive is
/// stored.
pub(super) fn member_origin(within: &Path) -> [u8; 16] {
    let mut hash = SipHasher13::new();
    hash.write(within.as_os_str().as_bytes());
    hash.finish128().as_bytes()
}

#[cfg(test)]
mod tests;
