//! The record of an entry: `kata_` names, one type for each, and the host's words apart from the guest's.
//!
//! Equal entries make equal records.

pub(crate) mod envelope_fields;
pub(crate) mod coerce;
pub(crate) mod payload_fields;
mod unknown_keys;
mod failure;
pub(crate) mod level;
pub(crate) mod field_name;
pub(crate) mod prune;

use bumpalo::Bump;

use crate::component::Component;
use crate::dictionary::{self, DICTIONARY, KeyId, ValueKind};
use crate::envelope::Entry;
use crate::error::SettingsError;
use crate::flaw::Flaw;
use crate::named_enum::named_enum;
use crate::origin::Origin;
use crate::parse::Payload;
use crate::record::{Facts, Key, OwnedKey, Pair, Record};
use payload_fields::{FieldBuilder, Speaker};
use prune::{Prune, PruneAction};

use envelope_fields::EnvelopeFields;

pub(crate) use envelope_fields::NamedFieldCache;
pub(crate) use unknown_keys::UnknownKeys;

/// The treatment of nested values that are not pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nested {
    /// One string of JSON, so that the field keeps its type.
    #[default]
    String,
    /// The object or array as it is; the field then has several types.
    Keep,
    /// Left out.
    Drop,
}

named_enum!(Nested {
    String => "string", "One string of JSON, so that the field keeps its type";
    Keep => "keep", "The object or array as it is; the field then has several types";
    Drop => "drop", "Left out";
});

/// Settings of the fields of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSettings {
    /// The envelope fields to keep, with `*` for any characters; an empty list keeps all.
    pub keep: Vec<String>,
    /// The envelope fields to leave out, with `*` for any characters; `!NAME` keeps a field.
    pub drop: Vec<String>,
    /// The envelope fields to rename: old name and new name.
    pub rename: Vec<(String, String)>,
    /// Write envelope fields in lower case.
    pub lowercase: bool,
    /// Remove leading underscores from the names of envelope fields.
    pub strip_underscores: bool,
    /// The payload values to leave out. A path has segments separated by dots, `*` for any one; `!` before a path keeps
    /// its value.
    pub prune: Vec<String>,
    /// The treatment of other nested values.
    pub nested: Nested,
}

/// Journal fields that repeat others, or that are meaningful only in their journal.
const DROP: &[&str] = &["SYSLOG_RAW", "CODE_*", "__CURSOR", "__MONOTONIC_TIMESTAMP", "__SEQNUM", "__SEQNUM_ID"];

/// Nested values that hold whole structures of the runtime, with up to hundreds of values each.
const PRUNE: &[&str] = &[
    "endpoint.*",
    "endpoints.*",
    "endpoint-type.*",
    "factory.*",
    "config.*",
    "GrpcVM",
    "device.*",
    "devices.*",
    "devInfo.*",
    "device-type-endpoint.*",
    "device-type-blockdrive.*",
    "device-type-hybrid-vsock.*",
    "unknown-device-type.*",
    "drive.*",
    "machine.*",
    "kernel-params.*",
    "kernel-params-debug.*",
    "kernel-params-non-debug.*",
    "event.*",
    "event-type.*",
    "routes.*",
    "resulting-routes.*",
    "interface.*",
    "link.*",
    "features.*",
    "ociSpec Hugepage Resources.*",
    "fsOptions.*",
    "sandboxes.*",
    "pod list.*",
    "sandbox-cpus.*",
    "covered-nodes.*",
    "root-ports.*",
    "host-cpus.*",
    "req",
    "resp",
    "body",
];

impl Default for FieldSettings {
    fn default() -> FieldSettings {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        FieldSettings {
            keep: Vec::new(),
            drop: list(DROP),
            rename: Vec::new(),
            lowercase: false,
            strip_underscores: false,
            prune: list(PRUNE),
            nested: Nested::default(),
        }
    }
}

/// The compiled rule for a key of the dictionary: its row and the settings.
#[derive(Debug)]
struct Rule {
    /// The name of the field.
    field: OwnedKey,
    /// Its name for the host's word, where a writer inside the entry has taken the other.
    host: OwnedKey,
    /// Its name for a claim of the guest.
    guest: OwnedKey,
    kind: ValueKind,
    action: PruneAction,
    is_alias: bool,
    /// Text is copied without a change, under the name of the key.
    is_simple: bool,
    /// Only the host may state the value: time, process, sandbox.
    is_identity: bool,
    /// The row of the field's name.
    name: KeyId,
}

/// The author of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Author<'b> {
    /// The program.
    pub component: Component,
    /// The author of the text.
    pub origin: Origin,
    /// The entry itself is the host's word, whoever wrote the text in it. Otherwise its pairs are claims.
    pub wrapped_by_host: bool,
    /// The time in the envelope counts, whatever the text says.
    pub timed_by_runtime: bool,
    /// The process that journald took from the socket, if it is the writer's own.
    pub process: Option<&'b [u8]>,
}

