//! A tar archive: its with_logs in their order, as one source, and its journals, which are put aside until all are known. Nothing
//! is unpacked to disk but journals that cannot be read where they are, because they are compressed or come through a pipe.
//!
//! An archive is read once, from its beginning to its end, whatever its headers say. What is damaged costs the member that
//! it is in.

pub(super) mod archive_bytes;
mod path_class;
mod tar_header;

use std::hash::Hasher as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::codec::{Bytes, Content, Fault, LONGEST_HEAD, TAR_BLOCK, has_tar_checksum};
use super::stream::Stream;
use super::temp_file::TempFile;
use super::{Damaged, Fill, Input, Member, Notice, Settings, Source as _, SourceError};
use archive_bytes::{ArchiveBytes, ReadFailure};
use kata_records::entry::Batch;
use tar_header::{MemberKind, TarHeader};

pub(super) use path_class::PathClass;

/// An archive may have archives in it, but these none.
const MAX_DEPTH: usize = 2;

/// How many blocks without a log are passed over at most before the caller is asked whether to go on.
const MAX_STEPS: usize = 1024;

/// An archive that is being read.
struct Level {
    /// Its name for messages.
    path: PathBuf,
    /// Its name within the outermost archive, or the directory that is read.
    within: PathBuf,
    archive_bytes: ArchiveBytes,
    /// Where the next header is expected.
    next: u64,
    /// It has the zeros that end archives. Other archives may be appended.
    end_seen: bool,
    /// The last header was none, so the next one is looked for.
    seeking_header: bool,
    /// It was said that it is damaged or incomplete.
    reported: bool,
}

/// The members of an archive.
pub(super) struct Archive {
    settings: Settings,
    with_logs: bool,
    /// The archive, and the one in it that is being read.
    levels: Vec<Level>,
    /// The log that is being read.
    log: Option<OpenLog>,
    temp_file: TempFile,
    journals: Vec<Member>,
    notices: Vec<Notice>,
    damages: Vec<Damaged>,
}

/// A log among the members.
struct OpenLog {
    stream: Box<Stream>,
    origin: [u8; 16],
    unclaimed: bool,
}

impl Archive {
    /// Reads an archive, which may be `within` a directory that is read. Without `with_logs`, its journals only.
    pub(super) fn new(
        archive_bytes: ArchiveBytes,
        input: &Input,
        within: PathBuf,
        with_logs: bool,
        settings: &Settings,
    ) -> Archive {
        Archive {
            settings: *settings,
            with_logs,
            levels: vec![Level::new(input.name(), within, archive_bytes)],
            log: None,
            temp_file: TempFile::new(),
            journals: Vec::new(),
            notices: Vec::new(),
            damages: Vec::new(),
        }
    }

    /// What [`super::Source::fill`] says; it never fails, because there may always be further members.
    pub(super) fn fill(&mut self, batch: &mut Batch) -> Result<Fill, SourceError> {
        batch.clear();
        for _ in 0..MAX_STEPS {
            if let Some(log) = &mut self.log {
                let filled = log.stream.fill(batch);
                (batch.origin, batch.unclaimed) = (log.origin, log.unclaimed);
                match filled {
                    Ok(Fill::More | Fill::Idle) => {}
                    Ok(Fill::End) => self.log = None,
                    Err(error) => {
                        self.log = None;
                        self.report(error);
                    }
                }
                return Ok(Fill::More);
            }
            if !self.advance() {
                return Ok(Fill::End);
            }
        }
        Ok(Fill::More)
    }

    pub(super) fn damages(&mut self) -> Vec<Damaged> {
        std::mem::take(&mut self.damages)
    }

    pub(super) fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    pub(super) fn journals(&mut self) -> Vec<Member> {
        std::mem::take(&mut self.journals)
    }

