//! The reader of one file of a journal: its wanted entries, and the next of them.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::batch::EntryBatch;
use crate::current_entry::CurrentEntry;
use crate::cursor::{self, Place};
use crate::damage::{Damage, Damaged, Damages};
use crate::earlier_files::{EarlierFile, FileOrder};
use crate::entry_scan::{EntryScan, IDENTIFIER, MESSAGE};
use crate::error::Error;
use crate::file::{JournalFile, Refreshed};
use crate::file_range::FileRange;
use crate::layout::HeaderState;
use crate::offset::Units;
use crate::open_file::OpenFile;
use crate::selection::{EntryFilter, Matches, Selection};
use crate::seqnum_progress::SeqnumProgress;
use crate::skipped::Skipped;
use crate::stream_past::{StreamEntry, StreamPasts};

/// The number of looks at a live file after which apparent damage is reported.
const LOOKS: u8 = 3;
/// The time for which a damaged live file is left alone before all of its entries are listed again.
const REST: Duration = Duration::from_secs(1);

/// The number of windows for a slice of a file, whose entries are close together.
const SLICE_WINDOWS: usize = 4;

/// The limit on the bytes of all entries of a file: this many times its length, and at least [`MIN_OUTPUT`]. An entry
/// can name a large field any number of times.
const OUTPUT_FACTOR: u64 = 64;
const MIN_OUTPUT: u64 = 64 << 20;

/// A file of a journal and the position in it.
pub(crate) struct FileReader {
    pub(crate) path: PathBuf,
    pub(crate) file: JournalFile,
    /// The conditions to check on each entry of the list.
    scan: EntryScan,
    pub(crate) list: EntryList,
    pub(crate) current: CurrentEntry,
    pub(crate) batch: BatchBounds,
    pub(crate) progress: FileProgress,
    pub(crate) live: LiveState,
    pub(crate) streams: StreamPasts,
    /// The number of bytes of the buffers when they were counted last.
    pub(crate) counted: usize,
}

/// Readers of many files.
#[allow(clippy::vec_box, reason = "a list of boxes reserves little room for further readers")]
pub(crate) type FileReaders = Vec<Box<FileReader>>;

/// The entries of a file that are left to read.
#[derive(Default)]
pub(crate) struct EntryList {
    /// The entries in the order of the file, or backwards.
    pub(crate) entries: Vec<Units>,
    /// The index of the next entry.
    pub(crate) next: usize,
    /// The last entry of the file that was listed.
    newest: Units,
}

/// The bounds between fields that a batch may have and those that it cannot have.
#[derive(Default)]
pub(crate) struct BatchBounds {
    /// The number of the batch.
    number: u64,
    /// The first entry of the file in the batch.
    pub(crate) first: Units,
    /// The furthest field that was read. All fields after it are unread.
    pub(crate) furthest: Units,
}

/// The progress in a file.
#[derive(Default)]
pub(crate) struct FileProgress {
    /// The sequence number of the last entry that was read, wanted or not; 0 before the first.
    pub(crate) seqnum: u64,
    /// The sequence number up to which an earlier run has read.
    resumed_at: u64,
    /// The number of unwanted entries that were skipped since the last report.
    pub(crate) skipped: u64,
    /// The number of entries outside the range that were skipped since the last report.
    pub(crate) outside: u64,
    /// The number of bytes of all entries that were put into batches.
    pub(crate) output: u64,
}

/// The state of a file that may get more entries.
pub(crate) struct LiveState {
    pub(crate) state: FileState,
    /// All known entries were read, and the reader waits for new ones.
    pub(crate) waits: bool,
    /// The number of consecutive looks that showed apparent damage.
    doubts: u8,
    damaged: Option<DamagedAt>,
}

/// A moment at which all entries of a damaged live file were listed.
#[derive(Clone, Copy)]
struct DamagedAt {
    /// The number of entries that the header promised.
    promised: u64,
    /// The time at which listing again is allowed.
    retry: Instant,
}

/// The expectation of more entries in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileState {
    /// A writer may append entries.
    Active,
    /// The file was renamed by its writer or deleted. One more look shows its last entries.
    Rotated,
    /// The file gets no new entries, or the reader does not wait for them.
    Finished,
}

