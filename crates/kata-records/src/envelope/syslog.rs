//! Syslog lines: the short modes of `journalctl`, RFC 3164 and RFC 5424.
//!
//! The name of the month is ignored, because it depends on the locale of the writer.

use memchr::{memchr, memchr2};

use super::Entry;
use crate::dictionary::KeyId;
use crate::record::{Pair, Text};
use crate::time::UtcTimestamp;

/// The head of a line.
#[derive(Default)]
struct LineHead<'b> {
    time: Option<&'b [u8]>,
    /// The timestamp, if the text has year and zone.
    stamp: Option<UtcTimestamp>,
    host: Option<&'b [u8]>,
    identifier: Option<&'b [u8]>,
    pid: Option<&'b [u8]>,
    id: Option<&'b [u8]>,
    data: Option<&'b [u8]>,
}

/// Reads `<time> <host> <identifier>[<pid>]: <message>` or a line of RFC 5424. Returns false and changes nothing if the
/// line has another form.
pub(super) fn line<'b>(line: &'b [u8], entry: &mut Entry<'b>) -> bool {
    let (priority, rest) = priority(line);
    let read = match (priority, rest) {
        (Some(_), [b'1', b' ', rest @ ..]) => modern(rest),
        _ => classic(rest, priority.is_some()),
    };
    let Some((head, message)) = read else { return false };
    // systemd-netlogd uses the last two names.
    for (id, value) in [
        (KeyId::SYSLOG_TIMESTAMP, head.time),
        (KeyId::HOSTNAME, head.host),
        (KeyId::SYSLOG_IDENTIFIER, head.identifier),
        (KeyId::SYSLOG_PID, head.pid),
        (KeyId::SYSLOG_MSGID, head.id),
        (KeyId::SYSLOG_STRUCTURED_DATA, head.data),
    ] {
        if let Some(value) = value {
            entry.fields.push(Pair::known(id, Text::plain(value)));
        }
    }
    entry.identifier = head.identifier;
    entry.priority = priority;
    entry.time = head.stamp;
    entry.message = Some(message);
    true
}

/// Parses a line of RFC 3164 or of journalctl. Raw lines of the local socket have a priority and no host, and some
/// copies have lost both names.
fn classic(line: &[u8], raw: bool) -> Option<(LineHead<'_>, &[u8])> {
    let (time, stamp, rest) = time(line)?;
    let head = LineHead { time: Some(time), stamp, ..LineHead::default() };
    if rest.starts_with(b"time=") || rest.starts_with(b"{\"") {
        return Some((head, rest));
    }
    let (host, behind) = word(rest)?;
    let (host, rest) =
        if raw && host.ends_with(b":") && !time.starts_with(b"[") { (None, rest) } else { (Some(host), behind) };
    let (identifier, pid, message) = tag(rest)?;
    Some((LineHead { host, identifier: Some(identifier), pid, ..head }, message))
}

/// Parses a line of RFC 5424 after its version: `<time> <host> <program> <pid> <id> <data> <message>`, each `-` if
/// unknown.
fn modern(line: &[u8]) -> Option<(LineHead<'_>, &[u8])> {
    let known = |part| (part != b"-").then_some(part);
    let (time, rest) = word(line)?;
    let (host, rest) = word(rest)?;
    let (identifier, rest) = word(rest)?;
    let (pid, rest) = word(rest)?;
    let (id, rest) = word(rest)?;
    let stamp = if time == b"-" { None } else { Some(UtcTimestamp::parse(time)?) };
    let end = data_end(rest)?;
    let (data, message) = rest.split_at_checked(end)?;
    let message = message.strip_prefix(b" ").unwrap_or(message);
    let message = message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message);
    let head = LineHead {
        time: known(time),
        stamp,
        host: known(host),
        identifier: known(identifier),
        pid: known(pid),
        id: known(id),
        data: known(data),
    };
    Some((head, message))
}

/// Returns the length of the structured data: `-`, or elements in brackets, whose quoted values may contain brackets.
fn data_end(rest: &[u8]) -> Option<usize> {
    if rest.first() == Some(&b'-') {
        return matches!(rest.get(1), None | Some(b' ')).then_some(1);
    }
    let (mut inside, mut quoted, mut escaped) = (false, false, false);
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if inside => quoted = !quoted,
            b'[' if !inside => inside = true,
            b']' if inside && !quoted => inside = false,
            b' ' if !inside && at > 0 => return Some(at),
            _ if !inside => return None,
            _ => {}
        }
    }
    (!inside && !rest.is_empty()).then_some(rest.len())
}

/// Parses a priority such as `<14>`. Returns the severity and the rest.
fn priority(line: &[u8]) -> (Option<u8>, &[u8]) {
    let read = || {
        let rest = line.strip_prefix(b"<")?;
        let end = memchr(b'>', rest.get(..4)?)?;
        let number: u8 = std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()?;
        Some((number % 8, rest.get(end + 1..)?))
    };
    read().map_or((None, line), |(priority, rest)| (Some(priority), rest))
}

