//! Counters of entries and records.

mod hints;
mod row_counts;

use std::collections::BTreeMap;

use crate::component::Component;
use crate::flaw::{Flaw, Flaws, Severity};
use crate::origin::Origin;
use crate::record::{Facts, Level, PayloadFormat};
use crate::time::UtcTimestamp;
use hints::Hints;
pub(crate) use row_counts::row_counts;

/// The reason why an entry made no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum DropReason {
    /// Neither the identifier nor the content is Kata's.
    Others,
    /// The component was not selected.
    Component,
    /// A filter left the record out.
    Filter,
    /// The line is blank.
    Blank,
    /// `journalctl` printed the line between entries, for example at the start of a boot.
    Marker,
    /// A copy from another journal file was taken.
    Repeated,
}

impl DropReason {
    /// All reasons, in the order of the statistics.
    pub(crate) const ALL: &'static [DropReason] = &[
        DropReason::Others,
        DropReason::Component,
        DropReason::Filter,
        DropReason::Blank,
        DropReason::Marker,
        DropReason::Repeated,
    ];

    /// Returns the name for the statistics.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            DropReason::Others => "others",
            DropReason::Component => "component",
            DropReason::Filter => "filter",
            DropReason::Blank => "blank",
            DropReason::Marker => "marker",
            DropReason::Repeated => "repeated",
        }
    }
}

/// The counters of a run or of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The number of entries.
    pub read: u64,
    /// The number of records.
    pub written: u64,
    /// The number of records of other programs, which pass unchanged.
    pub passed: u64,
    /// The number of records with flaws, other than those that only inform.
    pub flawed: u64,
    /// The number of records in which something was redacted.
    pub redacted: u64,
    /// The number of messages that journald reports as dropped.
    pub suppressed: u64,
    /// The number of records that no receiver accepted.
    pub refused: u64,
    /// The number of records that exceeded the limit of the spool.
    pub overflowed: u64,
    /// The number of log files that were deleted or emptied before they were read.
    pub vanished_files: u64,
    /// The known number of their unread bytes.
    pub vanished_bytes: u64,
    /// The number of archive members that are no logs.
    pub members: u64,
    /// The number of bytes of entries.
    pub bytes_in: u64,
    /// The number of bytes that were delivered.
    pub bytes_out: u64,
    /// The number of bytes of records on their way to delivery.
    pub encoded: u64,
    span: Option<Span>,
    dropped: [u64; DropReason::ALL.len()],
    components: [u64; Component::ALL.len()],
    /// The records of each level, by origin.
    levels: [[u64; Level::ALL.len()]; Origin::ALL.len()],
    flaws: [u64; Flaw::ALL.len()],
    formats: [u64; PayloadFormat::ALL.len()],
    origins: [u64; Origin::ALL.len()],
    /// Entries that an option would make the host's or Kata's.
    pub hints: Hints,
    /// Damage of inputs by its reason.
    pub damage: BTreeMap<&'static str, u64>,
    /// The time of the last record that has one.
    latest: Option<UtcTimestamp>,
}

/// The range of `kata_time`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    first: UtcTimestamp,
    last: UtcTimestamp,
}

impl Stats {
    /// Counts an entry of the input.
    pub(crate) fn read(&mut self, bytes: usize) {
        self.read += 1;
        self.bytes_in += bytes as u64;
    }

    /// Counts a record by its facts. An entry of another program has none.
    pub(crate) fn wrote(&mut self, facts: Option<&Facts>) {
        self.written += 1;
        let Some(facts) = facts else {
            self.passed += 1;
            return;
        };
        self.components[facts.component as usize] += 1;
        self.formats[facts.format as usize] += 1;
        if let Some(time) = &facts.time {
            self.saw(time);
            self.latest = Some(*time);
        }
        if let Some(level) = facts.level {
            self.levels[facts.origin as usize][level as usize] += 1;
        }
        self.origin(facts.origin);
        if !facts.flaws.is_empty() {
            self.flawed += u64::from(!facts.flaws.failures().is_empty());
            for flaw in facts.flaws.iter() {
                self.flaws[flaw as usize] += 1;
            }
        }
    }

    /// Counts the origin of a record.
    #[inline]
    fn origin(&mut self, origin: Origin) {
        self.origins[origin as usize] += 1;
    }

    /// Counts a record in which something was redacted.
    pub fn redacted(&mut self) {
        self.redacted += 1;
    }

    /// Extends the range by a time.
    #[inline]
    fn saw(&mut self, time: &UtcTimestamp) {
        match &mut self.span {
            // Most times come in order.
            Some(span) if *time > span.last => span.last = *time,
            Some(span) if *time < span.first => span.first = *time,
            Some(_) => {}
            None => self.span = Some(Span { first: *time, last: *time }),
        }
    }

