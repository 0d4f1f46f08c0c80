//! `--since`, `--until`, `--lines` and `--reverse`: the program compared with jq, which does it with all records.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::archives::{piped, tar};
use crate::support::journal::samples::{BOOT, NEXT_BOOT, START, clock_set_back, service, services};
use crate::support::journal::{Entry, Shape, file};
use crate::support::{append_file, expect_exit, katalog, skip, stderr, wait_for_exit, wait_until, write_file};

/// Keeps the records of a range. A record without a time follows the record before it.
const RANGE: &str = r#"foreach (inputs | {line: ., time: (fromjson | .kata_time)}) as $r
    ({keep: true}; {line: $r.line, keep: (if $r.time then $r.time >= $since and $r.time <= $until else .keep end)};
     select(.keep) | .line)"#;

/// Keeps the last records.
const LAST: &str = "[inputs] | .[([length - ($last | tonumber), 0] | max):][]";

/// Reverses the order of time.
const REVERSE: &str = r"[foreach (inputs | {line: ., time: (fromjson | .kata_time)}) as $r
    ({}; {line: $r.line, time: ($r.time // .time)})] | sort_by(.time) | reverse | .[].line";

/// Returns the lines that a program of jq makes of lines of JSON; `None` without jq.
fn jq(program: &str, variables: &[(&str, &str)], lines: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new("jq");
    command.args(["-n", "-R", "-r"]);
    variables.iter().for_each(|(name, value)| _ = command.args(["--arg", name, value]));
    let child = command.arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        skip::skip("the comparison with jq", "jq is not installed");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let lines = lines.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&lines).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    Some(output.stdout)
}

fn run(folder: &Path, flags: &[&str], inputs: &[&str]) -> Vec<u8> {
    let mut command = katalog();
    command.current_dir(folder).args(flags).args(inputs);
    if inputs == ["-"] {
        command.stdin(piped(&fs::read(folder.join("kata.log")).unwrap()));
    }
    let output = expect_exit(&mut command, 0);
    // A run without records explains itself.
    assert!(output.stderr.is_empty() || output.stdout.is_empty(), "{flags:?} {inputs:?}: {}", stderr(&output));
    output.stdout
}

fn count(lines: &[u8]) -> usize {
    lines.iter().filter(|byte| **byte == b'\n').count()
}

/// Returns a line of a log. Some have no time, and some share one.
fn line(number: u32) -> String {
    let (second, nanos) = (20 + number / 3, number / 2 % 4 * 250_000_000);
    let (minute, second) = (13 + second / 60 % 40, second % 60);
    let time = format!("time=\"2023-11-14T22:{minute:02}:{second:02}.{nanos:09}Z\" ");
    let time = if number % 5 == 4 { String::new() } else { time };
    format!("{time}level=info msg=\"line {number}\" source=runtime name=kata-runtime\n")
}

/// Writes an input of each kind, and returns their names.
fn inputs_of_all_kinds(folder: &Path) -> Vec<&'static str> {
    let log: String = (0..100).map(line).collect();
    write_file(folder, "kata.log", &log);
    let entry = |number: u64, form: fn(u64, &str) -> String| {
        let message = format!("level=info msg=\\\"{number}\\\" source=runtime name=kata-runtime");
        form(number, &message)
    };
    let write = |name: &str, form: fn(u64, &str) -> String| {
        let lines: String = (0..100).map(|number| entry(number, form)).collect();
        write_file(folder, name, lines);
    };
    write("stream.ndjson", |number, message| {
        let micros = START + number * 400_000;
        format!("{{\"__REALTIME_TIMESTAMP\":\"{micros}\",\"SYSLOG_IDENTIFIER\":\"kata\",\"MESSAGE\":\"{message}\"}}\n")
    });
    write("stream.export", |number, message| {
        let message = message.replace('\\', "");
        format!("__REALTIME_TIMESTAMP={}\nSYSLOG_IDENTIFIER=kata\nMESSAGE={message}\n\n", START + number * 400_000)
    });
    write("syslog.log", |number, message| {
        let (second, message) = (20 + number * 2 / 5, message.replace('\\', ""));
        format!("2023-11-14T22:13:{second:02}.5+00:00 node1 kata[7]: {message}\n")
    });
    write("docker.json", |number, message| {
        let second = 20 + number * 2 / 5;
        let time = format!("2023-11-14T22:13:{second:02}");
        format!("{{\"log\":\"time=\\\"{time}Z\\\" {message}\\n\",\"stream\":\"stderr\",\"time\":\"{time}.1Z\"}}\n")
    });
    let pod = folder.join("bundle/var/log/pods/kube-system_kata-deploy-1_0123/kata");
    fs::create_dir_all(&pod).unwrap();
    let cri = |number: u32| format!("2023-11-14T22:13:{:02}.75Z stderr F {}", 20 + number / 3, line(number));
    write_file(&pod, "0.log", (0..100).map(cri).collect::<String>());
    let kata = folder.join("bundle/kata");
    fs::create_dir_all(&kata).unwrap();
    write_file(&kata, "kata.log", &log);
    write_file(&kata, "x.journal", file(&Shape::default(), &services(90)));
    write_file(folder, "x.journal", file(&Shape::default(), &services(90)));
    write_file(folder, "back.journal", file(&Shape::default(), &clock_set_back(35)));
    let journal = fs::read(folder.join("x.journal")).unwrap();
    write_file(folder, "bundle.tar", tar([("kata/kata.log", log.as_bytes()), ("kata/x.journal", journal.as_slice())]));
    vec![
        "-",
        "kata.log",
        "stream.ndjson",
        "stream.export",
        "syslog.log",
        "docker.json",
        "bundle",
        "bundle.tar",
        "x.journal",
        "back.journal",
    ]
}

#[test]
fn a_range_holds_for_every_kind_of_input() {
    let folder = tempfile::tempdir().unwrap();
    let ranges = [
        ("2023-11-14T22:13:30Z", "2023-11-14T22:13:40.5Z"),
        ("2023-11-14T22:13:33.25Z", "2023-11-14T22:13:33.25Z"),
        ("2023-11-14T22:13:30Z", "2023-11-14T22:59:00Z"),
        ("2023-11-14T00:00:00Z", "2023-11-14T22:13:29.999999Z"),
        ("2031-01-01T00:00:00Z", "2032-01-01T00:00:00Z"),
        ("1999-01-01T00:00:00Z", "2032-01-01T00:00:00Z"),
    ];
    for input in inputs_of_all_kinds(folder.path()) {
        let all = run(folder.path(), &["--vouch"], &[input]);
        assert!(count(&all) >= 54, "{input}: {}", String::from_utf8_lossy(&all));
        let mut kept = Vec::new();
        for (since, until) in ranges {
            // Nanoseconds, as in records.
            let full = |time: &str| {
                let (seconds, fraction) =
                    time.trim_end_matches('Z').split_once('.').unwrap_or((time.trim_end_matches('Z'), ""));
                format!("{seconds}.{fraction:0<9}Z")
            };
            let Some(expected) = jq(RANGE, &[("since", &full(since)), ("until", &full(until))], &all) else { return };
            for threads in ["1", "4"] {
                let flags = ["--vouch", "--since", since, "--until", until, "--threads", threads];
                let found = run(folder.path(), &flags, &[input]);
                assert!(
                    found == expected,
                    "{input}, {since} to {until}, {threads} threads: {} records of {} instead of {}",
                    count(&found),
                    count(&all),
                    count(&expected)
                );
            }
            kept.push(count(&expected));
        }
        assert!(kept[0] > 0 && kept[0] < kept[2] && kept[3] > 0 && kept[4] == 0, "{input}: {kept:?}");
        assert_eq!(kept[5], count(&all), "{input}");
    }
}

#[test]
fn the_last_records_are_those_of_all_inputs_together() {
    let folder = tempfile::tempdir().unwrap();
    inputs_of_all_kinds(folder.path());
    let all_inputs = ["kata.log", "stream.ndjson", "bundle.tar", "x.journal"];
    for inputs in [&all_inputs[..], &["kata.log"], &["-"], &["x.journal"], &["back.journal"], &["bundle"]] {
        for filters in [&[][..], &["--component", "runtime"], &["--since", "2023-11-14T22:13:30Z"], &["--sort=time"]] {
            let all = run(folder.path(), filters, inputs);
            let total = count(&all);
            for last in ["0", "1", "7", "53", &total.to_string(), &(total + 1).to_string(), "99999"] {
                let Some(expected) = jq(LAST, &[("last", last)], &all) else { return };
                for threads in ["1", "4"] {
                    let flags = [filters, &["--lines", last, "--threads", threads]].concat();
                    let found = run(folder.path(), &flags, inputs);
                    assert!(found == expected, "{inputs:?} {flags:?}: {} records", count(&found));
                }
            }
        }
    }
    // Beyond its memory, records wait in a file.
    let long: String = (0..30_000).map(line).collect();
    write_file(folder.path(), "long.log", long);
    let all = run(folder.path(), &[], &["long.log"]);
    for last in ["12000", "29999"] {
        let Some(expected) = jq(LAST, &[("last", last)], &all) else { return };
        assert!(run(folder.path(), &["--sort-memory=1M", "-n", last], &["long.log"]) == expected, "{last}");
    }
}

#[test]
fn the_newest_records_come_first() {
    let folder = tempfile::tempdir().unwrap();
    for input in inputs_of_all_kinds(folder.path()).into_iter().filter(|input| !input.starts_with("bundle")) {
        let all = run(folder.path(), &["--vouch"], &[input]);
        let Some(reversed) = jq(REVERSE, &[], &all) else { return };
        assert!(reversed != all, "{input}");
        for threads in ["1", "4"] {
            assert!(run(folder.path(), &["--vouch", "-r", "--threads", threads], &[input]) == reversed, "{input}");
        }
        let first: Vec<u8> = reversed.split_inclusive(|byte| *byte == b'\n').take(9).flatten().copied().collect();
        assert!(run(folder.path(), &["--vouch", "-r", "-n9"], &[input]) == first, "{input}");
        assert!(run(folder.path(), &["--vouch", "-r", "-n9", "--sort=time"], &[input]) == first, "{input}");
        assert!(run(folder.path(), &["--vouch", "-rn0"], &[input]).is_empty(), "{input}");
    }
    // The exact reverse of all inputs in order of time.
    let inputs = ["kata.log", "x.journal", "stream.ndjson"];
    let sorted = run(folder.path(), &["--sort=time"], &inputs);
    let mut lines: Vec<&[u8]> = sorted.split_inclusive(|byte| *byte == b'\n').collect();
    lines.reverse();
    assert!(run(folder.path(), &["-r"], &inputs) == lines.concat());
}

#[test]
fn lines_without_a_time_follow_the_line_before_them() {
    let folder = tempfile::tempdir().unwrap();
    let rest = |count: usize| "level=info msg=\"and no time\" source=runtime\n".repeat(count);
    let timed = |time: &str| format!("time=\"{time}\" level=info msg=timed source=runtime\n");
    let (old, new) = (timed("2031-01-01T00:00:00Z"), timed("2031-01-01T00:00:09Z"));
    // Far more lines than fit into a batch.
    let many = 40_000;
    for (log, expected) in [
        (rest(3), 3),
        (old.clone() + &rest(3), 0),
        (old.clone() + &rest(many), 0),
        (new.clone() + &rest(many), 1 + many),
        (rest(2) + &old + &rest(many) + &new + &rest(many) + &old + &rest(5), 2 + 1 + many),
        (String::new(), 0),
    ] {
        write_file(folder.path(), "kata.log", log);
        for threads in ["1", "4"] {
            let flags = ["--since", "2031-01-01T00:00:05Z", "--threads", threads];
            let found = run(folder.path(), &flags, &["kata.log"]);
            assert_eq!(count(&found), expected, "{threads} threads");
        }
    }
    // Each input begins anew, in an archive too.
    let (first, second) = (old.clone() + &rest(1), rest(2) + &old);
    write_file(folder.path(), "a.log", &first);
    write_file(folder.path(), "b.log", &second);
    write_file(folder.path(), "bundle.tar", tar([("kata/a.log", first.as_bytes()), ("kata/b.log", second.as_bytes())]));
    for inputs in [&["a.log", "b.log"][..], &["bundle.tar"]] {
        assert_eq!(count(&run(folder.path(), &["--since", "2031-01-01T00:00:05Z"], inputs)), 2, "{inputs:?}");
    }
}

/// Returns the counters of a run as JSON.
fn stats(folder: &Path, arguments: &[&str]) -> Value {
    let output = expect_exit(katalog().current_dir(folder).args(arguments).arg("--stats=json"), 0);
    serde_json::from_slice(&output.stderr).unwrap()
}

#[test]
fn records_that_are_left_out_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    inputs_of_all_kinds(folder.path());
    let range = &["--since=2023-11-14T22:13:30Z", "--until=2023-11-14T22:13:40Z"];
    let runs: [&[&str]; 6] =
        [range, &["-n7"], &["-n7", "--sort=time"], &["-rn7"], &["-n0"], &["-n7", "--since=@1700000010"]];
    for input in ["kata.log", "bundle.tar", "x.journal"] {
        for flags in runs {
            let stats = stats(folder.path(), &[flags, &[input]].concat());
            let written = count(&run(folder.path(), flags, &[input])) as u64;
            let sum =
                |part: &str| stats[part].as_object().map_or(0, |part| part.values().filter_map(Value::as_u64).sum());
            assert_eq!(stats["written"], written, "{input} {flags:?}: {stats}");
            assert_eq!(stats["read"], written + sum("dropped"), "{input} {flags:?}: {stats}");
            assert_eq!((sum("components"), sum("levels") <= written), (written, true), "{input} {flags:?}: {stats}");
            assert!(stats["dropped"]["filter"].as_u64() > Some(0), "{input} {flags:?}: {stats}");
        }
    }
    // A check counts only what is inside.
    let mut command = katalog();
    let output =
        expect_exit(command.current_dir(folder.path()).args(["check", "--stats=json"]).args(range).arg("kata.log"), 0);
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let inside = count(&run(folder.path(), range, &["kata.log"]));
    assert!(text.contains(&format!("\"written\":{inside},")), "{text}");
}

