//! The configuration, compiled and checked once; immutable, and lent to every stage.

use crate::carrier::{self, Pseudo};
use crate::config::Config;
use crate::encode::Format;
use crate::normalize::{self, Normalize};
use crate::parse;
use crate::schema::Schema;
use crate::select::{Others, Select};
use crate::source::{InputFormat, Interest};
use crate::split::Split;
use crate::tag::{Placeholder, Template, TemplateError};
use crate::time::Form;

/// What the worker's stages run on.
#[derive(Debug)]
pub struct Rules {
    /// The entries of journals pass as they are.
    pub raw: bool,
    /// What the input is taken to be.
    pub input_format: InputFormat,
    /// Which fields entries of journal files get that are not stored in them.
    pub pseudo: Pseudo,
    /// Which entries are Kata's.
    pub select: Select,
    /// What becomes of entries that are not.
    pub others: Others,
    /// What the fields of a record are.
    pub normalize: Normalize,
    /// Tags of Kata's records.
    pub tag: Template,
    /// The field that holds the tag, if one does.
    pub tag_key: Option<String>,
    /// The field that holds the time and its form, if one does.
    pub time_key: Option<(String, Form)>,
    /// Records have tags, in a field or beside it.
    pub tags: bool,
    /// Records that are not of Kata's entries have times.
    pub times: bool,
    /// The output wants to know what the carrier says of an entry, whatever its record holds.
    pub heads: bool,
    /// The field that holds what the record is known by, if one does.
    pub record_id: Option<String>,
    /// Note where each record ends and what time it has.
    pub rows: bool,
    /// Which part of the output a record belongs into, where there are several.
    pub split: Option<Split>,
    /// The names that host and identifier have in records, where the format has a place of its own for them.
    pub columns: Option<[Option<Vec<u8>>; 2]>,
    /// Name each flawed entry.
    pub verbose: bool,
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
    pub fn new(config: &Config) -> Result<Rules, RulesError> {
        let normalize = Normalize::new(&config.normalize)?;
        let [cursor, monotonic, seqnum, seqnum_id] =
            [&b"__CURSOR"[..], b"__MONOTONIC_TIMESTAMP", b"__SEQNUM", b"__SEQNUM_ID"].map(|name| normalize.keeps(name));
        let columns = [&b"_HOSTNAME"[..], b"SYSLOG_IDENTIFIER"].map(|name| normalize.name(name));
        let columns = (config.encode.format == Format::Csv).then_some(columns);
        Ok(Rules {
            pseudo: Pseudo { cursor, monotonic, seqnum: seqnum || seqnum_id },
            raw: config.encode.format.of_journal().is_some(),
            input_format: config.source.input_format,
            select: Select::new(&config.select)?,
            others: config.select.others,
            normalize,
            tag: Template::new(&config.tag, Placeholder::OF_TAGS)?,
            tags: config.tag_key.is_some() || config.encode.format == Format::Event,
            times: config.encode.schema != Schema::Kata
                || !config.encode.format.is_one_row()
                || config.time_key.is_some(),
            heads: config.encode.format == Format::Syslog,
            time_key: config.time_key.clone().map(|name| (name, config.time_format)),
            tag_key: config.tag_key.clone(),
            record_id: config.record_id.clone(),
            rows: config.sort.is_some() || config.delta || config.split.is_some(),
            split: config.split.clone(),
            columns,
            verbose: config.verbose,
        })
    }
}

impl Interest for Rules {
    fn everything(&self) -> bool {
        self.raw || self.others == Others::Pass
    }

    fn entries_of(&self, identifier: &[u8]) -> bool {
        self.select.may_want(identifier)
    }

    fn entry(&self, identifier: &[u8], message: &[u8]) -> bool {
        self.everything() || self.select.likely(identifier, message)
    }

    fn field(&self, name: &[u8]) -> bool {
        let of_path = name == b"_HOSTNAME" && self.split.as_ref().is_some_and(|split| split.uses(Placeholder::Host));
        let of_head = self.heads && carrier::heads(name);
        self.raw || of_path || of_head || self.normalize.keeps(name) || carrier::needs(name) || parse::needs(name)
    }
}
