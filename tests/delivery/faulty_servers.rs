//! Servers that violate the protocol: nothing is lost, and retries are identical byte for byte.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kata_records::Rules;
use katalog::delivery::checkpoint::Checkpoint;
use katalog::delivery::{DeliveryMetrics, RefusedFile, ServerDelivery, ServerDeliveryConfig};
use katalog::diagnostics::StatsFormat;
use katalog::exit::Exit;
use katalog::service::signals::Signals;
use katalog::service::status::Status;
use katalog::source::{self, Input};
use log_clients::{Observer, Receiver};

use super::{Running, complete, lines, run, whole, whole_to, write_file};
use crate::support::forward::handshake::{Form, Greeting, HandshakeFault, digest};
use crate::support::forward::tls::{Authority, CertificateFlaw};
use crate::support::forward::{ConnectionScript, CutPoint, Reply, Script, Server};
use crate::support::pipeline::config;

/// Flags that make chunks small and timeouts short.
const SHORT: [&str; 4] = ["--batch-size", "4K", "--ack-timeout", "300ms"];

/// Sends lines to a server with this script. Checks that all arrive, and that every retry of a chunk is identical.
#[track_caller]
fn survives(name: &str, script: Script) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..300));
    let server = Server::start(script);
    let (code, errors) = run(whole_to(&server, &SHORT).arg(log));
    assert_eq!(code, Some(0), "{name}: {errors}");
    complete(&server.events(), 0..300);
    let mut chunks: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    for request in server.requests() {
        let id = request.chunk.unwrap_or_else(|| panic!("{name}: a request without an id"));
        let known = chunks.entry(id).or_insert_with(|| request.bytes.clone());
        assert!(*known == request.bytes, "{name}: another request with the same id");
    }
    assert_eq!(server.faults(), [""; 0], "{name}");
    server
}

/// Returns a script that gives this reply to some requests, and then acknowledges.
fn replies(reply: Reply, count: usize) -> Script {
    Script::default().replies(move |request| if request.number < count { reply.clone() } else { Reply::Ack })
}

#[test]
fn answers_that_are_none() {
    for (reply, count) in [
        (Reply::Silence, 1),
        (Reply::Late(Duration::from_millis(700)), 1),
        (Reply::WrongId, 2),
        (Reply::Nack, 2),
        (Reply::NackOnly, 2),
        (Reply::Lose, 2),
        (Reply::Refuse, 2),
        (Reply::Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), 0),
        (Reply::Bytes(vec![0xc1]), 0),
        (Reply::AckOfBytes, usize::MAX),
        (Reply::Split, usize::MAX),
        (Reply::Twice, 1),
    ] {
        let server = survives(&format!("{reply:?}"), replies(reply.clone(), count));
        let sent = server.requests().len();
        assert!(count == 0 || count == usize::MAX || sent > 3, "{reply:?}: {sent}");
    }
}

#[test]
fn connections_that_break() {
    for byte in [0, 1, 17, 100, 1500, 4000, 5000, 9000] {
        let conduct = move |number| match number {
            0..2 => ConnectionScript::cut(CutPoint::Byte(byte)),
            _ => ConnectionScript::default(),
        };
        survives(&format!("cut after {byte}"), Script::default().connections(conduct));
    }
    survives(
        "cut inside a request",
        Script::default().connections(|number| {
            if number == 0 { ConnectionScript::cut(CutPoint::Inside(2, 50)) } else { ConnectionScript::default() }
        }),
    );
    survives("slow", Script::default().connections(|_| ConnectionScript::throttled(4000, Duration::from_millis(1))));
}

#[test]
fn a_server_that_stops_reading() {
    let conduct = |number| {
        if number == 0 { ConnectionScript::stalled(CutPoint::Inside(1, 10)) } else { ConnectionScript::default() }
    };
    survives("deaf", Script::default().connections(conduct));
}

