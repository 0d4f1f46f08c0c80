//! Properties of every input, with any content and any read sizes.

mod fixtures;
mod guest;
mod records;
mod schemas;
mod values;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use crate::support::cases;
use crate::support::check::{for_people, same_when_cut};
use crate::support::pipeline::{Cuts, Record, Setup};

#[path = "../fixtures/generate/quote.rs"]
pub(crate) mod quote;

static DEFAULT: LazyLock<Setup> = LazyLock::new(|| Setup::new(&[]));
static PASSING: LazyLock<Setup> =
    LazyLock::new(|| Setup::new(&["--others=pass", "--nested=keep", "--max-line=1K", "--tag-key=tag"]));
static TEXT: LazyLock<[Setup; 2]> = LazyLock::new(|| {
    ["--color=never", "--color=always"].map(|color| Setup::new(&["--format=text", "--others=pass", color]))
});
static PACKED: LazyLock<[Setup; 2]> =
    LazyLock::new(|| ["ndjson", "msgpack"].map(|format| Setup::new(&["--others=pass", "--format", format])));

/// The checked-in inputs, name and content.
static INPUTS: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(|| {
    let files = files("fixtures/inputs");
    assert!(files.len() >= 17, "{} inputs", files.len());
    files
});

/// Returns all files below a folder of the repository, in order.
fn files(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let content = fs::read(&path).unwrap();
                files.push((path, content));
            }
        }
    }
    files.sort();
    files
}

/// One change of a fixture's bytes.
#[derive(Clone, Debug)]
enum Change {
    Flip(u8),
    Insert(Vec<u8>),
    Delete(usize),
    Truncate,
    /// The rest is replaced by another line.
    Splice(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let odd = prop::sample::select(vec![
        &b"\""[..],
        b"\\",
        b"=",
        b"\n",
        b"\r\n",
        b"\0",
        b"\xff",
        b"\\x",
        b"\\u00",
        b"\\ud800",
        b"{",
        b"}",
        b"[",
        b",",
        b":",
        b"%!s(MISSING)",
        b" pid=",
        b"\"level\":3,",
        b"\x1b[31m",
        b"\xc2\x9b",
        b"null",
        b"\n\n",
        b"__CURSOR=",
        b"\xf0\x9f\x98\x80",
    ]);
    prop_oneof![
        3 => any::<u8>().prop_map(|bits| Change::Flip(bits.max(1))),
        3 => odd.prop_map(|bytes| Change::Insert(bytes.to_vec())),
        1 => vec(any::<u8>(), 1..9).prop_map(Change::Insert),
        3 => (1_usize..40).prop_map(Change::Delete),
        1 => Just(Change::Truncate),
        2 => (any::<usize>(), any::<usize>()).prop_map(|(line, at)| Change::Splice(line, at)),
    ]
}

/// Generates a few lines of a fixture, damaged.
pub(crate) fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<usize>(), change()), 0..8);
    (0..INPUTS.len(), any::<usize>(), 1_usize..5, changes).prop_map(|(file, first, count, changes)| {
        let lines: Vec<&[u8]> = INPUTS[file].1.split_inclusive(|byte| *byte == b'\n').collect();
        let first = first % lines.len();
        // An entry of an export stream has many lines.
        let count = if INPUTS[file].0.extension().is_some_and(|name| name == "export") { count * 20 } else { count };
        let mut bytes = lines[first..lines.len().min(first + count)].concat();
        for (at, change) in changes {
            let at = at % (bytes.len() + 1);
            match change {
                Change::Flip(bits) => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bits),
                Change::Insert(new) => drop(bytes.splice(at..at, new)),
                Change::Delete(size) => drop(bytes.drain(at..bytes.len().min(at + size))),
                Change::Truncate => bytes.truncate(at),
                Change::Splice(line, from) => {
                    let line = lines[line % lines.len()];
                    bytes.truncate(at);
                    bytes.extend_from_slice(&line[from % line.len()..]);
                }
            }
        }
        bytes
    })
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![1 => vec(any::<u8>(), 0..400), 1 => text(0..400), 6 => mutated()]
}

/// Generates bytes, many of which are special in some format.
fn text(size: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    vec(
        prop_oneof![prop::sample::select(b"={}[]\"\\:, \n\r\t%!x0ute.-_<>|()".to_vec()), 0x20_u8..0x7f, any::<u8>()],
        size,
    )
}

pub(crate) fn cuts() -> impl Strategy<Value = Cuts> {
    (
        vec(prop_oneof![1_usize..8, 1_usize..300], 1..4),
        any::<bool>(),
        prop::sample::select(vec![64_usize, 500, 4096]),
        1_usize..4,
    )
        .prop_map(|(reads, live, block, workers)| Cuts { reads, live, block, workers })
}

