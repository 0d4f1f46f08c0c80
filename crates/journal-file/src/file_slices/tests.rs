use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::batch::{Continuation, EntryBatch};
use crate::cursor::{Cursor, Place};
use crate::damage::Damage;
use crate::entry_range::Range;
use crate::file::tests::{VARIANTS, Writer};
use crate::file_range::FileRange;
use crate::file_range::tests::file;
use crate::file_slices::FileSlices;
use crate::journal_reader::{Fill, JournalReader};
use crate::open_file::PlainFiles;
use crate::selection::{EntryFilter, Selection};
use crate::seqnum_progress::Position;
use crate::settings::Settings;
use Continuation::{Rest, Whole, Withheld};

/// A filter for which `(` at the end leaves a text open, and `ok` at the beginning proves a line.
struct Parentheses {
    everything: bool,
    /// The filter does not read the streams and the messages.
    without_fields: bool,
}

const WANTED: Parentheses = Parentheses { everything: false, without_fields: false };
const ALL: Parentheses = Parentheses { everything: true, without_fields: false };

impl EntryFilter for Parentheses {
    fn everything(&self) -> bool {
        self.everything
    }

    fn entries_of(&self, identifier: &[u8]) -> bool {
        identifier != b"noise"
    }

    fn entry(&self, identifier: &[u8], _: &[u8]) -> bool {
        self.everything || identifier != b"noise"
    }

    fn field(&self, name: &[u8]) -> bool {
        !self.without_fields || name == b"SYSLOG_IDENTIFIER"
    }

    fn leaves_open(&self, message: &[u8]) -> bool {
        message.ends_with(b"(")
    }

    fn proves_itself(&self, message: &[u8]) -> bool {
        message.starts_with(b"ok")
    }
}

/// A filter that hides nothing.
struct Plain;

impl EntryFilter for Plain {
    fn everything(&self) -> bool {
        true
    }

    fn entries_of(&self, _: &[u8]) -> bool {
        true
    }

    fn entry(&self, _: &[u8], _: &[u8]) -> bool {
        true
    }

    fn field(&self, _: &[u8]) -> bool {
        true
    }
}

/// An entry to write: its stream, or 0 for none; whether it has a `_LINE_BREAK`; its message.
#[derive(Clone, Debug)]
struct Line {
    stream: u64,
    breaks: bool,
    message: Vec<u8>,
}

fn line(stream: u64, breaks: bool, message: &str) -> Line {
    Line { stream, breaks, message: message.into() }
}

impl Line {
    fn write(&self, writer: &mut Writer) {
        let identifier = if self.stream == 0 { "SYSLOG_IDENTIFIER=noise" } else { "SYSLOG_IDENTIFIER=shim" };
        let stream = format!("_STREAM_ID={:032x}", self.stream);
        let message = [b"MESSAGE=", self.message.as_slice()].concat();
        let common = ["_HOSTNAME=node", "PRIORITY=6", "_UID=0", "_TRANSPORT=stdout", identifier];
        let mut fields: Vec<&[u8]> = common.iter().map(|field| field.as_bytes()).collect();
        if self.stream > 0 {
            fields.push(stream.as_bytes());
        }
        if self.breaks {
            fields.push([&b"_LINE_BREAK=nul"[..], b"_LINE_BREAK=line-max"][self.message.len() % 2]);
        }
        fields.push(&message);
        writer.entry(&fields);
    }
}

/// Returns the relations by the documented rules, entry after entry.
fn expected(lines: &[Line], filter: &dyn EntryFilter) -> Vec<Continuation> {
    let mut streams: BTreeMap<u64, (bool, Option<(usize, usize)>)> = BTreeMap::new();
    let judge = |line: &Line| {
        if line.stream == 0 {
            return Whole;
        }
        let (after_break, hidden) = streams.entry(line.stream).or_default();
        let mut relation = if *after_break { Rest } else { Whole };
        if filter.proves_itself(&line.message) && !*after_break {
            *hidden = None;
        } else if let Some((bytes, entries)) = hidden {
            relation = Withheld;
            (*bytes, *entries) = (*bytes + line.message.len(), *entries + 1);
            if *bytes >= 1 << 20 || *entries >= 256 {
                *hidden = None;
            }
        }
        if filter.leaves_open(&line.message) {
            *hidden = Some((0, 0));
        }
        *after_break = line.breaks;
        relation
    };
    lines.iter().map(judge).collect()
}

