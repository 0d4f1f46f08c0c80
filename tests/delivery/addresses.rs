//! Servers of one client whose addresses have their own settings: each server gets what its address says.

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use log_clients::{
    Chunk, Event, ForwardClientSettings, ForwardMode, NetError, Observer, Receiver, Secret, ServerSettings, Spread,
};

use super::{Running, append_file, complete, lines, number, run, wait_until, whole, write_file};
use crate::support::forward::handshake::Greeting;
use crate::support::forward::tls::{Authority, CertificateFlaw};
use crate::support::forward::wire::Mode;
use crate::support::forward::{Script, Server};

/// Delivers chunks of two records each, in turn to all servers.
fn deliver(settings: ForwardClientSettings, chunks: usize) -> Result<(), NetError> {
    let observer = Observer::new(|event: &Event<'_>| panic!("{event}"));
    let mut client = Receiver::Forward(settings).client(observer)?;
    let deadline = Instant::now() + Duration::from_secs(20);
    let time = UNIX_EPOCH + Duration::new(1_900_000_000, 123_456_789);
    for number in 0..chunks {
        let mut chunk = Chunk::new("kata");
        for record in ["first", "second"] {
            chunk.push(time, [("chunk", number.to_string().as_str()), ("record", record)]);
        }
        assert_eq!(client.deliver(&chunk, &deadline)?, []);
    }
    client.finish(&deadline)
}

fn settings(urls: &[String]) -> ForwardClientSettings {
    let servers: Vec<_> = urls.iter().map(|url| url.parse().unwrap()).collect();
    let net = ServerSettings { spread: Spread::Weighted, one_shot: true, ..ServerSettings::new(servers) };
    ForwardClientSettings { net, hostname: Some("client.example".to_owned()), ..ForwardClientSettings::default() }
}

/// Returns the modes of all requests, and checks that each is well formed.
fn modes(server: &Server) -> Vec<Mode> {
    assert_eq!(server.faults(), [""; 0]);
    server.requests().iter().map(|request| request.mode).collect()
}

#[test]
fn each_server_gets_the_mode_of_its_address() {
    let servers: [Server; 4] = std::array::from_fn(|_| Server::start(Script::default()));
    let [gzip, message, seconds, other] = &servers;
    let urls = [
        gzip.url() + "?mode=gzip",
        message.url() + "?mode=message",
        seconds.url() + "?mode=packed&time-as-integer",
        other.url(),
    ];
    deliver(ForwardClientSettings { mode: ForwardMode::Forward, ..settings(&urls) }, 8).unwrap();
    assert_eq!(modes(gzip), [Mode::Gzip; 2]);
    assert_eq!(modes(message), [Mode::Message; 4]);
    assert_eq!(modes(seconds), [Mode::Packed; 2]);
    assert_eq!(modes(other), [Mode::Forward; 2]);
    assert!(seconds.events().iter().all(|event| event.nanos == 0));
    assert!(other.events().iter().all(|event| event.nanos == 123_456_789));
    assert!(servers.iter().all(|server| server.events().len() == 4));
}

#[test]
fn each_server_is_trusted_by_its_own_authority() {
    let folder = tempfile::tempdir().unwrap();
    let authorities = ["one", "two"].map(Authority::new);
    let servers = authorities.each_ref().map(|authority| {
        let config = authority.server(CertificateFlaw::None).serves(rustls::ALL_VERSIONS, Some(authority));
        Server::start(Script::default().tls(Arc::clone(&config)))
    });
    let files = ["a ca&1.pem", "ca,2.pem"];
    let authority_files = [0, 1].map(|index| write_file(folder.path(), files[index], authorities[index].pem()));
    // Clients have a certificate of each authority.
    let parameters = |ca: usize, identity: usize| {
        let own = folder.path().join(identity.to_string());
        std::fs::create_dir_all(&own).unwrap();
        let (cert, key) = authorities[identity].client().write(&own);
        let ca = authority_files[ca].display().to_string().replace(' ', "%20").replace('&', "%26").replace(',', "%2C");
        format!("ca={ca}&cert={}&key={}", cert.display(), key.display())
    };
    let url =
        |server: usize, parameters: &str| format!("forward+tls://localhost:{}?{parameters}", servers[server].port());
    let urls = [url(0, &parameters(0, 0)), url(1, &parameters(1, 1))];
    deliver(settings(&urls), 4).unwrap();
    assert_eq!(servers.each_ref().map(|server| server.events().len()), [4, 4]);

    // The settings for all servers hold where an address has none, and an address overrides their `insecure`.
    let mut common = settings(&[url(0, ""), urls[1].clone()].map(|url| url.trim_end_matches('?').to_owned()));
    common.net.tls.ca = Some(authority_files[0].clone());
    common.net.tls.cert = Some(folder.path().join("0/certificate.pem"));
    common.net.tls.key = Some(folder.path().join("0/key.pem"));
    deliver(common, 4).unwrap();
    let crossed = [url(0, &parameters(1, 0))];
    for insecure in [false, true] {
        let mut crossed = settings(&crossed);
        crossed.net.tls.insecure = insecure;
        let error = deliver(crossed, 1).unwrap_err().to_string();
        assert!(error.contains(&format!("localhost:{}: TLS fails", servers[0].port())), "{error}");
    }
    assert_eq!(servers.each_ref().map(|server| server.events().len()), [8, 8]);
}

#[test]
fn each_server_gets_the_user_of_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let key = write_file(folder.path(), "key", "s3cret\n");
    let password = write_file(folder.path(), "password", "pass word\r\n");
    let greetings = [
        Greeting::with_key("s3cret").with_user("kata", "pass word"),
        Greeting::with_key("common").with_user("node", "another"),
        Greeting::with_key("common"),
    ];
    let servers = greetings.map(|greeting| Server::start(Script::default().greets(greeting)));
    let own = format!("?user=kata&shared-key-file={}&password-file={}", key.display(), password.display());
    let urls = [servers[0].url() + &own, servers[1].url() + "?user=node", servers[2].url()];
    let mut settings = settings(&urls);
    settings.shared_key = Some(Secret::new("common"));
    // It is for the servers that have a user and no password of their own.
    settings.password = Some(Secret::new("another"));
    deliver(settings, 3).unwrap();
    for (server, user) in servers.iter().zip(["kata", "node", ""]) {
        assert_eq!((server.events().len(), server.pings().len(), server.faults().len()), (2, 1, 0));
        assert_eq!(server.pings()[0].username, user);
    }
}

#[test]
fn an_ipv6_address_is_delivered_to() {
    let at = std::net::SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0));
    if std::net::TcpListener::bind(at).is_err() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..30));
    let server = Server::on(at, Script::default());
    assert!(server.url().starts_with("forward://[::1]:"));
    let (code, errors) = run(whole(&["--to", &server.url()]).arg(log));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(complete(&server.events(), 0..30), 0);
}

#[test]
fn a_unix_socket_that_is_replaced_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..30));
    let socket = folder.path().join("fluent.sock");
    let url = format!("unix:{}", socket.display());
    let first = Server::unix(&socket, Script::default());
    let running = Running::start(
        crate::support::katalog().args(["ship", "--no-state", "--to", &url, "--batch-age", "50ms"]).arg(&log),
    );
    first.wait_for_events(30);
    drop(first);
    append_file(&log, lines(30..60));
    let second = Server::unix(&socket, Script::default());
    // The end of the first server may have cost acknowledgements.
    let new = || second.events().iter().filter(|event| number(event) >= 30).count();
    wait_until("the second server", || new() >= 30);
    running.signal("TERM");
    assert!(running.end().0.success());
    complete(&second.events(), 30..60);
    assert_eq!(new(), 30);
}
