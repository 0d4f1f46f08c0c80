//! Archives and compressed journals give the records of their files, and name the members that cannot be read.

mod directories;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::journal::samples::services;
use crate::support::journal::{Shape, compare, file};
use crate::support::{expect_exit, katalog, stderr, with_limit};

/// A compression: the suffix of the file name, and the function that compresses.
type Compression = (&'static str, fn(&[u8]) -> Vec<u8>);

/// No compression, and every codec of the build.
const COMPRESSIONS: &[Compression] = &[
    ("", <[u8]>::to_vec),
    #[cfg(feature = "gzip")]
    (".gz", gzip),
    #[cfg(feature = "xz")]
    (".xz", xz),
    #[cfg(feature = "zstd")]
    (".zst", zstd),
];

#[cfg(feature = "gzip")]
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[cfg(feature = "xz")]
fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 3);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[cfg(feature = "zstd")]
fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// Returns an archive of files with these names.
pub(crate) fn tar<'m>(members: impl IntoIterator<Item = (&'m str, &'m [u8])>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, path, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn stdout_of(folder: &Path, arguments: &[&str]) -> String {
    let output = expect_exit(katalog().current_dir(folder).args(arguments), 0);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the counters, which are the last line on standard error.
fn counted(output: &Output) -> Value {
    serde_json::from_str(stderr(output).lines().last().unwrap()).unwrap()
}

fn inputs() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/inputs");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &Path| format!("kata/{}", path.file_name().unwrap().to_str().unwrap());
    let inputs: Vec<_> = paths.iter().map(|path| (name(path), fs::read(path).unwrap())).collect();
    assert!(inputs.len() > 10);
    inputs
}

#[test]
fn logs_in_an_archive_give_the_records_of_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs();
    fs::create_dir(folder.path().join("kata")).unwrap();
    inputs.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
    let names: Vec<&str> = inputs.iter().map(|(name, _)| name.as_str()).collect();
    let expected = stdout_of(folder.path(), &names);
    assert!(expected.lines().count() > 1000);
    let plain = tar(inputs.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    for (ending, pack) in COMPRESSIONS.iter().copied() {
        let name = format!("bundle.tar{ending}");
        fs::write(folder.path().join(&name), pack(&plain)).unwrap();
        assert!(stdout_of(folder.path(), &[&name]) == expected, "{name}");
        assert!(stdout_of(folder.path(), &[&name, "--threads", "3"]) == expected, "{name}, three threads");
        for stdin in [Stdio::from(File::open(folder.path().join(&name)).unwrap()), piped(&pack(&plain))] {
            let output = expect_exit(katalog().stdin(stdin), 0);
            assert!(output.stdout == expected.as_bytes(), "{name} from standard input");
        }
        // Each member compressed by itself, in an archive whose name has no meaning.
        let packed: Vec<_> = inputs.iter().map(|(name, bytes)| (format!("{name}{ending}"), pack(bytes))).collect();
        let members = packed.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        fs::write(folder.path().join("odd name"), tar(members)).unwrap();
        assert!(stdout_of(folder.path(), &["odd name"]) == expected, "{ending} in an archive");
    }
}

/// Returns a pipe that delivers these bytes.
pub(crate) fn piped(bytes: &[u8]) -> Stdio {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let bytes = bytes.to_vec();
    std::thread::spawn(move || writer.write_all(&bytes).unwrap());
    reader.into()
}

