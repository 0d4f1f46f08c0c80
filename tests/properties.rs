//! What holds for every input, however odd, and however it arrives.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{LazyLock, Mutex};

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use crate::support::check::{counted, for_people, same_when_cut, whole};
use crate::support::katalog;
use crate::support::pipeline::{Cuts, Record, Setup, records};

#[path = "../fixtures/generate/quote.rs"]
mod quote;

static DEFAULT: LazyLock<Setup> = LazyLock::new(|| Setup::new(&[]));
/// Damage may make one of these keys of any other, and what they hold goes by default.
static UNPRUNED: LazyLock<Setup> = LazyLock::new(|| Setup::new(&["--prune=!req,!resp,!body,!GrpcVM"]));
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

/// All files below a folder of the repository, in order.
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

fn few(cases: u32) -> ProptestConfig {
    // Nothing is saved beside the tests: an input that fails belongs into fixtures/fuzz or becomes a case.
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

// Inputs.

/// One change of a fixture's bytes.
#[derive(Clone, Debug)]
enum Change {
    Flip(u8),
    Insert(Vec<u8>),
    Delete(usize),
    Truncate,
    /// The rest becomes another line from here on.
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

/// A few lines of a fixture, damaged.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<usize>(), change()), 0..8);
    (0..INPUTS.len(), any::<usize>(), 1_usize..5, changes).prop_map(|(file, first, count, changes)| {
        let lines: Vec<&[u8]> = INPUTS[file].1.split_inclusive(|byte| *byte == b'\n').collect();
        let first = first % lines.len();
        // An entry of an export stream is many lines.
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

/// Bytes of which many have a meaning somewhere.
fn text(size: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    vec(
        prop_oneof![prop::sample::select(b"={}[]\"\\:, \n\r\t%!x0ute.-_<>|()".to_vec()), 0x20_u8..0x7f, any::<u8>()],
        size,
    )
}

fn cuts() -> impl Strategy<Value = Cuts> {
    (
        vec(prop_oneof![1_usize..8, 1_usize..300], 1..4),
        any::<bool>(),
        prop::sample::select(vec![64_usize, 500, 4096]),
        1_usize..4,
    )
        .prop_map(|(reads, live, block, workers)| Cuts { reads, live, block, workers })
}

/// A value as a program may log it, of any bytes: what Go's `%q` has to escape comes often.
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

// Properties.

proptest! {
    #![proptest_config(few(200))]

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
        let content = &INPUTS[file].1;
        let mut packed = packed(codec, content.get(..20_000).unwrap_or(content));
        if let Some((at, Change::Flip(bits))) = damage {
            let at = at % packed.len();
            packed[at] ^= bits;
        } else if let Some((at, _)) = damage {
            packed.truncate(at % packed.len());
        }
        same_when_cut(&DEFAULT, &packed, &cuts);
    }

    #[test]
    fn text_for_people_does_not_drive_their_terminal(bytes in input()) {
        for (setup, color) in TEXT.iter().zip([false, true]) {
            for_people(&setup.run(&bytes, &Cuts::whole()).bytes, color);
        }
    }

    #[test]
    fn msgpack_says_what_json_says(bytes in input()) {
        let [json, packed] = &*PACKED;
        let wanted = json.records(&bytes);
        let packed = packed.run(&bytes, &Cuts::whole()).bytes;
        let mut rest = packed.as_slice();
        for record in wanted {
            let value = rmpv::decode::read_value(&mut rest).unwrap();
            let fields = value.as_map().unwrap().iter();
            let fields = fields.map(|(key, value)| (key.as_str().unwrap().to_owned(), unpacked(value))).collect();
            prop_assert_eq!(Record(fields), record);
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn logfmt_keeps_every_value(msg in value(), values in vec(value(), 0..6), bare in any::<bool>()) {
        let mut line = b"time=\"2024-03-05T08:01:54.811777275+03:00\" level=info msg=".to_vec();
        let write = if bare { quote::value } else { quote::quoted };
        write(&msg, &mut line);
        for (number, value) in values.iter().enumerate() {
            line.extend_from_slice(format!(" k{number}=").as_bytes());
            write(value, &mut line);
        }
        line.push(b'\n');
        let records = DEFAULT.records(&line);
        prop_assert_eq!(records.len(), 1);
        let record = &records[0];
        let lossy = String::from_utf8_lossy(&line);
        prop_assert_eq!(record.text("kata_time"), Some("2024-03-05T05:01:54.811777275Z"));
        prop_assert_eq!(record.text("kata_level"), Some("info"));
        prop_assert_eq!(record.bytes("kata_msg"), Some(msg), "{}", lossy);
        for (number, value) in values.into_iter().enumerate() {
            prop_assert_eq!(record.bytes(&format!("kata_k{number}")), Some(value), "{}", lossy);
        }
    }

    #[test]
    fn bare_values_stay_whatever_their_keys_and_neighbours(
        pairs in vec((bare_key(), "[a-z0-9./@^+_-]{1,12}"), 1..12),
        damage in prop::option::of((any::<usize>(), prop::sample::select(b"=\" \\%\xff\x07".to_vec()))),
    ) {
        let mut line = b"time=\"2024-03-05T05:01:54Z\"".to_vec();
        for (key, value) in &pairs {
            line.extend_from_slice(format!(" {key}={value}").as_bytes());
        }
        let mut lost = Vec::new();
        if let Some((at, byte)) = damage {
            let at = 28 + at % (line.len() - 28);
            lost = line.splice(at..at, [byte]).collect();
        }
        prop_assert!(lost.is_empty());
        let records = UNPRUNED.records(&line);
        prop_assert_eq!(records.len(), 1);
        let said: String = records[0].0.iter().map(|(key, value)| format!("{key} {}\n", flat(value))).collect();
        // What stands in the record, less what the record may put between the two parts of a word that was cut.
        let squeezed = |text: &str| -> String { text.chars().filter(|char| char.is_ascii_alphanumeric()).collect() };
        for (key, value) in &pairs {
            let found = said.contains(value.as_str()) || damage.is_some() && in_parts(&squeezed(&said), &squeezed(value));
            prop_assert!(found, "{key}={value} is lost: {} -> {said}", String::from_utf8_lossy(&line));
        }
    }

    #[test]
    fn no_key_and_no_value_changes_the_type_of_a_field(
        pairs in vec((odd_key(), typed_value()), 1..8),
        form in prop::sample::select(vec![Form::Logfmt, Form::Json, Form::Console, Form::Journal]),
    ) {
        static TYPES: LazyLock<Mutex<BTreeMap<String, (&str, String)>>> = LazyLock::new(Mutex::default);
        let line = form.line(&pairs);
        let mut types = TYPES.lock().unwrap();
        for record in DEFAULT.records(&line) {
            for (key, value) in &record.0 {
                let line = String::from_utf8_lossy(&line).into_owned();
                let found = (kind(value), line.clone());
                let known = types.entry(key.clone()).or_insert(found);
                prop_assert_eq!(known.0, kind(value), "{} in {} and in {}", key, known.1, line);
            }
        }
    }

    #[test]
    fn the_guest_cannot_speak_for_the_host(route in route(), line in hostile(), identity in any::<bool>()) {
        let entry = route.entry(&line, identity);
        let records = DEFAULT.records(&entry);
        let shown = || format!("{}\n{records:?}", String::from_utf8_lossy(&entry));
        prop_assert_eq!(records.len(), 1, "{}", shown());
        let record = &records[0];
        prop_assert_eq!(record.get("kata_guest"), Some(&Value::Bool(true)), "{}", shown());
        prop_assert_eq!(record.text("kata_time"), Some("2024-03-05T05:01:54.811777275Z"), "{}", shown());
        prop_assert_eq!(record.text("kata_sandbox"), identity.then_some(SANDBOX), "{}", shown());
        prop_assert_eq!(record.get("kata_pid").cloned(), identity.then(|| Value::from(4711)), "{}", shown());
        let format = if matches!(route, Route::Shim | Route::Proxy | Route::Journal) { "logfmt" } else { "slog" };
        prop_assert_eq!(record.text("kata_format"), Some(format), "{}", shown());
        let writers = ["agent", "guest-kernel", "guest-console", "hypervisor"];
        prop_assert!(record.text("kata_component").is_some_and(|name| writers.contains(&name)), "{}", shown());
        for (key, value) in &record.0 {
            if let Some(key) = key.strip_prefix("kata_host_") {
                prop_assert!(route.says(key, value), "kata_host_{key} is not the host's: {}", shown());
            }
            // The message is the host's line, with the guest's text quoted in it.
            if !key.starts_with("kata_") && key != "MESSAGE" {
                prop_assert!(JOURNAL.contains(&(key, value.as_str().unwrap())), "{key} is not the host's: {}", shown());
            }
        }
        // Flaws and escaped fields are the program's own words.
        for (list, known) in [("kata_flaws", None), ("kata_escaped", Some(record))] {
            let Some(names) = record.get(list) else { continue };
            for name in names.as_array().unwrap() {
                let name = name.as_str().unwrap();
                let stated = known.map_or_else(
                    || katalog::flaw::Flaw::ALL.iter().any(|flaw| flaw.name() == name),
                    |record| record.get(name).is_some(),
                );
                prop_assert!(stated, "{list} has {name}: {}", shown());
            }
        }
    }
}

/// The bytes in two parts, each compressed.
#[cfg(all(feature = "gzip", feature = "xz", feature = "zstd"))]
fn packed(codec: u8, bytes: &[u8]) -> Vec<u8> {
    let (head, tail) = bytes.split_at(bytes.len() / 3);
    let parts = [head, tail].map(|part| match codec {
        0 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap()
        }
        1 => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap()
        }
        _ => {
            // Small blocks: what is flushed is a block.
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            for piece in part.chunks(3000) {
                encoder.write_all(piece).unwrap();
                encoder.flush().unwrap();
            }
            encoder.finish().unwrap()
        }
    });
    parts.concat()
}

/// A value of `MessagePack` as JSON has it.
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

fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(elements) => elements.iter().map(flat).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    }
}

/// Whether the text has `word`, or the two parts of it that one inserted byte makes.
fn in_parts(text: &str, word: &str) -> bool {
    (0..=word.len()).any(|at| {
        let (head, tail) = word.split_at(at);
        text.contains(head) && text.contains(tail)
    })
}

/// Keys of the dictionary and others; not time and level, whose values are written in another form, and nothing that is
/// pruned.
fn bare_key() -> impl Strategy<Value = String> {
    let defaults: toml::Table = katalog::config::DEFAULT.parse().unwrap();
    let pruned = defaults["prune"].as_array().unwrap();
    let known: Vec<String> = katalog::dictionary::DICTIONARY
        .iter()
        .filter(|known| !matches!(known.name, "time" | "level"))
        .map(|known| known.key.to_owned())
        .filter(|key| !pruned.iter().any(|pattern| pattern.as_str() == Some(key)))
        .collect();
    prop_oneof![3 => prop::sample::select(known), 1 => "k[a-z-]{0,8}", 1 => "(host|guest|kata)_(msg|pid|time)"]
}

/// A key of the dictionary, or one that may become the name of another in a record.
fn odd_key() -> impl Strategy<Value = String> {
    let known: Vec<&str> = katalog::dictionary::DICTIONARY.iter().flat_map(|known| [known.key, known.name]).collect();
    let head = prop::sample::select(vec!["", "", "", "", "host_", "guest_", "fields_", "kata_", "field_"]);
    let tail = prop::sample::select(vec!["", "", "", "", "_2", "_ns", "_ns_2", "_text", "_text_2", "."]);
    let spare = prop::sample::select(vec!['_', '_', '.', ' ']);
    (head, prop::sample::select(known), tail, spare)
        .prop_map(|(head, key, tail, spare)| format!("{head}{key}{tail}").replace('_', &spare.to_string()))
}

/// A value that is of a type in JSON, and looks like one elsewhere.
fn typed_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i32>().prop_map(Value::from),
        any::<i32>().prop_map(|number| number.to_string().into()),
        prop::sample::select(vec![
            Value::Null,
            true.into(),
            1.5.into(),
            u64::MAX.into(),
            "true".into(),
            "1m2.5s".into(),
            "word".into(),
            "".into(),
            "2024-03-05T05:01:54Z".into(),
            serde_json::json!({"a": 1}),
            serde_json::json!([1, 2, 255]),
            serde_json::json!(["a", "b"]),
            serde_json::json!([]),
            serde_json::json!([104, 105]),
        ]),
    ]
}

