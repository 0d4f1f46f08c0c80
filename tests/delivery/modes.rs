//! Every form of request, against our own server and an independent one: the records of standard output, to the
//! nanosecond.

use std::collections::BTreeMap;
use std::path::Path;

use rmpv::Value as Packed;
use serde_json::Value;

use super::{node_journal, records, run, whole, whole_to, write_file};
use crate::support::forward::node::{Peer, PeerSettings, missing};
use crate::support::forward::tls::{Authority, CertificateFlaw};
use crate::support::forward::{Script, Server};
use crate::support::journal::samples::{BOOT, service};
use crate::support::journal::{Shape, file};

const MODES: [&str; 5] = ["packed", "forward", "message", "gzip", "zstd"];

/// An event in one form for all servers: tag, seconds, nanoseconds, record.
type Plain = (String, u64, u64, Value);

/// Returns the events expected for an input, by tag, from the records on standard output.
fn expected(input: &Path, flags: &[&str]) -> BTreeMap<String, Vec<Plain>> {
    let plain = |mut record: Value| {
        let tag = record.as_object_mut().unwrap().shift_remove("tag").unwrap().as_str().unwrap().to_owned();
        let time: jiff::Timestamp = record["kata_time"].as_str().unwrap().parse().unwrap();
        let (seconds, nanos) = (time.as_second(), time.subsec_nanosecond());
        (tag, u64::try_from(seconds).unwrap(), u64::try_from(nanos).unwrap(), record)
    };
    by_tag(records(input, flags).into_iter().map(plain))
}

/// Groups events by tag, because order is kept only within a tag.
fn by_tag(events: impl Iterator<Item = Plain>) -> BTreeMap<String, Vec<Plain>> {
    let mut tags: BTreeMap<String, Vec<Plain>> = BTreeMap::new();
    events.for_each(|event| tags.entry(event.0.clone()).or_default().push(event));
    tags
}

fn json(value: &Packed) -> Value {
    match value {
        Packed::Map(members) => {
            members.iter().map(|(key, value)| (key.as_str().unwrap().to_owned(), json(value))).collect()
        }
        Packed::Array(elements) => elements.iter().map(json).collect(),
        Packed::String(text) => text.as_str().unwrap().into(),
        Packed::Integer(number) => number.as_i64().unwrap().into(),
        Packed::Boolean(value) => (*value).into(),
        other => panic!("{other} in a record"),
    }
}

#[test]
fn every_mode_says_the_same() {
    let input = node_journal();
    let expected = expected(&input, &[]);
    assert!(expected.len() > 5);
    for mode in MODES {
        let server = Server::start(Script::default());
        let (code, errors) = run(whole_to(&server, &["--forward-mode", mode]).arg(&input));
        assert_eq!(code, Some(0), "{mode}: {errors}");
        let events = server.events();
        assert_eq!(server.faults(), [""; 0], "{mode}");
        let plain = |event: &crate::support::forward::Event| {
            (event.tag.clone(), event.seconds.into(), event.nanos.into(), json(&event.record))
        };
        assert_eq!(by_tag(events.iter().map(plain)), expected, "{mode}");
    }
}

#[test]
fn a_journal_comes_in_its_order_on_several_threads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.journal");
    let entries: Vec<_> = (0..300).map(|number| service(number, BOOT)).collect();
    std::fs::write(&path, file(&Shape::default(), &entries)).unwrap();
    let server = Server::start(Script::default());
    let (code, errors) = run(whole_to(&server, &["--threads", "2"]).arg(&path));
    assert_eq!(code, Some(0), "{errors}");
    let plain = |event: &crate::support::forward::Event| {
        (event.tag.clone(), event.seconds.into(), event.nanos.into(), json(&event.record))
    };
    let expected = expected(&path, &["--threads", "1"]);
    assert!(expected.values().map(Vec::len).sum::<usize>() > 50);
    assert_eq!(by_tag(server.events().iter().map(plain)), expected);
}

