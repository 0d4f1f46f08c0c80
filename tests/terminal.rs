//! Text from outside on its way to a terminal: it moves no cursor, hides nothing, and forges no line.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use crate::progress::terminal;
use crate::support::journal::samples::BOOT;
use crate::support::journal::{Entry, Shape, file};
use crate::support::screen::Screen;
use crate::support::{katalog, write_file};

/// A line that a reader of diagnostics would believe.
const FORGED: &str = "all 3 inputs are valid";

/// A name with that line, and with characters that a terminal acts on, reorders or hides.
fn hostile_name() -> OsString {
    let mut name = format!("kata\r\n{FORGED}\n{HIDDEN}.log").into_bytes();
    name.insert(4, 0xff);
    OsString::from_vec(name)
}

const HIDDEN: &str = "\x1b[2K\x07\x7f\u{9b}\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{180e}\u{200b}\u{200d}\u{200e}\u{2028}\
                      \u{202e}\u{2066}\u{2800}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{1d173}\u{e0041}\u{e0100}";

const FLAWED: &str = "time=\"2031-02-30T00:00:00Z\" level=info msg=x source=runtime\n";

/// Fails if text drives a terminal, hides something, or has the forged line.
#[track_caller]
fn is_harmless(what: &str, text: &[u8]) {
    let text = std::str::from_utf8(text).unwrap_or_else(|error| panic!("{what}: {error}: {text:?}"));
    let shown = |c: char| c == '\n' || !c.is_control() && !HIDDEN.contains(c) || matches!(c, '[' | '2' | 'K');
    assert!(text.chars().all(shown), "{what}: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with(FORGED)), "{what}: {text}");
}

/// Writes inputs with hostile names: a log, a file that is none, an archive, and a directory.
fn inputs(folder: &Path) {
    let name = hostile_name();
    fs::create_dir(folder.join("in")).unwrap();
    write_file(folder, &name, FLAWED.repeat(2));
    write_file(&folder.join("in"), &name, FLAWED);
    let mut binary = OsString::from("binary ");
    binary.push(&name);
    write_file(folder, &binary, [&b"\0\x01\x02\xff\xfe"[..], &[0; 4096]].concat());
    let mut cut = OsString::from("cut ");
    cut.push(&name);
    write_file(folder, &cut, b"\xfd7zXZ\0rubbish");
    let mut header = tar::Header::new_gnu();
    header.set_size(FLAWED.len() as u64);
    header.set_mode(0o644);
    let mut archive = tar::Builder::new(Vec::new());
    for member in ["host/kata.log", "host/kata.bin"] {
        let path = format!("{member}\n{FORGED}\n{HIDDEN}.log");
        archive.append_data(&mut header, path, FLAWED.as_bytes()).unwrap();
    }
    write_file(folder, "bundle.tar", archive.into_inner().unwrap());
}

#[test]
fn no_diagnostic_is_forged_by_a_name() {
    let folder = tempfile::tempdir().unwrap();
    inputs(folder.path());
    let with = |prefix: &str| {
        let mut word = OsString::from(prefix);
        word.push(hostile_name());
        word
    };
    let name = || with("");
    // Values have to be UTF-8.
    let text = |prefix: &str| OsString::from(format!("{prefix}\n{FORGED}\n{HIDDEN}"));
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    for (before, word, after) in [
        (&[][..], with("missing "), &[][..]),
        (&["check"], with("missing "), &["bundle.tar"]),
        (&["check"], name(), &["bundle.tar"]),
        (&["check"], with("binary "), &[]),
        (&["check"], with("cut "), &[]),
        (&["check", "--stats=json"], with("cut "), &["bundle.tar"]),
        (&["check", "--verbose", "--progress"], name(), &["bundle.tar"]),
        (&["check", "--verbose"], "in".into(), &[]),
        (&["--stats=table", "--verbose"], name(), &["bundle.tar"]),
        (&["--progress=always"], name(), &["in"]),
        (&[], with("binary "), &[]),
        (&[], with("cut "), &[]),
        (&[], with("a*"), &[]),
        (&[], text("https://host/"), &[]),
        (&["--output"], with("none/"), &["in"]),
        (&["--output"], name(), &["."]),
        (&["convert", "in", "--output-dir"], name(), &[]),
        (&["convert", "in", "--resume", "--output-dir"], name(), &[]),
        (&["ship", "in", "--once", "--state-dir"], name(), &[]),
        (&["ship", "in", "--once", "--no-state", "--to"], text("forward://"), &[]),
        (&["ship", "in", "--once", "--no-state", "--to"], text("forward://host/?"), &[]),
        (&["ship", "in", "--once", "--no-state", "--to=forward://host", "--tls-ca"], name(), &[]),
        (&["--config"], with("missing "), &["in"]),
        (&["--config"], name(), &["in"]),
        (&[], text("--"), &[]),
        (&["schema"], text(""), &[]),
        (&["config"], text(""), &[]),
        (&["config"], text("--"), &[]),
        (&["in", "--format"], text(""), &[]),
        (&["in"], text("--since="), &[]),
        (&["in"], text("--identifier=("), &[]),
        (&["in"], text("--tag-key="), &["--time-key", "x"]),
    ] {
        let arguments = [words(before), vec![word], words(after)].concat();
        let mut command = katalog();
        let output = command.current_dir(folder.path()).args(&arguments).output().unwrap();
        // The name is shown.
        assert!(String::from_utf8_lossy(&output.stderr).contains("202e"), "{arguments:?}: {output:?}");
        is_harmless(&format!("{arguments:?}"), &output.stderr);
    }
}

#[test]
fn no_diagnostic_is_forged_by_a_variable_or_a_key() {
    let folder = tempfile::tempdir().unwrap();
    inputs(folder.path());
    for (variable, value) in [("KATALOG_FORMAT", hostile_name()), ("KATALOG_CONFIG", hostile_name())] {
        let output = katalog().current_dir(folder.path()).arg("in").env(variable, value).output().unwrap();
        assert_eq!(output.status.code(), Some(if variable == "KATALOG_FORMAT" { 64 } else { 78 }), "{output:?}");
        is_harmless(variable, &output.stderr);
    }
    let mut variable = OsString::from("KATALOG_");
    variable.push(hostile_name());
    let output = katalog().current_dir(folder.path()).arg("in").env(variable, "1").output().unwrap();
    is_harmless("a name", &output.stderr);
    let quoted = serde_json::to_string(&format!("\n{FORGED}\n{HIDDEN}")).unwrap().replace('\u{7f}', "\\u007f");
    for text in [
        format!("{quoted} = 1\n"),
        format!("format = {quoted}\n"),
        format!("[{quoted}]\na = 1\n"),
        format!("format = \"\u{202e}\n{FORGED}\n"),
        format!("{FORGED}\u{3164}\n"),
    ] {
        let config = write_file(folder.path(), "katalog.toml", &text);
        let output = katalog().current_dir(folder.path()).args(["in", "--config"]).arg(config).output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{text}: {output:?}");
        is_harmless(&text, &output.stderr);
    }
}

/// A line of JSON whose fields hold everything that a terminal acts on or hides.
fn hostile_entry() -> String {
    let message = format!("time=\"2031-01-01T00:00:00Z\" level=info msg=\"{FORGED}{HIDDEN}\" source=runtime");
    let fields = [("SYSLOG_IDENTIFIER", "kata"), ("_HOSTNAME", "node\u{202e}\u{3164}\u{7f}"), ("MESSAGE", &message)];
    let fields: serde_json::Map<_, _> =
        fields.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect();
    format!("{}\n", serde_json::to_string(&fields).unwrap())
}

#[test]
fn records_on_a_terminal_are_escaped_and_equal() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "in.json", hostile_entry());
    let lines = "time=\"2031-01-01T00:00:00Z\" level=info msg=\"one\\n=two;\\r\\n\\u202e three\" source=runtime\n";
    write_file(folder.path(), "kata.log", lines.repeat(2));
    for arguments in [
        "in.json --format ndjson",
        "in.json kata.log --sort time --delta",
        "in.json --schema ecs --max-record 4000",
        "in.json --format text --color never",
        "in.json kata.log --format csv",
    ] {
        let command = format!("\"$PROGRAM\" {arguments} --stats none");
        let Some(output) = terminal(300, &[], &command, folder.path()) else { return };
        assert!(output.status.success(), "{arguments}: {output:?}");
        let shown = String::from_utf8(output.stdout).unwrap().replace("\r\r\n", "\n").replace("\r\n", "\n");
        is_harmless(arguments, shown.as_bytes());
        let mut piped = katalog();
        let piped = piped.current_dir(folder.path()).args(arguments.split(' ')).output().unwrap().stdout;
        let piped = String::from_utf8(piped).unwrap();
        if arguments.ends_with("csv") {
            // Each row is one line, and reads as JSON would escape it.
            assert_eq!(shown.lines().count(), 4, "{shown}");
            assert!(shown.contains(r"one\n") && shown.contains(r"\r\n\u202e three"), "{shown}");
            assert!(piped.contains("one\n") && piped.contains("\r\n\u{202e} three"), "{piped}");
        } else if !arguments.contains("text") {
            assert!(piped.contains("\u{202e}\u{3164}\u{7f}"), "a pipe gets the text as it is: {piped}");
            let read = |text: &str| -> Vec<serde_json::Value> {
                text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
            };
            assert_eq!(read(&shown), read(&piped), "{arguments}");
        }
    }
}

