use jiff::tz;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use unicode_width::UnicodeWidthStr as _;

use super::*;

const ID: &str = "5fbd3e1bd2314a8c9e0f5fbd3e1bd2314a8c9e0f5fbd3e1bd2314a8c9e0f1234";

fn settings(columns: usize) -> ViewSettings {
    ViewSettings {
        zone: TimeZone::UTC,
        color: false,
        columns,
        wrap: true,
        time: TimeStyle::Short,
        all_fields: false,
        unicode: true,
        highlight: None,
        explain: false,
        dedup: false,
    }
}

/// Returns the record of an informational message, with further fields.
fn record(fields: Json) -> Json {
    let mut record = json!({"_HOSTNAME": "node1", "kata_time": "2024-03-05T04:01:54.163Z", "kata_level": "info",
        "kata_component": "shimv2", "kata_format": "logfmt", "kata_origin": "host", "kata_sandbox": ID});
    record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    record
}

fn shown(settings: &ViewSettings, records: &[Json]) -> String {
    let mut view = View::new(settings);
    let mut out = Vec::new();
    for record in records {
        view.render(format!("{record}\n").as_bytes(), &mut out);
    }
    view.release(&mut out);
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn check(settings: &ViewSettings, records: &[Json], expected: &[&str]) {
    let shown = shown(settings, records);
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected, "{shown}");
}

#[test]
fn columns_line_up() {
    let records = [
        record(json!({"kata_msg": "started", "kata_pid": 4242, "kata_container": ID, "kata_vm": "a b"})),
        record(json!({"kata_time": "2024-03-05T04:01:54.175Z", "kata_component": "agent", "kata_level": "warning",
            "kata_origin": "guest", "kata_sandbox": "short", "kata_msg": "slow", "kata_flaws": ["truncated"]})),
    ];
    check(
        &settings(80),
        &records,
        &[
            "2024-03-05 UTC · node1",
            "04:01:54.163 I shim    5fbd3e1b started  vm=\"a b\"",
            "04:01:54.175 W agent   short    ┊ slow  !truncated",
        ],
    );
    check(
        &settings(120),
        &records,
        &[
            "2024-03-05 UTC · node1",
            "04:01:54.163         INF shim     5fbd3e1b  started  vm=\"a b\"",
            "04:01:54.175  +0.012 WRN agent    short     ┊ slow  !truncated",
        ],
    );
    check(
        &settings(40),
        &records,
        &[
            "2024-03-05 UTC · node1",
            "04:01:54.163 I shim    5fbd3e1b",
            "  started  vm=\"a b\"",
            "04:01:54.175 W agent   short",
            "  ┊ slow  !truncated",
        ],
    );
}

#[test]
fn times_have_three_forms_and_the_zone_shows_once() {
    let records = ["2024-03-05T22:59:59Z", "2024-03-05T23:00:00Z"]
        .map(|time| record(json!({"kata_time": time, "kata_msg": "m", "kata_sandbox": "s"})));
    let at = |time, columns| ViewSettings { time, zone: TimeZone::fixed(tz::offset(1)), ..settings(columns) };
    check(
        &at(TimeStyle::Short, 80),
        &records,
        &[
            "2024-03-05 UTC+01 · node1",
            "23:59:59.000 I shim    s        m",
            "2024-03-06 UTC+01 · node1",
            "00:00:00.000 I shim    s        m",
        ],
    );
    let full = [
        "UTC+01 · node1",
        "2024-03-05 23:59:59.000 I shim    s        m",
        "2024-03-06 00:00:00.000 I shim    s        m",
    ];
    check(&at(TimeStyle::Full, 80), &records, &full);
    let delta = [
        "2024-03-05 UTC+01 · node1",
        "        INF shim     s         m",
        "2024-03-06 UTC+01 · node1",
        " +1.000 INF shim     s         m",
    ];
    check(&at(TimeStyle::Delta, 120), &records, &delta);
}

#[test]
fn nobody_without_proof_names_the_host() {
    let named = |origin, host| record(json!({"kata_origin": origin, "_HOSTNAME": host, "kata_msg": "m"}));
    let records = [named("guest", "node1"), named("tenant", "evil"), named("unproven", "evil"), named("host", "node2")];
    let shown = shown(&settings(80), &records);
    assert_eq!(shown.matches("· node").count(), 2, "{shown}");
    assert!(!shown.contains("evil"), "{shown}");
}

#[test]
fn a_record_without_anything_has_dashes() {
    let nothing =
        json!({"kata_component": "unknown", "kata_format": "text", "kata_origin": "vouched", "kata_msg": "m"});
    check(&settings(80), &[nothing], &["-            - unknown -        m"]);
}

