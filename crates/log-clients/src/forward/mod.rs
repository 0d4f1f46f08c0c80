//! A client of Fluentd's forward protocol. A chunk is delivered once a server has acknowledged all of its entries.
//!
//! ```text
//!  Chunk ─► ForwardClient ─► net: server ─► connection (TLS, handshake) ─► request … reply
//!                 ▲                                                             │
//!                 └───────── pending: parts left to deliver, refused records ◄──┘
//! ```
//!
//! The client follows version 1.5 of the protocol's specification. It is compatible with Fluentd, Fluent Bit, Vector
//! and the OpenTelemetry Collector.

mod client;
mod connection;
mod handshake;
mod pending;
mod reply;
mod request;
mod request_limit;
mod server;
mod settings;

#[cfg(test)]
mod tests;

pub(crate) use client::ForwardClient;
pub use settings::{ForwardClientSettings, Secret};
