//! The reader of a journal of one or many files, which fills batches with their entries in one order.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::batch::{Continuation, EntryBatch, EntryPrefix, StoredEntry};
use crate::cursor::{Cursor, Place};
use crate::damage::{Damage, Damaged};
use crate::directory;
use crate::earlier_files::FileOrder;
use crate::entry_prefix::PrefixTable;
use crate::error::Error;
use crate::field_cache::FieldCache;
use crate::fields::Fields;
use crate::file_range::FileRange;
use crate::file_reader::{FileReader, FileReaders, FileState, boots};
use crate::file_seek::{LastPlaces, keep_last, without_number};
use crate::follow::Follow;
use crate::merge::MergeStep;
use crate::merged_files::MergedFiles;
use crate::open_file::OpenFile;
use crate::payload::MAX_FIELD;
use crate::selection::{EntryFilter, Selection};
use crate::seqnum_progress::{Position, SeqnumProgress};
use crate::settings::Settings;
use crate::skipped::Skipped;
use crate::stream_fields::StreamFields;
use crate::window::windows;

/// The reason for which a [`JournalReader`] stopped filling a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The batch is full, and there are more entries.
    More,
    /// No more entries are known right now. Process what is in hand before the next call, because that call may wait.
    /// The batch is empty if only an earlier [`Fill::More`] left entries in hand.
    Idle,
    /// The journal has ended. The batch may hold its last entries.
    End,
}

/// The time for which a batch waits for entries before the caller may decide to stop.
const PATIENCE: Duration = Duration::from_millis(500);

/// A reader of a journal of one or many files.
pub struct JournalReader<'r> {
    selection: Selection<'r>,
    files: MergedFiles,
    tables: FieldTables,
    limits: Limits,
    report: Report,
    progress: Progress,
    /// The search for new files, if entries are awaited after the last one.
    follow: Option<Follow<'r>>,
    /// A full batch was returned after the last [`Fill::Idle`].
    in_hand: bool,
    /// The number of the current batch.
    batch: u64,
    /// The reader of the file that was closed last, if readers are used again.
    last_closed: Option<Box<FileReader>>,
    reuses: bool,
}

/// The tables that keep fields and prefixes from being read twice.
#[derive(Default)]
struct FieldTables {
    cache: FieldCache,
    streams: StreamFields,
    prefixes: PrefixTable,
}

/// The limits on memory.
struct Limits {
    /// The most windows of a file.
    windows: usize,
    /// The number of bytes at which a batch is full, and at which the current one is.
    block: usize,
    batch: usize,
}

/// The entries and bytes that were not returned, and the size of finished files.
#[derive(Default)]
struct Report {
    skipped: Skipped,
    damages: Vec<Damaged>,
    /// The number of files that could be opened at the beginning.
    opened: usize,
    /// The number of bytes of the files that are closed.
    closed: u64,
}

/// The progress in the journal.
#[derive(Default)]
struct Progress {
    /// The progress of an earlier run.
    resumed: SeqnumProgress,
    /// The progress in files that are closed.
    closed: SeqnumProgress,
    /// The entry that was returned last.
    last: Option<Place>,
    /// The cursor of the last entry of an earlier run.
    cursor: Option<String>,
}

impl<'r> JournalReader<'r> {
    /// Opens the files that the inputs name, and members of an archive by their names. Returns the errors of those that
    /// cannot be read.
    pub fn open(
        inputs: &[PathBuf],
        members: Vec<(PathBuf, FileRange)>,
        settings: &Settings,
        filter: &'r dyn EntryFilter,
        opener: &'r dyn OpenFile,
    ) -> (JournalReader<'r>, Vec<Error>) {
        let selection = Selection::new(filter, settings);
        JournalReader::open_selection(inputs, members, settings, selection, false, opener)
    }

