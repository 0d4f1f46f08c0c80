//! Messages that wait for the end of a pager, which would draw over them.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The number of bytes that wait. Further messages are printed at once.
const MAX_HELD: usize = 64 << 10;

static HELD: Mutex<Option<Vec<u8>>> = Mutex::new(None);

/// Holds messages on a terminal back until [`release`].
pub fn hold() {
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        held().get_or_insert_default();
    }
}

/// Prints the messages that were held back.
pub fn release() {
    let messages = held().take();
    if let Some(messages) = messages.filter(|messages| !messages.is_empty()) {
        super::write_now(&messages);
    }
}

/// Keeps a message if messages are held back. Returns false if it has to be printed.
pub(super) fn keep(message: &[u8]) -> bool {
    match &mut *held() {
        Some(messages) if messages.len() + message.len() <= MAX_HELD => {
            messages.extend_from_slice(message);
            true
        }
        _ => false,
    }
}

fn held() -> MutexGuard<'static, Option<Vec<u8>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}
