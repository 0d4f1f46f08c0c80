//! Journals of systemd, read from their files (systemd: `docs/JOURNAL_FILE_FORMAT.md`; the code is the authority).
//!
//! The entries of all files come in one order, each once. A field that many entries have is read and decompressed once,
//! and is in a batch once. Nothing is mapped: a file may be cut or emptied by its writer at any moment, so all of it is
//! read with `pread`. Damage costs the smallest thing that it is in, and is counted.

mod cache;
mod damage;
mod dir;
mod fields;
mod file;
mod follow;
mod hash;
mod index;
mod layout;
#[cfg(feature = "libsystemd")]
pub(super) mod libsystemd;
#[cfg(not(feature = "libsystemd"))]
#[path = "libsystemd/missing.rs"]
pub(super) mod libsystemd;
mod order;
mod packed;
mod passed;
mod payload;
mod pieces;
mod range;
mod reader;
mod salvage;
mod stems;
mod window;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Deserialize;

use cache::Cache;
use damage::Damage;
use fields::Fields;
use file::Refusal;
use follow::Follow;
use passed::Passed;
use reader::{Life, Reader};
use stems::Stems;

use super::{Damaged, Fill, Input, Member, Skipped, Source, SourceError};
use crate::source::position::{JournalPosition, Position};
use kata_records::cursor::{Cursor, Place};
use kata_records::entry::{Batch, Stem, Stored};

pub use dir::Namespace;
pub use order::{Limit, Merge, Turn};
pub(super) use pieces::open as open_pieces;
pub use pieces::{Opened, Piece, Pieces};
pub use range::{Boot, Range};

/// What of a journal is worth reading. It may admit too much, never too little.
pub trait Interest: Sync {
    /// Whether all entries are wanted, whoever wrote them.
    fn everything(&self) -> bool;

    /// Whether entries of this identifier (SYSLOG_IDENTIFIER) may be wanted. Entries without one are not.
    fn entries_of(&self, identifier: &[u8]) -> bool;

    /// Whether an entry with this identifier and this message is wanted, as far as these tell.
    fn entry(&self, identifier: &[u8], message: &[u8]) -> bool;

    /// Whether a field of this name is wanted.
    fn field(&self, name: &[u8]) -> bool;
}

/// What reads journals. Its values are also the words of the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// katalog itself
    #[default]
    Native,
    /// systemd's library, where the build has the cargo feature `libsystemd`
    Libsystemd,
}

/// Which journals are read, and from where to where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalSettings {
    /// The journal of this machine is one of the inputs.
    pub of_this_machine: bool,
    /// Which namespaces of it.
    pub namespace: Namespace,
    /// Journals of other machines that are stored on this one too.
    pub merge: bool,
    /// What reads them.
    pub backend: Backend,
    /// From where to where.
    pub range: Range,
    /// Only so many entries, the last ones.
    pub lines: Option<usize>,
    /// After the last entry wait for further ones.
    pub follow: bool,
    /// Where an earlier run ended. What it passed is not given again, and where to begin is not asked then.
    pub resume: Option<JournalPosition>,
}

impl JournalSettings {
    /// The same for the journals of an archive, with which what is said of other inputs has nothing to do.
    #[must_use]
    pub fn of_archive(&self) -> JournalSettings {
        JournalSettings { of_this_machine: false, follow: false, resume: None, ..self.clone() }
    }

    /// Whether they are about the journal of this machine where no input is named.
    #[must_use]
    pub fn is_meant(&self) -> bool {
        self.of_this_machine || self.follow || self.merge || self.namespace != Namespace::Default
    }
}

/// How long a batch waits for entries before the caller is asked whether to go on.
const PATIENCE: Duration = Duration::from_millis(500);

/// Windows of all files together; each has some 68 KiB.
const WINDOWS: usize = 256;

/// The fields of a batch's entries together have at most so many times the bytes that the batch has, and the last entry
/// counts whole: what is made of a batch is not to be huge because its entries share large fields.
const SHARED: usize = 16;

/// A journal of one or many files.
pub(super) struct JournalSource<'r> {
    interest: &'r dyn Interest,
    range: Range,
    readers: Vec<Option<Reader>>,
    merge: Merge,
    /// The file to take from, up to where, and its entry at hand.
    turn: Option<(usize, Limit)>,
    /// By file, the entry at hand.
    places: Vec<Place>,
    cache: Cache,
    stems: Stems,
    /// The most windows that a file has.
    windows: usize,
    block: usize,
    skipped: Skipped,
    damages: Vec<Damaged>,
    /// How many bytes the files had that are closed.
    closed: u64,
    /// None where the end of the files is the end.
    follow: Option<Follow>,
    /// Entries were given since it was last said that more may have to be waited for.
    in_hand: bool,
    /// What an earlier run has passed.
    resume: Passed,
    /// What was passed in files that are closed.
    over: Passed,
    /// The entry that was given last.
    last: Option<Place>,
    /// The cursor of the one that an earlier run gave last.
    cursor: Option<String>,
}

