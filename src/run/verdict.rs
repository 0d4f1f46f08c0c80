//! Explains why the records do not satisfy `--strict`, `--fail-on` or `--fail-if-empty`.

use kata_records::Stats;
use kata_records::flaw::Severity;

use super::Plan;
use crate::delivery::EarlierRuns;
use crate::diagnostics::{failures, named_counts};

/// Returns a message for each flag that the records do not satisfy.
pub(super) fn complaints(plan: &Plan<'_>, stats: &Stats, earlier: EarlierRuns) -> Vec<String> {
    let strict = plan.fail_on.and_then(|least| flaws(stats, least, earlier.flawed));
    let empty = plan.fail_if_empty && earlier.records + stats.written() == 0;
    strict.into_iter().chain(empty.then(|| no_records(stats, plan.journal.is_limited()))).collect()
}

/// Returns the message for `--strict`. Returns `None` if nothing is as severe as `least`. `earlier` is the number of flaws
/// and damages in the run that this one resumes.
fn flaws(stats: &Stats, least: Severity, earlier: u64) -> Option<String> {
    if stats.worst() < Some(least) && earlier == 0 {
        return None;
    }
    let (flawed, written) = (stats.flawed(), stats.written());
    let have = if flawed == 1 { "has" } else { "have" };
    let reasons = [
        (flawed, format!("{flawed} of {written} records {have} flaws ({})", failures(stats))),
        (stats.damaged(), format!("inputs are damaged ({})", named_counts(stats, "damage"))),
        (earlier, format!("the run that is resumed here counted {earlier} flaws and damages")),
    ];
    let reasons: Vec<String> = reasons.into_iter().filter(|(count, _)| *count > 0).map(|(_, reason)| reason).collect();
    Some(format!("--strict: {}", reasons.join("; ")))
}

/// Returns the message for `--fail-if-empty`. `limited` says that entries outside a range are left out.
fn no_records(stats: &Stats, limited: bool) -> String {
    let [(_, dropped), ..] = stats.parts();
    let count = |wanted: &str| dropped.iter().find(|(reason, _)| *reason == wanted).map_or(0, |(_, count)| *count);
    let from = match (count("component"), count("filter")) {
        (0, 0) if limited => "none from Kata components in the chosen range".to_owned(),
        (0, 0) => "none from Kata components".to_owned(),
        (unwanted, 0) => format!("{unwanted} from Kata components that --component leaves out"),
        (0, filtered) => format!("{filtered} that the filters leave out"),
        (unwanted, filtered) => {
            format!("{unwanted} that --component leaves out, {filtered} that the filters leave out")
        }
    };
    let entries = match stats.entries() {
        0 => "no entry was read".to_owned(),
        1 => format!("1 entry read, {from}"),
        entries => format!("{entries} entries read, {from}"),
    };
    format!("--fail-if-empty: no record was written ({entries})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flaws_and_damages_are_told_apart() {
        let mut stats = Stats::default();
        let notice = Severity::Notice;
        assert_eq!(flaws(&stats, Severity::Information, 0), None);
        stats.damage("bad-entry", 2);
        assert_eq!(flaws(&stats, notice, 0).unwrap(), "--strict: inputs are damaged (bad-entry 2)");
        assert!(flaws(&stats, Severity::Damage, 0).is_some());
        assert_eq!(
            flaws(&stats, notice, 7).unwrap(),
            "--strict: inputs are damaged (bad-entry 2); the run that is resumed here counted 7 flaws and damages"
        );
    }

    #[test]
    fn entries_that_made_no_record_are_counted() {
        let mut stats = Stats::default();
        assert_eq!(no_records(&stats, false), "--fail-if-empty: no record was written (no entry was read)");
        stats.skipped_others(1);
        assert!(no_records(&stats, false).ends_with("(1 entry read, none from Kata components)"));
        assert!(no_records(&stats, true).ends_with("in the chosen range)"));
        let mut filtered = Stats::default();
        (0..3).for_each(|_| filtered.count_row(0));
        stats.leave_out(&filtered);
        assert!(no_records(&stats, true).ends_with("(1 entry read, 3 that the filters leave out)"));
    }
}
