//! systemd's own programs: `systemd-journal-remote` writes journals, `journalctl` reads them.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

use super::compare;
use crate::support::skip::skip;

const REMOTE: &str = "/lib/systemd/systemd-journal-remote";

/// Returns true if a required program is missing. Prints a notice, and fails where `CI` is `true`.
pub(crate) fn missing() -> bool {
    static MISSING: LazyLock<bool> = LazyLock::new(|| {
        let present = |program: &str| {
            let status = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        let absent: Vec<&str> = ["journalctl", REMOTE].into_iter().filter(|program| !present(program)).collect();
        !absent.is_empty() && skip_without(&format!("{} is not installed", absent.join(" and ")))
    });
    *MISSING
}

/// Reports skipped tests with the reason. Always returns true.
pub(crate) fn skip_without(reason: &str) -> bool {
    skip("tests of journal files", reason)
}

/// Options of `systemd-journal-remote`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriterOptions {
    pub(crate) compact: bool,
    pub(crate) keyed: bool,
    pub(crate) compress: bool,
}

impl WriterOptions {
    /// Returns all combinations of the options.
    pub(crate) fn all() -> Vec<WriterOptions> {
        let bit = |number: u8, bit: u8| number & bit != 0;
        (0..8)
            .map(|number| WriterOptions { compact: bit(number, 1), keyed: bit(number, 2), compress: bit(number, 4) })
            .collect()
    }
}

impl Default for WriterOptions {
    /// Returns the defaults of the program.
    fn default() -> WriterOptions {
        WriterOptions { compact: true, keyed: true, compress: true }
    }
}

/// Appends an export stream to the journal file `output`, which is created if missing. If a table of the file fills up,
/// its entries go into an archived file beside it.
pub(crate) fn append(output: &Path, stream: &[u8], options: WriterOptions) {
    let mut writer = start(output, options);
    writer.stdin.take().unwrap().write_all(stream).unwrap();
    let output = writer.wait_with_output().unwrap();
    assert!(output.status.success(), "{REMOTE}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Starts to write its standard input to the journal file `output`.
pub(crate) fn start(output: &Path, options: WriterOptions) -> Child {
    let flag = |on: bool| if on { "1" } else { "0" };
    Command::new(REMOTE)
        .arg(if options.compress { "--compress=yes" } else { "--compress=no" })
        .arg("--output")
        .arg(output)
        .arg("-")
        .env("SYSTEMD_JOURNAL_COMPACT", flag(options.compact))
        .env("SYSTEMD_JOURNAL_KEYED_HASH", flag(options.keyed))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Journals to read: files, or all files of a directory.
#[derive(Clone, Debug)]
pub(crate) enum JournalPath {
    Files(Vec<PathBuf>),
    Directory(PathBuf),
}

impl JournalPath {
    pub(crate) fn file(path: impl Into<PathBuf>) -> JournalPath {
        JournalPath::Files(vec![path.into()])
    }

    /// Returns the arguments that name the journals to `journalctl`.
    fn arguments(&self) -> Vec<OsString> {
        let argument = |flag: &str, path: &Path| {
            let mut argument = OsString::from(flag);
            argument.push(path);
            argument
        };
        match self {
            JournalPath::Files(paths) => paths.iter().map(|path| argument("--file=", path)).collect(),
            JournalPath::Directory(path) => vec![argument("--directory=", path)],
        }
    }

    /// Returns the paths for katalog.
    pub(crate) fn paths(&self) -> &[PathBuf] {
        match self {
            JournalPath::Files(paths) => paths,
            JournalPath::Directory(path) => std::slice::from_ref(path),
        }
    }
}

/// Returns a `journalctl` command without messages, in UTC and a fixed locale.
pub(crate) fn journalctl(place: &JournalPath) -> Command {
    let mut command = Command::new("journalctl");
    command.args(["--quiet", "--no-pager"]).args(place.arguments());
    command.envs([("TZ", "UTC"), ("LC_ALL", "C.UTF-8"), ("SYSTEMD_LOG_LEVEL", "err")]).stdin(Stdio::null());
    command
}

/// Returns the standard output of a command that must succeed.
pub(crate) fn successful_output(mut command: Command) -> Vec<u8> {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{command:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    stdout
}

/// Returns the export stream of the entries that these arguments of `journalctl` select.
pub(crate) fn export(place: &JournalPath, arguments: &[&str]) -> Vec<u8> {
    let mut command = journalctl(place);
    command.args(["--output", "export"]).args(arguments);
    compare::without_numbers(&successful_output(command))
}

/// Returns the entries that `journalctl` reads from a possibly damaged file before it gives up.
pub(crate) fn readable_entries(path: &Path) -> Vec<u8> {
    let mut command = journalctl(&JournalPath::file(path));
    let stdout = command.args(["--output", "export"]).output().unwrap().stdout;
    // If it stops at a field, the entry is incomplete.
    let whole = stdout.windows(2).rposition(|pair| pair == b"\n\n").map_or(0, |at| at + 2);
    compare::without_numbers(&stdout[..whole])
}

/// Returns the entries as JSON from `journalctl`, with complete fields.
pub(crate) fn json(place: &JournalPath) -> Vec<u8> {
    let mut command = journalctl(place);
    command.args(["--output", "json", "--all"]);
    successful_output(command)
}

/// Returns the journal files of a directory, sorted by name.
pub(crate) fn journals(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "journal" || end == "journal~"));
    files.sort();
    files
}
