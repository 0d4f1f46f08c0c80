//! Records become bytes. Nothing here knows where the bytes go, and nothing here fails: a record is valid once made.

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
pub(crate) mod text_view;

use jiff::tz::TimeZone;

use crate::named_enum::named_enum;
use crate::record::Record;
use crate::schema::{Schema, Translator};
use crate::time::{UnixTime, UtcTimestamp};

pub(crate) use csv::Csv;
pub(crate) use event::EventEncoder;
pub use event::Events;
pub(crate) use journal_view::{JournalFormat, JournalView};
pub(crate) use msgpack::Msgpack;
pub(crate) use ndjson::Ndjson;
pub(crate) use part_names::PartNames;
pub(crate) use size_limit::SizeLimited;
pub(crate) use syslog::Syslog;
pub use syslog::{Facility, SyslogFormat, SyslogSettings};
pub(crate) use text_view::TextView;

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// One MessagePack map after the other, as Fluentd's exec input reads them.
    Msgpack,
    /// One line of comma-separated values a record, below a line with their names.
    Csv,
    /// One line for people, in local time.
    Text,
    /// The entries of journal files, all of them, as `journalctl -o export` prints them.
    Export,
    /// The entries of journal files, all of them, as `journalctl -o json --all` prints them.
    JournalJson,
    /// Events of the forward protocol; what `--to` asks for.
    Event,
    /// Syslog messages; what `--to` asks for.
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
    /// Returns whether the format is one of journal entries rather than of records.
    #[must_use]
    pub fn is_of_entries(self) -> bool {
        matches!(self, Format::Export | Format::JournalJson)
    }

    /// Whether records are written one behind the other, so that they can be put in another order.
    #[must_use]
    pub fn is_one_row(self) -> bool {
        !matches!(self, Format::Event | Format::Syslog)
    }

    /// Returns whether a record of this format has a place for the nanoseconds since the record before.
    #[must_use]
    pub fn has_delta(self) -> bool {
        self == Format::Ndjson
    }

    /// Appends an encoded record, and in it the nanoseconds since the record before, if they are known and the format has a
    /// place for them.
    pub fn write_with_delta(self, record: &[u8], delta: Option<i64>, out: &mut Vec<u8>) {
        match self {
            Format::Ndjson => ndjson::with_delta(record, delta, out),
            _ => out.extend_from_slice(record),
        }
    }

    /// What stands before the first record of an output.
    #[must_use]
    pub fn header(self) -> &'static [u8] {
        if self == Format::Csv { csv::HEADER } else { b"" }
    }

    /// What the names of files in it end with, as long as they are not compressed.
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

/// What a user may choose about the output's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeSettings {
    /// How records are written.
    pub format: Format,
    /// Whether the text format uses colors; the others never do.
    pub color: bool,
    /// Whose names the fields have, except in lines for people.
    pub schema: Schema,
    /// What syslog messages are like.
    pub syslog: SyslogSettings,
    /// No record has more bytes, its line end included.
    pub max_record: Option<usize>,
    /// The zone of local times, in lines for people and in old syslog messages.
    pub zone: TimeZone,
}

impl Default for EncodeSettings {
    fn default() -> EncodeSettings {
        EncodeSettings {
            format: Format::Ndjson,
            color: false,
            schema: Schema::default(),
            syslog: SyslogSettings::default(),
            max_record: None,
            zone: TimeZone::UTC,
        }
    }
}

/// The names that a user gave to fields of katalog's own. These stand first in records, in this order.
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

/// Buffers for so many tags are kept from one batch to the next.
const TAGS: usize = 64;

/// One record among the bytes of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it ends; it begins where the one before ends.
    pub end: usize,
    /// Its time, as far as it is known.
    pub time: Option<UtcTimestamp>,
    /// The number of the part that it belongs into, where the output has several.
    pub part: u32,
}

/// Records, encoded: in one row, or one by one.
#[derive(Debug, Default)]
pub struct Encoded {
    /// Everything but events and syslog messages.
    pub bytes: Vec<u8>,
    /// The records in `bytes`, where somebody is to put them into another order or into several places.
    pub rows: Vec<Row>,
    /// The names of the parts that the rows name.
    part_names: PartNames,
    /// Events by their tags, or syslog messages, which have none.
    pub events: Vec<Events>,
    /// The time of records that know none.
    pub received: UnixTime,
}