    /// Looks at the next block, and at the member that it begins. False where nothing more comes.
    fn advance(&mut self) -> bool {
        let Some(level) = self.levels.last_mut() else { return false };
        let at = level.next;
        let mut block = [0; TAR_BLOCK];
        match level.archive_bytes.fill(at, &mut block) {
            Ok(TAR_BLOCK) => {}
            Ok(len) => {
                // What ends archives may be missing, but there is no telling that from members that are missing.
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

    /// Finds out what a member is.
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
                return self.damages.push(Damaged { input, reason: "sparse-member", count: 1, offset: header.offset });
            }
            MemberKind::Sparse => return self.notices.push(Notice::PassedOver(input)),
            MemberKind::Other => return,
        }
        let archive_bytes = level.archive_bytes.clone();
        let mut bytes = Bytes::of_any(Box::new(archive_bytes.member_reader(header.offset, header.size)), false);
        let mut head = [0; LONGEST_HEAD];
        match bytes.read(&mut head) {
            Ok(len) if self.with_logs && class.is_log => {
                let within = level.within.join(&header.path);
                let stream = Stream::of_log(head[..len].to_vec(), bytes, input, &self.settings);
                self.log = Some(OpenLog {
                    stream: Box::new(stream),
                    origin: member_origin(&within),
                    unclaimed: !class.is_kata,
                });
            }
            Ok(_) => self.notices.push(Notice::PassedOver(input)),
            Err(Fault::Holds(Content::Journal, head)) => {
                self.set_journal_aside(path, &archive_bytes, header, head, bytes)
            }
            Err(Fault::Holds(Content::Archive, _)) if self.levels.len() == MAX_DEPTH => {
                self.damages.push(Damaged { input, reason: "nested-archive", count: 1, offset: header.offset });
            }
            Err(Fault::Holds(Content::Archive, head)) => {
                let within = level.within.join(&header.path);
                let part = archive_bytes.extent(header.offset, header.size).filter(|_| bytes.is_plain());
                let archive_bytes = part.map_or_else(|| ArchiveBytes::of_stream(head, bytes), ArchiveBytes::of_extent);
                self.levels.push(Level::new(path, within, archive_bytes));
            }
            Err(fault) if class.is_log || class.is_journal => self.report(SourceError::of(fault, input, 0)),
            Err(_) => {
                if !self.report_failure() {
                    self.notices.push(Notice::PassedOver(input));
                }
            }
        }
    }

    /// Puts a journal aside: as a part of the archive's file, or unpacked.
    fn set_journal_aside(
        &mut self,
        path: PathBuf,
        archive_bytes: &ArchiveBytes,
        header: &TarHeader,
        head: Vec<u8>,
        mut bytes: Bytes,
    ) {
        if let Some(extent) = archive_bytes.extent(header.offset, header.size).filter(|_| bytes.is_plain()) {
            return self.journals.push(Member { path, extent });
        }
        let Some(outermost) = self.levels.first().map(|level| level.archive_bytes.clone()) else { return };
        let input = Input::File(path.clone());
        match self.temp_file.unpack(&input, &head, &mut bytes, |_| outermost.consumed()) {
            Ok((extent, failure)) => {
                self.journals.push(Member { path, extent });
                failure.into_iter().for_each(|error| self.report(error));
            }
            Err(error) => self.report(error),
        }
    }

    /// Says that a member cannot be read, unless that is so because an archive cannot.
    fn report(&mut self, error: SourceError) {
        if !self.report_failure() {
            self.notices.push(Notice::Failed(error));
        }
    }

    /// Whether an archive ended before it should have. If it was not said yet, it is said now of the outermost one of which
    /// it is so: the others are members of it.
    fn report_failure(&mut self) -> bool {
        let mut broken = false;
        for level in &mut self.levels {
            let why = level.archive_bytes.take_failure();
            // What is in a broken one is not to blame.
            let reported = broken && std::mem::replace(&mut level.reported, true);
            let Some(why) = why.filter(|_| !broken && !reported) else { continue };
            broken = true;
            if !std::mem::replace(&mut level.reported, true) {
                let input = Input::File(level.path.clone());
                let offset = level.archive_bytes.position();
                self.notices.push(Notice::Failed(match why {
                    ReadFailure::Fault(fault) => SourceError::of(fault, input, offset),
                    ReadFailure::Truncated => {
                        SourceError::Archive { input, offset, cause: "it is cut off in a member" }
                    }
                }));
            }
        }
        broken
    }

    /// Says what is wrong with the archive that is being read, if nothing was said yet.
    fn report_damage(&mut self, offset: u64, cause: &'static str) {
        let Some(level) = self.levels.last_mut() else { return };
        if !std::mem::replace(&mut level.reported, true) {
            let input = Input::File(level.path.clone());
            self.notices.push(Notice::Failed(SourceError::Archive { input, offset, cause }));
        }
    }
}

impl Level {
    fn new(path: PathBuf, within: PathBuf, archive_bytes: ArchiveBytes) -> Level {
        Level { path, within, archive_bytes, next: 0, end_seen: false, seeking_header: false, reported: false }
    }
}

/// What tells the entries of a member from those of others, wherever the archive is stored.
pub(super) fn member_origin(within: &Path) -> [u8; 16] {
    let mut hash = SipHasher13::new();
    hash.write(within.as_os_str().as_bytes());
    hash.finish128().as_bytes()
}

#[cfg(test)]
mod tests;
