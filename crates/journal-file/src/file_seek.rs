//! The first and the last entries of a file that are read: skips entries outside a range of time, and all but the last
//! ones.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use crate::clock_runs::{self, Clocks, TOLERANCE};
use crate::cursor::Place;
use crate::entry_range::Range;
use crate::entry_scan::{IDENTIFIER, MESSAGE};
use crate::file_reader::{FileReader, FileReaders};
use crate::offset::Units;
use crate::selection::{EntryFilter, Selection};

/// The number of entries up to which a list is not searched, because reading all of them costs as much.
const FEW: usize = 256;

/// The last entries of all files, by their places without numbers. Copies of an entry in several files have one place.
pub(crate) type LastPlaces = HashSet<Place>;

/// Returns the place of an entry without its number, which differs between copies.
pub(crate) fn without_number(place: Place) -> Place {
    Place { seqnum: 0, seqnum_id: [0; 16], ..place }
}

/// The meaning of a field for the question whether its entries make records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    /// The identifier of a program all of whose entries make records.
    Certain,
    /// Another identifier, or a field that makes an entry doubtful.
    Doubtful,
    None,
}

/// Skips all entries of files but the last `count` of each that the filter admits, and returns the places of these. With
/// `surely`, only entries count that surely make records. Of files that follow one another, the earlier ones are not read
/// if the later ones have enough entries.
pub(crate) fn keep_last(
    readers: &mut FileReaders,
    count: usize,
    surely: bool,
    selection: &Selection<'_>,
) -> LastPlaces {
    let mut order: Vec<_> = readers.iter_mut().map(|reader| reader.numbers()).enumerate().collect();
    order.sort_by_key(|(_, numbers)| Reverse(numbers.as_ref().map(|(source, numbers)| (*source, *numbers.end()))));
    let mut places = LastPlaces::new();
    // The source and the first number of the file before in this order, and the entries found in it and in those behind.
    let mut behind: Option<([u8; 16], u64, usize)> = None;
    for (index, numbers) in order {
        let Some(reader) = readers.get_mut(index) else { continue };
        let follows = |(source, numbers): &([u8; 16], RangeInclusive<u64>)| {
            behind.filter(|(other, first, _)| other == source && numbers.end() < first)
        };
        let found = numbers.as_ref().and_then(follows).map_or(0, |(_, _, found)| found);
        let found = found + reader.keep_last(count.saturating_sub(found), surely, selection, &mut places);
        behind = numbers.map(|(source, numbers)| (source, *numbers.start(), found));
        reader.release();
    }
    places
}

impl FileReader {
    /// Skips the entries outside a range of time, as far as a few probes show them. The entries that are left are compared
    /// with the range one by one.
    pub(crate) fn seek(&mut self, range: &Range) {
        let count = self.list.entries.len().saturating_sub(self.list.next);
        if range.since.is_none() && range.until.is_none() || count <= FEW {
            return;
        }
        let (entries, file) = (self.list.entries.get(self.list.next..).unwrap_or_default(), &mut self.file);
        let mut probe = |at: usize| {
            let head = file.distant_head(*entries.get(at)?).ok()?;
            Some(Clocks { boot_id: head.boot_id, realtime: head.realtime, monotonic: head.monotonic })
        };
        let Some(runs) = clock_runs::runs(count, &mut probe) else { return };
        let since = range.since.unwrap_or(0).saturating_sub(TOLERANCE);
        let until = range.until.unwrap_or(u64::MAX).saturating_add(TOLERANCE);
        let mut kept = Vec::new();
        for run in runs {
            let mut first_of = |limit: u64, includes_limit: bool| {
                let mut bounds = run.clone();
                while !bounds.is_empty() {
                    let middle = bounds.start + bounds.len() / 2;
                    let realtime = probe(middle)?.realtime;
                    let is_before = realtime < limit || includes_limit && realtime == limit;
                    bounds = if is_before { middle + 1..bounds.end } else { bounds.start..middle };
                }
                Some(bounds.start)
            };
            let Some((start, end)) = first_of(since, false).zip(first_of(until, true)) else { return };
            kept.push(start..end.max(start));
        }
        // A position after the entries is a position after those that were skipped.
        let passed = kept.first().and_then(|first| first.start.checked_sub(1)).and_then(|at| entries.get(at)).copied();
        let left: Vec<Units> = kept.into_iter().flat_map(|run| entries.get(run).unwrap_or_default()).copied().collect();
        self.progress.outside += (count - left.len()) as u64;
        self.list.entries = left;
        self.list.next = 0;
        self.pass(passed);
    }

