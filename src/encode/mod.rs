//! Records become bytes. Nothing here knows where the bytes go, and nothing here fails: a record is valid once made.

pub mod msgpack;
pub mod ndjson;
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
}

impl Encoder {
    /// The encoder that the settings name.
    #[must_use]
    pub fn new(settings: &Settings) -> Encoder {
        match settings.format {
            Format::Ndjson => Encoder::Ndjson(Ndjson),
            Format::Msgpack => Encoder::Msgpack(Msgpack::default()),
            Format::Text => Encoder::Text(TextView::new(TimeZone::system(), settings.color)),
        }
    }

    /// Appends one record to `out`, whole.
    pub fn encode(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        match self {
            Encoder::Ndjson(encoder) => encoder.encode(record, out),
            Encoder::Msgpack(encoder) => encoder.encode(record, out),
            Encoder::Text(encoder) => encoder.encode(record, out),
        }
    }
}
