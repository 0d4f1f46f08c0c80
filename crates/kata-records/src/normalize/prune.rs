//! Removal of payload values: keys, and members of nested values.
//!
//! A pattern is a path of segments separated by dots, `*` for any one. Keys with dots are paths too. A pattern removes
//! the value and everything inside; with `!` before it, it keeps them. The last pattern that covers a value decides.

use memchr::memchr;
use serde_json::Value;

use crate::error::SettingsError;
use crate::name_hash;

/// The treatment of the value under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PruneAction {
    /// Keep the value.
    Keep,
    /// Remove the value.
    Remove,
    /// Remove a nested value, and keep any other.
    RemoveIfNested,
    /// Prune inside a nested value, and keep any other.
    Descend,
}

#[derive(Debug)]
struct Pattern {
    segments: Vec<Option<String>>,
    keep: bool,
}

impl Pattern {
    /// Returns whether the pattern covers the path or an ancestor of it.
    fn covers(&self, path: &[&str]) -> bool {
        self.segments.len() <= path.len() && self.agrees_with(path)
    }

    /// Returns whether the common segments are equal.
    fn agrees_with(&self, path: &[&str]) -> bool {
        self.segments.iter().zip(path).all(|(segment, step)| segment.as_deref().is_none_or(|segment| segment == *step))
    }
}

/// The compiled patterns.
#[derive(Debug)]
pub(crate) struct Prune {
    patterns: Vec<Pattern>,
    /// First segments with their hashes and actions, so that most keys need one lookup.
    first: Vec<(u64, String, PruneAction)>,
    /// A bit for each hash in `first`, by the lowest bits.
    hashes: [u64; 16],
    any: bool,
}

impl Prune {
    /// Compiles patterns.
    ///
    /// # Errors
    /// [`SettingsError::Prune`] if a pattern has an empty segment.
    pub(crate) fn new(patterns: &[String]) -> Result<Prune, SettingsError> {
        let mut prune = Prune { patterns: Vec::new(), first: Vec::new(), hashes: [0; 16], any: false };
        for text in patterns {
            let (keep, path) = text.strip_prefix('!').map_or((false, text.as_str()), |path| (true, path));
            let segments: Vec<_> =
                path.split('.').map(|segment| (segment != "*").then(|| segment.to_owned())).collect();
            if segments.iter().any(|segment| segment.as_deref() == Some("")) {
                return Err(SettingsError::Prune(text.clone()));
            }
            match segments.first() {
                Some(Some(first)) => {
                    let hash = name_hash::hash(first.as_bytes());
                    prune.hashes[hash as usize / 64 % 16] |= 1 << (hash % 64);
                    prune.first.push((hash, first.clone(), PruneAction::Keep));
                }
                _ => prune.any = true,
            }
            prune.patterns.push(Pattern { segments, keep });
        }
        let actions: Vec<PruneAction> =
            prune.first.iter().map(|(_, first, _)| prune.decide(first.as_bytes())).collect();
        for (row, action) in prune.first.iter_mut().zip(actions) {
            row.2 = action;
        }
        Ok(prune)
    }

    /// Returns the action for a key of one segment with its hash.
    #[inline]
    #[must_use]
    pub(crate) fn action_of_segment(&self, hash: u64, key: &[u8]) -> PruneAction {
        if self.may_act(hash) { self.action(key) } else { PruneAction::Keep }
    }

    /// Tests the hash of a first segment. `false` proves that no pattern has the segment.
    #[inline]
    fn may_act(&self, hash: u64) -> bool {
        self.any || self.hashes[hash as usize / 64 % 16] >> (hash % 64) & 1 != 0
    }

    /// Returns the action for a key.
    #[must_use]
    pub(crate) fn action(&self, key: &[u8]) -> PruneAction {
        let first = memchr(b'.', key).and_then(|at| key.get(..at)).unwrap_or(key);
        let hash = name_hash::hash(first);
        if !self.may_act(hash) {
            return PruneAction::Keep;
        }
        match self.first.iter().find(|(known, name, _)| *known == hash && name.as_bytes() == first) {
            Some((_, _, action)) if !self.any && first.len() == key.len() => *action,
            None if !self.any => PruneAction::Keep,
            _ => self.decide(key),
        }
    }

    fn decide(&self, key: &[u8]) -> PruneAction {
        let Ok(key) = std::str::from_utf8(key) else { return PruneAction::Keep };
        let path: Vec<&str> = key.split('.').collect();
        let deeper = |pattern: &&Pattern| pattern.segments.len() > path.len() && pattern.agrees_with(&path);
        let inside: Vec<&Pattern> = self.patterns.iter().filter(deeper).collect();
        match (self.removes(&path), inside.as_slice()) {
            (true, inside) if inside.iter().all(|pattern| !pattern.keep) => PruneAction::Remove,
            (false, []) => PruneAction::Keep,
            (false, [pattern])
                if !pattern.keep
                    && pattern.segments.len() == path.len() + 1
                    && pattern.segments.last() == Some(&None) =>
            {
                PruneAction::RemoveIfNested
            }
            _ => PruneAction::Descend,
        }
    }

    fn removes(&self, path: &[&str]) -> bool {
        self.patterns.iter().rev().find(|pattern| pattern.covers(path)).is_some_and(|pattern| !pattern.keep)
    }

    /// Returns the rest of a nested value as JSON, or `None` if nothing remains.
    ///
    /// # Errors
    /// The value is no valid JSON.
    pub(crate) fn descend(&self, key: &[u8], nested: &[u8]) -> serde_json::Result<Option<Vec<u8>>> {
        let mut value: Value = serde_json::from_slice(nested)?;
        let key = String::from_utf8_lossy(key);
        let mut path: Vec<&str> = key.split('.').collect();
        // Paths borrow the names in the value, so the value has to outlive them.
        let left = self.keep(&mut path, value.take());
        left.map(|value| serde_json::to_vec(&value)).transpose()
    }

    fn keep(&self, path: &mut Vec<&str>, value: Value) -> Option<Value> {
        if !self.patterns.iter().any(|pattern| pattern.segments.len() > path.len() && pattern.agrees_with(path)) {
            return (!self.removes(path)).then_some(value);
        }
        match value {
            Value::Object(members) => {
                let left: serde_json::Map<_, _> = members
                    .into_iter()
                    .filter_map(|(name, value)| {
                        let mut path = path.clone();
                        path.push(&name);
                        let value = self.keep(&mut path, value)?;
                        Some((name.clone(), value))
                    })
                    .collect();
                (!left.is_empty()).then_some(Value::Object(left))
            }
            Value::Array(elements) => {
                let left: Vec<_> = elements
                    .into_iter()
                    .enumerate()
                    .filter_map(|(index, value)| {
                        let index = index.to_string();
                        let mut path = path.clone();
                        path.push(&index);
                        self.keep(&mut path, value)
                    })
                    .collect();
                (!left.is_empty()).then_some(Value::Array(left))
            }
            plain => (!self.removes(path)).then_some(plain),
        }
    }
}

#[cfg(test)]
mod tests;