/// Splits off the time. Returns its text, the timestamp if the text has year and zone, and the rest.
fn time(line: &[u8]) -> Option<(&[u8], Option<UtcTimestamp>, &[u8])> {
    let behind = |length: usize| Some((line.get(..length)?, line.get(length + 1..)?));
    match *line.first()? {
        // short-monotonic: `[   12.345678] host …`.
        b'[' => {
            let end = memchr(b']', line.get(..40).unwrap_or(line))?;
            let inside = line.get(1..end)?;
            if !inside.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b' ' | b'<' | b'>')) || inside.is_empty() {
                return None;
            }
            let (time, rest) = behind(end + 1).filter(|_| line.get(end + 1) == Some(&b' '))?;
            Some((time, None, rest))
        }
        b'0'..=b'9' if line.iter().take(11).all(|byte| byte.is_ascii_digit() || *byte == b'.') => {
            // short-unix: seconds and microseconds since 1970.
            let (time, rest) = word(line)?;
            let (seconds, fraction) = time.split_at_checked(memchr(b'.', time)?)?;
            let fraction = fraction.get(1..).filter(|fraction| fraction.len() == 6)?;
            let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<u64>().ok();
            let micros = number(seconds)?.checked_mul(1_000_000)?.checked_add(number(fraction)?)?;
            Some((time, UtcTimestamp::from_micros(micros), rest))
        }
        b'0'..=b'9' if line.get(4) == Some(&b'-') => {
            // short-iso, short-iso-precise, and the classic line of newer daemons.
            let (time, rest) = word(line)?;
            let stamp = UtcTimestamp::parse(time)?;
            Some((time, Some(stamp), rest))
        }
        _ => {
            let (first, rest) = word(line)?;
            let rest = rest.trim_ascii_start();
            let (second, rest) = word(rest)?;
            let (clock, rest) = word(rest)?;
            if !is_clock(clock) {
                return None;
            }
            let length = line.len() - rest.len() - 1;
            if second.len() <= 2 && second.iter().all(u8::is_ascii_digit) && first.len() <= 16 {
                // `Mar  5 05:01:54`, `3月 22 14:11:05`: without year and zone there is no timestamp.
                return Some((line.get(..length)?, None, rest));
            }
            // short-full: `Tue 2024-03-05 05:01:54 UTC`.
            let (zone, rest) = word(rest)?;
            let mut text = [0; 40];
            let length = second.len() + 1 + clock.len() + 1;
            text.get_mut(..second.len())?.copy_from_slice(second);
            *text.get_mut(second.len())? = b'T';
            text.get_mut(second.len() + 1..length - 1)?.copy_from_slice(clock);
            *text.get_mut(length - 1)? = b'Z';
            // Names of zones are ambiguous, so only UTC gives a timestamp.
            let stamp = UtcTimestamp::parse(text.get(..length)?)?;
            Some((line.get(..line.len() - rest.len() - 1)?, (zone == b"UTC").then_some(stamp), rest))
        }
    }
}

/// Returns whether a word is `hh:mm:ss`, with or without a fraction.
fn is_clock(word: &[u8]) -> bool {
    matches!(word, [a, b, b':', c, d, b':', e, f, rest @ ..]
        if [a, b, c, d, e, f].iter().all(|digit| digit.is_ascii_digit())
            && matches!(rest, [] | [b'.', ..]) && rest.iter().skip(1).all(u8::is_ascii_digit))
}

/// An identifier, a process id, and the message after them.
type Tag<'b> = (&'b [u8], Option<&'b [u8]>, &'b [u8]);

/// Parses `identifier[pid]: message` or `identifier: message`.
fn tag(rest: &[u8]) -> Option<Tag<'_>> {
    let end = rest.iter().take(256).position(|byte| matches!(byte, b'[' | b':' | b' '))?;
    // A pair is no identifier, even if its value contains a colon.
    let identifier = rest.get(..end).filter(|name| !name.is_empty() && memchr2(b'=', b'"', name).is_none())?;
    let mut behind = rest.get(end..)?;
    let mut pid = None;
    if let Some(inside) = behind.strip_prefix(b"[") {
        let close = memchr(b']', inside.get(..16).unwrap_or(inside))?;
        pid = Some(inside.get(..close).filter(|digits| digits.iter().all(u8::is_ascii_digit))?);
        behind = inside.get(close + 1..)?;
    }
    let message = behind.strip_prefix(b":")?;
    Some((identifier, pid, message.strip_prefix(b" ").unwrap_or(message)))
}

/// Returns the bytes before the first space, and those after it. Returns `None` if there is no space within 256 bytes.
fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr(b' ', bytes.get(..256).unwrap_or(bytes))?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

#[cfg(test)]
mod tests;
