//! The program as a service: signals from the host, and status for the service manager and HTTP clients.

pub mod file_metrics;
pub mod http;
pub mod notify;
pub mod prometheus;
pub mod signals;
pub mod status;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the time since 1970. Records contain it only as the time of forward events that have no time of their own.
pub(crate) fn unix_time() -> Duration {
    #[expect(
        clippy::disallowed_methods,
        reason = "lag is measured by the clock, and the protocol has no event without a time"
    )]
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