/// Returns two files of one journal.
fn journals() -> [(&'static str, Vec<u8>); 2] {
    let entries = services(60);
    let (first, second) = entries.split_at(40);
    let later = Shape { first_seqnum: 41, file_id: 7, ..Shape::default() };
    [("j/system@1.journal", file(&Shape::default(), first)), ("j/system.journal", file(&later, second))]
}

#[test]
fn journals_in_an_archive_are_one_journal() {
    let folder = tempfile::tempdir().unwrap();
    let journals = journals();
    fs::create_dir(folder.path().join("j")).unwrap();
    journals.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
    let runs =
        [&["--format", "export"][..], &[], &["--lines", "7"], &["--others", "pass"], &["--since", "@1700000035"]];
    let records = |name: &str| -> Vec<String> {
        runs.iter().map(|arguments| stdout_of(folder.path(), &[&[name], *arguments].concat())).collect()
    };
    let expected = records("j");
    assert_eq!(compare::entries(expected[0].as_bytes()).len(), 60);
    assert_eq!(expected[2].lines().count(), 7);
    // The later file first: the order of the members is not the order of the entries.
    let plain = tar(journals.iter().rev().map(|(name, bytes)| (*name, bytes.as_slice())));
    for (ending, pack) in COMPRESSIONS.iter().copied() {
        let name = format!("journals.tar{ending}");
        fs::write(folder.path().join(&name), pack(&plain)).unwrap();
        assert_eq!(records(&name), expected, "{name}");
        let packed: Vec<_> = journals.iter().map(|(name, bytes)| (format!("{name}{ending}"), pack(bytes))).collect();
        let members = packed.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        let inside = tar(members.chain([("ls.txt", b"nothing".as_slice())]));
        fs::write(folder.path().join("inside.tar"), &inside).unwrap();
        fs::write(folder.path().join("inside.tar.packed"), pack(&inside)).unwrap();
        assert_eq!(records("inside.tar"), expected, "{ending} in an archive");
        assert_eq!(records("inside.tar.packed"), expected, "{ending} in an archive that is compressed");
        for (arguments, expected) in runs.iter().zip(&expected) {
            let output = expect_exit(katalog().args(*arguments).stdin(piped(&pack(&plain))), 0);
            assert!(output.stdout == expected.as_bytes(), "{name} from a pipe, {arguments:?}");
        }

        if ending.is_empty() {
            continue;
        }
        // In a directory, alone and beside the uncompressed files.
        let directory = format!("packed{ending}");
        fs::create_dir(folder.path().join(&directory)).unwrap();
        for (name, bytes) in &packed {
            fs::write(folder.path().join(&directory).join(Path::new(name).file_name().unwrap()), bytes).unwrap();
        }
        assert_eq!(records(&directory), expected, "{directory}");
        let (name, bytes) = &packed[0];
        fs::write(folder.path().join(name), bytes).unwrap();
        assert_eq!(records("j"), expected, "with a copy in {ending}");
        fs::remove_file(folder.path().join(name)).unwrap();
    }
}

#[test]
fn a_journal_may_come_through_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let journal = file(&Shape::default(), &services(60));
    fs::write(folder.path().join("x.journal"), &journal).unwrap();
    fs::write(folder.path().join("kata.log"), b"level=info msg=log name=kata-agent\n").unwrap();
    for arguments in [
        &["--format", "export"][..],
        &["--format", "journal-json", "--threads", "3"],
        &[],
        &["--threads", "3", "--others", "pass"],
        &["--lines", "7"],
        &["--sort", "time"],
        &["--record-id", "id"],
    ] {
        let expected = stdout_of(folder.path(), &[&["x.journal"], arguments].concat());
        assert!(!expected.is_empty());
        for (ending, pack) in COMPRESSIONS.iter().copied() {
            let output = expect_exit(katalog().args(arguments).stdin(piped(&pack(&journal))), 0);
            assert!(output.stdout == expected.as_bytes(), "{arguments:?}, {ending}");
        }
    }
    // Beside other inputs, the pipe keeps its position.
    let expected = ["x.journal", "kata.log"].map(|name| stdout_of(folder.path(), &[name])).concat();
    let output = expect_exit(katalog().current_dir(folder.path()).args(["-", "kata.log"]).stdin(piped(&journal)), 0);
    assert!(output.stdout == expected.as_bytes());
}

#[test]
fn of_a_pipe_that_holds_half_a_journal_or_none_it_is_said() {
    let journal = file(&Shape::default(), &services(2000));
    for (ending, pack) in COMPRESSIONS.iter().copied() {
        let whole = pack(&journal);
        let output = katalog().args(["--stats", "json"]).stdin(piped(&whole[..whole.len() / 2])).output().unwrap();
        let code = if ending.is_empty() { 0 } else { 65 };
        assert_eq!(output.status.code(), Some(code), "{ending}: {}", stderr(&output));
        assert!(counted(&output)["damage"]["truncated-file"] == 1, "{ending}: {}", stderr(&output));
        if !ending.is_empty() {
            assert!(stderr(&output).contains("failed to read standard input: its "), "{}", stderr(&output));
        }
    }
    for input in [b"level=info msg=log name=kata-agent\n".as_slice(), b""] {
        let output = expect_exit(katalog().args(["--format", "export"]).stdin(piped(input)), 65);
        assert!(stderr(&output).contains("standard input: it is no journal file, and --format export"));
        assert!(output.stdout.is_empty());
    }
    let output = expect_exit(katalog().args(["--journal-backend", "libsystemd"]).stdin(piped(&journal)), 65);
    assert!(stderr(&output).contains("leave out --journal-backend"), "{}", stderr(&output));
}

