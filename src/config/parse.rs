//! Parsers of option values. Each returns what it expected.

use std::ffi::OsStr;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use journal_file::Cursor;
use kata_records::filter::{FlawName, LevelRange};
use kata_records::origin::Origin;
use kata_records::{Component, Settings, SettingsError};

use super::systemd_time;
use super::view::Wrap;
use crate::source::Boot;

/// The unit of sizes from "1K" to "1G", with the largest unit first.
const UNITS: [(char, u64); 3] = [('G', 1 << 30), ('M', 1 << 20), ('K', 1 << 10)];

/// The shortest and the longest time that an option accepts.
const SPANS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(366 * 86_400);

/// Returns the text as UTF-8.
///
/// # Errors
/// If it is not UTF-8.
pub(super) fn utf8(text: &OsStr) -> Result<&str, String> {
    text.to_str().ok_or_else(|| "expected text in UTF-8".to_owned())
}

/// Parses a value by its `FromStr`.
pub(super) fn from_str<T: FromStr<Err: fmt::Display>>(text: &OsStr) -> Result<T, String> {
    utf8(text)?.parse().map_err(|error: T::Err| error.to_string())
}

/// Parses a value, or returns `None` for an empty text.
pub(super) fn optional<T>(text: &OsStr, parse: fn(&OsStr) -> Result<T, String>) -> Result<Option<T>, String> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

/// Splits a list at its commas.
pub(super) fn at_commas(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

/// Splits a list of addresses at the commas before a scheme, because a comma may be part of a secret, which no message may
/// show in part.
pub(super) fn at_schemes(text: &str) -> Vec<String> {
    let mut addresses: Vec<String> = Vec::new();
    for part in text.split(',') {
        let scheme = part.split(':').next().filter(|scheme| scheme.len() < part.len()).unwrap_or_default();
        let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'+');
        match addresses.last_mut() {
            Some(address) if !is_scheme => {
                address.push(',');
                address.push_str(part);
            }
            _ => addresses.push(part.to_owned()),
        }
    }
    addresses
}

