//! Parses times as users write them, for `--since` and `--until`.
//!
//! The forms are those of `journalctl` (man page systemd.time(7), "Parsing Timestamps"; systemd: `src/basic/time-util.c`)
//! and of RFC 3339:
//!
//! | form | meaning |
//! |---|---|
//! | `2024-03-05 10:11:12.5`, `2024-03-05 10:11`, `2024-03-05` | a date with a time, by default midnight; `T` may replace the space |
//! | `Tue 2024-03-05` | a date with its day of the week, which must be right |
//! | `10:11:12`, `10:11` | a time of today |
//! | `Mar  5 10:11:12` | a date of this year, as syslog writes it |
//! | `yesterday`, `today`, `tomorrow` | midnight of that day |
//! | `… UTC`, `… Europe/Berlin`, `… CEST`, `…Z`, `…+02:00` | any of these in another zone; an abbreviation must belong to the local zone |
//! | `@1709633472.5` | seconds since 1970 |
//! | `now`, `-2h`, `2 hours ago`, `+1h 30min`, `5min left` | relative to now |
//! | `2h`, `1h30min` | a duration **ago**; journalctl refuses this form, but log tools read it so |
//!
//! Units of time are `us`, `ms`, `s`, `m`, `h`, `d`, `w`, `M`, `y` and their longer names. As in systemd, a day has 24 hours,
//! a month 30.44 days and a year 365.25 days. After a sign or before `ago`, a number without a unit counts seconds. A time
//! that the clock skips in spring is moved one hour later. A time that occurs twice in autumn is the first of the two. A
//! leap second is the second before it.

use jiff::civil::{Date, Time, Weekday};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit, Zoned};
use thiserror::Error;

/// The reason why a text is not a time. The message does not repeat the text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TimeError {
    /// The text has none of the forms.
    #[error(
        "expected a time such as `2024-03-05 10:11`, `10:11`, `yesterday`, `2h` (ago), `@1709633472` (seconds since 1970) \
         or RFC 3339"
    )]
    Form,
    /// The text looks like a time, but the calendar or the clock does not have it.
    #[error("{0}")]
    Value(String),
    /// The text ends in a number without a unit.
    #[error("a number needs a unit, as in `{0}min` (ago), or an `@` if it is seconds since 1970")]
    Number(String),
    /// The text has an unknown unit of time.
    #[error(
        "{0:?} is no unit of time; expected one of `us`, `ms`, `s`, `m`, `h`, `d`, `w`, `M` (months) and `y`, as in `1h30m`"
    )]
    Unit(String),
    /// The text has an unknown time zone.
    #[error(
        "the time zone {0:?} is not known here; expected `UTC`, an offset such as `+02:00`, or a name such as \
         `Europe/Berlin` if the database of time zones (tzdata) is installed"
    )]
    Zone(String),
    /// The day of the week does not match the date, which falls on this day.
    #[error("that day is a {0:?}; correct the day of the week or leave it out")]
    Weekday(Weekday),
    /// The time is before 1970 or after the year 9999.
    #[error("expected a time from 1970 to 9999")]
    Range,
}

/// Parses a time into microseconds since 1970. Relative times refer to `now`; times without a zone are in the zone of
/// `now`. Digits beyond the microsecond are rounded.
///
/// # Errors
///
/// Fails if the text has none of the forms above, or the time is out of range.
pub fn parse(text: &str, now: &Zoned) -> Result<u64, TimeError> {
    parse_with(text, now, |name| TimeZone::get(name).ok())
}

/// Parses a time as [`parse`] does, with the named zones from `zones`.
fn parse_with(text: &str, now: &Zoned, zones: impl Fn(&str) -> Option<TimeZone>) -> Result<u64, TimeError> {
    let text = text.trim();
    let of_span = |c: char| c.is_alphanumeric() || c == '.' || c == ' ';
    // Two dots between numbers are a date, as people write it in other countries.
    let is_span = |text: &str| text.chars().all(of_span) && date_numbers(text, '.').is_none();
    let present = u64::try_from(now.timestamp().as_microsecond()).map_err(|_| TimeError::Range)?;
    let micros = if text == "now" {
        Some(present)
    } else if let Some(seconds) = text.strip_prefix('@') {
        // Units here would mean a span since 1970, which nobody intends.
        let plain = seconds.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if plain { Some(parse_span(seconds, SECOND)?) } else { None }
    } else if let Some(text) = text.strip_prefix('-').or(text.strip_suffix(" ago")) {
        Some(present.checked_sub(parse_span(text, SECOND)?).ok_or(TimeError::Range)?)
    } else if let Some(text) = text.strip_prefix('+').or(text.strip_suffix(" left")) {
        Some(present.checked_add(parse_span(text, SECOND)?).ok_or(TimeError::Range)?)
    } else if text.starts_with(|c: char| c.is_ascii_digit()) && is_span(text) {
        Some(present.checked_sub(parse_span(text, None)?).ok_or(TimeError::Range)?)
    } else {
        Some(parse_calendar(text, now, zones)?)
    };
    let micros = micros.ok_or(TimeError::Form)?;
    let in_range = i64::try_from(micros).is_ok_and(|micros| Timestamp::from_microsecond(micros).is_ok());
    if in_range { Ok(micros) } else { Err(TimeError::Range) }
}

