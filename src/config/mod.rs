//! The settings of a run: flags override environment variables, which override the file, which overrides the defaults.
//! Each value is checked when it is read.
//!
//! Only the file that `--config` or `KATALOG_CONFIG` names is read, so a command does the same on every host.

mod delivery;
mod deserialize;
mod diagnostics;
mod host;
mod layers;
pub mod options;
mod output_dir;
mod schema;
pub mod systemd_time;
pub mod values;
mod words;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Deserialize as _;

use crate::delivery::{BatchLimits, SpoolSettings};
use crate::diagnostics::{ProgressMode, StatsFormat};
use crate::sink::Compression;
use crate::source;
use crate::source::position::FilePosition;
pub use diagnostics::StandardOutput;
use kata_records::{EncodeSettings, FieldSettings, Format, SelectSettings, Settings};
use log_clients::Receiver;
use options::Options;
use values::{ColorChoice, Host, Lines, Sort};
pub(crate) use words::words;

/// The default configuration as a file, with a comment on every key.
pub const DEFAULT: &str = include_str!("default.toml");

/// The read size of a source: large enough to amortize the cost of a batch, small enough for the cache.
const READ_SIZE: usize = 256 << 10;

/// The name of the file for refused records, in the state directory.
const REFUSED_FILE: &str = "refused.ndjson";

/// The number of entries before a followed journal's end, as for `journalctl --follow`.
const FOLLOW_LINES: usize = 10;

/// The template of the files of an output directory.
const DEFAULT_SPLIT: &str = "{component}";

/// The complete configuration of a run, resolved before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Settings for reading inputs.
    pub source: source::Settings,
    /// The journals to read, and their range.
    pub journal: source::JournalSettings,
    /// The rules that select entries and shape records.
    pub records: Settings,
    /// The reader of standard output.
    pub host: Host,
    /// The number of threads, at least one; `None` chooses by the inputs.
    pub threads: Option<usize>,
    /// The memory for sorting records by time; `None` keeps the order of the inputs.
    pub sort: Option<usize>,
    /// Records carry the time since the previous record.
    pub delta: bool,
    /// The output file; `None` for standard output.
    pub output: Option<PathBuf>,
    /// The directory for output in several files.
    pub output_dir: Option<PathBuf>,
    /// The compression of files.
    pub compress: Compression,
    /// Resume an interrupted conversion in the directory.
    pub resume: bool,
    /// Replace the contents of the directory.
    pub force: bool,
    /// The address for metrics and health requests.
    pub listen: Option<SocketAddr>,
    /// The format of the final counters.
    pub stats: Option<StatsFormat>,
    /// Show counters per input after a progress display.
    pub stats_by_input: bool,
    /// The display of progress.
    pub progress: ProgressMode,
    /// Only check the inputs.
    pub check: bool,
    /// Flawed records make the run fail.
    pub strict: bool,
    /// A run without records fails.
    pub fail_if_empty: bool,
    /// Servers that receive the records instead of the output.
    pub receiver: Option<Receiver>,
    /// The file with the shared key of the handshake.
    pub shared_key_file: Option<PathBuf>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// The limits of one delivery.
    pub limits: BatchLimits,
    /// The file for records that no server accepts.
    pub refused: Option<PathBuf>,
    /// The directory for the positions of the inputs.
    pub state_dir: Option<PathBuf>,
    /// Read to the current ends, and save the positions.
    pub once: bool,
    /// The disk buffer for standard input.
    pub spool: Option<SpoolSettings>,
    /// The saved positions of log files.
    pub files: Vec<FilePosition>,
}

/// The environment of the program, on which `auto` depends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Standard output is a terminal with colors, and the user did not disable them.
    pub colors: bool,
    /// Standard error is a terminal.
    pub error_terminal: bool,
    /// Standard error supports drawing: it is a terminal, and TERM is not dumb.
    pub screen: bool,
    /// The kind of standard output.
    pub output: StandardOutput,
    /// The number of threads that the host runs at once.
    pub cores: usize,
}

