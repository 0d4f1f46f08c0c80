//! `--sort time` and `--delta`: the program compared with a stable sort in memory, within its memory limit.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::journal::samples::{BOOT, NEXT_BOOT, service};
use crate::support::journal::{Shape, file};
use crate::support::pipeline::{Record, records};
use crate::support::{expect_exit, katalog, stderr, with_limit, write_file};

/// A reproducible random number generator.
struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Returns a log in which some lines lack a time, some share one, and the clock is set back now and then.
fn log(seed: u64, lines: u64, longest: u64) -> String {
    let mut rng = Rng(seed);
    let mut log = String::new();
    let mut clock = 0;
    for number in 0..lines {
        clock = match rng.below(50) {
            0 => clock / 2,
            1..8 => clock,
            _ => clock + rng.below(3_000_000),
        };
        let (minutes, micros) = (clock / 60_000_000 % 60, clock % 60_000_000);
        if rng.below(10) > 0 {
            let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
            write!(log, "time=\"2031-01-01T07:{minutes:02}:{seconds:02}.{micros:06}Z\" ").unwrap();
        }
        let text = "x".repeat(rng.below(longest) as usize);
        writeln!(log, "level=info msg=\"line {number} of {seed}\" source=runtime text={text}").unwrap();
    }
    log
}

fn sort_command(inputs: &[PathBuf], flags: &[&str]) -> Command {
    let mut command = katalog();
    command.args(flags).args(inputs);
    command
}

fn lines(output: &[u8]) -> Vec<&[u8]> {
    output.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Returns the time in a record of JSON, as text, which sorts as the times do.
fn time(line: &[u8]) -> Option<&[u8]> {
    let key = b"\"kata_time\":\"";
    let start = line.windows(key.len()).position(|window| window == key)? + key.len();
    Some(&line[start..start + 30])
}

/// Returns the expected output: the records of each input without `--sort`, in a stable sort.
fn reference(inputs: &[PathBuf], flags: &[&str]) -> Vec<u8> {
    let outputs: Vec<_> = inputs
        .iter()
        .map(|input| expect_exit(&mut sort_command(std::slice::from_ref(input), flags), 0).stdout)
        .collect();
    let mut all = Vec::new();
    for output in &outputs {
        let mut before = None;
        for line in lines(output) {
            before = time(line).or(before);
            all.push((before, line));
        }
    }
    all.sort_by_key(|(time, _)| *time);
    all.into_iter().flat_map(|(_, line)| line).copied().collect()
}

/// Writes three logs with interleaved times.
fn logs(folder: &Path, count: u64) -> Vec<PathBuf> {
    (1..=3).map(|number| write_file(folder, format!("{number}.log"), log(number, count, 80))).collect()
}

#[test]
fn all_inputs_come_in_one_order_whatever_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = logs(folder.path(), 2000);
    inputs.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/inputs/node.ndjson"));
    inputs.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/inputs/damage.log"));
    let expected = reference(&inputs, &[]);
    let plain = expect_exit(&mut sort_command(&inputs, &[]), 0).stdout;
    assert!(expected != plain && expected.len() == plain.len());
    for threads in ["1", "2", "5"] {
        let sorted = expect_exit(&mut sort_command(&inputs, &["--sort", "time", "--threads", threads]), 0);
        assert!(sorted.stdout == expected, "{threads} threads");
        assert_eq!(stderr(&sorted), "");
    }
    assert!(expect_exit(&mut sort_command(&inputs, &["--sort=none"]), 0).stdout == plain);
}