/// Opens the files that inputs name, and members of an archive, and says what could not be read of them.
pub(super) fn open<'r>(
    inputs: &[PathBuf],
    members: Vec<Member>,
    settings: &JournalSettings,
    block: usize,
    interest: &'r dyn Interest,
) -> (JournalSource<'r>, Vec<SourceError>) {
    let (found, mut errors) = find(inputs, settings);
    let mut source = JournalSource::new(settings.range, block, interest);
    source.windows = windows(found.files.len() + members.len());
    if let Some(position) = &settings.resume {
        source.resume = Passed::of(position);
        source.cursor.clone_from(&position.cursor);
    }
    source.over = source.resume.clone();
    let mut follow = settings.follow.then(|| Follow::new(inputs, settings));
    let mut readers = Vec::new();
    for candidate in found.files {
        match Reader::open(candidate.path.clone(), source.windows) {
            Ok((mut reader, failure)) => {
                errors.extend(failure);
                if follow.as_mut().is_none_or(|follow| follow.admit(&candidate, &mut reader)) {
                    readers.push(reader);
                }
            }
            Err(cause) => {
                if follow.as_mut().is_none_or(|follow| follow.refuse(&candidate.path, &cause)) {
                    errors.push(refused(candidate.path, cause));
                }
            }
        }
    }
    for Member { path, extent } in members {
        match Reader::new(path.clone(), extent, source.windows) {
            Ok(reader) => readers.push(reader),
            Err(cause) => errors.push(refused(path, cause)),
        }
    }
    // Who may read nothing waits for nothing.
    if readers.is_empty() && !errors.is_empty() {
        follow = None;
    }
    if let Some(follow) = &mut follow {
        follow.begin(source.windows, &mut readers);
    }
    for reader in &mut readers {
        reader.choose(interest, &source.resume);
    }
    if follow.is_some() {
        for reader in &mut readers {
            // When a file was begun, all that is in the others before it was there.
            reader.look();
        }
    }
    source.follow = follow;
    source.range = source.range.resolved(|| boots(&mut readers));
    let mut last = HashSet::new();
    if let Some(lines) = settings.lines.filter(|_| settings.resume.is_none()) {
        readers.iter_mut().for_each(|reader| reader.keep_last(lines, &source.range, interest, &mut last));
    }
    for reader in readers {
        source.add(reader);
    }
    // Of the last ones of each file those are passed over that are not among the last of all.
    let mut spare = last.len().saturating_sub(settings.lines.unwrap_or(usize::MAX));
    while spare > 0 {
        let Some(index) = source.next() else { break };
        spare -= usize::from(last.contains(&source.places[index]));
        source.advance(index);
    }
    (source, errors)
}

/// Whether a directory has journals of its own, or may have some that cannot be read.
pub(super) fn is_at(directory: &Path) -> bool {
    let found = dir::at(directory, true);
    !found.files.is_empty() || !found.errors.is_empty()
}

