//! Damaged files: no crash, no hang, bounded memory, and every entry that `journalctl` still finds.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::{assert_no_failures, run_with_timeout, write_file};
use crate::support::journal::damage::{self, arrays, complete, number, objects, of};
use crate::support::journal::samples::services;
use crate::support::journal::write::{header, object};
use crate::support::journal::{self, remote};
use crate::support::journal::{Codec, Entry, Shape, Writer, compare, file};
use crate::support::pipeline::records;
use crate::support::{katalog, with_limit};

/// Runs the program on one file, with the memory of a small machine.
fn run(path: &Path, arguments: &[&str]) -> Output {
    run_with_timeout(&mut with_limit("-v 4000000", katalog().args(arguments).arg(path)))
}

/// Returns the export stream of a damaged file, or an error if the program rejects the file.
fn export(path: &Path) -> Result<Vec<u8>, String> {
    let output = run(path, &["--format", "export"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(output.stdout),
        Some(65) if errors.starts_with("katalog: ") => Ok(output.stdout),
        _ => Err(format!("{}: {errors}", output.status)),
    }
}

/// Returns two small files with every structure that can break.
fn small() -> [(&'static str, Vec<u8>); 2] {
    let mut entries = services(26);
    for number in [3, 11, 19] {
        let long = format!("{number} {}", "compressed ".repeat(80));
        entries[number] = entries[number].clone().with("LONG", long).with("TAG", "a").with("TAG", "b");
    }
    let compact = Shape { buckets: (23, 7), ..Shape::default() };
    let regular = Shape { compact: false, keyed: false, compression: Some((Codec::Lz4, 512)), ..compact.clone() };
    [("compact", file(&compact, &entries)), ("regular", file(&regular, &entries))]
}

/// Checks many files made from one, each with a description of its damage.
fn all(what: &str, file: &[u8], mutations: &[(String, Vec<u8>)]) {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (found, wanted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failures: Vec<String> = mutations
        .par_iter()
        .filter_map(|(name, bytes)| {
            let path = write_file(folder.path(), format!("{name}.journal"), bytes);
            let theirs = remote::readable_entries(&path);
            let ours = export(&path);
            fs::remove_file(&path).unwrap();
            let ours = match ours {
                Ok(ours) => ours,
                Err(failure) => return Some(format!("{what}, {name}: {failure}")),
            };
            let entries = match compare::split(&ours) {
                Ok(entries) => entries,
                Err(problem) => return Some(format!("{what}, {name}: {problem}")),
            };
            let theirs = compare::cursors(&theirs);
            let cursors: HashSet<&str> = entries.iter().map(|entry| compare::cursor(entry)).collect();
            wanted.fetch_add(theirs.len(), Ordering::Relaxed);
            found.fetch_add(cursors.len(), Ordering::Relaxed);
            let lost: Vec<_> = theirs.difference(&cursors).collect();
            if cursors.len() < entries.len() {
                return Some(format!("{what}, {name}: {} entries, and some of them twice", entries.len()));
            }
            (!lost.is_empty()).then(|| {
                let (ours, theirs) = (cursors.len(), theirs.len());
                format!("{what}, {name}: {ours} entries, and journalctl has {theirs}, among them {}", lost[0])
            })
        })
        .collect();
    let (found, wanted, files) = (found.into_inner(), wanted.into_inner(), mutations.len());
    let sound = of(file, object::ENTRY).len();
    let line = format!(
        "{what}: {files} damaged files of {sound} entries; journalctl reads {wanted} in all, katalog {found}\n"
    );
    _ = std::io::stderr().write_all(line.as_bytes());
    assert_no_failures(&failures);
}

#[test]
fn bytes() {
    for (name, file) in small() {
        let mut mutations = Vec::new();
        // Every byte of the header, then every 29th, so that all fields of all objects are covered.
        let places = (0..number(&file, header::HEADER_SIZE) as usize).chain((272..file.len()).step_by(29));
        for (turn, at) in places.enumerate() {
            let byte = match turn % 4 {
                0 => 0xff,
                1 => file[at].wrapping_add(8),
                2 => file[at] ^ 1 << (turn / 4 % 8),
                _ => 0,
            };
            if byte != file[at] {
                let mut changed = file.clone();
                changed[at] = byte;
                mutations.push((format!("byte {at} from {} to {byte}", file[at]), changed));
            }
        }
        all(&format!("{name}, a byte each"), &file, &mutations);
    }
}

#[test]
fn zeros() {
    for (name, file) in small() {
        let mut mutations = Vec::new();
        for at in (0..file.len() - 8).step_by(40) {
            if file[at..at + 8] != [0; 8] {
                let mut changed = file.clone();
                changed[at..at + 8].fill(0);
                mutations.push((format!("zeros at {at}"), changed));
            }
        }
        for at in (272..file.len()).step_by(512) {
            let mut changed = file.clone();
            let end = changed.len().min(at + 512);
            changed[at..end].fill(0);
            mutations.push((format!("zeros from {at} to {end}"), changed));
        }
        all(&format!("{name}, zeros"), &file, &mutations);
    }
}

#[test]
fn ends_that_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    for (name, file) in small() {
        let cuts: Vec<usize> = (0..file.len()).step_by(512).chain([1, 8, 207, 208, 263, 264, 265]).collect();
        let cut = |end: &usize| (format!("cut at {end}"), file[..*end].to_vec());
        all(&format!("{name}, cut short"), &file, &cuts.iter().map(cut).collect::<Vec<_>>());
        for end in cuts {
            let path = write_file(folder.path(), "cut.journal", &file[..end]);
            let found = compare::cursors(&export(&path).unwrap()).len();
            // `journalctl` rejects such a file.
            assert_eq!(found, complete(&file, end), "{name}, cut at {end}");
        }
    }
}

#[test]
fn named_damage() {
    const ENTRIES: usize = 300;
    let sound = file(&Shape::default(), &services(ENTRIES as u64));
    let with = |at: usize, bytes: &[u8]| {
        let mut file = sound.clone();
        damage::overwrite(&mut file, at, bytes);
        file
    };
    let (entries, data, lists) = (of(&sound, object::ENTRY), of(&sound, object::DATA), arrays(&sound));
    let [first, second, third] = [0, 1, 2].map(|number: usize| lists[number].at);
    let goes_on = |array: usize, at: usize| with(array + 16, &(at as u64).to_le_bytes());
    let swapped = [&sound[third + 28..third + 32], &sound[third + 24..third + 28]].concat();
    // A description of the damage, and the minimum number of entries left.
    let cases = [
        ("the type of an entry", with(entries[150].at, &[object::TAG]), ENTRIES - 1),
        ("the size of a value is 0", with(data[200].at + 8, &[0; 8]), ENTRIES),
        ("an item of the second array is 0", with(second + 32, &[0; 4]), ENTRIES - 1),
        ("an item of the second array is no object", with(second + 32, &[8, 0, 0, 0]), ENTRIES - 1),
        ("two items of an array are swapped", with(third + 24, &swapped), ENTRIES),
        ("the second array goes on nowhere", goes_on(second, 12_345), ENTRIES),
        ("the second array goes on with a value", goes_on(second, data[290].at), ENTRIES),
        ("the third array goes on with itself", goes_on(third, third), ENTRIES),
        ("the third array goes on with the first", goes_on(third, first), ENTRIES),
        ("the first array is no array", with(first, &[0]), ENTRIES),
        ("the size of the last array", with(lists[4].at + 8, &[0xff; 8]), ENTRIES),
        ("no arrays at all", with(header::ENTRY_ARRAY, &[0; 8]), ENTRIES),
        ("more entries than there are", with(header::N_ENTRIES, &[0xff; 8]), ENTRIES),
        ("the tail's array", with(header::TAIL_ARRAY, &[0xff; 8]), ENTRIES),
        ("the last object", with(header::TAIL_OBJECT, &0xffff_fff8_u64.to_le_bytes()), ENTRIES),
        ("the times of the header", with(header::HEAD_REALTIME, &[0xff; 24]), ENTRIES),
        ("an unknown state", with(header::STATE, &[7]), ENTRIES),
        ("an unknown flag that does no harm", with(header::COMPATIBLE, &[0x80]), ENTRIES),
        ("an unknown flag that does", with(header::INCOMPATIBLE + 1, &[0x80]), 0),
        ("the tables are zeros", without_tables(&sound), ENTRIES),
        ("no identifier leads to the next", identifiers_apart(&sound), ENTRIES),
        ("the table of values is nowhere", with(header::DATA_TABLE, &[0xf8; 16]), ENTRIES),
        ("the table of names is nowhere", with(header::FIELD_TABLE, &[0xf8; 16]), ENTRIES),
        ("it is cut inside the last entry", sound[..entries[ENTRIES - 1].at + 30].to_vec(), ENTRIES - 1),
        ("its header is too short", with(header::HEADER_SIZE, &200_u64.to_le_bytes()), 0),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut failures = Vec::new();
    for (name, file, left) in cases {
        assert!(file != sound, "{name}");
        let path = write_file(folder.path(), "system.journal", &file);
        match export(&path) {
            Ok(stream) => {
                let found = compare::cursors(&stream).len();
                let most = if left == 0 { 0 } else { ENTRIES };
                if !(left..=most).contains(&found) || compare::entries(&stream).len() != found {
                    failures.push(format!("{name}: {found} entries instead of {left}"));
                }
            }
            Err(failure) => failures.push(format!("{name}: {failure}")),
        }
        if left == 0 {
            continue;
        }
        // Kata's entries are found without the tables and lists too.
        let output = run(&path, &[]);
        let found = records(&output.stdout).len();
        let wanted = (0..ENTRIES).filter(|number| number % 5 != 1 && number % 5 != 3).count();
        if output.status.code() != Some(0) || !(wanted - (ENTRIES - left)..=wanted).contains(&found) {
            let errors = String::from_utf8_lossy(&output.stderr);
            failures
                .push(format!("{name}: {found} of Kata's entries instead of {wanted}, {}: {errors}", output.status));
        }
    }
    assert_no_failures(&failures);
}

/// Returns the file with every identifier marked as the last in its chain.
fn identifiers_apart(file: &[u8]) -> Vec<u8> {
    let mut changed = file.to_vec();
    for value in of(file, object::DATA) {
        if file[value.at..value.at + value.size].windows(18).any(|bytes| bytes == b"SYSLOG_IDENTIFIER=") {
            changed[value.at + 32..value.at + 40].fill(0);
        }
    }
    changed
}

/// Returns the file with both tables zeroed.
fn without_tables(file: &[u8]) -> Vec<u8> {
    let mut changed = file.to_vec();
    for table in [header::DATA_TABLE, header::FIELD_TABLE] {
        let (at, size) = (number(file, table) as usize, number(file, table + 8) as usize);
        changed[at..at + size].fill(0);
    }
    changed
}

#[test]
fn a_name_that_is_none() {
    // `journalctl` stops at this name.
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape { compression: None, ..Shape::default() };
    let mut file = file(&shape, &services(50));
    let at = file.windows(14).position(|bytes| bytes == b"_HOSTNAME=node").unwrap();
    file[at + 3] = b'#';
    let path = write_file(folder.path(), "system.journal", &file);
    let stream = export(&path).unwrap();
    assert_eq!(compare::cursors(&stream).len(), 50);
    assert!(!stream.windows(5).any(|bytes| bytes == b"node1"), "a field without a valid name is shown");
}

#[test]
fn lists_that_lead_nowhere() {
    let sound = file(&Shape { compression: None, ..Shape::default() }, &services(100));
    let payload_at = 72;
    let datum = |payload: &[u8]| {
        let holds = |data: &&damage::Object| sound[data.at + payload_at..].starts_with(payload);
        of(&sound, object::DATA).iter().find(holds).unwrap().at
    };
    let field = |name: &[u8]| {
        let holds = |field: &&damage::Object| sound[field.at + 40..field.at + field.size] == *name;
        of(&sound, object::FIELD).iter().find(holds).unwrap().at
    };
    let (kata, runtime) = (datum(b"SYSLOG_IDENTIFIER=kata"), datum(b"SYSLOG_IDENTIFIER=kata-runtime"));
    let names = field(b"SYSLOG_IDENTIFIER");
    let folder = tempfile::tempdir().unwrap();
    let mut failures = Vec::new();
    for (name, at, to) in [
        ("the list of a value", kata + 48, 4),
        ("the list of a value ends too early", kata + 48, 0),
        ("the list of a value leads to a value", kata + 48, runtime as u64),
        ("the first entry of a value", kata + 40, 4),
        ("the next value of a name", runtime + 32, 4),
        ("the next value of a name is itself", runtime + 32, runtime as u64),
        ("the first value of a name", names + 32, 4),
        ("the next value with the hash is itself", kata + 24, kata as u64),
    ] {
        let mut file = sound.clone();
        damage::overwrite(&mut file, at, &to.to_le_bytes());
        let path = write_file(folder.path(), "system.journal", &file);
        let output = run(&path, &[]);
        let found = records(&output.stdout).len();
        if found != 60 || output.status.code() != Some(0) {
            let errors = String::from_utf8_lossy(&output.stderr);
            failures.push(format!("{name}: {found} entries instead of 60, {}: {errors}", output.status));
        }
    }
    assert_no_failures(&failures);
}

#[test]
fn bombs() {
    let folder = tempfile::tempdir().unwrap();
    let zeros = vec![0; 100 << 20];
    let zstd = zstd::bulk::compress(&zeros, 1).unwrap();
    drop(zeros);
    // A frame with one empty block that claims 2^62 bytes.
    let promise = [b"\x28\xb5\x2f\xfd\xe0" as &[u8], &(1_u64 << 62).to_le_bytes(), &[1, 0, 0]].concat();
    let lz4 = |size: u64| [&size.to_le_bytes() as &[u8], b"\x70MESSAGE=\xff\xff\xff"].concat();
    let cases = [
        (Codec::Zstd, zstd),
        (Codec::Zstd, promise),
        (Codec::Zstd, vec![0; 8]),
        (Codec::Lz4, lz4(1 << 63)),
        (Codec::Lz4, lz4(1 << 30)),
        (Codec::Lz4, vec![1, 2, 3]),
        (Codec::Xz, b"\xfd7zXZ\0\0\x04".to_vec()),
    ];
    for (number, (codec, stored)) in cases.into_iter().enumerate() {
        let mut writer = Writer::new(Shape { compression: Some((codec, 512)), ..Shape::default() });
        writer.stored_as.insert(b"MESSAGE=bomb".to_vec(), (codec.object_flag(), stored));
        for entry in services(10) {
            writer.entry(&entry.with("MESSAGE", "bomb"));
        }
        let path = write_file(folder.path(), "bomb.journal", writer.finish());
        let stream = export(&path).unwrap_or_else(|failure| panic!("bomb {number} of {codec:?}: {failure}"));
        assert_eq!(compare::cursors(&stream).len(), 10, "bomb {number} of {codec:?}");
        // Each entry has another, intact message.
        assert_eq!(records(&run(&path, &[]).stdout).len(), 6, "bomb {number} of {codec:?}");
    }
}

#[test]
fn an_entry_that_lists_one_value_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..20_000).map(|number| format!("A{number}")).collect();
    let big = "0123456789abcdef".repeat(8 << 10);
    let small = services(1).remove(0);
    let entry = names.iter().fold(small.with("BIG", &big), |entry, name| entry.with(name, "x"));
    let mut file = file(&Shape { compression: None, buckets: (4001, 4001), ..Shape::default() }, &[entry]);
    let at = of(&file, object::DATA).iter().find(|data| data.size > big.len()).unwrap().at as u32;
    let entry = of(&file, object::ENTRY)[0];
    for item in (entry.at + 64..entry.at + entry.size).step_by(4) {
        damage::overwrite(&mut file, item, &at.to_le_bytes());
    }
    let size = file.len();
    // With and without a count that says other entries share the value.
    for count in [1, 2] {
        damage::overwrite(&mut file, at as usize + 56, &[count]);
        let path = write_file(folder.path(), "system.journal", &file);
        let stream = export(&path).unwrap();
        assert!(stream.len() <= 100 * size, "{} bytes out of a file of {size}", stream.len());
        assert_eq!(compare::entries(&stream).len(), 1);
    }
}

#[test]
fn entries_that_all_have_one_large_value() {
    const ENTRIES: usize = 3000;
    let folder = tempfile::tempdir().unwrap();
    let big = "0123456789abcdef".repeat(8 << 10);
    let entries: Vec<Entry> = services(ENTRIES as u64).into_iter().map(|entry| entry.with("BIG", &big)).collect();
    let file = file(&Shape { compression: None, buckets: (4001, 61), ..Shape::default() }, &entries);
    write_file(folder.path(), "a.journal", &file);
    let other = Shape { seqnum_id: 1, ..Shape::default() };
    write_file(folder.path(), "b.journal", journal::file(&other, &services(5)));
    let output = run(folder.path(), &["--format", "export", "--stats", "text"]);
    assert_eq!(output.status.code(), Some(0));
    let found = compare::entries(&output.stdout).len();
    assert!(output.stdout.len() <= 100 * file.len(), "{} bytes of {}", output.stdout.len(), file.len());
    // The entry list is cut short with a message, and the other file is read completely.
    assert!((100..ENTRIES).contains(&found), "{found} entries");
    assert!(output.stdout.windows(34).any(|part| part == b"s=00000000000000000000000000000001"), "the other file");
    assert!(String::from_utf8_lossy(&output.stderr).contains("oversized-field"));
}

#[test]
fn files_that_are_no_journals_do_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let sound = file(&Shape::default(), &services(20));
    write_file(folder.path(), "a.journal", b"");
    write_file(folder.path(), "b.journal", b"LPKSHHRH");
    write_file(folder.path(), "c.journal", [0; 4096]);
    write_file(folder.path(), "d.journal", b"time=\"2024-03-05T05:01:54.163Z\" level=info msg=\"no journal\"\n");
    let mut later = sound.clone();
    later[header::INCOMPATIBLE] |= 0x40;
    write_file(folder.path(), "e.journal", &later);
    let mut blank = file(&Shape { seqnum_id: 1, ..Shape::default() }, &services(5));
    blank[264..].fill(0);
    write_file(folder.path(), "f.journal", &blank);
    write_file(folder.path(), "z.journal", &sound);
    fs::create_dir(folder.path().join("g.journal")).unwrap();
    let stream = export(folder.path()).unwrap();
    assert_eq!(compare::cursors(&stream).len(), 20);

    // A file that needs a later version is rejected by name, with its flag.
    let output = run(&folder.path().join("e.journal"), &[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(65), "{errors}");
    assert!(errors.starts_with("katalog: ") && errors.contains("e.journal"), "{errors}");
}

#[test]
fn objects_of_later_versions_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let entries: Vec<Entry> = services(60);
    let mut file = file(&Shape { sealed: Some(5), ..Shape::default() }, &entries);
    for tag in of(&file, object::TAG) {
        file[tag.at] = 9;
    }
    // Without the arrays, every object has to be visited.
    damage::overwrite(&mut file, header::ENTRY_ARRAY, &[0; 8]);
    assert!(objects(&file).iter().any(|object| object.kind == 9));
    let path = write_file(folder.path(), "system.journal", &file);
    assert_eq!(compare::cursors(&export(&path).unwrap()).len(), 60);
}
