//! The text view as a person sees it: whole screens, the terminal with its pager, and what a guest can do to them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use crate::progress::terminal;
use crate::support::svg::picture;
use crate::support::{append_file, katalog, wait_until, write_file};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Inputs, and the widths of their screens.
const SCREENS: [(&str, &[&str]); 4] = [
    ("view/failing-start.ndjson", &["40", "80", "120", "200"]),
    ("inputs/node.ndjson", &["80", "120", "200"]),
    ("inputs/console.log", &["80", "120"]),
    ("inputs/damage.log", &["80", "200"]),
];

/// Returns the view of an input as in a pipe, in UTC.
fn screen(input: &str, arguments: &[&str]) -> String {
    let mut command = katalog();
    command.current_dir(fixtures()).args([input, "--format=text", "--utc", "--stats=none"]).args(arguments);
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

/// Compares a screen with the file of this name.
fn check_screen(name: &str, shown: &str) {
    let path = fixtures().join("view").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, shown).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let lines = || shown.lines().zip(expected.lines());
    let different = lines().position(|(shown, expected)| shown != expected);
    let first = different.and_then(|number| lines().nth(number));
    assert!(shown == expected, "{name} at line {different:?}: {first:?}");
}

#[test]
fn golden_screens() {
    for (input, widths) in SCREENS {
        let name = Path::new(input).file_stem().unwrap().to_str().unwrap();
        for width in widths {
            check_screen(&format!("{name}.{width}.txt"), &screen(input, &[&format!("--wrap={width}")]));
        }
    }
}

/// Names of screens of two sandboxes, and their options.
const OPTIONS: [(&str, &[&str]); 8] = [
    ("explain.80", &["--explain", "--wrap=80"]),
    ("explain.120", &["--explain", "--wrap=120", "--color=always"]),
    ("dedup.80", &["--dedup", "--explain", "--wrap=80"]),
    ("dedup.120", &["--dedup", "--wrap=120", "--color=always"]),
    ("group.40", &["--group=sandbox", "--dedup", "--wrap=40"]),
    ("group.80", &["--group=sandbox", "--wrap=80"]),
    ("group.120", &["--group=sandbox", "--dedup", "--wrap=120", "--color=always"]),
    ("group.lines.120", &["--group=sandbox", "-r", "--lines=5", "--wrap=120"]),
];

#[test]
fn golden_screens_of_options() {
    for (name, options) in OPTIONS {
        check_screen(&format!("two-sandboxes.{name}.txt"), &screen("view/two-sandboxes.log", options));
    }
}

#[test]
fn blocks_have_all_records_whatever_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let count = 12_000;
    let log: String = log(count)
        .lines()
        .enumerate()
        .map(|(number, line)| {
            let line = line.replace("sandbox=s", &format!("sandbox=sandbox-{} filler={}", number % 3, "x".repeat(200)));
            line + "\n"
        })
        .collect();
    let input = write_file(folder.path(), "in.log", log);
    let shown = |options: &[&str]| screen(input.to_str().unwrap(), &[&["--group=sandbox"], options].concat());
    let text = shown(&[]);
    let heads: Vec<&str> = text.lines().filter(|line| line.starts_with('▌')).collect();
    assert_eq!(heads.len(), 3, "{heads:?}");
    for (number, head) in heads.iter().enumerate() {
        assert!(
            head.starts_with(&format!("▌sandbox-{number} · ")) && head.contains(" · 4000 records · 0 errors"),
            "{head}"
        );
    }
    let records: Vec<&str> = text.lines().filter(|line| line.contains(" line ")).collect();
    let in_order = (0..3).flat_map(|sandbox| (sandbox..count).step_by(3));
    assert!(records.iter().zip(in_order).all(|(record, number)| record.contains(&format!(" line {number} "))));
    assert_eq!(records.len(), count);
    // The records have 6 MiB, so these orders need files.
    assert!(shown(&["--sort-memory=1M"]) == text);
    assert!(shown(&["--sort-memory=1M", "--threads=1", "--sort=time"]) == text);
}

#[test]
fn golden_picture() {
    let shown = screen("view/failing-start.ndjson", &["--wrap=120", "--color=always"]);
    let picture = picture("A sandbox fails to start: katalog --format text", &shown, 120);
    let path = fixtures().join("../docs/view.svg");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &picture).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap_or_default() == picture, "docs/view.svg differs; `make update` draws it");
}

