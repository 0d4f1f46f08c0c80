//! The settings, compiled and checked once; immutable, and lent to every stage.

mod interest;

use crate::encode::{EncodeSettings, Encoder, Format, OwnNames};
use crate::envelope::{self, SyntheticFields};
use crate::input_format::InputFormat;
use crate::normalize::{self, Normalize};
use crate::parse;
use crate::path_template::PathTemplate;
use crate::schema::Schema;
use crate::select::{Others, Selector};
use crate::settings::Settings;
use crate::template::{Placeholder, Template, TemplateError};
use crate::time::TimeFormat;

/// What the worker's stages run on.
#[derive(Debug)]
pub struct Rules {
    /// The entries of journals pass as they are.
    pub raw: bool,
    /// What the input is taken to be.
    pub input_format: InputFormat,
    /// Which fields entries of journal files get that are not stored in them.
    pub synthetic: SyntheticFields,
    /// Which entries are Kata's.
    pub select: Selector,
    /// What becomes of entries that are not.
    pub others: Others,
    /// What the fields of a record are.
    pub normalize: Normalize,
    /// Tags of Kata's records.
    pub tag: Template,
    /// The names of fields of katalog's own.
    pub own: OwnNames,
    /// The format of the time in its field.
    pub time_format: TimeFormat,
    /// Records have tags, in a field or beside it.
    pub tags: bool,
    /// Records that are not of Kata's entries have times.
    pub times: bool,
    /// The output wants to know what the envelope says of an entry, whatever its record holds.
    pub heads: bool,
    /// Note where each record ends and what time it has.
    pub rows: bool,
    /// Which part of the output a record belongs into, where there are several.
    pub split: Option<PathTemplate>,
    /// The names that host and identifier have in records, where the format has a place of its own for them.
    pub columns: Option<Columns>,
    /// Name each flawed entry.
    pub verbose: bool,
    /// How records are written.
    encode: EncodeSettings,
}

/// The names that fields with columns of their own have in records; none where a field is left out.
#[derive(Debug)]
pub struct Columns {
    /// The name of `_HOSTNAME`.
    pub host: Option<Vec<u8>>,
    /// The name of `SYSLOG_IDENTIFIER`.
    pub identifier: Option<Vec<u8>>,
}

/// A setting that could not be compiled; the message starts with its key.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A pattern for identifiers.
    #[error("identifier: {0}")]
    Identifier(#[from] regex::Error),
    /// A setting of the record.
    #[error(transparent)]
    Normalize(#[from] normalize::SettingsError),
    /// A tag template.
    #[error("tag: {0}")]
    Tag(#[from] TemplateError),
}

impl Rules {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// The key of the setting that is wrong, and why.
    pub fn new(settings: &Settings) -> Result<Rules, RulesError> {
        let normalize = Normalize::new(&settings.fields)?;
        let [cursor, monotonic, seqnum, seqnum_id] =
            [&b"__CURSOR"[..], b"__MONOTONIC_TIMESTAMP", b"__SEQNUM", b"__SEQNUM_ID"].map(|name| normalize.keeps(name));
        let columns = Columns { host: normalize.name(b"_HOSTNAME"), identifier: normalize.name(b"SYSLOG_IDENTIFIER") };
        let columns = (settings.encode.format == Format::Csv).then_some(columns);
        Ok(Rules {
            synthetic: SyntheticFields { cursor, monotonic, seqnum: seqnum || seqnum_id },
            raw: settings.encode.format.of_journal().is_some(),
            input_format: settings.input_format,
            select: Selector::new(&settings.select)?,
            others: settings.select.others,
            normalize,
            tag: Template::new(&settings.tag, Placeholder::OF_TAGS)?,
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
            split: settings.split.clone(),
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

    /// Returns whether all entries of a journal are wanted, whoever wrote them.
    #[must_use]
    pub fn wants_all(&self) -> bool {
        self.raw || self.others == Others::Pass
    }

    /// Returns whether entries of this identifier (SYSLOG_IDENTIFIER) may be wanted.
    #[must_use]
    pub fn may_want(&self, identifier: &[u8]) -> bool {
        self.select.may_want(identifier)
    }

    /// Returns whether an entry with this identifier and this message is wanted, as far as these tell.
    #[must_use]
    pub fn wants(&self, identifier: &[u8], message: &[u8]) -> bool {
        self.wants_all() || self.select.likely(identifier, message)
    }

    /// Returns whether a field of this name is needed for a record.
    #[must_use]
    pub fn wants_field(&self, name: &[u8]) -> bool {
        let of_path = name == b"_HOSTNAME" && self.split.as_ref().is_some_and(|split| split.uses(Placeholder::Host));
        let of_head = self.heads && envelope::heads(name);
        self.raw || of_path || of_head || self.normalize.keeps(name) || envelope::needs(name) || parse::needs(name)
    }
}
