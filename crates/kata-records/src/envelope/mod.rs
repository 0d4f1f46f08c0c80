//! Takes the envelope off an entry: the journal's fields, a container runtime's or a syslog line's head.
//!
//! What is left is the message that a component of Kata wrote, or not: nothing here looks into it.

mod container;
mod journal;
mod syslog;

use bumpalo::Bump;
use journal_file::Entry as JournalEntry;

use crate::batch::{Body, RawEntry};
use crate::dictionary::{KeyId, PresentKeys};
use crate::escapes::escape_bytes;
use crate::flaw::{Flaw, Flaws};
use crate::input_format::InputFormat;
use crate::json;
use crate::record::{EnvelopeHead, Escaping, Pair, Text, Value};
use crate::time::UtcTimestamp;

/// How an entry came to journald (`_TRANSPORT`), as far as it matters to what its fields mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Through a syslog socket: PRIORITY is the writer's.
    Syslog,
    /// Through the native protocol: fields and PRIORITY are the writer's.
    Journal,
    /// From a standard output: PRIORITY is journald's default and means nothing.
    Stdout,
    /// No journal, or another transport.
    #[default]
    Other,
}

/// Which of the fields that no entry has, but `journalctl` prints, an entry of a journal file is to be given beside its
/// times and its boot. To make them costs as much as a dozen others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SyntheticFields {
    /// `__CURSOR`.
    pub cursor: bool,
    /// `__MONOTONIC_TIMESTAMP`.
    pub monotonic: bool,
    /// `__SEQNUM` and `__SEQNUM_ID`.
    pub seqnum: bool,
}

/// An entry without its envelope.
#[derive(Debug, Default)]
pub(crate) struct Entry<'b> {
    /// The envelope's fields, in order, each name once.
    pub fields: Vec<Pair<'b>>,
    /// Who wrote the entry, on the envelope's word (SYSLOG_IDENTIFIER).
    pub identifier: Option<&'b [u8]>,
    /// The message; none where the envelope has none.
    pub message: Option<&'b [u8]>,
    /// The members of the message where it is a JSON object that had to be read to know that it has no envelope.
    pub members: Vec<Pair<'b>>,
    /// Which keys they have that are looked for.
    pub member_keys: PresentKeys,
    /// What was wrong with them.
    pub member_flaws: Flaws,
    /// Without an identifier it is Kata's only if it says so.
    pub unclaimed: bool,
    /// The envelope is the journal.
    pub from_journal: bool,
    /// The route to journald.
    pub transport: Transport,
    /// PRIORITY, 0 to 7.
    pub priority: Option<u8>,
    /// When the envelope says that the entry was made.
    pub time: Option<UtcTimestamp>,
    /// The same in microseconds since 1970, as the journal counts: when it was sent, when it was received. Read only
    /// where no other time is known.
    pub micros: [Option<&'b [u8]>; 2],
    /// `_CMDLINE`.
    pub command_line: Option<Text<'b>>,
    /// What was wrong with the envelope.
    pub flaws: Flaws,
}

/// What earlier entries of a batch have shown of a journal file's fields, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct FieldCache<'b> {
    /// The fields.
    pub pairs: Vec<Option<Pair<'b>>>,
    /// Whether they are known to be neither identifier nor message.
    pub irrelevant: Vec<bool>,
}

impl<'b> Entry<'b> {
    /// What the envelope says of the entry as a whole. The process is the one that journald knows, or else the one that the
    /// writer says it is.
    #[must_use]
    pub(crate) fn head(&self, bump: &'b Bump) -> EnvelopeHead<'b> {
        let field = |name: &[u8]| {
            let field = self.fields.iter().find(|field| field.key == name)?;
            as_text(&field.value).map(|text| text.decode(bump))
        };
        let message = self.message.map(|message| match Text::plain(message) {
            Text { escaping: Escaping::Bytes, bytes } => escape_bytes(bytes, bump),
            text => text,
        });
        let pid = field(b"_PID").or_else(|| field(b"SYSLOG_PID"));
        EnvelopeHead { host: field(b"_HOSTNAME"), pid, priority: self.priority, message }
    }

    /// When the envelope says that the entry was made.
    #[must_use]
    pub(crate) fn stamp(&self) -> Option<UtcTimestamp> {
        let read = |digits: &&[u8]| std::str::from_utf8(digits).ok()?.parse().ok().and_then(UtcTimestamp::from_micros);
        self.time.or_else(|| self.micros.iter().flatten().find_map(read))
    }

    /// Empties the entry for the next one.
    pub(crate) fn clear(&mut self) {
        self.fields.clear();
        self.members.clear();
        self.identifier = None;
        self.message = None;
        self.member_flaws = Flaws::default();
        self.unclaimed = false;
        self.from_journal = false;
        self.transport = Transport::default();
        self.priority = None;
        self.time = None;
        self.micros = [None; 2];
        self.command_line = None;
        self.flaws = Flaws::default();
    }
}

/// Finds out the identifier and the message of an entry of a journal file, by which most are irrelevant over.
pub(crate) fn look<'b>(stored: &JournalEntry<'b>, cache: &mut FieldCache<'b>, entry: &mut Entry<'b>) {
    journal::look(stored, cache, entry);
}

