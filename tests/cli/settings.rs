//! Flags, variables and the configuration file, the settings that they make, and the schema of the records.

use std::fs;
use std::path::Path;

use super::{katalog, refused, stdout, text};
use crate::support::{expect_exit, stderr, write_file};

/// Returns the lines that `katalog config` prints with these arguments.
#[track_caller]
fn settings(arguments: &[&str]) -> Vec<String> {
    let output = expect_exit(&mut katalog(&[&["config"], arguments].concat()), 0);
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
    stdout(&output).lines().map(str::to_owned).collect()
}

/// Returns the lines without the places of their values.
fn values(lines: &[String]) -> Vec<&str> {
    lines.iter().map(|line| line.split_once("  # ").map_or(line.as_str(), |(value, _)| value)).collect()
}

#[test]
fn a_wrong_variable_is_named() {
    let output = expect_exit(katalog(&[]).env("KATALOG_FORMAT", "xml"), 64);
    assert!(stderr(&output).contains("KATALOG_FORMAT=xml"), "{}", stderr(&output));
    let output = expect_exit(katalog(&["--format", "yaml"]).env("KATALOG_FORMAT", "ndjson"), 64);
    assert!(!stderr(&output).contains("KATALOG_FORMAT"), "{}", stderr(&output));
    let output = expect_exit(katalog(&[]).env("KATALOG_FROMAT", "text"), 0);
    assert!(stderr(&output).contains("KATALOG_FROMAT") && stderr(&output).contains("KATALOG_FORMAT"));
}

#[test]
fn an_empty_variable_is_not_set() {
    expect_exit(katalog(&["config", "--check"]).env("KATALOG_FORMAT", "").env("KATALOG_CONFIG", ""), 0);
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
        ("strict = 1", &["\"strict\"", "true or false"]),
        ("[rename]\nA = \"kata_time\"", &["\"rename\"", "kata_"]),
        ("[output]\nformat = \"text\"", &["[output]", "sections"]),
        ("format = ", &["line 1"]),
    ] {
        fs::write(&path, content).unwrap();
        let config = ["--config", text(&path)];
        for command in [&[][..], &["print"], &["ship"], &["schema"], &["config"], &["config", "--check"]] {
            refused(&[command, &config].concat(), 78, &[&["katalog.toml"], named].concat());
        }
    }
    let missing = directory.path().join("missing.toml");
    refused(&["--config", text(&missing)], 78, &["missing.toml"]);
}

#[test]
fn a_combination_in_the_file_is_a_configuration_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = write_file(directory.path(), "katalog.toml", "sort = \"time\"\nfollow = true\n");
    let config = ["--config", text(&path)];
    refused(&config, 78, &["sort = \"time\"", "follow = true", "katalog.toml"]);
    refused(&[&["config", "--check", "print"], &config[..]].concat(), 78, &["sort = \"time\""]);
    // Without a command, only the values are checked; other commands have no option `follow`.
    expect_exit(&mut katalog(&[&["config", "--check"], &config[..]].concat()), 0);
    expect_exit(&mut katalog(&[&["config", "--check", "convert"], &config[..]].concat()), 0);
    // The flag of the combination is at fault, not the file.
    fs::write(&path, "follow = true\n").unwrap();
    refused(&[&config[..], &["--sort=time"]].concat(), 64, &["--sort time", "follow = true"]);
}

#[test]
fn a_check_names_the_file_and_the_command() {
    let directory = tempfile::tempdir().unwrap();
    let path = write_file(directory.path(), "katalog.toml", "format = \"csv\"\nto = [\"unix:/s\"]\n");
    let check = |arguments: &[&str], code| {
        let output = expect_exit(&mut katalog(&[&["config", "--check"], arguments].concat()), code);
        assert!(output.stdout.is_empty());
        stderr(&output)
    };
    let says = check(&["--config", text(&path), "print"], 0);
    assert!(says.contains("katalog.toml") && says.contains("`katalog print`"), "{says}");
    assert_eq!(check(&["print", "--config", text(&path)], 0), says);
    let says = check(&["--config", text(&path)], 0);
    assert!(says.contains("katalog.toml") && says.contains("COMMAND"), "{says}");
    // A key without an effect is no error, because one file serves all commands; a flag is one.
    assert!(check(&["ship", "--config", text(&path)], 0).contains("`katalog ship`"));
    assert!(check(&["ship", "--config", text(&path), "--format=csv"], 64).contains("--format csv has no effect"));
    assert!(check(&["print", "--time-format=unix"], 64).contains("--time-key"));
    assert!(!check(&[], 0).contains("katalog.toml"));
    let output = expect_exit(katalog(&["config", "--check"]).env("KATALOG_CONFIG", &path), 0);
    assert!(stderr(&output).contains("katalog.toml"), "{}", stderr(&output));
    for words in [&["completions"][..], &["config"], &["kata.log"]] {
        assert!(check(words, 64).contains("expected one of print, ship, convert, check, schema"), "{words:?}");
    }
    assert!(check(&["--format=text"], 64).contains("print --format=text"));
}

