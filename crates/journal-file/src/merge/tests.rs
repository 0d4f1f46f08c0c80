use proptest::prelude::*;

use super::*;
use crate::cursor::Cursor;

/// Returns a place with ids of one repeated byte.
fn place(seqnum_id: u8, seqnum: u64, boot_id: u8, monotonic: u64, realtime: u64, xor_hash: u64) -> Place {
    Place { seqnum_id: [seqnum_id; 16], seqnum, boot_id: [boot_id; 16], monotonic, realtime, xor_hash }
}

/// Returns the entries that the merge takes, as file and place, and the number of steps. Without `runs` every entry is
/// offered.
fn merge(files: &[Vec<Place>], runs: bool) -> (Vec<(usize, Place)>, usize) {
    let mut rest: Vec<_> = files.iter().map(|file| file.iter().copied().peekable()).collect();
    let mut merge = Merge::default();
    for (source, file) in rest.iter_mut().enumerate() {
        if let Some(&place) = file.peek() {
            merge.offer(source, place);
        }
    }
    let (mut taken, mut turns) = (Vec::new(), 0);
    while let Some(turn) = merge.next_step() {
        turns += 1;
        let (MergeStep::Take(source, _) | MergeStep::Skip(source)) = turn;
        let next = rest[source].next().unwrap();
        if let MergeStep::Take(_, limit) = turn {
            taken.push((source, next));
            while runs && let Some(next) = rest[source].next_if(|next| limit.admits(next)) {
                taken.push((source, next));
            }
        }
        if let Some(&place) = rest[source].peek() {
            merge.offer(source, place);
        }
    }
    (taken, turns)
}

/// Returns the entries that libsystemd 252 prints. For every entry it skips those that do not come after the entry
/// printed last. Of the next entries of all files it takes the one that no entry of a later file precedes.
fn libsystemd(files: &[Vec<Place>]) -> Vec<(usize, Place)> {
    let mut next = vec![0; files.len()];
    let mut shown: Vec<(usize, Place)> = Vec::new();
    loop {
        let mut first: Option<(usize, Place)> = None;
        for (source, file) in files.iter().enumerate() {
            if let Some((_, last)) = shown.last() {
                while file.get(next[source]).is_some_and(|place| compare(place, last).is_le()) {
                    next[source] += 1;
                }
            }
            if let Some(place) = file.get(next[source])
                && first.is_none_or(|(_, first)| compare(place, &first).is_lt())
            {
                first = Some((source, *place));
            }
        }
        let Some(first) = first else { return shown };
        next[first.0] += 1;
        shown.push(first);
    }
}

#[test]
fn each_rule_decides_what_those_before_leave_open() {
    let a = place(1, 5, 1, 50, 500, 5000);
    for (b, order) in [
        (place(1, 6, 1, 40, 400, 4000), Ordering::Less),
        (place(1, 6, 2, 40, 400, 4000), Ordering::Less),
        (place(2, 4, 1, 51, 400, 4000), Ordering::Less),
        (place(2, 4, 2, 49, 501, 4000), Ordering::Less),
        (place(1, 5, 1, 51, 400, 4000), Ordering::Less),
        (place(1, 5, 2, 49, 501, 4000), Ordering::Less),
        (place(2, 4, 1, 50, 501, 4000), Ordering::Less),
        (place(2, 4, 1, 50, 500, 5001), Ordering::Less),
        (place(2, 4, 2, 49, 500, 5001), Ordering::Less),
        (place(1, 5, 1, 50, 500, 5000), Ordering::Equal),
        // The entry was received and stored again, with a new number.
        (place(2, 9, 1, 50, 500, 5000), Ordering::Equal),
        // Another boot means another entry, whatever the numbers.
        (place(2, 9, 2, 60, 500, 5000), Ordering::Less),
    ] {
        assert_eq!(compare(&a, &b), order, "{b:?}");
        assert_eq!(compare(&b, &a), order.reverse(), "{b:?}");
    }
}