    /// Returns the earliest `kata_time`, or `None` if no record has a time.
    #[must_use]
    pub fn first(&self) -> Option<&UtcTimestamp> {
        self.span.as_ref().map(|span| &span.first)
    }

    /// Returns the latest `kata_time`, or `None` if no record has a time.
    #[must_use]
    pub fn last(&self) -> Option<&UtcTimestamp> {
        self.span.as_ref().map(|span| &span.last)
    }

    /// Counts an entry that made no record.
    pub(crate) fn dropped(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }

    /// Counts records that a filter dropped after their entries were counted.
    pub(crate) fn filtered(&mut self, records: u64) {
        self.dropped[DropReason::Filter as usize] += records;
    }

    /// Counts entries of other programs that were skipped without reading them.
    pub fn skipped_others(&mut self, entries: u64) {
        self.skipped(DropReason::Others, entries);
    }

    /// Counts copies of entries that were skipped, because another journal file has the entries too.
    pub fn skipped_copies(&mut self, entries: u64) {
        self.skipped(DropReason::Repeated, entries);
    }

    /// Counts entries of a journal outside the range, or before the last ones, that were skipped without reading them.
    pub fn skipped_outside(&mut self, entries: u64) {
        self.skipped(DropReason::Filter, entries);
    }

    fn skipped(&mut self, reason: DropReason, entries: u64) {
        self.read += entries;
        self.dropped[reason as usize] += entries;
    }

    /// Counts parts of an input that cannot be read.
    pub fn damage(&mut self, reason: &'static str, count: u64) {
        *self.damage.entry(reason).or_default() += count;
    }

