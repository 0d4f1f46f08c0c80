//! katalog: a streaming normalizer for the logs of Kata Containers.
//!
//! This page is the map of the code. What the program does for its users is in `README.md`.
//!
//! ```text
//!  cli ─► config ─► rules ───┬──────────┬─────────┬───────────┬──────────┐   lent to every stage, read-only
//!                            ▼          ▼         ▼           ▼          ▼
//!  source ──Batch──► Worker [ carrier ─► select ─► parse ─► normalize ─► encode ] ──Chunk──► delivery ──► sink
//!    ▲                        Entry     Component  Payload   Record                             │
//!    └───────────────── Position ◄───────────────────────────────── checkpoint ◄── delivered ───┘
//!  run: fill, work, deliver                          signals, stop: what the host asks for     report: counters, messages
//!  status: how it goes, as the loops tell it ─► metrics, health (HTTP), notify (systemd)      pulse: signs of life
//! ```
//!
//! # The types that travel
//!
//! - [`entry::Batch`] owns bytes and says where in them each entry begins and ends. It is filled, worked on and filled
//!   again. [`entry::Raw`] is one entry of it: bytes, or the fields of a journal's entry, of which a batch has each once.
//! - [`carrier::Entry`] is an entry without its wrapping: the journal's, syslog's or container runtime's fields, the
//!   identifier, the message.
//! - [`parse::Payload`] is what the message says: pairs of the host's writer, and apart from them those of a writer inside
//!   it, mostly the guest.
//! - [`component::Component`] is whose entry it is; none if it is not Kata's.
//! - [`record::Record`] is what will be written: flat, each name once, each name with one type.
//! - [`flaw::Flaws`] is what was wrong on the way. Content never makes an error: errors are for inputs, outputs and options.
//! - [`pipeline::Chunk`] is encoded records and the counters of the entries they came from.
//! - [`source::position::Position`] is how far a source was read with a batch. It goes with the records of the batch, and into the
//!   [`delivery::checkpoint::Checkpoint`] when the receiver has them.
//!
//! # How a byte travels
//!
//! 1. **In.** `source` reads it into the arena of a batch, decompressed where it was compressed. Only the unfinished
//!    tail of a batch is moved, and the parts of a split line are joined; everything else stays where it was read. From a
//!    journal only entries that the rules may want are read, and of these no field that they do not.
//! 2. **Through.** The stages pass slices. A value keeps the escapes of its writer and says which they are
//!    ([`record::Form`]); it is decoded only where its content matters, into a bump allocator that is reset after each
//!    batch. Nested JSON stays a slice. A type is a tag on the text, checked when it is given.
//! 3. **Out.** `encode` appends to the chunk: clean text and JSON strings are copied, Go's escapes are translated in
//!    passing. What entries of a journal have in common is encoded once for a batch. `delivery` hands chunks to the sink
//!    whole: at once to an output, gathered by tag to a forward server, which acknowledges them, gathered to a server of
//!    syslog, which does not.
//!
//! On several threads, a journal's files are read in pieces side by side, and [`run::shards`] puts what came of them in the
//! journal's order; any other input is cut into batches by one thread and worked off by all ([`run::relay`]).
//!
//! In the steady state nothing is allocated for an entry.
//!
//! # Invariants
//!
//! What each part does *not* do is what makes the others simple.
//!
//! | part | |
//! |---|---|
//! | [`source`] | does not look at what an entry says; drops none but those of a journal that [`source::Interest`] does not admit, and members of archives that are no logs; its memory is bounded by its settings |
//! | [`carrier`] | does not look into the message |
//! | [`parse`] | does not fail, and loses no byte: what it cannot read is text |
//! | [`select`] | knows identifiers and marks, no formats; it only ever takes trust away, with a flaw |
//! | [`normalize`] | takes nothing of the host's identity from the guest; no clock, environment, input or output |
//! | [`schema`] | gives the fields of a finished record other names, and decides nothing else; is not there for katalog's own |
//! | [`encode`] | does not fail, does not know where the bytes go |
//! | [`sink`] | does not know what a record is, nor where it is from |
//! | [`delivery::sort`] | does not look into a record; its memory is bounded by its setting, and what does not fit is on disk |
//! | [`delivery`] | moves the checkpoint on only for what a sink has taken; what it holds is bounded, so a receiver that is away stops the reading |
//! | [`split`] | makes paths that stay in their directory, and no two alike, whatever a record says |
//! | [`delivery::checkpoint`] | is replaced as a whole or not at all; what it cannot read is an error, never a beginning |
//! | [`pipeline`] | keeps nothing between entries but empty buffers, so any worker may take any batch |
//! | [`run::relay`] | has batches worked off on several threads, and gives them back in their order |
//! | [`run::shards`] | reads journals ahead on several threads, within bounds, and gives what one would give |
//! | [`run`] | does not depend on time: the number of threads and the cut of reads do not show in the output |
//! | [`service::status`] | is told by the loops once for a batch and never makes them wait; nothing of it shows in records |
//! | [`service::health`] | waits for nobody: so many connections, so much time and so many bytes for each |
//! | [`diagnostics`] | is the only one that writes to standard error; records are all that goes to standard output |
//! | all | no `unsafe`; no panic and no loop without end, whatever the input |
//!
//! # Where to add what
//!
//! A component, a key with a type, a flaw, a name in another schema: one line in the table of [`component`],
//! [`dictionary`], [`flaw`], [`schema`]. A format of
//! messages, carriers or output: one file in [`parse`], [`carrier`] or [`encode`] and an arm in its `mod.rs`. An option:
//! a field of [`config::options::Options`], which is flag, variable and key at once, and its line in `default.toml`.
//!
//! The modules below stand in the order to read them in: words, stages in the order of the flow, what joins them. A
//! module uses only those above it.

pub mod flaw;
pub mod component;
pub mod digits;
pub mod names;
pub mod dictionary;
pub mod scan;
pub mod time;
pub mod record;
pub mod text;
pub mod json;
pub mod cursor;
pub mod pulse;
pub mod stop;
pub mod entry;
pub mod source;
pub mod carrier;
pub mod parse;
pub mod select;
pub mod normalize;
pub mod schema;
pub mod encode;
pub mod tag;
pub mod split;
pub mod exit;
pub mod diagnostics;
pub mod sink;
pub mod delivery;
pub mod service;
pub mod config;
pub mod rules;
pub mod pipeline;
pub mod run;
pub mod cli;
