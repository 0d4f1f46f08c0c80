//! Tests of the counters and their forms.

use kata_records::{Batch, Chunk, Others, Rules, SelectSettings, Settings, Worker};

use super::*;

/// Returns what a worker counts in these lines.
pub(super) fn counted(lines: &[&str], others: Others) -> Stats {
    found(lines, others).stats
}

/// Returns the result of a worker for these lines.
fn found(lines: &[&str], others: Others) -> Chunk {
    let select = SelectSettings { others, ..SelectSettings::default() };
    let rules = Rules::new(&Settings { select, findings: true, ..Settings::default() }).unwrap();
    let (mut batch, mut chunk) = (Batch::default(), Chunk::default());
    lines.iter().for_each(|line| assert!(batch.push_line(line.as_bytes())));
    Worker::new(&rules).run(&batch, &mut chunk);
    chunk
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
    write_stats(stats, &Errors::default(), format, &mut out).unwrap();
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

/// Returns an error of the Go shim.
fn failure(second: u32, sandbox: &str, message: &str) -> String {
    format!(
        "time=\"2024-03-05T05:01:{second:02}.25Z\" level=error msg=\"{message}\" name=containerd-shim-v2 pid=1 \
         sandbox={sandbox} source=virtcontainers"
    )
}

/// Returns the counters and the errors of the host in a log with seven sandboxes and a guest.
fn failures_of_seven() -> (Stats, Errors) {
    let id = |number: u32| format!("{}{number}{}", "c0ffee0123".repeat(2), "f".repeat(43));
    let mut lines: Vec<String> = (0..6).flat_map(|number| vec![failure(10 + number, &id(number), "no"); 3]).collect();
    lines.push(failure(5, "web", &"create\\x1b[2J failed ".repeat(20)));
    lines.push(failure(59, &id(4), "gone"));
    lines.push(
        failure(58, "guest", "reading guest console") + " vmconsole=\"level=error msg=forged\" subsystem=sandbox",
    );
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let chunk = found(&lines, Others::Drop);
    let mut errors = Errors::default();
    errors.add(&chunk.findings);
    (chunk.stats, errors)
}

#[test]
fn the_errors_of_the_host_are_rows() {
    let (stats, errors) = failures_of_seven();
    let mut text = Vec::new();
    write_stats(&stats, &errors, StatsFormat::Text, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let expected = "\
errors     21  vouched 20, guest 1
components shimv2 20, guest-console 1
levels     error 21
sandboxes  c0ffee0123c0ffee01234 4, c0ffee0123c0ffee01230 3, c0ffee0123c0ffee01231 3, c0ffee0123c0ffee01232 3, \
         c0ffee0123c0ffee01233 3, others 4
first error 2024-03-05 05:01:05.250 UTC shimv2 web: create\\x1b[2J failed create\\x1b[2J failed create\\x1b[2J failed \
         create\\x1b[2J failed create\\x1b[2J f…
last error 2024-03-05 05:01:59.250 UTC shimv2 c0ffee0123c0ffee01234: gone
";
    assert!(text.ends_with(expected), "{text}");
    let mut table = Vec::new();
    inputs::reasons(&stats, &errors, 80, &mut table).unwrap();
    let table = String::from_utf8(table).unwrap();
    for line in
        ["errors 21: vouched 20, guest 1\n", "levels: error 21\nsandboxes: c0ff", "last error: 2024-03-05 05:01:59.250"]
    {
        assert!(table.contains(line), "{line}: {table}");
    }
}

#[test]
fn the_errors_of_the_host_are_members_of_the_json() {
    let (stats, errors) = failures_of_seven();
    let mut line = Vec::new();
    write_stats(&stats, &errors, StatsFormat::Json, &mut line).unwrap();
    assert!(!line.contains(&0x1b) && line.ends_with(b"}\n"));
    let json: serde_json::Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(json["errors"], serde_json::json!({"vouched": 20, "guest": 1}));
    assert_eq!(json["sandboxes"].as_array().unwrap().len(), 7);
    assert_eq!(json["sandboxes"][0]["errors"], 4);
    assert_eq!(json["sandboxes"][0]["sandbox"].as_str().unwrap().len(), 64);
    assert!(json.get("other_sandbox_errors").is_none());
    let last = serde_json::json!({
        "time": "2024-03-05T05:01:59.250000000Z",
        "component": "shimv2",
        "sandbox": json["sandboxes"][0]["sandbox"],
        "message": "gone",
    });
    assert_eq!(json["last_error"], last);
    assert!(json["first_error"]["message"].as_str().unwrap().starts_with("create\u{1b}[2J"));
}
