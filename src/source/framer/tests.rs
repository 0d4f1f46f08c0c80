use crate::source::tests::{entries, settings, texts};
use crate::source::{InputFormat, Settings};
use kata_records::Framing;

#[test]
fn lines_end_at_newlines_with_or_without_carriage_return() {
    let found = entries("one\r\n\ntwo\r\r\nthree", &Settings::default());
    let seen: Vec<_> = found.iter().map(|entry| (entry.text.as_str(), entry.offset)).collect();
    assert_eq!(seen, [("one", 0), ("", 5), ("two\r", 6), ("three", 12)]);
    assert!(found.iter().all(|entry| entry.framing == Framing::Line && !entry.truncated && !entry.unfinished));
}

#[test]
fn an_empty_input_has_no_entries() {
    assert!(texts("").is_empty());
    assert_eq!(texts("\n"), [""]);
    assert_eq!(texts("\r"), [""]);
}

#[test]
fn long_lines_are_cut_at_the_limit() {
    let limit = settings(InputFormat::Text, 40);
    let at_limit = "a".repeat(40);
    let input = format!("{at_limit}\r\n{at_limit}b\r\n{at_limit}{at_limit}{at_limit}\nshort\n{at_limit}{at_limit}");
    let found = entries(&input, &limit);
    let seen: Vec<_> = found.iter().map(|entry| (entry.text.as_str(), entry.offset, entry.truncated)).collect();
    let all = at_limit.as_str();
    assert_eq!(seen, [(all, 0, false), (all, 42, true), (all, 85, true), ("short", 206, false), (all, 212, true)]);
}

#[test]
fn lines_that_only_resemble_special_ones_stay_lines() {
    let lines = [
        "__CURSO=1",
        "__REALTIME_TIMESTAMP",
        "2024-05-06",
        "2024-05-06T07:08:14Z hello",
        "2024-05-06T07:08:14Z stdout X hello",
        "2024-05-06T07:08:14Z stdin P hello",
        "2024-05-06T07:08:14.Z stdout P hello",
        "2024-05-06T07:08:14 stdout P hello",
        "2024-05-06T07:08:14Z stdout PP hello",
        "{\"log\":\"",
        "{\"log\":\"a\\",
        "{\"log\":\"a\"}",
        "{\"log\":\"a\",\"time\":\"t\"}",
        "{\"log\":\"a\",\"stream\":\"other\"}",
        "{\"log\":\"a\",\"stream\":\"stdout\"",
    ];
    assert_eq!(texts(lines.join("\n")), lines);
}

#[test]
fn formats_that_are_lines_recognize_nothing() {
    let lines = "__CURSOR=1\n2024-05-06T07:08:14Z stdout P a\n{\"log\":\"a\",\"stream\":\"stdout\"}\n";
    for format in
        [InputFormat::Text, InputFormat::JournalJson, InputFormat::Json, InputFormat::Logfmt, InputFormat::Syslog]
    {
        let found = entries(lines, &settings(format, 1 << 20));
        assert_eq!(
            found.iter().map(|entry| entry.text.as_str()).collect::<Vec<_>>(),
            lines.lines().collect::<Vec<_>>()
        );
    }
}
