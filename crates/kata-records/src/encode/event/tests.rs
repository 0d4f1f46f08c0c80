use super::super::samples::{facts, field, text};
use super::*;
use crate::record::{Escaping, Text, Value};
use crate::schema::{Schema, Translator};
use crate::time::UtcTimestamp;

/// The time of receipt.
const RECEIVED: UnixTime = UnixTime { seconds: 7, nanos: 8 };

fn encoded(record: &mut Record<'_>) -> Vec<u8> {
    let mut events = Events::default();
    EventEncoder::new(None, 0).encode(record, RECEIVED, &mut events);
    assert_eq!(events.ends, [events.bytes.len()]);
    events.bytes
}

#[test]
fn an_event_is_a_time_and_a_map() {
    // The vector E1 of the protocol's specification, as an entry that passes unchanged.
    let mut record = Record {
        time: UtcTimestamp::parse(b"2020-02-21T10:31:27.810781647Z"),
        envelope: vec![
            field("kata_level", text(b"info", Escaping::Clean)),
            field("kata_msg", text(b"release sandbox", Escaping::Clean)),
        ],
        ..Record::default()
    };
    let expected =
        b"\x92\xd7\0\x5e\x4f\xb1\x7f\x30\x53\x8b\xcf\x82\xaakata_level\xa4info\xa8kata_msg\xafrelease sandbox";
    assert_eq!(encoded(&mut record), expected);
}