#[test]
fn journals_of_several_machines_and_a_log_come_in_one_order() {
    let folder = tempfile::tempdir().unwrap();
    for (machine, boot) in [(1, BOOT), (2, NEXT_BOOT)] {
        let entry = |number: u64| {
            let mut entry = service(number, boot);
            entry.fields.retain(|(name, _)| name != "_SOURCE_REALTIME_TIMESTAMP");
            // The clock of the second machine is set back once.
            entry.realtime -= if machine == 2 && number >= 40 { 30_500_000 } else { 0 };
            entry
        };
        let entries: Vec<_> = (0..90).map(entry).collect();
        let shape = Shape { file_id: machine, machine_id: machine, seqnum_id: machine, ..Shape::default() };
        let directory = folder.path().join(format!("{machine:032x}"));
        fs::create_dir(&directory).unwrap();
        write_file(&directory, "system.journal", file(&shape, &entries));
    }
    let line = |second: u32| {
        format!("time=\"2023-11-14T22:13:{second}.25Z\" level=info msg=\"of a file\" source=runtime\nand no time\n")
    };
    let log = write_file(folder.path(), "kata.log", [35, 55, 21].map(line).concat());
    // The journals are one input, whose order is that of their reader.
    let inputs = [folder.path().to_owned(), log];
    let expected = reference(&inputs, &[]);
    assert_eq!(lines(&expected).len(), 2 * 54 + 6);
    let plain = expect_exit(&mut sort_command(&inputs, &[]), 0).stdout;
    let sorted = expect_exit(&mut sort_command(&inputs, &["--sort=time"]), 0).stdout;
    assert!(sorted == expected && sorted != plain);
}

#[test]
fn what_passes_has_the_time_of_its_carrier() {
    let folder = tempfile::tempdir().unwrap();
    let entry = |seconds: u32, identifier: &str| {
        format!(
            "{{\"__REALTIME_TIMESTAMP\":\"{}000000\",\"SYSLOG_IDENTIFIER\":\"{identifier}\",\"MESSAGE\":\"at {seconds}\"}}\n",
            1_900_000_000 + seconds
        )
    };
    let first = write_file(folder.path(), "1", entry(5, "sshd") + &entry(1, "kata") + &entry(9, "sshd"));
    let second = write_file(folder.path(), "2", entry(7, "kata") + &entry(3, "cron") + &entry(5, "cron"));
    let sorted = expect_exit(&mut sort_command(&[first, second], &["--others=pass", "--sort=time"]), 0).stdout;
    let texts: Vec<String> = records(&sorted)
        .iter()
        .map(|record| format!("{} {}", record.text("SYSLOG_IDENTIFIER").unwrap(), record.text("MESSAGE").unwrap()))
        .collect();
    assert_eq!(texts, ["kata at 1", "cron at 3", "sshd at 5", "cron at 5", "kata at 7", "sshd at 9"]);
}

#[test]
fn the_order_of_msgpack_is_that_of_the_json() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), 300);
    let json = expect_exit(&mut sort_command(&inputs, &["--sort=time"]), 0).stdout;
    let packed = expect_exit(&mut sort_command(&inputs, &["--sort=time", "--format=msgpack"]), 0).stdout;
    let mut rest = packed.as_slice();
    for line in lines(&json) {
        let value = rmpv::decode::read_value(&mut rest).unwrap();
        let record: Record = serde_json::from_slice(line).unwrap();
        let message = value.as_map().unwrap().iter().find(|(key, _)| key.as_str() == Some("kata_msg")).unwrap();
        assert_eq!(message.1.as_str(), record.text("kata_msg"));
    }
    assert!(rest.is_empty());
}

/// Returns the output, and the peak memory of the process in KiB when most of the output was written.
fn peak_memory(command: &mut Command, all: usize) -> (Vec<u8>, usize) {
    /// More than a pipe holds, so that the process is still running.
    const LEFT: usize = 512 << 10;
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = vec![0; all - LEFT];
    let mut pipe = child.stdout.take().unwrap();
    pipe.read_exact(&mut output).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    pipe.read_to_end(&mut output).unwrap();
    assert!(child.wait().unwrap().success());
    (output, line.trim().strip_suffix(" kB").unwrap().parse().unwrap())
}

