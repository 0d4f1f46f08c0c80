//! A journal of one or many files: which they are, and their entries in one order.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::batch::{EntryBatch, EntryPrefix, StoredEntry};
use crate::cache::FieldCache;
use crate::cursor::{Cursor, Place};
use crate::damage::Damage;
use crate::directory::{self, Namespace, Stage};
use crate::entry_prefix::PrefixTable;
use crate::entry_range::Range;
use crate::error::Error;
use crate::fields::Fields;
use crate::file;
use crate::file_range::FileRange;
use crate::file_reader::{FileReader, FileState};
use crate::follow::Follow;
use crate::open::OpenFile;
use crate::order::{Merge, MergeStep, RunBound};
use crate::seqnum_progress::{Position, SeqnumProgress};

/// What of a journal is worth reading. It may admit too much, never too little.
pub trait EntryFilter: Sync {
    /// Whether all entries are wanted, whoever wrote them.
    fn everything(&self) -> bool;

    /// Whether entries of this identifier (SYSLOG_IDENTIFIER) may be wanted. Entries without one are not.
    fn entries_of(&self, identifier: &[u8]) -> bool;

    /// Whether an entry with this identifier and this message is wanted, as far as these tell.
    fn entry(&self, identifier: &[u8], message: &[u8]) -> bool;

    /// Whether a field of this name is wanted.
    fn field(&self, name: &[u8]) -> bool;
}

/// Which journals are read, and from where to where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The journal of this machine is one of the inputs.
    pub of_this_machine: bool,
    /// Which namespaces of it.
    pub namespace: Namespace,
    /// Journals of other machines that are stored on this one too.
    pub merge: bool,
    /// From where to where.
    pub range: Range,
    /// Only so many entries, the last ones.
    pub lines: Option<usize>,
    /// After the last entry wait for further ones.
    pub follow: bool,
    /// Where an earlier run ended. What it passed is not given again, and where to begin is not asked then.
    pub resume: Option<Position>,
    /// How many bytes a batch aims at.
    pub block: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            of_this_machine: false,
            namespace: Namespace::Default,
            merge: false,
            range: Range::default(),
            lines: None,
            follow: false,
            resume: None,
            block: 256 << 10,
        }
    }
}

/// Why a [`JournalReader`] stopped filling a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The batch is full, and there is more.
    More,
    /// There may be nothing more right now: use what is in hand before asking again, because asking may wait. The batch is
    /// empty where only an earlier answer of [`Fill::More`] left something in hand.
    Idle,
    /// The journal is over. The batch may hold its last entries.
    End,
}

/// Entries that were passed over without reading them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// An index said that they are not wanted.
    pub others: u64,
    /// Another file has them too.
    pub repeated: u64,
}

/// A kind of damage in a file, which cost the smallest thing that it was in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The file.
    pub path: PathBuf,
    /// The kind.
    pub reason: &'static str,
    /// How often it was met.
    pub count: u64,
    /// Where it was met first, in bytes from the beginning.
    pub offset: u64,
}

/// How long a batch waits for entries before the caller is asked whether to go on.
const PATIENCE: Duration = Duration::from_millis(500);

/// Windows of all files together; each has some 68 KiB.
const WINDOWS: usize = 256;

/// The fields of a batch's entries together have at most so many times the bytes that the batch has, and the last entry
/// counts whole: what is made of a batch is not to be huge because its entries share large fields.
const SHARED: usize = 16;

