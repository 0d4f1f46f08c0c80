//! The iterator over entries, compared with `journalctl`. Journals are written by `systemd-journal-remote`.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test fails by it, and reports why it is skipped

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use journal_file::{Boot, Cursor, Damage, Journal};

const REMOTE: &str = "/lib/systemd/systemd-journal-remote";
const START: u64 = 1_700_000_000_000_000;
const BOOTS: [&str; 2] = ["6c7c6013a26343b29e964691ff25d04c", "0d4f7a3c5b1e4f6a8c2d9e0f1a2b3c4d"];

/// Returns true if systemd's programs are missing. Prints a notice, and fails where `CI` is `true`.
fn missing() -> bool {
    let absent = |program: &str| {
        let status = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        !status.is_ok_and(|status| status.success())
    };
    let missing = absent("journalctl") || absent(REMOTE);
    if missing {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "journalctl or {REMOTE} is not installed");
        eprintln!("skipped: journalctl or {REMOTE} is not installed");
    }
    missing
}

/// Starts to write its standard input to a journal file. Full files are archived beside it.
fn writer(output: &Path) -> Child {
    let mut command = Command::new(REMOTE);
    command.args(["--compress=yes", "--output"]).arg(output).arg("-");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Returns the entries of these numbers as an export stream: one a second, of three programs and two boots.
fn stream(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    for number in numbers {
        let (program, boot) = (["kata", "sshd", "cron"][(number % 3) as usize], BOOTS[usize::from(number >= 40)]);
        let micros = number * 1_000_000;
        let (realtime, monotonic, priority) = (START + micros, 5_000_000 + micros, number % 7);
        write!(
            out,
            "__REALTIME_TIMESTAMP={realtime}\n__MONOTONIC_TIMESTAMP={monotonic}\n_BOOT_ID={boot}\n\
             SYSLOG_IDENTIFIER={program}\nPRIORITY={priority}\nMESSAGE=entry {number}\n\n"
        )
        .unwrap();
    }
    out
}

/// Writes a journal of `count` entries in two files of a directory.
fn journal(count: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, numbers) in [("a.journal", 0..count / 2), ("b.journal", count / 2..count)] {
        let mut child = writer(&folder.path().join(name));
        child.stdin.take().unwrap().write_all(&stream(numbers)).unwrap();
        assert!(child.wait().unwrap().success());
    }
    folder
}

