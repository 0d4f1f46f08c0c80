//! The deadline that a caller sets for deliveries.

use std::time::Instant;

/// Limits how long a client may go on delivering.
pub trait Shutdown: Sync {
    /// Returns the time at which deliveries must end; `None` while no shutdown is requested.
    ///
    /// A waiting client calls this function several times a second, so an implementation may use it as a heartbeat.
    fn deadline(&self) -> Option<Instant>;
}

/// A fixed deadline.
impl Shutdown for Instant {
    fn deadline(&self) -> Option<Instant> {
        Some(*self)
    }
}
