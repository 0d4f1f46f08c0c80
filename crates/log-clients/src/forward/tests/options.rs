//! Settings of one server in its address: requests of its mode, its credentials, and failover to servers of other modes.

use super::*;

/// Returns settings with these addresses.
fn addressed(addresses: &[String]) -> ForwardClientSettings {
    let servers = addresses.iter().map(|address| address.parse().unwrap()).collect();
    with(settings(&[]), |net| net.servers = servers)
}

fn error_of(address: &str, change: impl FnOnce(&mut ForwardClientSettings)) -> String {
    let mut settings = addressed(&["unix:/other".to_owned(), address.to_owned()]);
    change(&mut settings);
    let error = new_client(settings).unwrap_err();
    assert!(error.is_configuration());
    error.to_string()
}

#[test]
fn a_chunk_continues_at_a_server_of_another_mode() {
    for (first_mode, second_mode) in [("message", "packed"), ("packed", "message"), ("message", "forward")] {
        // The first server acknowledges one request, and never returns.
        let first = Server::start(|peer| {
            if peer.number == 0
                && let Some(request) = peer.request()
                && request.texts.len() == 1
            {
                peer.ack(&request.id);
            }
        });
        let second = Server::start(server::Peer::serve);
        let urls =
            [(&first, first_mode), (&second, second_mode)].map(|(to, mode)| format!("{}?mode={mode}", to.address()));
        let mut settings = addressed(&urls);
        settings.net.first_backoff = Duration::from_secs(60);
        settings.net.last_backoff = Duration::from_secs(60);
        let mut client = new_client(settings).unwrap();
        assert_eq!(client.deliver(&texts(&["a", "b", "c", "d"]), &far_deadline()).unwrap(), []);
        let mut arrived = second.texts();
        arrived.sort_unstable();
        let left = if first_mode == "message" { &["b", "c", "d"][..] } else { &["a", "b", "c", "d"] };
        assert_eq!(arrived, left, "{first_mode}, {second_mode}");
        let shape = |server: &Server| server.seen()[0].value.as_array().unwrap().len();
        assert_eq!((shape(&first), shape(&second)), (shape_of(first_mode), shape_of(second_mode)));
    }
}

/// Returns the number of elements of a request.
fn shape_of(mode: &str) -> usize {
    if mode == "message" { 4 } else { 3 }
}

#[test]
fn a_chunk_keeps_its_id_at_a_server_of_another_mode() {
    let first = Server::start(|peer| {
        peer.request();
        peer.ack("another");
    });
    let second = Server::start(server::Peer::serve);
    let urls = [first.address().to_owned() + "?time-as-integer", second.address().to_owned() + "?mode=forward"];
    let mut client = new_client(addressed(&urls)).unwrap();
    assert_eq!(client.deliver(&texts(&["a", "b"]), &far_deadline()).unwrap(), []);
    assert_eq!(first.seen()[0].id, second.seen()[0].id);
    assert!(second.seen()[0].value[1].is_array());
}

#[test]
fn credentials_in_an_address_are_for_its_server() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (key, password) = (file("key", "secret\r\n"), file("password", "s3cret\n"));
    let secured = || {
        Server::start(|peer| {
            handshakes::handshake(peer, HELO, "server.example", "secret");
            peer.serve();
        })
    };
    let (one, other, open) = (secured(), secured(), Server::start(server::Peer::serve));
    let mut settings = addressed(&[
        format!("{}?user=kata&shared-key-file={key}&password-file={password}", one.address()),
        format!("{}?user=kata&shared-key-file={key}", other.address()),
        open.address().to_owned(),
    ]);
    settings.net.spread = Spread::Weighted;
    settings.net.one_shot = true;
    // The password of all servers is for those that have a user and no password of their own.
    settings.password = Some(Secret::new("s3cret"));
    let mut client = new_client(settings).unwrap();
    for text in ["a", "b", "c"] {
        assert_eq!(client.deliver(&texts(&[text]), &far_deadline()).unwrap(), []);
    }
    assert_eq!([&one, &other, &open].map(|server| server.texts().len()), [1; 3]);
}

#[test]
fn missing_credentials_are_named_with_the_server() {
    let password = tempfile::NamedTempFile::new().unwrap();
    let password = password.path().display();
    let text = error_of("forward://a?user=kata", |settings| settings.shared_key = Some(Secret::new("k")));
    assert!(text.starts_with("forward://a:24224: the user has no password; write `password-file=FILE`"), "{text}");
    let text = error_of(&format!("forward://a?password-file={password}"), |settings| {
        settings.shared_key = Some(Secret::new("k"));
    });
    assert!(text.starts_with("forward://a:24224: the password has no user; write `user=NAME`"), "{text}");
    let text = error_of(&format!("forward://a?user=kata&password-file={password}"), |_| {});
    assert!(text.contains("the user has no shared key; write `shared-key-file=FILE`"), "{text}");
    let text = error_of("forward://a", |settings| settings.password = Some(Secret::new("s3cret")));
    assert!(text.contains("the password has no user") && !text.contains("s3cret"), "{text}");
    let text = error_of("forward://a?shared-key-file=/nowhere/key", |_| {});
    assert!(text.contains("a:24224: cannot read the shared key from \"/nowhere/key\": No such file"), "{text}");
}

#[cfg(not(all(feature = "gzip", feature = "zstd", feature = "tls")))]
#[test]
fn a_missing_feature_is_named_with_the_server() {
    for (address, feature, included) in [
        ("forward://a?mode=gzip", "gzip", cfg!(feature = "gzip")),
        ("forward://a?mode=zstd", "zstd", cfg!(feature = "zstd")),
        ("forward+tls://a?insecure", "tls", cfg!(feature = "tls")),
    ] {
        if !included {
            let text = error_of(address, |_| {});
            let server = address.parse::<Address>().unwrap().name();
            assert!(
                text.starts_with(&server) && text.contains(&format!("lacks the cargo feature `{feature}`")),
                "{text}"
            );
        }
    }
}
