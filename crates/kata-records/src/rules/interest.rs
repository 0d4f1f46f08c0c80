//! The entries and fields that the rules need, for the reader of journal files.

use bumpalo::Bump;
use journal_file::EntryFilter;

use super::Rules;
use crate::envelope;
use crate::own_record;
use crate::parse;
use crate::redact;
use crate::select::{MANAGERS, Others};
use crate::template::Placeholder;

impl EntryFilter for Rules {
    fn everything(&self) -> bool {
        self.raw || self.others == Others::Pass
    }

    fn entries_of(&self, identifier: &[u8]) -> bool {
        self.select.may_want(identifier)
    }

    fn entries_without_identifier(&self) -> &[(&str, &str)] {
        // virtiofsd's `--syslog` may leave its identifier to journald, which finds none behind the host's name.
        &[("_COMM", "virtiofsd")]
    }

    fn entry(&self, identifier: &[u8], message: &[u8]) -> bool {
        self.everything() || self.select.likely(identifier, message)
    }

    fn makes_record(&self, identifier: &[u8]) -> bool {
        self.filter.is_none() && self.select.takes_all(identifier)
    }

    fn makes_doubtful(&self, name: &[u8]) -> bool {
        // The container driver of Docker chooses the identifier, and its entries are those of tenants.
        name == b"CONTAINER_ID_FULL"
    }

    fn needs_continuations(&self) -> bool {
        !self.raw
    }

    fn leaves_open(&self, message: &[u8]) -> bool {
        self.redactor.is_some() && redact::leaves_open(message)
    }

    fn proves_itself(&self, message: &[u8]) -> bool {
        parse::begins_record(message)
    }

    fn field(&self, name: &[u8]) -> bool {
        let of_path = || name == b"_HOSTNAME" && self.split.as_ref().is_some_and(|split| split.uses(Placeholder::Host));
        let of_head = self.heads && envelope::heads(name);
        // Most fields that are new in a file are these.
        let is_common = matches!(name, b"MESSAGE" | b"_SOURCE_REALTIME_TIMESTAMP");
        self.raw
            || is_common
            || envelope::needs(name)
            || of_path()
            || of_head
            || self.normalize.keeps(name)
            || parse::needs(name)
    }
}

/// Rules for sources, which mark entries that continue others.
impl Rules {
    /// Returns whether a message begins as only a whole line of a program of the host can: `time="<time>" level=` of logrus, or a
    /// JSON object with a first key of its loggers. A message that continues another one cannot begin like this.
    #[must_use]
    pub fn begins_line(message: &[u8]) -> bool {
        parse::begins_record(message)
    }

    /// Returns whether a text is a record that katalog wrote as JSON, and nothing else.
    #[must_use]
    pub fn is_record(text: &[u8]) -> bool {
        own_record::read(text, &Bump::new(), &mut Vec::new()).is_some()
    }

    /// Returns whether a message ends inside a print of secrets, so that what follows in its stream must not be shown.
    #[must_use]
    pub fn leaves_open(message: &[u8]) -> bool {
        redact::leaves_open(message)
    }

    /// Returns whether an identifier (`SYSLOG_IDENTIFIER`) is that of a container manager, which copies lines of others and
    /// may cut them.
    #[must_use]
    pub fn is_manager(identifier: &[u8]) -> bool {
        MANAGERS.iter().any(|name| name.as_bytes() == identifier)
            || identifier.windows(b"containerd".len()).any(|part| part == b"containerd")
    }
}
