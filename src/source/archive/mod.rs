//! A tar archive: its logs in their order, as one source, and its journals, which are put aside until all are known. Nothing
//! is unpacked to disk but journals that cannot be read where they are, because they are compressed or come through a pipe.
//!
//! An archive is read once, from its beginning to its end, whatever its headers say. What is damaged costs the member that
//! it is in.

mod header;
mod names;
pub(super) mod tape;

use std::hash::Hasher as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::codec::{BLOCK, Bytes, Content, Fault, LONGEST_HEAD, is_header};
use super::spill::Spill;
use super::stream::Stream;
use super::{Damaged, Fill, Input, Member, Notice, Settings, Source as _, SourceError};
use header::{Header, Kind};
use kata_records::entry::Batch;
use tape::{Broken, Tape};

pub(super) use names::Name;

/// An archive may have archives in it, but these none.
const DEPTH: usize = 2;

/// How many blocks without a log are passed over at most before the caller is asked whether to go on.
const STEPS: usize = 1024;

/// An archive that is being read.
struct Level {
    /// Its name for messages.
    path: PathBuf,
    /// Its name within the outermost archive, or the directory that is read.
    within: PathBuf,
    tape: Tape,
    /// Where the next header is expected.
    next: u64,
    /// It has the zeros that end archives. Other archives may be appended.
    ended: bool,
    /// The last header was none, so the next one is looked for.
    lost: bool,
    /// It was said that it is damaged or incomplete.
    blamed: bool,
}

/// The members of an archive.
pub(super) struct Archive {
    settings: Settings,
    logs: bool,
    /// The archive, and the one in it that is being read.
    levels: Vec<Level>,
    /// The log that is being read.
    log: Option<Log>,
    spill: Spill,
    journals: Vec<Member>,
    notices: Vec<Notice>,
    damages: Vec<Damaged>,
}

/// A log among the members.
struct Log {
    stream: Box<Stream>,
    origin: [u8; 16],
    unclaimed: bool,
}

impl Archive {
    /// Reads an archive, which may be `within` a directory that is read. Without `logs`, its journals only.
    pub(super) fn new(tape: Tape, input: &Input, within: PathBuf, logs: bool, settings: &Settings) -> Archive {
        Archive {
            settings: *settings,
            logs,
            levels: vec![Level::new(input.name(), within, tape)],
            log: None,
            spill: Spill::new(),
            journals: Vec::new(),
            notices: Vec::new(),
            damages: Vec::new(),
        }
    }

