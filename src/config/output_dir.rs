//! Settings for conversion into a directory: combinations that are refused, and the settings that must be equal to
//! resume an interrupted conversion.

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::{Config, ConfigError};
use crate::delivery::OutputDirSettings;
use crate::sink::Compression;
use kata_records::{Format, Settings};

impl Config {
    /// Refuses settings that cannot be combined with or without an output directory.
    pub(super) fn check_output_dir(&self, live: bool) -> Result<(), ConfigError> {
        let directory = self.output_dir.is_some();
        let conflict = if !directory && self.records.split.is_some() {
            "split: there is no directory for the files; name one with --output-dir"
        } else if !directory && self.resume {
            "resume: only what goes into an --output-dir can be gone on with; see also --state-dir"
        } else if !directory && self.force {
            "force: it is for the files of an --output-dir; others are replaced anyway"
        } else if !directory && self.output.is_none() && self.compress != Compression::None {
            "compress: there is no file to compress; name one with --output, or a directory with --output-dir"
        } else if !directory {
            return Ok(());
        } else if self.resume && self.force {
            "force: it forgets what --resume goes on with; choose one"
        } else if self.output.is_some() {
            "output: records go into the files of --output-dir; leave it out, or --output-dir"
        } else if self.receiver.is_some() {
            "to: records go into the files of --output-dir; leave it out, or --output-dir"
        } else if self.delta {
            "delta: it says how long after the record before one comes, which says nothing in several files; leave it out, \
             or --output-dir"
        } else if live {
            "output-dir: its files appear when all is read, which --follow and --once never say; leave them out, or \
             write to --output"
        } else if self.records.encode.format == Format::Text {
            "format: text says how long after the line before a line comes, which says nothing in several files; choose \
             ndjson, msgpack or csv for --output-dir"
        } else if self.records.encode.format.is_of_entries() {
            "format: export and journal-json show the entries of journals as they are, which belong to no component; \
             choose ndjson, msgpack or csv for --output-dir"
        } else {
            return Ok(());
        };
        Err(ConfigError::Conflict(conflict))
    }

    /// Returns the settings of the output directory, or `None` without one.
    #[must_use]
    pub fn output_dir_settings(&self) -> Option<OutputDirSettings> {
        Some(OutputDirSettings {
            directory: self.output_dir.clone()?,
            extension: format!("{}{}", self.records.encode.format.extension(), self.compress.extension()),
            header: self.records.encode.format.header(),
            compression: self.compress,
            resume: self.resume,
            force: self.force,
            whole: self.sort.is_some(),
            fingerprint: self.fingerprint(),
        })
    }

    /// Returns every setting on which the output bytes depend, by key.
    #[must_use]
    pub fn fingerprint(&self) -> BTreeMap<String, String> {
        fn text(value: &dyn Debug) -> String {
            format!("{value:?}")
        }
        let moment = |micros: &Option<u64>| {
            micros.map_or(String::new(), |micros| format!("@{}.{:06}", micros / 1_000_000, micros % 1_000_000))
        };
        let Config { source, journal, records, .. } = self;
        let Settings { select, fields, encode, .. } = records;
        let settings = [
            ("input-format", text(&source.input_format)),
            ("max-line", text(&source.max_line)),
            ("namespace", text(&journal.namespace)),
            ("merge", text(&journal.merge)),
            ("journal-backend", text(&journal.backend)),
            ("since", moment(&journal.range.since)),
            ("until", moment(&journal.range.until)),
            ("boot", text(&journal.range.boot)),
            ("after-cursor", text(&journal.range.after)),
            ("lines", text(&journal.lines)),
            ("identifier", text(&select.identifiers)),
            ("manager", text(&select.managers)),
            ("default-identifier", text(&select.default_identifier)),
            ("others", text(&select.others)),
            ("component", text(&select.components)),
            ("keep", text(&fields.keep)),
            ("drop", text(&fields.drop)),
            ("rename", text(&fields.rename)),
            ("lowercase", text(&fields.lowercase)),
            ("strip-underscores", text(&fields.strip_underscores)),
            ("prune", text(&fields.prune)),
            ("nested", text(&fields.nested)),
            ("format", text(&encode.format)),
            ("schema", text(&encode.schema)),
            ("sort", text(&self.sort.is_some())),
            ("split", text(&self.records.split)),
            ("compress", text(&self.compress)),
            ("for", text(&self.host)),
            ("time-key", text(&self.records.time_key)),
            ("time-format", text(&self.records.time_format)),
            ("max-record", text(&encode.max_record)),
            ("tag", text(&self.records.tag)),
            ("tag-key", text(&self.records.tag_key)),
            ("record-id", text(&self.records.record_id)),
            ("the version of katalog", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::Options;
    use crate::config::{Surroundings, parse};

    /// Keys that do not affect the output bytes. The journals read are part of the inputs.
    const FREE: &[&str] = &[
        "journal",
        "follow",
        "output",
        "output-dir",
        "resume",
        "force",
        "color",
        "threads",
        "stats",
        "progress",
        "listen",
        "check",
        "strict",
        "fail-if-empty",
        "verbose",
        "once",
        "state-dir",
        "spool",
        "spool-limit",
        "spool-full",
        "sort-memory",
        "delta",
        "syslog-format",
        "syslog-framing",
        "syslog-facility",
        "syslog-max",
        "syslog-enterprise",
        "refused",
        "to",
        "spread",
        "forward-mode",
        "time-as-integer",
        "batch-size",
        "batch-age",
        "ack-timeout",
        "give-up-after",
        "shared-key-file",
        "user",
        "password-file",
        "self-hostname",
        "tls-ca",
        "tls-cert",
        "tls-key",
        "tls-insecure",
    ];

    fn config(text: &str) -> Config {
        Config::new(Options::default(), parse(text, std::path::Path::new("k.toml")).unwrap(), Surroundings::default())
    }

    #[test]
    fn every_key_is_in_the_fingerprint_or_known_to_change_nothing() {
        let known = config("").fingerprint();
        for key in Options::keys() {
            assert!(known.contains_key(&key) != FREE.contains(&key.as_str()), "{key}");
        }
    }

    #[test]
    fn another_value_is_another_fingerprint() {
        let base = config("output-dir = \"d\"").fingerprint();
        for (key, value) in [
            ("input-format", "\"text\""),
            ("max-line", "\"2K\""),
            ("since", "\"@1.5\""),
            ("until", "\"@2\""),
            ("boot", "\"0\""),
            ("lines", "\"7\""),
            ("identifier", "[\"x\"]"),
            ("manager", "[\"x\"]"),
            ("others", "\"pass\""),
            ("component", "[\"agent\"]"),
            ("keep", "[\"A\"]"),
            ("drop", "[\"A\"]"),
            ("rename", "{ A = \"b\" }"),
            ("lowercase", "true"),
            ("strip-underscores", "true"),
            ("prune", "[]"),
            ("nested", "\"drop\""),
            ("format", "\"csv\""),
            ("split", "\"host\""),
            ("compress", "\"gzip\""),
            ("tag", "\"x\""),
            ("tag-key", "\"x\""),
            ("record-id", "\"x\""),
            ("default-identifier", "\"x\""),
        ] {
            let other = config(&format!("output-dir = \"d\"\n{key} = {value}")).fingerprint();
            let changed: Vec<&String> = base.keys().filter(|key| base.get(*key) != other.get(*key)).collect();
            assert_eq!(changed, [key]);
        }
    }
}
