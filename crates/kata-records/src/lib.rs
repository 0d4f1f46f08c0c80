//! Parses and normalizes the log entries of Kata Containers: bytes in, flat typed records out.
//!
//! ```text
//!  Batch ──► Worker [ envelope ─► select ─► parse ─► normalize ─► encode ] ──► Chunk
//!                      Entry     Component  Payload   Record
//! ```
//!
//! The crate does no I/O and reads no clock and no environment. Its stages keep nothing between entries but empty buffers,
//! so any worker may take any batch.
//!
//! # The types that travel
//!
//! - [`entry::Batch`] owns bytes and the spans of the entries in them; [`entry::Raw`] is one of its entries.
//! - [`envelope::Entry`] is an entry without its envelope: the fields of the journal, of syslog or of the container runtime,
//!   the identifier, the message.
//! - [`parse::Payload`] holds the pairs of the message: those of the host's writer and, apart from them, those of a writer
//!   inside it, mostly the guest.
//! - [`component::Component`] is the program of Kata that wrote the entry.
//! - [`record::Record`] is flat. Each name occurs once and has one type.
//! - [`flaw::Flaws`] lists defects of the content. Content never causes an error.
//! - [`worker::Chunk`] holds encoded records and the counters of their entries.
//!
//! # How a byte travels
//!
//! The stages pass slices. A value keeps the escapes of its writer and names them ([`record::Escaping`]). Only a stage that needs
//! the content decodes it, into a bump allocator that is reset after each batch. Nested JSON stays a slice. A type is a tag on
//! the text, checked when it is assigned. The encoder copies clean text and JSON strings and translates Go's escapes in
//! passing. It encodes fields that entries of a journal share once a batch.
//!
//! # Invariants
//!
//! | stage | |
//! |---|---|
//! | [`envelope`] | looks at no message |
//! | [`parse`] | never fails and loses no byte: unreadable text stays text |
//! | [`select`] | knows identifiers and marks, no formats; takes trust away, with a flaw, and never gives it |
//! | [`normalize`] | takes nothing of the host's identity from the guest |
//! | [`schema`] | renames the fields of a finished record and decides nothing else |
//! | [`encode`] | never fails; knows no receiver |
//! | [`path_template`] | makes paths that stay in their directory, and no two alike |
//!
//! The modules below stand in reading order. A module imports only from modules above it.

pub mod flaw;
pub mod component;
pub mod digits;
pub mod name_hash;
pub mod dictionary;
pub mod scan;
pub mod named_enum;
pub mod time;
pub mod record;
pub mod escapes;
pub mod json;
pub mod entry;
pub mod input_format;
pub mod envelope;
pub mod parse;
pub mod select;
pub mod normalize;
pub mod schema;
pub mod encode;
pub mod template;
pub mod path_template;
pub mod stats;
pub mod reference;
pub mod settings;
pub mod rules;
pub mod worker;
