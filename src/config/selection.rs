//! Options that select entries.

use kata_records::{Component, Others, SelectSettings};

use super::ConfigError;
use super::command::READERS;
use super::declaration::{List, Single, choice, is, list, options, text};
use super::layers::Options;
use super::output::ENTRIES;
use super::{input, parse, trust};

options! {
    "Selection";

    /// Identifiers of Kata's entries; repeatable
    ///
    /// Regular expressions that must match the whole identifier (SYSLOG_IDENTIFIER). The flag replaces the default list, the
    /// programs of Kata Containers, which `katalog config --default` shows. The variable holds one expression: write `a|b`
    /// for several.
    IDENTIFIER "identifier": List<String> =
        list("REGEX", || SelectSettings::default().identifiers, parse::regex).with_commas().of(READERS)
        .idle(&[ENTRIES]);

    /// Container managers whose output has lines of Kata; repeatable
    ///
    /// Container managers print the lines of Kata's shim among their own. These are their exact identifiers.
    MANAGER "manager": List<String> =
        list("IDENTIFIER", || SelectSettings::default().managers, parse::any).of(READERS).idle(&[ENTRIES]);

    /// Identifier of lines without one
    ///
    /// Lines of a plain log file have no SYSLOG_IDENTIFIER. With `kata`, all of them belong to Kata. With `containerd`, only
    /// the lines that name a component of Kata do.
    DEFAULT_IDENTIFIER "default-identifier": Single<String> = text("IDENTIFIER", is!("kata"), parse::word).of(READERS)
        .needs(&[input::OF_LINES]).idle(&[ENTRIES]);

    /// Treatment of entries that are not Kata's
    ///
    /// Entries that pass have the fields of the journal, and kata_origin and kata_redacted of the kata_ fields. --keep, --drop and --rename apply to them too.
    OTHERS "others": Single<Others> = choice("WHAT", is!("drop")).of(READERS).idle(&[ENTRIES]);

    /// Only records of this component; repeatable
    ///
    /// Several components are separated by commas.
    COMPONENT "component": List<Component> =
        list("COMPONENT", super::declaration::none, parse::component).words(components).of(READERS).everyday()
            .idle(&[ENTRIES]);
}

/// Returns the names of the components, and what they are.
fn components() -> Vec<[&'static str; 2]> {
    Component::ALL.iter().map(|component| [component.name(), component.meaning()]).collect()
}

/// Returns the settings of the selection.
pub(super) fn settings(options: &Options) -> Result<SelectSettings, ConfigError> {
    Ok(SelectSettings {
        identifiers: options.get(&IDENTIFIER)?,
        managers: options.get(&MANAGER)?,
        default_identifier: options.get(&DEFAULT_IDENTIFIER)?,
        others: options.get(&OTHERS)?,
        components: options.get(&COMPONENT)?,
        trusted_uids: trust::uids(options)?,
        untrusted: trust::settings(options)?.untrusted,
    })
}
