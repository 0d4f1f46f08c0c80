//! What is left out of a payload: keys, and members of the nested values under them.
//!
//! A pattern is a path of segments between dots, `*` for any one; a key with dots in it is a path too. A pattern removes
//! what it names and all inside; with `!` before it, it keeps that. The last pattern that names a value decides.

use memchr::memchr;
use serde_json::Value;

use crate::names;

/// What becomes of the value under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Stay,
    /// It goes, whatever it is.
    Go,
    /// It goes if it is nested; a plain value stays.
    GoIfNested,
    /// A nested value is gone through; a plain value stays.
    Walk,
}

#[derive(Debug)]
struct Pattern {
    segments: Vec<Option<String>>,
    keep: bool,
}

impl Pattern {
    /// Whether the pattern names the path or something that the path is inside of.
    fn covers(&self, path: &[&str]) -> bool {
        self.segments.len() <= path.len() && self.meets(path)
    }

    /// Whether the segments that both have agree.
    fn meets(&self, path: &[&str]) -> bool {
        self.segments.iter().zip(path).all(|(segment, step)| segment.as_deref().is_none_or(|segment| segment == *step))
    }
}

/// The patterns, compiled.
#[derive(Debug)]
pub struct Prune {
    patterns: Vec<Pattern>,
    /// First segments with their hashes and their fates as keys, so that most keys cost one look.
    first: Vec<(u64, String, Fate)>,
    any: bool,
}

impl Prune {
    /// Compiles patterns.
    ///
    /// # Errors
    /// The pattern that has an empty segment.
    pub fn new(patterns: &[String]) -> Result<Prune, String> {
        let mut prune = Prune { patterns: Vec::new(), first: Vec::new(), any: false };
        for text in patterns {
            let (keep, path) = text.strip_prefix('!').map_or((false, text.as_str()), |path| (true, path));
            let segments: Vec<_> =
                path.split('.').map(|segment| (segment != "*").then(|| segment.to_owned())).collect();
            if segments.iter().any(|segment| segment.as_deref() == Some("")) {
                return Err(text.clone());
            }
            match segments.first() {
                Some(Some(first)) => prune.first.push((names::hash(first.as_bytes()), first.clone(), Fate::Stay)),
                _ => prune.any = true,
            }
            prune.patterns.push(Pattern { segments, keep });
        }
        let fates: Vec<Fate> = prune.first.iter().map(|(_, first, _)| prune.decide(first.as_bytes())).collect();
        for (row, fate) in prune.first.iter_mut().zip(fates) {
            row.2 = fate;
        }
        Ok(prune)
    }

    /// The fate of the value under a key.
    #[must_use]
    pub fn fate(&self, key: &[u8]) -> Fate {
        let first = memchr(b'.', key).and_then(|at| key.get(..at)).unwrap_or(key);
        let hash = names::hash(first);
        match self.first.iter().find(|(known, name, _)| *known == hash && name.as_bytes() == first) {
            Some((_, _, fate)) if !self.any && first.len() == key.len() => *fate,
            None if !self.any => Fate::Stay,
            _ => self.decide(key),
        }
    }

    fn decide(&self, key: &[u8]) -> Fate {
        let Ok(key) = std::str::from_utf8(key) else { return Fate::Stay };
        let path: Vec<&str> = key.split('.').collect();
        let deeper = |pattern: &&Pattern| pattern.segments.len() > path.len() && pattern.meets(&path);
        let inside: Vec<&Pattern> = self.patterns.iter().filter(deeper).collect();
        match (self.removes(&path), inside.as_slice()) {
            (true, inside) if inside.iter().all(|pattern| !pattern.keep) => Fate::Go,
            (false, []) => Fate::Stay,
            (false, [pattern])
                if !pattern.keep
                    && pattern.segments.len() == path.len() + 1
                    && pattern.segments.last() == Some(&None) =>
            {
                Fate::GoIfNested
            }
            _ => Fate::Walk,
        }
    }

    fn removes(&self, path: &[&str]) -> bool {
        self.patterns.iter().rev().find(|pattern| pattern.covers(path)).is_some_and(|pattern| !pattern.keep)
    }

    /// What is left of a nested value under a key, as JSON; none where nothing is.
    ///
    /// # Errors
    /// The value is not valid JSON.
    pub fn walk(&self, key: &[u8], nested: &[u8]) -> serde_json::Result<Option<Vec<u8>>> {
        let mut value: Value = serde_json::from_slice(nested)?;
        let key = String::from_utf8_lossy(key);
        let mut path: Vec<&str> = key.split('.').collect();
        // Paths are compared as borrowed words, and the words of a value live as long as it does.
        let left = self.keep(&mut path, value.take());
        left.map(|value| serde_json::to_vec(&value)).transpose()
    }

    fn keep(&self, path: &mut Vec<&str>, value: Value) -> Option<Value> {
        if !self.patterns.iter().any(|pattern| pattern.segments.len() > path.len() && pattern.meets(path)) {
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
