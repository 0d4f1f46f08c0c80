//! The envelope's fields in a record: the selection and the names.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use regex::bytes::Regex;

use super::field_name;
use crate::dictionary::{DICTIONARY, KnownKey};
use crate::error::SettingsError;
use crate::name_hash::{self, ByteSet};
use crate::name_map::{CopyNumbers, NameSet};
use crate::record::{Field, Key, OwnedKey, Pair, Record, Text, Value};

/// The bytes that names of fields keep: printable ASCII except for space, `"` and `\\`.
static PRINTED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        table[byte as usize] = !matches!(byte, b'"' | b'\\');
        byte += 1;
    }
    table
};

/// A pattern of names, with `*` for any bytes.
#[derive(Debug)]
enum Glob {
    Exact(String),
    Prefix(String),
    Pattern(Regex),
}

impl Glob {
    fn new(text: &str) -> Result<Glob, SettingsError> {
        Ok(match text.strip_suffix('*') {
            _ if !text.contains('*') => Glob::Exact(text.to_owned()),
            Some(prefix) if !prefix.contains('*') => Glob::Prefix(prefix.to_owned()),
            _ => {
                let pattern = format!("^(?s-u:{})$", regex::escape(text).replace("\\*", ".*"));
                Glob::Pattern(Regex::new(&pattern).map_err(|error| SettingsError::Name(error.to_string()))?)
            }
        })
    }

    /// Returns the byte with which all matching names begin, or `None` if there is no such byte.
    fn head(&self) -> Option<u8> {
        match self {
            Glob::Exact(text) | Glob::Prefix(text) => text.as_bytes().first().copied(),
            Glob::Pattern(_) => None,
        }
    }

    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Glob::Exact(text) => text.as_bytes() == name,
            Glob::Prefix(prefix) => name.starts_with(prefix.as_bytes()),
            Glob::Pattern(pattern) => pattern.is_match(name),
        }
    }
}

/// The results for shared fields of the batch, by their numbers.
pub(crate) type NamedFieldCache<'b> = Vec<CachedField<'b>>;

/// The result for a field that entries of a batch share.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum CachedField<'b> {
    /// No entry had the field yet.
    #[default]
    New,
    /// The field is left out.
    Dropped,
    /// Records have this field.
    Kept {
        /// The field.
        field: Field<'b>,
        /// The hash of its name.
        hash: u64,
    },
}

/// The compiled settings of the envelope's fields.
#[derive(Debug)]
pub(crate) struct EnvelopeFields {
    keep: Vec<Glob>,
    drop: Vec<(Glob, bool)>,
    /// The bytes with which names begin that a pattern of `drop` can match.
    dropped_heads: ByteSet,
    rename: Vec<(String, String)>,
    lowercase: bool,
    strip_underscores: bool,
    /// The name in records and its hash for each row of the dictionary; `None` for fields that are left out.
    known: Vec<Option<(OwnedKey, u64)>>,
}

impl EnvelopeFields {
    /// Compiles the settings.
    ///
    /// # Errors
    /// [`SettingsError::Name`] if a name makes no valid pattern.
    pub(crate) fn new(settings: &super::FieldSettings) -> Result<EnvelopeFields, SettingsError> {
        let drop = |text: &String| {
            let (name, dropped) = text.strip_prefix('!').map_or((text.as_str(), true), |name| (name, false));
            Ok((Glob::new(name)?, dropped))
        };
        let drop: Vec<(Glob, bool)> = settings.drop.iter().map(drop).collect::<Result<_, SettingsError>>()?;
        let mut dropped_heads = ByteSet::default();
        for (glob, _) in &drop {
            let heads = glob.head().map_or(0..=u8::MAX, |head| head..=head);
            heads.for_each(|head| _ = dropped_heads.insert(head));
        }
        let mut envelope = EnvelopeFields {
            keep: settings.keep.iter().map(|text| Glob::new(text)).collect::<Result<_, _>>()?,
            drop,
            dropped_heads,
            rename: settings.rename.clone(),
            lowercase: settings.lowercase,
            strip_underscores: settings.strip_underscores,
            known: Vec::new(),
        };
        let name = |known: &KnownKey| {
            let bump = Bump::new();
            let key = envelope.key(known.key.as_bytes(), &bump)?;
            Some((OwnedKey::new(&String::from_utf8_lossy(key.name())), name_hash::hash(key.name())))
        };
        envelope.known = DICTIONARY.iter().map(name).collect();
        Ok(envelope)
    }

