use proptest::prelude::*;

use super::*;

fn check(text: &str, wanted: Option<&str>) {
    let stamp = UtcTimestamp::parse(text.as_bytes());
    let found = stamp.as_ref().map(|stamp| String::from_utf8_lossy(stamp.as_bytes()).into_owned());
    assert_eq!(found.as_deref(), wanted, "{text}");
}

#[test]
fn every_layout_of_the_writers() {
    check("2021-10-07T22:40:26.3893577Z", Some("2021-10-07T22:40:26.389357700Z"));
    check("2019-04-17T17:12:12.17468+08:00", Some("2019-04-17T09:12:12.174680000Z"));
    check("2024-11-29T18:13:10.764041708Z", Some("2024-11-29T18:13:10.764041708Z"));
    check("2018-02-16T18:01:17Z", Some("2018-02-16T18:01:17.000000000Z"));
    check("2019-05-06 21:20:53.819796686Z", Some("2019-05-06T21:20:53.819796686Z"));
    check("2022-03-18T11:00:11.639487355+00:00", Some("2022-03-18T11:00:11.639487355Z"));
    check("2024-03-05T05:01:54+0100", Some("2024-03-05T04:01:54.000000000Z"));
}

#[test]
fn dates_turn_over_with_the_offset() {
    check("2024-03-01T00:30:00+01:00", Some("2024-02-29T23:30:00.000000000Z"));
    check("2023-12-31T23:59:59.9-00:01", Some("2024-01-01T00:00:59.900000000Z"));
    check("0000-01-01T00:00:00+00:01", None);
    check("9999-12-31T23:59:59-00:01", None);
}

#[test]
fn what_is_no_time_is_none() {
    for text in [
        "",
        "hello",
        "2021-13-01T00:00:00Z",
        "2021-02-29T00:00:00Z",
        "2021-02-28T24:00:00Z",
        "2021-02-28T00:60:00Z",
        "2021-02-28T00:00:61Z",
        "2021-02-28T00:00:00",
        "2021-02-28T00:00:00.Z",
        "2021-02-28T00:00:00.5",
        "2021-02-28T00:00:00+24:00",
        "2021-02-28T00:00:00Z ",
        "2021-05-17 19:43:30.651734009 -0700 PDT m=+0.142",
    ] {
        check(text, None);
    }
}

#[test]
fn any_other_byte_counts() {
    let layout = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt ]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)\.\d+(Z|z)$";
    let layout = regex::bytes::Regex::new(&format!("(?-u){layout}")).unwrap();
    let text = b"2021-10-07T22:40:26.389357700Z";
    for at in 0..text.len() {
        for byte in 0..=u8::MAX {
            let mut other = *text;
            other[at] = byte;
            let text = String::from_utf8_lossy(&other);
            assert_eq!(UtcTimestamp::parse(&other).is_some(), layout.is_match(&other), "{text:?}");
        }
    }
}

#[test]
fn a_leap_second_is_the_last_moment_before_it() {
    check("2016-12-31T23:59:60.5Z", Some("2016-12-31T23:59:59.999999999Z"));
    check("2017-01-01T07:59:60+08:00", Some("2016-12-31T23:59:59.999999999Z"));
}

#[test]
fn journald_counts_microseconds() {
    let stamp = UtcTimestamp::from_micros(1_582_281_087_810_805).unwrap();
    assert_eq!(stamp.as_bytes(), b"2020-02-21T10:31:27.810805000Z");
    assert_eq!(UtcTimestamp::from_micros(u64::MAX), None);
}

#[test]
fn every_year_of_four_digits_has_a_stamp() {
    for (seconds, text) in
        [(-62_167_219_200, b"0000-01-01T00:00:00.000000007Z"), (253_402_300_799, b"9999-12-31T23:59:59.000000007Z")]
    {
        assert_eq!(UtcTimestamp::from_unix(UnixTime { seconds, nanos: 7 }).unwrap().as_bytes(), text);
    }
    for seconds in [-62_167_219_201, 253_402_300_800, i64::MIN] {
        assert_eq!(UtcTimestamp::from_unix(UnixTime { seconds, nanos: 0 }), None);
    }
}

#[test]
fn seconds_since_1970() {
    for (text, seconds, nanos) in [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("2020-02-21T10:31:27.810781647Z", 1_582_281_087, 810_781_647),
        ("1969-12-31T23:59:59.5Z", -1, 500_000_000),
        ("2106-02-07T06:28:15Z", i64::from(u32::MAX), 0),
    ] {
        assert_eq!(UtcTimestamp::parse(text.as_bytes()).unwrap().unix(), Some(UnixTime { seconds, nanos }));
    }
}

proptest! {
    #[test]
    fn seconds_are_those_of_the_calendar(seconds in -62_135_596_800_i64..253_402_300_800) {
        let time = jiff::Timestamp::new(seconds, 0).unwrap();
        let stamp = UtcTimestamp::parse(time.to_string().as_bytes()).unwrap();
        prop_assert_eq!(stamp.unix(), Some(UnixTime { seconds, nanos: 0 }));
    }

    #[test]
    fn seconds_lead_back(seconds in -62_167_219_200_i64..253_402_300_800, nanos in 0_u32..1_000_000_000) {
        let time = UnixTime { seconds, nanos };
        let stamp = UtcTimestamp::from_unix(time).unwrap();
        prop_assert_eq!(stamp.unix(), Some(time));
        prop_assert_eq!(UtcTimestamp::parse(stamp.as_bytes()), Some(stamp));
    }

    #[test]
    fn moments_are_those_that_jiff_reads(
        (year, month, day) in (1_u16..9999, 1_u8..=12, 1_u8..=31),
        (hour, minute, second, fraction) in (0_u8..24, 0_u8..60, 0_u8..60, "|\\.[0-9]{1,9}"),
        zone in "Z|[+-](0[0-9]|1[0-9]|2[0-3]):[0-5][0-9]",
    ) {
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}");
        let stamp = UtcTimestamp::parse(text.as_bytes());
        let wanted: Option<Timestamp> = text.parse().ok();
        prop_assert_eq!(stamp.and_then(|stamp| stamp.timestamp()), wanted, "{}", text);
    }
}

#[test]
fn stamps_have_the_order_of_their_texts() {
    let texts = [
        "1999-12-31T23:59:59.999999999Z",
        "2024-03-05T05:01:54.163108184Z",
        "2024-03-05T05:01:54.163108185Z",
        "2024-03-05T05:11:54.000000000Z",
        "2024-03-05T15:01:54.000000000Z",
        "2124-03-05T05:01:54.000000000Z",
    ];
    let stamps = texts.map(|text| UtcTimestamp::parse(text.as_bytes()).unwrap());
    for (index, stamp) in stamps.iter().enumerate() {
        for (other, than) in stamps.iter().enumerate() {
            assert_eq!(stamp.cmp(than), index.cmp(&other), "{stamp:?} {than:?}");
        }
    }
}