/// The compiled settings.
#[derive(Debug)]
pub(crate) struct Normalize {
    envelope: EnvelopeFields,
    prune: Prune,
    nested: Nested,
    rules: Vec<Rule>,
}

impl Normalize {
    /// Compiles the settings.
    ///
    /// # Errors
    /// The setting that is wrong, with the reason.
    pub(crate) fn new(settings: &FieldSettings) -> Result<Normalize, SettingsError> {
        let prune = Prune::new(&settings.prune)?;
        let rule = |known: &dictionary::KnownKey| Rule {
            field: OwnedKey::new(&format!("kata_{}", known.name)),
            host: OwnedKey::new(&format!("kata_host_{}", known.name)),
            guest: OwnedKey::new(&format!("kata_guest_{}", known.name)),
            kind: known.kind,
            action: prune.action(known.key.as_bytes()),
            is_alias: known.key != known.name,
            is_simple: known.key == known.name
                && known.kind == ValueKind::Text
                && prune.action(known.key.as_bytes()) == PruneAction::Keep,
            is_identity: matches!(known.name, "time" | "pid" | "sandbox"),
            name: dictionary::find(known.name.as_bytes()).unwrap_or(KeyId::MSG),
        };
        let rules = DICTIONARY.iter().map(rule).collect();
        Ok(Normalize { envelope: EnvelopeFields::new(settings)?, prune, nested: settings.nested, rules })
    }

    /// Returns whether records keep a field of the envelope.
    #[must_use]
    pub(crate) fn keeps(&self, name: &[u8]) -> bool {
        !self.envelope.drops(name)
    }

    /// Returns the name of an envelope field in records, or `None` if the field is left out.
    #[must_use]
    pub(crate) fn name(&self, name: &[u8]) -> Option<Vec<u8>> {
        let bump = Bump::new();
        let key = self.envelope.key(bump.alloc_slice_copy(name), &bump)?;
        Some(key.name().to_vec())
    }

    /// Returns the key of an envelope field in records, or `None` if the field is left out.
    pub(crate) fn envelope_key<'b>(&self, name: &'b [u8], bump: &'b Bump) -> Option<Key<'b>> {
        self.envelope.key(name, bump)
    }

    fn rule(&self, id: KeyId) -> &Rule {
        &self.rules[id.row()]
    }

    /// Returns whether records leave a pair out if its value is nested.
    #[must_use]
    pub(crate) fn removes_nested(&self, pair: &Pair<'_>) -> bool {
        let action = pair.id.map_or_else(|| self.prune.action(pair.key), |id| self.rule(id).action);
        matches!(action, PruneAction::Remove | PruneAction::RemoveIfNested)
    }

    /// Adds the fields of the envelope to `record`, which holds only own fields.
    pub(crate) fn envelope<'b>(
        &'b self,
        entry: &Entry<'b>,
        bump: &'b Bump,
        cache: &mut NamedFieldCache<'b>,
        record: &mut Record<'b>,
    ) {
        if !entry.fields.is_empty() {
            self.envelope.fields(&entry.fields, bump, cache, record);
        }
    }

    /// Adds the facts and the fields of the payload to `record`.
    pub(crate) fn payload<'b>(
        &'b self,
        entry: &Entry<'b>,
        payload: &Payload<'b>,
        author: Author<'b>,
        bump: &'b Bump,
        keys: &mut UnknownKeys<'b>,
        record: &mut Record<'b>,
    ) {
        let Author { component, origin, .. } = author;
        let mut flaws = entry.flaws;
        flaws.merge(payload.flaws);
        flaws.add_if(origin == Origin::Unproven, Flaw::UnprovenOrigin);
        let facts = Facts { time: None, level: None, component, format: payload.format, origin, flaws };
        let Record { facts: place, payload: fields, escaped, .. } = record;
        let facts = place.insert(facts);
        let mut builder = FieldBuilder::new((self, keys), payload, author, bump, facts, fields, escaped);
        if !payload.inner.is_empty() {
            builder.pairs(&payload.inner, if payload.guest { Speaker::Guest } else { Speaker::Host });
        }
        builder.uptime(payload.uptime);
        builder.host_follows(payload.writer.is_some());
        builder.pairs(&payload.pairs, if author.wrapped_by_host { Speaker::Host } else { Speaker::Guest });
        if author.wrapped_by_host {
            builder.sandbox_of_shim(entry);
        }
        builder.level_of_wrapper(entry);
        let claims_time = builder.claims_time && !author.wrapped_by_host;
        if facts.time.is_none() {
            facts.time = entry.stamp();
        }
        facts.flaws.add_if(facts.time.is_none() && !claims_time, Flaw::NoTime);
        facts.flaws.add_if(!escaped.is_empty(), Flaw::NotUtf8);
    }
}
