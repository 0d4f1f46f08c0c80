//! One batch through the stages: envelope off, select, parse, normalize, encode.
//!
//! A worker keeps nothing between entries but its buffers, so any worker may take any batch.

use std::hash::{Hash as _, Hasher as _};
use std::io::Write as _;

use bumpalo::Bump;
use journal_file::Place;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::batch::{Batch, Body, RawEntry};
use crate::component::Component;
use crate::digits;
use crate::encode::{Encoded, Encoder, JournalView, Row};
use crate::envelope::{self, Entry};
use crate::input_format::InputFormat;
use crate::normalize::{self, field_name};
use crate::parse::{self, Payload};
use crate::path_template::PathTemplate;
use crate::record::{Facts, Field, Pair, Record, Text, Value, recycle};
use crate::rules::Rules;
use crate::select::Others;
use crate::stats::{DropReason, Stats};
use crate::template::{self, Placeholder};
use crate::time::{TimeFormat, UnixTime, UtcTimestamp};

/// What comes out of a batch: encoded records, and what there is to say about them.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Encoded records, whole ones only.
    pub out: Encoded,
    /// Lines for standard error, if they are wanted.
    pub notes: Vec<u8>,
    /// Counts, added to those that were there.
    pub stats: Stats,
    /// What became of each entry of a journal, where somebody wants to know.
    pub traces: Option<Vec<Trace>>,
}

/// What became of one entry of a journal.
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    /// Where it stands in the journal.
    pub place: Place,
    /// How many bytes its fields have.
    pub length: usize,
    /// Where the record of it ends in the chunk, or would.
    pub end: usize,
    outcome: Outcome,
    /// Messages that it says were thrown away.
    suppressed: u64,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// No record was made of it.
    Dropped(DropReason),
    /// It is not Kata's, and passes unchanged.
    Passed,
    /// It is a record, about which katalog states this.
    Record(Facts),
}

impl From<Option<Facts>> for Outcome {
    fn from(facts: Option<Facts>) -> Outcome {
        facts.map_or(Outcome::Passed, Outcome::Record)
    }
}

impl Trace {
    /// Whether a record was made of it.
    #[must_use]
    pub fn is_written(&self) -> bool {
        !matches!(self.outcome, Outcome::Dropped(_))
    }

    /// What it was counted as.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        stats.read(self.length + 1);
        match &self.outcome {
            Outcome::Record(facts) => stats.wrote(Some(facts)),
            Outcome::Passed => stats.wrote(None),
            Outcome::Dropped(reason) => stats.dropped(*reason),
        }
        stats.suppressed(self.suppressed);
        stats
    }
}

/// Capacity above which the buffers are given back after a batch; only giant entries need as much.
const KEPT_CAPACITY: usize = 4 << 20;

/// The stages between a source and a sink.
#[derive(Debug)]
pub struct Worker<'r> {
    rules: &'r Rules,
    encoder: Encoder,
    /// What the input is called in the paths of files.
    input: Vec<u8>,
    /// Text that was decoded for the entries of a batch.
    bump: Bump,
    spare: Scratch<'static>,
}

/// What an entry goes through, stage by stage; used again for the next.
#[derive(Debug, Default)]
struct Scratch<'b> {
    entry: Entry<'b>,
    payload: Payload<'b>,
    record: Record<'b>,
    /// What earlier entries of the batch have shown of the fields that they have in common: as read, and as written.
    cache: envelope::FieldCache<'b>,
    named: normalize::NamedFieldCache<'b>,
}

impl Scratch<'_> {
    /// The same buffers, emptied, for entries of another batch.
    fn recycle<'b>(self) -> Scratch<'b> {
        Scratch {
            entry: Entry {
                fields: recycle(self.entry.fields),
                members: recycle(self.entry.members),
                ..Entry::default()
            },
            payload: Payload {
                pairs: recycle(self.payload.pairs),
                inner: recycle(self.payload.inner),
                ..Payload::default()
            },
            record: self.record.recycle(),
            cache: envelope::FieldCache {
                pairs: recycle(self.cache.pairs),
                irrelevant: recycle(self.cache.irrelevant),
            },
            named: recycle(self.named),
        }
    }
}

