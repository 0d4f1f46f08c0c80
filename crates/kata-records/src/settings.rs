//! Settings of records. The defaults are those of katalog.

use crate::encode::EncodeSettings;
use crate::error::SettingsError;
use crate::filter::FilterSettings;
use crate::input_format::InputFormat;
use crate::normalize::FieldSettings;
use crate::path_template::PathTemplate;
use crate::schema::{Definition, FieldType};
use crate::select::SelectSettings;
use crate::template::Template;
use crate::time::TimeFormat;

/// Settings of records: the selection of entries, and the form of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The format of the input.
    pub input_format: InputFormat,
    /// The selection of Kata's entries.
    pub select: SelectSettings,
    /// The fields of a record and their names.
    pub fields: FieldSettings,
    /// The filters of finished records.
    pub filter: FilterSettings,
    /// The patterns of further secrets to redact (regular expressions); `None` redacts nothing.
    pub redact: Option<Vec<String>>,
    /// The output format.
    pub encode: EncodeSettings,
    /// The template of the tag; see [`Settings::check_tag`].
    pub tag: String,
    /// The template of the tag of other programs' records; see [`Settings::check_others_tag`].
    pub others_tag: String,
    /// The name of the field for the tag; `None` leaves it out.
    pub tag_key: Option<String>,
    /// The name of the field for the time; `None` leaves it out.
    pub time_key: Option<String>,
    /// The format of the time field.
    pub time_format: TimeFormat,
    /// The name of the field that identifies the record; `None` leaves it out.
    pub record_id: Option<String>,
    /// The template of the output file for a record; `None` without an output directory. See
    /// [`Settings::split_template`].
    pub split: Option<String>,
    /// List the end and the time of each record, for sorting and deltas.
    pub rows: bool,
    /// Report each flawed entry in [`crate::Chunk::notes`].
    pub verbose: bool,
    /// List flaws and errors in [`crate::Chunk::findings`].
    pub findings: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            input_format: InputFormat::default(),
            select: SelectSettings::default(),
            fields: FieldSettings::default(),
            filter: FilterSettings::default(),
            redact: Some(Vec::new()),
            encode: EncodeSettings::default(),
            tag: "kata.{component}".to_owned(),
            others_tag: "others.{identifier}".to_owned(),
            tag_key: None,
            time_key: None,
            time_format: TimeFormat::default(),
            record_id: None,
            split: None,
            rows: false,
            verbose: false,
            findings: false,
        }
    }
}

impl Settings {
    /// Returns the names of katalog's own fields, in their order in records.
    pub fn own_names(&self) -> impl Iterator<Item = &str> {
        [&self.record_id, &self.tag_key, &self.time_key].into_iter().filter_map(|name| name.as_deref())
    }
}

impl Settings {
    /// Checks the template of a tag.
    ///
    /// # Errors
    /// [`SettingsError::Tag`] if a placeholder is unknown, or a brace is alone.
    pub fn check_tag(text: &str) -> Result<(), SettingsError> {
        Template::of_tag(text).map(|_| ())
    }

    /// Checks the template of a tag of other programs' records.
    ///
    /// # Errors
    /// [`SettingsError::Tag`] if a placeholder is unknown, or a brace is unmatched.
    pub fn check_others_tag(text: &str) -> Result<(), SettingsError> {
        Template::of_others_tag(text).map(|_| ())
    }

    /// Returns the canonical template of a path for [`Settings::split`]. `host,day` stands for `{host}/{day}`.
    ///
    /// # Errors
    /// [`SettingsError::Split`] if the text makes no valid path, or one path for all records.
    pub fn split_template(text: &str) -> Result<String, SettingsError> {
        PathTemplate::new(text).map(|template| template.text())
    }
}

impl Definition {
    /// Describes the records of these settings, as JSON for people.
    #[must_use]
    pub fn of(self, settings: &Settings) -> String {
        let time = match settings.time_format {
            TimeFormat::Rfc3339 => FieldType::Time,
            TimeFormat::Unix => FieldType::Text,
            TimeFormat::UnixSeconds | TimeFormat::UnixNanoseconds => FieldType::Int,
        };
        let is_time = |name| Some(name) == settings.time_key.as_deref();
        let own = settings.own_names().map(|name| (name, if is_time(name) { time } else { FieldType::Text }));
        self.describe(settings.encode.schema, own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_fields_have_their_types() {
        let named = |time_format| Settings {
            record_id: Some("id".to_owned()),
            tag_key: Some("tag".to_owned()),
            time_key: Some("at".to_owned()),
            time_format,
            ..Settings::default()
        };
        assert_eq!(named(TimeFormat::Unix).own_names().collect::<Vec<_>>(), ["id", "tag", "at"]);
        for (format, kind) in [
            (TimeFormat::Rfc3339, "date_nanos"),
            (TimeFormat::Unix, "keyword"),
            (TimeFormat::UnixSeconds, "long"),
            (TimeFormat::UnixNanoseconds, "long"),
        ] {
            let template: serde_json::Value =
                serde_json::from_str(&Definition::Elasticsearch.of(&named(format))).unwrap();
            let fields = &template["template"]["mappings"]["properties"];
            assert_eq!((&fields["tag"]["type"], &fields["at"]["type"]), (&"keyword".into(), &kind.into()));
        }
    }
}
