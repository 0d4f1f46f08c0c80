//! Programs that run katalog and read its standard output: the contracts of the exec inputs of Fluentd and Fluent Bit,
//! checked by readers that behave like theirs.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use proptest::prelude::*;
use rmpv::Value as Packed;
use serde_json::Value;

use crate::support::pipeline::{Cuts, Setup, records};
use crate::support::{TIMEOUT, cases, katalog};

/// Maximum length of a line for Fluent Bit: its buffer without the terminating zero.
const LINE: usize = 4095;

/// Size of a read by Fluentd.
const BLOCK: usize = 8192;

/// Returns lines of Kata with distinct numbers.
fn lines(numbers: std::ops::Range<usize>) -> String {
    let line = |number| {
        format!("time=\"2031-01-01T00:00:00.{number:09}Z\" level=info msg=\"line {number}\" source=runtime pid=7\n")
    };
    numbers.map(line).collect()
}

/// Returns the number of a line, from its message.
fn number(message: &str) -> usize {
    message.strip_prefix("line ").unwrap().parse().unwrap()
}

/// Starts the program as such hosts do: by a shell, without standard input, with standard error ignored.
fn child(flags: &str, input: &Path) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec \"$KATALOG\" {flags} \"$INPUT\" <&-")]);
    shell.env_clear().env("KATALOG", env!("CARGO_BIN_EXE_katalog")).env("INPUT", input);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Reads one whole block, or the rest. Waits as Ruby's `IO#read` does, and is slow on every eighth block.
fn block(from: &mut ChildStdout, read: usize) -> Vec<u8> {
    if read % 8 == 7 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut block = Vec::new();
    from.take(BLOCK as u64).read_to_end(&mut block).unwrap();
    block
}

/// Reads everything, in blocks.
fn blocks(from: &mut ChildStdout) -> Vec<u8> {
    let mut all = Vec::new();
    for read in 0.. {
        let block = block(from, read);
        if block.is_empty() {
            break;
        }
        all.extend(block);
    }
    all
}

/// Returns the line numbers in JSON lines, without an incomplete last line.
fn numbers(output: &[u8]) -> Vec<usize> {
    let whole = output.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    records(&output[..whole]).iter().map(|record| number(record.text("kata_msg").unwrap())).collect()
}

#[test]
fn fluentd_reads_msgpack_in_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kata.log");
    fs::write(&log, lines(0..6000)).unwrap();
    let state = folder.path().join("state");
    let mut child = child(&format!("ship --for fluentd-exec --once --state-dir {}", state.display()), &log);
    let output = blocks(child.stdout.as_mut().unwrap());
    assert!(child.wait().unwrap().success());
    let mut rest = &output[..];
    for number in 0..6000 {
        let record = rmpv::decode::read_value(&mut rest).unwrap();
        let text = |key: &str| {
            let pairs = record.as_map().unwrap();
            pairs.iter().find(|(name, _)| name.as_str() == Some(key)).and_then(|(_, value)| value.as_str()).unwrap()
        };
        assert_eq!(text("kata_msg"), format!("line {number}"));
        assert_eq!((text("tag"), text("event_time")), ("kata.runtime", format!("1924992000.{number:09}").as_str()));
    }
    assert!(rest.is_empty());
}

/// Checks that every record has a time, in a form that the host supports.
#[test]
fn each_record_has_a_time() {
    let input =
        b"level=info msg=none\ntime=\"1931-01-01T00:00:00Z\" level=info msg=before\ntime=\"2200-01-01T00:00:00Z\" \
                  level=info msg=beyond\ntime=\"2031-01-01T00:00:00.5Z\" level=info msg=known\n";
    for (form, known) in [
        ("rfc3339", Value::from("2031-01-01T00:00:00.500000000Z")),
        ("unix", Value::from("1924992000.500000000")),
        ("unix-seconds", Value::from(1_924_992_000)),
        ("unix-nanoseconds", Value::from(1_924_992_000_500_000_000_i64)),
    ] {
        for schema in ["kata", "ecs", "otel"] {
            let setup =
                Setup::new(&["--time-key", "when", "--time-format", form, "--tag-key", "tag", "--schema", schema]);
            let records = setup.records(input);
            assert_eq!(records.len(), 4);
            assert!(records.iter().all(|record| record.get("tag").is_some()));
            assert_eq!(records[3].get("when"), Some(&known), "{form}, {schema}");
            // A record without a time has its time of reading, whose value is not known here.
            let read = records[0].get("when").unwrap();
            assert!(!read.is_null());
            for record in &records[1..3] {
                assert_eq!(record.get("when"), Some(read), "{form}, {schema}");
            }
        }
    }
    let mut command = katalog();
    command.args(["--time-key", "when", "--time-format", "unix-seconds", "--others", "pass"]);
    let mut child = command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"level=info msg=none\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(record["when"].as_i64().unwrap() > 1_700_000_000, "{record}");
}

