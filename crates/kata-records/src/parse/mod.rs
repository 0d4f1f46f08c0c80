//! The parser of messages, which makes pairs of keys and values. It never fails: unreadable text stays text.

mod beginning;
pub(crate) mod console;
pub(crate) mod logfmt;
mod native;
mod terminal;

use bumpalo::Bump;
use memchr::memchr;

use crate::component::{Component, by_name};
use crate::dictionary::{KeyId, PresentKeys, TrackedKey};
use crate::envelope::Entry;
use crate::escapes::go_format_error;
use crate::flaw::{Flaw, Flaws};
use crate::input_format::InputFormat;
use crate::json::{self, KeyOrder};
use crate::record::{Pair, PayloadFormat, Text, Value};
use crate::redact;

pub(crate) use beginning::{begins_line, begins_record, is_date};

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
    /// The order of the keys of earlier objects.
    pub order: KeyOrder,
    /// The pairs inside the host's entry: of the guest, or of another program of the host.
    pub inner: Vec<Pair<'b>>,
    /// The writer of `inner`, or of a text without other marks.
    pub writer: Option<Component>,
    /// `inner` comes from the guest.
    pub guest: bool,
    /// A pair may hold a secret, by its value or by its key.
    pub is_marked: bool,
    /// The text may be the guest's or the host's.
    pub is_ambiguous: bool,
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
            order: KeyOrder::default(),
            inner: Vec::new(),
            writer: None,
            guest: false,
            is_marked: false,
            is_ambiguous: false,
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
        self.is_marked = false;
        self.is_ambiguous = false;
        self.uptime = None;
        self.flaws = Flaws::default();
    }

    /// Notes the tracked keys and the marks of all pairs.
    #[inline]
    fn index(&mut self) {
        let (mut keys, mut are_plain) = (PresentKeys::default(), true);
        for pair in &self.pairs {
            keys.add(pair.id);
            are_plain &= pair.is_plain;
        }
        (self.keys, self.is_marked) = (keys, !are_plain);
        self.mark_unknown();
    }

    /// Marks the payload if a key that the dictionary lacks may be secret.
    #[inline]
    fn mark_unknown(&mut self) {
        if self.keys.has_unknown() && !self.is_marked {
            self.is_marked = self.pairs.iter().any(|pair| pair.id.is_none() && may_be_secret(pair));
        }
    }

    /// Returns the content of the host's value under a key, if it is text.
    pub(crate) fn host(&self, key: TrackedKey, bump: &'b Bump) -> Option<&'b [u8]> {
        if self.keys.has(key) { content(&self.pairs, key.id(), bump) } else { None }
    }

    /// Returns whether the writer is runtime-rs, whose `source` is the sandbox.
    /// A call may replace `name`, so other programs are excluded instead.
    #[must_use]
    pub(crate) fn is_runtime_rs(&self) -> bool {
        match self.format {
            PayloadFormat::Logfmt | PayloadFormat::Json | PayloadFormat::Text => false,
            PayloadFormat::Native => self.name != Some(b"kata-agent"),
            PayloadFormat::Slog => self.name.is_some_and(|name| {
                name == b"kata-runtime"
                    || self.keys.has(TrackedKey::SUBSYSTEM)
                        && self.keys.has(TrackedKey::SOURCE)
                        && by_name(name).is_none()
            }),
        }
    }
}

/// Tests cheaply whether a pair with an unknown key may be a secret.
#[inline]
fn may_be_secret(pair: &Pair<'_>) -> bool {
    let Value::Text(text) = pair.value else { return true };
    redact::may_be_secret(pair.key, text.bytes)
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

/// Parses the message of an entry. `payload` must be empty. [`console::unpack`] follows if the host wrote the entry.
#[inline(always)]
pub(crate) fn parse<'b>(entry: &mut Entry<'b>, format: InputFormat, bump: &'b Bump, payload: &mut Payload<'b>) {
    if native::is(entry) {
        native::pairs(entry, bump, payload);
        payload.index();
    } else if let Some(message) = entry.message {
        message_pairs(entry, message, format, bump, payload);
    }
    payload.name = payload.host(TrackedKey::NAME, bump);
    let is_agent = payload.format == PayloadFormat::Slog && payload.host(TrackedKey::SOURCE, bump) == Some(b"agent");
    if is_agent && payload.is_runtime_rs() && payload.name != Some(b"kata-runtime") {
        // A call replaced the name of the agent.
        payload.name = Some(b"kata-agent");
    } else if payload.is_runtime_rs() {
        payload.keys.insert(TrackedKey::SANDBOX);
        // runtime-rs writes the sandbox as its source.
        let sources = payload.pairs.iter_mut().filter(|pair| pair.id == Some(KeyId::SOURCE));
        sources.for_each(|pair| pair.id = Some(KeyId::SANDBOX));
    }
    if payload.keys.has(TrackedKey::ID) && payload.keys.has(TrackedKey::SANDBOX) {
        forget_virtual_machine(payload, bump);
    }
}

/// Removes a `sandbox` that repeats `vm`: a factory of 1.x logs the id of its virtual machine there, and the sandbox as
/// `ID`.
fn forget_virtual_machine<'b>(payload: &mut Payload<'b>, bump: &'b Bump) {
    let machine = payload.pairs.iter().find(|pair| pair.key == b"vm");
    if let Some(Value::Text(machine)) = machine.map(|pair| pair.value)
        && payload.host(TrackedKey::SANDBOX, bump) == Some(machine.decode(bump))
    {
        payload.pairs.retain(|pair| pair.id != Some(KeyId::SANDBOX));
    }
}

/// Returns the line that a supervisor of a container manager carries in its own line: k0s logs the output of containerd
/// as `msg=`, with `component=` and `stream=`.
pub(crate) fn supervised<'b>(payload: &Payload<'b>, bump: &'b Bump) -> Option<&'b [u8]> {
    if payload.format != PayloadFormat::Logfmt || !payload.keys.has(TrackedKey::STREAM) {
        return None;
    }
    let component = payload.pairs.iter().find(|pair| pair.key == b"component")?;
    let Value::Text(component) = component.value else { return None };
    (component.bytes == b"containerd").then(|| payload.host(TrackedKey::MSG, bump)).flatten()
}

#[inline(always)]
fn message_pairs<'b>(
    entry: &mut Entry<'b>,
    message: &'b [u8],
    format: InputFormat,
    bump: &'b Bump,
    payload: &mut Payload<'b>,
) {
    let trimmed = message.trim_ascii_start();
    match format {
        InputFormat::Text | InputFormat::Kata => {}
        _ if format != InputFormat::Logfmt && trimmed.first() == Some(&b'{') => object(entry, trimmed, bump, payload),
        _ if format == InputFormat::Logfmt || starts_logfmt(trimmed) => {
            payload.format = PayloadFormat::Logfmt;
            let scanned = logfmt::scan(trimmed, bump, &mut payload.pairs);
            (payload.keys, payload.is_marked) = (scanned.keys, scanned.is_marked);
            payload.mark_unknown();
            payload.flaws.merge(scanned.flaws);
            payload.flaws.add_if(is_cut(trimmed), Flaw::Truncated);
        }
        _ => {
            terminal::scan(trimmed, bump, payload);
            payload.index();
        }
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
        payload.index();
    }
}

/// Returns whether the first key is one that logrus writes first, or that begins a cut line of Kata.
#[inline(always)]
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
        json::members(message, &mut payload.order, bump, &mut payload.pairs)
    } else {
        std::mem::swap(&mut entry.members, &mut payload.pairs);
        entry.member_flaws
    };
    payload.index();
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