/// How pairs are written.
#[derive(Clone, Copy, Debug)]
enum Form {
    Logfmt,
    Json,
    /// Inside a line of the guest's console.
    Console,
    /// As fields of the journal.
    Journal,
}

impl Form {
    fn line(self, pairs: &[(String, Value)]) -> Vec<u8> {
        let object = |head: &str| {
            let members = pairs.iter().map(|(key, value)| format!(",{}:{value}", Value::from(key.as_str())));
            format!("{{{head}{}}}", members.collect::<String>())
        };
        match self {
            Form::Logfmt => {
                let mut line = b"time=\"2024-03-05T05:01:54Z\" level=info msg=hello".to_vec();
                for (key, value) in pairs {
                    line.extend_from_slice(format!(" {key}=").as_bytes());
                    quote::value(flat(value).as_bytes(), &mut line);
                }
                line
            }
            Form::Json => object("\"level\":\"info\",\"msg\":\"hello\"").into_bytes(),
            Form::Console => Route::Shim.entry(object("\"msg\":\"hello\"").as_bytes(), true),
            Form::Journal => object("\"SYSLOG_IDENTIFIER\":\"kata\",\"MESSAGE\":\"hello\"").into_bytes(),
        }
    }
}

// The guest.

const SANDBOX: &str = "201a907ebb971597bbd59b92dceb50092224ff05df29891bed87ffc32f8ed7db";