/// Writes lines to files, each with as many lines as `sizes` says.
fn written((compact, keyed): (bool, bool), lines: &[Line], sizes: &[usize]) -> Vec<Writer> {
    let mut writers: Vec<Writer> = Vec::new();
    let mut rest = lines;
    for size in sizes {
        let mut writer = writers.last().map_or_else(|| Writer::new(compact, keyed), Writer::rotated);
        let (these, others) = rest.split_at(*size);
        these.iter().for_each(|line| line.write(&mut writer));
        writers.push(writer);
        rest = others;
    }
    assert!(rest.is_empty());
    writers
}

/// The relations by sequence number.
type Relations = BTreeMap<u64, Continuation>;

fn note(batch: &EntryBatch, relations: &mut Relations) {
    for entry in batch.entries() {
        assert_eq!(relations.insert(entry.place().seqnum, entry.continuation()), None);
    }
}

fn ranges(writers: &[Writer]) -> Vec<(PathBuf, FileRange)> {
    writers.iter().map(|writer| (PathBuf::new(), file(&writer.bytes).into())).collect()
}

/// Reads files by one reader.
fn read(writers: &[Writer], settings: &Settings, filter: &dyn EntryFilter, backwards: bool) -> Relations {
    let selection = Selection::new(filter, settings);
    let (mut reader, errors) =
        JournalReader::open_selection(&[], ranges(writers), settings, selection, backwards, &PlainFiles);
    assert!(errors.is_empty());
    let (mut batch, mut relations) = (EntryBatch::default(), Relations::new());
    while reader.fill(&mut batch) == Fill::More {
        note(&batch, &mut relations);
    }
    note(&batch, &mut relations);
    relations
}

/// Reads files in slices, the last slice of each file first.
fn read_slices(writers: &[Writer], settings: &Settings, filter: &dyn EntryFilter) -> Relations {
    let count = writers.len();
    let open = |(path, range)| FileSlices::open_member(path, range, count, settings, filter).unwrap();
    let mut files: Vec<_> = ranges(writers).into_iter().map(open).collect();
    let range = FileSlices::resolve(settings.range, &mut files);
    let mut relations = Relations::new();
    let mut batch = EntryBatch::default();
    for mut file in files.into_iter().rev() {
        if !file.start(range) {
            continue;
        }
        let mut slices = Vec::new();
        while let Some(slice) = file.take(usize::MAX, None) {
            slices.push(slice.unwrap());
        }
        for mut slice in slices.into_iter().rev() {
            while slice.fill(&mut batch, usize::MAX) {
                note(&batch, &mut relations);
            }
            note(&batch, &mut relations);
        }
    }
    relations
}

/// Reads files in each way, and checks all relations.
fn check(writers: &[Writer], lines: &[Line], filter: &dyn EntryFilter) {
    let expected: Relations = (1..).zip(expected(lines, filter)).collect();
    let noise = |number: &u64| lines[*number as usize - 1].stream == 0;
    let of = |relations: Relations| -> Relations {
        relations.into_iter().filter(|(number, _)| filter.everything() || !noise(number)).collect()
    };
    let all = of(expected.clone());
    let base = Settings { block: 3 * 512, ..Settings::default() };
    for block in [1, 3 * 512, 256 << 10] {
        let settings = Settings { block, ..base.clone() };
        assert_eq!(read(writers, &settings, filter, false), all, "block {block}");
        assert_eq!(read_slices(writers, &settings, filter), all, "slices, block {block}");
    }
    assert_eq!(read(writers, &base, filter, true), all, "backwards");
    for from in [1, lines.len() as u64 / 2, lines.len() as u64] {
        let later: Relations = all.range(from + 1..).map(|(number, relation)| (*number, *relation)).collect();
        let seqnums = [(*b"numbers'  origin", from)].into();
        let resumed = Settings { resume: Some(Position { cursor: None, seqnums }), ..base.clone() };
        assert_eq!(read(writers, &resumed, filter, false), later, "resumed after {from}");
        let place = Place { seqnum_id: *b"numbers'  origin", seqnum: from, ..Place::default() };
        let range = Range { after: Some(Cursor::from(place)), ..Range::default() };
        let since = Range { since: Some(1_700_000_000_000_001 + from), ..Range::default() };
        for range in [range, since] {
            let settings = Settings { range, ..base.clone() };
            assert_eq!(read(writers, &settings, filter, false), later, "from {from}");
            assert_eq!(read_slices(writers, &settings, filter), later, "slices from {from}");
        }
        let lines = Settings { lines: Some(later.len()), ..base.clone() };
        assert_eq!(read(writers, &lines, filter, false), later, "last {}", later.len());
    }
}

