//! Typed option values, each with one check for flag, variable and key.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use journal_file::{Cursor, CursorError};

use crate::config::systemd_time;
use crate::source::Boot;
use kata_records::{Component, Settings};

/// The use of colors in the text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal
    Auto,
    /// Even into files and pipes
    Always,
    /// Not at all
    Never,
}

/// The display of counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum StatsChoice {
    /// As a table where progress is shown, else as text if standard error is a terminal
    #[default]
    Auto,
    /// Aligned lines
    Text,
    /// A line for each input
    Table,
    /// One JSON object on one line
    Json,
    /// Not at all
    None,
}

/// The order of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// That of the inputs
    None,
    /// By time
    Time,
}

/// The display of progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProgressChoice {
    /// On a terminal that has nothing else to show, if the size of the inputs is known
    #[default]
    Auto,
    /// Also for pipes and live inputs, and as lines where there is no terminal
    Always,
    /// Not at all
    Never,
}

/// The program that reads standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Host {
    /// Nobody in particular
    #[default]
    None,
    /// Fluentd's exec input: MessagePack, with `tag` and `event_time` in each record
    FluentdExec,
    /// Fluent Bit's exec input: JSON lines that fit into its buffer of 4096 bytes
    FluentBitExec,
}

/// A regular expression, compiled once as a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub String);

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        match regex::Regex::new(text) {
            Ok(_) if !text.is_empty() => Ok(Pattern(text.to_owned())),
            Ok(_) => Err("expected a regular expression, not nothing".to_owned()),
            Err(error) => {
                // The full message quotes the expression and marks a place in it, over several lines.
                let error = error.to_string();
                let cause = error.lines().last().unwrap_or_default().trim();
                Err(format!("expected a regular expression: {}", cause.strip_prefix("error: ").unwrap_or(cause)))
            }
        }
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub usize);

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Size, &'static str> {
        let bytes = parse_bytes(text).filter(|bytes| (1 << 10..=64 << 20).contains(bytes));
        bytes
            .map(|bytes| Size(bytes as usize))
            .ok_or("expected a number of bytes from 1K to 64M, such as 65536, 64K or 1MiB")
    }
}

/// Parses a number of bytes; K, M and G are powers of 1024.
fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    number.parse().ok().and_then(|number: u64| number.checked_mul(factor))
}

/// The size limit of a record; `None` for an empty text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxRecord(pub Option<usize>);

impl FromStr for MaxRecord {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<MaxRecord, &'static str> {
        if text.is_empty() {
            return Ok(MaxRecord(None));
        }
        let bytes = parse_bytes(text).filter(|bytes| (4000..=64 << 20).contains(bytes));
        bytes
            .map(|bytes| MaxRecord(Some(bytes as usize)))
            .ok_or("expected a number of bytes from 4000 to 64M, such as 4095 or 64K")
    }
}

/// The number of bytes delivered at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize(pub usize);

impl FromStr for BatchSize {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<BatchSize, &'static str> {
        let bytes = parse_bytes(text).filter(|bytes| (1 << 10..=5 << 20).contains(bytes));
        bytes
            .map(|bytes| BatchSize(bytes as usize))
            .ok_or("expected a number of bytes from 1K to 5M, such as 65536, 64K or 1MiB")
    }
}

/// The size limit of a syslog message; `None` depends on the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyslogMax(pub Option<usize>);

impl FromStr for SyslogMax {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<SyslogMax, &'static str> {
        if text == "auto" {
            return Ok(SyslogMax(None));
        }
        let bytes = parse_bytes(text).filter(|bytes| (1 << 10..=64 << 10).contains(bytes));
        bytes
            .map(|bytes| SyslogMax(Some(bytes as usize)))
            .ok_or("expected a number of bytes from 1K to 64K, such as 2048 or 32K, or auto")
    }
}

/// A private enterprise number, assigned by IANA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enterprise(pub u32);

impl FromStr for Enterprise {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Enterprise, &'static str> {
        let number = text.parse().ok().filter(|number| *number > 0);
        number.map(Enterprise).ok_or("expected a private enterprise number, such as 32473")
    }
}

/// A number of bytes on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room(pub u64);

impl FromStr for Room {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Room, &'static str> {
        let bytes = parse_bytes(text).filter(|bytes| *bytes >= 1 << 10);
        bytes.map(Room).ok_or("expected a number of bytes from 1K on, such as 512M or 10G")
    }
}

/// A number of bytes in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(pub usize);

