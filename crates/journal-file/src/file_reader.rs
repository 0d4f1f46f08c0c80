//! One file of a journal: which of its entries are wanted, and the next of them.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::entry_range::Range;
use super::file::{JournalFile, Refreshed};
use super::layout::HeaderState;
use super::seqnum_progress::SeqnumProgress;
use crate::cursor::{self, Place};
use crate::error::{Error, Refusal};
use crate::file_range::FileRange;
use crate::journal::{Damaged, EntryFilter};
use crate::open::OpenFile;

/// The name of the field that says who wrote an entry.
pub(super) const IDENTIFIER: &[u8] = b"SYSLOG_IDENTIFIER";

const MESSAGE: &[u8] = b"MESSAGE";

/// How many fields are remembered as being an identifier or not.
const VERDICTS: usize = 1 << 16;

/// What looks like damage in a live file is believed when it was seen so often.
const LOOKS: u8 = 3;
/// How long a damaged live file is left alone before all of its entries are listed again.
const REST: Duration = Duration::from_secs(1);

/// How many windows a reader of some of a file's entries has: they are close together.
const PART_WINDOWS: usize = 4;

/// A file may be worth this many times its length, and at least [`MIN_OUTPUT`] bytes: an entry can name a large field any
/// number of times.
pub(super) const OUTPUT_FACTOR: u64 = 64;
pub(super) const MIN_OUTPUT: u64 = 64 << 20;

/// A file and where reading it stands.
pub(super) struct FileReader {
    pub(super) path: PathBuf,
    pub(super) file: JournalFile,
    /// The entries to read, in the order of the file.
    list: Vec<u32>,
    next: usize,
    /// Each entry's identifier has to be looked at, since the list is of all entries.
    scans: bool,
    /// For fields that were looked at: whether they are an identifier that is wanted; none if they are none.
    verdicts: HashMap<u32, Option<bool>>,
    /// The last entry that was listed.
    newest: u32,
    /// The number of the last entry that was looked at, wanted or not; 0 before the first.
    pub(super) passed: u64,
    /// Entries up to this number were read by an earlier run.
    from: u64,
    /// The entry at hand.
    pub(super) at: u32,
    /// The fields of the entry at hand, in the order of the file.
    pub(super) items: Vec<u32>,
    /// The entry that was at hand when the batch was begun.
    first: u32,
    /// The furthest field that was put into a batch, or was found to be none for one.
    pub(super) furthest: u32,
    /// Entries that were passed over since this was asked last.
    pub(super) skipped: u64,
    /// How much the file has been worth, in bytes.
    pub(super) output: u64,
    /// What becomes of the file when all entries that are known were read.
    pub(super) state: FileState,
    /// No entry is at hand; the file is looked at for more.
    pub(super) waits: bool,
    /// How often in a row the file has looked damaged.
    doubts: u8,
    /// The file is damaged: how many entries it promised when all were listed anew, and when that may be done again.
    broken: Option<(u64, Instant)>,
}

/// Whether a file can get more entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileState {
    /// It may.
    Active,
    /// Its writer has left it, as its name says, or it was deleted. One more look shows the last entries.
    Rotated,
    /// It will not, or nobody asks.
    Finished,
}

impl FileReader {
    /// Opens a file, and says why it is not all there if it is not. Nothing is read before [`FileReader::choose`].
    pub(super) fn open(
        path: PathBuf,
        opener: &dyn OpenFile,
        windows: usize,
    ) -> Result<(FileReader, Option<Error>), Refusal> {
        let (range, failure) = opener.open(&path)?;
        let failure = failure.map(|cause| Error::Incomplete { path: path.clone(), cause });
        Ok((FileReader::new(path, range, windows)?, failure))
    }

