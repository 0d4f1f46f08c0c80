//! Options that choose among the finished records.

use kata_records::filter::{Condition, FilterSettings, FlawName, LevelRange, Pattern};
use kata_records::origin::Origin;

use super::ConfigError;
use super::command::READERS;
use super::declaration::{self, List, Single, list, none, options, text};
use super::journal;
use super::layers::Options;
use super::output::ENTRIES;
use super::parse;

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
}

/// Returns the names of the origins, and what they mean.
fn origins() -> Vec<[&'static str; 2]> {
    Origin::ALL.iter().map(|origin| [origin.name(), origin.meaning()]).collect()
}

/// Returns the settings of the filters.
pub(super) fn settings(options: &Options) -> Result<FilterSettings, ConfigError> {
    Ok(FilterSettings {
        levels: options.get(&LEVEL)?,
        sandboxes: options.get(&SANDBOX)?,
        containers: options.get(&CONTAINER)?,
        origins: options.get(&ORIGIN)?,
        flaws: options.get(&FLAW)?,
        grep: options.get(&GREP)?,
        conditions: options.get(&WHERE)?,
        since: options.get(&journal::SINCE)?,
        until: options.get(&journal::UNTIL)?,
    })
}
