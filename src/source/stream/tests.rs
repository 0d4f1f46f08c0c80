#![allow(clippy::unwrap_used)] // a test fails by it

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::Stream;
use crate::source::tests::{ChunkedReader, drain, take};
use crate::source::{Fill, Input, Logs, Settings, Source, SourceError, Trust, from_reader, open};
use kata_records::Batch;
use kata_records::origin::Route;

fn live(reader: impl Read + Send + 'static) -> Box<dyn Source + Send> {
    from_reader(Box::new(reader), Input::Stdin, true, &Settings::default())
}

fn next(source: &mut dyn Source, batch: &mut Batch) -> (Fill, Vec<String>) {
    let fill = source.fill(batch).into_result().unwrap();
    let mut entries = Vec::new();
    take(batch, &mut entries);
    (fill, entries.into_iter().map(|entry| entry.text).collect())
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_line_from_a_pipe_is_handed_on_at_once() {
    let (reader, mut writer) = io::pipe().unwrap();
    let mut source = live(reader);
    let mut batch = Batch::default();
    // Each call would block forever if it read the pipe once more than needed.
    for line in ["h", "LPK", "\u{1}", "two"] {
        writeln!(writer, "{line}").unwrap();
        assert_eq!(next(&mut *source, &mut batch), (Fill::Idle, strings(&[line])));
    }
    write!(writer, "done\nbegun").unwrap();
    assert_eq!(next(&mut *source, &mut batch), (Fill::Idle, strings(&["done"])));
    write!(writer, " ended\n__CURSOR=a\n\n").unwrap();
    assert_eq!(next(&mut *source, &mut batch), (Fill::Idle, strings(&["begun ended", "__CURSOR=a", ""])));
    drop(writer);
    assert_eq!(next(&mut *source, &mut batch), (Fill::End, vec![]));
}

#[test]
fn an_idle_answer_follows_where_the_caller_was_told_to_go_on() {
    let settings = Settings { block: 64, ..Settings::default() };
    let lines = "0123456789abcde\n".repeat(4);
    let input = format!("{lines}unfinished and done\n");
    let mut source = from_reader(Box::new(ChunkedReader::new(input, &[64, 10, 99])), Input::Stdin, true, &settings);
    let mut batch = Batch::default();
    assert_eq!(next(&mut *source, &mut batch).0, Fill::More);
    assert_eq!(next(&mut *source, &mut batch), (Fill::Idle, vec![]));
    assert_eq!(next(&mut *source, &mut batch), (Fill::Idle, strings(&["unfinished and done"])));
}

#[test]
fn files_fill_whole_batches_and_end() {
    let settings = Settings { block: 1000, ..Settings::default() };
    let input = "0123456789\n".repeat(500);
    let mut source = from_reader(Box::new(ChunkedReader::new(input, &[7])), Input::Stdin, false, &settings);
    let mut batch = Batch::default();
    let mut fills = Vec::new();
    let mut entries = Vec::new();
    while fills.last() != Some(&Fill::End) {
        fills.push(source.fill(&mut batch).into_result().unwrap());
        take(&batch, &mut entries);
    }
    assert_eq!(entries.len(), 500);
    assert!(!fills.contains(&Fill::Idle));
    assert!((4..8).contains(&fills.len()), "{fills:?}");
}

#[test]
fn interrupted_reads_are_made_again() {
    struct Interrupted(bool);
    impl Read for Interrupted {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.0 = !self.0;
            if self.0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            room[0] = b'\n';
            Ok(1)
        }
    }
    let mut batch = Batch::default();
    assert_eq!(next(&mut *live(Interrupted(false)), &mut batch), (Fill::Idle, strings(&[""])));
}

