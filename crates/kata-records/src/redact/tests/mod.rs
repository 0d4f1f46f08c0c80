//! Texts with secrets and without, at each depth of escapes.

mod cuts;
mod linear;
mod properties;
mod samples;

use bumpalo::Bump;

use super::leaves_open;
use super::{MARKER, Redactor};
use samples::{CLEAN, SECRET, USE};

fn redactor() -> Redactor {
    Redactor::new(&[]).unwrap()
}

/// Returns the text with its secrets replaced, or the text itself.
fn redact(text: &str) -> String {
    let bump = Bump::new();
    let redacted = redactor().redacted(text.as_bytes(), &bump).unwrap_or(text.as_bytes());
    String::from_utf8(redacted.to_vec()).unwrap()
}

/// Returns the content of a string as Go's `%q`, JSON and Rust's `{:?}` print it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Returns a text inside `depth` strings, without the quotes of the outermost.
fn nested(text: &str, depth: usize) -> String {
    (0..depth).fold(text.to_owned(), |text, _| escaped(&text))
}

/// Returns a text inside `depth` strings, each with words around it.
fn enclosed(text: &str, depth: usize) -> String {
    (0..depth).fold(text.to_owned(), |text, _| format!("level=info msg=\"{}\" source=agent", escaped(&text)))
}

/// Returns the text before a cut.
fn head(text: &str, cut: usize) -> &str {
    text.get(..cut).unwrap()
}

#[test]
fn secrets_are_hidden_at_each_depth() {
    for (text, expected) in SECRET.iter().flat_map(|sample| sample.texts()) {
        for depth in 0..4 {
            assert_eq!(redact(&nested(&text, depth)), nested(&expected, depth), "{text} at depth {depth}");
            assert_eq!(redact(&enclosed(&text, depth)), enclosed(&expected, depth), "{text} inside {depth} strings");
        }
    }
}

#[test]
fn clean_texts_stay() {
    for text in CLEAN {
        for depth in 0..4 {
            for text in [nested(text, depth), enclosed(text, depth)] {
                let bump = Bump::new();
                let redacted = redactor().redacted(text.as_bytes(), &bump);
                assert_eq!(redacted.map(String::from_utf8_lossy), None, "{text}");
            }
        }
    }
}

#[test]
fn clean_texts_end_no_print() {
    for text in CLEAN {
        assert!(!leaves_open(text.as_bytes()), "{text}");
    }
}

#[test]
fn redacted_text_stays() {
    for (_, expected) in SECRET.iter().flat_map(|sample| sample.texts()) {
        for depth in 0..4 {
            let text = enclosed(&expected, depth);
            assert_eq!(redact(&text), text);
        }
    }
}

/// The cheap test may find too much, but never too little, also in parts of texts and behind any number of bytes.
#[test]
fn cheap_test_agrees() {
    let redactor = redactor();
    for (text, _) in SECRET.iter().flat_map(|sample| sample.texts()) {
        for (start, _) in text.char_indices() {
            for padding in 0..18 {
                let part = format!("{}{}", "x".repeat(padding), text.as_bytes().escape_ascii());
                let part = &part.as_bytes()[start.min(part.len())..];
                if redactor.redacted(part, &Bump::new()).is_some() {
                    assert!(redactor.may_hold_secret(part), "{}", String::from_utf8_lossy(part));
                }
            }
        }
        for end in 0..text.len() {
            let part = &text.as_bytes()[..end];
            assert!(redactor.may_hold_secret(part) || redactor.redacted(part, &Bump::new()).is_none());
        }
    }
}

/// Keys are compared without their joints, which can stand anywhere.
#[test]
fn cheap_test_agrees_about_joints() {
    let redactor = redactor();
    let mut found = 0;
    for (name, _, _) in super::table::names() {
        let name = std::str::from_utf8(name).unwrap();
        for at in 0..name.len() - 1 {
            for before in ["", "x", "db_", "Xy-"] {
                let (head, tail) = name.split_at(at);
                let text = format!("see {before}{head}-{tail}=\"hunter2\" {{");
                let is_hidden = redactor.redacted(text.as_bytes(), &Bump::new()).is_some();
                assert!(redactor.may_hold_secret(text.as_bytes()) || !is_hidden, "{text}");
                found += usize::from(is_hidden);
            }
        }
    }
    assert!(found > 500, "{found}");
}

