//! Large values in the raw views: they are written whole, and read in pieces.

use std::fs::{self, OpenOptions};
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

use super::limits::limited;
use super::{katalog_output, run_with_timeout, write_file};
use crate::support::journal::remote::{self, JournalPath};
use crate::support::journal::samples::services;
use crate::support::journal::write::{Codec, Writer, compress};
use crate::support::journal::{Entry, Shape, compare, file};
use crate::support::katalog;

const MIB: usize = 1 << 20;

/// The codecs, each with a name for files.
const CODECS: [(&str, Option<Codec>); 4] =
    [("plain", None), ("xz", Some(Codec::Xz)), ("lz4", Some(Codec::Lz4)), ("zstd", Some(Codec::Zstd))];

/// Returns the shape of a file with this codec.
fn shape(codec: Option<Codec>) -> Shape {
    Shape { compression: codec.map(|codec| (codec, 512)), ..Shape::default() }
}

/// Returns a text of this many words of about 27 bytes, which compresses badly.
fn text(words: u64) -> String {
    (0..words).map(|number| format!("{:x} äö€😀 ", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
}

/// Returns the export stream of journalctl for a file.
fn exported(path: &Path) -> Vec<u8> {
    let mut command = remote::journalctl(&JournalPath::file(path));
    command.args(["--output", "export"]);
    remote::successful_output(command)
}

/// Fails if two outputs differ. A comparison by `assert_eq` would print them.
#[track_caller]
fn assert_same(ours: &[u8], theirs: &[u8], what: &str) {
    let differs = ours.iter().zip(theirs).position(|(ours, theirs)| ours != theirs);
    assert!(differs.is_none() && ours.len() == theirs.len(), "{what}: {differs:?} of {}, {}", ours.len(), theirs.len());
}

#[test]
fn values_of_any_size_take_little_memory() {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let text = text(60_000);
    let lines = text.replace("7 ", "7\n");
    let bytes: Vec<u8> = text.bytes().rev().collect();
    let mut entries = services(12);
    for (number, value) in [text.as_bytes(), lines.as_bytes(), &bytes[..], &[1; 32 * MIB]].into_iter().enumerate() {
        entries[number * 2] = entries[number * 2].clone().with("LARGE", value).with("LAST", "x");
    }
    // Equal values are stored once.
    entries[9] = entries[9].clone().with("LARGE", &text).with("LARGE", &lines);
    for (name, codec) in CODECS {
        let path = write_file(folder.path(), format!("{name}.journal"), file(&shape(codec), &entries));
        let expected = exported(&path);
        for threads in ["--threads=1", "--threads=4"] {
            let output = limited(128, &["--format=export", threads, path.to_str().unwrap()]);
            assert_same(&output, &expected, &format!("{name} {threads}"));
        }
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn large_values_of_json_are_those_of_journalctl() {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let text = text(12_000);
    let mut entries = services(8);
    entries[0] = entries[0].clone().with("LARGE", text.replace("7 ", "\t\"\\\n")).with("LAST", "x");
    entries[2] = entries[2].clone().with("LARGE", text.bytes().rev().collect::<Vec<u8>>());
    entries[3] = entries[3].clone().with("TWICE", &text).with("TWICE", "small").with("LAST", "x");
    for (name, codec) in CODECS {
        let place =
            JournalPath::file(write_file(folder.path(), format!("{name}.journal"), file(&shape(codec), &entries)));
        for threads in ["--threads=1", "--threads=4"] {
            let ours = katalog_output(&place, &["--format=journal-json", threads]);
            compare::json(&remote::json(&place), &ours).unwrap_or_else(|difference| panic!("{name}: {difference}"));
        }
    }
    // An array takes twice as many bytes as this value.
    entries[5] = entries[5].clone().with("HUGE", vec![1; 16 * MIB]);
    let path = write_file(folder.path(), "huge.journal", file(&Shape::default(), &entries));
    let output = limited(128, &["--format=journal-json", "--threads=4", path.to_str().unwrap()]);
    let expected = format!("\"HUGE\":[1{}]", ",1".repeat(16 * MIB - 1));
    assert!(memchr::memmem::find(&output, expected.as_bytes()).is_some());
}

#[test]
fn many_values_of_an_entry_take_little_memory() {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut entries = services(3);
    for (entry, size) in entries.iter_mut().zip([200 << 10, 60 << 10, 100]) {
        let count = if size < 1000 { 8_000 } else { 300 };
        let value = |number: usize| format!("{number} ").repeat(size / 4).into_bytes();
        let values = (0..count).map(|number| (format!("F{number}"), value(number)));
        entry.fields.extend(values);
    }
    let shape = Shape { buckets: (10_007, 10_007), ..Shape::default() };
    let path = write_file(folder.path(), "many.journal", file(&shape, &entries));
    for threads in ["--threads=1", "--threads=4"] {
        let output = limited(128, &["--format=export", threads, path.to_str().unwrap()]);
        assert_same(&output, &exported(&path), threads);
    }
}

#[test]
fn copies_of_an_entry_with_a_large_value_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut entries = services(20);
    for number in [3, 4, 11] {
        entries[number] = entries[number].clone().with("LARGE", format!("{number} {}", text(20_000)));
    }
    let write = |name: &str, entries: &[Entry]| {
        let folder = folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        write_file(&folder, format!("{name}.journal"), file(&Shape::default(), entries));
        JournalPath::Directory(folder)
    };
    let whole = katalog_output(&write("whole", &entries), &["--format=export"]);
    write("parts", &entries);
    fs::copy(folder.path().join("parts/parts.journal"), folder.path().join("parts/copy.journal")).unwrap();
    for threads in ["--threads=1", "--threads=4"] {
        let found = katalog_output(&write("parts", &entries), &["--format=export", threads]);
        assert_same(&found, &whole, threads);
    }
}

#[test]
fn a_damaged_large_value_is_left_out_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let value = text(30_000);
    let mut entries = services(4);
    entries[1] = entries[1].clone().with("LARGE", &value).with("LAST", "x");
    for (name, codec) in CODECS.into_iter().filter_map(|(name, codec)| Some((name, codec?))) {
        let mut writer = Writer::new(shape(Some(codec)));
        let payload = format!("LARGE={value}").into_bytes();
        let mut stored = compress(codec, &payload);
        stored.pop();
        writer.stored_as.insert(payload, (codec.object_flag(), stored));
        entries.iter().for_each(|entry| writer.entry(entry));
        let path = write_file(folder.path(), format!("{name}.journal"), writer.finish());
        for threads in ["--threads=1", "--threads=4"] {
            let mut command = katalog();
            let output = run_with_timeout(command.args(["--format=export", "--verbose", threads]).arg(&path));
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(errors.contains("undecodable-field: 1, first at byte"), "{name} {threads}: {errors}");
            let found = compare::entries(&output.stdout);
            assert_eq!((found.len(), compare::value(found[1], "LARGE")), (4, None), "{name} {threads}");
            assert_eq!(compare::value(found[1], "LAST"), Some("x"), "{name} {threads}");
        }
    }
}

#[test]
fn a_value_that_is_lost_while_it_is_written_keeps_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let mut entries = services(4);
    entries[1] = entries[1].clone().with("LARGE", vec![1; 4 * MIB]).with("LAST", "x");
    let shape = Shape { compression: None, ..Shape::default() };
    for (threads, format) in [("--threads=1", "export"), ("--threads=4", "export"), ("--threads=4", "journal-json")] {
        let path = write_file(folder.path(), "a.journal", file(&shape, &entries));
        let mut command = katalog();
        command.args(["--verbose", threads, "--format", format]).arg(&path);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        // The value follows the first entry. The pipe holds far fewer bytes than the value.
        let mut output = vec![0; 100_000];
        stdout.read_exact(&mut output).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(2 * MIB as u64).unwrap();
        stdout.read_to_end(&mut output).unwrap();
        let errors = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
        assert!(errors.contains("unreadable: a value that was read before"), "{errors}");
        if format == "export" {
            let found = compare::entries(&output);
            let (_, value) = compare::fields(found[1]).find(|(name, _)| *name == "LARGE").unwrap();
            assert_eq!((value.len(), value[0], value.last()), (4 * MIB, 1, Some(&b' ')));
            assert_eq!(compare::value(found[1], "LAST"), Some("x"));
        } else {
            let line = output.split(|byte| *byte == b'\n').nth(1).unwrap();
            let entry: serde_json::Value = serde_json::from_slice(line).unwrap();
            let value = entry["LARGE"].as_array().unwrap();
            assert_eq!((value.len(), &value[0], &value[4 * MIB - 1]), (4 * MIB, &1.into(), &32.into()));
        }
    }
}