    /// What [`super::Source::fill`] says; it never fails, because there may always be further members.
    pub(super) fn fill(&mut self, batch: &mut Batch) -> Result<Fill, SourceError> {
        batch.clear();
        for _ in 0..STEPS {
            if let Some(log) = &mut self.log {
                let filled = log.stream.fill(batch);
                (batch.origin, batch.unclaimed) = (log.origin, log.unclaimed);
                match filled {
                    Ok(Fill::More | Fill::Idle) => {}
                    Ok(Fill::End) => self.log = None,
                    Err(error) => {
                        self.log = None;
                        self.failed(error);
                    }
                }
                return Ok(Fill::More);
            }
            if !self.step() {
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
    fn step(&mut self) -> bool {
        let Some(level) = self.levels.last_mut() else { return false };
        let at = level.next;
        let mut block = [0; BLOCK];
        match level.tape.fill(at, &mut block) {
            Ok(BLOCK) => {}
            Ok(len) => {
                // What ends archives may be missing, but there is no telling that from members that are missing.
                let known = level.ended || level.lost;
                if !self.is_broken() && !known {
                    self.blame(at + len as u64, "it is cut off, or its end mark is missing,");
                }
                self.levels.pop();
                return true;
            }
            Err(_) => {
                self.is_broken();
                self.levels.pop();
                return true;
            }
        }
        level.next += BLOCK as u64;
        if block.iter().all(|byte| *byte == 0) {
            level.ended = true;
            return true;
        }
        let found = if is_header(&block) { header::read(&level.tape, at, &block).ok() } else { None };
        match found {
            Some(header) => {
                (level.next, level.lost) = (header.next, false);
                self.member(&header);
            }
            None => {
                let known = std::mem::replace(&mut level.lost, true) || level.ended;
                if !self.is_broken() && !known {
                    self.blame(at, "a header is damaged");
                }
            }
        }
        true
    }

    /// Finds out what a member is.
    fn member(&mut self, header: &Header) {
        let Some(level) = self.levels.last() else { return };
        let mut path = level.path.clone().into_os_string();
        path.push(":");
        path.push(&header.path);
        let path = PathBuf::from(path);
        let input = Input::File(path.clone());
        let name = Name::of(&header.path);
        match header.kind {
            Kind::File => {}
            Kind::Sparse if name.is_log || name.is_journal => {
                return self.damages.push(Damaged { input, reason: "sparse-member", count: 1, offset: header.at });
            }
            Kind::Sparse => return self.notices.push(Notice::PassedOver(input)),
            Kind::Other => return,
        }
        let tape = level.tape.clone();
        let mut bytes = Bytes::of_any(Box::new(tape.member(header.at, header.size)), false);
        let mut head = [0; LONGEST_HEAD];
        match bytes.read(&mut head) {
            Ok(len) if self.logs && name.is_log => {
                let within = level.within.join(&header.path);
                let stream = Stream::of_log(head[..len].to_vec(), bytes, input, &self.settings);
                self.log = Some(Log { stream: Box::new(stream), origin: origin(&within), unclaimed: !name.is_own });
            }
            Ok(_) => self.notices.push(Notice::PassedOver(input)),
            Err(Fault::Holds(Content::Journal, head)) => self.journal(path, &tape, header, head, bytes),
            Err(Fault::Holds(Content::Archive, _)) if self.levels.len() == DEPTH => {
                self.damages.push(Damaged { input, reason: "nested-archive", count: 1, offset: header.at });
            }
            Err(Fault::Holds(Content::Archive, head)) => {
                let within = level.within.join(&header.path);
                let part = tape.extent(header.at, header.size).filter(|_| bytes.is_plain());
                let tape = part.map_or_else(|| Tape::of_stream(head, bytes), Tape::of_extent);
                self.levels.push(Level::new(path, within, tape));
            }
            Err(fault) if name.is_log || name.is_journal => self.failed(SourceError::of(fault, input, 0)),
            Err(_) => {
                if !self.is_broken() {
                    self.notices.push(Notice::PassedOver(input));
                }
            }
        }
    }

    /// Puts a journal aside: as a part of the archive's file, or unpacked.
    fn journal(&mut self, path: PathBuf, tape: &Tape, header: &Header, head: Vec<u8>, mut bytes: Bytes) {
        if let Some(extent) = tape.extent(header.at, header.size).filter(|_| bytes.is_plain()) {
            return self.journals.push(Member { path, extent });
        }
        let Some(outermost) = self.levels.first().map(|level| level.tape.clone()) else { return };
        let input = Input::File(path.clone());
        match self.spill.put(&input, &head, &mut bytes, |_| outermost.taken()) {
            Ok((extent, failure)) => {
                self.journals.push(Member { path, extent });
                failure.into_iter().for_each(|error| self.failed(error));
            }
            Err(error) => self.failed(error),
        }
    }

    /// Says that a member cannot be read, unless that is so because an archive cannot.
    fn failed(&mut self, error: SourceError) {
        if !self.is_broken() {
            self.notices.push(Notice::Failed(error));
        }
    }

    /// Whether an archive ended before it should have. If it was not said yet, it is said now of the outermost one of which
    /// it is so: the others are members of it.
    fn is_broken(&mut self) -> bool {
        let mut broken = false;
        for level in &mut self.levels {
            let why = level.tape.broken();
            // What is in a broken one is not to blame.
            let blamed = broken && std::mem::replace(&mut level.blamed, true);
            let Some(why) = why.filter(|_| !broken && !blamed) else { continue };
            broken = true;
            if !std::mem::replace(&mut level.blamed, true) {
                let input = Input::File(level.path.clone());
                let offset = level.tape.given();
                self.notices.push(Notice::Failed(match why {
                    Broken::Fault(fault) => SourceError::of(fault, input, offset),
                    Broken::Cut => SourceError::Archive { input, offset, cause: "it is cut off in a member" },
                }));
            }
        }
        broken
    }

    /// Says what is wrong with the archive that is being read, if nothing was said yet.
    fn blame(&mut self, offset: u64, cause: &'static str) {
        let Some(level) = self.levels.last_mut() else { return };
        if !std::mem::replace(&mut level.blamed, true) {
            let input = Input::File(level.path.clone());
            self.notices.push(Notice::Failed(SourceError::Archive { input, offset, cause }));
        }
    }
}

impl Level {
    fn new(path: PathBuf, within: PathBuf, tape: Tape) -> Level {
        Level { path, within, tape, next: 0, ended: false, lost: false, blamed: false }
    }
}

/// What tells the entries of a member from those of others, wherever the archive is stored.
pub(super) fn origin(within: &Path) -> [u8; 16] {
    let mut hash = SipHasher13::new();
    hash.write(within.as_os_str().as_bytes());
    hash.finish128().as_bytes()
}

#[cfg(test)]
mod tests;
