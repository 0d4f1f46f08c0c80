//! The two journal backends, native and libsystemd, give equal bytes in all formats, with all flags.

use std::path::PathBuf;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::read::{real_files, unpacked};
use super::{assert_no_failures, each_file, filters, katalog_output, merge, run_with_timeout, write_file};
use crate::support::journal::damage::of;
use crate::support::journal::remote::{self, JournalPath};
use crate::support::journal::samples::{NEXT_BOOT, START, clock_set_back, services};
use crate::support::journal::write::object;
use crate::support::journal::{Codec, Entry, Shape, compare, file};
use crate::support::katalog;

/// Returns the program's output with these arguments through libsystemd.
fn theirs(place: &JournalPath, arguments: &[&str]) -> Vec<u8> {
    katalog_output(place, &[&["--journal-backend", "libsystemd"], arguments].concat())
}

/// Returns the differences between the backends with these arguments, in each format.
fn differences(name: &str, place: &JournalPath, arguments: &[&str]) -> Vec<String> {
    let formats: [&[&str]; 4] =
        [&["--format", "export"], &["--format", "journal-json"], &[], &["--others", "pass", "--drop", "!__CURSOR"]];
    let difference = |format: &&[&str]| {
        let arguments = [*format, arguments].concat();
        let (native, library) = (katalog_output(place, &arguments), theirs(place, &arguments));
        if native == library {
            return None;
        }
        let difference = match format {
            ["--format", "export"] => compare::export(&native, &library),
            _ => compare::json(&native, &library),
        };
        Some(format!("{name}, {arguments:?}: {}", difference.err().unwrap_or("the same, in another form".into())))
    };
    // The formats of entries write all of them, whatever their identifier.
    let raw = if arguments.contains(&"--identifier") { 2 } else { 0 };
    formats[raw..].iter().filter_map(difference).collect()
}

#[test]
fn every_shape() {
    assert_no_failures(&each_file(|name, _, _, place| differences(name, place, &[])));
}

#[test]
fn values_are_cut_at_the_same_place() {
    let folder = tempfile::tempdir().unwrap();
    let entry = |message: &str| {
        let mut entry = services(1).remove(0);
        entry.fields.retain(|(name, _)| name != "MESSAGE" && name != "_TRANSPORT");
        entry.with("_TRANSPORT", "stdout").with("_STREAM_ID", "7").with("MESSAGE", message)
    };
    let line = |text: &str| format!("time=\"2024-03-05T05:01:54Z\" level=info msg=\"{text}\" source=runtime");
    let long = |last: &str| line(&format!("{}{last}", "x".repeat(3000)));
    let messages = [long(""), "a rest".to_owned(), line("whole"), long("env: ["), "A=b".to_owned(), line("end")];
    let mut entries: Vec<Entry> = messages.iter().map(|message| entry(message)).collect();
    for (number, entry) in (0..).zip(&mut entries) {
        (entry.realtime, entry.monotonic) = (entry.realtime + number, entry.monotonic + number);
    }
    for compression in [None, Some((Codec::Zstd, 512))] {
        let shape = Shape { compression, ..Shape::default() };
        let place = JournalPath::file(write_file(folder.path(), "system.journal", file(&shape, &entries)));
        for arguments in [&["--max-line", "2K"][..], &["--max-line", "2K", "--keep", "*"], &["--max-line", "1M"]] {
            let native = katalog_output(&place, arguments);
            assert_eq!(String::from_utf8_lossy(&native), String::from_utf8_lossy(&theirs(&place, arguments)));
            let cut = native.windows(11).filter(|part| part == b"\"truncated\"").count();
            assert_eq!(cut, if arguments.contains(&"2K") { 2 } else { 0 });
        }
    }
}

#[test]
fn several_files() {
    let [two_boots, one_boot] = merge::boots();
    let mut folders = vec![
        ("files that interleave", merge::interleaved()),
        ("two boots", two_boots),
        ("one boot", one_boot),
        ("machines", merge::machines()),
        ("copies", merge::copies()),
        ("three boots", filters::rebooted().0),
    ];
    if !remote::missing() {
        folders.push(("a source that rotated", filters::rotated().0));
    }
    let failures: Vec<String> = folders
        .par_iter()
        .flat_map_iter(|(name, folder)| {
            let mut failures = differences(name, &JournalPath::Directory(folder.path().to_owned()), &[]);
            let mut files = remote::journals(folder.path());
            files.reverse();
            failures.extend(differences(&format!("{name}, the other way round"), &JournalPath::Files(files), &[]));
            failures
        })
        .collect();
    assert_no_failures(&failures);
}

#[test]
fn flags() {
    let (_folder, place) = filters::rebooted();
    let all = katalog_output(&place, &["--format", "export"]);
    let entries = compare::entries(&all);
    let second = |number: u64| format!("@{}", START / 1_000_000 + number);
    let after = |flag: &str, value: &str| vec![flag.to_owned(), value.to_owned()];
    let mut flags = vec![[after("--since", &second(7)), after("--until", &second(41))].concat()];
    for at in [0, 19, 29, 30, 58, 59] {
        let cursor = compare::cursor(entries[at]);
        let parts: Vec<&str> = cursor.split(';').collect();
        for cursor in [cursor, &parts[..2].join(";"), &parts[2..4].join(";"), parts[4]] {
            flags.push(after("--after-cursor", cursor));
        }
    }
    flags.extend(["0", "1", "7", "31", "59", "60", "1000"].map(|lines| after("--lines", lines)));
    flags.push([after("--lines", "3"), after("--until", &second(30))].concat());
    let id = format!("{NEXT_BOOT:032x}");
    flags.extend(["0", "-1", "-2", "-3", "1", "3", "4", &id].map(|boot| vec![format!("--boot={boot}")]));
    flags.push([vec!["--boot=2".to_owned()], after("--lines", "5")].concat());
    flags.extend(["sshd", "sshd|kata.*", "no-such-program", "(?i)KATA"].map(|name| after("--identifier", name)));
    flags.push([after("--identifier", "cron"), after("--lines", "4")].concat());
    let failures: Vec<String> = flags
        .par_iter()
        .flat_map_iter(|flags| {
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            differences("three boots", &place, &flags)
        })
        .collect();
    assert_no_failures(&failures);
}

