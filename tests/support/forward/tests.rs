//! Tests of the servers themselves, with the byte vectors of the protocol's checklist.

mod handshake;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rmpv::Value;
use rustls::version::{TLS12, TLS13};

use super::count::{self, Response, Totals};
use super::handshake::{Form, Greeting, HandshakeFault, Ping, digest};
use super::node::{self, Peer, PeerSettings};
use super::tls::{self, Authority, CertificateFlaw};
use super::wire::{Frame, Mode, Scanner, ack};
use super::{ConnectionScript, CutPoint, Event, Reply, Script, Server};

const TAG: &str = "ac6b6174612e72756e74696d65";
const E1: &str = "92d7005e4fb17f30538bcf82aa6b6174615f6c6576656ca4696e666fa86b6174615f6d7367af72656c656173652073616e64\
    626f78";
const E1M: &str = "9292d7005e4fb17f30538bcf8082aa6b6174615f6c6576656ca4696e666fa86b6174615f6d7367af72656c65617365207361\
    6e64626f78";
const E2: &str = "92d7005e4fb1800000000582aa6b6174615f6c6576656ca47761726ea86b6174615f706964cd37ea";
const OPT: &str = "82a473697a6502a56368756e6bb870386e39676d7854515643382f6e6832776c4b4b65513d3d";
const OPT_GZIP: &str = "83a473697a6502a56368756e6bb870386e39676d7854515643382f6e6832776c4b4b65513d3daa636f6d70726573736564a4\
    677a6970";
const OPT_ZSTD: &str = "83a473697a6502a56368756e6bb870386e39676d7854515643382f6e6832776c4b4b65513d3daa636f6d70726573736564a4\
    7a737464";
const ACK: &str = "81a361636bb870386e39676d7854515643382f6e6832776c4b4b65513d3d";
const HELO: &str = "92a448454c4f83a56e6f6e6365c410000102030405060708090a0b0c0d0e0fa461757468c410101112131415161718191a1b\
    1c1d1e1fa96b656570616c697665c3";
const HELO_STR: &str = "92a448454c4f82a56e6f6e6365b0000102030405060708090a0b0c0d0e0fa461757468b0101112131415161718191a1b1c1d\
    1e1f";
const HELO_NOAUTH: &str =
    "92a448454c4f83a56e6f6e6365c410000102030405060708090a0b0c0d0e0fa461757468a0a96b656570616c697665c3";
const PING3: &str = "c65d8fc091762659a07f064520b96229988fa77a6080c267d5b1927b5f750280f45e0ced2c62f7b94bd5b99ef98bb729a73b\
    a3f8f3937596e2b56482e46b2c26";
const PING5: &str = "30b20463f8b9c7cc1cc569069869d8410472c98cd64c39d89e5f6c182062b63212b4cf96669f006573f78a95722a9c7e3314\
    a7209ac830bd4c8e6fc9660dcb47";
const PONG4: &str = "25813412a9c18fceaf2358a7eb7adf36a8adf9bb7369c212a4112477bdfc74c549dcd15ff154fa0558f7656b826838f72f8e\
    97fa6616e23a8055202d70f7f856";
const REFUSED: &str = "95a4504f4e47c2b37368617265645f6b6579206d69736d61746368a0a0";