#[test]
fn logs_come_before_journals_and_inputs_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let journal = file(&Shape::default(), &services(5));
    let archive = tar([("system.journal", journal.as_slice()), ("kata.log", b"level=info msg=log name=kata-agent\n")]);
    fs::write(folder.path().join("a.tar"), archive).unwrap();
    fs::write(folder.path().join("b.log"), "level=info msg=last name=kata-agent\n").unwrap();
    let output = stdout_of(folder.path(), &["a.tar", "b.log"]);
    let records: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<&str> = records.iter().map(|record| record["kata_msg"].as_str().unwrap()).collect();
    assert_eq!(messages, ["log", "entry 0 of kata", "entry 2 of kata-runtime", "entry 4 of kata", "last"]);
}

#[test]
fn a_report_on_a_host_gives_what_is_katas() {
    let folder = tempfile::tempdir().unwrap();
    let kata = "time=\"2024-05-06T07:08:09Z\" level=info msg=own name=containerd-shim-v2 source=virtcontainers\n";
    let journal = file(&Shape::default(), &services(10));
    let boot = format!("no identifier\npanic: not Kata's\n{kata}");
    let messages = "May  6 07:08:09 node kata[12]: level=warning msg=\"from messages\" name=containerd-shim-v2\n\
                    May  6 07:08:10 node sshd[13]: not Kata's\n";
    let container = "2024-05-06T07:08:09.1Z stdout F a container's line\n";
    let top = "sosreport-kata-node-1";
    let members: [(String, &[u8]); 12] = [
        (format!("{top}/etc/hosts"), b"127.0.0.1 localhost\n"),
        (format!("{top}/etc/kata-containers/configuration.toml"), b"[hypervisor.qemu]\n"),
        (format!("{top}/proc/cpuinfo"), b"model name: x\n"),
        (format!("{top}/sos_commands/process/ps_auxwww"), b"root 1 kata-runtime\n"),
        (format!("{top}/var/log/boot.log"), boot.as_bytes()),
        (format!("{top}/var/log/messages"), messages.as_bytes()),
        (format!("{top}/var/log/containers/app.log"), container.as_bytes()),
        (format!("{top}/var/log/journal/1/system.journal"), &journal),
        (format!("{top}/var/log/kata/agent"), b"free text of Kata's\n"),
        (format!("{top}/var/log/lastlog"), &[0, 1, 2]),
        (format!("{top}/var/lib/x.bin"), &[0xff; 700]),
        (format!("{top}/sos_commands/crio/crio_config"), b"[crio]\n"),
    ];
    fs::write(folder.path().join("sos.tar"), tar(members.iter().map(|(name, bytes)| (name.as_str(), *bytes)))).unwrap();
    let output = expect_exit(katalog().current_dir(folder.path()).args(["sos.tar", "-v", "--stats", "json"]), 0);
    let records = String::from_utf8(output.stdout.clone()).unwrap();
    let records: Vec<Value> = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<&str> = records.iter().filter_map(|record| record["kata_msg"].as_str()).collect();
    assert_eq!(messages[..3], ["own", "from messages", "free text of Kata's"]);
    assert_eq!((messages.len(), records.len()), (9, 9), "{messages:?}");
    assert!(records.iter().all(|record| record.get("kata_guest").is_none()));
    let counted = counted(&output);
    // Two lines of boot.log, one each of messages, a container and crio; of the journal every entry that is not Kata's.
    assert_eq!(counted["dropped"]["others"], 5 + 4, "{counted}");
    assert_eq!(counted["members"], 6, "{counted}");
    assert!(stderr(&output).contains("sos.tar:sosreport-kata-node-1/etc/hosts\": passed over"), "{}", stderr(&output));
    assert!(counted.get("damage").is_none());

    // The rule holds whatever `--default-identifier` says. A file named on the command line counts as Kata's.
    let arguments = ["sos.tar", "--default-identifier", "kata-agent", "--input-format", "text"];
    let output = expect_exit(katalog().current_dir(folder.path()).args(arguments), 0);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("no identifier"));
    fs::write(folder.path().join("boot.log"), &boot).unwrap();
    assert!(stdout_of(folder.path(), &["boot.log"]).contains("no identifier"));
}