/// A journal of one or many files.
pub struct JournalReader<'r> {
    pub(crate) filter: &'r dyn EntryFilter,
    pub(crate) range: Range,
    pub(crate) readers: Vec<Option<FileReader>>,
    merge: Merge,
    /// The file to take from, up to where, and its entry at hand.
    run: Option<(usize, RunBound)>,
    /// By file, the entry at hand.
    pub(crate) places: Vec<Place>,
    cache: FieldCache,
    prefixes: PrefixTable,
    /// The most windows that a file has.
    pub(crate) windows: usize,
    block: usize,
    skipped: Skipped,
    pub(crate) damages: Vec<Damaged>,
    /// How many bytes the files had that are closed.
    closed: u64,
    /// None where the end of the files is the end.
    pub(crate) follow: Option<Follow<'r>>,
    /// Entries were given since it was last said that more may have to be waited for.
    in_hand: bool,
    /// What an earlier run has passed.
    pub(crate) resume: SeqnumProgress,
    /// What was passed in files that are closed.
    over: SeqnumProgress,
    /// The entry that was given last.
    last: Option<Place>,
    /// The cursor of the one that an earlier run gave last.
    cursor: Option<String>,
}

/// A journal file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Where it is.
    pub path: PathBuf,
    /// It holds a journal in another form, which [`OpenFile::open`] takes off.
    pub compressed: bool,
}

/// Whether a directory has journals of its own, or may have some that cannot be read.
pub fn is_at(directory: &Path, opener: &dyn OpenFile) -> bool {
    let found = directory::at(directory, opener, true);
    !found.files.is_empty() || !found.errors.is_empty()
}

/// The files that the inputs and the settings name, and what could not be looked at.
pub fn files(inputs: &[PathBuf], settings: &Settings, opener: &dyn OpenFile) -> (Vec<FoundFile>, Vec<Error>) {
    let (found, errors) = find(inputs, settings, opener);
    let file = |file: directory::Candidate| FoundFile { path: file.path, compressed: file.stage == Stage::Compressed };
    (found.files.into_iter().map(file).collect(), errors)
}

/// The files that the inputs and the settings name, and what could not be looked at.
pub(crate) fn find(
    inputs: &[PathBuf],
    settings: &Settings,
    opener: &dyn OpenFile,
) -> (directory::FoundFiles, Vec<Error>) {
    let mut all = directory::FoundFiles::default();
    let mut empty = Vec::new();
    if settings.of_this_machine {
        let found = directory::of_this_machine(Path::new("/"), opener, &settings.namespace, settings.merge);
        if found.files.is_empty() && found.errors.is_empty() && !settings.follow {
            empty.push(Error::NoMachineJournal);
        }
        all.add(found);
    }
    for input in inputs {
        let found = directory::at(input, opener, !settings.follow);
        if found.files.is_empty() && found.errors.is_empty() && !settings.follow {
            empty.push(Error::Empty { path: input.clone() });
        }
        all.add(found);
    }
    let errors = all.errors.drain(..).map(Error::from).chain(empty).collect();
    (all, errors)
}

/// The boots that the files tell of, the first one first, by the times of their first entries.
pub(crate) fn boots(readers: &mut [FileReader]) -> Vec<[u8; 16]> {
    let mut boots: Vec<(u64, [u8; 16])> = readers.iter_mut().flat_map(FileReader::boots).collect();
    boots.sort_unstable();
    let mut seen = HashSet::new();
    boots.into_iter().map(|(_, boot)| boot).filter(|boot| seen.insert(*boot)).collect()
}

/// How many windows each of so many files has.
pub(crate) fn windows(files: usize) -> usize {
    (WINDOWS / files.max(1)).clamp(2, 16)
}

