//! What holds for every input. The fuzz targets call these functions, and so does the test that runs saved inputs again.

use std::sync::LazyLock;

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

/// The configurations among which [`pipeline`] chooses.
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
];
static SETUPS: LazyLock<Vec<Setup>> = LazyLock::new(|| FLAGS.iter().map(|flags| Setup::new(flags)).collect());

/// Text that is taken for logfmt.
pub fn logfmt(data: &[u8]) {
    whole(&LOGFMT, data);
}

/// Text that is taken for JSON of every kind.
pub fn json(data: &[u8]) {
    for setup in &*JSON {
        whole(setup, data);
    }
}

/// Bytes that are taken for a stream of the Journal Export Format. The first byte says how reads are cut.
pub fn export(data: &[u8]) {
    let [cut, data @ ..] = data else { return };
    same_when_cut(&EXPORT, data, &cuts(*cut, *cut));
}

/// Everything: the first three bytes choose flags and cuts, the rest is the input.
pub fn pipeline(data: &[u8]) {
    let [choice, size, shape, data @ ..] = data else { return };
    let choice = usize::from(*choice) % FLAGS.len();
    let (setup, cuts) = (&SETUPS[choice], cuts(*size, *shape));
    if FLAGS[choice].contains(&"--format=text") {
        let outcome = setup.run(data, &cuts);
        counted(&outcome);
        for_people(&outcome.bytes, FLAGS[choice].contains(&"--color=always"));
    } else if FLAGS[choice].contains(&"--format=msgpack") {
        let outcome = setup.run(data, &cuts);
        counted(&outcome);
        assert_eq!(outcome, setup.run(data, &Cuts::whole()), "the cut of the reads shows");
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

/// Every line is a JSON object without a key twice, and the counters add up.
pub fn whole(setup: &Setup, data: &[u8]) -> Outcome {
    let outcome = setup.run(data, &Cuts::whole());
    assert_eq!(records(&outcome.bytes).len() as u64, counted(&outcome), "lines and records");
    outcome
}

/// [`whole`], and the same however the reads are cut.
pub fn same_when_cut(setup: &Setup, data: &[u8], cuts: &Cuts) {
    let whole = whole(setup, data);
    let cut = setup.run(data, cuts);
    if cut != whole {
        let lossy = |outcome: &Outcome| format!("{}{}", String::from_utf8_lossy(&outcome.bytes), outcome.stats);
        panic!("the cut of the reads shows: {cuts:?}\n--- whole\n{}\n--- cut\n{}", lossy(&whole), lossy(&cut));
    }
}

/// Checks that every entry was written or dropped for a reason, and gives how many were written.
pub fn counted(outcome: &Outcome) -> u64 {
    let number = |key: &str| outcome.stats[key].as_u64().unwrap();
    let dropped: u64 =
        outcome.stats["dropped"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(number("read"), number("written") + dropped, "{}", outcome.stats);
    number("written")
}

/// Checks that text for people cannot drive their terminal: no control characters but line ends, and, where colors are
/// wanted, nothing else but colors.
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
