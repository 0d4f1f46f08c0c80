//! Records become bytes. Nothing here knows where the bytes go, and nothing here fails: a record is valid once made.

pub mod journal;
pub mod msgpack;
pub mod ndjson;
mod shared;
pub mod text;

use jiff::tz::TimeZone;

use crate::record::Record;

pub use msgpack::Msgpack;
pub use ndjson::Ndjson;
pub use text::TextView;

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line
    Ndjson,
    /// One MessagePack map after the other, as Fluentd's exec input reads them
    Msgpack,
    /// One line for people, in local time
    Text,
    /// The entries of journal files, all of them, as `journalctl -o export` prints them
    Export,
    /// The entries of journal files, all of them, as `journalctl -o json --all` prints them
    JournalJson,
}

impl Format {
    /// The format, if it is one of journal entries rather than of records.
    #[must_use]
    pub fn of_journal(self) -> Option<journal::Form> {
        match self {
            Format::Export => Some(journal::Form::Export),
            Format::JournalJson => Some(journal::Form::Json),
            Format::Ndjson | Format::Msgpack | Format::Text => None,
        }
    }
}

/// What a user may choose about the output's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How records are written.
    pub format: Format,
    /// Whether the text format uses colors; the others never do.
    pub color: bool,
}

/// The encoder of one format. It keeps buffers, so each worker has its own.
#[derive(Debug)]
pub enum Encoder {
    /// JSON, one object a line.
    Ndjson(Ndjson),
    /// `MessagePack`, one map a record.
    Msgpack(Msgpack),
    /// Lines for people. It shows the time since the record before, so a run has one of it.
    Text(TextView),
    /// Entries of journal files, which are not made into records.
    Journal(journal::View),
}

impl Encoder {
    /// The encoder that the settings name.
    #[must_use]
    pub fn new(settings: &Settings) -> Encoder {
        match settings.format {
            Format::Ndjson => Encoder::Ndjson(Ndjson::default()),
            Format::Msgpack => Encoder::Msgpack(Msgpack::default()),
            Format::Text => Encoder::Text(TextView::new(TimeZone::system(), settings.color)),
            Format::Export => Encoder::Journal(journal::View::new(journal::Form::Export)),
            Format::JournalJson => Encoder::Journal(journal::View::new(journal::Form::Json)),
        }
    }

    /// Begins with the records of another batch.
    pub fn begin(&mut self) {
        match self {
            Encoder::Ndjson(encoder) => encoder.begin(),
            Encoder::Journal(view) => view.begin(),
            Encoder::Msgpack(_) | Encoder::Text(_) => {}
        }
    }

    /// Appends one record to `out`, whole.
    pub fn encode(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        match self {
            Encoder::Ndjson(encoder) => encoder.encode(record, out),
            Encoder::Msgpack(encoder) => encoder.encode(record, out),
            Encoder::Text(encoder) => encoder.encode(record, out),
            // The worker makes no records for it.
            Encoder::Journal(_) => {}
        }
    }
}
