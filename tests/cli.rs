//! The command line: flags, messages, exit codes, help.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{expect_exit, stderr};

fn katalog(arguments: &[&str]) -> Command {
    let mut command = crate::support::katalog();
    command.args(arguments);
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs the program. It has to exit with this code and name all of this on standard error.
fn refused(arguments: &[&str], code: i32, named: &[&str]) {
    let output = expect_exit(&mut katalog(arguments), code);
    let message = stderr(&output);
    assert!(message.starts_with("katalog: "), "{message}");
    for name in named {
        assert!(message.contains(name), "{arguments:?} does not name {name}: {message}");
    }
    assert!(output.stdout.is_empty());
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn wrong_flags_are_usage_errors() {
    refused(&["--no-such-flag"], 64, &["--no-such-flag"]);
    refused(&["--format", "xml"], 64, &["--format", "xml", "ndjson", "msgpack", "text"]);
    refused(&["--max-line", "1"], 64, &["--max-line", "'1'", "1K to 64M"]);
    refused(&["--identifier", "kata("], 64, &["--identifier", "kata(", "unclosed group"]);
    refused(&["--tag", "{host}"], 64, &["--tag", "{host}", "{component}", "{identifier}"]);
    refused(&["--component", "agent,boat"], 64, &["--component", "boat", "guest-kernel"]);
    refused(&["--rename", "A"], 64, &["--rename", "OLD=NEW"]);
    refused(&["--threads", "-1"], 64, &["-1"]);
    refused(&["--tag-key", "kata_tag"], 64, &["--tag-key", "kata_"]);
    refused(&["--strict=perhaps"], 64, &["--strict", "perhaps"]);
}

#[cfg(not(feature = "libsystemd"))]
#[test]
fn a_backend_that_was_left_out_is_named() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("system.journal"), "").unwrap();
    let backend = ["--journal-backend", "libsystemd"];
    refused(&[&backend[..], &[text(directory.path())]].concat(), 69, &["feature `libsystemd`", text(directory.path())]);
    let machine = [&backend[..], &["--journal", "/dev/null"]].concat();
    refused(&machine, 69, &["feature `libsystemd`", "/var/log/journal"]);
    // The message names the journal reader, and this input is no journal.
    expect_exit(&mut katalog(&[&backend[..], &["/dev/null"]].concat()), 0);
}

#[test]
fn a_wrong_variable_is_named() {
    let output = expect_exit(katalog(&[]).env("KATALOG_FORMAT", "xml"), 64);
    assert!(stderr(&output).contains("KATALOG_FORMAT"), "{}", stderr(&output));
    let output = expect_exit(katalog(&["--format", "yaml"]).env("KATALOG_FORMAT", "ndjson"), 64);
    assert!(!stderr(&output).contains("KATALOG_FORMAT"), "{}", stderr(&output));
}

#[test]
fn an_empty_variable_is_not_set() {
    expect_exit(katalog(&["--check-config"]).env("KATALOG_FORMAT", "").env("KATALOG_CONFIG", ""), 0);
}

#[test]
fn mistakes_in_the_file_are_configuration_errors() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("katalog.toml");
    for (content, named) in [
        ("fromat = \"text\"", &["\"fromat\"", "format"] as &[&str]),
        ("format = \"xml\"", &["\"format\"", "\"xml\"", "ndjson, msgpack, csv, text"]),
        ("identifier = [\"kata(\"]", &["\"identifier\"", "\"kata(\"", "unclosed group"]),
        ("max-line = 3", &["\"max-line\"", "1K to 64M"]),
        ("strict = 1", &["\"strict\"", "boolean"]),
        ("[rename]\nA = \"kata_time\"", &["\"rename\"", "kata_"]),
        ("format = ", &["line 1"]),
    ] {
        fs::write(&path, content).unwrap();
        for also in [&[] as &[&str], &["--check-config"]] {
            let arguments = [&["--config", text(&path)], also].concat();
            refused(&arguments, 78, &[&["katalog.toml"], named].concat());
        }
    }
    let missing = directory.path().join("missing.toml");
    refused(&["--config", text(&missing)], 78, &["missing.toml"]);
}

#[test]
fn check_config_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("katalog.toml");
    fs::write(&path, "format = \"text\"\n").unwrap();
    let output = expect_exit(&mut katalog(&["--check-config", "--config", text(&path)]), 0);
    assert!(stderr(&output).contains("katalog.toml"), "{}", stderr(&output));
    let output = expect_exit(katalog(&["--check-config"]).env("KATALOG_CONFIG", &path), 0);
    assert!(stderr(&output).contains("katalog.toml"), "{}", stderr(&output));
    expect_exit(&mut katalog(&["--check-config"]), 0);
}