    /// Notes that an entry was passed without reading it.
    fn pass(&mut self, entry: Option<Units>) {
        if let Some(head) = entry.and_then(|at| self.file.head(at).ok()) {
            self.progress.seqnum = head.seqnum;
        }
    }

    /// Returns the source and the numbers of the first and the last entry that are left, if they are readable.
    fn numbers(&mut self) -> Option<([u8; 16], RangeInclusive<u64>)> {
        let left = self.list.entries.get(self.list.next..)?;
        let (first, last) = (*left.first()?, *left.last()?);
        let first = self.file.distant_head(first).ok()?.seqnum;
        let last = self.file.distant_head(last).ok()?.seqnum;
        Some((self.file.header().seqnum_id, first..=last))
    }

    /// Skips all entries but the last `count` that the filter admits, and adds the places of these. With `surely`, only
    /// entries count that surely make records, so that more entries may be left. Returns how many were found.
    fn keep_last(&mut self, count: usize, surely: bool, selection: &Selection<'_>, places: &mut LastPlaces) -> usize {
        let mut evidence = HashMap::new();
        let mut found = 0;
        let mut index = self.list.entries.len();
        while index > self.list.next && found < count {
            index -= 1;
            let at = self.list.entries.get(index).copied().unwrap_or_default();
            if let Some(place) = self.read(at, selection)
                && (if surely {
                    self.is_certain(selection.filter, &mut evidence)
                } else {
                    self.is_shown(selection.filter)
                })
            {
                found += 1;
                places.insert(without_number(place));
            }
        }
        self.progress.outside += (index - self.list.next) as u64;
        self.list.next = index;
        // Reading ended at the first entry to keep, so entries before it are passed. Without any, all entries are.
        let last = if index == self.list.entries.len() { self.list.entries.last() } else { None };
        self.pass(last.copied());
        found
    }

    /// Returns whether the current entry surely makes a record. Of several identifiers, none is sure.
    fn is_certain(&mut self, filter: &dyn EntryFilter, known: &mut HashMap<Units, Evidence>) -> bool {
        let (mut certain, mut doubtful) = (0, false);
        for at in &self.current.items {
            let evidence = *known.entry(*at).or_insert_with(|| {
                let mut field = Vec::new();
                let named = |name: &[u8]| name == IDENTIFIER || filter.makes_doubtful(name);
                let Ok(data) = self.file.data(*at, &mut field, named) else { return Evidence::None };
                let value = field.get(data.name_len + 1..).unwrap_or_default();
                match field.get(..data.name_len) {
                    Some(IDENTIFIER) if filter.makes_record(value) => Evidence::Certain,
                    Some(name) if !name.is_empty() => Evidence::Doubtful,
                    _ => Evidence::None,
                }
            });
            certain += usize::from(evidence == Evidence::Certain);
            doubtful |= evidence == Evidence::Doubtful;
        }
        certain == 1 && !doubtful
    }

    /// Returns whether the filter admits the current entry by its identifier and its message.
    fn is_shown(&mut self, filter: &dyn EntryFilter) -> bool {
        if filter.everything() {
            return true;
        }
        let (mut identifier, mut message) = (Vec::new(), Vec::new());
        for at in self.current.items.iter().rev() {
            let mut field = Vec::new();
            let Ok(data) = self.file.data(*at, &mut field, |name| name == IDENTIFIER || name == MESSAGE) else {
                continue;
            };
            let value = field.get(data.name_len + 1..).unwrap_or_default();
            match field.get(..data.name_len) {
                Some(IDENTIFIER) => identifier = value.to_vec(),
                Some(MESSAGE) => message = value.to_vec(),
                _ => {}
            }
        }
        filter.entry(&identifier, &message)
    }
}
