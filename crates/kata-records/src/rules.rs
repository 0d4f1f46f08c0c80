//! The compiled settings, which all stages share.

mod interest;

use crate::encode::{EncodeSettings, Encoder, Format, OwnNames};
use crate::envelope::SyntheticFields;
use crate::error::SettingsError;
use crate::filter::Filter;
use crate::input_format::InputFormat;
use crate::normalize::Normalize;
use crate::path_template::PathTemplate;
use crate::redact::Redactor;
use crate::schema::Schema;
use crate::select::{Others, Selector};
use crate::settings::Settings;
use crate::template::Template;
use crate::time::TimeFormat;
use crate::trust::Trust;

/// The compiled settings.
#[derive(Debug)]
pub struct Rules {
    /// Journal entries pass without a change.
    pub(crate) raw: bool,
    /// The format of the input.
    pub(crate) input_format: InputFormat,
    /// The fields to add to entries of journal files.
    pub(crate) synthetic: SyntheticFields,
    /// The selection of Kata's entries.
    pub(crate) select: Selector,
    /// The decision about origins.
    pub(crate) trust: Trust,
    /// The redaction of secrets; `None` if nothing is redacted.
    pub(crate) redactor: Option<Redactor>,
    /// The treatment of other entries.
    pub(crate) others: Others,
    /// The compiled settings of fields.
    pub(crate) normalize: Normalize,
    /// The filters of finished records; `None` if all records pass.
    pub(crate) filter: Option<Filter>,
    /// The templates of tags.
    pub(crate) tag: Template,
    pub(crate) others_tag: Template,
    /// The names of fields of katalog's own.
    pub(crate) own: OwnNames,
    /// The format of the time field.
    pub(crate) time_format: TimeFormat,
    /// Records need tags, in a field or beside it.
    pub(crate) tags: bool,
    /// Records of other programs need times.
    pub(crate) times: bool,
    /// Records need heads.
    pub(crate) heads: bool,
    /// Chunks list their records in `rows`.
    pub(crate) rows: bool,
    /// The template of output paths, if the output has parts.
    pub(crate) split: Option<PathTemplate>,
    /// The names of host and identifier, if the format has columns for them.
    pub(crate) columns: Option<Columns>,
    /// Report each flawed entry.
    pub(crate) verbose: bool,
    /// List flaws and errors.
    pub(crate) findings: bool,
    /// The settings of the encoder.
    encode: EncodeSettings,
}

/// The names of fields with columns; `None` for a field that is left out.
#[derive(Debug)]
pub(crate) struct Columns {
    /// The name of `_HOSTNAME`.
    pub host: Option<Vec<u8>>,
    /// The name of `SYSLOG_IDENTIFIER`.
    pub identifier: Option<Vec<u8>>,
}

impl Rules {
    /// Compiles settings.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn new(settings: &Settings) -> Result<Rules, SettingsError> {
        let normalize = Normalize::new(&settings.fields)?;
        let [cursor, monotonic, seqnum, seqnum_id] =
            [&b"__CURSOR"[..], b"__MONOTONIC_TIMESTAMP", b"__SEQNUM", b"__SEQNUM_ID"].map(|name| normalize.keeps(name));
        let columns = Columns { host: normalize.name(b"_HOSTNAME"), identifier: normalize.name(b"SYSLOG_IDENTIFIER") };
        let columns = (settings.encode.format == Format::Csv).then_some(columns);
        Ok(Rules {
            synthetic: SyntheticFields { cursor, monotonic, seqnum: seqnum || seqnum_id },
            raw: settings.encode.format.is_of_entries(),
            input_format: settings.input_format,
            select: Selector::new(&settings.select)?,
            redactor: settings.redact.as_deref().map(Redactor::new).transpose().map_err(SettingsError::Redact)?,
            trust: Trust::new(&settings.select.trusted_uids, settings.select.untrusted),
            others: settings.select.others,
            normalize,
            filter: Filter::new(&settings.filter),
            tag: Template::of_tag(&settings.tag)?,
            others_tag: Template::of_others_tag(&settings.others_tag)?,
            tags: settings.tag_key.is_some() || settings.encode.format == Format::Event,
            times: settings.encode.schema != Schema::Kata
                || !settings.encode.format.is_one_row()
                || settings.time_key.is_some()
                || settings.filter.has_range(),
            heads: settings.encode.format == Format::Syslog,
            own: OwnNames {
                record_id: settings.record_id.clone(),
                tag: settings.tag_key.clone(),
                time: settings.time_key.clone(),
            },
            time_format: settings.time_format,
            rows: settings.rows || settings.split.is_some() || settings.filter.keep_misses,
            split: settings.split.as_deref().map(PathTemplate::new).transpose()?,
            columns,
            verbose: settings.verbose,
            findings: settings.findings,
            encode: settings.encode.clone(),
        })
    }
}

impl Rules {
    /// Returns an encoder. Each worker has its own.
    pub(crate) fn encoder(&self) -> Encoder {
        Encoder::new(&self.encode, &self.own)
    }

    /// Returns whether journal entries pass without a change.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.raw
    }

    /// Returns whether a decision about a record may depend on the record before, so that chunks have to be resolved in
    /// the order of the input; see [`crate::Chunk::resolve`].
    #[must_use]
    pub fn follows_records(&self) -> bool {
        self.filter.as_ref().is_some_and(Filter::follows)
    }

    /// Returns whether a decision about a record of a journal file may depend on the record before.
    #[must_use]
    pub fn follows_records_of_journals(&self) -> bool {
        self.filter.as_ref().is_some_and(Filter::follows_in_journals)
    }

    /// Returns whether chunks list their records in [`crate::Encoded::rows`].
    #[must_use]
    pub fn has_rows(&self) -> bool {
        self.rows
    }
}