/// The fields of the journal's entry.
const JOURNAL: &[(&str, &str)] = &[
    ("SYSLOG_IDENTIFIER", "kata"),
    ("_HOSTNAME", "node1"),
    ("_PID", "4711"),
    ("_TRANSPORT", "syslog"),
    ("PRIORITY", "7"),
];

/// How the guest's text comes to the host.
#[derive(Clone, Copy, Debug)]
enum Route {
    /// The Go shim reads the console.
    Shim,
    /// The same in the journal, whose own fields must stay as they are.
    Journal,
    /// kata-proxy reads it.
    Proxy,
    /// runtime-rs reads it.
    RuntimeRs,
}

fn route() -> impl Strategy<Value = Route> {
    prop::sample::select(vec![Route::Shim, Route::Journal, Route::Proxy, Route::RuntimeRs])
}

impl Route {
    /// What the host says beside the guest's text.
    fn host(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Route::Shim | Route::Journal => &[
                ("level", "debug"),
                ("msg", "reading guest console"),
                ("name", "containerd-shim-v2"),
                ("source", "virtcontainers"),
                ("subsystem", "sandbox"),
            ],
            Route::Proxy => &[("level", "info"), ("name", "kata-proxy"), ("source", "agent")],
            Route::RuntimeRs => &[
                ("level", "info"),
                ("name", "kata-runtime"),
                ("version", "0.1.0"),
                ("subsystem", "hypervisor"),
                ("component", "hypervisor"),
            ],
        }
    }

    fn says(self, key: &str, value: &Value) -> bool {
        let key = key.strip_prefix("fields_").unwrap_or(key);
        self.host().iter().any(|(known, said)| *known == key && value == said)
            || (key, value) == ("pid", &Value::from(4711))
            || (key, value) == ("sandbox", &Value::from(SANDBOX))
    }

    /// The entry around the guest's text.
    fn entry(self, line: &[u8], identity: bool) -> Vec<u8> {
        let mut entry = Vec::new();
        match self {
            Route::Shim | Route::Proxy => {
                entry.extend_from_slice(b"time=\"2024-03-05T08:01:54.811777275+03:00\"");
                for (key, value) in self.host() {
                    entry.extend_from_slice(format!(" {key}=").as_bytes());
                    quote::value(value.as_bytes(), &mut entry);
                }
                if identity {
                    entry.extend_from_slice(format!(" pid=4711 sandbox={SANDBOX}").as_bytes());
                }
                entry.extend_from_slice(if matches!(self, Route::Proxy) { b" msg=" } else { b" vmconsole=" });
                quote::value(line, &mut entry);
            }
            Route::Journal => {
                let message = Route::Shim.entry(line, identity);
                let message = message.trim_ascii_end();
                let mut object = serde_json::Map::new();
                for (key, value) in JOURNAL {
                    object.insert((*key).to_owned(), (*value).into());
                }
                // journalctl prints what is not UTF-8 as an array of numbers.
                let message = std::str::from_utf8(message).map_or_else(|_| message.to_vec().into(), Value::from);
                object.insert("MESSAGE".to_owned(), message);
                entry = serde_json::to_vec(&object).unwrap();
            }
            Route::RuntimeRs => {
                let mut object = serde_json::Map::new();
                let text = format!("vm console: {:?}", String::from_utf8_lossy(line));
                object.insert("msg".to_owned(), text.into());
                object.insert("ts".to_owned(), "2024-03-05T05:01:54.811777275Z".into());
                for (key, value) in self.host() {
                    object.insert((*key).to_owned(), (*value).into());
                }
                if identity {
                    object.insert("source".to_owned(), SANDBOX.into());
                    object.insert("pid".to_owned(), "4711".into());
                }
                entry = serde_json::to_vec(&object).unwrap();
            }
        }
        entry.push(b'\n');
        entry
    }
}

