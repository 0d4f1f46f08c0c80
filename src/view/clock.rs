//! The times of the view: local time, the time since the record before, and the heading with date, zone and host.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The times of records.
#[derive(Debug)]
pub(super) struct Clock {
    zone: TimeZone,
    /// The time of the last record with a time.
    previous: Option<Timestamp>,
}

/// The time of a record, in parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    /// The date; empty if the time is unknown.
    pub(super) date: String,
    /// The time of day with milliseconds.
    pub(super) time: String,
    /// The time since the record before; empty for the first one.
    pub(super) gap: String,
    /// The zone.
    pub(super) zone: String,
}

impl Clock {
    /// Returns a clock that shows times in this zone.
    pub(super) fn new(zone: TimeZone) -> Clock {
        Clock { zone, previous: None }
    }

    /// Forgets the record before.
    pub(super) fn restart(&mut self) {
        self.previous = None;
    }

    /// Returns a span of time: its first and its last moment, with their dates if they differ, and its length.
    pub(super) fn span(&self, from: Timestamp, to: Timestamp) -> String {
        let [first, last] = [from, to].map(|moment| self.zone.to_offset(moment).to_datetime(moment));
        let length = distance(to.duration_since(from));
        if first.date() == last.date() {
            return format!("{:.3}..{:.3} {length}", first.time(), last.time());
        }
        format!("{} {:.3}..{} {:.3} {length}", first.date(), first.time(), last.date(), last.time())
    }

    /// Returns the parts of a time, and remembers it.
    pub(super) fn read(&mut self, now: Option<Timestamp>) -> Moment {
        let Some(now) = now else { return Moment::default() };
        let gap = self.previous.map(|previous| distance(now.duration_since(previous))).unwrap_or_default();
        self.previous = Some(now);
        let offset = self.zone.to_offset_info(now);
        let local = offset.offset().to_datetime(now);
        let abbreviation = offset.abbreviation();
        let zone = match (abbreviation, abbreviation.chars().all(char::is_alphabetic)) {
            ("UTC", _) => "UTC".to_owned(),
            (name, true) => format!("{name} (UTC{})", offset.offset()),
            (_, false) => format!("UTC{}", offset.offset()),
        };
        Moment { date: local.date().to_string(), time: format!("{:.3}", local.time()), gap, zone }
    }
}

/// Formats a duration in at most seven characters.
fn distance(span: SignedDuration) -> String {
    let sign = if span.is_negative() { '-' } else { '+' };
    let span = span.unsigned_abs();
    let (seconds, millis) = (span.as_secs(), span.subsec_millis());
    match seconds {
        0..10 => format!("{sign}{seconds}.{millis:03}"),
        10..60 => format!("{sign}{seconds}.{}s", millis / 100),
        60..3_600 => format!("{sign}{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{sign}{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{sign}{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_short() {
        for (millis, expected) in [
            (12, "+0.012"),
            (-12, "-0.012"),
            (9_999, "+9.999"),
            (12_345, "+12.3s"),
            (192_000, "+3m12s"),
            (18_180_000, "+5h03m"),
            (86_400_000 * 3, "+3d"),
        ] {
            assert_eq!(distance(SignedDuration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn a_span_has_dates_if_they_differ() {
        let span = |from: &str, to: &str| Clock::new(TimeZone::UTC).span(from.parse().unwrap(), to.parse().unwrap());
        assert_eq!(span("2024-03-05T05:00:00Z", "2024-03-05T05:00:01.56Z"), "05:00:00.000..05:00:01.560 +1.560");
        let days = "2024-03-05 23:59:59.000..2024-03-06 00:00:01.000 +2.000";
        assert_eq!(span("2024-03-05T23:59:59Z", "2024-03-06T00:00:01Z"), days);
    }

    #[test]
    fn the_zone_has_its_name_and_its_distance() {
        let at = |zone| Clock::new(zone).read("2024-03-05T23:30:00.1239Z".parse().ok());
        let utc = at(TimeZone::UTC);
        assert_eq!((utc.date.as_str(), utc.time.as_str(), utc.zone.as_str()), ("2024-03-05", "23:30:00.123", "UTC"));
        let berlin = at(TimeZone::get("Europe/Berlin").unwrap());
        assert_eq!((berlin.date.as_str(), berlin.zone.as_str()), ("2024-03-06", "CET (UTC+01)"));
        assert_eq!(at(TimeZone::fixed(jiff::tz::offset(-3))).zone, "UTC-03");
        assert_eq!(Clock::new(TimeZone::UTC).read(None), Moment::default());
    }
}
