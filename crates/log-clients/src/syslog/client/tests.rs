//! Tests of the syslog client, against servers that vanish, return, stall and reset.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;

use super::*;
use crate::settings::{ServerSettings, Spread};

/// The bytes received on one connection.
type Received = Vec<u8>;

/// The behavior of a server on one connection. It may wait for a signal of the test.
type Script = fn(&mut TcpStream, &Receiver<()>) -> Received;

/// A scripted TCP server. It sends the received bytes to the test.
struct Server {
    address: SocketAddr,
    received: Receiver<Received>,
    gate: Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Starts a server that runs one script per connection, and ends after the last.
    fn start(scripts: Vec<Script>) -> Server {
        Server::on(TcpListener::bind("127.0.0.1:0").unwrap(), scripts)
    }

    fn on(listener: TcpListener, scripts: Vec<Script>) -> Server {
        let address = listener.local_addr().unwrap();
        let (sender, received) = channel();
        let (gate, go_on) = channel();
        let thread = std::thread::spawn(move || {
            for script in scripts {
                let (mut stream, _) = listener.accept().unwrap();
                let bytes = script(&mut stream, &go_on);
                drop(stream);
                _ = sender.send(bytes);
            }
        });
        Server { address, received, gate, thread }
    }

    fn url(&self) -> String {
        format!("syslog+tcp://{}", self.address)
    }

    /// Signals a script to close its connection, and returns the bytes received there.
    #[track_caller]
    fn close(&self) -> String {
        self.gate.send(()).unwrap();
        self.next()
    }

