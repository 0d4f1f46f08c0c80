//! Selection of journal entries: by the index, by a scan, and by reading all entries give equal results.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;

use super::write_file;
use crate::support::cases;
use crate::support::journal::samples::{BOOT, START};
use crate::support::journal::{Codec, Entry, Shape, State, file};
use crate::support::pipeline::{Cuts, Setup};

static MAIN: LazyLock<Setup> = LazyLock::new(|| Setup::new(&[]));
/// Reads every entry.
static ALL: LazyLock<Setup> = LazyLock::new(|| Setup::new(&["--others", "pass"]));

/// Generates an identifier of Kata, of a manager, or of another program.
fn identifier() -> impl Strategy<Value = &'static str> {
    let katas = prop::sample::select(vec!["kata", "kata-runtime", "kata-shim", "kata-monitor", "virtiofsd"]);
    let managers = prop::sample::select(vec!["containerd", "crio", "vc"]);
    let others = prop::sample::select(vec!["kernel", "systemd-journald", "sshd", "kat", "katas", "Kata", "kata ", ""]);
    prop_oneof![2 => katas, 2 => managers, 2 => others]
}

/// Generates a message that is Kata's by its content, that may be, or that is not.
fn message() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "time=\"2024-03-05T05:01:54Z\" level=info msg=hello name=containerd-shim-v2 pid=4711 source=virtcontainers",
        "time=\"2024-03-05T05:01:54Z\" level=info msg=\"starting plugin\" runtime=io.containerd.kata.v2",
        "time=\"2024-03-05T05:01:54Z\" level=info msg=\"loading plugin\" type=io.containerd.content.v1",
        "{\"msg\":\"hello\",\"level\":\"INFO\",\"ts\":\"2024-03-05T05:01:54Z\",\"name\":\"kata-runtime\"}",
        "panic: runtime error: index out of range [3] with length 3",
        "A panic occurred at src/main.rs:12: hello",
        "Suppressed 4150 messages from containerd.service",
        "Accepted publickey for core",
        "",
    ])
}

/// Generates the fields of an entry, some of which are missing or repeated.
fn fields() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let named =
        |name| move |values: Vec<&'static str>| values.into_iter().map(|value| (name, value)).collect::<Vec<_>>();
    let identifiers = prop_oneof![5 => vec(identifier(), 1), 1 => vec(identifier(), 0..4), 1 => vec(identifier(), 2)];
    let messages = prop_oneof![8 => vec(message(), 1), 1 => vec(message(), 0..3)];
    let transports = vec(prop::sample::select(vec!["syslog", "journal", "stdout", "kernel"]), 0..2);
    // Names that resemble the identifier's.
    let names = vec(prop::sample::select(vec!["_COMM", "SYSLOG_IDENTIFIERS", "SYSLOG_IDENTIFIE"]), 0..2);
    let alike = names.prop_map(|names| names.into_iter().map(|name| (name, "kata")).collect());
    let groups = (
        identifiers.prop_map(named("SYSLOG_IDENTIFIER")),
        messages.prop_map(named("MESSAGE")),
        transports.prop_map(named("_TRANSPORT")),
        alike,
    );
    groups.prop_map(|(one, two, three, four)| [one, two, three, four].concat()).prop_shuffle()
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    vec(fields(), 0..40).prop_map(|drawn| {
        let entry = |(number, fields): (usize, Vec<(&str, &str)>)| {
            let micros = number as u64 * 1_000;
            let entry = Entry::new(START + micros, micros, BOOT);
            fields.into_iter().fold(entry, |entry, (name, value)| entry.with(name, value))
        };
        drawn.into_iter().enumerate().map(entry).collect()
    })
}

fn shape() -> impl Strategy<Value = Shape> {
    let compression = prop::option::of(prop::sample::select(vec![(Codec::Zstd, 8), (Codec::Lz4, 8), (Codec::Xz, 30)]));
    let array = prop::option::of(1_u64..5);
    (any::<bool>(), any::<bool>(), compression, array, (1_u64..20, 1_u64..5)).prop_map(
        |(compact, keyed, compression, array, buckets)| Shape {
            compact,
            keyed,
            compression,
            array,
            buckets,
            ..Shape::default()
        },
    )
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn the_index_is_not_narrower_than_a_look_at_each_entry(shape in shape(), entries in entries()) {
        let folder = tempfile::tempdir().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let path = |state| {
            let shape = Shape { state, ..shape.clone() };
            write_file(folder.path(), format!("{state:?}.journal"), file(&shape, &entries))
        };
        // In a file that may still be written to, the index is not used.
        let scanned = MAIN.run_journal(&path(State::Online), &Cuts::whole());
        for state in [State::Offline, State::Archived] {
            let found = MAIN.run_journal(&path(state), &Cuts::whole());
            prop_assert_eq!(text(&found.bytes), text(&scanned.bytes), "{:?}", state);
            prop_assert_eq!(&found.stats, &scanned.stats, "{:?}", state);
        }
        // Both keep every entry of Kata.
        let all = ALL.run_journal(&path(State::Online), &Cuts::whole()).bytes;
        let is_katas = |line: &&[u8]| line.windows(17).any(|part| part == b"\"kata_component\":");
        let katas: Vec<&[u8]> = all.split_inclusive(|byte| *byte == b'\n').filter(is_katas).collect();
        prop_assert_eq!(text(&katas.concat()), text(&scanned.bytes));
    }
}