#[test]
fn the_last_records_of_a_journal_are_found_from_its_end() {
    let folder = tempfile::tempdir().unwrap();
    // Among the lines of a manager, only parsing tells which are Kata's; a container's driver chooses its identifier.
    let entry = |number: u64, boot: u128| {
        let entry = service(number, boot);
        let (identifier, message) = match number % 7 {
            0 => (
                "containerd",
                format!("time=\"2023-11-14T22:13:20Z\" level=info msg=\"shim {number}\" name=containerd-shim-v2"),
            ),
            1 => (
                "containerd",
                format!("time=\"2023-11-14T22:13:20Z\" level=info msg=\"no kata-runtime here {number}\""),
            ),
            2 => ("containerd", "panic: kata-runtime".to_owned()),
            3 => ("kata", String::new()),
            _ => return entry,
        };
        let kept = entry.fields.into_iter().filter(|(name, _)| name != "SYSLOG_IDENTIFIER" && name != "MESSAGE");
        let entry =
            Entry { fields: kept.collect(), ..entry }.with("SYSLOG_IDENTIFIER", identifier).with("MESSAGE", message);
        if number % 21 == 3 { entry.with("CONTAINER_ID_FULL", "0123") } else { entry }
    };
    let entries: Vec<_> = (0..400).map(|number| entry(number, BOOT)).collect();
    write_file(folder.path(), "one.journal", file(&Shape::default(), &entries));
    let directory = folder.path().join("many");
    fs::create_dir(&directory).unwrap();
    let parts = [(1, 0..150), (151, 150..300), (301, 300..400)];
    for (number, (first_seqnum, part)) in parts.into_iter().enumerate() {
        let shape = Shape { first_seqnum, file_id: number as u128, ..Shape::default() };
        write_file(&directory, format!("system@{number}.journal"), file(&shape, &entries[part]));
    }
    // A copy under other numbers, and another machine.
    let copy = Shape { first_seqnum: 77, seqnum_id: 9, file_id: 9, ..Shape::default() };
    write_file(&directory, "remote.journal", file(&copy, &entries[200..350]));
    let other: Vec<_> = (0..200).map(|number| entry(number * 2, NEXT_BOOT)).collect();
    let shape = Shape { machine_id: 5, seqnum_id: 5, file_id: 5, ..Shape::default() };
    write_file(&directory, "other.journal", file(&shape, &other));
    for input in ["one.journal", "many"] {
        for flags in [&[][..], &["--others=pass"], &["--boot=1"]] {
            let all = run(folder.path(), flags, &[input]);
            for last in ["0", "1", "2", "5", "40", "111", "2000"] {
                let Some(expected) = jq(LAST, &[("last", last)], &all) else { return };
                let found = run(folder.path(), &[flags, &["--lines", last]].concat(), &[input]);
                assert!(found == expected, "{input} {flags:?} {last}: {} records", count(&found));
            }
        }
    }
}