    /// Returns the bytes of the next connection that ends.
    #[track_caller]
    fn next(&self) -> String {
        let bytes = self.received.recv_timeout(Duration::from_secs(20)).unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

/// Reads to the end.
fn all(stream: &mut TcpStream, _: &Receiver<()>) -> Received {
    let mut bytes = Vec::new();
    _ = stream.read_to_end(&mut bytes);
    bytes
}

/// Reads one message, and closes in good order.
fn some(stream: &mut TcpStream, go_on: &Receiver<()>) -> Received {
    let mut bytes = vec![0; 5];
    stream.read_exact(&mut bytes).unwrap();
    go_on.recv().unwrap();
    bytes
}

/// Closes with unread input, so that the system resets the connection.
fn reset(stream: &mut TcpStream, go_on: &Receiver<()>) -> Received {
    stream.peek(&mut [0]).unwrap();
    go_on.recv().unwrap();
    Vec::new()
}

fn settings(urls: &[String]) -> SyslogClientSettings {
    let net = ServerSettings {
        servers: urls.iter().map(|url| url.parse().unwrap()).collect(),
        first_backoff: Duration::from_millis(1),
        last_backoff: Duration::from_millis(5),
        ..ServerSettings::default()
    };
    SyslogClientSettings { net, framing: Framing::Octet }
}

fn chunk(messages: &[&str]) -> Chunk {
    let mut chunk = Chunk::default();
    messages.iter().for_each(|message| chunk.push_message(message.as_bytes()));
    chunk
}

/// Returns a deadline beyond the length of any test, so that a test that hangs fails.
fn far_deadline() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn new_client(settings: SyslogClientSettings) -> Result<SyslogClient, NetError> {
    SyslogClient::new(settings, Observer::default())
}

/// Waits until the client can see that the connection has ended.
fn wait_until_closed(client: &mut SyslogClient) {
    for _ in 0..10_000 {
        let connection = client.pool.connection(0).unwrap();
        if connection.check().is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the connection does not end");
}

#[test]
fn messages_are_framed() {
    for (framing, expected) in [(Framing::Octet, "3 one4 zwei5 three"), (Framing::Lf, "one\nzwei\nthree\n")] {
        let server = Server::start(vec![all]);
        let mut client = new_client(SyslogClientSettings { framing, ..settings(&[server.url()]) }).unwrap();
        client.deliver(&chunk(&["one", "zwei"]), &far_deadline()).unwrap();
        client.deliver(&chunk(&["three"]), &far_deadline()).unwrap();
        client.settle(&far_deadline()).unwrap();
        assert!(client.is_in_doubt());
        client.finish(&far_deadline()).unwrap();
        assert!(!client.is_in_doubt());
        assert_eq!(server.next(), expected);
        assert_eq!(*client.counters(), Counters { connections: 1, ..Counters::default() });
        server.thread.join().unwrap();
    }
}

#[test]
fn an_address_has_its_own_framing() {
    let (one, other) = (Server::start(vec![reset]), Server::start(vec![all]));
    let urls = [one.url() + "?framing=octet", other.url() + "?framing=lf"];
    assert!(settings(&urls).needs_single_lines() && !settings(&urls[..1]).needs_single_lines());
    let mut client = new_client(settings(&urls)).unwrap();
    client.deliver(&chunk(&["one", "two"]), &far_deadline()).unwrap();
    assert_eq!(one.close(), "");
    one.thread.join().unwrap();
    wait_until_closed(&mut client);
    // The chunk that the first server lost has the framing of the second one.
    client.deliver(&chunk(&["three"]), &far_deadline()).unwrap();
    client.finish(&far_deadline()).unwrap();
    assert_eq!(other.next(), "one\ntwo\nthree\n");

    let octets = Server::start(vec![all]);
    let settings = SyslogClientSettings { framing: Framing::Lf, ..settings(&[octets.url() + "?framing=octet"]) };
    let mut client = new_client(settings).unwrap();
    client.deliver(&chunk(&["one"]), &far_deadline()).unwrap();
    client.finish(&far_deadline()).unwrap();
    assert_eq!(octets.next(), "3 one");
}

#[test]
fn a_reset_requeues_chunks_ahead_of_new_ones() {
    let server = Server::start(vec![reset, all]);
    let mut client = new_client(settings(&[server.url()])).unwrap();
    client.deliver(&chunk(&["one"]), &far_deadline()).unwrap();
    assert_eq!(server.close(), "");
    wait_until_closed(&mut client);
    client.deliver(&chunk(&["two"]), &far_deadline()).unwrap();
    client.finish(&far_deadline()).unwrap();
    assert_eq!(server.next(), "3 one3 two");
    assert_eq!((client.counters().resent, client.counters().reconnects), (1, 1));
}

#[test]
fn settle_and_finish_send_lost_chunks_again() {
    for finish in [false, true] {
        let server = Server::start(vec![reset, all]);
        let mut client = new_client(settings(&[server.url()])).unwrap();
        client.deliver(&chunk(&["one"]), &far_deadline()).unwrap();
        assert_eq!(server.close(), "");
        if !finish {
            wait_until_closed(&mut client);
            client.settle(&far_deadline()).unwrap();
        }
        client.finish(&far_deadline()).unwrap();
        assert_eq!(server.next(), "3 one");
    }
}

#[test]
fn an_orderly_close_loses_nothing() {
    let server = Server::start(vec![some, all]);
    let mut client = new_client(settings(&[server.url()])).unwrap();
    client.deliver(&chunk(&["one"]), &far_deadline()).unwrap();
    assert_eq!(server.close(), "3 one");
    wait_until_closed(&mut client);
    // Pretends that the message is old.
    let long_ago = std::time::Instant::now().checked_sub(Duration::from_secs(5)).unwrap();
    client.pool.connection(0).unwrap().sent[0].0 = long_ago;
    client.deliver(&chunk(&["two"]), &far_deadline()).unwrap();
    client.finish(&far_deadline()).unwrap();
    assert_eq!(server.next(), "3 two");
    assert_eq!(client.counters().resent, 0);
}

#[test]
fn recent_messages_are_sent_again_after_a_close() {
    let server = Server::start(vec![some, all]);
    let mut client = new_client(settings(&[server.url()])).unwrap();
    client.deliver(&chunk(&["one"]), &far_deadline()).unwrap();
    assert_eq!(server.close(), "3 one");
    wait_until_closed(&mut client);
    // Pretends that the message is new, however slow the machine is.
    let soon = std::time::Instant::now() + Duration::from_secs(60);
    client.pool.connection(0).unwrap().sent[0].0 = soon;
    client.deliver(&chunk(&["two"]), &far_deadline()).unwrap();
    client.finish(&far_deadline()).unwrap();
    // The first message comes again, because its arrival is uncertain.
    assert_eq!(server.next(), "3 one3 two");
}

#[test]
fn kept_chunks_are_bounded() {
    let server = Server::start(vec![all]);
    let mut client = new_client(settings(&[server.url()])).unwrap();
    let large = "x".repeat(300 << 10);
    for _ in 0..10 {
        client.deliver(&chunk(&[&large]), &far_deadline()).unwrap();
    }
    let kept = |client: &mut SyslogClient| -> Vec<usize> {
        client.pool.connection(0).unwrap().sent.iter().map(|(_, chunk)| chunk.encoded().len()).collect()
    };
    assert_eq!(kept(&mut client), [large.len(); 3]);
    let larger = "x".repeat(3 << 20);
    client.deliver(&chunk(&[&larger]), &far_deadline()).unwrap();
    assert_eq!(kept(&mut client), [larger.len()]);
    // Old messages count as arrived.
    let long_ago = std::time::Instant::now().checked_sub(Duration::from_secs(600)).unwrap();
    client.pool.connection(0).unwrap().sent[0].0 = long_ago;
    client.settle(&far_deadline()).unwrap();
    assert!(!client.is_in_doubt());
    drop(client);
    server.next();
}

#[test]
fn slow_servers_are_awaited_and_stalled_ones_abandoned() {
    fn slow(stream: &mut TcpStream, _: &Receiver<()>) -> Received {
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; 256 << 10]);
        SockRef::from(&*stream).set_recv_buffer_size(64 << 10).unwrap();
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..count]);
            std::thread::sleep(Duration::from_millis(1));
        }
        bytes
    }
    let large = "x".repeat(16 << 20);
    let server = Server::start(vec![slow]);
    let mut client = new_client(settings(&[server.url()])).unwrap();
    client.deliver(&chunk(&[&large]), &far_deadline()).unwrap();
    client.finish(&far_deadline()).unwrap();
    assert_eq!(server.next().len(), large.len() + "16777216 ".len());

    fn stalls(_: &mut TcpStream, _: &Receiver<()>) -> Received {
        std::thread::sleep(Duration::from_secs(20));
        Vec::new()
    }
    let (stalled, other) = (Server::start(vec![stalls]), Server::start(vec![all]));
    let mut settings = settings(&[stalled.url(), other.url()]);
    settings.net.write_timeout = Duration::from_millis(100);
    let mut client = new_client(settings).unwrap();
    client.deliver(&chunk(&[&large]), &far_deadline()).unwrap();
    client.finish(&far_deadline()).unwrap();
    assert_eq!(other.next().len(), large.len() + "16777216 ".len());
}