/// Parses `true` or `false`, and the words that mean them.
pub(super) fn boolean(text: &OsStr) -> Result<bool, String> {
    match utf8(text)?.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "y" | "t" => Ok(true),
        "false" | "no" | "off" | "0" | "n" | "f" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// Returns `true` or `false` for each word that means one of them.
pub(super) fn canonical_boolean(text: &str) -> String {
    boolean(OsStr::new(text)).map_or_else(|_| text.to_owned(), |value| value.to_string())
}

/// Parses a number of bytes in the range; K, M and G are powers of 1024.
pub(super) fn bytes(text: &OsStr, range: RangeInclusive<u64>) -> Result<usize, String> {
    let bytes = utf8(text).ok().and_then(parse_bytes).filter(|bytes| range.contains(bytes));
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(|| {
        let (from, to) = (size(*range.start()), size(*range.end()));
        match *range.end() {
            u64::MAX => format!("expected a number of bytes from {from} on, such as {}", size(range.start() << 6)),
            _ => format!("expected a number of bytes from {from} to {to}, such as {}", size(range.start() << 3)),
        }
    })
}

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = unit.to_ascii_uppercase();
    let unit = unit.strip_suffix("IB").or_else(|| unit.strip_suffix('B')).unwrap_or(&unit);
    let factor = match unit {
        "" => 1,
        unit => UNITS.iter().find(|(name, _)| unit.len() == 1 && unit.starts_with(*name))?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Returns the shortest text of a number of bytes.
fn size(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    unit.map_or_else(|| bytes.to_string(), |(name, factor)| format!("{}{name}", bytes / factor))
}

/// Returns one text for each text of the same number or size.
pub(super) fn canonical_number(text: &str) -> String {
    parse_bytes(text).map_or_else(|| text.to_owned(), |bytes| bytes.to_string())
}

/// Parses a duration from 10 ms to a year.
pub(super) fn duration(text: &OsStr) -> Result<Duration, String> {
    let micros = utf8(text).ok().and_then(systemd_time::parse_duration);
    let span = micros.map(Duration::from_micros).filter(|span| SPANS.contains(span));
    span.ok_or_else(|| "expected a time from 10ms to a year, such as 500ms, 30s, 5min or 2h".to_owned())
}

/// Parses a number in the range.
pub(super) fn number<T: FromStr + PartialOrd + fmt::Display>(
    text: &OsStr,
    range: RangeInclusive<T>,
) -> Result<T, String> {
    let number = utf8(text).ok().and_then(|text| text.parse().ok()).filter(|number| range.contains(number));
    number.ok_or_else(|| format!("expected a number from {} to {}", range.start(), range.end()))
}

/// Parses a path, which may be any bytes.
pub(super) fn path(text: &OsStr) -> Result<PathBuf, String> {
    if text.is_empty() { Err("expected a path".to_owned()) } else { Ok(PathBuf::from(text)) }
}

/// Parses the path of the output. Refuses the formats of other programs' `-o`, which would become files of these names.
pub(super) fn output(text: &OsStr) -> Result<PathBuf, String> {
    const FORMATS: [&str; 9] = ["ndjson", "msgpack", "text", "csv", "export", "cat", "verbose", "yaml", "wide"];
    let is_format = |word: &str| FORMATS.contains(&word) || matches!(word.split('-').next(), Some("json" | "short"));
    match text.to_str() {
        Some(word) if is_format(word) && !word.contains('.') => Err(format!(
            "expected a file; for a format, write --format ndjson or -F text; for a file of that name, write ./{word}"
        )),
        _ => path(text),
    }
}

/// Parses a path; `None` for an empty text.
pub(super) fn optional_path(text: &OsStr) -> Result<Option<PathBuf>, String> {
    optional(text, path)
}

/// Parses a text that is not empty.
pub(super) fn word(text: &OsStr) -> Result<String, String> {
    let text = utf8(text)?;
    if text.is_empty() { Err("expected a name".to_owned()) } else { Ok(text.to_owned()) }
}

/// Parses any text.
pub(super) fn any(text: &OsStr) -> Result<String, String> {
    utf8(text).map(str::to_owned)
}

/// Parses a regular expression, and returns its text.
pub(super) fn regex(text: &OsStr) -> Result<String, String> {
    let text = utf8(text)?;
    // A plain name needs no compiler. Each run reads the names of the default list.
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(text.to_owned());
    }
    match regex::Regex::new(text) {
        Ok(_) if !text.is_empty() => Ok(text.to_owned()),
        Ok(_) => Err("expected a regular expression, not an empty text".to_owned()),
        Err(error) => Err(wrong_regex("kata.*", &error)),
    }
}

/// Parses a regular expression for the bytes of secrets, and returns its text.
pub(super) fn redaction(text: &OsStr) -> Result<String, String> {
    let text = utf8(text)?;
    match regex::bytes::Regex::new(text) {
        Ok(regex) if regex.is_match(b"") => {
            Err("expected a regular expression that does not match an empty text".to_owned())
        }
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(wrong_regex("tok_[0-9a-f]{16}", &error)),
    }
}

/// Returns the message for a wrong regular expression.
fn wrong_regex(example: &str, error: &regex::Error) -> String {
    // The full message quotes the expression and marks a place in it, over several lines.
    let error = error.to_string();
    let cause = error.lines().last().unwrap_or_default().trim();
    let cause = cause.strip_prefix("error: ").unwrap_or(cause);
    format!("expected a regular expression, such as {example}: {cause}")
}

/// Parses a point in time as microseconds since 1970. Relative times refer to now.
pub(super) fn moment(text: &OsStr) -> Result<u64, String> {
    #[expect(clippy::disallowed_methods, reason = "`2h` is two hours before the program was started")]
    let now = jiff::Zoned::now();
    let text = utf8(text)?;
    if text.starts_with("--") {
        return Err("expected a time such as `yesterday` or `2h` (ago), found an option".to_owned());
    }
    systemd_time::parse(text, &now).map_err(|error| error.to_string())
}

/// Returns the absolute time of a text, because a relative time differs in each run.
pub(super) fn canonical_moment(text: &str) -> String {
    moment(OsStr::new(text))
        .map_or_else(|_| text.to_owned(), |micros| format!("@{}.{:06}", micros / 1_000_000, micros % 1_000_000))
}

/// Parses the cursor of a journal entry.
pub(super) fn cursor(text: &OsStr) -> Result<Cursor, String> {
    let cursor = utf8(text)?.parse();
    cursor.map_err(|_| {
        "expected a cursor as `journalctl --show-cursor` prints it, such as s=9ef1…;i=1cd;b=4737…".to_owned()
    })
}

/// Parses a boot: its id, or its number.
pub(super) fn boot(text: &OsStr) -> Result<Boot, String> {
    let text = utf8(text)?;
    let number = || {
        let number: i64 = text.parse().ok()?;
        let count = usize::try_from(number.unsigned_abs()).ok()?;
        Some(if number > 0 { Boot::First(count - 1) } else { Boot::Before(count) })
    };
    Cursor::parse_id(text.as_bytes()).map(Boot::Id).or_else(number).ok_or_else(|| {
        "expected the id of a boot, 0 for the last boot, -1 for the boot before it, or 1 for the first".to_owned()
    })
}

/// The number of last entries to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// The default, which depends on the command and the range.
    Auto,
    /// All entries.
    All,
    /// The last entries, this many.
    Last(usize),
}

