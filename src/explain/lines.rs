//! Explains lines as a person has them: entries of a log, or any text.

use kata_records::{Batch, Chunk, Rules, Worker};
use serde_json::{Map, Value};

use super::{Explainer, OF_HOST, Pattern, RecordText};

/// The explanation of a line.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'e> {
    /// The line reports this failure.
    Known(&'e Pattern),
    /// The line is an entry that a guest or a container wrote, so it is not explained.
    NotOfHost,
    /// No pattern fits.
    Unknown,
}

/// An explainer of lines. An entry of Kata is explained as its record; any other line is the word of the person.
#[derive(Debug)]
pub struct LineExplainer<'e> {
    explainer: &'e Explainer,
    worker: Worker<'e>,
    batch: Batch,
    chunk: Chunk,
}

impl<'e> LineExplainer<'e> {
    /// Returns an explainer of lines. The rules have to be those of records in NDJSON.
    #[must_use]
    pub fn new(explainer: &'e Explainer, rules: &'e Rules) -> LineExplainer<'e> {
        LineExplainer { explainer, worker: Worker::new(rules), batch: Batch::default(), chunk: Chunk::default() }
    }

    /// Explains a line without its line end.
    pub fn explain(&mut self, line: &[u8]) -> Verdict<'e> {
        // A line of `journalctl -o export`: the message of an entry.
        let line = line.strip_prefix(b"MESSAGE=").unwrap_or(line);
        let known = |pattern: Option<&'e Pattern>| pattern.map_or(Verdict::Unknown, Verdict::Known);
        match self.record(line) {
            Some(record) => {
                let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
                let origin = text("kata_origin");
                if OF_HOST.contains(&origin) {
                    let fields = record.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
                    let fields: Vec<_> = fields.collect();
                    let (component, level) = (text("kata_component"), text("kata_level"));
                    known(self.explainer.explain(&RecordText { origin, component, level, fields: &fields }))
                } else if origin == "unproven" {
                    known(self.explainer.explain_text(&String::from_utf8_lossy(line)))
                } else {
                    Verdict::NotOfHost
                }
            }
            None => known(self.explainer.explain_text(&String::from_utf8_lossy(line))),
        }
    }

    /// Returns whether a line is an entry whose record is the host's word.
    #[cfg(test)]
    pub(super) fn is_entry(&mut self, line: &[u8]) -> bool {
        let record = self.record(line).unwrap_or_default();
        record.get("kata_origin").and_then(Value::as_str).is_some_and(|origin| OF_HOST.contains(&origin))
    }

    /// Returns the record of a line; `None` if the line is not an entry of Kata.
    fn record(&mut self, line: &[u8]) -> Option<Map<String, Value>> {
        self.batch.clear();
        self.chunk.out.bytes.clear();
        self.batch.push_line(line);
        self.worker.run(&self.batch, &mut self.chunk);
        serde_json::from_slice(&self.chunk.out.bytes).ok()
    }
}
