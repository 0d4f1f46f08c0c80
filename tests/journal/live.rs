//! Journals in use: followed through rotations, read from this machine's own directories, and written by a real journal
//! daemon.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::merge::wide;
use super::{run_with_timeout, write_file};
use crate::support::journal::remote::{self, JournalPath, WriterOptions};
use crate::support::journal::samples::{BOOT, service};
use crate::support::journal::{Entry, Shape, compare, file, stream};
use crate::support::pipeline::records;
use crate::support::{katalog, namespaces, wait_until};

/// A program whose lines arrive as they are written.
pub(super) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(super) fn start(mut command: Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Running { child, lines }
    }

    /// Returns the next line, if it arrives in time.
    pub(super) fn line(&self, wait: Duration) -> Option<String> {
        self.lines.recv_timeout(wait).ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Returns the number in `entry NUMBER of kata`, the message of a record.
pub(super) fn entry_number(line: &str) -> u64 {
    let record = records(format!("{line}\n").as_bytes()).remove(0);
    record.text("MESSAGE").unwrap().split(' ').nth(1).unwrap().parse().unwrap()
}

/// Returns an entry of Kata, with new names that fill the table.
fn next(number: u64) -> Vec<u8> {
    let mut entry = wide(number + 1).pop().unwrap();
    let place = entry.fields.iter().position(|(name, _)| name == "SYSLOG_IDENTIFIER").unwrap();
    entry.fields[place].1 = b"kata".to_vec();
    stream(&[entry])
}

#[test]
fn following_goes_through_rotations() {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.journal");
    let mut writer = remote::start(&path, WriterOptions::default());
    let mut input = writer.stdin.take().unwrap();
    input.write_all(&next(0)).unwrap();
    wait_until("the file", || path.exists());
    let mut command = katalog();
    command.args(["--follow", "--keep", "MESSAGE"]).arg(folder.path());
    let running = Running::start(command);

    // Entries are written until one of them arrives; no later one may be missing.
    let mut written = 1;
    let start = Instant::now();
    let first = loop {
        if let Some(line) = running.line(Duration::from_millis(20)) {
            break entry_number(&line);
        }
        assert!(start.elapsed() < Duration::from_secs(20), "nothing arrives of {written} entries");
        input.write_all(&next(written)).unwrap();
        written += 1;
    };
    let last = written + 260;
    for number in written..last {
        input.write_all(&next(number)).unwrap();
        if number % 10 == 0 {
            std::thread::sleep(Duration::from_millis(3));
        }
    }
    let found: Vec<u64> = (first + 1..last)
        .map(|number| match running.line(Duration::from_secs(20)) {
            Some(line) => entry_number(&line),
            None => panic!("entry {number} does not arrive"),
        })
        .collect();
    assert_eq!(found, (first + 1..last).collect::<Vec<_>>());
    assert!(remote::journals(folder.path()).len() >= 5, "{:?}", remote::journals(folder.path()));
    drop(input);
    writer.wait().unwrap();
    assert_eq!(running.line(Duration::from_millis(300)), None, "an entry comes twice");
}

#[test]
fn an_entry_arrives_at_once() {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.journal");
    let mut writer = remote::start(&path, WriterOptions { compact: false, keyed: false, compress: false });
    let mut input = writer.stdin.take().unwrap();
    let mut command = katalog();
    command.args(["--follow", "--keep", "MESSAGE"]).arg(folder.path());
    let running = Running::start(command);
    let mut written = 0;
    wait_until("the first entry", || {
        input.write_all(&stream(&[service(5 * written, BOOT)])).unwrap();
        written += 1;
        running.line(Duration::from_millis(50)).is_some()
    });
    while running.line(Duration::from_millis(500)).is_some() {}
    let mut delays = Vec::new();
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(30));
        let start = Instant::now();
        input.write_all(&stream(&[service(5 * written, BOOT)])).unwrap();
        let line = running.line(Duration::from_secs(20)).unwrap_or_else(|| panic!("an entry does not arrive"));
        assert_eq!(entry_number(&line), 5 * written);
        written += 1;
        delays.push(start.elapsed());
    }
    delays.sort();
    // The median, because a busy machine may delay some.
    assert!(delays[5] < Duration::from_millis(500), "{delays:?}");
    drop(input);
    writer.wait().unwrap();
}