#[test]
fn a_server_that_others_made_says_the_same() {
    if missing() {
        return;
    }
    let input = node_journal();
    let wanted = expected(&input, &[]);
    let count: usize = wanted.values().map(Vec::len).sum();
    let folder = tempfile::tempdir().unwrap();
    let key = write_file(folder.path(), "key", "s3cret\n");
    let password = write_file(folder.path(), "password", "pass word");
    let authority = Authority::new("authority");
    let ca = write_file(folder.path(), "ca.pem", authority.pem());
    let identity = authority.server(CertificateFlaw::None);
    let [key, password, ca] = [&key, &password, &ca].map(|path| path.to_str().unwrap());
    let keyed = ["--shared-key-file", key];
    let user = [&keyed[..], &["--user", "kata", "--password-file", password]].concat();
    let plain = || PeerSettings::default();
    let mut cases: Vec<(&str, PeerSettings<'_>, Vec<&str>, &str)> = MODES[..4]
        .iter()
        // This server does not support zstd.
        .map(|mode| (*mode, plain(), vec!["--forward-mode", mode], "forward"))
        .collect();
    cases.push(("key", PeerSettings { key: Some("s3cret"), ..plain() }, keyed.to_vec(), "forward"));
    cases.push((
        "user",
        PeerSettings { key: Some("s3cret"), users: &[("kata", "pass word")], ..plain() },
        user,
        "forward",
    ));
    cases.push(("tls", PeerSettings { tls: Some(&identity), ..plain() }, vec!["--tls-ca", ca], "forward+tls"));
    for (name, demands, flags, scheme) in cases {
        let peer = Peer::start(&demands);
        let url = format!("{scheme}://127.0.0.1:{}", peer.port());
        let (code, errors) = run(whole(&["--to", &url]).args(&flags).arg(&input));
        assert_eq!(code, Some(0), "{name}: {errors}");
        let entries = peer.wait_for(count);
        let plain = entries.into_iter().map(|entry| (entry.tag, entry.seconds, entry.nanos, entry.record));
        assert_eq!(by_tag(plain), wanted, "{name}");
    }
}

#[test]
fn times_in_whole_seconds() {
    let server = Server::start(Script::default());
    let (code, _) = run(whole_to(&server, &["--time-as-integer"]).arg(node_journal()));
    assert_eq!(code, Some(0));
    assert!(server.events().iter().all(|event| event.nanos == 0 && event.seconds > 1_500_000_000));
}

#[test]
fn what_passes_has_its_own_tag_and_time() {
    let server = Server::start(Script::default());
    let (code, _) =
        run(whole_to(&server, &["--others", "pass", "--tag", "k8s.{component}.{identifier}"]).arg(node_journal()));
    assert_eq!(code, Some(0));
    let events = server.events();
    assert!(events.iter().any(|event| event.tag == "k8s.shimv2.kata"));
    let other = events.iter().find(|event| event.tag == "others.sshd" || event.tag == "others.kubelet").unwrap();
    let micros: u64 = other.text("__REALTIME_TIMESTAMP").unwrap().parse().unwrap();
    assert_eq!(u64::from(other.seconds), micros / 1_000_000);
    let server = Server::start(Script::default());
    let flags = ["--others", "pass", "--others-tag", "{identifier}.x"];
    assert_eq!(run(whole_to(&server, &flags).arg(node_journal())).0, Some(0));
    assert!(server.events().iter().any(|event| event.tag == "kubelet.x" || event.tag == "sshd.x"));
}

#[test]
fn a_unix_socket_and_a_standby() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("forward.sock");
    let server = Server::unix(&socket, Script::default());
    let standby = Server::start(Script::default());
    let url = format!("unix:{}", socket.display());
    let (code, errors) = run(whole(&["--to", &format!("{}?standby", standby.url()), "--to", &url]).arg(node_journal()));
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!((server.events().len(), standby.events().len()), (33, 0));
    drop(server);
    let (code, errors) = run(whole(&["--to", &format!("{url},{}?standby", standby.url())]).arg(node_journal()));
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(standby.events().len(), 33);
}

#[test]
fn records_are_known_by_the_same_id_in_every_run() {
    let ids = |input: &Path| -> Vec<String> {
        let records = records(input, &["--record-id", "id"]);
        records.iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
    };
    let (first, again) = (ids(&node_journal()), ids(&node_journal()));
    assert_eq!(first, again);
    let mut different = first.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), first.len());
    assert!(first.iter().all(|id| id.len() == 32));
}
