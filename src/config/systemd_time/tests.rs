use proptest::prelude::*;

use super::*;

/// Saturday, 2026-11-21 06:59:45.061036 in Central Europe.
const NOW: u64 = 1_795_240_785_061_036;

fn central_europe() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

/// Parses a time with two known zones, whether or not a zone database is installed.
fn parse_at_now(text: &str) -> Result<u64, TimeError> {
    let now = Timestamp::from_microsecond(NOW as i64).unwrap().to_zoned(central_europe());
    parse_with(text, &now, |name| match name {
        "Europe/Berlin" => Some(central_europe()),
        "Asia/Tokyo" => Some(TimeZone::fixed(jiff::tz::offset(9))),
        _ => None,
    })
}

#[test]
fn points_in_time_as_systemd_reads_them() {
    // Printed by `TZ=Europe/Berlin systemd-analyze timestamp` of systemd 252; the relative ones on that day.
    for (text, seconds) in [
        ("2024-03-05 10:11:12", "1709629872"),
        ("2024-03-05 10:11:12.5", "1709629872.500000"),
        ("2024-03-05 10:11:12.1234564", "1709629872.123456"),
        ("2024-03-05 10:11:12.1234565", "1709629872.123457"),
        ("2024-03-05 10:11", "1709629860"),
        ("2024-03-05", "1709593200"),
        ("24-03-05", "1709593200"),
        ("70-01-02", "82800"),
        ("2024-3-5 1:2:3", "1709596923"),
        ("10:11:12", "1795252272"),
        ("10:11:12.25", "1795252272.250000"),
        ("10:11", "1795252260"),
        ("Tue 2024-03-05", "1709593200"),
        ("tue 2024-03-05 10:11:12", "1709629872"),
        ("Tuesday 2024-03-05 10:11:12", "1709629872"),
        ("Mar 05 10:11:12", "1772701872"),
        ("Mar  5 10:11:12", "1772701872"),
        ("2024-03-05 10:11:12 UTC", "1709633472"),
        ("2024-03-05 10:11:12 utc", "1709633472"),
        ("2024-03-05 UTC", "1709596800"),
        ("10:11 UTC", "1795255860"),
        ("today UTC", "1795219200"),
        ("2024-07-01 12:00 CEST", "1719828000"),
        ("2024-01-01 12:00 CEST", "1704103200"),
        ("2024-03-31 02:30:00", "1711848600"),
        ("2024-10-27 02:30:00 CEST", "1729989000"),
        ("@1700000000", "1700000000"),
        ("@1700000000.123456", "1700000000.123456"),
        ("@1700000000.1234567", "1700000000.123456"),
        ("@0", "0"),
        ("1970-01-01 00:00:00 UTC", "0"),
        ("2024-03-05 23:59", "1709679540"),
        (" 2024-03-05\n", "1709593200"),
        ("2024-03-05  10:11:12", "1709629872"),
        ("yesterday", "1795129200"),
        ("today", "1795215600"),
        ("tomorrow", "1795302000"),
    ] {
        let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "000000"));
        let micros: u64 = format!("{whole}{fraction}").parse().unwrap();
        assert_eq!(parse_at_now(text), Ok(micros), "{text}");
    }
}

#[test]
fn what_systemd_252_does_not_read_or_reads_otherwise() {
    for (text, seconds) in [
        ("2024-03-05T10:11:12", 1_709_629_872),
        ("2024-03-05T10:11:12Z", 1_709_633_472),
        ("2024-03-05t10:11:12z", 1_709_633_472),
        ("2024-03-05T10:11:12+01:00", 1_709_629_872),
        ("2024-03-05 10:11:12-0530", 1_709_653_272),
        ("2024-03-05 10:11:12 +0100", 1_709_629_872),
        ("2024-03-05 10:11:12+01", 1_709_629_872),
        ("2024-03-05 -01:00", 1_709_600_400),
        ("2024-03-05 10:11:12 Europe/Berlin", 1_709_629_872),
        ("2024-03-05 10:11:12 Asia/Tokyo", 1_709_601_072),
        ("today Asia/Tokyo", 1_795_186_800),
        ("2024-07-01 12:00 CET", 1_719_831_600),
        ("2024-10-27 02:30:00 CET", 1_729_992_600),
        ("Tue, 2024-03-05", 1_709_593_200),
        ("yesterday 10:00", 1_795_165_200),
        // For an ambiguous time, systemd takes the second one in winter.
        ("2024-10-27 02:30:00", 1_729_989_000),
        // systemd takes the next minute.
        ("2024-03-05 23:59:60", 1_709_679_599),
    ] {
        assert_eq!(parse_at_now(text), Ok(seconds * 1_000_000), "{text}");
    }
    let nanoseconds = "2024-03-05T10:11:12.123456789Z";
    assert_eq!(parse_at_now(nanoseconds), Ok(1_709_633_472_123_457));
}

