//! What the stages after the source pass on: text with its escapes still in, pairs, and the flat record.
//!
//! Nothing here owns bytes: all of it borrows from a batch, from the decoding buffer of the entry, or from the rules.

use crate::component::Component;
use crate::dictionary::{self, KeyId};
use crate::flaw::Flaws;
use crate::time::UtcTimestamp;

/// How the bytes of a [`Text`] stand for its content. Each form is checked when the text is made, so encoders
/// never fail.
// As wide as its place in a value: what is written as one byte and read with the seven behind it stalls the processor.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escaping {
    /// Printable ASCII without `"` and `\`: the same bytes in every output.
    Clean,
    /// Valid UTF-8, to be escaped on output.
    Utf8,
    /// The inside of a Go `%q` string: well-formed escapes, and valid UTF-8 once decoded.
    Go,
    /// The inside of a JSON string: well-formed escapes, no lone surrogates, valid UTF-8.
    Json,
    /// Bytes that are not UTF-8. Only between `parse` and `normalize`, which gives them the defined form.
    Bytes,
}

/// A piece of text in one of the forms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'b> {
    /// The bytes as they stand in the input.
    pub bytes: &'b [u8],
    /// How to read them.
    pub escaping: Escaping,
}

/// A value of a pair or of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'b> {
    /// A string.
    Text(Text<'b>),
    /// An integer; never outside the range of `i64`, which is what index mappings have.
    Int(i64),
    /// A boolean.
    Bool(bool),
    /// JSON's null; never in a record.
    Null,
    /// A time of its own name, such as `kata_guest_time`.
    Time(&'b UtcTimestamp),
    /// A journal field that occurs several times.
    List(&'b [Text<'b>]),
    /// A nested JSON value, object or array, as it stands; valid JSON where the record keeps it.
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

/// What a payload says: a key as it was written, and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'b> {
    /// The key, without quotes.
    pub key: &'b [u8],
    /// Its place in the dictionary, if it is known.
    pub id: Option<KeyId>,
    /// See [`Field::number`].
    pub number: u32,
    /// The value.
    pub value: Value<'b>,
}

impl<'b> Pair<'b> {
    /// A pair of a key and a value, the key looked up.
    #[inline]
    #[must_use]
    pub(crate) fn new(key: &'b [u8], value: Value<'b>) -> Pair<'b> {
        Pair { key, id: dictionary::find(key), number: 0, value }
    }

    /// The same for text.
    #[inline]
    #[must_use]
    pub(crate) fn text(key: &'b [u8], text: Text<'b>) -> Pair<'b> {
        Pair::new(key, Value::Text(text))
    }
}

/// A field's name, of plain ASCII, in the form `"name":"`, so that JSON output is a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'b> {
    /// The form, and zeros behind it.
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
    /// Bytes that are there to be copied at once, whatever the length of the name.
    pub(crate) const PADDED: usize = 32;

    /// The key of a form of that length, with zeros behind it at least up to [`Key::PADDED`].
    #[inline]
    #[must_use]
    pub(crate) fn new(padded: &'b [u8], length: usize) -> Key<'b> {
        Key { padded, length: length as u32 }
    }

    /// The form `"name":"` and zeros behind it, and how much of it is not zeros.
    #[inline]
    #[must_use]
    pub(crate) fn padded(self) -> (&'b [u8], usize) {
        (self.padded, self.length as usize)
    }

    /// The name alone.
    #[inline]
    #[must_use]
    pub(crate) fn name(self) -> &'b [u8] {
        self.padded.get(1..self.length.saturating_sub(3) as usize).unwrap_or_default()
    }
}

/// One field of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'b> {
    /// Its name, unique in the record.
    pub key: Key<'b>,
    /// Which of the batch's fields it is, from 1; 0 where this record alone has it. Fields of one number are the same, so
    /// what was made of one need not be made again.
    pub number: u32,
    /// Its value.
    pub value: Value<'b>,
}

impl<'b> Field<'b> {
    /// A field that this record alone has.
    #[inline]
    #[must_use]
    pub(crate) fn new(key: Key<'b>, value: Value<'b>) -> Field<'b> {
        Field { key, number: 0, value }
    }
}

/// How an entry was read; the name is what `kata_format` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadFormat {
    /// logfmt of logrus, and its layout for terminals.
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
    /// Every format.
    pub(crate) const ALL: &'static [PayloadFormat] =
        &[PayloadFormat::Logfmt, PayloadFormat::Json, PayloadFormat::Slog, PayloadFormat::Native, PayloadFormat::Text];

    /// The name that stands in `kata_format`.
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