/// Checks that lines arrive as soon as they are written, and that the program ends when its reader does.
#[test]
fn lines_come_whole_and_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kata.log");
    fs::write(&log, lines(0..1)).unwrap();
    let mut child = child("ship --for fluent-bit-exec --no-state", &log);
    let stdout = child.stdout.take().unwrap();
    let (send, receive) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().take(50) {
            send.send(line.unwrap()).unwrap();
        }
    });
    let mut file = OpenOptions::new().append(true).open(&log).unwrap();
    for number in 1..=50 {
        let line: Value = serde_json::from_str(&receive.recv_timeout(TIMEOUT).unwrap()).unwrap();
        assert_eq!(line["kata_msg"], format!("line {}", number - 1));
        if number < 50 {
            file.write_all(lines(number..number + 1).as_bytes()).unwrap();
        }
    }
    reader.join().unwrap();
    // After the reader has gone, the next line ends the program without a message.
    let (send, receive) = mpsc::channel();
    let waiter = std::thread::spawn(move || send.send(child.wait().unwrap()).unwrap());
    file.write_all(lines(50..51).as_bytes()).unwrap();
    assert!(receive.recv_timeout(TIMEOUT).unwrap().success());
    waiter.join().unwrap();
}

/// Ends the program in the middle by SIGTERM, which delivers pending records, and restarts it until everything has
/// arrived.
#[test]
fn what_is_told_to_end_goes_on_without_gap_and_without_duplicate() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kata.log");
    fs::write(&log, lines(0..12_000)).unwrap();
    let state = folder.path().join("state");
    let mut seen = Vec::new();
    for run in 0.. {
        let flags = format!("ship --for fluent-bit-exec --once --batch-size 16K --state-dir {}", state.display());
        let mut child = child(&flags, &log);
        let stdout = child.stdout.as_mut().unwrap();
        let mut output: Vec<u8> = (0..run * 7).flat_map(|read| block(stdout, read)).collect();
        output.extend(blocks_after_term(&mut child, run < 5));
        assert!(output.is_empty() || output.ends_with(b"\n"), "no line without its end");
        seen.extend(numbers(&output));
        if run == 5 {
            break;
        }
    }
    assert!(seen.iter().copied().eq(0..12_000), "{} lines", seen.len());
}

fn blocks_after_term(child: &mut Child, ended: bool) -> Vec<u8> {
    if ended {
        // The program may have exited already.
        _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).stderr(Stdio::null()).status();
    }
    let output = blocks(child.stdout.as_mut().unwrap());
    let status = child.wait().unwrap();
    assert!(status.success() || std::os::unix::process::ExitStatusExt::signal(&status) == Some(15), "{status}");
    output
}

/// Kills the program after any number of blocks, and restarts it until everything has arrived. Nothing is lost; lines
/// since the last saved position come twice; only the last line of a pipe may be incomplete.
#[test]
fn what_is_killed_goes_on_without_gap() {
    const BATCH: usize = 16 << 10;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kata.log");
    fs::write(&log, lines(0..12_000)).unwrap();
    let state = folder.path().join("state");
    let mut seen = BTreeSet::new();
    let mut next = 0;
    for run in 0_usize.. {
        let flags = format!("ship --for fluent-bit-exec --once --batch-size 16K --state-dir {}", state.display());
        let mut child = child(&flags, &log);
        let stdout = child.stdout.as_mut().unwrap();
        let mut output: Vec<u8> = (0..1 + run * 5).flat_map(|read| block(stdout, read)).collect();
        if run < 9 {
            child.kill().unwrap();
        }
        output.extend(blocks(child.stdout.as_mut().unwrap()));
        let status = child.wait().unwrap();
        let read = numbers(&output);
        if let Some(first) = read.first().copied() {
            assert!(read.iter().copied().eq(first..first + read.len()), "in order, each once");
            assert!(first <= next, "lines {next} to {first} are lost");
            let twice =
                output.split_inclusive(|byte| *byte == b'\n').take(next - first).map(<[u8]>::len).sum::<usize>();
            // A single read takes at most this much more input.
            assert!(twice <= BATCH + (1 << 20), "{twice} bytes come twice");
            next = next.max(first + read.len());
            seen.extend(read);
        }
        if run == 9 {
            assert!(status.success());
            break;
        }
    }
    assert!(seen.into_iter().eq(0..12_000));
}

/// Checks the output as Fluent Bit reads it: each `fgets` with its buffer returns exactly one whole line.
fn is_read_by_fluent_bit(output: &[u8]) {
    for line in output.split_inclusive(|byte| *byte == b'\n') {
        assert!(line.len() <= LINE && line.ends_with(b"\n"), "{} bytes", line.len());
        assert!(!line.contains(&0));
    }
    records(output);
}

