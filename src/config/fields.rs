//! Options that shape the fields of records.

use kata_records::{FieldSettings, Format, Nested, Others};

use super::ConfigError;
use super::command::WRITERS;
use super::declaration::{Clash, List, Single, choice, is, list, none, options, switch};
use super::layers::Options;
use super::output::{self, ENTRIES};
use super::parse::{self, Rename};
use super::{delivery, selection};

options! {
    "Fields";

    /// Keep only these journal fields; repeatable
    ///
    /// Names as in the journal; `*` matches any characters. The fields of syslog lines and container logs count as journal
    /// fields. The fields that katalog adds (kata_...) are not affected. An empty name keeps all.
    KEEP "keep": List<String> = list("FIELD", none, parse::any).of(WRITERS).idle(UNUSED_FIELDS);

    /// Drop these journal fields too; repeatable
    ///
    /// Names as in the journal; `*` matches any characters, and `!FIELD` keeps a field that an earlier name drops. The flag
    /// adds to the list of the configuration file, or to the default list, which `katalog config --default` shows.
    DROP "drop": List<String> = list("FIELD", || FieldSettings::default().drop, parse::any).adds().of(WRITERS)
        .idle(UNUSED_FIELDS);

    /// Rename a journal field; repeatable
    ///
    /// OLD is the name in the journal, NEW the name in the record. --lowercase and --strip-underscores do not change NEW.
    RENAME "rename": List<Rename> = list("OLD=NEW", none, parse::rename).table().of(WRITERS).clashes(&[OTHER_SCHEMA, Clash {
            with: "rename",
            when: has_two_names,
            why: "a journal field can have one new name",
        }])
        .idle(UNUSED_NAMES);

    /// Write the names of journal fields in lower case
    ///
    /// As `fields_lowercase` of fluent-plugin-systemd and `lowercase` of Fluent Bit do.
    LOWERCASE "lowercase": Single<bool> = switch().of(WRITERS).clashes(&[OTHER_SCHEMA]).idle(UNUSED_NAMES);

    /// Write the names of journal fields without leading underscores
    ///
    /// As `fields_strip_underscores` of fluent-plugin-systemd and `strip_underscores` of Fluent Bit do.
    STRIP_UNDERSCORES "strip-underscores": Single<bool> = switch().of(WRITERS).clashes(&[OTHER_SCHEMA])
        .idle(UNUSED_NAMES);

    /// Remove this key of the message too, or a part of it; repeatable
    ///
    /// A key as its writer wrote it, then segments of a path into a nested value, separated by dots; `*` matches any one
    /// segment. `KEY` removes the field, whatever its value. `KEY.*` removes only what is inside a nested value, so a plain
    /// text or number under the key stays. In logfmt, structures printed by Go count as nested. `!PATTERN` keeps what an
    /// earlier pattern removes; later patterns win. The flag adds to the list of the configuration file, or to the default
    /// list, which `katalog config --default` shows.
    PRUNE "prune": List<String> = list("PATTERN", || FieldSettings::default().prune, parse::prune).adds().of(WRITERS)
        .idle(UNUSED_PAYLOAD);

    /// Treatment of nested values that are not pruned
    NESTED "nested": Single<Nested> = choice("HOW", is!("string")).of(WRITERS).clashes(&[Clash {
        with: "schema",
        when: |options| Ok(options.get(&NESTED)? == Nested::Keep && output::has_other_schema(options)?),
        why: "the schema has no nested values",
    }]).idle(UNUSED_PAYLOAD);
}

/// A schema that names journal fields itself.
const OTHER_SCHEMA: Clash =
    Clash { with: "schema", when: output::has_other_schema, why: "the schema names the journal fields itself" };

/// The outputs that show no journal fields.
const UNUSED_FIELDS: &[Clash] = &[ENTRIES, TEXT, SYSLOG];
/// The outputs that show no names of journal fields.
const UNUSED_NAMES: &[Clash] = &[ENTRIES, TEXT, SYSLOG, CSV];
/// The outputs that show no payload.
const UNUSED_PAYLOAD: &[Clash] = &[ENTRIES, delivery::RFC3164];

const TEXT: Clash = Clash {
    with: "format",
    // Lines of other programs show the MESSAGE, which these options can leave out.
    when: |options| {
        Ok(output::record_format(options)? == Format::Text && options.get(&selection::OTHERS)? == Others::Drop)
    },
    why: "its lines show no journal fields",
};
const SYSLOG: Clash = Clash {
    with: "to",
    when: |options| Ok(output::record_format(options)? == Format::Syslog),
    why: "syslog messages hold no journal fields",
};
const CSV: Clash = Clash {
    with: "format",
    // Entries of other programs are written with all of their fields, in the last column.
    when: |options| {
        Ok(output::record_format(options)? == Format::Csv && options.get(&selection::OTHERS)? == Others::Drop)
    },
    why: "its columns have names of their own",
};

/// Returns whether a journal field has two new names.
fn has_two_names(options: &Options) -> Result<bool, ConfigError> {
    let renames = options.get(&RENAME)?;
    Ok(renames.iter().enumerate().any(|(at, rename)| renames.iter().take(at).any(|other| other.old == rename.old)))
}

/// Returns the settings of fields.
pub(super) fn settings(options: &Options) -> Result<FieldSettings, ConfigError> {
    let (prune, nested) = (options.get(&PRUNE)?, options.get(&NESTED)?);
    if (TEXT.when)(options)? {
        // Headings need the name of the host, whatever other formats leave out.
        return Ok(FieldSettings { prune, nested, ..FieldSettings::default() });
    }
    Ok(FieldSettings {
        keep: options.get(&KEEP)?,
        drop: options.get(&DROP)?,
        rename: options.get(&RENAME)?.into_iter().map(|rename| (rename.old, rename.new)).collect(),
        lowercase: options.get(&LOWERCASE)?,
        strip_underscores: options.get(&STRIP_UNDERSCORES)?,
        prune,
        nested,
    })
}