#[test]
fn files_that_follow_one_another_are_a_turn_each() {
    let file = |n: u64| (100 * n..100 * n + 100).map(|i| place(1, i + 1, 1, i, i, i)).collect::<Vec<_>>();
    let files = [file(2), file(0), file(3), file(1)];
    let (taken, turns) = merge(&files, true);
    assert!(taken.iter().map(|(_, place)| place.seqnum).eq(1..=400));
    assert_eq!(turns, 4);
}

#[test]
fn the_last_file_goes_to_its_end() {
    let files = [vec![place(1, 1, 1, 1, 1, 1)], (2..=1000).map(|i| place(2, i, 2, i, i, i)).collect()];
    assert_eq!(merge(&files, true).1, 2);
}

#[test]
fn a_file_and_its_copy_are_one() {
    let file: Vec<_> = (1..=9).map(|i| place(1, i, 1, i, i, i)).collect();
    let received: Vec<_> = (1..=9).map(|i| place(2, 50 + i, 1, i, i, i)).collect();
    for files in [[file.clone(), file.clone(), file.clone()], [file.clone(), received.clone(), file.clone()]] {
        let (taken, _) = merge(&files, true);
        assert!(taken.iter().copied().eq(file.iter().map(|place| (0, *place))));
        assert_eq!(taken, libsystemd(&files));
    }
}

#[test]
fn an_entry_is_lost_neither_to_a_circle_nor_to_a_source_that_lists_it_twice() {
    // The clock is set back between two files of a machine, and another machine's entry lies between.
    let files = [vec![place(1, 1, 1, 100, 100, 1)], vec![place(1, 2, 1, 200, 50, 2)], vec![place(2, 1, 2, 70, 70, 3)]];
    assert_eq!(libsystemd(&files).len(), 2, "as journalctl 252 does, in every order of the three files");
    let order: Vec<_> = merge(&files, true).0.iter().map(|(_, place)| place.xor_hash).collect();
    assert_eq!(order, [3, 1, 2]);

    let twice = [vec![place(1, 1, 1, 1, 1, 1), place(1, 1, 1, 1, 1, 1)], vec![place(2, 1, 2, 9, 9, 9)]];
    assert_eq!(merge(&twice, true).0.len(), 3);
}

#[test]
fn real_files_in_the_order_of_journalctl() {
    let places = |lines: &str| -> Vec<Place> {
        lines.lines().map(|line| line.parse::<Cursor>().unwrap().place().unwrap()).collect()
    };
    let text = include_str!("journalctl-252.txt");
    let (_, cases) = text.split_once("\n\n").unwrap();
    let mut lost = Vec::new();
    for case in cases.split("\n\n\n") {
        let (files, shown) = case.split_once("\n=\n").unwrap();
        let files: Vec<_> = files.split("\n\n").map(places).collect();
        let shown = places(shown);
        let model: Vec<_> = libsystemd(&files).into_iter().map(|(_, place)| place).collect();
        assert_eq!(model, shown);
        let mut taken: Vec<_> = merge(&files, true).0.into_iter().map(|(_, place)| place).collect();
        let all = taken.len();
        taken.retain(|place| shown.contains(place));
        assert_eq!(taken, shown);
        lost.push(all - shown.len());
    }
    assert_eq!(lost, [0, 2]);
}

#[test]
fn a_source_that_is_not_offered_again_is_out() {
    let mut merge = Merge::default();
    assert_eq!(merge.next_step(), None);
    merge.offer(7, place(1, 1, 1, 1, 1, 1));
    merge.offer(4, place(1, 1, 1, 1, 1, 1));
    merge.offer(5, place(2, 1, 1, 2, 2, 2));
    assert!(matches!(merge.next_step(), Some(MergeStep::Take(4, _))), "of copies, that of the first source");
    assert_eq!(merge.next_step(), Some(MergeStep::Skip(7)));
    assert!(matches!(merge.next_step(), Some(MergeStep::Take(5, _))));
    assert_eq!(merge.next_step(), None);
    merge.offer(4, place(1, 2, 1, 2, 2, 2));
    assert!(matches!(merge.next_step(), Some(MergeStep::Take(4, _))));
    assert_eq!(merge.next_step(), None);
}