impl Encoded {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.events.iter().all(Events::is_empty)
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.events.iter().map(|events| events.bytes.len()).sum::<usize>()
    }

    /// The records of `rows`.
    pub fn records(&self) -> impl Iterator<Item = (&[u8], &Row)> {
        let mut start = 0;
        self.rows.iter().map(move |row| {
            let record = self.bytes.get(start..row.end).unwrap_or_default();
            start = row.end;
            (record, row)
        })
    }

    /// Returns the names of the output's parts, by their numbers.
    #[must_use]
    pub fn part_names(&self) -> &[Box<[u8]>] {
        self.part_names.names()
    }

    /// Returns the number of the part with this name, a new one if there is none.
    pub fn part_number(&mut self, name: &[u8]) -> u32 {
        self.part_names.number(name)
    }

    /// Forgets what there is and keeps the buffers, as far as they have no more than `kept` bytes.
    pub fn clear(&mut self, kept: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(kept);
        self.rows.clear();
        self.part_names.clear();
        // Whoever may write to the journal may make up identifiers, and with them tags.
        self.events.truncate(TAGS);
        self.events.iter_mut().for_each(|events| events.clear(kept));
    }
}

/// The encoder of one format. It keeps buffers, so each worker has its own.
#[derive(Debug)]
pub(crate) enum Encoder {
    /// JSON, one object a line.
    Ndjson(Ndjson),
    /// `MessagePack`, one map a record.
    Msgpack(Msgpack),
    /// Comma-separated values, one line a record.
    Csv(Csv),
    /// Lines for people. It shows the time since the record before, so a run has one of it.
    Text(TextView),
    /// Entries of journal files, which are not made into records.
    Journal(JournalView),
    /// Events of the forward protocol, by tag.
    Event(EventEncoder),
    /// Records under the names of another schema, in one of the first two.
    Translated(Box<Translator>, Box<Encoder>),
    /// Syslog messages.
    Syslog(Syslog),
    /// Records of no more than so many bytes, in one of the two.
    SizeLimited(Box<SizeLimited>),
}

impl Encoder {
    /// The encoder that the settings name, for records with these fields of katalog's own.
    #[must_use]
    pub(crate) fn new(settings: &EncodeSettings, own: &OwnNames) -> Encoder {
        let for_events = settings.format == Format::Event;
        let translator = || Box::new(Translator::new(settings.schema, &own.all(), for_events));
        let translator = (settings.schema != Schema::Kata).then(translator);
        let encoder = match settings.format {
            Format::Ndjson => Encoder::Ndjson(Ndjson::default()),
            Format::Msgpack => Encoder::Msgpack(Msgpack::default()),
            Format::Csv => return Encoder::Csv(Csv::default()),
            Format::Text => return Encoder::Text(TextView::new(settings.zone.clone(), settings.color)),
            Format::Export => return Encoder::Journal(JournalView::new(JournalFormat::Export)),
            Format::JournalJson => return Encoder::Journal(JournalView::new(JournalFormat::Json)),
            Format::Event => return Encoder::Event(EventEncoder::new(translator)),
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

    /// Begins with the records of another batch.
    pub(crate) fn begin(&mut self) {
        match self {
            Encoder::Ndjson(encoder) => encoder.begin(),
            Encoder::Journal(view) => view.begin(),
            Encoder::Translated(_, encoder) => encoder.begin(),
            Encoder::SizeLimited(limited) => limited.begin(),
            Encoder::Msgpack(_) | Encoder::Csv(_) | Encoder::Text(_) | Encoder::Event(_) | Encoder::Syslog(_) => {}
        }
    }

    /// Appends one record, whole.
    pub(crate) fn encode(&mut self, record: &mut Record<'_>, out: &mut Encoded) {
        match self {
            Encoder::Ndjson(encoder) => encoder.encode(record, &mut out.bytes),
            Encoder::Msgpack(encoder) => encoder.encode(record, &mut out.bytes),
            Encoder::Csv(encoder) => encoder.encode(record, &mut out.bytes),
            Encoder::Text(encoder) => encoder.encode(record, &mut out.bytes),
            Encoder::Event(encoder) => {
                encoder.encode(record, out.received, Events::of_tag(&mut out.events, record.tag));
            }
            Encoder::Translated(translator, encoder) => {
                translator.translate(record, |record| encoder.encode(record, out));
            }
            Encoder::Syslog(encoder) => encoder.encode(record, out.received, Events::of_tag(&mut out.events, b"")),
            Encoder::SizeLimited(limited) => limited.encode(record, out),
            // The worker makes no records for it.
            Encoder::Journal(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