#[test]
fn all_fields_show_what_the_view_leaves_out() {
    let record = record(json!({"kata_msg": "m", "kata_pid": 1, "kata_host_level": "info", "kata_guest_time": "t"}));
    let all = ViewSettings { all_fields: true, wrap: false, ..settings(80) };
    let shown = shown(&all, &[record]);
    let fields =
        format!("m  component=shimv2  format=logfmt  origin=host  sandbox={ID}  pid=1  host_level=info  guest_time=t");
    assert!(shown.trim_end().ends_with(&fields), "{shown}");
}

#[test]
fn errors_stand_below_the_message_and_are_told_once() {
    let error = "rpc error: ENOENT\\n\\nStack backtrace:\\n   0: kata_agent::rpc::start\\n   1: std::rt::lang_start";
    let failed = |time, message, error| {
        record(json!({"kata_time": time, "kata_level": "error", "kata_msg": message, "kata_error": error}))
    };
    let records = [
        failed("2024-03-05T04:01:54Z", "createContainer failed", error),
        failed("2024-03-05T04:01:55Z", "failed to create", error),
        failed("2024-03-05T04:01:56Z", "task failed", &format!("shim: {error}")),
        record(json!({"kata_msg": "m", "kata_origin": "guest", "kata_error": error})),
    ];
    let shown = shown(&settings(80), &records);
    let lines: Vec<&str> = shown.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "04:01:54.000 E shim    5fbd3e1b createContainer failed",
            "    error: rpc error: ENOENT",
            "           0: kata_agent::rpc::start",
            "           … 1 frame of std",
            "04:01:55.000 E shim    5fbd3e1b failed to create",
            "    error: = 04:01:54.000 createContainer failed",
            "04:01:56.000 E shim    5fbd3e1b task failed",
            "    error: shim: = 04:01:54.000 createContainer failed",
            "04:01:54.163 I shim    5fbd3e1b ┊ m",
            "    ┊ error: rpc error: ENOENT",
            "    ┊        0: kata_agent::rpc::start",
            "    ┊        … 1 frame of std",
        ]
    );
}

#[test]
fn a_known_failure_is_explained_once_in_a_sandbox_and_only_for_the_host() {
    let error = "Could not get a unique context ID for the vsock";
    let failed = |origin, sandbox| {
        record(json!({"kata_origin": origin, "kata_level": "error", "kata_sandbox": sandbox, "kata_msg": "failed",
            "kata_error": error}))
    };
    let explaining = ViewSettings { explain: true, wrap: false, ..settings(80) };
    for origin in ["guest", "tenant", "unproven"] {
        let shown = shown(&explaining, &[failed(origin, "a")]);
        assert!(!shown.contains("help:"), "{origin}: {shown}");
    }
    let records = [failed("host", "a"), failed("vouched", "a"), failed("vouched", "b")];
    let text = shown(&explaining, &records);
    let places: Vec<_> = text.lines().enumerate().filter(|(_, line)| line.starts_with("    help: KX-0007: ")).collect();
    assert_eq!(places.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [3, 8], "{text}");
    assert!(!shown(&settings(80), &records).contains("help:"));
    let color = shown(&ViewSettings { color: true, ..explaining }, &records);
    assert!(color.contains("\x1b[32mhelp: KX-0007: "), "{color:?}");
}

#[test]
fn equal_records_in_a_row_are_one() {
    let at = |second: u8, message| {
        record(json!({"kata_time": format!("2024-03-05T04:01:0{second}Z"), "kata_msg": message, "kata_a": "b"}))
    };
    let records = [at(1, "one"), at(2, "one"), at(3, "one"), at(4, "two\nlines"), at(5, "two\nlines"), at(6, "one")];
    let dedup = ViewSettings { dedup: true, ..settings(80) };
    check(
        &dedup,
        &records,
        &[
            "2024-03-05 UTC · node1",
            "04:01:01.000 I shim    5fbd3e1b one  ×3  a=b",
            "04:01:04.000 I shim    5fbd3e1b two",
            "                                lines  ×2  a=b",
            "04:01:06.000 I shim    5fbd3e1b one  a=b",
        ],
    );
    let colored = shown(&ViewSettings { color: true, ..dedup.clone() }, &records);
    assert!(colored.contains("one\x1b[2m  ×3"), "{colored:?}");
    let ascii = shown(&ViewSettings { unicode: false, ..dedup }, &records);
    assert!(ascii.contains("one  x3  a=b"), "{ascii}");
}

