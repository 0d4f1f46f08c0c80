use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;

use super::{JournalFile, Refreshed};
use crate::damage::{Damage, Tally};
use crate::error::Refusal;
use crate::file_range::tests::file;
use crate::hash::JournalHash;
use crate::layout::{HeaderState, ObjectKind, Widths};
use crate::offset::{Offset, Units};

/// Writes small journals as journald does, complete after each entry. Its hash tables are tiny, so that their chains
/// are long.
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
    compact: bool,
    hash: JournalHash,
    /// The number of entries in the files before this one.
    earlier: u64,
    data: BTreeMap<Vec<u8>, u64>,
    fields: BTreeMap<Vec<u8>, u64>,
}

const DATA_BUCKETS: u64 = 5;
const FIELD_BUCKETS: u64 = 3;
const FILE_ID: [u8; 16] = *b"0123456789abcdef";

/// Returns each kind of damage found.
pub(crate) fn met(journal: &JournalFile) -> Vec<Tally> {
    journal.damages().clone().drain().collect()
}

/// Returns the count of a kind of damage.
pub(crate) fn times(journal: &JournalFile, damage: Damage) -> u64 {
    met(journal).iter().filter(|tally| tally.damage == damage).map(|tally| tally.count).sum()
}

/// All kinds of files: compact or not, keyed or not.
pub(crate) const VARIANTS: [(bool, bool); 4] = [(true, true), (true, false), (false, true), (false, false)];

impl Writer {
    pub(crate) fn new(compact: bool, keyed: bool) -> Self {
        let mut writer = Self {
            bytes: vec![0; 272],
            compact,
            earlier: 0,
            hash: if keyed { JournalHash::Sip(FILE_ID) } else { JournalHash::Jenkins },
            data: BTreeMap::new(),
            fields: BTreeMap::new(),
        };
        writer.bytes[..8].copy_from_slice(b"LPKSHHRH");
        writer.bytes[12] = 1 | 2 | 8 | if keyed { 4 } else { 0 } | if compact { 16 } else { 0 };
        writer.bytes[24..40].copy_from_slice(&FILE_ID);
        writer.bytes[72..88].copy_from_slice(b"numbers'  origin");
        writer.put(88, 272);
        for (kind, buckets, at) in
            [(ObjectKind::FieldHashTable, FIELD_BUCKETS, 120), (ObjectKind::DataHashTable, DATA_BUCKETS, 104)]
        {
            let table = writer.append(kind, 0, &vec![0; buckets as usize * 16]);
            writer.put(at, table + 16);
            writer.put(at + 8, buckets * 16);
        }
        writer
    }

    /// Returns an empty file that continues this one.
    pub(crate) fn rotated(&self) -> Self {
        let mut next = Self::new(self.compact, self.hash != JournalHash::Jenkins);
        next.earlier = self.earlier + self.get(152);
        next.bytes[24] = self.bytes[24] + 1;
        if next.hash != JournalHash::Jenkins {
            next.hash = JournalHash::Sip(*next.bytes[24..].first_chunk().unwrap());
        }
        next
    }

    /// Returns a journal of entries that share some fields and have others of their own.
    pub(crate) fn sample(compact: bool, keyed: bool, entries: u64) -> Self {
        let mut writer = Self::new(compact, keyed);
        for number in 1..=entries {
            let own = format!("MESSAGE=hello {number}");
            let kind = format!("PRIORITY={}", number % 3);
            writer.entry(&[b"_HOSTNAME=node", kind.as_bytes(), own.as_bytes()]);
        }
        writer
    }

