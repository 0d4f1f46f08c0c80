//! Finds the fields of a journal entry that say which stream it belongs to and whether it is cut.

use std::hash::Hasher as _;

use kata_records::Framing;
use siphasher::sip::SipHasher13;

use crate::source::journal_text::{self, FieldValue};

/// The fields of an entry that the marks depend on.
#[derive(Default)]
pub(super) struct EntryFields<'b> {
    /// The number of the stream. `None` if the entry did not come through one.
    pub(super) stream: Option<u64>,
    /// The entry has `_LINE_BREAK`: journald did not find a line end.
    pub(super) is_cut: bool,
    pub(super) message: Option<FieldValue<'b>>,
}

impl<'b> EntryFields<'b> {
    /// Reads an entry in JSON or in the export format.
    pub(super) fn read(bytes: &'b [u8], framing: Framing) -> EntryFields<'b> {
        let mut fields = EntryFields::default();
        let (mut of_stdout, mut pid) = (false, None);
        let mut take = |name: &[u8], value: FieldValue<'b>| {
            let raw = value.raw();
            match name {
                b"_STREAM_ID" => fields.stream = Some(hash(b'e', raw)),
                b"_LINE_BREAK" => fields.is_cut = true,
                b"MESSAGE" => fields.message = Some(value),
                b"_TRANSPORT" => of_stdout = raw == b"stdout",
                b"_PID" => pid = Some(raw),
                _ => {}
            }
        };
        if framing == Framing::Export {
            journal_text::export_fields(bytes).for_each(|(name, value)| take(name, value));
        } else if let Some(object) = journal_text::object(bytes) {
            journal_text::members(object).for_each(|(name, value)| take(name, value));
        }
        // systemd before 235 has no `_STREAM_ID`.
        let by_pid = pid.filter(|_| of_stdout).map(|pid| hash(b'p', pid));
        fields.stream = fields.stream.or(by_pid);
        fields
    }
}

/// Returns the number of a stream: a hash that is equal in every run.
pub(super) fn hash(kind: u8, name: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(&[kind]);
    hasher.write(name);
    hasher.finish()
}