#[test]
fn memory_is_what_it_was_given() {
    /// Memory beside the limit: buffers of the files, and the allocator's reserve.
    const BESIDE: usize = 4 << 10;
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<PathBuf> =
        (1..=2).map(|number| write_file(folder.path(), format!("{number}.log"), log(number, 10_000, 4000))).collect();
    assert!(inputs.iter().map(|input| input.metadata().unwrap().len()).sum::<u64>() > 40_000_000);
    let expected = reference(&inputs, &[]);
    // The pending batches of several threads depend on their speed.
    let (_, plain) = peak_memory(&mut sort_command(&inputs, &["--threads=1"]), expected.len());
    for megabytes in [1, 8] {
        let flags = ["--sort=time", &format!("--sort-memory={megabytes}M"), "--verbose", "--threads=1"];
        let mut command = sort_command(&inputs, &flags);
        let temporary = tempfile::tempdir().unwrap();
        command.env("TMPDIR", temporary.path()).stderr(Stdio::null());
        let (sorted, most) = peak_memory(&mut command, expected.len());
        assert!(sorted == expected, "{megabytes} MiB");
        assert!(most <= plain + (megabytes << 10) + BESIDE, "{megabytes} MiB: {most} KiB, without sorting {plain} KiB");
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "nothing stays");
    }
}

#[test]
fn giants_come_in_order_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = logs(folder.path(), 1000);
    let giant = |second: u32| {
        let text = "y".repeat(3 << 20);
        format!("time=\"2031-01-01T07:00:{second:02}Z\" level=info msg=giant source=runtime text={text}\n")
    };
    let giants: String = [9, 2, 2, 5, 1].map(giant).concat();
    inputs.insert(1, write_file(folder.path(), "giants.log", giants));
    let expected = reference(&inputs, &["--max-line=4M"]);
    let sorted =
        expect_exit(&mut sort_command(&inputs, &["--max-line=4M", "--sort=time", "--sort-memory=1M"]), 0).stdout;
    assert!(sorted == expected);
}

#[test]
fn files_are_made_only_where_they_are_needed() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), 2000);
    let missing = folder.path().join("missing");
    let expected = reference(&inputs, &[]);
    let sorted = expect_exit(sort_command(&inputs, &["--sort=time"]).env("TMPDIR", &missing), 0).stdout;
    assert!(sorted == expected);
    // An empty variable counts as unset.
    assert!(
        expect_exit(sort_command(&inputs, &["--sort=time", "--sort-memory=1M"]).env("TMPDIR", ""), 0).stdout
            == expected
    );
    let output = expect_exit(sort_command(&inputs, &["--sort=time", "--sort-memory=1M"]).env("TMPDIR", &missing), 74);
    assert!(output.stdout.is_empty(), "a part would pass for the whole");
    let message = stderr(&output);
    assert!(message.contains(missing.to_str().unwrap()) && message.contains("TMPDIR"), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn a_full_directory_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), 8000);
    let mut command = sort_command(&inputs, &["--sort=time", "--sort-memory=1M"]);
    // No file above 100 blocks of 512 bytes.
    let output = expect_exit(&mut with_limit("-f 100", command.env("TMPDIR", folder.path())), 74);
    assert!(output.stdout.is_empty());
    let message = stderr(&output);
    assert!(message.contains(folder.path().to_str().unwrap()) && message.contains("TMPDIR"), "{message}");
}

#[test]
fn merging_is_said_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), 4000);
    let output = expect_exit(&mut sort_command(&inputs, &["--sort=time", "--sort-memory=1M", "--verbose"]), 0);
    assert_eq!(stderr(&output).matches("sort: merging").count(), 1, "{}", stderr(&output));
}

#[test]
fn a_reader_that_goes_away_ends_the_merging_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), 8000);
    let mut command = sort_command(&inputs, &["--sort=time", "--sort-memory=1M"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 1000];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn a_signal_leaves_the_beginning_of_the_output_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), 8000);
    let temporary = tempfile::tempdir().unwrap();
    let mut command = sort_command(&inputs, &["--sort=time", "--sort-memory=1M"]);
    let mut child = command.env("TMPDIR", temporary.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let mut given = vec![0; 100_000];
    pipe.read_exact(&mut given).unwrap();
    // More than a pipe holds is still to come.
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    pipe.read_to_end(&mut given).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    let expected = reference(&inputs, &[]);
    assert!(expected.len() > given.len() && expected.starts_with(&given));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn an_input_that_fails_does_not_keep_the_others_from_being_sorted() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = logs(folder.path(), 100);
    let expected = reference(&inputs, &[]);
    inputs.insert(1, folder.path().join("missing.log"));
    let output = expect_exit(&mut sort_command(&inputs, &["--sort=time"]), 66);
    assert!(output.stdout == expected);
    assert!(stderr(&output).contains("missing.log"));
}

