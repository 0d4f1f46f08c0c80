//! The choice between the protocols.

use crate::client::Client;
use crate::error::NetError;
use crate::event::Observer;
use crate::forward::{ForwardClient, ForwardClientSettings};
use crate::syslog::{SyslogClient, SyslogClientSettings};

/// The protocol and settings of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// Fluentd's forward protocol.
    Forward(ForwardClientSettings),
    /// Syslog.
    Syslog(SyslogClientSettings),
}

impl Receiver {
    /// Creates the client. Checks the settings and reads the files that they name, but opens no connection.
    ///
    /// # Errors
    /// If the settings contradict each other, name unusable files, or need a feature that this build leaves out.
    pub fn client(self, observer: Observer) -> Result<Box<dyn Client>, NetError> {
        Ok(match self {
            Receiver::Forward(settings) => Box::new(ForwardClient::new(settings, observer)?),
            Receiver::Syslog(settings) => Box::new(SyslogClient::new(settings, observer)?),
        })
    }
}
