//! Help for known failures: a line below the first record of a sandbox that reports the failure.

use std::collections::VecDeque;
use std::str;

use super::record::{FlatRecord, Value};
use crate::explain::{Explainer, RecordText, brief};

/// The number of remembered failures, and the longest remembered name of a sandbox in bytes. Beyond them, a help may
/// appear again.
const MAX_TOLD: usize = 1024;
const MAX_SANDBOX: usize = 256;

/// The explainer of failures, and those that the output has explained.
#[derive(Debug)]
pub(super) struct Help {
    explainer: Explainer,
    /// The sandbox and the id of a pattern.
    told: VecDeque<(Box<[u8]>, Box<str>)>,
}

impl Help {
    /// Returns a help that has not told anything; `None` if the patterns are damaged, which their tests rule out.
    pub(super) fn new() -> Option<Help> {
        Some(Help { explainer: Explainer::new().ok()?, told: VecDeque::new() })
    }

    /// Returns the help for a record whose text is the host's word. Returns `None` if no known failure explains it, or if
    /// an earlier record of the sandbox has the help.
    pub(super) fn find(&mut self, record: &FlatRecord<'_>) -> Option<String> {
        let text = |name| str::from_utf8(record.text(name)).unwrap_or_default();
        let fields = record.fields().iter().filter(|field| field.name.starts_with("kata_"));
        let fields = fields.flat_map(|field| field_texts(&field.name, &field.value));
        let fields: Vec<(&str, &str)> = fields.collect();
        let (origin, component, level) = (text("kata_origin"), text("kata_component"), text("kata_level"));
        let pattern = self.explainer.explain(&RecordText { origin, component, level, fields: &fields })?;
        let sandbox = record.text("kata_sandbox");
        if self.told.iter().any(|(of, id)| **of == *sandbox && **id == *pattern.id) {
            return None;
        }
        if sandbox.len() <= MAX_SANDBOX {
            if self.told.len() >= MAX_TOLD {
                self.told.pop_front();
            }
            self.told.push_back((sandbox.into(), pattern.id.as_str().into()));
        }
        Some(brief(pattern))
    }
}

/// Returns the texts of a field, with its name.
fn field_texts<'f>(name: &'f str, value: &'f Value<'_>) -> impl Iterator<Item = (&'f str, &'f str)> {
    value.texts().filter_map(move |text| Some((name, str::from_utf8(text).ok()?)))
}
