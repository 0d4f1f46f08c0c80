//! The HTTP endpoint, with well-behaved and hostile clients.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use regex::Regex;
use serde_json::Value;

use super::{Running, TIMEOUT, append_file, complete, deliver_to, lines, wait_until, write_file};
use crate::support::disk::Disk;
use crate::support::forward::{Reply, Script, Server};
use crate::support::katalog;
use crate::support::skip::skip;

/// Starts the program with `--listen`. Returns its address.
fn listening(command: &mut Command) -> (Running, SocketAddr) {
    let mut running = Running::start(command.args(["--listen", "127.0.0.1:0"]));
    let mut line = Vec::new();
    let mut byte = [0];
    // Unbuffered, so that the rest of standard error remains for the end of the test.
    while running.child.stderr.as_mut().unwrap().read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    let line = String::from_utf8(line).unwrap();
    let at = line.split_once("listening on http://").and_then(|(_, rest)| rest.strip_suffix("/metrics"));
    let at = at.unwrap_or_else(|| panic!("{line}")).parse().unwrap();
    (running, at)
}

fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// Sends a request. Returns the response up to the end of the connection.
fn ask(at: SocketAddr, request: &[u8]) -> String {
    let mut stream = connect(at);
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Returns status code and body of a response.
fn get(at: SocketAddr, path: &str) -> (u16, String) {
    let answer = ask(at, format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Returns the samples of a page by name and labels.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

/// Returns the families of a page, checked as `promtool check metrics` does.
fn lint(page: &str) -> BTreeSet<String> {
    let name = Regex::new(r"^[a-z][a-z0-9_]*$").unwrap();
    let label = Regex::new(r#"^\{([a-z_]+)="((?:[^"\\]|\\.)*)"\}$"#).unwrap();
    let (mut families, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let (mut family, mut kind) = (String::new(), String::new());
    assert!(page.ends_with('\n') && !page.contains("\n\n") && !page.contains('\r'));
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (named, help) = rest.split_once(' ').unwrap();
            assert!(name.is_match(named) && help.ends_with('.'), "{line}");
            assert!(families.insert(named.to_owned()), "{named} is there twice");
            (family, kind) = (named.to_owned(), String::new());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (named, of) = rest.split_once(' ').unwrap();
            assert!(named == family && kind.is_empty(), "{line}");
            kind = of.to_owned();
            assert_eq!(kind == "counter", named.ends_with("_total"), "{line}");
            assert!(kind == "counter" || kind == "gauge", "{line}");
            assert!(named.starts_with("katalog_") || named == "process_start_time_seconds", "{line}");
            for wrong in ["milli", "micro", "minutes", "hours", "kilobytes", "percent", "_count", "_sum", "_bucket"] {
                assert!(!named.contains(wrong), "{named} is in no base unit, or has a name that is taken");
            }
            let stem = named.strip_suffix("_total").unwrap_or(named);
            for unit in ["seconds", "bytes"].iter().filter(|unit| stem.contains(*unit)) {
                assert!(stem.ends_with(unit), "the unit of {named} stands at its end");
            }
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let (named, labels) = sample.split_at(sample.find('{').unwrap_or(sample.len()));
            assert!(named == family && !kind.is_empty(), "{line} stands apart from its family");
            assert!(labels.is_empty() || label.is_match(labels), "{line}");
            assert!(value.parse::<f64>().unwrap() >= 0.0, "{line}");
            assert!(seen.insert(sample.to_owned()), "{sample} is there twice");
        }
    }
    assert!(families.len() > 20);
    families
}

#[test]
fn the_metrics_are_those_of_the_statistics() {
    let folder = tempfile::tempdir().unwrap();
    // Some of the input is flawed, and some is not Kata's.
    let more = "time=\"2031-01-01T00:00:00Z\" level=nonsense msg=\"a\" source=runtime x=\"open\n\n";
    let log = write_file(folder.path(), "kata.log", lines(0..50) + more);
    let server = Server::start(Script::default());
    let (running, at) =
        listening(deliver_to(&server, &["--no-state", "--batch-age", "50ms", "--stats=json"]).arg(&log));
    wait_until("the last record", || {
        samples(&get(at, "/metrics").1).get("katalog_delivered_records_total").is_some_and(|count| *count >= 51.0)
    });
    // The loop runs once a second.
    wait_until("the bytes", || {
        samples(&get(at, "/metrics").1)["katalog_lag_seconds"] == 0.0 && {
            let found = samples(&get(at, "/metrics").1);
            found["katalog_delivered_bytes_total"] > 0.0
        }
    });
    let (code, page) = get(at, "/metrics");
    assert_eq!(code, 200);
    lint(&page);
    assert_eq!(get(at, "/healthz"), (200, "it goes on\n".to_owned()));
    assert_eq!(get(at, "/readyz"), (200, "ready\n".to_owned()));
    running.signal("TERM");
    let (status, errors) = running.end();
    assert!(status.success(), "{errors}");
    let stats: Value = serde_json::from_str(errors.lines().last().unwrap()).unwrap();
    let found = samples(&page);
    let sum =
        |family: &str| found.iter().filter(|(name, _)| name.starts_with(family)).map(|(_, value)| value).sum::<f64>();
    for (metric, key) in [
        ("katalog_entries_read_total", "read"),
        ("katalog_read_bytes_total", "bytes_in"),
        ("katalog_delivered_bytes_total", "bytes_out"),
        ("katalog_delivered_records_total", "written"),
        ("katalog_records_written_total{", "written"),
        ("katalog_flawed_records_total", "flawed"),
        ("katalog_suppressed_messages_total", "suppressed"),
    ] {
        assert_eq!(Some(sum(metric)), stats[key].as_f64(), "{metric}: {stats}");
    }
    let mut compared = 0;
    for (metric, label, key) in [
        ("katalog_records_written_total", "component", "components"),
        ("katalog_record_levels_total", "level", "levels"),
        ("katalog_dropped_total", "reason", "dropped"),
        ("katalog_flaws_total", "flaw", "flaws"),
    ] {
        for (part, count) in stats[key].as_object().unwrap() {
            assert_eq!(Some(found[&format!("{metric}{{{label}=\"{part}\"}}")]), count.as_f64(), "{metric} {part}");
            compared += 1;
        }
    }
    assert!(compared > 5, "{stats}");
    assert_eq!(found[&format!("katalog_server_up{{server=\"{}\"}}", server.url())], 1.0);
    assert_eq!((found["katalog_waiting_records"], sum("katalog_delivery_retries_total{")), (0.0, 0.0));
    assert!(found["katalog_delivered_chunks_total"] >= 1.0 && found["katalog_delivery_acks_total"] >= 1.0);
    let started = found["process_start_time_seconds"];
    assert!(started > 1.6e9 && found["katalog_last_delivery_timestamp_seconds"] >= started);
    assert_eq!(found["katalog_last_record_timestamp_seconds"].floor(), 1_924_992_000.0);
}

#[test]
fn readiness_is_that_records_get_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..1));
    let server = Server::apart(Script::default());
    let url = server.url();
    let address = server.stop();
    let mut command = katalog();
    command.args(["ship", "--no-state", "--to", &url, "--batch-age", "50ms"]).arg(&log);
    let (running, at) = listening(&mut command);
    let ready = |code| wait_until("/readyz", || get(at, "/readyz").0 == code);
    wait_until("the trouble", || get(at, "/readyz") == (503, "no server takes what waits\n".to_owned()));
    let found = samples(&get(at, "/metrics").1);
    assert_eq!(
        (found["katalog_waiting_records"], found[&format!("katalog_server_up{{server=\"{url}\"}}")]),
        (1.0, 0.0)
    );
    assert!(found["katalog_delivery_retries_total{reason=\"unreachable\"}"] >= 1.0);
    assert_eq!(get(at, "/healthz").0, 200, "a server that is away is no fault of ours");
    let server = Server::on(address, Script::default());
    ready(200);
    assert_eq!(server.events().len(), 1);
    drop(server);
    append_file(&log, lines(1..2));
    ready(503);
    wait_until("the lag", || samples(&get(at, "/metrics").1)["katalog_lag_seconds"] > 0.5);
    let server = Server::on(address, Script::default());
    ready(200);
    server.wait_for_events(1);
    running.signal("TERM");
    assert!(running.end().0.success());
}

