//! Acknowledgements: whole, in pieces, late, wrong and missing.

use std::time::Instant;

use super::server::ack;
use super::*;

/// Delivers one chunk to a server that runs a script on its first connection, and serves the second. Returns the texts
/// of each request, and the counters.
fn requests_after(script: fn(&mut server::Peer)) -> (Vec<Vec<String>>, Counters) {
    let server = Server::start(move |peer| if peer.number == 0 { script(peer) } else { peer.serve() });
    let mut client = new_client(settings(&[&server])).unwrap();
    assert_eq!(client.deliver(&texts(&["a", "b"]), &far_deadline()).unwrap(), []);
    assert_eq!(server.connections(), 2);
    (server.seen().into_iter().map(|request| request.texts).collect(), *client.counters())
}

#[test]
fn chunks_follow_each_other_on_one_connection() {
    let server = Server::start(server::Peer::serve);
    for mode in [ForwardMode::Packed, ForwardMode::Forward, ForwardMode::Message] {
        let mut client = new_client(ForwardClientSettings { mode, ..settings(&[&server]) }).unwrap();
        for _ in 0..3 {
            assert_eq!(client.deliver(&texts(&["a", "b"]), &far_deadline()).unwrap(), []);
        }
        assert_eq!(client.deliver(&chunk(&[]), &far_deadline()).unwrap(), []);
        let acks = if mode == ForwardMode::Message { 6 } else { 3 };
        assert_eq!(*client.counters(), Counters { connections: 1, acks, ..Counters::default() });
    }
    assert_eq!(server.connections(), 3);
    assert_eq!(server.texts(), ["a", "b"].repeat(9));
    assert!(server.seen().iter().all(|request| request.tag == "kata.runtime"));
}

#[test]
fn messages_are_pipelined_and_acks_come_in_any_pieces() {
    let server = Server::start(|peer| {
        let mut acks = Vec::new();
        for _ in 0..64 {
            acks.extend(ack(&peer.request().unwrap().id));
        }
        for piece in acks.chunks(7) {
            peer.send(piece);
        }
        peer.serve();
    });
    let names: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let chunk = texts(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut client = new_client(ForwardClientSettings { mode: ForwardMode::Message, ..settings(&[&server]) }).unwrap();
    assert_eq!(client.deliver(&chunk, &far_deadline()).unwrap(), []);
    assert_eq!(server.texts(), names);
    let mut ids: Vec<String> = server.seen().into_iter().map(|request| request.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 200);
}

#[test]
fn an_acknowledgement_may_be_binary_and_in_pieces() {
    let server = Server::start(|peer| {
        while let Some(request) = peer.request() {
            let mut reply = b"\x81\xc4\x03ack\xc4\x18".to_vec();
            reply.extend_from_slice(request.id.as_bytes());
            for byte in reply {
                peer.send(&[byte]);
            }
        }
    });
    let mut client = new_client(settings(&[&server])).unwrap();
    assert_eq!(client.deliver(&texts(&["a"]), &far_deadline()).unwrap(), []);
    assert_eq!(client.counters().retries.total(), 0);
}

#[test]
fn an_unacknowledged_chunk_is_sent_again_in_halves() {
    let halves = [vec!["a", "b"], vec!["a"], vec!["b"]];
    // The server closes before and after reading, or answers without an acknowledgement.
    let (requests, counters) = requests_after(|peer| drop(peer.request()));
    assert_eq!(requests, halves);
    assert_eq!((counters.acks, counters.retries.total(), counters.resent), (2, 1, 2));
    let (requests, _) = requests_after(|peer| {
        peer.request();
        peer.stream.finish();
        peer.ignore();
    });
    assert_eq!(requests, halves);
    let (requests, counters) = requests_after(|peer| {
        peer.request();
        peer.send(b"\x80");
        peer.ignore();
    });
    assert_eq!(requests, halves);
    assert_eq!((counters.nacks, counters.connections, counters.reconnects), (1, 2, 1));
}

#[test]
fn a_chunk_is_sent_again_after_the_acknowledgement_of_an_unknown_request() {
    let (requests, counters) = requests_after(|peer| {
        let id = peer.request().unwrap().id;
        peer.ack(&format!("{id}\n"));
        peer.ignore();
    });
    assert_eq!(requests, [["a", "b"], ["a", "b"]]);
    assert_eq!((counters.acks, counters.retries.total(), counters.resent), (1, 1, 1));
}

#[test]
fn a_late_acknowledgement_counts_for_no_other_chunk() {
    let server = Server::start(|peer| {
        let id = peer.request().unwrap().id;
        if peer.number == 0 {
            // A second acknowledgement arrives late.
            peer.send(&[ack(&id), ack("late")].concat());
            peer.ignore();
        } else {
            peer.ack(&id);
            peer.serve();
        }
    });
    let mut client = new_client(settings(&[&server])).unwrap();
    assert_eq!(client.deliver(&texts(&["a"]), &far_deadline()).unwrap(), []);
    assert_eq!(client.deliver(&texts(&["b"]), &far_deadline()).unwrap(), []);
    assert_eq!(server.texts().last().unwrap(), "b");
    assert_eq!(client.counters().acks, 2);
    assert_eq!(server.connections(), 2);
}

#[test]
fn closed_and_idle_connections_are_not_reused() {
    let server = Server::start(|peer| {
        let id = peer.request().unwrap().id;
        peer.ack(&id);
    });
    let mut client = new_client(settings(&[&server])).unwrap();
    for _ in 0..3 {
        assert_eq!(client.deliver(&texts(&["a"]), &far_deadline()).unwrap(), []);
    }
    let server = Server::start(server::Peer::serve);
    let mut client = new_client(with(settings(&[&server]), |net| net.idle_limit = Duration::ZERO)).unwrap();
    for _ in 0..3 {
        assert_eq!(client.deliver(&texts(&["a"]), &far_deadline()).unwrap(), []);
    }
    assert_eq!((server.connections(), client.counters().retries.total(), client.counters().reconnects), (3, 0, 2));
}

#[test]
fn servers_of_other_protocols_are_recognized() {
    for (answer, part) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], "it speaks HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x0a", "forward+tls://"),
        (b"\xc1\xc1", "\\xc1\\xc1"),
        (b"\xc0", "\\xc0"),
    ] {
        let server = Server::start(move |peer| {
            peer.request();
            peer.send(answer);
            peer.ignore();
        });
        let cause = refusal(settings(&[&server]));
        assert!(matches!(cause, Cause::Garbage(_)) && cause.to_string().contains(part), "{cause}");
    }
}

