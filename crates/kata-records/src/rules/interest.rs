//! What of a journal the rules want, as its reader asks for it.

use journal_file::EntryFilter;

use super::Rules;

impl EntryFilter for Rules {
    fn everything(&self) -> bool {
        self.wants_all()
    }

    fn entries_of(&self, identifier: &[u8]) -> bool {
        self.may_want(identifier)
    }

    fn entry(&self, identifier: &[u8], message: &[u8]) -> bool {
        self.wants(identifier, message)
    }

    fn field(&self, name: &[u8]) -> bool {
        self.wants_field(name)
    }
}