#[test]
fn a_range_holds_while_files_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (log, out) =
        (write_file(folder.path(), "kata.log", (0..40).map(line).collect::<String>()), folder.path().join("out"));
    let since = "--since=2023-11-14T22:13:30Z";
    let mut command = katalog();
    command.current_dir(folder.path()).args(["-f", since, "kata.log"]).stdout(File::create(&out).unwrap());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let lines = || count(&fs::read(&out).unwrap());
    let expected = |upto: u32| {
        let copy = write_file(folder.path(), "copy.log", (0..upto).map(line).collect::<String>());
        count(&run(folder.path(), &[since], &[copy.to_str().unwrap()]))
    };
    let first = expected(40);
    wait_until("the lines in the range", || lines() == first);
    append_file(&log, line(3) + &(40..60).map(line).collect::<String>());
    let second = expected(60);
    wait_until("the lines that were appended", || lines() == second);
    assert_eq!(Command::new("kill").arg(child.id().to_string()).status().unwrap().code(), Some(0));
    wait_for_exit(&mut child);
    assert_eq!(lines(), second);
}

#[test]
fn a_position_replaces_the_beginning_of_a_range() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", (0..40).map(line).collect::<String>());
    let ship = |since: &str| {
        let mut command = katalog();
        let flags = ["ship", "--once", "--state-dir=state", "--output=out", since, "kata.log"];
        let output = expect_exit(command.current_dir(folder.path()).args(flags), 0);
        (count(&fs::read(folder.path().join("out")).unwrap()), stderr(&output))
    };
    let inside = count(&run(folder.path(), &["--since=2023-11-14T22:13:30Z"], &["kata.log"]));
    assert!(inside > 0 && inside < 40);
    assert_eq!(ship("--since=2023-11-14T22:13:30Z"), (inside, String::new()));
    append_file(&log, line(3));
    let (shipped, notice) = ship("--since=2023-11-14T22:13:30Z");
    assert_eq!(shipped, inside + 1, "an old line that is new is shipped");
    assert!(notice.contains("--since: ignored, because \"state\" has a position to continue from"), "{notice}");
}

#[test]
fn a_conversion_holds_to_a_range() {
    let folder = tempfile::tempdir().unwrap();
    inputs_of_all_kinds(folder.path());
    let range = ["--since=2023-11-14T22:13:30Z", "--until=2023-11-14T22:13:40Z"];
    let inputs = ["kata.log", "x.journal"];
    for (name, flags) in [("plain", &[][..]), ("reversed", &["--reverse"]), ("sorted", &["--sort=time"])] {
        let target = format!("--output-dir={name}");
        let mut command = katalog();
        let flags = [&["convert", &target, "--progress=never"][..], &range, flags, &inputs].concat();
        expect_exit(command.current_dir(folder.path()).args(flags), 0);
        let mut files: Vec<PathBuf> = Vec::new();
        let mut directories = vec![folder.path().join(name)];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { directories.push(path) } else { files.push(path) }
            }
        }
        let records = files.iter().filter(|path| path.extension().is_some_and(|ending| ending == "ndjson"));
        let written: usize = records.map(|path| count(&fs::read(path).unwrap())).sum();
        assert_eq!(written, count(&run(folder.path(), &range, &inputs)), "{name}");
    }
}
