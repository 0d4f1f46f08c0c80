//! The other schemas: every record matches its JSON Schema and its index template, loses nothing, and has the host's
//! names only from the host.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jsonschema::Validator;
use kata_records::{Definition, EncodeSettings, Schema, Settings};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::guest::{JOURNAL, Route, SANDBOX, hostile, route};
use super::{INPUTS, cases, files, input, kind};
use crate::support::pipeline::{Cuts, Record, Setup, records};

/// A schema, the setup that writes its records, and their validator.
struct Case {
    schema: Schema,
    setup: Setup,
    validator: Validator,
}

fn definition(definition: Definition, schema: Schema) -> Value {
    let encode = EncodeSettings { schema, ..EncodeSettings::default() };
    serde_json::from_str(&definition.of(&Settings { encode, tag_key: Some("tag".to_owned()), ..Settings::default() }))
        .unwrap()
}

static CASES: LazyLock<[Case; 3]> = LazyLock::new(|| {
    [(Schema::Kata, "kata"), (Schema::Ecs, "ecs"), (Schema::Otel, "otel")].map(|(schema, name)| {
        let options = jsonschema::options().should_validate_formats(true);
        Case {
            schema,
            setup: Setup::new(&["--others=pass", "--tag-key=tag", "--drop=!__*", "--schema", name]),
            validator: options.build(&definition(Definition::JsonSchema, schema)).unwrap(),
        }
    })
});

/// Returns every available input, name and content.
fn everything() -> Vec<(String, Vec<u8>)> {
    let cases = files("fixtures/cases").into_iter();
    let cases = cases.filter(|(path, _)| path.file_name().unwrap().to_str().unwrap().starts_with("input"));
    INPUTS.iter().cloned().chain(cases).map(|(path, content)| (path.display().to_string(), content)).collect()
}

impl Case {
    /// Returns the records of an input, each of which must be valid.
    fn records(&self, bytes: &[u8]) -> Vec<Record> {
        let out = self.setup.run(bytes, &Cuts::whole()).bytes;
        for line in out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let record: Value = serde_json::from_slice(line).unwrap();
            let wrong: Vec<String> =
                self.validator.iter_errors(&record).map(|error| format!("{} {error}", error.instance_path())).collect();
            assert!(wrong.is_empty(), "{:?}: {record}\n{}", self.schema, wrong.join("\n"));
        }
        records(&out)
    }
}

#[test]
fn fixtures_are_valid_and_a_key_has_one_type() {
    let inputs = everything();
    assert!(inputs.len() > 200);
    for case in &*CASES {
        let mut types: BTreeMap<String, (&str, String)> = BTreeMap::new();
        for (name, content) in &inputs {
            for (key, value) in case.records(content).iter().flat_map(|record| &record.0) {
                let known = types.entry(key.clone()).or_insert_with(|| (kind(value), name.clone()));
                assert_eq!(known.0, kind(value), "{:?}: {key} in {} and in {name}", case.schema, known.1);
            }
        }
        assert!(types.len() > 100);
        if case.schema == Schema::Kata {
            continue;
        }
        // To a store, a name with a dot is an object with a field, and no object is also a value.
        for key in types.keys() {
            let mut object = key.as_str();
            while let Some((outer, _)) = object.rsplit_once('.') {
                assert!(!types.contains_key(outer), "{key} and {outer}");
                object = outer;
            }
        }
    }
}

#[test]
fn other_names_lose_nothing() {
    for (name, content) in everything() {
        let [kata, others @ ..] = &*CASES;
        let wanted = kata.records(&content);
        for case in others {
            let found = case.records(&content);
            assert_eq!(found.len(), wanted.len(), "{name}");
            for (kata, other) in wanted.iter().zip(found) {
                loses_nothing(kata, &other, &name);
            }
        }
    }
}

/// Checks that each value of a record is in the other one, as text. Times, which have another form, and names are
/// excluded.
fn loses_nothing(kata: &Record, other: &Record, name: &str) {
    let text_of = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut there: Vec<String> = other.0.iter().map(|(_, value)| text_of(value)).collect();
    for (key, value) in &kata.0 {
        if !matches!(key.as_str(), "kata_time" | "__REALTIME_TIMESTAMP" | "time" | "kata_escaped" | "kata_redacted") {
            let place = there.iter().position(|text| *text == text_of(value));
            let place = place.unwrap_or_else(|| panic!("{name}: {key} {value} is not in {other:?}"));
            there.swap_remove(place);
        }
    }
}