    pub(crate) fn get(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.bytes[at as usize..][..8].try_into().unwrap())
    }

    pub(crate) fn put(&mut self, at: u64, value: u64) {
        self.bytes[at as usize..][..8].copy_from_slice(&value.to_le_bytes());
    }

    fn append(&mut self, kind: ObjectKind, flags: u8, body: &[u8]) -> u64 {
        let at = self.bytes.len() as u64;
        self.bytes.extend_from_slice(&[kind as u8, flags, 0, 0, 0, 0, 0, 0]);
        self.bytes.extend_from_slice(&(16 + body.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(body);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.put(96, self.bytes.len() as u64 - 272);
        self.put(136, at);
        self.put(144, self.get(144) + 1);
        at
    }

    fn link(&mut self, table_at: u64, hash: u64, object: u64) {
        let bucket = self.get(table_at) + hash % (self.get(table_at + 8) / 16) * 16;
        match (self.get(bucket), self.get(bucket + 8)) {
            (0, _) => self.put(bucket, object),
            (_, last) => self.put(last + 24, object),
        }
        self.put(bucket + 8, object);
    }

    /// Returns the offset of the DATA of a payload, which is written if it is new.
    pub(crate) fn data(&mut self, payload: &[u8]) -> u64 {
        self.stored(payload, 0, payload)
    }

    /// Returns the offset of the DATA of a payload, which is written in its stored form if it is new.
    pub(crate) fn stored(&mut self, payload: &[u8], flags: u8, stored: &[u8]) -> u64 {
        if let Some(at) = self.data.get(payload) {
            return *at;
        }
        let hash = self.hash.of(payload);
        let mut body = vec![0; if self.compact { 56 } else { 48 }];
        body[..8].copy_from_slice(&hash.to_le_bytes());
        body.extend_from_slice(stored);
        let at = self.append(ObjectKind::Data, flags, &body);
        self.link(104, hash, at);
        self.data.insert(payload.to_vec(), at);

        let name = payload.split(|byte| *byte == b'=').next().unwrap();
        let field = match self.fields.get(name) {
            Some(field) => *field,
            None => {
                let hash = self.hash.of(name);
                let field = self.append(ObjectKind::Field, 0, &[&hash.to_le_bytes()[..], &[0; 16], name].concat());
                self.link(120, hash, field);
                self.fields.insert(name.to_vec(), field);
                self.put(216, self.get(216) + 1);
                field
            }
        };
        self.put(at + 32, self.get(field + 32));
        self.put(field + 32, at);
        at
    }

    pub(crate) fn entry(&mut self, fields: &[&[u8]]) -> u64 {
        let items: Vec<u64> = fields.iter().map(|field| self.data(field)).collect();
        self.entry_of(items)
    }

    /// Writes an entry of these DATA and links it in all lists.
    pub(crate) fn entry_of(&mut self, items: Vec<u64>) -> u64 {
        let entry = self.unlinked(items.clone());
        let number = self.get(152);
        self.push(176, number, entry);
        self.put(152, number + 1);
        for data in items {
            match self.get(data + 56) {
                0 => self.put(data + 40, entry),
                count => self.push(data + 48, count - 1, entry),
            }
            self.put(data + 56, self.get(data + 56) + 1);
        }
        entry
    }

    /// Writes an entry without linking it.
    pub(crate) fn unlinked(&mut self, mut items: Vec<u64>) -> u64 {
        items.sort_unstable();
        let number = self.earlier + self.get(152) + 1;
        if self.get(168) == 0 {
            self.put(168, number);
        }
        self.put(160, number);
        let mut body = Vec::new();
        for value in [number, 1_700_000_000_000_000 + number, 5_000 + number] {
            body.extend_from_slice(&value.to_le_bytes());
        }
        body.extend_from_slice(b"boot boot boot !");
        body.extend_from_slice(&(number * 7).to_le_bytes());
        for item in items {
            match self.compact {
                true => body.extend_from_slice(&(item as u32).to_le_bytes()),
                false => body.extend_from_slice(&[item.to_le_bytes(), [0xab; 8]].concat()),
            }
        }
        self.append(ObjectKind::Entry, 0, &body)
    }

    /// Links an entry as the item of a number in the chain of arrays that begins at `pointer`.
    fn push(&mut self, mut pointer: u64, mut number: u64, entry: u64) {
        let width = Widths::of(self.compact).link as u64;
        let mut capacity = 4;
        loop {
            if self.get(pointer) == 0 {
                let array = self.append(ObjectKind::EntryArray, 0, &vec![0; (8 + capacity * width) as usize]);
                self.put(pointer, array);
            }
            let array = self.get(pointer);
            capacity = (self.get(array + 8) - 24) / width;
            if number < capacity {
                let item = (array + 24 + number * width) as usize;
                self.bytes[item..item + width as usize].copy_from_slice(&entry.to_le_bytes()[..width as usize]);
                return;
            }
            number -= capacity;
            capacity *= 2;
            pointer = array + 16;
        }
    }

    /// Returns the arrays of all entries.
    pub(crate) fn arrays(&self) -> Vec<u64> {
        let mut arrays = vec![self.get(176)];
        while let next @ 1.. = self.get(arrays[arrays.len() - 1] + 16) {
            arrays.push(next);
        }
        arrays
    }

    pub(crate) fn open(&self) -> JournalFile {
        open(&self.bytes).unwrap()
    }
}

pub(crate) fn open(bytes: &[u8]) -> Result<JournalFile, Refusal> {
    JournalFile::open(file(bytes), 2)
}

/// Reads all entries with their fields, without the damaged ones.
pub(crate) fn read(journal: &mut JournalFile) -> Vec<(u64, Vec<String>)> {
    let mut items = Vec::new();
    let mut read = Vec::new();
    for at in journal.entries() {
        let Ok(head) = journal.entry(at, &mut items) else { continue };
        let fields = items.iter().filter_map(|at| {
            let mut field = Vec::new();
            journal.data(*at, &mut field, |_| true).ok()?;
            Some(String::from_utf8_lossy(&field).into_owned())
        });
        read.push((head.seqnum, fields.collect()));
    }
    read
}

/// Returns the DATA of exactly this `NAME=value`, by the values of its name.
pub(crate) fn found(journal: &mut JournalFile, payload: &[u8]) -> Option<Units> {
    let (name, wanted) = payload.split_at(payload.iter().position(|byte| *byte == b'=').unwrap());
    let mut found = None;
    let each = |value: &[u8], data| found = found.or((*value == wanted[1..]).then_some(data));
    assert_eq!(journal.values(name, each), Ok(true));
    found
}

fn refusal(bytes: &[u8]) -> String {
    open(bytes).err().unwrap().to_string()
}

#[test]
fn what_was_written_is_read() {
    for (compact, keyed) in VARIANTS {
        let writer = Writer::sample(compact, keyed, 100);
        let mut journal = writer.open();
        let expected: Vec<_> = (1..=100)
            .map(|number| {
                // Fields are in the order of their first appearance in the file.
                let own = format!("MESSAGE=hello {number}");
                (number, vec!["_HOSTNAME=node".to_owned(), format!("PRIORITY={}", number % 3), own])
            })
            .collect();
        assert_eq!(read(&mut journal), expected);
        assert_eq!(met(&journal).len(), 0);

        let list = journal.entries();
        let mut items = Vec::new();
        let head = journal.entry(list[41], &mut items).unwrap();
        assert_eq!((head.seqnum, head.realtime, head.monotonic), (42, 1_700_000_000_000_042, 5_042));
        assert_eq!((head.boot_id, head.xor_hash), (*b"boot boot boot !", 42 * 7));
        assert_eq!(journal.head(list[41]).unwrap(), head);
        assert_eq!(journal.header().n_entries, 100);
        assert_eq!(journal.header().seqnum_id, *b"numbers'  origin");
    }
}

#[test]
fn a_field_is_appended_if_its_name_is_wanted() {
    let writer = Writer::sample(true, true, 2);
    let mut journal = writer.open();
    let (host, message) = (writer.data[&b"_HOSTNAME=node"[..]], writer.data[&b"MESSAGE=hello 1"[..]]);
    let mut out = b"kept ".to_vec();
    let mut names = Vec::new();
    for at in [host, message] {
        let mut want = |name: &[u8]| {
            names.push(name.to_vec());
            name == b"MESSAGE"
        };
        let datum = journal.data(Offset(at).units(), &mut out, &mut want).unwrap();
        assert_eq!(datum.wanted, at == message);
        assert_eq!(datum.shared, at == host);
        assert_eq!(datum.name_len, names[names.len() - 1].len());
    }
    assert_eq!(names, [b"_HOSTNAME".to_vec(), b"MESSAGE".to_vec()]);
    assert_eq!(out, b"kept MESSAGE=hello 1");
}

#[test]
fn long_fields_and_entries_are_read_from_everywhere() {
    for (compact, keyed) in VARIANTS {
        let mut writer = Writer::new(compact, keyed);
        let fields: Vec<Vec<u8>> = [10, 300, 4_000, 4_100, 60_000, 70_000, 200_000, 2_000_000]
            .iter()
            .enumerate()
            .map(|(number, len)| [format!("FIELD_{number}=").as_bytes(), &vec![b'a' + number as u8; *len]].concat())
            .collect();
        let many: Vec<Vec<u8>> = (0..1500).map(|number| format!("N={number}").into_bytes()).collect();
        for _ in 0..3 {
            writer.entry(&fields.iter().map(Vec::as_slice).collect::<Vec<_>>());
            writer.entry(&many.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
        let mut journal = writer.open();
        let list = journal.entries();
        let mut items = Vec::new();
        for (at, expected) in list.iter().rev().zip([&many, &fields].into_iter().cycle()) {
            journal.entry(*at, &mut items).unwrap();
            assert_eq!(items.len(), expected.len());
            for (at, field) in items.iter().zip(expected) {
                let mut out = Vec::new();
                journal.data(*at, &mut out, |_| true).unwrap();
                assert!(out == *field, "{}", out[..out.len().min(20)].escape_ascii());
                out.clear();
                assert!(!journal.data(*at, &mut out, |_| false).unwrap().wanted && out.is_empty());
            }
        }
    }
}

#[test]
fn compressed_fields_are_read_by_their_codec() {
    let mut writer = Writer::new(true, true);
    let payload = [b"MESSAGE=", &vec![b'x'; 70_000][..]].concat();
    let compressed = [&(payload.len() as u64).to_le_bytes()[..], &lz4_flex::block::compress(&payload)].concat();
    let (good, both) = (writer.stored(&payload, 2, &compressed), writer.stored(b"A=1", 3, b"A=1"));
    let unknown = writer.stored(b"B=1", 8, b"B=1");
    writer.entry_of(vec![good, both, unknown]);
    let mut journal = writer.open();
    let mut out = Vec::new();
    let lz4 = journal.data(Offset(good).units(), &mut out, |_| true);
    if cfg!(feature = "lz4") {
        assert!(lz4.unwrap().wanted && out == payload);
    } else {
        assert_eq!(lz4, Err(Damage::Undecodable));
    }
    assert_eq!(journal.data(Offset(both).units(), &mut out, |_| true), Err(Damage::Undecodable));
    out.clear();
    journal.data(Offset(unknown).units(), &mut out, |_| true).unwrap();
    assert_eq!(out, b"B=1", "a flag of no codec has no meaning");
}

#[test]
fn files_that_are_no_journals_are_refused_with_the_reason() {
    let sound = Writer::sample(true, true, 3);
    assert_eq!(refusal(b""), "its 0 bytes are fewer than the header of a journal file has");
    assert_eq!(refusal(&[0; 4096]), "it is not a systemd journal file");
    assert_eq!(refusal(b"LPKSHHRX and so on"), "it is not a systemd journal file");
    assert_eq!(refusal(&sound.bytes[..207]), "its 207 bytes are fewer than the header of a journal file has");
    assert_eq!(refusal(&sound.bytes[..271]), "its 271 bytes are fewer than the header of a journal file has");
    let changed = |at, value| {
        let mut writer = Writer::sample(true, true, 3);
        writer.put(at, value);
        refusal(&writer.bytes)
    };
    assert_eq!(changed(8, 0x60 << 32), "it is of a newer format: the incompatible flags 0x60 are unknown");
    assert_eq!(changed(88, 200), "the length of its header is damaged: 200 bytes");
    assert_eq!(changed(88, u64::MAX), "the length of its header is damaged: 18446744073709551615 bytes");
    // libsystemd reads a file whose header has an odd length.
    let mut odd = Writer::sample(true, true, 3);
    odd.put(88, 269);
    assert_eq!(read(&mut odd.open()).len(), 3);

    let large = file(&sound.bytes);
    large.set_len((32 << 30) + 8).unwrap();
    assert_eq!(read(&mut JournalFile::open(large, 2).unwrap()).len(), 3, "what is unused does not count");
    let mut promising = Writer::sample(true, true, 3);
    promising.put(96, u64::MAX);
    let large = file(&promising.bytes);
    large.set_len((32 << 30) + 8).unwrap();
    let reason = JournalFile::open(large, 2).err().unwrap().to_string();
    assert_eq!(reason, "its 34359738376 bytes are more than the 32 GiB that can be read");
}

#[test]
fn what_is_damaged_is_left_out_and_counted() {
    for (compact, keyed) in VARIANTS {
        let intact = Writer::sample(compact, keyed, 30);
        let list = intact.open().entries();
        let entry = list[10].offset().0;
        let message = intact.data[&b"MESSAGE=hello 11"[..]];
        let name = message + Widths::of(compact).data as u64;
        // An offset, a value there, and the damage: a missing entry or a missing field.
        let missing_entry = [
            (entry, 4),             // the type
            (entry + 8, 64),        // the size: no items
            (entry + 8, 65),        // the size: half an item
            (entry + 8, u64::MAX),  // the size: beyond the end
            (entry + 16, 0),        // the number
            (entry + 24, 0),        // the time
            (entry + 24, 1 << 55),  // the time
            (entry + 32, u64::MAX), // the time since the boot
        ];
        for (at, value) in missing_entry {
            let mut writer = Writer::sample(compact, keyed, 30);
            writer.put(at, value);
            let mut journal = writer.open();
            assert_eq!(read(&mut journal).len(), 29, "{} {value}", at - entry);
            assert_eq!(times(&journal, Damage::Entry), 1);
            let tally = met(&journal)[0];
            assert_eq!((tally.damage, tally.first), (Damage::Entry, entry));
        }
        let missing_field = [
            (message, 2, Damage::Field),
            (message + 8, 0, Damage::Field),
            (message + 8, u64::MAX - 7, Damage::Field),
            (message, 0x0101, Damage::Undecodable),
            (message, 0x8701, Damage::Undecodable),
            (name, u64::from_le_bytes(*b"ME SAGE="), Damage::Name),
            (name, u64::from_le_bytes(*b"0ESSAGE="), Damage::Name),
            (name, u64::from_le_bytes(*b"=ESSAGE="), Damage::Name),
        ];
        for (at, value, damage) in missing_field {
            let mut writer = Writer::sample(compact, keyed, 30);
            writer.put(at, value);
            let mut journal = writer.open();
            let read = read(&mut journal);
            assert_eq!(read.len(), 30);
            assert_eq!(read[10].1.len(), 2, "{damage:?}");
            assert!(read.iter().all(|(number, fields)| *number == 11 || fields.len() == 3));
            assert_eq!(times(&journal, damage), 1, "{damage:?}");
        }
        // An item at an impossible offset.
        for wrong in [1, 4, 8, 264, 0xffff_fff8] {
            let mut writer = Writer::sample(compact, keyed, 30);
            writer.bytes[entry as usize + 64..][..4].copy_from_slice(&u32::to_le_bytes(wrong));
            let mut journal = writer.open();
            assert_eq!(read(&mut journal)[10].1.len(), 2, "{wrong}");
            assert_eq!(times(&journal, Damage::Field), 1);
        }
    }
}

#[test]
fn an_entry_has_an_end_to_its_items() {
    for (count, used, damaged) in [(65_535, 65_535, 0), (65_536, 65_536, 0), (65_537, 65_536, 1), (90_000, 65_536, 1)] {
        let mut writer = Writer::new(count % 2 == 0, true);
        let data = writer.data(b"MESSAGE=again");
        writer.entry(&[b"MESSAGE=before"]);
        writer.entry_of(vec![data; count]);
        writer.entry(&[b"MESSAGE=behind"]);
        let mut journal = writer.open();
        let mut items = Vec::new();
        let lengths: Vec<usize> = journal
            .entries()
            .iter()
            .map(|at| {
                journal.entry(*at, &mut items).unwrap();
                items.len()
            })
            .collect();
        assert_eq!(lengths, [1, used, 1]);
        assert_eq!(times(&journal, Damage::Field), damaged);
    }
}

#[test]
fn an_oversized_field_is_left_out() {
    let mut writer = Writer::sample(true, true, 3);
    let message = writer.data[&b"MESSAGE=hello 2"[..]];
    let end = writer.bytes.len() as u64;
    writer.put(message + 8, end - message + (65 << 20));
    writer.put(96, (100 << 20) - 272);
    let file = file(&writer.bytes);
    file.set_len(100 << 20).unwrap();
    let mut journal = JournalFile::open(file, 2).unwrap();
    assert_eq!(read(&mut journal).iter().map(|(_, fields)| fields.len()).collect::<Vec<_>>(), [3, 2, 3]);
    assert_eq!(times(&journal, Damage::Oversized), 1);
}

#[test]
fn a_live_file_is_read_anew_after_each_change() {
    for (compact, keyed) in VARIANTS {
        let mut writer = Writer::new(compact, keyed);
        writer.bytes[16] = 1;
        let live = file(&writer.bytes);
        let mut journal = JournalFile::open(live.try_clone().unwrap(), 2).unwrap();
        assert_eq!(journal.header().state, HeaderState::Online);
        assert!(journal.entries().is_empty());
        let mut seen = Vec::new();
        let mut items = Vec::new();
        for number in 1..=300_u64 {
            assert_eq!(journal.refresh().unwrap(), Refreshed::Same);
            let message = format!("MESSAGE=number {number}");
            writer.entry(&[b"_HOSTNAME=node", message.as_bytes()]);
            live.write_all_at(&writer.bytes, 0).unwrap();
            // New entries appear only after a look at the header.
            assert!(journal.more_entries(&mut seen));
            assert_eq!(seen.len() as u64, number - 1);
            assert_eq!(journal.refresh().unwrap(), Refreshed::Changed);
            assert!(journal.more_entries(&mut seen));
            let head = journal.entry(*seen.last().unwrap(), &mut items).unwrap();
            assert_eq!((head.seqnum, items.len()), (number, 2));
            let mut out = Vec::new();
            journal.data(items[1], &mut out, |_| true).unwrap();
            assert_eq!(out, message.as_bytes());
        }
        assert_eq!(journal.entries(), seen);
        assert_eq!(met(&journal).len(), 0);

        live.write_all_at(&[0; 272], 0).unwrap();
        assert_eq!(journal.refresh().unwrap(), Refreshed::Gone);
        live.set_len(0).unwrap();
        assert_eq!(journal.refresh().unwrap(), Refreshed::Gone);
        assert_eq!(journal.header().n_entries, 300, "what was known stays");
        assert!(matches!(journal.entry(seen[0], &mut items), Ok(_) | Err(Damage::Entry | Damage::Unreadable)));
    }
}

#[test]
fn an_entry_that_is_counted_before_it_is_linked_comes_later() {
    let mut writer = Writer::sample(true, true, 4);
    writer.bytes[16] = 1;
    let live = file(&writer.bytes);
    let mut journal = JournalFile::open(live.try_clone().unwrap(), 2).unwrap();
    let mut seen = journal.entries();
    writer.entry(&[b"MESSAGE=late"]);
    let item = *writer.arrays().last().unwrap() + 24;
    let mut early = writer.bytes.clone();
    early[item as usize..][..4].fill(0);
    live.write_all_at(&early, 0).unwrap();
    assert_eq!(journal.refresh().unwrap(), Refreshed::Changed);
    assert!(journal.more_entries(&mut seen));
    assert_eq!(seen.len(), 4);
    live.write_all_at(&writer.bytes, 0).unwrap();
    assert_eq!(journal.refresh().unwrap(), Refreshed::Same);
    assert!(journal.more_entries(&mut seen));
    assert_eq!(seen.len(), 5);
    assert_eq!(met(&journal).len(), 0);
}

#[test]
fn a_file_that_promises_more_than_it_has_is_truncated() {
    let writer = Writer::sample(true, true, 20);
    assert!(!writer.open().damages().truncated);
    let mut journal = open(&writer.bytes[..writer.bytes.len() - 8]).unwrap();
    assert!(journal.damages().truncated);
    assert!(!read(&mut journal).is_empty());
    // Preallocated space after the last object is no damage.
    let mut longer = Writer::sample(true, true, 20);
    longer.put(96, longer.get(96) + 4096);
    longer.bytes.resize(longer.bytes.len() + 4096, 0);
    let mut journal = longer.open();
    assert_eq!(read(&mut journal).len(), 20);
    assert_eq!((journal.damages().truncated, met(&journal).len()), (false, 0));
}
