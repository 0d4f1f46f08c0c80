//! The options of redaction, and the raw views, which show journal entries as they are.

use std::fs;

use serde_json::Value;

use super::leak::{CANARY, assert_hidden, is_hidden};
use super::writers::{SANDBOX, WRITERS};
use crate::support::journal::samples::{BOOT, START};
use crate::support::journal::{Entry, Shape, exported, file};
use crate::support::pipeline::{Cuts, Setup, records};
use crate::support::{expect_exit, katalog, stderr};

/// The entries of a journal file: one with a secret in its message, one with a secret in its command line, and one without.
fn entries() -> Vec<Entry> {
    let entry = |number: u64, message: &str, command_line: &str| {
        Entry::new(START + number, number, BOOT)
            .with("_TRANSPORT", "syslog")
            .with("_UID", "0")
            .with("_PID", "4711")
            .with("SYSLOG_IDENTIFIER", "kata")
            .with("_CMDLINE", command_line)
            .with("MESSAGE", message)
    };
    let secret = String::from_utf8(WRITERS[1].entry(&format!("password={CANARY}"), &[])).unwrap();
    let clean = String::from_utf8(WRITERS[1].entry("nothing secret", &[])).unwrap();
    let line = "/opt/kata/bin/containerd-shim-kata-v2 -debug";
    vec![
        entry(0, secret.trim_end(), line),
        entry(1, clean.trim_end(), &format!("{line} --token {CANARY}")),
        entry(2, clean.trim_end(), line),
    ]
}

#[test]
fn raw_views_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.journal");
    let shape = Shape::default();
    fs::write(&path, file(&shape, &entries())).unwrap();
    let run = |arguments: &[&str]| expect_exit(katalog().args(arguments).arg(&path), 0).stdout;
    assert_eq!(run(&["--format", "export"]), exported(&shape, &entries()));
    let json = run(&["--format", "journal-json"]);
    assert_eq!(String::from_utf8_lossy(&json).matches(CANARY).count(), 2);
    assert_hidden(&run(&[]), "the records");
}

#[test]
fn raw_views_are_delivered_only_without_redaction() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.journal");
    fs::write(&path, file(&Shape::default(), &entries())).unwrap();
    for format in ["export", "journal-json"] {
        let ship = |more: &[&str], code: i32| {
            let arguments = ["ship", "--once", "--no-state", "--format", format];
            expect_exit(katalog().args(arguments).args(more).arg(&path), code)
        };
        let refused = ship(&[], 64);
        assert!(refused.stdout.is_empty() && stderr(&refused).contains("--no-redact"), "{}", stderr(&refused));
        let shown = ship(&["--no-redact"], 0).stdout;
        assert_eq!(String::from_utf8_lossy(&shown).matches(CANARY).count(), 2, "{format}");
    }
}

#[test]
fn without_redaction_everything_is_shown() {
    for writer in WRITERS {
        let flags = [writer.flags, &["--no-redact"]].concat();
        let outcome = Setup::new(&flags).run(&writer.entry(&format!("password={CANARY}"), &[]), &Cuts::whole());
        let found = records(&outcome.bytes);
        assert_eq!((found.len(), &outcome.stats["redacted"]), (1, &Value::Null), "{}", writer.name);
        assert!(is_hidden(&outcome.bytes).is_err(), "{}: {found:?}", writer.name);
        assert!(found[0].get("kata_redacted").is_none(), "{}: {found:?}", writer.name);
    }
}

/// A pattern hides what is secret to the user only, in each field and beside the closed list.
#[test]
fn a_pattern_hides_more() {
    let pattern = "--redact=hunter2c[a-z]+";
    let text = format!("card {CANARY} of user a, password=other1secret");
    for writer in WRITERS {
        let flags = [writer.flags, &[pattern]].concat();
        let fields: &[(&str, &str)] = if writer.has_fields { &[("detail", CANARY), ("runtime", CANARY)] } else { &[] };
        let outcome = Setup::new(&flags).run(&writer.entry(&text, fields), &Cuts::whole());
        let found = records(&outcome.bytes);
        let shown = String::from_utf8_lossy(&outcome.bytes);
        assert_hidden(&outcome.bytes, &format!("{}: {shown}", writer.name));
        assert!(!shown.contains("other1secret"), "{}: {shown}", writer.name);
        assert_eq!((found.len(), &outcome.stats["redacted"]), (1, &Value::from(1)), "{}: {shown}", writer.name);
        assert!(shown.contains("card [redacted] of user a"), "{}: {shown}", writer.name);
    }
}

/// Ids and words of fixed meaning may match a pattern too.
#[test]
fn a_pattern_hides_ids() {
    let outcome = Setup::new(&["--redact=201a907e[0-9a-f]+"]).run(&WRITERS[0].entry("hello", &[]), &Cuts::whole());
    let shown = String::from_utf8_lossy(&outcome.bytes);
    assert!(!shown.contains(SANDBOX) && shown.contains("\"kata_sandbox\":\"[redacted]\""), "{shown}");
}

#[test]
fn the_summary_counts_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.journal");
    fs::write(&path, file(&Shape::default(), &entries())).unwrap();
    for (flags, count) in [(&[][..], Value::from(2)), (&["--no-redact"], Value::Null)] {
        let output = expect_exit(katalog().args(["--stats", "json"]).args(flags).arg(&path), 0);
        let stats: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!((&stats["redacted"], &stats["written"]), (&count, &3.into()), "{stats}");
    }
}

/// A journal stores a field that entries share once, and records share its form.
#[test]
fn entries_that_share_a_field_list_it_by_themselves() {
    let shown = |entries: &[Entry]| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("system.journal");
        fs::write(&path, file(&Shape::default(), entries)).unwrap();
        expect_exit(katalog().arg(&path), 0).stdout
    };
    let listed = |bytes: &[u8]| -> Vec<Option<Value>> {
        records(bytes).iter().map(|record| record.get("kata_redacted").cloned()).collect()
    };
    let of_file = |number: usize, at: u64| {
        let mut entry = entries().remove(number);
        (entry.realtime, entry.monotonic) = (START + at, at);
        entry
    };
    let bytes = shown(&[of_file(1, 0), of_file(2, 1), of_file(1, 2), of_file(1, 3)]);
    assert_hidden(&bytes, "the records");
    let of_line = Some(serde_json::json!(["_CMDLINE"]));
    assert_eq!(listed(&bytes), [of_line.clone(), None, of_line.clone(), of_line]);

    // All fields of the rest of a line are searched, but only its own record shows that.
    let unit = "password=a.service";
    let rest = Entry::new(START, 0, BOOT)
        .with("_TRANSPORT", "stdout")
        .with("_UID", "0")
        .with("_PID", "712")
        .with("SYSLOG_IDENTIFIER", "containerd")
        .with("_SYSTEMD_UNIT", unit)
        .with("MESSAGE", "level=info msg=x name=kata-proxy");
    let bytes = shown(&[rest, of_file(2, 1).with("_SYSTEMD_UNIT", unit)]);
    assert_eq!(listed(&bytes), [Some(serde_json::json!(["_SYSTEMD_UNIT"])), None]);
    assert_eq!(records(&bytes)[1].text("_SYSTEMD_UNIT"), Some(unit));
}
