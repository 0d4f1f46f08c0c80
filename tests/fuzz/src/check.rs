//! Properties that hold for every input. The fuzz targets call these functions, and so does the test that replays saved
//! inputs.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use serde::de::IgnoredAny;

use super::pipeline::{Cuts, Outcome, Setup, records};

static LOGFMT: LazyLock<Setup> = LazyLock::new(|| Setup::new(&["--input-format=logfmt"]));
static JSON: LazyLock<[Setup; 3]> = LazyLock::new(|| {
    [
        Setup::new(&["--input-format=json", "--nested=keep"]),
        Setup::new(&["--input-format=journal-json"]),
        Setup::new(&["--others=pass", "--tag-key=tag"]),
    ]
});
static EXPORT: LazyLock<Setup> = LazyLock::new(|| Setup::new(&["--input-format=export", "--max-line=1K"]));
static RAW: LazyLock<[Setup; 2]> =
    LazyLock::new(|| ["--format=export", "--format=journal-json"].map(|format| Setup::new(&[format])));
static JOURNAL: LazyLock<[Setup; 3]> = LazyLock::new(|| {
    [
        Setup::new(&[]),
        Setup::new(&["--others=pass", "--keep=MESSAGE,__*,_*"]),
        Setup::new(&["--others=pass", "--boot=0", "--lines=3"]),
    ]
});

/// The configurations that [`pipeline`] chooses from.
const FLAGS: &[&[&str]] = &[
    &[],
    &["--others=pass", "--tag-key=tag"],
    &["--max-line=1K"],
    &["--nested=keep", "--keep=MESSAGE,_*", "--prune=!endpoint.*"],
    &["--nested=drop", "--lowercase", "--strip-underscores", "--drop=*"],
    &["--rename=MESSAGE=message,_PID=message", "--others=pass", "--tag-key=message"],
    &["--input-format=journal-json", "--others=pass"],
    &["--input-format=export", "--others=pass"],
    &["--input-format=logfmt"],
    &["--input-format=json"],
    &["--input-format=text", "--default-identifier=containerd"],
    &["--input-format=cri", "--others=pass", "--max-line=1K"],
    &["--input-format=docker", "--others=pass", "--max-line=1K"],
    &["--input-format=syslog", "--identifier=.*"],
    &["--format=text", "--color=never"],
    &["--format=text", "--color=always", "--others=pass"],
    &["--format=msgpack", "--others=pass"],
    &["--format=csv", "--others=pass", "--nested=keep"],
    &["--input-format=kata", "--others=pass"],
];
static SETUPS: LazyLock<Vec<Setup>> = LazyLock::new(|| FLAGS.iter().map(|flags| Setup::new(flags)).collect());

/// Checks bytes as logfmt.
pub fn logfmt(data: &[u8]) {
    whole(&LOGFMT, data);
}

/// Checks bytes as JSON of every kind.
pub fn json(data: &[u8]) {
    for setup in &*JSON {
        whole(setup, data);
    }
}

/// Checks bytes as a stream of the Journal Export Format. The first byte chooses the sizes of the reads.
pub fn export(data: &[u8]) {
    let [cut, data @ ..] = data else { return };
    same_when_cut(&EXPORT, data, &cuts(*cut, *cut));
}

/// Checks bytes as compressed data: what lies before damage is read however it is cut. The first byte chooses the format
/// and the sizes of the reads; the rest follows the magic number of the format.
pub fn codec(data: &[u8]) {
    const MAGICS: [&[u8]; 3] = [b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];
    let [choice, data @ ..] = data else { return };
    let magic = MAGICS[usize::from(*choice) % MAGICS.len()];
    same_when_cut(&SETUPS[1], &[magic, data].concat(), &cuts(*choice, *choice / 3));
}

/// Checks bytes as an archive, whose first header is sound. The first byte chooses the sizes of the reads, and 99 more are
/// the name of the first member.
pub fn archive(data: &[u8]) {
    const NAME: usize = 100;
    let Some((cut, name)) = data.split_first().filter(|(_, rest)| rest.len() >= NAME) else { return };
    let (name, content) = name.split_at(NAME);
    let mut header = [0; 512];
    header[..NAME].copy_from_slice(name);
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let padding = vec![0; content.len().next_multiple_of(512) - content.len() + 1024];
    // A live pipe is text until a whole header is there.
    let cuts = Cuts { live: false, ..cuts(*cut, *cut) };
    same_when_cut(&SETUPS[1], &[&header, content, &padding].concat(), &cuts);
}

/// Checks bytes as a journal file.
pub fn journal(data: &[u8]) {
    let (_file, path) = unnamed(data);
    // Entries may share fields, so a file may yield more bytes than it has. The last entry counts in full.
    let most = (data.len() as u64 * 64).max(64 << 20) + (192 << 20);
    let run = |setup: &Setup, cuts: &Cuts| {
        let outcome = setup.run_journal(&path, cuts);
        let read = outcome.stats["bytes_in"].as_u64().unwrap();
        assert!(read <= most, "{read} bytes out of a file of {}", data.len());
        outcome
    };
    let [export, json] = RAW.each_ref().map(|setup| {
        let whole = run(setup, &Cuts::whole());
        assert!(run(setup, &cuts(0, 4)) == whole, "the size of batches shows");
        whole
    });
    assert_eq!(counted(&export), exported(&export.bytes), "entries of the export stream");
    assert_eq!(counted(&json), objects(&json.bytes), "entries in JSON");
    assert_eq!(counted(&export), counted(&json), "entries in the two formats");
    for setup in &*JOURNAL {
        let outcome = run(setup, &Cuts::whole());
        assert_eq!(counted(&outcome), objects(&outcome.bytes), "records of a journal");
    }
}