const SECOND: Option<u64> = Some(1_000_000);

/// Returns the length of a unit in microseconds.
fn unit_micros(name: &str) -> Option<u64> {
    Some(match name {
        "us" | "\u{b5}s" | "\u{3bc}s" | "usec" => 1,
        "ms" | "msec" => 1000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000_000,
        "d" | "day" | "days" => 86_400_000_000,
        "w" | "week" | "weeks" => 604_800_000_000,
        "M" | "month" | "months" => 2_629_800_000_000,
        "y" | "year" | "years" => 31_557_600_000_000,
        _ => return None,
    })
}

/// Parses a duration into microseconds, such as `90` (seconds), `500ms` or `1h 30min` (systemd.time(7)).
#[must_use]
pub fn parse_duration(text: &str) -> Option<u64> {
    parse_span(text, Some(1_000_000)).ok()
}

/// Parses a sum of numbers with units into microseconds. `default` is the unit of a number without one.
fn parse_span(text: &str, default: Option<u64>) -> Result<u64, TimeError> {
    let mut rest = text.trim_start();
    let mut total = 0_u64;
    if rest.is_empty() {
        return Err(TimeError::Form);
    }
    while !rest.is_empty() {
        let (whole, after) = split_while(rest, |c| c.is_ascii_digit());
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_while(after, |c| c.is_ascii_digit()),
            None => ("0", after),
        };
        if fraction.is_empty() || whole.is_empty() && !rest.starts_with('.') {
            return Err(TimeError::Form);
        }
        let (name, after) = split_while(after.trim_start(), char::is_alphabetic);
        let scale = match name {
            "" => default.ok_or_else(|| TimeError::Number(text.to_owned()))?,
            name => unit_micros(name).ok_or_else(|| TimeError::Unit(name.to_owned()))?,
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| TimeError::Range)? };
        let mut part = whole.checked_mul(scale);
        let mut scale = scale;
        for digit in fraction.bytes() {
            scale /= 10;
            part = part.and_then(|part| part.checked_add(scale * u64::from(digit - b'0')));
        }
        total = part.and_then(|part| total.checked_add(part)).ok_or(TimeError::Range)?;
        rest = after.trim_start();
    }
    Ok(total)
}

/// Splits a text after the leading characters that fit.
fn split_while(text: &str, fits: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !fits(c)).unwrap_or(text.len()))
}

/// Parses a date, a time or both, with an optional zone.
fn parse_calendar(text: &str, now: &Zoned, zones: impl Fn(&str) -> Option<TimeZone>) -> Result<u64, TimeError> {
    let (text, zone) = take_zone(text, now, zones)?;
    let today = now.with_time_zone(zone.clone()).date();
    let (weekday, text) = take_weekday(text);
    let (day, time) = match text.rsplit_once([' ', 'T', 't']) {
        Some((day, time)) if time.contains(':') => (day.trim_end(), Some(time)),
        _ if text.contains(':') => ("today", Some(text)),
        _ => (text, None),
    };
    let day = match day {
        "yesterday" => Some(today.yesterday().map_err(|_| TimeError::Range)?),
        "today" => Some(today),
        "tomorrow" => Some(today.tomorrow().map_err(|_| TimeError::Range)?),
        _ => parse_date(day, today.year()),
    };
    let day = day.ok_or_else(|| date_error(text))?;
    let time = time.map_or(Ok(Time::midnight()), parse_time)?;
    if weekday.is_some_and(|weekday| weekday != day.weekday()) {
        return Err(TimeError::Weekday(day.weekday()));
    }
    let micros = zone.to_timestamp(day.to_datetime(time)).and_then(|moment| moment.round(Unit::Microsecond));
    let micros = micros.map_err(|_| TimeError::Range)?.as_microsecond();
    u64::try_from(micros).map_err(|_| TimeError::Range)
}

/// Parses a date; `year` is the default. Two-digit years stand for 1969 to 2068, as in systemd.
fn parse_date(text: &str, year: i16) -> Option<Date> {
    let full = |format| BrokenDownTime::parse(format, text).ok()?.to_date().ok();
    full("%y-%m-%d").or_else(|| full("%Y-%m-%d")).or_else(|| {
        let parts = BrokenDownTime::parse("%b %d", text).ok()?;
        Date::new(year, parts.month()?, parts.day()?).ok()
    })
}

