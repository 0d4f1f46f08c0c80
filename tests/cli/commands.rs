//! Commands: the word that names one, the options that belong to it, and its inputs when none is named.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{katalog, refused, stdout};
use crate::progress::terminal;
use crate::support::{expect_exit, stderr, write_file};

const LINE: &str = "time=\"2024-03-05T05:01:54Z\" level=info msg=\"a line\" name=kata-runtime source=virtcontainers\n";

/// Every command.
const COMMANDS: [&str; 9] = ["print", "ship", "convert", "check", "explain", "schema", "config", "completions", "man"];

fn katalog_in(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = katalog(arguments);
    command.current_dir(folder);
    command
}

/// Returns a folder with a log that has the name of each command, and one with another name.
fn folder_of_commands() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in COMMANDS.into_iter().chain(["report", "kata.log"]) {
        write_file(folder.path(), name, LINE);
    }
    folder
}

#[test]
fn without_a_command_it_prints() {
    let folder = folder_of_commands();
    let printed = stdout(&expect_exit(&mut katalog_in(folder.path(), &["print", "kata.log"]), 0));
    assert_eq!(printed.lines().count(), 1);
    for arguments in [&["kata.log"][..], &["--stats=none", "kata.log"], &["--", "kata.log"]] {
        assert_eq!(stdout(&expect_exit(&mut katalog_in(folder.path(), arguments), 0)), printed, "{arguments:?}");
    }
    for arguments in [&[][..], &["-"], &["print"]] {
        let mut command = katalog(arguments);
        command.stdin(File::open(folder.path().join("kata.log")).unwrap());
        assert_eq!(stdout(&expect_exit(&mut command, 0)), printed, "{arguments:?}");
    }
}

#[test]
fn a_file_with_the_name_of_a_command_is_read_on_request() {
    let folder = folder_of_commands();
    let printed = stdout(&expect_exit(&mut katalog_in(folder.path(), &["kata.log"]), 0));
    for name in COMMANDS.into_iter().chain(["report"]) {
        let path = format!("./{name}");
        for arguments in [&[path.as_str()][..], &["print", name], &["--", name], &["--stats=none", "--", name]] {
            let output = expect_exit(&mut katalog_in(folder.path(), arguments), 0);
            assert_eq!(stdout(&output), printed, "{arguments:?}");
        }
    }
    // Only the first word is a command.
    let twice = stdout(&expect_exit(&mut katalog_in(folder.path(), &["kata.log", "check"]), 0));
    assert_eq!(twice, printed.repeat(2));
}

#[test]
fn the_first_word_decides() {
    let folder = folder_of_commands();
    let checked = expect_exit(&mut katalog_in(folder.path(), &["check", "kata.log"]), 0);
    assert!(checked.stdout.is_empty() && stderr(&checked).contains("check: the input is ok"), "{}", stderr(&checked));
    // A command that cannot run without arguments names the file too.
    let missing = expect_exit(&mut katalog_in(folder.path(), &["convert"]), 64);
    let missing = stderr(&missing);
    assert!(missing.contains("--output-dir DIR") && missing.contains("katalog ./convert"), "{missing}");
    refused(&["report"], 64, &["later version", "./report", "print report"]);
    // A word that is no command is a file, unless it is close to a command and there is no such file.
    refused(&["chek"], 64, &["chek", "no such command and no such file", "`katalog check`"]);
    refused(&["other"], 66, &["\"other\""]);
}

#[test]
fn an_option_before_a_command_is_refused() {
    for (arguments, meant) in [
        (&["--threads", "2", "check"][..], "katalog check --threads 2 "),
        (&["-F", "csv", "print", "kata.log"], "katalog print -F csv kata.log "),
        (&["-v", "ship"], "katalog ship -v "),
        (&["--config=k.toml", "ship", "--once", "ship"], "katalog ship --config=k.toml --once ship "),
        (&["-v", "convert", "--output-dir", "d", "a.tar"], "katalog convert -v --output-dir d a.tar "),
    ] {
        refused(arguments, 64, &["a command comes before its options; type: ", meant, "(or ./"]);
    }
}

#[test]
fn an_option_of_another_command_is_refused_as_a_flag() {
    for (arguments, commands) in [
        (&["print", "--to=unix:/s"][..], &["`katalog ship`"][..]),
        (&["print", "--once"], &["`katalog ship`"]),
        (&["print", "--for=fluentd-exec"], &["ship and schema"]),
        (&["print", "--listen=127.0.0.1:0"], &["`katalog ship`"]),
        (&["print", "--output-dir=d"], &["`katalog convert`"]),
        (&["ship", "--resume"], &["`katalog convert`"]),
        (&["ship", "--sort=time"], &["print and convert"]),
        (&["ship", "--progress"], &["print, convert and check"]),
        (&["convert", "--output=f"], &["print and ship"]),
        (&["convert", "--delta"], &["`katalog print`"]),
        (&["check", "--format=text"], &["print, ship and convert"]),
        (&["check", "--follow"], &["`katalog print`"]),
        (&["schema", "--format=text"], &["print, ship and convert"]),
    ] {
        let flag = arguments[1].split('=').next().unwrap();
        refused(arguments, 64, &[&[flag, "belongs to"], commands].concat());
    }
    refused(&["ship", "--follow"], 64, &["--follow", "always follows", "--once"]);
    refused(&["completions", "--strict", "bash"], 64, &["--strict"]);
    refused(&["man", "--config=k.toml"], 64, &["--config"]);
}

