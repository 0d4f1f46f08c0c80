//! Encoders: records become bytes. Encoders know no destination and never fail, because every record is valid.

pub(crate) mod csv;
pub(crate) mod event;
pub(crate) mod journal_view;
mod size_limit;
pub(crate) mod msgpack;
pub(crate) mod ndjson;
mod part_names;
#[cfg(test)]
mod samples;
mod shared_fields;
pub(crate) mod syslog;

use jiff::tz::TimeZone;

use crate::named_enum::named_enum;
use crate::record::Record;
use crate::schema::{Schema, Translator};
use crate::time::{UnixTime, UtcTimestamp};
use crate::visible;

pub(crate) use csv::Csv;
pub(crate) use event::EventEncoder;
pub use event::Events;
pub(crate) use journal_view::{JournalFormat, JournalView, LargeOutput};
pub(crate) use msgpack::Msgpack;
pub(crate) use ndjson::Ndjson;
pub(crate) use part_names::PartNames;
pub(crate) use size_limit::SizeLimited;
pub(crate) use syslog::Syslog;
pub use syslog::{Facility, SyslogFormat, SyslogSettings};

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// One MessagePack map after the other, as Fluentd's exec input reads them.
    Msgpack,
    /// Comma-separated values, one record a line, after a line with the names.
    Csv,
    /// Lines for people. The encoder writes NDJSON, from which the program renders them as the last step.
    Text,
    /// Entries of journal files, unfiltered, as `journalctl -o export` prints them.
    Export,
    /// Entries of journal files, unfiltered, as `journalctl -o json --all` prints them.
    JournalJson,
    /// Events of the forward protocol.
    Event,
    /// Syslog messages.
    Syslog,
}

named_enum!(Format {
    Ndjson => "ndjson", "One JSON object a line";
    Msgpack => "msgpack", "One MessagePack map after the other, as Fluentd's exec input reads them";
    Csv => "csv", "One line of comma-separated values a record, below a line with their names";
    Text => "text", "One line for people, in local time";
    Export => "export", "The entries of journal files, all of them, as `journalctl -o export` prints them";
    JournalJson => "journal-json", "The entries of journal files, all of them, as `journalctl -o json --all` prints them";
});

impl Format {
    /// Returns whether the format holds journal entries instead of records.
    #[must_use]
    pub fn is_of_entries(self) -> bool {
        matches!(self, Format::Export | Format::JournalJson)
    }

    /// Returns whether records are written one after the other, so that they can be reordered.
    #[must_use]
    pub fn is_one_row(self) -> bool {
        !matches!(self, Format::Event | Format::Syslog)
    }

    /// Returns whether records of this format can hold the time since the previous record.
    #[must_use]
    pub fn has_delta(self) -> bool {
        match self {
            Format::Ndjson => true,
            Format::Msgpack
            | Format::Csv
            | Format::Text
            | Format::Event
            | Format::Syslog
            | Format::Export
            | Format::JournalJson => false,
        }
    }

    /// Returns whether records of this format can be put in another order after they were encoded.
    #[must_use]
    pub fn is_sortable(self) -> bool {
        match self {
            Format::Ndjson | Format::Msgpack | Format::Csv | Format::Text => true,
            Format::Event | Format::Syslog | Format::Export | Format::JournalJson => false,
        }
    }

    /// Appends an encoded record with the nanoseconds since the previous record, if they are known and the format has a
    /// place for them.
    pub fn write_with_delta(self, record: &[u8], delta: Option<i64>, out: &mut Vec<u8>) {
        match self {
            Format::Ndjson => ndjson::with_delta(record, delta, out),
            _ => out.extend_from_slice(record),
        }
    }

    /// Returns whether records of this format are text, which a terminal can show.
    #[must_use]
    pub fn is_text(self) -> bool {
        match self {
            Format::Ndjson | Format::Csv | Format::Text | Format::JournalJson => true,
            Format::Msgpack | Format::Event | Format::Syslog | Format::Export => false,
        }
    }

    /// Appends whole records of a text format in a form for terminals: nothing in them moves the cursor or hides. JSON
    /// keeps its values.
    pub fn escape_for_terminal(self, records: &[u8], out: &mut Vec<u8>) {
        match self {
            Format::Ndjson | Format::JournalJson => visible::escape_json(records, out),
            Format::Csv => csv::escape_for_terminal(records, out),
            // Text is rendered for every reader without control characters, and no other format is text.
            Format::Text | Format::Msgpack | Format::Event | Format::Syslog | Format::Export => {
                out.extend_from_slice(records);
            }
        }
    }

