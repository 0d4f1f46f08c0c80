//! Syslog messages, byte for byte, and settings that they do not support.

use super::*;
use crate::support::journal::samples::{BOOT, START};
use crate::support::journal::{Entry, Shape, file};
use crate::support::write_file;

/// Compares with a file in this folder, or writes it with `UPDATE=1`.
#[track_caller]
fn golden(name: &str, actual: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/syslog").join(name);
    if std::env::var_os("UPDATE").is_some_and(|value| !value.is_empty()) {
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let differs = expected.iter().zip(actual).position(|(one, other)| one != other);
    let at = differs.unwrap_or(expected.len().min(actual.len()));
    let around = |bytes: &[u8]| bytes[at.saturating_sub(100)..bytes.len().min(at + 100)].escape_ascii().to_string();
    assert!(expected == actual, "{name}, byte {at}:\n{}\n{}", around(&expected), around(actual));
}

#[test]
fn the_messages_of_a_node() {
    for (name, flags) in [
        ("rfc5424.octet", &[][..]),
        ("rfc5424.lf", &["--syslog-framing", "lf", "--syslog-facility", "local7", "--syslog-enterprise", "1"]),
        ("rfc3164.lf", &["--syslog-format", "rfc3164", "--syslog-framing", "lf", "--others", "pass"]),
        ("others.lf", &["--others", "pass", "--syslog-framing", "lf", "--syslog-max", "1K", "--record-id", "id"]),
    ] {
        let listener = Listener::start();
        run(whole_to(&listener.url(), flags).arg(node_journal()));
        golden(name, &listener.next());
    }
}

#[test]
fn each_of_several_servers_gets_all_messages() {
    let (near, far) = (Listener::start(), Listener::start());
    run(whole_to(&near.url(), &["--fan-out", "--to", &far.url()]).arg(node_journal()));
    let (near, far) = (near.next(), far.next());
    assert!(near == far && counted(&near).len() > 10);
}

/// Checks that entries with every kind of damage become valid messages, down to the smallest maximum size.
#[test]
fn damaged_entries_are_valid_messages() {
    let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/inputs/damage.log");
    let records = katalog().arg(&input).output().unwrap().stdout;
    for (max, threads) in [("1K", "1"), ("1500", "3"), ("64K", "2")] {
        let listener = Listener::start();
        run(whole_to(&listener.url(), &["--syslog-max", max, "--threads", threads]).arg(&input));
        let messages = counted(&listener.next());
        assert_eq!(messages.len(), records.iter().filter(|byte| **byte == b'\n').count());
        for message in &messages {
            assert!(max != "1K" || message.len() <= 1024, "{message}");
            let words: Vec<&str> = message.splitn(7, ' ').collect();
            assert!(words[0].ends_with(">1") && (words[2] == "here" || words[2].starts_with("node1")), "{message}");
            assert!(words[6].starts_with("[kata@32473 "), "{message}");
        }
    }
}

#[test]
fn a_datagram_is_a_message_of_limited_length() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    let url = format!("syslog+udp://{}", socket.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kata.log");
    const TIME: &str = "time=\"2031-02-30T00:00:00Z\"";
    let long = "x".repeat(5000);
    fs::write(
        &log,
        format!("{TIME} level=info msg=\"short\" source=runtime\n{TIME} level=info msg=\"{long}\" source=runtime\n"),
    )
    .unwrap();
    for (flags, limit) in [(&[][..], 1024), (&["--syslog-max", "2048"], 2048)] {
        run(whole_to(&url, flags).arg(&log));
        let mut buffer = [0; 10_000];
        let length = socket.recv(&mut buffer).unwrap();
        assert!(buffer[..length].ends_with(b"] short"));
        let length = socket.recv(&mut buffer).unwrap();
        let message = String::from_utf8_lossy(&buffer[..length]);
        assert!(
            length == limit && message.contains("flaws=\"truncated,bad-time,no-time\"") && message.ends_with("xxx"),
            "{message}"
        );
    }
}

/// Checks that the header of a message does not depend on the names and fields of records. Of a journal file, fields
/// that no record holds are only read if the header needs them.
#[test]
fn heads_do_not_depend_on_the_fields_of_records() {
    let errors = "level=info msg=hello name=kata-runtime source=runtime";
    let entry = |number: u64, identifier: &str| {
        Entry::new(START + number, number, BOOT)
            .with("SYSLOG_IDENTIFIER", identifier)
            .with("MESSAGE", errors)
            .with("_HOSTNAME", "node1")
            .with("_PID", "4711")
    };
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("system.journal");
    fs::write(&journal, file(&Shape::default(), &[entry(1, "kata"), entry(2, "sshd")])).unwrap();
    for input in [node_journal(), journal] {
        let heads = |flags: &[&str]| -> Vec<String> {
            let listener = Listener::start();
            run(whole_to(&listener.url(), flags).arg(&input));
            counted(&listener.next())
        };
        for others in ["drop", "pass"] {
            let expected = heads(&["--others", others]);
            assert!(!expected.is_empty() && expected.iter().all(|message| message.contains(" node1 ")));
            // As flags, these are errors, because syslog messages hold no journal fields.
            for fields in
                ["drop = [\"*\"]", "lowercase = true\nstrip-underscores = true\nrename = { _HOSTNAME = \"x\" }"]
            {
                let file = write_file(folder.path(), "fields.toml", fields);
                assert_eq!(heads(&["--others", others, "--config", file.to_str().unwrap()]), expected);
            }
        }
    }
}

#[test]
fn settings_without_a_meaning_are_refused() {
    let input = node_journal();
    let input = input.to_str().unwrap();
    for (flags, says) in [
        (&["--to", "forward://a,syslog+tcp://b"][..], "forward and syslog servers do not go together"),
        (
            &["--to", "syslog+udp://a", "--syslog-max", "4K"],
            "--syslog-max 4K does not go with --to syslog+udp://a: datagrams have at most",
        ),
        (&["--to", "syslog+tcp://a,syslog+udp://b", "--syslog-max", "4K"], "--syslog-max 4K does not go"),
        (&["--to", "syslog+tcp://a", "--syslog-max", "100"], "from 1K to 64K"),
        (&["--to", "syslog+tcp://a", "--syslog-enterprise", "0"], "--syslog-enterprise 0: expected a number from 1"),
        (&["--to", "syslog+tcp://a", "--syslog-facility", "local9"], "local7"),
        (&["--to", "syslog+tcp://a", "--output", "x"], "records go to the servers"),
        (&["--to", "syslog+tcp://a", "--format", "text"], "servers receive records in the form of their protocol"),
        (&["--to", "syslog://a"], "unknown scheme"),
        (&["--to", "syslog+tcp://a", "--tls-insecure"], "syslog+tls://"),
        (&["--to", "syslog+udp://a", "--syslog-framing", "lf"], "behind TCP or TLS"),
        (&["--to", "forward://a", "--syslog-facility", "user"], "has no effect without a syslog server"),
    ] {
        let (code, errors) = refused(&[flags, &[input]].concat());
        assert_eq!(code, Some(64), "{flags:?}: {errors}");
        assert!(errors.contains(says), "{flags:?}: {errors}");
    }
}
