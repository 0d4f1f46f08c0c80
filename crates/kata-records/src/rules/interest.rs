//! The entries and fields that the rules need, for the reader of journal files.

use journal_file::EntryFilter;

use super::Rules;
use crate::envelope;
use crate::parse;
use crate::select::Others;
use crate::template::Placeholder;

impl EntryFilter for Rules {
    fn everything(&self) -> bool {
        self.raw || self.others == Others::Pass
    }

    fn entries_of(&self, identifier: &[u8]) -> bool {
        self.select.may_want(identifier)
    }

    fn entry(&self, identifier: &[u8], message: &[u8]) -> bool {
        self.everything() || self.select.likely(identifier, message)
    }

    fn field(&self, name: &[u8]) -> bool {
        let of_path = name == b"_HOSTNAME" && self.split.as_ref().is_some_and(|split| split.uses(Placeholder::Host));
        let of_head = self.heads && envelope::heads(name);
        self.raw || of_path || of_head || self.normalize.keeps(name) || envelope::needs(name) || parse::needs(name)
    }
}
