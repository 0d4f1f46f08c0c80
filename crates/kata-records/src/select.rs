//! Is an entry Kata's, and whose? First by its identifier, before anything is parsed; then by what the payload says.

use bumpalo::Bump;
use memchr::memmem::Finder;
use memchr::{memchr, memmem};
use regex::bytes::{Regex, RegexSet};

use crate::component::{Component, IDENTIFIERS, NAMES, SOURCES};
use crate::dictionary::{KeyId, TrackedKey};
use crate::envelope::{Entry, Transport};
use crate::error::SettingsError;
use crate::flaw::Flaw;
use crate::named_enum::named_enum;
use crate::parse::{Payload, content};
use crate::record::{PayloadFormat, Value};

/// What becomes of entries that are not Kata's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// Drop and count them.
    #[default]
    Drop,
    /// Pass them on unchanged, under their own tag.
    Pass,
}

named_enum!(Others {
    Drop => "drop", "Drop and count them";
    Pass => "pass", "Pass them on unchanged, under their own tag";
});

/// What a user may say about the selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectSettings {
    /// Identifiers that are Kata's own; patterns that must match the whole identifier.
    pub identifiers: Vec<String>,
    /// Identifiers in whose output Kata's lines are picked out by what they say.
    pub managers: Vec<String>,
    /// The identifier that lines without one are taken to have.
    pub default_identifier: String,
    /// What becomes of entries that are not Kata's.
    pub others: Others,
    /// The components wanted; all where empty.
    pub components: Vec<Component>,
}

/// `vc` is the trigger of the KSM throttler, under a name that others may use too.
const MANAGERS: &[&str] = &["containerd", "crio", "vc"];

impl Default for SelectSettings {
    fn default() -> SelectSettings {
        SelectSettings {
            identifiers: IDENTIFIERS.iter().map(|(identifier, _)| (*identifier).to_owned()).collect(),
            managers: MANAGERS.iter().map(|name| (*name).to_owned()).collect(),
            default_identifier: "kata".to_owned(),
            others: Others::Drop,
            components: Vec::new(),
        }
    }
}

/// What an identifier alone says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdentifierKind {
    /// Kata's own; the component where the identifier is of one only.
    Own(Option<Component>),
    /// A container manager's: Kata's lines are among its own.
    Manager,
    /// Nobody's: it is Kata's if it names a component or a part of Kata itself.
    Unclaimed,
    /// Not Kata's.
    Other,
}

/// The settings, compiled.
#[derive(Debug)]
pub(crate) struct Selector {
    own: Vec<(Vec<u8>, Option<Component>)>,
    patterns: RegexSet,
    managers: Vec<Vec<u8>>,
    default_kind: IdentifierKind,
    wanted: u32,
    drops_others: bool,
    identifier: Finder<'static>,
    marks: Regex,
    marks_in_json: Regex,
}

/// What every line of Kata's in a manager's output has some of: its names, its keys, or the head of a panic.
const MARKS: &str =
    r"kata|containerd-shim-v2|source|vmconsole|vm console: |stderr: |panic: |fatal error: |\[signal SIG|goroutine ";

/// What may hide one of these in a journal's entry in JSON: an escape, or a message given as its bytes.
const HIDDEN_MARKS: &str = r#"|\\u00[2-7]|"MESSAGE":\["#;

/// How a panic of runtime-rs begins in the kernel's messages.
const KERNEL_PANIC: &[u8] = b"A panic occurred at ";

/// The member of a journal's entry in JSON that holds the identifier. Inside a string its quotes would be escaped.
const IDENTIFIER: &[u8] = b"\"SYSLOG_IDENTIFIER\":\"";