    /// Returns the name of a field in records, or `None` if the field is left out.
    pub(super) fn key<'b>(&self, name: &'b [u8], bump: &'b Bump) -> Option<Key<'b>> {
        if self.drops(name) {
            return None;
        }
        let name = self.renamed(name, bump);
        Some(field_name::key(if name.starts_with(b"kata_") { "field_" } else { "" }, name, 1, bump))
    }

    pub(super) fn drops(&self, name: &[u8]) -> bool {
        let may_drop = name.first().is_none_or(|head| self.dropped_heads.has(*head));
        (!self.keep.is_empty() && !self.keep.iter().any(|glob| glob.matches(name)))
            || may_drop
                && self.drop.iter().rev().find(|(glob, _)| glob.matches(name)).is_some_and(|(_, dropped)| *dropped)
    }

    /// Appends the fields of the record, each with a unique name. Names of fields that were not UTF-8 go to `escaped`.
    pub(crate) fn fields<'b>(
        &'b self,
        pairs: &[Pair<'b>],
        bump: &'b Bump,
        cache: &mut NamedFieldCache<'b>,
        record: &mut Record<'b>,
    ) {
        let Record { envelope: fields, escaped, .. } = record;
        let (mut names, mut copies) = (NameSet::default(), CopyNumbers::default());
        for (number, field) in fields.iter().enumerate() {
            let name = field.key.name();
            names.insert(name_hash::hash(name), || name, fields.iter().take(number).map(|field| field.key.name()));
        }
        for pair in pairs {
            let number = pair.number as usize;
            if number > 0 {
                if number >= cache.len() {
                    cache.resize(number + 1, CachedField::New);
                }
                match cache.get(number) {
                    Some(CachedField::Dropped) => continue,
                    Some(CachedField::Kept { field, hash })
                        if names.insert(*hash, || field.key.name(), fields.iter().map(|field| field.key.name())) =>
                    {
                        fields.push(*field);
                        continue;
                    }
                    _ => {}
                }
            }
            let (mut key, hash) = match pair.id.and_then(|id| self.known.get(id.row())) {
                Some(Some((name, hash))) => (name.key(), *hash),
                known => {
                    let key = if known.is_none() { self.key(pair.key, bump) } else { None };
                    let Some(key) = key else {
                        if let Some(place) = cache.get_mut(number).filter(|_| number > 0) {
                            *place = CachedField::Dropped;
                        }
                        continue;
                    };
                    (key, name_hash::hash(key.name()))
                }
            };
            let mut number = pair.number;
            let mut is_new =
                |hash, key: Key<'b>| names.insert(hash, || key.name(), fields.iter().map(|field| field.key.name()));
            if !is_new(hash, key) {
                let last = copies.last(key.name());
                key = loop {
                    *last += 1;
                    let copy = field_name::key("", key.name(), *last, bump);
                    if is_new(name_hash::hash(copy.name()), copy) {
                        break copy;
                    }
                };
                // The result does not hold for other records.
                number = 0;
            }
            let known = escaped.len();
            let mut escape = |text| super::payload_fields::escape_invalid(text, key, bump, escaped);
            let value = match pair.value {
                Value::Text(text) => Value::Text(escape(text)),
                Value::List(list) => {
                    Value::List(BumpVec::from_iter_in(list.iter().map(|text| escape(*text)), bump).into_bump_slice())
                }
                Value::Nested(raw) => Value::Text(escape(Text::plain(raw))),
                other => other,
            };
            if escaped.len() > known {
                // Each record has to list the field in `kata_escaped`.
                number = 0;
            }
            let field = Field { key, number, value };
            if let Some(place) = cache.get_mut(number as usize).filter(|_| number > 0) {
                *place = CachedField::Kept { field, hash };
            }
            fields.push(field);
        }
    }

    fn renamed<'b>(&self, name: &'b [u8], bump: &'b Bump) -> &'b [u8] {
        if let Some((_, new)) = self.rename.iter().find(|(old, _)| old.as_bytes() == name) {
            return bump.alloc_slice_copy(new.as_bytes());
        }
        let mut name = name;
        if self.strip_underscores {
            let count = name.iter().take_while(|byte| **byte == b'_').count();
            name = name.get(count..).filter(|rest| !rest.is_empty()).unwrap_or(name);
        }
        if self.lowercase {
            let lower = bump.alloc_slice_copy(name);
            lower.make_ascii_lowercase();
            name = lower;
        }
        if name.iter().all(|byte| PRINTED[usize::from(*byte)]) && !name.is_empty() {
            name
        } else {
            field_name::mapped(name, bump)
        }
    }
}