#[test]
fn a_refused_connection_is_retried() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("syslog+tcp://{address}");
    let mut patient = settings(std::slice::from_ref(&url));
    patient.net.give_up_after = Some(Duration::from_millis(20));
    let error = new_client(patient).unwrap().deliver(&chunk(&["one"]), &far_deadline()).unwrap_err();
    assert!(matches!(error, NetError::GaveUp { .. }) && error.to_string().contains(&url), "{error}");
    let server = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        Server::on(TcpListener::bind(address).unwrap(), vec![all])
    });
    let mut client = new_client(settings(&[url])).unwrap();
    client.deliver(&chunk(&["one"]), &far_deadline()).unwrap();
    client.finish(&far_deadline()).unwrap();
    assert_eq!(server.join().unwrap().next(), "3 one");
    assert!(client.counters().retries.total() > 0);
}

#[test]
fn the_next_server_gets_the_chunks_in_doubt() {
    let (first, second) = (Server::start(vec![reset]), Server::start(vec![all]));
    let mut client = new_client(settings(&[first.url(), second.url()])).unwrap();
    client.deliver(&chunk(&["one"]), &far_deadline()).unwrap();
    assert_eq!(first.close(), "");
    first.thread.join().unwrap();
    wait_until_closed(&mut client);
    client.deliver(&chunk(&["two"]), &far_deadline()).unwrap();
    client.finish(&far_deadline()).unwrap();
    assert_eq!(second.next(), "3 one3 two");
}