/// Returns the messages that `journalctl` prints.
fn theirs(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let mut directory = std::ffi::OsString::from("--directory=");
    directory.push(folder);
    let mut command = Command::new("journalctl");
    command.args(["--quiet", "--no-pager", "--output=cat"]).arg(directory).args(arguments);
    let output = command.env("TZ", "UTC").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Returns the messages of the entries, without damage and errors.
fn ours(journal: &Journal) -> Vec<String> {
    let mut entries = journal.entries();
    let mut messages = Vec::new();
    while let Some(entry) = entries.next().unwrap() {
        let message = entry.field("MESSAGE").unwrap();
        assert!(entry.fields().any(|(name, value)| name == b"MESSAGE" && value == message));
        assert_eq!(entry.field("NO_SUCH_FIELD"), None);
        messages.push(String::from_utf8(message.to_vec()).unwrap());
    }
    assert!(entries.next().unwrap().is_none() && entries.damages().is_empty() && entries.errors().is_empty());
    messages
}

/// Marks all files of a directory as open in a writer, so that their index is not trusted.
fn set_online(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        bytes[16] = 1;
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn matches_are_those_of_journalctl() {
    if missing() {
        return;
    }
    let folder = journal(100);
    let kata = |journal: Journal| journal.matching("SYSLOG_IDENTIFIER", "kata");
    for online in [false, true] {
        if online {
            set_online(folder.path());
        }
        let open = || Journal::open(folder.path()).unwrap();
        let cases: [(Journal, &[&str], usize); 9] = [
            (open(), &[], 100),
            (kata(open()), &["SYSLOG_IDENTIFIER=kata"], 34),
            (
                kata(open()).matching("SYSLOG_IDENTIFIER", b"cron"),
                &["SYSLOG_IDENTIFIER=kata", "SYSLOG_IDENTIFIER=cron"],
                67,
            ),
            (kata(open()).matching("PRIORITY", "3"), &["SYSLOG_IDENTIFIER=kata", "PRIORITY=3"], 5),
            (
                kata(open()).matching("PRIORITY", "3").or().matching("MESSAGE", "entry 70"),
                &["SYSLOG_IDENTIFIER=kata", "PRIORITY=3", "+", "MESSAGE=entry 70"],
                6,
            ),
            (kata(open()).matching("MESSAGE", "entry 1"), &["SYSLOG_IDENTIFIER=kata", "MESSAGE=entry 1"], 0),
            (open().matching("SYSLOG_IDENTIFIER", "kat"), &["SYSLOG_IDENTIFIER=kat"], 0),
            (open().matching("NO_SUCH_FIELD", "1"), &["NO_SUCH_FIELD=1"], 0),
            (open().matching("_BOOT_ID", BOOTS[1]), &["_BOOT_ID=0d4f7a3c5b1e4f6a8c2d9e0f1a2b3c4d"], 60),
        ];
        for (journal, arguments, count) in cases {
            let theirs = theirs(folder.path(), arguments);
            assert_eq!(theirs.len(), count, "{arguments:?}");
            assert_eq!(ours(&journal), theirs, "{arguments:?}, online: {online}");
            let mut backwards = ours(&journal.reverse());
            backwards.reverse();
            assert_eq!(backwards, theirs, "{arguments:?}, online: {online}, backwards");
        }
    }
}

#[test]
fn ranges_are_those_of_journalctl() {
    if missing() {
        return;
    }
    let folder = journal(100);
    let open = || Journal::open(folder.path()).unwrap();
    let mut cursors = Vec::new();
    open().entries().for_each(|entry| cursors.push(Cursor::from(*entry.place()))).unwrap();
    let after = format!("--after-cursor={}", cursors[41]);
    let cases: [(Journal, &[&str]); 8] = [
        (open().last(7), &["--lines=7"]),
        (open().last(0), &["--lines=0"]),
        (open().last(7).reverse(), &["--lines=7", "--reverse"]),
        (open().since(START + 30_500_000), &["--since=2023-11-14 22:13:50.5"]),
        (
            open().since(START + 30_000_000).until(START + 60_000_000),
            &["--since=2023-11-14 22:13:50", "--until=2023-11-14 22:14:20"],
        ),
        (open().after_cursor(cursors[41]), &[&after]),
        (open().boot(Boot::Before(1)), &["--boot=-1"]),
        (open().boot(Boot::Before(0)).matching("SYSLOG_IDENTIFIER", "sshd").last(2), &["-b", "-tsshd", "-n2"]),
    ];
    for (journal, arguments) in cases {
        assert_eq!(ours(&journal), theirs(folder.path(), arguments), "{arguments:?}");
    }
    // journalctl prints the first entries after a cursor instead of the last.
    assert_eq!(ours(&open().after_cursor(cursors[41]).last(2)), ["entry 98", "entry 99"]);
}

#[test]
fn following_returns_entries_as_they_come() {
    if missing() {
        return;
    }
    let folder = journal(20);
    let mut entries =
        Journal::open(folder.path()).unwrap().matching("SYSLOG_IDENTIFIER", "kata").last(1).follow().entries();
    let mut message = |timeout| {
        let entry = entries.next_within(timeout).unwrap();
        entry.map(|entry| String::from_utf8(entry.field("MESSAGE").unwrap().to_vec()).unwrap())
    };
    assert_eq!(message(Duration::from_secs(10)).unwrap(), "entry 18");
    let begin = Instant::now();
    assert_eq!(message(Duration::from_millis(50)), None);
    assert!(begin.elapsed() < Duration::from_secs(5));
    // In a file that is open, and in a file that is new.
    for (name, first) in [("b.journal", 21), ("c.journal", 30)] {
        let mut child = writer(&folder.path().join(name));
        let mut input = child.stdin.take().unwrap();
        input.write_all(&stream(first..first + 2)).unwrap();
        input.flush().unwrap();
        assert_eq!(message(Duration::from_secs(20)).unwrap(), format!("entry {first}"));
        drop(input);
        child.wait().unwrap();
    }
    assert_eq!(message(Duration::from_millis(50)), None);
}

#[test]
fn files_that_cannot_be_read_are_reported() {
    if missing() {
        return;
    }
    let folder = journal(10);
    fs::write(folder.path().join("text.journal"), "no journal").unwrap();
    let path = folder.path().join("a.journal");
    let length = fs::metadata(&path).unwrap().len();
    fs::File::options().write(true).open(&path).unwrap().set_len(length - 4096).unwrap();
    let mut entries = Journal::open(folder.path()).unwrap().entries();
    let mut count = 0;
    entries.for_each(|_| count += 1).unwrap();
    assert_eq!(count, 10);
    assert_eq!(entries.errors().len(), 1);
    let damages = entries.damages();
    assert!(damages.iter().any(|damaged| damaged.reason == Damage::Truncated && damaged.path == path), "{damages:?}");

    let mut entries = Journal::open(&path).unwrap().reverse().last(1).entries();
    assert_eq!(entries.next().unwrap().unwrap().field("MESSAGE"), Some(&b"entry 4"[..]));
    assert!(entries.next().unwrap().is_none());
    assert_eq!(entries.damages().len(), 1, "the file was not read to its end");

    let mut entries = Journal::open(folder.path().join("text.journal")).unwrap().entries();
    let error = entries.next().err().unwrap().to_string();
    assert!(error.ends_with("it is not a systemd journal file"), "{error}");
    assert!(entries.next().unwrap().is_none());
    assert!(Journal::open(folder.path().join("missing")).is_err());
    let empty = tempfile::tempdir().unwrap();
    assert!(Journal::open(PathBuf::from(empty.path())).is_err());
}

/// The number of damaged files that are compared. Each costs some 30 ms.
const MUTATIONS: u64 = 300;

/// A journal file as bytes, and its objects: offset, type and size.
struct Sample {
    bytes: Vec<u8>,
    objects: Vec<(usize, u8, usize)>,
}

impl Sample {
    /// Reads a file without the space behind its last object.
    fn read(path: &Path) -> Sample {
        let mut bytes = fs::read(path).unwrap();
        let mut objects = Vec::new();
        let mut at = number(&bytes, 88);
        while at + 16 <= bytes.len() && bytes[at] != 0 {
            objects.push((at, bytes[at], number(&bytes, at + 8)));
            at = (at + number(&bytes, at + 8)).next_multiple_of(8);
        }
        bytes.truncate(at);
        let arena = at - number(&bytes, 88);
        put(&mut bytes, 96, arena as u64);
        Sample { bytes, objects }
    }

    /// Returns a copy whose header is older than the objects: the arena has another size. libsystemd refuses an arena
    /// that ends before the last object in the header, so there is none.
    fn with_arena(&self, size: usize) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        put(&mut bytes, 96, size as u64);
        put(&mut bytes, 136, 0);
        bytes
    }

    /// Returns a copy with one to three kinds of damage.
    fn damaged(&self, random: &mut Random) -> Vec<u8> {
        let arena = number(&self.bytes, 96);
        let mut bytes = match random.below(8) {
            0 => self.with_arena([0, arena - 64, arena / 2, random.below(arena)][random.below(4)]),
            _ => self.bytes.clone(),
        };
        for _ in 0..[1, 1, 1, 2, 3][random.below(5)] {
            let at = self.place(random);
            let (object, _, size) = self.objects[random.below(self.objects.len())];
            let value = match random.below(7) {
                0 => 0,
                1 => u64::MAX,
                2 => random.next(),
                3 => object as u64,
                4 => object as u64 + 8,
                5 => size as u64,
                _ => at as u64 & !7,
            };
            let words = [16, 88, 96, 104, 112, 120, 128, 136, 144, 152, 160, 168, 176, 184, 192, 256];
            match random.below(7) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = value as u8,
                2 => put(&mut bytes, words[random.below(words.len())], value),
                3 => put(&mut bytes, object + 8 * random.below(size.min(96) / 8), value),
                4 => put(&mut bytes, at & !7, value),
                5 => {
                    let end = bytes.len().min(at + [8, 64, 512, 4096][random.below(4)]);
                    bytes[at..end].fill(0);
                }
                _ => bytes[object + random.below(16)] = value as u8,
            }
        }
        bytes
    }

    /// Returns an offset: mostly in an object other than a hash table, sometimes in the header.
    fn place(&self, random: &mut Random) -> usize {
        let objects: Vec<_> = self.objects.iter().filter(|(_, kind, _)| !matches!(kind, 4 | 5)).collect();
        let (at, _, size) = objects[random.below(objects.len())];
        if random.below(5) == 0 { random.below(264) } else { at + random.below(*size) }
    }
}