#[test]
fn times_from_now() {
    const SECOND: i64 = 1_000_000;
    for (text, micros) in [
        ("now", 0),
        ("-2h", -7200 * SECOND),
        ("+5min", 300 * SECOND),
        ("2 hours ago", -7200 * SECOND),
        ("1h30min ago", -5400 * SECOND),
        ("-1h 30min", -5400 * SECOND),
        ("-1.5h", -5400 * SECOND),
        ("-.5h", -1800 * SECOND),
        ("-5", -5 * SECOND),
        ("- 5", -5 * SECOND),
        ("5 ago", -5 * SECOND),
        ("-1M", -2_629_800 * SECOND),
        ("-1m", -60 * SECOND),
        ("-1y", -31_557_600 * SECOND),
        ("-1w", -604_800 * SECOND),
        ("-1d", -86_400 * SECOND),
        ("-1us", -1),
        ("-1\u{b5}s", -1),
        ("-1\u{3bc}s", -1),
        ("-1hr", -3600 * SECOND),
        ("5min left", 300 * SECOND),
        ("-1h1", -3601 * SECOND),
        ("-1h2.5s", -3_602_500_000),
        ("-1msec", -1000),
        ("-1hour5", -3605 * SECOND),
        // Forms that systemd rejects.
        ("2h", -7200 * SECOND),
        ("2 hours", -7200 * SECOND),
        ("1h30m", -5400 * SECOND),
        ("0.5s", -500_000),
        ("10mins", -600 * SECOND),
    ] {
        assert_eq!(parse_at_now(text), Ok(NOW.checked_add_signed(micros).unwrap()), "{text}");
    }
    for name in "us usec|ms msec|s sec secs second seconds|m min mins minute minutes|h hr hrs hour hours|d day days|\
                 w week weeks|M month months|y year years"
        .split('|')
    {
        let lengths: Vec<_> = name.split(' ').map(|name| parse_at_now(&format!("-1{name}")).unwrap()).collect();
        assert!(lengths.iter().all(|length| *length == lengths[0]), "{name}");
    }
}

