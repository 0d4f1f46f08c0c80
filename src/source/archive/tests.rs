#![allow(clippy::unwrap_used)] // a test fails by it

use std::fs;
use std::io::Read as _;

use proptest::prelude::*;

use super::*;
use crate::source::Filled;
use crate::source::codec::{detect_tar, is_cut_tar};
use crate::source::tests::{ChunkedReader, Owned, take};
use crate::source::{Source, from_reader, open_archive};
use kata_records::origin::Route;

/// The result of reading an archive.
#[derive(Debug, Default)]
struct Read {
    lines: Vec<String>,
    routes: Vec<Route>,
    /// Names and contents of journals.
    journals: Vec<(String, Vec<u8>)>,
    failures: Vec<String>,
    passed_over: Vec<String>,
    damages: Vec<String>,
}

fn all(mut source: Box<dyn Source + Send>) -> Read {
    let mut read = Read::default();
    let (mut batch, mut journals) = (Batch::default(), Vec::new());
    loop {
        let Filled { fill, failure, events, .. } = source.fill(&mut batch);
        assert!(failure.is_none(), "{failure:?}");
        let mut entries: Vec<Owned> = Vec::new();
        take(&batch, &mut entries);
        read.routes.extend(entries.iter().map(|_| batch.route));
        read.lines.extend(entries.into_iter().map(|entry| entry.text));
        for event in events {
            match event {
                Event::Failed(error) => read.failures.push(error.to_string()),
                Event::PassedOver(input) => read.passed_over.push(input.to_string()),
                Event::Damaged(damaged) => read.damages.push(format!("{} {}", damaged.reason, damaged.input)),
                Event::Journal(member) => journals.push(member),
                Event::Binary(_) => {}
                Event::Skipped(skipped) => panic!("{skipped:?}"),
            }
        }
        if fill == Fill::End {
            break;
        }
    }
    for Member { path, extent } in journals {
        let mut bytes = Vec::new();
        extent.reader().read_to_end(&mut bytes).unwrap();
        read.journals.push((path.to_str().unwrap().to_owned(), bytes));
    }
    read
}

/// Reads an archive from a pipe.
fn piped(archive: &[u8], sizes: &[usize]) -> Read {
    let reader = Box::new(ChunkedReader::new(archive, sizes));
    all(from_reader(reader, Input::File("a.tar".into()), true, &Settings::default()))
}

/// Reads an archive from a file.
fn filed(archive: &[u8]) -> Read {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar");
    fs::write(&path, archive).unwrap();
    let mut read = all(open_archive(&path, Path::new("-"), Logs::Read, &Settings::default()).unwrap());
    let strip = format!("{}/", directory.path().display());
    let Read { failures, passed_over, damages, journals, .. } = &mut read;
    for text in failures.iter_mut().chain(passed_over).chain(damages).chain(journals.iter_mut().map(|(name, _)| name)) {
        *text = text.replace(&strip, "");
    }
    read
}

/// Reads an archive from a file and checks that a pipe gives the same result.
fn read(archive: &[u8]) -> Read {
    let read = filed(archive);
    for sizes in [&[usize::MAX][..], &[1, 700]] {
        let piped = piped(archive, sizes);
        assert_eq!(piped.lines, read.lines);
        assert_eq!(piped.journals, read.journals);
        assert_eq!(piped.passed_over, read.passed_over);
        assert_eq!(piped.damages, read.damages);
        assert_eq!(piped.failures.is_empty(), read.failures.is_empty(), "{:?} {:?}", piped.failures, read.failures);
    }
    read
}

/// Builds one member with any name and type, without the end mark.
fn member(path: &str, kind: tar::EntryType, bytes: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    framed(header, bytes)
}

fn framed(mut header: tar::Header, bytes: &[u8]) -> Vec<u8> {
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    let mut member = [header.as_bytes().as_slice(), bytes].concat();
    member.resize(member.len().next_multiple_of(TAR_BLOCK), 0);
    member
}

fn file(path: &str, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    member(path, tar::EntryType::Regular, bytes.as_ref())
}

fn ended(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 2 * TAR_BLOCK]].concat()
}

fn journal(rest: &[u8]) -> Vec<u8> {
    [b"LPKSHHRH".as_slice(), rest].concat()
}