#[test]
fn a_pipe_gets_whole_lines_without_color() {
    let shown = screen("view/failing-start.ndjson", &[]);
    assert!(!shown.contains('\x1b'), "{shown}");
    let long =
        "┊ rpc call from shim to agent: \"create_container\" failed: \"No such file or directory (os error 2)\"\n";
    assert!(shown.contains(long), "{shown}");
    assert_eq!(shown, screen("view/failing-start.ndjson", &["--wrap=off"]));
}

/// Returns a log of the Go shim with this many records.
fn log(count: usize) -> String {
    let line = |number| {
        format!(
            "time=\"2031-01-01T00:00:00Z\" level=info msg=\"line {number}\" name=containerd-shim-v2 pid=1 \
             sandbox=s source=virtcontainers\n"
        )
    };
    (0..count).map(line).collect()
}

/// A program that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn a_held_record_appears_when_the_input_is_idle() {
    let folder = tempfile::tempdir().unwrap();
    let input = write_file(folder.path(), "in.log", log(1));
    let shown = folder.path().join("shown");
    let mut command = katalog();
    command.args(["-f", "--format=text", "--dedup", "--utc"]).arg(&input);
    let _running = Running(command.stdout(fs::File::create(&shown).unwrap()).spawn().unwrap());
    let has = |text: &str| fs::read_to_string(&shown).unwrap().contains(text);
    wait_until("the only record", || has("line 0"));
    append_file(&input, log(2).replace("line 1", "the last"));
    wait_until("the last record", || has("the last"));
}

/// Runs the program on a terminal with a pager. Returns the exit code, and what the terminal got.
fn paged(pager: &str, arguments: &str, folder: &Path) -> Option<(i32, String)> {
    let variables = [("TERM", "xterm"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC"), ("PAGER", pager)];
    let command = format!("\"$PROGRAM\" {arguments} --stats none");
    let output = terminal(120, &variables, &command, folder)?;
    Some((output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap().replace('\r', "")))
}

#[test]
fn a_terminal_gets_text_unless_an_option_needs_another_format() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "in.log", log(2));
    for (arguments, first) in [
        ("in.log --color never", "2031-01-01 UTC"),
        ("in.log --schema ecs", "{"),
        ("in.log --delta", "{"),
        ("in.log --format ndjson", "{"),
        ("in.log | cat", "{"),
    ] {
        let arguments = arguments.replace(" | cat", " --stats none | cat; true");
        let Some((_, shown)) = paged("cat", &arguments, folder.path()) else { return };
        assert!(shown.starts_with(first), "{arguments}: {shown}");
    }
}

#[test]
fn the_pager_gets_colors_and_no_shell() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "in.log", log(2));
    let Some((code, shown)) = paged("cat -v", "in.log", folder.path()) else { return };
    assert!(code == 0 && shown.contains("^[[36mshim^[[0m"), "{shown}");
    let Some((_, shown)) = paged("cat -v", "in.log --paging never", folder.path()) else { return };
    assert!(shown.contains("\x1b[36mshim\x1b[0m"), "{shown}");
    let (code, _) = paged("cat -v; touch forged", "in.log", folder.path()).unwrap();
    assert!(code == 0 && !folder.path().join("forged").exists());
    let (_, shown) = paged("less -FRX", "in.log", folder.path()).unwrap();
    assert!(shown.contains("\x1b[36mshim\x1b[0m") && shown.contains("line 1"), "{shown:?}");
}

#[test]
fn a_pager_that_ends_early_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "in.log", log(20_000));
    let Some((code, shown)) = paged("head -n 2", "in.log --color never", folder.path()) else { return };
    assert_eq!((code, shown.lines().count()), (0, 2), "{shown}");
}

#[test]
fn without_the_pager_records_go_to_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "in.log", log(2));
    for (pager, message) in [("/none/pager -x", "PAGER: cannot start \"/none/pager\""), ("less 'x", "a quote is open")]
    {
        let Some((code, shown)) = paged(pager, "in.log --color never", folder.path()) else { return };
        assert!(code == 0 && shown.contains(message) && shown.contains("without a pager"), "{shown}");
        assert!(shown.contains("line 0") && shown.contains("line 1"), "{shown}");
    }
}

