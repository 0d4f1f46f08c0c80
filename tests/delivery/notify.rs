//! Notifications to a service manager, by the protocol of `sd_notify(3)`.

use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use super::{Running, TIMEOUT, append_file, deliver_to, lines, write_file};
use crate::support::forward::{Script, Server};
use crate::support::hearing_hangup;

/// A service manager.
struct Manager {
    socket: UnixDatagram,
    received: Vec<String>,
}

impl Manager {
    /// Waits for a notification with this prefix.
    #[track_caller]
    fn wait(&mut self, beginning: &str) -> String {
        self.wait_for(|message| message.starts_with(beginning))
    }

    /// Waits for a notification that satisfies the condition.
    #[track_caller]
    fn wait_for(&mut self, holds: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < TIMEOUT, "no such message: {:?}", self.received);
            let mut buffer = [0; 4096];
            let length = self.socket.recv(&mut buffer);
            let length = length.unwrap_or_else(|error| panic!("no message: {error}; earlier: {:?}", self.received));
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            self.received.push(message.clone());
            if holds(&message) {
                return message;
            }
        }
    }
}

#[test]
fn a_service_says_how_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..50));
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut manager = Manager { socket, received: Vec::new() };
    let server = Server::apart(Script::default());
    let mut command = deliver_to(&server, &["--batch-age", "50ms", "--state-dir"]);
    command.arg(folder.path().join("state")).arg(&log);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "8000000").env_remove("WATCHDOG_PID");
    let running = Running::start(&mut hearing_hangup(&command));
    assert_eq!(manager.wait(""), "READY=1", "it comes first");
    manager.wait("WATCHDOG=1");
    let takes = format!("STATUS=50 records delivered, lag 0 s; {} takes them", server.url());
    manager.wait_for(|message| message == takes);
    manager.wait("WATCHDOG=1");
    running.signal("HUP");
    let message = manager.wait("RELOADING=1");
    let micros = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
    assert!(micros.parse::<u64>().unwrap() > 0);
    manager.wait("READY=1");
    let ready = manager.received.iter().filter(|message| *message == "READY=1").count();
    assert_eq!(ready, 2, "{:?}", manager.received);
    // Deliveries of the earlier run still count, and an unreachable server is reported.
    server.stop();
    append_file(&log, lines(50..60));
    manager.wait_for(|message| message.contains("10 records wait, and forward://"));
    manager.wait("WATCHDOG=1");
    running.signal("TERM");
    manager.wait("STOPPING=1");
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    let last: Vec<&String> = manager.received.iter().rev().take(1).collect();
    assert_eq!(last, ["STOPPING=1"], "one message");
}

#[test]
fn another_watchdog_is_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut manager = Manager { socket, received: Vec::new() };
    let server = Server::start(Script::default());
    let log = write_file(folder.path(), "kata.log", lines(0..5));
    let mut command = deliver_to(&server, &["--once", "--no-state"]);
    command.arg(&log).env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000").env("WATCHDOG_PID", "1");
    // A run that ends by itself sends its end as well.
    let (status, errors) = Running::start(&mut command).end();
    assert_eq!(status.code(), Some(0), "{errors}");
    manager.wait("STOPPING=1");
    assert!(!manager.received.iter().any(|message| message.starts_with("WATCHDOG")), "{:?}", manager.received);

    let mut command = deliver_to(&server, &["--once", "--no-state"]);
    let (status, errors) = Running::start(command.arg(&log).env("NOTIFY_SOCKET", "nonsense")).end();
    assert_eq!(status.code(), Some(69), "{errors}");
    assert!(errors.contains("NOTIFY_SOCKET"), "{errors}");
}
