//! The worker, which takes a batch through all stages.
//!
//! A worker keeps only buffers between entries, so any worker can take any batch.

use std::io::Write as _;
use std::path::Path;

use bumpalo::Bump;
use journal_file::{Cursor, Place};

use crate::author::{self, Finding};
use crate::batch::{Batch, Body, RawEntry};
use crate::component::Component;
use crate::encode::{Encoded, Encoder, JournalView, Match, Row};
use crate::envelope::{self, Entry};
use crate::filter::{Carry, FilterState, Leading, Resolved, Verdict};
use crate::findings::Findings;
use crate::flaw::Flaw;
use crate::input_format::InputFormat;
use crate::normalize::{self, Author, field_name};
use crate::origin::{Continuation, Origin};
use crate::own_fields;
use crate::own_record::{self, RecordAuthor};
use crate::parse::Payload;
use crate::path_template::PathTemplate;
use crate::record::{EnvelopeHead, Facts, Field, Pair, PayloadFormat, Record, Text, Value, recycle};
use crate::redact_record::{self, CleanLines};
use crate::reread;
use crate::rules::Rules;
use crate::select::Others;
use crate::stats::{self, DropReason, Stats};
use crate::template::{self, Placeholder};
use crate::time::UtcTimestamp;

/// The output for batches: encoded records, notes and counters.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The encoded records.
    pub out: Encoded,
    /// Notes about flawed entries, one a line, if the settings ask for them. A note begins with the offset of its entry
    /// or, in a journal, with its cursor.
    pub notes: Vec<u8>,
    /// Flaws and errors of the entries, if the settings ask for them.
    pub findings: Findings,
    /// The counters. A worker adds to them.
    pub stats: Stats,
    /// The outcomes of journal entries, if they are needed to merge several files.
    pub traces: Option<Vec<Trace>>,
    /// The records whose filters depend on the batch before.
    carry: Carry,
}

impl Chunk {
    /// Completes the filters of a batch. Call it in the order of the input, when the chunk has the records of this batch
    /// alone. It does nothing unless [`Rules::follows_records`] returns true. `file` is that of the batch.
    pub fn resolve(&mut self, state: &mut FilterState, file: &Path) {
        let Chunk { out, notes, stats, findings, carry, .. } = self;
        state.resolve(carry, file, Resolved { out, notes, stats, findings });
    }
}

/// The outcome of a journal entry.
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    /// The place in the journal.
    pub place: Place,
    /// The length of the entry's fields, in bytes.
    pub length: usize,
    /// The end of the entry's record in the chunk. If there is no record, the end of the previous one.
    pub end: usize,
    outcome: Outcome,
    hint: Hint,
    /// The number of messages that the entry reports as dropped.
    suppressed: u64,
}

/// A reason to advise the user about an option.
#[derive(Clone, Copy, Debug, Default)]
enum Hint {
    #[default]
    None,
    /// The user of a journal entry is not trusted.
    User(Option<u32>),
    /// A container's line names a program of Kata.
    Tenant,
    /// Another program's entry names a program of Kata.
    Other,
}

impl Hint {
    fn count(self, identifier: Option<&[u8]>, stats: &mut Stats) {
        match self {
            Hint::None => {}
            Hint::User(user) => stats.hints.untrusted_uid(user),
            Hint::Tenant => stats.hints.tenant(),
            Hint::Other => stats.hints.others(identifier),
        }
    }
}

/// The outcome of an entry.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// The entry made no record.
    Dropped(DropReason),
    /// The entry is of another program and passes unchanged.
    Passed,
    /// The entry made a record with these facts.
    Record(Facts),
}

impl From<Option<Facts>> for Outcome {
    fn from(facts: Option<Facts>) -> Outcome {
        facts.map_or(Outcome::Passed, Outcome::Record)
    }
}

impl Trace {
    /// Returns whether the entry made a record.
    #[must_use]
    pub fn is_written(&self) -> bool {
        !matches!(self.outcome, Outcome::Dropped(_))
    }