fn hex(parts: &[&str]) -> Vec<u8> {
    let digits: Vec<u8> = parts.concat().bytes().map(|digit| char::from(digit).to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn message() -> Vec<u8> {
    [hex(&["93", TAG]), hex(&[E1]).split_off(1)].concat()
}

fn forward() -> Vec<u8> {
    hex(&["93", TAG, "92", E1, E2, OPT])
}

fn packed() -> Vec<u8> {
    hex(&["93", TAG, "c45d", E1, E2, OPT])
}

fn packed_as_text() -> Vec<u8> {
    hex(&["93", TAG, "db0000005d", E1, E2, OPT])
}

fn gzip() -> Vec<u8> {
    let member = ["1f8b08000000000000ff", "015d00a2ff", E1, E2, "782ab7b3", "5d000000"].concat();
    hex(&["93", TAG, "c474", &member, OPT_GZIP])
}

fn zstd() -> Vec<u8> {
    hex(&["93", TAG, "c466", "28b52ffd205d", "e90200", E1, E2, OPT_ZSTD])
}

fn ping(user: bool) -> Vec<u8> {
    let user = if user { ["a46b617461d980", &text_of(PING5)].concat() } else { "a0a0".to_owned() };
    let names = ["ae", &text_of("client.example"), "d920", &text_of("00112233445566778899aabbccddeeff")].concat();
    hex(&["96a450494e47", &names, "d980", &text_of(PING3), &user])
}

/// Returns text as hexadecimal digits.
fn text_of(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn record(pairs: &[(&str, Value)]) -> Value {
    Value::Map(pairs.iter().map(|(key, value)| ((*key).into(), value.clone())).collect())
}

fn first() -> Event {
    Event {
        tag: "kata.runtime".to_owned(),
        seconds: 1_582_281_087,
        nanos: 810_781_647,
        metadata: Value::Nil,
        record: record(&[("kata_level", "info".into()), ("kata_msg", "release sandbox".into())]),
    }
}

fn second() -> Event {
    Event {
        seconds: 1_582_281_088,
        nanos: 5,
        record: record(&[("kata_level", "warn".into()), ("kata_pid", 14314.into())]),
        ..first()
    }
}

/// A manual client.
struct Client(TcpStream);

impl Client {
    fn new(server: &Server) -> Client {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(stream)
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    #[track_caller]
    fn gets(&mut self, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        self.0.read_exact(&mut got).unwrap();
        assert_eq!(got, bytes);
    }

    /// Checks that the server closes without another byte; unread data may make that a reset.
    #[track_caller]
    fn is_closed(&mut self) {
        match self.0.read(&mut [0; 1]) {
            Ok(0) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn gets_nothing(&mut self) {
        self.0.set_read_timeout(Some(Duration::from_millis(60))).unwrap();
        let error = self.0.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        self.0.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }
}

#[test]
fn every_mode_is_decoded() {
    let server = Server::start(Script::default());
    let mut client = Client::new(&server);
    client.send(&message());
    client.gets_nothing();
    for request in [forward(), packed(), gzip(), zstd()] {
        client.send(&request);
        client.gets(&hex(&[ACK]));
    }
    assert_eq!(server.faults(), Vec::<String>::new());
    client.send(&packed_as_text());
    client.gets(&hex(&[ACK]));
    let log = server.log();
    let modes: Vec<Mode> = log.requests.iter().map(|request| request.mode).collect();
    assert_eq!(modes, [Mode::Message, Mode::Forward, Mode::Packed, Mode::Gzip, Mode::Zstd, Mode::Packed]);
    assert_eq!(log.events[0], first());
    for pair in log.events[1..].chunks(2) {
        assert_eq!(pair, [first(), second()]);
    }
    assert_eq!(log.events.len(), 11);
    assert_eq!(log.requests[2].bytes, packed());
    assert_eq!(log.requests[2].chunk.as_deref(), Some(&b"p8n9gmxTQVC8/nh2wlKKeQ=="[..]));
    assert_eq!(log.requests[0].chunk, None);
    assert_eq!(log.faults, ["entries as text"]);
    assert_eq!(first().text("kata_msg"), Some("release sandbox"));
}

#[test]
fn both_forms_of_time_and_metadata() {
    let server = Server::start(Script::default());
    let mut client = Client::new(&server);
    client.send(&hex(&["93", TAG, "ce5e4fb17f81a16da26869"]));
    client.send(&hex(&["93", TAG, "c708005e4fb17f30538bcf81a16da26869"]));
    let options = "82ad666c75656e745f7369676e616c00a86d6574616461746181a16ba176";
    client.send(&hex(&["94", TAG, "d7005e4fb17f30538bcf81a16da26869", options]));
    client.send(&hex(&["92", TAG, "91", E1M]));
    let events = server.wait_for_events(4);
    assert_eq!((events[0].seconds, events[0].nanos), (1_582_281_087, 0));
    assert_eq!((events[1].seconds, events[1].nanos), (1_582_281_087, 810_781_647));
    assert_eq!(events[2].record, record(&[("m", "hi".into())]));
    assert_eq!(Event { metadata: Value::Nil, ..events[3].clone() }, first());
    assert_eq!(events[3].metadata, Value::Map(Vec::new()));
    assert_eq!(server.faults(), ["metadata"]);
}

#[test]
fn values_are_found_however_they_are_cut() {
    for bytes in [message(), forward(), packed(), packed_as_text(), gzip(), ping(true), hex(&[HELO])] {
        let mut scanner = Scanner::new();
        for end in 0..bytes.len() {
            assert_eq!(scanner.end(&bytes[..end]), Ok(None));
        }
        assert_eq!(scanner.end(&bytes), Ok(Some(bytes.len())));
        let more = [bytes.as_slice(), &bytes].concat();
        assert_eq!(Scanner::new().end(&more), Ok(Some(bytes.len())));
    }
    for head in ["c1", "93c1", "9290c1"] {
        assert!(Scanner::new().end(&hex(&[head])).is_err(), "{head}");
    }
}

#[test]
fn heads_at_their_edges() {
    let sizes: [(&str, usize); 12] = [
        ("bf", 31),
        ("d920", 32),
        ("da0100", 256),
        ("c4ff", 255),
        ("c50100", 256),
        ("c600010000", 65536),
        ("c708", 9),
        ("d8", 17),
        ("7f", 0),
        ("cf", 8),
        ("d1", 2),
        ("cb", 8),
    ];
    for (head, own) in sizes {
        let bytes = [hex(&[head]), vec![0; own]].concat();
        assert_eq!(Scanner::new().end(&bytes), Ok(Some(bytes.len())), "{head}");
        assert_eq!(Scanner::new().end(&bytes[..bytes.len() - 1]), Ok(None), "{head}");
    }
    for (head, inside) in [("dc0010", 16), ("de0010", 32), ("df00010000", 131_072)] {
        let bytes = [hex(&[head]), vec![0xc0; inside]].concat();
        assert_eq!(Scanner::new().end(&bytes), Ok(Some(bytes.len())), "{head}");
    }
}

#[test]
fn bad_requests_end_the_connection() {
    let cases = ["c1", "c0", "80", "91a178", "93a178c0c0", "93a178d7005e4fb17f30538bcfc0", "92a178c4019392"];
    for case in cases {
        let server = Server::start(Script::default());
        let mut client = Client::new(&server);
        client.send(&hex(&[case]));
        client.0.shutdown(std::net::Shutdown::Write).unwrap();
        client.is_closed();
        assert_eq!(server.wait("the end", |log| log.ends.len() == 1).faults.len(), 1, "{case}");
        assert_eq!(server.events(), []);
    }
}

#[test]
fn replies_as_the_script_says() {
    let replies = [
        Reply::Silence,
        Reply::AckOfBytes,
        Reply::Split,
        Reply::Hold,
        Reply::Twice,
        Reply::WrongId,
        Reply::Bytes(b"HTTP/1.1 400".to_vec()),
        Reply::NackOnly,
        Reply::Late(Duration::from_millis(80)),
        Reply::Nack,
    ];
    let server = Server::start(Script::default().replies(move |request| replies[request.number].clone()));
    let mut client = Client::new(&server);
    client.send(&packed());
    client.gets_nothing();
    client.send(&packed());
    client.gets(&hex(&["81a361636bc41870386e39676d7854515643382f6e6832776c4b4b65513d3d"]));
    client.send(&packed());
    client.gets(&hex(&[ACK]));
    client.send(&packed());
    client.gets_nothing();
    client.send(&packed());
    client.gets(&hex(&[ACK, ACK, ACK]));
    client.send(&packed());
    client.gets(&ack(b"AAAAAAAAAAAAAAAAAAAAAA=="));
    client.send(&packed());
    client.gets(b"HTTP/1.1 400");
    client.send(&packed());
    client.gets(&[0x80]);
    let start = Instant::now();
    client.send(&packed());
    client.gets(&hex(&[ACK]));
    assert!(start.elapsed() >= Duration::from_millis(80));
    client.send(&packed());
    client.gets(&[0x80]);
    client.is_closed();
    let log = server.log();
    // Refused events were not accepted.
    assert_eq!((log.requests.len(), log.events.len()), (10, 16));
}

#[test]
fn an_id_is_given_back_as_it_came() {
    let server = Server::start(Script::default());
    let mut client = Client::new(&server);
    let id = "70386e39676d7854515643382f6e6832776c4b4b65513d3d0a";
    client.send(&hex(&["93", TAG, "91", E1, "81a56368756e6bb9", id]));
    client.gets(&hex(&["81a361636bb9", id]));
    assert_eq!(server.faults(), ["the id is not 16 bytes in base64"]);
}

#[test]
fn lost_acks_and_refusals() {
    let server = Server::start(Script::default().poison(b"release").replies(|_| Reply::Lose));
    for (request, taken) in [(hex(&["93", TAG, "91", E2, OPT]), 1), (gzip(), 1)] {
        let mut client = Client::new(&server);
        client.send(&request);
        client.is_closed();
        assert_eq!(server.events().len(), taken);
    }
    server.script(Script::default());
    let mut client = Client::new(&server);
    client.send(&gzip());
    client.gets(&hex(&[ACK]));
    assert_eq!(server.wait_for_requests(3)[2].connection, 2);
}

#[test]
fn connections_are_cut_where_the_script_says() {
    let size = packed().len() as u64;
    let script = Script::default().connections(move |number| match number {
        0 => ConnectionScript::cut(CutPoint::Byte(0)),
        1 => ConnectionScript::cut(CutPoint::Byte(size + 40)),
        2 => ConnectionScript::cut(CutPoint::Inside(1, 40)),
        3 => ConnectionScript::cut(CutPoint::Inside(0, size)),
        4 => ConnectionScript::stalled(CutPoint::Byte(0)),
        5 => ConnectionScript::stalled(CutPoint::Inside(1, 40)),
        _ => ConnectionScript::throttled(16, Duration::from_millis(2)),
    });
    let server = Server::start(script);
    Client::new(&server).is_closed();
    for _ in 1..=2 {
        let mut client = Client::new(&server);
        client.send(&packed());
        client.gets(&hex(&[ACK]));
        client.send(&packed());
        client.is_closed();
    }
    let mut client = Client::new(&server);
    client.send(&packed());
    client.is_closed();
    assert_eq!(server.requests().len(), 2);
    let mut stalled = Client::new(&server);
    stalled.send(&packed());
    stalled.gets_nothing();
    let mut client = Client::new(&server);
    client.send(&packed());
    client.gets(&hex(&[ACK]));
    client.send(&packed());
    client.gets_nothing();
    let start = Instant::now();
    let mut client = Client::new(&server);
    client.send(&packed());
    client.gets(&hex(&[ACK]));
    assert!(start.elapsed() > Duration::from_millis(18));
    server.stop();
    stalled.is_closed();
}

#[test]
fn a_server_comes_back_on_its_port() {
    let server = Server::apart(Script::default());
    let mut client = Client::new(&server);
    client.send(&packed());
    client.gets(&hex(&[ACK]));
    let address = server.stop();
    client.is_closed();
    assert!(TcpStream::connect(address).is_err());
    let server = Server::on(address, Script::default());
    assert_eq!((server.port(), server.url()), (address.port(), format!("forward://{address}")));
    let mut client = Client::new(&server);
    client.send(&packed());
    client.gets(&hex(&[ACK]));
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fluent.sock");
    for _ in 0..2 {
        let server = Server::unix(&path, Script::default());
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(&packed()).unwrap();
        let mut got = vec![0; 30];
        client.read_exact(&mut got).unwrap();
        assert_eq!(got, hex(&[ACK]));
        assert_eq!(server.events(), [first(), second()]);
    }
}

#[test]
fn the_peer_of_others_takes_the_same_bytes() {
    if node::missing() {
        return;
    }
    let peer = Peer::start(&PeerSettings::default());
    let mut stream = TcpStream::connect(("127.0.0.1", peer.port())).unwrap();
    for request in [message(), forward(), packed(), packed_as_text(), gzip()] {
        stream.write_all(&request).unwrap();
    }
    let entries = peer.wait_for(9);
    assert_eq!(
        (entries[0].tag.as_str(), entries[0].seconds, entries[0].nanos),
        ("kata.runtime", 1_582_281_087, 810_781_647)
    );
    assert_eq!(entries[0].record, serde_json::json!({"kata_level": "info", "kata_msg": "release sandbox"}));
    assert_eq!(entries[2].record, serde_json::json!({"kata_level": "warn", "kata_pid": 14314}));
    let mut acks = vec![0; 120];
    stream.read_exact(&mut acks).unwrap();
    assert_eq!(acks, hex(&[ACK, ACK, ACK, ACK]));
    assert_eq!((peer.entries().len(), peer.url()), (9, format!("forward://127.0.0.1:{}", peer.port())));
}

#[test]
fn the_peer_of_others_with_key_user_and_tls() {
    if node::missing() {
        return;
    }
    let authority = Authority::new("authority");
    let identity = authority.server(CertificateFlaw::None);
    let demands = PeerSettings {
        key: Some("secret"),
        users: &[("kata", "s3cret")],
        tls: Some(&identity),
        clients: Some(&authority),
    };
    let peer = Peer::start(&demands);
    let stream = TcpStream::connect(("127.0.0.1", peer.port())).unwrap();
    let config = tls::client(&authority, Some(&authority.client()));
    let connection = rustls::ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, stream);
    let mut helo = vec![0; 65];
    stream.read_exact(&mut helo).unwrap();
    let (nonce, auth) = (&helo[15..31], &helo[38..54]);
    let key = digest(&[b"00112233445566778899aabbccddeeff", b"client.example", nonce, b"secret"]);
    let word = digest(&[auth, b"kata", b"s3cret"]);
    let mut bytes = ping(true);
    bytes[57..185].copy_from_slice(key.as_bytes());
    let end = bytes.len();
    bytes[end - 128..].copy_from_slice(word.as_bytes());
    stream.write_all(&bytes).unwrap();
    let mut pong = vec![0; 153];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!(&pong[..7], &hex(&["95a4504f4e47c3"]));
    stream.write_all(&packed()).unwrap();
    assert_eq!(peer.wait_for(2).len(), 2);
}

#[test]
fn a_frame_knows_its_parts() {
    let bytes = gzip();
    let frame = Frame::parse(&bytes).unwrap();
    assert_eq!((frame.tag, frame.size, frame.compressed), (&b"kata.runtime"[..], Some(2), Some(&b"gzip"[..])));
    assert_eq!(frame.count(), Some(2));
    for bad in ["94a1789080c0", "9461a0a0a0", "93c4017890c0", "92a178c0", "c0"] {
        assert!(Frame::parse(&hex(&[bad])).is_err(), "{bad}");
    }
}

#[test]
fn the_receiver_that_counts() {
    let listener = super::listen(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    let mut client = Client(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let serving = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let (mut totals, mut records) = (Totals::default(), Vec::new());
        let verdicts = [Response::Ack, Response::Ack, Response::Silence, Response::Ack, Response::Ack, Response::Close];
        let mut next = verdicts.into_iter();
        count::serve(&mut stream, &mut totals, |frame| {
            let show = |id: &[u8], record: &[u8]| records.push((id.to_vec(), count::hash(record)));
            count::records(frame, "kata_level", show).map_err(count::invalid)?;
            Ok(next.next().unwrap())
        })
        .unwrap();
        (totals, records)
    });
    let requests = [message(), forward(), packed(), gzip(), zstd(), packed_as_text()];
    let bytes: usize = requests.iter().map(Vec::len).sum();
    for piece in requests.concat().chunks(50) {
        client.send(piece);
    }
    client.gets(&hex(&[ACK, ACK, ACK]));
    client.is_closed();
    let (totals, records) = serving.join().unwrap();
    assert_eq!(totals, Totals { requests: 6, events: 11, bytes: bytes as u64 });
    assert_eq!(records.len(), 11);
    assert_eq!((records[0].0.as_slice(), records[2].0.as_slice()), (&b"info"[..], &b"warn"[..]));
    assert!(records[0].1 == records[1].1 && records[0].1 != records[2].1);
}
