use super::*;

/// The parts of a line as text: time, moment, host, identifier, pid, message.
fn check(text: &str, wanted: Option<[&str; 6]>) {
    let mut entry = Entry::default();
    let read = line(text.as_bytes(), &mut entry);
    let part = |name: &[u8]| {
        entry.fields.iter().find(|field| field.key == name).map_or(String::new(), |field| {
            let crate::record::Value::Text(text) = field.value else { panic!("text") };
            String::from_utf8_lossy(text.bytes).into_owned()
        })
    };
    let stamp = entry.time.map_or(String::new(), |stamp| String::from_utf8_lossy(stamp.as_bytes()).into_owned());
    let found = read.then(|| {
        [
            part(b"SYSLOG_TIMESTAMP"),
            stamp,
            part(b"_HOSTNAME"),
            part(b"SYSLOG_IDENTIFIER"),
            part(b"SYSLOG_PID"),
            String::from_utf8_lossy(entry.message.unwrap()).into_owned(),
        ]
    });
    assert_eq!(found, wanted.map(|wanted| wanted.map(str::to_owned)), "{text}");
}

#[test]
fn every_short_mode_of_journalctl() {
    check("Mar 05 05:01:54 node1 kata[7]: hello", Some(["Mar 05 05:01:54", "", "node1", "kata", "7", "hello"]));
    check("May  7 16:02:31.769676 n crio: x", Some(["May  7 16:02:31.769676", "", "n", "crio", "", "x"]));
    check(
        "2024-03-05T05:01:54+0100 n kata[7]: x",
        Some(["2024-03-05T05:01:54+0100", "2024-03-05T04:01:54.000000000Z", "n", "kata", "7", "x"]),
    );
    check(
        "Tue 2024-03-05 05:01:54 UTC n kata[7]: x",
        Some(["Tue 2024-03-05 05:01:54 UTC", "2024-03-05T05:01:54.000000000Z", "n", "kata", "7", "x"]),
    );
    check(
        "1709614914.163108 n kata[7]: x",
        Some(["1709614914.163108", "2024-03-05T05:01:54.163108000Z", "n", "kata", "7", "x"]),
    );
    check("[   12.345678] n kata[7]: x", Some(["[   12.345678]", "", "n", "kata", "7", "x"]));
}

#[test]
fn months_of_any_language() {
    check(
        "3月 22 14:11:05 node1 kata-proxy[8075]: x",
        Some(["3月 22 14:11:05", "", "node1", "kata-proxy", "8075", "x"]),
    );
}

#[test]
fn a_priority_may_come_first() {
    check("<14>Mar  5 05:01:54 n kata-proxy[7]: x", Some(["Mar  5 05:01:54", "", "n", "kata-proxy", "7", "x"]));
}

#[test]
fn other_text_is_left_alone() {
    for text in [
        "",
        "time=\"2024\" level=info",
        "[    0.395399] brd: module loaded",
        "random non-kata log message",
        "goroutine 331421 [running]:",
        "2024-03-05T05:01:54Z not syslog",
        "    unique: 2460502, success, outsize: 120",
    ] {
        check(text, None);
    }
}
