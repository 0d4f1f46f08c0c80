//! The parser of messages, which makes pairs of keys and values. It never fails: unreadable text stays text.

pub(crate) mod console;
pub(crate) mod logfmt;
mod native;
mod terminal;

use bumpalo::Bump;
use memchr::memchr;

use crate::component::Component;
use crate::dictionary::{KeyId, PresentKeys, TrackedKey};
use crate::envelope::Entry;
use crate::escapes::go_format_error;
use crate::flaw::{Flaw, Flaws};
use crate::input_format::InputFormat;
use crate::json;
use crate::record::{Pair, PayloadFormat, Text, Value};

/// The parsed message of an entry.
#[derive(Debug)]
pub(crate) struct Payload<'b> {
    /// The format of the message.
    pub format: PayloadFormat,
    /// The pairs of the writer on the host.
    pub pairs: Vec<Pair<'b>>,
    /// The tracked keys among `pairs`, and those that were removed.
    pub keys: PresentKeys,
    /// The value of `name`.
    pub name: Option<&'b [u8]>,
    /// The pairs inside the host's entry: of the guest, or of another program of the host.
    pub inner: Vec<Pair<'b>>,
    /// The writer of `inner`, or of a text without other marks.
    pub writer: Option<Component>,
    /// `inner` comes from the guest.
    pub guest: bool,
    /// The time since the start of the guest's kernel, in nanoseconds.
    pub uptime: Option<i64>,
    /// The flaws of the message.
    pub flaws: Flaws,
}

impl Default for Payload<'_> {
    fn default() -> Self {
        Payload {
            format: PayloadFormat::Text,
            pairs: Vec::new(),
            keys: PresentKeys::default(),
            name: None,
            inner: Vec::new(),
            writer: None,
            guest: false,
            uptime: None,
            flaws: Flaws::default(),
        }
    }
}

impl<'b> Payload<'b> {
    /// Empties the payload for reuse.
    pub(crate) fn clear(&mut self) {
        self.format = PayloadFormat::Text;
        self.pairs.clear();
        self.keys = PresentKeys::default();
        self.name = None;
        self.inner.clear();
        self.writer = None;
        self.guest = false;
        self.uptime = None;
        self.flaws = Flaws::default();
    }

    /// Returns the content of the host's value under a key, if it is text.
    pub(crate) fn host(&self, key: TrackedKey, bump: &'b Bump) -> Option<&'b [u8]> {
        if self.keys.has(key) { content(&self.pairs, key.id(), bump) } else { None }
    }

    /// Returns whether the writer is runtime-rs, whose `source` is the sandbox.
    #[must_use]
    pub(crate) fn is_runtime_rs(&self) -> bool {
        matches!(self.format, PayloadFormat::Slog | PayloadFormat::Native) && self.name == Some(b"kata-runtime")
    }
}

/// Returns the content of the first text under a key.
pub(crate) fn content<'b>(pairs: &[Pair<'b>], id: KeyId, bump: &'b Bump) -> Option<&'b [u8]> {
    pairs.iter().find(|pair| pair.id == Some(id)).and_then(|pair| match pair.value {
        Value::Text(text) => Some(text.decode(bump)),
        _ => None,
    })
}

/// Returns whether a journal field of this name may be a key of a writer, as those of slog's drain are.
#[must_use]
pub(crate) fn needs(name: &[u8]) -> bool {
    !native::is_standard(name)
}

/// Parses the message of an entry. `payload` must be empty.
pub(crate) fn parse<'b>(entry: &mut Entry<'b>, format: InputFormat, bump: &'b Bump, payload: &mut Payload<'b>) {
    if native::is(entry) {
        native::pairs(entry, bump, payload);
    } else if let Some(message) = entry.message {
        message_pairs(entry, message, format, bump, payload);
    }
    if payload.format != PayloadFormat::Json && payload.format != PayloadFormat::Slog {
        payload.keys = payload.pairs.iter().map(|pair| pair.id).collect();
    }
    payload.name = payload.host(TrackedKey::NAME, bump);
    if payload.is_runtime_rs() {
        payload.keys.insert(TrackedKey::SANDBOX);
        // runtime-rs writes the sandbox as its source.
        let sources = payload.pairs.iter_mut().filter(|pair| pair.id == Some(KeyId::SOURCE));
        sources.for_each(|pair| pair.id = Some(KeyId::SANDBOX));
    }
    console::unpack(payload, bump);
}