    /// Returns the bytes before the first record of an output.
    #[must_use]
    pub fn header(self) -> &'static [u8] {
        if self == Format::Csv { csv::HEADER } else { b"" }
    }

    /// Returns the extension of uncompressed files.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Format::Ndjson => ".ndjson",
            Format::Msgpack | Format::Event => ".msgpack",
            Format::Csv => ".csv",
            Format::Text | Format::Syslog => ".log",
            Format::Export => ".export",
            Format::JournalJson => ".json",
        }
    }
}

/// Settings of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeSettings {
    /// The output format.
    pub format: Format,
    /// The schema, which names the fields. The text format needs katalog's own.
    pub schema: Schema,
    /// The settings of syslog messages.
    pub syslog: SyslogSettings,
    /// The maximum length of a record with its line end, in bytes.
    pub max_record: Option<usize>,
    /// The zone of local times, for syslog messages of RFC 3164.
    pub zone: TimeZone,
}

impl Default for EncodeSettings {
    fn default() -> EncodeSettings {
        EncodeSettings {
            format: Format::Ndjson,
            schema: Schema::default(),
            syslog: SyslogSettings::default(),
            max_record: None,
            zone: TimeZone::UTC,
        }
    }
}

/// The names of katalog's own fields. These fields come first in records, in this order.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnNames {
    /// The field that identifies the record.
    pub record_id: Option<String>,
    /// The field that holds the tag.
    pub tag: Option<String>,
    /// The field that holds the time.
    pub time: Option<String>,
}

impl OwnNames {
    fn all(&self) -> Vec<String> {
        [&self.record_id, &self.tag, &self.time].into_iter().flatten().cloned().collect()
    }
}

/// The number of tags whose buffers are kept from one batch to the next.
const TAGS: usize = 64;

/// A record among encoded records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The end of the record. Its start is the end of the previous one.
    pub end: usize,
    /// The time of the record, if it is known.
    pub time: Option<UtcTimestamp>,
    /// The number of the output part, if the output has parts.
    pub part: u32,
    /// The counters of the record, for [`Stats::count_row`](crate::Stats::count_row).
    pub counted: u64,
    /// A number for `kata_sandbox`, if records around matches are wanted; 0 without a sandbox.
    pub sandbox: u64,
    /// The filters pass the record.
    pub is_match: Match,
}

/// The result of the filters for a record that is written although it may not pass, because it may be near one that does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Match {
    /// The record passes.
    #[default]
    Yes,
    /// The record does not pass.
    No,
    /// The record passes if the one before it passes by its level. [`crate::Chunk::resolve`] decides.
    Follows,
}

/// Encoded records: one after the other, or as separate events.
#[derive(Debug, Default)]
pub struct Encoded {
    /// The records of all formats except events and syslog messages.
    pub bytes: Vec<u8>,
    /// The records in `bytes`, if they have to be reordered or distributed.
    pub rows: Vec<Row>,
    /// The names of the output parts.
    part_names: PartNames,
    /// The values that are too large for `bytes`, in the order of their places there. Only formats of journal entries
    /// have them.
    pub large: Vec<LargeOutput>,
    /// Events by their tags. Syslog messages have an empty tag.
    pub events: Vec<Events>,
    /// The time of receipt, for records without a time.
    pub received: UnixTime,
}

impl Encoded {
    /// Returns whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.events.iter().all(Events::is_empty)
    }

    /// Returns the number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.events.iter().map(|events| events.bytes.len()).sum::<usize>()
    }

    /// Returns the records of `rows`.
    pub fn records(&self) -> impl Iterator<Item = (&[u8], &Row)> {
        let mut start = 0;
        self.rows.iter().map(move |row| {
            let record = self.bytes.get(start..row.end).unwrap_or_default();
            start = row.end;
            (record, row)
        })
    }

    /// Returns the names of the output parts, in the order of their numbers.
    #[must_use]
    pub fn part_names(&self) -> &[Box<[u8]>] {
        self.part_names.names()
    }

    /// Returns the number of the part with this name, and adds the name if it is new.
    pub fn part_number(&mut self, name: &[u8]) -> u32 {
        self.part_names.number(name)
    }

    /// Takes the large values before a number of encoded bytes.
    pub fn take_large(&mut self, end: usize) -> impl Iterator<Item = LargeOutput> + '_ {
        let count = self.large.partition_point(|value| value.at < end);
        self.large.drain(..count)
    }

    /// Appends the records of another value, which has no large values.
    pub(crate) fn append(&mut self, other: &Encoded) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        for row in &other.rows {
            let part = other.part_names().get(row.part as usize).map_or(0, |name| self.part_number(name));
            self.rows.push(Row { end: start + row.end, part, ..*row });
        }
        for events in other.events.iter().filter(|events| !events.is_empty()) {
            Events::of_tag(&mut self.events, &events.tag).append(events);
        }
    }

    /// Removes the records. Keeps at most `kept` bytes of each buffer.
    pub fn clear(&mut self, kept: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(kept);
        self.rows.clear();
        self.large = Vec::new();
        self.part_names.clear();
        // Anyone who writes to the journal can invent identifiers, and thereby tags.
        self.events.truncate(TAGS);
        self.events.iter_mut().for_each(|events| events.clear(kept));
    }
}

