//! Servers that are away, slow, or disconnect: retries, saved positions, and the end of a run.

use std::io::Write as _;
use std::process::{Child, Stdio};

use super::*;

/// Returns a log of Kata whose lines have distinct numbers.
fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers
        .map(|number| {
            format!("time=\"2031-01-01T00:00:00.{number:09}Z\" level=info msg=\"line {number}\" source=runtime\n")
        })
        .collect()
}

/// Counts the arrivals of each line. The last message of a cut connection may be incomplete.
fn counts(connections: &[Vec<u8>], lines: usize) -> Vec<usize> {
    let mut counts = vec![0; lines];
    for mut bytes in connections.iter().map(Vec::as_slice) {
        while let Some((message, rest)) = first(bytes) {
            let message = std::str::from_utf8(message).unwrap();
            let number: usize = message.rsplit(' ').next().unwrap().parse().unwrap();
            counts[number] += 1;
            bytes = rest;
        }
    }
    counts
}

/// Waits for the exit of a program. Returns its exit code and standard error.
#[track_caller]
fn end(mut child: Child) -> (Option<i32>, String) {
    wait_for_exit(&mut child);
    let output = child.wait_with_output().unwrap();
    (output.status.code(), stderr(&output))
}

#[test]
fn connections_that_are_cut_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kata.log");
    fs::write(&log, lines(0..3000)).unwrap();
    for cut in [0, 1, 100, 4000, 20_000, 70_000] {
        // Bytes read before the cut count as received; unread bytes are lost with the connection.
        let listener = Listener::scripted(move |number, stream, bytes| {
            if number < 3 {
                _ = stream.take(cut).read_to_end(bytes);
            } else {
                _ = stream.read_to_end(bytes);
            }
        });
        run(whole_to(&listener.url(), &["--batch-size", "16K", "--stats", "none"]).arg(&log));
        let connections: Vec<Vec<u8>> = listener.received.try_iter().collect();
        let counts = counts(&connections, 3000);
        let missing: Vec<usize> = (0..3000).filter(|number| counts[*number] == 0).collect();
        assert!(missing.is_empty(), "cut after {cut}, {} connections: {missing:?}", connections.len());
        assert!(connections.len() > 3, "cut after {cut}");
    }
}

#[test]
fn a_slow_reader_gets_each_line_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kata.log");
    fs::write(&log, lines(0..20_000)).unwrap();
    let listener = Listener::scripted(|_, stream, bytes| {
        let mut buffer = [0; 64 << 10];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..count]);
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    run(whole_to(&listener.url(), &["--batch-size", "64K"]).arg(&log));
    assert_eq!(counts(&[listener.next()], 20_000), [1; 20_000]);
}

#[test]
fn a_server_that_is_away_is_waited_for_or_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("syslog+tcp://{address}");
    let input = node_journal();
    let (code, errors) = refused(&["--to", &url, "--give-up-after", "100ms", input.to_str().unwrap()]);
    assert_eq!(code, Some(69), "{errors}");
    assert!(errors.contains("gave up after") && errors.contains(&url), "{errors}");
    // The next server of the list takes over.
    let other = Listener::start();
    let errors = run(whole_to(&format!("{url},{}", other.url()), &[]).arg(&input));
    assert!(errors.contains("cannot connect"), "{errors}");
    assert_eq!(counted(&other.next()).len(), 33);
}

#[test]
fn the_position_moves_on_with_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (log, state) = (folder.path().join("kata.log"), folder.path().join("state"));
    let once = |url: &str| run(deliver_to(url, &["--once", "--state-dir", state.to_str().unwrap()]).arg(&log));
    fs::write(&log, lines(0..100)).unwrap();
    let listener = Listener::start();
    once(&listener.url());
    assert_eq!(counts(&[listener.next()], 100), [1; 100]);
    let mut file = fs::OpenOptions::new().append(true).open(&log).unwrap();
    file.write_all(lines(100..150).as_bytes()).unwrap();
    once(&listener.url());
    let counts = counts(&[listener.next()], 150);
    assert!(counts[..100].iter().all(|count| *count == 0) && counts[100..].iter().all(|count| *count == 1));
    // No new records, so no connection is needed.
    once("syslog+tcp://127.0.0.1:1");
}

#[test]
fn a_run_that_is_told_to_end_delivers_what_is_in_hand() {
    let folder = tempfile::tempdir().unwrap();
    let (log, state) = (folder.path().join("kata.log"), folder.path().join("state"));
    fs::write(&log, lines(0..100)).unwrap();
    let listener = Listener::start();
    let flags = ["--batch-age", "1h", "--state-dir", state.to_str().unwrap()];
    let child = deliver_to(&listener.url(), &flags).arg(&log).stderr(Stdio::piped()).spawn().unwrap();
    // The start position is saved before reading begins, and later positions only after delivery.
    wait_until("the saved state", || state.join("state.json").exists());
    std::thread::sleep(Duration::from_millis(200));
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let (code, errors) = end(child);
    assert_eq!(code, Some(0), "{errors}");
    // However much it had read by then, the next run resumes there.
    run(deliver_to(&listener.url(), &flags).arg("--once").arg(&log));
    let connections: Vec<Vec<u8>> = listener.received.try_iter().collect();
    assert!(!connections.is_empty());
    assert_eq!(counts(&connections, 100), [1; 100]);
}

#[test]
fn a_spool_keeps_messages_until_they_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let spool = spool.to_str().unwrap();
    let start_with_input = |url: &str, text: &str, flags: &[&str]| {
        let mut child = deliver_to(url, flags)
            .args(["--spool", spool, "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        end(child)
    };
    let (code, errors) = start_with_input("syslog+tcp://127.0.0.1:1", &lines(0..50), &["--give-up-after", "50ms"]);
    assert_eq!(code, Some(69), "{errors}");
    // The spooled messages are not forward events.
    let (code, errors) = start_with_input("forward://127.0.0.1:1", "", &[]);
    assert_eq!(code, Some(78), "{errors}");
    assert!(errors.contains("another protocol"), "{errors}");
    let listener = Listener::start();
    let (code, errors) = start_with_input(&listener.url(), &lines(50..60), &[]);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(counts(&[listener.next()], 60), [1; 60]);
}
