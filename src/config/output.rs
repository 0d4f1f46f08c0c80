//! Options of the output: the format of records, their place, and their order.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use kata_records::{EncodeSettings, Format, Others, Schema, SyslogSettings, TimeFormat};
use log_clients::Receiver;

use super::command::{Command, FILERS, HOSTED, PRINT, READERS, SHAPERS, STREAMERS, WRITERS};
use super::declaration::{Clash, Need, Single, choice, is, none, number, options, switch, text};
use super::layers::{Options, Values};
use super::words::{FormatChoice, Host, Sort};
use super::{ConfigError, Mode, Surroundings, delivery, filter, journal, parse, redaction, selection, view};
use crate::delivery::{Context, SortSettings};
use crate::sink::Compression;

/// The longest line that Fluent Bit reads whole, with its end. `Buf_Size` is 4096, and `fgets` reserves one byte for
/// the terminating zero (fluent-bit: `plugins/in_exec/in_exec.c`).
const FLUENT_BIT_LINE: &str = "4095";

/// The longest tag template under a record limit, so that space remains for the rest.
const MAX_TAG: usize = 256;

options! {
    "Output";

    /// Program that runs katalog and reads its standard output
    ///
    /// Chooses --format, --tag-key, --time-key, --time-format and --max-record so that the program loses nothing. Other
    /// values of these options hold if the program can read them; an empty --tag-key or --time-key counts as not given.
    FOR "for": Single<Host> = choice("HOST", is!("none")).of(HOSTED).everyday().clashes(&[
        Clash {
            with: "to",
            when: |options| Ok(has_host(options)? && delivery::has_servers(options)?),
            why: "the program reads standard output",
        },
        Clash {
            with: "output",
            when: |options| Ok(has_host(options)? && has_output(options)?),
            why: "the program reads standard output",
        },
    ]);

    /// Format of the records
    ///
    /// `export` and `journal-json` hold secrets as they are: `ship` writes them only with --no-redact.
    FORMAT "format": Single<FormatChoice> = choice("FORMAT", is!("auto")).canonical(canonical_format).of(WRITERS).everyday().short('F').idle(&[Clash {
        with: "to",
        when: delivery::has_servers,
        why: "servers receive records in the form of their protocol",
    }]).clashes(&[
        Clash {
            with: "for",
            when: |options| Ok(match options.get(&FOR)? {
                Host::None => false,
                Host::FluentBitExec => format(options)? != Format::Ndjson,
                Host::FluentdExec => !is_record(format(options)?),
            }),
            why: "Fluent Bit reads ndjson, Fluentd reads msgpack or ndjson",
        },
        Clash {
            with: "output-dir",
            when: |options| {
                let format = format(options)?;
                Ok(options.command == Command::Convert && (format == Format::Text || format.is_of_entries()))
            },
            why: "text, export and journal-json cannot be split into files; choose ndjson, msgpack or csv",
        },
        Clash {
            with: "format",
            when: |options| {
                let is_raw = format(options)?.is_of_entries() && !delivery::has_servers(options)?;
                Ok(options.command == Command::Ship && is_raw && !options.get(&redaction::NO_REDACT)?)
            },
            why: "secrets are not redacted in this format; add --no-redact to ship them",
        },
    ]);

    /// Schema of the records: the names and types of fields
    ///
    /// `ecs` and `otel` have dotted names, such as `host.name`. Fields without a name in the schema are kata.NAME, or
    /// journald.NAME for journal fields. `katalog schema` describes the records for stores.
    SCHEMA "schema": Single<Schema> = choice("SCHEMA", is!("kata")).of(SHAPERS).idle(&[
        Clash {
            with: "format",
            when: |options| Ok(record_format(options)? == Format::Text),
            why: "its lines are equal in every schema",
        },
        Clash {
            with: "format",
            when: |options| Ok(matches!(record_format(options)?, Format::Csv | Format::Export | Format::JournalJson)),
            why: "csv has columns of its own, export and journal-json have no records",
        },
        Clash {
            with: "to",
            when: |options| Ok(record_format(options)? == Format::Syslog),
            why: "syslog messages have names of their own",
        },
    ]);

    /// Write to this file instead of standard output
    ///
    /// `print` replaces the contents of the file, `ship` appends to them. `-` is standard output.
    OUTPUT "output": Single<PathBuf> = text("FILE", is!("-"), parse::output).of(STREAMERS).everyday().short('o')
        .beside_records().idle(&[SERVERS]);

    /// Compression of the files
    COMPRESS "compress": Single<Compression> = choice("HOW", is!("none")).of(WRITERS).needs(&[Need {
        what: "--output FILE, which names the file to compress",
        met: has_file,
    }]).idle(&[SERVERS]);

    /// Tag of a record
    ///
    /// {component} and {identifier} stand for the values of the record.
    TAG "tag": Single<String> = text("TEMPLATE", is!("kata.{component}"), parse::tag).of(WRITERS).needs(&[TAGGED]);

    /// Tag of another program's record
    ///
    /// {identifier} stands for the identifier of the record. Any program can choose one, so a tag without a prefix may be
    /// that of Kata.
    OTHERS_TAG "others-tag": Single<String> =
        text("TEMPLATE", is!("others.{identifier}"), parse::others_tag).of(WRITERS).needs(&[TAGGED, Need {
            what: "--others pass, which writes these records",
            met: |options| Ok(options.get(&selection::OTHERS)? == Others::Pass),
        }]);

    /// Field for the tag, in each record
    ///
    /// For Fluentd's exec input, and other shippers that take the tag from the record. An empty name leaves the field out.
    TAG_KEY "tag-key": Single<Option<String>> = text("NAME", none, parse::field_name).of(SHAPERS).needs(&[OWN_FIELDS]).clashes(&[
        Clash { with: "schema", when: |options| is_reserved(options, options.get(&TAG_KEY)?), why: RESERVED },
    ]).idle(&[delivery::RFC3164]);

    /// Field for the time, in each record
    ///
    /// For shippers that take the time from the record. Every record has it: if the time is unknown, or outside 1970 to
    /// 2106, the field holds the time of reading. An empty name leaves the field out.
    TIME_KEY "time-key": Single<Option<String>> = text("NAME", none, parse::field_name).of(SHAPERS).needs(&[OWN_FIELDS]).clashes(&[
        Clash { with: "tag-key", when: |options| same(options, &TIME_KEY, &TAG_KEY), why: SAME_NAME },
        Clash { with: "record-id", when: |options| same(options, &TIME_KEY, &RECORD_ID), why: SAME_NAME },
        Clash { with: "schema", when: |options| is_reserved(options, options.get(&TIME_KEY)?), why: RESERVED },
    ]).idle(&[Clash {
        with: "to",
        when: |options| Ok(record_format(options)? == Format::Syslog),
        why: "the head of a syslog message holds the time",
    }]);

    /// Format of the time field
    TIME_FORMAT "time-format": Single<TimeFormat> = choice("FORM", is!("rfc3339")).of(SHAPERS).needs(&[Need {
        what: "--time-key NAME, which names the field",
        met: |options| Ok(options.get(&TIME_KEY)?.is_some()),
    }]);

    /// Field for the id of the record, in each record
    ///
    /// An entry has the same id in every run, so a store can recognize a record that it receives twice. An empty name
    /// leaves the field out.
    RECORD_ID "record-id": Single<Option<String>> = text("NAME", none, parse::field_name).of(SHAPERS).needs(&[OWN_FIELDS]).clashes(&[
        Clash { with: "tag-key", when: |options| same(options, &RECORD_ID, &TAG_KEY), why: SAME_NAME },
        Clash { with: "schema", when: |options| is_reserved(options, options.get(&RECORD_ID)?), why: RESERVED },
    ]).idle(&[delivery::RFC3164]);

    /// Longest record, with its line end
    ///
    /// For readers with a buffer of fixed size; from 4000 to 64M. A longer record loses its MESSAGE, which the kata_ fields
    /// repeat, then the ends of its longest texts, then its last fields, and has the flaw `truncated`.
    MAX_RECORD "max-record": Single<Option<usize>> =
        number("SIZE", none, |text| parse::optional(text, |text| parse::bytes(text, 4000..=64 << 20))).of(WRITERS).idle(&[
            Clash { with: "to", when: delivery::has_servers, why: "servers have limits of their own" },
            Clash {
                with: "format",
                when: |options| Ok(!is_record(record_format(options)?)),
                why: "only records of ndjson and msgpack can be shortened",
            },
        ]).clashes(&[
            Clash { with: "tag", when: |options| Ok(options.get(&TAG)?.len() > MAX_TAG), why: LONG_TAG },
            Clash { with: "others-tag", when: |options| Ok(options.get(&OTHERS_TAG)?.len() > MAX_TAG), why: LONG_TAG },
            Clash { with: "tag-key", when: |options| is_long(options.get(&TAG_KEY)?), why: LONG_NAME },
            Clash { with: "time-key", when: |options| is_long(options.get(&TIME_KEY)?), why: LONG_NAME },
            Clash { with: "record-id", when: |options| is_long(options.get(&RECORD_ID)?), why: LONG_NAME },
        ]);

    /// Number of threads; 0 for one on each core
    ///
    /// The output does not depend on the number. `auto` uses one thread on each core for files that are read to their
    /// ends, and one thread for live inputs.
    THREADS "threads": Single<Option<usize>> = number("N", is!("auto"), parse::threads).of(READERS).beside_records();

    /// Order of the records
    ///
    /// `time` merges the records of all inputs, which must have an end, into one order. Records of the same time keep the
    /// order of the inputs, and a record without a time follows the one before it.
    SORT "sort": Single<Sort> = choice("ORDER", is!("none")).of(FILERS).everyday().clashes(&[
        Clash {
            with: "follow",
            when: |options| Ok(options.get(&SORT)? == Sort::Time && options.get(&journal::FOLLOW)?),
            why: "an input without an end cannot be sorted",
        },
        Clash {
            with: "format",
            when: |options| Ok(options.get(&SORT)? == Sort::Time && !record_format(options)?.is_sortable()),
            why: "records can be sorted in ndjson, msgpack, csv and text",
        },
    ]);

    /// Newest records first
    ///
    /// The exact reverse of --sort time. With --lines, the newest N records.
    REVERSE "reverse": Single<bool> = switch().of(FILERS).short('r').clashes(&[
        Clash {
            with: "follow",
            when: |options| Ok(options.get(&REVERSE)? && options.get(&journal::FOLLOW)?),
            why: "an input without an end has no newest record",
        },
        Clash {
            with: "format",
            when: |options| Ok(options.get(&REVERSE)? && !record_format(options)?.is_sortable()),
            why: "records can be sorted in ndjson, msgpack, csv and text",
        },
    ]);

    /// Memory for sorting, for the last records of --lines, and for the records of --group
    ///
    /// Records beyond it wait in temporary files, in the directory that TMPDIR names (/tmp).
    SORT_MEMORY "sort-memory": Single<usize> =
        number("SIZE", is!("128M"), |text| parse::bytes(text, 1 << 20..=u64::MAX)).of(FILERS).beside_records().needs(&[Need {
            what: "--sort time, --reverse, --lines N or --group sandbox",
            met: |options| Ok(is_sorted(options)? || journal::last(options)?.is_some() || view::is_grouped(options)?),
        }]);

    /// Add the time since the previous record, as `kata_delta_ns`
    ///
    /// In nanoseconds; negative if the time goes back.
    DELTA "delta": Single<bool> = switch().of(PRINT).idle(&[
        Clash {
            with: "format",
            when: |options| Ok(!record_format(options)?.has_delta()),
            why: "only ndjson has a field for it",
        },
        Clash { with: "schema", when: has_other_schema, why: "the schema has no name for it" },
    ]);
}