/// An encoder for one format. It keeps buffers, so each worker has its own.
#[derive(Debug)]
pub(crate) enum Encoder {
    /// JSON, one object a line.
    Ndjson(Ndjson),
    /// `MessagePack`, one map a record.
    Msgpack(Msgpack),
    /// Comma-separated values, one line a record.
    Csv(Csv),
    /// Entries of journal files, which never become records.
    Journal(JournalView),
    /// Events of the forward protocol, by tag.
    Event(EventEncoder),
    /// Records under the names of another schema, as NDJSON or `MessagePack`.
    Translated(Box<Translator>, Box<Encoder>),
    /// Syslog messages.
    Syslog(Syslog),
    /// Records of limited length, as NDJSON or `MessagePack`.
    SizeLimited(Box<SizeLimited>),
}

impl Encoder {
    /// Returns the encoder for the settings and these own fields.
    #[must_use]
    pub(crate) fn new(settings: &EncodeSettings, own: &OwnNames) -> Encoder {
        let for_events = settings.format == Format::Event;
        let translator = || Box::new(Translator::new(settings.schema, &own.all(), for_events));
        let translator = (settings.schema != Schema::Kata).then(translator);
        let encoder = match settings.format {
            Format::Ndjson | Format::Text => Encoder::Ndjson(Ndjson::default()),
            Format::Msgpack => Encoder::Msgpack(Msgpack::default()),
            Format::Csv => return Encoder::Csv(Csv::default()),
            Format::Export => return Encoder::Journal(JournalView::new(JournalFormat::Export)),
            Format::JournalJson => return Encoder::Journal(JournalView::new(JournalFormat::Json)),
            Format::Event => return Encoder::Event(EventEncoder::new(translator, own.all().len())),
            Format::Syslog => return Encoder::Syslog(Syslog::new(settings.syslog.clone(), own, settings.zone.clone())),
        };
        let encoder = match translator {
            Some(translator) => Encoder::Translated(translator, Box::new(encoder)),
            None => encoder,
        };
        match settings.max_record {
            Some(limit) => Encoder::SizeLimited(Box::new(SizeLimited::new(encoder, limit, own.all().len()))),
            None => encoder,
        }
    }

    /// Starts a new batch.
    pub(crate) fn begin(&mut self) {
        match self {
            Encoder::Ndjson(encoder) => encoder.begin(),
            Encoder::Journal(view) => view.begin(),
            Encoder::Translated(_, encoder) => encoder.begin(),
            Encoder::SizeLimited(limited) => limited.begin(),
            Encoder::Msgpack(_) | Encoder::Csv(_) | Encoder::Event(_) | Encoder::Syslog(_) => {}
        }
    }

    /// Appends a record.
    pub(crate) fn encode(&mut self, record: &mut Record<'_>, out: &mut Encoded) {
        match self {
            Encoder::Ndjson(encoder) => encoder.encode(record, &mut out.bytes),
            Encoder::Msgpack(encoder) => encoder.encode(record, &mut out.bytes),
            Encoder::Csv(encoder) => encoder.encode(record, &mut out.bytes),
            Encoder::Event(encoder) => {
                encoder.encode(record, out.received, Events::of_tag(&mut out.events, record.tag));
            }
            Encoder::Translated(translator, encoder) => {
                translator.translate(record, |record| encoder.encode(record, out));
            }
            Encoder::Syslog(encoder) => encoder.encode(record, out.received, Events::of_tag(&mut out.events, b"")),
            Encoder::SizeLimited(limited) => limited.encode(record, out),
            // Workers make no records for this encoder.
            Encoder::Journal(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
