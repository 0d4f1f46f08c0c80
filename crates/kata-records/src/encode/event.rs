//! Events of Fluentd's forward protocol, `[EventTime, record]`, grouped by tag. Transport belongs to the sink.

use rmp::encode::write_array_len;

use super::msgpack::{Msgpack, done};
use crate::flaw::Flaw;
use crate::record::{Escaping, Record, Text, Value};
use crate::schema::Translator;
use crate::time::UnixTime;

/// The lengths to which an oversized event cuts its texts, in bytes. Each is tried if the previous one was not enough.
const SHORTER: [usize; 3] = [64 << 10, 4 << 10, 256];

/// The number of fields that remain of the envelope and of the payload if cutting texts was not enough.
const FEWER: usize = 1000;

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
#[derive(Debug, Default)]
pub(crate) struct EventEncoder {
    records: Msgpack,
    translator: Option<Box<Translator>>,
}

impl EventEncoder {
    /// Returns an encoder. A translator gives fields the names of another schema.
    #[must_use]
    pub(crate) fn new(translator: Option<Box<Translator>>) -> EventEncoder {
        EventEncoder { records: Msgpack::default(), translator }
    }

    /// Appends a record. `received` is the time of records without one.
    pub(crate) fn encode(&mut self, record: &mut Record<'_>, received: UnixTime, events: &mut Events) {
        let start = events.bytes.len();
        self.event(record, received, &mut events.bytes);
        for longest in SHORTER {
            if events.bytes.len() - start <= Events::LARGEST {
                break;
            }
            events.bytes.truncate(start);
            shorten(record, 0, longest);
            self.event(record, received, &mut events.bytes);
        }
        if events.bytes.len() - start > Events::LARGEST {
            events.bytes.truncate(start);
            record.envelope.truncate(FEWER);
            record.payload.truncate(FEWER);
            record.escaped.truncate(FEWER);
            self.event(record, received, &mut events.bytes);
        }
        events.ends.push(events.bytes.len());
    }

    fn event(&mut self, record: &Record<'_>, received: UnixTime, out: &mut Vec<u8>) {
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
        let EventEncoder { records, translator } = self;
        match translator {
            None => records.encode(record, out),
            Some(translator) => translator.translate(record, |record| records.encode(record, out)),
        }
    }
}

/// Cuts the texts of a record to `longest` bytes, except in the first `own` fields, and adds the flaw.
pub(super) fn shorten(record: &mut Record<'_>, own: usize, longest: usize) {
    for field in record.envelope.iter_mut().skip(own).chain(&mut record.payload) {
        field.number = 0;
        match &mut field.value {
            Value::Text(text) => cut(text, longest),
            // A list keeps as many bytes as a text may have. Its elements cannot be cut in place.
            Value::List(texts) => {
                let mut length = 0;
                let fits = |text: &&Text<'_>| {
                    length += text.bytes.len();
                    length <= longest
                };
                *texts = texts.get(..texts.iter().take_while(fits).count()).unwrap_or_default();
            }
            Value::Nested(json) if json.len() > longest => {
                let mut text = Text { bytes: json, escaping: Escaping::Utf8 };
                cut(&mut text, longest);
                field.value = Value::Text(text);
            }
            _ => {}
        }
    }
    if let Some(facts) = &mut record.facts {
        facts.flaws.add(Flaw::Truncated);
    }
}

fn cut(text: &mut Text<'_>, longest: usize) {
    if text.bytes.len() <= longest {
        return;
    }
    let mut end = longest;
    // Neither a character nor an escape is cut in two. The longest escape is `\U0010ffff`.
    while end > 0 && text.bytes.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    if let Some(at) = text.bytes.get(end.saturating_sub(12)..end).and_then(|tail| memchr::memrchr(b'\\', tail)) {
        end = end.saturating_sub(12) + at;
        while end > 0 && text.bytes.get(end - 1) == Some(&b'\\') {
            end -= 1;
        }
    }
    text.bytes = text.bytes.get(..end).unwrap_or_default();
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
