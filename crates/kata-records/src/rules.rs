//! The settings, compiled and checked once; immutable, and lent to every stage.

mod interest;

use crate::encode::{EncodeSettings, Encoder, Format, OwnNames};
use crate::envelope::SyntheticFields;
use crate::error::SettingsError;
use crate::input_format::InputFormat;
use crate::normalize::Normalize;
use crate::path_template::PathTemplate;
use crate::schema::Schema;
use crate::select::{Others, Selector};
use crate::settings::Settings;
use crate::template::Template;
use crate::time::TimeFormat;

/// What the worker's stages run on.
#[derive(Debug)]
pub struct Rules {
    /// The entries of journals pass as they are.
    pub(crate) raw: bool,
    /// What the input is taken to be.
    pub(crate) input_format: InputFormat,
    /// Which fields entries of journal files get that are not stored in them.
    pub(crate) synthetic: SyntheticFields,
    /// Which entries are Kata's.
    pub(crate) select: Selector,
    /// What becomes of entries that are not.
    pub(crate) others: Others,
    /// What the fields of a record are.
    pub(crate) normalize: Normalize,
    /// Tags of Kata's records.
    pub(crate) tag: Template,
    /// The names of fields of katalog's own.
    pub(crate) own: OwnNames,
    /// The format of the time in its field.
    pub(crate) time_format: TimeFormat,
    /// Records have tags, in a field or beside it.
    pub(crate) tags: bool,
    /// Records that are not of Kata's entries have times.
    pub(crate) times: bool,
    /// The output wants to know what the envelope says of an entry, whatever its record holds.
    pub(crate) heads: bool,
    /// Note where each record ends and what time it has.
    pub(crate) rows: bool,
    /// Which part of the output a record belongs into, where there are several.
    pub(crate) split: Option<PathTemplate>,
    /// The names that host and identifier have in records, where the format has a place of its own for them.
    pub(crate) columns: Option<Columns>,
    /// Name each flawed entry.
    pub(crate) verbose: bool,
    /// How records are written.
    encode: EncodeSettings,
}

/// The names that fields with columns of their own have in records; none where a field is left out.
#[derive(Debug)]
pub(crate) struct Columns {
    /// The name of `_HOSTNAME`.
    pub host: Option<Vec<u8>>,
    /// The name of `SYSLOG_IDENTIFIER`.
    pub identifier: Option<Vec<u8>>,
}

impl Rules {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// The key of the setting that is wrong, and why.
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
            others: settings.select.others,
            normalize,
            tag: Template::of_tag(&settings.tag)?,
            tags: settings.tag_key.is_some() || settings.encode.format == Format::Event,
            times: settings.encode.schema != Schema::Kata
                || !settings.encode.format.is_one_row()
                || settings.time_key.is_some(),
            heads: settings.encode.format == Format::Syslog,
            own: OwnNames {
                record_id: settings.record_id.clone(),
                tag: settings.tag_key.clone(),
                time: settings.time_key.clone(),
            },
            time_format: settings.time_format,
            rows: settings.rows || settings.split.is_some(),
            split: settings.split.as_deref().map(PathTemplate::new).transpose()?,
            columns,
            verbose: settings.verbose,
            encode: settings.encode.clone(),
        })
    }
}

impl Rules {
    /// Returns an encoder of records by these rules. Each worker has its own.
    pub(crate) fn encoder(&self) -> Encoder {
        Encoder::new(&self.encode, &self.own)
    }

    /// Returns whether entries of journals pass as they are.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.raw
    }

    /// Returns whether chunks tell their records apart, in [`crate::Encoded::rows`].
    #[must_use]
    pub fn has_rows(&self) -> bool {
        self.rows
    }
}
