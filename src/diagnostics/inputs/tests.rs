use super::*;
use crate::diagnostics::tests::counted;
use kata_records::Others;

/// Returns an input with a number of entries, and a record for each of these times, which has a flaw if `flawed` is set.
fn input(name: &str, entries: u64, times: &[&str], flawed: bool) -> InputSummary {
    let mut input = InputSummary::new(name.to_owned());
    for time in times {
        let words = if flawed { " bare words" } else { "" };
        let line = format!("time=\"{time}\" level=info msg=hello name=kata-runtime pid=1{words}");
        input.stats.merge(&counted(&[&line], Others::Drop));
        input.stats.encoded(1500);
    }
    (input.stats.read, input.stats.bytes_in) = (entries, entries * 1000);
    input
}

fn inputs() -> Vec<InputSummary> {
    let mut damaged = input("system.journal", 7, &["2025-01-01T00:00:00Z", "2024-12-31T10:00:00Z"], false);
    damaged.stats.damage("bad-entry", 3);
    let mut failed = input("/archive/2025/node-17/kata-runtime.log.1.gz", 0, &[], false);
    failed.failures.push("failed to read it: gone\x1b".to_owned());
    failed.exit = Some(Exit::Data);
    let flawed = ["2025-12-15T11:55:59.9Z", "2025-12-15T23:05:00Z", "x"];
    vec![input("a.log", 12, &flawed, true), damaged, failed]
}

fn total(inputs: &[InputSummary]) -> Stats {
    let mut total = Stats::default();
    inputs.iter().for_each(|input| total.merge(&input.stats));
    total
}

fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn table_of(inputs: &[InputSummary], width: usize) -> String {
    written(|out| table(inputs, &total(inputs), width, out))
}

#[test]
fn the_table_has_a_line_for_each_input_and_one_for_all() {
    let expected = "\
input           entries records from..to, UTC           flawed damaged   in  out
a.log                12       3 2025-12-15 11:55..23:05      3       0  11K 4.3K
system.journal        7       2 2024-12-31..2025-01-01       0       3 6.8K 2.9K
/arc…e.log.1.gz       0       0 -                            0  failed    0    0
total                19       5 2024-12-31..2025-12-15       3       3  18K 7.3K
";
    assert_eq!(table_of(&inputs(), 80), expected);
    let expected = "\
input    entries records from..to, UTC           flawed damaged  in  out
a.log         12       3 2025-12-15 11:55..23:05      3       0 11K 4.3K
";
    assert_eq!(table_of(&inputs()[..1], 80), expected);
    // A wide table shows whole names.
    assert!(table_of(&inputs(), 120).contains("\n/archive/2025/node-17/kata-runtime.log.1.gz       0       0 -  "));
}

#[test]
fn the_table_fits_into_80_columns_whatever_there_is_to_count() {
    let mut inputs = inputs();
    inputs[0].name = "日本語/".repeat(20) + "\x1b[2J\n.log";
    inputs[0].stats.read = 99_999_999_999;
    inputs[0].stats.written = 9_999_999;
    inputs[0].stats.flawed = 9_999_999;
    inputs[0].stats.bytes_in = u64::MAX;
    inputs[0].stats.encoded = 1023 << 40;
    let table = table_of(&inputs, 80);
    for line in table.lines() {
        assert!(line.width() <= 80, "{line}");
        assert!(!line.contains('\x1b'), "{line:?}");
    }
    assert_eq!(table.lines().count(), 5, "{table}");
}

#[test]
fn lines_are_for_scripts() {
    let lines = written(|out| lines(&inputs(), Some(Severity::Damage), out));
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["from"], "2025-12-15T11:55:59.900000000Z");
    assert_eq!(lines[0]["flaws"]["bare-words"], 3);
    assert_eq!((&lines[0]["valid"], &lines[0]["worst"]), (&true.into(), &"notice".into()));
    assert_eq!((&lines[1]["worst"], lines[2].get("worst")), (&"damage".into(), None));
    assert_eq!((&lines[1]["valid"], &lines[1]["damage"]["bad-entry"]), (&false.into(), &3.into()));
    assert_eq!((&lines[2]["failures"][0], &lines[2]["exit"]), (&"failed to read it: gone\x1b".into(), &65.into()));
    assert!(lines[2].get("from").is_none());
    let formats: Vec<&str> = lines.iter().map(|line| line["format"].as_str().unwrap()).collect();
    assert_eq!(formats, ["logfmt", "logfmt", "-"]);
}

#[test]
fn long_lists_are_folded() {
    let folded = |width| written(|out| write_folded("flawed 6", "one 1, two 2, three 3", width, out));
    assert_eq!(folded(80), "flawed 6: one 1, two 2, three 3\n");
    assert_eq!(folded(22), "flawed 6: one 1,\n  two 2, three 3\n");
    assert_eq!(folded(1), "flawed 6: one 1,\n  two 2,\n  three 3\n");
}

#[test]
fn names_lose_their_middle() {
    for (width, expected) in [(20, "/var/log/kata.log"), (11, "/va…ata.log"), (1, "…"), (0, "…")] {
        assert_eq!(shortened("/var/log/kata.log", width), expected);
    }
    assert_eq!(shortened("日本語日本語", 7), "日…本語");
}

#[test]
fn a_span_has_the_seconds_of_a_short_one() {
    for (to, expected) in [
        ("2031-01-01T10:31:05.9Z", "2031-01-01 10:31:05"),
        ("2031-01-01T10:31:07.0Z", "2031-01-01 10:31:05..07"),
        ("2031-01-01T10:32:01.0Z", "2031-01-01 10:31..10:32"),
        ("2031-01-02T10:31:05.1Z", "2031-01-01..2031-01-02"),
    ] {
        assert_eq!(span("2031-01-01T10:31:05.1Z", to), expected);
    }
}

#[test]
fn numbers_are_short() {
    for (bytes, expected) in [(0, "0"), (1023, "1023"), (1024, "1.0K"), (10_239, "9.9K"), (10_240, "10K")] {
        assert_eq!(short_size(bytes), expected);
    }
    assert_eq!(short_size(u64::MAX), "16383P");
    assert_eq!((count(9_999_999), count(12_345_678)), ("9999999".to_owned(), "12.3M".to_owned()));
}
