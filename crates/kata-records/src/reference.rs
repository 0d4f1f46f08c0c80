//! Tables of the reference, as rows of text for documents and tests.

use crate::component::{Component, IDENTIFIERS, NAMES, SOURCES};
use crate::dictionary::{DICTIONARY, ValueKind};
use crate::flaw::Flaw;
use crate::origin::Origin;
use crate::record::{Level, PayloadFormat};
use crate::schema::{DERIVED, ENVELOPE, FieldType, PAYLOAD, SchemaRow};
use crate::trust::WAYS;

/// The reference of records. Each method returns the rows of a table.
#[derive(Clone, Copy, Debug)]
pub struct Reference;

impl Reference {
    /// Returns the known keys: key, field name without `kata_`, and type. Types are `text`, `count`, `int`, `bool`,
    /// `duration`, `time` and `level`.
    pub fn keys() -> impl Iterator<Item = [&'static str; 3]> {
        DICTIONARY.iter().map(|known| {
            let kind = match known.kind {
                ValueKind::Text => "text",
                ValueKind::Count => "count",
                ValueKind::Int => "int",
                ValueKind::Bool => "bool",
                ValueKind::Duration => "duration",
                ValueKind::Time => "time",
                ValueKind::Level => "level",
            };
            [known.key, known.name, kind]
        })
    }

    /// Returns the components: name, description, and the marks that identify them. The marks are identifiers, values
    /// of `name` and values of `source`, each list separated by commas.
    pub fn components() -> impl Iterator<Item = [String; 5]> {
        Component::ALL.iter().map(|component| {
            let marks = |rows: &[(&str, Component)]| {
                let own = rows.iter().filter(|(_, other)| other == component).map(|(mark, _)| *mark);
                own.collect::<Vec<_>>().join(", ")
            };
            // Identifiers without a component are those of both shims.
            let is_shim = matches!(component, Component::Shimv2 | Component::RuntimeRs);
            let identifiers: Vec<&str> = IDENTIFIERS
                .iter()
                .filter(|(_, known)| known.map_or(is_shim, |known| known == *component))
                .map(|(identifier, _)| *identifier)
                .collect();
            [
                component.name().to_owned(),
                component.meaning().to_owned(),
                identifiers.join(", "),
                marks(NAMES),
                marks(SOURCES),
            ]
        })
    }

    /// Returns the flaws: name, severity and description.
    pub fn flaws() -> impl Iterator<Item = [&'static str; 3]> {
        Flaw::ALL.iter().map(|flaw| [flaw.name(), flaw.severity().name(), flaw.meaning()])
    }

    /// Returns the origins: name and description.
    pub fn origins() -> impl Iterator<Item = [&'static str; 2]> {
        Origin::ALL.iter().map(|origin| [origin.name(), origin.meaning()])
    }

    /// Returns the ways of entries to katalog: the route, who can write its bytes, and what it proves.
    pub fn ways() -> impl Iterator<Item = [&'static str; 3]> {
        WAYS.iter().copied()
    }

    /// Returns the levels, least severe first.
    pub fn levels() -> impl Iterator<Item = &'static str> {
        Level::ALL.iter().map(|level| level.name())
    }

    /// Returns the formats of payloads.
    pub fn payload_formats() -> impl Iterator<Item = &'static str> {
        PayloadFormat::ALL.iter().map(|format| format.name())
    }

    /// Returns the fields with names in other schemas: the field or its derivation, the names in the Elastic Common
    /// Schema and OpenTelemetry, and the type. A missing name is empty.
    pub fn schemas() -> impl Iterator<Item = [String; 4]> {
        let row = |from: String, row: &SchemaRow| {
            let kind = match row.kind {
                FieldType::Moment => "time",
                FieldType::Count => "integer from 0",
                FieldType::Int => "integer",
                FieldType::Bool => "boolean",
                _ => "string",
            };
            [from, row.ecs.to_owned(), row.otel.to_owned(), kind.to_owned()]
        };
        let payload = PAYLOAD.iter().map(move |known| row(format!("kata_{}", known.from), known));
        let envelope = ENVELOPE.iter().map(move |known| row(known.from.to_owned(), known));
        payload.chain(envelope).chain(DERIVED.iter().map(move |made| row(format!("made of {}", made.from), made)))
    }
}
