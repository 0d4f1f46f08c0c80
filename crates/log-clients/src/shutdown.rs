//! The end that the caller sets for deliveries.

use std::time::Instant;

/// Tells a client until when it may go on.
pub trait Shutdown: Sync {
    /// Returns when deliveries have to end; `None` while nobody asked for the end.
    ///
    /// A client that waits asks several times a second, so an implementation may count each call as a sign of life.
    fn deadline(&self) -> Option<Instant>;
}

/// A deadline that is known from the beginning.
impl Shutdown for Instant {
    fn deadline(&self) -> Option<Instant> {
        Some(*self)
    }
}