impl FileReader {
    /// Opens a file. Returns an error as well if only a part of it can be read. Nothing is read before
    /// [`FileReader::choose`].
    pub(crate) fn open(
        path: PathBuf,
        opener: &dyn OpenFile,
        windows: usize,
    ) -> Result<(Box<FileReader>, Option<Error>), Error> {
        let (range, failure) = opener.open(&path)?;
        let failure = failure.map(|cause| Error::Incomplete { path: path.clone(), cause });
        Ok((FileReader::new(path, range, windows)?, failure))
    }

    /// Opens the bytes that belong to a path.
    pub(crate) fn new(path: PathBuf, range: FileRange, windows: usize) -> Result<Box<FileReader>, Error> {
        let file = JournalFile::open(range, windows).map_err(|refusal| refusal.at(&path))?;
        Ok(Box::new(FileReader {
            path,
            file,
            scan: EntryScan::default(),
            list: EntryList::default(),
            current: CurrentEntry::default(),
            batch: BatchBounds::default(),
            progress: FileProgress::default(),
            live: LiveState { state: FileState::Finished, waits: false, doubts: 0, damaged: None },
            streams: StreamPasts::default(),
            counted: 0,
        }))
    }

    /// Opens another reader of the file for some of its entries.
    pub(crate) fn slice(&self, entries: Vec<Units>) -> Result<Box<FileReader>, Error> {
        let mut slice = FileReader::new(self.path.clone(), self.file.range(), SLICE_WINDOWS)?;
        slice.list.entries = entries;
        slice.scan = self.scan.fresh();
        slice.file.decoders.limit = self.file.decoders.limit;
        slice.streams = self.streams.fresh();
        // The reader of the whole file has reported this already.
        slice.file.damages = Damages::default();
        Ok(slice)
    }

    /// Continues with other entries of the file. What is known of the file stays: its buffers, its fields, its streams.
    pub(crate) fn continue_with(&mut self, entries: Vec<Units>) {
        self.list = EntryList { entries, ..EntryList::default() };
        self.progress = FileProgress::default();
        self.file.damages = Damages::default();
        self.counted = 0;
    }

    /// Takes the list of entries, beginning with the current one.
    pub(crate) fn take_unread(&mut self) -> Vec<Units> {
        self.list.entries.drain(..self.list.next.saturating_sub(1));
        std::mem::take(&mut self.list.entries)
    }

    /// Returns the number of bytes that buffers take.
    pub(crate) fn held(&self) -> usize {
        self.file.held() + self.scan.held() + self.streams.held() + self.current.held()
    }

    /// Frees the memory of the buffers. They are filled again when they are needed.
    pub(crate) fn release(&mut self) {
        self.file.release();
        self.scan.release();
        self.streams.release();
        self.current.release();
    }

    /// Returns the limit on the bytes of all entries together.
    pub(crate) fn max_output(&self) -> u64 {
        MIN_OUTPUT.max(self.file.end().saturating_mul(OUTPUT_FACTOR))
    }

    /// Takes the numbers of entries that were skipped since the last call.
    pub(crate) fn take_skipped(&mut self) -> Skipped {
        let (others, outside) = (&mut self.progress.skipped, &mut self.progress.outside);
        Skipped { others: std::mem::take(others), outside: std::mem::take(outside), repeated: 0 }
    }

    /// Appends the damage found since the last call.
    pub(crate) fn damages(&mut self, damages: &mut Vec<Damaged>) {
        let path = || self.path.clone();
        let (end, found) = (self.file.end(), &mut self.file.damages);
        for (met, reason) in [(&mut found.truncated, Damage::Truncated), (&mut found.emptied, Damage::Emptied)] {
            if std::mem::take(met) {
                damages.push(Damaged { path: path(), reason, count: 1, offset: end });
            }
        }
        damages.extend(found.drain().map(|tally| Damaged {
            path: path(),
            reason: tally.damage,
            count: tally.count,
            offset: tally.first,
        }));
    }

    /// Expects more entries, unless the header says that the file is archived.
    pub(crate) fn follow(&mut self) {
        if self.file.header().state != HeaderState::Archived {
            self.live.state = FileState::Active;
        }
    }