const RESERVED: &str = "the schema has this name, or names inside it; choose another name";
const SAME_NAME: &str = "two fields cannot have one name; choose another name";
const LONG_NAME: &str = "a name of more than 128 bytes leaves no room for the rest";

/// Servers, which take neither files nor colors.
pub(super) const SERVERS: Clash = Clash { with: "to", when: delivery::has_servers, why: "records go to the servers" };

/// A format that holds journal entries instead of records.
pub(super) const ENTRIES: Clash = Clash {
    with: "format",
    when: |options| Ok(format(options)?.is_of_entries()),
    why: "it writes all journal entries as they are",
};

/// A format with fields of katalog's own.
const TAGGED: Need = Need {
    what: "a place for tags: --tag-key NAME, or a forward server in `ship --to`",
    met: |options| Ok(options.get(&TAG_KEY)?.is_some() || record_format(options)? == Format::Event),
};
const LONG_TAG: &str = "a template of more than 256 bytes leaves no room for the rest";
const OWN_FIELDS: Need = Need {
    what: "a format with named fields: --format ndjson or msgpack, or a server",
    met: |options| {
        let format = record_format(options)?;
        // In csv, entries of other programs are written with all of their fields, in the last column.
        let passes = format == Format::Csv && options.get(&selection::OTHERS)? == Others::Pass;
        Ok(options.command == Command::Schema || delivery::has_servers(options)? || is_record(format) || passes)
    },
};