/// Parses a number of last entries.
pub(super) fn lines(text: &OsStr) -> Result<Lines, String> {
    match utf8(text)? {
        "auto" => Ok(Lines::Auto),
        "all" => Ok(Lines::All),
        // journalctl takes `+5` for the first five.
        text if text.starts_with('+') => Err("expected a number of last entries, without a sign".to_owned()),
        text => text.parse().map(Lines::Last).map_err(|_| "expected a number of entries, all or auto".to_owned()),
    }
}

/// Parses a number of threads; `None` for `auto`.
pub(super) fn threads(text: &OsStr) -> Result<Option<usize>, String> {
    if text == "auto" {
        return Ok(None);
    }
    number(text, 0..=1024).map(Some).map_err(|_| "expected a number of threads from 0 to 1024, or auto".to_owned())
}

/// Parses the width at which lines break.
pub(super) fn wrap(text: &OsStr) -> Result<Wrap, String> {
    if text == "auto" {
        return Ok(Wrap::Auto);
    }
    if text == "off" {
        return Ok(Wrap::Off);
    }
    number(text, 20..=1000).map(Wrap::At).map_err(|_| "expected auto, off, or a width from 20 to 1000".to_owned())
}

/// Parses the name of a component.
pub(super) fn component(text: &OsStr) -> Result<Component, String> {
    let text = utf8(text)?;
    let found = Component::ALL.iter().copied().find(|component| component.name() == text);
    found.ok_or_else(|| super::words::expected(text, Component::ALL.iter().map(|component| component.name())))
}

/// Parses the name of an origin.
pub(super) fn origin(text: &OsStr) -> Result<Origin, String> {
    let text = utf8(text)?;
    let found = Origin::ALL.iter().copied().find(|origin| origin.name() == text);
    found.ok_or_else(|| super::words::expected(text, Origin::ALL.iter().map(|origin| origin.name())))
}

/// Parses a level or a range of levels.
pub(super) fn levels(text: &OsStr) -> Result<LevelRange, String> {
    let text = utf8(text)?;
    text.parse().map_err(|_| {
        let wrong = text.split("..").find(|word| word.parse::<LevelRange>().is_err()).unwrap_or(text);
        super::words::expected(wrong, LevelRange::words())
    })
}

/// Parses the name of a flaw.
pub(super) fn flaw(text: &OsStr) -> Result<FlawName, String> {
    let text = utf8(text)?;
    text.parse().map_err(|_| super::words::expected(text, FlawName::all().iter().map(|[name, _]| *name)))
}

/// A new name for a journal field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rename {
    /// The name in the journal.
    pub old: String,
    /// The name in the record.
    pub new: String,
}

/// Parses `OLD=NEW`.
pub(super) fn rename(text: &OsStr) -> Result<Rename, String> {
    let (old, new) = utf8(text)?.split_once('=').unwrap_or_default();
    if old.is_empty() {
        return Err("expected OLD=NEW: the name of a journal field, then the name in the record".to_owned());
    }
    check_field_name(new)?;
    Ok(Rename { old: old.to_owned(), new: new.to_owned() })
}

/// Parses the name of a field of katalog's own; `None` for an empty text.
pub(super) fn field_name(text: &OsStr) -> Result<Option<String>, String> {
    optional(text, |text| {
        let text = utf8(text)?;
        check_field_name(text).map(|()| text.to_owned())
    })
}

/// Checks that a field name is plain and not reserved by katalog.
fn check_field_name(text: &str) -> Result<(), String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) {
        return Err("expected the name of a field: ASCII without spaces, quotes and backslashes".to_owned());
    }
    if text.starts_with("kata_") {
        return Err("expected a name that does not begin with kata_: katalog gives those names".to_owned());
    }
    Ok(())
}

/// Parses a pattern of what is removed from the payload.
pub(super) fn prune(text: &OsStr) -> Result<String, String> {
    let text = utf8(text)?;
    let path = text.strip_prefix('!').unwrap_or(text);
    if path.split('.').any(str::is_empty) {
        return Err("expected segments between dots, such as endpoint.*.Statistics".to_owned());
    }
    Ok(text.to_owned())
}

/// Parses the template of a tag.
pub(super) fn tag(text: &OsStr) -> Result<String, String> {
    template(text, "expected text with {component} and {identifier} in it", Settings::check_tag)
}

/// Parses the template of a tag of other programs' records.
pub(super) fn others_tag(text: &OsStr) -> Result<String, String> {
    template(text, "expected text with {identifier} in it", Settings::check_others_tag)
}

