//! Options that choose among the finished records.

use std::ffi::OsStr;

use kata_records::filter::{Condition, FilterSettings, FlawName, LevelRange, Pattern};
use kata_records::origin::Origin;

use super::ConfigError;
use super::command::{PRINT, READERS};
use super::declaration::{self, List, Need, Single, list, none, number, options, text};
use super::journal;
use super::layers::Options;
use super::output::ENTRIES;
use super::parse;
use crate::delivery::Context;

options! {
    "Filters";

    /// Only records of this level and above
    ///
    /// `trace`, `debug`, `info`, `warning`, `error`, `critical`, and journalctl's names and numbers: `notice` is `info`,
    /// `alert` and `emerg` are `critical`. `A..B` is a range. A record without a level passes if it continues one that
    /// passed, as the lines of a stack do, and with `trace`.
    LEVEL "level": Single<Option<LevelRange>> =
        text("LEVEL", none, |text| parse::optional(text, parse::levels)).of(READERS).everyday().short('p').idle(&[ENTRIES]);

    /// Only records of these sandboxes; repeatable
    ///
    /// A prefix of `kata_sandbox`. Several are separated by commas.
    SANDBOX "sandbox": List<String> =
        list("ID", declaration::none, parse::word).of(READERS).everyday().idle(&[ENTRIES]);

    /// Only records of these containers; repeatable
    ///
    /// A prefix of `kata_container`. Several are separated by commas.
    CONTAINER "container": List<String> =
        list("ID", declaration::none, parse::word).of(READERS).idle(&[ENTRIES]);

    /// Only records of this origin; repeatable
    ///
    /// Several origins are separated by commas.
    ORIGIN "origin": List<Origin> =
        list("ORIGIN", declaration::none, parse::origin).words(origins).of(READERS).idle(&[ENTRIES]);

    /// Only records with one of these flaws; repeatable
    ///
    /// Several flaws are separated by commas.
    FLAW "flaw": List<FlawName> =
        list("FLAW", declaration::none, parse::flaw).words(FlawName::all).of(READERS).idle(&[ENTRIES]);

    /// Only records whose message or values match
    ///
    /// A regular expression. Case matters if it has a capital letter. Names of fields and fields of the journal are not
    /// searched.
    GREP "grep": Single<Option<Pattern>> =
        text("REGEX", none, |text| parse::optional(text, parse::from_str)).of(READERS).everyday().short('g').hyphens()
            .idle(&[ENTRIES]);

    /// Only records of which this holds; repeatable
    ///
    /// `FIELD OP VALUE` with one of `=`, `!=`, `~` (matches the regular expression), `!~`, `<`, `<=`, `>`, `>=`:
    /// `kata_subsystem=qemu`, `kata_exit-code!=0`, `kata_error~refused`. All conditions must hold. Two numbers are compared
    /// as numbers. A missing field holds for `!=` and `!~` only. A list holds if one element does, and for `!=` and `!~` if
    /// no element equals or matches.
    WHERE "where": List<Condition> =
        list("CONDITION", declaration::none, parse::from_str).with_commas().of(READERS).idle(&[ENTRIES]);

    /// Also N records of the same sandbox before and behind each match
    ///
    /// In the order of reading, within one input. They need not pass a filter other than --component, --since and
    /// --until. At most 16 MiB of records wait for a match.
    CONTEXT "context": Single<Option<usize>> = number("N", none, count).of(PRINT).short('C').needs(&[A_FILTER]).idle(&[ENTRIES]);

    /// Also N records of the same sandbox before each match
    BEFORE_CONTEXT "before-context": Single<Option<usize>> =
        number("N", none, count).of(PRINT).short('B').needs(&[A_FILTER]).idle(&[ENTRIES]);

    /// Also N records of the same sandbox behind each match
    AFTER_CONTEXT "after-context": Single<Option<usize>> =
        number("N", none, count).of(PRINT).short('A').needs(&[A_FILTER]).idle(&[ENTRIES]);
}

/// A filter that chooses matches.
const A_FILTER: Need = Need {
    what: "a filter, such as --grep REGEX or --level LEVEL",
    met: |options| Ok(chosen(options)? != FilterSettings::default()),
};

/// Parses a number of records.
fn count(text: &OsStr) -> Result<Option<usize>, String> {
    parse::optional(text, |text| parse::number(text, 0..=100_000))
}

/// Returns the names of the origins, and what they mean.
fn origins() -> Vec<[&'static str; 2]> {
    Origin::ALL.iter().map(|origin| [origin.name(), origin.meaning()]).collect()
}

/// Returns the settings of the filters.
pub(super) fn settings(options: &Options) -> Result<FilterSettings, ConfigError> {
    Ok(FilterSettings {
        since: options.get(&journal::SINCE)?,
        until: options.get(&journal::UNTIL)?,
        keep_misses: context(options)?.is_some(),
        ..chosen(options)?
    })
}

/// Returns the filters that choose matches.
fn chosen(options: &Options) -> Result<FilterSettings, ConfigError> {
    Ok(FilterSettings {
        levels: options.get(&LEVEL)?,
        sandboxes: options.get(&SANDBOX)?,
        containers: options.get(&CONTAINER)?,
        origins: options.get(&ORIGIN)?,
        flaws: options.get(&FLAW)?,
        grep: options.get(&GREP)?,
        conditions: options.get(&WHERE)?,
        ..FilterSettings::default()
    })
}

/// Returns the records that are wanted around matches.
pub(super) fn context(options: &Options) -> Result<Option<Context>, ConfigError> {
    let both = options.get(&CONTEXT)?;
    let [before, after] = [options.get(&BEFORE_CONTEXT)?.or(both), options.get(&AFTER_CONTEXT)?.or(both)];
    let context = Context { before: before.unwrap_or(0), after: after.unwrap_or(0) };
    let is_wanted = context != Context::default() && chosen(options)? != FilterSettings::default();
    Ok(is_wanted.then_some(context))
}
