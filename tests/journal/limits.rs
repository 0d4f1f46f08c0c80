//! Values of any size: they are cut at a limit, and take no more memory than it.

use std::fs::File;
use std::process::Command;

use super::write_file;
use crate::support::journal::samples::{BOOT, service, services};
use crate::support::journal::write::Codec;
use crate::support::journal::{Shape, compare, file};

const MIB: usize = 1 << 20;

/// Runs the program with a limit on its memory, in MiB. Returns its output.
pub(super) fn limited(megabytes: usize, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("prlimit");
    command.arg(format!("--data={}", megabytes * MIB)).arg(env!("CARGO_BIN_EXE_katalog")).args(arguments);
    let output = command.env("KATALOG_STATS", "none").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn a_long_value_is_cut_and_takes_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    for (name, codec) in
        [("plain", None), ("xz", Some(Codec::Xz)), ("lz4", Some(Codec::Lz4)), ("zstd", Some(Codec::Zstd))]
    {
        let long = |filler: &str| format!("long {}", filler.repeat(16 * MIB));
        let mut entries = services(6);
        entries[0] = entries[0].clone().with("LONG", long("\u{1}"));
        entries[2].fields.pop();
        entries[2] = entries[2].clone().with("MESSAGE", long("\u{1}")).with("LAST", "x");
        let shape = Shape { compression: codec.map(|codec| (codec, 512)), ..Shape::default() };
        let path = write_file(folder.path(), format!("{name}.journal"), file(&shape, &entries));
        let path = path.to_str().unwrap();
        for flags in [&["--threads=4"][..], &["--threads=1", "--max-line=2K"]] {
            let limit = if flags.contains(&"--max-line=2K") { 2 << 10 } else { MIB };
            // A frame of Zstandard takes as much as its content, although little of it is written.
            let memory = if name == "zstd" { 112 } else { 96 };
            let output = limited(memory, &[flags, &["--keep=*", path]].concat());
            let found: Vec<serde_json::Value> = output
                .split_inclusive(|byte| *byte == b'\n')
                .map(|line| serde_json::from_slice(line).unwrap())
                .collect();
            assert_eq!(found.len(), 4, "{name} {flags:?}");
            for (record, key, flaws) in
                [(0, "LONG", true), (1, "MESSAGE", true), (1, "kata_msg", true), (2, "LONG", false)]
            {
                let record = &found[record];
                assert_eq!(record["kata_flaws"].to_string().contains("truncated"), flaws, "{name} {flags:?} {key}");
                let value = record[key].as_str().unwrap_or_default();
                let expected = if flaws { long("\u{1}").chars().take(limit).collect() } else { String::new() };
                assert!(value == expected, "{name} {flags:?}: {key} has {} bytes", value.len());
            }
            assert_eq!(found[1]["LAST"], "x", "{name} {flags:?}");
        }
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn the_fields_of_an_entry_have_a_limit_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut entries = services(3);
    for number in 0..8 {
        entries[0] = entries[0].clone().with(&format!("LARGE{number}"), "x".repeat(MIB / 2 + 1));
    }
    let path = write_file(folder.path(), "a.journal", file(&Shape::default(), &entries));
    let path = path.to_str().unwrap();
    let found = limited(128, &["--keep=*", "--max-line=512K", path]);
    let first: serde_json::Value = serde_json::from_slice(found.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    let large = |number: usize| first[format!("LARGE{number}")].as_str().map(str::len);
    assert_eq!([0, 3, 4, 7].map(large), [Some(MIB / 2), Some(MIB / 2), None, None]);
    assert!(first["kata_flaws"].to_string().contains("truncated"));
    // The raw views show all fields whole.
    let raw = limited(128, &["--format=export", path]);
    assert_eq!(compare::value(compare::entries(&raw)[0], "LARGE7").map(str::len), Some(MIB / 2 + 1));
}

#[test]
fn more_files_are_read_than_the_soft_limit_allows() {
    let folder = tempfile::tempdir().unwrap();
    let files = 100;
    for (number, entry) in (0..).zip(services(files)) {
        let shape = Shape { seqnum_id: number, ..Shape::default() };
        write_file(folder.path(), format!("{number}.journal"), file(&shape, &[entry]));
    }
    let mut command = Command::new("prlimit");
    command.arg("--nofile=40:1000").arg(env!("CARGO_BIN_EXE_katalog")).args(["--format=export", "--stats=none"]);
    let output = command.arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(compare::entries(&output.stdout).len(), files as usize);
}

/// Returns journals of machines of their own, whose entries alternate: each journal has one entry of each round.
fn alternating(count: u64, rounds: u64, padding: usize) -> impl Iterator<Item = (String, Vec<u8>)> {
    (0..count).map(move |number| {
        let id = u128::from(number) << 64;
        // Windows of the full size are filled from each file.
        let shape = Shape { seqnum_id: id, file_id: id, spare: 96 << 10, compression: None, ..Shape::default() };
        let padding = "\u{1}".repeat(padding);
        let entry = |round| service(5 * (number + round * count), BOOT).with("PADDING", format!("{round}{padding}"));
        (format!("{number}.journal"), file(&shape, &(0..rounds).map(entry).collect::<Vec<_>>()))
    })
}

/// Asserts that the output has the entries of alternating journals in their order.
fn assert_alternating(output: &[u8], count: u64, case: &str) {
    let key = b"\"kata_msg\":\"entry ";
    let mut numbers = memchr::memmem::find_iter(output, key).map(|at| {
        let digits = output[at + key.len()..].split(|byte| *byte == b' ').next().unwrap();
        str::from_utf8(digits).unwrap().parse::<u64>().unwrap()
    });
    for number in 0..count {
        assert_eq!(numbers.next(), Some(5 * number), "{case}");
    }
    assert_eq!(numbers.next(), None, "{case}");
}

#[test]
fn any_number_of_journals_takes_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, archive) = (folder.path().join("journals"), folder.path().join("journals.tar.zst"));
    std::fs::create_dir(&directory).unwrap();
    let encoder = zstd::Encoder::new(File::create(&archive).unwrap(), 1).unwrap();
    let mut builder = tar::Builder::new(encoder.auto_finish());
    let (files, rounds) = (1500, 2);
    for (name, bytes) in alternating(files, rounds, 0) {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, &name, &bytes[..]).unwrap();
        // The unused space becomes a hole.
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let path = write_file(&directory, name, &bytes[..used]);
        File::options().write(true).open(path).unwrap().set_len(bytes.len() as u64).unwrap();
    }
    drop(builder.into_inner().unwrap());
    for (input, threads) in [(&directory, "--threads=1"), (&archive, "--threads=4")] {
        let output = limited(96, &[threads, input.to_str().unwrap()]);
        assert_alternating(&output, files * rounds, threads);
    }
}

#[test]
fn journals_that_alternate_wait_for_each_other_in_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (files, rounds) = (250, 4);
    for (name, bytes) in alternating(files, rounds, 8 << 10) {
        write_file(folder.path(), name, bytes);
    }
    let output = limited(72, &["--threads=4", "--keep=*", folder.path().to_str().unwrap()]);
    assert_alternating(&output, files * rounds, "--threads=4");
}