/// The reason why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration file \"{path}\": {source}", path = path.display())]
    Read {
        /// The file, as the user named it.
        path: PathBuf,
        /// The error from the system.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("configuration file \"{path}\", line {line}: {message}", path = path.display())]
    Syntax {
        /// The file, as the user named it.
        path: PathBuf,
        /// The line of the error.
        line: usize,
        /// The error from the parser.
        message: String,
    },
    /// Settings that cannot be combined.
    #[error("{0}")]
    Conflict(&'static str),
    /// A secret cannot be read.
    #[error("{key}: cannot read \"{path}\": {source}", path = path.display())]
    Secret {
        /// The setting that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The error from the system.
        source: std::io::Error,
    },
    /// A key that does not exist.
    #[error("configuration file \"{path}\": unknown key \"{key}\": expected one of {known}", path = path.display())]
    UnknownKey {
        /// The file, as the user named it.
        path: PathBuf,
        /// The key.
        key: String,
        /// The keys that exist.
        known: String,
    },
    /// An invalid value.
    #[error("configuration file \"{path}\", key \"{key}\": {message}", path = path.display())]
    Value {
        /// The file, as the user named it.
        path: PathBuf,
        /// The key.
        key: String,
        /// The value and what was expected.
        message: String,
    },
}

/// Reads a configuration file.
///
/// # Errors
///
/// Fails if the file cannot be read, is not TOML, or has an unknown key or an invalid value.
pub fn read(path: &Path) -> Result<Options, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(&text, path)
}

/// Parses the text of a configuration file. The path is for messages.
fn parse(text: &str, path: &Path) -> Result<Options, ConfigError> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let message = error.message().replace('\n', ", ");
        ConfigError::Syntax { path: path.to_owned(), line, message }
    })?;
    let known = Options::keys();
    let mut options = Options::default();
    // Each key is deserialized separately, so that every message can name it.
    for (key, value) in table {
        if !known.contains(&key) {
            return Err(ConfigError::UnknownKey { path: path.to_owned(), key, known: known.join(", ") });
        }
        let single = toml::Table::from_iter([(key.clone(), value)]);
        let single = Options::deserialize(single).map_err(|error| ConfigError::Value {
            path: path.to_owned(),
            key,
            message: error.message().to_owned(),
        })?;
        options = single.or(options);
    }
    Ok(options)
}