#[test]
fn what_cannot_be_sorted_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), 1);
    for (arguments, named) in [
        (&["--sort=time", "--follow"] as &[&str], &["--sort time", "--follow"] as &[&str]),
        (&["--sort=time", "--format=export"], &["--sort time", "--format export"]),
        (&["--sort=time", "--format=journal-json"], &["--sort time", "--format journal-json"]),
        (&["--sort=time", "--sort-memory=1000"], &["--sort-memory", "1M"]),
        (&["--sort-memory=1M"], &["--sort-memory 1M", "--sort time"]),
        (&["--delta", "--format=msgpack"], &["--delta", "--format msgpack"]),
        (&["--delta", "--format=text"], &["--delta", "--format text"]),
        (&["--delta", "--format=export"], &["--delta", "--format export"]),
        (&["ship", "--sort=time"], &["--sort", "`katalog ship`"]),
        (&["ship", "--delta"], &["--delta", "`katalog ship`"]),
        (&["check", "--sort=time"], &["--sort", "`katalog check`"]),
    ] {
        let output = expect_exit(&mut sort_command(&inputs, arguments), 64);
        for name in named {
            assert!(stderr(&output).contains(name), "{arguments:?}: {}", stderr(&output));
        }
    }
}

/// Returns the time of a record in nanoseconds since 1970.
fn nanos(record: &Record) -> Option<i128> {
    Some(record.text("kata_time")?.parse::<jiff::Timestamp>().unwrap().as_nanosecond())
}

#[test]
fn deltas_are_those_of_the_output() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = logs(folder.path(), 3000);
    // A payload with this name does not take it.
    let clash =
        "time=\"2031-01-01T07:00:00Z\" level=info msg=x source=runtime delta_ns=9 fields_delta_ns=8 delta.ns=7\n";
    inputs.push(write_file(folder.path(), "clash.log", clash));
    for order in [&["--sort=none"] as &[&str], &["--sort=time"], &["--sort=time", "--sort-memory=1M"]] {
        let plain = expect_exit(&mut sort_command(&inputs, order), 0).stdout;
        let given = expect_exit(sort_command(&inputs, order).arg("--delta"), 0).stdout;
        for threads in ["2", "5"] {
            assert!(
                expect_exit(sort_command(&inputs, order).args(["--delta", "--threads", threads]), 0).stdout == given,
                "{threads}"
            );
        }
        let mut before: Option<i128> = None;
        let mut negative = 0;
        let (plain, given) = (records(&plain), records(&given));
        assert_eq!(plain.len(), given.len());
        for (plain, mut given) in plain.into_iter().zip(given) {
            let now = nanos(&plain);
            let delta = now.zip(before).map(|(now, before)| now - before);
            before = now.or(before);
            if let Some(delta) = delta {
                let (key, value) = given.0.pop().unwrap();
                assert_eq!((key.as_str(), value.as_i64().map(i128::from)), ("kata_delta_ns", Some(delta)));
                negative += usize::from(delta < 0);
            }
            assert_eq!(given, plain);
            if plain.text("kata_msg") == Some("x") {
                let kept = ["kata_fields_delta_ns", "kata_fields_delta_ns_2", "kata_fields_delta_ns_3"];
                assert_eq!(kept.map(|key| plain.text(key).is_some()), [true; 3], "{plain:?}");
            }
        }
        assert_eq!(negative > 0, order == ["--sort=none"]);
    }
}

#[test]
fn text_is_sorted_as_its_records_are() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), 300);
    let numbers = |output: &[u8]| -> Vec<String> {
        let name = regex::Regex::new(r"line \d+ of \d+").unwrap();
        let text = String::from_utf8_lossy(output);
        text.lines().filter_map(|line| Some(name.find(line)?.as_str().to_owned())).collect()
    };
    let expected = numbers(&reference(&inputs, &[]));
    assert!(expected.len() > 300);
    for threads in ["--threads=1", "--threads=3"] {
        let output = expect_exit(&mut sort_command(&inputs, &["--sort=time", "--format=text", threads]), 0);
        assert_eq!(numbers(&output.stdout), expected, "{threads}");
    }
}