/// Machines whose clocks only go forward. Each entry is in one of the files of its machine, and some are in two.
fn consistent() -> impl Strategy<Value = Vec<Vec<Place>>> {
    let entry = (0..3_u8, 0..4_usize, 0..40_u8, prop::bool::weighted(0.1), 0..3_u64);
    prop::collection::vec(entry, 0..120).prop_map(|entries| {
        let (mut realtime, mut numbers, mut boots, mut booted) = (1000, [0; 3], [0; 3], [0; 3]);
        let mut files = vec![Vec::new(); 14];
        for (hash, (machine, file, chance, twice, pause)) in (0..).zip(entries) {
            // Machines may write in one microsecond. The growing hash then decides as time does.
            realtime += pause;
            let m = usize::from(machine);
            if chance == 0 {
                boots[m] += 1;
                booted[m] = realtime;
            }
            numbers[m] += 1;
            let monotonic = realtime - booted[m];
            let place = place(machine, numbers[m], 10 * machine + boots[m], monotonic, realtime, hash);
            // The first file of a machine is its archive. It gets no entries after the next boot began.
            let file = if file == 0 && boots[m] > 0 { 1 } else { file };
            files[4 * m + file].push(place);
            if twice {
                // Received by a fourth machine.
                let seqnum = files[12].len() as u64 + 1;
                files[12].push(Place { seqnum_id: [9; 16], seqnum, ..place });
            }
            if twice && machine == 0 {
                // Copied by hand.
                files[13].push(place);
            }
        }
        files
    })
}

/// Files with few different values that no clock could have written.
fn arbitrary() -> impl Strategy<Value = Vec<Vec<Place>>> {
    let entry = (0..3_u8, 0..4_u64, 0..3_u8, 0..4_u64, 0..4_u64, 0..2_u64)
        .prop_map(|(s, i, b, m, t, x)| place(s, i, b, m, t, x));
    let file = (0..3_u8, prop::collection::vec(entry, 0..12), any::<bool>()).prop_map(|(id, mut places, sorted)| {
        places.iter_mut().for_each(|place| place.seqnum_id = [id; 16]);
        if sorted {
            places.sort_by_key(|place| place.seqnum);
        }
        places
    });
    prop::collection::vec(file, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn while_clocks_go_forward_the_order_is_libsystemds(files in consistent()) {
        let taken = merge(&files, true).0;
        prop_assert_eq!(&taken, &merge(&files, false).0);
        prop_assert_eq!(&taken, &libsystemd(&files));
        prop_assert!(taken.is_sorted_by(|(_, a), (_, b)| a.realtime <= b.realtime));
    }

    #[test]
    fn whatever_the_entries_runs_change_nothing_and_all_are_taken(files in arbitrary()) {
        let taken = merge(&files, true).0;
        prop_assert_eq!(&taken, &merge(&files, false).0);
        for (source, file) in files.iter().enumerate() {
            let mut of_this = taken.iter().filter(|(from, _)| *from == source).map(|(_, place)| place).peekable();
            for place in file {
                // Taken in its place, or equal to an entry that was taken.
                if of_this.next_if(|next| *next == place).is_none() {
                    prop_assert!(taken.iter().any(|(_, other)| compare(other, place).is_eq()));
                }
            }
            prop_assert!(of_this.next().is_none(), "files keep their order");
        }
        for id in 0..3 {
            let of_id = |place: &Place| place.seqnum_id == [id; 16];
            let growing = files.iter().all(|file| !file.first().is_some_and(of_id) || file.is_sorted_by_key(|p| p.seqnum));
            let numbers = taken.iter().filter(|(_, place)| of_id(place)).map(|(_, place)| place.seqnum);
            prop_assert!(!growing || numbers.is_sorted());
        }
    }

    #[test]
    fn of_two_entries_at_most_one_is_first(
        a in arbitrary().prop_map(|files| files.concat()),
    ) {
        for (x, y) in a.iter().zip(a.iter().skip(1)) {
            prop_assert_eq!(compare(x, y), compare(y, x).reverse());
            prop_assert_eq!(compare(x, y), compare(&y.mirrored(), &x.mirrored()));
            prop_assert_eq!(x.mirrored().mirrored(), *x);
        }
    }
}