impl Config {
    /// Builds the configuration: the flags (with the environment) override the file, which overrides the defaults. A
    /// list replaces the one below, except that `--drop` and `--prune` add to it. A user who removes one more field
    /// wants the others removed as well.
    #[must_use]
    pub fn new(mut flags: Options, mut file: Options, surroundings: Surroundings) -> Config {
        let defaults = Settings::default();
        let drop = appended(file.drop.take(), defaults.fields.drop, flags.drop.take());
        let prune = appended(file.prune.take(), defaults.fields.prune, flags.prune.take());
        let mut options = host::merge_layers(flags, file);
        let receiver = delivery::receiver(&mut options);
        let syslog = delivery::syslog_settings(&options, receiver.as_ref());
        let format = match (options.format.unwrap_or(Format::Ndjson), &receiver) {
            // Other formats cannot be sent; a later check refuses them.
            (Format::Ndjson | Format::Msgpack, Some(Receiver::Forward(_))) => Format::Event,
            (Format::Ndjson | Format::Msgpack, Some(Receiver::Syslog(_))) => Format::Syslog,
            (format, _) => format,
        };
        let output = options.output.take().filter(|path| path.as_os_str() != "-");
        let color = match options.color.unwrap_or(ColorChoice::Auto) {
            ColorChoice::Auto => surroundings.colors && output.is_none(),
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        };
        let output_dir = path(options.output_dir.take());
        // The default split is no conflict without a directory.
        let split = options.split.map(|split| split.0).filter(|split| split != DEFAULT_SPLIT);
        let rename = options.rename.unwrap_or_default();
        let range = source::Range {
            since: options.since.and_then(|moment| moment.0),
            until: options.until.and_then(|moment| moment.0),
            after: options.after_cursor.and_then(|after| after.0),
            boot: options.boot.and_then(|boot| boot.0),
        };
        let follow = options.follow.unwrap_or(false);
        let limits = BatchLimits {
            size: options.batch_size.map_or(1 << 20, |size| size.0),
            age: options.batch_age.map_or(Duration::from_secs(1), |age| age.0),
        };
        let state_dir = path(options.state_dir.take());
        let (record_id, tag_key) = (options.record_id.and_then(|key| key.0), options.tag_key.and_then(|key| key.0));
        let check = options.check.unwrap_or(false);
        let elsewhere = output.is_some() || output_dir.is_some() || receiver.is_some() || check;
        let progress = diagnostics::progress(options.progress.unwrap_or_default(), elsewhere, surroundings);
        let (stats, stats_by_input) = diagnostics::stats(options.stats.unwrap_or_default(), check, surroundings);
        let time_key = options.time_key.and_then(|key| key.0);
        let begins = range.since.is_some() || range.after.is_some() || range.boot.is_some();
        let input_format = options.input_format.unwrap_or_default();
        let delta = options.delta.unwrap_or(false);
        let sort =
            (options.sort == Some(Sort::Time)).then_some(options.sort_memory.map_or(128 << 20, |memory| memory.0));
        let records = Settings {
            input_format,
            select: SelectSettings {
                identifiers: options.identifier.map_or(defaults.select.identifiers, |patterns| {
                    patterns.into_iter().map(|pattern| pattern.0).collect()
                }),
                managers: without_empty(options.manager.unwrap_or(defaults.select.managers)),
                default_identifier: options
                    .default_identifier
                    .map_or(defaults.select.default_identifier, |word| word.0),
                others: options.others.unwrap_or_default(),
                components: options.component.unwrap_or_default().into_iter().map(|name| name.0).collect(),
            },
            fields: FieldSettings {
                keep: without_empty(options.keep.unwrap_or_default()),
                drop,
                rename: rename.into_iter().map(|rename| (rename.old, rename.new)).collect(),
                lowercase: options.lowercase.unwrap_or(false),
                strip_underscores: options.strip_underscores.unwrap_or(false),
                prune,
                nested: options.nested.unwrap_or_default(),
            },
            encode: EncodeSettings {
                format,
                color: color && format == Format::Text,
                schema: options.schema.unwrap_or_default(),
                max_record: options.max_record.and_then(|size| size.0),
                zone: if matches!(format, Format::Text | Format::Syslog) { TimeZone::system() } else { TimeZone::UTC },
                syslog,
            },
            tag_key,
            time_key,
            time_format: options.time_format.unwrap_or_default(),
            tag: options.tag.map_or(defaults.tag, |tag| tag.0),
            split: split.or_else(|| output_dir.as_ref().map(|_| DEFAULT_SPLIT.to_owned())),
            rows: sort.is_some() || delta,
            verbose: options.verbose.unwrap_or(false),
            record_id,
        };
        Config {
            source: source::Settings {
                input_format,
                max_line: options.max_line.map_or(1 << 20, |size| size.0),
                // The records of a batch should not greatly exceed one delivery.
                block: if receiver.is_some() { (limits.size / 4).clamp(4 << 10, READ_SIZE) } else { READ_SIZE },
            },
            journal: source::JournalSettings {
                of_this_machine: options.journal.unwrap_or(false),
                namespace: options.namespace.unwrap_or_default(),
                merge: options.merge.unwrap_or(false),
                backend: options.journal_backend.unwrap_or_default(),
                range,
                lines: match options.lines.unwrap_or(Lines::Auto) {
                    Lines::Auto => (follow && !begins).then_some(FOLLOW_LINES),
                    Lines::All => None,
                    Lines::Last(lines) => Some(lines),
                },
                follow,
                resume: None,
            },
            host: options.r#for.unwrap_or_default(),
            threads: match options.threads.and_then(|threads| threads.0) {
                // Text lines show the time since the previous line, which needs one thread.
                _ if format == Format::Text => Some(1),
                Some(0) => Some(surroundings.cores.max(1)),
                threads => threads,
            },
            sort,
            records,
            delta,
            output,
            output_dir,
            compress: options.compress.unwrap_or_default(),
            resume: options.resume.unwrap_or(false),
            force: options.force.unwrap_or(false),
            listen: options.listen.and_then(|listen| listen.0),
            stats,
            stats_by_input,
            progress,
            check,
            strict: check || options.strict.unwrap_or(false),
            fail_if_empty: options.fail_if_empty.unwrap_or(false),
            receiver,
            shared_key_file: path(options.shared_key_file),
            password_file: path(options.password_file),
            limits,
            refused: path(options.refused).or_else(|| Some(state_dir.as_ref()?.join(REFUSED_FILE))),
            once: options.once.unwrap_or(false),
            spool: path(options.spool).map(|directory| SpoolSettings {
                directory,
                limit: options.spool_limit.map_or(1 << 30, |room| room.0),
                full: options.spool_full.unwrap_or_default(),
                messages: format == Format::Syslog,
            }),
            state_dir,
            files: Vec::new(),
        }
    }
}

