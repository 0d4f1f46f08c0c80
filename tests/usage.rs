//! The command line as operators use it: wrong usages with their messages and exit codes, and the help.
//!
//! `UPDATE=1 cargo test --test main -- usage` rewrites the expectations in `fixtures/usage`; review the difference
//! before you commit it.

mod completions;
mod help;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use regex::Regex;

use crate::support::skip::skip;
use crate::support::write_file;

/// Two entries of Kata's runtime.
const LOG: &str = "\
time=\"2024-03-05T05:01:54.163Z\" level=info msg=\"create netns\" name=kata-runtime pid=3244 source=virtcontainers
time=\"2024-03-05T05:01:55.163Z\" level=warning msg=\"no agent\" name=kata-runtime pid=3244 source=virtcontainers
";

/// Runs its arguments as a command on a terminal.
const TERMINAL: &str = "\
#!/bin/sh
shown=$(script -qec \"stty cols 80 rows 30; $*\" /dev/null </dev/null)
code=$?
printf '%s\\n' \"$shown\" | tr -d '\\r' >&2
exit $code
";

/// A file of cases.
struct Theme {
    path: PathBuf,
    /// The blocks between empty lines: cases, and remarks.
    blocks: Vec<String>,
}

impl Theme {
    fn read(path: PathBuf) -> Theme {
        let text = fs::read_to_string(&path).unwrap();
        let blocks = text.trim_end().split("\n\n").map(|block| block.trim_end().to_owned()).collect();
        Theme { path, blocks }
    }
}

/// Returns the files of cases, by name.
fn themes() -> Vec<Theme> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/usage");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
    paths.sort();
    paths.into_iter().map(Theme::read).collect()
}

/// The directory of the programs that a case calls by name.
struct Programs(tempfile::TempDir);

impl Programs {
    fn new() -> Programs {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_katalog"), directory.path().join("katalog")).unwrap();
        let terminal = write_file(directory.path(), "terminal", TERMINAL);
        fs::set_permissions(terminal, Permissions::from_mode(0o755)).unwrap();
        Programs(directory)
    }

    /// Runs a case, and returns it with the actual messages and the actual exit code.
    fn run(&self, block: &str) -> String {
        let Some(line) = command_line(block) else { return block.to_owned() };
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let mut shell = Command::new("timeout");
        shell.args(["20", "sh", "-c", line]).current_dir(folder.path()).stdin(Stdio::null());
        shell.env_clear().envs([
            ("TZ", "UTC"),
            ("TERM", "xterm"),
            ("COLUMNS", "80"),
            ("LC_ALL", "C.UTF-8"),
            ("STATE_DIRECTORY", "state"),
        ]);
        shell.env("PATH", format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap()));
        let output = shell.output().unwrap();
        let code = output.status.code().unwrap_or_else(|| panic!("{line}: {}", output.status));
        assert!(![64, 78].contains(&code) || output.stdout.is_empty(), "{line}: records beside an error of usage");
        let messages = String::from_utf8(output.stderr).unwrap();
        assert!(!messages.contains("hush"), "{line}: the message repeats a secret: {messages}");
        let messages = messages.replace(folder.path().to_str().unwrap(), "/tmp/case");
        // The wait before the next attempt is random.
        let messages = Regex::new(r"again in [0-9.]+ s").unwrap().replace_all(&messages, "again in 1 s");
        let remarks: String =
            block.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        format!("{remarks}$ {line}\n{messages}exit {code}")
    }
}

/// Returns the command line of a case; `None` for a remark.
fn command_line(block: &str) -> Option<&str> {
    block.lines().find_map(|line| line.strip_prefix("$ "))
}

/// Writes the files that cases name.
fn prepare(folder: &Path) {
    fs::create_dir(folder.join("empty")).unwrap();
    fs::create_dir(folder.join("dir")).unwrap();
    for name in ["kata.log", "check", "dir/kata.log"] {
        write_file(folder, name, LOG);
    }
    write_file(folder, "bin.dat", [0, 1, 2, 0xff, 0xfe, 0, 0, 7].repeat(512));
    write_file(folder, "secret", "hush\n");
    let mut archive = tar::Builder::new(fs::File::create(folder.join("bundle.tar")).unwrap());
    archive.append_path_with_name(folder.join("kata.log"), "kata.log").unwrap();
    archive.finish().unwrap();
    let journal = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz/journal/regular");
    fs::copy(journal, folder.join("system.journal")).unwrap();
}

/// Returns whether this machine can run commands on a terminal.
fn has_terminal() -> bool {
    let works = Command::new("script").arg("--version").output().is_ok();
    if !works {
        skip("wrong usages on a terminal", "`script` (bsdutils) does not run");
    }
    works
}

#[test]
fn wrong_usages() {
    let update = std::env::var_os("UPDATE").is_some();
    let (programs, has_terminal) = (Programs::new(), has_terminal());
    let mut cases = 0;
    let mut wrong = Vec::new();
    for theme in themes() {
        let left_out = |block: &str| !has_terminal && block.contains("$ terminal ");
        let run = |block: &String| if left_out(block) { block.clone() } else { programs.run(block) };
        let actual: Vec<String> = theme.blocks.par_iter().map(run).collect();
        if update {
            fs::write(&theme.path, actual.join("\n\n") + "\n").unwrap();
            continue;
        }
        cases += theme.blocks.iter().filter(|block| is_wrong(block)).count();
        let pairs = theme.blocks.iter().zip(&actual).filter(|(expected, actual)| expected != actual);
        wrong.extend(pairs.map(|(expected, actual)| format!("{expected}\n--- but now ---\n{actual}\n")));
    }
    assert!(wrong.is_empty(), "{} cases differ:\n\n{}", wrong.len(), wrong.join("\n"));
    assert!(update || cases >= 150, "{cases} cases");
}

#[test]
fn command_lines_in_messages_are_valid() {
    if std::env::var_os("UPDATE").is_some() {
        // The other test rewrites the files.
        return;
    }
    let programs = Programs::new();
    let end = Regex::new(r"type: katalog (.+?)(?: \(or \./|; |, or |$)").unwrap();
    let blocks = themes().into_iter().flat_map(|theme| theme.blocks);
    let advised = |block: String| -> Vec<String> {
        let messages = block.lines().filter(|line| line.starts_with("katalog: "));
        messages.filter_map(|line| end.captures(line)).map(|found| found[1].to_owned()).collect()
    };
    let lines: Vec<String> =
        blocks.flat_map(advised).filter(|line| !line.contains("DIR") && !line.contains("URL")).collect();
    assert!(lines.len() >= 40, "{} command lines", lines.len());
    lines.par_iter().for_each(|line| {
        let settings = ["print", "ship", "convert", "check", "schema"].contains(&line.split(' ').next().unwrap());
        let check = if settings { "config --check " } else { "" };
        let result = programs.run(&format!("$ katalog {check}{line}"));
        assert!(!result.ends_with("exit 64"), "{line}: {result}");
    });
}

/// Returns whether a block is a usage that ends with an error or a warning.
fn is_wrong(block: &str) -> bool {
    command_line(block).is_some() && (block.contains("\nkatalog: ") || !block.ends_with("\nexit 0"))
}