    /// Returns the counters of the entry.
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
        self.hint.count(None, &mut stats);
        stats
    }
}

/// The capacity above which buffers are freed after a batch. Only giant entries exceed it.
const KEPT_CAPACITY: usize = 4 << 20;

/// A worker, which makes records of entries.
#[derive(Debug)]
pub struct Worker<'r> {
    rules: &'r Rules,
    encoder: Encoder,
    /// The name of the input in output paths.
    input: Vec<u8>,
    /// The memory for decoded text of a batch.
    bump: Bump,
    spare: Scratch<'static>,
}

/// The state of an entry in all stages, reused for the next entry.
#[derive(Debug, Default)]
struct Scratch<'b> {
    entry: Entry<'b>,
    payload: Payload<'b>,
    record: Record<'b>,
    /// Shared fields that earlier entries of the batch had: as pairs, and as fields of records.
    cache: envelope::FieldCache<'b>,
    named: normalize::NamedFieldCache<'b>,
    keys: normalize::UnknownKeys<'b>,
    /// Command lines of the batch without secrets.
    clean: CleanLines<'b>,
}

impl Scratch<'_> {
    /// Returns the emptied buffers for entries of another batch.
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
            keys: normalize::UnknownKeys::default(),
            clean: CleanLines::default(),
        }
    }
}