#[test]
fn no_line_is_longer_than_fluent_bit_reads() {
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/inputs");
    let whole = Setup::new(&[]);
    let mut shortened = 0;
    for schema in ["kata", "ecs", "otel"] {
        let setup = Setup::new(&[
            "ship",
            "--for",
            "fluent-bit-exec",
            "--others",
            "pass",
            "--tag-key",
            "tag",
            "--schema",
            schema,
        ]);
        for entry in fs::read_dir(&inputs).unwrap() {
            let path = entry.unwrap().path();
            if !path.extension().is_some_and(|extension| extension == "log" || extension == "ndjson") {
                continue;
            }
            let mut bytes = Vec::new();
            File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
            is_read_by_fluent_bit(&setup.run(&bytes, &Cuts::whole()).bytes);
            if schema == "kata" {
                let limited = Setup::new(&["ship", "--for", "fluent-bit-exec"]);
                let before = whole.run(&bytes, &Cuts::whole()).bytes;
                let after = limited.run(&bytes, &Cuts::whole()).bytes;
                let (mut before, mut after) =
                    [&before, &after].map(|output| output.split_inclusive(|byte| *byte == b'\n')).into();
                for (before, after) in before.by_ref().zip(after.by_ref()) {
                    let says = after.windows(11).any(|text| text == b"\"truncated\"");
                    shortened += usize::from(before.len() > LINE);
                    assert!(if before.len() <= LINE { before == after } else { says });
                }
                assert!(before.next().is_none() && after.next().is_none());
            }
        }
    }
    assert!(shortened > 2, "{shortened} records of the fixtures are too long");
}

/// Checks the order in which fields are shortened and dropped.
#[test]
fn a_long_record_is_shortened_where_it_says_least() {
    let setup = Setup::new(&["ship", "--for", "fluent-bit-exec", "--tag-key", "tag"]);
    let journal = |message: &str| {
        let message = serde_json::to_string(message).unwrap();
        format!(
            "{{\"__REALTIME_TIMESTAMP\":\"1700000000000000\",\"_TRANSPORT\":\"syslog\",\"_UID\":\"0\",\"SYSLOG_IDENTIFIER\":\"kata\",\"_BOOT_ID\":\
             \"590edceeef5545a784ec8c6181a10400\",\"MESSAGE\":{message}}}\n"
        )
    };
    let one = |input: &str| {
        let output = setup.run(input.as_bytes(), &Cuts::whole()).bytes;
        is_read_by_fluent_bit(&output);
        (output.len(), records(&output).remove(0))
    };
    let sandbox = "a".repeat(64);
    // Without its duplicate field the record is short enough.
    let text = "é".repeat(1000);
    let (_, record) =
        one(&journal(&format!("level=info msg=\"{text}\" sandbox={sandbox} time=\"2031-01-01T00:00:00Z\"")));
    assert_eq!((record.get("MESSAGE"), record.text("kata_msg")), (None, Some(&*text)));
    assert_eq!(record.get("kata_flaws").unwrap(), &serde_json::json!(["truncated"]));
    // The longest text is shortened; fields that identify stay whole.
    let text = "é".repeat(90_000);
    let (length, record) =
        one(&journal(&format!("level=info msg=\"{text}\" sandbox={sandbox} error=\"{}\"", "e".repeat(900))));
    assert!(length > LINE - 4, "{length} bytes are as much as there is room for");
    assert!(text.starts_with(record.text("kata_msg").unwrap()));
    assert_eq!(record.text("kata_sandbox"), Some(&*sandbox));
    assert_eq!(record.text("kata_error").unwrap().len(), 900);
    assert_eq!((record.text("tag"), record.text("_BOOT_ID").map(str::len)), (Some("kata.shimv2"), Some(32)));
    // So many fields that some are dropped: the envelope's first.
    let pairs: String = (0..400).map(|key| format!(" key{key}=value{key}")).collect();
    let (length, record) = one(&journal(&format!("level=info msg=many sandbox={sandbox}{pairs}")));
    assert!(length > LINE - 200, "{length}");
    assert_eq!((record.text("kata_msg"), record.text("tag")), (Some("many"), Some("kata.shimv2")));
    assert_eq!(record.get("_BOOT_ID"), None);
}

