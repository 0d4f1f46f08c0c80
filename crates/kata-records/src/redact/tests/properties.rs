//! Properties of any text that is made of the parts of prints.

use bumpalo::Bump;
use proptest::prelude::*;

use super::redactor;
use super::samples::{SECRET, USE};
use crate::redact::leaves_open;

/// Parts of prints, and a few bytes that stand between them.
fn part() -> impl Strategy<Value = String> {
    let texts: Vec<String> = SECRET.iter().flat_map(|sample| sample.texts()).map(|(text, _)| text).collect();
    prop_oneof![
        prop::sample::select(texts),
        "[\\\\\"'\\[\\]{}()<>:=, a-zA-Z0-9@/é\n\u{1b}-]{0,8}",
        prop::sample::select(vec![
            "env",
            "\"env\":[",
            "Env:[",
            "Some(",
            "annotations",
            "map[",
            "token",
            "password=",
            "--token ",
            "-append ",
            "{\"a\":",
            "A=",
            "\\n",
            "\\\"",
            "\\\\\\\"",
            "Authorization: ",
            "Bearer ",
            "eyJ",
            "://",
            "[redacted]",
            "secret: {",
            "\\u{1b}",
            "key:",
        ])
        .prop_map(str::to_owned),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(part(), 0..6).prop_map(|parts| parts.concat())
}

/// Returns the text after redaction.
fn redact(text: &[u8]) -> Vec<u8> {
    let bump = Bump::new();
    let redactor = redactor();
    let redacted = redactor.redacted(text, &bump);
    assert!(redacted.is_none() || redactor.may_hold_secret(text));
    redacted.unwrap_or(text).to_vec()
}

#[test]
fn a_key_behind_a_closed_string_hides_nothing_after_it() {
    for text in [format!("\"\"env=A \"env\":[\"A={USE}\"]"), format!("\"a\"environ=x password={USE}")] {
        let redacted = String::from_utf8(redact(text.as_bytes())).unwrap();
        assert!(!redacted.contains(USE), "{text}\n{redacted}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// The content of a JSON string stays one, so no escape is cut apart.
    #[test]
    fn escapes_stay_whole(text in text(), depth in 0..3_usize) {
        let json = (0..=depth).fold(text, |text, _| {
            let quoted = serde_json::to_string(&text).unwrap();
            quoted.get(1..quoted.len() - 1).unwrap().to_owned()
        });
        let redacted = String::from_utf8(redact(json.as_bytes())).unwrap();
        serde_json::from_str::<String>(&format!("\"{redacted}\"")).unwrap();
    }

    /// A JSON object stays one.
    #[test]
    fn objects_stay_objects(keys in prop::collection::vec(prop::sample::select(vec!["msg", "env", "token", "annotations", "policy", "secret", "auths", "authorization", "x"]), 1..5), texts in prop::collection::vec(text(), 5), number in any::<i32>()) {
        let mut value = serde_json::json!(number);
        for (index, (key, text)) in keys.iter().zip(&texts).enumerate() {
            value = match index % 3 {
                0 => serde_json::json!({ *key: value, "a": text, "b": [number, text, true, null] }),
                1 => serde_json::json!({ *key: [value, text] }),
                _ => serde_json::json!({ *key: value.to_string() }),
            };
        }
        let text = value.to_string();
        let redacted = String::from_utf8(redact(text.as_bytes())).unwrap();
        let parsed = serde_json::from_str::<serde_json::Value>(&redacted);
        prop_assert!(parsed.is_ok(), "{}\n{}", text, redacted);
    }

    /// Any bytes are read without a panic, and the cheap test agrees.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), text in text(), cut in any::<prop::sample::Index>()) {
        redact(&bytes);
        let mixed = [text.as_bytes(), &bytes, text.as_bytes()].concat();
        let part = &mixed[..cut.index(mixed.len() + 1)];
        redact(part);
        _ = leaves_open(part);
    }

    /// Quoted secrets stay hidden behind any text.
    #[test]
    fn text_before_a_print_shows_nothing(text in text()) {
        for print in [format!("\"env\":[\"A={USE}\"]"), format!("password={USE}"), format!("\"token\":\"{USE}\"")] {
            let clean = text.replace(USE, "x");
            let line = format!("{clean} {print}");
            let redacted = String::from_utf8(redact(line.as_bytes())).unwrap();
            prop_assert!(!redacted.contains(USE), "{}\n{}", line, redacted);
        }
    }
}
