//! Events of Fluentd's forward protocol, `[EventTime, record]`, grouped by tag. Transport belongs to the sink.

use rmp::encode::write_array_len;

use super::msgpack::{Msgpack, done};
use super::size_limit::Shortener;
use crate::record::Record;
use crate::schema::Translator;
use crate::time::UnixTime;

/// The events of one tag, in the order of their records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// The tag, which events do not repeat.
    pub tag: Vec<u8>,
    /// The concatenated events.
    pub bytes: Vec<u8>,
    /// The end of each event in `bytes`.
    pub ends: Vec<usize>,
}

/// An encoder for events.
#[derive(Debug)]
pub(crate) struct EventEncoder {
    records: Msgpack,
    translator: Option<Box<Translator>>,
    shortener: Shortener,
}

impl EventEncoder {
    /// Returns an encoder for records with `own` own fields. A translator gives fields the names of another schema.
    #[must_use]
    pub(crate) fn new(translator: Option<Box<Translator>>, own: usize) -> EventEncoder {
        EventEncoder { records: Msgpack::default(), translator, shortener: Shortener::new(Events::LARGEST, own) }
    }

    /// Appends a record. `received` is the time of records without one.
    pub(crate) fn encode(&mut self, record: &mut Record<'_>, received: UnixTime, events: &mut Events) {
        let EventEncoder { records, translator, shortener } = self;
        let start = events.bytes.len();
        shortener.fit(record, |record| {
            events.bytes.truncate(start);
            encode_event(record, received, records, translator.as_deref_mut(), &mut events.bytes);
            events.bytes.len() - start
        });
        events.ends.push(events.bytes.len());
    }
}

fn encode_event(
    record: &Record<'_>,
    received: UnixTime,
    records: &mut Msgpack,
    translator: Option<&mut Translator>,
    out: &mut Vec<u8>,
) {
    let time = record.facts.as_ref().and_then(|facts| facts.time).or(record.time);
    // For Fluentd, zero means no time, and Fluentd uses its own clock.
    let time = time.and_then(|time| time.unix()).filter(|time| time.seconds > 0);
    let (seconds, nanos) = match time {
        // Fluent Bit reserves the last two seconds for marks of its own.
        Some(time) => (time.seconds_u32().min(u32::MAX - 2), time.nanos),
        None => (received.seconds_u32(), received.nanos),
    };
    done(write_array_len(out, 2));
    out.extend_from_slice(&[0xd7, 0x00]);
    out.extend_from_slice(&seconds.to_be_bytes());
    out.extend_from_slice(&nanos.to_be_bytes());
    match translator {
        None => records.encode(record, out),
        Some(translator) => translator.translate(record, |record| records.encode(record, out)),
    }
}

impl Events {
    /// The maximum length of an event. Fluent Bit closes the connection on a request of 6,144,000 bytes
    /// (`buffer_max_size`), and a client would resend it forever.
    pub const LARGEST: usize = 5 << 20;

    /// Returns the events of a tag, and adds an empty group if there is none.
    pub fn of_tag<'e>(all: &'e mut Vec<Events>, tag: &[u8]) -> &'e mut Events {
        let at = all.iter().position(|events| events.tag == tag).unwrap_or_else(|| {
            all.push(Events { tag: tag.to_vec(), ..Events::default() });
            all.len() - 1
        });
        &mut all[at]
    }

    /// Returns whether there are no events.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends the events of another batch.
    pub fn append(&mut self, other: &Events) {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| before + end));
    }

    /// Removes the events. Keeps the tag and at most `kept` bytes of memory.
    pub fn clear(&mut self, kept: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(kept);
        self.ends.clear();
    }
}

#[cfg(test)]
mod tests;