    /// Opens files for a selection of entries, whose range replaces that of the settings. `backwards` reads from the
    /// last entry to the first.
    pub(crate) fn open_selection(
        inputs: &[PathBuf],
        members: Vec<(PathBuf, FileRange)>,
        settings: &Settings,
        selection: Selection<'r>,
        backwards: bool,
        opener: &'r dyn OpenFile,
    ) -> (JournalReader<'r>, Vec<Error>) {
        let (found, mut errors) = settings.find(inputs, opener);
        let mut source = JournalReader::new(selection, settings.block);
        source.files.backwards = backwards;
        source.limits.windows = windows(found.files.len() + members.len());
        if let Some(position) = &settings.resume {
            source.progress.resumed = SeqnumProgress::of(position);
            source.progress.cursor.clone_from(&position.cursor);
        }
        source.progress.closed = source.progress.resumed.clone();
        let mut follow = settings.follow.then(|| Follow::new(inputs, settings, opener));
        let mut readers = Vec::new();
        for candidate in found.files {
            match FileReader::open(candidate.path.clone(), opener, source.limits.windows) {
                Ok((mut reader, failure)) => {
                    errors.extend(failure);
                    if follow.as_mut().is_none_or(|follow| follow.admit(&candidate, &mut reader)) {
                        readers.push(reader);
                    }
                }
                Err(error) => {
                    if follow.as_mut().is_none_or(|follow| follow.refuse(&candidate.path, &error)) {
                        errors.push(error);
                    }
                }
            }
        }
        for (path, range) in members {
            match FileReader::new(path, range, source.limits.windows) {
                Ok(reader) => readers.push(reader),
                Err(error) => errors.push(error),
            }
        }
        // If no file may be read, there is nothing to wait for.
        if readers.is_empty() && !errors.is_empty() {
            follow = None;
        }
        if let Some(follow) = &mut follow {
            follow.begin(source.limits.windows, &mut readers);
        }
        source.follow = follow;
        let lines = settings.lines.filter(|_| settings.resume.is_none());
        source.begin(readers, lines, settings.lines_are_records);
        (source, errors)
    }

    /// Adds the files that there are at the beginning, of whose entries only the last `lines` are read, or `surely` as many
    /// that make records.
    fn begin(&mut self, mut readers: FileReaders, lines: Option<usize>, surely: bool) {
        self.report.opened = readers.len();
        for reader in &mut readers {
            reader.choose(&self.selection, &self.progress.resumed);
            reader.release();
        }
        if self.follow.is_some() {
            for reader in &mut readers {
                // When a file was created, all entries of the others existed already.
                reader.look();
                reader.release();
            }
        }
        self.selection.range = self.selection.range.resolved(|| boots(readers.iter_mut()));
        let order = FileOrder::new(readers.iter().map(|reader| reader.as_earlier()));
        for reader in &mut readers {
            reader.continue_from(&order);
            reader.seek(&self.selection.range);
        }
        drop(order);
        let mut last = match lines {
            Some(lines) => keep_last(&mut readers, lines, surely, &self.selection),
            None => LastPlaces::new(),
        };
        for mut reader in readers {
            if self.files.backwards {
                reader.reverse();
            }
            self.add(reader);
        }
        // Each file kept its last entries. Those that are not among the last of all files are skipped.
        let mut spare = last.len().saturating_sub(lines.unwrap_or(usize::MAX));
        while spare > 0 {
            let Some(index) = self.next() else { break };
            spare -= usize::from(last.remove(&without_number(self.files.place(index))));
            self.report.skipped.outside += 1;
            self.advance(index);
        }
    }