impl<'r> JournalReader<'r> {
    /// Opens the files that inputs name, and members of an archive, and says what could not be read of them.
    pub fn open(
        inputs: &[PathBuf],
        members: Vec<(PathBuf, FileRange)>,
        settings: &Settings,
        filter: &'r dyn EntryFilter,
        opener: &'r dyn OpenFile,
    ) -> (JournalReader<'r>, Vec<Error>) {
        let (found, mut errors) = find(inputs, settings, opener);
        let mut source = JournalReader::new(settings.range, settings.block, filter);
        source.windows = windows(found.files.len() + members.len());
        if let Some(position) = &settings.resume {
            source.resume = SeqnumProgress::of(position);
            source.cursor.clone_from(&position.cursor);
        }
        source.over = source.resume.clone();
        let mut follow = settings.follow.then(|| Follow::new(inputs, settings, opener));
        let mut readers = Vec::new();
        for candidate in found.files {
            match FileReader::open(candidate.path.clone(), opener, source.windows) {
                Ok((mut reader, failure)) => {
                    errors.extend(failure);
                    if follow.as_mut().is_none_or(|follow| follow.admit(&candidate, &mut reader)) {
                        readers.push(reader);
                    }
                }
                Err(cause) => {
                    if follow.as_mut().is_none_or(|follow| follow.refuse(&candidate.path, &cause)) {
                        errors.push(Error::Refused { path: candidate.path, cause });
                    }
                }
            }
        }
        for (path, bytes) in members {
            match FileReader::new(path.clone(), bytes, source.windows) {
                Ok(reader) => readers.push(reader),
                Err(cause) => errors.push(Error::Refused { path, cause }),
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
            reader.choose(filter, &source.resume);
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
            readers.iter_mut().for_each(|reader| reader.keep_last(lines, &source.range, filter, &mut last));
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

    /// One without any file.
    pub(crate) fn new(range: Range, block: usize, filter: &'r dyn EntryFilter) -> JournalReader<'r> {
        JournalReader {
            filter,
            range,
            readers: Vec::new(),
            merge: Merge::default(),
            run: None,
            places: Vec::new(),
            cache: FieldCache::default(),
            prefixes: PrefixTable::default(),
            windows: 2,
            block,
            skipped: Skipped::default(),
            damages: Vec::new(),
            closed: 0,
            follow: None,
            in_hand: false,
            resume: SeqnumProgress::default(),
            over: SeqnumProgress::default(),
            last: None,
            cursor: None,
        }
    }

    /// Takes a file in, in a place of its own as long as it is open.
    pub(crate) fn add(&mut self, mut reader: FileReader) {
        let place = reader.advance(&self.range, self.filter);
        reader.waits = place.is_none();
        if reader.waits && reader.state == FileState::Finished {
            self.over.note(reader.file.header().seqnum_id, reader.passed);
            self.note(&mut reader);
            return;
        }
        let free = self.follow.is_some().then(|| self.readers.iter().position(Option::is_none)).flatten();
        let index = free.unwrap_or(self.readers.len());
        if free.is_some() {
            // What is kept is of the file that had the place before.
            self.cache.forget();
            self.prefixes.clear();
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
    pub(crate) fn resume(&mut self, index: usize) {
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
        if let Some((index, limit)) = self.run
            && limit.admits(&self.places[index])
        {
            return Some(index);
        }
        self.put_back();
        loop {
            match self.merge.next_step()? {
                MergeStep::Take(index, limit) => {
                    self.run = Some((index, limit));
                    return Some(index);
                }
                MergeStep::Skip(index) => {
                    self.skipped.repeated += 1;
                    if self.advance(index) {
                        self.merge.offer(index, self.places[index]);
                    }
                }
            }
        }
    }

    /// Offers the entry at hand of the file that was taken from.
    pub(crate) fn put_back(&mut self) {
        if let Some((index, _)) = self.run.take() {
            self.merge.offer(index, self.places[index]);
        }
    }

    /// Goes to the next entry of a file; false at its end.
    fn advance(&mut self, index: usize) -> bool {
        if let Some(reader) = self.readers.get_mut(index).and_then(Option::as_mut) {
            if let Some(place) = reader.advance(&self.range, self.filter) {
                self.places[index] = place;
                return true;
            }
            reader.waits = reader.state != FileState::Finished;
            if reader.waits {
                self.skipped.others += std::mem::take(&mut reader.skipped);
                reader.damages(&mut self.damages);
            } else {
                self.close(index);
            }
        }
        self.run.take_if(|(at, _)| *at == index);
        false
    }

    /// Appends the entry at hand of a file. Gives the length of its fields together.
    fn put(&mut self, index: usize, batch: &mut EntryBatch) -> usize {
        let Some(reader) = self.readers.get_mut(index).and_then(Option::as_mut) else { return 0 };
        let start = batch.items.len();
        let (old, new) = reader.items.split_at(reader.old());
        let mut fields = Fields {
            file: &mut reader.file,
            is_live: reader.state != FileState::Finished,
            index,
            furthest: &mut reader.furthest,
            cache: &mut self.cache,
            filter: self.filter,
            batch,
            length: 0,
        };
        let (prefix, whole) = match self.prefixes.find(index, old) {
            Some(known) => {
                fields.batch.items.extend_from_within(known.items.clone());
                fields.length = known.length;
                (known.prefix, true)
            }
            None => match fields.put(old) {
                Ok(true) => (self.prefixes.add(index, old, start..fields.batch.items.len(), fields.length), true),
                outcome => (EntryPrefix::default(), outcome.is_ok()),
            },
        };
        if !whole || fields.put(new).is_err() {
            // No writer makes such an entry.
            fields.file.damages.note(Damage::Oversized, reader.at);
        }
        let length = fields.length;
        let (start, end) = (start as u32, batch.items.len() as u32);
        let offset = file::offset(reader.at);
        batch.stored.push(StoredEntry { place: self.places[index], offset, start, end, prefix, length });
        self.last = Some(self.places[index]);
        reader.output += length as u64;
        if reader.output > reader.max_output() {
            reader.file.damages.note(Damage::Oversized, reader.at);
            self.close(index);
        }
        length
    }

    /// Closes a file and notes what was left out of it. Its turn is over.
    fn close(&mut self, index: usize) {
        self.run.take_if(|(at, _)| *at == index);
        let Some(mut reader) = self.readers.get_mut(index).and_then(Option::take) else { return };
        self.over.note(reader.file.header().seqnum_id, reader.passed);
        self.note(&mut reader);
    }

    fn note(&mut self, reader: &mut FileReader) {
        self.closed += reader.file.end();
        self.skipped.others += reader.skipped;
        reader.damages(&mut self.damages);
    }
}

impl JournalReader<'_> {
    /// Clears the batch and fills it with the entries that come next.
    pub fn fill(&mut self, batch: &mut EntryBatch) -> Fill {
        batch.clear();
        batch.trim(self.block * 4);
        self.cache.begin();
        self.prefixes.clear();
        self.readers.iter_mut().flatten().for_each(FileReader::begin);
        self.look_now_and_then();
        let mut length = 0;
        let mut waited = Duration::ZERO;
        loop {
            while let Some(index) = self.next() {
                length += self.put(index, batch);
                self.advance(index);
                if batch.size() >= self.block || length >= self.block * SHARED {
                    self.in_hand = true;
                    return Fill::More;
                }
            }
            if self.follow.is_none() {
                return Fill::End;
            }
            if std::mem::take(&mut self.in_hand) || !batch.stored.is_empty() || !self.damages.is_empty() {
                return Fill::Idle;
            }
            if waited >= PATIENCE {
                return Fill::Idle;
            }
            let before = Instant::now();
            self.wait();
            waited += before.elapsed();
        }
    }

    /// Whether there is no file to read, so that it waits for one.
    pub fn is_empty(&self) -> bool {
        self.readers.iter().all(Option::is_none)
    }

    /// How far the journal is read with what the last [`JournalReader::fill`] gave.
    pub fn position(&self) -> Position {
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
        passed.position(at_hand.into_iter(), cursor)
    }

    /// How many bytes of the files on the disk are read, as nearly as can be told, for those who wait; none where it is
    /// followed, and has no end.
    pub fn done(&self) -> Option<u64> {
        let open: u64 = self.readers.iter().flatten().map(FileReader::done).sum();
        self.follow.is_none().then_some(self.closed + open)
    }

    /// How many entries were passed over since this was asked last.
    pub fn skipped(&mut self) -> Skipped {
        std::mem::take(&mut self.skipped)
    }

    /// What of the files could not be read, since this was asked last.
    pub fn damages(&mut self) -> Vec<Damaged> {
        std::mem::take(&mut self.damages)
    }
}