#[test]
fn what_is_not_of_its_type_is_refused() {
    let records: [fn() -> Value; 3] = [
        || json!({ "kata_component": "agent", "kata_pid": 1, "kata_level": "info", "kata_flaws": ["bad-key"], "X": "y" }),
        || json!({ "ecs.version": "8", "process.pid": 1, "log.level": "info", "kata.flaws": ["bad-key"], "kata.x": "y" }),
        || json!({ "Timestamp": 1, "process.pid": 1, "SeverityText": "info", "kata.flaws": ["bad-key"], "kata.x": "y" }),
    ];
    let wrong: [&[(&str, Value)]; 3] = [
        &[
            ("kata_pid", json!("1")),
            ("kata_pid", json!(-1)),
            ("kata_level", json!("INFO")),
            ("kata_component", json!("host")),
            ("kata_flaws", json!("bad-key")),
            ("kata_flaws", json!(["none"])),
            ("kata_guest", json!("true")),
            ("kata_time", json!("2020-01-01T00:00:00Z")),
            ("kata_unknown", json!(1)),
            ("kata_unknown", json!({ "a": 1 })),
            ("_PID", json!(1)),
        ],
        &[
            ("@timestamp", json!("2020-02-31T00:00:00.000000000Z")),
            ("@timestamp", json!(1)),
            ("process.pid", json!("1")),
            ("host.name", json!(1)),
            ("kata.unknown", json!(true)),
            ("journald.PRIORITY", json!(1)),
            ("log.syslog.severity.code", json!("6")),
            ("kata_pid", json!("1")),
            ("another", json!("1")),
            ("kata.a.b", json!("1")),
        ],
        &[
            ("Timestamp", json!("2020-01-01T00:00:00.000000000Z")),
            ("SeverityNumber", json!("9")),
            ("Body", json!(1)),
            ("message", json!("1")),
            ("kata.sandbox", json!({ "id": "1" })),
        ],
    ];
    for ((case, record), wrong) in CASES.iter().zip(records).zip(wrong) {
        assert!(case.validator.is_valid(&record()), "{:?}", case.schema);
        for (key, value) in wrong {
            let mut record = record();
            record[key] = value.clone();
            assert!(!case.validator.is_valid(&record), "{:?}: {key} {value}", case.schema);
        }
    }
    assert!(!CASES[1].validator.is_valid(&json!({})), "ecs.version has to be there");
}

/// Collects the fields of an index template, by their dotted names.
fn mapped(properties: &Value, prefix: &str, fields: &mut BTreeMap<String, Value>) {
    for (name, mapping) in properties.as_object().unwrap() {
        let name = format!("{prefix}{name}");
        match mapping.get("properties") {
            Some(inside) => {
                assert_eq!(mapping.as_object().unwrap().len(), 1, "{name} is an object");
                mapped(inside, &format!("{name}."), fields);
            }
            None => _ = fields.insert(name, mapping.clone()),
        }
    }
}

#[test]
fn index_templates_agree_with_the_json_schema() {
    for schema in [Schema::Kata, Schema::Ecs, Schema::Otel] {
        let wanted = definition(Definition::JsonSchema, schema);
        let wanted = wanted["properties"].as_object().unwrap();
        for store in [Definition::Elasticsearch, Definition::Opensearch] {
            let template = definition(store, schema);
            let mut fields = BTreeMap::new();
            mapped(&template["template"]["mappings"]["properties"], "", &mut fields);
            let time = fields.remove("@timestamp").unwrap();
            assert_eq!(time["type"], "date_nanos");
            if wanted.contains_key("@timestamp") {
                fields.insert("@timestamp".to_owned(), time);
            }
            assert_eq!(fields.keys().collect::<BTreeSet<_>>(), wanted.keys().collect::<BTreeSet<_>>());
            for (name, mapping) in &fields {
                let value = &wanted[name];
                let types = match mapping["type"].as_str().unwrap() {
                    "long" => vec!["integer"],
                    "boolean" => vec!["boolean"],
                    "date_nanos" => vec!["string"],
                    "keyword" | "text" | "match_only_text" => vec!["string", "array"],
                    other => panic!("{name}: {other}"),
                };
                let stated = value["type"].as_array().cloned().unwrap_or_else(|| vec![value["type"].clone()]);
                assert!(stated.iter().all(|name| types.contains(&name.as_str().unwrap())), "{name}: {mapping} {value}");
                assert_eq!(mapping["type"] == "date_nanos", value["format"] == "date-time", "{name}");
                // A keyword without a limit would make the store reject long records.
                let is_searched = mapping["type"] == "keyword" && mapping["index"] != false;
                assert_eq!(mapping["ignore_above"].is_number(), is_searched, "{name}: {mapping}");
            }
            let limit = template["template"]["settings"]["index"]["mapping"]["total_fields"]["limit"].as_u64().unwrap();
            assert!(limit as usize > 2 * fields.len(), "{} fields of {limit}", fields.len());
        }
    }
}

