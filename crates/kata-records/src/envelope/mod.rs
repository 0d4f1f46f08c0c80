//! The envelope of an entry: fields of the journal or of a container runtime, or the head of a syslog line.
//!
//! This stage removes the envelope. The remaining message may be of any program; later stages read it.

mod container;
mod journal;
mod syslog;

use bumpalo::Bump;
use journal_file::Entry as JournalEntry;

use crate::batch::{Body, RawEntry};
use crate::dictionary::KeyId;
use crate::escapes::escape_bytes;
use crate::flaw::{Flaw, Flaws};
use crate::input_format::InputFormat;
use crate::json::{self, KeyOrder};
use crate::origin::Route;
use crate::record::{EnvelopeHead, Escaping, Pair, Text, Value};
use crate::time::UtcTimestamp;

/// The route of an entry to journald (`_TRANSPORT`), as far as it affects the meaning of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Transport {
    /// A syslog socket. PRIORITY comes from the writer.
    Syslog,
    /// The native protocol. Fields and PRIORITY come from the writer.
    Journal,
    /// A standard output. PRIORITY is journald's default and means nothing.
    Stdout,
    /// The kernel's ring buffer.
    Kernel,
    /// Another transport, or no journal.
    #[default]
    Other,
}

/// Fields that `journalctl` adds to an entry beside its times and boot. Settings select them, because they cost as much
/// as a dozen stored fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SyntheticFields {
    /// `__CURSOR`.
    pub cursor: bool,
    /// `__MONOTONIC_TIMESTAMP`.
    pub monotonic: bool,
    /// `__SEQNUM` and `__SEQNUM_ID`.
    pub seqnum: bool,
}

/// An entry whose envelope is open: its fields, and the message inside.
#[derive(Debug, Default)]
pub(crate) struct Entry<'b> {
    /// The fields of the envelope, in their order, each name once.
    pub fields: Vec<Pair<'b>>,
    /// The identifier (SYSLOG_IDENTIFIER), as the envelope states it.
    pub identifier: Option<&'b [u8]>,
    /// The message, if there is one.
    pub message: Option<&'b [u8]>,
    /// The members of a JSON message that was parsed to rule out a journal entry and Docker's format.
    pub members: Vec<Pair<'b>>,
    /// The order of the keys of earlier entries.
    pub order: KeyOrder,
    /// The flaws of `members`.
    pub member_flaws: Flaws,
    /// Without an identifier the entry is Kata's only if its text says so.
    pub unclaimed: bool,
    /// The envelope is that of the journal.
    pub from_journal: bool,
    /// The envelope is that of a container runtime.
    pub from_container: bool,
    /// A log driver sent the entry for a container (moby: `daemon/logger/journald`; conmon).
    pub has_driver: bool,
    /// `_UID`, which journald takes from the socket.
    pub user: Option<&'b [u8]>,
    /// `_PID`, which journald takes from the socket.
    pub process: Option<&'b [u8]>,
    /// `_COMM`.
    pub command_name: Option<&'b [u8]>,
    /// journald ended the line before its writer did (`_LINE_BREAK`).
    pub is_cut: bool,
    /// The route to journald.
    pub transport: Transport,
    /// PRIORITY, 0 to 7.
    pub priority: Option<u8>,
    /// The time in the envelope.
    pub time: Option<UtcTimestamp>,
    /// The journal's times of sending and of receipt, in microseconds since 1970. They count only if no other time is
    /// known.
    pub micros: [Option<&'b [u8]>; 2],
    /// `_CMDLINE`.
    pub command_line: Option<Text<'b>>,
    /// The command line holds no secret. That is known only of a field that entries of a batch share.
    pub is_plain_line: bool,
    /// The flaws of the envelope.
    pub flaws: Flaws,
}

/// Fields of a journal file that earlier entries of the batch had, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct FieldCache<'b> {
    /// The fields as pairs.
    pub pairs: Vec<Option<Pair<'b>>>,
    /// The fields that are neither identifier nor message.
    pub irrelevant: Vec<bool>,
}

