#![allow(clippy::unwrap_used)] // a test fails by it

use proptest::prelude::*;

use super::*;
use crate::source::tests::{ChunkedReader, Owned, drain};
use crate::source::{Input, Settings, Trust, from_reader};

/// A print is open from `env[` to `]`.
fn leaves_open(text: &[u8]) -> bool {
    let opened = memchr::memmem::rfind(text, b"env[");
    opened.is_some_and(|at| !text[at..].contains(&b']'))
}

/// Like the rule of records, this one asks for more than the look at the first bytes.
fn proves_itself(text: &[u8]) -> bool {
    begins_record(text)
        && (text.starts_with(b"{") || text.get(22..).is_some_and(|rest| rest.starts_with(b":54Z\" level=")))
}

const JUDGE: Judge =
    Judge { leaves_open, proves_itself, is_manager: |name| name == b"containerd", is_record: |_| false };

fn read(data: &[u8], input: Input, block: usize, sizes: &[usize]) -> Vec<Owned> {
    let settings = Settings { judge: JUDGE, block, max_line: 64 << 10, ..Settings::default() };
    drain(from_reader(Box::new(ChunkedReader::new(data, sizes)), input, true, &settings).as_mut()).0
}

/// Returns the mark of each entry, as one letter.
fn marks_of(data: &[u8], input: &Input) -> String {
    let letters = |entries: Vec<Owned>| -> String {
        let letter = |entry: &Owned| match entry.continuation {
            Continuation::Whole => '.',
            Continuation::Rest => 'r',
            Continuation::Withheld => 'w',
        };
        entries.iter().map(letter).collect()
    };
    let whole = letters(read(data, input.clone(), 1 << 20, &[usize::MAX]));
    for (block, size) in [(64, 7), (64, 64), (200, 1), (1000, 333)] {
        assert_eq!(letters(read(data, input.clone(), block, &[size])), whole, "{block} {size}");
    }
    whole
}

fn marks(text: &str) -> String {
    marks_of(text.as_bytes(), &Input::Stdin)
}

const RECORD: &str = "time=\"2024-03-05T05:01:54Z\" level=info msg=";

#[test]
fn lines_after_a_cut_print_are_withheld_until_one_proves_itself() {
    let text = format!("{RECORD}env[A=secret\nmore\nlevel=x\ntime=1999-01-01\n{RECORD}done\nlevel=info\n");
    assert_eq!(marks(&text), ".www..");
    assert_eq!(marks(&format!("{RECORD}env[A=b]\nmore\n")), "..");
    assert_eq!(marks("env[A\n{\"msg\":\"x\"}\nmore\n"), "...");
    assert_eq!(marks("env[A\n\nmore\n"), ".ww");
    // The look at the first bytes finds no damage behind them.
    assert_eq!(marks(&format!("{RECORD}env[A\ntime=\"2024-x\nmore\n")), "...");
    // The state ends with the print's largest size.
    let long = format!("env[\n{}x\nlast\nmore\n", format!("{}\n", "x".repeat(1 << 10)).repeat(1 << 10));
    let found = marks_of(long.as_bytes(), &Input::Stdin);
    assert_eq!(found.chars().filter(|mark| *mark == 'w').count(), (1 << 10) + 1);
    assert!(found.ends_with("w.."), "{}", found.len());
}

#[test]
fn lines_on_a_terminal_prove_themselves_there() {
    let text = format!("INFO[0000] env[A\nmore\n\u{1b}[33mWARN\u{1b}[0m[0001] x\nmore\n{RECORD}x\n");
    assert_eq!(marks(&text), ".w...");
    assert_eq!(marks(&format!("{RECORD}x\n{text}")), "..www.");
}

#[test]
fn lines_of_syslog_are_told_apart_by_their_writer() {
    let head = |name: &str| format!("Mar  5 05:01:54 node1 {name}: ");
    let (one, two, other) = (head("containerd[1]"), head("containerd[2]"), head("kubelet[1]"));
    let text = format!("{one}env[A\n{two}x\n{other}y\n{one}z\n{one}{RECORD}a\n{one}b\n");
    assert_eq!(marks(&text), "...w..");
    assert_eq!(marks(&format!("{one}{RECORD}a\n{one}{RECORD}env[A\n{one}rest\n{two}rest\n")), "..w.");
    // Another program's lines are whole, and a line without a head continues any line.
    assert_eq!(marks(&format!("{other}env[A\n{other}x\n{one}env[A\n  x\n")), "...w");
    // A whole line ends a print that the lines without a head continue.
    assert_eq!(marks(&format!("env[A\n  x\n{one}{RECORD}a\n  y\n")), ".w..");
    // The previous line is searched for in a few lines only.
    let far = |lines: usize| format!("{one}env[A\n{}{one}z\n", format!("{other}y\n").repeat(lines));
    assert_eq!(marks(&far(7)), "........w");
    assert_eq!(marks(&far(8)), "..........");
}