#[test]
fn flags_override_variables_and_variables_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = write_file(directory.path(), "katalog.toml", "fail-if-empty = true\n");
    let config = ["--config", text(&path)];
    expect_exit(&mut katalog(&config), 1);
    expect_exit(katalog(&config).env("KATALOG_FAIL_IF_EMPTY", "false"), 0);
    expect_exit(katalog(&config).env("KATALOG_FAIL_IF_EMPTY", "false").arg("--fail-if-empty"), 1);
}

#[test]
fn the_settings_are_shown_with_their_places() {
    let directory = tempfile::tempdir().unwrap();
    let path = write_file(
        directory.path(),
        "katalog.toml",
        "drop = [\"A\"]\nmax-line = 2048\nto = [\"unix:/s\"]\nstats = \"json\"\n[rename]\nA = \"b\"\n",
    );
    let mut command = katalog(&["config", "print", "--config", text(&path), "--drop=B", "--stats=text"]);
    let shown = stdout(&expect_exit(command.env("KATALOG_THREADS", "3").env("KATALOG_ONCE", "true"), 0));
    for line in [
        &format!("max-line = 2048  # {path:?}"),
        &format!("rename = {{ \"A\" = \"b\" }}  # {path:?}"),
        "drop = [\"A\", \"B\"]  # --drop",
        "stats = \"text\"  # --stats",
        "threads = 3  # KATALOG_THREADS",
        "format = \"auto\"",
        "# Journal",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "no {line} in\n{shown}");
    }
    assert!(!shown.contains("\nto = ") && !shown.contains("\nonce = ") && !shown.contains("# Delivery"), "{shown}");

    let for_fluentd = settings(&["ship", "--for=fluentd-exec", "--tag-key=mark"]);
    for line in [
        "for = \"fluentd-exec\"  # --for",
        "format = \"msgpack\"  # the default of --for",
        "tag-key = \"mark\"  # --tag-key",
        "time-format = \"unix\"  # the default of --for",
    ] {
        assert!(for_fluentd.iter().any(|shown| shown == line), "no {line} in {for_fluentd:?}");
    }
}

#[test]
fn the_shown_settings_are_a_file_with_the_same_effect() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [
        &["print", "--rename=A=b,C=d", "--drop=X", "--format=msgpack", "--since=@5", "--identifier=a,b", "--strict"][..],
        &["ship", "--for=fluent-bit-exec", "--prune=!x"],
        &["ship", "--to=unix:/s", "--batch-size=64K", "--once", "--max-line=2048", "a.log"],
        &["convert", "--output-dir=a \"b\"", "--split=host,day", "--keep="],
        &["check", "--component=agent,runtime", "--boot=-1"],
        &["schema", "--schema=ecs", "--tag-key=tag"],
        &[],
    ] {
        let shown = settings(arguments);
        let path = write_file(directory.path(), "shown.toml", shown.join("\n"));
        let command = arguments.first().into_iter().copied().chain(["--config", text(&path)]).collect::<Vec<_>>();
        assert_eq!(values(&settings(&command)), values(&shown), "{arguments:?}");
        expect_exit(&mut katalog(&[&["config", "--check"], command.as_slice()].concat()), 0);
    }
}

#[test]
fn without_a_command_all_settings_are_shown() {
    let shown = settings(&[]);
    let keys = |lines: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        let lines = lines.filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
        lines.filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())).collect()
    };
    let default = keys(&mut katalog::config::DEFAULT.lines());
    assert!(default.len() > 70, "{default:?}");
    assert_eq!(keys(&mut shown.iter().map(String::as_str)), default);
}

#[test]
fn secrets_are_not_shown() {
    for arguments in [&["config"][..], &["config", "ship", "--to=forward://h"], &["config", "--check", "ship"]] {
        let output = expect_exit(
            katalog(arguments).env("KATALOG_SHARED_KEY", "secret-7").env("KATALOG_PASSWORD", "secret-7"),
            0,
        );
        assert!(!(stdout(&output) + &stderr(&output)).contains("secret-7"), "{arguments:?}");
    }
}

#[test]
fn the_printed_configuration_is_the_file_and_can_be_used() {
    let output = expect_exit(&mut katalog(&["config", "--default"]), 0);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/default.toml");
    assert_eq!(stdout(&output), fs::read_to_string(file).unwrap());
    let directory = tempfile::tempdir().unwrap();
    let path = write_file(directory.path(), "katalog.toml", &output.stdout);
    let config = ["--config", text(&path)];
    for command in [&[][..], &["print"], &["ship"], &["convert"], &["check"], &["schema"]] {
        let arguments = [command, &config].concat();
        assert_eq!(values(&settings(&arguments)), values(&settings(command)), "{command:?}");
    }
    refused(&["config", "--default", "--check"], 64, &["--check", "--default"]);
    refused(&["config", "--default", "ship"], 64, &["--default", "a command"]);
}

