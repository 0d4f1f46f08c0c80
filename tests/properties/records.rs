//! Records of katalog as an input: they come out as they went in, whatever cuts them and however they are printed.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;

use serde_json::Value;

use super::{cases, cuts, files, input};
use crate::support::check::same_when_cut;
use crate::support::katalog;
use crate::support::pipeline::{Cuts, Setup};

static KATA: LazyLock<Setup> = LazyLock::new(|| Setup::new(&["--input-format=kata", "--others=pass"]));
static AUTO: LazyLock<Setup> = LazyLock::new(|| Setup::new(&["--others=pass"]));
static SHORT: LazyLock<Setup> = LazyLock::new(|| Setup::new(&["--others=pass", "--max-line=1K"]));

/// Returns records as they come out of a second run.
fn vouched(records: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(records.to_vec()).unwrap();
    text.replace(r#""kata_origin":"host""#, r#""kata_origin":"vouched""#).into_bytes()
}

fn run(setup: &Setup, bytes: &[u8]) -> Vec<u8> {
    setup.run(bytes, &Cuts::whole()).bytes
}

/// Returns records as jq prints them, with these options.
fn jq(records: &[u8], options: &[&str]) -> Vec<u8> {
    let mut child =
        Command::new("jq").args(options).arg(".").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, records) = (child.stdin.take().unwrap(), records.to_vec());
    let writer = std::thread::spawn(move || stdin.write_all(&records).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// The inputs and cases of the repository, by their paths.
static INPUTS: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let inputs = files("fixtures/inputs").into_iter().chain(files("fixtures/cases"));
    let inputs = inputs.filter(|(path, _)| {
        let name = path.file_name().unwrap().to_str().unwrap();
        path.parent().is_some_and(|folder| folder.ends_with("inputs")) || name.starts_with("input")
    });
    inputs.map(|(path, content)| (path.display().to_string(), content)).collect()
});

/// Their records, with those of other programs.
static RECORDS: LazyLock<Vec<(&str, Vec<u8>)>> =
    LazyLock::new(|| INPUTS.iter().map(|(name, content)| (name.as_str(), run(&AUTO, content))).collect());

/// Returns all these records in one piece.
fn all_records() -> Vec<u8> {
    RECORDS.iter().flat_map(|(_, records)| records).copied().collect()
}

#[test]
fn records_come_out_as_they_went_in() {
    let mut count = 0;
    for (name, records) in &*RECORDS {
        count += records.iter().filter(|byte| **byte == b'\n').count();
        let expected = vouched(records);
        for (setup, format) in [(&*KATA, "kata"), (&*AUTO, "auto")] {
            let again = run(setup, records);
            let shown = || (String::from_utf8_lossy(&expected), String::from_utf8_lossy(&again));
            assert!(again == expected, "{name} in {format}: {:#?}", shown());
            assert!(run(setup, &again) == expected, "{name} in {format}: a third time");
        }
    }
    assert!(count > 3_000, "{count}");
}

#[test]
fn printed_objects_come_out_as_the_lines_do() {
    let records = all_records();
    for options in [&["--indent", "2"][..], &["--tab"], &["-c"], &["-a"]] {
        let printed = jq(&records, options);
        // jq writes some characters in another way, which the second run keeps.
        let expected = vouched(&jq(&records, if options == ["-a"] { &["-a", "-c"] } else { &["-c"] }));
        let again = run(&KATA, &printed);
        let differs =
            again.split(|byte| *byte == b'\n').zip(expected.split(|byte| *byte == b'\n')).find(|(a, b)| a != b);
        assert!(again == expected, "{options:?}: {:#?}", differs.map(|(a, b)| [a, b].map(String::from_utf8_lossy)));
    }
}

#[test]
fn every_format_shows_them_as_it_did() {
    let formats = [
        &["--format=msgpack"][..],
        &["--format=csv"],
        &["--format=text", "--color=always"],
        &["--schema=ecs"],
        &["--schema=otel", "--format=msgpack"],
        &["--component=agent,guest-kernel", "--drop=_*", "--rename=MESSAGE=text", "--tag-key=tag"],
    ];
    let mut count = 0;
    for flags in formats {
        let setup = Setup::new(&[&["--others=pass"], flags].concat());
        for ((name, content), (_, records)) in INPUTS.iter().zip(&*RECORDS) {
            // Only the origin of the host changes.
            if vouched(records) == *records {
                count += 1;
                assert!(run(&setup, records) == run(&setup, content), "{name} {flags:?}");
            }
        }
    }
    assert!(count > 300, "{count}");
}

