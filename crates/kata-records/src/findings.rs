//! What a run reports about records beside the counters: the first entries with each flaw, and the errors of the host.
//!
//! A worker lists the [`Findings`] of its chunk in the order of the entries. The program adds the chunks to [`Errors`] in the
//! order of the records, so the result depends neither on the number of threads nor on the cut of the reads.
//!
//! Only entries that are the host's word count as errors of a sandbox: no guest can put a row into the table, or push
//! another row out of it. Errors of guests are counted, in [`crate::Stats`].

use std::collections::HashMap;

use bumpalo::Bump;
use journal_file::Place;

use crate::batch::{Body, RawEntry};
use crate::component::Component;
use crate::flaw::{Flaw, Flaws};
use crate::record::{Field, Level, Record, Value};
use crate::time::UtcTimestamp;

/// The longest part of a message that is kept.
const MAX_MESSAGE: usize = 256;
/// The longest id of a sandbox. Kata's have 64 characters.
const MAX_SANDBOX: usize = 128;
/// The number of sandboxes that are told apart. Errors of further ones are counted together.
const MAX_SANDBOXES: usize = 4096;

/// Findings in the entries of a chunk, in their order.
#[derive(Debug, Default)]
pub struct Findings {
    events: Vec<Event>,
    /// The sandboxes and messages of all errors, in the order of `events`.
    text: Vec<u8>,
    /// The flaws that an entry of the chunk had.
    seen: Flaws,
    /// The number of events and bytes of text that were taken.
    taken: (usize, usize),
}

/// A finding in an entry.
#[derive(Clone, Copy, Debug)]
struct Event {
    /// The number of the entry in its chunk, if the chunk has traces.
    entry: usize,
    finding: Finding,
}

#[derive(Clone, Copy, Debug)]
enum Finding {
    /// The entry is the first one of its chunk with these flaws.
    Flaws { flaws: Flaws, offset: u64, place: Option<Place> },
    /// The host reports an error. The numbers are lengths in `text`.
    Error { time: Option<UtcTimestamp>, component: Component, sandbox: usize, message: usize },
}

impl Finding {
    /// Returns the number of bytes that belong to the finding in `text`.
    fn text(self) -> usize {
        match self {
            Finding::Flaws { .. } => 0,
            Finding::Error { sandbox, message, .. } => sandbox + message,
        }
    }
}

impl Findings {
    /// Adds the findings in an entry. `entry` is its number in the chunk.
    #[inline]
    pub(crate) fn add(&mut self, raw: RawEntry<'_>, record: &Record<'_>, entry: usize, bump: &Bump) {
        let Some(facts) = &record.facts else { return };
        let flaws = facts.flaws.without(self.seen);
        if !flaws.is_empty() {
            self.seen.merge(flaws);
            let place = match raw.body {
                Body::Journal(entry) => Some(*entry.place()),
                Body::Line(_) | Body::Export(_) => None,
            };
            self.events.push(Event { entry, finding: Finding::Flaws { flaws, offset: raw.offset, place } });
        }
        if facts.level.is_some_and(|level| level >= Level::Error) && facts.origin.is_of_host() {
            let (time, component) = (facts.time, facts.component);
            let sandbox = self.push(text_of(record, b"kata_sandbox", bump), MAX_SANDBOX);
            // Some errors of the Go shim have an empty message.
            let mut texts = [&b"kata_msg"[..], b"kata_error"].into_iter().map(|name| text_of(record, name, bump));
            let message = self.push(texts.find(|text| !text.is_empty()).unwrap_or_default(), MAX_MESSAGE);
            self.events.push(Event { entry, finding: Finding::Error { time, component, sandbox, message } });
        }
    }

    /// Appends a text, cut to a number of bytes. Returns its length.
    fn push(&mut self, text: &[u8], limit: usize) -> usize {
        const MARK: &[u8] = "…".as_bytes();
        if text.len() <= limit {
            self.text.extend_from_slice(text);
            return text.len();
        }
        let is_inside = |end: &usize| text.get(*end).is_some_and(|byte| byte & 0xc0 == 0x80);
        let end = (0..=limit - MARK.len()).rev().find(|end| !is_inside(end)).unwrap_or_default();
        self.text.extend_from_slice(text.get(..end).unwrap_or_default());
        self.text.extend_from_slice(MARK);
        end + MARK.len()
    }

    /// Appends the findings in later entries.
    pub(crate) fn append(&mut self, later: &Findings) {
        self.events.extend_from_slice(&later.events);
        self.text.extend_from_slice(&later.text);
        self.seen.merge(later.seen);
    }

    /// Takes the findings of the entries before the entry with this number. Appends them to `out`, or drops them.
    pub fn take(&mut self, until: usize, mut out: Option<&mut Findings>) {
        let (first, from) = self.taken;
        let events = self.events.get(first..).unwrap_or_default();
        let count = events.iter().take_while(|event| event.entry < until).count();
        let events = events.get(..count).unwrap_or_default();
        let to = from + events.iter().map(|event| event.finding.text()).sum::<usize>();
        if let Some(out) = &mut out {
            out.events.extend_from_slice(events);
            out.text.extend_from_slice(self.text.get(from..to).unwrap_or_default());
        }
        self.taken = (first + count, to);
    }

