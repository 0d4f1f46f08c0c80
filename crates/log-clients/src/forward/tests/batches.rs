//! Servers that are slow, silent, or refuse large requests: the size of requests, and the number of copies.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::{Arc, Barrier};

use super::server::{Peer, Stream};
use super::*;

/// The length of an entry of [`numbered`], in bytes.
const ENTRY: usize = 1000;

/// Builds a chunk of entries of equal length, whose texts begin with their numbers.
fn numbered(numbers: std::ops::Range<usize>) -> Chunk {
    let mut chunk = Chunk::new("kata.runtime");
    for number in numbers {
        let mut entry = hex("92d7005e4fb17f30538bcf81a16dda");
        let text = ENTRY - entry.len() - 2;
        entry.extend_from_slice(&u16::try_from(text).unwrap().to_be_bytes());
        entry.extend_from_slice(format!("{number} {}", "x".repeat(text)).get(..text).unwrap().as_bytes());
        chunk.push_message(&entry);
    }
    chunk
}

/// Returns the numbers of the entries of each request.
fn numbers(server: &Server) -> Vec<Vec<usize>> {
    let number = |text: &String| text.split_once(' ').unwrap().0.parse().unwrap();
    server.seen().iter().map(|request| request.texts.iter().map(number).collect()).collect()
}

/// Returns the number of copies of each entry.
fn copies(requests: &[Vec<usize>]) -> HashMap<usize, usize> {
    let mut copies = HashMap::new();
    requests.iter().flatten().for_each(|number| *copies.entry(*number).or_insert(0) += 1);
    copies
}

fn impatient(server: &Server, ack_timeout: Duration) -> ForwardClientSettings {
    ForwardClientSettings { ack_timeout, ..settings(&[server]) }
}

/// A stream that pauses after each kilobyte that is read.
struct Throttled {
    stream: Box<dyn Stream>,
    pause: Duration,
    /// The bytes left before the next pause.
    left: usize,
}

fn throttle(peer: &mut Peer, pause: Duration) {
    let (unused, _) = std::os::unix::net::UnixStream::pair().unwrap();
    let stream = std::mem::replace(&mut peer.stream, Box::new(unused));
    peer.stream = Box::new(Throttled { stream, pause, left: 1000 });
}

impl Read for Throttled {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            std::thread::sleep(self.pause);
            self.left = 1000;
        }
        let most = buffer.len().min(self.left);
        let read = self.stream.read(&mut buffer[..most])?;
        self.left -= read;
        Ok(read)
    }
}