#[test]
fn handshakes_that_fail_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..3));
    let key = write_file(folder.path(), "key", "s3cret");
    let key = key.to_str().unwrap();
    let with_key = || Greeting::with_key("s3cret");
    for (name, greeting, flags, says) in [
        ("another key", Some(Greeting::with_key("other")), vec!["--shared-key-file", key], "shared_key mismatch"),
        (
            "a lie",
            Some(with_key().with_fault(HandshakeFault::Lie)),
            vec!["--shared-key-file", key],
            "does not hold the shared key",
        ),
        (
            "closed",
            Some(with_key().with_fault(HandshakeFault::CloseForPong)),
            vec!["--shared-key-file", key],
            "in the handshake",
        ),
        (
            "refused",
            Some(with_key().with_fault(HandshakeFault::Refuse("anonymous source host '127.0.0.1' denied"))),
            vec!["--shared-key-file", key],
            "anonymous source host",
        ),
        (
            "hostile",
            Some(with_key().with_fault(HandshakeFault::Refuse("no\nall 3 inputs are valid\u{202e}\u{3164}\x1b[2J"))),
            vec!["--shared-key-file", key],
            r"no\nall 3 inputs are valid\xe2\x80\xae\xe3\x85\xa4\x1b[2J;",
        ),
        (
            "no user",
            Some(with_key().with_user("kata", "x")),
            vec!["--shared-key-file", key],
            "username/password mismatch; check shared key, user and password",
        ),
        ("no key", Some(with_key()), vec![], "requires a shared key"),
        ("huge", Some(with_key().with_fault(HandshakeFault::HugeHelo(1 << 20))), vec!["--shared-key-file", key], "it"),
        (
            "garbage",
            Some(with_key().with_fault(HandshakeFault::Helo(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()))),
            vec!["--shared-key-file", key],
            "SSH-2.0",
        ),
    ] {
        let script = greeting.map_or_else(Script::default, |greeting| Script::default().greets(greeting));
        let server = Server::start(script);
        let (code, errors) = run(whole_to(&server, &flags).arg(&log));
        assert_eq!(code, Some(78), "{name}: {errors}");
        assert!(errors.contains(says) && errors.contains(&server.url()), "{name}: {errors}");
        assert!(!errors.contains("s3cret"), "{name}: {errors}");
        assert!(server.events().is_empty(), "{name}");
    }
}

#[test]
fn handshakes_that_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..300));
    let key = write_file(folder.path(), "key", "s3cret\n");
    for keepalive in [Some(true), Some(false), None] {
        let greeting = Greeting { keepalive, ..Greeting::with_key("s3cret").with_user("kata", "pass") };
        let server = Server::start(Script::default().greets(greeting));
        let mut command = whole_to(&server, &SHORT);
        command.arg("--shared-key-file").arg(&key).args(["--user", "kata"]).env("KATALOG_PASSWORD", "pass").arg(&log);
        let (code, errors) = run(&mut command);
        assert_eq!(code, Some(0), "{keepalive:?}: {errors}");
        assert_eq!(complete(&server.events(), 0..300), 0, "{keepalive:?}");
        assert_eq!(server.connections() > 1, keepalive == Some(false), "{keepalive:?}");
        assert_eq!(server.faults(), [""; 0], "{keepalive:?}");
    }
}

/// Returns the word that follows a key in an example of a configuration, in a comment or not.
fn printed_setting(path: &str, key: &str) -> String {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let words = |line: &str| line.trim_start_matches(['#', ' ']).split_whitespace().map(str::to_owned).collect();
    let lines = text.lines().map(words).find(|words: &Vec<String>| words.first().is_some_and(|word| word == key));
    lines.and_then(|words| words.get(1).cloned()).unwrap_or_else(|| panic!("{path} has no {key}"))
}

/// Writes a file that only its owner can read.
fn write_secret(path: &Path, secret: &str) {
    std::fs::write(path, format!("{secret}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_shared_key_needs_no_user() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..300));
    // Each greeting is of a server with the configuration that the file shows: Fluentd's, and Fluent Bit's.
    let fluentd = Greeting {
        hostname: printed_setting("fluentd/forward.conf", "self_hostname"),
        ..Greeting::with_key(&printed_setting("fluentd/forward.conf", "shared_key"))
    };
    let fluent_bit = Greeting {
        hostname: printed_setting("fluentd/fluent-bit.conf", "Self_Hostname"),
        form: Form::Text,
        keepalive: None,
        ..Greeting::with_key(&printed_setting("fluentd/fluent-bit.conf", "Shared_Key"))
    };
    let no_salt = Greeting::with_key("another").without_salt();
    for greeting in [fluentd, fluent_bit, no_salt] {
        let key = folder.path().join("key");
        write_secret(&key, &greeting.key);
        let server = Server::start(Script::default().greets(greeting.clone()));
        let (code, errors) = run(whole_to(&server, &SHORT).arg("--shared-key-file").arg(key).arg(&log));
        assert_eq!(code, Some(0), "{greeting:?}: {errors}");
        assert_eq!((complete(&server.events(), 0..300), errors.as_str()), (0, ""), "{greeting:?}");
        assert_eq!(server.faults(), [""; 0], "{greeting:?}");
        // The servers' own clients answer a salt with the password digest of an empty user.
        let password = if greeting.auth.is_empty() { String::new() } else { digest(&[&greeting.auth]) };
        let ping = &server.pings()[0];
        assert_eq!((ping.username.as_str(), &ping.password), ("", &password), "{greeting:?}");
    }
}

#[test]
fn certificates_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..3));
    let authority = Authority::new("authority");
    let ca = write_file(folder.path(), "ca.pem", authority.pem());
    let other = write_file(folder.path(), "other.pem", Authority::new("another").pem());
    let client = authority.client();
    let (cert, key) = client.write(folder.path());
    let [cert, key] = [&cert, &key].map(|path| path.to_str().unwrap());
    let versions = rustls::ALL_VERSIONS;
    for (name, flaw, ca, clients, flags, code) in [
        ("good", CertificateFlaw::None, &ca, None, vec![], 0),
        ("wrong name", CertificateFlaw::Name, &ca, None, vec![], 78),
        ("expired", CertificateFlaw::Expired, &ca, None, vec![], 78),
        ("another authority", CertificateFlaw::None, &other, None, vec![], 78),
        ("insecure", CertificateFlaw::Expired, &other, None, vec!["--tls-insecure"], 0),
        (
            "a client's certificate",
            CertificateFlaw::None,
            &ca,
            Some(&authority),
            vec!["--tls-cert", cert, "--tls-key", key],
            0,
        ),
        ("none of a client", CertificateFlaw::None, &ca, Some(&authority), vec!["--give-up-after", "500ms"], -1),
    ] {
        let config = authority.server(flaw).serves(versions, clients);
        let server = Server::start(Script::default().tls(config));
        let url = format!("forward+tls://localhost:{}", server.port());
        // Beside --tls-insecure, the flag would be an error.
        let (ended, errors) = run(whole(&["--to", &url]).env("KATALOG_TLS_CA", ca).args(&flags).arg(&log));
        match code {
            // A server may report it only after the handshake, or not at all.
            -1 => assert!(matches!(ended, Some(69 | 78)), "{name}: {errors}"),
            code => assert_eq!(ended, Some(code), "{name}: {errors}"),
        }
        assert_eq!(server.events().len(), if code == 0 { 3 } else { 0 }, "{name}: {errors}");
    }
}

