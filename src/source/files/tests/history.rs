//! Any history of a log: every line is read exactly once.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::Follower;
use crate::source::tests::piece;

/// A change of a log or its reader.
#[derive(Clone, Copy, Debug)]
enum Act {
    Lines(usize),
    /// A line whose end comes with the next write.
    Begin,
    Rotate,
    CopyTruncate,
    /// Compresses the rotated file of that number.
    Compress(usize),
    Fill(usize),
    Drain,
    Later,
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => prop_oneof![1..5_usize, 100..200_usize].prop_map(Act::Lines),
        2 => Just(Act::Begin),
        3 => Just(Act::Rotate),
        2 => Just(Act::CopyTruncate),
        1 => (1..4_usize).prop_map(Act::Compress),
        2 => (1..4_usize).prop_map(Act::Fill),
        3 => Just(Act::Drain),
        1 => Just(Act::Later),
        3 => Just(Act::Restart),
    ]
}

/// Increments the number of each rotated file.
fn shift(follower: &Follower) {
    for number in (1..40).rev() {
        for ending in ["", ".zst"] {
            let name = format!("kata.log.{number}{ending}");
            if follower.path(&name).exists() {
                follower.rename(&name, &format!("kata.log.{}{ending}", number + 1));
            }
        }
    }
}

/// Performs the acts in order. Returns the number of lines written.
fn live(follower: &mut Follower, acts: &[Act]) -> usize {
    let mut written = 1;
    let mut begun = false;
    for act in acts {
        match act {
            Act::Lines(count) => {
                let end = if std::mem::take(&mut begun) { "\n" } else { "" };
                let lines: String = (written..written + count).map(|number| format!("{number:05} line\n")).collect();
                written += count;
                follower.append("kata.log", format!("{end}{lines}"));
            }
            Act::Begin => {
                let end = if begun { "\n" } else { "" };
                follower.append("kata.log", format!("{end}{written:05} line"));
                written += 1;
                begun = true;
            }
            Act::Rotate => {
                shift(follower);
                follower.rename("kata.log", "kata.log.1");
                follower.append("kata.log", "");
                begun = false;
            }
            Act::CopyTruncate => {
                shift(follower);
                follower.copy_truncate("kata.log", "kata.log.1");
                begun = false;
            }
            Act::Compress(number) => {
                let name = format!("kata.log.{number}");
                if cfg!(feature = "zstd") && follower.path(&name).exists() {
                    follower.compress(&name);
                }
            }
            Act::Fill(count) => (0..*count).for_each(|_| {
                follower.look_soon();
                follower.fill();
            }),
            Act::Drain => follower.drain(),
            Act::Later => {
                follower.news_later();
            }
            Act::Restart => follower.restart(),
        }
    }
    if begun {
        follower.append("kata.log", "\n");
    }
    written
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn where_a_run_ends_shows_nowhere(
        pieces in prop::collection::vec(piece(), 1..12),
        at in any::<prop::sample::Index>(),
        max_line in prop_oneof![1..80_usize, Just(1 << 20)],
    ) {
        // The leading space keeps the input from beginning with a magic number.
        let data = [b" ".to_vec(), pieces.concat()].concat();
        let (first, second) = data.split_at(at.index(data.len()));
        let entries = |parts: &[&[u8]]| {
            let mut follower = Follower::new(&["log"], &[]);
            follower.settings.max_line = max_line;
            for part in parts {
                follower.append("log", part);
                follower.restart();
                follower.drain();
            }
            let entries = follower.entries.into_iter().map(|(_, offset, text)| (offset, text));
            entries.collect::<BTreeSet<_>>()
        };
        prop_assert_eq!(
            entries(&[first, second]),
            entries(&[&data]),
            "{:?} | {:?}",
            String::from_utf8_lossy(first),
            String::from_utf8_lossy(second)
        );
    }

    #[test]
    fn every_line_comes_once_whatever_happens(
        acts in prop::collection::vec(act(), 1..30),
        pattern in prop_oneof![Just("kata.log"), Just("kata.log*"), Just("k*.log")],
    ) {
        let mut follower = Follower::new(&[pattern], &[("kata.log", "00000 line\n")]);
        follower.settings.block = 400;
        follower.restart();
        follower.drain();
        let written = live(&mut follower, &acts);
        follower.drain();
        follower.news_later();
        follower.news_later();
        let mut times = BTreeMap::new();
        for (.., text) in &follower.entries {
            *times.entry(text.as_str()).or_insert(0) += 1;
        }
        let expected: BTreeMap<String, i32> = (0..written).map(|number| (format!("{number:05} line"), 1)).collect();
        let expected: BTreeMap<&str, i32> = expected.iter().map(|(text, times)| (text.as_str(), *times)).collect();
        let wrong: Vec<_> = times.iter().filter(|(text, times)| expected.get(*text) != Some(*times)).collect();
        let missing: Vec<_> = expected.keys().filter(|text| !times.contains_key(*text)).collect();
        prop_assert!(wrong.is_empty() && missing.is_empty(), "wrong {wrong:?} missing {missing:?}");
        prop_assert!(follower.damages.is_empty(), "{:?}", follower.damages);
    }
}
