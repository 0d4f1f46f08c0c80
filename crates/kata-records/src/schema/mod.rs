//! Names and types of fields in other schemas.
//!
//! The tables here and [`dictionary`] define each schema completely. [`translator`] renames records by them, and
//! [`definition`] describes them to stores.

pub(crate) mod definition;
pub(crate) mod translator;

use bumpalo::Bump;

use crate::dictionary::{self, KnownKey, ValueKind};
use crate::named_enum::named_enum;
use crate::normalize::field_name;

pub use definition::Definition;
pub(crate) use translator::Translator;

/// The names and types of a record's fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schema {
    /// katalog's own schema: kata_ fields beside those of the journal.
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

/// The type of a field in all records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldType {
    /// A text, or a list of texts for repeated journal fields. It is searched as a whole.
    Text,
    /// A text that is searched by its words.
    Words,
    /// A text that is not searched, because other fields hold its content.
    Original,
    /// A time in RFC 3339, UTC, with nine digits.
    Time,
    /// A time in nanoseconds since 1970.
    Nanos,
    /// A time in the form of the schema.
    Moment,
    /// An integer from 0.
    Count,
    /// An integer.
    Int,
    /// A boolean.
    Bool,
    /// The name of a [`crate::record::Level`].
    Level,
    /// The name of a [`crate::component::Component`].
    Component,
    /// The name of a [`crate::record::PayloadFormat`].
    Format,
    /// An origin.
    Origin,
    /// A list of names of [`crate::flaw::Flaw`]s.
    Flaws,
    /// A list of field names.
    List,
}

/// A field with its names in other schemas.
#[derive(Debug)]
pub(crate) struct SchemaRow {
    /// The name in the schema `kata` without `kata_`, or the derivation of a derived field.
    pub from: &'static str,
    /// The name in the Elastic Common Schema; empty if there is none.
    pub ecs: &'static str,
    /// The name in OpenTelemetry; empty if there is none.
    pub otel: &'static str,
    /// The type in both schemas.
    pub kind: FieldType,
    /// The name identifies programs of the host, so a guest's value gets another name.
    pub is_host: bool,
}

const fn row(from: &'static str, ecs: &'static str, otel: &'static str, kind: FieldType) -> SchemaRow {
    SchemaRow { from, ecs, otel, kind, is_host: false }
}

const fn host(row: SchemaRow) -> SchemaRow {
    SchemaRow { is_host: true, ..row }
}

/// Facts and payload fields. Any other `kata_<name>` becomes `kata.<name>`.
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

/// Fields of the journal, of syslog lines and of container logs. Any other `<NAME>` becomes `journald.<NAME>`.
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

/// Fields that are derived from others or required by the schema.
pub(crate) const DERIVED: [SchemaRow; 5] = [
    row("`kata_level`", "", "SeverityNumber", FieldType::Int),
    row("`kata_source`.`kata_subsystem`", "log.logger", "otel.scope.name", FieldType::Text),
    row("8 × `SYSLOG_FACILITY` + `PRIORITY`", "log.syslog.priority", "syslog.priority", FieldType::Count),
    row("`_HOSTNAME`", "host.hostname", "", FieldType::Text),
    row("the version of the schema", "ecs.version", "", FieldType::Text),
];

/// Fields that no row of the dictionary names, without `kata_`.
pub(crate) const STATED: &[(&str, FieldType)] = &[
    ("component", FieldType::Component),
    ("format", FieldType::Format),
    ("origin", FieldType::Origin),
    ("guest", FieldType::Bool),
    ("flaws", FieldType::Flaws),
    ("escaped", FieldType::List),
    ("redacted", FieldType::List),
    ("guest_time", FieldType::Time),
    ("guest_pid", FieldType::Count),
    ("guest_uptime_ns", FieldType::Int),
    ("guest_sandbox", FieldType::Text),
    ("kernel_text", FieldType::Words),
    ("words", FieldType::Words),
    ("rest", FieldType::Words),
];

/// Fields of container logs.
const CONTAINER: &[&str] = &["time", "stream", "attrs"];

/// The version of the Elastic Common Schema.
pub(crate) const ECS_VERSION: &str = "8.17.0";

impl Schema {
    /// Returns the name of a row's field, or `None` if the schema has none.
    #[must_use]
    pub(crate) fn field_name(self, row: &SchemaRow) -> Option<&'static str> {
        let name = match self {
            Schema::Kata => "",
            Schema::Ecs => row.ecs,
            Schema::Otel => row.otel,
        };
        (!name.is_empty()).then_some(name)
    }

    /// Returns the prefixes of other names: for the payload and for the envelope.
    #[must_use]
    pub(crate) const fn prefixes(self) -> (&'static str, &'static str) {
        match self {
            Schema::Kata => ("kata_", ""),
            Schema::Ecs | Schema::Otel => ("kata.", "journald."),
        }
    }

    /// Returns the name in records of an own field.
    #[must_use]
    pub(crate) fn user(self, name: &str) -> String {
        let bump = Bump::new();
        let mapped = || String::from_utf8_lossy(field_name::mapped(name.as_bytes(), &bump)).into_owned();
        if self == Schema::Kata { mapped() } else { name.to_owned() }
    }

    /// Returns all fields whose names are known in advance, each once. All other fields are text.
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

    /// Replaces the type of times by the form in this schema.
    fn resolve(self, kind: FieldType) -> FieldType {
        match kind {
            FieldType::Moment if self == Schema::Otel => FieldType::Nanos,
            FieldType::Moment => FieldType::Time,
            kind => kind,
        }
    }

    /// Returns whether an own field must not have this name, because the schema uses it, or uses it as an object or a
    /// part of one.
    #[must_use]
    pub fn reserves(self, name: &str) -> bool {
        let (kata, envelope) = self.prefixes();
        // `event.id` is meant for ids of records.
        if self == Schema::Kata || (self == Schema::Ecs && name == "event.id") {
            return false;
        }
        let inside = |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
        [kata, envelope].iter().any(|prefix| name.starts_with(prefix) || inside(name, prefix))
            || self.fields().iter().any(|(field, _)| field == name || inside(field, name) || inside(name, field))
    }
}

/// Returns the type of a dictionary value in records.
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