#[test]
fn the_head_of_a_block_is_one_row_whatever_its_sandbox_is_called() {
    let records = [record(json!({"kata_sandbox": "\x1b[2J\nx\u{202e}"})), json!({"MESSAGE": "m"})];
    let mut groups = Groups::default();
    let numbers = records.each_ref().map(|record| groups.note(record.to_string().as_bytes()));
    for unicode in [true, false] {
        let mut view = View::new(&ViewSettings { unicode, ..settings(200) });
        let mut out = Vec::new();
        for (record, number) in records.iter().zip(numbers) {
            view.begin_block(&groups, number, &mut out);
            view.render(record.to_string().as_bytes(), &mut out);
        }
        let shown = String::from_utf8(out).unwrap();
        let heads: Vec<&str> = shown.lines().filter(|line| line.contains("1 record")).collect();
        let expected = [
            [
                "▌^[[2J\\nx<U+202E> · 04:01:54.163..04:01:54.163 +0.000 · 1 record · 0 errors",
                "▌no sandbox · 1 record · 0 errors",
            ],
            [
                "# ^[[2J\\nx<U+202E> - 04:01:54.163..04:01:54.163 +0.000 - 1 record - 0 errors",
                "# no sandbox - 1 record - 0 errors",
            ],
        ];
        assert_eq!(heads, expected[usize::from(!unicode)], "{shown}");
    }
}

#[test]
fn an_error_of_the_guest_never_stands_for_one_of_the_host() {
    let error = "no such file or directory";
    let of = |origin| record(json!({"kata_origin": origin, "kata_msg": "all is well", "kata_error": error}));
    let shown = shown(&settings(80), &[of("guest"), of("host")]);
    assert_eq!(shown.matches(error).count(), 2, "{shown}");
    assert!(shown.contains("    error: no such file or directory"), "{shown}");
}

#[test]
fn marks_tell_authors_apart_with_ascii_too() {
    let of = |origin| record(json!({"kata_origin": origin, "kata_msg": "one\ntwo"}));
    let records = ["host", "vouched", "guest", "tenant", "unproven"].map(of);
    for (unicode, guest) in [(true, "┊ "), (false, "| ")] {
        let shown = shown(&ViewSettings { unicode, ..settings(80) }, &records);
        let heads: Vec<String> = shown.lines().skip(1).map(|line| line.chars().skip(32).take(3).collect()).collect();
        let expected = ["one", "two", "one", "two", guest, guest, "> ", "> ", "? ", "? "];
        let expected: Vec<String> = expected
            .iter()
            .zip(["", ""].iter().chain(&["", "", "o", "t", "o", "t", "o", "t"]))
            .map(|(mark, letter)| format!("{mark}{letter}"))
            .collect();
        assert_eq!(heads, expected, "{shown}");
        assert!(unicode || shown.is_ascii(), "{shown}");
    }
}

#[test]
fn entries_of_others_are_marked_and_show_their_identifier() {
    for (identifier, message) in [("SYSLOG_IDENTIFIER", "MESSAGE"), ("syslog_identifier", "message")] {
        let record =
            json!({"__REALTIME_TIMESTAMP": "1709614914163000", identifier: "containerd\n", message: "two\n\nlines"});
        check(
            &settings(80),
            &[record],
            &["2024-03-05 UTC", "05:01:54.163 - contai… -        ? two", "                                ? lines"],
        );
    }
}

#[test]
fn the_level_decides_the_brightness() {
    let colored = ViewSettings { color: true, ..settings(120) };
    let of = |level| record(json!({"kata_level": level, "kata_msg": "text", "kata_a": "b", "kata_error": "e"}));
    for (level, letters, message, value, error) in [
        ("critical", "\x1b[1;31mCRT\x1b[0m", "\x1b[1mtext\x1b[0m", "b", "\x1b[31merror: e\x1b[0m"),
        ("warning", "\x1b[33mWRN\x1b[0m", "text", "b", "\x1b[33merror: e\x1b[0m"),
        ("info", "INF", "text", "b", "\x1b[31merror: e\x1b[0m"),
        ("debug", "\x1b[2mDBG\x1b[0m", "\x1b[2mtext\x1b[0m", "\x1b[2mb\x1b[0m", "\x1b[31merror: e\x1b[0m"),
    ] {
        let shown = shown(&colored, &[of(level)]);
        // Parts of one style need one sequence.
        let pair = format!("  {message}  \x1b[2ma=\x1b[0m{value}\n").replace("=\x1b[0m\x1b[2m", "=");
        assert!(shown.contains(letters) && shown.contains(&pair) && shown.contains(error), "{level}: {shown:?}");
    }
}