    /// Lists the entries to read, without those that an earlier run has read.
    pub(crate) fn choose(&mut self, selection: &Selection<'_>, progress: &SeqnumProgress) {
        self.file.decoders.limit = selection.max_value;
        let header = self.file.header();
        self.progress.resumed_at = progress.by(&header.seqnum_id);
        self.progress.seqnum = self.progress.resumed_at;
        let is_settled = self.live.state == FileState::Finished && header.state != HeaderState::Online;
        let resumed_at = self.progress.resumed_at;
        if is_settled && resumed_at > 0 && header.tail_entry_seqnum <= resumed_at {
            return;
        }
        // The index is incomplete while a writer changes it, and after a writer died during a change.
        let has_index = is_settled && !self.file.damages().truncated;
        let mut list = None;
        if !selection.filter.everything() {
            list = if has_index { self.of_identifiers(selection.filter) } else { None };
            self.scan.identifiers = list.is_none();
        }
        if !selection.matches.is_empty() {
            let matching = if has_index { self.of_matches(&selection.matches) } else { None };
            self.scan.matches = matching.is_none();
            list = match (list, matching) {
                (Some(list), Some(matching)) => Some(intersection(list, &matching)),
                (list, matching) => list.or(matching),
            };
        }
        self.list.entries = match list {
            Some(list) => {
                self.progress.skipped = self.file.header().n_entries.saturating_sub(list.len() as u64);
                list
            }
            None => self.file.entries(),
        };
        self.list.entries.shrink_to_fit();
        self.list.newest = self.list.entries.last().copied().unwrap_or_default();
        if resumed_at > 0 {
            self.list.next = self.count_up_to(resumed_at);
            // The earlier run has counted an unknown part of them.
            self.progress.skipped = 0;
        }
    }

    /// Returns the file as one that others may continue.
    pub(crate) fn as_earlier(&self) -> Arc<EarlierFile> {
        EarlierFile::of(&self.file)
    }

    /// Lets the streams of the file continue those of the files before it.
    pub(crate) fn continue_from(&mut self, order: &FileOrder) {
        self.streams.follow(order.before(&self.file));
    }

    /// Finds out how the current entry, which is the last one of a batch, relates to those before it in its stream.
    #[inline(never)]
    pub(crate) fn judge(&mut self, stream: Units, breaks: bool, filter: &dyn EntryFilter, batch: &mut EntryBatch) {
        let entry = StreamEntry { at: self.current.at, seqnum: self.progress.seqnum, stream, breaks };
        let is_live = self.live.state != FileState::Finished;
        let message = batch.value_in_last(MESSAGE);
        let continuation = self.streams.judge(&mut self.file, is_live, filter, &entry, message);
        batch.set_continuation(continuation);
    }

    /// Reverses the order of the entries to read.
    pub(crate) fn reverse(&mut self) {
        self.list.entries.reverse();
    }

    /// Returns the number of entries at the beginning of the list that have sequence numbers up to `seqnum`. Numbers
    /// grow within a file.
    fn count_up_to(&mut self, seqnum: u64) -> usize {
        let FileReader { list, file, .. } = self;
        let mut sound = true;
        let count = list.entries.partition_point(|at| match file.head(*at) {
            Ok(head) => head.seqnum <= seqnum,
            Err(_) => {
                sound = false;
                false
            }
        });
        if sound { count } else { 0 }
    }

    /// Lists the entries of the wanted identifiers by the index, and those without one that are wanted nevertheless.
    /// Returns `None` if the index is damaged.
    fn of_identifiers(&mut self, filter: &dyn EntryFilter) -> Option<Vec<Units>> {
        let (mut wanted, mut identifiers) = (Vec::new(), Vec::new());
        let note = |value: &[u8], at| {
            identifiers.push(at);
            if filter.entries_of(value) {
                wanted.push(at);
            }
        };
        if !self.file.values(IDENTIFIER, note).ok()? {
            return None;
        }
        let mut list = self.postings(wanted)?;
        let others = self.without_identifier(filter, identifiers)?;
        if !others.is_empty() {
            list.extend(others);
            list.sort();
            list.dedup();
        }
        Some(list)
    }

