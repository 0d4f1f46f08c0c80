//! Clients of log servers: Fluentd's forward protocol and syslog, with acknowledgement, TLS and failover.
//!
//! ```text
//!  Client ─► forward or syslog: requests, replies ─► net: servers, connections (tls) ─► bytes out, bytes in
//! ```
//!
//! Clients print nothing and read no clock but the monotonic one: an [`Observer`] receives their [`Event`]s, and a
//! [`Shutdown`] says until when they may deliver.

mod names;
mod shutdown;
pub mod net;
mod event;
pub mod forward;
pub mod syslog;
mod client;

pub use client::{Chunk, Client, Counters, Receiver, Refused};
pub use event::{Event, Observer};
pub use forward::Mode;
pub use names::UnknownName;
pub use net::{Address, Cause, NetError, Spread};
pub use shutdown::Shutdown;
pub use syslog::Framing;
