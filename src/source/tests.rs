//! Helpers for all tests of sources, and the property they share: how reads cut the input never shows.

#![allow(clippy::unwrap_used)] // a test fails by it

use std::io::{self, Read};

use proptest::prelude::*;

use super::{Fill, Input, InputFormat, Settings, Source, SourceError, from_reader};
use kata_records::origin::Continuation;
use kata_records::{Batch, Framing};

/// An entry that outlives its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) text: String,
    pub(super) bytes: Vec<u8>,
    pub(super) framing: Framing,
    pub(super) offset: u64,
    pub(super) truncated: bool,
    pub(super) unfinished: bool,
    pub(super) continuation: Continuation,
}

/// A reader that returns chunks of the given sizes in rotation and may fail at the end.
pub(super) struct ChunkedReader {
    data: Vec<u8>,
    at: usize,
    sizes: Vec<usize>,
    turn: usize,
    pub(super) failure: Option<io::Error>,
}

impl ChunkedReader {
    pub(super) fn new(data: impl Into<Vec<u8>>, sizes: &[usize]) -> Self {
        Self { data: data.into(), at: 0, sizes: sizes.to_vec(), turn: 0, failure: None }
    }
}

impl Read for ChunkedReader {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes[self.turn % self.sizes.len()].max(1);
        self.turn += 1;
        let len = size.min(room.len()).min(self.data.len() - self.at);
        room[..len].copy_from_slice(&self.data[self.at..self.at + len]);
        self.at += len;
        match self.failure.take_if(|_| len == 0) {
            Some(cause) => Err(cause),
            None => Ok(len),
        }
    }
}

pub(super) fn take(batch: &Batch, into: &mut Vec<Owned>) {
    into.extend(batch.frames.iter().map(|frame| {
        let bytes = batch.bytes_of(frame);
        Owned {
            text: String::from_utf8_lossy(bytes).into_owned(),
            bytes: bytes.to_vec(),
            framing: frame.framing,
            offset: frame.offset,
            truncated: frame.truncated,
            unfinished: frame.unfinished,
            continuation: frame.continuation,
        }
    }));
}

/// Reads a source to its end or its error.
pub(super) fn drain(source: &mut dyn Source) -> (Vec<Owned>, Option<SourceError>) {
    let mut batch = Batch::default();
    let mut entries = Vec::new();
    loop {
        match source.fill(&mut batch).into_result() {
            Ok(fill) => {
                take(&batch, &mut entries);
                if fill == Fill::End {
                    assert_eq!(source.fill(&mut batch).into_result().unwrap(), Fill::End);
                    assert!(batch.is_empty());
                    return (entries, None);
                }
            }
            Err(error) => {
                assert!(batch.is_empty());
                assert_eq!(source.fill(&mut batch).into_result().unwrap(), Fill::End);
                return (entries, Some(error));
            }
        }
    }
}

pub(super) fn settings(input_format: InputFormat, max_line: usize) -> Settings {
    Settings { input_format, max_line, ..Settings::default() }
}

/// Returns the entries of an input, read with these settings and chunk sizes.
pub(super) fn cut(data: &[u8], settings: &Settings, sizes: &[usize], live: bool) -> Vec<Owned> {
    let mut source = from_reader(Box::new(ChunkedReader::new(data, sizes)), Input::Stdin, live, settings);
    let (entries, error) = drain(&mut *source);
    assert!(error.is_none(), "{error:?}");
    entries
}

/// Returns the entries of an input read at once, after checking that single bytes give the same.
pub(super) fn entries(data: impl AsRef<[u8]>, settings: &Settings) -> Vec<Owned> {
    let whole = cut(data.as_ref(), settings, &[usize::MAX], false);
    let small = Settings { block: 1, ..settings.clone() };
    assert_eq!(whole, cut(data.as_ref(), &small, &[1], true), "single bytes, live");
    assert_eq!(whole, cut(data.as_ref(), &small, &[1], false), "single bytes");
    whole
}

/// Returns the text of each entry, with default settings.
pub(super) fn texts(data: impl AsRef<[u8]>) -> Vec<String> {
    entries(data, &Settings::default()).into_iter().map(|entry| entry.text).collect()
}

/// Builds a binary field of an export entry.
pub(super) fn binary(name: &str, length: u64, data: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b"\n", &length.to_le_bytes(), data, b"\n"].concat()
}

#[test]
fn settings_have_the_documented_defaults_and_words() {
    assert_eq!("journal-json".parse(), Ok(InputFormat::JournalJson));
    assert_eq!(Settings::default().max_line, 1 << 20);
    assert_eq!(Settings::default().block, 256 << 10);
}