/// What a guest may write to pass for the host.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let key = prop::sample::select(vec![
        "sandbox",
        "sandbox-id",
        "sandboxid",
        "ID",
        "pid",
        "time",
        "ts",
        "level",
        "msg",
        "name",
        "source",
        "subsystem",
        "host_msg",
        "host_pid",
        "host_level",
        "host_source",
        "guest_time",
        "guest_pid",
        "guest_sandbox",
        "kata_sandbox",
        "component",
        "format",
        "guest",
        "flaws",
        "escaped",
        "tag",
        "time_text",
        "level_text",
        "pid_text",
        "pid_2",
        "vmconsole",
        "runtime",
        "container",
        "req",
        "words",
        "rest",
        "guest_uptime_ns",
        "fields_time",
        "kernel_text",
        "MESSAGE",
        "_PID",
        "_HOSTNAME",
        "sandbox\\u005f2",
        "",
        "s b",
        "host_name_2",
        "level_2",
        "msg_2",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "1",
            "-1",
            "true",
            "null",
            "2030-01-01T00:00:00Z",
            "00112233",
            "kata-runtime",
            "kata-agent",
            "virtcontainers",
            "error",
            "DEBG",
            "vm console: \"x\"",
            "{\"a\":1}",
            "host",
            "",
            SANDBOX,
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        value(),
    ];
    let pairs = vec((key, value), 0..10);
    let agent = (pairs.clone(), any::<bool>()).prop_map(|(pairs, msg)| {
        let members = pairs.iter().map(|(key, value)| {
            let value = String::from_utf8_lossy(value);
            // Numbers, booleans and objects where they are such, twice the same key where it comes.
            let value = match serde_json::from_str::<Value>(&value) {
                Ok(value) => value,
                Err(_) => Value::from(value.into_owned()),
            };
            format!("\"{key}\":{value}")
        });
        let head = if msg { vec!["\"msg\":\"hello\"".to_owned()] } else { Vec::new() };
        format!("{{{}}}", head.into_iter().chain(members).collect::<Vec<_>>().join(",")).into_bytes()
    });
    let logfmt = pairs.prop_map(|pairs| {
        let mut line = b"time=2031-01-01T00:00:00Z".to_vec();
        for (key, value) in pairs {
            line.extend_from_slice(format!(" {key}=").as_bytes());
            quote::value(&value, &mut line);
        }
        line
    });
    let kernel = value_after("[    0.395399] ");
    let forged = value_after("\" sandbox=evil pid=1 time=\"2030-01-01T00:00:00Z\" vmconsole=\"");
    prop_oneof![3 => agent, 3 => logfmt, 1 => kernel, 1 => forged, 1 => value_after(""), 1 => text(0..200)]
}