#[test]
fn a_schema_is_described_with_the_names_that_the_user_gave() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "schema = \"ecs\"\nrecord-id = \"event.id\"\ntag-key = \"tag\"\nformat = \"csv\"\n").unwrap();
    let described = |arguments: &[&str]| -> serde_json::Value {
        let output = expect_exit(&mut katalog(&[&["schema"], arguments].concat()), 0);
        assert!(output.stderr.is_empty(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let config = ["--config", text(file.path())];
    for store in ["elasticsearch", "opensearch"] {
        let template = described(&[&config[..], &[store]].concat());
        let properties = &template["template"]["mappings"]["properties"];
        assert_eq!(properties["tag"]["type"], "keyword");
        assert_eq!(properties["event"]["properties"]["id"]["type"], "keyword");
        assert_eq!(properties["@timestamp"]["type"], "date_nanos");
    }
    let over = described(&[&config[..], &["json-schema", "--schema", "otel"]].concat());
    assert!(over["properties"]["Body"].is_object() && over["properties"]["event.id"].is_object());
    assert!(described(&[])["properties"]["kata_pid"].is_object());
    assert!(described(&["--for=fluentd-exec"])["properties"]["event_time"].is_object());
}

#[test]
fn what_does_not_go_with_a_schema_is_refused() {
    for (arguments, named) in [
        (&["--format=export"][..], "--format export"),
        (&["--format=journal-json"], "--format journal-json"),
        (&["--format=csv"], "--format csv"),
        (&["--rename=A=b"], "--rename A=b"),
        (&["--lowercase"], "--lowercase"),
        (&["--strip-underscores"], "--strip-underscores"),
        (&["--nested=keep"], "--nested keep"),
        (&["--delta"], "--delta"),
        (&["--tag-key=message"], "--tag-key message"),
        (&["--record-id=kata.id"], "--record-id kata.id"),
    ] {
        for schema in ["ecs", "otel"] {
            if (schema, arguments) != ("otel", &["--tag-key=message"]) {
                refused(&[&["--schema", schema, "-"], arguments].concat(), 64, &[named, "--schema"]);
            }
        }
        // Text for people ignores the schema of a file, except that its lines have no field for these options.
        if named.starts_with("--nested") {
            let text = [&["--format=text"], arguments].concat();
            expect_exit(katalog(&text).env("KATALOG_SCHEMA", "ecs"), 0);
        }
        expect_exit(&mut katalog(&[&["config", "--check", "print"], arguments].concat()), 0);
    }
    refused(&["schema", "--schema=ecs", "--tag-key=message"], 64, &["--tag-key message", "--schema ecs"]);
    let journal = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/inputs/node.ndjson");
    let lines =
        |schema| stdout(&expect_exit(katalog(&["-F", "text", text(&journal)]).env("KATALOG_SCHEMA", schema), 0));
    assert_eq!(lines("ecs"), lines("kata"));
}

/// Each of these is an error as a flag, so as a variable it must change nothing.
#[test]
fn settings_without_an_effect_change_no_byte() {
    let journal = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/inputs/node.ndjson");
    for (name, value, arguments) in [
        ("schema", "ecs", &["--format=text"][..]),
        ("schema", "ecs", &["--format=csv"]),
        ("max-record", "4000", &["--format=csv"]),
        ("delta", "true", &["--format=csv"]),
        ("tag", "x", &["--format=msgpack"]),
        ("tag-key", "x", &["--format=csv"]),
        ("record-id", "x", &["--format=text"]),
        ("time-key", "x", &["--format=text"]),
        ("time-format", "unix", &[]),
        ("keep", "MESSAGE", &["--format=text"]),
        ("drop", "*", &["--format=text"]),
        ("lowercase", "true", &["--format=csv"]),
        ("rename", "_PID=x", &["--format=csv"]),
        ("color", "always", &[]),
        ("compress", "gzip", &[]),
        ("sort-memory", "1M", &[]),
    ] {
        let arguments = [arguments, &[text(&journal)]].concat();
        let plain = expect_exit(&mut katalog(&arguments), 0).stdout;
        let variable = format!("KATALOG_{}", name.replace('-', "_").to_uppercase());
        let with = expect_exit(katalog(&arguments).env(variable, value), 0).stdout;
        assert!(plain == with, "{name} has an effect with {arguments:?}");
        let flag = format!("--{name}={value}");
        refused(&[&[flag.as_str()], arguments.as_slice()].concat(), 64, &["has no effect"]);
    }
}
