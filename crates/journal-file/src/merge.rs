//! Which of several files' next entries comes first.
//!
//! [`compare`] is libsystemd's relation between two entries (systemd v252: `src/libsystemd/sd-journal/journal-file.c`,
//! `journal_file_compare_locations`). It decides between any two, but it is not transitive: sequence numbers, the clock
//! since boot and the clock on the wall may disagree about three entries when the last one was set back.
//!
//! [`Merge`] puts the entries of many files in order by it. Files of one source of sequence numbers form a group; within a
//! group the number decides, and only the first entries of the groups are compared by all rules. What comes next is given
//! as a run: a file to take from, and a [`RunBound`] up to which its entries precede every other file's. Archived files of
//! one machine follow one another, so a run is mostly a file, and an entry costs two comparisons however many files there
//! are. Where files alternate, an entry costs a search among the groups.
//!
//! # What it has in common with libsystemd's order
//!
//! For every entry that it gives, libsystemd looks at the next entries of all files and takes the one that none after it
//! in its list of files precedes. While the relation goes in no circle, this is the entry that is taken here. It does not
//! go in circles while no clock is set back and no machine writes two entries in one microsecond. Runs change nothing in
//! this, whatever the entries are: one that the limit admits is the one that the next turn would take.
//!
//! Where the relation goes in a circle, there is no right order. libsystemd's then depends on the order in which it found
//! the files, and it loses entries, because it passes over all that do not come after the one it has given last:
//! journalctl 252 shows two of three entries when a clock was set back across a rotation and another machine's entry lies
//! between. Here every entry is given, and those of one source of numbers in the order of their numbers. What may happen
//! is that an entry of which two files have a copy is given twice, if others come between the copies.
//!
//! systemd v254 and later tell the boots of one machine apart by the last time known of each, before they compare times
//! on the wall. That is not done here.

use std::cmp::Ordering;

use crate::cursor::Place;

/// Whether `a` comes before `b`: by number if the source of numbers is the same, else by the time since boot if the boot is
/// the same, else by the time on the wall, else by contents. Each decides only if those before leave it open.
///
/// Equal means the same entry, of which two files have a copy: one file copied, or the same messages received and stored
/// again by `systemd-journal-remote`, which numbers them anew. Entries of two boots are never the same; where nothing
/// else tells them apart, the ids of the boots do (libsystemd takes them for one entry).
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

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeStep {
    /// Take the entry that this source has offered, and all further ones that the limit admits.
    Take(usize, RunBound),
    /// Go past the entry that this source has offered: another source's copy of it was just taken.
    Skip(usize),
}

/// Up to where the entries of a source precede what every other source has offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunBound {
    /// The first of its own group without it, and the first of the other groups.
    rivals: [Option<Place>; 2],
    /// A rival has a copy of the entry that is taken, which must be skipped first.
    copied: bool,
}

impl RunBound {
    /// Whether the next entry of the same source may be taken at once. If not, it may still be the next one: offer it.
    pub fn admits(&self, next: &Place) -> bool {
        !self.copied && self.rivals.iter().flatten().all(|rival| compare(next, rival).is_lt())
    }
}

/// The next entries of all sources, in order.
///
/// A source is a number that the caller gives it. It is in the merge from [`Merge::offer`] until a [`MergeStep`] names it:
/// then it belongs to the caller, who offers its next entry when there is one. So every turn takes one entry out, and
/// turns come to an end even for a caller who forgets to offer. New sources may come at any time.
#[derive(Debug, Default)]
pub struct Merge {
    groups: Vec<Group>,
    /// The groups that have offers, by their first, sorted backwards as these.
    order: Vec<usize>,
    /// The group that was taken from last.
    taken: usize,
    /// What was taken last, if another source has a copy.
    copied: Option<Place>,
}

/// What the files of one source of sequence numbers have to offer.
#[derive(Debug)]
struct Group {
    seqnum_id: [u8; 16],
    /// Sorted backwards: what comes first is last, where it is cheap to take and put back.
    offers: Vec<Offer>,
}

#[derive(Clone, Copy, Debug)]
struct Offer {
    place: Place,
    source: usize,
}

impl Offer {
    /// Of copies, the one of the first source comes first.
    fn precedes(&self, other: &Offer) -> bool {
        compare(&self.place, &other.place).then(self.source.cmp(&other.source)).is_lt()
    }
}

impl Merge {
    /// Puts a source's next entry in. A source has one entry in the merge at a time, and all of its entries have the
    /// `seqnum_id` of its file. Allocates only for a source that is new.
    pub fn offer(&mut self, source: usize, place: Place) {
        let is_of = |group: &Group| group.seqnum_id == place.seqnum_id;
        let index = if self.groups.get(self.taken).is_some_and(is_of) {
            self.taken
        } else if let Some(index) = self.groups.iter().position(is_of) {
            index
        } else if let Some(index) = self.groups.iter().position(|group| group.offers.is_empty()) {
            // Nothing of it is listed, so it may become another one.
            self.groups[index].seqnum_id = place.seqnum_id;
            index
        } else {
            self.groups.push(Group { seqnum_id: place.seqnum_id, offers: Vec::new() });
            self.groups.len() - 1
        };
        let offers = &mut self.groups[index].offers;
        let offer = Offer { place, source };
        let at = insert(offers, offer, |other| offer.precedes(other));
        if at + 1 == offers.len() {
            // The group has another first offer than before, or had none.
            if at > 0 {
                self.order.retain(|&listed| listed != index);
            }
            self.list(index);
        }
    }

    /// The source to go on with; none when nothing is offered.
    pub fn next_step(&mut self) -> Option<MergeStep> {
        let index = self.order.pop()?;
        let Offer { place, source } = self.groups[index].offers.pop()?;
        self.taken = index;
        self.list(index);
        if let Some(copied) = &self.copied {
            if compare(&place, copied).is_eq() {
                return Some(MergeStep::Skip(source));
            }
            self.copied = None;
        }
        let first = |group: &usize| self.groups[*group].offers.last().map(|offer| offer.place);
        let other = self.order.iter().rev().find(|&&group| group != index);
        let rivals = [first(&index), other.and_then(first)];
        let copied = rivals.iter().flatten().any(|rival| compare(rival, &place).is_eq());
        self.copied = copied.then_some(place);
        Some(MergeStep::Take(source, RunBound { rivals, copied }))
    }

    /// Puts a group that is not listed where its first offer belongs, if it has one.
    fn list(&mut self, index: usize) {
        let first = |group: usize| self.groups[group].offers.last();
        if let Some(offer) = first(index) {
            insert(&mut self.order, index, |&group| first(group).is_none_or(|other| offer.precedes(other)));
        }
    }
}

/// Puts an item where it belongs in a list sorted backwards, and says where that is. `precedes` tells whether it precedes
/// another. The end is tried first: mostly it is there, and where the order is none, it is what a [`RunBound`] looks at.
fn insert<T>(list: &mut Vec<T>, item: T, precedes: impl Fn(&T) -> bool) -> usize {
    let at = if list.last().is_none_or(&precedes) { list.len() } else { list.partition_point(precedes) };
    list.insert(at, item);
    at
}

#[cfg(test)]
mod tests;