/// Returns an entry in JSON and in the export format.
fn entry(stream: &str, message: &str, line_break: &str) -> [String; 2] {
    let cut = |format: fn(&str) -> String| if line_break.is_empty() { String::new() } else { format(line_break) };
    let json_cut = cut(|value| format!(",\"_LINE_BREAK\":\"{value}\""));
    let export_cut = cut(|value| format!("_LINE_BREAK={value}\n"));
    let json = message.replace('\\', r"\\").replace('"', "\\\"");
    let fields = format!("_TRANSPORT=stdout\n_STREAM_ID={stream}\n{export_cut}");
    [
        format!("{{\"__CURSOR\":\"s\",\"MESSAGE\":\"{json}\",\"_STREAM_ID\":\"{stream}\"{json_cut}}}\n"),
        format!("__CURSOR=s\n{fields}MESSAGE={message}\n\n"),
    ]
}

fn marks_of_entries(entries: &[(&str, &str, &str)]) -> String {
    let [json, export] = [0, 1].map(|format| {
        let text: String = entries.iter().map(|(a, b, c)| entry(a, b, c)[format].clone()).collect();
        marks(&text)
    });
    assert_eq!(json, export);
    json
}

#[test]
fn an_entry_after_a_line_break_is_a_rest_in_its_stream() {
    let record = &*format!("{RECORD}x");
    for value in ["line-max", "nul", "eof", "pid-change"] {
        let entries =
            [("a", record, value), ("b", record, ""), ("a", record, ""), ("a", record, ""), ("a", "rest", "")];
        assert_eq!(marks_of_entries(&entries), "..r..", "{value}");
    }
    let chain = [("a", "x", "line-max"), ("a", "y", "line-max"), ("a", "z", ""), ("a", "z", "")];
    assert_eq!(marks_of_entries(&chain), ".rr.");
    let text = "_LINE_BREAK\":\"x\",\"_STREAM_ID\":\"a";
    assert_eq!(marks_of_entries(&[("b", text, ""), ("a", record, ""), ("b", record, "")]), "...");
}

#[test]
fn entries_after_a_cut_print_are_withheld_until_one_proves_itself() {
    let record = &*format!("{RECORD}x");
    let entries = [("a", "env[A", "line-max"), ("b", "y", ""), ("a", record, ""), ("a", "z", ""), ("a", record, "")];
    assert_eq!(marks_of_entries(&entries), "..ww.");
    // systemd before 235 does not mark cuts.
    let long = &*format!("{}env[A", "x".repeat(LONG_ENTRY));
    assert_eq!(marks_of_entries(&[("a", long, ""), ("a", "z", ""), ("a", record, ""), ("a", "z", "")]), ".w..");
    // `journalctl -o json` leaves out long texts.
    let hidden = "{\"__CURSOR\":\"s\",\"MESSAGE\":null,\"_STREAM_ID\":\"a\",\"_LINE_BREAK\":\"line-max\"}\n";
    assert_eq!(marks(&format!("{hidden}{}{}", entry("a", "z", "")[0], entry("a", record, "")[0])), ".w.");
    let pid = "{\"__CURSOR\":\"s\",\"_TRANSPORT\":\"stdout\",\"_PID\":\"7\",\"_LINE_BREAK\":\"x\",\"MESSAGE\":[101,110,118,91]}\n";
    assert_eq!(marks(&pid.repeat(2)), ".w");
}

#[test]
fn a_dropped_stream_counts_as_open() {
    let names: Vec<String> = (0..=MAX_STREAMS).map(|number| format!("s{number}")).collect();
    let mut entries: Vec<_> = names.iter().map(|name| (name.as_str(), "env[A", "line-max")).collect();
    let record = &*format!("{RECORD}x");
    entries.extend([("s0", "rest", ""), ("new", record, "")]);
    assert!(marks_of_entries(&entries).ends_with(".w."));
}

