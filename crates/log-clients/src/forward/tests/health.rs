//! Several servers, some of them down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// An address without a listener.
fn unreachable_server() -> Address {
    "unix:/nowhere/fluent.sock".parse().unwrap()
}

/// Starts a server that closes each connection while its switch is off.
fn switchable_server() -> (Server, Arc<AtomicBool>) {
    let on = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&on);
    let server = Server::start(move |peer| {
        while on.load(Ordering::SeqCst)
            && let Some(request) = peer.request()
            && on.load(Ordering::SeqCst)
        {
            peer.ack(&request.id);
        }
    });
    (server, switch)
}

#[test]
fn failover_lasts_until_the_first_server_is_back() {
    let (first, on) = switchable_server();
    let second = Server::start(server::Peer::serve);
    let settings = with(settings(&[&first, &second]), |net| net.return_interval = Duration::ZERO);
    let mut client = new_client(settings).unwrap();
    let mut deliver = |text| assert_eq!(client.deliver(&texts(&[text]), &far_deadline()).unwrap(), []);
    deliver("a");
    assert_eq!((first.texts().len(), second.texts().len()), (1, 0));
    on.store(false, Ordering::SeqCst);
    deliver("b");
    assert_eq!(second.texts(), ["b"]);
    on.store(true, Ordering::SeqCst);
    while !first.texts().contains(&"c".to_owned()) {
        std::thread::sleep(Duration::from_millis(5));
        deliver("c");
    }
    let elsewhere = second.texts().len();
    deliver("d");
    assert_eq!(second.texts().len(), elsewhere);
    assert_eq!(first.texts().last().unwrap(), "d");
}

#[test]
fn a_server_that_is_down_costs_one_attempt() {
    let server = Server::start(server::Peer::serve);
    let long = Duration::from_secs(60);
    let settings = with(settings(&[&server]), |net| {
        (net.first_backoff, net.last_backoff) = (long, long);
        net.servers.insert(0, unreachable_server());
    });
    let mut client = new_client(settings).unwrap();
    for _ in 0..10 {
        assert_eq!(client.deliver(&texts(&["a"]), &far_deadline()).unwrap(), []);
    }
    assert_eq!((client.counters().retries.total(), client.counters().connections), (1, 1));
}

#[test]
fn chunks_are_spread_over_servers_by_weight() {
    let (one, other) = (Server::start(server::Peer::serve), Server::start(server::Peer::serve));
    let settings = with(settings(&[&one, &other]), |net| {
        net.spread = Spread::Weighted;
        net.servers[0].weight = 3;
        net.servers[1].weight = 1;
    });
    let mut client = new_client(settings).unwrap();
    for _ in 0..20 {
        assert_eq!(client.deliver(&texts(&["a"]), &far_deadline()).unwrap(), []);
    }
    assert_eq!((one.texts().len(), other.texts().len()), (15, 5));
    assert_eq!(client.counters().connections, 2);
}

#[test]
fn give_up_after_ends_the_attempts() {
    let give_up_after = Some(Duration::from_millis(50));
    let settings =
        with(settings(&[]), |net| (net.servers, net.give_up_after) = (vec![unreachable_server()], give_up_after));
    let error = new_client(settings).unwrap().deliver(&texts(&["a"]), &far_deadline()).unwrap_err();
    assert!(matches!(&error, NetError::GaveUp { cause: Cause::Connect(_), .. }), "{error:?}");
    assert!(error.to_string().contains("unix:/nowhere/fluent.sock"), "{error}");
}

#[test]
fn a_long_backoff_does_not_outlast_give_up_after() {
    let give_up_after = Some(Duration::from_millis(50));
    let long = Duration::from_secs(3600);
    let settings = with(settings(&[]), |net| {
        (net.first_backoff, net.last_backoff) = (long, long);
        (net.servers, net.give_up_after) = (vec![unreachable_server()], give_up_after);
    });
    let error = new_client(settings).unwrap().deliver(&texts(&["a"]), &far_deadline()).unwrap_err();
    assert!(matches!(error, NetError::GaveUp { .. }), "{error:?}");
}

#[test]
fn a_refused_configuration_is_retried_in_a_long_run() {
    let server = Server::start(|peer| {
        if peer.number < 3 {
            peer.send(&hex(HELO));
            peer.ignore();
        } else {
            peer.serve();
        }
    });
    let mut client = new_client(settings(&[&server])).unwrap();
    assert_eq!(client.deliver(&texts(&["a"]), &far_deadline()).unwrap(), []);
    assert_eq!(client.counters().retries.total(), 3);
}

#[test]
fn a_name_that_does_not_exist_is_retried() {
    let servers = vec!["forward://name.invalid".parse().unwrap()];
    let give_up_after = Some(Duration::from_millis(1));
    let settings = with(settings(&[]), |net| {
        (net.servers, net.give_up_after, net.one_shot) = (servers, give_up_after, true);
    });
    let error = new_client(settings).unwrap().deliver(&texts(&["a"]), &far_deadline()).unwrap_err();
    assert!(matches!(error, NetError::GaveUp { cause: Cause::Resolve(_) | Cause::ConnectTimeout(_), .. }), "{error}");
}

#[test]
fn contradictory_settings_are_refused() {
    let refused = |settings| new_client(settings).unwrap_err();
    assert!(matches!(refused(settings(&[])), NetError::NoServers));
    let tls = TlsSettings { ca: Some("/ca.pem".into()), ..TlsSettings::default() };
    let error = refused(with(settings(&[]), |net| (net.servers, net.tls) = (vec![unreachable_server()], tls)));
    assert!(error.to_string().contains("forward+tls://"), "{error}");
    assert!(error.is_configuration());
}

#[test]
fn missing_features_are_named() {
    let check = |settings: ForwardClientSettings, included: bool, feature: &str| match new_client(settings) {
        Ok(_) => assert!(included),
        Err(error) => {
            assert!(!included && matches!(error, NetError::MissingFeature { .. }), "{error}");
            assert!(error.to_string().contains(&format!("`{feature}`")), "{error}");
        }
    };
    let servers = || with(settings(&[]), |net| net.servers = vec![unreachable_server()]);
    check(ForwardClientSettings { mode: ForwardMode::Gzip, ..servers() }, cfg!(feature = "gzip"), "gzip");
    check(ForwardClientSettings { mode: ForwardMode::Zstd, ..servers() }, cfg!(feature = "zstd"), "zstd");
    let tls = TlsSettings { insecure: true, ..TlsSettings::default() };
    let servers = vec!["forward+tls://localhost".parse().unwrap()];
    check(with(settings(&[]), |net| (net.servers, net.tls) = (servers, tls)), cfg!(feature = "tls"), "tls");
}