    /// Lists the wanted entries that have none of these identifiers. Returns `None` if the index is damaged.
    fn without_identifier(&mut self, filter: &dyn EntryFilter, mut identifiers: Vec<Units>) -> Option<Vec<Units>> {
        let mut found = Vec::new();
        for (name, value) in filter.entries_without_identifier() {
            found.extend(self.file.find_data(name.as_bytes(), format!("{name}={value}").as_bytes()).ok()?);
        }
        let mut list = self.postings(found)?;
        identifiers.sort();
        let (file, items) = (&mut self.file, &mut self.current.items);
        // An unreadable entry is counted when it is read.
        list.retain(|at| {
            items.clear();
            let read = file.objects.entry(*at, items);
            read.is_err() || !items.iter().any(|item| identifiers.binary_search(item).is_ok())
        });
        items.clear();
        Some(list)
    }

    /// Lists the matching entries by the index. Returns `None` if the index is damaged.
    fn of_matches(&mut self, matches: &Matches) -> Option<Vec<Units>> {
        let mut all = Vec::new();
        for alternative in &matches.alternatives {
            let mut common: Option<Vec<Units>> = None;
            for field in alternative {
                let mut found = Vec::new();
                for payload in &field.payloads {
                    found.extend(self.file.find_data(&field.name, payload).ok()?);
                }
                let list = self.postings(found)?;
                common = Some(common.map_or_else(|| list.clone(), |common| intersection(common, &list)));
            }
            all.extend(common.unwrap_or_default());
        }
        all.sort();
        all.dedup();
        Some(all)
    }

    /// Lists the entries that have any of these DATA. Returns `None` if the index is damaged.
    fn postings(&mut self, data: Vec<Units>) -> Option<Vec<Units>> {
        let mut list = Vec::new();
        for at in data {
            self.file.postings(at, &mut list).ok()?;
            if list.len() as u64 > self.max_items() {
                return None;
            }
        }
        // The list consists of sorted runs, which this sort detects.
        list.sort();
        list.dedup();
        Some(list)
    }

    /// Moves to the next wanted entry, which becomes the current one.
    #[inline]
    pub(crate) fn advance(&mut self, selection: &Selection<'_>) -> Option<Place> {
        while let Some(at) = self.list.entries.get(self.list.next).copied() {
            self.list.next += 1;
            if let Some(place) = self.read(at, selection) {
                return Some(place);
            }
        }
        None
    }

    /// Makes the current entry ready for the batch of this number.
    #[inline]
    pub(crate) fn begin(&mut self, batch: u64) {
        if self.batch.number != batch {
            self.batch.number = batch;
            self.batch.first = self.current.at;
        }
        self.current.restore(&mut self.file);
    }

    /// Returns the number of fields of the current entry that precede those written after the batch began.
    #[inline]
    pub(crate) fn prefix_len(&self) -> usize {
        let items = &self.current.items;
        items.len() - items.iter().rev().take_while(|item| **item > self.batch.first).count()
    }

    /// Estimates the number of bytes of the file that were read, as if all entries had one size.
    pub(crate) fn done(&self) -> u64 {
        let all = self.list.entries.len().max(1) as u128;
        let read = u128::from(self.file.end()) * self.list.next as u128 / all;
        u64::try_from(read).unwrap_or(u64::MAX)
    }

    /// Reads an entry if it is readable and wanted.
    #[inline]
    pub(crate) fn read(&mut self, at: Units, selection: &Selection<'_>) -> Option<Place> {
        let place = self.current.read(&mut self.file, at).ok()?;
        self.progress.seqnum = place.seqnum;
        if place.seqnum <= self.progress.resumed_at {
            return None;
        }
        let FileReader { file, scan, current, .. } = self;
        if !selection.range.has(&place) {
            self.progress.outside += 1;
            return None;
        }
        if scan.is_needed() && !scan.admits(file, &current.items, selection) {
            self.progress.skipped += 1;
            return None;
        }
        Some(place)
    }