/// A generator of numbers, always the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn lines(numbers: &mut Numbers, count: usize, breaks: bool, long: bool) -> Vec<Line> {
    let texts = ["ok", "ok (", "rest", "rest", "rest", "rest (", ""];
    let mut line = || {
        let text = texts[numbers.below(texts.len() as u64) as usize];
        // Some messages are equal, so that their DATA is shared.
        let middle = if numbers.below(3) > 0 { format!("{} ", numbers.below(1000)) } else { String::new() };
        let filler = if long && numbers.below(12) == 0 { "x".repeat(450_000) } else { String::new() };
        let (begin, end) = text.strip_suffix('(').map_or((text, ""), |begin| (begin, "("));
        let message = format!("{begin}{middle}{filler}{end}").into_bytes();
        Line { stream: numbers.below(4), breaks: breaks && numbers.below(4) == 0, message }
    };
    (0..count).map(|_| line()).collect()
}

#[test]
fn the_relation_depends_only_on_the_files() {
    for (seed, variant) in (0..6).zip(VARIANTS.into_iter().cycle()) {
        let mut numbers = Numbers(seed);
        let lines = lines(&mut numbers, 60, seed % 3 > 0, seed == 1);
        for sizes in [&[60][..], &[20, 1, 20, 19]] {
            let writers = written(variant, &lines, sizes);
            let without_fields = Parentheses { everything: seed % 2 == 0, without_fields: true };
            let filters: [&dyn EntryFilter; 4] = [&WANTED, &ALL, &without_fields, &Plain];
            filters.into_iter().for_each(|filter| check(&writers, &lines, filter));
        }
    }
}

#[test]
fn a_rest_is_that_of_its_stream() {
    let lines = [
        line(1, false, "ok whole"),
        line(2, true, "ok cut"),
        line(1, false, "ok whole"),
        line(0, false, "noise"),
        line(2, true, "ok rest, and cut again"),
        line(2, false, "rest"),
        line(2, false, "whole"),
        line(1, false, "ok ("),
        line(1, false, "rest"),
        line(2, false, "whole"),
        line(1, true, "rest, cut"),
        line(1, false, "ok as a rest"),
        line(1, false, "ok"),
        line(1, false, "whole"),
    ];
    let relations =
        [Whole, Whole, Whole, Whole, Rest, Rest, Whole, Whole, Withheld, Whole, Withheld, Withheld, Whole, Whole];
    assert_eq!(expected(&lines, &WANTED), relations);
    for size in 0..=lines.len() {
        for variant in VARIANTS {
            check(&written(variant, &lines, &[size, lines.len() - size]), &lines, &ALL);
        }
    }
    // Without a filter that hides, only marked rests are known.
    let plain = expected(&lines, &Plain);
    assert_eq!(plain[7..], [Whole, Whole, Whole, Whole, Rest, Whole, Whole]);
}