/// The canonical levels; the name is what `kata_level` holds.
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
    /// Every level, least severe first.
    pub(crate) const ALL: &'static [Level] =
        &[Level::Trace, Level::Debug, Level::Info, Level::Warning, Level::Error, Level::Critical];

    /// The name that stands in `kata_level`.
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

/// The fields that katalog itself states about an entry of Kata's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// `kata_time`: the host's time of the entry.
    pub time: Option<UtcTimestamp>,
    /// `kata_level`.
    pub level: Option<Level>,
    /// `kata_component`.
    pub component: Component,
    /// `kata_format`.
    pub format: PayloadFormat,
    /// `kata_guest`: the message came out of the guest.
    pub guest: bool,
    /// `kata_flaws`.
    pub flaws: Flaws,
}

/// What the envelope says of an entry, whatever becomes of its fields in the record. Syslog wants to know it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EnvelopeHead<'b> {
    /// The host that it was written on.
    pub host: Option<&'b [u8]>,
    /// The process that wrote it.
    pub pid: Option<&'b [u8]>,
    /// PRIORITY, 0 to 7.
    pub priority: Option<u8>,
    /// The message, whatever is in it.
    pub message: Option<Text<'b>>,
}

/// One record, ready to be encoded. Fields come in this order: `envelope`, `facts`, `payload`, then flaws and escaped.
#[derive(Debug, Default)]
pub(crate) struct Record<'b> {
    /// The tag, as the template gives it.
    pub tag: &'b [u8],
    /// When the envelope says that it was, for a record without facts.
    pub time: Option<UtcTimestamp>,
    /// What the envelope says, for outputs that want to know it.
    pub head: EnvelopeHead<'b>,
    /// The envelope's field with the name of the host, where the format has a place of its own for it.
    pub host: Option<Field<'b>>,
    /// The same with the identifier.
    pub identifier: Option<Field<'b>>,
    /// What the envelope says: journal fields, stream and time of a container log line.
    pub envelope: Vec<Field<'b>>,
    /// The place in `envelope` of the field that is to hold the time, if there is one.
    pub time_field: Option<usize>,
    /// What katalog says; none for an entry that is not Kata's and passes unchanged.
    pub facts: Option<Facts>,
    /// What the payload says, under `kata_` names.
    pub payload: Vec<Field<'b>>,
    /// BloomFilter of the fields whose bytes were not UTF-8; they are written with `\xHH` for each such byte and `\\` for
    /// each backslash.
    pub escaped: Vec<Key<'b>>,
}

impl Record<'_> {
    /// Empties the record for the next one.
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
    }
}

impl Record<'_> {
    /// The same buffers, emptied, for a record that borrows from elsewhere.
    #[must_use]
    pub(crate) fn recycle<'b>(self) -> Record<'b> {
        Record {
            envelope: recycle(self.envelope),
            payload: recycle(self.payload),
            escaped: recycle(self.escaped),
            ..Record::default()
        }
    }
}

/// The same vector, emptied, for elements that borrow from elsewhere. Nothing is copied or allocated: an empty vector
/// collected from one of the same layout takes its buffer over.
pub(crate) fn recycle<T, U>(mut vector: Vec<T>) -> Vec<U> {
    const { assert!(size_of::<T>() == size_of::<U>() && align_of::<T>() == align_of::<U>()) };
    vector.clear();
    vector.into_iter().filter_map(|_| None).collect()
}

/// A field's name that is made once, for many records.
#[derive(Debug)]
pub(crate) struct OwnedKey {
    padded: Box<[u8]>,
    length: usize,
}

impl OwnedKey {
    /// The name, which is of ASCII without quotes.
    #[must_use]
    pub(crate) fn new(name: &str) -> OwnedKey {
        let mut form = format!("\"{name}\":\"").into_bytes();
        let length = form.len();
        form.resize(length.max(Key::PADDED), 0);
        OwnedKey { padded: form.into(), length }
    }

    /// The name as the key of a field.
    #[inline]
    #[must_use]
    pub(crate) fn key(&self) -> Key<'_> {
        Key::new(&self.padded, self.length)
    }
}

#[cfg(test)]
impl OwnedKey {
    /// The name as a key for as long as the tests run.
    pub(crate) fn leaked(self) -> Key<'static> {
        Box::leak(Box::new(self)).key()
    }
}