/// Returns a path unless it is empty.
fn path(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}

/// Returns the file's list, or else the default one, extended by the flags.
fn appended(file: Option<Vec<String>>, default: Vec<String>, flags: Option<Vec<String>>) -> Vec<String> {
    let mut list = file.unwrap_or(default);
    list.extend(flags.unwrap_or_default());
    without_empty(list)
}

/// Removes empty names, because `--keep ''` stands for an empty list.
fn without_empty(mut list: Vec<String>) -> Vec<String> {
    list.retain(|name| !name.is_empty());
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOWHERE: Surroundings =
        Surroundings { colors: false, error_terminal: false, screen: false, output: StandardOutput::File, cores: 4 };
    const TERMINAL: Surroundings =
        Surroundings { colors: true, error_terminal: true, screen: true, output: StandardOutput::Terminal, cores: 4 };

    fn file(text: &str) -> Options {
        parse(text, Path::new("k.toml")).unwrap()
    }

    fn refused(text: &str) -> String {
        parse(text, Path::new("k.toml")).unwrap_err().to_string()
    }

    fn flags(arguments: &[&str]) -> Options {
        let command = <Options as clap::Args>::augment_args(clap::Command::new("katalog"));
        let matches = command.get_matches_from([&["katalog"], arguments].concat());
        <Options as clap::FromArgMatches>::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn the_default_file_says_what_holds_without_it() {
        for surroundings in [NOWHERE, TERMINAL] {
            let without = Config::new(Options::default(), Options::default(), surroundings);
            assert_eq!(Config::new(Options::default(), file(DEFAULT), surroundings), without);
        }
    }

    #[test]
    fn the_default_file_names_every_key_in_the_order_of_the_help() {
        let table: toml::Table = DEFAULT.parse().unwrap();
        let mut known = Options::keys();
        let lines = DEFAULT.lines().filter(|line| !line.starts_with([' ', '#', ']']));
        let named: Vec<&str> = lines.filter_map(|line| Some(line.split_once(" =")?.0)).collect();
        assert_eq!(named, known);
        known.sort();
        assert!(table.keys().eq(&known));
    }

    #[test]
    fn the_help_states_the_defaults_of_the_file() {
        let table: toml::Table = DEFAULT.parse().unwrap();
        let command = <Options as clap::Args>::augment_args(clap::Command::new("katalog"));
        for argument in command.get_arguments() {
            let key = argument.get_long().unwrap();
            let stated = match &table[key] {
                toml::Value::String(text) if text.is_empty() => "[default: none]".to_owned(),
                toml::Value::String(text) => format!("[default: {text}]"),
                toml::Value::Integer(number) => format!("[default: {number}]"),
                _ => continue,
            };
            let help = argument.get_help().unwrap().to_string();
            assert!(help.ends_with(&stated), "--{key}: {help} / {stated}");
        }
    }

    #[test]
    fn every_key_has_a_flag_and_a_variable_of_its_name() {
        let command = <Options as clap::Args>::augment_args(clap::Command::new("katalog"));
        for argument in command.get_arguments() {
            let expected = format!("KATALOG_{}", argument.get_long().unwrap().replace('-', "_").to_uppercase());
            assert_eq!(argument.get_env().unwrap(), expected.as_str());
            assert!(argument.get_help_heading().is_some());
        }
    }

    #[test]
    fn flags_stand_over_the_file() {
        let text = "format = \"text\"\nstrict = true\nmax-line = 2048\nkeep = [\"A\"]\n[rename]\nA = \"b\"\n";
        let config = Config::new(flags(&["--strict=false", "--max-line=64K"]), file(text), NOWHERE);
        assert_eq!(config.records.encode.format, Format::Text);
        assert!(!config.strict);
        assert_eq!(config.source.max_line, 64 << 10);
        assert_eq!(config.records.fields.keep, ["A"]);
        assert_eq!(config.records.fields.rename, [("A".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn lists_of_flags_replace_but_drop_and_prune_add() {
        let text = "manager = [\"podman\"]\ndrop = [\"A\"]\nprune = [\"x\"]\nkeep = [\"K\"]\n";
        let arguments = ["--manager", "docker,crio", "--drop", "B", "--drop=!A", "--prune", "!x,y.*", "--keep", ""];
        let config = Config::new(flags(&arguments), file(text), NOWHERE);
        assert_eq!(config.records.select.managers, ["docker", "crio"]);
        assert_eq!(config.records.fields.drop, ["A", "B", "!A"]);
        assert_eq!(config.records.fields.prune, ["x", "!x", "y.*"]);
        assert!(config.records.fields.keep.is_empty());
        let config = Config::new(flags(&["--prune", "extra"]), Options::default(), NOWHERE);
        assert_eq!(config.records.fields.prune.len(), FieldSettings::default().prune.len() + 1);
    }

    #[test]
    fn colors_are_for_people() {
        let color = |arguments: &[&str], surroundings| {
            Config::new(flags(arguments), Options::default(), surroundings).records.encode.color
        };
        assert!(color(&["-F", "text"], TERMINAL));
        assert!(!color(&["-F", "text"], NOWHERE));
        assert!(!color(&["-F", "text", "-o", "x"], TERMINAL));
        assert!(!color(&["-F", "text", "--color=never"], TERMINAL));
        assert!(color(&["-F", "text", "--color=always"], NOWHERE));
        assert!(!color(&["--color=always"], TERMINAL));
    }

    #[test]
    fn following_begins_near_the_end() {
        let lines = |arguments: &[&str]| Config::new(flags(arguments), Options::default(), NOWHERE).journal.lines;
        assert_eq!(lines(&[]), None);
        assert_eq!(lines(&["--follow"]), Some(10));
        assert_eq!(lines(&["-f", "--until=tomorrow"]), Some(10));
        assert_eq!(lines(&["-f", "-n", "3"]), Some(3));
        for begin in ["--since=@1", "--boot=0", "--after-cursor=t=1", "--lines=all"] {
            assert_eq!(lines(&["--follow", begin]), None, "{begin}");
        }
    }

    #[test]
    fn threads() {
        let threads = |arguments: &[&str]| Config::new(flags(arguments), Options::default(), NOWHERE).threads;
        assert_eq!(threads(&[]), None);
        assert_eq!(threads(&["--threads=auto"]), None);
        assert_eq!(threads(&["--threads=0"]), Some(4));
        assert_eq!(threads(&["--threads=3"]), Some(3));
        assert_eq!(threads(&["--threads=3", "--format=text"]), Some(1));
        assert_eq!(threads(&["--format=text"]), Some(1));
    }

    #[test]
    fn mistakes_name_file_key_value_and_expectation() {
        assert!(
            refused("fromat = 1")
                .starts_with("configuration file \"k.toml\": unknown key \"fromat\": expected one of ")
        );
        assert_eq!(
            refused("format = \"xml\""),
            "configuration file \"k.toml\", key \"format\": \"xml\" is no such value: expected one of ndjson, msgpack, csv, text, export, journal-json"
        );
        assert_eq!(
            refused("\nidentifier = [\"kata(\"]"),
            "configuration file \"k.toml\", key \"identifier\": \"kata(\" cannot be used: expected a regular expression: \
             unclosed group"
        );
        assert_eq!(
            refused("threads = -1"),
            "configuration file \"k.toml\", key \"threads\": \"-1\" cannot be used: expected a number of threads from 0 \
             to 1024, or auto"
        );
        assert!(
            refused("strict = \"yes\"").contains("key \"strict\": invalid type: string \"yes\", expected a boolean")
        );
        assert!(refused("drop = \"A\"").contains("key \"drop\": invalid type: string \"A\", expected a sequence"));
        assert!(refused("a = 1\nb = = 2").starts_with("configuration file \"k.toml\", line 2: "));
    }
}