#[cfg(feature = "gzip")]
fn gzipped(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    use std::io::Write as _;

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn members_are_told_by_name_and_content() {
    let read = read(&ended(&[
        file("./kata.log", "one\ntwo"),
        file("var/log/messages", "three\n"),
        file("etc/hosts", "no log\n"),
        file("etc/empty", ""),
        file("x/system.journal", journal(&[1; 2000])),
        file("x/odd name", journal(b"!")),
        file("empty.log", ""),
        file("/abs/../kata.log", "four\n"),
    ]));
    assert_eq!(read.lines, ["one", "two", "three", "four"]);
    assert_eq!(read.passed_over, ["a.tar:etc/hosts", "a.tar:etc/empty"]);
    assert_eq!(read.journals[0], ("a.tar:x/system.journal".to_owned(), journal(&[1; 2000])));
    assert_eq!(read.journals[1], ("a.tar:x/odd name".to_owned(), journal(b"!")));
    assert!(read.failures.is_empty() && read.damages.is_empty(), "{read:?}");
}

#[test]
fn only_files_are_read() {
    let link = |path: &str, kind| {
        let mut header = tar::Header::new_gnu();
        header.set_path(path).unwrap();
        header.set_link_name("kata.log").unwrap();
        header.set_entry_type(kind);
        framed(header, b"")
    };
    let mut old = tar::Header::new_old();
    old.set_path("old/kata.log/").unwrap();
    let read = read(&ended(&[
        file("kata.log", "one\n"),
        link("hard.log", tar::EntryType::Link),
        link("soft.log", tar::EntryType::Symlink),
        member("kata", tar::EntryType::Directory, b""),
        framed(old, b""),
        member("pipe.log", tar::EntryType::Fifo, b""),
        member("volume.log", tar::EntryType::new(b'V'), b""),
        member("continued.log", tar::EntryType::Continuous, b"two\n"),
    ]));
    assert_eq!(read.lines, ["one", "two"]);
    assert_eq!(read.passed_over, ["a.tar:pipe.log"]);
    assert!(read.failures.is_empty() && read.damages.is_empty(), "{read:?}");
}

#[test]
fn headers_of_every_age_are_recognized() {
    for header in [tar::Header::new_old(), tar::Header::new_ustar(), tar::Header::new_gnu()] {
        let mut header = header;
        header.set_path("kata.log").unwrap();
        let archive = ended(&[framed(header, b"line\n")]);
        assert_eq!(detect_tar(&archive, true), Some(true));
        assert_eq!(read(&archive).lines, ["line"]);
        for length in 1..TAR_BLOCK {
            assert_eq!(detect_tar(&archive[..length], true), None, "{length}");
        }
    }
    assert_eq!(detect_tar(b"", true), None);
    for text in ["\n", "a line\n", "{\"MESSAGE\":", &"x".repeat(101), &["x".repeat(99), "\0x".to_owned()].concat()] {
        let verdict = detect_tar(text.as_bytes(), true);
        assert_eq!(verdict, if text.starts_with('{') { None } else { Some(false) }, "{text:?}");
    }
    assert!(!is_cut_tar(&file("a\x1b[36m.log", "")[..107]), "text with zeros");
    assert!(is_cut_tar(&file("kata.log", "")[..107]) && !is_cut_tar(&file("kata.log", "")[..106]));
    let padded = [b"text".as_slice(), &[0; 200]].concat();
    assert!(detect_tar(&padded, true).is_none() && !is_cut_tar(&padded), "a log with room for more");
    assert_eq!(detect_tar("x".repeat(600).as_bytes(), true), Some(false));
    for magic in ["ustar\0", "ustar  \0"] {
        let text = ["x".repeat(257), magic.to_owned(), "x".repeat(600)].concat();
        assert_eq!(detect_tar(text.as_bytes(), true), Some(false), "a text that has the magic where a header has it");
    }
}

#[test]
fn a_line_break_in_the_first_name_does_not_hide_an_archive() {
    for header in [tar::Header::new_old(), tar::Header::new_ustar(), tar::Header::new_gnu()] {
        for name in ["\nkata.log", "a\n/kata.log", "\u{1}\tkata.log", "kata.log\n"] {
            let mut header = header.clone();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            let second = file("second.log", "two\n");
            let mut archive = ended(&[framed(header, b"one\n"), second]);
            let pipe = piped(&archive, &[usize::MAX]);
            for read in [filed(&archive), pipe] {
                assert_eq!(read.lines, ["one", "two"], "{name:?}");
            }
            assert_eq!(detect_tar(&archive[..TAR_BLOCK - 1], false), None, "{name:?}");
            assert_eq!(detect_tar(&archive[..20], true), Some(false), "a pipe does not wait for more, {name:?}");
            // Without a valid checksum it is a text.
            archive[0] ^= 1;
            assert_eq!(detect_tar(&archive, false), Some(false), "{name:?}");
        }
    }
}

#[test]
fn names_of_any_length_are_read() {
    let long = format!("{}/kata.log", "deep/".repeat(400));
    let mut gnu = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    gnu.append_data(&mut header, &long, &b"gnu\n"[..]).unwrap();
    let mut pax = tar::Builder::new(Vec::new());
    pax.append_pax_extensions([("path", long.as_bytes()), ("size", b"4")]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_path("short").unwrap();
    header.set_size(0);
    header.set_cksum();
    pax.append(&header, &b"pax\n"[..]).unwrap();
    for (mut archive, line) in [(gnu.into_inner().unwrap(), "gnu"), (pax.into_inner().unwrap(), "pax")] {
        assert_eq!(read(&archive).lines, [line]);
        archive.truncate(TAR_BLOCK + 300);
        let read = read(&archive);
        assert!(read.lines.is_empty() && read.failures.len() == 1, "{read:?}");
    }
}

#[test]
fn a_name_without_end_takes_no_memory() {
    // One header claims a huge length; the other one really has it.
    let mut claimed = member("././@LongLink", tar::EntryType::GNULongName, b"");
    let mut header = tar::Header::from_byte_slice(&claimed).clone();
    header.set_size(1 << 40);
    header.set_cksum();
    claimed = header.as_bytes().to_vec();
    let given = member("././@LongLink", tar::EntryType::GNULongName, &vec![b'x'; 3 << 20]);
    for long in [claimed, given] {
        let read = read(&ended(&[file("kata.log", "one\n"), long, file("kata.log", "two\n")]));
        assert_eq!(read.lines, ["one", "two"], "what follows is found by its header");
        assert_eq!(read.failures.len(), 1, "{read:?}");
        let failure = &read.failures[0];
        assert!(failure.contains("a header is damaged at offset 1024") || failure.contains("cut off"), "{failure}");
    }
}

#[test]
fn sparse_files_are_counted() {
    let mut pax = tar::Builder::new(Vec::new());
    pax.append_pax_extensions([("GNU.sparse.major", b"1".as_slice()), ("GNU.sparse.name", b"var/log/a.log")]).unwrap();
    let pax = [pax.into_inner().unwrap(), file("GNUSparseFile.1/a.log", "1\n0\n1\n")];
    let pax = [&pax[0][..2 * TAR_BLOCK], &pax[1]].concat();
    let sparse = |path: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_path(path).unwrap();
        header.set_entry_type(tar::EntryType::GNUSparse);
        header.as_gnu_mut().unwrap().realsize.copy_from_slice(b"00000000000\0");
        framed(header, b"")
    };
    let read = read(&ended(&[sparse("b.journal"), sparse("disk.img"), pax, file("kata.log", "one\n")]));
    assert_eq!(read.lines, ["one"]);
    assert_eq!(read.damages, ["sparse-member a.tar:b.journal", "sparse-member a.tar:var/log/a.log"]);
    assert_eq!(read.passed_over, ["a.tar:disk.img"]);
}

#[test]
fn archives_in_archives_are_read_one_level_down() {
    let deepest = ended(&[file("kata.log", "deepest\n")]);
    let inner = ended(&[file("kata.log", "inner\n"), file("x.journal", journal(b"1")), file("deep.tar", &deepest)]);
    let read = read(&ended(&[
        file("before.log", "before\n"),
        file("inner.tar", &inner),
        file("after.log", "after\n"),
        file("cut.tar", &inner[..TAR_BLOCK + 2]),
        file("z.journal", journal(b"2")),
    ]));
    assert_eq!(read.lines, ["before", "inner", "after", "in"]);
    assert_eq!(read.damages, ["nested-archive a.tar:inner.tar:deep.tar"]);
    let names: Vec<&str> = read.journals.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a.tar:inner.tar:x.journal", "a.tar:z.journal"]);
    assert_eq!(read.journals[0].1, journal(b"1"));
    assert_eq!(read.failures.len(), 1, "{read:?}");
    assert!(read.failures[0].starts_with("failed to read \"a.tar:cut.tar\": it is cut off"), "{read:?}");
}

#[test]
fn the_journals_of_an_archive_have_a_limit_together() {
    let members = ["1.journal", "2.journal", "deep/3.journal", "4.journal"].map(|name| file(name, journal(b"1")));
    let bytes = ArchiveBytes::of_stream(ended(&members), Bytes::of_any(Box::new(std::io::empty()), false));
    let place = ArchivePlace { within: PathBuf::new(), whole: PathBuf::new() };
    let mut archive = Archive::new(bytes, &Input::File("a.tar".into()), place, Logs::Read, &Settings::default());
    archive.memory_left = 3 * (JOURNAL_MEMORY + "a.tar:1.journal".len());
    while archive.fill(&mut Batch::default()) != Fill::End {}
    let events = archive.take_events().into_iter().map(|event| match event {
        Event::Journal(member) => member.path.to_str().unwrap().to_owned(),
        Event::Damaged(damaged) => format!("{} {}", damaged.reason, damaged.input),
        event => panic!("{event:?}"),
    });
    let left_out = "too-many-journals a.tar:deep/3.journal";
    assert_eq!(events.collect::<Vec<_>>(), ["a.tar:1.journal", "a.tar:2.journal", left_out, "a.tar:4.journal"]);
}

#[cfg(feature = "gzip")]
#[test]
fn compressed_members_are_unpacked() {
    let long = journal(&[7; 200_000]);
    let archive = ended(&[
        file("kata.log.1.gz", gzipped("packed\n")),
        file("x.journal.gz", gzipped(&long)),
        file("inner.tgz", gzipped(ended(&[file("kata.log", "inner\n"), file("y.journal", journal(b"2"))]))),
        file("cut.journal.gz", &gzipped(&long)[..60]),
        file("broken.log.gz", b"\x1f\x8b\x08nonsense"),
        file("broken.gz", b"\x1f\x8b\x08nonsense"),
        file("kata.log", "last\n"),
    ]);
    let check = |read: &Read| {
        assert_eq!(read.lines, ["packed", "inner", "last"]);
        assert_eq!(read.journals[0], ("a.tar:x.journal.gz".to_owned(), long.clone()));
        assert_eq!(read.journals[1], ("a.tar:inner.tgz:y.journal".to_owned(), journal(b"2")));
        assert!(long.starts_with(&read.journals[2].1) && read.journals.len() == 3);
        assert_eq!(read.passed_over, ["a.tar:broken.gz"]);
        assert_eq!(read.failures.len(), 2, "{:?}", read.failures);
        assert!(read.failures[0].contains("\"a.tar:cut.journal.gz\": its gzip data is damaged"), "{:?}", read.failures);
        assert!(read.failures[1].contains("\"a.tar:broken.log.gz\": its gzip data is damaged"), "{:?}", read.failures);
    };
    check(&read(&archive));
    // A pipe must give the same result as a file.
    check(&read(&gzipped(&archive)));
}

#[cfg(feature = "gzip")]
#[cfg(all(feature = "xz", feature = "zstd"))]
#[test]
fn the_decoders_of_nested_archives_share_their_memory() {
    use std::io::Write as _;

    let zstd = |window: u32, bytes: &[u8]| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let xz = |dictionary: u32, bytes: &[u8]| {
        let mut lzma = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(lzma.dict_size(dictionary << 20));
        let stream = liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32).unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    // The decoders need 64 MiB, 33 to 96 MiB, and 16 MiB.
    let log = |name: &str| file(name, zstd(24, b"text\n"));
    let nested = |dictionary| file("in.tar.xz", xz(dictionary, &ended(&[log("kata.log"), log("kata-2.log")])));
    let archive = |dictionary| zstd(26, &ended(&[nested(dictionary), file("kata.log", "after\n")]));
    let fits = read(&archive(32));
    assert_eq!((fits.lines, fits.failures), (vec!["text".into(), "text".into(), "after".into()], vec![]));
    for dictionary in [56, 96] {
        let refused = read(&archive(dictionary));
        assert_eq!(refused.lines, ["after"], "{dictionary}");
        let failures = refused.failures.join(" ");
        assert!(failures.contains("more than 128 MiB of memory"), "{failures}");
    }
}

#[test]
fn a_damaged_archive_is_blamed_once() {
    let packed = gzipped(ended(&[
        file("kata.log", text(3000)),
        file("inner.tgz", gzipped(ended(&[file("kata.log", text(3000))]))),
        file("kata.log.gz", gzipped(text(3000))),
        file("x.journal", journal(&text(3000))),
    ]));
    let mut most = 0;
    for cut in (1500..packed.len() - 1).step_by(997) {
        let read = filed(&packed[..cut]);
        assert!(read.failures.len() == 1, "{cut}: {:?}", read.failures);
        assert!(
            read.failures[0].starts_with("failed to read \"a.tar\": its gzip data is damaged"),
            "{:?}",
            read.failures
        );
        assert!(read.lines.len() >= most, "{cut}");
        most = read.lines.len();
    }
    assert!(most >= 9000);
}

/// Returns text that compresses well.
fn text(lines: u32) -> Vec<u8> {
    (0..lines).flat_map(|line| format!("{:x}\n", line.wrapping_mul(2_654_435_761)).into_bytes()).collect()
}

#[test]
fn a_cut_archive_gives_what_is_there() {
    let members = [
        file("kata.log", text(200)),
        file("x.journal", journal(&[1; 1500])),
        file("b/kata.log", "last\n"),
        file("c", ""),
    ];
    let archive = [members.concat(), vec![0; 2 * TAR_BLOCK]].concat();
    let end = archive.len() - 2 * TAR_BLOCK;
    let whole = read(&archive);
    assert!(whole.failures.is_empty());
    for cut in (TAR_BLOCK / 2..archive.len()).step_by(TAR_BLOCK / 2) {
        let read = read(&archive[..cut]);
        // The last line may be cut; everything before the cut is intact.
        assert!(read.lines.len() <= whole.lines.len(), "{cut}");
        let known = read.lines.len().saturating_sub(1);
        assert_eq!(read.lines[..known], whole.lines[..known], "{cut}");
        for ((name, bytes), expected) in read.journals.iter().zip(&whole.journals) {
            assert!(*name == expected.0 && expected.1.starts_with(bytes), "{cut}");
        }
        assert_eq!(read.failures.len(), usize::from(cut < end + TAR_BLOCK), "{cut}: {:?}", read.failures);
        assert!(
            read.failures.iter().all(|failure| failure.contains("\"a.tar\": it is cut off")),
            "{:?}",
            read.failures
        );
    }
}

#[test]
fn behind_a_damaged_header_the_next_one_is_found() {
    let mut bad = file("bad/kata.log", "bad\n");
    bad[3] ^= 1;
    let read = read(&ended(&[file("kata.log", "one\n"), bad.clone(), bad, file("kata.log", "two\n")]));
    assert_eq!(read.lines, ["one", "two"]);
    assert_eq!(read.failures.len(), 1, "{:?}", read.failures);
    assert!(read.failures[0].contains("a header is damaged at offset 1024 of the archive"), "{:?}", read.failures);
}

#[test]
fn a_size_is_a_claim() {
    for size in [1 << 20, 1 << 62, u64::MAX - 600, u64::MAX] {
        let mut header = tar::Header::new_gnu();
        header.set_path("kata.log").unwrap();
        header.set_size(size);
        header.set_cksum();
        let archive = [header.as_bytes().as_slice(), b"line\n", &[b'x'; TAR_BLOCK - 5]].concat();
        let read = read(&archive);
        assert_eq!(read.failures.len(), 1, "{size}: {:?}", read.failures);
        assert!(size > 1 << 62 || read.lines[0] == "line", "{size}: {read:?}");
    }
}

#[test]
fn archives_in_a_row_are_one() {
    let one = ended(&[file("kata.log", "one\n")]);
    let two = ended(&[file("kata.log", "two\n")]);
    let read = read(&[one, two, b"garbage".repeat(200)].concat());
    assert_eq!(read.lines, ["one", "two"]);
    assert!(read.failures.is_empty(), "{:?}", read.failures);
}

#[test]
fn without_logs_only_journals_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar");
    fs::write(&path, ended(&[file("kata.log", "one\n"), file("x", journal(b""))])).unwrap();
    let read = all(open_archive(&path, Path::new("-"), Logs::JournalsOnly, &Settings::default()).unwrap());
    assert_eq!((read.lines.len(), read.journals.len(), read.passed_over.len()), (0, 1, 1));
}