#[test]
fn entries_on_a_terminal_are_escaped_and_equal() {
    let folder = tempfile::tempdir().unwrap();
    let entry = Entry::new(1, 1, BOOT).with("MESSAGE", "a\u{202e}\u{3164}b").with("_HOSTNAME", "n");
    write_file(folder.path(), "system.journal", file(&Shape::default(), &[entry.clone(), entry]));
    let command = "\"$PROGRAM\" system.journal --format journal-json --stats none";
    let Some(output) = terminal(300, &[], command, folder.path()) else { return };
    is_harmless("journal-json", &output.stdout.split(|byte| *byte == b'\r').collect::<Vec<_>>().concat());
    let shown = String::from_utf8(output.stdout).unwrap();
    let entries: Vec<serde_json::Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries.len(), 2, "{shown}");
    assert_eq!(entries[1]["MESSAGE"], "a\u{202e}\u{3164}b");
}

#[test]
fn bytes_that_are_no_text_are_not_written_to_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "kata.log", FLAWED);
    for (arguments, flag) in [
        ("--format msgpack", "--format msgpack:"),
        ("--format export", "--format export:"),
        ("--output /dev/tty --format msgpack", "--format msgpack:"),
        ("--output /dev/tty --compress gzip", "--compress:"),
    ] {
        let command = format!("\"$PROGRAM\" kata.log {arguments}");
        let Some(output) = terminal(100, &[], &command, folder.path()) else { return };
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments}: {shown}");
        assert!(shown.contains(flag) && shown.contains("--output FILE"), "{arguments}: {shown}");
    }
}

