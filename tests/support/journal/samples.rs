//! Sample entries.

use std::fs;
use std::path::Path;

use super::{Entry, compare};

pub(crate) const BOOT: u128 = 0x6c7c_6013_a263_43b2_9e96_4691_ff25_d04c;

/// The boot after [`BOOT`].
pub(crate) const NEXT_BOOT: u128 = 0x0d4f_7a3c_5b1e_4f6a_8c2d_9e0f_1a2b_3c4d;

/// 2023-11-14 22:13:20 UTC in microseconds.
pub(crate) const START: u64 = 1_700_000_000_000_000;

/// Returns entries a second apart, alternating between programs of Kata and others.
pub(crate) fn services(count: u64) -> Vec<Entry> {
    (0..count).map(|number| service(number, BOOT)).collect()
}

/// Returns one of these entries.
pub(crate) fn service(number: u64, boot: u128) -> Entry {
    const PROGRAMS: [(&str, &str); 5] =
        [("kata", "712"), ("sshd", "91177"), ("kata-runtime", "3233634"), ("cron", "40412"), ("kata", "713")];
    let (identifier, pid) = PROGRAMS[(number % 5) as usize];
    let micros = number * 1_000_000;
    Entry::new(START + micros, 5_000_000 + micros, boot)
        .with("_MACHINE_ID", "3dd49df65a1b467bac8d51f2eaa17e92")
        .with("_HOSTNAME", "node1")
        .with("_TRANSPORT", "syslog")
        .with("_UID", "0")
        .with("PRIORITY", (number % 7).to_string())
        .with("SYSLOG_IDENTIFIER", identifier)
        .with("_PID", pid)
        .with("_SOURCE_REALTIME_TIMESTAMP", (START + micros - 7).to_string())
        .with("MESSAGE", format!("entry {number} of {identifier}"))
}

/// Returns ninety of these entries; from the thirtieth to the sixtieth the clock is set back by this many seconds.
pub(crate) fn clock_set_back(seconds: u64) -> Vec<Entry> {
    let mut entries = services(90);
    for entry in &mut entries[30..60] {
        entry.realtime -= seconds * 1_000_000;
    }
    entries
}

/// Returns entries with every kind of value, and every number of fields with equal names.
pub(crate) fn odd() -> Vec<Entry> {
    let long = |size: usize| "All work and no play. ".repeat(size / 22 + 1).as_bytes()[..size].to_vec();
    let values: [&[u8]; 36] = [
        b"",
        b"=",
        b"a=b=c",
        b" \t ",
        b"\n",
        b"two\nlines\n",
        b"quote \" backslash \\ slash /",
        b"\x1b[31mred\x1b[0m",
        b"\0",
        b"nul \0 inside",
        b"\x7f",
        b"\r\n",
        b"\x08\x0c",
        "\u{85}".as_bytes(),
        "\u{9f}".as_bytes(),
        "\u{a0}".as_bytes(),
        "\u{2028} \u{2029} \u{feff}".as_bytes(),
        "\u{fdcf}".as_bytes(),
        "\u{fdd0}".as_bytes(),
        "\u{fdef}".as_bytes(),
        "\u{fffd}".as_bytes(),
        "\u{fffe}".as_bytes(),
        "\u{1ffff}".as_bytes(),
        "\u{10fffd}".as_bytes(),
        "\u{10ffff}".as_bytes(),
        "grüße 漢字 🦀".as_bytes(),
        b"m\xfcller",
        b"\xff",
        b"\xc3",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xe0\x80\xaf",
        b"\xef\xbf",
        b"\xf0\x9f\xa6",
    ];
    let mut messages: Vec<Vec<u8>> = values.iter().map(|value| value.to_vec()).collect();
    // Around the sizes at which values are compressed, and omitted from JSON without `--all`.
    messages.extend([503, 504, 505, 4086, 4087, 4088, 5000, 65_527, 65_528, 70_000].map(long));
    messages.extend([600, 66_000].map(noise));
    messages.push([long(3000), vec![0xff]].concat());
    messages.push([long(70_000), b"\n\x1b".to_vec()].concat());

    let mut entries: Vec<Entry> = Vec::new();
    let mut next = |fields: &[(&str, &[u8])]| {
        let micros = entries.len() as u64 * 1_000_000;
        let bare = Entry::new(START + micros, 5_000_000 + micros, BOOT);
        entries.push(fields.iter().fold(bare, |entry, (name, value)| entry.with(name, value)));
    };
    for message in &messages {
        next(&[("SYSLOG_IDENTIFIER", b"kata"), ("MESSAGE", message), ("PRIORITY", b"6")]);
    }
    next(&[]);
    next(&[("MESSAGE", b"x")]);
    // Equal pairs are stored once, in the order in which the file first saw the values.
    next(&[("TAG", b"b"), ("TAG", b"a"), ("MESSAGE", b"repeated")]);
    next(&[("TAG", b"a"), ("TAG", b"b"), ("TAG", b"a"), ("TAG", b"c")]);
    next(&[("TAG", b""), ("TAG", b"\xff"), ("TAG", &long(5000)), ("TAG", b"c"), ("TAG", b"new\nline")]);
    next(&[("TAG", b"\x01"), ("TAG", b"\x02")]);
    next(&[("A", b"1"), (&"N".repeat(64), b"the longest name"), ("_9", b""), ("X_9_", b"y"), ("A", b"1")]);
    let many: Vec<String> = (0..200).map(|number| format!("FIELD_{number}")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), b"same" as &[u8])).collect();
    next(&many);
    let values: Vec<String> = (0..150).map(|number| format!("value {number}")).collect();
    let values: Vec<(&str, &[u8])> = values.iter().map(|value| ("SAME", value.as_bytes())).collect();
    next(&values);
    next(&[("MESSAGE", b"the end")]);
    entries
}

/// Returns entries whose field `_BOOT_ID` is missing, repeated, or different from the entry's boot, which takes
/// precedence.
pub(crate) fn boots_that_differ() -> Vec<Entry> {
    let mut entries = vec![service(0, BOOT).with("_BOOT_ID", "00000000000000000000000000000000"), service(1, BOOT)];
    entries[1].boot = NEXT_BOOT;
    entries.push(service(2, BOOT));
    entries[2].fields.remove(0);
    entries
}

/// Returns bytes that no codec makes smaller.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// Returns the journal of a node, from the fixtures.
pub(crate) fn node() -> Vec<Entry> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/inputs/node.export");
    parse(&fs::read(path).unwrap())
}

/// Parses the entries of an export stream.
pub(crate) fn parse(stream: &[u8]) -> Vec<Entry> {
    let entry = |text| {
        let stamp = |name| compare::value(text, name).unwrap();
        let (realtime, monotonic) = (stamp("__REALTIME_TIMESTAMP"), stamp("__MONOTONIC_TIMESTAMP"));
        let boot = u128::from_str_radix(stamp("_BOOT_ID"), 16).unwrap();
        let fields = compare::fields(text).filter(|(name, _)| !name.starts_with("__"));
        Entry {
            realtime: realtime.parse().unwrap(),
            monotonic: monotonic.parse().unwrap(),
            boot,
            fields: fields.map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
        }
    };
    compare::entries(stream).into_iter().map(entry).collect()
}