#[test]
fn templates_have_what_their_stores_know() {
    for schema in [Schema::Kata, Schema::Ecs, Schema::Otel] {
        let [elasticsearch, opensearch] =
            [Definition::Elasticsearch, Definition::Opensearch].map(|store| definition(store, schema).to_string());
        for (word, also) in [
            ("match_only_text", false),
            ("ignore_dynamic_beyond_limit", false),
            ("date_nanos", true),
            ("\"kata-*\"", true),
        ] {
            assert!(elasticsearch.contains(word), "{word}");
            assert_eq!(opensearch.contains(word), also, "{word}");
        }
        assert_eq!(elasticsearch.contains("\"flattened\""), schema == Schema::Kata);
        assert_eq!(opensearch.contains("\"flat_object\""), schema == Schema::Kata);
        assert!(!opensearch.contains("\"flattened\""));
    }
}

/// Returns the names that a guest's entry has from the host, each with its value, or `None` for any text.
fn host(case: &Case, identity: bool) -> BTreeMap<&'static str, Option<Value>> {
    let texts = |names: &[(&'static str, &str)]| {
        names.iter().map(|(name, text)| (*name, Some(Value::from(*text)))).collect::<Vec<_>>()
    };
    let mut host = BTreeMap::from([("tag", None), ("ecs.version", None)]);
    let (sandbox, mut fields) = match case.schema {
        Schema::Ecs => {
            host.insert("@timestamp", Some("2024-03-05T05:01:54.811777275Z".into()));
            host.insert("log.syslog.severity.code", Some(7.into()));
            host.insert("event.original", None);
            let names = [("host.name", "node1"), ("host.hostname", "node1"), ("log.syslog.appname", "kata")];
            ("labels.kata_sandbox", texts(&names))
        }
        _ => {
            host.insert("Timestamp", Some(1_709_614_914_811_777_275_i64.into()));
            host.insert("syslog.severity.code", Some(7.into()));
            host.insert("log.record.original", None);
            ("kata.sandbox.id", texts(&[("host.name", "node1"), ("syslog.appname", "kata")]))
        }
    };
    fields.extend(texts(&[("journald._PID", "4711"), ("journald._TRANSPORT", "syslog")]));
    host.extend(fields);
    if identity {
        host.insert(sandbox, Some(SANDBOX.into()));
        host.insert("process.pid", Some(4711.into()));
    }
    host
}

/// Names whose values come from the writer of the message, host or guest.
const CONTENT: &[&str] = &[
    "message",
    "log.level",
    "log.logger",
    "error.message",
    "Body",
    "SeverityText",
    "SeverityNumber",
    "otel.scope.name",
    "exception.message",
];

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn any_bytes_become_valid_records(bytes in input()) {
        let [kata, others @ ..] = &*CASES;
        let wanted = kata.records(&bytes);
        for case in others {
            let found = case.records(&bytes);
            prop_assert_eq!(found.len(), wanted.len());
            for (kata, other) in wanted.iter().zip(&found) {
                loses_nothing(kata, other, "made up");
            }
        }
    }

    #[test]
    fn the_guest_does_not_take_the_hosts_names(route in route(), line in hostile(), identity in any::<bool>()) {
        let entry = route.entry(&line, identity);
        for case in &CASES[1..] {
            let records = case.records(&entry);
            let shown = || format!("{}\n{records:?}", String::from_utf8_lossy(&entry));
            prop_assert_eq!(records.len(), 1, "{}", shown());
            prop_assert_eq!(records[0].get("kata.guest"), Some(&Value::Bool(true)), "{}", shown());
            let host = host(case, identity);
            for (key, value) in &records[0].0 {
                if let Some(text_of) = host.get(key.as_str()) {
                    prop_assert!(text_of.as_ref().is_none_or(|text_of| text_of == value), "{key}: {}", shown());
                } else if key == "service.name" {
                    prop_assert_eq!(value, "kata-agent", "{}", shown());
                } else {
                    let is_own = key.strip_prefix("kata.").is_some_and(|name| !name.contains('.'));
                    prop_assert!(is_own || CONTENT.contains(&key.as_str()), "{key}: {}", shown());
                }
            }
            let wanted = matches!(route, Route::Journal).then_some(JOURNAL.len()).unwrap_or_default();
            let found = host.keys().filter(|key| JOURNAL_NAMES.contains(key) && records[0].get(key).is_some()).count();
            prop_assert_eq!(found, wanted, "{}", shown());
        }
    }
}

/// The names of the journal's fields in a guest's entry.
const JOURNAL_NAMES: &[&str] = &[
    "host.name",
    "log.syslog.appname",
    "syslog.appname",
    "log.syslog.severity.code",
    "syslog.severity.code",
    "journald._PID",
    "journald._TRANSPORT",
];
