//! Descriptions of schemas for stores and validators: index templates and JSON Schema.

use serde_json::{Map, Value, json};

use super::{FieldType, Schema};
use crate::component::Component;
use crate::flaw::Flaw;
use crate::named_enum::named_enum;
use crate::origin::Origin;
use crate::record::{Level, PayloadFormat};

/// The kind of description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definition {
    /// The body of an index template (_index_template) of Elasticsearch 8.13 or newer.
    Elasticsearch,
    /// The body of an index template (_index_template) of OpenSearch 2.7 or newer.
    Opensearch,
    /// JSON Schema (2020-12) of a record.
    JsonSchema,
}

named_enum!(Definition {
    Elasticsearch => "elasticsearch", "The body of an index template (_index_template) of Elasticsearch 8.13 or newer";
    Opensearch => "opensearch", "The body of an index template (_index_template) of OpenSearch 2.7 or newer";
    JsonSchema => "json-schema", "JSON Schema (2020-12) of a record";
});

/// The maximum length of indexed texts, in characters. A term of more than 32,766 bytes would reject the record, and a
/// character has up to four bytes.
const LONGEST_TERM: u32 = 1024;

/// The maximum number of fields in an index. Further fields are stored but not searched.
const FIELDS: u32 = 500;

/// The maximum number for OpenSearch, which rejects records with further fields.
const FIELDS_OF_OPENSEARCH: u32 = 1000;

/// The priority of the template. Built-in templates for `logs-*-*` and others have up to 200.
const PRIORITY: u32 = 500;

impl Definition {
    /// Describes a schema with these own fields, as JSON for people.
    pub(crate) fn describe<'n>(self, schema: Schema, own: impl Iterator<Item = (&'n str, FieldType)>) -> String {
        let mut fields = schema.fields();
        fields.extend(own.map(|(name, kind)| (schema.user(name), kind)));
        let definition = match self {
            Definition::JsonSchema => json_schema(schema, &fields),
            Definition::Elasticsearch | Definition::Opensearch => self.template(schema, &fields),
        };
        format!("{definition:#}\n")
    }

    fn template(self, schema: Schema, fields: &[(String, FieldType)]) -> Value {
        let mut properties = Map::new();
        // Shippers add a missing timestamp.
        put(&mut properties, "@timestamp", self.mapping(FieldType::Time));
        for (name, kind) in fields {
            put(&mut properties, name, self.mapping(*kind));
        }
        let limits = match self {
            Definition::Elasticsearch => json!({ "limit": FIELDS, "ignore_dynamic_beyond_limit": true }),
            _ => json!({ "limit": FIELDS_OF_OPENSEARCH }),
        };
        json!({
            "index_patterns": ["kata-*"],
            "priority": PRIORITY,
            "template": {
                "settings": {
                    "index": {
                        "mapping": { "total_fields": limits, "nested_fields": { "limit": 0 }, "ignore_malformed": true },
                    },
                },
                "mappings": {
                    "date_detection": false,
                    "numeric_detection": false,
                    "dynamic_templates": self.rules(schema),
                    "properties": properties,
                },
            },
            "_meta": { "description": format!("Records of katalog {}, {}", env!("CARGO_PKG_VERSION"), title(schema)) },
        })
    }

    /// Returns the rules for other names.
    fn rules(self, schema: Schema) -> Vec<Value> {
        let text = self.mapping(FieldType::Text);
        let any = |test: &str, pattern: String| json!({ test: pattern, "match_mapping_type": "*", "mapping": text });
        let (kata, envelope) = schema.prefixes();
        let mut rules = Vec::new();
        if schema == Schema::Kata {
            // `nested = "keep"` leaves objects.
            let flat = if self == Definition::Elasticsearch { "flattened" } else { "flat_object" };
            let objects = json!({ "match": "kata_*", "match_mapping_type": "object", "mapping": { "type": flat } });
            rules.push(json!({ "objects": objects }));
            rules.push(json!({ "payload": any("match", format!("{kata}*")) }));
        } else {
            rules.push(json!({ "payload": any("path_match", format!("{kata}*")) }));
            rules.push(json!({ "carrier": any("path_match", format!("{envelope}*")) }));
        }
        rules.push(json!({ "texts": { "match_mapping_type": "string", "mapping": text } }));
        rules
    }

    /// Returns the type of a field in an index.
    fn mapping(self, kind: FieldType) -> Value {
        let keyword = json!({ "type": "keyword", "ignore_above": LONGEST_TERM });
        // OpenSearch has match_only_text from 2.12 only.
        let words = if self == Definition::Elasticsearch { "match_only_text" } else { "text" };
        match kind {
            FieldType::Words => json!({ "type": words, "fields": { "keyword": keyword } }),
            FieldType::Original => json!({ "type": "keyword", "index": false, "doc_values": false }),
            // The type `date` would truncate to milliseconds.
            FieldType::Time => json!({ "type": "date_nanos" }),
            FieldType::Nanos | FieldType::Count | FieldType::Int => json!({ "type": "long" }),
            FieldType::Bool => json!({ "type": "boolean" }),
            FieldType::Text
            | FieldType::Moment
            | FieldType::Level
            | FieldType::Component
            | FieldType::Format
            | FieldType::Origin
            | FieldType::Flaws
            | FieldType::List => keyword,
        }
    }
}

