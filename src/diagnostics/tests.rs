//! Tests of the counters and their forms.

use kata_records::{Batch, Chunk, Others, Rules, SelectSettings, Settings, Worker};

use super::*;

/// Returns what a worker counts in these lines.
pub(super) fn counted(lines: &[&str], others: Others) -> Stats {
    let select = SelectSettings { others, ..SelectSettings::default() };
    let rules = Rules::new(&Settings { select, ..Settings::default() }).unwrap();
    let (mut batch, mut chunk) = (Batch::default(), Chunk::default());
    lines.iter().for_each(|line| assert!(batch.push_line(line.as_bytes())));
    Worker::new(&rules).run(&batch, &mut chunk);
    chunk.stats
}

fn sample() -> Stats {
    let clean = "time=\"2025-12-15T11:55:10Z\" level=info msg=hello name=kata-runtime pid=1";
    let other = r#"{"SYSLOG_IDENTIFIER":"sshd","MESSAGE":"hello"}"#;
    let journald = r#"{"SYSLOG_IDENTIFIER":"systemd-journald","MESSAGE":"Suppressed 40 messages from shim.service"}"#;
    let mut lines = vec![clean; 7];
    lines.extend(["msg=\"hello", other, journald, "-- Boot 1 --"]);
    let mut stats = counted(&lines, Others::Drop);
    stats.merge(&counted(&[other], Others::Pass));
    stats.bytes_in = 1200;
    stats.delivered(2_203_000);
    stats
}

fn shown(stats: &Stats, format: StatsFormat) -> String {
    let mut out = Vec::new();
    write_stats(stats, format, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_text_is_aligned_and_leaves_zeros_out() {
    let expected = "\
read       12  1.1 KiB
written     9  2.1 MiB
passed      1  of others, unchanged
dropped     3  others 2, marker 1
flawed      1  unterminated-quote 1, no-time 1
suppressed 40  by journald, never readable
components runtime 7, unknown 1
levels     info 7
";
    assert_eq!(shown(&sample(), StatsFormat::Text), expected);
    let mut redacted = sample();
    redacted.redacted();
    redacted.hints.untrusted_uid(Some(1000));
    let text = shown(&redacted, StatsFormat::Text);
    assert!(text.contains("\nredacted    1  with secrets left out\n"), "{text}");
    assert!(
        text.ends_with("\nkatalog: 1 entry of uid 1000 is unproven: if this user runs Kata, add --trusted-uids 1000\n")
    );
    assert_eq!(shown(&Stats::default(), StatsFormat::Text), "read       0  0 B\nwritten    0  0 B\n");
}

#[test]
fn the_json_is_one_line() {
    let expected = r#"{"read":12,"written":9,"passed":1,"dropped":{"others":2,"marker":1},"flawed":1,"suppressed":40,"bytes_in":1200,"bytes_out":2203000,"components":{"runtime":7,"unknown":1},"levels":{"info":7},"flaws":{"unterminated-quote":1,"no-time":1,"unproven-origin":1},"origins":{"vouched":7,"unproven":1}}"#;
    assert_eq!(shown(&sample(), StatsFormat::Json), format!("{expected}\n"));
    let mut hinted = sample();
    hinted.redacted();
    hinted.hints.tenant();
    let json = shown(&hinted, StatsFormat::Json);
    assert!(json.contains(r#","redacted":1,"#) && json.contains(r#","hints":{"tenants":1}"#), "{json}");
}
