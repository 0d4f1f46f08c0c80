use super::*;

/// Compares the parts of a line: time, timestamp, host, identifier, pid, message.
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
fn raw_lines_of_the_local_socket_name_no_host() {
    check("<6>Feb 21 10:31:27 kata-runtime[7]: x", Some(["Feb 21 10:31:27", "", "", "kata-runtime", "7", "x"]));
}

#[test]
fn a_copy_may_have_lost_the_names() {
    check("3월 27 16:04:26 time=1 level=info", Some(["3월 27 16:04:26", "", "", "", "", "time=1 level=info"]));
}

#[test]
fn the_form_of_rfc_5424() {
    let (time, stamp) = ("2024-03-05T05:01:54.1Z", "2024-03-05T05:01:54.100000000Z");
    check("<14>1 2024-03-05T05:01:54.1Z n kata 7 - - x y", Some([time, stamp, "n", "kata", "7", "x y"]));
    check("<14>1 2024-03-05T05:01:54.1Z n kata 7 ID47 -", Some([time, stamp, "n", "kata", "7", ""]));
    check("<14>1 - - - - - - x", Some(["", "", "", "", "", "x"]));
    let data = r#"[x@1 a="b \"c\" \]" d="]"][y]"#;
    check(&format!("<14>1 - n kata 7 - {data} \u{feff}x"), Some(["", "", "n", "kata", "7", "x"]));
    check(&format!("<14>1 - n kata 7 - {data}"), Some(["", "", "n", "kata", "7", ""]));
}

#[test]
fn other_text_is_left_alone() {
    for text in [
        "<6>[    0.395399] brd: module loaded",
        "<999>Feb 31 99:99:99 kata-runtime[x]: time=\"2020-02-21T10:31:27Z\" level=info",
        "<14>1 2024-03-05T05:01:54Z n kata 7 - [x a=\"b\"",
        "<14>1 2024-03-05T05:01:54Z n kata 7 - data x",
        "<14>1 tomorrow n kata 7 - - x",
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
