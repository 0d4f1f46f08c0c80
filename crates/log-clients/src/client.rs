//! The trait that clients of all protocols implement.

use std::fmt;

use crate::chunk::{Chunk, Refused};
use crate::error::NetError;
use crate::shutdown::Shutdown;
use crate::status::{Counters, StatusHandle};

/// Delivers chunks to servers.
pub trait Client: Send + fmt::Debug {
    /// Delivers a chunk, with retries until a server has it. Returns the records that no server accepts.
    ///
    /// # Errors
    /// If the shutdown deadline passes, or nothing was delivered for longer than the settings allow. In a one-shot run
    /// also if a server refuses the configuration.
    fn deliver(&mut self, chunk: &Chunk, shutdown: &dyn Shutdown) -> Result<Vec<Refused>, NetError>;

    /// Returns whether delivered records may still turn out to be lost.
    ///
    /// By default they may not: protocols with acknowledgements leave no doubt.
    fn is_in_doubt(&self) -> bool {
        false
    }

    /// Sends again the records that broken connections may have lost.
    ///
    /// # Errors
    /// As for [`deliver`](Client::deliver).
    fn settle(&mut self, _shutdown: &dyn Shutdown) -> Result<(), NetError> {
        Ok(())
    }

    /// Closes the connections in good order, and sends again the records that turn out to be lost.
    ///
    /// # Errors
    /// As for [`deliver`](Client::deliver).
    fn finish(&mut self, _shutdown: &dyn Shutdown) -> Result<(), NetError> {
        Ok(())
    }

    /// Returns a handle to the status of the client and its servers, for other threads.
    fn status(&self) -> StatusHandle;

    /// Returns the counters of this client.
    fn counters(&self) -> &Counters;
}
