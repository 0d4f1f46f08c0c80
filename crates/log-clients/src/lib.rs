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
mod address;
mod settings;
mod error;
mod event;
mod chunk;
mod status;
mod client;
mod net;
mod forward;
mod syslog;
mod receiver;

pub use address::{Address, AddressError, Place, Protocol};
pub use chunk::{Chunk, Refused};
pub use client::Client;
pub use error::{Cause, NetError};
pub use event::{Event, Observer};
pub use forward::{ForwardClientSettings, Mode, Secret};
pub use names::UnknownName;
pub use receiver::Receiver;
pub use settings::{ServerSettings, Spread, TlsSettings};
pub use shutdown::Shutdown;
pub use status::{Counters, Live, State};
pub use syslog::{Framing, SyslogClientSettings};