/// The settings of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSettings {
    /// The output file; `None` for standard output.
    pub path: Option<PathBuf>,
    /// The compression of files.
    pub compress: Compression,
    /// The order of records by time; `None` keeps the order of the inputs.
    pub sort: Option<SortSettings>,
    /// Only the last records are written, as many as this.
    pub last: Option<u64>,
    /// The text view has a block for each sandbox.
    pub grouped: bool,
    /// The memory for records that wait, in each place where some do.
    pub memory: usize,
    /// The records that are wanted around matches of the filters.
    pub context: Option<Context>,
    /// Records carry the time since the previous record.
    pub delta: bool,
    /// The number of threads, at least one; `None` chooses by the inputs.
    pub threads: Option<usize>,
}

/// Returns the settings of the output.
pub(super) fn settings(options: &Options, surroundings: Surroundings) -> Result<OutputSettings, ConfigError> {
    let (reverse, last, grouped) = (options.get(&REVERSE)?, journal::last(options)?, view::is_grouped(options)?);
    // Records move from the first place to the second while both have some.
    let places = if grouped && (is_sorted(options)? || last.is_some()) { 2 } else { 1 };
    let memory = options.get(&SORT_MEMORY)? / places;
    Ok(OutputSettings {
        path: output(options)?,
        compress: if has_file(options)? { options.get(&COMPRESS)? } else { Compression::None },
        sort: is_sorted(options)?.then_some(SortSettings { memory, reverse }),
        last,
        grouped,
        memory,
        context: filter::context(options)?,
        delta: options.get(&DELTA)? && record_format(options)?.has_delta() && !has_other_schema(options)?,
        threads: match options.get(&THREADS)? {
            Some(0) => Some(surroundings.cores.max(1)),
            threads => threads,
        },
    })
}

