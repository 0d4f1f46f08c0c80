//! Chunks of encoded entries, and the entries that servers refuse.

use std::hash::Hasher as _;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use rmp::encode::{write_map_len, write_str_len};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// The head of an event of the forward protocol: an array of two, and an extension of type 0 with eight bytes.
const EVENT: [u8; 3] = [0x92, 0xd7, 0x00];

/// Encoded entries that are delivered together.
///
/// A client of the forward protocol takes events, a client of syslog takes messages. Events of one chunk share its tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    tag: Vec<u8>,
    /// The entries, one after the other.
    entries: Vec<u8>,
    /// The offset in `entries` at which each entry ends.
    ends: Vec<usize>,
}

impl Chunk {
    /// Creates an empty chunk. Servers of the forward protocol route by the tag; syslog has none.
    #[must_use]
    pub fn new(tag: impl Into<Vec<u8>>) -> Chunk {
        Chunk { tag: tag.into(), ..Chunk::default() }
    }

    /// Creates a chunk of entries that are encoded already. `ends` holds the offset at which each entry ends.
    ///
    /// An event is a `MessagePack` array of a time and a map. Its time is an `EventTime`: an extension of type 0 with eight
    /// bytes, which are seconds and nanoseconds, both in big-endian order.
    #[must_use]
    pub fn from_encoded(tag: impl Into<Vec<u8>>, entries: Vec<u8>, ends: Vec<usize>) -> Chunk {
        Chunk { tag: tag.into(), entries, ends }
    }

    /// Appends an event of keys and texts.
    ///
    /// `EventTime` holds seconds from 1970 to 2106. A time outside becomes the nearest of the two.
    pub fn push<K, V, P>(&mut self, time: SystemTime, pairs: P)
    where
        K: AsRef<str>,
        V: AsRef<str>,
        P: IntoIterator<Item = (K, V), IntoIter: ExactSizeIterator>,
    {
        let pairs = pairs.into_iter();
        self.begin_event(time);
        done(write_map_len(&mut self.entries, length(pairs.len())));
        for (key, value) in pairs {
            string(key.as_ref().as_bytes(), &mut self.entries);
            string(value.as_ref().as_bytes(), &mut self.entries);
        }
        self.ends.push(self.entries.len());
    }

    /// Appends an event whose record is a `MessagePack` map, encoded by the caller.
    pub fn push_map(&mut self, time: SystemTime, map: &[u8]) {
        self.begin_event(time);
        self.push_message(map);
    }

    /// Appends a syslog message.
    pub fn push_message(&mut self, message: &[u8]) {
        self.entries.extend_from_slice(message);
        self.ends.push(self.entries.len());
    }

    /// Returns the tag.
    #[must_use]
    pub fn tag(&self) -> &[u8] {
        &self.tag
    }

    /// Returns the bytes of all entries.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.entries
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether the chunk has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the id that a forward server acknowledges.
    ///
    /// The id depends on the tag and the entries alone, so it survives a restart of the sender.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        let mut hash = SipHasher13::new();
        hash.write(&self.tag);
        hash.write(&[0]);
        hash.write(&self.entries);
        hash.finish128().as_bytes()
    }

    /// Returns the buffers of the entries and of their ends, for use by another chunk.
    #[must_use]
    pub fn into_buffers(self) -> (Vec<u8>, Vec<usize>) {
        (self.entries, self.ends)
    }

    /// Returns the bytes of a range of entries.
    pub(crate) fn bytes(&self, entries: &Range<usize>) -> &[u8] {
        let end = |count: usize| count.checked_sub(1).map_or(0, |last| self.ends.get(last).copied().unwrap_or(0));
        self.entries.get(end(entries.start)..end(entries.end)).unwrap_or_default()
    }

    fn begin_event(&mut self, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, nanos) = match u32::try_from(since.as_secs()) {
            Ok(seconds) => (seconds, since.subsec_nanos()),
            Err(_) => (u32::MAX, 0),
        };
        self.entries.extend_from_slice(&EVENT);
        self.entries.extend_from_slice(&seconds.to_be_bytes());
        self.entries.extend_from_slice(&nanos.to_be_bytes());
    }
}

/// Appends a `MessagePack` string.
pub(crate) fn string(bytes: &[u8], out: &mut Vec<u8>) {
    done(write_str_len(out, length(bytes.len())));
    out.extend_from_slice(bytes);
}

/// Drops the result of a write to a vector, which cannot fail.
pub(crate) fn done<T, E>(result: Result<T, E>) {
    debug_assert!(result.is_ok(), "a vector takes every byte");
}

/// Converts a length to the width of `MessagePack`. Chunks stay far below its limit.
pub(crate) fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// An entry that a server refuses, while it accepts others. It is not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The tag of its chunk.
    pub tag: Vec<u8>,
    /// The bytes of the entry, as in its chunk.
    pub entry: Vec<u8>,
    /// The reaction of the server.
    pub reason: String,
    /// The address of the server.
    pub server: String,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rmpv::Value;

    use super::*;

    fn decoded(chunk: &Chunk) -> Vec<Value> {
        (0..chunk.len()).map(|index| rmpv::decode::read_value(&mut chunk.bytes(&(index..index + 1))).unwrap()).collect()
    }

    #[test]
    fn pairs_and_maps_become_events() {
        let time = UNIX_EPOCH + Duration::new(0x5e4f_b17f, 0x3053_8bcf);
        let mut chunk = Chunk::new("app");
        chunk.push(time, [("level", "info"), ("msg", "release")]);
        chunk.push_map(time, b"\x81\xa3pid\x07");
        let head = Value::Ext(0, b"\x5e\x4f\xb1\x7f\x30\x53\x8b\xcf".to_vec());
        let pair = |key: &str, value: Value| (Value::from(key), value);
        let texts = Value::Map(vec![pair("level", "info".into()), pair("msg", "release".into())]);
        let numbers = Value::Map(vec![pair("pid", 7.into())]);
        assert_eq!(decoded(&chunk), [Value::Array(vec![head.clone(), texts]), Value::Array(vec![head, numbers])]);
        assert_eq!((chunk.tag(), chunk.len(), chunk.is_empty()), (&b"app"[..], 2, false));
    }

    #[test]
    fn times_outside_the_range_are_clamped() {
        let mut chunk = Chunk::default();
        for time in [UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH + Duration::from_secs(1 << 33)] {
            chunk.push(time, [("", ""); 0]);
        }
        let times: Vec<Value> = decoded(&chunk).into_iter().map(|event| event[0].clone()).collect();
        assert_eq!(times, [Value::Ext(0, vec![0; 8]), Value::Ext(0, b"\xff\xff\xff\xff\0\0\0\0".to_vec())]);
    }

    #[test]
    fn ids_depend_on_tag_and_entries() {
        let chunk = |tag: &str, messages: &[&[u8]]| {
            let mut chunk = Chunk::new(tag);
            messages.iter().for_each(|message| chunk.push_message(message));
            chunk
        };
        let one = chunk("a", &[b"one", b"two"]);
        assert_eq!(one.id(), chunk("a", &[b"one", b"two"]).id());
        assert_ne!(one.id(), chunk("b", &[b"one", b"two"]).id());
        assert_ne!(one.id(), chunk("a", &[b"one", b"2"]).id());
        let (entries, ends) = one.clone().into_buffers();
        assert_eq!(Chunk::from_encoded("a", entries, ends), one);
        assert_eq!(one.encoded(), b"onetwo");
    }
}
