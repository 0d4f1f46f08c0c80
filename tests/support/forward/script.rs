//! The behaviour of a server, connection by connection and request by request.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use super::Request;
use super::handshake::Greeting;

/// The response to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Accepts the events and acknowledges them.
    Ack,
    /// Acknowledges this much later.
    Late(Duration),
    /// Acknowledges with an id of bytes.
    AckOfBytes,
    /// Sends the ack byte by byte.
    Split,
    /// Sends the ack together with the next reply.
    Hold,
    /// Sends the ack twice, in one write.
    Twice,
    /// Accepts the events, and sends nothing.
    Silence,
    /// Accepts the events, and acknowledges another id.
    WrongId,
    /// Accepts the events, and sends these bytes.
    Bytes(Vec<u8>),
    /// Accepts the events, and closes the connection instead of an ack: the ack is lost.
    Lose,
    /// Refuses the events, and closes the connection.
    Refuse,
    /// Refuses the events: sends the empty map and closes the connection, as Vector does.
    Nack,
    /// Refuses the events: sends the empty map, and keeps the connection.
    NackOnly,
}

impl Reply {
    /// Returns true if the receiver has the events from then on.
    pub(crate) fn takes(&self) -> bool {
        !matches!(self, Reply::Refuse | Reply::Nack | Reply::NackOnly)
    }
}

/// A point at which the server stops reading a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutPoint {
    /// After this many bytes, including those of the handshake.
    Byte(u64),
    /// Inside a request of this connection, counted from 0, after this many of its bytes.
    Inside(usize, u64),
}

/// The behaviour of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionScript {
    /// The point at which it is closed.
    pub(crate) cut: Option<CutPoint>,
    /// The point from which it stays open but is not read.
    pub(crate) stalled: Option<CutPoint>,
    /// The maximum size of a read, and the rest after it.
    pub(crate) throttled: Option<(usize, Duration)>,
}

impl ConnectionScript {
    pub(crate) fn cut(place: CutPoint) -> ConnectionScript {
        ConnectionScript { cut: Some(place), ..ConnectionScript::default() }
    }

    pub(crate) fn stalled(place: CutPoint) -> ConnectionScript {
        ConnectionScript { stalled: Some(place), ..ConnectionScript::default() }
    }

    pub(crate) fn throttled(bytes: usize, rest: Duration) -> ConnectionScript {
        ConnectionScript { throttled: Some((bytes, rest)), ..ConnectionScript::default() }
    }
}

type Replies = dyn Fn(&Request) -> Reply + Send + Sync;
type ConnectionScripts = dyn Fn(usize) -> ConnectionScript + Send + Sync;

/// The whole script. By default it accepts and acknowledges everything, without a handshake.
#[derive(Clone)]
pub(crate) struct Script {
    pub(super) replies: Arc<Replies>,
    pub(super) connection_scripts: Arc<ConnectionScripts>,
    pub(super) greeting: Option<Greeting>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) poison: Option<Vec<u8>>,
}

impl Default for Script {
    fn default() -> Script {
        Script {
            replies: Arc::new(|_| Reply::Ack),
            connection_scripts: Arc::new(|_| ConnectionScript::default()),
            greeting: None,
            tls: None,
            poison: None,
        }
    }
}

impl Script {
    /// Sets the reply to each request.
    pub(crate) fn replies(mut self, reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Script {
        self.replies = Arc::new(reply);
        self
    }

    /// Sets the behaviour of each connection; they are counted from 0.
    pub(crate) fn connections(mut self, conduct: impl Fn(usize) -> ConnectionScript + Send + Sync + 'static) -> Script {
        self.connection_scripts = Arc::new(conduct);
        self
    }

    /// Requires a handshake.
    pub(crate) fn greets(mut self, greeting: Greeting) -> Script {
        self.greeting = Some(greeting);
        self
    }

    /// Uses TLS.
    pub(crate) fn tls(mut self, config: Arc<ServerConfig>) -> Script {
        self.tls = Some(config);
        self
    }

    /// Refuses each request whose decompressed entries contain these bytes.
    pub(crate) fn poison(mut self, marker: &[u8]) -> Script {
        self.poison = Some(marker.to_vec());
        self
    }
}