#[test]
fn threads_do_not_show() {
    let folder = tempfile::tempdir().unwrap();
    let records = all_records();
    for (name, records) in [("lines", records.clone()), ("objects", jq(&records, &["--indent", "1"]))] {
        let path = folder.path().join(name);
        fs::write(&path, records).unwrap();
        let run = |threads: &str| {
            let output = katalog().args(["--others", "pass", "--threads", threads]).arg(&path).output().unwrap();
            assert!(output.status.success());
            output.stdout
        };
        let one = run("1");
        assert!(one.len() > 1 << 20, "{}", one.len());
        assert!(run("4") == one, "{name}");
    }
}

#[test]
fn the_output_of_each_case_comes_out_again() {
    for (path, expected) in files("fixtures/cases") {
        if !path.ends_with("expected.ndjson") {
            continue;
        }
        let case: toml::Table = toml::from_str(&fs::read_to_string(path.with_file_name("case.toml")).unwrap()).unwrap();
        let flags: Vec<&str> = case
            .get("flags")
            .map_or(Vec::new(), |flags| flags.as_array().unwrap().iter().map(|flag| flag.as_str().unwrap()).collect());
        // Other names are no records, and limits hold for records too.
        if ["--schema", "--input-format", "--max-line"].iter().any(|flag| flags.contains(flag)) {
            continue;
        }
        let again = run(&Setup::new(&flags), &expected);
        assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&vouched(&expected)), "{}", path.display());
    }
}

/// Returns the values of lines of JSON.
fn values(lines: &[u8]) -> Vec<Value> {
    serde_json::Deserializer::from_slice(lines).into_iter().map(Result::unwrap).collect()
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn any_records_come_out_as_they_went_in(input in input(), cuts in cuts()) {
        let records = run(&AUTO, &input);
        let expected = vouched(&records);
        let again = KATA.run(&records, &cuts).bytes;
        prop_assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&expected));
        let printed: String =
            values(&records).iter().map(|record| serde_json::to_string_pretty(record).unwrap() + "\n").collect();
        prop_assert_eq!(values(&AUTO.run(printed.as_bytes(), &cuts).bytes), values(&expected));
    }

    #[test]
    fn objects_are_found_however_they_are_cut(
        pieces in vec(prop::sample::select(vec![
            "{\n", "}\n", "{\r\n", "}\r\n", "  \"a\": 1,\n", "\t\"kata_component\": \"shimv2\",\n",
            "  \"kata_format\": \"logfmt\",\r\n", "  \"b\": [\n  ]\n", "  \"c\": \"dddddddddddd\"\n", "\n", "msg=x\n", "}",
            "{\n\"kata_component\":\"shimv2\",\n \"kata_format\":\"text\"\n}\n",
            "{\n \"kata_component\":\"shimv2\",\n \"kata_format\":\"text\"\n}\n",
            "{\"kata_component\":\"shimv2\",\"kata_format\":\"text\"}\n",
        ]), 0..30),
        head in prop::sample::select(vec!["", "$ katalog\n", "Mar  5 05:01:54 n kata[1]: x\n", "__CURSOR=s=1\nMESSAGE=x\n\n"]),
        cuts in cuts(),
    ) {
        let bytes = [head.as_bytes(), pieces.concat().as_bytes()].concat();
        for setup in [&*AUTO, &*KATA, &*SHORT] {
            same_when_cut(setup, &bytes, &cuts);
        }
    }
}

#[test]
fn lines_that_are_no_records_stay_lines() {
    let log = "time=\"2024-05-06T07:08:14Z\" level=info msg=a name=kata-runtime pid=1 source=runtime";
    let record = "{\n  \"kata_component\": \"shimv2\",\n  \"kata_format\": \"logfmt\"\n}";
    for (text, count) in [
        (format!("{{\n  \"a\": 1\n}}\n{log}\n"), 4),
        (format!("{{\n{log}\n"), 2),
        ("{\n  \"kata_component\": \"shimv2\"\n}".to_owned(), 3),
        ("{\n  \"kata_component\": \"shimv2\",\n  \"kata_format\": \"logfmt\"".to_owned(), 3),
        (record.to_owned(), 1),
        (format!("{record}\n\n{record}\r\n"), 2),
        (format!("Mar  5 05:01:54 n kata[1]: x\n{record}"), 5),
        (format!("INFO[0000] starting\n{record}"), 5),
    ] {
        let read =
            |flags: &[&str]| Setup::new(flags).run(text.as_bytes(), &Cuts::whole()).stats["written"].as_u64().unwrap();
        assert_eq!(read(&[]), count, "{text}");
        // An input that is not trusted, or of another format, has no records.
        let lines = text.lines().filter(|line| !line.is_empty()).count() as u64;
        assert_eq!([read(&["--untrusted"]), read(&["--input-format=text"])], [lines, lines], "{text}");
    }
}