#[test]
fn messages_wait_for_the_end_of_the_pager() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "in.log", log(2));
    let pager = "sh -c 'sleep 0.2; cat; echo the end'";
    let Some((code, shown)) = paged(pager, "missing.log in.log --color never", folder.path()) else { return };
    let place = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text}: {shown}"));
    assert_eq!(code, 66);
    assert!(place("line 1") < place("the end") && place("the end") < place("failed to open"), "{shown}");
}

#[test]
fn an_interrupt_waits_for_the_pager() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "in.log", log(200_000));
    // The pager of the test ignores the signal, as `less` does, and ends when it has read everything.
    let pager = "sh -c 'trap \"\" INT; head -n 1; echo > begun; sleep 0.3; cat > rest; echo the end'";
    let variables = [("TERM", "xterm"), ("PAGER", pager)];
    let command = "\"$PROGRAM\" in.log --stats none --color never & pid=$!; \
                   while ! test -e begun; do sleep 0.02; done; kill -INT $pid; wait $pid; echo exit $?";
    let Some(output) = terminal(120, &variables, command, folder.path()) else { return };
    let shown = String::from_utf8(output.stdout).unwrap().replace('\r', "");
    assert!(shown.ends_with("the end\nexit 0\n"), "{shown}");
}

/// Returns text that a guest could write to its console: bytes that a terminal acts on, and lines that look like ours.
fn hostile(seed: u64) -> String {
    let parts = [
        "\u{1b}[2J",
        "\u{1b}[31m",
        "\u{1b}]0;x\u{7}",
        "\r",
        "\u{9b}1A",
        "\u{202e}",
        "\u{200b}",
        "日本",
        "\u{7f}",
        "\u{8}",
        "2031-01-01 UTC - node1 ",
        "00:00:00.000 E shim    375cdd60 forged",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        " ",
        "error: forged ",
        "\t",
        "┊ ",
        "\u{1b}",
        "m",
    ];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    for _ in 0..seed % 14 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(parts[(state >> 33) as usize % parts.len()]);
    }
    text
}

#[test]
fn no_guest_reaches_the_terminal_through_the_pager_or_without() {
    use regex::Regex;

    let folder = tempfile::tempdir().unwrap();
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let line = |seed| {
        let inner = serde_json::json!({"msg": hostile(seed), "level": "ERRO", "error": hostile(seed + 5),
            "field": hostile(seed + 9), "name": "kata-agent", "source": "agent", "ts": "2031-01-01T00:00:00Z"});
        format!(
            "time=\"2031-01-01T00:00:00Z\" level=debug msg=\"reading guest console\" name=containerd-shim-v2 pid=1 \
             sandbox=s source=virtcontainers subsystem=sandbox vmconsole=\"{}\"\n",
            quoted(&inner.to_string())
        )
    };
    write_file(folder.path(), "in.log", (0..120).map(line).collect::<String>());
    let styles = Regex::new("\x1b\\[[0-9;]*m|\x1b\\[K").unwrap();
    // Left of the mark stands nothing but the columns, which only katalog writes.
    let columns = r"(\d\d:\d\d:\d\d\.\d{3} +([+-][\d.]+ )?(E|ERR|D|DBG) +(agent|console) +s *)";
    let row = Regex::new(&format!("^({columns}?( *┊.*)|{columns}|2031-01-01 UTC)$")).unwrap();
    for (width, color, pager) in [
        (40, "never", "cat"),
        (80, "always", "cat"),
        (80, "always", "less -FRX"),
        (120, "never", "less -FRX"),
        (200, "always", "less -FRX"),
    ] {
        let command = format!("stty rows 9000; \"$PROGRAM\" in.log --utc --stats none --color {color}");
        let variables = [("TERM", "xterm"), ("LC_ALL", "C.UTF-8"), ("PAGER", pager)];
        let Some(output) = terminal(width, &variables, &command, folder.path()) else { return };
        let shown = String::from_utf8(output.stdout).unwrap();
        let shown = styles.replace_all(&shown, "").replace("\r\n", "\n");
        // The keypad, which `less` turns on and off.
        let shown = shown.strip_prefix("\x1b[?1h\x1b=\r").unwrap_or(&shown);
        let shown = shown.strip_suffix("\r\x1b[?1l\x1b>").unwrap_or(shown);
        assert!(shown.lines().count() > 120, "{width} {color} {pager}");
        for line in shown.split('\n').filter(|line| !line.is_empty()) {
            assert!(!line.contains(char::is_control), "{width} {color} {pager}: {line:?}");
            assert!(row.is_match(line), "{width} {color} {pager}: {line:?}");
        }
    }
}
