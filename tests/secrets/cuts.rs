//! Entries that are cut at any byte: a part shows no piece of a secret, and the line after the parts is whole.

use std::fmt::Write as _;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use serde_json::{Value, json};

use super::leak::{CANARY, is_hidden};
use super::positions::{Position, TEXTS};
use super::writers::{CONTAINER, SANDBOX, WRITERS};
use crate::support::pipeline::{Cuts, Setup, records};

/// Returns the line of the Go shim with this text, without its end.
fn line(text: &str) -> String {
    let entry = WRITERS[1].entry(text, &[]);
    String::from_utf8(entry).unwrap().trim_end().to_owned()
}

/// The words that introduce a secret. If a cut splits them and no print is open, nothing tells what the rest is.
const INTRODUCTIONS: &[&str] = &[
    "Annotations:",
    "Env:[",
    "\\\"--password\\\", ",
    "--api-token=",
    "\\\"authorization\\\": ",
    "Authorization: Basic ",
    "Bearer ",
    "--db-password ",
    "initdata: ",
    "cc_init_data: ",
    "-append ",
    "\\\"token\\\":",
    "\\\"client_secret\\\":",
    "\\\"password\\\":",
    "password=",
    "secret=",
    "policy: ",
    "SetPolicy: policy:",
    "https://user:",
    "token=",
    "-----BEGIN EC PRIVATE KEY-----",
    "eyJhbGciOiJIUzI1NiJ9.",
    "admin_password = ",
];

/// Returns the places of cuts: each byte around the first secret and some others, except in the words that introduce it.
fn cuts(line: &str) -> Vec<usize> {
    let (first, last) = (line.find(CANARY).unwrap(), line.rfind(CANARY).unwrap() + CANARY.len());
    let near = first.saturating_sub(24)..=first + 14;
    let words: Vec<_> = INTRODUCTIONS
        .iter()
        .flat_map(|words| line.match_indices(words).map(|(start, words)| start + 1..start + words.len()))
        .collect();
    let is_wanted = |at: &usize| {
        (near.contains(at) || at.is_multiple_of(11) || at.abs_diff(last) < 3)
            && !words.iter().any(|words| words.contains(at))
    };
    (line.find("msg=\"").unwrap() + 5..line.len()).filter(is_wanted).collect()
}

/// Returns an entry of a stream that journald reads from containerd.
fn piece(text: &str, stream: usize, line_break: Option<&str>) -> String {
    let mut entry = json!({
        "__REALTIME_TIMESTAMP": "1765799710214113", "_TRANSPORT": "stdout", "_UID": "0", "_GID": "0", "_PID": "712",
        "_HOSTNAME": "node1", "PRIORITY": "6", "_STREAM_ID": format!("{stream:032x}"), "SYSLOG_IDENTIFIER": "containerd",
        "_SYSTEMD_UNIT": "containerd.service", "_COMM": "containerd", "_EXE": "/usr/bin/containerd", "MESSAGE": text,
    });
    if let Some(how) = line_break {
        entry["_LINE_BREAK"] = how.into();
    }
    format!("{entry}\n")
}

/// Runs an input of many cuts. Checks that the line after the parts of each is shown whole. Returns what is wrong.
fn check(name: &str, flags: &[&str], input: &str, groups: usize) -> Vec<String> {
    let outcome = Setup::new(flags).run(input.as_bytes(), &Cuts::whole());
    let found = records(&outcome.bytes);
    let whole = found.iter().filter(|record| record.text("kata_msg") == Some("the next line")).count();
    assert_eq!(whole, groups, "{name}: a whole line is hidden");
    assert_eq!(outcome.stats["written"], outcome.stats["read"], "{name}: {}", outcome.stats["dropped"]);
    let shown =
        |line: &[u8]| is_hidden(line).err().map(|error| format!("{error}: {name}: {}", String::from_utf8_lossy(line)));
    outcome.bytes.split(|byte| *byte == b'\n').filter_map(shown).collect()
}