#[test]
fn what_was_read_before_an_error_comes_first() {
    let mut pieces = ChunkedReader::new("one\ntwo", &[2]);
    pieces.failure = Some(io::Error::from_raw_os_error(5));
    let mut source = from_reader(Box::new(pieces), PathBuf::from("x").into(), false, &Settings::default());
    let (entries, error) = drain(&mut *source);
    let seen: Vec<_> = entries.iter().map(|entry| (entry.text.as_str(), entry.unfinished)).collect();
    assert_eq!(seen, [("one", false), ("two", true)]);
    let error = error.unwrap();
    assert_eq!(error.exit().code(), 74);
    assert!(error.to_string().starts_with("failed to read \"x\" at offset 7: "), "{error}");
}

/// A reader without an end.
struct Endless(&'static [u8], usize);

impl Read for Endless {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        for byte in room.iter_mut() {
            *byte = self.0[self.1 % self.0.len()];
            self.1 += 1;
        }
        Ok(room.len())
    }
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let part = b"2024-05-06T07:08:14.3Z stdout P part after part after part\n";
    let data = b"__CURSOR=a\nDATA\n\0\0\0\x20\0\0\0\0 never ends ";
    for input in [&b"no line end"[..], b"__CURSOR=", b"__CURSOR=a\n", part, data, b"\n"] {
        let settings = Settings { max_line: 10_000, block: 20_000, ..Settings::default() };
        let mut source = from_reader(Box::new(Endless(input, 0)), Input::Stdin, false, &settings);
        let mut batch = Batch::default();
        for _ in 0..50 {
            assert_eq!(source.fill(&mut batch).into_result().unwrap(), Fill::More);
            let held = batch.arena.capacity() + batch.side.capacity();
            assert!(held < 150_000, "{held} bytes for {:?}", String::from_utf8_lossy(input));
        }
    }
}

#[test]
fn the_buffers_shrink_after_a_giant_entry() {
    let mut batch = Batch::default();
    // Space for the longest line is kept, because long lines come in groups; more is released.
    let export = format!("__CURSOR=a\n{}\n", format!("A={}\n", "a".repeat(90_000)).repeat(3));
    let input = format!("{export}{}", "small\n".repeat(1000));
    let settings = Settings { max_line: 100_000, block: 1000, ..Settings::default() };
    let mut source = from_reader(Box::new(ChunkedReader::new(input, &[usize::MAX])), Input::Stdin, false, &settings);
    assert_eq!(source.fill(&mut batch).into_result().unwrap(), Fill::More);
    assert!(batch.arena.capacity() >= 270_000);
    assert_eq!(source.fill(&mut batch).into_result().unwrap(), Fill::More);
    assert!(batch.arena.capacity() <= 102_000, "{}", batch.arena.capacity());
}

#[test]
fn the_steady_state_allocates_nothing() {
    let mixed = b"time=\"2024\" level=info msg=\"plain\"\n2024-05-06T07:08:14Z stdout P a\n\
        2024-05-06T07:08:14Z stdout F b\n{\"log\":\"a\",\"stream\":\"stdout\"}\n\
        {\"log\":\"b\\n\",\"stream\":\"stdout\"}\n\
        __CURSOR=a\nM=1\nB\n\x03\0\0\0\0\0\0\0a\nb\n\n";
    let mut source = from_reader(Box::new(Endless(mixed, 0)), Input::Stdin, false, &Settings::default());
    let mut batch = Batch::default();
    let mut fill =
        |times: u32| (0..times).for_each(|_| assert_eq!(source.fill(&mut batch).into_result().unwrap(), Fill::More));
    fill(20);
    let info = allocation_counter::measure(|| fill(50));
    assert_eq!(info.count_total, 0);
}

#[test]
fn inputs_that_cannot_be_opened_say_why() {
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().join("no such file");
    let settings = Settings::default();
    let error = open(&name.clone().into(), Logs::Read, &settings).err().unwrap();
    assert_eq!(error.exit().code(), 66);
    assert!(error.to_string().starts_with(&format!("failed to open {name:?} for reading: No such file")), "{error}");

    let error = open(&directory.path().to_owned().into(), Logs::Read, &settings).err().unwrap();
    assert_eq!(error.exit().code(), 65);
    assert!(error.to_string().contains("is a directory"), "{error}");
    assert!(matches!(error, SourceError::Directory { .. }));

    let denied = SourceError::Open { input: Input::Stdin, cause: io::ErrorKind::PermissionDenied.into() };
    assert_eq!(denied.exit().code(), 77);
}

