//! The types between stages: texts with their escapes, pairs, and the flat record.
//!
//! Nothing here owns bytes. Everything borrows from a batch, from the buffer for decoded text, or from the rules.

use crate::component::Component;
use crate::dictionary::{self, KeyId};
use crate::flaw::Flaws;
use crate::origin::Origin;
use crate::time::UtcTimestamp;

/// The escaping of a [`Text`]. It is verified when the text is made, so encoders never fail.
// As wide as its place in a value: eight bytes that are read after a write of one byte stall the processor.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escaping {
    /// Printable ASCII without `"` and `\`: equal bytes in every output.
    Clean,
    /// Valid UTF-8 without escapes.
    Utf8,
    /// The inside of a Go `%q` string: well-formed escapes, valid UTF-8 when decoded.
    Go,
    /// The inside of a JSON string: well-formed escapes, no lone surrogates, valid UTF-8.
    Json,
    /// Bytes that are not UTF-8. `normalize` replaces this escaping.
    Bytes,
}

/// A text with its escapes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'b> {
    /// The bytes of the input.
    pub bytes: &'b [u8],
    /// The escaping of the bytes.
    pub escaping: Escaping,
}

/// A value of a pair or of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'b> {
    /// A string.
    Text(Text<'b>),
    /// An integer within the range of `i64`, which is that of index mappings.
    Int(i64),
    /// A boolean.
    Bool(bool),
    /// JSON's null, which records never have.
    Null,
    /// A time other than `kata_time`, such as `kata_guest_time`.
    Time(&'b UtcTimestamp),
    /// The values of a journal field that occurs several times.
    List(&'b [Text<'b>]),
    /// A nested JSON value. In a record it is valid JSON.
    Nested(&'b [u8]),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

/// A key and its value, as the writer wrote them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'b> {
    /// The key, without quotes.
    pub key: &'b [u8],
    /// The id of the key in the dictionary.
    pub id: Option<KeyId>,
    /// See [`Field::number`].
    pub number: u32,
    /// The key is one word, and the value holds no secret by its own form: neither holds another pair.
    pub is_plain: bool,
    /// The value.
    pub value: Value<'b>,
}

impl<'b> Pair<'b> {
    /// Returns a pair, with the id of its key.
    #[inline]
    #[must_use]
    pub(crate) fn new(key: &'b [u8], value: Value<'b>) -> Pair<'b> {
        Pair { key, id: dictionary::find(key), number: 0, is_plain: false, value }
    }

    /// Returns a pair with a key of the dictionary and a text as its value.
    #[inline]
    #[must_use]
    pub(crate) fn known(id: KeyId, text: Text<'b>) -> Pair<'b> {
        let key = id.known().key.as_bytes();
        Pair { key, id: Some(id), number: 0, is_plain: false, value: Value::Text(text) }
    }

    /// Returns a pair with a text as its value.
    #[inline]
    #[must_use]
    pub(crate) fn text(key: &'b [u8], text: Text<'b>) -> Pair<'b> {
        Pair::new(key, Value::Text(text))
    }
}

/// A field's name as `"name":"`, in plain ASCII, so that JSON output is a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'b> {
    /// The padded form: `"name":"` and zeros.
    padded: &'b [u8],
    length: u32,
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Key<'_> {}

impl<'b> Key<'b> {
    /// The minimum size of the padded form, which a fixed-size copy reads.
    pub(crate) const PADDED: usize = 32;

    /// Returns the key of a form that zeros pad to at least [`Key::PADDED`].
    #[inline]
    #[must_use]
    pub(crate) fn new(padded: &'b [u8], length: usize) -> Key<'b> {
        Key { padded, length: length as u32 }
    }

    /// Returns the padded form and its length without padding.
    #[inline]
    #[must_use]
    pub(crate) fn padded(self) -> (&'b [u8], usize) {
        (self.padded, self.length as usize)
    }

    /// Returns the name alone.
    #[inline]
    #[must_use]
    pub(crate) fn name(self) -> &'b [u8] {
        self.padded.get(1..self.length.saturating_sub(3) as usize).unwrap_or_default()
    }
}

/// A field of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'b> {
    /// The name, unique in the record.
    pub key: Key<'b>,
    /// The number of the shared field in the batch, from 1, or 0 for a field of this record alone. Fields with equal
    /// numbers are equal, so each is processed once.
    pub number: u32,
    /// Its value.
    pub value: Value<'b>,
}

impl<'b> Field<'b> {
    /// Returns a field of this record alone.
    #[inline]
    #[must_use]
    pub(crate) fn new(key: Key<'b>, value: Value<'b>) -> Field<'b> {
        Field { key, number: 0, value }
    }
}

/// The format of a message. Its name is the value of `kata_format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadFormat {
    /// logfmt of logrus, and its layout on terminals.
    Logfmt,
    /// JSON of logrus.
    Json,
    /// JSON of slog: the Rust agent, runtime-rs up to 3.19.
    Slog,
    /// Journal fields of runtime-rs from 3.20.
    Native,
    /// Free text.
    Text,
}

impl PayloadFormat {
    /// All formats.
    pub(crate) const ALL: &'static [PayloadFormat] =
        &[PayloadFormat::Logfmt, PayloadFormat::Json, PayloadFormat::Slog, PayloadFormat::Native, PayloadFormat::Text];

