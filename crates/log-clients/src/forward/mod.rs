//! The client's side of Fluentd's forward protocol: chunks of entries go to a server, and are done once it says so.
//!
//! ```text
//!  Settings ─► Client::deliver(Chunk) ─► net: which server ─► connection (tls, handshake) ─► request … reply
//!                     ▲                                                                              │
//!                     └──────────── parts: what is left, and what can never be taken ◄───────────────┘
//! ```
//!
//! It knows nothing of records and where they come from. Its facts are those of the protocol's specification, version
//! 1.5, and of what its servers do: Fluentd, Fluent Bit, Vector and the collector of OpenTelemetry.

pub mod client;
pub mod settings;

mod connection;
mod handshake;
mod parts;
mod reply;
mod request;

#[cfg(test)]
mod tests;

pub use client::ForwardClient;
pub use settings::{Mode, Secret, Settings};