fn message_pairs<'b>(
    entry: &mut Entry<'b>,
    message: &'b [u8],
    format: InputFormat,
    bump: &'b Bump,
    payload: &mut Payload<'b>,
) {
    let trimmed = message.trim_ascii_start();
    match format {
        InputFormat::Text => {}
        _ if format != InputFormat::Logfmt && trimmed.first() == Some(&b'{') => object(entry, trimmed, bump, payload),
        _ if format == InputFormat::Logfmt || starts_logfmt(trimmed) => {
            payload.format = PayloadFormat::Logfmt;
            payload.flaws.merge(logfmt::scan(trimmed, bump, &mut payload.pairs));
            payload.flaws.add_if(is_cut(trimmed), Flaw::Truncated);
        }
        _ => terminal::scan(trimmed, bump, payload),
    }
    if payload.pairs.is_empty() {
        payload.format = PayloadFormat::Text;
        // A value has lost its key. Lines such as `=== BEGIN goroutine stack dump ===` are no pairs.
        payload.flaws.add_if(matches!(trimmed, [b'=', next, ..] if !b"= ".contains(next)), Flaw::BadKey);
        payload.flaws.add_if(format == InputFormat::Json, Flaw::BadJson);
        payload.flaws.add_if(
            memchr::memmem::find(message, b"%!")
                .is_some_and(|at| go_format_error(message.get(at..).unwrap_or_default())),
            Flaw::GoFormatError,
        );
        payload.pairs.push(Pair::text(b"msg", Text::plain(message)));
    }
}

/// Returns whether the first key is one that logrus writes first, or that begins a cut line of Kata.
#[inline]
fn starts_logfmt(message: &[u8]) -> bool {
    if message.starts_with(b"time=") {
        return true;
    }
    let Some(end) = memchr(b'=', message.get(..16).unwrap_or(message)) else { return false };
    matches!(
        message.get(..end).unwrap_or_default(),
        b"level" | b"msg" | b"pid" | b"source" | b"name" | b"sandbox" | b"subsystem" | b"vmconsole" | b"logrus_error"
    )
}

/// Returns whether a viewer cut the line. The pager of journalctl marks that with `>`, its short modes with `…`. logrus
/// quotes values with either character.
#[inline]
fn is_cut(message: &[u8]) -> bool {
    message.ends_with(b">") || message.ends_with("…".as_bytes())
}

/// Parses a JSON object of logrus or slog. Other objects stay text, such as those of QMP.
fn object<'b>(entry: &mut Entry<'b>, message: &'b [u8], bump: &'b Bump, payload: &mut Payload<'b>) {
    let flaws = if entry.members.is_empty() {
        let flaws = json::members(message, bump, &mut payload.pairs);
        payload.keys = payload.pairs.iter().map(|pair| pair.id).collect();
        flaws
    } else {
        std::mem::swap(&mut entry.members, &mut payload.pairs);
        payload.keys = entry.member_keys;
        entry.member_flaws
    };
    let keys = payload.keys;
    let [ts, msg, level] = [TrackedKey::TS, TrackedKey::MSG, TrackedKey::LEVEL].map(|key| keys.has(key));
    payload.format = if ts && (msg || level) || message.starts_with(b"{\"msg\":") {
        PayloadFormat::Slog
    } else if level || msg || keys.has(TrackedKey::TIME) {
        PayloadFormat::Json
    } else {
        payload.pairs.clear();
        payload.flaws.add_if(message.starts_with(b"{\"") && flaws.has(Flaw::BadJson), Flaw::BadJson);
        return;
    };
    payload.flaws.merge(flaws);
    payload.flaws.add_if(flaws.has(Flaw::BadJson) && is_cut(message), Flaw::Truncated);
}