fn template(text: &OsStr, expected: &str, check: impl Fn(&str) -> Result<(), SettingsError>) -> Result<String, String> {
    let text = utf8(text)?;
    if text.is_empty() {
        return Err(expected.to_owned());
    }
    check(text).map_err(|error| format!("{expected}; {}", error.reason()))?;
    Ok(text.to_owned())
}

/// Parses the template of the path of an output file.
pub(super) fn split(text: &OsStr) -> Result<String, String> {
    const VALUES: [&str; 5] = ["component", "host", "sandbox", "day", "input"];
    let text = utf8(text)?;
    if !text.contains(['{', '}', '/'])
        && let Some(word) = text.split(',').find(|word| !VALUES.contains(word))
    {
        let expected = super::words::expected(word, VALUES.into_iter());
        return Err(format!("{expected}, or a path with them in braces, such as {{host}}/kata-{{day}}"));
    }
    Settings::split_template(text).map_err(|error| error.reason())
}

/// Returns the template of a path for each text that stands for it.
pub(super) fn canonical_split(text: &str) -> String {
    split(OsStr::new(text)).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(text: &str) -> &OsStr {
        OsStr::new(text)
    }

    #[test]
    fn sizes() {
        let line = |text: &str| bytes(os(text), 1 << 10..=64 << 20);
        for (text, expected) in
            [("1024", 1 << 10), ("64K", 64 << 10), ("1M", 1 << 20), ("1MiB", 1 << 20), ("2mb", 2 << 20)]
        {
            assert_eq!(line(text).unwrap(), expected, "{text}");
        }
        for text in ["", "K", "1023", "65M", "1G", "-1", "1.5M", "99999999999999999999999M", "1é", "1KK"] {
            assert!(line(text).unwrap_err().contains("from 1K to 64M"), "{text}");
        }
        let memory = |text: &str| bytes(os(text), 1 << 20..=u64::MAX);
        assert_eq!(memory("2G").unwrap(), 2 << 30);
        assert!(memory("1048575").unwrap_err().contains("from 1M on, such as 64M"));
        assert_eq!(canonical_number("64K"), canonical_number("65536"));
    }

    #[test]
    fn tags() {
        for text in ["kata", "kata.{component}", "{identifier}.{component}.x"] {
            assert_eq!(tag(os(text)).unwrap(), text);
        }
        assert_eq!(others_tag(os("{identifier}")).unwrap(), "{identifier}");
        assert!(others_tag(os("x.{component}")).unwrap_err().ends_with("there is no \"{component}\""));
        assert!(tag(os("kata.{host}")).unwrap_err().ends_with("there is no \"{host}\""));
        for text in ["", "{", "{component", "}", "a}b{component}", "{component}}", "{{component}}"] {
            assert!(tag(os(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_fields() {
        assert_eq!(rename(os("_HOSTNAME=host")).unwrap(), Rename { old: "_HOSTNAME".into(), new: "host".into() });
        for text in ["", "A", "=b", "A=", "A=b c", "A=\"", "A=kata_level"] {
            assert!(rename(os(text)).is_err(), "{text}");
        }
        assert_eq!(field_name(os("")).unwrap(), None);
        assert!(field_name(os("kata_tag")).is_err());
    }

    #[test]
    fn expressions() {
        assert!(regex(os("kata(-.*)?")).is_ok());
        assert_eq!(regex(os("kata(")).unwrap_err(), "expected a regular expression, such as kata.*: unclosed group");
        assert!(regex(os("")).is_err());
        assert_eq!(redaction(os(r"(?-u:\xff)a{2,3}")).unwrap(), r"(?-u:\xff)a{2,3}");
        assert!(redaction(os("a(")).unwrap_err().ends_with("such as tok_[0-9a-f]{16}: unclosed group"));
        for text in ["", "a*", "x|", "^"] {
            assert!(redaction(os(text)).unwrap_err().ends_with("an empty text"), "{text}");
        }
    }

    #[test]
    fn addresses_are_split_before_a_scheme() {
        assert_eq!(at_schemes("unix:/a,syslog+tcp://b:1,forward://c"), ["unix:/a", "syslog+tcp://b:1", "forward://c"]);
        assert_eq!(at_schemes("forward://u:pa,ss@h"), ["forward://u:pa,ss@h"]);
    }

    #[test]
    fn booleans_have_one_canonical_text() {
        for (text, value) in [("yes", "true"), ("1", "true"), ("OFF", "false"), ("false", "false")] {
            assert_eq!(canonical_boolean(text), value);
        }
        assert!(boolean(os("maybe")).is_err());
    }
}
