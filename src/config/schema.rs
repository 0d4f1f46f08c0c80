//! Settings that conflict with another schema.

use super::Config;
use kata_records::{Format, Nested, Schema};

impl Config {
    /// Returns the first conflict with the schema, and what to do.
    pub(super) fn schema_conflict(&self) -> Option<&'static str> {
        let schema = self.records.encode.schema;
        if schema == Schema::Kata {
            return None;
        }
        match self.records.encode.format {
            // Text lines are equal in every schema.
            Format::Text => None,
            Format::Syslog => Some(
                "schema: syslog messages have names of their own; leave out --schema, or send to another kind of server",
            ),
            Format::Csv => Some("schema: csv has columns of its own; leave out --schema, or choose another --format"),
            Format::Export | Format::JournalJson => {
                Some("schema: this format prints entries as they are; leave out --schema, or choose another --format")
            }
            Format::Ndjson | Format::Msgpack | Format::Event => self.schema_field_conflict(schema),
        }
    }

    /// Returns the first setting of fields that conflicts with the schema, and what to do.
    fn schema_field_conflict(&self, schema: Schema) -> Option<&'static str> {
        let fields = &self.records.fields;
        if !fields.rename.is_empty() || fields.lowercase || fields.strip_underscores {
            Some("schema: it names journal fields; leave it out, or rename, lowercase and strip-underscores")
        } else if self.delta {
            Some("delta: the schema has no name for it; leave it out, or --schema")
        } else if fields.nested == Nested::Keep {
            Some("schema: the one that is chosen has no nested values; leave it out, or nested = \"keep\"")
        } else if self.records.own_names().any(|name| schema.reserves(name)) {
            Some("tag-key, record-id: the schema has this name, or names inside it; choose another one")
        } else {
            None
        }
    }
}