#[test]
fn flags_stand_over_variables_and_variables_over_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("katalog.toml");
    fs::write(&path, "fail-if-empty = true\n").unwrap();
    let config = ["--config", text(&path)];
    expect_exit(&mut katalog(&config), 1);
    expect_exit(katalog(&config).env("KATALOG_FAIL_IF_EMPTY", "false"), 0);
    expect_exit(katalog(&config).env("KATALOG_FAIL_IF_EMPTY", "false").arg("--fail-if-empty"), 1);
}

#[test]
fn the_printed_configuration_is_the_file_and_can_be_used() {
    let output = expect_exit(&mut katalog(&["--print-config"]), 0);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/default.toml");
    assert_eq!(stdout(&output), fs::read_to_string(file).unwrap());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("katalog.toml");
    fs::write(&path, &output.stdout).unwrap();
    expect_exit(&mut katalog(&["--check-config", "--config", text(&path)]), 0);
}

#[test]
fn a_schema_is_described_with_the_names_that_the_user_gave() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "schema = \"ecs\"\nrecord-id = \"event.id\"\ntag-key = \"tag\"\n").unwrap();
    let described = |arguments: &[&str]| -> serde_json::Value {
        let output = expect_exit(&mut katalog(arguments), 0);
        assert!(output.stderr.is_empty());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let config = ["--config", text(file.path()), "--print-schema"];
    for store in ["elasticsearch", "opensearch"] {
        let template = described(&[&config[..], &[store]].concat());
        let properties = &template["template"]["mappings"]["properties"];
        assert_eq!(properties["tag"]["type"], "keyword");
        assert_eq!(properties["event"]["properties"]["id"]["type"], "keyword");
        assert_eq!(properties["@timestamp"]["type"], "date_nanos");
    }
    let over = described(&[&config[..], &["json-schema", "--schema", "otel"]].concat());
    assert!(over["properties"]["Body"].is_object() && over["properties"]["event.id"].is_object());
    assert!(described(&["--print-schema", "json-schema"])["properties"]["kata_pid"].is_object());
}

#[test]
fn what_does_not_go_with_a_schema_is_refused() {
    for (arguments, named) in [
        (&["--format", "export"][..], "--format"),
        (&["--format", "journal-json"], "--format"),
        (&["--rename", "A=b"], "rename"),
        (&["--lowercase"], "lowercase"),
        (&["--strip-underscores"], "strip-underscores"),
        (&["--nested", "keep"], "nested"),
        (&["--delta"], "delta"),
        (&["--tag-key", "message"], "tag-key"),
        (&["--record-id", "kata.id"], "record-id"),
    ] {
        for schema in ["ecs", "otel"] {
            if (schema, arguments.last()) != ("otel", Some(&"message")) {
                refused(&[&["--schema", schema, "-"], arguments].concat(), 64, &[named, "schema"]);
                refused(&[&["--schema", schema, "--print-schema=json-schema"], arguments].concat(), 64, &[named]);
            }
        }
        // Text for people ignores the schema; only other formats have another reason to refuse.
        if !arguments.contains(&"--format") && named != "delta" {
            let plain = [&["--check-config", "--schema", "ecs", "--format", "text"], arguments].concat();
            expect_exit(&mut katalog(&plain), 0);
        }
        expect_exit(&mut katalog(&[&["--check-config", "--schema", "kata"], arguments].concat()), 0);
    }
    let lines = |schema| {
        stdout(&expect_exit(&mut katalog(&["-F", "text", "--schema", schema, "fixtures/inputs/node.ndjson"]), 0))
    };
    assert_eq!(lines("ecs"), lines("kata"));
}

#[test]
fn an_input_that_is_missing_does_not_stop_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let present = directory.path().join("present.log");
    fs::write(&present, "hello from kata\n").unwrap();
    let missing = directory.path().join("missing.log");
    refused(&[text(&missing)], 66, &["missing.log"]);
    let output = expect_exit(&mut katalog(&[text(&missing), text(&present)]), 66);
    assert_eq!(stdout(&output).lines().count(), 1, "{}", stdout(&output));
    assert!(stderr(&output).contains("missing.log"));
}

#[test]
fn the_output_must_not_be_an_input() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kata.log");
    fs::write(&path, "content\n").unwrap();
    refused(&[text(&path), "--output", text(&path)], 64, &["kata.log", "input"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "content\n");
    let appended = fs::File::options().append(true).open(&path).unwrap();
    let output = katalog(&[text(&path)]).stdout(appended).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(fs::read_to_string(&path).unwrap(), "content\n");
}

#[test]
fn an_output_that_cannot_be_opened_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("no/such/place");
    refused(&["--output", text(&path)], 74, &["no/such/place"]);
}