#[test]
fn times_that_the_protocol_has_not() {
    let time = |time: Option<&str>| {
        let bytes = encoded(&mut Record { facts: Some(facts(time.unwrap_or_default())), ..Record::default() });
        bytes[3..11].to_vec()
    };
    assert_eq!(time(None), [0, 0, 0, 7, 0, 0, 0, 8], "the time of receipt");
    assert_eq!(time(Some("1970-01-01T00:00:00.5Z")), [0, 0, 0, 7, 0, 0, 0, 8], "zero means that there is none");
    assert_eq!(time(Some("1969-12-31T00:00:00Z")), [0, 0, 0, 7, 0, 0, 0, 8]);
    assert_eq!(time(Some("1970-01-01T00:00:01Z")), [0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(time(Some("2106-02-07T06:28:13Z")), [255, 255, 255, 253, 0, 0, 0, 0]);
    assert_eq!(time(Some("2200-01-01T00:00:00.000000009Z")), [255, 255, 255, 253, 0, 0, 0, 9]);
}

#[test]
fn what_no_receiver_takes_is_shortened() {
    let long = "é".repeat(3 << 20).into_bytes();
    let escapes = r"\n".repeat(2 << 20).into_bytes();
    let list = [Text { bytes: &long, escaping: Escaping::Utf8 }, Text { bytes: b"x", escaping: Escaping::Clean }];
    let nested = [b"[\"".as_slice(), &long, b"\"]"].concat();
    let mut record = Record {
        envelope: vec![field("MESSAGE", text(&long, Escaping::Utf8)), field("LIST", Value::List(&list))],
        facts: Some(facts("2020-02-21T10:31:27Z")),
        payload: vec![
            field("kata_a", text(&escapes, Escaping::Go)),
            field("kata_b", Value::Nested(&nested)),
            field("kata_c", text(b"short", Escaping::Clean)),
        ],
        ..Record::default()
    };
    let bytes = encoded(&mut record);
    assert!(bytes.len() <= Events::LARGEST, "{}", bytes.len());
    let value = rmpv::decode::read_value(&mut bytes.as_slice()).unwrap();
    let record = &value[1];
    assert!(record["MESSAGE"].is_nil(), "the fields of the payload repeat it");
    assert_eq!(record["LIST"].as_array().unwrap().len(), 0);
    assert!(record["kata_a"].as_str().unwrap().bytes().all(|byte| byte == b'\n'), "no escape is cut in two");
    assert!(record["kata_b"].as_str().unwrap().len() > 1 << 20);
    assert_eq!(record["kata_c"].as_str(), Some("short"));
    assert_eq!(record["kata_flaws"][0].as_str(), Some("truncated"));
}

#[test]
fn a_long_text_fills_the_limit() {
    for (piece, count, escaping) in [
        ("x", 6_000_000, Escaping::Clean),
        ("é", 3_000_000, Escaping::Utf8),
        (r"\n\n\n some words", 500_000, Escaping::Go),
        (r"\u0041 and some words", 500_000, Escaping::Json),
    ] {
        let long = piece.repeat(count).into_bytes();
        let mut record = Record {
            facts: Some(facts("2020-02-21T10:31:27Z")),
            payload: vec![
                field("kata_msg", text(&long, escaping)),
                field("kata_short", text(b"short", Escaping::Clean)),
            ],
            ..Record::default()
        };
        let length = encoded(&mut record).len();
        assert!(length <= Events::LARGEST && length > Events::LARGEST - 32, "{piece:?}: {length}");
    }
}

#[test]
fn a_record_of_very_many_fields_is_shortened_too() {
    let value = vec![b'x'; 250];
    let fields = |kind: &str| {
        (0..20_000).map(|number| field(&format!("{kind}{number}"), text(&value, Escaping::Clean))).collect()
    };
    let mut record =
        Record { envelope: fields("F"), facts: Some(facts("")), payload: fields("kata_"), ..Record::default() };
    let bytes = encoded(&mut record);
    assert!(bytes.len() <= Events::LARGEST, "{}", bytes.len());
    let value = rmpv::decode::read_value(&mut bytes.as_slice()).unwrap();
    assert!(value[1]["F19999"].as_str().unwrap().len() > 64);
}

#[test]
fn tags_are_kept_apart_and_in_order() {
    let mut all = Vec::new();
    for (number, tag) in [(1, "a"), (2, "b"), (3, "a")] {
        let value = [b'0' + number];
        let mut record = Record { envelope: vec![field("n", text(&value, Escaping::Clean))], ..Record::default() };
        EventEncoder::new(None, 0).encode(&mut record, RECEIVED, Events::of_tag(&mut all, tag.as_bytes()));
    }
    assert_eq!(
        all.iter().map(|events| (events.tag.as_slice(), events.ends.len())).collect::<Vec<_>>(),
        [(&b"a"[..], 2), (b"b", 1)]
    );
    let mut window = all[1].clone();
    window.append(&all[0]);
    assert_eq!(window.ends, [16, 32, 48]);
    assert_eq!(window.bytes, [all[1].bytes.as_slice(), &all[0].bytes].concat());
    window.clear(0);
    assert!(window.is_empty() && window.tag == b"b");
}

#[test]
fn buffers_of_made_up_tags_are_not_kept() {
    let mut out = crate::encode::Encoded::default();
    (0..1000).for_each(|number| _ = Events::of_tag(&mut out.events, format!("tag{number}").as_bytes()));
    out.clear(1 << 20);
    assert!(out.events.len() < 100 && out.is_empty());
}

#[test]
fn what_is_shortened_says_so_in_every_schema() {
    let long = vec![b'x'; 6 << 20];
    let record = || Record {
        facts: Some(facts("2020-02-21T10:31:27Z")),
        payload: vec![field("kata_msg", text(&long, Escaping::Clean))],
        ..Record::default()
    };
    for (schema, flaws) in [(Schema::Kata, "kata_flaws"), (Schema::Ecs, "kata.flaws"), (Schema::Otel, "kata.flaws")] {
        let translator = (schema != Schema::Kata).then(|| Box::new(Translator::new(schema, &[], true)));
        let mut events = Events::default();
        EventEncoder::new(translator, 0).encode(&mut record(), RECEIVED, &mut events);
        assert!(events.bytes.len() <= Events::LARGEST);
        let event = rmpv::decode::read_value(&mut events.bytes.as_slice()).unwrap();
        let fields = event[1].as_map().unwrap();
        let found = fields.iter().find(|(name, _)| name.as_str() == Some(flaws)).unwrap();
        assert_eq!(found.1.to_string(), "[\"truncated\"]");
    }
}