/// Parts of archives, whole and damaged.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![Just("kata.log"), Just("a/messages"), Just("b"), Just("x.journal"), Just("")];
    let kind = prop_oneof![4 => Just(b'0'), 1 => any::<u8>()];
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..1200),
        Just(journal(b"x")),
        Just(ended(&[file("kata.log", "inner\n")])),
        Just(b"\x1f\x8b\x08\0\0\0\0\0".to_vec()),
    ];
    let whole =
        (name, kind, content).prop_map(|(name, kind, content)| member(name, tar::EntryType::new(kind), &content));
    let damaged = (whole, any::<prop::sample::Index>(), any::<u8>(), prop::bool::weighted(0.3), any::<[u8; 12]>())
        .prop_map(|(mut bytes, at, byte, fix, size)| {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if fix {
                // Makes the checksum valid, whatever the header says.
                let mut header = tar::Header::from_byte_slice(&bytes[..TAR_BLOCK]).clone();
                header.as_old_mut().size = size;
                header.set_cksum();
                bytes[..TAR_BLOCK].copy_from_slice(header.as_bytes());
            }
            bytes
        });
    prop_oneof![
        6 => damaged,
        1 => Just(vec![0; TAR_BLOCK]),
        1 => prop::collection::vec(any::<u8>(), 0..700),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn any_bytes_come_to_an_end(pieces in prop::collection::vec(piece(), 0..8), cut in any::<prop::sample::Index>()) {
        let mut archive = [file("kata.log", "first\n"), pieces.concat()].concat();
        archive.truncate(TAR_BLOCK + 6 + cut.index(archive.len() - TAR_BLOCK - 5));
        let read = read(&archive);
        prop_assert_eq!(&read.lines[0], "first");
    }
}