#[test]
fn a_shutdown_ends_every_wait() {
    let silent = Server::start(server::Peer::ignore);
    let unread = Server::start(|_| std::thread::sleep(Duration::from_secs(20)));
    let gone = Server::start(|_| {});
    for (server, chunk) in [(&silent, texts(&["a"])), (&unread, large()), (&gone, texts(&["a"]))] {
        let begin = Instant::now();
        let shutdown = begin + Duration::from_millis(100);
        let settings = with(settings(&[server]), |net| net.last_backoff = Duration::from_secs(60));
        let result = new_client(settings).unwrap().deliver(&chunk, &shutdown);
        assert!(matches!(result, Err(NetError::Stopped)), "{result:?}");
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn a_stalled_server_is_abandoned() {
    let unread = Server::start(|_| std::thread::sleep(Duration::from_secs(20)));
    let other = Server::start(server::Peer::serve);
    let write_timeout = Duration::from_millis(100);
    let settings = with(settings(&[&unread, &other]), |net| net.write_timeout = write_timeout);
    let mut client = new_client(settings).unwrap();
    assert_eq!(client.deliver(&large(), &far_deadline()).unwrap(), []);
    assert_eq!(other.texts().len(), 1);
}

#[test]
fn unix_sockets_work() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::unix(&directory.path().join("fluent.sock"), server::Peer::serve);
    let mut client = new_client(settings(&[&server])).unwrap();
    assert_eq!(client.deliver(&texts(&["a"]), &far_deadline()).unwrap(), []);
    assert_eq!(server.texts(), ["a"]);
}

#[test]
fn ipv6_addresses_work() {
    let Some(server) = Server::ipv6("forward", |stream| Some(Box::new(stream))) else { return };
    assert!(server.address().starts_with("forward://[::1]:"));
    let mut client = new_client(settings(&[&server])).unwrap();
    assert_eq!(client.deliver(&texts(&["a"]), &far_deadline()).unwrap(), []);
    assert_eq!(server.texts(), ["a"]);
}

#[test]
fn a_server_whose_address_changes_is_found_after_the_backoff() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (current, second) = (path("current.sock"), path("second.sock"));
    let other = Server::unix(&second, server::Peer::serve);
    // The first server moves its address to the second one, and closes.
    let link = current.clone();
    let _first = Server::unix(&path("first.sock"), move |peer| {
        peer.request();
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&second, &link).unwrap();
    });
    std::os::unix::fs::symlink(path("first.sock"), &current).unwrap();
    let servers = vec![format!("unix:{}", current.display()).parse().unwrap()];
    let mut client = new_client(with(settings(&[]), |net| net.servers = servers)).unwrap();
    assert_eq!(client.deliver(&texts(&["a", "b"]), &far_deadline()).unwrap(), []);
    assert_eq!(other.texts(), ["a", "b"]);
}
