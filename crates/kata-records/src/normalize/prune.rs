//! What is left out of a payload: keys, and members of the nested values under them.
//!
//! A pattern is a path of segments between dots, `*` for any one; a key with dots in it is a path too. A pattern removes
//! what it names and all inside; with `!` before it, it keeps that. The last pattern that names a value decides.

use memchr::memchr;
use serde_json::Value;

use crate::error::SettingsError;
use crate::name_hash;

/// What becomes of the value under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PruneAction {
    /// It stays.
    Keep,
    /// It goes, whatever it is.
    Remove,
    /// It goes if it is nested; a plain value stays.
    RemoveIfNested,
    /// A nested value is gone through; a plain value stays.
    Descend,
}

#[derive(Debug)]
struct Pattern {
    segments: Vec<Option<String>>,
    keep: bool,
}

impl Pattern {
    /// Whether the pattern names the path or something that the path is inside of.
    fn covers(&self, path: &[&str]) -> bool {
        self.segments.len() <= path.len() && self.agrees_with(path)
    }

    /// Whether the segments that both have agree.
    fn agrees_with(&self, path: &[&str]) -> bool {
        self.segments.iter().zip(path).all(|(segment, step)| segment.as_deref().is_none_or(|segment| segment == *step))
    }
}

/// The patterns, compiled.
#[derive(Debug)]
pub(crate) struct Prune {
    patterns: Vec<Pattern>,
    /// First segments with their hashes and their actions as keys, so that most keys cost one look.
    first: Vec<(u64, String, PruneAction)>,
    any: bool,
}

impl Prune {
    /// Compiles patterns.
    ///
    /// # Errors
    /// The pattern that has an empty segment.
    pub(crate) fn new(patterns: &[String]) -> Result<Prune, SettingsError> {
        let mut prune = Prune { patterns: Vec::new(), first: Vec::new(), any: false };
        for text in patterns {
            let (keep, path) = text.strip_prefix('!').map_or((false, text.as_str()), |path| (true, path));
            let segments: Vec<_> =
                path.split('.').map(|segment| (segment != "*").then(|| segment.to_owned())).collect();
            if segments.iter().any(|segment| segment.as_deref() == Some("")) {
                return Err(SettingsError::Prune(text.clone()));
            }
            match segments.first() {
                Some(Some(first)) => {
                    prune.first.push((name_hash::hash(first.as_bytes()), first.clone(), PruneAction::Keep))
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

    /// The action of the value under a key.
    #[must_use]
    pub(crate) fn action(&self, key: &[u8]) -> PruneAction {
        let first = memchr(b'.', key).and_then(|at| key.get(..at)).unwrap_or(key);
        let hash = name_hash::hash(first);
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

    /// What is left of a nested value under a key, as JSON; none where nothing is.
    ///
    /// # Errors
    /// The value is not valid JSON.
    pub(crate) fn descend(&self, key: &[u8], nested: &[u8]) -> serde_json::Result<Option<Vec<u8>>> {
        let mut value: Value = serde_json::from_slice(nested)?;
        let key = String::from_utf8_lossy(key);
        let mut path: Vec<&str> = key.split('.').collect();
        // Paths are compared as borrowed words, and the words of a value live as long as it does.
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