impl<'r> Worker<'r> {
    /// A worker by these rules.
    #[must_use]
    pub fn new(rules: &'r Rules) -> Worker<'r> {
        Worker { rules, encoder: rules.encoder(), input: Vec::new(), bump: Bump::new(), spare: Scratch::default() }
    }

    /// Takes note that the batches to come are of the input of this name.
    pub fn input(&mut self, name: &str) {
        self.input.clear();
        self.input.extend_from_slice(name.as_bytes());
    }

    /// Works a batch off and appends to the chunk what came of it.
    pub fn run(&mut self, batch: &Batch, chunk: &mut Chunk) {
        chunk.out.bytes.shrink_to(KEPT_CAPACITY);
        let Worker { rules, encoder, input, bump, spare } = self;
        encoder.begin();
        if let Encoder::Journal(view) = encoder {
            return copy_entries(view, batch, chunk);
        }
        let mut scratch = std::mem::take(spare).recycle();
        for raw in batch.entries() {
            entry(rules, encoder, raw, (&batch.origin, input), bump, &mut scratch, chunk);
        }
        *spare = scratch.recycle();
        if bump.allocated_bytes() > KEPT_CAPACITY {
            *bump = Bump::new();
        }
        bump.reset();
    }
}

/// The entries of a journal as they are.
fn copy_entries(view: &mut JournalView, batch: &Batch, chunk: &mut Chunk) {
    for raw in batch.entries() {
        chunk.stats.read(raw.length() + 1);
        if let Body::Journal(entry) = raw.body {
            view.encode(&entry, &mut chunk.out.bytes);
            chunk.stats.wrote(None);
        }
        trace(raw, || Outcome::Passed, 0, chunk);
    }
}

/// Notes what became of an entry of a journal, where somebody wants to know.
#[inline]
fn trace(raw: RawEntry<'_>, outcome: impl FnOnce() -> Outcome, suppressed: u64, chunk: &mut Chunk) {
    if let (Some(traces), Body::Journal(entry)) = (&mut chunk.traces, raw.body) {
        let (length, end) = (raw.length(), chunk.out.bytes.len());
        traces.push(Trace { place: *entry.place(), length, end, outcome: outcome(), suppressed });
    }
}

fn entry<'b>(
    rules: &'b Rules,
    encoder: &mut Encoder,
    raw: RawEntry<'b>,
    (origin, input): (&[u8; 16], &'b [u8]),
    bump: &'b Bump,
    scratch: &mut Scratch<'b>,
    chunk: &mut Chunk,
) {
    scratch.entry.clear();
    scratch.payload.clear();
    scratch.record.clear();
    chunk.stats.read(raw.length() + 1);
    let dropped = record_of(rules, raw, origin, bump, scratch);
    let Scratch { entry, record, .. } = scratch;
    match dropped {
        None => {
            if record.time_field.is_some() {
                fill_time(rules.time_format, chunk.out.received, bump, record);
            }
            encoder.encode(record, &mut chunk.out);
            chunk.stats.wrote(record.facts.as_ref());
            if rules.verbose {
                note(raw, record, &mut chunk.notes);
            }
        }
        Some(reason) => chunk.stats.dropped(reason),
    }
    let mut lost = 0;
    if entry.identifier == Some(b"systemd-journald") {
        lost = suppressed(entry.message.unwrap_or_default());
        chunk.stats.suppressed(lost);
    }
    if rules.rows && dropped.is_none() {
        let time = record.facts.as_ref().map_or(record.time, |facts| facts.time);
        let part = rules.split.as_ref().map(|split| path(split, entry, record, time.as_ref(), input, bump));
        let part = part.map_or(0, |path| chunk.out.part_number(path));
        chunk.out.rows.push(Row { end: chunk.out.bytes.len(), time, part });
    }
    trace(raw, || dropped.map_or_else(|| record.facts.into(), Outcome::Dropped), lost, chunk);
}

/// The path of the file that a record belongs into. What others wrote is of a component that is called so.
fn path<'b>(
    split: &PathTemplate,
    entry: &Entry<'b>,
    record: &Record<'b>,
    time: Option<&UtcTimestamp>,
    input: &'b [u8],
    bump: &'b Bump,
) -> &'b [u8] {
    let text = |value: &Value<'b>| match value {
        Value::Text(text) => Some(text.decode(bump)),
        Value::List([first, ..]) => Some(first.decode(bump)),
        _ => None,
    };
    split.render(
        |placeholder| match placeholder {
            Placeholder::Component => {
                Some(record.facts.as_ref().map_or("others", |facts| facts.component.name()).as_bytes())
            }
            Placeholder::Identifier => entry.identifier,
            Placeholder::Host => text(&entry.fields.iter().find(|field| field.key == b"_HOSTNAME")?.value),
            Placeholder::Sandbox => {
                text(&record.payload.iter().find(|field| field.key.name() == b"kata_sandbox")?.value)
            }
            Placeholder::Day => Some(bump.alloc_slice_copy(time?.as_bytes().get(..10)?)),
            Placeholder::Input => Some(input),
        },
        bump,
    )
}