#[test]
fn an_error_names_the_reason_or_the_forms() {
    for text in [
        "",
        "foo",
        "EST",
        "Tue",
        "-",
        "+",
        "ago",
        " ago",
        "@",
        "@-5",
        "@1h",
        "@.",
        "--1h",
        "-1h-1m",
        "-1.h",
        "-1.",
        "2024",
        "2024-",
        "2024-02-30",
        "2024-13-01",
        "2024-03-05 24:00:00",
        "2024-03-05 10:60",
        "2024-03-05 10:11:12.",
        "10:",
        "10:11:12:13",
        "2024-03-05T",
        "2024/03/05",
        "-1h, 5min",
        "next Tuesday",
        "Tue2024-03-05",
        "T10:11",
        "-P1D",
        "2024-03-05 10:11:12.5.5",
        "5:",
        ":",
        "\u{661}h",
        "-infinity",
        "1h ago ago",
    ] {
        let error = parse_at_now(text).unwrap_err();
        let named = matches!(error, TimeError::Form | TimeError::Number(_) | TimeError::Unit(_) | TimeError::Value(_));
        assert!(named, "{text}: {error}");
    }
    let message = |text: &str| parse_at_now(text).unwrap_err().to_string();
    for text in ["foo", "monday", "2024-03-05 10h"] {
        assert!(message(text).starts_with("expected a time such as `2024-03-05 10:11`, "), "{text}");
    }
    for (text, reason) in [
        ("2024-02-30", "there is no day 30 in month 2 of 2024"),
        ("2024-13-01", "there is no month 13; a date is written YEAR-MONTH-DAY, such as `2024-03-05`"),
        ("Tue 2024-13-01", "there is no month 13; a date is written YEAR-MONTH-DAY, such as `2024-03-05`"),
        ("2024/03/05", "a date is written YEAR-MONTH-DAY, such as `2024-03-05`"),
        ("05.03.2024 10:11", "a date is written YEAR-MONTH-DAY, such as `2024-03-05`"),
        ("05.03.2024", "a date is written YEAR-MONTH-DAY, such as `2024-03-05`"),
        ("2024-03-05 24:00:00", "there is no hour 24; the last is 23"),
        ("10:60", "there is no minute 60; the last is 59"),
        ("yesteday", "did you mean `yesterday`?"),
        ("Mon 2024-02-30", "there is no day 30 in month 2 of 2024"),
    ] {
        assert_eq!(message(text), reason, "{text}");
    }
    for text in ["5", "1700000000", "1h30"] {
        assert_eq!(parse_at_now(text), Err(TimeError::Number(text.to_owned())));
    }
    for (text, unit) in [("-1 fortnight", "fortnight"), ("2 Hours", "Hours"), ("12 Mar 2024", "Mar")] {
        assert_eq!(parse_at_now(text), Err(TimeError::Unit(unit.to_owned())));
    }
    assert!(message("2 Hours").contains("\"Hours\" is no unit of time; expected one of `us`, `ms`, `s`, `m`, `h`"));
    for (text, zone) in [
        ("2024-03-05 Mars/Phobos", "Mars/Phobos"),
        ("10:11 PM", "PM"),
        ("2024-03-05 10:11:12+1:2", "+1:2"),
        ("2024-03-05 10:11:12Zulu", "Zulu"),
        ("2024-03-05 10:11:12+99:00", "+99:00"),
    ] {
        assert_eq!(parse_at_now(text), Err(TimeError::Zone(zone.to_owned())));
    }
    assert!(
        message("2024-03-05 Mars/Phobos").contains("the time zone \"Mars/Phobos\" is not known here; expected `UTC`")
    );
    assert_eq!(message("Mon 2024-03-05"), "that day is a Tuesday; correct the day of the week or leave it out");
    assert!(message("Fri 10:11").contains("a Saturday"), "the day is today");
    for text in [
        "1969-12-31 23:59:59 UTC",
        "1970-01-01",
        "69-01-01",
        "9999-12-31 23:59:59",
        "-100y",
        "+9000y",
        "@99999999999999",
        "-99999999999999999999h",
        "-18446744073709551615us 1us",
        "-584542046091y",
        "@18446744073710",
    ] {
        assert_eq!(parse_at_now(text), Err(TimeError::Range));
    }
}

#[test]
fn the_database_of_the_system_is_asked() {
    let now = Timestamp::from_microsecond(NOW as i64).unwrap().to_zoned(TimeZone::UTC);
    assert_eq!(parse("2024-03-05 00:00", &now), Ok(1_709_596_800_000_000));
    assert!(matches!(parse("2024-03-05 Mars/Phobos", &now), Err(TimeError::Zone(_))));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "([-+@.:0-9 TZ]|now|today|ago|left|UTC|Mar|Tue|[a-zA-Z]|.){0,24}") {
        if let Err(error) = parse_at_now(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn what_jiff_prints_is_read_back(micros in 0..253_402_000_000_000_000_u64, hours in -12..=14_i8) {
        let moment = Timestamp::from_microsecond(micros as i64).unwrap();
        prop_assert_eq!(parse_at_now(&moment.to_string()), Ok(micros));
        let offset = jiff::tz::offset(hours);
        prop_assert_eq!(parse_at_now(&moment.display_with_offset(offset).to_string()), Ok(micros));
        let utc = moment.strftime("%a %Y-%m-%d %H:%M:%S%.f UTC").to_string();
        prop_assert_eq!(parse_at_now(&utc), Ok(micros));
        prop_assert_eq!(parse_at_now(&format!("@{}.{:06}", micros / 1_000_000, micros % 1_000_000)), Ok(micros));
    }
}