impl<'b> Entry<'b> {
    /// Returns the head for syslog. journald's process id takes precedence over the writer's.
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
        EnvelopeHead { host: field(b"_HOSTNAME"), program: None, pid, priority: self.priority, message }
    }

    /// Returns the time in the envelope.
    #[must_use]
    pub(crate) fn stamp(&self) -> Option<UtcTimestamp> {
        let read = |digits: &&[u8]| std::str::from_utf8(digits).ok()?.parse().ok().and_then(UtcTimestamp::from_micros);
        self.time.or_else(|| self.micros.iter().flatten().find_map(read))
    }

    /// Empties the entry for reuse.
    pub(crate) fn clear(&mut self) {
        self.fields.clear();
        self.members.clear();
        self.identifier = None;
        self.message = None;
        self.member_flaws = Flaws::default();
        self.unclaimed = false;
        self.from_journal = false;
        self.from_container = false;
        self.has_driver = false;
        self.user = None;
        self.process = None;
        self.command_name = None;
        self.is_cut = false;
        self.transport = Transport::default();
        self.priority = None;
        self.time = None;
        self.micros = [None; 2];
        self.command_line = None;
        self.is_plain_line = false;
        self.flaws = Flaws::default();
    }
}

/// Reads only the identifier and the message of an entry of a journal file. For most entries they decide.
pub(crate) fn look<'b>(stored: &JournalEntry<'b>, cache: &mut FieldCache<'b>, entry: &mut Entry<'b>) {
    journal::look(stored, cache, entry);
}

/// Extracts what later stages use from the fields of an entry whose envelope a record repeats.
pub(crate) fn extract<'b>(bump: &'b Bump, entry: &mut Entry<'b>) {
    journal::extract_all(bump, entry);
}

/// Returns whether the stage uses a journal field of this name.
#[must_use]
pub(crate) fn needs(name: &[u8]) -> bool {
    journal::needs(name)
}

/// Returns whether [`Entry::head`] uses a field of this name.
#[must_use]
pub(crate) fn heads(name: &[u8]) -> bool {
    matches!(name, b"_HOSTNAME" | b"_PID" | b"SYSLOG_PID")
}

/// Opens the envelope. `entry` must be empty.
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
    if raw.route == Route::Manager {
        // A manager's file has no envelopes. What looks like one is the rest of a line.
        entry.message = Some(line);
        return;
    }
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
        InputFormat::JournalJson | InputFormat::Docker | InputFormat::Cri | InputFormat::Syslog | InputFormat::Kata => {
            entry.flaws.add(Flaw::BadEnvelope);
            entry.message = Some(line);
        }
        InputFormat::Export | InputFormat::Logfmt | InputFormat::Json | InputFormat::Text => entry.message = Some(line),
    }
}

/// Returns whether a line begins with a key of at most seven bytes, as lines of logrus do.
#[inline]
fn begins_with_pair(line: &[u8]) -> bool {
    line.starts_with(b"time=") || line.iter().take(8).any(|byte| *byte == b'=')
}

/// Returns the object in a line of `journalctl -o json-seq` or `-o json-sse`, without the separator or `data: ` before
/// it. Returns any other line unchanged.
#[inline]
fn framed(line: &[u8]) -> &[u8] {
    match line {
        [0x1e, rest @ ..] | [b'd', b'a', b't', b'a', b':', b' ', rest @ ..] if rest.first() == Some(&b'{') => rest,
        _ => line,
    }
}

/// Reads a line with a JSON object: a journal entry, a line of Docker, or a message.
fn object<'b>(text: &'b [u8], line: &'b [u8], bump: &'b Bump, entry: &mut Entry<'b>) {
    let flaws = json::members(text, &mut entry.order, bump, &mut entry.members);
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
        entry.member_flaws = flaws;
    }
}

/// Returns the text of a value, or the first of several.
fn as_text<'b>(value: &Value<'b>) -> Option<Text<'b>> {
    match value {
        Value::Text(text) => Some(*text),
        Value::List([first, ..]) => Some(*first),
        _ => None,
    }
}
