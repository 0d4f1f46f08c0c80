//! The merge of the entries of several files into one order.
//!
//! [`compare`] is libsystemd's relation between two entries (systemd v252: `src/libsystemd/sd-journal/journal-file.c`,
//! `journal_file_compare_locations`). The relation decides between any two entries, but it is not transitive. If a
//! clock was set back, sequence numbers, monotonic times and wall-clock times may disagree about three entries.
//!
//! [`Merge`] orders the entries of many files by this relation. Files of one source of sequence numbers form a group.
//! Within a group the number decides, and only the first entries of the groups are compared by all rules. Each step
//! returns a run: a file, and a [`RunBound`] up to which its entries precede those of every other file.
//! Archived files of one machine follow one another, so a run is mostly a file: then an entry costs two comparisons for
//! any number of files. If files alternate, an entry costs a search among the groups.
//!
//! # Comparison with libsystemd's order
//!
//! For every entry, libsystemd looks at the next entries of all files. It takes the entry that no entry of a later file
//! in its list precedes. While the relation has no cycle, this merge takes the same entry. The relation has no
//! cycle while no clock is set back and no machine writes two entries in one microsecond. Runs never change the order:
//! an entry that the bound admits is the entry that the next step would take.
//!
//! A cycle has no right order. libsystemd's order then depends on the order in which it found the files. It also loses
//! entries, because it skips all that do not come after the entry that it returned last. If a clock was set back across
//! a rotation and another machine's entry lies between, journalctl 252 prints two of three entries. This merge returns
//! every entry, and those of one source in the order of their numbers. An entry of which two files have a copy may come
//! twice, if others come between the copies.
//!
//! systemd v254 and later order the boots of one machine by the last known time of each before they compare wall-clock
//! times. This merge does not.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};

use crate::cursor::Place;

/// Compares two entries by sequence number if their sources are equal, then by monotonic time if the boots are equal,
/// then by wall-clock time, then by contents.
///
/// Equal entries are copies of one entry in two files: a file was copied, or `systemd-journal-remote` received and
/// stored the messages again under new numbers. Entries of two boots are never equal: the ids of the boots decide in
/// the end. libsystemd treats such entries as one.
pub(crate) fn compare(a: &Place, b: &Place) -> Ordering {
    let mut order = Ordering::Equal;
    if a.seqnum_id == b.seqnum_id {
        order = a.seqnum.cmp(&b.seqnum);
    }
    if a.boot_id == b.boot_id {
        order = order.then(a.monotonic.cmp(&b.monotonic));
    }
    order
        .then_with(|| a.realtime.cmp(&b.realtime))
        .then_with(|| a.xor_hash.cmp(&b.xor_hash))
        .then_with(|| a.boot_id.cmp(&b.boot_id))
}

/// The next step of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeStep {
    /// Take the entry that this source has offered, and all its following entries that the bound admits.
    Take(usize, RunBound),
    /// Skip the entry that this source has offered. A copy of it in another source was just taken.
    Skip(usize),
}

/// The bound of a run: the entries of a source that precede all entries offered by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunBound {
    /// The first other entry of the group, and the first entry of the other groups.
    rivals: [Option<Place>; 2],
    /// A rival is a copy of the entry that is taken, and must be skipped first.
    copied: bool,
}

impl RunBound {
    /// Returns whether the next entry of the source belongs to the run. If not, offer the entry to the merge, which may
    /// still choose it.
    pub fn admits(&self, next: &Place) -> bool {
        !self.copied && self.rivals.iter().flatten().all(|rival| compare(next, rival).is_lt())
    }
}

/// The next entries of all sources, in order.
///
/// A source is a number chosen by the caller. [`Merge::offer`] puts the entry of a source into the merge, and a
/// [`MergeStep`] takes it out. Then the caller offers the next entry of the source. So every step takes one entry out,
/// and steps end even if a caller forgets to offer. New sources may come at any time.
#[derive(Debug, Default)]
pub struct Merge {
    groups: Vec<Group>,
    /// The groups by their `seqnum_id`.
    by_id: HashMap<[u8; 16], usize>,
    /// Groups that had no offers when they were added.
    free: Vec<usize>,
    /// The groups that have offers, sorted backwards by their first offers. Both ends are cheap to change: the entry
    /// that follows the first one may precede all others, or follow them if many files alternate.
    order: VecDeque<usize>,
    /// The group of the last step.
    taken: usize,
    /// The entry taken last, if another source has a copy.
    copied: Option<Place>,
}