impl FromStr for Memory {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Memory, &'static str> {
        let bytes = parse_bytes(text).filter(|bytes| *bytes >= 1 << 20);
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        bytes.map(Memory).ok_or("expected a number of bytes from 1M on, such as 64M or 2G")
    }
}

/// A duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Span, &'static str> {
        const EXPECTED: &str = "expected a time from 10ms to a year, such as 500ms, 30s, 5min or 2h";
        let micros = systemd_time::parse_duration(text).ok_or(EXPECTED)?;
        let span = Duration::from_micros(micros);
        let fits = span >= Duration::from_millis(10) && span <= Duration::from_secs(366 * 86_400);
        if fits { Ok(Span(span)) } else { Err(EXPECTED) }
    }
}

/// A duration; `None` for an empty text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience(pub Option<Duration>);

impl FromStr for Patience {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Patience, &'static str> {
        if text.is_empty() { Ok(Patience(None)) } else { text.parse().map(|Span(span)| Patience(Some(span))) }
    }
}

/// An address to listen on; `None` for an empty text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub Option<SocketAddr>);

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Listen, &'static str> {
        const EXPECTED: &str = "expected an IP address and a port, such as 127.0.0.1:9745 or [::1]:9745";
        if text.is_empty() { Ok(Listen(None)) } else { text.parse().map(|at| Listen(Some(at))).map_err(|_| EXPECTED) }
    }
}

/// A time in microseconds since 1970; `None` for an empty text. Relative times refer to the time of parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub Option<u64>);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        if text.is_empty() {
            return Ok(Moment(None));
        }
        #[expect(clippy::disallowed_methods, reason = "`2h` is two hours before the program was started")]
        let now = jiff::Zoned::now();
        systemd_time::parse(text, &now).map(|micros| Moment(Some(micros))).map_err(|error| error.to_string())
    }
}

/// A boot; `None` for an empty text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootName(pub Option<Boot>);

impl FromStr for BootName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<BootName, &'static str> {
        if text.is_empty() {
            return Ok(BootName(None));
        }
        let number = || {
            let number: i64 = text.parse().ok()?;
            let count = usize::try_from(number.unsigned_abs()).ok()?;
            Some(if number > 0 { Boot::First(count - 1) } else { Boot::Before(count) })
        };
        let boot = Cursor::parse_id(text.as_bytes()).map(Boot::Id).or_else(number);
        boot.map(|boot| BootName(Some(boot)))
            .ok_or("expected the id of a boot, 0 for the last, -1 for the one before, or 1 for the first")
    }
}

/// The cursor of an entry; `None` for an empty text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After(pub Option<Cursor>);

impl FromStr for After {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<After, CursorError> {
        if text.is_empty() { Ok(After(None)) } else { text.parse().map(|cursor| After(Some(cursor))) }
    }
}

/// The number of last entries to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// The default, which depends on following and on the range.
    Auto,
    /// All entries.
    All,
    /// The last entries, this many.
    Last(usize),
}

impl FromStr for Lines {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Lines, &'static str> {
        match text {
            "auto" => Ok(Lines::Auto),
            "all" => Ok(Lines::All),
            _ => text.parse().map(Lines::Last).map_err(|_| "expected a number of entries, all or auto"),
        }
    }
}

/// A number of threads: 0 stands for one per core, `None` for the best number for the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads(pub Option<usize>);

impl FromStr for Threads {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Threads, &'static str> {
        if text == "auto" {
            return Ok(Threads(None));
        }
        let number = text.parse().ok().filter(|number| *number <= 1024);
        number.map(|number| Threads(Some(number))).ok_or("expected a number of threads from 0 to 1024, or auto")
    }
}

/// A text that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word(pub String);

impl FromStr for Word {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Word, &'static str> {
        if text.is_empty() { Err("expected a name") } else { Ok(Word(text.to_owned())) }
    }
}

/// A component, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComponentName(pub Component);

impl FromStr for ComponentName {
    type Err = String;

    fn from_str(text: &str) -> Result<ComponentName, String> {
        let component = Component::ALL.iter().find(|component| component.name() == text);
        component.copied().map(ComponentName).ok_or_else(|| {
            let names: Vec<&str> = Component::ALL.iter().map(|component| component.name()).collect();
            format!("expected one of {}", names.join(", "))
        })
    }
}

/// A new name for a journal field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The name in the journal.
    pub old: String,
    /// The name in the record.
    pub new: String,
}

