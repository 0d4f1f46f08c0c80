//! Levels of logrus, slog and syslog as the six canonical ones (kata-containers: `src/libs/logging`, logrus
//! `level.go`).

use crate::envelope::{Entry, Transport};
use crate::record::{Level, PayloadFormat};

/// Parses any spelling of a level. Returns `None` if no writer uses it.
#[must_use]
pub(crate) fn parse(text: &[u8]) -> Option<Level> {
    match text {
        b"info" => return Some(Level::Info),
        b"debug" => return Some(Level::Debug),
        b"warning" => return Some(Level::Warning),
        b"error" => return Some(Level::Error),
        _ => {}
    }
    let mut lower = [0; 8];
    let lower = lower.get_mut(..text.len())?;
    lower.copy_from_slice(text);
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"trace" | b"trce" | b"trac" => Level::Trace,
        b"debug" | b"debg" | b"debu" => Level::Debug,
        b"info" => Level::Info,
        b"warning" | b"warn" => Level::Warning,
        b"error" | b"erro" | b"err" => Level::Error,
        b"critical" | b"crit" | b"fatal" | b"fata" | b"panic" | b"pani" => Level::Critical,
        _ => return None,
    })
}

/// Returns the level for PRIORITY, on the scale of the writer. slog's drain for the journal differs by one step from
/// `info` down. For lines of a standard output PRIORITY means something only if a prefix of the line set another than
/// the default (`sd-daemon(3)`).
#[must_use]
pub(crate) fn of_priority(entry: &Entry<'_>, format: PayloadFormat) -> Option<Level> {
    let priority = entry.priority?;
    Some(match (format, entry.transport, priority) {
        (_, Transport::Stdout, 6) => return None,
        (_, _, 0..=2) => Level::Critical,
        (_, _, 3) => Level::Error,
        (_, _, 4) => Level::Warning,
        (PayloadFormat::Native, _, 5) => Level::Info,
        (PayloadFormat::Native, _, 6) => Level::Debug,
        (PayloadFormat::Native, _, _) => Level::Trace,
        (_, _, 5 | 6) => Level::Info,
        (_, _, _) => Level::Debug,
    })
}