    /// Returns the name for `kata_format`.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            PayloadFormat::Logfmt => "logfmt",
            PayloadFormat::Json => "json",
            PayloadFormat::Slog => "slog",
            PayloadFormat::Native => "native",
            PayloadFormat::Text => "text",
        }
    }
}

/// The canonical levels. The name is the value of `kata_level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

impl Level {
    /// All levels, least severe first.
    pub(crate) const ALL: &'static [Level] =
        &[Level::Trace, Level::Debug, Level::Info, Level::Warning, Level::Error, Level::Critical];

    /// Returns the name for `kata_level`.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
            Level::Critical => "critical",
        }
    }
}

/// The facts that katalog states about an entry of Kata.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// `kata_time`: the host's time.
    pub time: Option<UtcTimestamp>,
    /// `kata_level`.
    pub level: Option<Level>,
    /// `kata_component`.
    pub component: Component,
    /// `kata_format`.
    pub format: PayloadFormat,
    /// `kata_origin`, and `kata_guest` for the guest.
    pub origin: Origin,
    /// `kata_flaws`.
    pub flaws: Flaws,
}

/// The head of an entry for syslog messages, independent of the record's fields.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EnvelopeHead<'b> {
    /// The host of the writer.
    pub host: Option<&'b [u8]>,
    /// The program, if the record is of another program.
    pub program: Option<&'b [u8]>,
    /// The process id of the writer.
    pub pid: Option<&'b [u8]>,
    /// PRIORITY, 0 to 7.
    pub priority: Option<u8>,
    /// The message, unparsed.
    pub message: Option<Text<'b>>,
}

/// A record for the encoder. Fields have this order: `envelope`, `facts`, `payload`, flaws, escaped.
#[derive(Debug, Default)]
pub(crate) struct Record<'b> {
    /// The tag.
    pub tag: &'b [u8],
    /// The time in the envelope, for a record without facts.
    pub time: Option<UtcTimestamp>,
    /// The head, for syslog messages.
    pub head: EnvelopeHead<'b>,
    /// The envelope's field with the host, if the format has a column for it.
    pub host: Option<Field<'b>>,
    /// The envelope's field with the identifier, if the format has a column for it.
    pub identifier: Option<Field<'b>>,
    /// The fields of the envelope, after own fields.
    pub envelope: Vec<Field<'b>>,
    /// The index in `envelope` of the field for the time.
    pub time_field: Option<usize>,
    /// The facts; `None` for an entry of another program, which passes unchanged.
    pub facts: Option<Facts>,
    /// The fields of the payload, with `kata_` names.
    pub payload: Vec<Field<'b>>,
    /// The names of fields that were not UTF-8. Their values hold `\xHH` for such a byte and `\\` for a backslash.
    pub escaped: Vec<Key<'b>>,
    /// The names of fields in which a secret was replaced.
    pub redacted: Vec<Key<'b>>,
}

impl Record<'_> {
    /// Empties the record for reuse.
    pub(crate) fn clear(&mut self) {
        self.tag = b"";
        self.time = None;
        self.head = EnvelopeHead::default();
        self.host = None;
        self.identifier = None;
        self.envelope.clear();
        self.time_field = None;
        self.facts = None;
        self.payload.clear();
        self.escaped.clear();
        self.redacted.clear();
    }
}

impl Record<'_> {
    /// Returns the emptied buffers for a record with another lifetime.
    #[must_use]
    pub(crate) fn recycle<'b>(self) -> Record<'b> {
        Record {
            envelope: recycle(self.envelope),
            payload: recycle(self.payload),
            escaped: recycle(self.escaped),
            redacted: recycle(self.redacted),
            ..Record::default()
        }
    }
}

/// Returns an emptied vector for elements with another lifetime. `collect` reuses the buffer, because both element
/// types have one layout.
pub(crate) fn recycle<T, U>(mut vector: Vec<T>) -> Vec<U> {
    const { assert!(size_of::<T>() == size_of::<U>() && align_of::<T>() == align_of::<U>()) };
    vector.clear();
    vector.into_iter().filter_map(|_| None).collect()
}

/// A field's name that owns its bytes, for many records.
#[derive(Debug)]
pub(crate) struct OwnedKey {
    padded: Box<[u8]>,
    length: usize,
}

impl OwnedKey {
    /// Returns the name, which must be ASCII without quotes.
    #[must_use]
    pub(crate) fn new(name: &str) -> OwnedKey {
        let length = name.len() + 4;
        let mut form = Vec::with_capacity(length.max(Key::PADDED));
        form.push(b'"');
        form.extend_from_slice(name.as_bytes());
        form.extend_from_slice(b"\":\"");
        form.resize(length.max(Key::PADDED), 0);
        OwnedKey { padded: form.into(), length }
    }

    /// Returns the key of a field.
    #[inline(always)]
    #[must_use]
    pub(crate) fn key(&self) -> Key<'_> {
        Key::new(&self.padded, self.length)
    }
}

#[cfg(test)]
impl OwnedKey {
    /// Returns a key that is never freed, for tests.
    pub(crate) fn leaked(self) -> Key<'static> {
        Box::leak(Box::new(self)).key()
    }
}