/// Whether a field of the journal of this name says something of its entry.
#[must_use]
pub(crate) fn needs(name: &[u8]) -> bool {
    journal::needs(name)
}

/// Whether [`Entry::head`] takes something from a field of this name.
#[must_use]
pub(crate) fn heads(name: &[u8]) -> bool {
    matches!(name, b"_HOSTNAME" | b"_PID" | b"SYSLOG_PID")
}

/// Takes the envelope off. `entry` is empty and is filled.
pub(crate) fn open<'b>(
    raw: RawEntry<'b>,
    format: InputFormat,
    synthetic: SyntheticFields,
    bump: &'b Bump,
    cache: &mut FieldCache<'b>,
    entry: &mut Entry<'b>,
) {
    entry.flaws.add_if(raw.truncated, Flaw::Truncated);
    entry.flaws.add_if(raw.unfinished, Flaw::Unfinished);
    entry.unclaimed = raw.unclaimed;
    let bytes = match raw.body {
        Body::Journal(stored) => return journal::stored(&stored, synthetic, bump, cache, entry),
        Body::Export(bytes) => return journal::export(bytes, bump, entry),
        Body::Line(bytes) => bytes,
    };
    let line = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let inner = framed(line);
    match format {
        InputFormat::Auto => match inner.first() {
            Some(b'{') => object(inner, line, bump, entry),
            Some(b't' | b'l' | b'm') if begins_with_pair(line) => entry.message = Some(line),
            _ if container::cri(line, entry) || syslog::line(line, entry) => {}
            _ => entry.message = Some(line),
        },
        InputFormat::JournalJson | InputFormat::Docker if inner.first() == Some(&b'{') => {
            object(inner, line, bump, entry);
        }
        InputFormat::Cri if container::cri(line, entry) => {}
        InputFormat::Syslog if syslog::line(line, entry) => {}
        InputFormat::JournalJson | InputFormat::Docker | InputFormat::Cri | InputFormat::Syslog => {
            entry.flaws.add(Flaw::BadEnvelope);
            entry.message = Some(line);
        }
        InputFormat::Export | InputFormat::Logfmt | InputFormat::Json | InputFormat::Text => entry.message = Some(line),
    }
}

/// Whether a line begins with a key of at most seven bytes, as those of logrus do.
#[inline]
fn begins_with_pair(line: &[u8]) -> bool {
    line.starts_with(b"time=") || line.iter().take(8).any(|byte| *byte == b'=')
}

/// The object in a line of `journalctl -o json-seq`, which puts a separator before it, or of `-o json-sse`, which puts
/// `data: `; else the line.
#[inline]
fn framed(line: &[u8]) -> &[u8] {
    match line {
        [0x1e, rest @ ..] | [b'd', b'a', b't', b'a', b':', b' ', rest @ ..] if rest.first() == Some(&b'{') => rest,
        _ => line,
    }
}

/// An object is an entry of the journal, a line of Docker's, or the line is itself the message.
fn object<'b>(text: &'b [u8], line: &'b [u8], bump: &'b Bump, entry: &mut Entry<'b>) {
    let flaws = json::members(text, bump, &mut entry.members);
    let any = |is: fn(KeyId) -> bool| entry.members.iter().filter_map(|pair| pair.id).any(is);
    if any(|id| matches!(id, KeyId::MESSAGE | KeyId::REALTIME | KeyId::CURSOR | KeyId::SYSLOG_IDENTIFIER)) {
        std::mem::swap(&mut entry.fields, &mut entry.members);
        entry.flaws.merge(flaws);
        entry.flaws.add_if(flaws.has(Flaw::BadJson), Flaw::BadEnvelope);
        journal::fields(bump, entry);
    } else if entry.members.first().is_some_and(|pair| pair.key == b"log")
        && any(|id| matches!(id, KeyId::STREAM | KeyId::TIME))
    {
        std::mem::swap(&mut entry.fields, &mut entry.members);
        entry.flaws.merge(flaws);
        entry.flaws.add_if(flaws.has(Flaw::BadJson), Flaw::BadEnvelope);
        container::docker(bump, entry);
    } else {
        entry.message = Some(line);
        entry.member_keys = entry.members.iter().map(|pair| pair.id).collect();
        entry.member_flaws = flaws;
    }
}

/// The text of a value, if it is one.
fn as_text<'b>(value: &Value<'b>) -> Option<Text<'b>> {
    match value {
        Value::Text(text) => Some(*text),
        Value::List([first, ..]) => Some(*first),
        _ => None,
    }
}