#[test]
fn members_have_ids_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let line = b"level=info msg=same name=kata-agent\n".as_slice();
    for name in ["a.tar", "b.tar"] {
        fs::write(folder.path().join(name), tar([("1/kata.log", line), ("2/kata.log", line)])).unwrap();
    }
    let ids = |name| -> Vec<Value> {
        let records = stdout_of(folder.path(), &[name, "--record-id", "id"]);
        records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect()
    };
    let [one, two] = &ids("a.tar")[..] else { panic!() };
    assert_ne!(one, two);
    assert_eq!(ids("b.tar"), [one.clone(), two.clone()], "where the archive is stored does not matter");
}

#[test]
fn a_cut_archive_gives_no_more_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let log: String = (0..60).map(|line| format!("level=info msg=\"line {line}\" name=kata-agent\n")).collect();
    let journal = file(&Shape { buckets: (3, 3), ..Shape::default() }, &services(20));
    let plain = tar([("kata.log", log.as_bytes()), ("x.journal", &journal), ("b/kata.log", log.as_bytes())]);
    for (ending, pack) in COMPRESSIONS.iter().copied() {
        let whole = pack(&plain);
        let path = folder.path().join(format!("whole.tar{ending}"));
        fs::write(&path, &whole).unwrap();
        let all = stdout_of(folder.path(), &[path.to_str().unwrap()]);
        assert_eq!(all.lines().count(), 60 + 12 + 60);
        let all: Vec<&str> = all.lines().collect();
        let end = plain.len() - 1024;
        for cut in (512..whole.len()).step_by(512) {
            let path = folder.path().join("cut.tar");
            fs::write(&path, &whole[..cut]).unwrap();
            // An archive ends with two blocks. Behind the first, nothing is missing.
            let sound = ending.is_empty() && cut > end;
            let output = expect_exit(katalog().arg(&path), if sound { 0 } else { 65 });
            let records = String::from_utf8(output.stdout).unwrap();
            let records: Vec<&str> = records.lines().collect();
            let extra: Vec<&&str> = records.iter().filter(|line| !all.contains(line)).collect();
            assert!(records.len() <= all.len() && extra.len() <= 1, "{ending}, {cut}: {extra:?}");
            assert!(extra.iter().all(|line| line.contains("kata_flaws")), "{ending}, {cut}: {extra:?}");
            let errors = String::from_utf8_lossy(&output.stderr);
            let (first, rest) = errors.split_once('\n').unwrap_or_default();
            assert!(
                if sound { errors.is_empty() } else { first.contains("cut.tar\": it") },
                "{ending}, {cut}: {errors}"
            );
            // Of the journal, not even the header may be there.
            assert!(rest.is_empty() || rest.contains("cut.tar:x.journal"), "{ending}, {cut}: {errors}");
        }
    }
}

#[test]
fn what_cannot_be_read_of_an_archive_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let deepest = tar([("kata.log", b"x\n".as_slice())]);
    let inner = tar([("deep.tar", deepest.as_slice()), ("kata.log", b"inner\n")]);
    let archive = tar([
        ("bad.journal", b"LPKSHHRH and no more".as_slice()),
        ("broken.log.gz", b"\x1f\x8b\x08 nonsense"),
        ("inner.tar", &inner),
        ("kata.log", b"last\n"),
    ]);
    fs::write(folder.path().join("a.tar"), archive).unwrap();
    let output = expect_exit(katalog().current_dir(folder.path()).args(["a.tar", "-v", "--stats", "json"]), 65);
    let errors = stderr(&output);
    assert!(errors.contains("failed to read \"a.tar:bad.journal\": its 20 bytes are fewer"), "{errors}");
    let gzip = if cfg!(feature = "gzip") { "its gzip data is damaged" } else { "cargo feature `gzip`" };
    assert!(errors.contains("failed to read \"a.tar:broken.log.gz\": ") && errors.contains(gzip), "{errors}");
    assert!(errors.contains("a.tar:inner.tar:deep.tar\": nested-archive: 1"), "{errors}");
    assert_eq!(counted(&output)["damage"]["nested-archive"], 1);
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    expect_exit(katalog().current_dir(folder.path()).args(["a.tar", "--journal-backend", "libsystemd"]), 65);
}