#[test]
fn a_server_that_never_acknowledges_shows() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..100));
    let server = Server::start(Script::default().replies(|_| Reply::Silence));
    let (running, at) = listening(deliver_to(&server, &["--no-state", "--ack-timeout", "50ms"]).arg(&log));
    let limit = format!("katalog_server_request_limit_bytes{{server=\"{}\"}}", server.url());
    wait_until("a limit of one record", || {
        samples(&get(at, "/metrics").1).get(&limit).is_some_and(|bytes| *bytes < 400.0)
    });
    assert_eq!(get(at, "/readyz"), (503, "no server takes what waits\n".to_owned()));
    let (_, page) = get(at, "/metrics");
    lint(&page);
    let found = samples(&page);
    assert!(found["katalog_delivery_retries_total{reason=\"timeout\"}"] >= 3.0, "{page}");
    assert_eq!(found["katalog_delivery_retries_total{reason=\"closed\"}"], 0.0);
    server.script(Script::default());
    wait_until("/readyz", || get(at, "/readyz").0 == 200);
    running.signal("TERM");
    assert!(running.end().0.success());
}

#[test]
fn each_of_several_servers_shows() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..7));
    let (near, address) = (Server::start(Script::default()), Server::apart(Script::default()).stop());
    let far = format!("forward://{address}");
    let mut command = deliver_to(&near, &["--fan-out", "--to", &far, "--no-state", "--batch-age", "50ms", "--spool"]);
    let (running, at) = listening(command.arg(folder.path().join("spool")).arg(&log));
    let sample = |name: &str, server: &str| {
        samples(&get(at, "/metrics").1).get(&format!("katalog_server_{name}{{server=\"{server}\"}}")).copied()
    };
    wait_until("the trouble", || get(at, "/readyz") == (503, format!("{far} takes nothing of what waits\n")));
    wait_until("the records", || sample("delivered_records_total", &near.url()) == Some(7.0));
    lint(&get(at, "/metrics").1);
    wait_until("an empty spool", || sample("spool_bytes", &near.url()) == Some(0.0));
    for (name, here, there) in [("waiting_records", 0.0, 7.0), ("overflowed_records_total", 0.0, 0.0), ("up", 1.0, 0.0)]
    {
        assert_eq!((sample(name, &near.url()), sample(name, &far)), (Some(here), Some(there)), "{name}");
    }
    assert_eq!((sample("delivered_records_total", &far), sample("retries_total", &near.url())), (Some(0.0), Some(0.0)));
    assert!(sample("spool_bytes", &far) > Some(7.0) && sample("retries_total", &far) >= Some(1.0));
    let since = "waiting_since_timestamp_seconds";
    assert!(sample(since, &near.url()).is_none() && sample(since, &far) > Some(1.6e9));
    assert_eq!(samples(&get(at, "/metrics").1)["katalog_waiting_records"], 7.0, "it is the sum");
    let server = Server::on(address, Script::default());
    wait_until("/readyz", || get(at, "/readyz").0 == 200);
    assert_eq!(server.events().len(), 7);
    running.signal("TERM");
    assert!(running.end().0.success());
}