proptest! {
    #![proptest_config(cases(32))]

    /// Checks that the line of any entry is valid and short.
    #[test]
    fn any_record_fits(
        keys in prop::collection::vec(("[a-zA-Z.\\-]{1,200}", prop::collection::vec(any::<u8>(), 0..3000)), 0..60),
        tag in "[a-z{}]{0,1}(\\{component\\}|\\{identifier\\}){0,17}[a-z]{1,40}",
        schema in prop::sample::select(vec!["kata", "ecs", "otel"]),
        others in prop::sample::select(vec!["kata", "other"]),
    ) {
        prop_assume!(!tag.starts_with(['{', '}']) || tag.starts_with("{c") || tag.starts_with("{i"));
        let mut input = format!("__REALTIME_TIMESTAMP=1700000000000000\nSYSLOG_IDENTIFIER={others}\n").into_bytes();
        let mut field = |key: &str, value: &[u8]| {
            input.extend_from_slice(key.as_bytes());
            input.push(b'\n');
            input.extend_from_slice(&(value.len() as u64).to_le_bytes());
            input.extend_from_slice(value);
            input.push(b'\n');
        };
        let mut message = b"time=\"2031-01-01T00:00:00Z\" level=info msg=x".to_vec();
        for (number, (key, value)) in keys.iter().enumerate() {
            field(&format!("F{number}_{}", key.to_uppercase().replace(['.', '-'], "_").chars().take(50).collect::<String>()), value);
            message.extend_from_slice(format!(" {key}=").as_bytes());
            message.extend_from_slice(serde_json::to_string(&String::from_utf8_lossy(value)).unwrap().as_bytes());
        }
        field("MESSAGE", &message);
        input.push(b'\n');
        let flags = ["ship", "--for", "fluent-bit-exec", "--input-format", "export", "--others", "pass", "--tag", &tag, "--tag-key", "tag", "--time-key", "when",
            "--record-id", "id", "--schema", schema];
        let output = Setup::new(&flags).run(&input, &Cuts::whole()).bytes;
        is_read_by_fluent_bit(&output);
        let records = records(&output);
        prop_assert_eq!(records.len(), 1);
        for own in ["tag", "when", "id"] {
            prop_assert!(records[0].get(own).is_some());
        }
        let packed = Setup::new(&[&flags[3..], &["--format", "msgpack", "--max-record", "4000"]].concat());
        let packed = packed.run(&input, &Cuts::whole()).bytes;
        prop_assert!(packed.len() <= 4000 && matches!(rmpv::decode::read_value(&mut &packed[..]), Ok(Packed::Map(_))));
    }
}

/// Returns the values of a directive of Fluentd's configuration, such as `<match` or `command`.
fn values<'c>(conf: &'c str, directive: &str) -> Vec<&'c str> {
    let lines = conf.lines().map(str::trim);
    lines
        .filter_map(|line| line.strip_prefix(directive)?.strip_prefix(' '))
        .map(|value| value.trim_end_matches('>'))
        .collect()
}

#[test]
fn records_of_the_filter_do_not_come_back_to_it() {
    let conf = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fluentd/exec-filter.conf")).unwrap();
    let (before, inside) = conf.split_once("<label @KATA>").unwrap();
    assert_eq!(values(before, "@label"), ["@KATA"], "records come back inside the label");
    let patterns: Vec<&str> =
        values(inside, "<match").iter().map(|match_| match_.strip_suffix("**").unwrap()).collect();
    let entry = |identifier: &str, message: &str| {
        let entry = serde_json::json!({
            "__REALTIME_TIMESTAMP": "1709614914163108", "_TRANSPORT": "syslog", "_UID": "1000",
            "SYSLOG_IDENTIFIER": identifier, "MESSAGE": message,
        });
        format!("{entry}\n")
    };
    let identifiers = ["journal.loop", "containerd", "kata.runtime", "others.x"];
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    let own = entry("kata", "time=\"2024-03-05T05:01:54Z\" level=info msg=x name=kata-runtime pid=1 source=runtime")
        .replace("\"1000\"", "\"0\"");
    fs::write(&input, identifiers.map(|identifier| entry(identifier, "text")).concat() + &own).unwrap();
    let command = values(before, "command")[0].strip_prefix("katalog ").unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec \"$KATALOG\" {command}")]).env("KATALOG", env!("CARGO_BIN_EXE_katalog"));
    let output = shell.stdin(File::open(&input).unwrap()).output().unwrap();
    let mut rest = output.stdout.as_slice();
    let mut tags = Vec::new();
    while !rest.is_empty() {
        let record = rmpv::decode::read_value(&mut rest).unwrap();
        let tag = record.as_map().unwrap().iter().find(|(key, _)| key.as_str() == Some("tag")).unwrap().1.clone();
        let tag = tag.as_str().unwrap().to_owned();
        assert_eq!(patterns.iter().filter(|pattern| tag.starts_with(**pattern)).count(), 1, "{tag} has one output");
        tags.push(tag);
    }
    let others = identifiers.map(|identifier| format!("others.{identifier}"));
    assert_eq!(tags, [&others[..], &["kata.runtime".to_owned()]].concat());
}