impl Rename {
    pub(super) fn new(old: &str, new: &str) -> Result<Rename, &'static str> {
        if old.is_empty() {
            return Err("expected OLD=NEW: the name of a journal field, then the name in the record");
        }
        check_field_name(new)?;
        Ok(Rename { old: old.to_owned(), new: new.to_owned() })
    }
}

impl FromStr for Rename {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Rename, &'static str> {
        let (old, new) = text.split_once('=').unwrap_or_default();
        Rename::new(old, new)
    }
}

/// The template of a tag; all its placeholders exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(pub String);

impl FromStr for Tag {
    type Err = String;

    fn from_str(text: &str) -> Result<Tag, String> {
        let known = "expected text with {component} and {identifier} in it";
        if text.is_empty() {
            return Err(known.to_owned());
        }
        Settings::check_tag(text).map_err(|error| format!("{known}; {}", error.reason()))?;
        Ok(Tag(text.to_owned()))
    }
}

/// The rule that splits the output into files, as the template of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split(pub String);

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Split, String> {
        Settings::split_template(text).map(Split).map_err(|error| error.reason())
    }
}

/// The name of the tag field; `None` for an empty name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagKey(pub Option<String>);

impl FromStr for TagKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<TagKey, &'static str> {
        if text.is_empty() {
            return Ok(TagKey(None));
        }
        check_field_name(text)?;
        Ok(TagKey(Some(text.to_owned())))
    }
}

/// Checks that a field name is plain and not reserved by katalog.
fn check_field_name(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) {
        return Err("expected the name of a field: ASCII without spaces, quotes and backslashes");
    }
    if text.starts_with("kata_") {
        return Err("expected another name: those that begin with kata_ are given by katalog");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;
    use crate::config::options::Options;

    fn refused<T: FromStr<Err: fmt::Display>>(text: &str) -> String {
        text.parse::<T>().err().unwrap().to_string()
    }

    #[test]
    fn sizes() {
        for (text, expected) in
            [("1024", 1 << 10), ("64K", 64 << 10), ("1M", 1 << 20), ("1MiB", 1 << 20), ("2mb", 2 << 20)]
        {
            assert_eq!(text.parse::<Size>().unwrap().0, expected, "{text}");
        }
        for text in ["", "K", "1023", "65M", "1G", "-1", "1.5M", "99999999999999999999999M", "1é"] {
            assert!(refused::<Size>(text).contains("1K to 64M"), "{text}");
        }
    }

    #[test]
    fn memory() {
        assert_eq!("1M".parse::<Memory>().unwrap().0, 1 << 20);
        assert_eq!("2G".parse::<Memory>().unwrap().0, 2 << 30);
        for text in ["", "1048575", "-1", "1.5G", "99999999999999999999999M"] {
            assert!(refused::<Memory>(text).contains("from 1M on"), "{text}");
        }
    }

    #[test]
    fn tags() {
        for text in ["kata", "kata.{component}", "{identifier}.{component}.x"] {
            assert_eq!(text.parse::<Tag>().unwrap().0, text);
        }
        assert!(refused::<Tag>("kata.{host}").ends_with("there is no \"{host}\""));
        for text in ["", "{", "{component", "}", "a}b{component}", "{component}}", "{{component}}"] {
            assert!(text.parse::<Tag>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_fields() {
        assert_eq!("_HOSTNAME=host".parse::<Rename>().unwrap(), Rename { old: "_HOSTNAME".into(), new: "host".into() });
        for text in ["", "A", "=b", "A=", "A=b c", "A=\"", "A=kata_level"] {
            assert!(text.parse::<Rename>().is_err(), "{text}");
        }
        assert_eq!("".parse::<TagKey>().unwrap(), TagKey(None));
        assert!("kata_tag".parse::<TagKey>().is_err());
    }

    #[test]
    fn patterns() {
        assert!("kata(-.*)?".parse::<Pattern>().is_ok());
        assert_eq!(refused::<Pattern>("kata("), "expected a regular expression: unclosed group");
        assert!("".parse::<Pattern>().is_err());
    }

    #[test]
    fn the_help_names_every_component() {
        let command = <Options as clap::Args>::augment_args(clap::Command::new("x"));
        let argument = command.get_arguments().find(|argument| argument.get_long() == Some("component")).unwrap();
        let help = argument.get_long_help().unwrap().to_string();
        let list = help.split_once("One of ").unwrap().1.split_once('.').unwrap().0.replace('\n', " ");
        let names: Vec<&str> = Component::ALL.iter().map(|component| component.name()).collect();
        assert_eq!(list, names.join(", "));
    }
}
