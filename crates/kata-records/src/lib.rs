//! Records from the log entries of Kata Containers.
//!
#![doc = include_str!("../README.md")]
//!
//! ## Structure
//!
//! ```text
//!  Batch ──► Worker [ envelope ─► author [ select, parse, trust ] ─► normalize ─► redact ─► filter ─► encode ] ──► Chunk
//!                      Entry      Author              Payload         Record
//! ```
//!
//! A [`Worker`] takes the entries of a [`Batch`] through the stages, and appends encoded records and their counters to a
//! [`Chunk`]. Between entries, stages keep only buffers and caches that no record shows, so any worker may take any batch.
//!
//! | type | content |
//! |---|---|
//! | `envelope::Entry` | the fields of the journal, of syslog or of a container runtime; identifier and message |
//! | `parse::Payload` | the pairs of the message: those of the host's writer, and apart from them those of a writer inside, mostly the guest |
//! | `component::Component` | the program of Kata that wrote the entry |
//! | `origin::Origin` | whose word the entry is, as far as it is proven |
//! | `record::Record` | the flat record: each name occurs once and has one type |
//! | `flaw::Flaws` | defects of the content, which never cause an error |
//!
//! Stages pass slices. A value keeps the escapes of its writer and names them (`record::Escaping`). Only a stage that needs
//! the content decodes it, into a bump allocator that is reset after each batch. Nested JSON stays a slice. A type is a tag
//! on the text, checked when it is assigned. The encoder copies clean text and JSON strings, and translates Go's escapes in
//! passing. Fields that entries of a journal share are encoded once a batch.
//!
//! ## Invariants
//!
//! | stage | |
//! |---|---|
//! | `envelope` | looks at no message |
//! | `parse` | never fails and loses no byte: unreadable text stays text |
//! | `select` | knows identifiers and marks, no formats |
//! | `trust` | decides by route and structure, never by what a text says about itself |
//! | `normalize` | takes the host's identity from the host's words only |
//! | `redact` | hides secrets in every field, before any output; too much rather than too little |
//! | `filter` | decides on redacted records; may skip an entry early only if no finished record of it could pass |
//! | `own_record`, `reread` | take a record that katalog wrote past all stages before `redact`; only the operator vouches for it |
//! | `schema` | renames the fields of a finished record and decides nothing else |
//! | `encode` | never fails; knows no receiver |
//! | `path_template` | makes paths that stay in their directory, and no two alike |
//!
//! Tables are in `component.rs`, `dictionary.rs`, `flaw.rs`, `trust.rs`, `redact/table.rs` and `schema/`. Closed kinds are in `Format`, `InputFormat` and
//! `record::PayloadFormat`.
//!
//! The modules below stand in reading order. A module imports only from modules above it.

mod error;
mod named_enum;
pub mod flaw;
mod component;
pub mod origin;
mod digits;
mod name_hash;
mod name_map;
mod dictionary;
mod likely_key;
mod scan;
pub mod visible;
mod time;
mod record;
mod escapes;
mod redact;
mod json;
mod batch;
mod input_format;
mod envelope;
mod parse;
mod select;
mod trust;
mod normalize;
mod own_record;
mod schema;
mod encode;
mod template;
mod path_template;
mod stats;
pub mod findings;
pub mod filter;
mod reference;
mod settings;
mod rules;
mod own_fields;
mod redact_record;
mod author;
mod reread;
mod worker;

pub use batch::{Batch, Frame, Framing};
pub use component::Component;
pub use encode::{EncodeSettings, Encoded, Events, Facility, Format, Row, SyslogFormat, SyslogSettings};
pub use error::SettingsError;
pub use input_format::InputFormat;
pub use normalize::{FieldSettings, Nested};
pub use reference::Reference;
pub use rules::Rules;
pub use schema::{Definition, Schema};
pub use select::{Others, SelectSettings};
pub use settings::Settings;
pub use stats::Stats;
pub use time::{TimeFormat, UnixTime, UtcTimestamp};
pub use worker::{Chunk, Trace, Worker};
