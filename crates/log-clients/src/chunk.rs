//! Chunks of encoded entries, and the entries that servers refuse.

use std::ops::Range;

/// Entries for one tag, as their encoder wrote them. They go out together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// What receivers route by; empty where the protocol has none.
    pub tag: Vec<u8>,
    /// The entries one after the other: events of the forward protocol, each an array of a time and a map, of which the
    /// time is an extension of type 0 with eight bytes, `d7 00`, seconds and nanoseconds; or syslog messages.
    pub entries: Vec<u8>,
    /// Where in `entries` each one ends.
    pub ends: Vec<usize>,
    /// What an acknowledgement names. It belongs to the content: the same content has the same id.
    pub id: [u8; 16],
}

impl Chunk {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of some entries, by their numbers.
    pub(crate) fn bytes(&self, entries: &Range<usize>) -> &[u8] {
        let end = |count: usize| count.checked_sub(1).map_or(0, |last| self.ends.get(last).copied().unwrap_or(0));
        self.entries.get(end(entries.start)..end(entries.end)).unwrap_or_default()
    }
}

/// A record that a server cannot take, while it takes others. It is not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What it would have been routed by.
    pub tag: Vec<u8>,
    /// The entry, as it stands in the chunk.
    pub entry: Vec<u8>,
    /// What the server does about it.
    pub reason: String,
    /// The server.
    pub server: String,
}
