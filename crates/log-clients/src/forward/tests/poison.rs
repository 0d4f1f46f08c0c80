//! Records that a server refuses.

use super::*;

/// Starts a server that closes the connection over each request with a text that begins with `poison`.
fn closes_on_poison() -> Server {
    Server::start(|peer| {
        while let Some(request) = peer.request() {
            if request.texts.iter().any(|text| text.starts_with("poison")) {
                return;
            }
            peer.ack(&request.id);
        }
    })
}

#[test]
fn a_poison_record_is_refused_and_delays_no_other() {
    for mode in [ForwardMode::Packed, ForwardMode::Forward, ForwardMode::Message] {
        let server = closes_on_poison();
        let names: Vec<String> = (0..40).map(|number| format!("{number}")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names[7] = "poison 7";
        names[30] = "poison 30";
        let chunk = texts(&names);
        let mut client = new_client(ForwardClientSettings { mode, ..settings(&[&server]) }).unwrap();
        let mut refused = client.deliver(&chunk, &far_deadline()).unwrap();
        refused.sort_by_key(|refused| refused.entry.len());
        let entries: Vec<&[u8]> = refused.iter().map(|refused| refused.entry.as_slice()).collect();
        assert_eq!(entries, [chunk.bytes(&(7..8)), chunk.bytes(&(30..31))]);
        assert!(refused[0].tag == b"kata.runtime" && refused[0].server == server.address(), "{:?}", refused[0]);
        assert!(refused[0].reason.contains("closed"), "{:?}", refused[0]);
        assert_eq!(client.counters().refused, 2);

        // Acknowledged entries arrived once, and equal ids had equal requests.
        let seen = server.seen();
        let taken = seen.iter().filter(|request| !request.texts.iter().any(|text| text.starts_with("poison")));
        let mut taken: Vec<String> = taken.flat_map(|request| request.texts.clone()).collect();
        taken.sort();
        let mut expected: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        expected.retain(|name| !name.starts_with("poison"));
        expected.sort();
        if mode != ForwardMode::Message {
            assert_eq!(taken, expected);
        }
        taken.dedup();
        assert_eq!(taken, expected);
        for request in &seen {
            assert!(seen.iter().filter(|other| other.id == request.id).all(|other| other == request));
        }
        assert_eq!(client.deliver(&texts(&["next"]), &far_deadline()).unwrap(), []);
    }
}

#[test]
fn a_negative_reply_counts_as_a_refusal() {
    let server = Server::start(|peer| {
        while let Some(request) = peer.request() {
            if request.texts.contains(&"poison".to_owned()) {
                peer.send(b"\x80");
                return peer.ignore();
            }
            peer.ack(&request.id);
        }
    });
    let mut client = new_client(settings(&[&server])).unwrap();
    let refused = client.deliver(&texts(&["a", "poison", "b"]), &far_deadline()).unwrap();
    assert_eq!(refused.len(), 1);
    assert!(client.counters().nacks >= 3);
}

#[test]
fn a_single_record_is_tried_between_probes() {
    let server = closes_on_poison();
    let mut client = new_client(settings(&[&server])).unwrap();
    assert_eq!(client.deliver(&texts(&["poison"]), &far_deadline()).unwrap().len(), 1);
    let seen = server.seen();
    let empty = seen.iter().filter(|request| request.texts.is_empty()).count();
    assert_eq!((empty, seen.len() - empty), (9, 10));
}

#[test]
fn a_broken_server_refuses_nothing() {
    let server = Server::start(|peer| {
        if peer.number < 60 {
            peer.request();
        } else {
            peer.serve();
        }
    });
    let mut client = new_client(settings(&[&server])).unwrap();
    assert_eq!(client.deliver(&texts(&["a", "b", "c"]), &far_deadline()).unwrap(), []);
    assert_eq!(client.counters().refused, 0);
    let mut taken = server.texts();
    taken.sort();
    taken.dedup();
    assert_eq!(taken, ["a", "b", "c"]);
}

#[test]
fn silence_is_no_refusal() {
    let server = Server::start(|peer| if peer.number < 12 { peer.ignore() } else { peer.serve() });
    let ack_timeout = Duration::from_millis(10);
    let mut client = new_client(ForwardClientSettings { ack_timeout, ..settings(&[&server]) }).unwrap();
    assert_eq!(client.deliver(&texts(&["a", "b"]), &far_deadline()).unwrap(), []);
    assert_eq!(client.counters().refused, 0);
}