#[test]
fn positions_that_cannot_be_saved_show() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..1));
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let Some(disk) = Disk::mount(&state) else {
        skip("tests of full disks", "no small disk can be mounted here");
        return;
    };
    let server = Server::start(Script::default());
    let (running, at) = listening(deliver_to(&server, &["--batch-age", "50ms", "--state-dir"]).arg(&state).arg(&log));
    let metric = |name: &str| samples(&get(at, "/metrics").1).get(name).copied();
    wait_until("a save", || metric("katalog_state_saves_total") >= Some(1.0));
    let saved = metric("katalog_state_saved_timestamp_seconds").unwrap();
    assert_eq!(metric("katalog_state_save_failures_total"), Some(0.0));
    disk.fill();
    let mut written = 1;
    wait_until("a failure", || {
        append_file(&log, lines(written..written + 1));
        written += 1;
        metric("katalog_state_save_failures_total") >= Some(1.0)
    });
    assert_eq!(get(at, "/readyz"), (503, "the position cannot be saved in --state-dir\n".to_owned()));
    disk.free();
    append_file(&log, lines(written..written + 1));
    wait_until("/readyz", || get(at, "/readyz").0 == 200);
    assert!(metric("katalog_state_saved_timestamp_seconds").unwrap() > saved);
    assert_eq!(complete(&server.events(), 0..written + 1), 0);
    running.signal("TERM");
    assert!(running.end().0.success());
}