/// Returns whether records are put in order of time.
fn is_sorted(options: &Options) -> Result<bool, ConfigError> {
    Ok(options.get(&SORT)? == Sort::Time || options.get(&REVERSE)?)
}

/// Returns the settings of the encoder.
pub(super) fn encode_settings(options: &Options, syslog: SyslogSettings) -> Result<EncodeSettings, ConfigError> {
    let format = record_format(options)?;
    Ok(EncodeSettings {
        format,
        schema: schema(options)?,
        max_record: options.get(&MAX_RECORD)?.filter(|_| is_record(format)),
        zone: if format == Format::Syslog { TimeZone::system() } else { TimeZone::UTC },
        syslog,
    })
}

/// Returns the format that the options name, or that fits the output.
pub(super) fn format(options: &Options) -> Result<Format, ConfigError> {
    Ok(match options.get(&FORMAT)? {
        FormatChoice::Only(format) => format,
        FormatChoice::Auto if options.prefers_text() => Format::Text,
        FormatChoice::Auto => Format::Ndjson,
    })
}

/// Returns one text for formats without a difference: a format that the user leaves open, and the one of most outputs.
fn canonical_format(text: &str) -> String {
    if text == "auto" { "ndjson".to_owned() } else { text.to_owned() }
}

/// Returns the format of the records, which the protocol decides for servers.
pub(super) fn record_format(options: &Options) -> Result<Format, ConfigError> {
    Ok(match delivery::receiver(options, Mode::Bulk)? {
        Some(Receiver::Forward(_)) => Format::Event,
        Some(Receiver::Syslog(_)) => Format::Syslog,
        None => format(options)?,
    })
}