#[test]
fn hidden_texts_end() {
    for (length, count) in [(1, 400), (64 << 10, 20), (1 << 20, 3), (2 << 20, 3)] {
        let mut lines = vec![line(1, false, "ok (")];
        for _ in 0..count {
            lines.push(line(1, false, &"x".repeat(length)));
            lines.push(line(2, false, "other"));
        }
        let relations = expected(&lines, &WANTED);
        let withheld = relations.iter().filter(|relation| **relation == Withheld).count();
        match length {
            1 => assert_eq!(withheld, 256),
            65_536 => assert_eq!(withheld, 16),
            _ => assert_eq!(withheld, 1),
        }
        if length <= 1 << 20 {
            check(&written((true, true), &lines, &[5, lines.len() - 5]), &lines, &WANTED);
        } else {
            // A longer message counts as open.
            let last = 1..=lines.len() as u64;
            let read = read(&written((true, true), &lines, &[lines.len()]), &Settings::default(), &WANTED, false);
            let of_first = last.filter(|number| number % 2 == 0).map(|number| read[&number]);
            assert_eq!(of_first.collect::<Vec<_>>(), [Withheld; 3]);
        }
    }
}

#[test]
fn a_damaged_posting_list_is_replaced_by_a_search() {
    let lines = lines(&mut Numbers(5), 120, true, false);
    for variant in VARIANTS {
        let writer = &written(variant, &lines, &[120])[0];
        let stream = format!("_STREAM_ID={:032x}", 1);
        let data = crate::file::tests::found(&mut writer.open(), stream.as_bytes()).unwrap().offset().0;
        let array = writer.get(data + 48);
        let second = writer.get(array + 16);
        let lengths = [(data + 56, 3), (data + 56, u64::MAX), (data + 40, 0), (data + 48, data), (data + 48, 0)];
        let arrays = [(array, 3), (array + 16, array), (array + 24, 0), (second + 24, 8), (second + 16, 8)];
        for (at, value) in lengths.into_iter().chain(arrays) {
            let mut damaged = written(variant, &lines, &[120]);
            damaged[0].put(at, value);
            let expected: Relations = (1..).zip(expected(&lines, &WANTED)).collect();
            let read = read(&damaged, &Settings::default(), &WANTED, false);
            let slices = read_slices(&damaged, &Settings { block: 2048, ..Settings::default() }, &WANTED);
            assert_eq!(read, slices);
            for (number, relation) in read {
                assert_eq!(relation, expected[&number], "{number}, {at} {value}");
            }
        }
    }
}

#[test]
fn a_live_journal_has_the_same_relations() {
    let lines = lines(&mut Numbers(11), 60, true, false);
    let writers = written((true, true), &lines, &[25, 20, 15]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, writer: &Writer, state: u8| {
        let mut bytes = writer.bytes.clone();
        bytes[16] = state;
        fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path(name))
            .unwrap()
            .write_all_at(&bytes, 0)
            .unwrap();
    };
    let expected = expected(&lines, &ALL);
    // The first 10 entries are there when reading begins.
    write("system.journal", &written((true, true), &lines[..10], &[10])[0], 1);
    let settings = Settings { follow: true, lines: Some(2), ..Settings::default() };
    let inputs = [folder.path().to_owned()];
    let (mut reader, errors) = JournalReader::open(&inputs, Vec::new(), &settings, &ALL, &PlainFiles);
    assert!(errors.is_empty());
    let mut relations = Relations::new();
    let mut batch = EntryBatch::default();
    let mut wait_for = |count: usize| {
        let begin = Instant::now();
        while relations.len() < count {
            assert_ne!(reader.fill(&mut batch), Fill::End);
            note(&batch, &mut relations);
            assert!(begin.elapsed() < Duration::from_secs(30), "{} of {count}", relations.len());
        }
        relations.clone()
    };
    wait_for(2);
    let (mut number, mut before) = (10, 0);
    for (index, whole) in writers.iter().enumerate() {
        let mut writer = if index == 0 { Writer::new(true, true) } else { writers[index - 1].rotated() };
        let size = whole.get(152) as usize;
        for line in &lines[before..before + size] {
            line.write(&mut writer);
            if before + writer.get(152) as usize > number {
                write("system.journal", &writer, 1);
                number += 1;
                // Entries come one by one, and then in groups.
                if number % 5 != 0 && number < 40 {
                    wait_for(number - 8);
                }
            }
        }
        before += size;
        wait_for(number - 8);
        write("system.journal", &writer, 2);
        fs::rename(path("system.journal"), path(&format!("system@{index}.journal"))).unwrap();
    }
    let all: Relations = (1..).zip(expected).skip(8).collect();
    assert_eq!(wait_for(52), all);
}