    /// Returns the number of damaged parts: fields, entries and others.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damage.values().sum()
    }

    /// Counts messages that journald reports as dropped.
    pub(crate) fn suppressed(&mut self, messages: u64) {
        self.suppressed += messages;
    }

    /// Counts delivered bytes.
    pub fn delivered(&mut self, bytes: u64) {
        self.bytes_out += bytes;
    }

    /// Counts bytes of records on their way to delivery.
    pub fn encoded(&mut self, bytes: usize) {
        self.encoded += bytes as u64;
    }

    /// Counts records that no receiver accepted.
    pub fn refused(&mut self, records: u64) {
        self.refused += records;
    }

    /// Counts records that exceeded the limit of the spool.
    pub fn overflowed(&mut self, records: u64) {
        self.overflowed += records;
    }

    /// Counts log files that were deleted or emptied before they were read, and their known unread bytes.
    pub fn vanished(&mut self, files: u64, bytes: u64) {
        self.vanished_files += files;
        self.vanished_bytes += bytes;
    }

    /// Counts an archive member that is no log.
    pub fn member_passed(&mut self) {
        self.members += 1;
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.read
    }

    /// Returns the number of records.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Returns the number of records with flaws.
    #[must_use]
    pub fn flawed(&self) -> u64 {
        self.flawed
    }

    /// Returns the time of the last record that has one.
    #[must_use]
    pub fn latest(&self) -> Option<UtcTimestamp> {
        self.latest
    }

    /// Returns the plain counters with their names.
    #[must_use]
    pub fn totals(&self) -> [(&'static str, u64); 12] {
        [
            ("read", self.read),
            ("written", self.written),
            ("passed", self.passed),
            ("flawed", self.flawed),
            ("redacted", self.redacted),
            ("suppressed", self.suppressed),
            ("refused", self.refused),
            ("overflowed", self.overflowed),
            ("vanished_files", self.vanished_files),
            ("vanished_bytes", self.vanished_bytes),
            ("bytes_in", self.bytes_in),
            ("bytes_out", self.bytes_out),
        ]
    }

    /// Returns the grouped counters: for each group its name, and the names and counts of its parts, zeros included.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, Vec<(&'static str, u64)>); 8] {
        let level = |at: usize| self.levels.iter().filter_map(|counts| counts.get(at)).sum();
        let levels: Vec<u64> = (0..Level::ALL.len()).map(level).collect();
        let errors = |counts: &[u64; Level::ALL.len()]| counts.iter().skip(Level::Error as usize).sum();
        let errors: Vec<u64> = self.levels.iter().map(errors).collect();
        [
            ("dropped", named(DropReason::ALL, DropReason::name, &self.dropped)),
            ("components", named(Component::ALL, Component::name, &self.components)),
            ("levels", named(Level::ALL, Level::name, &levels)),
            ("errors", named(Origin::ALL, Origin::name, &errors)),
            ("flaws", named(Flaw::ALL, Flaw::name, &self.flaws)),
            ("formats", named(PayloadFormat::ALL, PayloadFormat::name, &self.formats)),
            ("origins", named(Origin::ALL, Origin::name, &self.origins)),
            ("damage", self.damage.iter().map(|(reason, count)| (*reason, *count)).collect()),
        ]
    }

    /// Returns the counters of the flaws that make a record flawed, with their names, zeros included.
    #[must_use]
    pub fn failures(&self) -> Vec<(&'static str, u64)> {
        let mut all = Flaws::default();
        Flaw::ALL.iter().for_each(|flaw| all.add(*flaw));
        all.failures().iter().map(|flaw| (flaw.name(), self.flaws[flaw as usize])).collect()
    }

    /// Returns the severity of the worst flaw, or `None` without flaws. Damage of an input is as severe as that of a record.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        let counted = Flaw::ALL.iter().zip(&self.flaws).filter(|(_, count)| **count > 0);
        let damaged = (self.damaged() > 0).then_some(Severity::Damage);
        counted.map(|(flaw, _)| flaw.severity()).max().max(damaged)
    }

    /// Returns the names and numbers of the damages of the input and of the flaws, the most severe first. Leaves zeros out.
    #[must_use]
    pub fn worst_first(&self) -> Vec<(&'static str, u64)> {
        let mut flaws: Vec<_> = Flaw::ALL.iter().zip(&self.flaws).filter(|(_, count)| **count > 0).collect();
        flaws.sort_by_key(|(flaw, _)| std::cmp::Reverse(flaw.severity()));
        let damages = self.damage.iter().filter(|(_, count)| **count > 0);
        let damages = damages.map(|(reason, count)| (*reason, *count));
        damages.chain(flaws.into_iter().map(|(flaw, count)| (flaw.name(), *count))).collect()
    }

    /// Adds the counters of another part of the run.
    pub fn merge(&mut self, other: &Stats) {
        self.combine(other, u64::saturating_add);
        if let Some(Span { first, last }) = &other.span {
            self.saw(first);
            self.saw(last);
        }
        self.latest = other.latest.or(self.latest);
    }

    /// Subtracts counters of entries that were counted twice. Times stay, and so do the names of hints.
    pub fn take_back(&mut self, counted: &Stats) {
        self.combine(counted, u64::saturating_sub);
    }

    fn combine(&mut self, other: &Stats, with: fn(u64, u64) -> u64) {
        let Stats {
            read,
            written,
            passed,
            flawed,
            redacted,
            suppressed,
            refused,
            overflowed,
            vanished_files,
            vanished_bytes,
            members,
            bytes_in,
            bytes_out,
            encoded,
            span: _,
            dropped,
            components,
            levels,
            flaws,
            formats,
            origins,
            hints,
            damage,
            latest: _,
        } = other;
        for (count, other) in [
            (&mut self.read, read),
            (&mut self.written, written),
            (&mut self.passed, passed),
            (&mut self.flawed, flawed),
            (&mut self.redacted, redacted),
            (&mut self.suppressed, suppressed),
            (&mut self.refused, refused),
            (&mut self.overflowed, overflowed),
            (&mut self.vanished_files, vanished_files),
            (&mut self.vanished_bytes, vanished_bytes),
            (&mut self.members, members),
            (&mut self.bytes_in, bytes_in),
            (&mut self.bytes_out, bytes_out),
            (&mut self.encoded, encoded),
        ] {
            *count = with(*count, *other);
        }
        let lists: [(&mut [u64], &[u64]); 6] = [
            (&mut self.dropped, dropped),
            (&mut self.components, components),
            (self.levels.as_flattened_mut(), levels.as_flattened()),
            (&mut self.flaws, flaws),
            (&mut self.formats, formats),
            (&mut self.origins, origins),
        ];
        for (count, other) in lists.into_iter().flat_map(|(counts, others)| counts.iter_mut().zip(others)) {
            *count = with(*count, *other);
        }
        for (reason, other) in damage {
            let count = self.damage.entry(reason).or_default();
            *count = with(*count, *other);
        }
        self.hints.combine(hints, with);
    }
}

