use proptest::prelude::*;

use super::*;

/// A record and its time. `None` begins an input.
type Given = Option<(Vec<u8>, Option<UtcTimestamp>)>;

fn time(seconds: i64, nanos: u32) -> Option<UtcTimestamp> {
    UtcTimestamp::from_unix(UnixTime { seconds, nanos })
}

/// Returns the expected order, by a stable sort in memory.
fn reference(given: &[Given]) -> Vec<(Vec<u8>, Option<UtcTimestamp>)> {
    let mut before = None;
    let mut all = Vec::new();
    for given in given {
        let Some((record, time)) = given else {
            before = None;
            continue;
        };
        before = time.or(before);
        all.push((before.map(|time| *time.as_bytes()), (record.clone(), *time)));
    }
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, record)| record).collect()
}

fn fill(sorter: &mut ExternalSorter, given: &[Given]) {
    for given in given {
        match given {
            Some((record, time)) => sorter.push(record, *time, part(record), record.len() as u64).unwrap(),
            None => sorter.begin_input(),
        }
    }
}

/// Returns the output part of a test record.
fn part(record: &[u8]) -> u32 {
    record.len() as u32 & (MAX_PARTS - 1)
}

fn drain(sorter: ExternalSorter) -> Vec<(Vec<u8>, Option<UtcTimestamp>)> {
    let mut merged = sorter.finish(None).unwrap();
    let mut out = Encoded::default();
    let mut all = Vec::new();
    while merged.fill(&mut out).unwrap() {
        assert_eq!(out.rows.last().map(|row| row.end), Some(out.bytes.len()));
        all.extend(out.records().map(|(record, row)| {
            assert_eq!((row.part, row.counted), (part(record), record.len() as u64));
            (record.to_vec(), row.time)
        }));
        out.clear(usize::MAX);
    }
    all
}

fn sorter(memory: usize) -> ExternalSorter {
    ExternalSorter::new(memory, std::env::temp_dir())
}

