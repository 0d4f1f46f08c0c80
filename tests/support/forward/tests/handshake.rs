//! Handshakes, byte for byte and faulty, and TLS.

use super::*;

fn greeting() -> Greeting {
    Greeting::with_key("secret").without_salt()
}

fn pong() -> Vec<u8> {
    hex(&["95a4504f4e47c3a0ae7365727665722e6578616d706c65d980", &text_of(PONG4)])
}

#[test]
fn the_handshake_byte_for_byte() {
    let salted = Greeting::with_key("secret");
    let user = salted.clone().with_user("kata", "s3cret");
    let text = Greeting { form: Form::Text, keepalive: None, ..user.clone() };
    let cases = [(user, HELO, true), (text, HELO_STR, true), (salted, HELO, false), (greeting(), HELO_NOAUTH, false)];
    for (greeting, helo, user) in cases {
        let server = Server::start(Script::default().greets(greeting));
        let mut client = Client::new(&server);
        client.gets(&hex(&[helo]));
        client.send(&ping(user));
        client.gets(&pong());
        client.send(&packed());
        client.gets(&hex(&[ACK]));
        assert_eq!(server.pings(), [Ping::parse(&ping(user)).unwrap()]);
        assert_eq!(server.faults(), Vec::<String>::new());
    }
    let sent = Ping::parse(&ping(true)).unwrap();
    assert_eq!((sent.hostname.as_str(), sent.username.as_str()), ("client.example", "kata"));
    assert_eq!((sent.digest.as_str(), sent.password.as_str()), (PING3, PING5));
    assert_eq!(digest(&[&sent.salt, b"server.example", &greeting().nonce, b"secret"]), PONG4);
    assert_eq!(ping(true).len(), 320);
}

#[test]
fn a_handshake_that_fails() {
    let cases = [
        (Greeting::with_key("other"), hex(&[REFUSED]), true),
        (
            greeting().with_user("kata", "other"),
            greeting()
                .with_fault(HandshakeFault::Refuse("username/password mismatch"))
                .pong(&Ping::parse(&ping(true)).unwrap())
                .0,
            true,
        ),
        (greeting().with_fault(HandshakeFault::Refuse("shared_key mismatch")), hex(&[REFUSED]), true),
        (greeting().with_fault(HandshakeFault::CloseForPong), Vec::new(), true),
        (greeting().with_fault(HandshakeFault::NoPong), Vec::new(), false),
        (greeting().with_fault(HandshakeFault::SlowPong), pong(), false),
        (greeting().with_fault(HandshakeFault::Pong(vec![0xc0])), vec![0xc0], false),
    ];
    for (greeting, answer, closed) in cases {
        let helo = greeting.helo();
        let fault = greeting.fault.clone();
        let server = Server::start(Script::default().greets(greeting));
        let mut client = Client::new(&server);
        client.gets(&helo);
        client.send(&ping(true));
        client.gets(&answer);
        if closed {
            client.is_closed();
        } else {
            client.gets_nothing();
        }
        assert_eq!(server.events(), [], "{fault:?}");
    }
    let lie = greeting().with_fault(HandshakeFault::Lie).pong(&Ping::parse(&ping(false)).unwrap());
    assert!(lie.1 && lie.0.len() == pong().len() && lie.0 != pong());
}

#[test]
fn odd_greetings() {
    assert!(greeting().with_fault(HandshakeFault::HugeHelo(1 << 20)).helo().len() > 1 << 20);
    let server =
        Server::start(Script::default().greets(greeting().with_fault(HandshakeFault::Helo(b"HTTP/1.1".to_vec()))));
    Client::new(&server).gets(b"HTTP/1.1");
    let late = greeting().with_fault(HandshakeFault::LateHelo(Duration::from_millis(400)));
    let server = Server::start(Script::default().greets(late));
    let mut client = Client::new(&server);
    client.gets_nothing();
    client.gets(&hex(&[HELO_NOAUTH]));
    // Bytes sent with the PING come too early.
    client.send(&[ping(false), packed()].concat());
    client.gets(&pong());
    assert_eq!(server.faults(), ["bytes behind the PING before the PONG"]);
    for bad in ["95a450494e47a0a0a0a0", "96a450494e47c400a0a0a0a0", "c0", "96a450494e48a0a0a0a0a0"] {
        let server = Server::start(Script::default().greets(greeting()));
        let mut client = Client::new(&server);
        client.gets(&hex(&[HELO_NOAUTH]));
        client.send(&hex(&[bad]));
        client.is_closed();
        assert_eq!(server.faults().len(), 1, "{bad}");
    }
}

#[test]
fn a_connection_that_serves_once() {
    let server = Server::start(Script::default().greets(Greeting { keepalive: Some(false), ..greeting() }));
    for _ in 0..2 {
        let mut client = Client::new(&server);
        client.gets(&[&hex(&[HELO_NOAUTH])[..47], &[0xc2]].concat());
        client.send(&ping(false));
        client.gets(&pong());
        client.send(&packed());
        client.gets(&hex(&[ACK]));
        client.is_closed();
    }
    assert_eq!(server.events().len(), 4);
}

/// Sends a request through TLS. Returns the server's answer.
fn through_tls(server: &Server, config: Arc<rustls::ClientConfig>) -> std::io::Result<Vec<u8>> {
    let stream = TcpStream::connect(("127.0.0.1", server.port()))?;
    let connection = rustls::ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, stream);
    stream.write_all(&packed())?;
    let mut got = vec![0; 30];
    stream.read_exact(&mut got)?;
    Ok(got)
}

#[test]
fn tls_and_what_can_be_wrong_with_it() {
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let start = |flaw, versions: &[_], clients| {
        Server::start(Script::default().tls(authority.server(flaw).serves(versions, clients)))
    };
    for (versions, newest) in [(vec![&TLS12], false), (vec![&TLS13], true), (vec![&TLS12, &TLS13], true)] {
        let server = start(CertificateFlaw::None, &versions, None);
        assert_eq!(through_tls(&server, tls::client(&authority, None)).unwrap(), hex(&[ACK]));
        assert!(through_tls(&server, tls::client(&other, None)).is_err());
        let shown = &server.log().tls[0];
        assert_eq!((shown.server_name.as_deref(), shown.newest), (Some("localhost"), newest));
    }
    for (flaw, error) in [(CertificateFlaw::Name, "not valid for name"), (CertificateFlaw::Expired, "expired")] {
        let server = start(flaw, &[&TLS13], None);
        let failure = through_tls(&server, tls::client(&authority, None)).unwrap_err().to_string();
        assert!(failure.contains(error), "{failure}");
        assert!(server.wait("the end", |log| !log.ends.is_empty()).ends[0].1.starts_with("TLS: "));
    }
    let server = start(CertificateFlaw::None, &[&TLS13], Some(&authority));
    assert!(through_tls(&server, tls::client(&authority, None)).is_err());
    assert!(through_tls(&server, tls::client(&authority, Some(&other.client()))).is_err());
    assert!(through_tls(&server, tls::client(&authority, Some(&authority.client()))).is_ok());
    assert!(server.log().tls[0].certificate);
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.client().write(folder.path());
    assert!(std::fs::read_to_string(certificate).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(std::fs::read_to_string(key).unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
}
