//! Servers that are slow, silent, or close over large requests: batches get smaller, and copies are few.

use std::collections::HashMap;
use std::time::Duration;

use super::{Running, complete, deliver_to, lines, number, run, whole_to, write_file};
use crate::support::forward::{ConnectionScript, Event, Reply, Script, Server};

/// Flags for batches of 64 KiB, each record with an id.
const FLAGS: [&str; 6] = ["--batch-size", "64K", "--ack-timeout", "300ms", "--record-id", "record_id"];

/// Checks that all copies of a line have one record id, and that there are at most so many.
#[track_caller]
fn at_most(events: &[Event], most: usize) {
    let mut copies: HashMap<usize, Vec<&str>> = HashMap::new();
    for event in events {
        copies.entry(number(event)).or_default().push(event.text("record_id").unwrap());
    }
    for (line, ids) in copies {
        assert!(ids.len() <= most, "line {line} arrives {} times", ids.len());
        assert!(ids.iter().all(|id| *id == ids[0]), "line {line}: {ids:?}");
    }
}

#[test]
fn a_server_that_reads_slowly_gets_everything() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..500));
    let throttled = |_| ConnectionScript::throttled(1000, Duration::from_millis(20));
    let server = Server::start(Script::default().connections(throttled));
    let (code, errors) = run(whole_to(&server, &FLAGS).arg(log));
    assert_eq!(code, Some(0), "{errors}");
    // Batches of 64 KiB halve at most eight times before a record is alone.
    let events = server.events();
    complete(&events, 0..500);
    at_most(&events, 9);
    assert_eq!(server.faults(), [""; 0]);
}

#[test]
fn a_server_that_acknowledges_late_is_awaited_on_its_connection() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..300));
    let server = Server::start(Script::default().replies(|request| match request.number {
        0..2 => Reply::Late(Duration::from_millis(400)),
        _ => Reply::Ack,
    }));
    let (code, errors) = run(whole_to(&server, &FLAGS).arg(log));
    assert_eq!(code, Some(0), "{errors}");
    let events = server.events();
    complete(&events, 0..300);
    at_most(&events, 3);
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_server_that_closes_over_large_requests_gets_smaller_ones() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..3000));
    // So does Fluent Bit with a Buffer_Max_Size below the size of a batch.
    let largest = |request: &crate::support::forward::Request| {
        if request.bytes.len() > 5_000 { Reply::Refuse } else { Reply::Ack }
    };
    let server = Server::start(Script::default().replies(largest));
    let (code, errors) = run(whole_to(&server, &FLAGS).arg(log));
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(complete(&server.events(), 0..3000), 0);
    let refused = server.requests().iter().filter(|request| request.bytes.len() > 5_000).count();
    assert!((2..=10).contains(&refused), "{refused}");
}

#[test]
fn a_server_that_never_acknowledges_gets_few_copies() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..100));
    let server = Server::start(Script::default().replies(|_| Reply::Silence));
    let flags = ["--no-state", "--ack-timeout", "10ms", "--record-id", "record_id"];
    let running = Running::start(deliver_to(&server, &flags).arg(log));
    server.wait("empty requests", |log| log.requests.iter().filter(|request| request.events == 0).count() > 2);
    running.kill();
    // 100 records of three tags halve at most six times.
    at_most(&server.events(), 7);
}