#[test]
fn a_flag_that_holds_for_journals_only_leaves_the_logs_out() {
    let directory = tempfile::tempdir().unwrap();
    let members =
        [file("kata/a.log", "x\n"), file("b.journal", journal(b"")), file("kata/c.log", "y\n"), file("e.log", "")];
    let archive = directory.path().join("a.tar");
    fs::write(&archive, ended(&members)).unwrap();
    let bundle = directory.path().join("bundle");
    fs::create_dir_all(bundle.join("kata")).unwrap();
    for (name, bytes) in
        [("kata/a.log", &b"x\n"[..]), ("b.journal", b"LPKSHHRH"), ("kata/c.log", b"y\n"), ("e.log", b"")]
    {
        fs::write(bundle.join(name), bytes).unwrap();
    }
    for (input, separator) in [(&archive, ":"), (&bundle, "/")] {
        let read = all(open_archive(input, Path::new("-"), Logs::RefusedBy("--boot"), &Settings::default()).unwrap());
        let first = format!("{}{separator}kata/a.log", input.display());
        let expected = format!(
            "--boot: {first:?} is no journal file, and --boot holds for journals only; all logs of {input:?} are left \
             out, unless you leave out --boot"
        );
        assert_eq!(read.failures, [expected]);
        assert_eq!((read.journals.len(), read.lines.len()), (1, 0), "{read:?}");
        assert!(read.passed_over.iter().any(|name| name.ends_with("kata/c.log")), "{read:?}");
    }
}

