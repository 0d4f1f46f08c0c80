//! Each output of the program, and all that it writes beside the records.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::leak::{CANARY, assert_hidden};
use super::positions::TEXTS;
use super::writers::WRITERS;
use crate::support::forward::{Reply, Script, Server};
use crate::support::{expect_exit, katalog, wait_for_exit, wait_until, write_file};

/// The number of records in the input.
const COUNT: usize = 5;

/// Returns entries with secrets by several writers, and a flawed one.
fn input(folder: &Path) -> PathBuf {
    let spec = TEXTS[0].text.replace('#', CANARY);
    let writer = |name: &str| WRITERS.iter().find(|writer| writer.name == name).unwrap();
    let entries = [
        writer("the Go shim in the journal").entry("connecting", &[("db_password", CANARY)]),
        writer("the Rust agent in vmconsole").entry(&spec, &[]),
        writer("runtime-rs in journal fields").entry(&spec, &[("token", CANARY)]),
        writer("another program in the journal").entry(&spec, &[]),
        writer("the Go shim in the journal").entry(&format!("password={CANARY}"), &[("level", "nonsense")]),
    ];
    write_file(folder, "node.ndjson", entries.concat())
}

/// Checks all files below a folder, except the input.
#[track_caller]
fn assert_files_hidden(folder: &Path) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count += assert_files_hidden(&path);
        } else if path.file_name().is_some_and(|name| name != "node.ndjson") && !path.ends_with("lock") {
            let content = fs::read(&path).unwrap();
            assert_hidden(&content, &format!("{}: {}", path.display(), String::from_utf8_lossy(&content)));
            count += 1;
        }
    }
    count
}

/// Runs a command to its end. Checks that neither output shows the secret; returns standard output.
#[track_caller]
fn run(command: &mut Command) -> Vec<u8> {
    let output = expect_exit(command, 0);
    assert_hidden(&output.stdout, &String::from_utf8_lossy(&output.stdout));
    assert_hidden(&output.stderr, &String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn standard_output_hides_it_in_each_format() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path());
    let diagnostics = ["--others=pass", "--verbose", "--progress=always", "--stats=json"];
    for flags in [
        &["--format", "ndjson"][..],
        &["--format", "ndjson", "--schema", "ecs"],
        &["--format", "ndjson", "--schema", "otel"],
        &["--format", "msgpack"],
        &["--format", "csv"],
        &["--format", "csv", "--keep", "MESSAGE,kata_msg,kata_token,kata_db_password,_CMDLINE"],
        &["--format", "text", "--color", "never"],
        &["--format", "text", "--color", "always"],
        &["--nested", "keep"],
        &["--max-record", "4000"],
        &["--tag-key", "tag", "--tag", "kata.{identifier}"],
        &["--rename", "MESSAGE=log"],
        &["--sort", "time"],
        &["--threads", "3"],
    ] {
        let output = run(katalog().args(diagnostics).args(flags).arg(&input));
        let text = String::from_utf8_lossy(&output);
        // The records are there, with their ids and the beginnings of their messages.
        assert!(text.contains("receive createcontainer") && text.contains("[redacted]"), "{flags:?}: {text}");
        assert!(text.contains("201a907e") && text.contains("9b3e6a1c"), "{flags:?}: {text}");
    }
    for arguments in [&["--stats", "json"][..], &["--stats", "text"], &["check"], &["stats"]] {
        let output = katalog().args(arguments).arg("--verbose").arg(&input).output().unwrap();
        for stream in [output.stdout, output.stderr] {
            assert_hidden(&stream, &String::from_utf8_lossy(&stream));
        }
    }
}

#[test]
fn converted_files_and_their_manifest_hide_it() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path());
    for (number, flags) in [
        &[][..],
        &["--split", "{host}/{sandbox}/{day}"],
        &["--format", "csv"],
        &["--format", "msgpack", "--sort", "time"],
    ]
    .iter()
    .enumerate()
    {
        let out = folder.path().join(number.to_string());
        run(katalog().args(["convert", "--others=pass", "--output-dir"]).arg(&out).args(*flags).arg(&input));
        assert!(assert_files_hidden(&out) >= 2, "{flags:?}");
        assert!(out.join(".katalog.json").exists());
    }
}