fn value_after(head: &'static str) -> impl Strategy<Value = Vec<u8>> {
    value().prop_map(move |value| [head.as_bytes(), &value].concat())
}

// Fixtures.

#[test]
fn threads_and_routes_do_not_show() {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in &*INPUTS {
        // More than a batch for each of the threads, and nothing unfinished where one copy meets the next.
        let path = folder.path().join(path.file_name().unwrap());
        let copies = (900 << 10) / content.len() + 1;
        fs::write(&path, content.repeat(copies)).unwrap();
        let run = |threads: &str, route: u8| {
            let mut command = katalog();
            command.args(["--threads", threads, "--stats", "json"]).stderr(Stdio::piped()).stdout(Stdio::piped());
            let output = match route {
                0 => command.arg(&path).output().unwrap(),
                1 => command.stdin(fs::File::open(&path).unwrap()).output().unwrap(),
                _ => {
                    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
                    let (mut stdin, content) = (child.stdin.take().unwrap(), content.repeat(copies));
                    let writer = std::thread::spawn(move || stdin.write_all(&content).unwrap());
                    let output = child.wait_with_output().unwrap();
                    writer.join().unwrap();
                    output
                }
            };
            assert!(output.status.success(), "{}", path.display());
            (output.stdout, output.stderr)
        };
        let one = run("1", 0);
        let stats: Value = serde_json::from_slice(&one.1).unwrap();
        let dropped: u64 = stats["dropped"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        let written = stats["written"].as_u64().unwrap();
        assert_eq!(stats["read"].as_u64().unwrap(), written + dropped, "{}: {stats}", path.display());
        assert_eq!(one.0.iter().filter(|byte| **byte == b'\n').count() as u64, written, "{}", path.display());
        assert!(written > 0, "{}", path.display());
        for (threads, route) in [("2", 0), ("3", 2), ("8", 1)] {
            assert!(run(threads, route) == one, "{}: {threads} threads, route {route}", path.display());
        }
    }
}

/// Entries that are certain to be dropped are not read; with `--others=pass` every entry is.
fn nothing_of_katas_is_skipped(bytes: &[u8]) {
    let katas = |setup: &Setup| {
        let lines = setup.run(bytes, &Cuts::whole()).bytes;
        let lines = lines.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec);
        lines.filter(|line| line.windows(17).any(|part| part == b"\"kata_component\":")).collect::<Vec<_>>()
    };
    assert_eq!(katas(&DEFAULT), katas(&PACKED[0]), "{}", String::from_utf8_lossy(bytes));
}

