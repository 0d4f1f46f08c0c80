//! Defaults and conflicts for programs that run katalog as a child process and read its standard output.

use super::Config;
use super::options::Options;
use super::values::{Host, MaxRecord, TagKey};
use kata_records::{EncodeSettings, Format, TimeFormat};

/// The longest line that Fluent Bit reads whole, with its end. `Buf_Size` is 4096, and `fgets` reserves one byte for
/// the terminating zero (fluent-bit: `plugins/in_exec/in_exec.c`).
const FLUENT_BIT_LINE: usize = 4095;

/// The longest tag template under a record limit, so that space remains for the rest.
const MAX_TAG: usize = 256;

impl Host {
    /// Completes the options with the host's defaults. An empty name counts as unset.
    fn with_defaults(self, mut options: Options) -> Options {
        if self != Host::None {
            options.tag_key.take_if(|key| key.0.is_none());
            options.time_key.take_if(|key| key.0.is_none());
            options.max_record.take_if(|size| size.0.is_none());
        }
        options.or(self.options())
    }

    fn options(self) -> Options {
        let name = |name: &str| Some(TagKey(Some(name.to_owned())));
        match self {
            Host::None => Options::default(),
            Host::FluentdExec => Options {
                format: Some(Format::Msgpack),
                tag_key: name("tag"),
                time_key: name("event_time"),
                time_format: Some(TimeFormat::Unix),
                ..Options::default()
            },
            Host::FluentBitExec => Options {
                format: Some(Format::Ndjson),
                max_record: Some(MaxRecord(Some(FLUENT_BIT_LINE))),
                ..Options::default()
            },
        }
    }
}

/// Merges flags over the file. The host's defaults go right below the layer that names the host.
pub(super) fn merge_layers(flags: Options, file: Options) -> Options {
    if let Some(host) = flags.r#for {
        return host.with_defaults(flags).or(file);
    }
    let both = flags.or(file);
    both.r#for.unwrap_or_default().with_defaults(both)
}

impl Config {
    /// Returns the first conflict with the host or the record limit, and what to do.
    pub(super) fn host_conflict(&self) -> Option<&'static str> {
        let EncodeSettings { format, max_record, .. } = self.records.encode;
        let is_record = matches!(format, Format::Ndjson | Format::Msgpack);
        let names = [&self.records.record_id, &self.records.tag_key, &self.records.time_key];
        if self.host != Host::None && (self.receiver.is_some() || self.output.is_some() || self.output_dir.is_some()) {
            Some("for: its host reads standard output; leave it out, or --to and --output")
        } else if self.host == Host::FluentBitExec && format != Format::Ndjson {
            Some("format: Fluent Bit reads lines; leave it out, or --for")
        } else if self.host == Host::FluentdExec && !is_record {
            Some("format: Fluentd reads msgpack or ndjson; leave it out, or --for")
        } else if self.records.time_key.is_some()
            && (self.records.time_key == self.records.tag_key || self.records.time_key == self.records.record_id)
        {
            Some("time-key: it has the name of tag-key or record-id; choose another one")
        } else if max_record.is_some() && !is_record {
            Some("max-record: only ndjson and msgpack are records of one piece; leave it out, or choose one of them")
        } else if max_record.is_some()
            && (self.records.tag.len() > MAX_TAG || names.into_iter().flatten().any(|name| name.len() > MAX_TAG / 2))
        {
            Some(
                "max-record: a tag of more than 256 bytes, or a name of more than 128, leaves no room; choose shorter ones",
            )
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Surroundings;

    fn config(flags: Options, file: Options) -> Config {
        Config::new(flags, file, Surroundings::default())
    }

    fn host(host: Host) -> Options {
        Options { r#for: Some(host), ..Options::default() }
    }

    fn file(text: &str) -> Options {
        crate::config::parse(text, std::path::Path::new("k.toml")).unwrap()
    }

    #[test]
    fn a_host_stands_under_what_is_beside_it_and_over_what_is_below() {
        let fluentd = config(host(Host::FluentdExec), Options::default());
        assert_eq!((fluentd.records.encode.format, fluentd.records.tag_key.as_deref()), (Format::Msgpack, Some("tag")));
        assert_eq!(
            (fluentd.records.time_key.as_deref(), fluentd.records.time_format),
            (Some("event_time"), TimeFormat::Unix)
        );
        assert_eq!(fluentd.records.own_names().collect::<Vec<_>>(), ["tag", "event_time"]);
        let beside = Options { format: Some(Format::Ndjson), ..host(Host::FluentdExec) };
        let json = config(beside, file("format = \"msgpack\"\ntag-key = \"mark\""));
        assert_eq!((json.records.encode.format, json.records.tag_key.as_deref()), (Format::Ndjson, Some("tag")));
        let printed = config(host(Host::FluentBitExec), file(crate::config::DEFAULT));
        assert_eq!(
            (printed.records.encode.format, printed.records.encode.max_record),
            (Format::Ndjson, Some(FLUENT_BIT_LINE))
        );
        let in_file = config(Options::default(), file("for = \"fluent-bit-exec\"\nmax-record = \"\""));
        assert_eq!(in_file.records.encode.max_record, Some(FLUENT_BIT_LINE));
        let none = Options { tag_key: Some(TagKey(None)), ..Options::default() };
        assert_eq!(
            config(none, file("tag-key = \"mark\"")).records.tag_key,
            None,
            "an empty name is one where nobody is named"
        );
        let larger = config(Options::default(), file("for = \"fluent-bit-exec\"\nmax-record = 32767"));
        assert_eq!(larger.records.encode.max_record, Some(32767));
    }

    #[test]
    fn what_the_host_cannot_read_is_refused() {
        let refused = |host, text: &str| {
            let config = config(Options { r#for: Some(host), ..file(text) }, Options::default());
            config.check(&[]).unwrap_err().to_string()
        };
        assert!(refused(Host::FluentBitExec, "format = \"msgpack\"").contains("Fluent Bit reads lines"));
        assert!(refused(Host::FluentdExec, "format = \"text\"").contains("Fluentd reads"));
        for host in [Host::FluentdExec, Host::FluentBitExec] {
            assert!(refused(host, "output = \"x\"").contains("standard output"));
        }
        assert!(refused(Host::FluentdExec, "time-key = \"tag\"").contains("time-key"));
        assert!(refused(Host::None, "format = \"text\"\nmax-record = 4095").contains("max-record"));
        let long = format!("max-record = 4095\ntag = \"{}\"", "x".repeat(257));
        assert!(refused(Host::None, &long).contains("no room"));
    }
}