/// Takes an entry through all stages but the last; gives the reason if no record is made of it. What is passed for entry,
/// payload and record is empty and is filled.
fn record_of<'b>(
    rules: &'b Rules,
    raw: RawEntry<'b>,
    input: &[u8; 16],
    bump: &'b Bump,
    scratch: &mut Scratch<'b>,
) -> Option<DropReason> {
    let Scratch { entry, payload, cache, .. } = scratch;
    let may_be_journal = matches!(rules.input_format, InputFormat::Auto | InputFormat::JournalJson);
    if may_be_journal
        && let Body::Line(line) = raw.body
        && rules.select.skips(line)
    {
        return Some(DropReason::Others);
    }
    if let Body::Journal(stored) = raw.body {
        // Most of a manager's messages are its own, which shows before the other fields are looked at.
        envelope::look(&stored, cache, entry);
        let kind = rules.select.kind(entry);
        if rules.others == Others::Drop && rules.select.is_others(kind, entry.message) {
            return Some(DropReason::Others);
        }
    }
    envelope::open(raw, rules.input_format, rules.synthetic, bump, cache, entry);
    if entry.fields.is_empty()
        && let Some(message) = entry.message
    {
        if message.trim_ascii().is_empty() {
            return Some(DropReason::Blank);
        }
        if message.starts_with(b"-- ") && message.ends_with(b" --") {
            return Some(DropReason::Marker);
        }
    }
    let kind = rules.select.kind(entry);
    let component = if rules.select.is_others(kind, entry.message) {
        None
    } else {
        parse::parse(entry, rules.input_format, bump, payload);
        rules.select.component(kind, entry, payload, bump)
    };
    match component {
        Some(component) if !rules.select.wants(component) => return Some(DropReason::Component),
        None if rules.others == Others::Drop => return Some(DropReason::Others),
        Some(_) | None => {}
    }
    if let Some(name) = &rules.own.record_id {
        let id = id(input, raw, scratch.entry.from_journal);
        own_field(name, bump.alloc(id), bump, &mut scratch.record);
    }
    if rules.heads {
        scratch.record.head = scratch.entry.head(bump);
    }
    match component {
        Some(component) => kata(rules, component, bump, scratch),
        None => other(rules, bump, scratch),
    }
    if let Some(columns) = &rules.columns {
        let record = &mut scratch.record;
        let find = |name: &Option<Vec<u8>>| {
            let name = name.as_deref()?;
            record.envelope.iter().find(|field| field.key.name() == name).copied()
        };
        [record.host, record.identifier] = [&columns.host, &columns.identifier].map(find);
    }
    None
}

fn kata<'b>(rules: &'b Rules, component: Component, bump: &'b Bump, scratch: &mut Scratch<'b>) {
    let Scratch { entry, payload, record, named, .. } = scratch;
    if rules.tags {
        record.tag = rules.tag.render(component, entry.identifier, bump);
    }
    if let Some(name) = &rules.own.tag {
        own_field(name, record.tag, bump, record);
    }
    if let Some(name) = &rules.own.time {
        time_field(name, bump, record);
    }
    rules.normalize.envelope(entry, bump, named, record);
    rules.normalize.payload(entry, payload, component, bump, record);
}

