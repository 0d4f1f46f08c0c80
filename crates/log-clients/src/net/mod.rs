//! What all ways over the network have in common: where servers are, which of them is used, connections, and why they
//! fail. What is said on a connection is for the protocols.
//!
//! ```text
//!  settings ─► Peers: which server, how long to wait ─► Connection (tls) ─► bytes out, bytes in
//! ```

pub(crate) mod connection;
pub(crate) mod server_pool;
mod server_selector;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
