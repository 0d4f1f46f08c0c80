//! Several threads read a journal in slices; their output equals that of one thread that reads it in one go.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{merge, write_file};
use crate::support::cases;
use crate::support::journal::samples::{BOOT, NEXT_BOOT, START, clock_set_back, service};
use crate::support::journal::{Shape, State, Writer, file, remote};
use crate::support::pipeline::{Outcome, Setup};

static SETUPS: LazyLock<Vec<Setup>> = LazyLock::new(|| {
    let since = format!("@{}", START / 1_000_000 + 3);
    [
        &[][..],
        &["--others", "pass", "--record-id", "id"],
        &["--format", "export"],
        &["--since", &since, "--boot", "0"],
        &["--component", "runtime"],
    ]
    .map(Setup::new)
    .into()
});

/// Removes the kinds of damage from the statistics. Their counts are ignored, because a field shared by several slices
/// counts for each.
fn damage(outcome: &mut Outcome) -> BTreeSet<String> {
    let damage = outcome.stats.as_object_mut().and_then(|stats| stats.remove("damage"));
    damage.iter().filter_map(|damage| damage.as_object()).flat_map(|damage| damage.keys().cloned()).collect()
}

/// Compares one thread with several, with slices of one entry, of some, and of all.
fn compare_threads(paths: &[PathBuf]) -> Result<usize, TestCaseError> {
    let mut write_plans = 0;
    for (number, setup) in SETUPS.iter().enumerate() {
        let mut one = setup.run_journals(paths, 256 << 10, 1);
        let damage_of_one = damage(&mut one);
        write_plans += one.bytes.len();
        for (block, threads) in [(64, 2), (300, 3), (256 << 10, 2)] {
            let mut several = setup.run_journals(paths, block, threads);
            // One thread skips copies of files that it has, so it does not see damage in them.
            prop_assert!(damage(&mut several).is_superset(&damage_of_one));
            let text = |outcome: &Outcome| String::from_utf8_lossy(&outcome.bytes).into_owned();
            prop_assert_eq!(text(&several), text(&one), "setup {}, block {}, {} threads", number, block, threads);
            prop_assert_eq!(&several.stats, &one.stats, "setup {}, block {}, {} threads", number, block, threads);
        }
    }
    Ok(write_plans)
}

/// Generates entries of one machine: seconds between them, clock set back, reboot.
fn entries() -> impl Strategy<Value = Vec<(u8, bool, bool)>> {
    vec((0_u8..4, prop::bool::weighted(0.05), prop::bool::weighted(0.03)), 0..30)
}

/// A file: its source of sequence numbers, its entries, its state, the offset of a damaged byte, the presence of a
/// copy.
type FilePlan = (u8, Vec<(u8, bool, bool)>, bool, Option<usize>, bool);

fn file_plans() -> impl Strategy<Value = FilePlan> {
    let broken = prop::option::weighted(0.2, 300_usize..20_000);
    (0_u8..3, entries(), any::<bool>(), broken, prop::bool::weighted(0.2))
}

/// Writes the files. Files of one source continue its sequence numbers.
fn write_plans(folder: &std::path::Path, file_plans: Vec<FilePlan>) -> Vec<PathBuf> {
    let mut seqnums = [0_u64; 3];
    let mut paths = Vec::new();
    for (number, (source, entries, archived, broken, copied)) in file_plans.into_iter().enumerate() {
        let state = if archived { State::Archived } else { State::Online };
        let shape = Shape { file_id: number as u128 + 1, seqnum_id: u128::from(source) + 1, state, ..Shape::default() };
        let mut writer = Writer::new(shape);
        let (mut realtime, mut monotonic, mut boot) = (START, 0, BOOT);
        for (apart, back, boots) in entries {
            realtime += u64::from(apart) * 1_000_000;
            monotonic += u64::from(apart) * 1_000_000;
            if back {
                realtime -= 7_000_000;
            }
            if boots {
                (boot, monotonic) = (NEXT_BOOT, 0);
            }
            let seqnum = &mut seqnums[usize::from(source)];
            *seqnum += 1;
            writer.seqnum = *seqnum;
            let mut entry = service(*seqnum, boot);
            (entry.realtime, entry.monotonic) = (realtime, monotonic);
            writer.entry(&entry);
        }
        let mut bytes = writer.finish();
        if copied {
            paths.push(write_file(folder, format!("copy{number}.journal"), &bytes));
        }
        if let Some(byte) = broken.and_then(|at| bytes.get_mut(at)) {
            *byte ^= 0x55;
        }
        paths.push(write_file(folder, format!("{number}.journal"), &bytes));
    }
    paths
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn the_number_of_threads_does_not_show(file_plans in vec(file_plans(), 1..7)) {
        let folder = tempfile::tempdir().unwrap();
        compare_threads(&write_plans(folder.path(), file_plans))?;
    }
}

#[test]
fn odd_journals_are_the_same_on_several_threads() {
    let interleaved = merge::interleaved();
    let files = remote::journals(interleaved.path());
    assert!(compare_threads(&files).unwrap() > 10_000);
    let folder = tempfile::tempdir().unwrap();
    let back = write_file(folder.path(), "back.journal", file(&Shape::default(), &clock_set_back(3600)));
    assert!(compare_threads(&[files, vec![back]].concat()).unwrap() > 10_000);
}

#[test]
fn a_file_is_left_at_the_same_entry() {
    let large = "x".repeat(900_000);
    let entries: Vec<_> = (0..90).map(|number| service(number, BOOT).with("LARGE", &large)).collect();
    let folder = tempfile::tempdir().unwrap();
    let paths = [
        write_file(folder.path(), "large.journal", file(&Shape::default(), &entries)),
        write_file(folder.path(), "small.journal", file(&Shape { seqnum_id: 9, ..Shape::default() }, &entries[..1])),
    ];
    let setup = Setup::new(&["--format", "export"]);
    let mut one = setup.run_journals(&paths, 256 << 10, 1);
    assert_eq!(damage(&mut one), BTreeSet::from(["oversized-field".to_owned()]));
    for block in [64, 640, 256 << 10] {
        let mut several = setup.run_journals(&paths, block, 2);
        assert!(several.bytes == one.bytes, "block {block}: {} bytes, not {}", several.bytes.len(), one.bytes.len());
        assert_eq!(damage(&mut several), BTreeSet::from(["oversized-field".to_owned()]));
        assert_eq!(several.stats, one.stats, "block {block}");
    }
}