    /// Returns a reader without any file.
    pub(crate) fn new(selection: Selection<'r>, block: usize) -> JournalReader<'r> {
        JournalReader {
            selection,
            files: MergedFiles::default(),
            tables: FieldTables::default(),
            limits: Limits { windows: 2, block, batch: block },
            report: Report::default(),
            progress: Progress::default(),
            follow: None,
            in_hand: false,
            batch: 0,
            last_closed: None,
            reuses: false,
        }
    }

    /// Returns a reader of one file after another, which keeps the reader of a closed file for
    /// [`JournalReader::take_closed`].
    pub(crate) fn of_slices(selection: Selection<'r>, block: usize) -> JournalReader<'r> {
        JournalReader { reuses: true, ..JournalReader::new(selection, block) }
    }

    /// Takes the reader of the file that was closed last.
    pub(crate) fn take_closed(&mut self) -> Option<Box<FileReader>> {
        self.last_closed.take()
    }

    /// Replaces all files by one. Its fields may be known from before.
    pub(crate) fn restart(&mut self, reader: Box<FileReader>) {
        self.files.clear();
        self.add(reader);
    }

    /// Frees the memory of buffers and tables. They are filled again when they are needed.
    pub(crate) fn release(&mut self) {
        let open = self.files.readers.iter_mut().flatten();
        open.chain(&mut self.last_closed).for_each(|reader| reader.release());
        self.tables = FieldTables::default();
    }

    /// Adds a file, which keeps its index while it is open.
    fn add(&mut self, mut reader: Box<FileReader>) {
        let place = reader.advance(&self.selection);
        reader.live.waits = place.is_none();
        if reader.live.waits && reader.live.state == FileState::Finished {
            self.finish(reader);
            return;
        }
        let files = &mut self.files;
        let free = self.follow.is_some().then(|| files.readers.iter().position(Option::is_none)).flatten();
        let index = free.unwrap_or(files.readers.len());
        if free.is_some() {
            // The tables hold fields of the file that had the index before.
            self.tables.cache.forget();
            self.tables.streams.clear();
            self.tables.prefixes.clear();
        } else {
            files.readers.push(None);
            files.keys.push(Place::default());
        }
        files.readers[index] = Some(reader);
        if let Some(place) = place {
            files.keys[index] = files.key(place);
            files.merge.offer(index, files.keys[index]);
        }
        files.count_buffers(index);
    }

    /// Continues with a file that has waited for entries.
    fn resume(&mut self, index: usize) {
        let reader = self.files.readers.get_mut(index).and_then(Option::as_mut);
        let Some(reader) = reader.filter(|reader| reader.live.waits) else { return };
        reader.live.waits = false;
        if self.advance(index) {
            self.files.merge.offer(index, self.files.keys[index]);
        }
        self.files.count_buffers(index);
    }

    /// Returns the file whose current entry comes next.
    fn next(&mut self) -> Option<usize> {
        if let Some((index, bound)) = self.files.run
            && bound.admits(&self.files.keys[index])
        {
            return Some(index);
        }
        self.files.put_back();
        loop {
            match self.files.merge.next_step()? {
                MergeStep::Take(index, bound) => {
                    self.files.run = Some((index, bound));
                    return Some(index);
                }
                MergeStep::Skip(index) => {
                    self.report.skipped.repeated += 1;
                    if self.advance(index) {
                        self.files.merge.offer(index, self.files.keys[index]);
                    }
                    self.files.count_buffers(index);
                }
            }
        }
    }

    /// Moves to the next entry of a file. Returns `false` at its end.
    fn advance(&mut self, index: usize) -> bool {
        if let Some(reader) = self.files.readers.get_mut(index).and_then(Option::as_mut) {
            if let Some(place) = reader.advance(&self.selection) {
                self.files.keys[index] = self.files.key(place);
                return true;
            }
            reader.live.waits = reader.live.state != FileState::Finished;
            if reader.live.waits {
                self.report.skipped.add(reader.take_skipped());
                reader.damages(&mut self.report.damages);
            } else {
                self.close(index);
            }
        }
        self.files.run.take_if(|(at, _)| *at == index);
        false
    }

    /// Appends the current entry of a file to a batch. Returns the length of its fields together.
    fn put(&mut self, index: usize, batch: &mut EntryBatch) -> usize {
        let place = self.files.place(index);
        let Some(reader) = self.files.readers.get_mut(index).and_then(Option::as_mut) else { return 0 };
        reader.begin(self.batch);
        let start = batch.items.len();
        // The limit of each entry is that of the file: a slice does not know the entries before it.
        let most = self.selection.keeps_large.then(|| reader.max_output());
        let (old, new) = reader.current.items.split_at(reader.prefix_len());
        let mut fields = Fields {
            file: &mut reader.file,
            is_live: reader.live.state != FileState::Finished,
            index,
            furthest: &mut reader.batch.furthest,
            cache: &mut self.tables.cache,
            streams: &mut self.tables.streams,
            filter: self.selection.filter,
            batch,
            length: 0,
            is_truncated: false,
            most,
        };
        let prefixes = &mut self.tables.prefixes;
        let (prefix, whole, mut marks) = match prefixes.find(index, old) {
            Some(known) => {
                fields.batch.items.extend_from_within(known.items.clone());
                fields.length = known.length;
                (known.prefix, true, known.marks)
            }
            None => {
                let outcome = fields.put(old);
                let marks = fields.streams.marks(index, old);
                let (from, length) = (start..fields.batch.items.len(), fields.length);
                let is_sound = matches!(outcome, Ok(true));
                let prefix =
                    if is_sound { prefixes.add(index, old, from, length, marks) } else { EntryPrefix::default() };
                (prefix, outcome.is_ok(), marks)
            }
        };
        let is_too_large = !whole || fields.put(new).is_err();
        if is_too_large && (self.selection.max_value >= MAX_FIELD || self.selection.keeps_large) {
            // No writer stores an entry of this size.
            fields.file.damages.note(Damage::Oversized, reader.current.at);
        }
        if fields.streams.has_after(index, reader.batch.first) {
            marks = marks.or(fields.streams.marks(index, new));
        }
        let (length, is_truncated) = (fields.length, fields.is_truncated || is_too_large);
        let (start, end) = (start as u32, batch.items.len() as u32);
        let (offset, continuation) = (reader.current.at.offset().0, Continuation::Whole);
        batch.stored.push(StoredEntry { place, offset, start, end, prefix, length, continuation, is_truncated });
        if let Some(stream) = marks.stream.filter(|_| self.selection.filter.needs_continuations()) {
            reader.judge(stream, marks.breaks, self.selection.filter, batch);
        }
        self.progress.last = Some(place);
        reader.progress.output += length as u64;
        if reader.progress.output > reader.max_output() {
            reader.file.damages.note(Damage::Oversized, reader.current.at);
            self.close(index);
        }
        length
    }

    /// Closes a file and ends its run.
    fn close(&mut self, index: usize) {
        if let Some(reader) = self.files.remove(index) {
            self.finish(reader);
        }
    }

    /// Notes the progress in a file that is closed, and the entries and bytes of it that were not returned.
    fn finish(&mut self, mut reader: Box<FileReader>) {
        self.progress.closed.note(reader.file.header().seqnum_id, reader.progress.seqnum);
        if self.follow.is_some() {
            self.files.closed.add(reader.as_earlier());
        }
        self.report.closed += reader.file.end();
        self.report.skipped.add(reader.take_skipped());
        reader.damages(&mut self.report.damages);
        self.last_closed = Some(reader).filter(|_| self.reuses);
    }
}

impl JournalReader<'_> {
    /// Returns whether a directory has journals of its own, or may have some that are not accessible.
    pub fn is_at(directory: &Path, opener: &dyn OpenFile) -> bool {
        let found = directory::at(directory, opener, true);
        !found.files.is_empty() || !found.errors.is_empty()
    }

    /// Clears a batch and fills it with the next entries.
    pub fn fill(&mut self, batch: &mut EntryBatch) -> Fill {
        self.fill_until(batch, None)
    }

    /// Clears a batch and fills it with the next entries until it has `size` bytes, or is full.
    pub(crate) fn fill_up_to(&mut self, batch: &mut EntryBatch, size: usize) -> Fill {
        self.limits.batch = size.min(self.limits.block);
        self.fill_until(batch, None)
    }

    /// Clears a batch and fills it with the next entries. If there are none yet, it waits for them for a while, but not
    /// beyond the deadline.
    pub(crate) fn fill_until(&mut self, batch: &mut EntryBatch, deadline: Option<Instant>) -> Fill {
        batch.clear();
        batch.trim(self.limits.block * 4);
        self.tables.cache.begin();
        self.tables.prefixes.clear();
        self.batch += 1;
        self.look_if_due();
        let mut length = 0;
        let mut waited = Duration::ZERO;
        loop {
            while let Some(index) = self.next() {
                length += self.put(index, batch);
                self.advance(index);
                if batch.size() >= self.limits.batch || length >= self.limits.batch * self.selection.shared() {
                    self.in_hand = true;
                    return Fill::More;
                }
            }
            if self.follow.is_none() {
                return Fill::End;
            }
            if std::mem::take(&mut self.in_hand) || !batch.stored.is_empty() || !self.report.damages.is_empty() {
                return Fill::Idle;
            }
            let before = Instant::now();
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(before));
            if waited >= PATIENCE || left.is_zero() {
                return Fill::Idle;
            }
            self.wait(left);
            waited += before.elapsed();
        }
    }