/// Generates few distinct times, so that many are equal, and times at both ends of the range of years.
fn given() -> impl Strategy<Value = Given> {
    let seconds = prop_oneof![
        8 => 0_i64..4,
        1 => Just(-62_167_219_200),
        1 => Just(253_402_300_799),
    ];
    let time = prop_oneof![
        1 => Just(None),
        4 => (seconds, prop_oneof![Just(0), Just(1), Just(999_999_999)]).prop_map(|(seconds, nanos)| time(seconds, nanos)),
    ];
    prop_oneof![
        1 => Just(None),
        20 => (prop::collection::vec(any::<u8>(), 1..40), time).prop_map(Some),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_is_that_of_a_stable_sort(given in prop::collection::vec(given(), 0..400), memory in 1_usize..8000) {
        let mut sorter = sorter(memory);
        fill(&mut sorter, &given);
        prop_assert_eq!(drain(sorter), reference(&given));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_newest_records_are_the_end_of_the_order_or_the_beginning_of_its_reverse(
        given in prop::collection::vec(given(), 0..200),
        memory in 1_usize..8000,
        last in 0_usize..220,
        reverse: bool,
    ) {
        let mut sorter = sorter(memory).reversed(reverse);
        fill(&mut sorter, &given);
        let mut expected = reference(&given);
        let cut = expected.len().saturating_sub(last);
        expected.drain(..cut);
        if reverse {
            expected.reverse();
        }
        let mut merged = sorter.finish(Some(last as u64)).unwrap();
        let mut out = Encoded::default();
        while merged.fill(&mut out).unwrap() {}
        let all: Vec<_> = out.records().map(|(record, row)| (record.to_vec(), row.time)).collect();
        prop_assert_eq!(all, expected);
        prop_assert_eq!(merged.left_out().written(), cut as u64);
    }
}

#[test]
fn parts_of_parts() {
    // Each record is a run of its own, so runs are merged, and merged runs again.
    let given: Vec<Given> = (0..MAX_FAN_IN as i64 * (MAX_FAN_IN as i64 + 2) + 70)
        .map(|number| Some((vec![number as u8], time(number * 7919 % 5003, 0))))
        .collect();
    let mut sorter = sorter(1);
    let mut most = 0;
    for given in &given {
        fill(&mut sorter, std::slice::from_ref(given));
        most = most.max(sorter.runs.len());
        assert!(sorter.runs.is_sorted_by_key(|run| std::cmp::Reverse(run.merges)));
    }
    assert_eq!(sorter.runs[0].merges, 2);
    assert!(most < 2 * MAX_FAN_IN, "{most} files are open");
    assert_eq!(drain(sorter), reference(&given));
}

#[test]
fn a_giant_comes_alone() {
    let giant = vec![7; 3 << 20];
    let given: Vec<Given> = (0..200)
        .map(|number| {
            let record = if number % 50 == 3 { giant.clone() } else { vec![number as u8; 900] };
            Some((record, time(i64::from(number * 31 % 100), 0)))
        })
        .collect();
    let mut sorter = sorter(64 << 10);
    for given in &given {
        fill(&mut sorter, std::slice::from_ref(given));
        assert!(sorter.buffer.size() <= 64 << 10 || sorter.buffer.spans.len() == 1);
    }
    assert!(sorter.bytes_on_disk() > 12 << 20);
    assert!(drain(sorter) == reference(&given));
}

#[test]
fn what_fits_is_not_written() {
    let mut sorter = ExternalSorter::new(1 << 10, "/no/such/directory".into());
    sorter.push(&[1; 500], time(2, 0), 500, 500).unwrap();
    sorter.push(&[2; 400], time(1, 0), 400, 400).unwrap();
    assert_eq!(sorter.bytes_on_disk(), 0);
    assert_eq!(drain(sorter), [(vec![2; 400], time(1, 0)), (vec![1; 500], time(2, 0))]);
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let mut sorter = ExternalSorter::new(1 << 10, "/no/such/directory".into());
    sorter.push(&[1; 1000], None, 1000, 1000).unwrap();
    let error = sorter.push(&[2; 1000], None, 1000, 1000).unwrap_err();
    assert_eq!(error.exit(), Exit::Io);
    let text = error.to_string();
    assert!(text.starts_with("sort: ") && text.contains("\"/no/such/directory\"") && text.contains("TMPDIR"), "{text}");
}

#[test]
fn the_steady_state_allocates_nothing() {
    let mut sorter = sorter(64 << 10);
    let record = [9; 500];
    // Reaches the first run on disk.
    let mut number = 0;
    let mut push = |sorter: &mut ExternalSorter| {
        number += 1;
        sorter.push(&record, time(number * 7919 % 100, 5), part(&record), 500).unwrap();
    };
    while sorter.bytes_on_disk() == 0 {
        push(&mut sorter);
    }
    let counted = allocation_counter::measure(|| (0..100).for_each(|_| push(&mut sorter)));
    assert_eq!(counted.count_total, 0);
    while sorter.bytes_on_disk() < 10 << 20 {
        push(&mut sorter);
    }
    let mut merged = sorter.finish(None).unwrap();
    let mut out = Encoded::default();
    for _ in 0..2 {
        merged.fill(&mut out).unwrap();
        out.clear(usize::MAX);
    }
    let counted = allocation_counter::measure(|| assert!(merged.fill(&mut out).unwrap()));
    assert_eq!(counted.count_total, 0);
}

#[test]
fn groups_keep_their_records_together_and_in_order() {
    for memory in [1 << 20, 300] {
        let mut sorter = sorter(memory);
        let groups = [0, 1, 0, 2, 1, 0, 0x00ff_fffe];
        for (number, group) in groups.into_iter().enumerate() {
            sorter.push_in_group(&[number as u8; 100], group, 7).unwrap();
        }
        assert_eq!(sorter.bytes_on_disk() > 0, memory == 300);
        let mut sorted = sorter.finish(None).unwrap();
        let (mut out, mut all) = (Encoded::default(), Vec::new());
        while sorted.fill(&mut out).unwrap() {
            all.extend(out.records().map(|(record, row)| (record[0], row.part, row.time, row.counted)));
            out.clear(usize::MAX);
        }
        let expected = [(0, 0), (2, 0), (5, 0), (1, 1), (4, 1), (3, 2), (6, 0x00ff_fffe)];
        assert_eq!(all, expected.map(|(number, group)| (number, group, None, 7)), "{memory}");
    }
    assert!(sorter(1000).push_in_group(b"", MAX_PARTS, 0).is_err());
}
