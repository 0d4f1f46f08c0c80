use std::collections::BTreeMap;

use crate::damage::Damage;
use crate::file::JournalFile;
use crate::file::tests::{VARIANTS, Writer, found, met};
use crate::offset::Units;

/// Reads every entry and returns the payloads, their DATA, and the entries that have them.
fn scanned(journal: &mut JournalFile) -> BTreeMap<Vec<u8>, (Units, Vec<Units>)> {
    let mut scanned = BTreeMap::new();
    let mut items = Vec::new();
    for at in journal.entries() {
        journal.entry(at, &mut items).unwrap();
        for data in &items {
            let mut payload = Vec::new();
            journal.data(*data, &mut payload, |_| true).unwrap();
            scanned.entry(payload).or_insert((*data, Vec::new())).1.push(at);
        }
    }
    scanned
}

#[test]
fn the_index_knows_what_a_scan_finds() {
    for (compact, keyed) in VARIANTS {
        let mut journal = Writer::sample(compact, keyed, 200).open();
        let scanned = scanned(&mut journal);
        assert_eq!(scanned.len(), 204);
        for (payload, (data, entries)) in &scanned {
            assert_eq!(found(&mut journal, payload), Some(*data));
            let mut postings = vec![Units(7)];
            journal.postings(*data, &mut postings).unwrap();
            assert_eq!(postings[0], Units(7));
            assert_eq!(postings[1..], *entries);
        }
        let mut values = Vec::new();
        assert_eq!(journal.values(b"PRIORITY", |value, data| values.push((value.to_vec(), data))), Ok(true));
        let of = |value: &str| scanned[format!("PRIORITY={value}").as_bytes()].0;
        let expected = ["0", "2", "1"].map(|value| (value.as_bytes().to_vec(), of(value)));
        assert_eq!(values, expected, "newest first");
        let mut count = 0;
        journal.values(b"MESSAGE", |_, _| count += 1).unwrap();
        assert_eq!(count, 200);
        assert_eq!(journal.values(b"NOTHING", |_, _| panic!("no such field")), Ok(false));
        assert_eq!(met(&journal).len(), 0);
    }
}

#[test]
fn a_place_in_a_list_is_found_without_the_list() {
    for (compact, keyed) in VARIANTS {
        let mut journal = Writer::sample(compact, keyed, 700).open();
        let all = journal.entries();
        for payload in [&b"_HOSTNAME=node"[..], b"PRIORITY=1", b"MESSAGE=hello 600"] {
            let data = found(&mut journal, payload).unwrap();
            let mut postings = Vec::new();
            journal.postings(data, &mut postings).unwrap();
            let list = journal.objects.list_of(data).unwrap();
            let mut block = Vec::new();
            for at in all.iter().flat_map(|at| [*at, Units(at.0 + 1)]).chain([Units(1), Units(u32::MAX)]) {
                let place = journal.objects.place_in(&list, at, &mut block).unwrap();
                let index = postings.partition_point(|other| *other < at);
                assert_eq!(place.before, index.checked_sub(1).map(|index| postings[index]));
                assert_eq!(place.is_listed, postings.get(index) == Some(&at));
            }
        }
        assert!(journal.may_have(b"PRIORITY") && !journal.may_have(b"_LINE_BREAK"));
        assert_eq!(journal.look_up(b"PRIORITY", b"PRIORITY=3"), None);
        assert_eq!(met(&journal).len(), 0);
    }
}