#[test]
fn files_are_read_to_their_end() {
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().join("kata.log");
    fs::write(&name, "one\ntwo").unwrap();
    let mut source = open(&name.into(), Logs::Read, &Settings::default()).unwrap();
    let mut batch = Batch::default();
    assert_eq!(next(&mut *source, &mut batch), (Fill::End, strings(&["one", "two"])));
}

#[test]
fn a_dash_is_standard_input() {
    assert_eq!(Input::from(PathBuf::from("-")), Input::Stdin);
    assert_eq!(Input::Stdin.to_string(), "-");
    let file = Input::from(PathBuf::from("a/b"));
    assert_eq!((file.clone(), file.to_string()), (Input::File("a/b".into()), "a/b".to_owned()));
    assert_eq!("-".parse(), Ok(Input::Stdin));
}

#[test]
fn a_flag_that_holds_for_journals_only_refuses_a_log_from_a_pipe() {
    let read = |bytes: &'static [u8], logs| {
        let stream = Stream::new(Box::new(bytes), None, Input::Stdin, true, &Settings::default());
        drain(&mut stream.with_logs(logs))
    };
    let (entries, error) = read(b"\0\x01\x02 one\n", Logs::RefusedBy("--boot"));
    assert!(entries.is_empty());
    assert_eq!(
        error.unwrap().to_string(),
        "--boot: standard input is no journal file, and --boot holds for journals only; leave out --boot"
    );
    assert!(read(b"", Logs::RefusedBy("--boot")).1.is_none(), "nothing has no times");
    assert!(read(b"LPKSHHRH", Logs::RefusedBy("--boot")).1.is_none(), "a journal obeys");
    assert!(matches!(read(b"", Logs::JournalsOnly).1, Some(SourceError::NoJournal { .. })));
}

/// Returns the routes of the batches of an input in pieces.
fn routes(input: &'static str, name: Input, settings: &Settings) -> Vec<Route> {
    let mut source = from_reader(Box::new(ChunkedReader::new(input, &[3])), name, true, settings);
    let (mut batch, mut routes) = (Batch::default(), Vec::new());
    loop {
        let fill = source.fill(&mut batch).into_result().unwrap();
        routes.extend((!batch.is_empty()).then_some(batch.route));
        if fill == Fill::End {
            return routes;
        }
    }
}

#[test]
fn the_first_line_and_the_path_decide_the_route() {
    let pod = Input::File("/var/log/pods/ns_app_1/c/0.log".into());
    let entry = "{\"__CURSOR\":\"s\"}\ntext\n";
    let settings = Settings { block: 64, ..Settings::default() };
    for (name, input, expected) in [
        (Input::Stdin, "text\n{\"__CURSOR\":\"s\"}\n", Route::Named),
        (Input::Stdin, entry, Route::Journal),
        (Input::Stdin, "__CURSOR=1\nMESSAGE=x\n\ntext\n", Route::Journal),
        (Input::Stdin, "INFO[0000] a\ntext\n", Route::Terminal),
        (pod, entry, Route::Container),
        (Input::File("containerd.log".into()), entry, Route::Manager),
    ] {
        let routes = routes(input, name, &settings);
        assert!(!routes.is_empty() && routes.iter().all(|route| *route == expected), "{input}: {routes:?}");
    }
    let trust = Trust { untrusted: true, ..Trust::default() };
    let settings = Settings { trust: Arc::new(trust), ..settings };
    assert_eq!(routes(entry, Input::Stdin, &settings).first(), Some(&Route::Unlisted));
}