/// Parses a time of day.
fn parse_time(text: &str) -> Result<Time, TimeError> {
    let format = if text.matches(':').count() > 1 { "%H:%M:%S%.f" } else { "%H:%M" };
    let time = || BrokenDownTime::parse(format, text).ok()?.to_time().ok();
    time().ok_or_else(|| {
        let mut parts = text.split(':').zip([("hour", 23), ("minute", 59), ("second", 60)]);
        let beyond = |(part, (_, last)): &(&str, (&str, u32))| part.parse().is_ok_and(|number: u32| number > *last);
        match parts.find(beyond) {
            Some((number, (name, last))) => {
                TimeError::Value(format!("there is no {name} {number}; the last is {last}"))
            }
            None => TimeError::Form,
        }
    })
}

/// Returns the three numbers of a date with this separator.
fn date_numbers(text: &str, separator: char) -> Option<[u32; 3]> {
    let numbers: Vec<u32> = text.split(separator).map(|part| part.parse().ok()).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

/// Returns the reason why a text is no date.
fn date_error(text: &str) -> TimeError {
    const WRITTEN: &str = "a date is written YEAR-MONTH-DAY, such as `2024-03-05`";
    let day = text.split([' ', 'T']).next().unwrap_or_default();
    if ['/', '.'].iter().any(|separator| date_numbers(day, *separator).is_some()) {
        return TimeError::Value(WRITTEN.to_owned());
    }
    match date_numbers(day, '-') {
        Some([year, ..]) if year > 9999 => TimeError::Range,
        Some([_, month, _]) if !(1..=12).contains(&month) => {
            TimeError::Value(format!("there is no month {month}; {WRITTEN}"))
        }
        Some([year, month, day]) if parse_date(&format!("{year}-{month}-{day}"), 0).is_none() => {
            TimeError::Value(format!("there is no day {day} in month {month} of {year}"))
        }
        _ => {
            let is_close = |word: &&&str| strsim::jaro_winkler(text, word) > 0.9;
            let word = ["yesterday", "today", "tomorrow"].iter().find(is_close);
            word.map_or(TimeError::Form, |word| TimeError::Value(format!("did you mean `{word}`?")))
        }
    }
}

/// Splits off a leading day of the week.
fn take_weekday(text: &str) -> (Option<Weekday>, &str) {
    const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let (word, rest) = split_while(text, char::is_alphabetic);
    let rest = rest.strip_prefix(',').unwrap_or(rest);
    let named =
        |day: &&str| day.eq_ignore_ascii_case(word) || day.get(..3).is_some_and(|d| d.eq_ignore_ascii_case(word));
    match DAYS.iter().zip(1..).find(|(day, _)| named(day)) {
        Some((_, number)) if rest.starts_with(' ') => (Weekday::from_monday_one_offset(number).ok(), rest.trim_start()),
        _ => (None, text),
    }
}

/// Splits off a trailing zone; the zone of `now` is the default.
fn take_zone<'t>(
    text: &'t str,
    now: &Zoned,
    zones: impl Fn(&str) -> Option<TimeZone>,
) -> Result<(&'t str, TimeZone), TimeError> {
    if let Some((before, word)) = text.rsplit_once(' ')
        && let before = before.trim_end()
        && (before.contains(|c: char| c.is_ascii_digit()) || matches!(before, "yesterday" | "today" | "tomorrow"))
        && !word.starts_with(|c: char| c.is_ascii_digit())
    {
        let found = parse_offset(word).or_else(|| local_abbreviation(word, now)).or_else(|| zones(word));
        return found.map(|zone| (before, zone)).ok_or_else(|| TimeError::Zone(word.to_owned()));
    }
    // An offset directly after the time, where no hyphen of a date can be.
    if let Some(colon) = text.find(':') {
        let (_, time) = text.split_at(colon);
        if let Some(at) = time.find(['+', '-', 'Z', 'z']) {
            let (before, word) = text.split_at(colon + at);
            return parse_offset(word).map(|zone| (before, zone)).ok_or_else(|| TimeError::Zone(word.to_owned()));
        }
    }
    Ok((text, now.time_zone().clone()))
}

/// Parses a zone of the form `UTC`, `Z`, `+02:00`, `+0200` or `+02`.
fn parse_offset(word: &str) -> Option<TimeZone> {
    if word.eq_ignore_ascii_case("UTC") || word.eq_ignore_ascii_case("Z") {
        return Some(TimeZone::UTC);
    }
    let parts = ["%:z", "%z", "%:::z"].iter().find_map(|format| BrokenDownTime::parse(format, word).ok())?;
    Some(TimeZone::fixed(parts.offset()?))
}

/// Returns the zone of an abbreviation that the local zone uses or recently used, such as CET and CEST. The
/// abbreviation also applies to dates in the other half of the year.
fn local_abbreviation(word: &str, now: &Zoned) -> Option<TimeZone> {
    let zone = now.time_zone();
    let present = zone.to_offset_info(now.timestamp());
    if present.abbreviation().eq_ignore_ascii_case(word) {
        return Some(TimeZone::fixed(present.offset()));
    }
    let before =
        zone.preceding(now.timestamp()).take(2).find(|change| change.abbreviation().eq_ignore_ascii_case(word))?;
    Some(TimeZone::fixed(before.offset()))
}

#[cfg(test)]
mod tests;
