//! Entries of runtime-rs from 3.20: the fields of the journal are the record, and MESSAGE is its text (slog-journald).

use bumpalo::Bump;

use super::Payload;
use crate::envelope::{Entry, Transport};
use crate::record::{Pair, PayloadFormat, Text};

/// Returns whether slog's drain for the journal sent the entry.
pub(super) fn is(entry: &Entry<'_>) -> bool {
    let has = |name: &[u8]| entry.fields.iter().any(|field| field.key == name);
    entry.transport == Transport::Journal && has(b"NAME") && has(b"SUBSYSTEM") && has(b"VERSION")
}

/// Appends a pair for the text and for each key of slog, in lower case. The drain maps `-` and spaces to `_`, which
/// cannot be undone.
pub(super) fn pairs<'b>(entry: &Entry<'b>, bump: &'b Bump, payload: &mut Payload<'b>) {
    payload.format = PayloadFormat::Native;
    if let Some(message) = entry.message {
        payload.pairs.push(Pair::text(b"msg", Text::plain(message)));
    }
    for field in &entry.fields {
        if !is_standard(field.key) {
            let key = bump.alloc_slice_copy(field.key);
            key.make_ascii_lowercase();
            payload.pairs.push(Pair::new(key, field.value));
        }
    }
}

/// Returns whether a field is one of journald, libsystemd or the drain (`systemd.journal-fields(7)`). The drain's CODE
/// fields name its own source file.
pub(super) fn is_standard(name: &[u8]) -> bool {
    matches!(name, b"MESSAGE" | b"PRIORITY" | b"MESSAGE_ID" | b"ERRNO" | b"TID")
        || [b"_".as_slice(), b"CODE_", b"SYSLOG_", b"OBJECT_", b"COREDUMP_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}