    /// Waits until it is time for another look, or `limit` has passed, and looks for entries.
    fn wait(&mut self, limit: Duration) {
        let Some(follow) = &mut self.follow else { return };
        let others = follow.wait(limit);
        self.look(others);
    }

    /// Looks for entries if the last look is long ago. Files that are rotated meanwhile are kept open.
    fn look_if_due(&mut self) {
        let Some(follow) = self.follow.as_mut().filter(|follow| follow.is_due()) else { return };
        let others = follow.has_news();
        self.look(others);
    }

    /// Looks for entries, and if `others` for new files as well.
    fn look(&mut self, others: bool) {
        // The order of the next entries is decided anew.
        self.files.put_back();
        if others {
            self.search();
        }
        // New files come first: when a file was created, all entries of the others existed already.
        let mut came = false;
        for round in 0..2 {
            let mut live = 0;
            let readers = self.files.readers.iter_mut().flatten();
            for reader in readers.filter(|reader| round == 0 || !reader.is_doubtful()) {
                live += 1;
                came |= reader.look();
            }
            // The first file may have got entries that precede those of the last. A second look finds the few of them.
            if !came || live < 2 {
                break;
            }
        }
        for index in 0..self.files.readers.len() {
            self.resume(index);
        }
        if let Some(follow) = &mut self.follow {
            follow.note_look(came);
        }
    }