#[test]
fn a_forward_server_gets_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path());
    for mode in ["packed", "forward", "message", "gzip", "zstd"] {
        let server = Server::start(Script::default());
        let state = folder.path().join(mode);
        let arguments = ["ship", "--once", "--others=pass", "--verbose", "--forward-mode", mode, "--to", &server.url()];
        run(katalog().args(arguments).arg("--state-dir").arg(&state).arg(&input));
        let events = server.events();
        assert_eq!(events.len(), COUNT, "{mode}");
        // Compressed requests show nothing, so decoded events are searched.
        let shown = format!("{events:?}");
        assert_hidden(shown.as_bytes(), &shown);
        server.requests().iter().for_each(|request| assert_hidden(&request.bytes, mode));
        assert!(events.iter().filter(|event| event.get("kata_redacted").is_some()).count() == COUNT, "{shown}");
        assert!(assert_files_hidden(&state) > 0, "{mode}");
    }
}

/// Returns what a syslog server receives.
fn syslog(input: &Path, flags: &[&str]) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("syslog+tcp://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    });
    run(katalog().args(["ship", "--once", "--no-state", "--others=pass", "--to", &url]).args(flags).arg(input));
    server.join().unwrap()
}

#[test]
fn a_syslog_server_gets_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    for form in ["rfc5424", "rfc3164"] {
        for framing in ["octet", "lf"] {
            let messages = syslog(&input(folder.path()), &["--syslog-format", form, "--syslog-framing", framing]);
            let text = String::from_utf8_lossy(&messages);
            assert_hidden(&messages, &text);
            assert!(text.contains("receive createcontainer") && text.contains("[redacted]"), "{form}: {text}");
        }
    }
    // Where a record has no message, the whole line is the message, with what the record leaves out.
    let line = format!(
        "{{\"level\":\"info\",\"name\":\"kata-runtime\",\"endpoint\":{{\"Token\":\"{CANARY}\"}},\
         \"time\":\"2024-03-05T05:01:54.811777275Z\"}}\n"
    );
    let messages = syslog(&write_file(folder.path(), "line.json", line), &[]);
    let text = String::from_utf8_lossy(&messages);
    assert_hidden(&messages, &text);
    assert!(text.contains("[redacted]"), "{text}");
}

/// Records wait in the spool while the server is away.
#[test]
fn the_spool_hides_it() {
    let folder = tempfile::tempdir().unwrap();
    let content = fs::read(input(folder.path())).unwrap().repeat(20);
    let url = format!("forward://{}", Server::apart(Script::default()).stop());
    let spool = folder.path().join("spool");
    let mut child = katalog()
        .args(["ship", "--others=pass", "--to", &url, "--batch-size", "4K", "--spool"])
        .arg(&spool)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&content).unwrap();
    let size = |folder: &Path| -> u64 {
        fs::read_dir(folder).map_or(0, |files| files.map(|file| file.unwrap().metadata().unwrap().len()).sum())
    };
    wait_until("the spool", || size(&spool) > 4000);
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_hidden(&output.stderr, &String::from_utf8_lossy(&output.stderr));
    assert!(assert_files_hidden(&spool) > 0);
}

/// Returns the body of a page.
fn page(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn pages_and_state_hide_it() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path());
    let server = Server::start(Script::default());
    let state = folder.path().join("state");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = katalog()
        .args(["ship", "--others=pass", "--verbose", "--to", &server.url(), "--batch-age", "20ms"])
        .args(["--listen", &port.to_string(), "--state-dir"])
        .arg(&state)
        .arg(&input)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    server.wait_for_events(COUNT);
    wait_until("the state", || state.join("state.json").exists());
    let metrics = page(port, "/metrics");
    assert!(metrics.contains("katalog_redacted_records_total"), "{metrics}");
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_hidden(page(port, path).as_bytes(), path);
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    wait_for_exit(&mut child);
    let output = child.wait_with_output().unwrap();
    assert_hidden(&output.stderr, &String::from_utf8_lossy(&output.stderr));
    assert!(assert_files_hidden(&state) > 0);
}

/// A server that refuses everything: the refused records are kept in a file, and messages name them.
#[test]
fn refused_records_hide_it() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path());
    let server = Server::start(Script::default().replies(|_| Reply::Nack));
    let refused = folder.path().join("refused.ndjson");
    let mut child = katalog()
        .args(["ship", "--once", "--no-state", "--others=pass", "--give-up-after", "1s", "--to", &server.url()])
        .arg("--refused")
        .arg(&refused)
        .arg(&input)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_exit(&mut child);
    let output = child.wait_with_output().unwrap();
    assert_hidden(&output.stderr, &String::from_utf8_lossy(&output.stderr));
    assert_files_hidden(folder.path());
}
