//! Lines of container logs: the CRI format of containerd and CRI-O, and Docker's json-file. The source has joined
//! partial lines.

use bumpalo::Bump;
use memchr::memchr;

use super::{Entry, as_text};
use crate::record::{Pair, Text};
use crate::time::UtcTimestamp;

/// Reads `<RFC 3339 time> <stdout|stderr> <tags> <text>` (Kubernetes: `pkg/kubelet/kuberuntime/logs`). Returns false
/// and changes nothing if the line has another form.
pub(super) fn cri<'b>(line: &'b [u8], entry: &mut Entry<'b>) -> bool {
    if !matches!(line.get(10), Some(b'T' | b't')) {
        return false;
    }
    let Some((time, rest)) = word(line) else { return false };
    let Some((stream @ (b"stdout" | b"stderr"), rest)) = word(rest) else { return false };
    let (tags, text) = word(rest).unwrap_or((rest, b""));
    if !matches!(tags.first(), Some(b'F' | b'P')) || !matches!(tags.get(1), None | Some(b':')) {
        return false;
    }
    let Some(stamp) = UtcTimestamp::parse(time) else { return false };
    entry.fields.push(Pair::text(b"time", Text::plain(time)));
    entry.fields.push(Pair::text(b"stream", Text::clean(stream)));
    entry.time = Some(stamp);
    entry.message = Some(text);
    entry.from_container = true;
    true
}

/// Takes the message and the time from the members of a json-file line (moby: `daemon/logger/jsonfilelog`).
pub(super) fn docker<'b>(bump: &'b Bump, entry: &mut Entry<'b>) {
    entry.from_container = true;
    let log = entry.fields.remove(0);
    let content = as_text(&log.value).map(|text| text.decode(bump)).unwrap_or_default();
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    entry.message = Some(content.strip_suffix(b"\r").unwrap_or(content));
    let time = entry.fields.iter().find(|pair| pair.key == b"time").and_then(|pair| as_text(&pair.value));
    entry.time = time.and_then(|time| UtcTimestamp::parse(time.bytes));
}

/// Returns the bytes before the first space, and those after it.
fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr(b' ', bytes.get(..64).unwrap_or(bytes))?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}
