use std::time::{Duration, Instant};

use crate::damage::Damage;
use crate::file::JournalFile;
use crate::file::tests::{VARIANTS, Writer, found, met, open, read, times};
use crate::layout::{ObjectKind, Widths};
use crate::offset::Offset;

/// Returns the numbers of the readable entries, and the count of those that no sound array had.
fn numbers(writer: &Writer) -> (Vec<u64>, u64) {
    let mut journal = writer.open();
    let numbers = read(&mut journal).iter().map(|(number, _)| *number).collect();
    (numbers, journal.damages().recovered)
}

#[test]
fn broken_arrays_lose_nothing() {
    let all: Vec<u64> = (1..=200).collect();
    for (compact, keyed) in VARIANTS {
        let width = Widths::of(compact).link as u64;
        let sound = Writer::sample(compact, keyed, 200);
        let arrays = sound.arrays();
        assert!(arrays.len() > 3);
        let list = sound.open().entries();
        let item = |number: u64| arrays[1] + 24 + number * width;
        let set = |writer: &mut Writer, at: u64, value: u64| {
            writer.bytes[at as usize..][..width as usize].copy_from_slice(&value.to_le_bytes()[..width as usize]);
        };
        type Break<'b> = &'b dyn Fn(&mut Writer);
        let breaks: [(&str, Break<'_>); 13] = [
            ("an item is zero", &|writer| set(writer, item(2), 0)),
            ("an item is not aligned", &|writer| set(writer, item(2), 1001)),
            ("an item is beyond the end", &|writer| set(writer, item(2), 0xffff_fff8)),
            ("an item is too large", &|writer| set(writer, item(2), list[150].offset().0)),
            ("an item is too small", &|writer| set(writer, item(2), list[0].offset().0)),
            ("two items are swapped", &|writer| {
                set(writer, item(2), list[7].offset().0);
                set(writer, item(3), list[6].offset().0);
            }),
            ("the next array is nowhere", &|writer| writer.put(arrays[1] + 16, u64::MAX)),
            ("the next array is none", &|writer| writer.put(arrays[1] + 16, 0)),
            ("the next array is the first", &|writer| writer.put(arrays[1] + 16, arrays[0])),
            ("the next array is not one", &|writer| writer.put(arrays[1] + 16, list[20].offset().0)),
            ("an array has another type", &|writer| writer.put(arrays[2], 1)),
            ("an array has no size", &|writer| writer.put(arrays[2] + 8, 0)),
            ("the first array is lost", &|writer| writer.put(176, 0)),
        ];
        for (what, damage) in breaks {
            let mut writer = Writer::sample(compact, keyed, 200);
            damage(&mut writer);
            let mut journal = writer.open();
            let found: Vec<u64> = read(&mut journal).iter().map(|(number, _)| *number).collect();
            assert_eq!(found, all, "{what}");
            assert!(times(&journal, Damage::Array) > 0, "{what}");
            assert!(journal.damages().recovered > 0 || what == "two items are swapped", "{what}");
        }
    }
}

#[test]
fn counts_are_limits() {
    for (compact, keyed) in VARIANTS {
        // The header counts more entries than there are, as after a power loss.
        for count in [201, 1 << 20, u64::MAX] {
            let mut writer = Writer::sample(compact, keyed, 200);
            writer.put(152, count);
            assert_eq!(numbers(&writer), ((1..=200).collect(), 0));
        }
        let mut writer = Writer::sample(compact, keyed, 200);
        writer.put(144, u64::MAX);
        assert_eq!(numbers(&writer).0.len(), 200);
    }
}

#[test]
fn broken_objects_are_stepped_over() {
    for (compact, keyed) in VARIANTS {
        let sound = Writer::sample(compact, keyed, 200);
        let list = sound.open().entries();
        // The arrays are lost, and so is an object. The objects before and after it are found.
        let mut journal = sound.open();
        let [own, next] =
            [&b"MESSAGE=hello 51"[..], b"MESSAGE=hello 52"].map(|field| found(&mut journal, field).unwrap());
        for (at, lost) in [(list[50], true), (own, false), (next, false)] {
            // A size may lead far ahead, unless an object begins there.
            let ahead = list[90].offset().0 + 7 - at.offset().0;
            for (field, value) in [(0, 0), (8, 0), (8, 17), (8, 64), (8, ahead), (8, u64::MAX), (8, u64::MAX - 7)] {
                let mut writer = Writer::sample(compact, keyed, 200);
                writer.put(176, 0);
                writer.put(at.offset().0 + field, value);
                let found = numbers(&writer).0;
                let missing: Vec<u64> = (1..=200).filter(|number| !found.contains(number)).collect();
                let expected: &[u64] = if lost { &[51] } else { &[] };
                assert_eq!(missing, expected, "{at:?} {field} {value}");
            }
        }
        // A hole of zeros, as a disk leaves it.
        let mut writer = Writer::sample(compact, keyed, 200);
        writer.put(176, 0);
        let (from, to) = (list[60].offset().0 as usize, list[70].offset().0 as usize);
        writer.bytes[from..to].fill(0);
        assert_eq!(numbers(&writer).0, (1..=60).chain(71..=200).collect::<Vec<u64>>());
    }
}

#[test]
fn a_cut_file_has_the_entries_before_the_cut() {
    for (compact, keyed) in VARIANTS {
        let writer = Writer::sample(compact, keyed, 25);
        let ends: Vec<u64> =
            writer.open().entries().iter().map(|at| at.offset().0 + writer.get(at.offset().0 + 8)).collect();
        for cut in (272..=writer.bytes.len()).step_by(8) {
            let mut journal = open(&writer.bytes[..cut]).unwrap();
            let whole = ends.iter().filter(|end| **end <= cut as u64).count();
            let read = read(&mut journal);
            assert_eq!(read.len(), whole, "cut at {cut}");
            assert!(read.iter().all(|(_, fields)| fields.len() == 3));
        }
    }
}

#[test]
fn what_a_dead_writer_had_not_linked_is_found_where_arrays_are_damaged() {
    let mut writer = Writer::sample(true, true, 20);
    let tail = writer.get(136);
    let data = writer.data(b"MESSAGE=last");
    writer.unlinked(vec![data]);
    assert_eq!(numbers(&writer).0.len(), 20);
    writer.put(176, 0);
    writer.put(136, tail);
    assert_eq!(numbers(&writer), ((1..=21).collect(), 21));
}

#[test]
fn an_unknown_type_is_stepped_over() {
    let mut writer = Writer::sample(false, true, 20);
    let tag = writer.data(b"UNUSED=by any entry");
    writer.put(tag, 99);
    writer.entry(&[b"MESSAGE=behind it"]);
    writer.put(176, 0);
    assert_eq!(numbers(&writer).0.len(), 21);
}

/// Returns the numbers of the sample's entries that are read with all of their fields.
fn whole(journal: &mut JournalFile) -> Vec<u64> {
    read(journal).iter().filter(|(_, fields)| fields.len() == 3).map(|(number, _)| *number).collect()
}

#[test]
fn objects_behind_the_arena_are_read() {
    let all: Vec<u64> = (1..=200).collect();
    for (compact, keyed) in VARIANTS {
        let sound = Writer::sample(compact, keyed, 200);
        let arena = sound.get(96);
        for short in [arena - 64, arena / 2, arena / 2 + 1, 0] {
            let mut writer = Writer::sample(compact, keyed, 200);
            writer.put(96, short);
            let mut journal = writer.open();
            assert_eq!(whole(&mut journal), all, "{short} of {arena}");
            assert_eq!(journal.damages().recovered, 0, "{short} of {arena}: the arrays list all entries");
            assert!(found(&mut journal, b"MESSAGE=hello 200").is_some());
            let damages: Vec<(Damage, u64)> = met(&journal).iter().map(|tally| (tally.damage, tally.first)).collect();
            assert_eq!(damages, [(Damage::Index, 96)], "{short} of {arena}");
            // The search reads them as well.
            writer.put(176, 0);
            assert_eq!(whole(&mut writer.open()), all, "{short} of {arena}");
        }
        // An array behind the arena lists entries behind the arena.
        let arrays = sound.arrays();
        let mut writer = Writer::sample(compact, keyed, 200);
        writer.put(96, arrays[2] - 272);
        assert_eq!((whole(&mut writer.open()), writer.open().damages().recovered), (all.clone(), 0));
        // Preallocated space behind the arena is no damage, and neither is other space there.
        let mut writer = Writer::sample(compact, keyed, 200);
        writer.bytes.extend_from_slice(&[0x33; 4096]);
        let mut journal = writer.open();
        assert_eq!((whole(&mut journal), met(&journal).len()), (all.clone(), 0));
    }
}

#[test]
fn bytes_that_have_no_meaning_are_not_looked_at() {
    let all: Vec<u64> = (1..=200).collect();
    for (compact, keyed) in VARIANTS {
        // Unknown flags and the six bytes behind them, of all objects or of one in two.
        for step in [1, 2] {
            let mut writer = Writer::sample(compact, keyed, 200);
            give_meaningless_bytes(&mut writer, step);
            let mut journal = writer.open();
            assert_eq!((whole(&mut journal), met(&journal).len()), (all.clone(), 0));
            writer.put(176, 0);
            assert_eq!(whole(&mut writer.open()), all);
            // Behind a broken object as well.
            let list = Writer::sample(compact, keyed, 200).open().entries();
            writer.put(list[50].offset().0 + 8, 17);
            assert_eq!(whole(&mut writer.open()).len(), 199);
        }
        // The contents of the object behind each entry prove nothing, because the object is compressed.
        let mut writer = Writer::sample(compact, keyed, 0);
        for number in 0..200 {
            let packed = writer.stored(format!("PACKED={number}").as_bytes(), 4, b"compressed");
            let host = writer.data(b"_HOSTNAME=node");
            writer.entry_of(vec![host, packed]);
        }
        give_meaningless_bytes(&mut writer, 1);
        writer.put(176, 0);
        assert_eq!(numbers(&writer), (all.clone(), 200));
    }
}

/// Fills the bytes without a meaning of one in `step` objects.
fn give_meaningless_bytes(writer: &mut Writer, step: usize) {
    let (mut at, mut number) = (272, 0);
    while at < writer.bytes.len() {
        if number % step == 0 {
            writer.bytes[at + 1] |= 0x30;
            writer.bytes[at + 2..at + 8].fill(0x5a);
        }
        at = (at + writer.get(at as u64 + 8) as usize).next_multiple_of(8);
        number += 1;
    }
}

#[test]
fn a_header_may_be_older_than_the_entries() {
    for (compact, keyed) in VARIANTS {
        let width = Widths::of(compact).link;
        let mut writer = Writer::sample(compact, keyed, 200);
        let list = writer.open().entries();
        let message = found(&mut writer.open(), b"MESSAGE=hello 51").unwrap().offset().0;
        writer.put(136, 272);
        // An array has lost an entry, which follows a broken object.
        let lost = &list[50].offset().0.to_le_bytes()[..width];
        let arrays = writer.arrays();
        let item = (arrays[0] as usize..).find(|at| writer.bytes[*at..].starts_with(lost)).unwrap();
        writer.bytes[item..item + width].fill(0);
        writer.put(message + 8, 17);
        let numbers = numbers(&writer);
        assert_eq!(numbers, ((1..=200).collect(), 1));
    }
}

#[test]
fn arrays_that_overlap_are_followed() {
    for (compact, keyed) in VARIANTS {
        let width = Widths::of(compact).link as u64;
        // A field looks like an array. No object begins there, so only the chain leads to it and to its entry.
        let mut writer = Writer::sample(compact, keyed, 20);
        let hidden = {
            let own = writer.data(b"MESSAGE=hidden");
            let entry = writer.unlinked(vec![own]);
            writer.bytes[entry as usize..].to_vec()
        };
        let inside = writer.data(&[b"MESSAGE=", &vec![b' '; 400][..]].concat());
        let (entry, array) = (inside + 128, inside + 256);
        writer.bytes[entry as usize..][..hidden.len()].copy_from_slice(&hidden);
        writer.put(array, ObjectKind::EntryArray as u64);
        writer.put(array + 8, 24 + width);
        writer.put(array + 16, 0);
        writer.bytes[array as usize + 24..][..width as usize].copy_from_slice(&entry.to_le_bytes()[..width as usize]);
        let first = writer.arrays();
        let last = first[first.len() - 1];
        // The last array seems to reach beyond the array after it, and has room for the items that are counted.
        writer.put(last + 8, 24 + (array - last) / width * width);
        writer.put(last + 16, array);
        // If an entry is broken, libsystemd reads one behind the number in the header.
        writer.bytes[first[0] as usize + 24..][..width as usize].fill(0);
        for count in [20, u64::MAX] {
            writer.put(152, count);
            let mut journal = writer.open();
            let list = journal.entries();
            assert!(list.contains(&Offset(entry).units()), "{compact} {count}");
            assert!(times(&journal, Damage::Array) > 0);
            assert!(list.is_sorted_by(|one, other| one < other));
        }
    }
}

#[test]
fn arrays_that_overlap_have_a_limit() {
    // Each array holds the rest of the file, and the next one begins eight bytes later.
    let mut writer = Writer::sample(true, true, 3);
    let start = writer.bytes.len() as u64;
    let end = start + (1 << 20);
    writer.bytes.resize(end as usize, 0);
    for at in (start..end - 64).step_by(24) {
        writer.put(at, ObjectKind::EntryArray as u64);
        writer.put(at + 8, (end - at) / 8 * 8);
        writer.put(at + 16, at + 24);
    }
    writer.put(96, end - 272);
    writer.put(152, u64::MAX);
    writer.put(176, start);
    let begin = Instant::now();
    let mut journal = writer.open();
    assert_eq!(whole(&mut journal), [1, 2, 3]);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert!(times(&journal, Damage::Array) > 0);
}

/// Calls every function of a file.
fn ask_all(bytes: &[u8]) -> usize {
    let Ok(mut journal) = open(bytes) else { return 0 };
    let (mut items, mut out) = (Vec::new(), Vec::new());
    let list = journal.entries();
    let mut read = 0;
    for at in &list {
        let head = journal.head(*at);
        let entry = journal.entry(*at, &mut items);
        assert_eq!(head, entry);
        read += usize::from(entry.is_ok());
        for data in &items {
            out.clear();
            let datum = journal.data(*data, &mut out, |_| true);
            assert_eq!(datum.is_ok(), !out.is_empty());
        }
    }
    for data in &items {
        let _ = journal.postings(*data, &mut Vec::new());
    }
    let _ = journal.values(b"MESSAGE", |_, _| ());
    let _ = journal.refresh().unwrap();
    read
}

#[test]
fn no_damage_makes_it_panic_or_hang() {
    for (compact, keyed) in VARIANTS {
        let writer = Writer::sample(compact, keyed, 7);
        assert_eq!(ask_all(&writer.bytes), 7);
        let len = writer.bytes.len() as u64;
        for value in [0, u64::MAX, 1, 0x0003, len & !7, 272, 1 << 63] {
            for at in (8..len - 8).step_by(8) {
                let mut damaged = writer.bytes.clone();
                damaged[at as usize..][..8].copy_from_slice(&value.to_le_bytes());
                let begin = Instant::now();
                let read = ask_all(&damaged);
                assert!(begin.elapsed() < Duration::from_secs(2), "{value:x} at {at}");
                // Beyond the header, no eight bytes cost more than one entry.
                assert!(at < 272 || read >= 6, "{value:x} at {at}: {read}");
            }
        }
    }
}