#[test]
fn no_message_begins_a_row_of_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let forged = "00:00:00.000 I runtime -        all is well";
    let line = |padding: usize| {
        let text = format!("{}{forged}", "x".repeat(padding));
        format!("time=\"2031-01-01T00:00:00Z\" level=info msg=\"{text}\" source=runtime\n")
    };
    write_file(folder.path(), "kata.log", (0..100).map(line).collect::<String>());
    let arguments = ["kata.log", "--format=text", "--stats=none", "--color=never", "--utc"];
    let unfolded = katalog().current_dir(folder.path()).args(arguments).output().unwrap().stdout;
    let unfolded = String::from_utf8(unfolded).unwrap();
    assert_eq!(unfolded.lines().count(), 101, "nothing is folded in a pipe: a heading and the records");
    for columns in [80, 133] {
        let command = format!("\"$PROGRAM\" {}", arguments.join(" "));
        let Some(output) = terminal(columns, &[], &command, folder.path()) else { return };
        let mut screen = Screen::new(columns);
        screen.feed(&String::from_utf8(output.stdout).unwrap());
        let rows = screen.lines();
        assert_eq!(rows[0], "2031-01-01 UTC");
        let (rows, others): (Vec<_>, Vec<_>) = rows[1..].iter().partition(|row| row.starts_with("00:00"));
        assert_eq!(rows.len(), 100, "{columns}");
        assert!(others.iter().all(|row| row.starts_with("      ")), "{columns}: {others:?}");
        let messages = |text: &str| text.matches(['x', 'w']).count();
        assert_eq!(messages(&unfolded), messages(&screen.lines().concat()), "{columns}");
    }
}

#[test]
fn no_name_begins_a_row_of_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..80).map(|padding| format!("'{}{FORGED}'", "x".repeat(padding))).collect();
    for arguments in ["check --verbose", "check --stats=json", "--stats=table"] {
        let command = format!("\"$PROGRAM\" {arguments} {}", names.join(" "));
        let Some(output) = terminal(80, &[], &command, folder.path()) else { return };
        let shown = String::from_utf8(output.stdout).unwrap();
        if arguments.ends_with("json") {
            let inputs = shown.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            assert_eq!(inputs.count(), 80, "JSON stays in lines: {shown}");
            continue;
        }
        let mut screen = Screen::new(80);
        screen.feed(&shown);
        let forged: Vec<String> = screen.lines().into_iter().filter(|row| row.starts_with(FORGED)).collect();
        // The name without padding has a row of its own in the table.
        let honest = |row: &String| row.contains("   ") || row.contains(": failed");
        assert!(forged.iter().all(honest), "{arguments}: {forged:?}");
    }
}

#[test]
fn settings_on_a_terminal_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "katalog.toml", "tag = \"a\u{202e}\u{3164}\"\n");
    let command = "\"$PROGRAM\" config --config katalog.toml";
    let Some(output) = terminal(300, &[], command, folder.path()) else { return };
    let shown = String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n");
    is_harmless("config", shown.as_bytes());
    assert!(shown.contains(r"a\u{202e}\u{3164}"), "{shown}");
    let piped = katalog().current_dir(folder.path()).args(["config", "--config", "katalog.toml"]).output().unwrap();
    assert!(String::from_utf8(piped.stdout).unwrap().contains("a\u{202e}\u{3164}"));
}
