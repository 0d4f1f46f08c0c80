//! The streams of standard outputs, of which journald may have cut a line. Entries are judged in their order, so the first
//! entries of a range count as whole.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};

use journal_file::{Continuation, EntryFilter};

/// The limit of withheld text after one print, in bytes.
const MAX_WITHHELD: usize = 1 << 20;
/// The number of streams whose state is kept.
const MAX_STREAMS: usize = 1024;

/// The state of a stream after its last entry.
#[derive(Clone, Copy, Default)]
struct Past {
    /// The entry has a `_LINE_BREAK`.
    is_cut: bool,
    /// A print of secrets is open, and this many bytes after it were withheld.
    withheld: Option<usize>,
}

/// The states of streams.
#[derive(Default)]
pub(super) struct Streams {
    past: HashMap<u64, Past>,
}

/// The fields of an entry that matter.
#[derive(Default)]
pub(super) struct StreamEntry {
    stream: Option<u64>,
    is_cut: bool,
    message: Vec<u8>,
    /// The rest of the message was not read, so nobody knows how it ends.
    is_unfinished: bool,
}

impl StreamEntry {
    /// Forgets the last entry.
    pub(super) fn clear(&mut self) {
        (self.stream, self.is_cut, self.is_unfinished) = (None, false, false);
        self.message.clear();
    }

    /// Notes a field. `is_unfinished` says that its value goes on.
    pub(super) fn note(&mut self, name: &[u8], value: &[u8], is_unfinished: bool) {
        match name {
            b"_STREAM_ID" => {
                let mut hasher = DefaultHasher::new();
                hasher.write(value);
                self.stream = Some(hasher.finish());
            }
            b"_LINE_BREAK" => self.is_cut = true,
            b"MESSAGE" if self.message.is_empty() => {
                self.message.extend_from_slice(value);
                self.is_unfinished = is_unfinished;
            }
            _ => {}
        }
    }
}

impl Streams {
    /// Returns the relation of an entry to the one before it in its stream.
    pub(super) fn judge(&mut self, entry: &StreamEntry, filter: &dyn EntryFilter) -> Continuation {
        let Some(stream) = entry.stream else { return Continuation::Whole };
        let past = self.past.get(&stream).copied().unwrap_or_default();
        let is_proven = !past.is_cut && !entry.is_unfinished && filter.proves_itself(&entry.message);
        let withheld = past.withheld.filter(|_| !is_proven).map(|bytes| bytes + entry.message.len());
        let still = withheld.filter(|bytes| *bytes < MAX_WITHHELD);
        // A filter for which even an empty message proves itself hides nothing.
        let may_hide = !filter.proves_itself(b"");
        let leaves_open = if entry.is_unfinished { may_hide } else { filter.leaves_open(&entry.message) };
        let next = if leaves_open { Some(0) } else { still };
        if self.past.len() >= MAX_STREAMS {
            self.past.clear();
        }
        if entry.is_cut || next.is_some() {
            self.past.insert(stream, Past { is_cut: entry.is_cut, withheld: next });
        } else {
            self.past.remove(&stream);
        }
        match (withheld, past.is_cut) {
            (Some(_), _) => Continuation::Withheld,
            (None, true) => Continuation::Rest,
            (None, false) => Continuation::Whole,
        }
    }
}
