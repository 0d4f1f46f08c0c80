//! Filters on every kind of input, compared with jq on the unfiltered records.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use crate::properties::{cuts, mutated};
use crate::support::journal::remote;
use crate::support::pipeline::{Cuts, Setup};
use crate::support::{cases, expect_exit, katalog, stderr, write_file};

/// Definitions for the programs below. jq has no regular expressions of Rust's syntax, so the patterns are simple words.
const PRELUDE: &str = r#"
    def rank: {trace: 0, debug: 1, info: 2, warning: 3, error: 4, critical: 5}[.];
    def level($from; $to): foreach .[] as $r ({passes: false, at: -1};
        .at += 1 | if $r.kata_level then .passes = ($r.kata_level | rank | . >= $from and . <= $to) else . end;
        select(.passes and $r.kata_component) | .at);
    def where(condition): to_entries[] | select(.value | condition) | .key;
    def facts: ["kata_time", "kata_level", "kata_component", "kata_format", "kata_origin", "kata_guest", "kata_flaws",
        "kata_escaped", "kata_redacted"];
    def texts: if type == "array" then .[] else . end | if type == "string" then . else tojson end;
    def own: if .kata_component then with_entries(select((.key | startswith("kata_")) and ([.key] | inside(facts) | not)))
        else {MESSAGE} end;
"#;

