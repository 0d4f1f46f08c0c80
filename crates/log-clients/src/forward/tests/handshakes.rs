//! Handshakes that succeed, and every way to fail.

use sha2::{Digest as _, Sha512};

use super::server::Peer;
use super::*;

const NONCE: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn digest(parts: &[&[u8]]) -> String {
    Sha512::digest(parts.concat()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(value: &rmpv::Value) -> &str {
    value.as_str().unwrap()
}

/// Sends a challenge, checks the answer of user `kata`, and replies with a proof by `key`.
pub(super) fn handshake(peer: &mut Peer, helo: &str, hostname: &str, key: &str) -> Option<()> {
    handshake_as(peer, helo, ("kata", "s3cret"), hostname, key)
}

/// Sends a challenge, checks the answer of a user with a password, and replies with a proof by `key`.
fn handshake_as(peer: &mut Peer, helo: &str, (user, password): (&str, &str), hostname: &str, key: &str) -> Option<()> {
    peer.send(&hex(helo));
    let ping = peer.value()?;
    let salt = text(&ping[2]).as_bytes();
    assert_eq!((text(&ping[0]), text(&ping[1])), ("PING", "client.example"));
    assert_eq!(text(&ping[3]), digest(&[salt, b"client.example", &NONCE, b"secret"]));
    if helo == HELO_NO_AUTH {
        assert_eq!((text(&ping[4]), text(&ping[5])), ("", ""));
    } else {
        let auth: Vec<u8> = (0x10..0x20).collect();
        let expected = digest(&[&auth, user.as_bytes(), password.as_bytes()]);
        assert_eq!((text(&ping[4]), text(&ping[5])), (user, expected.as_str()));
    }
    let proof = digest(&[salt, hostname.as_bytes(), &NONCE, key.as_bytes()]);
    pong(peer, true, "", hostname, &proof);
    Some(())
}

fn pong(peer: &mut Peer, accepted: bool, reason: &str, hostname: &str, digest: &str) {
    let elements = vec!["PONG".into(), accepted.into(), reason.into(), hostname.into(), digest.into()];
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &rmpv::Value::Array(elements)).unwrap();
    peer.send(&bytes);
}

fn secured(servers: &[&Server]) -> ForwardClientSettings {
    ForwardClientSettings {
        shared_key: Some(Secret::new("secret")),
        user: Some("kata".to_owned()),
        password: Some(Secret::new("s3cret")),
        ..settings(servers)
    }
}

fn without_user(settings: ForwardClientSettings) -> ForwardClientSettings {
    ForwardClientSettings { user: None, password: None, ..settings }
}

#[test]
fn both_sides_prove_that_they_know_the_key() {
    for helo in [HELO, HELO_STR, HELO_NO_AUTH] {
        let server = Server::start(move |peer| {
            handshake(peer, helo, "server.example", "secret");
            peer.serve();
        });
        let mut client = new_client(secured(&[&server])).unwrap();
        for _ in 0..2 {
            assert_eq!(client.deliver(&texts(&["a"]), &far_deadline()).unwrap(), []);
        }
        assert_eq!((server.texts().len(), server.connections()), (2, 1));
    }
}

#[test]
fn a_client_without_a_user_answers_a_salt_with_an_empty_user() {
    for helo in [HELO, HELO_STR, HELO_NO_AUTH] {
        let server = Server::start(move |peer| {
            handshake_as(peer, helo, ("", ""), "server.example", "secret");
            peer.serve();
        });
        let mut client = new_client(without_user(secured(&[&server]))).unwrap();
        assert_eq!(client.deliver(&texts(&["a"]), &far_deadline()).unwrap(), []);
        assert_eq!((server.texts().len(), client.counters().retries.total()), (1, 0));
    }
}

#[test]
fn a_server_with_users_refuses_a_client_without_one() {
    let server = Server::start(|peer| {
        peer.send(&hex(HELO));
        peer.value();
        pong(peer, false, "username/password mismatch", "", "");
        peer.ignore();
    });
    let cause = refusal(without_user(secured(&[&server])));
    assert!(matches!(cause, Cause::Denied(_)) && cause.to_string().contains("username/password mismatch"), "{cause}");
}

#[test]
fn a_server_may_require_a_connection_per_request() {
    for mode in [ForwardMode::Packed, ForwardMode::Message] {
        let server = Server::start(|peer| {
            let helo = HELO.strip_suffix("c3").unwrap().to_owned() + "c2";
            handshake(peer, &helo, "server.example", "secret");
            let id = peer.request().unwrap().id;
            peer.ack(&id);
        });
        let mut client = new_client(ForwardClientSettings { mode, ..secured(&[&server]) }).unwrap();
        assert_eq!(client.deliver(&texts(&["a", "b"]), &far_deadline()).unwrap(), []);
        assert_eq!(client.deliver(&texts(&["c"]), &far_deadline()).unwrap(), []);
        assert_eq!(client.counters().retries.total(), 0);
        assert_eq!(server.texts(), ["a", "b", "c"]);
    }
}

#[test]
fn a_wrong_key_is_reported_on_either_side() {
    let denied = Server::start(|peer| {
        peer.send(&hex(HELO));
        peer.value();
        pong(peer, false, "shared_key mismatch", "", "");
        peer.ignore();
    });
    let cause = refusal(secured(&[&denied]));
    assert!(matches!(cause, Cause::Denied(_)) && cause.to_string().contains("shared_key mismatch"), "{cause}");

    let closing = Server::start(|peer| {
        peer.send(&hex(HELO_STR));
        peer.value();
    });
    assert!(matches!(refusal(secured(&[&closing])), Cause::ClosedInHandshake));

    let lying = Server::start(|peer| {
        handshake(peer, HELO, "server.example", "guessed");
        peer.serve();
    });
    assert!(matches!(refusal(secured(&[&lying])), Cause::WrongDigest));
    assert_eq!(lying.texts(), [""; 0]);

    let namesake = Server::start(|peer| {
        handshake(peer, HELO, "client.example", "secret");
        peer.serve();
    });
    let cause = refusal(secured(&[&namesake]));
    assert!(cause.to_string().contains("\"client.example\""), "{cause}");
}

#[test]
fn nothing_is_sent_without_a_challenge() {
    let silent = Server::start(server::Peer::serve);
    let handshake_timeout = Duration::from_millis(50);
    let cause = refusal(ForwardClientSettings { handshake_timeout, ..secured(&[&silent]) });
    assert!(matches!(cause, Cause::NoHelo(_)), "{cause}");
    assert_eq!(silent.texts(), [""; 0]);

    let hanging = Server::start(|peer| {
        peer.send(&hex(HELO));
        peer.ignore();
    });
    let settings = with(secured(&[&hanging]), |net| net.give_up_after = Some(Duration::ZERO));
    let settings = ForwardClientSettings { handshake_timeout: Duration::from_millis(300), ..settings };
    let error = new_client(settings).unwrap().deliver(&texts(&["a"]), &far_deadline()).unwrap_err();
    assert!(matches!(error, NetError::GaveUp { cause: Cause::HandshakeTimeout(_), .. }), "{error}");
}

#[test]
fn garbage_instead_of_a_handshake_is_shown() {
    for answer in [&b"SSH-2.0-OpenSSH"[..], b"\x92\xa4HELO\xc0", b"\xc1"] {
        let server = Server::start(move |peer| {
            peer.send(answer);
            peer.ignore();
        });
        assert!(matches!(refusal(secured(&[&server])), Cause::Garbage(bytes) if bytes.starts_with(&answer[..1])));
    }
    let server = Server::start(|peer| {
        peer.send(&hex(HELO));
        peer.value();
        peer.send(b"\x80");
        peer.ignore();
    });
    assert!(matches!(refusal(secured(&[&server])), Cause::Garbage(bytes) if bytes == b"\x80"));
}

#[test]
fn a_missing_key_is_reported() {
    let server = Server::start(|peer| {
        peer.send(&hex(HELO));
        peer.ignore();
    });
    assert!(matches!(refusal(settings(&[&server])), Cause::KeyRequired));
    // The cause is found even if the server reads nothing, so that a large request cannot be written.
    let deaf = Server::start(|peer| {
        peer.send(&hex(HELO));
        std::thread::sleep(Duration::from_secs(20));
    });
    let settings = with(settings(&[&deaf]), |net| net.one_shot = true);
    let result = new_client(settings).unwrap().deliver(&large(), &far_deadline());
    assert!(matches!(result, Err(NetError::Refused { cause: Cause::KeyRequired, .. })), "{result:?}");
}