#[test]
fn files_of_managers_and_of_trusted_pods_may_begin_with_a_rest() {
    let manager = Input::File("containerd.log".into());
    assert_eq!(marks_of(format!("rest\nx\n{RECORD}a\nx\n").as_bytes(), &manager), "ww..");
    assert_eq!(marks_of(format!("{RECORD}a\nx\n").as_bytes(), &manager), "..");
    let cri = |stream: &str, tag: &str, text: &str| format!("2024-03-05T05:01:54.123456789Z {stream} {tag} {text}\n");
    let pod = Input::File("/var/log/pods/kube-system_kata-monitor_1/m/0.log".into());
    let text = [
        cri("stdout", "F", "rest"),
        cri("stdout", "F", "x"),
        cri("stderr", "P", "re"),
        cri("stderr", "F", "st"),
        cri("stderr", "F", &format!("{RECORD}env[A")),
        cri("stdout", "F", "x"),
        cri("stderr", "P", "wi"),
        cri("stderr", "F", "thheld"),
    ]
    .concat();
    assert_eq!(marks_of(text.as_bytes(), &pod), "r.r..w");
    // Only the first lines of a file may be rests, so that the states do not stay.
    let late = format!("{}{}", cri("stdout", "F", "x").repeat(8), cri("stderr", "F", "y"));
    assert_eq!(marks_of(late.as_bytes(), &pod), "r........");
    let docker = "{\"log\":\"env[\\\"A\\n\",\"stream\":\"stderr\"}\n{\"log\":\"x\\n\",\"stream\":\"stderr\"}\n";
    assert_eq!(marks(docker), ".w");
    let tenant = Input::File("/var/log/pods/ns_app_1/m/0.log".into());
    assert_eq!(marks_of(text.as_bytes(), &tenant), "......");
    let settings =
        Settings { judge: JUDGE, trust: Trust { vouch: true, ..Trust::default() }.into(), ..Settings::default() };
    let vouched = from_reader(Box::new(ChunkedReader::new(text, &[9])), tenant, true, &settings);
    let last = drain({ vouched }.as_mut()).0.pop().unwrap();
    assert_eq!(last.continuation, Continuation::Withheld);
}

#[test]
fn any_number_of_streams_takes_little_memory() {
    let mut batch = Batch::default();
    for number in 0..1000 {
        assert!(batch.push_line(entry(&number.to_string(), "env[A", "line-max")[0].trim_end().as_bytes()));
    }
    let mut marker = Continuations::new(JUDGE, Vec::new(), true);
    batch.route = Route::Journal;
    marker.mark(&mut batch);
    assert!(marker.open_streams().len() <= MAX_STREAMS + 1);
}

/// Returns lines of all kinds.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let text = prop_oneof![
        Just("env[A".to_owned()),
        Just("x".to_owned()),
        Just(String::new()),
        Just(format!("{RECORD}env[A")),
        Just(format!("{RECORD}x")),
    ];
    let line = (text, 0..8_u8).prop_map(|(text, kind)| match kind {
        0..=1 => format!("{text}\n"),
        2 => format!("Mar  5 05:01:54 n containerd[1]: {text}\n"),
        3 => format!("Mar  5 05:01:54 n containerd[2]: {text}\n"),
        4 => format!("Mar  5 05:01:54 n kubelet[1]: {text}\n"),
        5 => format!("2024-03-05T05:01:54.1Z stderr F {text}\n"),
        6 => entry("a", &text, "line-max")[0].clone(),
        _ => entry("b", &text, "")[0].clone(),
    });
    prop::collection::vec(line, 1..40)
}

proptest! {
    #[test]
    fn marks_depend_on_the_entries_alone(lines in lines(), block in 64..500_usize, sizes in prop::collection::vec(1..300_usize, 1..5)) {
        let data = lines.concat();
        for name in ["-", "containerd.log", "/var/log/pods/kube-system_kata-monitor_1/m/0.log"] {
            let input = || Input::from(std::path::PathBuf::from(name));
            let whole = read(data.as_bytes(), input(), 1 << 20, &[usize::MAX]);
            prop_assert_eq!(whole, read(data.as_bytes(), input(), block, &sizes));
        }
    }

    #[test]
    fn a_state_that_is_saved_gives_the_same_marks(lines in lines(), at in 0..40_usize) {
        let mark = |lines: &[String], open: Vec<OpenStream>, is_new: bool| {
            let mut batch = Batch::default();
            for line in lines {
                assert!(batch.push_line(line.as_bytes()));
                // A source that reads lines keeps their ends between them.
                batch.frames.iter_mut().next_back().unwrap().end -= 1;
            }
            let mut marker = Continuations::new(JUDGE, open, is_new);
            marker.mark(&mut batch);
            let marks: Vec<Continuation> = batch.frames.iter().map(|frame| frame.continuation).collect();
            (marks, marker.open_streams().to_vec())
        };
        let (whole, _) = mark(&lines, Vec::new(), true);
        let (first, second) = lines.split_at(at.min(lines.len()));
        let (mut marks, open) = mark(first, Vec::new(), true);
        let open = serde_json::from_str(&serde_json::to_string(&open).unwrap()).unwrap();
        marks.extend(mark(second, open, first.is_empty()).0);
        prop_assert_eq!(whole, marks);
    }
}
