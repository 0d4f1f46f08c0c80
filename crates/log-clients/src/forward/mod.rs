//! The client's side of Fluentd's forward protocol: chunks of entries go to a server, and are done once it says so.
//!
//! ```text
//!  settings ─► Client::deliver(Chunk) ─► net: which server ─► connection (tls, handshake) ─► request … reply
//!                     ▲                                                                              │
//!                     └──────────── parts: what is left, and what can never be taken ◄───────────────┘
//! ```
//!
//! It knows nothing of records and where they come from. Its facts are those of the protocol's specification, version
//! 1.5, and of what its servers do: Fluentd, Fluent Bit, Vector and the collector of OpenTelemetry.

mod client;
mod connection;
mod handshake;
mod pending;
mod reply;
mod request;
mod settings;

#[cfg(test)]
mod tests;

pub(crate) use client::ForwardClient;
pub use settings::{ForwardClientSettings, ForwardMode, Secret};
