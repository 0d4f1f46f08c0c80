//! The selection of Kata's entries and the recognition of their components: first by the identifier, before any
//! parsing, then by the payload.

use std::sync::LazyLock;

use bumpalo::Bump;
use memchr::memmem::Finder;
use memchr::{memchr, memmem};
use regex::bytes::{Regex, RegexSet};

use crate::component::{Component, IDENTIFIERS, by_name, by_source};
use crate::dictionary::{KeyId, TrackedKey};
use crate::envelope::{Entry, Transport};
use crate::error::SettingsError;
use crate::named_enum::named_enum;
use crate::parse::{Payload, content};
use crate::record::{PayloadFormat, Value};

/// The treatment of entries of other programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// Drop and count them.
    #[default]
    Drop,
    /// Pass them on with their own fields, under their own tag.
    Pass,
}

named_enum!(Others {
    Drop => "drop", "Drop and count them";
    Pass => "pass", "Pass them on with their own fields, under their own tag";
});

/// Settings of the selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectSettings {
    /// Identifiers of Kata: patterns that must match the whole identifier.
    pub identifiers: Vec<String>,
    /// Identifiers of container managers, among whose output are lines of Kata.
    pub managers: Vec<String>,
    /// The identifier of lines without one.
    pub default_identifier: String,
    /// The treatment of entries of other programs.
    pub others: Others,
    /// The components to keep; an empty list keeps all.
    pub components: Vec<Component>,
    /// The users (`_UID`) whose journal entries count as the host's.
    pub trusted_uids: Vec<u32>,
    /// The journals are not trusted either, because somebody may have made them.
    pub untrusted: bool,
}

/// `vc` is the trigger of the KSM throttler. Other programs may use that name too.
pub(crate) const MANAGERS: &[&str] = &[
    "containerd",
    "crio",
    "k3s",
    "rke2",
    "k0s",
    "k0scontroller",
    "k0sworker",
    "microk8s.daemon-containerd",
    "microk8s.daemon-kubelite",
    "vc",
];

impl Default for SelectSettings {
    fn default() -> SelectSettings {
        SelectSettings {
            identifiers: IDENTIFIERS.iter().map(|(identifier, _)| (*identifier).to_owned()).collect(),
            managers: MANAGERS.iter().map(|name| (*name).to_owned()).collect(),
            default_identifier: "kata".to_owned(),
            others: Others::Drop,
            components: Vec::new(),
            trusted_uids: vec![0],
            untrusted: false,
        }
    }
}

/// The meaning of an identifier alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdentifierKind {
    /// An identifier of Kata, with its component if there is only one.
    Own(Option<Component>),
    /// A container manager, among whose lines are some of Kata.
    Manager,
    /// No identifier: the payload has to name a component or a part of Kata.
    Unclaimed,
    /// An identifier of another program.
    Other,
}

/// The compiled settings.
#[derive(Debug)]
pub(crate) struct Selector {
    own: Vec<(Vec<u8>, Option<Component>)>,
    patterns: RegexSet,
    managers: Vec<Vec<u8>>,
    default_kind: IdentifierKind,
    wanted: u32,
    drops_others: bool,
    identifier: Finder<'static>,
    hidden: [Finder<'static>; 2],
    /// The parts that the names of Kata's programs have in common.
    names: [Finder<'static>; 2],
}

/// Marks of Kata's lines in a manager's output: names, keys, and heads of panics. Each such line has at least one.
const MARKS: &str =
    r"kata|containerd-shim-v2|source|vmconsole|vm console: |stderr: |panic: |fatal error: |\[signal SIG|goroutine ";

/// Returns whether a message of a manager has a mark. Few inputs have such messages, so the expression is compiled for the
/// first one.
fn has_marks(message: &[u8]) -> bool {
    static COMPILED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(MARKS).ok());
    COMPILED.as_ref().is_none_or(|marks| marks.is_match(message))
}

/// The start of a panic of runtime-rs in the kernel's messages.
const KERNEL_PANIC: &[u8] = b"A panic occurred at ";

/// The member of a JSON journal entry with the identifier. Inside a string its quotes would be escaped.
const IDENTIFIER: &[u8] = b"\"SYSLOG_IDENTIFIER\":\"";

impl Selector {
    /// Compiles the settings.
    ///
    /// # Errors
    /// [`SettingsError::Identifier`] if a pattern is no valid regular expression.
    pub(crate) fn new(settings: &SelectSettings) -> Result<Selector, SettingsError> {
        let (patterns, names): (Vec<_>, Vec<_>) =
            settings.identifiers.iter().partition(|name| regex::escape(name).replace("\\-", "-") != **name);
        let component_of = |name: &str| IDENTIFIERS.iter().find(|(known, _)| *known == name).and_then(|row| row.1);
        let invalid = |error: regex::Error| SettingsError::Identifier(error.to_string());
        let mut select = Selector {
            own: names.iter().map(|name| (name.as_bytes().to_vec(), component_of(name))).collect(),
            patterns: RegexSet::new(patterns.iter().map(|pattern| format!("^(?:{pattern})$"))).map_err(invalid)?,
            managers: settings.managers.iter().map(|name| name.as_bytes().to_vec()).collect(),
            default_kind: IdentifierKind::Other,
            identifier: Finder::new(IDENTIFIER),
            hidden: [Finder::new(br"\u00"), Finder::new(b"\"MESSAGE\":[")],
            names: [Finder::new(b"kata"), Finder::new(b"containerd-shim-v2")],
            drops_others: settings.others == Others::Drop,
            wanted: settings.components.iter().fold(0, |wanted, component| wanted | 1 << *component as u8),
        };
        select.default_kind = match select.identified(settings.default_identifier.as_bytes()) {
            // A line without an identifier says nothing of its writer, so the default names no component.
            IdentifierKind::Own(_) => IdentifierKind::Own(Some(Component::Unknown)),
            kind => kind,
        };
        Ok(select)
    }