    /// Searches for new files and adds them.
    fn search(&mut self) {
        let Some(follow) = &mut self.follow else { return };
        let mut open = self.files.readers.iter_mut().flatten().collect::<Vec<_>>();
        let found = follow.search(self.limits.windows, &mut open);
        self.report.damages.extend(found.damages);
        self.files.closed.prune();
        let open = self.files.readers.iter().flatten().chain(&found.fresh);
        let order = FileOrder::new(open.map(|reader| reader.as_earlier()).chain(self.files.closed.files()));
        for mut reader in found.fresh {
            reader.continue_from(&order);
            reader.choose(&self.selection, &self.progress.resumed);
            reader.release();
            self.add(reader);
        }
    }

    /// Returns whether there is no open file, so that the reader waits for one.
    pub fn is_empty(&self) -> bool {
        self.files.readers.iter().all(Option::is_none)
    }

    /// Returns whether a file could be opened at the beginning.
    pub(crate) fn has_opened(&self) -> bool {
        self.report.opened > 0
    }

    /// Returns the position after the entries of the last [`JournalReader::fill`].
    pub fn position(&self) -> Position {
        let mut progress = self.progress.closed.clone();
        let mut current = Vec::new();
        for (reader, place) in self.files.readers.iter().zip(&self.files.keys) {
            match reader {
                Some(reader) if reader.live.waits => {
                    progress.note(reader.file.header().seqnum_id, reader.progress.seqnum);
                }
                Some(_) => current.push(*place),
                None => {}
            }
        }
        let last = self.progress.last.map(|place| Cursor::from(place).to_string());
        progress.position(current.into_iter(), last.or_else(|| self.progress.cursor.clone()))
    }

    /// Estimates the number of bytes of the files on the disk that were read. Returns `None` if entries are awaited
    /// after the last one.
    pub fn done(&self) -> Option<u64> {
        let open: u64 = self.files.readers.iter().flatten().map(|reader| reader.done()).sum();
        self.follow.is_none().then_some(self.report.closed + open)
    }

    /// Returns the numbers of entries that were skipped since the last call.
    pub fn skipped(&mut self) -> Skipped {
        std::mem::take(&mut self.report.skipped)
    }

    /// Returns the damage found since the last call, in files that were read to their ends.
    pub fn damages(&mut self) -> Vec<Damaged> {
        std::mem::take(&mut self.report.damages)
    }

    /// Returns the damage found since the last call, also in files that are not read to their ends.
    pub(crate) fn damages_so_far(&mut self) -> Vec<Damaged> {
        let mut damages = self.damages();
        self.files.readers.iter_mut().flatten().for_each(|reader| reader.damages(&mut damages));
        damages
    }
}