    /// Opens what is under this name.
    pub(super) fn new(path: PathBuf, range: FileRange, windows: usize) -> Result<FileReader, Refusal> {
        Ok(FileReader {
            path,
            file: JournalFile::open(range, windows)?,
            list: Vec::new(),
            next: 0,
            scans: false,
            verdicts: HashMap::new(),
            newest: 0,
            passed: 0,
            from: 0,
            at: 0,
            items: Vec::new(),
            first: 0,
            furthest: 0,
            skipped: 0,
            output: 0,
            state: FileState::Finished,
            waits: false,
            doubts: 0,
            broken: None,
        })
    }

    /// Another reader of the same file, for some of its entries.
    pub(super) fn part(&self, list: Vec<u32>) -> Result<FileReader, Refusal> {
        let mut part = FileReader::new(self.path.clone(), self.file.range(), PART_WINDOWS)?;
        part.list = list;
        part.scans = self.scans;
        // It is said once for the whole file.
        part.file.damages.truncated = false;
        Ok(part)
    }

    /// Takes the list of entries from the one at hand on.
    pub(super) fn unread(&mut self) -> Vec<u32> {
        self.list.drain(..self.next.saturating_sub(1));
        std::mem::take(&mut self.list)
    }

    /// The most bytes that the file may be worth.
    pub(super) fn max_output(&self) -> u64 {
        MIN_OUTPUT.max(self.file.end().saturating_mul(OUTPUT_FACTOR))
    }

    /// Adds what was wrong with the file since this was done last.
    pub(super) fn damages(&mut self, damages: &mut Vec<Damaged>) {
        let path = || self.path.clone();
        let (end, found) = (self.file.end(), &mut self.file.damages);
        for (met, reason) in [(&mut found.truncated, "truncated-file"), (&mut found.emptied, "emptied-file")] {
            if std::mem::take(met) {
                damages.push(Damaged { path: path(), reason, count: 1, offset: end });
            }
        }
        damages.extend(found.drain().map(|tally| Damaged {
            path: path(),
            reason: tally.damage.name(),
            count: tally.count,
            offset: tally.first,
        }));
    }

    /// Makes the file one that may get more entries, unless its header says otherwise.
    pub(super) fn follow(&mut self) {
        if self.file.header().state != HeaderState::Archived {
            self.state = FileState::Active;
        }
    }

    /// Finds out which entries to read, of those that an earlier run has not passed.
    pub(super) fn choose(&mut self, filter: &dyn EntryFilter, passed: &SeqnumProgress) {
        let header = self.file.header();
        self.from = passed.by(&header.seqnum_id);
        self.passed = self.from;
        let settled = self.state == FileState::Finished && header.state != HeaderState::Online;
        if settled && self.from > 0 && header.tail_entry_seqnum <= self.from {
            return;
        }
        if filter.everything() {
            self.list = self.file.entries();
        } else if let Some(list) = self.chosen(filter) {
            self.skipped = self.file.header().n_entries.saturating_sub(list.len() as u64);
            self.list = list;
        } else {
            self.scans = true;
            self.list = self.file.entries();
        }
        self.newest = self.list.last().copied().unwrap_or_default();
        if self.from > 0 {
            self.next = self.behind(self.from);
            // How many of them the earlier run has counted is not known.
            self.skipped = 0;
        }
    }

    /// How many entries at the beginning of the list are certain to be passed: numbers grow within a file.
    fn behind(&mut self, number: u64) -> usize {
        let FileReader { list, file, .. } = self;
        let mut sound = true;
        let behind = list.partition_point(|at| match file.head(*at) {
            Ok(head) => head.seqnum <= number,
            Err(_) => {
                sound = false;
                false
            }
        });
        if sound { behind } else { 0 }
    }

    /// The entries of the identifiers that are wanted, by the index. None where the index cannot be trusted: a writer is
    /// at it, may come back to it or has died over it, or it is damaged.
    fn chosen(&mut self, filter: &dyn EntryFilter) -> Option<Vec<u32>> {
        let settled = self.state == FileState::Finished && self.file.header().state != HeaderState::Online;
        if !settled || self.file.damages().truncated {
            return None;
        }
        let mut wanted = Vec::new();
        let note = |value: &[u8], at| {
            if filter.entries_of(value) {
                wanted.push(at);
            }
        };
        if !self.file.values(IDENTIFIER, note).ok()? {
            return None;
        }
        let mut list = Vec::new();
        for at in wanted {
            self.file.postings(at, &mut list).ok()?;
            if list.len() as u64 > self.most_items() {
                return None;
            }
        }
        // It consists of sorted runs, which this sort finds.
        list.sort();
        list.dedup();
        Some(list)
    }