/// Returns the defaults that a host implies.
pub(super) fn host_defaults(host: Host) -> Values {
    let defaults: &[(&'static str, &str)] = match host {
        Host::None => &[],
        Host::FluentdExec => {
            &[("format", "msgpack"), ("tag-key", "tag"), ("time-key", "event_time"), ("time-format", "unix")]
        }
        Host::FluentBitExec => &[("format", "ndjson"), ("max-record", FLUENT_BIT_LINE)],
    };
    BTreeMap::from_iter(defaults.iter().map(|(name, text)| (*name, vec![OsString::from(text)])))
}

fn output(options: &Options) -> Result<Option<PathBuf>, ConfigError> {
    let path = Some(options.get(&OUTPUT)?).filter(|path| path.as_os_str() != "-");
    Ok(if delivery::has_servers(options)? { None } else { path })
}

/// Returns whether records go to files, which can be compressed.
fn has_file(options: &Options) -> Result<bool, ConfigError> {
    Ok(options.command == Command::Convert || has_output(options)?)
}

fn has_host(options: &Options) -> Result<bool, ConfigError> {
    Ok(options.get(&FOR)? != Host::None)
}

/// Returns whether records go to a file that the user names.
pub(super) fn has_output(options: &Options) -> Result<bool, ConfigError> {
    output(options).map(|output| output.is_some())
}

/// Returns whether the schema is not katalog's own, and names the fields of this format.
pub(super) fn has_other_schema(options: &Options) -> Result<bool, ConfigError> {
    Ok(schema(options)? != Schema::Kata)
}

/// Returns the schema, which is katalog's own for formats whose fields have other names or none.
fn schema(options: &Options) -> Result<Schema, ConfigError> {
    let has_names = matches!(record_format(options)?, Format::Ndjson | Format::Msgpack | Format::Event);
    if has_names { options.get(&SCHEMA) } else { Ok(Schema::Kata) }
}

fn is_reserved(options: &Options, name: Option<String>) -> Result<bool, ConfigError> {
    let schema = options.get(&SCHEMA)?;
    Ok(has_other_schema(options)? && name.is_some_and(|name| schema.reserves(&name)))
}

type Name = Single<Option<String>>;

fn same(options: &Options, one: &Name, other: &Name) -> Result<bool, ConfigError> {
    let name = options.get(one)?;
    Ok(name.is_some() && name == options.get(other)?)
}

fn is_long(name: Option<String>) -> Result<bool, ConfigError> {
    Ok(name.is_some_and(|name| name.len() > MAX_TAG / 2))
}

fn is_record(format: Format) -> bool {
    matches!(format, Format::Ndjson | Format::Msgpack)
}