/// The offers of the files of one source of sequence numbers.
#[derive(Debug)]
struct Group {
    seqnum_id: [u8; 16],
    /// The offers, sorted backwards: the first offer is last.
    offers: VecDeque<Offer>,
    /// The group is in the list of free ones.
    is_free: bool,
}

#[derive(Clone, Copy, Debug)]
struct Offer {
    place: Place,
    source: usize,
}

impl Offer {
    /// Returns whether this offer precedes another. Of copies, the one of the first source precedes.
    fn precedes(&self, other: &Offer) -> bool {
        compare(&self.place, &other.place).then(self.source.cmp(&other.source)).is_lt()
    }
}

impl Merge {
    /// Offers the next entry of a source. A source has one entry in the merge at a time, and all of its entries have
    /// the `seqnum_id` of its file. Allocates only for a new source.
    pub fn offer(&mut self, source: usize, place: Place) {
        let is_of = |group: &Group| group.seqnum_id == place.seqnum_id;
        let index =
            if self.groups.get(self.taken).is_some_and(is_of) { self.taken } else { self.group(place.seqnum_id) };
        let offers = &mut self.groups[index].offers;
        let offer = Offer { place, source };
        let at = insert(offers, offer, |other| offer.precedes(other));
        if at + 1 == offers.len() {
            // The first offer of the group has changed.
            if at > 0 {
                self.order.retain(|&listed| listed != index);
            }
            self.list(index);
        }
    }

    /// Returns the group of a source of sequence numbers. A group without offers can become that of another source.
    fn group(&mut self, seqnum_id: [u8; 16]) -> usize {
        if let Some(index) = self.by_id.get(&seqnum_id) {
            return *index;
        }
        while let Some(index) = self.free.pop() {
            let group = &mut self.groups[index];
            group.is_free = false;
            if group.offers.is_empty() {
                self.by_id.remove(&group.seqnum_id);
                group.seqnum_id = seqnum_id;
                self.by_id.insert(seqnum_id, index);
                return index;
            }
        }
        self.groups.push(Group { seqnum_id, offers: VecDeque::new(), is_free: false });
        self.by_id.insert(seqnum_id, self.groups.len() - 1);
        self.groups.len() - 1
    }

    /// Returns the next step, or `None` if nothing is offered.
    pub fn next_step(&mut self) -> Option<MergeStep> {
        let index = self.order.pop_back()?;
        let Offer { place, source } = self.groups[index].offers.pop_back()?;
        self.taken = index;
        self.list(index);
        let group = &mut self.groups[index];
        if group.offers.is_empty() && !std::mem::replace(&mut group.is_free, true) {
            self.free.push(index);
        }
        if let Some(copied) = &self.copied {
            if compare(&place, copied).is_eq() {
                return Some(MergeStep::Skip(source));
            }
            self.copied = None;
        }
        let first = |group: &usize| self.groups[*group].offers.back().map(|offer| offer.place);
        let other = self.order.iter().rev().find(|&&group| group != index);
        let rivals = [first(&index), other.and_then(first)];
        let copied = rivals.iter().flatten().any(|rival| compare(rival, &place).is_eq());
        self.copied = copied.then_some(place);
        Some(MergeStep::Take(source, RunBound { rivals, copied }))
    }

    /// Lists an unlisted group by its first offer, if it has one.
    fn list(&mut self, index: usize) {
        let first = |group: usize| self.groups[group].offers.back();
        if let Some(offer) = first(index) {
            insert(&mut self.order, index, |&group| first(group).is_none_or(|other| offer.precedes(other)));
        }
    }
}

/// Inserts an item into a list sorted backwards, and returns its index. `precedes` returns whether the item precedes
/// another. The end is tried first: it is mostly right, and if the relation has cycles, a [`RunBound`] looks at the
/// end as well.
fn insert<T>(list: &mut VecDeque<T>, item: T, precedes: impl Fn(&T) -> bool) -> usize {
    let at = if list.back().is_none_or(&precedes) { list.len() } else { list.partition_point(precedes) };
    list.insert(at, item);
    at
}

#[cfg(test)]
mod tests;