    /// Goes to the next entry that is wanted; its fields are in `items` then.
    #[inline]
    pub(super) fn advance(&mut self, range: &Range, filter: &dyn EntryFilter) -> Option<Place> {
        while let Some(at) = self.list.get(self.next).copied() {
            self.next += 1;
            if let Some(place) = self.read(at, range, filter) {
                return Some(place);
            }
        }
        None
    }

    /// Begins a batch with the entry at hand.
    pub(super) fn begin(&mut self) {
        self.first = self.at;
    }

    /// How many fields of the entry at hand were in the file before the batch, and stand before those that were not.
    #[inline]
    pub(super) fn old(&self) -> usize {
        self.items.len() - self.items.iter().rev().take_while(|item| **item > self.first).count()
    }

    /// How many bytes of the file are read, should its entries be of one size.
    pub(super) fn done(&self) -> u64 {
        let all = self.list.len().max(1) as u128;
        let read = u128::from(self.file.end()) * self.next as u128 / all;
        u64::try_from(read).unwrap_or(u64::MAX)
    }

    /// Reads an entry, if it can be read and is wanted.
    #[inline]
    fn read(&mut self, at: u32, range: &Range, filter: &dyn EntryFilter) -> Option<Place> {
        self.at = at;
        let head = self.file.entry(at, &mut self.items).ok()?;
        let place = Place {
            seqnum_id: self.file.header().seqnum_id,
            seqnum: head.seqnum,
            boot_id: head.boot_id,
            monotonic: head.monotonic,
            realtime: head.realtime,
            xor_hash: head.xor_hash,
        };
        self.passed = place.seqnum;
        if place.seqnum <= self.from {
            return None;
        }
        if !range.has(&place) || self.scans && !self.is_wanted(filter) {
            self.skipped += 1;
            return None;
        }
        Some(place)
    }

    /// Whether the identifier of the entry at hand is one that is wanted. With two of them, one is enough.
    fn is_wanted(&mut self, filter: &dyn EntryFilter) -> bool {
        let FileReader { file, items, verdicts, .. } = self;
        if verdicts.len() > VERDICTS {
            verdicts.clear();
        }
        let mut wanted = false;
        for at in items {
            let verdict = *verdicts.entry(*at).or_insert_with(|| {
                let mut field = Vec::new();
                let datum = file.data(*at, &mut field, |name| name == IDENTIFIER).ok()?;
                datum.wanted.then(|| field.get(IDENTIFIER.len() + 1..).is_some_and(|value| filter.entries_of(value)))
            });
            wanted |= verdict == Some(true);
        }
        wanted
    }