#[test]
fn an_archive_is_neither_followed_nor_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.tar"), tar([("kata.log", b"x\n".as_slice())])).unwrap();
    for arguments in [&["--follow"][..], &["ship", "--once", "--state-dir", "state"]] {
        let output = expect_exit(katalog().current_dir(folder.path()).args(arguments).arg("a.tar"), 64);
        assert!(stderr(&output).contains("cannot follow or resume \"a.tar\": it is an archive"), "{}", stderr(&output));
        assert!(!folder.path().join("state").exists());
    }
}

#[cfg(feature = "zstd")]
#[test]
fn a_compressed_journal_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.journal.zst"), zstd(&file(&Shape::default(), &services(5)))).unwrap();
    let once = ["ship", "x.journal.zst", "--once", "--state-dir", "state"];
    assert_eq!(stdout_of(folder.path(), &once).lines().count(), 3);
    let again = expect_exit(katalog().current_dir(folder.path()).args(once), 0);
    assert!(again.stdout.is_empty() && stderr(&again).contains("nothing new"), "{}", stderr(&again));
    fs::write(folder.path().join("x.journal.zst"), zstd(&file(&Shape::default(), &services(10)))).unwrap();
    assert_eq!(stdout_of(folder.path(), &once).lines().count(), 3);
}

#[cfg(feature = "zstd")]
#[test]
fn of_a_damaged_compressed_journal_the_beginning_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let journal = file(&Shape { compression: None, ..Shape::default() }, &services(2000));
    let whole = zstd(&journal);
    let cut = &whole[..whole.len() * 3 / 4];
    fs::write(folder.path().join("x.journal.zst"), cut).unwrap();
    let mut unpacked = Vec::new();
    _ = std::io::copy(&mut zstd::Decoder::new(cut).unwrap(), &mut unpacked);
    assert!(unpacked.len() > journal.len() / 3);
    fs::write(folder.path().join("x.journal"), unpacked).unwrap();
    let expected = expect_exit(katalog().current_dir(folder.path()).args(["x.journal"]), 0).stdout;
    let output = expect_exit(katalog().current_dir(folder.path()).args(["x.journal.zst", "--stats", "json"]), 65);
    assert!(expected.len() > 10_000 && output.stdout.starts_with(&expected), "{} bytes", expected.len());
    assert!(stderr(&output).contains("\"x.journal.zst\": its zstd data is damaged or cut off"), "{}", stderr(&output));
    assert_eq!(counted(&output)["damage"]["truncated-file"], 1);

    fs::write(folder.path().join("no.journal.zst"), zstd(b"no journal")).unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::rename(folder.path().join("no.journal.zst"), folder.path().join("d/no.journal.zst")).unwrap();
    let output = expect_exit(katalog().current_dir(folder.path()).arg("d"), 65);
    assert!(stderr(&output).contains("\"d/no.journal.zst\": it is not a systemd journal file"), "{}", stderr(&output));
}

#[cfg(feature = "gzip")]
#[test]
fn without_room_to_unpack_the_directory_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let journal = file(&Shape::default(), &services(300));
    assert!(journal.len() > 60_000);
    fs::write(folder.path().join("x.journal.gz"), gzip(&journal)).unwrap();
    let archive = gzip(&tar([("x.journal", journal.as_slice()), ("kata.log", b"log\n")]));
    fs::write(folder.path().join("a.tgz"), archive).unwrap();
    for (name, input) in [("x.journal.gz", "x.journal.gz"), ("a.tgz", "a.tgz:x.journal")] {
        let command = &mut katalog();
        let output = expect_exit(command.current_dir(folder.path()).env("TMPDIR", "/no/such").arg(name), 74);
        let errors = stderr(&output);
        assert!(errors.contains(&format!("failed to unpack \"{input}\"")), "{errors}");
        assert!(errors.contains("in \"/no/such\"; set TMPDIR to another directory"), "{errors}");
        assert_eq!(output.stdout.is_empty(), name == "x.journal.gz", "the log is read all the same");

        // The limit simulates a full disk.
        let command = &mut katalog();
        let output = expect_exit(&mut with_limit("-f 100", command.current_dir(folder.path()).arg(name)), 74);
        let errors = stderr(&output);
        assert!(errors.contains(&format!("failed to unpack \"{input}\": File too large")), "{errors}");
    }
}
