//! Records of no more than so many bytes, for readers with a buffer of fixed size. What goes from a longer one is what says
//! least: first what is said twice, then the ends of the longest texts, then the last fields.

use super::event::shorten;
use super::{Encoded, Encoder};
use crate::flaw::Flaw;
use crate::record::{Field, Record, Value};

/// No text is cut below this length as long as there are fields to leave out: ids stay whole.
const WHOLE: usize = 64;

/// How often texts are cut: once or twice is enough but where most of them are escapes, which may be longer here than written.
const ATTEMPTS: usize = 8;

/// An encoder, and the length that it keeps to.
#[derive(Debug)]
pub(crate) struct SizeLimited {
    encoder: Encoder,
    limit: usize,
    /// Fields at the beginning of a record that have the names which the user gave.
    own: usize,
    /// Of the texts of a record.
    lengths: Vec<usize>,
}

impl SizeLimited {
    /// The encoder with a limit in bytes, for records that begin with so many fields of the user's.
    #[must_use]
    pub(crate) fn new(encoder: Encoder, limit: usize, own: usize) -> SizeLimited {
        SizeLimited { encoder, limit, own, lengths: Vec::new() }
    }

    /// Begins with the records of another batch.
    pub(crate) fn begin(&mut self) {
        self.encoder.begin();
    }

    /// Appends one record. One that is too long is shortened, and says so if it is Kata's.
    pub(crate) fn encode(&mut self, record: &mut Record<'_>, out: &mut Encoded) {
        let start = out.bytes.len();
        self.encoder.encode(record, out);
        if out.bytes.len() - start <= self.limit {
            return;
        }
        if let Some(facts) = &mut record.facts {
            facts.flaws.add(Flaw::Truncated);
            let is_message = |field: &Field<'_>| matches!(field.key.name(), b"MESSAGE" | b"message");
            if let Some(at) = record.envelope.iter().skip(self.own).position(is_message) {
                record.envelope.remove(self.own + at);
            }
        }
        for attempt in 0.. {
            out.bytes.truncate(start);
            self.encoder.encode(record, out);
            let Some(excess) = (out.bytes.len() - start).checked_sub(self.limit).filter(|excess| *excess > 0) else {
                return;
            };
            let level = self.level(record, excess).filter(|_| attempt < ATTEMPTS);
            match level {
                Some(level) => shorten(record, self.own, level),
                None if self.leave_out(record, excess) => {}
                None => return,
            }
        }
    }

    /// How long texts may be so that all together lose so many bytes, or as many as they can; none if they can lose none.
    fn level(&mut self, record: &Record<'_>, excess: usize) -> Option<usize> {
        self.lengths.clear();
        let fields = record.envelope.iter().skip(self.own).chain(&record.payload);
        self.lengths.extend(fields.map(length).filter(|length| *length > WHOLE));
        self.lengths.sort_unstable_by(|a, b| b.cmp(a));
        let mut sum = 0;
        for (index, length) in self.lengths.iter().enumerate() {
            sum += length;
            let next = self.lengths.get(index + 1).copied().unwrap_or(WHOLE);
            if sum - (index + 1) * next >= excess {
                return Some(((sum - excess) / (index + 1)).max(WHOLE));
            }
        }
        (!self.lengths.is_empty()).then_some(WHOLE)
    }

    /// Leaves out so many bytes of fields: the last of the envelope's, then the last of the payload's. False if there is none.
    fn leave_out(&self, record: &mut Record<'_>, excess: usize) -> bool {
        let mut freed = 0;
        while freed < excess {
            let envelope = &mut record.envelope;
            let field = if envelope.len() > self.own { envelope.pop() } else { record.payload.pop() };
            let Some(field) = field else { break };
            freed += field.key.name().len() + length(&field) + 6;
        }
        let Record { envelope, payload, escaped, .. } = record;
        escaped.retain(|key| envelope.iter().chain(payload.iter()).any(|field| field.key == *key));
        freed > 0
    }
}

/// The bytes of a text, as it was read.
fn length(field: &Field<'_>) -> usize {
    match field.value {
        Value::Text(text) => text.bytes.len(),
        Value::List(texts) => texts.iter().map(|text| text.bytes.len()).sum(),
        Value::Nested(json) => json.len(),
        _ => 0,
    }
}
