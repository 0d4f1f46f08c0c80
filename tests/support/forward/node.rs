//! An independent server: the FluentServer of the npm package `@fluent-org/logger`, run by node.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::tls::{Authority, Identity};
use crate::support::skip::skip;

/// Timeout for the start, and for entries to arrive.
const TIMEOUT: Duration = Duration::from_secs(20);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/forward")
}

/// Returns true if node or the package is missing. Prints a notice, and fails where `CI` is `true`.
pub(crate) fn missing() -> bool {
    static MISSING: LazyLock<bool> = LazyLock::new(|| {
        let status = Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let reason = if !status.is_ok_and(|status| status.success()) {
            "node is not installed"
        } else if !folder().join("node_modules/@fluent-org/logger").is_dir() {
            "@fluent-org/logger is not installed: npm ci --prefix tests/support/forward"
        } else {
            return false;
        };
        skip("tests of the forward protocol with FluentServer", reason)
    });
    *MISSING
}

/// The requirements of the server.
#[derive(Default)]
pub(crate) struct PeerSettings<'a> {
    pub(crate) key: Option<&'a str>,
    /// Names and passwords, which need a key as well.
    pub(crate) users: &'a [(&'a str, &'a str)],
    /// The server's certificate, which enables TLS.
    pub(crate) tls: Option<&'a Identity>,
    /// The authority that has to sign the certificates of clients.
    pub(crate) clients: Option<&'a Authority>,
}

impl PeerSettings<'_> {
    fn json(&self) -> Value {
        let mut json = json!({});
        if let Some(key) = self.key {
            json["sharedKey"] = key.into();
        }
        if !self.users.is_empty() {
            json["users"] =
                self.users.iter().map(|(name, word)| ((*name).into(), (*word).into())).collect::<Map<_, _>>().into();
        }
        if let Some(identity) = self.tls {
            json["tls"] = json!({ "cert": identity.certificate, "key": identity.key });
        }
        if let Some(authority) = self.clients {
            json["tls"]["ca"] = authority.pem().into();
            json["tls"]["requestCert"] = true.into();
        }
        json
    }
}

/// An entry as the server reports it. The server reports only the JSON types of a record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) tag: String,
    pub(crate) seconds: u64,
    pub(crate) nanos: u64,
    pub(crate) record: Value,
}

/// The running server.
pub(crate) struct Peer {
    child: Child,
    /// The server exits when this pipe closes.
    input: Option<ChildStdin>,
    port: u16,
    seen: Arc<(Mutex<Vec<Entry>>, Condvar)>,
}

impl Peer {
    /// Starts the server on a free port.
    pub(crate) fn start(demands: &PeerSettings<'_>) -> Peer {
        let mut child = Command::new("node")
            .arg(folder().join("peer.js"))
            .arg(demands.json().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let Some(port) = lines.next().and_then(|line| line.strip_prefix("READY ")?.parse().ok()) else {
            let mut errors = String::new();
            _ = child.stderr.take().unwrap().read_to_string(&mut errors);
            panic!("peer.js does not start: {errors}");
        };
        let seen = Arc::new((Mutex::default(), Condvar::new()));
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            let (entries, changed): &(Mutex<Vec<Entry>>, Condvar) = &shared;
            for line in lines {
                entries.lock().unwrap().push(entry(&line));
                changed.notify_all();
            }
        });
        Peer { child, input, port, seen }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the value for `--to`.
    pub(crate) fn url(&self) -> String {
        format!("forward://127.0.0.1:{}", self.port)
    }

    /// Returns all reported entries.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.seen.0.lock().unwrap().clone()
    }

    /// Waits until this many entries were reported.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Entry> {
        let (entries, changed) = &*self.seen;
        let few = |entries: &mut Vec<Entry>| entries.len() < count;
        let (entries, over) = changed.wait_timeout_while(entries.lock().unwrap(), TIMEOUT, few).unwrap();
        assert!(!over.timed_out(), "{} entries instead of {count} arrive", entries.len());
        entries.clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.input.take());
        let start = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if start.elapsed() > Duration::from_secs(2) {
                _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn entry(line: &str) -> Entry {
    let mut entry: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("peer.js: {error}: {line}"));
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("peer.js: {line}"));
    Entry {
        tag: entry["tag"].as_str().unwrap_or_default().to_owned(),
        seconds: number(&entry["seconds"]),
        nanos: number(&entry["nanos"]),
        record: entry["record"].take(),
    }
}