/// A source of numbers (xorshift) that yields the same ones in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    let end = bytes.len().min(at + 8);
    bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
}

/// Returns the cursors that `journalctl` prints before it ends or gives up.
fn their_cursors(path: &Path) -> Vec<String> {
    let mut file = std::ffi::OsString::from("--file=");
    file.push(path);
    let mut command = Command::new("journalctl");
    command.args(["--quiet", "--no-pager", "--output=export", "--all"]).arg(file);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.code().is_some(), "journalctl was killed: {}", output.status);
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let cursors = lines.filter_map(|line| line.strip_prefix(b"__CURSOR="));
    cursors.map(|cursor| String::from_utf8(cursor.to_vec()).unwrap()).collect()
}

/// Returns the cursors of the entries that are read.
fn our_cursors(path: &Path) -> HashSet<String> {
    let mut cursors = HashSet::new();
    let mut entries = Journal::open(path).unwrap().entries();
    while let Ok(Some(entry)) = entries.next() {
        cursors.insert(Cursor::from(*entry.place()).to_string());
    }
    cursors
}

#[test]
fn no_entry_of_a_damaged_file_is_lost_that_journalctl_reads() {
    if missing() {
        return;
    }
    let folder = journal(160);
    let damaged = folder.path().join("damaged.journal");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let sample = Sample::read(&folder.path().join("a.journal"));
    let (head, arena) = (number(&sample.bytes, 88), number(&sample.bytes, 96));
    let last_entry = sample.objects.iter().rev().find(|(_, kind, _)| *kind == 3).unwrap().0;
    for short in [arena - 64, last_entry + 8 - head, arena / 2, 0] {
        fs::write(&damaged, sample.with_arena(short)).unwrap();
        assert_eq!((their_cursors(&damaged).len(), our_cursors(&damaged).len()), (80, 80), "{short} of {arena}");
    }
    let (mut theirs, mut ours) = (0, 0);
    for mutation in 0..MUTATIONS {
        fs::write(&damaged, sample.damaged(&mut random)).unwrap();
        let (wanted, found) = (their_cursors(&damaged), our_cursors(&damaged));
        let lost: Vec<_> = wanted.iter().filter(|cursor| !found.contains(*cursor)).collect();
        assert!(lost.is_empty(), "mutation {mutation}: {lost:?} of {}", wanted.len());
        theirs += wanted.len();
        ours += found.len();
    }
    assert!(theirs > 80 * MUTATIONS as usize / 2 && ours >= theirs, "{theirs} {ours}: the damage is of no use");
}