#[test]
fn chunks_are_spread_over_servers_by_weight() {
    let (one, other) = (Server::start(vec![all]), Server::start(vec![all]));
    let mut settings = settings(&[one.url() + "?weight=2", other.url() + "?weight=1"]);
    settings.net.spread = Spread::Weighted;
    let mut client = new_client(settings).unwrap();
    for _ in 0..6 {
        client.deliver(&chunk(&["m"]), &far_deadline()).unwrap();
    }
    client.finish(&far_deadline()).unwrap();
    assert_eq!((one.next(), other.next()), ("1 m".repeat(4), "1 m".repeat(2)));
}

#[test]
fn resets_do_not_delay_the_end() {
    // The reset comes mostly after the message is written. Before that, the attempt fails.
    fn late(stream: &mut TcpStream, _: &Receiver<()>) -> Received {
        _ = stream.peek(&mut [0]);
        std::thread::sleep(Duration::from_millis(20));
        Vec::new()
    }
    let server = Server::start(vec![late; 1000]);
    let mut client = new_client(settings(&[server.url()])).unwrap();
    client.deliver(&chunk(&["one"]), &far_deadline()).unwrap();
    client.finish(&far_deadline()).unwrap();
    assert!(!client.is_in_doubt());
    assert_eq!(client.counters().resent as usize, FINISH_ROUNDS + 1);
}

#[test]
fn a_shutdown_ends_every_wait() {
    let shutdown = Instant::now();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("syslog+tcp://{}", listener.local_addr().unwrap());
    let mut client = new_client(settings(&[url])).unwrap();
    let large = chunk(&[&"x".repeat(32 << 20)]);
    assert!(matches!(client.deliver(&large, &shutdown), Err(NetError::Stopped)));
    client.deliver(&chunk(&["one"]), &far_deadline()).unwrap();
    // The server never closes its side.
    client.finish(&shutdown).unwrap();
}

#[test]
fn a_datagram_is_a_message() {
    for receiver in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(socket) = UdpSocket::bind(receiver) else { continue };
        let mut client = new_client(settings(&[format!("syslog+udp://{}", socket.local_addr().unwrap())])).unwrap();
        let messages: Vec<String> = (0..100).map(|number| format!("message {number}")).collect();
        client.deliver(&chunk(&messages.iter().map(String::as_str).collect::<Vec<_>>()), &far_deadline()).unwrap();
        client.finish(&far_deadline()).unwrap();
        let mut buffer = [0; 2048];
        for message in messages {
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], message.as_bytes());
        }
    }
}

#[test]
fn refused_datagrams_are_sent_again() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let url = format!("syslog+udp://{address}");
    let mut client = new_client(settings(&[url])).unwrap();
    let later = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        let socket = UdpSocket::bind(address).unwrap();
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    });
    client.deliver(&chunk(&["one"]), &far_deadline()).unwrap();
    assert_eq!(later.join().unwrap(), b"one");
    assert!(client.counters().retries.total() > 0);
}

#[test]
fn contradictory_settings_are_refused() {
    assert!(matches!(new_client(settings(&[])), Err(NetError::NoServers)));
    let mut tls = settings(&["syslog+tcp://a".to_owned()]);
    tls.net.tls.insecure = true;
    let error = new_client(tls).unwrap_err();
    assert!(error.to_string().contains("syslog+tls://"), "{error}");
}