/// Returns the name of a schema in descriptions.
fn title(schema: Schema) -> &'static str {
    match schema {
        Schema::Kata => "schema kata",
        Schema::Ecs => "schema ecs",
        Schema::Otel => "schema otel",
    }
}

/// Inserts a field under its dotted name. Each part except the last is an object.
fn put(properties: &mut Map<String, Value>, name: &str, mapping: Value) {
    let Some((object, rest)) = name.split_once('.') else {
        properties.insert(name.to_owned(), mapping);
        return;
    };
    let object = properties.entry(object).or_insert_with(|| json!({ "properties": {} }));
    if let Some(Value::Object(inside)) = object.get_mut("properties") {
        put(inside, rest, mapping);
    }
}

fn json_schema(schema: Schema, fields: &[(String, FieldType)]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|(name, kind)| (name.clone(), value(*kind))).collect();
    let (kata, envelope) = schema.prefixes();
    let mut definition = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("A record of katalog {}, {}", env!("CARGO_PKG_VERSION"), title(schema)),
        "type": "object",
        "properties": properties,
        // A guest may name its process twice.
        "patternProperties": {
            format!("^{}guest_pid_[0-9]+$", kata.replace('.', "\\.")): value(FieldType::Count),
        },
        "additionalProperties": value(FieldType::Text),
    });
    if schema != Schema::Kata {
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let others = format!("^({}|{})[A-Za-z0-9_-]+$", kata.replace('.', "\\."), envelope.replace('.', "\\."));
        definition["propertyNames"] = json!({ "anyOf": [{ "enum": names }, { "pattern": others }] });
    }
    if schema == Schema::Ecs {
        definition["required"] = json!(["ecs.version"]);
    }
    definition
}

/// Returns the JSON Schema of a field's values.
fn value(kind: FieldType) -> Value {
    let word = |names: Vec<&str>| json!({ "type": "string", "enum": names });
    match kind {
        FieldType::Text | FieldType::Words | FieldType::Original | FieldType::Moment => {
            json!({ "type": ["string", "array"], "items": { "type": "string" } })
        }
        FieldType::Time => json!({
            "type": "string",
            "format": "date-time",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9}Z$",
        }),
        FieldType::Nanos | FieldType::Int => json!({ "type": "integer" }),
        FieldType::Count => json!({ "type": "integer", "minimum": 0 }),
        FieldType::Bool => json!({ "type": "boolean" }),
        FieldType::Level => word(Level::ALL.iter().map(|level| level.name()).collect()),
        FieldType::Component => word(Component::ALL.iter().map(|component| component.name()).collect()),
        FieldType::Origin => word(Origin::ALL.iter().map(|origin| origin.name()).collect()),
        FieldType::Format => word(PayloadFormat::ALL.iter().map(|format| format.name()).collect()),
        FieldType::Flaws => {
            let names: Vec<&str> = Flaw::ALL.iter().map(|flaw| flaw.name()).collect();
            json!({ "type": "array", "items": { "enum": names } })
        }
        FieldType::List => json!({ "type": "array", "items": { "type": "string" } }),
    }
}