#[test]
fn who_means_no_good_costs_little() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..1));
    let (running, at) =
        listening(katalog().args(["ship", "--no-state", "--output"]).arg(folder.path().join("out")).arg(&log));
    // A client that sends a byte now and then does not block others, and is disconnected.
    let mut slow = connect(at);
    slow.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    slow.write_all(b"GET /metrics HT").unwrap();
    assert_eq!(get(at, "/metrics").0, 200);
    let start = Instant::now();
    loop {
        let mut byte = [0];
        let sent = slow.write_all(b"x");
        match slow.read(&mut byte) {
            Err(error) if sent.is_ok() && matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => break,
        }
        assert!(start.elapsed() < TIMEOUT, "it may go on for ever");
    }
    // Above the maximum number of connections, the oldest are closed.
    let mut many: Vec<TcpStream> = (0..200).map(|_| connect(at)).collect();
    assert_eq!(get(at, "/metrics").0, 200);
    let mut first = many.swap_remove(0);
    assert!(matches!(first.read(&mut [0]), Ok(0) | Err(_)));
    drop(many);
    // A request that is too long, one that is invalid, and one without an end.
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(10_000));
    assert!(ask(at, long.as_bytes()).starts_with("HTTP/1.1 431 "));
    assert!(ask(at, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").starts_with("HTTP/1.1 400 "));
    let mut endless = connect(at);
    let filler = vec![b'a'; 1 << 16];
    let sent: usize = (0..10_000).map_while(|_| endless.write_all(&filler).ok()).count();
    assert!(sent < 10_000, "it is listened to for ever");
    assert_eq!(get(at, "/healthz").0, 200);
    let memory = std::fs::read_to_string(format!("/proc/{}/status", running.child.id())).unwrap();
    let resident = memory.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")).unwrap();
    assert!(resident.parse::<u64>().unwrap() < 100 << 10, "{resident} KiB");
    running.signal("TERM");
    assert!(running.end().0.success());
}

#[test]
fn where_to_listen() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let exit = |flags: &[&str]| {
        let (status, errors) = Running::start(katalog().args(flags)).end();
        (status.code(), errors)
    };
    let (code, text) = exit(&["ship", "--no-state", "--listen", &address]);
    assert!(code == Some(69) && text.contains(&format!("--listen {address}: cannot listen")), "{text}");
    let (code, text) = exit(&["ship", "--no-state", "--listen", "9745"]);
    assert!(code == Some(64) && text.contains("such as 127.0.0.1:9745"), "{text}");
    let (code, text) = exit(&["--follow", "--listen", "[::1]:9745", "kata.log"]);
    assert!(code == Some(64) && text.ends_with("type: katalog ship --listen '[::1]:9745' kata.log\n"), "{text}");
}

#[test]
fn what_dashboard_and_alerts_ask_for_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..1));
    let (running, at) =
        listening(katalog().args(["ship", "--no-state", "--output"]).arg(folder.path().join("out")).arg(&log));
    let families = lint(&get(at, "/metrics").1);
    running.kill();
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for family in &families {
        assert!(readme.contains(&format!("`{family}`")) || readme.contains(&format!("`{family}{{")), "{family}");
    }
    let read = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("observability").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let name = Regex::new(r"\b(?:katalog|process)_[a-z_]+\b").unwrap();
    let dashboard = read("dashboard.json");
    let parsed: Value = serde_json::from_str(&dashboard).unwrap();
    let panels = parsed["panels"].as_array().unwrap();
    let expressions: Vec<&str> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(expressions.len() >= 8);
    let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "ids are there twice");
    let alerts = read("alerts.yaml");
    let rules: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert_eq!(rules.len(), alerts.matches("- alert: ").count());
    assert!(rules.len() >= 5);
    for expression in expressions.into_iter().chain(rules) {
        let mut named = 0;
        for found in name.find_iter(expression).map(|found| found.as_str()) {
            assert!(families.contains(found), "{expression} asks for {found}, which is not there");
            named += 1;
        }
        assert!(named > 0 || expression.contains("up{"), "{expression} asks for nothing of ours");
        for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
            assert_eq!(expression.matches(open).count(), expression.matches(close).count(), "{expression}");
        }
    }
}