/// Runs a bash script in namespaces. Returns false if this machine does not permit it.
fn in_namespaces(folder: &Path, script: &str) -> bool {
    let Some(mut command) = namespaces::in_namespaces(folder, script) else { return false };
    let output = run_with_timeout(&mut command);
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    true
}

/// Compares the files that both programs wrote.
fn compare_outputs(folder: &Path, names: &[&str]) {
    for name in names {
        let theirs = compare::without_numbers(&fs::read(folder.join(format!("{name}.theirs"))).unwrap());
        let ours = fs::read(folder.join(format!("{name}.ours"))).unwrap();
        assert!(!theirs.is_empty(), "{name}: journalctl prints nothing");
        compare::export(&theirs, &ours).unwrap_or_else(|difference| panic!("{name}: {difference}"));
    }
}

#[test]
fn this_machine_has_its_journals_where_systemd_keeps_them() {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let entries = |name: &str, start: u64| -> Vec<Entry> {
        (start..start + 20).map(|number| service(number, BOOT).with("FILE", name)).collect()
    };
    for (number, name) in ["var", "run", "user", "namespace", "other"].into_iter().enumerate() {
        let id = number as u128 + 1;
        let shape = Shape { file_id: id, seqnum_id: id, ..Shape::default() };
        write_file(folder.path(), format!("{name}.journal"), file(&shape, &entries(name, number as u64 * 7)));
    }
    let ran = in_namespaces(
        folder.path(),
        r#"
        O=0123456789abcdef0123456789abcdef
        mkdir -p /var/log/journal/{$M,$M.t1,$O} /run/log/journal/$M
        cp var.journal /var/log/journal/$M/system.journal
        cp user.journal /var/log/journal/$M/user-1000.journal
        cp run.journal /run/log/journal/$M/system.journal
        cp namespace.journal /var/log/journal/$M.t1/system.journal
        cp other.journal /var/log/journal/$O/system.journal
        both() {
            journalctl --quiet --no-pager -o export "${@:2}" > "$1.theirs"
            "$KATALOG" --format export --journal "${@:2}" > "$1.ours"
        }
        both own
        both all --merge
        both namespace --namespace=t1
        both since --since=@1700000015
        "#,
    );
    if ran {
        compare_outputs(folder.path(), &["own", "all", "namespace", "since"]);
    }
}

#[test]
fn a_real_daemon() {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ran = in_namespaces(
        folder.path(),
        r#"
        printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nRateLimitBurst=0\n' \
            > /etc/systemd/journald@t1.conf
        # Without work it ends by itself after half a minute, so nothing stays if this script is killed.
        /lib/systemd/systemd-journald t1 2> daemon.log & P=$!
        trap 'kill $P || true' EXIT
        for _ in {1..200}; do [ -S /run/systemd/journal.t1/dev-log ] && break; sleep 0.02; done
        send() {
            for N in $(seq "$1" "$2"); do logger -u /run/systemd/journal.t1/dev-log -t kata "entry $N of kata"; done
            for _ in {1..200}; do
                journalctl --quiet --namespace=t1 -o cat | grep -qx "entry $2 of kata" && return
                sleep 0.02
            done
            return 1
        }
        both() {
            journalctl --quiet --no-pager --namespace=t1 -o export "${@:2}" > "$1.theirs"
            "$KATALOG" --format export --namespace=t1 "${@:2}" > "$1.ours"
        }
        send 1 40
        both online
        kill -USR2 $P
        send 41 60
        both rotated
        "$KATALOG" --namespace=t1 --keep MESSAGE > records
        trap - EXIT
        kill $P
        wait $P || true
        both stopped
        cp -r /run/log/journal/$M.t1 files
        "#,
    );
    if ran {
        compare_outputs(folder.path(), &["online", "rotated", "stopped"]);
        let output = fs::read(folder.path().join("records")).unwrap();
        let messages: Vec<_> =
            records(&output).into_iter().map(|record| record.text("MESSAGE").unwrap().to_owned()).collect();
        assert_eq!(messages, (1..=60).map(|number| format!("entry {number} of kata")).collect::<Vec<_>>());
        super::assert_no_failures(&super::differences(
            "its files",
            &JournalPath::Directory(folder.path().join("files")),
        ));
    }
}