/// A filter for the identifier `kata`, and for virtiofsd without an identifier.
struct Substitutes;

impl EntryFilter for Substitutes {
    fn everything(&self) -> bool {
        false
    }

    fn entries_of(&self, identifier: &[u8]) -> bool {
        identifier == b"kata"
    }

    fn entries_without_identifier(&self) -> &[(&str, &str)] {
        &[("_COMM", "virtiofsd"), ("_COMM", "absent"), ("ABSENT", "1")]
    }

    fn entry(&self, identifier: &[u8], message: &[u8]) -> bool {
        identifier == b"kata" || identifier.is_empty() && message != b"no"
    }

    fn field(&self, _: &[u8]) -> bool {
        true
    }
}

#[test]
fn an_entry_without_an_identifier_is_wanted_by_another_field() {
    const KATA: &[u8] = b"SYSLOG_IDENTIFIER=kata";
    const SSHD: &[u8] = b"SYSLOG_IDENTIFIER=sshd";
    const VIRTIOFSD: &[u8] = b"_COMM=virtiofsd";
    for (compact, keyed) in VARIANTS {
        let mut writer = Writer::new(compact, keyed);
        let entries: [&[&[u8]]; 9] = [
            &[KATA, b"MESSAGE=1"],
            &[VIRTIOFSD, b"MESSAGE=2"],
            &[SSHD, b"MESSAGE=3"],
            &[SSHD, VIRTIOFSD, b"MESSAGE=4"],
            &[b"_COMM=other", b"MESSAGE=5"],
            &[VIRTIOFSD, b"MESSAGE=no"],
            &[KATA, VIRTIOFSD, b"MESSAGE=7"],
            &[b"_COMM=virtiofsd2", b"MESSAGE=8"],
            &[VIRTIOFSD, b"MESSAGE=no"],
        ];
        for _ in 0..3 {
            for fields in entries {
                writer.entry(fields);
            }
        }
        let wanted: Vec<u64> = (0..3).flat_map(|round| [1, 2, 6, 7, 9].map(|number| round * 9 + number)).collect();
        let numbers = |relations: Relations| relations.into_keys().collect::<Vec<_>>();
        for state in [0, 1] {
            writer.bytes[16] = state;
            let writers = std::slice::from_ref(&writer);
            let settings = Settings { block: 1, ..Settings::default() };
            assert_eq!(numbers(read(writers, &settings, &Substitutes, false)), wanted, "state {state}");
            assert_eq!(numbers(read_slices(writers, &settings, &Substitutes)), wanted, "state {state}");
            let last = Settings { lines: Some(2), ..settings };
            assert_eq!(
                numbers(read(writers, &last, &Substitutes, false)),
                [20, 24, 25, 27],
                "those not shown do not count"
            );
        }
    }
}

#[test]
fn damage_of_the_header_is_counted_once() {
    let mut writer = Writer::sample(true, true, 100);
    writer.put(96, 64);
    let settings = Settings { block: 2048, ..Settings::default() };
    let (path, range) = ranges(&[writer]).remove(0);
    let mut file = FileSlices::open_member(path, range, 1, &settings, &ALL).unwrap();
    assert!(file.start(Range::default()));
    let mut damages = file.damages();
    let (mut slices, mut relations) = (0, Relations::new());
    while let Some(slice) = file.take(usize::MAX, None) {
        let (mut slice, mut batch) = (slice.unwrap(), EntryBatch::default());
        while slice.fill(&mut batch, usize::MAX) {
            note(&batch, &mut relations);
        }
        note(&batch, &mut relations);
        damages.extend(slice.damages());
        slices += 1;
    }
    assert_eq!((relations.len(), slices > 3), (100, true));
    let counts: Vec<_> = damages.iter().map(|damage| (damage.reason, damage.count, damage.offset)).collect();
    assert_eq!(counts, [(Damage::Index, 1, 96)]);
}
