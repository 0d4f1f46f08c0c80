//! Filters of finished records: by level, component, ids, origin, flaw, text and conditions on fields.
//!
//! A filter decides on the redacted record, under the names of katalog's own schema, before it is encoded. So a secret is
//! never found, and a field that `--drop` removes is missing. Two decisions depend on the record before: a record without
//! a level continues it, and so does a record without a time. Workers know only their batch, so the first records of a
//! batch may stay undecided; see `carry.rs`.

mod carry;
mod condition;
mod early;
mod field;
mod level_range;
mod pattern;

use bumpalo::Bump;
use siphasher::sip::SipHasher13;

use crate::error::SettingsError;
use crate::flaw::{Flaw, Flaws};
use crate::origin::Origin;
use crate::record::{Facts, Field, Record, Value};
use crate::time::UtcTimestamp;

pub use crate::encode::Match;
pub use carry::FilterState;
pub(crate) use carry::{Carry, Leading, Resolved, Verdict};
pub use condition::Condition;
pub(crate) use early::IdSearch;
pub use level_range::LevelRange;
pub use pattern::Pattern;

/// Settings of the filters. The default passes all records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterSettings {
    /// The first time that passes, in microseconds since 1970.
    pub since: Option<u64>,
    /// The last microsecond that passes, since 1970.
    pub until: Option<u64>,
    /// The levels that pass.
    pub levels: Option<LevelRange>,
    /// Prefixes of `kata_sandbox`, one of which must fit; an empty list passes all.
    pub sandboxes: Vec<String>,
    /// Prefixes of `kata_container`, one of which must fit; an empty list passes all.
    pub containers: Vec<String>,
    /// The origins that pass; an empty list passes all.
    pub origins: Vec<Origin>,
    /// Flaws, one of which the record must have; an empty list passes all.
    pub flaws: Vec<FlawName>,
    /// A pattern that the message or another value of the message must contain.
    pub grep: Option<Pattern>,
    /// Conditions, all of which must hold.
    pub conditions: Vec<Condition>,
    /// Records within the times are written even if they do not pass, and their rows say so; see
    /// [`Row::is_match`](crate::Row::is_match).
    pub keep_misses: bool,
}

impl FilterSettings {
    /// Returns whether the time decides.
    pub(crate) fn has_range(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }
}

/// A flaw by its name in `kata_flaws`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlawName(Flaw);

impl FlawName {
    /// Returns the names of all flaws, and their descriptions.
    #[must_use]
    pub fn all() -> Vec<[&'static str; 2]> {
        Flaw::ALL.iter().map(|flaw| [flaw.name(), flaw.meaning()]).collect()
    }
}

impl std::str::FromStr for FlawName {
    type Err = SettingsError;

    fn from_str(word: &str) -> Result<FlawName, SettingsError> {
        let known = Flaw::ALL.iter().copied().find(|flaw| flaw.name() == word);
        known.map(FlawName).ok_or_else(|| SettingsError::UnknownWord {
            word: word.to_owned(),
            expected: Flaw::ALL.iter().map(|flaw| flaw.name()).collect::<Vec<_>>().join(", "),
        })
    }
}

/// The compiled filters.
#[derive(Debug)]
pub(crate) struct Filter {
    since: Option<UtcTimestamp>,
    /// The first time that no longer passes.
    end: Option<UtcTimestamp>,
    levels: Option<LevelRange>,
    sandboxes: IdSearch,
    containers: IdSearch,
    /// The origins that pass, as bits.
    origins: Option<u32>,
    flaws: Option<Flaws>,
    grep: Option<Pattern>,
    conditions: Vec<Condition>,
    pub(crate) keep_misses: bool,
}

/// The decision about a record. `None` follows the record before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The filters that need no other record pass the record.
    pub passes: bool,
    /// The time is in the range.
    pub time: Option<bool>,
    /// The level is in the range.
    pub level: Option<bool>,
}

impl Filter {
    /// Compiles the settings. Returns `None` if all records pass.
    #[must_use]
    pub(crate) fn new(settings: &FilterSettings) -> Option<Filter> {
        if *settings == FilterSettings::default() {
            return None;
        }
        let time = UtcTimestamp::from_micros;
        let mut flaws = Flaws::default();
        settings.flaws.iter().for_each(|flaw| flaws.add(flaw.0));
        let origins = settings.origins.iter().fold(0, |origins, origin| origins | 1_u32 << *origin as u8);
        Some(Filter {
            since: settings.since.and_then(time),
            end: settings.until.and_then(|until| time(until.saturating_add(1))),
            levels: settings.levels,
            sandboxes: IdSearch::new(&settings.sandboxes),
            containers: IdSearch::new(&settings.containers),
            origins: (origins != 0).then_some(origins),
            flaws: (!flaws.is_empty()).then_some(flaws),
            grep: settings.grep.clone(),
            conditions: settings.conditions.clone(),
            keep_misses: settings.keep_misses,
        })
    }

