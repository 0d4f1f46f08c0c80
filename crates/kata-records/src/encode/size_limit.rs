//! Records of limited length, for readers with a fixed buffer. A longer record first loses its duplicate message, then
//! the ends of its longest texts, then its last fields.

use super::event::shorten;
use super::{Encoded, Encoder};
use crate::flaw::Flaw;
use crate::record::{Field, Record, Value};

/// The length to which texts may be cut while fields remain to be removed. Ids stay whole.
const WHOLE: usize = 64;

/// The maximum number of cuts. One or two are enough, unless most of a text are escapes, whose encoded length differs.
const ATTEMPTS: usize = 8;

/// An encoder with a length limit.
#[derive(Debug)]
pub(crate) struct SizeLimited {
    encoder: Encoder,
    limit: usize,
    /// The number of own fields, which begin a record and are never cut.
    own: usize,
    /// The lengths of a record's texts.
    lengths: Vec<usize>,
}

impl SizeLimited {
    /// Returns the encoder with a limit in bytes, for records with `own` own fields.
    #[must_use]
    pub(crate) fn new(encoder: Encoder, limit: usize, own: usize) -> SizeLimited {
        SizeLimited { encoder, limit, own, lengths: Vec::new() }
    }

    /// Starts a new batch.
    pub(crate) fn begin(&mut self) {
        self.encoder.begin();
    }

    /// Appends a record. A record that is too long is shortened and, if it is Kata's, gets a flaw.
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

    /// Returns the length to which texts must be cut to lose `excess` bytes, or as many as possible. Returns `None` if
    /// no text can be cut.
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

    /// Removes fields of `excess` bytes: the last of the envelope first, then the last of the payload. Returns false if
    /// no field remains.
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

/// Returns the length of a value in the input, in bytes.
fn length(field: &Field<'_>) -> usize {
    match field.value {
        Value::Text(text) => text.bytes.len(),
        Value::List(texts) => texts.iter().map(|text| text.bytes.len()).sum(),
        Value::Nested(json) => json.len(),
        _ => 0,
    }
}