#[test]
fn the_output_file_holds_what_standard_output_would() {
    let directory = tempfile::tempdir().unwrap();
    let (input, path) = (directory.path().join("kata.log"), directory.path().join("out"));
    fs::write(&input, "one\ntwo\n").unwrap();
    let expected = expect_exit(&mut katalog(&[text(&input)]), 0).stdout;
    let output = expect_exit(&mut katalog(&[text(&input), "--output", text(&path)]), 0);
    assert!(output.stdout.is_empty());
    assert_eq!(fs::read(&path).unwrap(), expected);
}

#[test]
fn a_full_disk_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("kata.log");
    fs::write(&input, "one\n").unwrap();
    refused(&[text(&input), "--output", "/dev/full"], 74, &["/dev/full"]);
}

#[test]
fn a_reader_that_goes_away_ends_the_run_quietly() {
    let mut child = katalog(&["--threads", "2", "--strict"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    // This write fails as soon as the program exits, which ends the loop.
    let line = format!("{}\n", "kata ".repeat(1000));
    while input.write_all(line.as_bytes()).is_ok() {}
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "");
}

#[test]
fn the_number_of_threads_does_not_show() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kata.log");
    let mut lines = String::new();
    for number in 0..20_000 {
        writeln!(lines, "time=\"2024-03-05T05:01:54.163Z\" level=info msg=\"entry {number}\" name=kata-runtime")
            .unwrap();
    }
    fs::write(&path, lines).unwrap();
    let one = expect_exit(&mut katalog(&[text(&path)]), 0).stdout;
    assert_eq!(one.iter().filter(|byte| **byte == b'\n').count(), 20_000);
    for threads in ["2", "3", "0"] {
        assert!(expect_exit(&mut katalog(&[text(&path), "--threads", threads]), 0).stdout == one, "{threads} threads");
    }
}

#[test]
fn counters_only_where_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kata.log");
    fs::write(&path, "one\n\ntwo\n").unwrap();
    assert_eq!(stderr(&expect_exit(&mut katalog(&[text(&path)]), 0)), "");
    let output = expect_exit(&mut katalog(&[text(&path), "--stats", "json"]), 0);
    let stats = stderr(&output);
    assert_eq!(stats.lines().count(), 1, "{stats}");
    assert!(stats.starts_with("{\"read\":3,\"written\":2,") && stats.contains("\"dropped\":{\"blank\":1}"), "{stats}");
    let output = expect_exit(&mut katalog(&[text(&path), "--stats", "text"]), 0);
    assert!(stderr(&output).starts_with("read       3  "), "{}", stderr(&output));
}

#[test]
fn text_for_people_has_no_colors_in_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kata.log");
    fs::write(&path, "one\n").unwrap();
    let arguments = [text(&path), "--format", "text"];
    assert!(!stdout(&expect_exit(&mut katalog(&arguments), 0)).contains('\x1b'));
    assert!(stdout(&expect_exit(katalog(&arguments).arg("--color=always"), 0)).contains('\x1b'));
    assert!(!stdout(&expect_exit(katalog(&[text(&path)]).arg("--color=always"), 0)).contains('\x1b'));
}

#[test]
fn the_help_is_narrow_and_names_every_flag() {
    for flag in ["-h", "--help"] {
        let help = stdout(&expect_exit(&mut katalog(&[flag]), 0));
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{flag}: {line}");
        }
        for heading in ["Input:", "Selection:", "Fields:", "Output:", "Diagnostics:"] {
            assert!(help.lines().any(|line| line == heading), "{flag} has no {heading}");
        }
        let configuration = stdout(&expect_exit(&mut katalog(&["--print-config"]), 0));
        for key in configuration.lines().filter(|line| !line.starts_with(['#', ' '])) {
            if let Some((key, _)) = key.split_once(" = ") {
                assert!(help.contains(&format!("--{key}")), "{flag} has no --{key}");
            }
        }
    }
    let help = stdout(&expect_exit(&mut katalog(&["--help"]), 0));
    assert!(help.contains("Exit codes:") && help.contains("Examples:"));
}

#[test]
fn the_version_is_that_of_the_package() {
    let expected = concat!("katalog ", env!("CARGO_PKG_VERSION"), "\n");
    for flag in ["-V", "--version"] {
        assert_eq!(stdout(&expect_exit(&mut katalog(&[flag]), 0)), expected);
    }
}

#[test]
fn help_does_not_depend_on_the_configuration() {
    for flag in ["--help", "--version", "--print-config", "--generate=bash"] {
        expect_exit(katalog(&[flag]).env("KATALOG_CONFIG", "/no/such/file"), 0);
    }
}

#[test]
fn completions_and_man_page_name_the_flags() {
    for what in ["man", "bash", "zsh", "fish", "elvish", "powershell"] {
        let text = stdout(&expect_exit(&mut katalog(&["--generate", what]), 0));
        assert!(text.replace('\\', "").contains("fail-if-empty"), "{what}");
    }
}