    /// Returns whether a line is a journal entry that is certainly dropped as another program's. It parses no members,
    /// because most of a node's journal is dropped.
    #[must_use]
    pub(crate) fn skips(&self, line: &[u8]) -> bool {
        if !self.drops_others || !matches!(line, [b'{', b'"', b'_' | b'A'..=b'Z', ..]) {
            return false;
        }
        let identifier = || {
            let at = self.identifier.find(line)?;
            let value = line.get(at + IDENTIFIER.len()..)?;
            let value = value.get(..memchr(b'"', value)?)?;
            // An identifier with escapes has to be parsed first.
            (!value.contains(&b'\\')).then_some(value)
        };
        match identifier() {
            None => false,
            Some(identifier) if !self.may_want(identifier) => true,
            Some(identifier) => match self.identified(identifier) {
                IdentifierKind::Manager => !has_marks(line) && !self.may_hide_marks(line),
                IdentifierKind::Own(_) | IdentifierKind::Unclaimed | IdentifierKind::Other => false,
            },
        }
    }

    /// Returns whether a journal entry in JSON may hide a mark: behind an escape, or in a message as an array of bytes.
    fn may_hide_marks(&self, line: &[u8]) -> bool {
        let [escape, array] = &self.hidden;
        let is_mark = |at: usize| matches!(line.get(at + escape.needle().len()), Some(b'2'..=b'7'));
        escape.find_iter(line).any(is_mark) || array.find(line).is_some()
    }

    /// Returns whether a journal entry with this identifier may be Kata's, or may say something of Kata.
    #[must_use]
    pub(crate) fn may_want(&self, identifier: &[u8]) -> bool {
        // The kernel logs panics of runtime-rs, and journald logs the number of messages that it dropped.
        matches!(identifier, b"kernel" | b"systemd-journald") || self.identified(identifier) != IdentifierKind::Other
    }

    /// Returns whether a journal entry with this identifier and message is likely Kata's.
    #[must_use]
    pub(crate) fn likely(&self, identifier: &[u8], message: &[u8]) -> bool {
        match self.identified(identifier) {
            IdentifierKind::Own(_) => true,
            IdentifierKind::Manager | IdentifierKind::Unclaimed => has_marks(message),
            IdentifierKind::Other if identifier.is_empty() => behind_host_name(message).is_some(),
            IdentifierKind::Other => identifier == b"kernel" && message.starts_with(KERNEL_PANIC),
        }
    }

    /// Returns whether all entries with this identifier make records.
    #[must_use]
    pub(crate) fn takes_all(&self, identifier: &[u8]) -> bool {
        self.wanted == 0 && matches!(self.identified(identifier), IdentifierKind::Own(_))
    }

    /// Returns whether an entry is certainly not Kata's, without parsing its message.
    #[must_use]
    pub(crate) fn is_others(&self, kind: IdentifierKind, message: Option<&[u8]>) -> bool {
        match kind {
            IdentifierKind::Own(_) => false,
            IdentifierKind::Manager | IdentifierKind::Unclaimed => message.is_none_or(|message| !has_marks(message)),
            IdentifierKind::Other => true,
        }
    }

    /// Returns the meaning of the entry's identifier.
    #[must_use]
    pub(crate) fn kind(&self, entry: &Entry<'_>) -> IdentifierKind {
        match entry.identifier {
            None if is_unnamed_virtiofsd(entry) => IdentifierKind::Own(Some(Component::Virtiofsd)),
            None if entry.from_journal => IdentifierKind::Other,
            None if entry.unclaimed => IdentifierKind::Unclaimed,
            None => self.default_kind,
            Some(b"kernel")
                if matches!(entry.transport, Transport::Kernel | Transport::Other)
                    && entry.message.is_some_and(|text| text.starts_with(KERNEL_PANIC)) =>
            {
                // The panic hook of runtime-rs also writes to /dev/kmsg.
                IdentifierKind::Own(Some(Component::RuntimeRs))
            }
            Some(identifier) => self.identified(identifier),
        }
    }

