//! The conduct of the receiver between two kills, and the program's flags for it.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::rng::Rng;
use crate::support::forward::handshake::Greeting;

/// The shared key of the receiver.
pub(crate) const KEY: &str = "s3cret";

/// The program's wait for an ack from a receiver that is slow. The default is longer than a crash test.
const ACK_TIMEOUT: &str = "60ms";

/// The conduct of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Conduct {
    /// It reads and acknowledges at once.
    Prompt,
    /// It reads so slowly that a whole batch takes longer than the wait for its ack.
    Slow,
    /// It sends some acks after the wait for them.
    Late,
    /// It requires a shared key and no user, and sends a salt for users, as Fluentd does.
    Keyed,
}

impl Conduct {
    /// All kinds of conduct.
    pub(crate) const ALL: [Conduct; 4] = [Conduct::Prompt, Conduct::Slow, Conduct::Late, Conduct::Keyed];

    /// Returns a kind of conduct. Prompt receivers are twice as frequent, so that the program catches up.
    pub(crate) fn any(rng: &mut Rng) -> Conduct {
        *Conduct::ALL.get(rng.within(0..5) as usize).unwrap_or(&Conduct::Prompt)
    }

    /// Returns the program's flags for the receiver.
    pub(crate) fn arguments(self, key: &Path) -> Vec<OsString> {
        match self {
            Conduct::Prompt => Vec::new(),
            Conduct::Slow | Conduct::Late => ["--ack-timeout", ACK_TIMEOUT].map(OsString::from).into(),
            Conduct::Keyed => vec!["--shared-key-file".into(), key.into()],
        }
    }

    /// Returns the most bytes of a read, and the pause before it.
    pub(crate) fn throttle(self) -> Option<(usize, Duration)> {
        (self == Conduct::Slow).then_some((600, Duration::from_millis(10)))
    }

    /// Returns the time between the request of this number and its ack.
    pub(crate) fn ack_delay(self, request: usize) -> Option<Duration> {
        (self == Conduct::Late && request.is_multiple_of(3)).then_some(Duration::from_millis(120))
    }

    /// Returns the handshake.
    pub(crate) fn greeting(self) -> Option<Greeting> {
        (self == Conduct::Keyed).then(|| Greeting::with_key(KEY))
    }

    /// Returns the name of the figure that counts the starts with the receiver.
    pub(crate) fn starts(self) -> &'static str {
        match self {
            Conduct::Prompt => "starts with a prompt receiver",
            Conduct::Slow => "starts with a receiver that reads slowly",
            Conduct::Late => "starts with late acks",
            Conduct::Keyed => "starts with a key and no user",
        }
    }

    /// Returns true if the program halves its requests, because acks come after its wait for them.
    pub(crate) fn is_slow(self) -> bool {
        matches!(self, Conduct::Slow | Conduct::Late)
    }
}