#[test]
fn nothing_of_katas_is_skipped_in_fixtures() {
    for folder in ["fixtures/inputs", "fixtures/cases"] {
        for (_, content) in files(folder) {
            nothing_of_katas_is_skipped(&content);
        }
    }
}

proptest! {
    #![proptest_config(few(200))]

    #[test]
    fn nothing_of_katas_is_skipped_in_any_journal(
        message in input(),
        identifier in prop::sample::select(vec!["kata", "containerd", "crio", "vc", "sshd", "kernel", "kat\u{61}", "a\"b"]),
        escape in any::<bool>(),
        form in 0..3,
    ) {
        let text = String::from_utf8_lossy(&message);
        let mut entry = match form {
            0 => serde_json::json!({ "MESSAGE": message, "SYSLOG_IDENTIFIER": identifier }),
            1 => serde_json::json!({ "MESSAGE": ["another", text], "SYSLOG_IDENTIFIER": identifier }),
            _ => serde_json::json!({ "MESSAGE": text, "SYSLOG_IDENTIFIER": identifier }),
        }
        .to_string();
        if escape {
            entry = entry.replace('k', "\\u006b").replace("source", "\\u0073ource");
        }
        nothing_of_katas_is_skipped(entry.as_bytes());
    }
}

#[test]
fn entries_of_fixtures_are_all_accounted_for() {
    for (path, content) in &*INPUTS {
        let outcome = whole(&DEFAULT, content);
        let read = outcome.stats["read"].as_u64().unwrap();
        // Every line is an entry, where neither streams nor pieces make one entry of several.
        let name = path.file_name().unwrap().to_str().unwrap();
        let lines = content.iter().filter(|byte| **byte == b'\n').count() as u64;
        if !matches!(name, "native.export" | "node.export" | "cri.log" | "docker.json" | "damage.log") {
            assert_eq!(read, lines, "{name}");
        }
        assert!(counted(&outcome) > 0, "{name}");
    }
}

#[test]
fn a_key_has_one_type() {
    let mut types: BTreeMap<String, (&str, String)> = BTreeMap::new();
    let cases = files("fixtures/cases").into_iter();
    let cases = cases.filter(|(path, _)| path.file_name().unwrap().to_str().unwrap().starts_with("input."));
    for (path, content) in INPUTS.iter().cloned().chain(cases) {
        for record in records(&whole(&DEFAULT, &content).bytes) {
            for (key, value) in &record.0 {
                let found = (kind(value), path.display().to_string());
                let known = types.entry(key.clone()).or_insert_with(|| found.clone());
                assert_eq!(known.0, found.0, "{key} in {} and in {}", known.1, found.1);
            }
        }
    }
    assert!(types.len() > 100);
}

/// The type that an index gives the field; an array counts as what is in it.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "long",
        Value::Array(elements) if elements.iter().all(Value::is_string) => "string",
        other => panic!("{other} has no place in a record"),
    }
}

#[test]
fn saved_inputs_run_through_the_checks_of_the_fuzz_targets() {
    use crate::support::check;
    type Check = fn(&[u8]);
    let targets: [(&str, Check); 5] = [
        ("logfmt", check::logfmt),
        ("json", check::json),
        ("export", check::export),
        ("journal", check::journal),
        ("pipeline", check::pipeline),
    ];
    for (target, check) in targets {
        let saved = files(&format!("fixtures/fuzz/{target}"));
        assert!(!saved.is_empty(), "{target} has no seeds");
        for (path, content) in saved {
            let held = std::panic::catch_unwind(|| check(&content));
            assert!(held.is_ok(), "{} fails", path.display());
        }
    }
}