/// How many bytes the files have that inputs and settings name.
pub(super) fn size(inputs: &[PathBuf], settings: &JournalSettings) -> u64 {
    let (found, _) = find(inputs, settings);
    found.files.iter().filter_map(|file| file.path.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// The files that the inputs and the settings name, and what could not be looked at.
fn find(inputs: &[PathBuf], settings: &JournalSettings) -> (dir::Found, Vec<SourceError>) {
    let mut all = dir::Found::default();
    let mut empty = Vec::new();
    if settings.of_this_machine {
        let found = dir::of_this_machine(Path::new("/"), &settings.namespace, settings.merge);
        if found.files.is_empty() && found.errors.is_empty() && !settings.follow {
            empty.push(SourceError::NoMachineJournal);
        }
        all.add(found);
    }
    for input in inputs {
        let found = dir::at(input, !settings.follow);
        if found.files.is_empty() && found.errors.is_empty() && !settings.follow {
            empty.push(SourceError::Directory { input: Input::File(input.clone()) });
        }
        all.add(found);
    }
    let denied = all.errors.drain(..).map(|error| SourceError::JournalAccess {
        message: error.to_string(),
        kind: error.cause.kind(),
        input: Input::File(error.path),
    });
    let errors = denied.chain(empty).collect();
    (all, errors)
}

/// The paths of the files that the inputs and the settings name, and what could not be looked at.
pub(super) fn paths(inputs: &[PathBuf], settings: &JournalSettings) -> (Vec<PathBuf>, Vec<SourceError>) {
    let (found, errors) = find(inputs, settings);
    (found.files.into_iter().map(|file| file.path).collect(), errors)
}

fn refused(path: PathBuf, cause: Refusal) -> SourceError {
    let input = Input::File(path);
    match cause {
        Refusal::Unreadable(cause) => SourceError::Open { input, cause },
        Refusal::Packed(error) => *error,
        cause => SourceError::JournalRefused { input, cause: cause.to_string() },
    }
}

/// The boots that the files tell of, the first one first, by the times of their first entries.
fn boots(readers: &mut [Reader]) -> Vec<[u8; 16]> {
    let mut boots: Vec<(u64, [u8; 16])> = readers.iter_mut().flat_map(Reader::boots).collect();
    boots.sort_unstable();
    let mut seen = HashSet::new();
    boots.into_iter().map(|(_, boot)| boot).filter(|boot| seen.insert(*boot)).collect()
}

/// How many windows each of so many files has.
fn windows(files: usize) -> usize {
    (WINDOWS / files.max(1)).clamp(2, 16)
}

impl<'r> JournalSource<'r> {
    /// One without any file.
    fn new(range: Range, block: usize, interest: &'r dyn Interest) -> JournalSource<'r> {
        JournalSource {
            interest,
            range,
            readers: Vec::new(),
            merge: Merge::default(),
            turn: None,
            places: Vec::new(),
            cache: Cache::default(),
            stems: Stems::default(),
            windows: 2,
            block,
            skipped: Skipped::default(),
            damages: Vec::new(),
            closed: 0,
            follow: None,
            in_hand: false,
            resume: Passed::default(),
            over: Passed::default(),
            last: None,
            cursor: None,
        }
    }

    /// Takes a file in, in a place of its own as long as it is open.
    fn add(&mut self, mut reader: Reader) {
        let place = reader.advance(&self.range, self.interest);
        reader.waits = place.is_none();
        if reader.waits && reader.life == Life::Over {
            self.over.note(reader.file.header().seqnum_id, reader.passed);
            self.note(&mut reader);
            return;
        }
        let free = self.follow.is_some().then(|| self.readers.iter().position(Option::is_none)).flatten();
        let index = free.unwrap_or(self.readers.len());
        if free.is_some() {
            // What is kept is of the file that had the place before.
            self.cache.forget();
            self.stems.clear();
        } else {
            self.readers.push(None);
            self.places.push(Place::default());
        }
        self.readers[index] = Some(reader);
        if let Some(place) = place {
            self.places[index] = place;
            self.merge.offer(index, place);
        }
    }

    /// Takes up a file that has waited for entries.
    fn resume(&mut self, index: usize) {
        let Some(reader) = self.readers.get_mut(index).and_then(Option::as_mut).filter(|reader| reader.waits) else {
            return;
        };
        reader.waits = false;
        if self.advance(index) {
            self.merge.offer(index, self.places[index]);
        }
    }

    /// The file whose entry at hand comes next.
    fn next(&mut self) -> Option<usize> {
        if let Some((index, limit)) = self.turn
            && limit.admits(&self.places[index])
        {
            return Some(index);
        }
        self.put_back();
        loop {
            match self.merge.turn()? {
                Turn::Take(index, limit) => {
                    self.turn = Some((index, limit));
                    return Some(index);
                }
                Turn::Skip(index) => {
                    self.skipped.repeated += 1;
                    if self.advance(index) {
                        self.merge.offer(index, self.places[index]);
                    }
                }
            }
        }
    }

    /// Offers the entry at hand of the file that was taken from.
    fn put_back(&mut self) {
        if let Some((index, _)) = self.turn.take() {
            self.merge.offer(index, self.places[index]);
        }
    }

    /// Goes to the next entry of a file; false at its end.
    fn advance(&mut self, index: usize) -> bool {
        if let Some(reader) = self.readers.get_mut(index).and_then(Option::as_mut) {
            if let Some(place) = reader.advance(&self.range, self.interest) {
                self.places[index] = place;
                return true;
            }
            reader.waits = reader.life != Life::Over;
            if reader.waits {
                self.skipped.others += std::mem::take(&mut reader.skipped);
                reader.damages(&mut self.damages);
            } else {
                self.close(index);
            }
        }
        self.turn.take_if(|(at, _)| *at == index);
        false
    }

    /// Appends the entry at hand of a file. Gives the length of its fields together.
    fn put(&mut self, index: usize, batch: &mut Batch) -> usize {
        let Some(reader) = self.readers.get_mut(index).and_then(Option::as_mut) else { return 0 };
        let start = batch.items.len();
        let (old, new) = reader.items.split_at(reader.old());
        let mut fields = Fields {
            file: &mut reader.file,
            lives: reader.life != Life::Over,
            index,
            furthest: &mut reader.furthest,
            cache: &mut self.cache,
            interest: self.interest,
            batch,
            length: 0,
        };
        let (stem, whole) = match self.stems.find(index, old) {
            Some(known) => {
                fields.batch.items.extend_from_within(known.items.clone());
                fields.length = known.length;
                (known.stem, true)
            }
            None => match fields.put(old) {
                Ok(true) => (self.stems.add(index, old, start..fields.batch.items.len(), fields.length), true),
                outcome => (Stem::default(), outcome.is_ok()),
            },
        };
        if !whole || fields.put(new).is_err() {
            // No writer makes such an entry.
            fields.file.damages.note(Damage::Oversized, reader.at);
        }
        let length = fields.length;
        let (start, end) = (start as u32, batch.items.len() as u32);
        let offset = file::offset(reader.at);
        batch.stored.push(Stored { place: self.places[index], offset, start, end, stem, length });
        self.last = Some(self.places[index]);
        reader.worth += length as u64;
        if reader.worth > reader.most_worth() {
            reader.file.damages.note(Damage::Oversized, reader.at);
            self.close(index);
        }
        length
    }

    /// Closes a file and notes what was left out of it. Its turn is over.
    fn close(&mut self, index: usize) {
        self.turn.take_if(|(at, _)| *at == index);
        let Some(mut reader) = self.readers.get_mut(index).and_then(Option::take) else { return };
        self.over.note(reader.file.header().seqnum_id, reader.passed);
        self.note(&mut reader);
    }

    fn note(&mut self, reader: &mut Reader) {
        self.closed += reader.file.end();
        self.skipped.others += reader.skipped;
        reader.damages(&mut self.damages);
    }
}

impl Source for JournalSource<'_> {
    fn fill(&mut self, batch: &mut Batch) -> Result<Fill, SourceError> {
        batch.clear();
        batch.trim(self.block * 4);
        batch.arena.clear();
        self.cache.begin();
        self.stems.clear();
        self.readers.iter_mut().flatten().for_each(Reader::begin);
        self.look_now_and_then();
        let mut length = 0;
        let mut waited = Duration::ZERO;
        loop {
            while let Some(index) = self.next() {
                length += self.put(index, batch);
                self.advance(index);
                let size = batch.arena.len() + 4 * batch.items.len() + size_of::<Stored>() * batch.stored.len();
                if size >= self.block || length >= self.block * SHARED {
                    self.in_hand = true;
                    return Ok(Fill::More);
                }
            }
            if self.follow.is_none() {
                return Ok(Fill::End);
            }
            if std::mem::take(&mut self.in_hand) || !batch.stored.is_empty() || !self.damages.is_empty() {
                return Ok(Fill::Idle);
            }
            if waited >= PATIENCE {
                return Ok(Fill::Idle);
            }
            let before = Instant::now();
            self.wait();
            waited += before.elapsed();
        }
    }

    fn is_empty(&self) -> bool {
        self.readers.iter().all(Option::is_none)
    }

    fn restarts(&self) -> bool {
        true
    }

    fn position(&mut self) -> Option<Position> {
        let mut passed = self.over.clone();
        let mut at_hand = Vec::new();
        for (reader, place) in self.readers.iter().zip(&self.places) {
            match reader {
                Some(reader) if reader.waits => passed.note(reader.file.header().seqnum_id, reader.passed),
                Some(_) => at_hand.push(*place),
                None => {}
            }
        }
        let cursor = self.last.map_or_else(|| self.cursor.clone(), |place| Some(Cursor::from(place).to_string()));
        Some(Position::Journal(passed.position(at_hand.into_iter(), cursor)))
    }

    fn done(&self) -> Option<u64> {
        let open: u64 = self.readers.iter().flatten().map(Reader::done).sum();
        self.follow.is_none().then_some(self.closed + open)
    }

    fn skipped(&mut self) -> Skipped {
        std::mem::take(&mut self.skipped)
    }

    fn damages(&mut self) -> Vec<Damaged> {
        std::mem::take(&mut self.damages)
    }
}