#[test]
fn keys_and_variables_of_another_command_are_ignored() {
    let folder = folder_of_commands();
    let printed = stdout(&expect_exit(&mut katalog_in(folder.path(), &["kata.log"]), 0));
    let keys =
        "to = [\"unix:/s\"]\nonce = true\noutput-dir = \"d\"\nfor = \"fluentd-exec\"\nlisten = \"127.0.0.1:1\"\n";
    write_file(folder.path(), "k.toml", keys);
    let mut command = katalog_in(folder.path(), &["--config=k.toml", "kata.log"]);
    assert_eq!(stdout(&expect_exit(&mut command, 0)), printed);
    let mut command = katalog_in(folder.path(), &["kata.log"]);
    command.envs([("KATALOG_TO", "unix:/s"), ("KATALOG_OUTPUT_DIR", "d"), ("KATALOG_FOR", "fluentd-exec")]);
    assert_eq!(stdout(&expect_exit(&mut command, 0)), printed);
    let mut command = katalog_in(folder.path(), &["ship", "--once", "--no-state", "kata.log"]);
    command.envs([("KATALOG_FOLLOW", "true"), ("KATALOG_SORT", "time"), ("KATALOG_DELTA", "true")]);
    assert_eq!(stdout(&expect_exit(&mut command, 0)), printed);
    // A wrong value of a key is an error whatever the command: somebody meant it.
    write_file(folder.path(), "k.toml", "spool-full = \"burst\"\n");
    expect_exit(&mut katalog_in(folder.path(), &["--config=k.toml", "kata.log"]), 78);
}

#[test]
fn print_convert_and_check_read_standard_input() {
    let folder = folder_of_commands();
    let stdin = || Stdio::from(File::open(folder.path().join("kata.log")).unwrap());
    let printed = expect_exit(katalog(&["print"]).stdin(stdin()), 0);
    assert_eq!(stdout(&printed).lines().count(), 1);
    let checked = expect_exit(katalog(&["check"]).stdin(stdin()), 0);
    assert!(checked.stdout.is_empty() && stderr(&checked).contains("\n-  "), "{}", stderr(&checked));
    let mut convert = katalog_in(folder.path(), &["convert", "--output-dir", "out"]);
    expect_exit(convert.stdin(stdin()), 0);
    assert_eq!(fs::read(folder.path().join("out/runtime.ndjson")).unwrap(), printed.stdout);
}

#[test]
fn ship_reads_the_journal_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "kata.log", LINE);
    // No machine has a journal of this namespace.
    let ship = ["ship", "--once", "--no-state", "--namespace=katalog-test"];
    let alone = expect_exit(&mut katalog(&ship), 66);
    assert!(stderr(&alone).contains("this machine has no journal files"), "{}", stderr(&alone));
    let (pipe, writer) = std::io::pipe().unwrap();
    drop(writer);
    let piped = expect_exit(katalog(&ship).stdin(pipe), 66);
    assert!(stderr(&piped).contains("not standard input") && stderr(&piped).contains("`katalog ship -`"));
    let named = expect_exit(katalog(&["ship", "-"]).stdin(File::open(folder.path().join("kata.log")).unwrap()), 0);
    assert_eq!(stdout(&named).lines().count(), 1);
}

#[test]
fn nothing_is_read_from_a_terminal_and_nothing_shipped_to_one() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "kata.log", LINE);
    for (arguments, says) in [
        ("", "katalog kata.log"),
        ("print", "katalog --journal"),
        ("check", "katalog check bundle.tar.xz"),
        ("convert --output-dir d", "katalog convert --output-dir DIR bundle.tar.xz"),
        ("ship --once --no-state kata.log", "--to URL"),
        ("ship --no-state", "--output FILE"),
    ] {
        let command = format!("\"$PROGRAM\" {arguments}");
        let Some(output) = terminal(80, &[("TERM", "xterm")], &command, folder.path()) else { return };
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments}: {shown}");
        assert!(shown.contains(says) && !shown.contains("a line"), "{arguments}: {shown}");
    }
    let shown = terminal(80, &[], "\"$PROGRAM\" ship --once --no-state kata.log > out", folder.path()).unwrap();
    assert!(shown.status.success());
    assert_eq!(fs::read_to_string(folder.path().join("out")).unwrap().lines().count(), 1);
}