    /// Returns whether an entry with this text may pass. `texts` are all of its bytes as the input has them.
    #[inline]
    #[must_use]
    pub(crate) fn may_pass<'t, T: Iterator<Item = &'t [u8]>>(&self, texts: impl Fn() -> T) -> bool {
        // The record before a record without a time or level decides about it, so each record has to be seen.
        self.keep_misses || self.follows() || self.sandboxes.may_be_in(&texts) && self.containers.may_be_in(&texts)
    }

    /// Returns whether the decision about a record may depend on the one before.
    #[must_use]
    pub(crate) fn follows(&self) -> bool {
        self.has_range() || self.follows_in_journals()
    }

    /// Returns whether the decision about a record of a journal file, which has a time, may depend on the one before.
    #[must_use]
    pub(crate) fn follows_in_journals(&self) -> bool {
        self.levels.is_some_and(LevelRange::is_limited)
    }

    fn has_range(&self) -> bool {
        self.since.is_some() || self.end.is_some()
    }

    /// Decides about a record. A record of a journal file always has a time, perhaps after all years that a timestamp can
    /// name.
    #[must_use]
    pub(crate) fn decide<'b>(&self, record: &Record<'b>, is_of_journal: bool, bump: &'b Bump) -> Decision {
        let facts = record.facts.as_ref();
        let time = self.is_in_range(facts.map_or(record.time, |facts| facts.time.or(record.time)));
        Decision {
            time: if is_of_journal { time.or(Some(self.end.is_none())) } else { time },
            level: self.has_level(facts),
            passes: self.passes(record, facts, bump),
        }
    }

    /// Returns a number for the sandbox of a record, the same in every run; 0 without a sandbox, or if no misses are kept.
    pub(crate) fn sandbox_number<'b>(&self, record: &Record<'b>, bump: &'b Bump) -> u64 {
        let is_sandbox = |field: &&Field<'b>| self.keep_misses && field.key.name() == b"kata_sandbox";
        match record.payload.iter().find(is_sandbox).map(|field| field.value) {
            Some(Value::Text(id)) => SipHasher13::new().hash(id.decode(bump)).max(1),
            _ => 0,
        }
    }

    fn is_in_range(&self, time: Option<UtcTimestamp>) -> Option<bool> {
        if !self.has_range() {
            return Some(true);
        }
        let time = time?;
        Some(self.since.is_none_or(|since| time >= since) && self.end.is_none_or(|end| time < end))
    }

    fn has_level(&self, facts: Option<&Facts>) -> Option<bool> {
        match self.levels.filter(|levels| levels.is_limited()) {
            Some(levels) => facts?.level.map(|level| levels.contains(level)),
            None => Some(true),
        }
    }

    fn passes<'b>(&self, record: &Record<'b>, facts: Option<&Facts>, bump: &'b Bump) -> bool {
        let origin = |origins: u32| facts.is_some_and(|facts| origins & 1 << facts.origin as u8 != 0);
        let flaw = |flaws: Flaws| facts.is_some_and(|facts| flaws.iter().any(|flaw| facts.flaws.has(flaw)));
        let id = |search: &IdSearch, name: &[u8]| {
            search.is_empty()
                || record.payload.iter().any(|field| field.key.name() == name && search.fits(&field.value, bump))
        };
        // A record of another program has no level, and continues none of Kata's.
        let has_levels = facts.is_some() || self.levels.is_none_or(|levels| !levels.is_limited());
        has_levels
            && self.origins.is_none_or(origin)
            && self.flaws.is_none_or(flaw)
            && id(&self.sandboxes, b"kata_sandbox")
            && id(&self.containers, b"kata_container")
            && self.conditions.iter().all(|condition| condition.holds(record, bump))
            && self.grep.as_ref().is_none_or(|grep| is_found(grep, record, bump))
    }
}

/// Returns whether a pattern occurs in a value of the message. Entries of other programs are searched in MESSAGE.
fn is_found<'b>(grep: &Pattern, record: &Record<'b>, bump: &'b Bump) -> bool {
    let found = |value: &Value<'b>| field::texts(value, bump, |text| grep.is_match(text));
    match record.facts {
        Some(_) => record.payload.iter().any(|own| found(&own.value)),
        None => record.envelope.iter().any(|own| own.key.name().eq_ignore_ascii_case(b"MESSAGE") && found(&own.value)),
    }
}

#[cfg(test)]
mod tests;
