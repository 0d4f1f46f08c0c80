//! Events that a client reports to its operators.

use std::fmt;
use std::time::Duration;

use crate::error::Cause;

/// An event of a client. Its `Display` is a message for operators.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A server failed. Further failures of one server within a minute are not reported.
    Unavailable {
        /// The address of the server.
        server: &'a str,
        /// The failure.
        cause: &'a Cause,
        /// The time until the next attempt.
        retry_in: Duration,
    },
    /// A server that had failed accepted records.
    Recovered {
        /// The address of the server.
        server: &'a str,
    },
    /// The settings disable the verification of the certificate of a server.
    CertificateUnchecked {
        /// The address of the server.
        server: &'a str,
    },
    /// A connection broke, and messages that it may have lost could not be sent again.
    MessagesInDoubt {
        /// The number of messages.
        messages: usize,
    },
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Unavailable { server, cause, retry_in } => {
                write!(f, "{server}: {cause}; trying it again in {:.1} s", retry_in.as_secs_f64())
            }
            Event::Recovered { server } => write!(f, "{server}: it takes records again"),
            Event::CertificateUnchecked { server } => write!(
                f,
                "warning: the certificate of {server} is not checked, so anybody on the way can read and change what is \
                 sent"
            ),
            Event::MessagesInDoubt { messages } => write!(
                f,
                "{messages} messages were sent on a connection that broke, and may be lost: they could not be sent again"
            ),
        }
    }
}

/// Receives the events of a client. The default ignores them.
pub struct Observer(Box<dyn Fn(&Event<'_>) + Send>);

impl Observer {
    /// Calls a function with each event, on the delivering thread.
    #[must_use]
    pub fn new(observe: impl Fn(&Event<'_>) + Send + 'static) -> Observer {
        Observer(Box::new(observe))
    }

    pub(crate) fn notify(&self, event: &Event<'_>) {
        (self.0)(event);
    }
}

impl Default for Observer {
    fn default() -> Observer {
        Observer::new(|_| {})
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