/// Generates a value of any bytes, many of which Go's `%q` has to escape.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[ -~]{0,12}".prop_map(String::into_bytes),
        2 => any::<char>().prop_map(|char| char.to_string().into_bytes()),
        1 => prop::char::range('\u{10000}', '\u{10ffff}').prop_map(|char| char.to_string().into_bytes()),
        1 => prop::char::range('\0', '\u{a0}').prop_map(|char| char.to_string().into_bytes()),
        1 => vec(any::<u8>(), 1..5),
        1 => prop::sample::select(vec!["\\", "\"", "\\x41", "\\\\xff", "\u{2028}", "\u{feff}", "\u{fffd}", "%!s(int=1)"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn any_bytes_become_records(bytes in input(), cuts in cuts()) {
        same_when_cut(&DEFAULT, &bytes, &cuts);
        same_when_cut(&PASSING, &bytes, &cuts);
    }

    #[cfg(all(feature = "gzip", feature = "xz", feature = "zstd"))]
    #[test]
    fn what_stands_before_damage_is_read_however_it_is_cut(
        codec in 0..3_u8,
        file in 0..INPUTS.len(),
        damage in prop::option::of((any::<usize>(), change())),
        cuts in cuts(),
    ) {
        use crate::support::pipeline::without_last_line;

        let content = &INPUTS[file].1;
        let (head, tail) = content.split_at(content.len().min(20_000) / 3);
        let tail = tail.get(..head.len() * 2).unwrap_or(tail);
        let [first, second] = [head, tail].map(|part| compressed(codec, part));
        let mut bytes = [first.as_slice(), &second].concat();
        let damage = damage.map(|(at, change)| (at % bytes.len(), change));
        match damage {
            Some((at, Change::Flip(bits))) => bytes[at] ^= bits,
            Some((at, _)) => bytes.truncate(at),
            None => {}
        }
        same_when_cut(&DEFAULT, &bytes, &cuts);
        if damage.is_none_or(|(at, _)| at >= first.len()) {
            // The first part is whole. Only its last record may continue in the second.
            let before = DEFAULT.run(head, &Cuts::whole()).bytes;
            for cuts in [&cuts, &Cuts::whole()] {
                let bytes = DEFAULT.run(&bytes, cuts).bytes;
                prop_assert!(bytes.starts_with(without_last_line(&before)), "{}", String::from_utf8_lossy(&bytes));
            }
        }
    }

    #[test]
    fn text_for_people_does_not_drive_their_terminal(bytes in input()) {
        for (setup, color) in TEXT.iter().zip([false, true]) {
            for_people(&setup.run(&bytes, &Cuts::whole()).bytes, color);
        }
    }

    #[test]
    fn msgpack_says_what_json_says(bytes in input()) {
        let [json, compressed_parts] = &*PACKED;
        let wanted = json.records(&bytes);
        let compressed_parts = compressed_parts.run(&bytes, &Cuts::whole()).bytes;
        let mut rest = compressed_parts.as_slice();
        for record in wanted {
            let value = rmpv::decode::read_value(&mut rest).unwrap();
            let fields = value.as_map().unwrap().iter();
            let fields = fields.map(|(key, value)| (key.as_str().unwrap().to_owned(), unpacked(value))).collect();
            prop_assert_eq!(Record(fields), record);
        }
        prop_assert!(rest.is_empty());
    }
}

/// Compresses bytes.
#[cfg(all(feature = "gzip", feature = "xz", feature = "zstd"))]
fn compressed(codec: u8, bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;

    match codec {
        0 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        1 => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        _ => {
            // Small blocks, because each flush ends a block.
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            for piece in bytes.chunks(3000) {
                encoder.write_all(piece).unwrap();
                encoder.flush().unwrap();
            }
            encoder.finish().unwrap()
        }
    }
}

/// Converts a value of `MessagePack` to JSON.
fn unpacked(value: &rmpv::Value) -> Value {
    match value {
        rmpv::Value::Nil => Value::Null,
        rmpv::Value::Boolean(value) => Value::from(*value),
        rmpv::Value::Integer(value) => Value::from(value.as_i64().unwrap()),
        rmpv::Value::String(text) => Value::from(text.as_str().unwrap()),
        rmpv::Value::Array(elements) => elements.iter().map(unpacked).collect(),
        other => panic!("{other} has no place in a record"),
    }
}

/// Returns the type that an index gives the field; an array has the type of its elements.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "long",
        Value::Array(elements) if elements.iter().all(Value::is_string) => "string",
        other => panic!("{other} has no place in a record"),
    }
}