#[test]
fn only_ship_remembers() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "kata.log", LINE);
    let run = |arguments: &[&str]| {
        let mut command = katalog_in(folder.path(), &[arguments, &["kata.log"]].concat());
        stdout(&expect_exit(command.env("STATE_DIRECTORY", folder.path().join("state")), 0)).lines().count()
    };
    let state = || folder.path().join("state").exists();
    assert_eq!(([run(&["print"]), run(&["ship", "--once", "--no-state"])], state()), ([1, 1], false));
    let mut piped = katalog_in(folder.path(), &["ship", "-"]);
    piped
        .stdin(File::open(folder.path().join("kata.log")).unwrap())
        .env("STATE_DIRECTORY", folder.path().join("state"));
    assert!(!expect_exit(&mut piped, 0).stdout.is_empty() && !state());
    assert_eq!(([run(&["ship", "--once"]), run(&["ship", "--once"])], state()), ([1, 0], true));
    assert_eq!(run(&["ship", "--once", "--state-dir=other"]), 1);
    assert_eq!([run(&["print"]), run(&["ship", "--once", "--no-state"])], [1, 1]);
    refused(&["ship", "--no-state", "--state-dir=d"], 64, &["--state-dir d", "--no-state"]);
    refused(&["ship", "--state-dir=d", "-"], 64, &["--state-dir d", "-"]);
}

#[test]
fn ship_appends_and_print_replaces() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "kata.log", LINE);
    let lines = |arguments: &[&str]| {
        expect_exit(&mut katalog_in(folder.path(), &[arguments, &["--output=out", "kata.log"]].concat()), 0);
        fs::read_to_string(folder.path().join("out")).unwrap().lines().count()
    };
    let ship = ["ship", "--once", "--no-state"];
    assert_eq!([lines(&ship), lines(&ship), lines(&["print"]), lines(&[]), lines(&ship)], [1, 2, 1, 1, 2]);
}

#[test]
fn the_command_for_a_host_chooses_what_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "kata.log", LINE);
    let ship = |arguments: &[&str]| {
        let once = ["ship", "--once", "--no-state", "kata.log"];
        expect_exit(&mut katalog_in(folder.path(), &[&once, arguments].concat()), 0).stdout
    };
    let fluentd = rmpv::decode::read_value(&mut ship(&["--for=fluentd-exec"]).as_slice()).unwrap();
    let keys: Vec<&str> = fluentd.as_map().unwrap().iter().map(|(key, _)| key.as_str().unwrap()).collect();
    assert!(keys.contains(&"tag") && keys.contains(&"event_time"), "{keys:?}");
    let ndjson = String::from_utf8(ship(&["--for=fluentd-exec", "--format=ndjson", "--tag-key=mark"])).unwrap();
    assert!(ndjson.contains("\"mark\":\"kata.runtime\"") && ndjson.contains("\"event_time\""), "{ndjson}");
    assert!(!String::from_utf8(ship(&["--for=fluent-bit-exec"])).unwrap().contains("event_time"));
    for (arguments, named) in [
        (&["--for=fluentd-exec", "--format=text"][..], ["--format text", "--for fluentd-exec"]),
        (&["--for=fluent-bit-exec", "--format=msgpack"], ["--format msgpack", "--for fluent-bit-exec"]),
        (&["--for=fluentd-exec", "--to=unix:/s"], ["--for fluentd-exec", "--to unix:/s"]),
        (&["--for=fluentd-exec", "--output=f"], ["--for fluentd-exec", "--output f"]),
    ] {
        refused(&[&["ship", "--no-state"], arguments].concat(), 64, &named);
    }
}

#[test]
fn command_lines_of_version_0_1_name_the_new_ones() {
    for (before, now) in [
        (&["--print-config"][..], "katalog config --default"),
        (&["--check-config", "--format=text"], "katalog config --check print --format=text"),
        (&["--check-config", "--follow"], "katalog config --check print --follow"),
        (&["--print-schema=elasticsearch", "--schema=ecs"], "katalog schema elasticsearch --schema=ecs"),
        (&["--generate", "man"], "katalog man"),
        (&["--generate=fish"], "katalog completions fish"),
        (&["--check", "kata.log"], "katalog check kata.log"),
        (&["--output-dir=d", "kata.log"], "katalog convert --output-dir=d kata.log"),
        (&["--follow", "--lines=all", "--state-dir=d", "--to=unix:/s"], "katalog ship --state-dir=d --to=unix:/s"),
        (&["--to=unix:/s", "kata.log"], "katalog ship --once --no-state --to=unix:/s kata.log"),
        (&["--for=fluentd-exec", "-"], "katalog ship --for=fluentd-exec -"),
    ] {
        refused(before, 64, &[&format!("type: {now}\n")]);
    }
}
