//! Other names for the fields of a record than katalog's own, by table, and the type that each name has in each schema.
//!
//! The tables here and [`dictionary`] are all there is to know of a schema: [`translator`] gives records
//! its names, and [`definition`] describes them to stores.

pub(crate) mod definition;
pub(crate) mod translator;

use bumpalo::Bump;

use crate::dictionary::{self, KnownKey, ValueKind};
use crate::named_enum::named_enum;
use crate::normalize::field_name;

pub use definition::Definition;
pub(crate) use translator::Translator;

/// Whose names and types the fields of a record have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schema {
    /// katalog's own: kata_ fields beside the journal's.
    #[default]
    Kata,
    /// The Elastic Common Schema, in dotted names.
    Ecs,
    /// The log data model and semantic conventions of OpenTelemetry, in dotted names.
    Otel,
}

named_enum!(Schema {
    Kata => "kata", "katalog's own: kata_ fields beside the journal's";
    Ecs => "ecs", "The Elastic Common Schema, in dotted names";
    Otel => "otel", "The log data model and semantic conventions of OpenTelemetry, in dotted names";
});

/// What a field holds, in every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldType {
    /// A text, or a list of them where the journal has the field several times. It is searched as a whole.
    Text,
    /// The same, and searched by its words.
    Words,
    /// The same, and not searched, because other fields hold what it says.
    Original,
    /// A moment as RFC 3339, in UTC, with nine digits.
    Time,
    /// A moment in nanoseconds since 1970.
    Nanos,
    /// A moment, in the form that the schema has.
    Moment,
    /// A whole number from 0.
    Count,
    /// A whole number.
    Int,
    /// True or false.
    Bool,
    /// The name of a [`crate::record::Level`].
    Level,
    /// The name of a [`crate::component::Component`].
    Component,
    /// The name of a [`crate::record::PayloadFormat`].
    Format,
    /// BloomFilter of [`crate::flaw::Flaw`]s, always as a list.
    Flaws,
    /// BloomFilter of fields, always as a list.
    List,
}

/// A field, and what it is called in the other schemas.
#[derive(Debug)]
pub(crate) struct SchemaRow {
    /// The name in records of the schema `kata`, without `kata_`; of made fields what they are made of, in words.
    pub from: &'static str,
    /// The name in the Elastic Common Schema; empty where it has none.
    pub ecs: &'static str,
    /// The name in OpenTelemetry.
    pub otel: &'static str,
    /// What it holds in both.
    pub kind: FieldType,
    /// Under this name stands what identifies the host's programs, so that the guest's word is not written there.
    pub is_host: bool,
}

const fn row(from: &'static str, ecs: &'static str, otel: &'static str, kind: FieldType) -> SchemaRow {
    SchemaRow { from, ecs, otel, kind, is_host: false }
}

const fn host(row: SchemaRow) -> SchemaRow {
    SchemaRow { is_host: true, ..row }
}

/// What katalog states and what payloads say. Every other `kata_<name>` is `kata.<name>`.
pub(crate) const PAYLOAD: &[SchemaRow] = &[
    row("time", "@timestamp", "Timestamp", FieldType::Moment),
    row("level", "log.level", "SeverityText", FieldType::Level),
    row("msg", "message", "Body", FieldType::Words),
    host(row("name", "service.name", "service.name", FieldType::Text)),
    row("pid", "process.pid", "process.pid", FieldType::Count),
    row("sandbox", "labels.kata_sandbox", "kata.sandbox.id", FieldType::Text),
    host(row("container", "container.id", "container.id", FieldType::Text)),
    row("error", "error.message", "exception.message", FieldType::Words),
];

/// Fields of the journal, of syslog lines and of container logs. Every other `<NAME>` is `journald.<NAME>`.
pub(crate) const ENVELOPE: &[SchemaRow] = &[
    row("MESSAGE", "event.original", "log.record.original", FieldType::Original),
    row("_HOSTNAME", "host.name", "host.name", FieldType::Text),
    row("_MACHINE_ID", "host.id", "host.id", FieldType::Text),
    row("SYSLOG_IDENTIFIER", "log.syslog.appname", "syslog.appname", FieldType::Text),
    row("PRIORITY", "log.syslog.severity.code", "syslog.severity.code", FieldType::Count),
    row("SYSLOG_FACILITY", "log.syslog.facility.code", "syslog.facility.code", FieldType::Count),
    row("SYSLOG_PID", "log.syslog.procid", "syslog.procid", FieldType::Text),
    row("SYSLOG_MSGID", "log.syslog.msgid", "syslog.msgid", FieldType::Text),
    row("__REALTIME_TIMESTAMP", "event.created", "ObservedTimestamp", FieldType::Moment),
    row("time", "event.created", "ObservedTimestamp", FieldType::Moment),
    row("__CURSOR", "event.id", "journald.cursor", FieldType::Text),
    row("stream", "stream", "log.iostream", FieldType::Text),
    row("attrs", "docker.attrs", "docker.attrs", FieldType::Text),
];

/// Fields that are made of others, or hold what the schema asks for.
pub(crate) const DERIVED: [SchemaRow; 5] = [
    row("`kata_level`", "", "SeverityNumber", FieldType::Int),
    row("`kata_source`.`kata_subsystem`", "log.logger", "otel.scope.name", FieldType::Text),
    row("8 × `SYSLOG_FACILITY` + `PRIORITY`", "log.syslog.priority", "syslog.priority", FieldType::Count),
    row("`_HOSTNAME`", "host.hostname", "", FieldType::Text),
    row("the version of the schema", "ecs.version", "", FieldType::Text),
];

