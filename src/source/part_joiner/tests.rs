#![allow(clippy::unwrap_used)] // a test fails by it

use super::{fit_characters, fit_escapes};
use crate::source::tests::{Owned, entries, settings, texts};
use crate::source::{InputFormat, Settings};

const STAMP: &str = "2024-05-06T07:08:14.3Z";

fn joined(data: &str, max_line: usize) -> Vec<Owned> {
    entries(data, &settings(InputFormat::Auto, max_line))
}

#[test]
fn cri_parts_are_joined_per_stream() {
    let input = format!(
        "{STAMP} stdout F whole\n{STAMP} stdout P one \n2024-05-06T07:08:15+02:00 stderr P err \nno cri line\n\
         {STAMP} stdout P two \n{STAMP} stderr F or\n{STAMP} stdout F three\n{STAMP} stdout F next\n"
    );
    let found = joined(&input, 1000);
    let seen: Vec<_> = found.iter().map(|entry| entry.text.clone()).collect();
    assert_eq!(
        seen,
        [
            format!("{STAMP} stdout F whole"),
            "no cri line".to_owned(),
            "2024-05-06T07:08:15+02:00 stderr F err or".to_owned(),
            format!("{STAMP} stdout F one two three"),
            format!("{STAMP} stdout F next"),
        ]
    );
    // A joined line has the offset of its first part.
    let first = input.find(" stdout P one").unwrap() - STAMP.len();
    assert_eq!(found[3].offset, first as u64);
    assert!(found.iter().all(|entry| !entry.truncated && !entry.unfinished));
}

#[test]
fn cri_tags_may_be_several_and_texts_empty() {
    assert_eq!(
        texts(format!("{STAMP} stdout P:x a b\n{STAMP} stdout F:y c\n{STAMP} stdout P \n{STAMP} stdout F\n")),
        [format!("{STAMP} stdout F:x a bc"), format!("{STAMP} stdout F ")]
    );
}

#[test]
fn cri_parts_without_an_end_come_out_unfinished() {
    let found = joined(&format!("{STAMP} stderr P a\n{STAMP} stdout P b\n{STAMP} stderr P c\nplain\n"), 1000);
    let seen: Vec<_> = found.iter().map(|entry| (entry.text.clone(), entry.unfinished)).collect();
    assert_eq!(
        seen,
        [("plain".to_owned(), false), (format!("{STAMP} stderr P ac"), true), (format!("{STAMP} stdout P b"), true),]
    );
}

#[test]
fn joined_cri_text_is_capped() {
    let part = format!("{STAMP} stdout P {}\n", "é".repeat(20));
    let found = joined(&format!("{part}{part}{part}{part}{STAMP} stdout F end\n{STAMP} stdout F x\n"), 101);
    assert_eq!(found[0].text, format!("{STAMP} stdout F {}", "é".repeat(50)));
    assert!(found[0].truncated && !found[0].unfinished);
    assert_eq!((found[1].text.clone(), found[1].truncated), (format!("{STAMP} stdout F x"), false));
    // A part that is itself truncated marks the joined line.
    let found = joined(&format!("{STAMP} stdout P {}\n{STAMP} stdout F b\n", "a".repeat(200)), 100);
    assert_eq!((found[0].text.len(), found[0].truncated), (100, true));
}

fn docker(log: &str, stream: &str, rest: &str) -> String {
    format!("{{\"log\":\"{log}\",\"stream\":\"{stream}\",{rest}}}\n")
}

#[test]
fn docker_parts_are_joined_per_stream() {
    let whole = docker(r"whole\n", "stdout", "\"time\":\"0\"");
    let input = [
        whole.clone(),
        docker(r#"one \" \\n"#, "stdout", "\"attrs\":{\"a\":\"b\"},\"time\":\"1\""),
        docker("err ", "stderr", "\"time\":\"2\""),
        "plain\n".to_owned(),
        docker(r"two \\", "stdout", "\"time\":\"3\""),
        docker("", "stdout", "\"time\":\"3\""),
        docker(r"or\n", "stderr", "\"time\":\"4\""),
        docker(r"\\\n", "stdout", "\"time\":\"5\""),
    ]
    .concat();
    let found = joined(&input, 1000);
    let seen: Vec<_> = found.iter().map(|entry| format!("{}\n", entry.text)).collect();
    assert_eq!(
        seen,
        [
            whole.clone(),
            "plain\n".to_owned(),
            docker(r"err or\n", "stderr", "\"time\":\"2\""),
            docker(r#"one \" \\ntwo \\\\\n"#, "stdout", "\"attrs\":{\"a\":\"b\"},\"time\":\"1\""),
        ]
    );
    assert_eq!(found[3].offset, whole.len() as u64);
}

#[test]
fn docker_parts_without_an_end_come_out_unfinished() {
    let found = joined(&[docker("a", "stdout", "\"t\":1"), docker("b", "stdout", "\"t\":2")].concat(), 1000);
    assert_eq!(found.len(), 1);
    assert_eq!(format!("{}\n", found[0].text), docker("ab", "stdout", "\"t\":1"));
    assert!(found[0].unfinished && !found[0].truncated);
}

#[test]
fn joined_docker_text_is_capped_and_stays_json() {
    let part = docker(&r"\u001b".repeat(10), "stdout", "\"t\":1");
    let end = docker(r"end\n", "stdout", "\"t\":2");
    let found = joined(&[part.clone(), part, end].concat(), 100);
    assert_eq!(format!("{}\n", found[0].text), docker(&format!("{}\\n", r"\u001b".repeat(16)), "stdout", "\"t\":1"));
    assert!(found[0].truncated);
    assert!(serde_json::from_str::<serde_json::Value>(&found[0].text).is_ok());
    // A text of exactly the limit is not truncated.
    let exact = [docker(&"a".repeat(60), "stdout", "\"t\":1"), docker(r"bbbb\n", "stdout", "\"t\":1")].concat();
    let found = joined(&exact, 100);
    assert!(!found[0].truncated);
}

#[test]
fn docker_lines_beyond_the_limit_stand_for_themselves() {
    let found = joined(&docker(&"a".repeat(100), "stdout", "\"t\":1"), 50);
    assert_eq!((found[0].text.len(), found[0].truncated, found[0].unfinished), (50, true, false));
}

#[test]
fn the_format_says_which_parts_are_joined() {
    let parts = format!("{STAMP} stdout P a\n{STAMP} stdout F b\n")
        + &docker("a", "stdout", "\"t\":1")
        + &docker("b\\n", "stdout", "\"t\":1");
    for (format, count) in [(InputFormat::Auto, 2), (InputFormat::Cri, 3), (InputFormat::Docker, 3)] {
        assert_eq!(entries(&parts, &Settings { input_format: format, ..Settings::default() }).len(), count);
    }
}

#[test]
fn cuts_respect_characters_and_escapes() {
    assert_eq!(fit_characters("aé".as_bytes(), 2), 1);
    assert_eq!(fit_characters("aé".as_bytes(), 3), 3);
    assert_eq!(fit_characters(&[0x80; 9], 5), 5);
    assert_eq!(fit_escapes(br"ab\n", 3), 2);
    assert_eq!(fit_escapes(br"ab\nc", 4), 4);
    assert_eq!(fit_escapes(br"\\\\\\", 3), 2);
    assert_eq!(fit_escapes(br"\u001b\u001b", 8), 6);
    assert_eq!(fit_escapes(br"\u00", 3), 0);
}