#[test]
fn a_posting_list_that_is_not_whole_is_refused() {
    for (compact, keyed) in VARIANTS {
        let sound = Writer::sample(compact, keyed, 60);
        let host = found(&mut sound.open(), b"_HOSTNAME=node").unwrap();
        let data = host.offset().0;
        let array = sound.get(data + 48);
        let second = sound.get(array + 16);
        let changes = [
            (data + 56, 61), // one more than there are
            (data + 56, 59), // one less
            (data + 56, 0),
            (data + 56, u64::MAX),
            (data + 40, 0), // the first entry
            (data + 40, 3),
            (data + 48, 0), // the first array
            (data + 48, data),
            (array, 3),      // its type
            (array + 8, 24), // its size
            (array + 8, u64::MAX),
            (array + 16, array),     // a circle
            (array + 16, array + 8), // into itself
            (array + 24, 0),         // its first items
            (second + 24, 8),
        ];
        for (at, value) in changes {
            let mut writer = Writer::sample(compact, keyed, 60);
            writer.put(at, value);
            let mut journal = writer.open();
            let mut out = [1, 2, 3].map(Units).to_vec();
            assert!(journal.postings(host, &mut out).is_err(), "{at} {value}");
            assert_eq!(out, [1, 2, 3].map(Units));
            assert_eq!(met(&journal).iter().map(|tally| tally.count).sum::<u64>(), 1);
        }
        let mut journal = sound.open();
        assert_eq!(journal.postings(Units(host.0 + 1), &mut Vec::new()), Err(Damage::Field), "it is no DATA");
        assert_eq!(journal.postings(Units::NONE, &mut Vec::new()), Err(Damage::Field));
    }
}

#[test]
fn what_a_damaged_index_does_not_find_may_exist() {
    for (compact, keyed) in VARIANTS {
        let sound = Writer::sample(compact, keyed, 40);
        let mut tables = Vec::new();
        for value in [0, 8, 12, u64::MAX, sound.bytes.len() as u64 & !7] {
            tables.extend([120, 128].map(|at| (at, value)));
        }
        for (at, value) in tables {
            let mut writer = Writer::sample(compact, keyed, 40);
            writer.put(at, value);
            let mut journal = writer.open();
            assert!(journal.values(b"PRIORITY", |_, _| ()).is_err(), "{at} {value}");
            assert_eq!(journal.entries().len(), 40);
        }
        // The chain of the field's values runs backwards.
        let field_value = found(&mut sound.open(), b"PRIORITY=2").unwrap().offset().0;
        for wrong in [field_value, field_value + 8, 8, u64::MAX] {
            let mut writer = Writer::sample(compact, keyed, 40);
            writer.put(field_value + 32, wrong);
            let mut seen = Vec::new();
            assert!(writer.open().values(b"PRIORITY", |value, _| seen.push(value.to_vec())).is_err());
            assert_eq!(seen, [b"0", b"2"]);
        }
        // The chain ends too early.
        let mut writer = Writer::sample(compact, keyed, 40);
        writer.put(field_value + 32, 0);
        assert_eq!(writer.open().values(b"PRIORITY", |_, _| ()), Ok(false));
    }
}

#[test]
fn a_payload_is_found_or_proved_absent() {
    for (compact, keyed) in VARIANTS {
        let sound = Writer::sample(compact, keyed, 40);
        let mut journal = sound.open();
        for payload in [&b"_HOSTNAME=node"[..], b"PRIORITY=2", b"MESSAGE=hello 40"] {
            let name = payload.split(|byte| *byte == b'=').next().unwrap();
            assert_eq!(journal.find_data(name, payload), Ok(found(&mut sound.open(), payload)));
        }
        assert_eq!(journal.find_data(b"PRIORITY", b"PRIORITY=3"), Ok(None));
        assert_eq!(journal.find_data(b"PRIORITY", b"PRIORITY="), Ok(None));
        assert_eq!(journal.find_data(b"NOTHING", b"NOTHING=1"), Ok(None));
        assert_eq!(met(&journal).len(), 0);

        // Lost buckets of data: the values of the field lead to the payload.
        let mut writer = Writer::sample(compact, keyed, 40);
        let (table, size) = (writer.get(104), writer.get(112));
        (table..table + size).step_by(8).for_each(|at| writer.put(at, 0));
        let expected = found(&mut sound.open(), b"PRIORITY=2");
        assert!(expected.is_some());
        assert_eq!(writer.open().find_data(b"PRIORITY", b"PRIORITY=2"), Ok(expected));

        // Lost buckets of fields as well: nothing is proved.
        let (table, size) = (writer.get(120), writer.get(128));
        (table..table + size).step_by(8).for_each(|at| writer.put(at, 0));
        assert_eq!(writer.open().find_data(b"PRIORITY", b"PRIORITY=2"), Err(Damage::Index));
        assert_eq!(writer.open().find_data(b"NOTHING", b"NOTHING=1"), Err(Damage::Index));
    }
}
