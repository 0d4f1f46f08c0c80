//! katalog: a streaming normalizer for the logs of Kata Containers.
//!
//! This page describes the structure of the code. `README.md` describes the program for its users.
//!
//! ```text
//!  cli ─► config ─► Rules ───┬───────────┬─────────┬───────────┬──────────┐   read-only, lent to every stage
//!                            ▼           ▼         ▼           ▼          ▼
//!  source ──Batch──► Worker [ envelope ─► select ─► parse ─► normalize ─► encode ] ──Chunk──► delivery ──► sink
//!    ▲                        Entry      Component  Payload   Record                             │
//!    └───────────────── Position ◄────────────────────────────────── checkpoint ◄── delivered ───┘
//! ```
//!
//! `run` drives the loop: it fills batches, lets workers process them, and delivers the chunks. `service` handles
//! signals, notifies systemd and serves metrics over HTTP. `diagnostics` prints counters and messages.
//!
//! # Crates
//!
//! | crate | job | depends on |
//! |---|---|---|
//! | `journal-file` | reads systemd journal files, in journalctl's order, live or archived | no other crate here |
//! | `kata-records` | bytes in, records out: every stage between source and delivery | `journal-file`, for its entries |
//! | `log-clients` | delivers to forward and syslog servers, with acknowledgement, TLS and failover | no other crate here |
//! | `katalog` | the program: sources, delivery, sinks, configuration | all three |
//!
//! # Central types
//!
//! - [`Batch`](kata_records::Batch) owns bytes and the spans of the entries in them. A source fills it, a worker
//!   reads it, and the source fills it again.
//! - [`Chunk`](kata_records::Chunk) holds encoded records and the counters of their entries.
//! - [`Position`](source::position::Position) is the place up to which a source was read. It accompanies the records of
//!   its batch, and enters the [`Checkpoint`](delivery::checkpoint::Checkpoint) once the receiver has accepted these
//!   records.
//!
//! # Data flow
//!
//! 1. **In.** `source` reads and decompresses bytes into the arena of a batch. After that, only the unfinished tail of
//!    a batch and the parts of a split line are copied. The journal reader copies only the entries and fields that the
//!    rules may need.
//! 2. **Through.** The stages of `kata-records` pass slices of the batch. The crate's documentation describes them.
//! 3. **Out.** `delivery` writes each chunk to an output at once. For servers it collects records by tag into chunks
//!    of [`log_clients`]. Servers of the forward protocol acknowledge each chunk. Text for people leaves the workers as
//!    NDJSON, and [`view`] renders it right before the output, after sorting.
//!
//! Threads read slices of journal files in parallel, and `run` merges the results into journal order. For any other
//! input, one thread fills batches and all threads process them. In the steady state, an entry needs no allocation.
//!
//! # Invariants
//!
//! Each part keeps to these limits.
//!
//! | part | limits |
//! |---|---|
//! | [`source`] | interprets no message; drops only journal entries that [`source::EntryFilter`] rejects, and archive members that are neither logs nor journals; keeps its memory within the limits of its settings |
//! | [`sink`] | knows no records; compares its file with the inputs, so that none is overwritten |
//! | [`log_clients`] | knows neither records nor their origin; prints nothing |
//! | [`delivery`] | advances the checkpoint only for records that a sink has accepted; holds a bounded amount of data, so an unavailable receiver stops the reading |
//! | [`view`] | shows nothing of a record that a terminal acts on; decides nothing about which records are shown |
//! | [`delivery::external_sort`] | interprets no record; writes records that exceed its memory to disk |
//! | [`delivery::checkpoint`] | is replaced as a whole or not at all; an unreadable one is an error, never a fresh start |
//! | [`explain`] | explains a record only if its text is the host's word; knows no output |
//! | [`run`] | produces equal output for any number of threads and any sizes of reads |
//! | [`service`] | never blocks reading or delivery; changes no record; limits the number, duration and size of connections |
//! | [`diagnostics`] | is the only part that writes to standard error; standard output carries records |
//! | all | no `unsafe`; no panic and no endless loop for any input |
//!
//! # Where to add things
//!
//! A typed key, a flaw or a name in another schema is one line in a table of `kata-records`; a component has a line in
//! each table of its `component.rs` that recognizes it. A known failure is an entry of `explain/patterns.toml`. An option
//! has three places: its [declaration](config::declaration) in the file of its group in `config`, its key in
//! `default.toml`, and its use in the settings of the group. A command is a value of [`config::Command`], its texts in
//! `cli/help.rs`, and its work in [`app`]. `README.md` says more under Contributing.
//!
//! The modules below are in reading order. A module imports only from modules above it.

pub mod exit;
pub mod explain;
pub mod source;
pub mod diagnostics;
pub mod sink;
pub mod view;
pub mod delivery;
pub mod service;
pub mod config;
pub mod run;
pub mod cli;
pub mod app;
