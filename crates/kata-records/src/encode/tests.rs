use super::samples::{self, field};
use super::*;
use crate::flaw::Flaw;
use crate::record::{Facts, Field, Level, OwnedKey};
use crate::time::UtcTimestamp;

fn facts(time: &str, level: Level) -> Facts {
    Facts { level: Some(level), ..samples::facts(time) }
}

/// Returns the record as a line of JSON.
fn line(translator: &mut Translator, record: &Record<'_>) -> String {
    let mut out = Vec::new();
    translator.translate(record, |record| {
        assert!(record.facts.is_none() && record.escaped.is_empty(), "the encoder has nothing left to name");
        Ndjson::default().encode(record, &mut out);
    });
    String::from_utf8(out).unwrap().trim_end().to_owned()
}

#[test]
fn each_level_has_its_number() {
    let mut translator = Translator::new(Schema::Otel, &[], false);
    for (level, number) in Level::ALL.iter().zip([1, 5, 9, 13, 17, 18]) {
        let record = Record { facts: Some(facts("1970-01-01T00:00:01.000000002Z", *level)), ..Record::default() };
        let expected = format!(
            r#"{{"Timestamp":1000000002,"SeverityText":"{}","SeverityNumber":{number},"kata.component":"runtime","kata.format":"logfmt","kata.origin":"host"}}"#,
            level.name()
        );
        assert_eq!(line(&mut translator, &record), expected);
    }
}

#[test]
fn moments_at_the_ends_of_what_a_number_holds() {
    let mut translator = Translator::new(Schema::Otel, &[], false);
    let mut first = |time: &str| {
        let record = Record { time: UtcTimestamp::parse(time.as_bytes()), ..Record::default() };
        line(&mut translator, &record)
    };
    assert_eq!(first("2262-04-11T23:47:16.854775807Z"), r#"{"Timestamp":9223372036854775807}"#);
    assert_eq!(first("2262-04-11T23:47:16.854775808Z"), r#"{"kata.time":"2262-04-11T23:47:16.854775808Z"}"#);
    assert_eq!(first("1969-12-31T23:59:59.5Z"), r#"{"Timestamp":-500000000}"#);
    assert_eq!(first("0000-01-01T00:00:00Z"), r#"{"kata.time":"0000-01-01T00:00:00.000000000Z"}"#);
}

#[test]
fn the_message_of_an_event_is_what_receivers_take_for_the_body() {
    let record = Record {
        facts: Some(facts("2020-01-01T00:00:00Z", Level::Info)),
        payload: vec![field("kata_msg", "hello")],
        ..Record::default()
    };
    let named = |schema, for_events| line(&mut Translator::new(schema, &[], for_events), &record);
    assert!(named(Schema::Otel, false).contains(r#""Body":"hello""#));
    assert!(named(Schema::Otel, true).contains(r#""message":"hello""#));
    assert_eq!(named(Schema::Ecs, true), named(Schema::Ecs, false));
}

#[test]
fn the_schema_holds_for_all_formats_of_records() {
    let written = |format, schema| {
        let settings = EncodeSettings { format, schema, ..EncodeSettings::default() };
        let mut encoder = Encoder::new(&settings, &OwnNames::default());
        let mut record = Record {
            tag: b"t",
            facts: Some(facts("2020-01-01T00:00:00Z", Level::Info)),
            payload: vec![field("kata_msg", "hello")],
            ..Record::default()
        };
        let mut out = Encoded::default();
        encoder.begin();
        encoder.encode(&mut record, &mut out);
        assert!(record.facts.is_some(), "the counters want to know");
        let events = out.events.iter().flat_map(|events| &events.bytes);
        String::from_utf8_lossy(&out.bytes.iter().chain(events).copied().collect::<Vec<u8>>()).into_owned()
    };
    for (format, body) in [(Format::Ndjson, "Body"), (Format::Msgpack, "Body"), (Format::Event, "message")] {
        let out = written(format, Schema::Otel);
        assert!(out.contains(body) && out.contains("SeverityNumber") && !out.contains("kata_"), "{out}");
        assert!(written(format, Schema::Ecs).contains("ecs.version"));
        assert!(written(format, Schema::Kata).contains("kata_msg"));
    }
}

#[test]
fn users_names_stand_as_they_were_given() {
    let users = ["event.id".to_owned(), "tag".to_owned()];
    let mut translator = Translator::new(Schema::Ecs, &users, false);
    let record = Record {
        envelope: vec![field("event_id", "1"), field("tag", "t"), field("__CURSOR", "c"), field("event_id_2", "x")],
        ..Record::default()
    };
    assert_eq!(
        line(&mut translator, &record),
        r#"{"event.id":"1","tag":"t","ecs.version":"8.17.0","journald.__CURSOR":"c","journald.event_id_2":"x"}"#
    );
}

#[test]
fn fields_of_a_batch_are_written_once_under_their_names() {
    let mut translator = Translator::new(Schema::Ecs, &[], false);
    let mut encoder = Ndjson::default();
    encoder.begin();
    let shared = |name, text: &'static str, number| Field { number, ..field(name, text) };
    let envelope = vec![shared("_UID", "0", 1), shared("PRIORITY", "6", 2), shared("MESSAGE", "m", 3)];
    let mut out = Vec::new();
    for facts in [Some(facts("2020-01-01T00:00:00Z", Level::Info)), None, None] {
        let record = Record { envelope: envelope.clone(), facts, ..Record::default() };
        translator.translate(&record, |record| encoder.encode(record, &mut out));
    }
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"@timestamp":"2020-01-01T00:00:00.000000000Z","log.level":"info","ecs.version":"8.17.0","journald._UID":"0","log.syslog.severity.code":6,"event.original":"m","kata.component":"runtime","kata.format":"logfmt","kata.origin":"host"}
{"ecs.version":"8.17.0","journald._UID":"0","log.syslog.severity.code":6,"message":"m"}
{"ecs.version":"8.17.0","journald._UID":"0","log.syslog.severity.code":6,"message":"m"}
"#
    );
}

#[test]
fn the_steady_state_allocates_nothing() {
    let mut facts = facts("2020-01-01T00:00:00Z", Level::Info);
    facts.flaws.add(Flaw::BadKey);
    let record = Record {
        envelope: vec![field("_HOSTNAME", "h"), field("PRIORITY", "6"), field("MESSAGE", "m"), field("UNKNOWN", "u")],
        facts: Some(facts),
        payload: vec![field("kata_msg", "m"), field("kata_source", "s"), field("kata_unknown", "u")],
        escaped: vec![OwnedKey::new("UNKNOWN").leaked()],
        ..Record::default()
    };
    for schema in [Schema::Ecs, Schema::Otel] {
        let mut translator = Translator::new(schema, &[], false);
        translator.translate(&record, |_| {});
        let counted = allocation_counter::measure(|| translator.translate(&record, |_| {}));
        assert_eq!(counted.count_total, 0);
    }
}