/// What katalog states under names that no row of the dictionary gives, without `kata_`.
pub(crate) const STATED: &[(&str, FieldType)] = &[
    ("component", FieldType::Component),
    ("format", FieldType::Format),
    ("guest", FieldType::Bool),
    ("flaws", FieldType::Flaws),
    ("escaped", FieldType::List),
    ("guest_time", FieldType::Time),
    ("guest_pid", FieldType::Count),
    ("guest_uptime_ns", FieldType::Int),
    ("guest_sandbox", FieldType::Text),
    ("kernel_text", FieldType::Words),
    ("words", FieldType::Words),
    ("rest", FieldType::Words),
];

/// Fields of container logs, as their envelopes have them.
const CONTAINER: &[&str] = &["time", "stream", "attrs"];

/// The version of the Elastic Common Schema that the names are from.
pub(crate) const ECS_VERSION: &str = "8.17.0";

impl Schema {
    /// The name of a row's field; none where the schema has none.
    #[must_use]
    pub(crate) fn field_name(self, row: &SchemaRow) -> Option<&'static str> {
        let name = match self {
            Schema::Kata => "",
            Schema::Ecs => row.ecs,
            Schema::Otel => row.otel,
        };
        (!name.is_empty()).then_some(name)
    }

    /// What fields have before their names that are in no table: those of the payload, and those of the envelope.
    #[must_use]
    pub(crate) const fn prefixes(self) -> (&'static str, &'static str) {
        match self {
            Schema::Kata => ("kata_", ""),
            Schema::Ecs | Schema::Otel => ("kata.", "journald."),
        }
    }

    /// The name in records of a field that the user gave this one to.
    #[must_use]
    pub(crate) fn user(self, name: &str) -> String {
        let bump = Bump::new();
        let mapped = || String::from_utf8_lossy(field_name::mapped(name.as_bytes(), &bump)).into_owned();
        if self == Schema::Kata { mapped() } else { name.to_owned() }
    }

    /// Every field whose name is known before there is a record, each once. What else there is in records is text.
    #[must_use]
    pub(crate) fn fields(self) -> Vec<(String, FieldType)> {
        let (kata, envelope) = self.prefixes();
        let named = |rows: &'static [SchemaRow], from: &str| {
            rows.iter().find(|row| row.from == from).and_then(|row| Some((self.field_name(row)?.to_owned(), row.kind)))
        };
        let mut fields = Vec::new();
        for known in dictionary::payload_keys().iter().filter(|known| known.key == known.name) {
            let own = || (format!("{kata}{}", known.name), of_kind(known));
            fields.push(named(PAYLOAD, known.name).unwrap_or_else(own));
            if known.kind == ValueKind::Duration {
                fields.push((format!("{kata}{}_ns", known.name), FieldType::Int));
            }
        }
        fields.extend(STATED.iter().map(|(name, kind)| (format!("{kata}{name}"), *kind)));
        fields.extend(DERIVED.iter().filter_map(|row| Some((self.field_name(row)?.to_owned(), row.kind))));
        for name in dictionary::envelope_keys().iter().map(|known| known.key).chain(CONTAINER.iter().copied()) {
            let kind = if name == "MESSAGE" { FieldType::Words } else { FieldType::Text };
            fields.push(named(ENVELOPE, name).unwrap_or_else(|| (format!("{envelope}{name}"), kind)));
        }
        let mut known = std::collections::HashSet::new();
        fields.retain(|(name, _)| known.insert(name.clone()));
        fields.into_iter().map(|(name, kind)| (name, self.resolve(kind))).collect()
    }

    /// The form that a moment has.
    fn resolve(self, kind: FieldType) -> FieldType {
        match kind {
            FieldType::Moment if self == Schema::Otel => FieldType::Nanos,
            FieldType::Moment => FieldType::Time,
            kind => kind,
        }
    }

    /// Whether a field of the user's own may not have this name: the schema has it, or one that is an object to stores
    /// if the other is a value.
    #[must_use]
    pub fn reserves(self, name: &str) -> bool {
        let (kata, envelope) = self.prefixes();
        // What a record is known by is what this field is for.
        if self == Schema::Kata || (self == Schema::Ecs && name == "event.id") {
            return false;
        }
        let inside = |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
        [kata, envelope].iter().any(|prefix| name.starts_with(prefix) || inside(name, prefix))
            || self.fields().iter().any(|(field, _)| field == name || inside(field, name) || inside(name, field))
    }
}

/// What a value of the dictionary becomes in a record.
fn of_kind(known: &KnownKey) -> FieldType {
    match known.kind {
        ValueKind::Text if matches!(known.name, "msg" | "error" | "vmconsole") => FieldType::Words,
        ValueKind::Text | ValueKind::Duration => FieldType::Text,
        ValueKind::Count => FieldType::Count,
        ValueKind::Int => FieldType::Int,
        ValueKind::Bool => FieldType::Bool,
        ValueKind::Time => FieldType::Time,
        ValueKind::Level => FieldType::Level,
    }
}

#[cfg(test)]
mod tests;
