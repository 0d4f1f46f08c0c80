//! The network layer that all protocols share: server selection, connections, TLS and retries.
//!
//! ```text
//!  settings ─► ServerPool (ServerSelector): server, backoff ─► Connection (TLS) ─► bytes out, bytes in
//! ```

mod address_order;
pub(crate) mod connection;
pub(crate) mod server_pool;
mod server_selector;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
