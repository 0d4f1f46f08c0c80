//! The client's side of Fluentd's forward protocol: chunks of entries go to a server, and are done once it says so.
//!
//! ```text
//!  Settings ─► Client::deliver(Chunk) ─► servers: which one ─► connection (tls, handshake) ─► request … reply
//!                     ▲                                                                               │
//!                     └──────────── parts: what is left, and what can never be taken ◄────────────────┘
//! ```
//!
//! It knows nothing of records and where they come from. Its facts are those of the protocol's specification, version
//! 1.5, and of what its servers do: Fluentd, Fluent Bit, Vector and the collector of OpenTelemetry.

pub mod address;
pub mod client;
pub mod error;
pub mod request;
pub mod settings;

mod connection;
mod handshake;
mod parts;
mod reply;
mod servers;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;

#[cfg(test)]
mod tests;

pub use address::{Address, AddressError, Place};
pub use client::{Client, Counters, Refused};
pub use error::{Cause, ForwardError};
pub use request::Chunk;
pub use settings::{Mode, Secret, Settings, Spread, TlsSettings};
