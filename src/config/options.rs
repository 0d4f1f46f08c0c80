//! What a user may choose, each choice once: the same field is a flag, an environment variable and a key of the
//! configuration file, with one name and one check.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use serde::Deserialize;

use super::deserialize::{choice, number, table, text, texts};
use super::values::{
    After, BatchSize, BootName, ColorChoice, ComponentName, Enterprise, Host, Lines, Listen, MaxRecord, Memory, Moment,
    Patience, Pattern, ProgressChoice, Rename, Room, Size, Sort, Span, Split, StatsChoice, SyslogMax, Tag, TagKey,
    Threads, Word,
};
use super::words::{word, words};
use crate::delivery::WhenFull;
use crate::sink::Compression;
use crate::source::{Backend, Namespace};
use kata_records::{Facility, Format, InputFormat, Nested, Others, Schema, SyslogFormat, TimeFormat};
use log_clients::{Address, ForwardMode, Framing, Spread};

/// One layer of the configuration: what one place says, and nothing of what it leaves open.
#[derive(Debug, Default, PartialEq, Eq, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// What the inputs hold [default: auto]
    ///
    /// `auto` looks at the beginning of each entry, so an input may mix formats. Name the format where text could be
    /// taken for something else. For the formats that wrap a message (journal-json, export, syslog, cri, docker), the
    /// message inside is always recognized by itself.
    #[arg(long, env = "KATALOG_INPUT_FORMAT", value_name = "FORMAT", help_heading = "Input")]
    #[arg(value_parser = words::<InputFormat>())]
    #[serde(deserialize_with = "word")]
    pub input_format: Option<InputFormat>,

    /// The longest line that is read whole [default: 1M]
    ///
    /// What is longer is cut there, and the record says so. From 1K to 64M; K and M count in 1024. In an export stream it
    /// holds for each field, and an entry may have four times as much.
    #[arg(long, env = "KATALOG_MAX_LINE", value_name = "SIZE", help_heading = "Input")]
    #[serde(deserialize_with = "number")]
    pub max_line: Option<Size>,

    /// Read the journal of this machine
    ///
    /// The files in /run/log/journal and /var/log/journal. To read them takes root or membership in the group
    /// systemd-journal. Any journal can also be named as an input: a file, or a directory of files or of machines.
    #[arg(long, env = "KATALOG_JOURNAL", help_heading = "Journal")]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub journal: Option<bool>,

    /// The namespace of this machine's journal to read [default: none]
    ///
    /// As journalctl has it: `NAME`, `+NAME` for that and the one without a name, `*` for all.
    #[arg(long, env = "KATALOG_NAMESPACE", value_name = "NAME", help_heading = "Journal")]
    #[serde(deserialize_with = "text")]
    pub namespace: Option<Namespace>,

    /// Read the journals of other machines too that this one has received
    #[arg(long, env = "KATALOG_MERGE", help_heading = "Journal")]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub merge: Option<bool>,

    /// What reads journals [default: native]
    ///
    /// `libsystemd` is there where katalog was built with the cargo feature of that name. It is slower, and gets less out
    /// of damaged files.
    #[arg(long, env = "KATALOG_JOURNAL_BACKEND", value_name = "BACKEND", help_heading = "Journal")]
    #[serde(deserialize_with = "choice")]
    pub journal_backend: Option<Backend>,

    /// Only entries of journals from this time on [default: none]
    ///
    /// `2026-11-21 14:30`, `14:30`, `yesterday`, `today`, `2h` or `-2h` for two hours ago, `@1700000000`, RFC 3339, and
    /// what else systemd.time(7) has; in local time where no zone is given.
    #[arg(long, env = "KATALOG_SINCE", value_name = "TIME", help_heading = "Journal", allow_hyphen_values = true)]
    #[serde(deserialize_with = "text")]
    pub since: Option<Moment>,

    /// Only entries of journals up to this time [default: none]
    #[arg(long, env = "KATALOG_UNTIL", value_name = "TIME", help_heading = "Journal", allow_hyphen_values = true)]
    #[serde(deserialize_with = "text")]
    pub until: Option<Moment>,

    /// Only entries of journals from this boot [default: none]
    ///
    /// A boot's id; or 0 for the last that the journals tell of, -1 for the one before, and so on; or 1 for the first, 2
    /// for the second.
    #[arg(long, env = "KATALOG_BOOT", value_name = "BOOT", help_heading = "Journal", allow_hyphen_values = true)]
    #[serde(deserialize_with = "text")]
    pub boot: Option<BootName>,

    /// Only entries of journals that come after the one with this cursor [default: none]
    ///
    /// Cursors are those of journalctl; --drop '!__CURSOR' puts them into records.
    #[arg(long, env = "KATALOG_AFTER_CURSOR", value_name = "CURSOR", help_heading = "Journal")]
    #[serde(deserialize_with = "text")]
    pub after_cursor: Option<After>,

    /// Only the last entries of journals, so many [default: auto]
    ///
    /// `all` sets no limit. `auto` sets none either, unless --follow is given and nothing else says where to begin
    /// (--since, --boot, --after-cursor): then it is 10, as for journalctl.
    /// What counts is told by identifier and text, so among a container manager's lines it may be one too many.
    #[arg(short = 'n', long, env = "KATALOG_LINES", value_name = "N", help_heading = "Journal")]
    #[serde(deserialize_with = "number")]
    pub lines: Option<Lines>,

    /// After the last entry wait for further ones
    ///
    /// Without inputs it follows the journal of this machine; files and directories of journals can be named instead. It
    /// goes through rotations, takes up what appears later, and begins with the last 10 entries; see --lines. Entries come
    /// within some milliseconds; after a quiet second the first one takes up to a quarter of a second, because journald
    /// does not tell of it sooner. Log files and patterns of their names are followed from their beginning, through
    /// rotation and truncation. Standard input is always followed. Of these, one run follows one kind.
    #[arg(short, long, env = "KATALOG_FOLLOW", help_heading = "Journal")]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub follow: Option<bool>,

    /// Take the entries of this identifier as Kata's; repeatable
    ///
    /// A regular expression that must match the whole identifier (SYSLOG_IDENTIFIER). The default is the list of Kata's
    /// own programs, which --print-config shows; giving the flag replaces that list. In the environment it is one
    /// expression: write `a|b` for several.
    #[arg(long, env = "KATALOG_IDENTIFIER", value_name = "REGEX", help_heading = "Selection")]
    #[serde(deserialize_with = "texts")]
    pub identifier: Option<Vec<Pattern>>,

    /// Look for Kata's lines in the output of this program; repeatable [default: containerd,crio,vc]
    ///
    /// Container managers print what Kata's shim says among their own lines. Their identifiers, exactly as they are.
    #[arg(long, env = "KATALOG_MANAGER", value_name = "IDENTIFIER", value_delimiter = ',', help_heading = "Selection")]
    pub manager: Option<Vec<String>>,

    /// The identifier of lines that come without one [default: kata]
    ///
    /// Lines of a plain log file have no SYSLOG_IDENTIFIER. They are taken as if they came from this one: all are Kata's
    /// by default, those that say so with `containerd`.
    #[arg(long, env = "KATALOG_DEFAULT_IDENTIFIER", value_name = "IDENTIFIER", help_heading = "Selection")]
    #[serde(deserialize_with = "text")]
    pub default_identifier: Option<Word>,

    /// What becomes of entries that are not Kata's [default: drop]
    ///
    /// Those that pass have the fields of the journal and no kata_ field. --keep, --drop and --rename hold for them too.
    #[arg(long, env = "KATALOG_OTHERS", value_name = "WHAT", help_heading = "Selection")]
    #[arg(value_parser = words::<Others>())]
    #[serde(deserialize_with = "word")]
    pub others: Option<Others>,

    /// Only records of this component; repeatable [default: all]
    ///
    /// One of runtime, proxy, shim, shimv2, runtime-rs, agent, guest-kernel, guest-console, hypervisor, virtiofsd,
    /// monitor, netmon, throttler, unknown. Several are separated by commas.
    #[arg(
        long,
        env = "KATALOG_COMPONENT",
        value_name = "COMPONENT",
        value_delimiter = ',',
        help_heading = "Selection"
    )]
    #[serde(deserialize_with = "texts")]
    pub component: Option<Vec<ComponentName>>,

    /// Keep only these journal fields; repeatable [default: all]
    ///
    /// Names as the journal has them; `*` stands for any characters. The fields of syslog lines and container logs count
    /// as the journal's. Fields that katalog adds (kata_...) are not affected. An empty name keeps all.
    #[arg(long, env = "KATALOG_KEEP", value_name = "FIELD", value_delimiter = ',', help_heading = "Fields")]
    pub keep: Option<Vec<String>>,

    /// Drop these journal fields as well; repeatable
    ///
    /// Names as the journal has them; `*` stands for any characters, and `!FIELD` keeps what an earlier name drops. The
    /// flag adds to the list of the configuration file, or to the default list, which --print-config shows.
    #[arg(long, env = "KATALOG_DROP", value_name = "FIELD", value_delimiter = ',', help_heading = "Fields")]
    pub drop: Option<Vec<String>>,

    /// Write a journal field under another name; repeatable
    ///
    /// The name as the journal has it, then the name in the record. It is used as given, whatever --lowercase and
    /// --strip-underscores do to the others.
    #[arg(long, env = "KATALOG_RENAME", value_name = "OLD=NEW", value_delimiter = ',', help_heading = "Fields")]
    #[serde(deserialize_with = "table")]
    pub rename: Option<Vec<Rename>>,

    /// Write the names of journal fields in lower case
    ///
    /// As the option `fields_lowercase` of fluent-plugin-systemd and `lowercase` of Fluent Bit do.
    #[arg(long, env = "KATALOG_LOWERCASE", help_heading = "Fields")]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub lowercase: Option<bool>,

    /// Write the names of journal fields without leading underscores
    ///
    /// As the option `fields_strip_underscores` of fluent-plugin-systemd and `strip_underscores` of Fluent Bit do.
    #[arg(long, env = "KATALOG_STRIP_UNDERSCORES", help_heading = "Fields")]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub strip_underscores: Option<bool>,

    /// Remove this from the payload as well; repeatable
    ///
    /// A key as its writer wrote it, then segments into a nested value, separated by dots; `*` stands for any one
    /// segment. `KEY` removes the field whatever its value; `KEY.*` only what is inside a nested value, so that a plain
    /// text or number under that key stays. In logfmt, what Go prints of a structure counts as nested. `!PATTERN` keeps what an earlier pattern removes; later patterns win. The
    /// flag adds to the list of the configuration file, or to the default list, which --print-config shows.
    #[arg(long, env = "KATALOG_PRUNE", value_name = "PATTERN", value_delimiter = ',', help_heading = "Fields")]
    pub prune: Option<Vec<String>>,

    /// What becomes of nested values that are not pruned [default: string]
    #[arg(long, env = "KATALOG_NESTED", value_name = "HOW", help_heading = "Fields", value_parser = words::<Nested>())]
    #[serde(deserialize_with = "word")]
    pub nested: Option<Nested>,

    /// What runs katalog and reads its standard output [default: none]
    ///
    /// It chooses --format, --tag-key, --time-key, --time-format and --max-record so that nothing is lost on the way; README.md
    /// says what goes wrong otherwise. Those that are given beside it stand, unless the host could not read what comes of them:
    /// that is refused. An empty --tag-key or --time-key counts as not given.
    #[arg(long, env = "KATALOG_FOR", value_name = "HOST", help_heading = "Output")]
    #[serde(deserialize_with = "choice")]
    pub r#for: Option<Host>,

    /// How records are written [default: ndjson]
    #[arg(short = 'F', long, env = "KATALOG_FORMAT", value_name = "FORMAT", help_heading = "Output")]
    #[arg(value_parser = words::<Format>())]
    #[serde(deserialize_with = "word")]
    pub format: Option<Format>,

    /// Whose names and types fields have [default: kata]
    ///
    /// `ecs` and `otel` have dotted names, such as `host.name`; what they have no name for is kata.NAME, or journald.NAME if
    /// it is a journal field. README.md has the tables; --print-schema prints what stores want to know. It holds for ndjson,
    /// msgpack and forward servers.
    #[arg(long, env = "KATALOG_SCHEMA", value_name = "SCHEMA", help_heading = "Output")]
    #[arg(value_parser = words::<Schema>())]
    #[serde(deserialize_with = "word")]
    pub schema: Option<Schema>,

    /// Write to this file instead of standard output [default: -]
    ///
    /// What the file holds is lost. `-` stands for standard output.
    #[arg(short, long, env = "KATALOG_OUTPUT", value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,

    /// Write into files of this directory, which appear when all inputs are read [default: none]
    ///
    /// Inputs are read one by one, and the journals machine by machine. Until the end everything is below `.katalog` in
    /// the directory. Files that are there already are not replaced; see --force. What was interrupted is gone on with by
    /// --resume.
    #[arg(long, env = "KATALOG_OUTPUT_DIR", value_name = "DIR", help_heading = "Output")]
    pub output_dir: Option<PathBuf>,

    /// Which file of --output-dir a record belongs into [default: component]
    ///
    /// `component`, `host`, `sandbox`, `day` (of kata_time, in UTC), `input`, or several of them with commas between, each
    /// a directory in the one before. Or a path with these words in braces, such as `{host}/kata-{day}`. Extensions are
    /// added. A value that a record has not is `unknown`; what is not Kata's is of the component `others`. In values every
    /// character but ASCII letters, digits, `-`, `_` and `.` is written as `%` and hexadecimal digits.
    #[arg(long, env = "KATALOG_SPLIT", value_name = "WHAT", help_heading = "Output")]
    #[serde(deserialize_with = "text")]
    pub split: Option<Split>,

    /// How the files of --output-dir, or that of --output, are compressed [default: none]
    #[arg(long, env = "KATALOG_COMPRESS", value_name = "HOW", help_heading = "Output")]
    #[serde(deserialize_with = "choice")]
    pub compress: Option<Compression>,

    /// Go on with what was interrupted in --output-dir
    ///
    /// With the same options and inputs; inputs that were read to their end are not read again. The files are those of a
    /// run that was not interrupted, byte for byte. Where nothing was interrupted and the directory has files, nothing is
    /// left to do; where it has none, everything is.
    #[arg(long, env = "KATALOG_RESUME", help_heading = "Output")]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub resume: Option<bool>,

    /// Replace files of --output-dir that are there, and forget what was interrupted
    #[arg(long, env = "KATALOG_FORCE", help_heading = "Output")]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub force: Option<bool>,

    /// Whether the text format uses colors [default: auto]
    ///
    /// `auto` uses them on a terminal, unless NO_COLOR is set or TERM is `dumb`. The other formats never have colors.
    #[arg(long, env = "KATALOG_COLOR", value_name = "WHEN", help_heading = "Output")]
    #[serde(deserialize_with = "choice")]
    pub color: Option<ColorChoice>,

    /// The tag of a record [default: kata.{component}]
    ///
    /// {component} and {identifier} stand for what the record says. Entries of others that pass are tagged with their
    /// identifier.
    #[arg(long, env = "KATALOG_TAG", value_name = "TEMPLATE", help_heading = "Output")]
    #[serde(deserialize_with = "text")]
    pub tag: Option<Tag>,

    /// Write the tag into each record under this name [default: none]
    ///
    /// For Fluentd's exec input and others that take the tag out of the record. An empty name leaves it out.
    #[arg(long, env = "KATALOG_TAG_KEY", value_name = "NAME", help_heading = "Output")]
    #[serde(deserialize_with = "text")]
    pub tag_key: Option<TagKey>,

    /// Write the time into each record under this name [default: none]
    ///
    /// For shippers that take the time out of the record. It is there in every record, and one that they can hold: for what
    /// knows no time, or one before 1970 or after 2106, it is when it was read. An empty name leaves it out.
    #[arg(long, env = "KATALOG_TIME_KEY", value_name = "NAME", help_heading = "Output")]
    #[serde(deserialize_with = "text")]
    pub time_key: Option<TagKey>,

    /// The form of that time [default: rfc3339]
    #[arg(long, env = "KATALOG_TIME_FORMAT", value_name = "FORM", help_heading = "Output")]
    #[arg(value_parser = words::<TimeFormat>())]
    #[serde(deserialize_with = "word")]
    pub time_format: Option<TimeFormat>,

    /// Write no record of more bytes, its line end included [default: none]
    ///
    /// For readers with a buffer of fixed size; from 4000 to 64M. A longer record loses its MESSAGE, which the kata_ fields
    /// repeat, then the ends of its longest texts, then the last of its fields, and has the flaw `truncated`. For ndjson and
    /// msgpack.
    #[arg(long, env = "KATALOG_MAX_RECORD", value_name = "SIZE", help_heading = "Output")]
    #[serde(deserialize_with = "number")]
    pub max_record: Option<MaxRecord>,

    /// How many threads work; 0 for one on each core [default: auto]
    ///
    /// The output is the same whatever the number. `auto` takes one on each core where files are read to their ends, and one
    /// thread for what is live. The text format always takes one.
    #[arg(long, env = "KATALOG_THREADS", value_name = "N", help_heading = "Output")]
    #[serde(deserialize_with = "number")]
    pub threads: Option<Threads>,

    /// In which order records come [default: none]
    ///
    /// `time` puts the records of all inputs, which must have an end, into one order; those of one time stay as they came.
    #[arg(long, env = "KATALOG_SORT", value_name = "ORDER", help_heading = "Output")]
    #[serde(deserialize_with = "choice")]
    pub sort: Option<Sort>,

    /// Sort in so much memory [default: 128M]
    ///
    /// What does not fit waits in temporary files, in the directory that TMPDIR names (/tmp).
    #[arg(long, env = "KATALOG_SORT_MEMORY", value_name = "SIZE", help_heading = "Output")]
    #[serde(deserialize_with = "number")]
    pub sort_memory: Option<Memory>,

    /// Write into each record how long it came after the one before it, as `kata_delta_ns`
    ///
    /// In nanoseconds, negative where time goes back. For JSON.
    #[arg(long, env = "KATALOG_DELTA", help_heading = "Output")]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub delta: Option<bool>,

    /// Send records to this server of the forward protocol or of syslog; repeatable [default: none]
    ///
    /// `forward://HOST:PORT` (port 24224 where none is named), `forward+tls://HOST:PORT`, `unix:PATH`;
    /// `syslog+udp://HOST:PORT` and `syslog+tcp://HOST:PORT` (514), `syslog+tls://HOST:PORT` (6514). With several, all of one
    /// protocol, the first is used, and the next while it cannot be reached; `?standby` and `?weight=N` behind an address,
    /// and --spread, say otherwise. A position moves on only when a server has acknowledged what comes before it. Syslog
    /// has no acknowledgements: there it moves on with what was sent.
    #[arg(long, env = "KATALOG_TO", value_name = "URL", value_delimiter = ',', help_heading = "Delivery")]
    #[serde(deserialize_with = "texts")]
    pub to: Option<Vec<Address>>,

    /// Which of several servers gets records [default: failover]
    #[arg(long, env = "KATALOG_SPREAD", value_name = "HOW", help_heading = "Delivery", value_parser = words::<Spread>())]
    #[serde(deserialize_with = "word")]
    pub spread: Option<Spread>,

    /// The form of the protocol's requests [default: packed]
    #[arg(long, env = "KATALOG_FORWARD_MODE", value_name = "MODE", help_heading = "Delivery")]
    #[arg(value_parser = words::<ForwardMode>())]
    #[serde(deserialize_with = "word")]
    pub forward_mode: Option<ForwardMode>,

    /// Send times in whole seconds, for servers of before 2016
    #[arg(long, env = "KATALOG_TIME_AS_INTEGER", help_heading = "Delivery")]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub time_as_integer: Option<bool>,

    /// The form of syslog messages [default: rfc5424]
    #[arg(long, env = "KATALOG_SYSLOG_FORMAT", value_name = "FORM", help_heading = "Delivery")]
    #[arg(value_parser = words::<SyslogFormat>())]
    #[serde(deserialize_with = "word")]
    pub syslog_format: Option<SyslogFormat>,

    /// How syslog messages are told apart by TCP and TLS [default: octet]
    #[arg(long, env = "KATALOG_SYSLOG_FRAMING", value_name = "HOW", help_heading = "Delivery")]
    #[arg(value_parser = words::<Framing>())]
    #[serde(deserialize_with = "word")]
    pub syslog_framing: Option<Framing>,

    /// The facility of syslog messages [default: daemon]
    #[arg(long, env = "KATALOG_SYSLOG_FACILITY", value_name = "NAME", help_heading = "Delivery")]
    #[arg(value_parser = words::<Facility>())]
    #[serde(deserialize_with = "word")]
    pub syslog_facility: Option<Facility>,

    /// The most bytes that a syslog message has [default: auto]
    ///
    /// From 1K to 64K, by UDP to 2K. `auto` is 8000, which is what rsyslog takes as it is installed, and 1024 where a
    /// server is reached by UDP. Of what is longer, values are cut first, then fields are left out, and the message itself
    /// is cut last; the record says so (`truncated`).
    #[arg(long, env = "KATALOG_SYSLOG_MAX", value_name = "SIZE", help_heading = "Delivery")]
    #[serde(deserialize_with = "number")]
    pub syslog_max: Option<SyslogMax>,

    /// The private enterprise number in the name of the structured data [default: 32473]
    ///
    /// `kata@32473` is the name; the number is the one that IANA keeps for examples. Give your organization's, if it has
    /// one.
    #[arg(long, env = "KATALOG_SYSLOG_ENTERPRISE", value_name = "N", help_heading = "Delivery")]
    #[serde(deserialize_with = "number")]
    pub syslog_enterprise: Option<Enterprise>,

    /// Deliver so much at once [default: 1M]
    ///
    /// After a crash at most so much comes twice. From 1K to 5M.
    #[arg(long, env = "KATALOG_BATCH_SIZE", value_name = "SIZE", help_heading = "Delivery")]
    #[serde(deserialize_with = "number")]
    pub batch_size: Option<BatchSize>,

    /// Deliver no later than so long after a record was read [default: 1s]
    #[arg(long, env = "KATALOG_BATCH_AGE", value_name = "TIME", help_heading = "Delivery")]
    #[serde(deserialize_with = "text")]
    pub batch_age: Option<Span>,

    /// Wait so long for an acknowledgement before sending again [default: 60s]
    #[arg(long, env = "KATALOG_ACK_TIMEOUT", value_name = "TIME", help_heading = "Delivery")]
    #[serde(deserialize_with = "text")]
    pub ack_timeout: Option<Span>,

    /// End where no server could be reached for so long [default: none]
    ///
    /// For batch jobs. Otherwise it is tried without end, and reading waits.
    #[arg(long, env = "KATALOG_GIVE_UP_AFTER", value_name = "TIME", help_heading = "Delivery")]
    #[serde(deserialize_with = "text")]
    pub give_up_after: Option<Patience>,

    /// The file with the key that is shared with the servers [default: none]
    ///
    /// Or the key itself in the environment variable KATALOG_SHARED_KEY. It is never taken from the command line, which
    /// every user of the host can read.
    #[arg(long, env = "KATALOG_SHARED_KEY_FILE", value_name = "FILE", help_heading = "Delivery")]
    pub shared_key_file: Option<PathBuf>,

    /// The user to log in as [default: none]
    #[arg(long, env = "KATALOG_USER", value_name = "NAME", help_heading = "Delivery")]
    pub user: Option<String>,

    /// The file with the user's password [default: none]
    ///
    /// Or the password itself in the environment variable KATALOG_PASSWORD.
    #[arg(long, env = "KATALOG_PASSWORD_FILE", value_name = "FILE", help_heading = "Delivery")]
    pub password_file: Option<PathBuf>,

    /// The name that the servers know this host by [default: none]
    ///
    /// For the handshake of the forward protocol, where it has to be another than the server's, and for syslog messages of
    /// entries that name no host. Without it, the host's own name.
    #[arg(long, env = "KATALOG_SELF_HOSTNAME", value_name = "NAME", help_heading = "Delivery")]
    pub self_hostname: Option<String>,

    /// Trust servers whose certificates these authorities have signed [default: none]
    ///
    /// A file of certificates in PEM. Without it, the authorities that this host trusts.
    #[arg(long, env = "KATALOG_TLS_CA", value_name = "FILE", help_heading = "Delivery")]
    pub tls_ca: Option<PathBuf>,

    /// The certificate to show to servers, with those that lead to its authority [default: none]
    #[arg(long, env = "KATALOG_TLS_CERT", value_name = "FILE", help_heading = "Delivery")]
    pub tls_cert: Option<PathBuf>,

    /// The key of that certificate [default: none]
    #[arg(long, env = "KATALOG_TLS_KEY", value_name = "FILE", help_heading = "Delivery")]
    pub tls_key: Option<PathBuf>,

    /// Trust every server, whatever its certificate: for tests only
    #[arg(long, env = "KATALOG_TLS_INSECURE", help_heading = "Delivery")]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub tls_insecure: Option<bool>,

    /// Write what a record is known by into each record, under this name [default: none]
    ///
    /// The same in every run for the same entry, so that a store can tell a record that it gets twice.
    #[arg(long, env = "KATALOG_RECORD_ID", value_name = "NAME", help_heading = "Delivery")]
    #[serde(deserialize_with = "text")]
    pub record_id: Option<TagKey>,

    /// The file for records that no server takes [default: none]
    ///
    /// Without it, `refused.ndjson` in the state directory.
    #[arg(long, env = "KATALOG_REFUSED", value_name = "FILE", help_heading = "Delivery")]
    pub refused: Option<PathBuf>,

    /// Remember in this directory how far the inputs were read [default: none]
    ///
    /// For --follow and --once: the next run goes on where this one ended, killed or not. One process at a time.
    #[arg(long, env = "KATALOG_STATE_DIR", value_name = "DIR", help_heading = "Delivery")]
    pub state_dir: Option<PathBuf>,

    /// Read up to now, deliver, remember the position, and end
    ///
    /// For timers, and for shippers that run a command every few seconds. Inputs are those of --follow.
    #[arg(long, env = "KATALOG_ONCE", help_heading = "Delivery")]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub once: Option<bool>,

    /// Keep what is read from standard input in this directory until it is delivered [default: none]
    ///
    /// A pipe cannot be read twice. The files outlive the process; the next one delivers them first.
    #[arg(long, env = "KATALOG_SPOOL", value_name = "DIR", help_heading = "Delivery")]
    pub spool: Option<PathBuf>,

    /// How much there may be in the spool [default: 1G]
    #[arg(long, env = "KATALOG_SPOOL_LIMIT", value_name = "SIZE", help_heading = "Delivery")]
    #[serde(deserialize_with = "number")]
    pub spool_limit: Option<Room>,

    /// What to do when the spool is full [default: wait]
    #[arg(long, env = "KATALOG_SPOOL_FULL", value_name = "WHAT", help_heading = "Delivery")]
    #[serde(deserialize_with = "choice")]
    pub spool_full: Option<WhenFull>,

    /// Read everything, write nothing, and say which inputs are valid
    ///
    /// A table of the inputs and what is wrong with them, on standard error; with --stats json one object a line for each,
    /// with --stats none nothing. The exit code is 0 if all are valid, 1 if anything is flawed or damaged, that of the
    /// failure if an input could not be read.
    #[arg(long, env = "KATALOG_CHECK", help_heading = "Diagnostics")]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub check: Option<bool>,

    /// Show on standard error how far the run is [default: auto]
    ///
    /// --progress alone is `always`. On a terminal it is drawn and gone at the end; elsewhere it is a line every ten
    /// seconds and one after each input. `auto` draws only where records go to a file, since who reads them through a pipe
    /// may print on the same terminal.
    #[arg(long, env = "KATALOG_PROGRESS", help_heading = "Diagnostics")]
    #[arg(value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    #[serde(deserialize_with = "choice")]
    pub progress: Option<ProgressChoice>,

    /// Answer requests for metrics and health at this address [default: none]
    ///
    /// An IP address and a port, such as 127.0.0.1:9745: `/metrics` for Prometheus, `/healthz`, `/readyz`. For runs with --follow
    /// or --to. Anybody who can connect may ask, so take a loopback address where the host is not closed off. Port 0 takes a
    /// free one and says which.
    #[arg(long, env = "KATALOG_LISTEN", value_name = "ADDRESS:PORT", help_heading = "Diagnostics")]
    #[serde(deserialize_with = "text")]
    pub listen: Option<Listen>,

    /// Show counters on standard error at the end [default: auto]
    #[arg(long, env = "KATALOG_STATS", value_name = "FORM", help_heading = "Diagnostics")]
    #[serde(deserialize_with = "choice")]
    pub stats: Option<StatsChoice>,

    /// Exit with 1 if any record has flaws
    ///
    /// All records are written all the same.
    #[arg(long, env = "KATALOG_STRICT", help_heading = "Diagnostics")]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub strict: Option<bool>,

    /// Exit with 1 if no record was written
    #[arg(long, env = "KATALOG_FAIL_IF_EMPTY", help_heading = "Diagnostics")]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub fail_if_empty: Option<bool>,

    /// Say on standard error what is being read and which entries have flaws
    #[arg(short, long, env = "KATALOG_VERBOSE", help_heading = "Diagnostics")]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub verbose: Option<bool>,
}