    /// Looks for more entries of a live file, and returns whether there are some.
    ///
    /// Apparent damage may be a half-finished change of the writer, so it is reported only after further looks. Then
    /// all entries are listed again, and those listed before are left out: the writer appends entries in order.
    pub(crate) fn look(&mut self) -> bool {
        if self.live.state == FileState::Finished {
            return false;
        }
        match self.file.refresh() {
            Ok(Refreshed::Same) if !self.file.lags() => {
                self.live.doubts = 0;
                return self.looked(false);
            }
            Ok(Refreshed::Same | Refreshed::Changed) => {}
            Ok(Refreshed::Gone) => {
                self.live.state = FileState::Finished;
                self.file.damages.emptied = true;
                return false;
            }
            Err(cause) => {
                self.live.doubts += 1;
                if self.live.doubts >= LOOKS {
                    self.file.damages.note(cause.into(), Units::NONE);
                    self.live.state = FileState::Finished;
                }
                return false;
            }
        }
        if self.list.next > 0 {
            self.list.entries.drain(..self.list.next);
            self.list.entries.shrink_to(1 << 12);
            self.list.next = 0;
        }
        self.list_more()
    }

    /// Appends the entries that the header promises to the list, and returns whether there are some.
    fn list_more(&mut self) -> bool {
        let promised = self.file.header().n_entries;
        if let Some(damaged) = self.live.damaged
            && self.live.state == FileState::Active
            && (damaged.promised == promised || Instant::now() < damaged.retry)
        {
            return false;
        }
        let list = &mut self.list;
        let (known, listed, damages) = (list.entries.len(), self.file.listed, self.file.damages.clone());
        if self.live.damaged.is_none() && self.file.more_entries(&mut list.entries) {
            list.newest = list.entries.last().copied().unwrap_or(list.newest);
            self.live.doubts = 0;
            let came = list.entries.len() > known;
            return self.looked(came);
        }
        list.entries.truncate(known);
        if self.live.doubts + 1 < LOOKS && self.live.damaged.is_none() {
            self.live.doubts += 1;
            (self.file.listed, self.file.damages) = (listed, damages);
            return false;
        }
        let newest = list.newest;
        list.entries.extend(self.file.entries().into_iter().filter(|at| *at > newest));
        list.newest = list.entries.last().copied().unwrap_or(newest);
        self.live.doubts = 0;
        self.live.damaged = Some(DamagedAt { promised, retry: Instant::now() + REST });
        let came = list.entries.len() > known;
        self.looked(came)
    }

    /// Notes that a look has shown all entries that there are.
    fn looked(&mut self, came: bool) -> bool {
        if self.live.state == FileState::Rotated || self.file.header().state == HeaderState::Archived {
            self.live.state = FileState::Finished;
        }
        came
    }

    /// Returns whether the last look showed apparent damage that was not reported.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.live.doubts > 0
    }

    /// Returns an upper bound for the items of all entries, and so for the posting lists unless these overlap.
    fn max_items(&self) -> u64 {
        self.file.end() / 4
    }

    /// Returns the boots in the file with the times of their first entries here.
    pub(crate) fn boots(&mut self) -> Vec<(u64, [u8; 16])> {
        let mut found = Vec::new();
        // If the index is damaged, boots may be missing, and so may their entries.
        let _ = self.file.values(b"_BOOT_ID", |value, at| found.extend(cursor::parse_id(value).map(|id| (id, at))));
        let mut boots = Vec::new();
        let mut entries = Vec::new();
        let mut items = 0;
        for (id, at) in found {
            items += entries.len() as u64;
            if items > self.max_items() {
                break;
            }
            entries.clear();
            let listed = self.file.postings(at, &mut entries);
            if let (Ok(()), Some(first)) = (listed, entries.first())
                && let Ok(head) = self.file.head(*first)
            {
                boots.push((head.realtime, id));
            }
        }
        boots
    }
}

/// Returns the boots in the files in the order of their first entries.
pub(crate) fn boots<'f>(readers: impl Iterator<Item = &'f mut Box<FileReader>>) -> Vec<[u8; 16]> {
    let mut boots: Vec<(u64, [u8; 16])> = Vec::new();
    for reader in readers {
        boots.append(&mut reader.boots());
        reader.release();
    }
    boots.sort_unstable();
    let mut seen = HashSet::new();
    boots.into_iter().map(|(_, boot)| boot).filter(|boot| seen.insert(*boot)).collect()
}

/// Returns the entries that are in both sorted lists.
fn intersection(mut list: Vec<Units>, other: &[Units]) -> Vec<Units> {
    list.retain(|at| other.binary_search(at).is_ok());
    list
}