    fn identified(&self, identifier: &[u8]) -> IdentifierKind {
        if let Some((_, component)) = self.own.iter().find(|(name, _)| name == identifier) {
            IdentifierKind::Own(*component)
        } else if self.managers.iter().any(|name| name == identifier) {
            IdentifierKind::Manager
        } else if self.patterns.is_match(identifier) {
            IdentifierKind::Own(Some(Component::Unknown))
        } else {
            IdentifierKind::Other
        }
    }

    /// Returns the writer of the payload, or `None` for an entry of another program.
    pub(crate) fn component<'b>(
        &self,
        kind: IdentifierKind,
        entry: &Entry<'b>,
        payload: &Payload<'b>,
        bump: &'b Bump,
    ) -> Option<Component> {
        if let Some(writer) = payload.writer {
            return Some(writer);
        }
        let found = (payload.name.and_then(by_name))
            .or_else(|| payload.host(TrackedKey::SOURCE, bump).and_then(by_source))
            .or_else(|| by_app(payload, bump));
        match (found, kind) {
            (Some(Component::Runtime), _) if payload.is_runtime_rs() => Some(Component::RuntimeRs),
            (Some(component), _) => Some(component),
            (None, IdentifierKind::Other | IdentifierKind::Unclaimed) => None,
            (None, IdentifierKind::Manager) if payload.is_runtime_rs() => Some(Component::RuntimeRs),
            (None, IdentifierKind::Manager) => proven_otherwise(entry, payload, bump),
            (None, IdentifierKind::Own(None)) => Some(match (payload.format, entry.transport) {
                // Under `kata`, runtime-rs writes no logfmt and does not use syslog.
                (PayloadFormat::Logfmt, _) | (_, Transport::Syslog) => Component::Shimv2,
                _ => Component::RuntimeRs,
            }),
            (None, IdentifierKind::Own(Some(component))) => Some(component),
        }
    }

    /// Returns whether a message names a program of Kata.
    #[must_use]
    pub(crate) fn names_kata(&self, message: &[u8]) -> bool {
        self.names.iter().any(|name| name.find(message).is_some())
    }

    /// Returns whether the settings keep a component.
    #[must_use]
    pub(crate) fn wants(&self, component: Component) -> bool {
        self.wanted == 0 || self.wanted & 1 << component as u8 != 0
    }
}

/// Recognizes kata-monitor by `app`: its first entry has no other name.
fn by_app<'b>(payload: &Payload<'b>, bump: &'b Bump) -> Option<Component> {
    let app = payload.pairs.iter().find(|pair| pair.key == b"app")?;
    if let Value::Text(text) = app.value { by_name(text.decode(bump)) } else { None }
}

/// Recognizes a manager's line that names neither a component nor a part of Kata.
fn proven_otherwise<'b>(entry: &Entry<'b>, payload: &Payload<'b>, bump: &'b Bump) -> Option<Component> {
    if let Some(runtime) = content(&payload.pairs, KeyId::RUNTIME, bump) {
        // containerd's shim library runs inside Kata's shim.
        return runtime.starts_with(b"io.containerd.kata").then_some(Component::Shimv2);
    }
    // The first part of a split line may have lost its identifying pairs.
    if payload.format != PayloadFormat::Text && !entry.is_cut {
        return None;
    }
    let message = entry.message?;
    let marks = [b"kata-containers".as_slice(), b"containerd-shim-kata", b"io.containerd.kata"];
    // A manager ends when it panics, so these panics are a shim's, written through the manager's output.
    let heads = [b"panic: ".as_slice(), b"fatal error: ", b"[signal SIG", b"goroutine "];
    if marks.iter().any(|mark| memmem::find(message, mark).is_some())
        || heads.iter().any(|head| message.starts_with(head))
    {
        Some(Component::Shimv2)
    } else {
        is_rest(message).then_some(Component::Unknown)
    }
}

/// Returns whether an entry is virtiofsd's although it has no identifier: virtiofsd's `--syslog` puts the host's name
/// before its own, and journald then finds no identifier.
fn is_unnamed_virtiofsd(entry: &Entry<'_>) -> bool {
    entry.transport == Transport::Syslog
        && entry.command_name == Some(b"virtiofsd")
        && entry.message.is_some_and(|message| behind_host_name(message).is_some())
}

/// Returns the text of virtiofsd behind the name of the host: `node1 virtiofsd[17898]: text`.
pub(crate) fn behind_host_name(message: &[u8]) -> Option<&[u8]> {
    let host = message.iter().take(256).position(|byte| *byte == b' ')?;
    let rest = message.get(host + 1..)?.strip_prefix(b"virtiofsd[")?;
    let digits = rest.iter().take(16).take_while(|byte| byte.is_ascii_digit()).count();
    let text = rest.get(digits..)?.strip_prefix(b"]:")?;
    Some(text.strip_prefix(b" ").unwrap_or(text))
}

/// Returns whether a message is the rest of a split line of Kata, by its last pairs.
fn is_rest(message: &[u8]) -> bool {
    let value = |key: &[u8]| {
        let behind = message.get(memmem::rfind(message, key)? + key.len()..)?;
        behind.split(|byte| *byte == b' ').next()
    };
    value(b"name=").and_then(by_name).is_some() || value(b" source=").and_then(by_source).is_some()
}