#[test]
fn times_are_tested_where_the_clock_went_back() {
    let folder = tempfile::tempdir().unwrap();
    let entries = clock_set_back(20);
    let place = JournalPath::file(write_file(folder.path(), "system.journal", file(&Shape::default(), &entries)));
    let seconds = |number: u64| format!("@{}", START / 1_000_000 + number);
    let mut failures = Vec::new();
    for (since, until) in [(0, 25), (15, 35), (5, 9), (29, 41), (60, 89)] {
        let flags = ["--since", &seconds(since), "--until", &seconds(until)];
        failures.extend(differences("a clock that went back", &place, &flags));
    }
    assert_no_failures(&failures);
}

#[test]
fn identifiers_that_are_odd() {
    let folder = tempfile::tempdir().unwrap();
    // A compressed identifier, two in one entry, none, and more than the index looks up.
    let named = |number: u64, names: &[&str]| {
        let mut entry = services(number + 1).pop().unwrap();
        entry.fields.retain(|(name, _)| name != "SYSLOG_IDENTIFIER");
        names.iter().fold(entry, |entry, name| entry.with("SYSLOG_IDENTIFIER", name))
    };
    let long = "kata".repeat(300);
    let odd = [
        named(0, &[&long]),
        named(1, &["sshd", "kata"]),
        named(2, &["kata", "sshd"]),
        named(3, &[]),
        named(4, &["kata"]),
        named(5, &["sshd"]),
    ];
    let many: Vec<Entry> = (0..600).map(|number| named(number, &[&format!("program-{number}")])).collect();
    let mut failures = Vec::new();
    for (name, entries) in [("odd", &odd[..]), ("without any", &odd[3..4]), ("many", &many)] {
        for codec in [Codec::Xz, Codec::Lz4, Codec::Zstd] {
            let shape = Shape { compression: Some((codec, 8)), ..Shape::default() };
            let place = JournalPath::file(write_file(folder.path(), "system.journal", file(&shape, entries)));
            for flags in [&[] as &[&str], &["--identifier", "(kata)+"], &["--identifier", "program-.*"]] {
                failures.extend(differences(name, &place, flags));
                failures.extend(differences(name, &place, &[flags, &["--lines", "2"]].concat()));
            }
        }
    }
    assert_no_failures(&failures);
}

#[test]
fn real_files_are_read_alike() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = real_files().iter().map(|path| unpacked(path, folder.path())).collect();
    let mut failures: Vec<String> = files
        .par_iter()
        .flat_map_iter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            differences(&name, &JournalPath::file(path), &[])
        })
        .collect();
    if !files.is_empty() {
        failures.extend(differences("all together", &JournalPath::Directory(folder.path().to_owned()), &[]));
    }
    assert_no_failures(&failures);
}

#[test]
fn a_file_that_is_refused_does_not_hide_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = file(&Shape::default(), &services(30));
    let sound = write_file(folder.path(), "sound.journal", &bytes);
    // Its header claims more bytes than there are, which our own reader accepts.
    write_file(folder.path(), "cut.journal", &bytes[..bytes.len() - 64]);
    let mut command = katalog();
    let output =
        run_with_timeout(command.args(["--journal-backend", "libsystemd", "--format", "export"]).arg(folder.path()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(65), "{errors}");
    assert!(errors.contains("cut.journal") && !errors.contains("sound.journal"), "{errors}");
    compare::export(&katalog_output(&JournalPath::file(sound), &["--format", "export"]), &output.stdout)
        .unwrap_or_else(|difference| panic!("{difference}"));
}

#[test]
fn a_field_that_ends_an_entry_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut entries = services(10);
    entries[4] = entries[4].clone().with("LONG", "compressed ".repeat(80)).with("LAST", "x");
    let shape = Shape { compression: Some((Codec::Lz4, 512)), ..Shape::default() };
    let mut bytes = file(&shape, &entries);
    // The field claims 2^63 bytes, at which libsystemd stops. Other fields that it cannot decompress it omits silently.
    let long = of(&bytes, object::DATA).into_iter().find(|object| bytes[object.at + 1] != 0).unwrap();
    bytes[long.at + 72..long.at + 80].copy_from_slice(&(1_u64 << 63).to_le_bytes());
    let path = write_file(folder.path(), "system.journal", &bytes);
    for (backend, reason) in [("native", "oversized-field"), ("libsystemd", "undecodable-field")] {
        let mut command = katalog();
        let arguments = ["--journal-backend", backend, "--format", "export", "--strict", "--verbose"];
        let output = run_with_timeout(command.args(arguments).arg(&path));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{backend}: {errors}");
        assert!(errors.contains(&format!("system.journal\": {reason}: 1,")), "{backend}: {errors}");
        let found = compare::entries(&output.stdout);
        assert_eq!(found.len(), 10, "{backend}");
        assert_eq!(compare::value(found[4], "LONG"), None, "{backend}");
        assert_eq!(compare::value(found[4], "LAST"), (backend == "native").then_some("x"), "{backend}");
    }
}