/// An entry that is not Kata's: its envelope's fields, and its message where the envelope has no name for it.
fn other<'b>(rules: &'b Rules, bump: &'b Bump, scratch: &mut Scratch<'b>) {
    let Scratch { entry, record, named, .. } = scratch;
    record.tag = template::tag_of_others(entry.identifier, bump);
    if let Some(name) = &rules.own.tag {
        own_field(name, record.tag, bump, record);
    }
    if let Some(name) = &rules.own.time {
        time_field(name, bump, record);
    }
    if rules.times || rules.rows {
        record.time = entry.stamp();
    }
    if let Some(message) = entry.message
        && !entry.fields.iter().any(|field| field.key == b"MESSAGE")
    {
        entry.fields.push(Pair::text(b"MESSAGE", Text::plain(message)));
    }
    rules.normalize.envelope(entry, bump, named, record);
}

/// What a record is known by: the same in every run for the same entry, and another one for every other.
fn id(input: &[u8; 16], raw: RawEntry<'_>, from_journal: bool) -> [u8; 32] {
    let mut hash = SipHasher13::new();
    match raw.body {
        Body::Journal(entry) => entry.place().hash(&mut hash),
        // What stands in a stream of the journal's entries says itself where it is from.
        Body::Line(bytes) | Body::Export(bytes) if from_journal => hash.write(bytes),
        Body::Line(bytes) | Body::Export(bytes) => {
            hash.write(input);
            hash.write_u64(raw.offset);
            hash.write(bytes);
        }
    }
    digits::hex_id(&hash.finish128().as_bytes())
}

/// A field of katalog's own.
fn own_field<'b>(name: &str, value: &'b [u8], bump: &'b Bump, record: &mut Record<'b>) {
    let key = field_name::key("", field_name::mapped(name.as_bytes(), bump), 1, bump);
    record.envelope.push(Field::new(key, Value::Text(Text::plain(value))));
}

/// Adds the field of the time, which is filled when the payload is known.
fn time_field<'b>(name: &str, bump: &'b Bump, record: &mut Record<'b>) {
    record.time_field = Some(record.envelope.len());
    own_field(name, b"", bump, record);
}

/// Puts the time into its field.
fn fill_time<'b>(format: TimeFormat, received: UnixTime, bump: &'b Bump, record: &mut Record<'b>) {
    let time = record.facts.as_ref().and_then(|facts| facts.time).or(record.time);
    // The last two seconds are Fluent Bit's, for marks of its own.
    let fits = |time: &UnixTime| (1..i64::from(u32::MAX) - 1).contains(&time.seconds);
    let own = time.and_then(|time| time.unix()).filter(fits);
    let UnixTime { seconds, nanos } = own.unwrap_or(received);
    let total = || UnixTime { seconds, nanos }.total_nanos().unwrap_or(i64::MAX);
    let Some(field) = record.time_field.and_then(|at| record.envelope.get_mut(at)) else { return };
    field.value = match format {
        TimeFormat::Rfc3339 => {
            let received = || UtcTimestamp::from_unix(UnixTime { nanos: received.nanos / 1000 * 1000, ..received });
            match time.filter(|_| own.is_some()).or_else(received) {
                Some(stamp) => Value::Time(bump.alloc(stamp)),
                None => return,
            }
        }
        TimeFormat::Unix => {
            let mut text = bumpalo::collections::String::with_capacity_in(24, bump);
            // Writing to memory does not fail.
            _ = std::fmt::Write::write_fmt(&mut text, format_args!("{seconds}.{nanos:09}"));
            Value::Text(Text::plain(text.into_bump_str().as_bytes()))
        }
        TimeFormat::UnixSeconds => Value::Int(seconds),
        TimeFormat::UnixNanoseconds => Value::Int(total()),
    };
}

/// How many messages journald says that it dropped: `Suppressed 4150 messages from …`.
fn suppressed(message: &[u8]) -> u64 {
    let number = message.strip_prefix(b"Suppressed ").and_then(|rest| rest.split(|byte| *byte == b' ').next());
    number.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)
}

fn note(raw: RawEntry<'_>, record: &Record<'_>, notes: &mut Vec<u8>) {
    let Some(facts) = record.facts.as_ref().filter(|facts| !facts.flaws.is_empty()) else { return };
    // Writing to memory does not fail.
    _ = write!(notes, "byte {}:", raw.offset);
    for flaw in facts.flaws.iter() {
        _ = write!(notes, " {}", flaw.name());
    }
    notes.push(b'\n');
}