impl Write for Throttled {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.write_all(buffer).map(|()| buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Stream for Throttled {
    fn finish(&mut self) {
        self.stream.finish();
    }
}

#[test]
fn a_late_acknowledgement_counts_for_the_whole_request() {
    let server = Server::start(|peer| {
        let (whole, half) = (peer.request().unwrap(), peer.request().unwrap());
        peer.ack(&whole.id);
        // The acknowledgement of the half comes when the next chunk is sent.
        let next = peer.request().unwrap();
        peer.ack(&half.id);
        peer.ack(&next.id);
        peer.serve();
    });
    let mut client = new_client(impatient(&server, Duration::from_millis(200))).unwrap();
    assert_eq!(client.deliver(&numbered(0..8), &far_deadline()).unwrap(), []);
    assert_eq!(client.deliver(&numbered(8..16), &far_deadline()).unwrap(), []);
    let expected = [vec![0, 1, 2, 3, 4, 5, 6, 7], vec![0, 1, 2, 3], vec![8, 9, 10, 11], vec![12, 13, 14, 15]];
    assert_eq!(numbers(&server), expected);
    assert_eq!((server.connections(), client.counters().retries.total()), (1, 1));
}

#[test]
fn a_late_acknowledgement_counts_for_a_half() {
    let server = Server::start(|peer| {
        let (_, half, _) = (peer.request().unwrap(), peer.request().unwrap(), peer.request().unwrap());
        peer.ack(&half.id);
        peer.serve();
    });
    let mut client = new_client(impatient(&server, Duration::from_millis(200))).unwrap();
    assert_eq!(client.deliver(&numbered(0..8), &far_deadline()).unwrap(), []);
    let requests = numbers(&server);
    assert_eq!(requests[..4], [vec![0, 1, 2, 3, 4, 5, 6, 7], vec![0, 1, 2, 3], vec![0, 1], vec![4, 5]]);
    assert_eq!(copies(&requests)[&7], 2);
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_late_acknowledgement_counts_while_another_server_gets_the_halves() {
    let released = Arc::new(Barrier::new(2));
    let release = Arc::clone(&released);
    let slow = Server::start(move |peer| {
        let whole = peer.request().unwrap();
        release.wait();
        peer.ack(&whole.id);
        peer.ignore();
    });
    // The other server has the first half when the acknowledgement of the whole arrives, and acknowledges nothing.
    let other = Server::start(move |peer| {
        peer.request();
        released.wait();
        peer.ignore();
    });
    let settings = ForwardClientSettings {
        ack_timeout: Duration::from_millis(200),
        ..with(settings(&[&slow, &other]), |net| net.first_backoff = Duration::from_secs(1))
    };
    let mut client = new_client(settings).unwrap();
    assert_eq!(client.deliver(&numbered(0..8), &far_deadline()).unwrap(), []);
    assert_eq!(numbers(&other), [vec![0, 1, 2, 3]]);
}

#[test]
fn a_slow_server_gets_everything() {
    let server = Server::start(|peer| {
        throttle(peer, Duration::from_millis(1));
        peer.serve();
    });
    let mut client = new_client(impatient(&server, Duration::from_millis(40))).unwrap();
    for chunk in [0..200, 200..400] {
        assert_eq!(client.deliver(&numbered(chunk), &far_deadline()).unwrap(), []);
    }
    let copies = copies(&numbers(&server));
    assert_eq!(copies.len(), 400);
    // A request of 200 KB halves at most eight times.
    assert!(copies.values().all(|copies| *copies <= 9), "{copies:?}");
}

#[test]
fn a_server_that_drops_large_requests_in_silence_gets_smaller_ones() {
    let server = Server::start(|peer| {
        while let Some(request) = peer.request() {
            if request.texts.len() <= 4 {
                peer.ack(&request.id);
            }
        }
    });
    let mut client = new_client(impatient(&server, Duration::from_millis(100))).unwrap();
    for chunk in [0..16, 16..32] {
        assert_eq!(client.deliver(&numbered(chunk), &far_deadline()).unwrap(), []);
    }
    let requests = numbers(&server);
    let sizes: Vec<usize> = requests.iter().map(Vec::len).collect();
    // Four requests at the limit prove that a larger one may be tried.
    assert_eq!(sizes, [16, 8, 4, 4, 4, 4, 8, 4, 4, 4, 4], "{requests:?}");
    assert_eq!(server.connections(), 1);
    assert_eq!(client.status().read().servers[0].request_limit, Some(4 * ENTRY));
    assert_eq!(client.counters().retries.get(RetryReason::Timeout), 3);
}

#[test]
fn a_server_that_closes_over_large_requests_gets_smaller_ones() {
    for (answer, mode) in [(&b""[..], ForwardMode::Packed), (b"\x80", ForwardMode::Forward)] {
        let server = Server::start(move |peer| {
            while let Some(request) = peer.request() {
                if request.texts.len() > 4 {
                    return peer.send(answer);
                }
                peer.ack(&request.id);
            }
        });
        let mut client = new_client(ForwardClientSettings { mode, ..settings(&[&server]) }).unwrap();
        for chunk in 0..50 {
            let refused = client.deliver(&numbered(chunk * 16..chunk * 16 + 16), &far_deadline()).unwrap();
            assert!(refused.is_empty());
        }
        let requests = numbers(&server);
        let (taken, refused): (Vec<Vec<usize>>, Vec<_>) = requests.into_iter().partition(|request| request.len() <= 4);
        let copies = copies(&taken);
        assert!(copies.len() == 800 && copies.values().all(|copies| *copies == 1), "{copies:?}");
        assert!(refused.len() < 10, "{}", refused.len());
    }
}

#[test]
fn a_server_that_never_acknowledges_gets_one_copy_for_each_halving() {
    let server = Server::start(|peer| while peer.request().is_some() {});
    let settings = impatient(&server, Duration::from_millis(5));
    let settings = with(settings, |net| net.give_up_after = Some(Duration::from_secs(1)));
    let mut client = new_client(settings).unwrap();
    let result = client.deliver(&numbered(0..8), &far_deadline());
    assert!(matches!(result, Err(NetError::GaveUp { .. })), "{result:?}");
    let requests: Vec<Vec<usize>> = numbers(&server).into_iter().filter(|request| !request.is_empty()).collect();
    assert_eq!(requests, [vec![0, 1, 2, 3, 4, 5, 6, 7], vec![0, 1, 2, 3], vec![0, 1], vec![0]]);
    // A connection may have died without a sign, so others are tried.
    assert!(server.connections() > 1 && client.counters().retries.total() > 10);
}

#[test]
fn a_record_that_gets_no_answer_does_not_delay_others() {
    let server = Server::start(|peer| {
        while let Some(request) = peer.request() {
            if !request.texts.iter().any(|text| text.starts_with("3 ")) {
                peer.ack(&request.id);
            }
        }
    });
    let settings = impatient(&server, Duration::from_millis(20));
    let settings = with(settings, |net| net.give_up_after = Some(Duration::from_secs(1)));
    let result = new_client(settings).unwrap().deliver(&numbered(0..8), &far_deadline());
    assert!(matches!(result, Err(NetError::GaveUp { .. })), "{result:?}");
    let taken = numbers(&server).into_iter().filter(|request| !request.contains(&3)).flatten();
    let mut taken: Vec<usize> = taken.collect();
    taken.sort_unstable();
    assert_eq!(taken, [0, 1, 2, 4, 5, 6, 7]);
}

#[test]
fn messages_in_flight_halve_as_well() {
    let server = Server::start(|peer| {
        for _ in 0..16 {
            peer.request();
        }
        peer.serve();
    });
    let settings =
        ForwardClientSettings { mode: ForwardMode::Message, ..impatient(&server, Duration::from_millis(200)) };
    let mut client = new_client(settings).unwrap();
    assert_eq!(client.deliver(&numbered(0..16), &far_deadline()).unwrap(), []);
    let copies = copies(&numbers(&server));
    assert!(copies.len() == 16 && copies.values().all(|copies| *copies == 2), "{copies:?}");
    assert_eq!((client.counters().retries.total(), server.connections()), (1, 1));
}