impl<'r> Worker<'r> {
    /// Returns a worker.
    #[must_use]
    pub fn new(rules: &'r Rules) -> Worker<'r> {
        Worker { rules, encoder: rules.encoder(), input: Vec::new(), bump: Bump::new(), spare: Scratch::default() }
    }

    /// Sets the name of the input for the next batches. Only output paths use it.
    pub fn input(&mut self, name: &str) {
        self.input.clear();
        self.input.extend_from_slice(name.as_bytes());
    }

    /// Makes records of the entries of a batch, and appends them to the chunk.
    pub fn run(&mut self, batch: &Batch, chunk: &mut Chunk) {
        chunk.out.bytes.shrink_to(KEPT_CAPACITY);
        let Worker { rules, encoder, input, bump, spare } = self;
        encoder.begin();
        if let Encoder::Journal(view) = encoder {
            return copy_entries(view, batch, chunk);
        }
        chunk.carry.begin(rules.filter.as_ref().is_some_and(|filter| filter.keep_misses));
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

/// Encodes journal entries without a change.
fn copy_entries(view: &mut JournalView, batch: &Batch, chunk: &mut Chunk) {
    for raw in batch.entries() {
        chunk.stats.read(raw.length() + 1);
        if let Body::Journal(entry) = raw.body {
            if batch.journal.has_large() {
                view.encode_large(&entry, &mut chunk.out);
            } else {
                view.encode(&entry, &mut chunk.out.bytes);
            }
            chunk.stats.wrote(None);
        }
        trace(raw, || Outcome::Passed, 0, Hint::None, chunk);
    }
}

/// Stores the outcome of a journal entry if traces are wanted.
#[inline]
fn trace(raw: RawEntry<'_>, outcome: impl FnOnce() -> Outcome, suppressed: u64, hint: Hint, chunk: &mut Chunk) {
    if let (Some(traces), Body::Journal(entry)) = (&mut chunk.traces, raw.body) {
        let (length, end) = (raw.length(), chunk.out.bytes.len());
        traces.push(Trace { place: *entry.place(), length, end, outcome: outcome(), hint, suppressed });
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
    let mut hint = Hint::None;
    let mut dropped = record_of(rules, raw, origin, bump, scratch, &mut hint);
    let Scratch { entry, record, .. } = scratch;
    if !matches!(hint, Hint::None) {
        hint.count(entry.identifier, &mut chunk.stats);
    }
    if dropped.is_none() {
        if record.time_field.is_some() {
            own_fields::fill_time(rules.time_format, chunk.out.received, bump, record);
        }
        let number = chunk.traces.as_ref().map_or(0, Vec::len);
        let Chunk { out, notes, stats, findings, carry, .. } = chunk;
        let is_of_journal = matches!(raw.body, Body::Journal(_));
        let decision = rules.filter.as_ref().map(|filter| filter.decide(record, is_of_journal, bump));
        let part = match decision.map_or(Verdict::Write(Match::Yes), |decision| carry.next(decision)) {
            Verdict::Drop => None,
            Verdict::Write(is_match) => Some(Part { out, notes, stats, findings, is_match }),
            Verdict::Follows { time, level, is_match } => {
                let Leading { out, notes, stats, findings, .. } = carry.part(time, level, out);
                Some(Part { out, notes, stats, findings, is_match })
            }
        };
        match part {
            Some(part) => write(rules, encoder, (raw, number), (entry, input), bump, record, part),
            None => dropped = Some(DropReason::Filter),
        }
    }
    if let Some(reason) = dropped {
        chunk.stats.dropped(reason);
    }
    let mut lost = 0;
    if entry.identifier == Some(b"systemd-journald") {
        lost = suppressed(entry.message.unwrap_or_default());
        chunk.stats.suppressed(lost);
    }
    trace(raw, || dropped.map_or_else(|| record.facts.into(), Outcome::Dropped), lost, hint, chunk);
}

/// The part of a chunk that takes a record.
struct Part<'c> {
    out: &'c mut Encoded,
    notes: &'c mut Vec<u8>,
    stats: &'c mut Stats,
    findings: &'c mut Findings,
    is_match: Match,
}

/// Encodes a record, and counts it. `number` is that of the entry in its chunk.
#[inline]
fn write<'b>(
    rules: &'b Rules,
    encoder: &mut Encoder,
    (raw, number): (RawEntry<'b>, usize),
    (entry, input): (&Entry<'b>, &'b [u8]),
    bump: &'b Bump,
    record: &mut Record<'b>,
    Part { out, notes, stats: counters, findings, is_match }: Part<'_>,
) {
    encoder.encode(record, out);
    counters.wrote(record.facts.as_ref());
    if !record.redacted.is_empty() {
        counters.redacted();
    }
    // Most records that do not pass are left out later.
    if rules.verbose && is_match != Match::No {
        note(raw, record, notes);
    }
    if rules.findings && is_match != Match::No {
        findings.add(raw, record, number, bump);
    }
    if rules.rows {
        let time = record.facts.as_ref().map_or(record.time, |facts| facts.time);
        let part = rules.split.as_ref().map(|split| path(split, entry, record, time.as_ref(), input, bump));
        let part = part.map_or(0, |path| out.part_number(path));
        let counted = stats::row_counts(record.facts.as_ref(), !record.redacted.is_empty());
        let sandbox = rules.filter.as_ref().map_or(0, |filter| filter.sandbox_number(record, bump));
        out.rows.push(Row { end: out.bytes.len(), time, part, counted, sandbox, is_match });
    }
}

/// Returns the output path of a record. Entries of other programs have the component `others`.
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

/// Takes an entry through all stages except encoding. Returns the reason if the entry makes no record. `scratch` must
/// be empty.
fn record_of<'b>(
    rules: &'b Rules,
    raw: RawEntry<'b>,
    input: &[u8; 16],
    bump: &'b Bump,
    scratch: &mut Scratch<'b>,
    hint: &mut Hint,
) -> Option<DropReason> {
    if raw.may_be_record
        && let Some(author) = record_author(rules, raw, bump, scratch)
    {
        return record_again(rules, author, (input, raw), bump, scratch);
    }
    let Scratch { entry, payload, cache, .. } = scratch;
    let may_be_journal = matches!(rules.input_format, InputFormat::Auto | InputFormat::JournalJson);
    if may_be_journal
        && let Body::Line(line) = raw.body
        && rules.select.skips(line)
    {
        return Some(DropReason::Others);
    }
    let mut known_kind = None;
    if let Body::Journal(stored) = raw.body {
        // The message shows that most entries of a manager are not Kata's, so other fields need not be read.
        envelope::look(&stored, cache, entry);
        let kind = rules.select.kind(entry);
        if rules.others == Others::Drop && rules.select.is_others(kind, entry.message) {
            return Some(DropReason::Others);
        }
        if let Some(filter) = &rules.filter
            && !filter.may_pass(|| stored.fields().map(|(_, value)| value))
        {
            return Some(DropReason::Filter);
        }
        // Other fields matter only to an entry of the kernel, or without an identifier.
        known_kind = entry.identifier.filter(|identifier| *identifier != b"kernel").map(|_| kind);
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
    if let (Some(filter), Body::Line(bytes) | Body::Export(bytes)) = (&rules.filter, raw.body)
        && !filter.may_pass(|| std::iter::once(bytes))
    {
        return Some(DropReason::Filter);
    }
    let found = author::find(rules, raw, known_kind, entry, payload, bump);
    *hint = hint_of(rules, &found, entry);
    match found {
        Finding::Kata(author) if !rules.select.wants(author.component) => return Some(DropReason::Component),
        Finding::Other(_) | Finding::Unnamed(_) if rules.others == Others::Drop => return Some(DropReason::Others),
        Finding::Kata(_) | Finding::Other(_) | Finding::Unnamed(_) => {}
    }
    if let Some(name) = &rules.own.record_id {
        let id = own_fields::record_id(input, raw, scratch.entry.from_journal);
        own_fields::add(name, bump.alloc(id), bump, &mut scratch.record);
    }
    let withheld = raw.continuation == Continuation::Withheld && rules.redactor.is_some();
    if withheld {
        redact_record::withhold(&mut scratch.entry, &mut scratch.payload);
    }
    if rules.heads {
        let program = Some(template::identifier_part(scratch.entry.identifier, bump));
        scratch.record.head = EnvelopeHead { program, ..scratch.entry.head(bump) };
    }
    match found {
        Finding::Kata(author) => kata(rules, author, bump, scratch),
        Finding::Other(origin) | Finding::Unnamed(origin) => other(rules, origin, bump, scratch),
    }
    if let Some(redactor) = &rules.redactor {
        let Scratch { entry, payload, record, clean, .. } = scratch;
        // The rest of a line can begin with any key, so all fields are searched.
        let is_rest = |facts: &Facts| facts.origin == Origin::Unproven && facts.format != PayloadFormat::Text;
        if record.facts.as_ref().is_some_and(is_rest)
            || redact_record::is_suspect(rules, redactor, entry, payload, clean)
        {
            redact_record::redact(redactor, record, bump);
        }
        if withheld {
            redact_record::list_withheld(record);
        }
    }
    fill_columns(rules, &mut scratch.record);
    None
}

/// Reads a record that katalog wrote into `scratch`. Returns `None` if the line is none.
#[inline(never)]
fn record_author<'b>(
    rules: &Rules,
    raw: RawEntry<'b>,
    bump: &'b Bump,
    scratch: &mut Scratch<'b>,
) -> Option<RecordAuthor> {
    let Body::Line(line) = raw.body else { return None };
    let may_be = !raw.truncated && matches!(rules.input_format, InputFormat::Auto | InputFormat::Kata);
    may_be.then(|| own_record::read(line, bump, &mut scratch.entry.members)).flatten()
}

/// Makes a record of one that katalog wrote. Returns the reason if no record is wanted.
#[cold]
#[inline(never)]
fn record_again<'b>(
    rules: &'b Rules,
    author: RecordAuthor,
    (input, raw): (&[u8; 16], RawEntry<'b>),
    bump: &'b Bump,
    scratch: &mut Scratch<'b>,
) -> Option<DropReason> {
    let Scratch { entry, record, named, .. } = scratch;
    let id = rules.own.record_id.as_ref().map(|_| own_fields::record_id(input, raw, false));
    let dropped = reread::reread(rules, author, bump.alloc(id.unwrap_or_default()), bump, named, entry, record);
    fill_columns(rules, record);
    dropped
}

/// Sets the fields for which the format has columns.
fn fill_columns(rules: &Rules, record: &mut Record<'_>) {
    let Some(columns) = &rules.columns else { return };
    let find = |name: &Option<Vec<u8>>| {
        let name = name.as_deref()?;
        record.envelope.iter().find(|field| field.key.name() == name).copied()
    };
    [record.host, record.identifier] = [&columns.host, &columns.identifier].map(find);
}

/// Returns the hint that an entry gives.
#[inline]
fn hint_of(rules: &Rules, found: &Finding<'_>, entry: &Entry<'_>) -> Hint {
    match found {
        Finding::Kata(author) if author.origin == Origin::Unproven && entry.from_journal => {
            if rules.trust.has_user(entry) || rules.trust.is_untrusted() {
                return Hint::None;
            }
            Hint::User(entry.user.and_then(|user| std::str::from_utf8(user).ok()?.parse().ok()))
        }
        Finding::Kata(_) | Finding::Unnamed(_) => Hint::None,
        // journald names units when it reports dropped messages.
        Finding::Other(_) if entry.identifier == Some(b"systemd-journald") => Hint::None,
        Finding::Other(origin) if entry.message.is_some_and(|message| rules.select.names_kata(message)) => {
            if *origin == Origin::Tenant { Hint::Tenant } else { Hint::Other }
        }
        Finding::Other(_) => Hint::None,
    }
}

fn kata<'b>(rules: &'b Rules, author: Author<'b>, bump: &'b Bump, scratch: &mut Scratch<'b>) {
    let Scratch { entry, payload, record, named, keys, .. } = scratch;
    if rules.tags {
        record.tag = rules.tag.render(author.component, entry.identifier, bump);
    }
    if let Some(name) = &rules.own.tag {
        own_fields::add(name, record.tag, bump, record);
    }
    if let Some(name) = &rules.own.time {
        own_fields::add_time(name, bump, record);
    }
    rules.normalize.envelope(entry, bump, named, record);
    rules.normalize.payload(entry, payload, author, bump, keys, record);
}

/// Makes a record of another program's entry: the fields of its envelope, and its message if no field holds it.
fn other<'b>(rules: &'b Rules, origin: Origin, bump: &'b Bump, scratch: &mut Scratch<'b>) {
    let Scratch { entry, record, named, .. } = scratch;
    record.tag = rules.others_tag.render(Component::Unknown, entry.identifier, bump);
    if let Some(name) = &rules.own.tag {
        own_fields::add(name, record.tag, bump, record);
    }
    if let Some(name) = &rules.own.time {
        own_fields::add_time(name, bump, record);
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
    let key = field_name::key("kata_", b"origin", 1, bump);
    record.payload.push(Field::new(key, Value::Text(Text::clean(origin.name().as_bytes()))));
    if entry.flaws.has(Flaw::Truncated) {
        let key = field_name::key("kata_", b"flaws", 1, bump);
        let names = bump.alloc_slice_copy(&[Text::clean(Flaw::Truncated.name().as_bytes())]);
        record.payload.push(Field::new(key, Value::List(names)));
    }
}

/// Returns the number of messages that journald reports as dropped: `Suppressed 4150 messages from …`.
fn suppressed(message: &[u8]) -> u64 {
    let number = message.strip_prefix(b"Suppressed ").and_then(|rest| rest.split(|byte| *byte == b' ').next());
    number.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)
}

fn note(raw: RawEntry<'_>, record: &Record<'_>, notes: &mut Vec<u8>) {
    // Origins without proof are usual in some inputs, and no reason to look at an entry.
    let Some(facts) = record.facts.as_ref().filter(|facts| !facts.flaws.failures().is_empty()) else { return };
    // Writes to memory cannot fail.
    _ = match raw.body {
        // A journal has many files, and gives their entries in another order than theirs.
        Body::Journal(entry) => write!(notes, "cursor {}:", Cursor::from(*entry.place())),
        Body::Line(_) | Body::Export(_) => write!(notes, "byte {}:", raw.offset),
    };
    for flaw in facts.flaws.iter() {
        _ = write!(notes, " {}", flaw.name());
    }
    notes.push(b'\n');
}
