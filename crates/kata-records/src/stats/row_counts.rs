//! The counters of a single record, packed into a number that travels with the record. A record that is left out after
//! it was counted is counted back.
//!
//! | bits | |
//! |---|---|
//! | 0 to 7 | component |
//! | 8 to 15 | level, or 255 without one |
//! | 16 to 23 | origin |
//! | 24 to 29 | format |
//! | 30 | the record is of another program |
//! | 31 | something was redacted |
//! | 32 to 63 | flaws |

use super::{DropReason, Stats};
use crate::flaw::Flaws;
use crate::record::Facts;

const NO_LEVEL: u8 = u8::MAX;
const FORMAT_BITS: u64 = 0x3f;
const PASSED: u64 = 1 << 30;
const REDACTED: u64 = 1 << 31;

/// Returns the counters of a record. An entry of another program has no facts.
pub(crate) fn row_counts(facts: Option<&Facts>, is_redacted: bool) -> u64 {
    let redacted = if is_redacted { REDACTED } else { 0 };
    let Some(facts) = facts else { return PASSED | redacted };
    let level = facts.level.map_or(NO_LEVEL, |level| level as u8);
    let [component, level, origin, format] =
        [facts.component as u8, level, facts.origin as u8, facts.format as u8].map(u64::from);
    component
        | level << 8
        | origin << 16
        | (format & FORMAT_BITS) << 24
        | redacted
        | u64::from(facts.flaws.bits()) << 32
}

impl Stats {
    /// Counts a record by the counters in its [`Row`](crate::Row). Its time is not counted.
    pub fn count_row(&mut self, counted: u64) {
        self.written += 1;
        self.redacted += u64::from(counted & REDACTED != 0);
        if counted & PASSED != 0 {
            self.passed += 1;
            return;
        }
        let byte = |shift: u32| usize::from((counted >> shift) as u8);
        let (component, level, origin) = (byte(0), byte(8), byte(16));
        let format = (counted >> 24 & FORMAT_BITS) as usize;
        // Without a level there is no counter.
        let level = self.levels.get_mut(origin).and_then(|levels| levels.get_mut(level));
        let counts =
            [self.components.get_mut(component), self.formats.get_mut(format), self.origins.get_mut(origin), level];
        counts.into_iter().flatten().for_each(|count| *count += 1);
        let flaws = Flaws::from_bits((counted >> 32) as u32);
        self.flawed += u64::from(!flaws.failures().is_empty());
        flaws.iter().for_each(|flaw| self.flaws[flaw as usize] += 1);
    }

    /// Subtracts records that were left out after they had been counted, and counts them as dropped.
    pub fn leave_out(&mut self, records: &Stats) {
        self.take_back(records);
        self.dropped[DropReason::Filter as usize] += records.written;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Component;
    use crate::flaw::Flaw;
    use crate::origin::Origin;
    use crate::record::{Level, PayloadFormat};

    #[test]
    fn a_record_that_is_left_out_leaves_no_trace_but_the_reason() {
        let mut flaws = Flaws::default();
        flaws.add(Flaw::ALL[Flaw::ALL.len() - 1]);
        flaws.add(Flaw::Truncated);
        let facts = |level, flaws| Facts {
            time: None,
            level,
            component: Component::Agent,
            format: PayloadFormat::Text,
            origin: Origin::Guest,
            flaws,
        };
        for (facts, is_redacted) in [
            (None, false),
            (Some(facts(None, Flaws::default())), true),
            (Some(facts(Some(Level::Trace), Flaws::default())), false),
            (Some(facts(Some(Level::Info), flaws)), true),
        ] {
            let mut stats = Stats::default();
            stats.read(7);
            stats.wrote(facts.as_ref());
            if is_redacted {
                stats.redacted();
            }
            let mut left_out = Stats::default();
            left_out.count_row(row_counts(facts.as_ref(), is_redacted));
            stats.leave_out(&left_out);
            let mut expected = Stats::default();
            expected.read(7);
            expected.dropped(DropReason::Filter);
            assert_eq!(stats, expected, "{facts:?}");
        }
    }
}