/// Returns an unlinked file with the bytes, and a path that is valid while the file is open.
fn unnamed(data: &[u8]) -> (File, PathBuf) {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(data, 0).unwrap();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
    (file, path)
}

/// Checks that a stream consists of whole entries in the Journal Export Format. Returns their number.
fn exported(stream: &[u8]) -> u64 {
    let (mut count, mut rest) = (0, stream);
    while !rest.is_empty() {
        assert!(rest.starts_with(b"__CURSOR="), "an entry without a cursor: {}", rest.escape_ascii());
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n').filter(|end| *end > 0) {
            let (line, behind) = rest.split_at(end + 1);
            let name = line.iter().take_while(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_')).count();
            rest = match line.get(name) {
                Some(b'=') if name > 0 => behind,
                Some(b'\n') => {
                    let (size, behind) = behind.split_first_chunk().unwrap_or_else(|| panic!("a length"));
                    let (_, behind) = behind.split_at(u64::from_le_bytes(*size) as usize);
                    behind.strip_prefix(b"\n").unwrap_or_else(|| panic!("the end of a value"))
                }
                _ => panic!("a field that is none: {}", line.escape_ascii()),
            };
        }
        rest = rest.strip_prefix(b"\n").unwrap_or_else(|| panic!("the end of an entry"));
        count += 1;
    }
    count
}

/// Checks that an output is JSON. Returns the number of lines. Duplicate keys are only detected in short outputs.
fn objects(output: &[u8]) -> u64 {
    if output.len() <= 1 << 20 {
        return records(output).len() as u64;
    }
    let lines = output.strip_suffix(b"\n").unwrap_or_else(|| panic!("the end of a line")).split(|byte| *byte == b'\n');
    let objects = lines.map(|line| {
        assert!(line.starts_with(b"{"), "not an object");
        serde_json::from_slice::<IgnoredAny>(line).unwrap_or_else(|error| panic!("{error}"));
    });
    objects.count() as u64
}

/// Checks everything: the first three bytes choose flags and read sizes, the rest is the input.
pub fn pipeline(data: &[u8]) {
    let [choice, size, shape, data @ ..] = data else { return };
    let choice = usize::from(*choice) % FLAGS.len();
    let (setup, cuts) = (&SETUPS[choice], cuts(*size, *shape));
    if FLAGS[choice].contains(&"--format=text") {
        let outcome = setup.run(data, &cuts);
        counted(&outcome);
        for_people(&outcome.bytes, FLAGS[choice].contains(&"--color=always"));
    } else if FLAGS[choice].iter().any(|flag| matches!(*flag, "--format=msgpack" | "--format=csv")) {
        let outcome = setup.run(data, &cuts);
        counted(&outcome);
        let whole = setup.run(data, &Cuts::whole());
        if outcome.damaged && whole.damaged {
            // Lines show which records both have.
            return same_when_cut(&SETUPS[1], data, &cuts);
        }
        assert_eq!(outcome, whole, "the cut of the reads shows");
    } else {
        same_when_cut(setup, data, &cuts);
    }
}

fn cuts(size: u8, shape: u8) -> Cuts {
    Cuts {
        reads: vec![usize::from(size) + 1, usize::from(shape) * 16 + 1],
        live: shape & 1 != 0,
        block: 64 << (shape % 8),
        workers: usize::from(shape % 3) + 1,
    }
}

/// Checks that every line is a JSON object without duplicate keys, and that the counters add up.
pub fn whole(setup: &Setup, data: &[u8]) -> Outcome {
    let outcome = setup.run(data, &Cuts::whole());
    assert_eq!(records(&outcome.bytes).len() as u64, counted(&outcome), "lines and records");
    outcome
}

/// Checks as [`whole`] does, and that the sizes of the reads make no difference.
pub fn same_when_cut(setup: &Setup, data: &[u8], cuts: &Cuts) {
    let whole = whole(setup, data);
    let cut = setup.run(data, cuts);
    if !cut.is_like(&whole) {
        let lossy = |outcome: &Outcome| format!("{}{}", String::from_utf8_lossy(&outcome.bytes), outcome.stats);
        panic!("the cut of the reads shows: {cuts:?}\n--- whole\n{}\n--- cut\n{}", lossy(&whole), lossy(&cut));
    }
}

/// Checks that every entry was written or dropped for a reason. Returns the number written.
pub fn counted(outcome: &Outcome) -> u64 {
    let number = |key: &str| outcome.stats[key].as_u64().unwrap();
    let dropped: u64 =
        outcome.stats["dropped"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(number("read"), number("written") + dropped, "{}", outcome.stats);
    number("written")
}

/// Checks that text for people cannot control their terminal: no control characters but line ends and, if wanted,
/// colours.
pub fn for_people(output: &[u8], color: bool) {
    let text = std::str::from_utf8(output).unwrap_or_else(|error| panic!("{error}"));
    let mut rest = text;
    while let Some(at) = rest.find(|char: char| char.is_control() && char != '\n') {
        let (_, control) = rest.split_at(at);
        let sequence = control.strip_prefix("\x1b[").filter(|_| color).and_then(|inside| inside.split_once('m'));
        let Some((numbers, behind)) = sequence else { panic!("{:?} in {text:?}", control.chars().next()) };
        assert!(numbers.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b';')), "{numbers:?} in {text:?}");
        rest = behind;
    }
}