#[test]
fn each_log_has_the_route_of_its_path() {
    let entry = "{\"__CURSOR\":\"s\"}\n";
    let inner = ended(&[file("var/log/kata/a.log", "x\n")]);
    let archive = ended(&[
        file("a/var/log/messages", "x\n"),
        file("a/var/log/pods/ns_kata-pod_1/c/0.log", "x\n"),
        file("a/var/log/pods/kube-system_kata-monitor-1_1/c/0.log", "x\n"),
        file("a/containerd.log", "x\n"),
        file("a/srv/app.log", entry),
        file("a/journalctl.json", entry),
        file("a/kata/logs.tar", &inner),
        file("var/lib/kubelet/pods/1/volumes/logs.tar", &inner),
    ]);
    let expected = [
        Route::Named,
        Route::Container,
        Route::TrustedPod,
        Route::Manager,
        Route::Unlisted,
        Route::Journal,
        Route::Named,
        Route::Container,
    ];
    assert_eq!(read(&archive).routes, expected);
    // A directory is read like an archive of it.
    let directory = tempfile::tempdir().unwrap();
    tar::Archive::new(&archive[..]).unpack(directory.path()).unwrap();
    let open = |path: &Path| open_archive(path, Path::new("-"), Logs::Read, &Settings::default()).unwrap();
    let sorted = |routes: &[Route]| {
        let mut names: Vec<String> = routes.iter().map(|route| format!("{route:?}")).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(sorted(&all(open(directory.path())).routes), sorted(&expected));
    // The part of the path before the named directory counts too.
    let pod = directory.path().join("a/var/log/pods/ns_kata-pod_1");
    assert_eq!(all(open(&pod)).routes, [Route::Container]);
}