    /// Looks whether a live file has more entries. True if some came.
    ///
    /// What looks damaged may be half of what the writer is doing, so it is looked at again before it is believed. Then
    /// all entries are listed anew, and those that were listed before left out: the writer puts entries one behind the
    /// other.
    pub(super) fn look(&mut self) -> bool {
        if self.state == FileState::Finished {
            return false;
        }
        match self.file.refresh() {
            Ok(Refreshed::Same) if !self.file.lags() => {
                self.doubts = 0;
                return self.looked(false);
            }
            Ok(Refreshed::Same | Refreshed::Changed) => {}
            Ok(Refreshed::Gone) => {
                self.state = FileState::Finished;
                self.file.damages.emptied = true;
                return false;
            }
            Err(cause) => {
                self.doubts += 1;
                if self.doubts >= LOOKS {
                    self.file.damages.note(cause.into(), 0);
                    self.state = FileState::Finished;
                }
                return false;
            }
        }
        if self.next > 0 {
            self.list.drain(..self.next);
            self.list.shrink_to(1 << 12);
            self.next = 0;
        }
        let promised = self.file.header().n_entries;
        if let Some((before, rest)) = self.broken
            && self.state == FileState::Active
            && (before == promised || Instant::now() < rest)
        {
            return false;
        }
        let (known, listed, damages) = (self.list.len(), self.file.listed, self.file.damages.clone());
        if self.broken.is_none() && self.file.more_entries(&mut self.list) {
            self.newest = self.list.last().copied().unwrap_or(self.newest);
            self.doubts = 0;
            return self.looked(self.list.len() > known);
        }
        self.list.truncate(known);
        if self.doubts + 1 < LOOKS && self.broken.is_none() {
            self.doubts += 1;
            (self.file.listed, self.file.damages) = (listed, damages);
            return false;
        }
        let newest = self.newest;
        self.list.extend(self.file.entries().into_iter().filter(|at| *at > newest));
        self.newest = self.list.last().copied().unwrap_or(newest);
        self.doubts = 0;
        self.broken = Some((promised, Instant::now() + REST));
        self.looked(self.list.len() > known)
    }

    /// A look has shown all that there was.
    fn looked(&mut self, came: bool) -> bool {
        if self.state == FileState::Rotated || self.file.header().state == HeaderState::Archived {
            self.state = FileState::Finished;
        }
        came
    }

    /// Whether the last look was not believed.
    pub(super) fn doubtful(&self) -> bool {
        self.doubts > 0
    }

    /// Passes over all entries but the last `count` that are worth showing, and notes where those stand.
    pub(super) fn keep_last(
        &mut self,
        count: usize,
        range: &Range,
        filter: &dyn EntryFilter,
        places: &mut HashSet<Place>,
    ) {
        let mut found = 0;
        let mut index = self.list.len();
        while index > self.next && found < count {
            index -= 1;
            let at = self.list.get(index).copied().unwrap_or_default();
            if let Some(place) = self.read(at, range, filter)
                && self.is_shown(filter)
            {
                found += 1;
                places.insert(place);
            }
        }
        self.skipped += (index - self.next) as u64;
        self.next = index;
        // The walk ended at the first one that is kept; what is before it is passed, and where none is kept, all is.
        let last = if index == self.list.len() { self.list.last() } else { None };
        if let Some(head) = last.copied().and_then(|at| self.file.head(at).ok()) {
            self.passed = head.seqnum;
        }
    }

    /// Whether the entry at hand is likely to be shown, by its identifier and its message.
    fn is_shown(&mut self, filter: &dyn EntryFilter) -> bool {
        let (mut identifier, mut message) = (Vec::new(), Vec::new());
        for at in self.items.iter().rev() {
            let mut field = Vec::new();
            let Ok(datum) = self.file.data(*at, &mut field, |name| name == IDENTIFIER || name == MESSAGE) else {
                continue;
            };
            let value = field.get(datum.name_len + 1..).unwrap_or_default();
            match field.get(..datum.name_len) {
                Some(IDENTIFIER) => identifier = value.to_vec(),
                Some(MESSAGE) => message = value.to_vec(),
                _ => {}
            }
        }
        filter.entry(&identifier, &message)
    }

    /// No file has more items in its entries than this, so its posting lists have no more either, unless several lists
    /// have parts in common.
    fn most_items(&self) -> u64 {
        self.file.end() / 4
    }

    /// The boots that the file tells of, and when each had its first entry here.
    pub(super) fn boots(&mut self) -> Vec<(u64, [u8; 16])> {
        let mut found = Vec::new();
        // Where the index is damaged, some boots may be missing, and their entries are not those asked for.
        let _ = self.file.values(b"_BOOT_ID", |value, at| found.extend(cursor::parse_id(value).map(|id| (id, at))));
        let mut boots = Vec::new();
        let mut entries = Vec::new();
        let mut items = 0;
        for (id, at) in found {
            items += entries.len() as u64;
            if items > self.most_items() {
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