/// Flags, and the program that gives the indexes of the same records.
const FILTERS: [(&[&str], &str); 25] = [
    (&["-p", "trace"], "where(true)"),
    (&["-p", "err"], "level(4; 5)"),
    (&["--level", "4"], "level(3; 5)"),
    (&["--level=info..warning"], "level(2; 3)"),
    (&["--level=debug..debug"], "level(1; 1)"),
    (&["--sandbox", "1,a,5fbd"], r#"where((.kata_sandbox | strings | test("^(1|a|5fbd)")) // false)"#),
    (&["--container", "1", "--container", "a"], r#"where((.kata_container | strings | test("^(1|a)")) // false)"#),
    (
        &["--origin", "guest,unproven"],
        r#"where(.kata_origin and .kata_component and (.kata_origin | IN("guest", "unproven")))"#,
    ),
    (&["--flaw", "no-time"], r#"where(.kata_component and (.kata_flaws // [] | index("no-time")))"#),
    (&["-g", "sandbox"], r#"where([own[] | texts | test("sandbox"; "i")] | any)"#),
    (&["-g", "Sandbox"], r#"where([own[] | texts | test("Sandbox")] | any)"#),
    (&["-g", "^[0-9]+$"], r#"where([own[] | texts | test("^[0-9]+$")] | any)"#),
    (&["--where", "kata_level=info"], r#"where(.kata_level == "info")"#),
    (&["--where", "kata_level != info"], r#"where(.kata_level != "info")"#),
    (&["--where", "kata_pid>4000"], "where(.kata_pid | type == \"number\" and . > 4000)"),
    (&["--where", "kata_pid<=4.5e3"], "where(.kata_pid | type == \"number\" and . <= 4500)"),
    (&["--where=kata_pid=1234"], "where(.kata_pid == 1234)"),
    (&["--where", "kata_pid!=1234"], "where(.kata_pid != 1234)"),
    (&["--where", "kata_msg~(?i)vm"], r#"where((.kata_msg | strings | test("vm"; "i")) // false)"#),
    (&["--where", "kata_msg!~e"], r#"where(((.kata_msg | strings | test("e")) // false) | not)"#),
    (&["--where", "kata_flaws=no-time"], r#"where(.kata_flaws // [] | index("no-time"))"#),
    (&["--where", "kata_flaws!=no-time"], r#"where((.kata_flaws // [] | index("no-time")) | not)"#),
    (&["--where", "kata_guest=true"], "where(.kata_guest == true)"),
    (
        &["--where", "kata_time>=2021-01-01", "--where", "kata_time<2025"],
        r#"where(.kata_time and .kata_time >= "2021-01-01" and .kata_time < "2025")"#,
    ),
    (
        &["-p", "warning", "--where", "kata_component!=agent", "-g", "a"],
        r#"[level(3; 5)] as $l | to_entries[] | select(.key | IN($l[])) | select(.value.kata_component != "agent")
           | select([.value | own[] | texts | test("a"; "i")] | any) | .key"#,
    ),
];

fn inputs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/inputs")
}

/// Returns for each filter the lines of the records that its program chooses.
fn chosen(records: &[u8]) -> Vec<Vec<u8>> {
    let programs: Vec<String> = FILTERS.iter().map(|(_, program)| format!("([{program}])")).collect();
    let mut jq = Command::new("jq");
    jq.args(["-s", "-c", &format!("{PRELUDE}{}", programs.join(","))]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = jq.spawn().unwrap_or_else(|error| panic!("the tests of filters need jq: {error}"));
    let mut input = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(records).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success());
    let lines: Vec<&[u8]> = records.split_inclusive(|byte| *byte == b'\n').collect();
    let indexes = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Vec<usize>>();
    indexes.map(|indexes| indexes.unwrap().into_iter().flat_map(|index| lines[index]).copied().collect()).collect()
}

/// Runs katalog on an input with these flags.
fn run(input: &Path, flags: &[&str]) -> Vec<u8> {
    expect_exit(katalog().args(flags).args(["--stats", "none"]).arg(input), 0).stdout
}

/// Checks all filters on an input.
fn agrees_with_jq(input: &Path, flags: &[&str]) {
    let all = run(input, flags);
    let expected = chosen(&all);
    assert_eq!(expected.len(), FILTERS.len());
    let mut kept = 0;
    for (number, ((filter, _), expected)) in FILTERS.iter().zip(expected).enumerate() {
        let threads = if number % 2 == 0 { "1" } else { "3" };
        let flags = [flags, filter, &["--threads", threads]].concat();
        assert!(run(input, &flags) == expected, "{}: {flags:?}", input.display());
        kept += usize::from(!expected.is_empty() && expected.len() < all.len());
    }
    assert!(kept > 4, "{}: only {kept} filters choose", input.display());
}

#[test]
fn filters_choose_what_jq_chooses() {
    let mut checked = 0;
    for entry in inputs().read_dir().unwrap() {
        let path = entry.unwrap().path();
        agrees_with_jq(&path, &["--others", "pass", "--vouch"]);
        checked += 1;
    }
    assert!(checked > 15, "{checked} inputs");
}

#[test]
fn filters_choose_in_journals_and_archives() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("node.journal");
    if remote::missing() {
        return;
    }
    let stream = std::fs::read(inputs().join("node.export")).unwrap();
    remote::append(&journal, &stream, remote::WriterOptions::default());
    agrees_with_jq(&journal, &[]);
    let archive = folder.path().join("bundle.tar.gz");
    let tar = Command::new("tar").arg("-czf").arg(&archive).arg("-C").arg(folder.path()).arg("node.journal").status();
    assert!(tar.unwrap().success());
    agrees_with_jq(&archive, &["--others", "pass"]);
}

/// Returns the lines near matches, as the options say: up to `before` and `after` lines of the same sandbox.
fn around(records: &[u8], matches: &[u8], before: usize, after: usize) -> Vec<u8> {
    let lines: Vec<&[u8]> = records.split_inclusive(|byte| *byte == b'\n').collect();
    let mut rest = matches;
    let is_match: Vec<bool> = lines
        .iter()
        .map(|line| {
            let behind = rest.strip_prefix(*line);
            rest = behind.unwrap_or(rest);
            behind.is_some()
        })
        .collect();
    assert!(rest.is_empty());
    let sandbox = |line: &[u8]| serde_json::from_slice::<serde_json::Value>(line).unwrap()["kata_sandbox"].clone();
    let sandboxes: Vec<_> = lines.iter().map(|line| sandbox(line)).collect();
    let near = |at: usize| {
        let own: Vec<usize> = (0..lines.len()).filter(|other| sandboxes[*other] == sandboxes[at]).collect();
        let place = own.iter().position(|other| *other == at).unwrap();
        own[place.saturating_sub(after)..own.len().min(place + before + 1)].iter().any(|other| is_match[*other])
    };
    (0..lines.len()).filter(|at| near(*at)).flat_map(|at| lines[at]).copied().collect()
}

#[test]
fn records_around_a_match_are_of_its_sandbox() {
    for input in ["shimv2-3x.log", "node.ndjson", "damage.log"].map(|name| inputs().join(name)) {
        let all = run(&input, &[]);
        for filter in [&["-p", "err"][..], &["-g", "sandbox"], &["--where", "kata_component=agent", "-p", "info"]] {
            let matches = run(&input, filter);
            for (flags, before, after) in [
                (&["-C", "2"][..], 2, 2),
                (&["-A", "1"], 0, 1),
                (&["-B", "3", "--threads", "3"], 3, 0),
                (&["-C", "1", "-B", "0"], 0, 1),
                (&["-C", "0"], 0, 0),
                (&["-C", "100000"], 100_000, 100_000),
            ] {
                let found = run(&input, &[filter, flags].concat());
                assert!(found == around(&all, &matches, before, after), "{}: {filter:?} {flags:?}", input.display());
            }
        }
    }
}

#[test]
fn what_is_not_around_a_match_is_counted() {
    let flags = ["-g", "failed", "-C", "1", "--stats", "json"];
    let output = expect_exit(katalog().args(flags).arg(inputs().join("shimv2-3x.log")), 0);
    let stats: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert_eq!(stats["written"].as_u64(), Some(lines));
    assert_eq!(stats["read"].as_u64(), Some(lines + stats["dropped"]["filter"].as_u64().unwrap()));
}

#[test]
fn a_filtered_record_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let line =
        |level: &str, sandbox: &str| format!("time=\"2031-01-01T07:00:00Z\" level={level} msg=m sandbox={sandbox}\n");
    let log = [line("info", "aa"), line("error", "ab"), "no level\n".to_owned(), line("info", "b")].concat();
    let input = write_file(folder.path(), "kata.log", log);
    for (flags, written, filtered) in [
        (&["-p", "err"][..], 2, 2),
        (&["--sandbox", "a"], 2, 2),
        (&["--sandbox", "a", "-p", "info"], 2, 2),
        (&["-g", "nothing"], 0, 4),
    ] {
        let output = expect_exit(katalog().args(flags).args(["--stats", "json"]).arg(&input), 0);
        let stats: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        let counted = (&stats["written"], &stats["dropped"]["filter"], &stats["read"]);
        assert_eq!(counted, (&written.into(), &filtered.into(), &4.into()), "{flags:?}");
    }
}

#[test]
fn a_wrong_filter_is_named() {
    for (flags, says) in [
        (&["-p", "errr"][..], "--level errr: did you mean error?"),
        (&["--level", "err..loud"], "--level err..loud: expected one of trace, debug"),
        (&["--origin", "hots"], "--origin hots: did you mean host?"),
        (&["--flaw", "no-tim"], "--flaw no-tim: did you mean no-time?"),
        (&["-g", "a("], "expected a regular expression, such as refused|denied: unclosed group"),
        (&["--where", "kata_msg"], "--where kata_msg: expected FIELD OP VALUE"),
        (&["--where", "=x"], "expected the name of a field before the operator"),
        (&["--where", "a!b"], "expected != or !~"),
        (&["--where", "a~("], "unclosed group"),
        (&["--format", "export", "-p", "err"], "--level"),
        (&["-C", "2"], "--context 2 has no effect without a filter, such as --grep REGEX or --level LEVEL"),
        (&["-p", "err", "-A", "many"], "--after-context many: expected a number from 0 to 100000"),
    ] {
        let output = expect_exit(katalog().args(flags).arg("x.log"), 64);
        assert!(stderr(&output).contains(says), "{flags:?}: {}", stderr(&output));
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_filter_is_the_same_however_the_input_is_cut(input in mutated(), cuts in cuts()) {
        for flags in [
            &["--level=err", "--others=pass"][..],
            &["--level=debug..info", "--vouch"],
            &["--sandbox=5,9", "--where=kata_level!=info"],
        ] {
            let setup = Setup::new(flags);
            let whole = setup.run(&input, &Cuts::whole());
            let cut = setup.run(&input, &cuts);
            prop_assert!(whole.is_like(&cut), "{flags:?}");
        }
    }

    #[test]
    fn an_id_is_found_before_parsing_or_nowhere(input in mutated(), prefix in "[0-9a-f]{1,3}") {
        let early = Setup::new(&["--others=pass", "--vouch", &format!("--sandbox={prefix}")]);
        // A condition on a field has no search ahead.
        let late = Setup::new(&["--others=pass", "--vouch", &format!("--where=kata_sandbox~\\A{prefix}")]);
        let [early, late] = [early, late].map(|setup| setup.run(&input, &Cuts::whole()));
        prop_assert_eq!(early.bytes, late.bytes);
    }
}