#[test]
fn a_record_that_no_server_takes_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..300));
    let refused = folder.path().join("refused.ndjson");
    let server = Server::start(Script::default().poison(b"line 123"));
    let flags = ["--to", &server.url(), "--batch-size", "64K", "--refused", refused.to_str().unwrap()];
    let config = config(&[&["ship", "--once", "--no-state"], &flags[..]].concat());
    let rules = Rules::new(&config.records).unwrap();
    // With the default pauses it takes minutes until a record counts as refused.
    let pause = Duration::from_millis(2);
    let Some(Receiver::Forward(mut settings)) = config.delivery.receiver.clone() else {
        panic!("a forward server was named")
    };
    (settings.net.first_backoff, settings.net.last_backoff) = (pause, pause);
    let client = Receiver::Forward(settings).client(Observer::default()).unwrap();
    let server_config = ServerDeliveryConfig {
        metrics: DeliveryMetrics::new(&*client, Arc::default()),
        client,
        limits: config.delivery.limits,
        refused_file: RefusedFile::new(config.delivery.refused.clone()),
        spool: None,
        shutdown: Arc::default(),
        server: None,
    };
    let delivery = Box::new(ServerDelivery::start(server_config, Checkpoint::forgetful()).unwrap());
    let groups = source::group_inputs(&[Input::File(log)], &config.journal, false);
    let outcome = katalog::run::run(
        &katalog::run::Plan::new(&config, &[], &rules, &groups),
        delivery,
        &Signals::default(),
        &Status::default(),
    );
    assert_eq!(outcome.exit, Exit::Success);
    let mut numbers: Vec<usize> = server.events().iter().map(super::number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..300).filter(|number| *number != 123).collect::<Vec<_>>());
    let lines = std::fs::read_to_string(refused).unwrap();
    let [line] = lines.lines().collect::<Vec<_>>()[..] else { panic!("{lines}") };
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["record"]["kata_msg"], "line 123");
    assert!(line["reason"].as_str().unwrap().len() > 10 && line["server"].as_str().unwrap().contains("127.0.0.1"));
    let mut stats = Vec::new();
    katalog::diagnostics::write_stats(&outcome.stats, &outcome.errors, StatsFormat::Json, &mut stats).unwrap();
    let stats: serde_json::Value = serde_json::from_slice(&stats).unwrap();
    assert_eq!((&stats["written"], &stats["refused"]), (&300.into(), &1.into()));
}

#[test]
fn a_server_that_is_away_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..300));
    let address = Server::apart(Script::default()).stop();
    let url = format!("forward://{address}");
    let running = Running::start(whole(&["--to", &url]).args(SHORT).arg(&log));
    std::thread::sleep(Duration::from_millis(300));
    let server = Server::on(address, Script::default());
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(errors.contains("cannot connect") && errors.contains("takes records again"), "{errors}");
    assert_eq!(complete(&server.events(), 0..300), 0);
    drop(server);
    let (code, errors) = run(whole(&["--to", &url, "--give-up-after", "200ms"]).arg(&log));
    assert_eq!(code, Some(69), "{errors}");
    assert!(errors.contains("gave up"), "{errors}");
}
