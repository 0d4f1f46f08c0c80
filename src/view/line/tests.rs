use jiff::tz::TimeZone;
use jiff::{SignedDuration, tz};
use serde_json::{Value as Json, json};
use unicode_width::UnicodeWidthStr as _;

use super::*;

const ID: &str = "5fbd3e1bd2314a8c9e0f5fbd3e1bd2314a8c9e0f5fbd3e1bd2314a8c9e0f1234";

/// Returns the record of an informational message at a time, with further fields.
fn record(time: &str, fields: Json) -> Json {
    let mut record = json!({"kata_time": time, "kata_level": "info", "kata_component": "runtime",
        "kata_format": "logfmt", "kata_origin": "vouched"});
    if time.is_empty() {
        record.as_object_mut().unwrap().retain(|name, _| name != "kata_time" && name != "kata_level");
    }
    record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    record
}

fn shown(records: &[Json], mut view: TextView) -> String {
    let mut out = Vec::new();
    for record in records {
        view.encode(&FlatRecord::parse(record.to_string().as_bytes()).unwrap(), &mut out);
    }
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn check(records: &[Json], expected: &str) {
    assert_eq!(shown(records, TextView::new(TimeZone::fixed(tz::offset(1)), false, None)), expected);
}

#[test]
fn columns_line_up() {
    check(
        &[
            record(
                "2024-03-05T04:01:54.163Z",
                json!({"kata_msg": "sandbox started", "kata_pid": 4242, "kata_sandbox": ID}),
            ),
            record(
                "2024-03-05T04:01:54.175Z",
                json!({"kata_component": "agent", "kata_level": "warning", "kata_origin": "guest", "kata_sandbox": "short",
                    "kata_msg": "slow mount", "kata_error": "no \"such\" device", "kata_empty": "",
                    "kata_flaws": ["truncated"]}),
            ),
        ],
        "2024-03-05 05:01:54.163          runtime        INFO   5fbd3e1bd231 sandbox started  pid=4242\n\
         2024-03-05 05:01:54.175  +0.012  agent          WARN   short        guest| slow mount  \
         error=\"no \\\"such\\\" device\" empty=\"\" !truncated\n",
    );
}

#[test]
fn missing_values_are_dashes() {
    let expected = "-                                runtime        -      -            hello\n";
    check(&[record("", json!({"kata_msg": "hello"}))], expected);
}

#[test]
fn guest_text_does_not_drive_the_terminal() {
    let evil = "\x1b[2J\x07\u{9b}31m\u{202e}x\r\n2024-03-05 host line\tend\n";
    let hostile = record(
        "2024-03-05T04:01:54Z",
        json!({"kata_origin": "guest", "kata_msg": evil, "kata_error": evil, "kata_sandbox": evil, "kata_n": ["\x7f", evil]}),
    );
    let text = shown(&[hostile], TextView::new(TimeZone::UTC, false, None));
    assert!(text.chars().all(|c| c == '\n' || !is_hidden(c)), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("guest| \\x1b[2J\\x07\\u{9b}31m\\u{202e}x  error=\"\\x1b[2J"), "{text}");
    assert_eq!(lines[1], "    | 2024-03-05 host line\\tend");
}

#[test]
fn no_guest_begins_a_row_of_the_terminal() {
    let forged = "2024-03-05 05:01:54.163          runtime        INFO   5fbd3e1bd231 all is well";
    for (columns, color) in [(2, false), (20, false), (40, true), (80, false), (100, true)] {
        for padding in 0..columns {
            let text = format!("{}{forged}\n{}{forged}", "x".repeat(padding), "\u{65e5}".repeat(padding));
            let record = record("2024-03-05T04:01:54Z", json!({"kata_msg": text, "kata_error": text}));
            let text = shown(&[record], TextView::new(TimeZone::UTC, color, Some(columns)));
            let indent = HANGING_INDENT.min(columns - 2);
            for (number, line) in text.lines().enumerate() {
                let begins = line.starts_with(&" ".repeat(indent)) || line.starts_with("    | ");
                assert!(number == 0 || begins || columns < 8, "{columns}: {text}");
                assert!(color || line.width() <= columns, "{columns}: {text}");
            }
        }
    }
}

#[test]
fn entries_of_others_show_identifier_and_message() {
    for (identifier, message) in [("SYSLOG_IDENTIFIER", "MESSAGE"), ("syslog_identifier", "message")] {
        check(
            &[json!({"__REALTIME_TIMESTAMP": "1709614914163000", identifier: "containerd\n", message: "two\nlines"})],
            "2024-03-05 06:01:54.163          containerd\\n   -      -            two\n    | lines\n",
        );
    }
}

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