#[test]
fn cheap_test_passes_clean_texts() {
    let found: Vec<_> = CLEAN.iter().filter(|text| redactor().may_hold_secret(text.as_bytes())).collect();
    // The others hold keys of the list with values that are none.
    assert!(found.len() * 2 < CLEAN.len(), "{found:#?}");
}

#[test]
fn clean_texts_allocate_nothing() {
    let redactor = redactor();
    let bump = Bump::new();
    for text in CLEAN {
        let info = allocation_counter::measure(|| {
            assert!(redactor.redacted(text.as_bytes(), &bump).is_none());
            _ = redactor.may_hold_secret(text.as_bytes()) | leaves_open(text.as_bytes());
        });
        assert_eq!(info.count_total, 0, "{text}");
    }
}

#[test]
fn json_stays_json() {
    let text = format!(
        r#"{{"token":12345,"env":["A={USE}","B=\"{USE}\\"],"auths":{{"r":{{"auth":"{USE}","n":7}}}},"secret":{{"a":[1,"{USE}"]}},"x":"password={USE}\u0041,y"}}"#
    );
    let mut json = text;
    for _ in 0..4 {
        let redacted = redact(&json);
        assert!(!redacted.contains("12345") && !redacted.contains(USE), "{redacted}");
        let mut value: serde_json::Value = serde_json::from_str(&redacted).expect(&redacted);
        while let Some(inner) = value.get("msg").and_then(serde_json::Value::as_str) {
            value = serde_json::from_str(inner).unwrap();
        }
        assert_eq!(value["token"], MARKER);
        assert_eq!(value["env"][1], "B=[redacted]");
        json = serde_json::json!({ "msg": json }).to_string();
    }
}

#[test]
fn keys_are_compared_without_case_and_joints() {
    let redactor = redactor();
    for key in
        ["password", "DB_PASSWORD", "clientSecret", "X-Registry-Auth", "api.key", "DB_PASS", "env", "cc_init_data"]
    {
        assert!(redactor.is_secret_key(key.as_bytes()), "{key}");
    }
    for key in [
        "",
        "key",
        "pwd",
        "bypass",
        "compass",
        "author",
        "tokens_used",
        "secret_name",
        "é",
        "n",
        "msg",
        "level",
        "path",
    ] {
        assert!(!redactor.is_secret_key(key.as_bytes()), "{key}");
    }
}

#[test]
fn rows_are_folded_and_have_reasons() {
    for (name, kind, reason) in super::table::names() {
        assert!(name.len() > 2 && name.iter().all(u8::is_ascii_lowercase) && !reason.is_empty());
        assert!(super::table::kind(name).is_some(), "{kind:?}");
    }
}

#[test]
fn patterns_hide_more_and_cut_no_escape() {
    let redactor = Redactor::new(&["4111[0-9]+".into(), "(?-u)\\xa9x".into(), "n1".into(), "z".into()]).unwrap();
    let bump = Bump::new();
    let redact = |text: &str| {
        assert!(redactor.may_hold_secret(text.as_bytes()));
        String::from_utf8(redactor.redacted(text.as_bytes(), &bump).unwrap().to_vec()).unwrap()
    };
    assert_eq!(redact("card 4111222 password=x 41119"), "card [redacted] password=[redacted] [redacted]");
    assert_eq!(redact("password=41112 ok"), "password=[redacted] ok");
    assert_eq!(redact("aéx b"), "a[redacted] b");
    assert_eq!(redact(r"a\\\n1 b"), r"a[redacted] b");
    assert_eq!(redact("zz z"), "[redacted] [redacted]");
    assert!(redactor.redacted(b"clean", &bump).is_none() && !redactor.may_hold_secret(b"clean"));
    assert!(Redactor::new(&["(".into()]).unwrap_err().contains("unclosed group"));
}

/// Each match inside a long run of backslashes would widen to the whole run.
#[test]
fn a_run_of_backslashes_is_widened_once() {
    let patterns = super::pattern::Patterns::new(&[r"\\".into()]).unwrap();
    let mut count = 0;
    patterns.find("\\".repeat(1000).as_bytes(), &mut |_| count += 1);
    assert_eq!(count, 1);
}