#[test]
fn the_searched_text_stands_out() {
    let colored = ViewSettings { color: true, highlight: "refused".parse().ok(), ..settings(120) };
    let record = record(json!({"kata_msg": "a Refused b", "kata_error": "x refused", "kata_refused": "refused"}));
    let shown = shown(&colored, &[record]);
    for part in [
        "a \x1b[7mRefused\x1b[0m b",
        "\x1b[31merror: x \x1b[0m\x1b[7mrefused\x1b[0m",
        "refused=\x1b[0m\x1b[7mrefused\x1b[0m",
    ] {
        assert!(shown.contains(part), "{part:?} in {shown:?}");
    }
}

#[test]
fn a_sandbox_has_one_color() {
    let colored = ViewSettings { color: true, ..settings(120) };
    let of = |id: &str| {
        let shown = shown(&colored, &[record(json!({"kata_sandbox": id}))]);
        shown.split("\x1b[38;5;").nth(1).unwrap().split('m').next().unwrap().to_owned()
    };
    let colors: std::collections::HashSet<String> = (0..50).map(|number| of(&format!("{number:064x}"))).collect();
    assert_eq!(colors.len(), 6, "{colors:?}");
    assert_eq!(of(ID), of(ID));
}

#[test]
fn hostile_text_costs_no_more_than_its_size() {
    let long = ["\x1b[", "/", "\x1b[1;", "\n", "a ", "\u{301}", "=\"", "\\n0: "]
        .map(|part| part.repeat((1 << 19) / part.len()));
    let start = std::time::Instant::now();
    for text in long {
        let record = record(json!({"kata_msg": text, "kata_error": text, "kata_x": text, "kata_origin": "guest"}));
        shown(&ViewSettings { color: true, ..settings(80) }, &[record]);
    }
    // Anything quadratic takes hours.
    assert!(start.elapsed() < std::time::Duration::from_secs(300), "{:?}", start.elapsed());
}

/// Generates text with everything that could do harm.
fn hostile() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "\x1b[2J",
        "\x1b[31m",
        "\x1b]0;x\x07",
        "\r",
        "\n",
        "\t",
        "\u{9b}1A",
        "\u{202e}",
        "\u{200b}",
        "\u{feff}",
        "日本",
        "e\u{301}",
        "\x7f",
        "\0",
        " ",
        "  ",
        "\\n",
        "a/b/c",
        "=",
        "\"",
        ID,
        "0: std::x",
        "\u{ad}",
        "\u{1f600}",
        "┊ ",
        "\nStack backtrace:\n 0: a::b\n at c:1\n",
    ]);
    let part = prop_oneof![3 => odd.prop_map(str::to_owned), 2 => "[a-z]{1,40}", 1 => any::<String>()];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn text_of_the_guest_stays_behind_its_mark(
        (columns, color, unicode) in (4..230_usize, any::<bool>(), any::<bool>()),
        (message, error, value, name) in (hostile(), hostile(), hostile(), hostile()),
        time in prop::sample::select(vec![TimeStyle::Short, TimeStyle::Full, TimeStyle::Delta]),
        all_fields in any::<bool>(),
    ) {
        let settings = ViewSettings { color, unicode, time, all_fields, ..settings(columns) };
        let guest = record(json!({"kata_origin": "guest", "kata_msg": message, "kata_error": error, "kata_value": value,
            name: "x", "kata_list": ["a", value]}));
        let shown = shown(&settings, &[guest]);
        let mark = if unicode { "┊" } else { "|" };
        let mut is_begun = false;
        for row in shown.lines() {
            let mut plain = row.to_owned();
            while let Some((head, rest)) = plain.split_once('\x1b') {
                prop_assert!(color, "{row:?}");
                let (sequence, behind) = rest.split_once('m').unwrap();
                prop_assert!(sequence.starts_with('[') && sequence.bytes().skip(1).all(|byte| byte.is_ascii_digit() || byte == b';'));
                plain = format!("{head}{behind}");
            }
            prop_assert!(!plain.contains(kata_records::visible::is_hidden), "{row:?}");
            prop_assert!(plain.width() <= columns, "{columns}: {plain:?}");
            // Rows before the first mark hold the heading and the columns.
            let before = plain.split(mark).next().unwrap_or_default();
            let is_marked = before.len() < plain.len();
            prop_assert!(is_marked || !is_begun, "{plain:?}");
            prop_assert!(!is_begun || before.trim().is_empty(), "{plain:?}");
            is_begun |= is_marked;
        }
        prop_assert!(is_begun);
    }
}
