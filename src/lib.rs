//! katalog: a streaming normalizer for the logs of Kata Containers.
//!
//! This page is the map of the code. `README.md` says what the program does for its users.
//!
//! ```text
//!  cli ─► config ─► Rules ───┬──────────┬─────────┬───────────┬──────────┐   read-only, lent to every stage
//!                            ▼          ▼         ▼           ▼          ▼
//!  source ──Batch──► Worker [ carrier ─► select ─► parse ─► normalize ─► encode ] ──Chunk──► delivery ──► sink
//!    ▲                        Entry     Component  Payload   Record                             │
//!    └───────────────── Position ◄───────────────────────────────── checkpoint ◄── delivered ───┘
//! ```
//!
//! `run` drives the loop: fill, work, deliver. `service` listens to signals and reports to systemd and HTTP. `diagnostics`
//! prints counters and messages.
//!
//! # Crates
//!
//! | crate | job | depends on |
//! |---|---|---|
//! | `journal-file` | reads systemd journal files, in journalctl's order, live or archived | nothing of ours |
//! | `kata-records` | bytes in, records out: every stage between source and delivery | `journal-file`, for its entries |
//! | `log-clients` | delivers to forward and syslog servers, with acknowledgement, TLS and failover | nothing of ours |
//! | `katalog` | the program: sources, delivery, sinks, configuration | all three |
//!
//! # The types that travel
//!
//! - [`Batch`](kata_records::Batch) owns bytes and the spans of the entries in them. A source fills it, a worker
//!   reads it, and the source fills it again.
//! - [`Chunk`](kata_records::Chunk) holds encoded records and the counters of their entries.
//! - [`Position`](source::position::Position) says how far a source was read. It travels with the records of its batch and
//!   enters the [`Checkpoint`](delivery::checkpoint::Checkpoint) once the receiver has them.
//!
//! # How a byte travels
//!
//! 1. **In.** `source` reads it into the arena of a batch and decompresses it on the way. Only the unfinished tail of a batch
//!    moves, and the parts of a split line are joined. A journal's reader copies only the entries and fields that the rules
//!    may want.
//! 2. **Through.** The stages of `kata-records` pass slices. Its page says more.
//! 3. **Out.** `delivery` hands chunks to the sink whole: to an output at once, to a server gathered by tag. The server of
//!    the forward protocol acknowledges them.
//!
//! A journal's files are read in slices side by side, and `run` puts the results in the order of the journal. One thread
//! cuts any other input into batches, and all threads work on them. The steady state allocates nothing for an entry.
//!
//! # Invariants
//!
//! Each part stays simple because of what it does *not* do.
//!
//! | part | |
//! |---|---|
//! | [`source`] | looks at no message; drops only entries of a journal that [`source::EntryFilter`] refuses, and members of archives that are no logs; its settings bound its memory |
//! | [`sink`], [`log_clients`] | know neither records nor their origin; [`log_clients`] prints nothing |
//! | [`delivery`] | moves the checkpoint only for what a sink has taken; holds a bounded amount, so a receiver that is away stops the reading |
//! | [`delivery::external_sort`] | looks into no record; writes to disk what exceeds its memory |
//! | [`delivery::checkpoint`] | is replaced as a whole or not at all; an unreadable one is an error, never a fresh start |
//! | [`run`] | gives the same output for any number of threads and any cut of the reads |
//! | [`service`] | never makes a loop wait; changes no record; bounds its connections, their time and their bytes |
//! | [`diagnostics`] | alone writes to standard error; standard output carries records |
//! | all | no `unsafe`; no panic and no endless loop, whatever the input |
//!
//! # Where to add things
//!
//! A component, a typed key, a flaw or a name in another schema is one line in a table of `kata-records`. An option is a field
//! of [`config::options::Options`], which declares flag, variable and key at once, and a line of `default.toml`.
//!
//! The modules below stand in reading order. A module imports only from modules above it.

pub mod exit;
pub mod source;
pub mod diagnostics;
pub mod sink;
pub mod delivery;
pub mod service;
pub mod config;
pub mod run;
pub mod cli;
pub mod app;
