//! Keys and values: each is preserved, and none changes the type of another field.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use kata_records::Reference;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::guest::Route;
use super::{DEFAULT, cases, kind, quote, value};
use crate::support::pipeline::Setup;

/// Damage may turn any key into one of these, whose values are pruned by default.
static UNPRUNED: LazyLock<Setup> = LazyLock::new(|| Setup::new(&["--prune=!req,!resp,!body,!GrpcVM"]));

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn logfmt_keeps_every_value(msg in value(), values in vec(value(), 0..6), bare in any::<bool>()) {
        let mut line = b"time=\"2024-03-05T08:01:54.811777275+03:00\" level=info msg=".to_vec();
        let write = if bare { quote::value } else { quote::quoted };
        write(&msg, &mut line);
        for (number, value) in values.iter().enumerate() {
            line.extend_from_slice(format!(" k{number}=").as_bytes());
            write(value, &mut line);
        }
        line.push(b'\n');
        let records = DEFAULT.records(&line);
        prop_assert_eq!(records.len(), 1);
        let record = &records[0];
        let lossy = String::from_utf8_lossy(&line);
        prop_assert_eq!(record.text("kata_time"), Some("2024-03-05T05:01:54.811777275Z"));
        prop_assert_eq!(record.text("kata_level"), Some("info"));
        prop_assert_eq!(record.bytes("kata_msg"), Some(msg), "{}", lossy);
        for (number, value) in values.into_iter().enumerate() {
            prop_assert_eq!(record.bytes(&format!("kata_k{number}")), Some(value), "{}", lossy);
        }
    }

    #[test]
    fn bare_values_stay_whatever_their_keys_and_neighbours(
        pairs in vec((bare_key(), "[a-z0-9./@^+_-]{1,12}"), 1..12),
        damage in prop::option::of((any::<usize>(), prop::sample::select(b"=\" \\%\xff\x07".to_vec()))),
    ) {
        let mut line = b"time=\"2024-03-05T05:01:54Z\"".to_vec();
        for (key, value) in &pairs {
            line.extend_from_slice(format!(" {key}={value}").as_bytes());
        }
        let mut lost = Vec::new();
        if let Some((at, byte)) = damage {
            let at = 28 + at % (line.len() - 28);
            lost = line.splice(at..at, [byte]).collect();
        }
        prop_assert!(lost.is_empty());
        let records = UNPRUNED.records(&line);
        prop_assert_eq!(records.len(), 1);
        let text: String = records[0].0.iter().map(|(key, value)| format!("{key} {}\n", flat(value))).collect();
        // Removes all characters that the record may insert between the two parts of a cut word.
        let squeezed = |text: &str| -> String { text.chars().filter(|char| char.is_ascii_alphanumeric()).collect() };
        for (key, value) in &pairs {
            let found = text.contains(value.as_str()) || damage.is_some() && in_parts(&squeezed(&text), &squeezed(value));
            prop_assert!(found, "{key}={value} is lost: {} -> {text}", String::from_utf8_lossy(&line));
        }
    }

    #[test]
    fn no_key_and_no_value_changes_the_type_of_a_field(
        pairs in vec((odd_key(), typed_value()), 1..8),
        form in prop::sample::select(vec![Form::Logfmt, Form::Json, Form::Console, Form::Journal]),
    ) {
        static TYPES: LazyLock<Mutex<BTreeMap<String, (&str, String)>>> = LazyLock::new(Mutex::default);
        let line = form.line(&pairs);
        let mut types = TYPES.lock().unwrap();
        for record in DEFAULT.records(&line) {
            for (key, value) in &record.0 {
                let line = String::from_utf8_lossy(&line).into_owned();
                let found = (kind(value), line.clone());
                let known = types.entry(key.clone()).or_insert(found);
                prop_assert_eq!(known.0, kind(value), "{} in {} and in {}", key, known.1, line);
            }
        }
    }
}

fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(elements) => elements.iter().map(flat).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    }
}

/// Returns true if the text contains `word`, or the two parts that one inserted byte leaves.
fn in_parts(text: &str, word: &str) -> bool {
    (0..=word.len()).any(|at| {
        let (head, tail) = word.split_at(at);
        text.contains(head) && text.contains(tail)
    })
}

/// Generates keys of the dictionary and others, except time and level, whose values are written in another form, and
/// pruned keys.
fn bare_key() -> impl Strategy<Value = String> {
    let defaults: toml::Table = katalog::config::DEFAULT.parse().unwrap();
    let pruned = defaults["prune"].as_array().unwrap();
    let known: Vec<String> = Reference::keys()
        .filter(|[_, name, _]| !matches!(*name, "time" | "level"))
        .map(|[key, ..]| key.to_owned())
        .filter(|key| !pruned.iter().any(|pattern| pattern.as_str() == Some(key)))
        .collect();
    prop_oneof![3 => prop::sample::select(known), 1 => "k[a-z-]{0,8}", 1 => "(host|guest|kata)_(msg|pid|time)"]
}

/// Generates a key of the dictionary, or a key that may become the name of another.
fn odd_key() -> impl Strategy<Value = String> {
    let known: Vec<&str> = Reference::keys().flat_map(|[key, name, _]| [key, name]).collect();
    let head = prop::sample::select(vec!["", "", "", "", "host_", "guest_", "fields_", "kata_", "field_"]);
    let tail = prop::sample::select(vec!["", "", "", "", "_2", "_ns", "_ns_2", "_text", "_text_2", "."]);
    let spare = prop::sample::select(vec!['_', '_', '.', ' ']);
    (head, prop::sample::select(known), tail, spare)
        .prop_map(|(head, key, tail, spare)| format!("{head}{key}{tail}").replace('_', &spare.to_string()))
}

/// Generates a value that has a type in JSON, or resembles one in other formats.
fn typed_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i32>().prop_map(Value::from),
        any::<i32>().prop_map(|number| number.to_string().into()),
        prop::sample::select(vec![
            Value::Null,
            true.into(),
            1.5.into(),
            u64::MAX.into(),
            "true".into(),
            "1m2.5s".into(),
            "word".into(),
            "".into(),
            "2024-03-05T05:01:54Z".into(),
            serde_json::json!({"a": 1}),
            serde_json::json!([1, 2, 255]),
            serde_json::json!(["a", "b"]),
            serde_json::json!([]),
            serde_json::json!([104, 105]),
        ]),
    ]
}

/// An encoding of pairs.
#[derive(Clone, Copy, Debug)]
enum Form {
    Logfmt,
    Json,
    /// Inside a line of the guest's console.
    Console,
    /// As fields of the journal.
    Journal,
}

impl Form {
    fn line(self, pairs: &[(String, Value)]) -> Vec<u8> {
        let object = |head: &str| {
            let members = pairs.iter().map(|(key, value)| format!(",{}:{value}", Value::from(key.as_str())));
            format!("{{{head}{}}}", members.collect::<String>())
        };
        match self {
            Form::Logfmt => {
                let mut line = b"time=\"2024-03-05T05:01:54Z\" level=info msg=hello".to_vec();
                for (key, value) in pairs {
                    line.extend_from_slice(format!(" {key}=").as_bytes());
                    quote::value(flat(value).as_bytes(), &mut line);
                }
                line
            }
            Form::Json => object("\"level\":\"info\",\"msg\":\"hello\"").into_bytes(),
            Form::Console => Route::Shim.entry(object("\"msg\":\"hello\"").as_bytes(), true),
            Form::Journal => object("\"SYSLOG_IDENTIFIER\":\"kata\",\"MESSAGE\":\"hello\"").into_bytes(),
        }
    }
}