impl Selector {
    /// Compiles the settings.
    ///
    /// # Errors
    /// A pattern that is not a regular expression, with the reason.
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
            marks: Regex::new(MARKS).map_err(invalid)?,
            marks_in_json: Regex::new(&[MARKS, HIDDEN_MARKS].concat()).map_err(invalid)?,
            drops_others: settings.others == Others::Drop,
            wanted: settings.components.iter().fold(0, |wanted, component| wanted | 1 << *component as u8),
        };
        select.default_kind = match select.identified(settings.default_identifier.as_bytes()) {
            // The line itself says nothing of its writer, so neither does the name that it is given.
            IdentifierKind::Own(_) => IdentifierKind::Own(Some(Component::Unknown)),
            kind => kind,
        };
        Ok(select)
    }

    /// Whether a line holds an entry of the journal that is certain to be dropped as another's, told without reading
    /// its members: most of a node's journal is.
    #[must_use]
    pub(crate) fn skips(&self, line: &[u8]) -> bool {
        if !self.drops_others || !matches!(line, [b'{', b'"', b'_' | b'A'..=b'Z', ..]) {
            return false;
        }
        let identifier = || {
            let at = self.identifier.find(line)?;
            let value = line.get(at + IDENTIFIER.len()..)?;
            let value = value.get(..memchr(b'"', value)?)?;
            // One that is written with escapes has to be read first.
            (!value.contains(&b'\\')).then_some(value)
        };
        match identifier() {
            None => false,
            Some(identifier) if !self.may_want(identifier) => true,
            Some(identifier) => match self.identified(identifier) {
                IdentifierKind::Manager => !self.marks_in_json.is_match(line),
                IdentifierKind::Own(_) | IdentifierKind::Unclaimed | IdentifierKind::Other => false,
            },
        }
    }

    /// Whether an entry of the journal with this identifier may be Kata's, or say something of Kata's.
    #[must_use]
    pub(crate) fn may_want(&self, identifier: &[u8]) -> bool {
        // The kernel's may be a panic of runtime-rs, journald's may say how much it dropped.
        matches!(identifier, b"kernel" | b"systemd-journald") || self.identified(identifier) != IdentifierKind::Other
    }

    /// Whether an entry of the journal with this identifier and this message is likely to be Kata's.
    #[must_use]
    pub(crate) fn likely(&self, identifier: &[u8], message: &[u8]) -> bool {
        match self.identified(identifier) {
            IdentifierKind::Own(_) => true,
            IdentifierKind::Manager | IdentifierKind::Unclaimed => self.marks.is_match(message),
            IdentifierKind::Other => identifier == b"kernel" && message.starts_with(KERNEL_PANIC),
        }
    }

    /// Whether an entry is certain to be none of Kata's, told without reading its message.
    #[must_use]
    pub(crate) fn is_others(&self, kind: IdentifierKind, message: Option<&[u8]>) -> bool {
        match kind {
            IdentifierKind::Own(_) => false,
            IdentifierKind::Manager | IdentifierKind::Unclaimed => {
                message.is_none_or(|message| !self.marks.is_match(message))
            }
            IdentifierKind::Other => true,
        }
    }

    /// What the entry's identifier says.
    #[must_use]
    pub(crate) fn kind(&self, entry: &Entry<'_>) -> IdentifierKind {
        match entry.identifier {
            None if entry.from_journal => IdentifierKind::Other,
            None if entry.unclaimed => IdentifierKind::Unclaimed,
            None => self.default_kind,
            Some(b"kernel") if entry.message.is_some_and(|text| text.starts_with(KERNEL_PANIC)) => {
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

    /// Who wrote the payload; none where the entry is not Kata's.
    pub(crate) fn component<'b>(
        &self,
        kind: IdentifierKind,
        entry: &Entry<'b>,
        payload: &mut Payload<'b>,
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
            (None, IdentifierKind::Manager) => proven_otherwise(entry, payload, bump),
            (None, IdentifierKind::Own(None)) => Some(match (payload.format, entry.transport) {
                // Under `kata`, runtime-rs writes no logfmt and does not write through syslog.
                (PayloadFormat::Logfmt, _) | (_, Transport::Syslog) => Component::Shimv2,
                _ => Component::RuntimeRs,
            }),
            (None, IdentifierKind::Own(Some(component))) => Some(component),
        }
    }

    /// Whether the user wants this component's entries.
    #[must_use]
    pub(crate) fn wants(&self, component: Component) -> bool {
        self.wanted == 0 || self.wanted & 1 << component as u8 != 0
    }
}

fn by_name(name: &[u8]) -> Option<Component> {
    NAMES.iter().find(|(known, _)| known.as_bytes() == name).map(|row| row.1)
}

fn by_source(source: &[u8]) -> Option<Component> {
    if source.starts_with(b"virtcontainers/") {
        return Some(Component::Shimv2);
    }
    SOURCES.iter().find(|(known, _)| known.as_bytes() == source).map(|row| row.1)
}

/// kata-monitor's first entry names itself in `app` only.
fn by_app<'b>(payload: &Payload<'b>, bump: &'b Bump) -> Option<Component> {
    let app = payload.pairs.iter().find(|pair| pair.key == b"app")?;
    if let Value::Text(text) = app.value { by_name(text.decode(bump)) } else { None }
}

/// A manager's line that names neither a component nor a part of Kata, and is Kata's all the same.
fn proven_otherwise<'b>(entry: &Entry<'b>, payload: &mut Payload<'b>, bump: &'b Bump) -> Option<Component> {
    if let Some(runtime) = content(&payload.pairs, KeyId::RUNTIME, bump) {
        // containerd's shim library, inside Kata's shim.
        return runtime.starts_with(b"io.containerd.kata").then_some(Component::Shimv2);
    }
    // The first part of a line may have lost the pairs that tell whose it is.
    if payload.format != PayloadFormat::Text && !entry.flaws.has(Flaw::SplitByJournald) {
        return None;
    }
    let message = entry.message?;
    let marks = [b"kata-containers".as_slice(), b"containerd-shim-kata", b"io.containerd.kata"];
    // A manager that panics is gone; a shim that panics does it through the manager's output.
    let heads = [b"panic: ".as_slice(), b"fatal error: ", b"[signal SIG", b"goroutine "];
    let component = if marks.iter().any(|mark| memmem::find(message, mark).is_some())
        || heads.iter().any(|head| message.starts_with(head))
    {
        Component::Shimv2
    } else if is_rest(message) {
        Component::Unknown
    } else {
        return None;
    };
    // It may be the rest of a line that was split inside text of the guest, so it counts as the guest's word.
    payload.guest = true;
    payload.flaws.add(Flaw::UnprovenOrigin);
    Some(component)
}

/// Whether this is the rest of a line of Kata's that was split: its last pairs still say so.
fn is_rest(message: &[u8]) -> bool {
    let value = |key: &[u8]| {
        let behind = message.get(memmem::rfind(message, key)? + key.len()..)?;
        behind.split(|byte| *byte == b' ').next()
    };
    value(b"name=").and_then(by_name).is_some() || value(b" source=").and_then(by_source).is_some()
}
