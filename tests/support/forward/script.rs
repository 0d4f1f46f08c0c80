//! What a server does, connection by connection and request by request.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use super::Request;
use super::handshake::Greeting;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Its events are taken and acknowledged.
    Ack,
    /// The same, so much later.
    Late(Duration),
    /// The ack's id is of bytes.
    AckOfBytes,
    /// The ack comes byte by byte.
    Split,
    /// The ack comes in one piece with the next reply.
    Hold,
    /// The ack comes twice, in one piece.
    Twice,
    /// The events are taken, and nothing is said.
    Silence,
    /// The events are taken, and another id is acknowledged.
    WrongId,
    /// The events are taken, and these bytes come back.
    Bytes(Vec<u8>),
    /// The events are taken, and the connection is closed in place of the ack: the ack is lost.
    Lose,
    /// The events are not taken, and the connection is closed.
    Refuse,
    /// The events are not taken: the empty map, and the connection is closed, as Vector does.
    Nack,
    /// The events are not taken: the empty map, and the connection stays.
    NackOnly,
}

impl Reply {
    /// Whether the receiver has the events from then on.
    pub(crate) fn takes(&self) -> bool {
        !matches!(self, Reply::Refuse | Reply::Nack | Reply::NackOnly)
    }
}

/// Where the input of a connection ends before the client wants it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind so many bytes, those of the handshake among them.
    Byte(u64),
    /// Inside a request of this connection, counted from 0, behind so many of its bytes.
    Inside(usize, u64),
}

/// What happens to a connection as such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conduct {
    /// Where it is closed.
    pub(crate) cut: Option<Place>,
    /// From where on it stays open and nothing is read.
    pub(crate) deaf: Option<Place>,
    /// At most so many bytes are read at a time, and then it rests.
    pub(crate) pace: Option<(usize, Duration)>,
}

impl Conduct {
    pub(crate) fn cut(place: Place) -> Conduct {
        Conduct { cut: Some(place), ..Conduct::default() }
    }

    pub(crate) fn deaf(place: Place) -> Conduct {
        Conduct { deaf: Some(place), ..Conduct::default() }
    }

    pub(crate) fn pace(bytes: usize, rest: Duration) -> Conduct {
        Conduct { pace: Some((bytes, rest)), ..Conduct::default() }
    }
}

type Replies = dyn Fn(&Request) -> Reply + Send + Sync;
type Conducts = dyn Fn(usize) -> Conduct + Send + Sync;

/// The whole script. By itself it takes and acknowledges everything, without a handshake.
#[derive(Clone)]
pub(crate) struct Script {
    pub(super) replies: Arc<Replies>,
    pub(super) conducts: Arc<Conducts>,
    pub(super) greeting: Option<Greeting>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) poison: Option<Vec<u8>>,
}

impl Default for Script {
    fn default() -> Script {
        Script {
            replies: Arc::new(|_| Reply::Ack),
            conducts: Arc::new(|_| Conduct::default()),
            greeting: None,
            tls: None,
            poison: None,
        }
    }
}

impl Script {
    /// What each request gets.
    pub(crate) fn replies(mut self, reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Script {
        self.replies = Arc::new(reply);
        self
    }

    /// What happens to each connection; they are counted from 0.
    pub(crate) fn connections(mut self, conduct: impl Fn(usize) -> Conduct + Send + Sync + 'static) -> Script {
        self.conducts = Arc::new(conduct);
        self
    }

    /// Demands a handshake.
    pub(crate) fn greets(mut self, greeting: Greeting) -> Script {
        self.greeting = Some(greeting);
        self
    }

    /// Speaks TLS.
    pub(crate) fn tls(mut self, config: Arc<ServerConfig>) -> Script {
        self.tls = Some(config);
        self
    }

    /// Refuses each request that has these bytes in its entries, decompressed.
    pub(crate) fn poison(mut self, marker: &[u8]) -> Script {
        self.poison = Some(marker.to_vec());
        self
    }
}