/// Runs a check for each text on its own thread, with the line of a shim and the places of its cuts.
#[track_caller]
fn for_each_text(check: impl Fn(&str, &str, &[usize]) -> Vec<String> + Sync) {
    let wrong: Vec<String> = TEXTS
        .par_iter()
        .flat_map_iter(|Position { name, text, .. }| {
            let line = line(&text.replace('#', CANARY));
            check(name, &line, &cuts(&line))
        })
        .collect();
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn parts_that_journald_cuts_hide_it() {
    let next = line("the next line");
    for line_break in ["line-max", "eof"] {
        for_each_text(|name, line, cuts| {
            let group = |(stream, at): (usize, &usize)| {
                let (first, rest) = line.split_at(*at);
                let rest = piece(rest, stream, None) + &piece(&next, stream, None);
                piece(first, stream, Some(line_break)) + &rest
            };
            check(name, &["--others=pass"], &cuts.iter().enumerate().map(group).collect::<String>(), cuts.len())
        });
    }
}

/// Returns a line whose first part, up to a cut, is at least 2048 bytes long.
fn long(line: &str, at: usize) -> (String, &str) {
    let (first, rest) = line.split_at(at);
    let filler = format!("msg=\"{}", "x ".repeat(1024 - at / 2));
    (first.replacen("msg=\"", &filler, 1), rest)
}

/// systemd before 235 cuts at 2048 bytes, without a mark.
#[test]
fn parts_without_a_mark_hide_it() {
    let next = line("the next line");
    for_each_text(|name, line, cuts| {
        let group = |(stream, at): (usize, &usize)| {
            let (first, rest) = long(line, *at);
            piece(&first, stream, None) + &piece(rest, stream, None) + &piece(&next, stream, None)
        };
        check(name, &["--others=pass"], &cuts.iter().enumerate().map(group).collect::<String>(), cuts.len())
    });
}

/// containerd copies the output of shims in parts, and writes lines of others between them, without a mark. Only a print
/// is known to be cut then.
#[test]
fn parts_before_other_lines_hide_it() {
    let next = line("the next line");
    for_each_text(|name, line, cuts| {
        if !name.starts_with("environment") && !name.ends_with("of a spec") {
            return Vec::new();
        }
        let group = |(stream, at): (usize, &usize)| {
            let (first, rest) = long(line, *at);
            piece(&format!("{first}{next}"), stream, None) + &piece(rest, stream, None) + &piece(&next, stream, None)
        };
        check(name, &["--others=pass"], &cuts.iter().enumerate().map(group).collect::<String>(), cuts.len())
    });
}

/// journald cuts long lines twice and more, and other streams stand between the parts.
#[test]
fn parts_between_other_streams_hide_it() {
    let next = line("the next line");
    for_each_text(|name, line, cuts| {
        let group = |(stream, at): (usize, &usize)| {
            let (first, rest) = line.split_at(*at);
            let (middle, last) = rest.split_at(rest.len() / 2);
            let other = piece(&next, stream + 10_000, None);
            [
                piece(first, stream, Some("line-max")),
                other.clone(),
                piece(middle, stream, Some("line-max")),
                other,
                piece(last, stream, None),
                piece(&next, stream, None),
            ]
            .concat()
        };
        check(name, &["--others=pass"], &cuts.iter().enumerate().map(group).collect::<String>(), 3 * cuts.len())
    });
}

#[test]
fn parts_of_container_files_hide_it() {
    let next = line("the next line");
    let (joined, unfinished) = (Setup::new(&["--vouch"]), Setup::new(&["--vouch", "--others=pass"]));
    for_each_text(|name, line, cuts| {
        let mut input = String::new();
        let mut wrong = Vec::new();
        for at in cuts {
            let (first, rest) = line.split_at(*at);
            writeln!(input, "2024-05-06T07:08:14.1Z stderr P {first}").unwrap();
            writeln!(input, "2024-05-06T07:08:14.2Z stdout F {next}").unwrap();
            writeln!(input, "2024-05-06T07:08:14.3Z stderr F {rest}").unwrap();
            // The last part is missing.
            let alone = format!("2024-05-06T07:08:14.1Z stderr P {first}\n");
            let output = unfinished.run(alone.as_bytes(), &Cuts { block: 4 << 10, ..Cuts::whole() }).bytes;
            wrong.extend(is_hidden(&output).err().map(|error| format!("{error}: {name}: {first}")));
        }
        // Joined parts are one entry.
        let outcome = joined.run(input.as_bytes(), &Cuts::whole());
        wrong.extend(is_hidden(&outcome.bytes).err().map(|error| format!("{error}: {name}")));
        let found = records(&outcome.bytes);
        assert_eq!((found.len(), &outcome.stats["redacted"]), (2 * cuts.len(), &Value::from(cuts.len())), "{name}");
        wrong
    });
}

/// A line above the limit on lines loses its end.
#[test]
fn lines_above_the_limit_hide_it() {
    let next = line("the next line");
    for_each_text(|name, line, cuts| {
        let start = line.find("msg=\"").unwrap() + 5;
        let places: Vec<usize> = cuts.iter().copied().filter(|at| *at >= start).collect();
        let (head, text) = line.split_at(start);
        let long = |at: &usize| format!("{head}{} {text}\n{next}\n", "x".repeat(1023 - at));
        let input: String = places.iter().map(long).collect();
        check(name, &["--max-line=1K", "--others=pass"], &input, places.len())
    });
}

/// A part that hides all of its text keeps its place: the entry stays a record with its envelope.
#[test]
fn hidden_parts_keep_their_envelope() {
    let text = TEXTS[0].text.replace('#', CANARY);
    let line = line(&text);
    let (first, rest) = line.split_at(line.find(CANARY).unwrap());
    let input = piece(first, 1, Some("line-max")) + &piece(rest, 1, None);
    let outcome = Setup::new(&["--others=pass"]).run(input.as_bytes(), &Cuts::whole());
    let found = records(&outcome.bytes);
    assert_eq!((found.len(), &outcome.stats["redacted"]), (2, &Value::from(1)), "{found:?}");
    assert!(found[0].text("MESSAGE").is_some_and(|text| text.contains("receive createcontainer")), "{found:?}");
    assert_eq!(found[1].text("kata_msg"), Some(super::MARKER));
    assert_eq!(found[1].text("MESSAGE"), Some(super::MARKER));
    assert_eq!(found[1].text("_PID"), Some("712"));
    assert_eq!(found[1].get("kata_redacted"), Some(&json!(["MESSAGE", "kata_msg"])));
    let all = String::from_utf8_lossy(&outcome.bytes);
    // The rest held the ids.
    assert!(!all.contains(SANDBOX) && all.contains(CONTAINER) == first.contains(CONTAINER), "{all}");
}

/// A part hides its text, and the secrets of its other fields too.
#[test]
fn hidden_parts_hide_their_command_line() {
    let line = line(&TEXTS[0].text.replace('#', CANARY));
    let (first, rest) = line.split_at(line.find(CANARY).unwrap());
    let member = format!("{{\"_CMDLINE\":\"containerd --token {CANARY}\",");
    let input = piece(first, 1, Some("line-max")) + &piece(rest, 1, None).replacen('{', &member, 1);
    let outcome = Setup::new(&["--others=pass"]).run(input.as_bytes(), &Cuts::whole());
    let shown = String::from_utf8_lossy(&outcome.bytes);
    assert_eq!(is_hidden(&outcome.bytes), Ok(()), "{shown}");
    assert_eq!(
        records(&outcome.bytes)[1].get("kata_redacted"),
        Some(&json!(["_CMDLINE", "MESSAGE", "kata_msg"])),
        "{shown}"
    );
}
