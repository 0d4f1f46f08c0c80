//! The level of a record: that of its writer, of a wrapper, or of a failure that the text reports.

use super::FieldBuilder;
use crate::envelope::Entry;
use crate::flaw::Flaw;
use crate::normalize::{failure, level};
use crate::record::{Level, Pair, Text, Value};

impl<'b> FieldBuilder<'_, 'b> {
    /// Adds a level that a pair states.
    pub(super) fn level(&mut self, pair: &Pair<'b>) {
        let Some(text) = self.typed(pair) else { return };
        match level::parse(text) {
            Some(level) if self.facts.level.is_none() => self.facts.level = Some(level),
            Some(level) => {
                self.facts.flaws.add_if(!self.displaced, Flaw::DuplicateKey);
                let name: &[u8] = match (self.displaced, self.author.wrapped_by_host) {
                    (true, true) => b"host_level",
                    (true, false) => b"guest_level",
                    (false, _) => b"level_2",
                };
                self.put_free(name, Value::Text(Text::clean(level.name().as_bytes())));
            }
            None => {
                self.facts.flaws.add(Flaw::BadLevel);
                self.put_as_text(b"level_text", pair);
            }
        }
    }

    /// Takes the level of the envelope if no pair states one. Raises the level of a text that reports a failure: its writer
    /// gave it none, so the level is that of a wrapper.
    #[inline]
    pub(in crate::normalize) fn level_of_wrapper(&mut self, entry: &Entry<'b>) {
        if self.facts.level.is_none() {
            self.facts.level = level::of_priority(entry, self.payload.format);
        }
        if self.facts.level < Some(Level::Error) && failure::is_reported(self.payload, self.author.component) {
            self.raise_level();
        }
    }

    #[cold]
    fn raise_level(&mut self) {
        let Some(level) = self.facts.level.replace(Level::Error) else { return };
        // A wrapper that is not proven may be a guest's text too.
        let name: &[u8] = if self.author.wrapped_by_host { b"host_level" } else { b"guest_level" };
        self.put_free(name, Value::Text(Text::clean(level.name().as_bytes())));
    }
}