    /// Returns the flaws of the chunk: for each its name, the offset of the first entry that has it, and the place of the
    /// entry if it is one of a journal file.
    pub fn flaws(&self) -> impl Iterator<Item = (&'static str, u64, Option<Place>)> {
        let firsts = self.events.iter().filter_map(|event| match event.finding {
            Finding::Flaws { flaws, offset, place } => Some((flaws, offset, place)),
            Finding::Error { .. } => None,
        });
        firsts.flat_map(|(flaws, offset, place)| flaws.iter().map(move |flaw: Flaw| (flaw.name(), offset, place)))
    }

    /// Returns the number of bytes that the findings take.
    #[must_use]
    pub fn size(&self) -> usize {
        self.events.capacity() * size_of::<Event>() + self.text.capacity()
    }

    /// Removes all findings and keeps the buffers.
    pub fn clear(&mut self) {
        self.events.clear();
        self.text.clear();
        self.seen = Flaws::default();
        self.taken = (0, 0);
    }
}

/// Returns the content of a field of the payload; empty if it is missing or no text.
fn text_of<'b>(record: &Record<'b>, name: &[u8], bump: &'b Bump) -> &'b [u8] {
    let is_named = |field: &&Field<'b>| field.key.name() == name;
    match record.payload.iter().find(is_named).map(|field| field.value) {
        Some(Value::Text(text)) => text.decode(bump),
        _ => b"",
    }
}

/// The errors that the host reports: those of each sandbox, the first one and the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    sandboxes: HashMap<Box<[u8]>, u64>,
    /// The number of errors of sandboxes beyond the limit.
    untracked: u64,
    first: Option<ErrorSample>,
    last: Option<ErrorSample>,
}

/// An error that the host reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorSample {
    /// `kata_time`.
    pub time: Option<UtcTimestamp>,
    /// `kata_component`.
    pub component: Component,
    /// The beginning of `kata_sandbox`, or nothing.
    pub sandbox: Vec<u8>,
    /// The beginning of `kata_msg`, or of `kata_error` if the message is empty.
    pub message: Vec<u8>,
}

impl ErrorSample {
    /// Takes over the content of another one, and keeps the buffers.
    fn assign(&mut self, time: Option<UtcTimestamp>, component: Component, sandbox: &[u8], message: &[u8]) {
        (self.time, self.component) = (time, component);
        for (own, new) in [(&mut self.sandbox, sandbox), (&mut self.message, message)] {
            own.clear();
            own.extend_from_slice(new);
        }
    }
}

impl Errors {
    /// Adds the errors of the next chunk.
    pub fn add(&mut self, findings: &Findings) {
        let mut rest = findings.text.as_slice();
        for event in &findings.events {
            let (text, behind) = rest.split_at_checked(event.finding.text()).unwrap_or_default();
            rest = behind;
            if let Finding::Error { time, component, sandbox, .. } = event.finding {
                let (sandbox, message) = text.split_at_checked(sandbox).unwrap_or_default();
                self.count(sandbox, 1);
                self.sample(time, component, sandbox, message);
            }
        }
    }

    /// Adds the errors of a later run.
    pub fn merge(&mut self, later: &Errors) {
        let mut sandboxes: Vec<_> = later.sandboxes.iter().collect();
        // The order of the map is random.
        sandboxes.sort();
        sandboxes.into_iter().for_each(|(sandbox, count)| self.count(sandbox, *count));
        self.untracked += later.untracked;
        for ErrorSample { time, component, sandbox, message } in later.first.iter().chain(&later.last) {
            self.sample(*time, *component, sandbox, message);
        }
    }

    /// Counts errors of a sandbox.
    fn count(&mut self, sandbox: &[u8], errors: u64) {
        if let Some(count) = self.sandboxes.get_mut(sandbox) {
            *count += errors;
        } else if self.sandboxes.len() < MAX_SANDBOXES {
            if !sandbox.is_empty() {
                self.sandboxes.insert(sandbox.into(), errors);
            }
        } else if !sandbox.is_empty() {
            self.untracked += errors;
        }
    }

    /// Keeps an error if it is the first or the last one. The time decides, and at equal times the order. An error without a
    /// time is kept only until there is one with a time.
    fn sample(&mut self, time: Option<UtcTimestamp>, component: Component, sandbox: &[u8], message: &[u8]) {
        let new = || ErrorSample { time, component, sandbox: sandbox.to_vec(), message: message.to_vec() };
        match &mut self.first {
            Some(first) if time.is_none() || first.time.is_some_and(|first| Some(first) <= time) => {}
            Some(first) => first.assign(time, component, sandbox, message),
            none => *none = Some(new()),
        }
        match &mut self.last {
            Some(last) if time < last.time => {}
            Some(last) => last.assign(time, component, sandbox, message),
            none => *none = Some(new()),
        }
    }

    /// Returns the sandboxes with most errors, at most a number of them, and the number of errors of all others. Ids break
    /// ties.
    #[must_use]
    pub fn sandboxes(&self, limit: usize) -> (Vec<(&[u8], u64)>, u64) {
        let mut all: Vec<(&[u8], u64)> = self.sandboxes.iter().map(|(sandbox, count)| (&**sandbox, *count)).collect();
        all.sort_by(|(one, errors), (other, more)| more.cmp(errors).then_with(|| one.cmp(other)));
        let others = all.iter().skip(limit).map(|(_, count)| count).sum::<u64>() + self.untracked;
        all.truncate(limit);
        (all, others)
    }

    /// Returns the first error and the last one, or `None` without errors.
    #[must_use]
    pub fn ends(&self) -> Option<[&ErrorSample; 2]> {
        Some([self.first.as_ref()?, self.last.as_ref()?])
    }
}

#[cfg(test)]
mod tests;