#[test]
fn batches_are_send_and_count_what_they_hold() {
    fn send<T: Send>(_: &T) {}
    let mut batch = Batch::default();
    send(&batch);
    let mut source = from_reader(Box::new(&b"one\r\n\ntwo"[..]), Input::Stdin, false, &Settings::default());
    assert_eq!(source.fill(&mut batch).into_result().unwrap(), Fill::End);
    assert_eq!((batch.len(), batch.bytes(), batch.is_empty()), (3, 6, false));
    batch.clear();
    assert_eq!((batch.len(), batch.bytes(), batch.is_empty()), (0, 0, true));
}

/// Fragments of input of every kind, whole and damaged.
pub(super) fn piece() -> impl Strategy<Value = Vec<u8>> {
    let cri = ("(stdout|stderr|other)", "(P|F|P:x|F:x:y|X)", "[a-z é\\\\]{0,30}")
        .prop_map(|(stream, tag, text)| format!("2024-05-06T07:08:14.3Z {stream} {tag} {text}\n").into_bytes());
    let docker = ("([a-z é]|\\\\n|\\\\\"|\\\\\\\\|\\\\u001b){0,12}", "(|\\\\n)", "(stdout|stderr|other)").prop_map(
        |(text, end, stream)| {
            format!("{{\"log\":\"{text}{end}\",\"stream\":\"{stream}\",\"time\":\"t\"}}\n").into_bytes()
        },
    );
    let data = prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'='), any::<u8>()], 0..60);
    let field = prop_oneof![
        "[A-Z_]{1,8}=[a-z ]{0,40}\n".prop_map(String::into_bytes),
        data.clone().prop_map(|data| binary("DATA", data.len() as u64, &data)),
        (data, prop_oneof![0..70_u64, any::<u64>()]).prop_map(|(data, length)| binary("ODD", length, &data)),
    ];
    let export = ("__(CURSOR|REALTIME_TIMESTAMP)=[a-z0-9]{0,9}\n", prop::collection::vec(field, 0..5), "\n{0,2}")
        .prop_map(|(start, fields, end)| [start.as_bytes(), &fields.concat(), end.as_bytes()].concat());
    prop_oneof![
        4 => "[a-z =\"]{0,50}(\r\n|\n|\r|)".prop_map(String::into_bytes),
        3 => cri,
        3 => docker,
        4 => export,
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => Just(b"{\"log\":\"cut".to_vec()),
        1 => Just(b"__CURSOR".to_vec()),
    ]
}

fn any_format() -> impl Strategy<Value = InputFormat> {
    prop_oneof![
        6 => Just(InputFormat::Auto),
        2 => Just(InputFormat::Export),
        1 => Just(InputFormat::Cri),
        1 => Just(InputFormat::Docker),
        1 => Just(InputFormat::Text),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn where_reads_cut_the_input_shows_nowhere(
        pieces in prop::collection::vec(piece(), 0..16),
        input_format in any_format(),
        max_line in prop_oneof![1..80_usize, Just(1 << 20)],
        block in prop_oneof![1..300_usize, Just(256 << 10)],
        sizes in prop::collection::vec(prop_oneof![1..12_usize, 1..400_usize], 1..20),
        live in any::<bool>(),
    ) {
        // The leading space keeps the input from beginning with a magic number.
        let data = [b" ".to_vec(), pieces.concat()].concat();
        let settings = Settings { input_format, max_line, block, ..Settings::default() };
        let whole = cut(&data, &Settings { block: 1 << 20, ..settings.clone() }, &[usize::MAX], false);
        prop_assert_eq!(&whole, &cut(&data, &settings, &sizes, live));
        for entry in &whole {
            let limit = match entry.framing {
                Framing::Export => 4 * max_line,
                // A joined line has a header besides its text.
                Framing::Line | Framing::JoinedLine => 2 * max_line + 16,
            };
            prop_assert!(entry.bytes.len() <= limit, "{} bytes", entry.bytes.len());
        }
    }

    #[test]
    fn plain_lines_hold_every_byte(data in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..400)) {
        let data = [b" ".to_vec(), data].concat();
        let found = cut(&data, &settings(InputFormat::Text, 1 << 20), &[7, 30], true);
        let body = data.strip_suffix(b"\n").unwrap_or(&data);
        let lines: Vec<&[u8]> =
            body.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
        prop_assert_eq!(found.iter().map(|entry| &entry.bytes[..]).collect::<Vec<_>>(), lines);
    }
}