/// Pairs counters with their names.
fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, counts: &[u64]) -> Vec<(&'static str, u64)> {
    all.iter().zip(counts).map(|(value, count)| (name(*value), *count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PayloadFormat;

    fn sample() -> Stats {
        let mut stats = Stats::default();
        let mut flaws = Flaws::default();
        flaws.add(Flaw::Truncated);
        flaws.add(Flaw::NoTime);
        let clean = Facts {
            time: None,
            level: Some(Level::Info),
            component: Component::Agent,
            format: PayloadFormat::Text,
            origin: Origin::Guest,
            flaws: Flaws::default(),
        };
        (0..12).for_each(|_| stats.read(100));
        (0..7).for_each(|_| stats.wrote(Some(&clean)));
        stats.wrote(Some(&Facts { flaws, level: None, component: Component::Unknown, ..clean }));
        stats.wrote(None);
        (0..3).for_each(|_| stats.redacted());
        stats.hints.untrusted_uid(Some(1000));
        for reason in [DropReason::Others, DropReason::Others, DropReason::Marker] {
            stats.dropped(reason);
        }
        stats.suppressed(40);
        stats.delivered(2_203_000);
        stats
    }

    #[test]
    fn merging_adds_every_counter() {
        let mut sum = sample();
        sum.merge(&sample());
        let mut twice = Stats::default();
        twice.merge(&sum);
        assert_eq!(twice, sum);
        twice.take_back(&sample());
        assert_eq!(twice, sample());
        let doubled = |stats: &Stats| stats.totals().map(|(name, count)| (name, 2 * count));
        assert_eq!(sum.totals(), doubled(&sample()));
        let [dropped, components, ..] = sum.parts();
        assert_eq!(dropped.1[..5], [("others", 4), ("component", 0), ("filter", 0), ("blank", 0), ("marker", 2)]);
        assert!(components.1.contains(&("agent", 14)) && components.1.contains(&("unknown", 2)));
        assert_eq!((sum.written(), sum.flawed()), (18, 2));
        assert_eq!((sum.redacted, sum.hints.untrusted_uids), (6, 2));
        let origins = sum.parts().into_iter().find(|(name, _)| *name == "origins").unwrap().1;
        assert_eq!(origins.iter().map(|(_, count)| count).sum::<u64>(), sum.written - sum.passed);
        assert!(origins.contains(&("guest", 16)));
    }

    #[test]
    fn levels_and_errors_are_counted_by_origin() {
        let mut stats = sample();
        let error = |level, origin| {
            let (component, format) = (Component::Shimv2, PayloadFormat::Logfmt);
            Facts { time: None, level: Some(level), component, format, origin, flaws: Flaws::default() }
        };
        for (level, origin) in
            [(Level::Error, Origin::Guest), (Level::Critical, Origin::Host), (Level::Warning, Origin::Host)]
        {
            stats.wrote(Some(&error(level, origin)));
        }
        let part = |name: &str| stats.parts().into_iter().find(|(part, _)| *part == name).unwrap().1;
        assert_eq!(part("errors"), [("host", 1), ("vouched", 0), ("guest", 1), ("tenant", 0), ("unproven", 0)]);
        let levels: Vec<u64> = part("levels").into_iter().map(|(_, count)| count).collect();
        assert_eq!(levels, [0, 0, 7, 1, 1, 1]);
    }

    #[test]
    fn unproven_origins_are_no_failures() {
        let facts = |flaws: &[Flaw]| {
            let mut set = Flaws::default();
            flaws.iter().for_each(|flaw| set.add(*flaw));
            Facts {
                time: None,
                level: None,
                component: Component::Unknown,
                format: PayloadFormat::Text,
                origin: Origin::Host,
                flaws: set,
            }
        };
        let mut stats = Stats::default();
        assert_eq!(stats.worst(), None);
        stats.wrote(Some(&facts(&[Flaw::UnprovenOrigin])));
        assert_eq!((stats.flawed(), stats.worst()), (0, Some(Severity::Information)));
        stats.wrote(Some(&facts(&[Flaw::UnprovenOrigin, Flaw::NoTime])));
        assert_eq!((stats.flawed(), stats.worst()), (1, Some(Severity::Notice)));
        stats.wrote(Some(&facts(&[Flaw::BadJson])));
        let mut damaged = stats.clone();
        damaged.damage("bad-entry", 1);
        let order: Vec<&str> = damaged.worst_first().into_iter().map(|(name, _)| name).collect();
        assert_eq!(order, ["bad-entry", "bad-json", "no-time", "unproven-origin"]);
        assert_eq!(damaged.worst(), Some(Severity::Damage));
        damaged.take_back(&damaged.clone());
        assert_eq!((damaged.worst(), damaged.worst_first()), (None, Vec::new()));
        let formats = stats.parts().into_iter().find(|(name, _)| *name == "formats").unwrap().1;
        assert_eq!(formats.iter().map(|(_, count)| count).sum::<u64>(), 3);
        let flaws = stats.parts().into_iter().find(|(name, _)| *name == "flaws").unwrap().1;
        assert!(flaws.contains(&("unproven-origin", 2)));
        let failures = stats.failures();
        assert!(failures.contains(&("no-time", 1)));
        assert!(failures.iter().all(|(name, _)| *name != "unproven-origin"), "{failures:?}");
        assert_eq!(failures.len(), Flaw::ALL.len() - 1);
    }

    #[test]
    fn every_entry_is_accounted_for() {
        let stats = sample();
        assert_eq!(stats.read, stats.written + stats.parts()[0].1.iter().map(|(_, count)| count).sum::<u64>());
    }
}
