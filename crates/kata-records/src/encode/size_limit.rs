//! Records of limited length, for readers with a fixed buffer. A longer record first loses its duplicate message, then
//! the ends of its longest texts, then its last fields.

use super::{Encoded, Encoder};
use crate::flaw::Flaw;
use crate::record::{Escaping, Field, Record, Text, Value};

/// The length to which texts may be cut while fields remain to be removed. Ids stay whole.
const WHOLE: usize = 64;

/// The maximum number of cuts. One or two are enough, unless most of a text are escapes, whose encoded length differs.
const ATTEMPTS: usize = 8;

/// An encoder with a length limit.
#[derive(Debug)]
pub(crate) struct SizeLimited {
    encoder: Encoder,
    shortener: Shortener,
}

impl SizeLimited {
    /// Returns the encoder with a limit in bytes, for records with `own` own fields.
    #[must_use]
    pub(crate) fn new(encoder: Encoder, limit: usize, own: usize) -> SizeLimited {
        SizeLimited { encoder, shortener: Shortener::new(limit, own) }
    }

    /// Starts a new batch.
    pub(crate) fn begin(&mut self) {
        self.encoder.begin();
    }

    /// Appends a record. A record that is too long is shortened and, if it is Kata's, gets a flaw.
    pub(crate) fn encode(&mut self, record: &mut Record<'_>, out: &mut Encoded) {
        let start = out.bytes.len();
        self.shortener.fit(record, |record| {
            out.bytes.truncate(start);
            self.encoder.encode(record, out);
            out.bytes.len() - start
        });
    }
}

/// Shortens records until they fit into a limit.
#[derive(Debug)]
pub(super) struct Shortener {
    limit: usize,
    /// The number of own fields, which begin a record and are never cut.
    own: usize,
    /// The lengths of a record's texts.
    lengths: Vec<usize>,
}

impl Shortener {
    /// Returns a shortener with a limit in bytes, for records with `own` own fields.
    pub(super) fn new(limit: usize, own: usize) -> Shortener {
        Shortener { limit, own, lengths: Vec::new() }
    }

    /// Encodes a record, and shortens it until its length fits. `encode` replaces the bytes of its last call, and
    /// returns their length.
    pub(super) fn fit(&mut self, record: &mut Record<'_>, mut encode: impl FnMut(&mut Record<'_>) -> usize) {
        if encode(record) <= self.limit {
            return;
        }
        if let Some(facts) = &mut record.facts {
            facts.flaws.add(Flaw::Truncated);
            let is_message = |field: &Field<'_>| matches!(field.key.name(), b"MESSAGE" | b"message");
            if let Some(at) = record.envelope.iter().skip(self.own).position(is_message) {
                record.envelope.remove(self.own + at);
            }
        }
        let mut before: Option<(usize, usize)> = None;
        for attempt in 0.. {
            let encoded = encode(record);
            let Some(excess) = encoded.checked_sub(self.limit).filter(|excess| *excess > 0) else { return };
            let texts = self.texts(record);
            // Escapes are longer or shorter when encoded, so the last cut shows what the next one gains.
            let (cut, gained) = match before {
                Some((texts_before, encoded_before)) if texts < texts_before && encoded < encoded_before => {
                    (texts_before - texts, encoded_before - encoded)
                }
                _ => (texts, encoded),
            };
            before = Some((texts, encoded));
            let needed = (excess as u128 * cut as u128).div_ceil(gained.max(1) as u128) as usize;
            match self.level(record, needed).filter(|_| attempt < ATTEMPTS) {
                Some(level) => shorten(record, self.own, level),
                None if self.leave_out(record, excess) => {}
                None => return,
            }
        }
    }

    /// Returns the length of all texts in the input.
    fn texts(&self, record: &Record<'_>) -> usize {
        record.envelope.iter().skip(self.own).chain(&record.payload).map(length).sum()
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

/// Cuts the texts of a record to `longest` bytes, except in the first `own` fields, and adds the flaw.
fn shorten(record: &mut Record<'_>, own: usize, longest: usize) {
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

/// Returns the length of a value in the input, in bytes.
fn length(field: &Field<'_>) -> usize {
    match field.value {
        Value::Text(text) => text.bytes.len(),
        Value::List(texts) => texts.iter().map(|text| text.bytes.len()).sum(),
        Value::Nested(json) => json.len(),
        _ => 0,
    }
}
